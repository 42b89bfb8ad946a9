/* SPDX-License-Identifier: BSD-3-Clause */
/* macOS' libc: caches, for memory that somebody else looks at without them. */
#ifndef SIMMAC_HYPERVISOR_OSCACHECONTROL_H
#define SIMMAC_HYPERVISOR_OSCACHECONTROL_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What was written there is in memory, and in no cache. */
void sys_dcache_flush(void *start, size_t len);

#ifdef __cplusplus
}
#endif
#endif
