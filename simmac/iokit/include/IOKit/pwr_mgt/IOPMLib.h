/* SPDX-License-Identifier: BSD-3-Clause */
/* What keeps a Mac awake, and who hears that it sleeps: Apple's prototypes, as far as we call them. */
#ifndef SIMMAC_IOKIT_IOPMLIB_H
#define SIMMAC_IOKIT_IOPMLIB_H

#include <CoreFoundation/CoreFoundation.h>
#include <IOKit/IOKitLib.h>
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

/*
 * From now on the callback is called with messages of IOMessage.h, by whoever
 * receives from the port. Returns a connection, or MACH_PORT_NULL. To end it:
 * IODeregisterForSystemPower(), IOServiceClose(), IONotificationPortDestroy().
 */
io_connect_t IORegisterForSystemPower(void *refcon, IONotificationPortRef *thePortRef,
				      IOServiceInterestCallback callback, io_object_t *notifier);
IOReturn IODeregisterForSystemPower(io_object_t *notifier);
/*
 * The answer to kIOMessageCanSystemSleep and kIOMessageSystemWillSleep, whose
 * argument is the id. kIOReturnError: nobody waits for it (any more).
 */
IOReturn IOAllowPowerChange(io_connect_t kernelPort, intptr_t notificationID);

#ifdef __cplusplus
}
#endif
#endif
