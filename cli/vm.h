/* SPDX-License-Identifier: BSD-3-Clause */
/* What a user asks of a VM, and the command of QEMU that makes it. */
#ifndef QUIVER_CLI_VM_H
#define QUIVER_CLI_VM_H

#include "cli.h"
#include "devices.h"

struct quiver_vm {
	const char *qemu, *kernel, *initrd, *append, *memory, *cpus;
	const char *serial;		/* a file, "stdio", or NULL for the default */
	bool console;			/* the terminal is the guest's */
	bool trap;			/* QEMU sees every access to a BAR */
	bool tso;			/* the vCPUs run with TSO [H15] */
	struct quiver_words devices;	/* specs */
	struct quiver_words disks;	/* FILE[,ro] */
	struct quiver_words extra;	/* of QEMU */
};

void quiver_vm_command(const struct quiver_vm *vm, const struct quiver_devices *devices,
		       struct quiver_words *command);
void quiver_vm_free(struct quiver_vm *vm);

#endif
