/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A space, a host, and a brute-force account of both. Each checker_*() runs one
 * operation and then looks at everything:
 *
 *  - Every byte of each live segment is at its bus address, in one mapping, and
 *    that is not 0.
 *  - Every counter of the space is what the host, or a recount from the live
 *    segments, says: windows, bytes, used, idle, touched, waste, exits, entries,
 *    refusals by cause. The lists of idle windows hold exactly these.
 *  - A scatterlist maps whole or not at all.
 *  - A map is refused for want of room only if its own granules did not fit with
 *    every idle window released, the peer's too; or, where the device has no
 *    hole of that size among its bus addresses, if none was to be made so.
 *  - Where the host tells its room, a refusal costs no entry, and a map no exit
 *    more than its entries fill.
 *  - Policies that keep nothing, and strict mode: no window without a user. In
 *    strict mode no granule is mapped that no live segment touches; but a map that
 *    found no room for windows of its own may keep a larger one alive, and so may
 *    a part of a scatterlist.
 *
 * A failure is one of cmocka's. Not for threads.
 */
#ifndef QUIVER_TESTS_CHECKER_H
#define QUIVER_TESTS_CHECKER_H

#include "model.h"

#define CHECKER_MAPS		256u
#define CHECKER_SEGMENTS	8192u

struct checker_map {
	struct model_segment *segment;
	uint32_t count;			/* 0: not mapped */
	bool exact;
};

/* The answer to a window that an attempt asked for; the last, where it asked twice. */
struct checker_answer {
	struct quiver_range gpa;
	enum quiver_wire_status status;
};

struct checker_totals {
	uint64_t windows, bytes;	/* that the space has */
	uint64_t used_windows, used_bytes;
	uint64_t touched, waste;	/* granules */
	uint64_t segments;
};

struct checker {
	struct model_host host;
	struct quiver_space space;
	struct checker *peer;
	const struct quiver_policy *policy;
	bool strict;
	bool mislaid;			/* a segment was unmapped with a wrong length */
	bool partly;			/* a scatterlist is being unmapped piece by piece */
	struct checker_map map[CHECKER_MAPS];
	struct model_segment scratch[CHECKER_SEGMENTS];

	uint32_t *mark;			/* of each granule of bus addresses: seen in this recount */
	uint32_t epoch;
	uint64_t windows_before;	/* storage that others have */
	struct checker_totals now;

	struct checker_answer answer[CHECKER_SEGMENTS];
	size_t answers, failures;

	/* What the space's counters must say and the host cannot know. */
	uint64_t segments, segments_removed, forgotten, bad_unmaps;
	uint64_t refused_bytes, refused_mappings;	/* without asking */
	uint64_t failed_host, failed_memory;
	struct quiver_space_stats before;		/* for peaks */
	uint64_t refusals;				/* maps that failed, of any cause */
};

/* Limits, room() and the like are then set in checker->host. Storage is 1 MiB: not for stacks. */
void checker_init(struct checker *checker, const struct quiver_policy *policy, size_t capacity,
		  bool strict);

/* Two checkers whose hosts share limits, and whose spaces relieve each other. */
void checker_join(struct checker *a, struct checker *b);

/* Unmaps what is mapped, flushes, and sees that nothing is left. */
void checker_fini(struct checker *checker);

/* 0, or the error of the last attempt: as quiver.ko does, a second one is exact. */
int checker_map(struct checker *checker, uint32_t map, const struct quiver_range *segment,
		uint32_t count, bool vital);
void checker_unmap(struct checker *checker, uint32_t map);

/* The same, segment by segment, and with lengths that are wrong. */
void checker_unmap_badly(struct checker *checker, uint32_t map, uint64_t bits);

/* What nobody has mapped, near something that somebody has. */
void checker_unmap_nothing(struct checker *checker, uint64_t bits);
void checker_flush(struct checker *checker);

/* The host drops everything, and the space forgets it. */
void checker_forget(struct checker *checker);

void checker_check(struct checker *checker);

#endif
