/* SPDX-License-Identifier: BSD-3-Clause */
/* What the machine is that this runs on. */
#ifndef QUIVER_CLI_PLATFORM_H
#define QUIVER_CLI_PLATFORM_H

#include <stdbool.h>

/* A Mac: it has IOKit, and Hypervisor.framework for QEMU. */
bool quiver_platform_has_iokit(void);

/* The folder of this program, or NULL. The caller frees it. */
char *quiver_platform_folder(void);

/* Makes the kernel kill the calling process when its parent dies, where it can. */
void quiver_platform_die_with_parent(int signal);

#endif
