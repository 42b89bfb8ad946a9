/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * IOKit for the tests of libquiver, put in its place by the linker: one dext,
 * whose answers the test sets and whose calls it counts.
 */
#ifndef TEST_HOST_IOKIT_H
#define TEST_HOST_IOKIT_H

#include <IOKit/IOKitLib.h>
#include <mach/mach.h>
#include <stdatomic.h>

#include "quiver/dext_abi.h"

#define FAKE_SERVICES_MAX 4

struct fake_iokit {
	unsigned int services;			/* ids 0x100, 0x101, ... */
	struct quiver_dext_identity identity;
	size_t identity_size;
	unsigned int restless;			/* so many walks more end early: the registry changes */
	kern_return_t open_status, open_status_of_last;
	kern_return_t status[QUIVER_DEXT_SELECTORS];	/* answer of each selector */
	unsigned int calls[QUIVER_DEXT_SELECTORS];
	unsigned int claims_refused;		/* first so many: another client is on its way out */
	atomic_uint connections, objects;	/* open, and not released */

	uint32_t config[1024];
	struct quiver_dext_bar bar[QUIVER_DEXT_BARS];
	void *bar_memory;
	unsigned int maps, unmaps;

	/* DMA: the n-th entry ever is answered with code[n % codes]; iova is address + 1. */
	uint32_t code[16];
	unsigned int codes, entries;
	uint32_t call_count[16];		/* entries of each call */
	unsigned int fail_call;			/* this call fails with status[]; 0: all do */
	int result_count_skew;			/* a dext that answers for more than was asked */
	/* Instead of code, if it is there: an entry's status, and the iova of a map. */
	uint32_t (*dma_answer)(const struct quiver_dext_dma_entry *entry, uint64_t *iova);

	uint64_t granted, dropped;
	kern_return_t map_status;
	struct quiver_dext_pending *pending;
	atomic_uint wakeups, receives;

	atomic_bool silent;			/* see fake_silence(); time stands still otherwise */
	atomic_uint patience;			/* of who has waited last, in ms; 0: for ever */
	atomic_bool disconnected;		/* the name is no connection any more */

	bool deaf;				/* nobody can register for sleep */
	intptr_t last_question;			/* is put to who deregisters, just before that; 0: none */
	atomic_uint registrations;		/* for sleep */
	atomic_uint answers;
	atomic_intptr_t answered;		/* id of the last one */
	atomic_bool patient;			/* see fake_patience() */
};

extern struct fake_iokit fake;

/* Everything succeeds, one service. Waits for what is left of a registration for sleep. */
void fake_reset(void);
/* As the dext's interrupt source does. */
void fake_raise(unsigned int vector);
/* As the dext does when it lets go of the device. */
void fake_lose(enum quiver_dext_cause cause);
/* Who waits now, or next, has waited for as long as it would. */
void fake_silence(void);
/* What macOS tells of sleep, with the id to answer with; to nobody, if nobody listens. */
void fake_notice(uint32_t message, intptr_t id);
/* Who waits for notices has waited for as long as it would, once. Returns when it has seen that. */
void fake_patience(void);

#endif
