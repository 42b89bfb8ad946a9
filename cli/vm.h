/* SPDX-License-Identifier: BSD-3-Clause */
/* A VM, all decided, and the command of QEMU that makes it. */
#ifndef QUIVER_CLI_VM_H
#define QUIVER_CLI_VM_H

#include <stdint.h>

#include "cli.h"
#include "devices.h"

/* Texts and lists are the caller's. NULL or no words: the VM has none of it. */
struct quiver_vm {
	const char *qemu, *memory;
	uint64_t aperture_mib;		/* of drivers, beside memory; 0: none */
	unsigned int cpus;
	const char *kernel, *initrd, *append, *firmware;
	const char *image_disk;		/* the first one, raw */
	const char *serial;		/* a file, or "stdio" */
	const char *socket;		/* where QEMU takes orders by QMP */
	bool console;			/* the terminal is the guest's, instead of serial */
	bool window;
	bool trap;			/* QEMU sees every access to a BAR */
	bool tso;			/* the vCPUs run with TSO [H15] */
	bool network;
	uint16_t ssh_port;		/* of 127.0.0.1; 0: none */
	const struct quiver_words *disks;	/* FILE[,ro] */
	const struct quiver_words *shares;	/* FOLDER[,ro] */
	const struct quiver_words *forwards;	/* PORT:PORT */
	const struct quiver_words *extra;	/* of QEMU */
};

void quiver_vm_command(const struct quiver_vm *vm, const struct quiver_devices *devices,
		       struct quiver_words *command);

#endif
