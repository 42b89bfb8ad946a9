/* SPDX-License-Identifier: BSD-3-Clause */
/* The message that wakes an asynchronous caller. */
#ifndef SIMMAC_IOKIT_OSMESSAGENOTIFICATION_H
#define SIMMAC_IOKIT_OSMESSAGENOTIFICATION_H

#include <IOKit/IOTypes.h>

enum {
	kOSNotificationMessageID	= 53,
	kIOAsyncCompletionNotificationType = 150,
	kIOServiceMessageNotificationType = 160,
};

enum {
	kOSAsyncRef64Count	= 8,
};

enum {
	kIOAsyncReservedIndex	= 0,
	kIOAsyncReservedCount,

	kIOAsyncCalloutFuncIndex = kIOAsyncReservedCount,
	kIOAsyncCalloutRefconIndex,
	kIOAsyncCalloutCount,

	kIOInterestCalloutFuncIndex = kIOAsyncReservedCount,
	kIOInterestCalloutRefconIndex,
};

typedef io_user_reference_t OSAsyncReference64[kOSAsyncRef64Count];

struct OSNotificationHeader64 {
	mach_msg_size_t size;		/* of what follows this header */
	natural_t type;
	OSAsyncReference64 reference;
};

/* The arguments follow the result at once, where they are aligned to 4 bytes only. */
struct IOAsyncCompletionContent {
	IOReturn result;
	void *args[] __attribute__((packed));
};

struct IOServiceInterestContent {
	natural_t messageType;
	void *messageArgument[1] __attribute__((packed));
};

#endif
