/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/* The planner's notes of one operation: what it needs, sorted. */
#ifndef QUIVER_CORE_PLAN_H
#define QUIVER_CORE_PLAN_H

#include "core/internal.h"

/* Granules [first, last]. */
struct quiver_piece {
	uint64_t first, last;
	struct quiver_window *window;	/* the best that has them already, or NULL */
};

struct quiver_plan {
	uint64_t operation;		/* that the pieces are of */
	size_t count;
	struct quiver_piece piece[QUIVER_OP_SEGMENTS];
};

static inline uint64_t quiver_piece_length(const struct quiver_piece *piece)
{
	return piece->last - piece->first + 1;
}

/* A segment is expected; those beyond QUIVER_OP_SEGMENTS are forgotten. */
void quiver_plan_expect(struct quiver_op *op, struct quiver_range segment);

/* All have been: sorts the pieces, and makes those that share a granule one. */
void quiver_plan_normalise(struct quiver_op *op);

/* The piece in which the granules lie; NULL: they were not expected, or too many were. */
const struct quiver_piece *quiver_plan_find(const struct quiver_plan *plan, uint64_t first,
					    uint64_t last);

#endif
