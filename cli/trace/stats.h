/* SPDX-License-Identifier: BSD-3-Clause */
/* What can be said of a trace by itself, without any way to map it. */
#ifndef QUIVER_CLI_STATS_H
#define QUIVER_CLI_STATS_H

#include "trace.h"

/* Whose density is told: DART's page [D4], a window of the published scheme, a huge page. */
#define QUIVER_STATS_BLOCKS	3
#define QUIVER_STATS_PAGE	0	/* index of DART's */
#define QUIVER_STATS_PAGE_SIZE	(1u << 14)
extern const unsigned int quiver_stats_shifts[QUIVER_STATS_BLOCKS];

/* After an op. Memory that is mapped twice counts twice in bytes, once in pages. */
struct quiver_stats_point {
	uint64_t us;
	uint64_t bytes;			/* of live segments */
	uint64_t pages;			/* DART's pages under them */
	uint64_t segments, maps;
};

struct quiver_stats_block {
	uint64_t blocks_peak;		/* under live maps at once */
	uint64_t blocks_full;		/* when the live segments had most bytes */
	uint64_t shared_peak;		/* under two live maps or more at once */
	uint64_t uses, shared_uses;	/* as struct quiver_coverage has them */
};

struct quiver_stats {
	uint64_t maps, scatterlists;	/* scatterlists are maps too */
	uint64_t unmaps;
	uint64_t us;			/* from the first op to the last */
	uint64_t segments, bytes;	/* mapped, all told */
	uint64_t segments_4k;		/* of exactly 4 KiB */
	uint64_t segments_max;		/* in one scatterlist */
	struct quiver_stats_point peak;	/* each value's own; us: of the most bytes */

	/* Element n: from 1 << n up to, not including, 2 << n. */
	uint64_t size_segments[64], size_bytes[64];
	uint64_t list_lengths[64];

	struct quiver_stats_block blocks[QUIVER_STATS_BLOCKS];
	struct quiver_stats_point *points;	/* one for each op */
	size_t point_count;
};

/* -ENOMEM; -ERANGE: more bytes than 64 bits can count. Then *stats is empty. */
int quiver_stats_compute(const struct quiver_trace *trace, struct quiver_stats *stats);

/* Live bytes by bytes of the blocks that they lay in, when they were most. 0 without any. */
double quiver_stats_density(const struct quiver_stats *stats, size_t block);

/*
 * At most limit (not 0) points at even steps of time, each with the highest of
 * what held at some moment of its step. Owned by the caller; NULL: no memory, or
 * there are none.
 */
struct quiver_stats_point *quiver_stats_curve(const struct quiver_stats *stats, size_t limit,
					      size_t *count);
void quiver_stats_free(struct quiver_stats *stats);

#endif
