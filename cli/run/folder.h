/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The folder of a VM that runs: below $TMPDIR, its user's alone, gone at the
 * end. QEMU's socket is in it, and who runs the VM with which devices, for
 * others to tell their users.
 */
#ifndef QUIVER_CLI_RUN_FOLDER_H
#define QUIVER_CLI_RUN_FOLDER_H

#include <jansson.h>
#include <stdint.h>

struct quiver_folder {
	char *path;			/* NULL: there is none */
	char *socket;			/* where QEMU is to listen for QMP */
	char *record;
	int lock;			/* of the record, for as long as we live; -1: none */
};

/* Says what is wrong and returns an enum quiver_exit. */
int quiver_folder_make(struct quiver_folder *folder);

/* Puts down who we are. "devices" is an array of ids as they are printed. */
int quiver_folder_record(struct quiver_folder *folder, const json_t *record);

void quiver_folder_remove(struct quiver_folder *folder);

/*
 * What each live `quiver run` of this user wrote, in no order: a new array of objects,
 * each with "pid", and "socket", by which its QEMU is asked.
 */
json_t *quiver_folder_records(void);

/*
 * What the live `quiver run` of this user wrote that has the device; NULL: none
 * is known. A new reference, with "pid".
 */
json_t *quiver_folder_holder(uint64_t device);

/* Between fork and exec, or in a signal handler: only names, no memory. */
void quiver_folder_unlink(const struct quiver_folder *folder);

#endif
