/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A small process that sees to it that QEMU ends in order when quiver is killed:
 * then nobody else would be left to tell it. macOS has nothing that ends a
 * process with its parent, so it is done so everywhere.
 */
#ifndef QUIVER_CLI_RUN_KEEPER_H
#define QUIVER_CLI_RUN_KEEPER_H

#include <sys/types.h>

#include "run/folder.h"

struct quiver_keeper {
	pid_t pid;			/* 0: there is none */
	int ours[2];			/* a pipe that ends with us, and with us alone */
	int qemus[2];			/* one that ends with QEMU, and so tells that its pid is its own */
};

/*
 * Before QEMU starts, which inherits one end and writes its pid into ours[1]:
 * so there is no moment in which nobody would see to its end. When we die
 * without quiver_keeper_close(), QEMU is told to quit, and gets SIGTERM, after
 * so many seconds SIGKILL, and the folder is removed. Negative errno.
 */
int quiver_keeper_start(struct quiver_keeper *keeper, unsigned int seconds,
			const struct quiver_folder *folder);

/* QEMU has ended, or was not started: it has nothing more to do. */
void quiver_keeper_close(struct quiver_keeper *keeper);

#endif
