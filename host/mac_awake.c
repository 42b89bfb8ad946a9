// SPDX-License-Identifier: BSD-3-Clause
/* What macOS calls a power assertion: `pmset -g assertions` lists it. */
#include <errno.h>
#include <IOKit/IOKitLib.h>
#include <IOKit/pwr_mgt/IOPMLib.h>

#include "quiver/mac.h"

int quiver_mac_stay_awake(uint32_t *assertion)
{
	IOPMAssertionID id = kIOPMNullAssertionID;

	if (IOPMAssertionCreateWithName(kIOPMAssertionTypePreventUserIdleSystemSleep,
					kIOPMAssertionLevelOn,
					CFSTR("Quiver passes a device through to a VM"),
					&id) != kIOReturnSuccess)
		return -EIO;
	*assertion = id;
	return 0;
}

void quiver_mac_may_sleep(uint32_t assertion)
{
	IOPMAssertionRelease(assertion);
}
