/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the property tests share: random numbers from a printed seed, and a
 * model of the host that windows are mapped by.
 */
#ifndef QUIVER_TESTS_MODEL_H
#define QUIVER_TESTS_MODEL_H

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "core/window.h"

struct model_random {
	uint64_t state;
};

/* Seeds from $QUIVER_SEED or else the clock; prints the seed as a TAP comment. */
void model_random_init(struct model_random *random, const char *test);
uint64_t model_random_next(struct model_random *random);

/* 0 to limit - 1. */
uint64_t model_random_below(struct model_random *random, uint64_t limit);

#define MODEL_SHIFT	14u
#define MODEL_GRANULE	(1ull << MODEL_SHIFT)
#define MODEL_SLOTS	(1u << 20)		/* granules of bus address space */
#define MODEL_BASE	0x8000034000ull		/* of bus addresses; 2 MiB-aligned for nobody [D3] */
#define MODEL_DEVICE	3

struct model_mapping {
	struct quiver_range gpa;
	uint64_t iova;
	bool live;
	bool orphan;		/* the guest was told that an unmap failed, or never told */
};

/* What the host does with an entry that is in order. */
enum model_fate { MODEL_HONOUR, MODEL_REFUSE, MODEL_IGNORE /* stays PENDING */ };

struct model_host {
	struct quiver_transport transport;
	pthread_mutex_t lock;
	size_t capacity;
	uint64_t limit_bytes, limit_mappings;
	struct model_random random;

	/* In percent, of each entry. */
	unsigned int map_refusals, unmap_refusals, ignored;

	/* Called inside ring() before the entries run; may block. */
	void (*on_ring)(struct model_host *host);

	/* The flat map: 1 + index into mapping[] for each granule of bus addresses. */
	uint32_t *slot;
	struct model_mapping *mapping;
	size_t mapping_count, mapping_room;

	/* What the space's counters must say. */
	uint64_t rings, maps, unmaps, unmap_errors;
	uint64_t refused_bytes, refused_mappings, failed;
	uint64_t bytes, mappings, orphans;
	uint64_t orphan_bytes;
	uint64_t malformed;
};

void model_host_init(struct model_host *host, size_t capacity);
void model_host_fini(struct model_host *host);

/* Whether the device at [iova, iova + length) reaches exactly [gpa, gpa + length). */
bool model_host_reaches(struct model_host *host, uint64_t iova, uint64_t gpa, uint64_t length);

/* A space over the host; its transport and context are filled in. */
void model_space_init(struct quiver_space *space, struct model_host *host,
		      const struct quiver_policy *policy, size_t release_batch);

/* Storage for windows. Allocation number fail_at (from 1, counted since the last set) fails. */
void model_windows_fail_at(uint64_t fail_at);
uint64_t model_windows_live(void);

struct model_segment {
	uint64_t gpa, length;
	uint64_t iova;			/* out */
	struct quiver_window *window;	/* out */
};

static inline struct model_segment model_segment(uint64_t gpa, uint64_t length)
{
	return (struct model_segment){ .gpa = gpa, .length = length };
}

/* As a driver's map_sg: all segments or none. Negative errno of the first that failed. */
int model_map(struct quiver_space *space, struct model_segment *segments, size_t count);

/* As unmap_sg: by bus address. Returns how many were found. */
size_t model_unmap(struct quiver_space *space, const struct model_segment *segments,
		   size_t count);

#endif
