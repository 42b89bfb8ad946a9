/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * All that libquiver offers, used once on a simulated Mac with an endpoint: real
 * DMA, real interrupts. It goes on past an error as far as that makes sense,
 * and judges on its way: that what failed is said, with an errno that host.h
 * has for it, and that what is said to have been done has been done.
 */
#ifndef TESTS_FAULTS_SESSION_H
#define TESTS_FAULTS_SESSION_H

#include "quiver/host.h"

struct session_result {
	unsigned int errors;		/* calls, and entries of batches, that failed */
	const char *call;		/* the first of them */
	int error;
};

/*
 * name: of what it runs with, for the message if it fails the test. Faults of
 * more than one come in each other's way: what is heard then is not which.
 */
struct session_result session_run(const char *name);
struct session_result session_run_with_many(const char *name);

/* In the middle of its use, the device goes and comes back by these of simmacctl's. */
struct session_result session_lose(const char *name, const char *away, const char *back);
/* It is watched, and the Mac sleeps and wakes. */
struct session_result session_sleep(const char *name);

/* The same of what libquiver tells of the Mac itself. */
struct session_result session_ask_mac(const char *name);

#endif
