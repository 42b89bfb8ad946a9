/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef SIMMAC_CFDICTIONARY_H
#define SIMMAC_CFDICTIONARY_H

#include <CoreFoundation/CFBase.h>

typedef const struct __CFDictionary *CFDictionaryRef;
typedef struct __CFDictionary *CFMutableDictionaryRef;

#endif
