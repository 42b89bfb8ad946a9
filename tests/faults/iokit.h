/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * IOKit under a libquiver that is compiled to call this instead: the simulated
 * Mac's, with calls that are counted and fail as told, and an account of what
 * is held.
 */
#ifndef TESTS_FAULTS_IOKIT_H
#define TESTS_FAULTS_IOKIT_H

#include <IOKit/IOKitLib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum iokit_call {
#define IOKIT_CALL(name, meaning) IOKIT_##name,
#include "iokit_calls.h"
#undef IOKIT_CALL
	IOKIT_CALLS
};

/* What libquiver makes of a call that failed. */
enum iokit_meaning {
	IOKIT_TELLS,	/* its caller hears the errno of the status */
	IOKIT_IO,	/* its caller hears -EIO, whatever the status */
	IOKIT_MEMORY,	/* its caller hears -ENOMEM */
	IOKIT_ABSENT,	/* its caller hears -ENOENT: what it would have found is not there */
	IOKIT_PASSES,	/* nobody need hear of it, and nothing goes wrong by it */
};

const char *iokit_name(enum iokit_call call);
enum iokit_meaning iokit_meaning(enum iokit_call call);
/* Whether it goes to a connection, and fails with it. */
bool iokit_has_connection(enum iokit_call call);

struct iokit_fault {
	enum iokit_call call;
	uint64_t nth;			/* from 1 */
	kern_return_t status;
	bool forever;			/* and each use of the connection after it: the extension died */
};

#define IOKIT_FAULTS_MAX 2

/*
 * From begin to end, calls of the thread that called it are counted, and what
 * libquiver's own thread receives is too. No device is open at either.
 */
void iokit_begin(const struct iokit_fault *faults, size_t count);
void iokit_end(void);
/* How often it was used since begin. */
uint64_t iokit_used(enum iokit_call call);
/* How many of the faults struck, on whichever thread. */
unsigned int iokit_struck(void);
/* The one that did last, on this thread since that was asked before; or NULL. */
const struct iokit_fault *iokit_struck_here(void);
/* Whether it was one that lasts for ever. */
bool iokit_dead(void);

/* Objects, connections, ports and values that nobody has given back. */
int iokit_held(void);

#endif
