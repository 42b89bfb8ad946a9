/* SPDX-License-Identifier: BSD-3-Clause */
/* From core/'s errno to what IOKit hands to the client: dext_abi.h's words. */
#ifndef QUIVER_DEXT_ERRORS_H
#define QUIVER_DEXT_ERRORS_H

#include <DriverKit/IOReturn.h>
#include "core/error.h"

static inline kern_return_t quiver_dext_return(int error)
{
	switch (error) {
	case 0:
		return kIOReturnSuccess;
	case -EPERM:
		return kIOReturnNotPermitted;
	case -ENODEV:
		return kIOReturnNoDevice;
	case -EINVAL:
		return kIOReturnBadArgument;
	case -EACCES:
		return kIOReturnNotWritable;
	case -EBUSY:
		return kIOReturnExclusiveAccess;
	case -EOPNOTSUPP:
		return kIOReturnUnsupported;
	case -ETIMEDOUT:
		return kIOReturnNotResponding;
	case -ENOMEM:
		return kIOReturnNoMemory;
	case -ENOSPC:
		return kIOReturnNoResources;
	default:
		return kIOReturnIOError;
	}
}

#endif
