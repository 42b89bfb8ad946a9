/* SPDX-License-Identifier: BSD-3-Clause */
/* What this machine has to give to a VM. */
#ifndef QUIVER_CLI_RUN_MACHINE_H
#define QUIVER_CLI_RUN_MACHINE_H

#include <stdbool.h>
#include <stdint.h>

struct quiver_machine {
	uint64_t memory;		/* bytes; 0: not known */
	unsigned int cpus;		/* that do the hard work; 0: not known */
	unsigned int address_bits;	/* that a VM's physical addresses have; 0: not known */
	bool has_tso;			/* a VM's processors can order memory as x86 does [H15] */
};

void quiver_machine_read(struct quiver_machine *machine);

/*
 * The memory of a VM that nobody said a size for, in GiB: half, which leaves
 * macOS the other one. What DART can map at once [D1] is no limit to it: what a
 * driver maps is a small part of it at any time. Less where a VM has no addresses
 * for so much: QEMU would refuse it.
 */
unsigned int quiver_machine_memory_gib(const struct quiver_machine *machine);

/* Its processors: those for hard work, so that the host's own work has the others. */
unsigned int quiver_machine_cpus(const struct quiver_machine *machine);

#endif
