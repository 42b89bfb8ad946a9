/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The fake Hypervisor.framework, shared by its parts. One VM a process, as on a
 * Mac, and one vCPU, which a Mac has more of. The guest's own translation is off,
 * so that all of its memory is a device's, to what loads and stores [H3]: no
 * memory is Unicorn's but to fetch from; each access is looked at first.
 */
#ifndef SIMMAC_HYPERVISOR_INTERNAL_H
#define SIMMAC_HYPERVISOR_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>
#include <Hypervisor/Hypervisor.h>
#include <unicorn/unicorn.h>

#define PAGE	16384u		/* [H2] */
#define IPA_BITS 36		/* without a configuration that asks for more */
#define MAX_IPA_BITS 40		/* with one, on macOS 15, as others report */

/* decode.c: what an instruction does with memory. */

struct guest_access {
	bool write;
	bool simple;		/* one general register, no writeback: a syndrome tells it (ISV) */
	bool sign, wide;	/* of a simple load: sign-extended; into 64 bits */
	bool exclusive;		/* or atomic */
	bool zero;		/* DC ZVA */
	unsigned int rt;	/* of a simple one */
	unsigned int element;	/* bytes that are aligned or not */
};

/* False: none that is known to touch memory. */
bool simmac_decode(uint32_t instruction, struct guest_access *access);

/* memory.c: what is where for the guest. All under the VM's lock. */

struct guest_region {
	struct guest_region *next;
	hv_ipa_t ipa;
	size_t size;
	hv_memory_flags_t flags;
	uint8_t *memory;
	/*
	 * What cannot be written by the guest it sees as it was when the host's
	 * caches were last flushed: a copy, or NULL.
	 */
	uint8_t *clean;
	bool device;		/* a BAR is in it, by the word of IOKit */
};

struct guest_region *simmac_region_find(struct guest_region *list, hv_ipa_t ipa);
bool simmac_region_overlaps(struct guest_region *list, hv_ipa_t ipa, size_t size);
/* Gives what may be executed to Unicorn, or takes it away; nothing to do for a device's. */
uc_err simmac_region_show(uc_engine *uc, const struct guest_region *region);
void simmac_region_hide(uc_engine *uc, const struct guest_region *region);
/* Whether Unicorn has it. */
bool simmac_region_is_shown(const struct guest_region *region);
/* Its memory as the guest sees it. */
uint8_t *simmac_region_seen(const struct guest_region *region);
/* Makes the copy anew, or drops it, as the flags want it. False: out of memory. */
bool simmac_region_clean(struct guest_region *region);
void simmac_region_free(struct guest_region *region);

struct guest_vcpu {
	uc_engine *uc;
	pthread_t owner;
	hv_vcpu_exit_t exit;
	atomic_bool cancelled;
	bool gone;		/* with its Mac */
	bool stepping;		/* one instruction, with the page that it accesses in sight */

	/* What a vCPU begins with is not known: nothing runs before it was said. */
	bool has_sctlr;
	bool timer_masked;

	/* How Unicorn stopped. */
	uint64_t at;		/* the instruction */
	uint32_t instruction;
	bool trapped;		/* by one that leaves the guest */
	bool interrupted;	/* by an exception of Unicorn's */
	uint32_t interrupt;
	bool faulted;		/* at this address: */
	uint64_t address;
	bool fetch;
};

struct guest_vm {
	pthread_mutex_t lock;
	bool created;
	struct guest_region *regions;
	struct guest_vcpu *vcpu;
};

extern struct guest_vm simmac_vm;

/* device.c */

/*
 * The access at vcpu->address. True: it is done, and the guest goes on. False:
 * it faults in the guest, with this status code. That of a device which is mapped
 * to be executed ends the simulated Mac, and does not matter [H1].
 */
bool simmac_device_access(struct guest_vcpu *vcpu, const struct guest_region *region,
			  const struct guest_access *access, unsigned int *status);

/* exception.c */

#define STATUS_TRANSLATION	0x07u	/* of level 3 */
#define STATUS_PERMISSION	0x0fu
#define STATUS_ALIGNMENT	0x21u
#define STATUS_EXCLUSIVE	0x35u	/* on memory that does not have it */

/* The guest takes it, at its vector. */
void simmac_exception_data(struct guest_vcpu *vcpu, bool write, unsigned int status);
void simmac_exception_undefined(struct guest_vcpu *vcpu);
/* It leaves the guest, to whoever runs it. */
void simmac_exit_data(struct guest_vcpu *vcpu, const struct guest_access *access,
		      unsigned int status);
void simmac_exit_fetch(struct guest_vcpu *vcpu, unsigned int status);
/* HVC, SMC, WFI, WFE; false: it does not leave the guest. */
bool simmac_exits(uint32_t instruction);
void simmac_exit_instruction(struct guest_vcpu *vcpu);

/* mac.c: the rest of the simulated Mac. */

/* HV_SUCCESS; failure: it is told to fail; HV_NO_DEVICE: there is no Mac. */
hv_return_t simmac_hypervisor_call(const char *name, hv_return_t failure);
/* The end of it [H1]. Returns, for a client that outlives its Mac. */
void simmac_hypervisor_touched(hv_ipa_t ipa, bool fetch);

#endif
