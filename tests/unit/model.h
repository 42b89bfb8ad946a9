/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the property tests share: random numbers from a printed seed, storage for
 * windows, and a model of the host that windows are mapped by.
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
#define MODEL_BASE	0x8000034000ull		/* of these; 2 MiB-aligned for nobody [D3] */
#define MODEL_DEVICE	3

/* Hosts may share them, as the devices of one Mac do. */
struct model_limits {
	pthread_mutex_t lock;		/* of all hosts that share them */
	uint64_t bytes, mappings;
	uint64_t reserve_bytes, reserve_mappings;	/* for vital maps alone */
	uint64_t used_bytes, used_mappings;
};

struct model_mapping {
	struct quiver_range gpa;
	uint64_t iova;
	uint64_t serial;	/* later mappings have larger ones */
	bool live;
	bool orphan;		/* the guest was told that an unmap failed, or never told */
	uint32_t next_free;	/* of those that are not live; 1 + index */

	/* A checker's: segments in it, and granules that these touch. */
	uint64_t users, touched;
};

/* What the host does with an entry that is in order. */
enum model_fate { MODEL_HONOUR, MODEL_REFUSE, MODEL_IGNORE /* stays PENDING */ };

struct model_host {
	struct quiver_transport transport;
	struct model_limits own, *limits;
	struct quiver_space *peer;	/* which shares the limits */
	size_t capacity;
	struct model_random random;
	struct quiver_range ram;	/* what can be mapped; of length 0: all */
	struct quiver_range hole;	/* but not this */
	uint64_t seam;			/* of two blocks of RAM: no mapping spans it; 0: none */

	/* In percent, of each entry. */
	unsigned int map_refusals, unmap_refusals, ignored;

	/* Entry number fail_at (from 1, counted in entries) is refused with fail_status. */
	uint64_t entries, fail_at;
	enum quiver_wire_status fail_status;

	/* Called inside ring() before the entries run; may block. */
	void (*on_ring)(struct model_host *host);
	/* Called for each answer to a map, with the limits locked. */
	void (*on_map)(struct model_host *host, struct quiver_range gpa,
		       enum quiver_wire_status status);
	void *context;			/* of the two */

	/* Bus addresses: slots granules from base on, given out at random or first-fit. */
	uint64_t base;
	uint32_t slots;
	bool first_fit;

	/* The flat map: 1 + index into mapping[] for each granule of bus addresses. */
	uint32_t *slot;
	struct model_mapping *mapping;
	size_t mapping_count, mapping_room;
	uint32_t free_mapping;
	uint64_t serial;

	/* What the space's counters must say. */
	uint64_t rings, maps, unmaps, unmap_errors;
	uint64_t refused_bytes, refused_mappings, failed;
	uint64_t bytes, mappings, orphans;
	uint64_t orphan_bytes;
	uint64_t malformed;
};

/* No limits, addresses at random; neither room() nor relieve(). */
void model_host_init(struct model_host *host, size_t capacity);
void model_host_fini(struct model_host *host);

/* From now on the host's limits are the other's. Nothing is mapped yet. */
void model_host_share(struct model_host *host, struct model_host *other);

/*
 * So many granules of bus addresses; nothing is mapped yet. Few that are given
 * out first-fit fragment [D11].
 */
void model_host_addresses(struct model_host *host, uint32_t slots, bool first_fit);

/* As if the device had been detached: every mapping is gone. */
void model_host_detach(struct model_host *host);

/* For transport.room and transport.relieve; the latter is about host->peer. */
void model_host_room(void *host, struct quiver_room *room, struct quiver_room *most);
bool model_host_relieve(void *host);

/* The mapping at a bus address, or NULL. */
struct model_mapping *model_host_at(const struct model_host *host, uint64_t iova);

/* Whether the device at [iova, iova + length) reaches exactly [gpa, gpa + length). */
bool model_host_reaches(struct model_host *host, uint64_t iova, uint64_t gpa, uint64_t length);

/* A space over the host; its transport and context are filled in. */
void model_space_init(struct quiver_space *space, struct model_host *host,
		      const struct quiver_policy *policy, bool strict);

/* Storage for windows. Allocation number fail_at (from 1, counted since the last set) fails. */
void model_windows_fail_at(uint64_t fail_at);
uint64_t model_windows_asked(void);
uint64_t model_windows_live(void);
uint64_t model_windows_made(void);
uint64_t model_windows_failed(void);

/* The same for tables, which quiver_space_init() asks for. */
void model_memory_fail_at(uint64_t fail_at);
uint64_t model_memory_live(void);

struct model_segment {
	uint64_t gpa, length;
	uint64_t iova;			/* out */
	struct quiver_window *window;	/* out */
};

static inline struct model_segment model_segment(uint64_t gpa, uint64_t length)
{
	return (struct model_segment){ .gpa = gpa, .length = length };
}

struct model_ask {
	bool exact, vital;		/* as of struct quiver_op */
};

/*
 * One operation, as quiver.ko does it: all segments or none, those after one
 * that could not be added are not. Negative errno of the first that failed.
 */
int model_ask(struct quiver_space *space, struct model_segment *segments, size_t count,
	      struct model_ask ask);

/* The same, and says whether quiver.ko would ask again, for no granule more than needed. */
int model_attempt(struct quiver_space *space, struct model_segment *segments, size_t count,
		  struct model_ask ask, bool *exact_may_do);

/* Neither exact nor vital. */
int model_map(struct quiver_space *space, struct model_segment *segments, size_t count);

/* With that second attempt, where it may do. */
int model_map_twice(struct quiver_space *space, struct model_segment *segments, size_t count);

/* As unmap_sg: by bus address. Returns how many were found. */
size_t model_unmap(struct quiver_space *space, const struct model_segment *segments,
		   size_t count);

/* quiver_space_flush() until there is nothing left. */
void model_flush(struct quiver_space *space);

/* Seconds of this thread's processor time; and of the clock, from some moment on. */
double model_cpu_time(void);
double model_time(void);

#endif
