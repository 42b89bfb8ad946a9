/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/* What sequence.c is made with; for nobody else. */
#ifndef QUIVER_TESTS_SHAPE_H
#define QUIVER_TESTS_SHAPE_H

#include "sequence.h"

#define PAGE			4096ull
#define GRANULE			16384ull
#define QUIVER_SHAPE_TASTES	6u

/* 0 to limit - 1, from as few bytes as will do: a fuzzer has few. 0 when the source is dry. */
uint64_t quiver_shape_below(struct quiver_sequence *s, uint64_t limit);

/* A segment to the taste of the phase. */
struct quiver_range quiver_shape_segment(struct quiver_sequence *s);
bool quiver_shape_wants_list(struct quiver_sequence *s);

/* Into the RAM, whatever it was. */
struct quiver_range quiver_shape_clip(const struct quiver_sequence *s, struct quiver_range r);

static inline uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static inline struct quiver_range range(uint64_t start, uint64_t length)
{
	return (struct quiver_range){ start, length };
}

#endif
