// SPDX-License-Identifier: BSD-3-Clause
/* Finding the services of the dext. */
#include <errno.h>
#include <string.h>

#include "service.h"

int quiver_service_identify(io_connect_t connect, struct quiver_dext_identity *identity)
{
	size_t size = sizeof(*identity);
	int error;

	memset(identity, 0, size);
	error = quiver_host_error(IOConnectCallStructMethod(connect, QUIVER_DEXT_IDENTIFY, NULL, 0,
							    identity, &size));
	/* Of what it takes nothing can be bad but the connection: quiver_host_call_error(). */
	if (error == -EINVAL)
		return -ENODEV;
	if (error)
		return error;
	/* The version is first for good, so that an answer of any other size still has it. */
	if (size < sizeof(identity->abi_version))
		return -EIO;
	return identity->abi_version == QUIVER_DEXT_ABI_VERSION ? 0 : -EPROTO;
}

static kern_return_t begin_services(const void *unused, io_iterator_t *services)
{
	(void)unused;
	return IOServiceGetMatchingServices(kIOMainPortDefault,
					    IOServiceNameMatching(QUIVER_DEXT_SERVICE), services);
}

int quiver_services(struct quiver_entries *services)
{
	int error = quiver_entries_take(begin_services, NULL, services);

	return error || services->count ? error : -ENOENT;
}

static int service_info(io_service_t service, struct quiver_device_info *info)
{
	io_connect_t connect;
	int error;

	error = quiver_host_error(IORegistryEntryGetRegistryEntryID(service, &info->id));
	if (error)
		return error;
	error = quiver_host_error(IOServiceOpen(service, mach_task_self(), 0, &connect));
	if (error)
		return error;
	error = quiver_service_identify(connect, &info->identity);
	IOServiceClose(connect);
	return error;
}

int quiver_devices_list(struct quiver_device_info *info, size_t max)
{
	struct quiver_device_info one;
	struct quiver_entries services;
	int count = 0, failure = 0, error;

	error = quiver_services(&services);
	if (error)
		return error;
	for (size_t i = 0; i < services.count; i++) {
		error = service_info(services.entry[i], &one);
		if (error == -ENODEV)	/* unplugged since the match */
			continue;
		if (error) {
			failure = error;
			continue;
		}
		if ((size_t)count < max)
			info[count] = one;
		count++;
	}
	quiver_entries_free(&services);
	if (count)
		return count;
	return failure ? failure : -ENOENT;
}
