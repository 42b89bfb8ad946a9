// SPDX-License-Identifier: BSD-3-Clause
#include <errno.h>

#include "device.h"

void quiver_host_bars_init(struct quiver_device *device)
{
	pthread_mutex_init(&device->bars.lock, NULL);
}

void quiver_host_bars_destroy(struct quiver_device *device)
{
	struct quiver_dext_bar info;
	unsigned int bar;

	for (bar = 0; bar < QUIVER_DEXT_BARS; bar++) {
		if (!device->bars.bar[bar].address || quiver_bar_info(device, bar, &info))
			continue;
		/* On failure, closing the connection takes the mapping with it. */
		IOConnectUnmapMemory64(device->connect, info.memory_type, mach_task_self(),
				       device->bars.bar[bar].address);
	}
	pthread_mutex_destroy(&device->bars.lock);
}

int quiver_bar_info(struct quiver_device *device, unsigned int bar, struct quiver_dext_bar *info)
{
	const uint64_t input = bar;
	size_t size = sizeof(*info);
	uint32_t outputs = 0;
	int error;

	if (bar >= QUIVER_DEXT_BARS)
		return -EINVAL;
	error = quiver_host_call_error(
		device, IOConnectCallMethod(device->connect, QUIVER_DEXT_BAR_INFO, &input, 1, NULL,
					    0, NULL, &outputs, info, &size));
	if (error)
		return error;
	return size == sizeof(*info) ? 0 : -EIO;
}

static int map_locked(struct quiver_device *device, unsigned int bar)
{
	struct quiver_dext_bar info;
	mach_vm_address_t address = 0;
	mach_vm_size_t length = 0;
	int error;

	error = quiver_bar_info(device, bar, &info);
	if (error)
		return error;
	if (!info.length)
		return -ENOENT;
	error = quiver_host_call_error(
		device, IOConnectMapMemory64(device->connect, info.memory_type, mach_task_self(),
					     &address, &length, kIOMapAnywhere));
	if (error)
		return error;
	device->bars.bar[bar].address = address;
	device->bars.bar[bar].length = length < info.length ? length : info.length;
	return 0;
}

int quiver_bar_map(struct quiver_device *device, unsigned int bar, void **address,
		   uint64_t *length)
{
	int error = 0;

	if (bar >= QUIVER_DEXT_BARS)
		return -EINVAL;
	pthread_mutex_lock(&device->bars.lock);
	if (!device->bars.bar[bar].address)
		error = map_locked(device, bar);
	if (!error) {
		*address = (void *)(uintptr_t)device->bars.bar[bar].address;
		*length = device->bars.bar[bar].length;
	}
	pthread_mutex_unlock(&device->bars.lock);
	return error;
}
