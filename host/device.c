// SPDX-License-Identifier: BSD-3-Clause
#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "service.h"

/*
 * IOServiceClose() returns, and a process is gone, before macOS has taken its
 * user client down: a claim that is still held may be one of these.
 */
#define CLAIM_TRIES	40
#define CLAIM_PAUSE_NS	(50 * 1000 * 1000)

/*
 * The service with this id, among the dext's own: an id of anything else in the
 * registry is none of our business. The caller releases it. -ENOENT: none.
 */
static int service_find(uint64_t id, io_service_t *service)
{
	struct quiver_entries services;
	uint64_t candidate;
	int error;

	*service = 0;
	error = quiver_services(&services);
	if (error)
		return error;
	for (size_t i = 0; i < services.count && !*service; i++) {
		if (IORegistryEntryGetRegistryEntryID(services.entry[i], &candidate) == kIOReturnSuccess &&
		    candidate == id) {
			*service = services.entry[i];
			services.entry[i] = 0;
		}
	}
	quiver_entries_free(&services);
	return *service ? 0 : -ENOENT;
}

static int service_open(uint64_t id, io_connect_t *connect)
{
	io_service_t service;
	kern_return_t status;
	int error;

	error = service_find(id, &service);
	if (error)
		return error;
	status = IOServiceOpen(service, mach_task_self(), 0, connect);
	IOObjectRelease(service);
	return quiver_host_error(status);
}

int quiver_device_identify(uint64_t id, struct quiver_dext_identity *identity)
{
	io_connect_t connect;
	int error = service_open(id, &connect);

	if (error)
		return error;
	error = quiver_service_identify(connect, identity);
	IOServiceClose(connect);
	return error;
}

static int claim(struct quiver_device *device)
{
	const struct timespec pause = { .tv_nsec = CLAIM_PAUSE_NS };
	unsigned int tries = CLAIM_TRIES;
	int error;

	error = quiver_service_identify(device->connect, &device->info.identity);
	if (error)
		return error;
	do {
		error = quiver_host_call_error(
			device, IOConnectCallScalarMethod(device->connect, QUIVER_DEXT_CLAIM, NULL,
							  0, NULL, NULL));
	} while (error == -EBUSY && --tries && !nanosleep(&pause, NULL));
	return error;
}

int quiver_device_open(uint64_t id, struct quiver_device **out)
{
	struct quiver_device *device;
	int error;

	device = calloc(1, sizeof(*device));
	if (!device)
		return -ENOMEM;
	device->info.id = id;
	/* First: what macOS says from now on counts, whenever the device is watched. */
	error = quiver_host_power_hold();
	if (error)
		goto fail_free;
	error = service_open(id, &device->connect);
	if (error)
		goto fail_release;
	error = claim(device);
	if (error)
		goto fail_close;
	pthread_mutex_init(&device->dma.lock, NULL);
	quiver_host_bars_init(device);
	quiver_host_irq_init(device);
	quiver_host_watch_init(device);
	*out = device;
	return 0;

fail_close:
	IOServiceClose(device->connect);
fail_release:
	quiver_host_power_release();
fail_free:
	free(device);
	return error;
}

void quiver_device_close(struct quiver_device *device)
{
	if (!device)
		return;
	quiver_host_irq_stop(device);
	/* Not before: sleep waits for a handler that still runs. */
	quiver_host_power_forget(device);
	/* Closing is what makes the dext stop and reset the device, whatever else fails [D8]. */
	quiver_host_irq_destroy(device);
	quiver_host_watch_destroy(device);
	quiver_host_bars_destroy(device);
	IOServiceClose(device->connect);
	pthread_mutex_destroy(&device->dma.lock);
	free(device);
	quiver_host_power_release();
}

const struct quiver_device_info *quiver_device_info(const struct quiver_device *device)
{
	return &device->info;
}

int quiver_device_reset(struct quiver_device *device, uint32_t flags, uint64_t *dropped)
{
	const uint64_t input = flags;
	uint64_t count = 0;
	uint32_t outputs = 1;
	int error;

	pthread_mutex_lock(&device->irq.configure_lock);
	error = quiver_host_call_error(
		device, IOConnectCallScalarMethod(device->connect, QUIVER_DEXT_RESET, &input, 1,
						  &count, &outputs));
	if (!error)
		quiver_host_irq_forget(device);
	pthread_mutex_unlock(&device->irq.configure_lock);
	if (error)
		return error;
	if (dropped)
		*dropped = count;
	return 0;
}

int quiver_device_stats(struct quiver_device *device, struct quiver_dext_stats *stats)
{
	size_t size = sizeof(*stats);
	int error;

	error = quiver_host_call_error(
		device, IOConnectCallStructMethod(device->connect, QUIVER_DEXT_STATS, NULL, 0, stats,
						  &size));
	if (error)
		return error;
	return size == sizeof(*stats) ? 0 : -EIO;
}
