/* SPDX-License-Identifier: BSD-3-Clause */
/* Objects of CoreFoundation, as those make them who answer for the registry. */
#ifndef SIMMAC_IOKIT_FOUNDATION_H
#define SIMMAC_IOKIT_FOUNDATION_H

#include <stddef.h>
#include <CoreFoundation/CoreFoundation.h>
#include <IOKit/IOTypes.h>

#include "rpc.h"

/* What a matching dictionary asks for. */
struct simmac_matching {
	enum simmac_rpc_match by;
	char name[sizeof(io_name_t)];
};

/* With one reference. NULL: no memory, or a name that is too long. */
CFMutableDictionaryRef simmac_matching_new(enum simmac_rpc_match by, const char *name);
const struct simmac_matching *simmac_matching_get(CFDictionaryRef matching);

/* With one reference. NULL: no memory, or nothing that there is here. */
CFTypeRef simmac_value_new(enum simmac_rpc_type type, const void *bytes, size_t size);

/* The text of a string, which lives as long as that. */
const char *simmac_string_get(CFStringRef string);

#endif
