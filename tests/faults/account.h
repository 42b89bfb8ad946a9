/* SPDX-License-Identifier: BSD-3-Clause */
/* What a client has and what the simulated Mac has for it: nothing more is there after a session. */
#ifndef TESTS_FAULTS_ACCOUNT_H
#define TESTS_FAULTS_ACCOUNT_H

#include <stdbool.h>
#include <stdint.h>

struct account {
	uint64_t descriptors, threads, mappings;	/* of this process; files of memory mapped */
	uint64_t held;					/* of IOKit's */
	uint64_t objects, clients;			/* of the extension's process */
};

/* Once it does not change any more. */
struct account account_settled(void);
/* Waits until it is that again: what closes does so in its own time. */
void account_expect(const struct account *before, const char *name);

/* The device as anybody sees it, once all are gone. Lost for no cause, or in use: it fails the test. */
struct quiver_dext_identity account_device(const char *name);
/* It is nobody's, nothing is mapped for it, it is silent. */
void account_expect_free(const char *name);

/* How often calls of the platform were used; returns how many there are. */
struct account_call {
	char name[96];
	uint64_t uses;
};

#define ACCOUNT_CALLS_MAX 128

size_t account_calls(struct account_call *calls);

#endif
