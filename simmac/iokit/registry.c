// SPDX-License-Identifier: BSD-3-Clause
/* Finding services. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <IOKit/IOKitLib.h>

#include "call.h"

const mach_port_t kIOMainPortDefault = MACH_PORT_NULL;

/* The only thing that can be matched here is a name. */
struct __CFDictionary {
	char name[sizeof(io_name_t)];
};

CFMutableDictionaryRef IOServiceNameMatching(const char *name)
{
	struct __CFDictionary *matching = calloc(1, sizeof(*matching));

	if (!matching || strlen(name) >= sizeof(matching->name)) {
		free(matching);
		return NULL;
	}
	strcpy(matching->name, name);
	return matching;
}

void CFRelease(CFTypeRef object)
{
	free((void *)(uintptr_t)object);
}

static kern_return_t ask(const char *name, uint64_t *ids, size_t *count)
{
	struct simmac_rpc_request request = {
		.op = SIMMAC_RPC_MATCH, .struct_size = (uint32_t)strlen(name),
		.struct_max = (uint32_t)(*count * sizeof(*ids)),
	};
	struct simmac_call call = { .request = &request, .bytes = name, .bytes_out = ids,
				    .pass = -1, .take = -1 };
	struct simmac_port port = { .fd = simmac_call_connect(),
				    .lock = PTHREAD_MUTEX_INITIALIZER };
	kern_return_t result;

	if (port.fd < 0)
		return MACH_SEND_INVALID_DEST;
	result = simmac_call_run(&port, &call);
	close(port.fd);
	*count = call.reply.struct_size / sizeof(*ids);
	return result;
}

kern_return_t IOServiceGetMatchingServices(mach_port_t mainPort, CFDictionaryRef matching,
					   io_iterator_t *existing)
{
	size_t count = SIMMAC_RPC_STRUCT_MAX / sizeof(uint64_t);
	struct simmac_port *port = NULL;
	kern_return_t result;
	uint64_t *ids;

	*existing = IO_OBJECT_NULL;
	if (!matching)
		return kIOReturnBadArgument;
	ids = calloc(count, sizeof(*ids));
	result = ids ? ask(matching->name, ids, &count) : kIOReturnNoMemory;
	CFRelease(matching);
	if (result == kIOReturnSuccess) {
		port = simmac_port_new(SIMMAC_PORT_ITERATOR, -1, -1, ids, count);
		result = port ? kIOReturnSuccess : kIOReturnNoMemory;
	}
	if (port)
		*existing = port->name;
	else
		free(ids);
	return result;
}

static io_object_t new_service(uint64_t id)
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
		object = new_service(id);
	simmac_port_put(port);
	return object;
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
