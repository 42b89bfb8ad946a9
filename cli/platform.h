/* SPDX-License-Identifier: BSD-3-Clause */
/* What the machine is that this runs on. */
#ifndef QUIVER_CLI_PLATFORM_H
#define QUIVER_CLI_PLATFORM_H

#include <stdbool.h>
#include <stddef.h>

/* A Mac: it has IOKit, and Hypervisor.framework for QEMU. */
bool quiver_platform_has_iokit(void);

/* The path of this program, or NULL. The caller frees it. */
char *quiver_platform_program(void);

/* The folder of this program, or NULL. The caller frees it. */
char *quiver_platform_folder(void);

/*
 * The first of the places, which are relative to that folder, with a program that
 * can be run, or NULL. The caller frees it.
 */
char *quiver_platform_near(const char *const *places, size_t count);

/*
 * The folders, as in $PATH, where macOS' own programs are looked for. On a Mac
 * those that System Integrity Protection guards and no others, whatever the
 * environment says: people act on what these programs print. Elsewhere there is
 * no macOS to ask, so who answers is a simulation, and $PATH says which.
 */
const char *quiver_platform_tools(void);

/* Makes the kernel kill the calling process when its parent dies, where it can. */
void quiver_platform_die_with_parent(int signal);

#endif
