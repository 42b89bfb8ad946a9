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
	if (error)
		return error;
	/* The version is first for good, so that an answer of any other size still has it. */
	if (size < sizeof(identity->abi_version))
		return -EIO;
	return identity->abi_version == QUIVER_DEXT_ABI_VERSION ? 0 : -EPROTO;
}

int quiver_services(io_iterator_t *services)
{
	kern_return_t status;

	status = IOServiceGetMatchingServices(kIOMainPortDefault,
					      IOServiceNameMatching(QUIVER_DEXT_SERVICE), services);
	if (status == kIOReturnSuccess && !*services)
		return -ENOENT;
	return quiver_host_error(status);
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
	io_iterator_t services;
	io_service_t service;
	int count = 0, failure = 0, error;

	error = quiver_services(&services);
	if (error)
		return error;
	while ((service = IOIteratorNext(services))) {
		error = service_info(service, &one);
		IOObjectRelease(service);
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
	IOObjectRelease(services);
	if (count)
		return count;
	return failure ? failure : -ENOENT;
}
