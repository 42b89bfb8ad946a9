/* SPDX-License-Identifier: BSD-3-Clause */
/* macOS' sysctlbyname(), of which Linux has none: it asks the simulated Mac. */
#ifndef SIMMAC_SYS_SYSCTL_H
#define SIMMAC_SYS_SYSCTL_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * 0, or -1 with errno: ENOENT no such name, or no simulated Mac; ENOMEM: the
 * value does not fit; EPERM: values cannot be set here.
 */
int sysctlbyname(const char *name, void *oldp, size_t *oldlenp, void *newp, size_t newlen);

#ifdef __cplusplus
}
#endif
#endif
