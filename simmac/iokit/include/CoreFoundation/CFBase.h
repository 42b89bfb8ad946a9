/* SPDX-License-Identifier: BSD-3-Clause */
/* What IOKitLib.h brings along, with CFDictionary.h: whoever wants more includes CoreFoundation.h. */
#ifndef SIMMAC_CFBASE_H
#define SIMMAC_CFBASE_H

#include <stdint.h>

typedef uint8_t UInt8;
typedef uint32_t UInt32;
typedef int32_t SInt32;
typedef int64_t SInt64;
typedef unsigned char Boolean;
typedef unsigned long CFTypeID;
typedef long CFIndex;

typedef const void *CFTypeRef;
typedef const struct __CFAllocator *CFAllocatorRef;
typedef const struct __CFString *CFStringRef;

#ifdef __cplusplus
extern "C" {
#endif

extern const CFAllocatorRef kCFAllocatorDefault;

CFTypeID CFGetTypeID(CFTypeRef cf);
void CFRelease(CFTypeRef cf);

#ifdef __cplusplus
}
#endif
#endif
