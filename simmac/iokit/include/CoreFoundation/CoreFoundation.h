/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef SIMMAC_COREFOUNDATION_H
#define SIMMAC_COREFOUNDATION_H

typedef const void *CFTypeRef;
typedef const struct __CFDictionary *CFDictionaryRef;
typedef struct __CFDictionary *CFMutableDictionaryRef;

#ifdef __cplusplus
extern "C" {
#endif

void CFRelease(CFTypeRef object);

#ifdef __cplusplus
}
#endif
#endif
