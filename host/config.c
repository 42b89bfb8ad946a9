// SPDX-License-Identifier: BSD-3-Clause
#include <errno.h>

#include "device.h"

#define CONFIG_SIZE 4096u

static bool access_valid(uint32_t offset, uint32_t width)
{
	return (width == 1 || width == 2 || width == 4) && offset < CONFIG_SIZE &&
	       offset % width == 0;
}

int quiver_config_read(struct quiver_device *device, uint32_t offset, uint32_t width,
		       uint32_t *value)
{
	const uint64_t input[] = { offset, width };
	uint64_t output = 0;
	uint32_t outputs = 1;
	int error;

	if (!access_valid(offset, width))
		return -EINVAL;
	error = quiver_host_call_error(
		device, IOConnectCallScalarMethod(device->connect, QUIVER_DEXT_CONFIG_READ, input, 2,
						  &output, &outputs));
	if (error)
		return error;
	*value = (uint32_t)output;
	return 0;
}

int quiver_config_write(struct quiver_device *device, uint32_t offset, uint32_t width,
			uint32_t value)
{
	const uint64_t input[] = { offset, width, value };

	if (!access_valid(offset, width))
		return -EINVAL;
	return quiver_host_call_error(
		device, IOConnectCallScalarMethod(device->connect, QUIVER_DEXT_CONFIG_WRITE, input,
						  3, NULL, NULL));
}
