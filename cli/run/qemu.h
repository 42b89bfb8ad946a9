/* SPDX-License-Identifier: BSD-3-Clause */
/* Where QEMU is, and the firmware that came with it. */
#ifndef QUIVER_CLI_RUN_QEMU_H
#define QUIVER_CLI_RUN_QEMU_H

/*
 * The chosen one, or $QUIVER_QEMU, or the one that Quiver brought, or the name
 * by which execvp() looks for any. The caller frees it.
 */
char *quiver_qemu_program(const char *chosen);

/* UEFI for an arm64 VM, looked for beside that program first; NULL: none. The caller frees it. */
char *quiver_qemu_firmware(const char *program);

#endif
