/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * Windows: the mappings that a guest driver's DMA goes through. A window covers
 * whole host pages, is mapped by the host once, and is shared by every segment
 * that lies in it. A policy chooses windows; this keeps them.
 *
 * Everything happens in operations:
 *
 *	quiver_op_begin(&op, space);
 *	quiver_op_expect(&op, gpa, length);		for each segment
 *	quiver_op_add(&op, gpa, length, &window);	for each segment
 *	error = quiver_op_submit(&op);			at most one exit, as a rule
 *	quiver_window_resolve(window, gpa, &iova);	for each segment
 *
 * and, where submit or a resolve fails, a second one with quiver_op_drop() for
 * each window that was added: a scatterlist maps whole or not at all. Unmapping
 * is an operation of quiver_op_remove().
 *
 * Context: any, interrupts included; nothing sleeps. Interrupts are off from
 * begin to submit's end, the space's lock is not held over the exit. A window
 * that another CPU is just mapping is waited for after the own exit, so that
 * two operations cannot wait for each other.
 */
#ifndef QUIVER_CORE_WINDOW_H
#define QUIVER_CORE_WINDOW_H

#include "core/range.h"
#include "core/tree.h"
#include "quiver/proto.h"

enum quiver_window_state {
	QUIVER_WINDOW_MAPPING,		/* on its way to the host */
	QUIVER_WINDOW_LIVE,
	QUIVER_WINDOW_FAILED		/* refused; out of the trees, freed by its last user */
};

struct quiver_window {
	struct quiver_node by_gpa;	/* start, length */
	struct quiver_node by_iova;	/* LIVE only */
	struct quiver_window *next, *previous;	/* in one list: created, idle or on its way out */
	struct quiver_range gpa;
	uint64_t iova;
	uint32_t users;			/* segments mapped through it */
	int state;			/* enum quiver_window_state */
	int error;			/* why it FAILED; not 0 before the host has granted it */
	bool idle;			/* waits for its release, in the space's list */
};

/* What ordinary maps may still take; the reserve is not in it. */
struct quiver_room {
	uint64_t bytes;
	uint64_t mappings;
};

/*
 * The way to the host. open() gives a batch that is this caller's alone until
 * close(), with room for *capacity >= 1 entries, and never fails; ring() runs
 * entries [0, count) and returns when their status is final, or still PENDING
 * if they could not be sent. Interrupts are off throughout.
 */
struct quiver_transport {
	struct quiver_dma_entry *(*open)(void *context, size_t *capacity);
	void (*ring)(void *context, size_t count);
	void (*close)(void *context);
	/*
	 * What the host would still grant this device, in bytes and mappings, by its
	 * own count; soon out of date. Takes no exit. NULL: nobody knows.
	 */
	void (*room)(void *context, struct quiver_room *room);
	/*
	 * The host refused, and this space has no idle windows left: releases those
	 * of the other devices that share the limits. False: there were none. The
	 * space is not locked. NULL: there are no others.
	 */
	bool (*relieve)(void *context);
};

struct quiver_space_stats {
	uint64_t segments, segments_removed;	/* that drivers mapped and unmapped */
	uint64_t exits;
	uint64_t maps, unmaps;			/* entries sent to the host */
	uint64_t windows, windows_peak;		/* mapped, or on the way there or back */
	uint64_t bytes, bytes_peak;
	uint64_t refused_bytes, refused_mappings;	/* some granted when asked again */
	uint64_t failed_memory;			/* no storage for a window */
	uint64_t failed_host;			/* any other status */
	uint64_t unmap_errors;			/* the host did not know what we released */
	uint64_t bad_unmaps;			/* a driver unmapped what it had not mapped */
};

struct quiver_op;

struct quiver_policy {
	const char *name;
	/* Takes note of a segment to come, with the space locked. NULL: needs no notice. */
	void (*expect)(struct quiver_op *op, struct quiver_range segment);
	/*
	 * The window for a segment: quiver_op_window() on a range of whole
	 * granules that contains it, or NULL when storage is out. Called with
	 * the space locked.
	 */
	struct quiver_window *(*choose)(struct quiver_op *op, struct quiver_range segment);
	/* The last user of a LIVE window left: quiver_op_release() it, or keep it. */
	void (*idle)(struct quiver_op *op, struct quiver_window *window);
};

extern const struct quiver_policy quiver_policy_pages;
extern const struct quiver_policy quiver_policy_fixed256k;

/* NULL when there is none of that name. */
const struct quiver_policy *quiver_policy_find(const char *name);

struct quiver_space_config {
	const struct quiver_policy *policy;
	const struct quiver_transport *transport;
	void *context;			/* of the transport */
	uint16_t device;		/* index of the device record */
	unsigned int granule_shift;
	/*
	 * Windows whose last user left stay mapped, for the next segment that
	 * fits, until there are so many, or 64 MiB; then one exit releases the
	 * older half. Those of a space never cost it a refusal: the host is
	 * asked again without them. 1 releases each at once.
	 */
	size_t release_batch;
};

struct quiver_space {
	struct quiver_space_config config;
	quiver_lock_t lock;
	struct quiver_tree by_gpa, by_iova;
	struct quiver_window *idle, *idle_oldest;	/* without a user, LIVE until released */
	size_t idle_count;
	uint64_t idle_bytes;
	struct quiver_space_stats stats;
};

void quiver_space_init(struct quiver_space *space, const struct quiver_space_config *config);

/* Releases what waits to be released, in one operation. */
void quiver_space_flush(struct quiver_space *space);

/*
 * Frees every window without a word to the host, which has dropped all mappings
 * of the device (proto.h, DETACHED). Returns how many still had users. No
 * operation may run.
 */
size_t quiver_space_fini(struct quiver_space *space);

struct quiver_space_stats quiver_space_stats(struct quiver_space *space);

struct quiver_op {
	struct quiver_space *space;
	quiver_lock_flags_t flags;
	struct quiver_window *created, **created_end;
	bool vital;			/* may take of the host's reserve; set after begin() */
	bool flush;			/* release what waits, whatever the batch */
	int error;			/* the first of quiver_op_add() */
};

/* Locks the space. */
void quiver_op_begin(struct quiver_op *op, struct quiver_space *space)
	QUIVER_ACQUIRES(&space->lock);

/*
 * Announces a segment that will be added, so that windows are chosen for all of
 * them together. All are announced before the first is added. What is not, or
 * is not a range, costs no more than a worse choice.
 */
void quiver_op_expect(struct quiver_op *op, uint64_t gpa, uint64_t length);

/*
 * Adds a segment; *window gains a user. -EINVAL: not a range. -ENOMEM. Then
 * *window is NULL and submit will return the same error.
 */
int quiver_op_add(struct quiver_op *op, uint64_t gpa, uint64_t length,
		  struct quiver_window **window);

/* The segment at iova loses its window. False: no window is there; counted. */
bool quiver_op_remove(struct quiver_op *op, uint64_t iova);

/* Undoes one add() of an earlier, submitted and resolved operation. NULL is fine. */
void quiver_op_drop(struct quiver_op *op, struct quiver_window *window);

/*
 * Sends what the operation made and unlocks the space. Returns the first error
 * of add(), or 0.
 */
int quiver_op_submit(struct quiver_op *op)
	QUIVER_RELEASES(&op->space->lock);

/*
 * Where the device sees gpa, which lies in the window. Waits for another CPU's
 * exit if need be. The error of the host if the window FAILED: -E2BIG byte
 * limit, -ENOSPC mapping limit, others as quiver_wire_error().
 */
int quiver_window_resolve(const struct quiver_window *window, uint64_t gpa, uint64_t *iova);

/* For policies. */
struct quiver_window *quiver_op_window(struct quiver_op *op, struct quiver_range cover);
void quiver_op_release(struct quiver_op *op, struct quiver_window *window);

#endif
