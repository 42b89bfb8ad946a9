/* SPDX-License-Identifier: BSD-3-Clause */
/* What keeps a Mac awake: Apple's prototypes, as far as quiver(1) calls them. */
#ifndef SIMMAC_IOKIT_IOPMLIB_H
#define SIMMAC_IOKIT_IOPMLIB_H

#include <CoreFoundation/CoreFoundation.h>
#include <IOKit/IOTypes.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef uint32_t IOPMAssertionID;
typedef uint32_t IOPMAssertionLevel;

enum {
	kIOPMNullAssertionID = 0,
};

enum {
	kIOPMAssertionLevelOff = 0,
	kIOPMAssertionLevelOn  = 255,
};

#define kIOPMAssertPreventUserIdleSystemSleep	CFSTR("PreventUserIdleSystemSleep")
#define kIOPMAssertPreventUserIdleDisplaySleep	CFSTR("PreventUserIdleDisplaySleep")
#define kIOPMAssertionTypePreventUserIdleSystemSleep	kIOPMAssertPreventUserIdleSystemSleep
#define kIOPMAssertionTypePreventUserIdleDisplaySleep	kIOPMAssertPreventUserIdleDisplaySleep
#define kIOPMAssertionTypePreventSystemSleep	CFSTR("PreventSystemSleep")

/* Until it is released, or the process ends. */
IOReturn IOPMAssertionCreateWithName(CFStringRef AssertionType, IOPMAssertionLevel AssertionLevel,
				     CFStringRef AssertionName, IOPMAssertionID *AssertionID);
/* kIOReturnBadArgument: no such assertion (any more). */
IOReturn IOPMAssertionRelease(IOPMAssertionID AssertionID);

#ifdef __cplusplus
}
#endif
#endif
