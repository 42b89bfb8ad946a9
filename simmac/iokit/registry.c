// SPDX-License-Identifier: BSD-3-Clause
/* The registry: finding entries, and reading them. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <IOKit/IOKitLib.h>

#include "call.h"
#include "foundation.h"

const mach_port_t kIOMainPortDefault = MACH_PORT_NULL;

CFMutableDictionaryRef IOServiceNameMatching(const char *name)
{
	return simmac_matching_new(SIMMAC_RPC_BY_NAME, name);
}

CFMutableDictionaryRef IOServiceMatching(const char *name)
{
	return simmac_matching_new(SIMMAC_RPC_BY_CLASS, name);
}

/* A question on a connection of its own. The answer's bytes go to where call says. */
static kern_return_t ask(struct simmac_call *call)
{
	struct simmac_port port = { .fd = simmac_call_connect(),
				    .lock = PTHREAD_MUTEX_INITIALIZER };
	kern_return_t result;

	if (port.fd < 0)
		return MACH_SEND_INVALID_DEST;
	result = simmac_call_run(&port, call);
	close(port.fd);
	return result;
}

/* An iterator over the ids that the answer has. */
static kern_return_t ask_for_entries(struct simmac_rpc_request *request, const char *name,
				     io_iterator_t *iterator)
{
	struct simmac_port *port = NULL;
	uint64_t *ids = malloc(SIMMAC_RPC_STRUCT_MAX);
	struct simmac_call call = { .request = request, .bytes = name, .bytes_out = ids,
				    .pass = -1, .take = -1 };
	kern_return_t result;
	bool stale = false;
	size_t count;

	*iterator = IO_OBJECT_NULL;
	request->struct_size = (uint32_t)strlen(name);
	request->struct_max = SIMMAC_RPC_STRUCT_MAX;
	result = ids ? ask(&call) : kIOReturnNoMemory;
	if (result == kIOReturnSuccess) {
		count = call.reply.struct_size / sizeof(*ids);
		stale = call.reply.options & SIMMAC_RPC_CHANGED;
		port = simmac_port_new(SIMMAC_PORT_ITERATOR, -1, -1, ids, stale ? count / 2 : count);
		result = port ? kIOReturnSuccess : kIOReturnNoMemory;
	}
	if (port) {
		port->stale = stale;
		*iterator = port->name;
	} else {
		free(ids);
	}
	return result;
}

kern_return_t IOServiceGetMatchingServices(mach_port_t mainPort, CFDictionaryRef matching,
					   io_iterator_t *existing)
{
	struct simmac_rpc_request request = { .op = SIMMAC_RPC_MATCH };
	const struct simmac_matching *wanted;
	kern_return_t result;

	*existing = IO_OBJECT_NULL;
	if (!matching)
		return kIOReturnBadArgument;
	wanted = simmac_matching_get(matching);
	request.selector = wanted->by;
	result = ask_for_entries(&request, wanted->name, existing);
	CFRelease(matching);
	return result;
}

static io_object_t new_entry(uint64_t id)
{
	uint64_t *ids = malloc(sizeof(*ids));
	struct simmac_port *port = NULL;

	if (ids) {
		*ids = id;
		port = simmac_port_new(SIMMAC_PORT_SERVICE, -1, -1, ids, 1);
	}
	if (!port)
		free(ids);
	return port ? port->name : IO_OBJECT_NULL;
}

io_object_t IOIteratorNext(io_iterator_t iterator)
{
	struct simmac_port *port = simmac_port_get(iterator, SIMMAC_PORT_ITERATOR);
	io_object_t object = IO_OBJECT_NULL;
	uint64_t id = 0;
	bool more;

	if (!port)
		return IO_OBJECT_NULL;
	pthread_mutex_lock(&port->lock);
	more = port->next < port->count;
	if (more)
		id = port->ids[port->next++];
	pthread_mutex_unlock(&port->lock);
	if (more)
		object = new_entry(id);
	simmac_port_put(port);
	return object;
}

boolean_t IOIteratorIsValid(io_iterator_t iterator)
{
	struct simmac_port *port = simmac_port_get(iterator, SIMMAC_PORT_ITERATOR);
	bool valid = port && !port->stale;

	if (port)
		simmac_port_put(port);
	return valid;
}

kern_return_t IOObjectRelease(io_object_t object)
{
	return simmac_port_drop(object, SIMMAC_PORT_SERVICE) ||
	       simmac_port_drop(object, SIMMAC_PORT_ITERATOR) ?
	       kIOReturnSuccess : kIOReturnBadArgument;
}

kern_return_t IORegistryEntryGetRegistryEntryID(io_registry_entry_t entry, uint64_t *entryID)
{
	struct simmac_port *port = simmac_port_get(entry, SIMMAC_PORT_SERVICE);

	if (!port)
		return kIOReturnBadArgument;
	*entryID = port->ids[0];
	simmac_port_put(port);
	return kIOReturnSuccess;
}

static kern_return_t relatives(io_registry_entry_t entry, const char *plane,
			       enum simmac_rpc_op op, io_iterator_t *iterator)
{
	struct simmac_rpc_request request = { .op = op };
	kern_return_t result = IORegistryEntryGetRegistryEntryID(entry, &request.argument);

	if (result != kIOReturnSuccess)
		return result;
	if (strcmp(plane, kIOServicePlane))
		return kIOReturnBadArgument;
	return ask_for_entries(&request, "", iterator);
}

kern_return_t IORegistryEntryGetChildIterator(io_registry_entry_t entry, const io_name_t plane,
					      io_iterator_t *iterator)
{
	return relatives(entry, plane, SIMMAC_RPC_CHILDREN, iterator);
}

kern_return_t IORegistryEntryGetParentEntry(io_registry_entry_t entry, const io_name_t plane,
					    io_registry_entry_t *parent)
{
	io_iterator_t iterator;
	kern_return_t result = relatives(entry, plane, SIMMAC_RPC_PARENT, &iterator);

	if (result != kIOReturnSuccess)
		return result;
	*parent = IOIteratorNext(iterator);
	IOObjectRelease(iterator);
	return *parent ? kIOReturnSuccess : kIOReturnNoDevice;
}

static kern_return_t describe(io_object_t object, enum simmac_rpc_op op, io_name_t text)
{
	struct simmac_rpc_request request = { .op = op, .struct_max = sizeof(io_name_t) - 1 };
	struct simmac_call call = { .request = &request, .bytes_out = text, .pass = -1,
				    .take = -1 };
	kern_return_t result = IORegistryEntryGetRegistryEntryID(object, &request.argument);

	if (result == kIOReturnSuccess)
		result = ask(&call);
	if (result == kIOReturnSuccess)
		text[call.reply.struct_size] = '\0';
	return result;
}

kern_return_t IORegistryEntryGetName(io_registry_entry_t entry, io_name_t name)
{
	return describe(entry, SIMMAC_RPC_NAME, name);
}

kern_return_t IOObjectGetClass(io_object_t object, io_name_t className)
{
	return describe(object, SIMMAC_RPC_CLASS, className);
}

CFTypeRef IORegistryEntrySearchCFProperty(io_registry_entry_t entry, const io_name_t plane,
					  CFStringRef key, CFAllocatorRef allocator,
					  IOOptionBits options)
{
	const char *name = simmac_string_get(key);
	uint8_t bytes[SIMMAC_RPC_STRUCT_MAX];
	struct simmac_rpc_request request = { .op = SIMMAC_RPC_PROPERTY, .selector = options,
					      .struct_size = (uint32_t)strlen(name),
					      .struct_max = sizeof(bytes) };
	struct simmac_call call = { .request = &request, .bytes = name, .bytes_out = bytes,
				    .pass = -1, .take = -1 };

	if (strcmp(plane, kIOServicePlane) || allocator != kCFAllocatorDefault ||
	    IORegistryEntryGetRegistryEntryID(entry, &request.argument) ||
	    ask(&call) != kIOReturnSuccess)
		return NULL;
	return simmac_value_new(call.reply.options, bytes, call.reply.struct_size);
}

CFTypeRef IORegistryEntryCreateCFProperty(io_registry_entry_t entry, CFStringRef key,
					  CFAllocatorRef allocator, IOOptionBits options)
{
	return options ? NULL :
	       IORegistryEntrySearchCFProperty(entry, kIOServicePlane, key, allocator, 0);
}
