// SPDX-License-Identifier: BSD-3-Clause
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include <DriverKit/IOBufferMemoryDescriptor.h>
#include "runtime.h"

#define HOST_PAGE	4096u

/* Up to this many pages are asked for one by one: faster than to read the list of mappings. */
#define PROBE_PAGES	256u

static bool probe_pages(pid_t pid, uint64_t address, size_t pages)
{
	struct iovec remote[PROBE_PAGES], local;
	uint8_t bytes[PROBE_PAGES];

	for (size_t i = 0; i < pages; i++) {
		remote[i].iov_base = reinterpret_cast<void *>(address + i * HOST_PAGE);
		remote[i].iov_len = 1;
	}
	local.iov_base = bytes;
	local.iov_len = pages;
	return process_vm_readv(pid, &local, 1, remote, pages, 0) == static_cast<ssize_t>(pages);
}

/* The list is in ascending order; neighbours count as one. */
static bool probe_list(pid_t pid, uint64_t address, uint64_t length)
{
	char path[64], line[PATH_MAX + 128];
	uint64_t at = address, from, to;
	char access[5];
	FILE *maps;

	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	maps = fopen(path, "re");
	if (!maps)
		return false;
	while (at - address < length && fgets(line, sizeof(line), maps)) {
		if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %4s", &from, &to, access) != 3 ||
		    to <= at)
			continue;
		if (from > at || access[0] != 'r')
			break;
		at = to;
	}
	fclose(maps);
	return at - address >= length;
}

bool simmac_task::holds(uint64_t address, uint64_t length) const
{
	uint64_t first = address & ~static_cast<uint64_t>(HOST_PAGE - 1);
	uint64_t pages;

	if (!length || address > UINT64_MAX - (length - 1))
		return false;
	pages = (address + (length - 1) - first) / HOST_PAGE + 1;
	return pages <= PROBE_PAGES ? probe_pages(pid, first, pages) :
				      probe_list(pid, first, length);
}

IOMemoryDescriptor *IOMemoryDescriptor::WithTask(std::shared_ptr<simmac_task> task,
						 uint64_t address, uint64_t length,
						 uint64_t direction)
{
	IOMemoryDescriptor *memory = new IOMemoryDescriptor;

	memory->task = task;
	memory->address = address;
	memory->length = length;
	memory->direction = direction;
	return memory;
}

IOMemoryDescriptor *IOMemoryDescriptor::WithFile(int fd, uint64_t length, uint64_t direction)
{
	IOMemoryDescriptor *memory = new IOMemoryDescriptor;

	memory->fd = fd;
	memory->length = length;
	memory->direction = direction;
	return memory;
}

void IOMemoryDescriptor::free()
{
	if (device && fd >= 0)
		close(fd);
	OSObject::free();
}

kern_return_t IOMemoryDescriptor::GetLength(uint64_t *returnLength)
{
	*returnLength = length;
	return kIOReturnSuccess;
}

kern_return_t IOBufferMemoryDescriptor::Create(uint64_t options, uint64_t capacity, uint64_t,
					       IOBufferMemoryDescriptor **memory)
{
	uint64_t whole = (capacity + SIMMAC_GRANULE - 1) / SIMMAC_GRANULE * SIMMAC_GRANULE;
	IOBufferMemoryDescriptor *buffer;
	void *mapping;

	if (options & ~static_cast<uint64_t>(kIOMemoryDirectionInOut) || !capacity)
		return kIOReturnBadArgument;
	if (simmac_calls::fails("IOBufferMemoryDescriptor::Create"))
		return kIOReturnNoMemory;
	buffer = new IOBufferMemoryDescriptor;
	buffer->length = capacity;
	buffer->direction = options;
	buffer->fd = memfd_create("IOBufferMemoryDescriptor", MFD_CLOEXEC);
	mapping = MAP_FAILED;
	if (buffer->fd >= 0 && !ftruncate(buffer->fd, static_cast<off_t>(whole)))
		mapping = mmap(NULL, whole, PROT_READ | PROT_WRITE, MAP_SHARED, buffer->fd, 0);
	if (mapping == MAP_FAILED) {
		buffer->release();
		return kIOReturnNoMemory;
	}
	buffer->address = reinterpret_cast<uint64_t>(mapping);
	*memory = buffer;
	return kIOReturnSuccess;
}

void IOBufferMemoryDescriptor::free()
{
	uint64_t whole = (length + SIMMAC_GRANULE - 1) / SIMMAC_GRANULE * SIMMAC_GRANULE;

	if (address)
		munmap(reinterpret_cast<void *>(address), whole);
	if (fd >= 0)
		close(fd);
	IOMemoryDescriptor::free();
}

kern_return_t IOBufferMemoryDescriptor::GetAddressRange(IOAddressSegment *range)
{
	if (simmac_calls::fails("IOBufferMemoryDescriptor::GetAddressRange"))
		return kIOReturnNoMemory;
	range->address = address;
	range->length = length;
	return kIOReturnSuccess;
}
