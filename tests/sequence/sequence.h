/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * What a driver might ask of the DMA API, and what none would but may: a
 * sequence of maps and unmaps over a RAM, made from a source of bits. The same
 * bits give the same sequence, in user space and in a kernel, so that a model,
 * a fuzzer and a virtual machine can run the very same one.
 *
 *	quiver_sequence_init(sequence, &config, &source);
 *	while (quiver_sequence_next(sequence, &op))
 *		if (op.kind == QUIVER_SEQUENCE_UNMAP)
 *			unmap what map number op.map was
 *		else if (mapping op.segment[0 .. op.count) fails)
 *			quiver_sequence_refused(sequence, op.map);
 *
 * It loads in phases, each to a level and of some taste, works there for a
 * while, and drops, oldest first, newest first or at random. Segments are pages
 * as drivers take them, and the opposite: single bytes, segments that straddle
 * the boundary of a block of any size, that touch, overlap or repeat each other,
 * within a scatterlist and between maps. After the last operation, or when the
 * source has run dry, come the unmaps of all that is still mapped.
 *
 * Nothing here allocates, sleeps, or needs a library. One caller at a time.
 */
#ifndef QUIVER_TESTS_SEQUENCE_H
#define QUIVER_TESTS_SEQUENCE_H

#include "core/range.h"

#define QUIVER_SEQUENCE_MAPS		4096u	/* live at once */
#define QUIVER_SEQUENCE_SEGMENTS	2048u	/* of one scatterlist */
#define QUIVER_SEQUENCE_RECENT		64u

enum quiver_sequence_kind {
	QUIVER_SEQUENCE_MAP,		/* one segment: dma_map_page() */
	QUIVER_SEQUENCE_MAP_LIST,	/* count segments, perhaps one: dma_map_sg() */
	QUIVER_SEQUENCE_UNMAP
};

struct quiver_sequence_op {
	enum quiver_sequence_kind kind;
	/* Of the map, below config.maps. Free again after its unmap or refusal. */
	uint32_t map;
	/* Of a map, within [0, config.ram); valid until the next call. */
	const struct quiver_range *segment;
	uint32_t count;
};

/*
 * Gives `bytes` (1 to 8) random bytes in the low end of *bits; false when there
 * are no more, which ends the sequence.
 */
struct quiver_sequence_source {
	bool (*bits)(void *context, unsigned int bytes, uint64_t *bits);
	void *context;
};

/* 0 stands for the default in parentheses. */
struct quiver_sequence_config {
	/*
	 * Bytes, a multiple of 64 KiB, at least 1 MiB. Address 0 should be a
	 * multiple of the largest block (32 MiB) for segments to straddle where
	 * they are meant to.
	 */
	uint64_t ram;
	uint64_t live;			/* sum of live segments not to exceed (ram / 2) */
	uint64_t segment;		/* the largest one, bytes (4 MiB) */
	uint32_t segments;		/* of one list (QUIVER_SEQUENCE_SEGMENTS, at most that) */
	uint32_t maps;			/* live at once (QUIVER_SEQUENCE_MAPS, at most that) */
	uint64_t operations;		/* before the last unmaps (no end but the source's) */
};

enum quiver_sequence_order {
	QUIVER_SEQUENCE_OLDEST,
	QUIVER_SEQUENCE_NEWEST,
	QUIVER_SEQUENCE_ANY,
	QUIVER_SEQUENCE_ORDERS
};

/* Private to sequence.c; here so that callers can have one. About 80 KiB. */
struct quiver_sequence {
	struct quiver_sequence_config config;
	struct quiver_sequence_source source;
	bool dry;			/* the source has run out: only unmaps follow */
	uint64_t made;			/* operations */

	/* The phase. */
	enum { QUIVER_SEQUENCE_LOADS, QUIVER_SEQUENCE_WORKS, QUIVER_SEQUENCE_DROPS } phase;
	enum quiver_sequence_order order;
	unsigned int taste;
	uint64_t level;			/* bytes to load or drop to */
	uint32_t turns;			/* of work that are left */

	/* Map numbers: live ones oldest first, then free ones. */
	uint32_t number[QUIVER_SEQUENCE_MAPS];
	uint64_t bytes_of[QUIVER_SEQUENCE_MAPS];
	uint32_t live;
	uint64_t live_bytes;

	struct quiver_range segment[QUIVER_SEQUENCE_SEGMENTS];
	struct quiver_range recent[QUIVER_SEQUENCE_RECENT];
	uint32_t recent_count;
};

/* False: the configuration makes no sense. The source must outlive the sequence. */
bool quiver_sequence_init(struct quiver_sequence *sequence,
			  const struct quiver_sequence_config *config,
			  const struct quiver_sequence_source *source);

/* False: the sequence is over, and each map that was not refused was unmapped. */
bool quiver_sequence_next(struct quiver_sequence *sequence, struct quiver_sequence_op *op);

/* The map just made was refused: no unmap of it will follow. */
void quiver_sequence_refused(struct quiver_sequence *sequence, uint32_t map);

/* A source without an end. Seeds that differ give sequences that have nothing in common. */
struct quiver_sequence_random {
	uint64_t state;
};

bool quiver_sequence_random_bits(void *random, unsigned int bytes, uint64_t *bits);

/* A source that ends, for fuzzers. */
struct quiver_sequence_bytes {
	const uint8_t *data;
	size_t left;
};

bool quiver_sequence_bytes_bits(void *bytes, unsigned int count, uint64_t *bits);

#endif
