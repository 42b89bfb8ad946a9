/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The tiny VM: one vCPU, one page of code, and one page of a BAR. All that
 * quiver itself asks of Hypervisor.framework.
 */
#ifndef QUIVER_CLI_PROBE_VM_H
#define QUIVER_CLI_PROBE_VM_H

#include <Hypervisor/Hypervisor.h>
#include <pthread.h>
#include <stdatomic.h>

#include "probe.h"

/* Where the guest has the BAR's page; and nothing, for accesses that leave it. */
#define QUIVER_PROBE_VM_BAR		0x100000000ull
#define QUIVER_PROBE_VM_NOWHERE	0x200000000ull

struct quiver_probe_vm {
	void *room;			/* what was mapped for it */
	uint32_t *code;			/* a page of ours */
	const uint32_t *loaded;		/* the program that the vCPU is at, in that page */
	uint32_t *free;			/* where the next one goes */
	bool created, has_vcpu, mapped, watching;
	hv_vcpu_t vcpu;
	hv_vcpu_exit_t *exit;

	/* Takes the vCPU out of a guest that does not leave. */
	pthread_t watchdog;
	atomic_bool over;
	_Atomic(uint64_t) since;	/* it runs; 0: it does not */
};

enum quiver_probe_vm_end {
	QUIVER_PROBE_VM_DONE,			/* HVC #0 */
	QUIVER_PROBE_VM_TRAP,			/* an access to where nothing is mapped */
	QUIVER_PROBE_VM_FAILED			/* the outcome has it */
};

/* False: the outcome says why. To be closed in any case. */
bool quiver_probe_vm_open(struct quiver_probe_vm *vm, struct quiver_probe_outcome *outcome);
void quiver_probe_vm_close(struct quiver_probe_vm *vm);

/* The BAR's first page, to be read and written and never to be executed [H1]. */
bool quiver_probe_vm_map_bar(struct quiver_probe_vm *vm, const struct quiver_probe_bar *bar,
		      struct quiver_probe_outcome *outcome);

/* Whether a guest can have it: a whole page. False: the stage is skipped. */
bool quiver_probe_vm_fits(const struct quiver_probe_bar *bar, struct quiver_probe_outcome *outcome);

/*
 * Puts the vCPU at the beginning of a program, which is written to where none was
 * before: a page has room for some tens, and the one that is there is not written again.
 */
void quiver_probe_vm_load(struct quiver_probe_vm *vm, const uint32_t *code, size_t words);
uint64_t quiver_probe_vm_get(struct quiver_probe_vm *vm, hv_reg_t reg);
void quiver_probe_vm_set(struct quiver_probe_vm *vm, hv_reg_t reg, uint64_t value);
enum quiver_probe_vm_end quiver_probe_vm_run(struct quiver_probe_vm *vm,
					       struct quiver_probe_outcome *outcome);

#endif
