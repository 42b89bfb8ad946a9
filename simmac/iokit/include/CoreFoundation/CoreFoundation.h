/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * As much of CoreFoundation as a reader of the registry needs. Strict: an
 * object that is none any more, or of another type than the call is for, ends
 * the program, as it would sooner or later on a Mac.
 */
#ifndef SIMMAC_COREFOUNDATION_H
#define SIMMAC_COREFOUNDATION_H

#include <CoreFoundation/CFBase.h>
#include <CoreFoundation/CFDictionary.h>

typedef UInt32 CFStringEncoding;

typedef const struct __CFBoolean *CFBooleanRef;
typedef const struct __CFData *CFDataRef;
typedef const struct __CFNumber *CFNumberRef;

typedef CFIndex CFNumberType;

enum {
	kCFNumberSInt64Type = 4,	/* the only one here */
};

enum {
	kCFStringEncodingUTF8 = 0x08000100,
};

#ifdef __cplusplus
extern "C" {
#endif

extern const CFBooleanRef kCFBooleanTrue, kCFBooleanFalse;

CFTypeID CFBooleanGetTypeID(void);
Boolean CFBooleanGetValue(CFBooleanRef boolean);

CFTypeID CFDataGetTypeID(void);
CFIndex CFDataGetLength(CFDataRef theData);
const UInt8 *CFDataGetBytePtr(CFDataRef theData);

CFTypeID CFNumberGetTypeID(void);
/* false: the value does not fit. */
Boolean CFNumberGetValue(CFNumberRef number, CFNumberType theType, void *valuePtr);

CFTypeID CFStringGetTypeID(void);
Boolean CFStringGetCString(CFStringRef theString, char *buffer, CFIndex bufferSize,
			   CFStringEncoding encoding);

/* Never to be released, though it does no harm. */
#define CFSTR(cStr) __CFStringMakeConstantString("" cStr "")
CFStringRef __CFStringMakeConstantString(const char *cStr);

#ifdef __cplusplus
}
#endif
#endif
