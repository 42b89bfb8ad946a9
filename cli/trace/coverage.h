/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which blocks of memory, all of one size, the live maps of a trace lie in. The
 * trace is known whole, so its addresses are cut once into intervals that every
 * segment covers or leaves out as a whole; a huge segment costs no more than a
 * small one.
 */
#ifndef QUIVER_CLI_COVERAGE_H
#define QUIVER_CLI_COVERAGE_H

#include "trace.h"

struct quiver_coverage_interval {
	uint64_t start;			/* a number of a block; it ends where the next begins */
	uint32_t users;			/* live maps */
	size_t seen;			/* 1 + the op that counted it last */
};

struct quiver_coverage {
	unsigned int shift;		/* a block is 1 << shift bytes */
	struct quiver_coverage_interval *intervals;
	size_t count;			/* of starts: one more than of intervals */

	uint64_t blocks;		/* under at least one live map */
	uint64_t shared;		/* under at least two */
	uint64_t uses;			/* blocks of all maps so far, added up */
	uint64_t shared_uses;		/* those that another live map lay in already */
};

/* -ENOMEM; then there is nothing to free. shift is at least 1. */
int quiver_coverage_init(struct quiver_coverage *coverage, const struct quiver_trace *trace,
			 unsigned int shift);

/* Takes the trace's ops in their order. A block that a map touches twice has one user by it. */
void quiver_coverage_apply(struct quiver_coverage *coverage, const struct quiver_trace *trace,
			   size_t op);
void quiver_coverage_free(struct quiver_coverage *coverage);

#endif
