// SPDX-License-Identifier: BSD-3-Clause
/* Memory of a user client in our address space: a file that the daemon passes. */
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#include <IOKit/IOKitLib.h>

#include "call.h"
#include "map.h"

#define PAGE 16384u	/* of a Mac; ours are a part of one */

struct simmac_mapping {
	struct simmac_mapping *next;
	uint32_t type;
	void *address;
	size_t length, whole;		/* in whole pages */
	bool device;
};

/* Of the lists of all ports: a port's own lock is held through its calls. */
static pthread_mutex_t mappings_lock = PTHREAD_MUTEX_INITIALIZER;

/* At an address that a Mac could have given. The file has whole pages too. */
static void *map_aligned(int fd, size_t whole, int protection)
{
	uint8_t *room = mmap(NULL, whole + PAGE, PROT_NONE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	size_t skip;
	void *address;

	if (room == MAP_FAILED)
		return room;
	skip = (PAGE - (uintptr_t)room % PAGE) % PAGE;
	address = mmap(room + skip, whole, protection, MAP_SHARED | MAP_FIXED, fd, 0);
	if (address == MAP_FAILED) {
		munmap(room, whole + PAGE);
		return address;
	}
	if (skip)
		munmap(room, skip);
	munmap(room + skip + whole, PAGE - skip);
	return address;
}

static kern_return_t map_file(struct simmac_port *port, uint32_t type, int fd, uint64_t length,
			      uint32_t options, struct simmac_mapping **out)
{
	bool read_only = options & kIOMapReadOnly;
	struct simmac_mapping *mapping = malloc(sizeof(*mapping));

	if (!mapping)
		return kIOReturnNoMemory;
	mapping->type = type;
	mapping->length = length;
	mapping->whole = (length + PAGE - 1) / PAGE * PAGE;
	mapping->device = options & SIMMAC_RPC_MAP_DEVICE;
	mapping->address = map_aligned(fd, mapping->whole,
				       read_only ? PROT_READ : PROT_READ | PROT_WRITE);
	if (mapping->address == MAP_FAILED) {
		free(mapping);
		return kIOReturnVMError;
	}
	pthread_mutex_lock(&mappings_lock);
	mapping->next = port->mappings;
	port->mappings = mapping;
	pthread_mutex_unlock(&mappings_lock);
	*out = mapping;
	return kIOReturnSuccess;
}

kern_return_t IOConnectMapMemory64(io_connect_t connect, uint32_t memoryType,
				   task_port_t intoTask, mach_vm_address_t *atAddress,
				   mach_vm_size_t *ofSize, IOOptionBits options)
{
	struct simmac_rpc_request request = { .op = SIMMAC_RPC_MAP, .selector = memoryType };
	struct simmac_call call = { .request = &request, .pass = -1, .take = -1 };
	struct simmac_port *port = simmac_port_get(connect, SIMMAC_PORT_CONNECT);
	struct simmac_mapping *mapping;
	kern_return_t result;

	if (!port)
		return kIOReturnBadArgument;
	result = intoTask == mach_task_self() && options & kIOMapAnywhere ?
		 simmac_call_run(port, &call) : kIOReturnUnsupported;
	if (result == kIOReturnSuccess && call.take < 0)
		result = kIOReturnIPCError;
	if (result == kIOReturnSuccess)
		result = map_file(port, memoryType, call.take, call.reply.argument,
				  (options & kIOMapReadOnly) | call.reply.options, &mapping);
	if (result == kIOReturnSuccess) {
		*atAddress = (mach_vm_address_t)(uintptr_t)mapping->address;
		*ofSize = mapping->length;
	}
	if (call.take >= 0)
		close(call.take);
	simmac_port_put(port);
	return result;
}

struct range {
	const uint8_t *address;
	size_t size;
};

/* A byte of it is enough: the whole range is then mapped as a device is. */
static bool has_device(struct simmac_port *port, const void *context)
{
	const struct range *range = context;
	struct simmac_mapping *mapping;
	bool found = false;

	pthread_mutex_lock(&mappings_lock);
	for (mapping = port->mappings; mapping && !found; mapping = mapping->next) {
		const uint8_t *address = mapping->address;

		found = mapping->device && range->address < address + mapping->whole &&
			address < range->address + range->size;
	}
	pthread_mutex_unlock(&mappings_lock);
	return found;
}

bool simmac_mapping_is_device(const void *address, size_t size)
{
	const struct range range = { address, size };

	return simmac_port_any(has_device, &range);
}

static struct simmac_mapping *take_mapping(struct simmac_port *port, uint32_t type,
					   mach_vm_address_t address, bool *last)
{
	struct simmac_mapping *found = NULL, **link;

	*last = true;
	pthread_mutex_lock(&mappings_lock);
	for (link = &port->mappings; *link;) {
		if (!found && (*link)->type == type &&
		    (mach_vm_address_t)(uintptr_t)(*link)->address == address) {
			found = *link;
			*link = found->next;
			continue;
		}
		if ((*link)->type == type)
			*last = false;
		link = &(*link)->next;
	}
	pthread_mutex_unlock(&mappings_lock);
	return found;
}

kern_return_t IOConnectUnmapMemory64(io_connect_t connect, uint32_t memoryType,
				     task_port_t fromTask, mach_vm_address_t atAddress)
{
	struct simmac_rpc_request request = { .op = SIMMAC_RPC_UNMAP, .selector = memoryType };
	struct simmac_call call = { .request = &request, .pass = -1, .take = -1 };
	struct simmac_port *port = simmac_port_get(connect, SIMMAC_PORT_CONNECT);
	struct simmac_mapping *mapping;
	bool last;

	if (!port)
		return kIOReturnBadArgument;
	/* Then it stays mapped until the client closes. */
	if (simmac_call_fails("IOConnectUnmapMemory64")) {
		simmac_port_put(port);
		return kIOReturnNoMemory;
	}
	mapping = take_mapping(port, memoryType, atAddress, &last);
	if (mapping) {
		munmap(mapping->address, mapping->whole);
		free(mapping);
		/* The daemon holds the memory once, for all of our mappings of it. */
		if (last)
			simmac_call_run(port, &call);
	}
	simmac_port_put(port);
	return mapping ? kIOReturnSuccess : kIOReturnBadArgument;
}

void simmac_mappings_free(struct simmac_port *port)
{
	struct simmac_mapping *mapping;

	while ((mapping = port->mappings)) {
		port->mappings = mapping->next;
		munmap(mapping->address, mapping->whole);
		free(mapping);
	}
}
