/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * Half-open ranges of addresses, [start, start + length). All arithmetic on
 * addresses that came from outside goes through here. A range never wraps: its
 * last byte is at most UINT64_MAX, and an empty range is not a range.
 */
#ifndef QUIVER_CORE_RANGE_H
#define QUIVER_CORE_RANGE_H

#include "core/os.h"

struct quiver_range {
	uint64_t start;
	uint64_t length;
};

/* Whether [start, start + length) is a range. */
static inline bool quiver_range_valid(uint64_t start, uint64_t length)
{
	return length && start <= UINT64_MAX - (length - 1);
}

static inline uint64_t quiver_range_last(struct quiver_range r)
{
	return r.start + (r.length - 1);
}

static inline bool quiver_range_equal(struct quiver_range a, struct quiver_range b)
{
	return a.start == b.start && a.length == b.length;
}

static inline bool quiver_range_contains(struct quiver_range outer, struct quiver_range inner)
{
	return outer.start <= inner.start && quiver_range_last(inner) <= quiver_range_last(outer);
}

static inline bool quiver_range_holds(struct quiver_range r, uint64_t address)
{
	return r.start <= address && address <= quiver_range_last(r);
}

static inline bool quiver_range_overlaps(struct quiver_range a, struct quiver_range b)
{
	return a.start <= quiver_range_last(b) && b.start <= quiver_range_last(a);
}

static inline bool quiver_range_aligned(struct quiver_range r, unsigned int shift)
{
	return !((r.start | r.length) & ((1ull << shift) - 1));
}

/*
 * The smallest range of whole blocks of 1 << shift bytes that contains r. False
 * when its end would not fit; then *out is untouched.
 */
static inline bool quiver_range_cover(struct quiver_range r, unsigned int shift,
				      struct quiver_range *out)
{
	uint64_t mask = (1ull << shift) - 1;
	uint64_t first = r.start & ~mask;
	uint64_t last = quiver_range_last(r) | mask;

	if (last - first == UINT64_MAX)
		return false;
	out->start = first;
	out->length = last - first + 1;
	return true;
}

#endif
