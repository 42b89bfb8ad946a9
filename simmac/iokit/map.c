// SPDX-License-Identifier: BSD-3-Clause
/* Memory of a user client in our address space: a file that the daemon passes. */
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#include <IOKit/IOKitLib.h>

#include "call.h"
#include "map.h"

struct simmac_mapping {
	struct simmac_mapping *next;
	uint32_t type;
	void *address;
	size_t length;
};

static kern_return_t map_file(struct simmac_port *port, uint32_t type, int fd, uint64_t length,
			      bool read_only, struct simmac_mapping **out)
{
	struct simmac_mapping *mapping = malloc(sizeof(*mapping));

	if (!mapping)
		return kIOReturnNoMemory;
	mapping->type = type;
	mapping->length = length;
	mapping->address = mmap(NULL, length, read_only ? PROT_READ : PROT_READ | PROT_WRITE,
				MAP_SHARED, fd, 0);
	if (mapping->address == MAP_FAILED) {
		free(mapping);
		return kIOReturnVMError;
	}
	pthread_mutex_lock(&port->lock);
	mapping->next = port->mappings;
	port->mappings = mapping;
	pthread_mutex_unlock(&port->lock);
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
				  (options | call.reply.options) & kIOMapReadOnly, &mapping);
	if (result == kIOReturnSuccess) {
		*atAddress = (mach_vm_address_t)(uintptr_t)mapping->address;
		*ofSize = mapping->length;
	}
	if (call.take >= 0)
		close(call.take);
	simmac_port_put(port);
	return result;
}

static struct simmac_mapping *take_mapping(struct simmac_port *port, uint32_t type,
					   mach_vm_address_t address, bool *last)
{
	struct simmac_mapping *found = NULL, **link;

	*last = true;
	pthread_mutex_lock(&port->lock);
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
	pthread_mutex_unlock(&port->lock);
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
	mapping = take_mapping(port, memoryType, atAddress, &last);
	if (mapping) {
		munmap(mapping->address, mapping->length);
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
		munmap(mapping->address, mapping->length);
		free(mapping);
	}
}
