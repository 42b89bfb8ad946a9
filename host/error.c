// SPDX-License-Identifier: BSD-3-Clause
#include <errno.h>

#include "service.h"

/* MIG_SERVER_DIED of <mach/mig_errors.h>: the dext died in the middle of a call. */
#define SERVER_DIED (-308)

/* What a dext that died or a device that was unplugged looks like. */
static bool is_gone(kern_return_t status)
{
	switch (status) {
	case kIOReturnNoDevice:
	case kIOReturnNotAttached:
	case kIOReturnNotOpen:
	case kIOReturnNotReady:
	case kIOReturnNotResponding:
	case kIOReturnOffline:
	case kIOReturnAborted:
	case MACH_SEND_INVALID_DEST:
	case SERVER_DIED:
		return true;
	default:
		return false;
	}
}

int quiver_host_error(kern_return_t status)
{
	if (is_gone(status))
		return -ENODEV;
	switch (status) {
	case kIOReturnSuccess:
		return 0;
	case kIOReturnBadArgument:
		return -EINVAL;
	case kIOReturnNoMemory:
	case kIOReturnNoResources:
		return -ENOMEM;
	case kIOReturnExclusiveAccess:
	case kIOReturnBusy:
		return -EBUSY;
	case kIOReturnNotPermitted:
	case kIOReturnNotPrivileged:
	case kIOReturnUnsupported:	/* a function that is refused [H16] */
		return -EPERM;
	case kIOReturnNotWritable:
		return -EACCES;
	case kIOReturnNotFound:
		return -ENOENT;
	default:
		return -EIO;
	}
}

/*
 * A connection ends at once with the device, whatever the dext still has to say.
 * If memory was mapped through it, its name stays, as one of these mappings, and
 * every call on it is one with a bad argument: the connection (xnu, CHECK() of
 * IOUserClient.cpp).
 */
int quiver_host_call_error(struct quiver_device *device, kern_return_t status)
{
	struct quiver_dext_identity identity;

	if (status == kIOReturnBadArgument &&
	    quiver_service_identify(device->connect, &identity) == -ENODEV)
		return -ENODEV;
	return quiver_host_error(status);
}
