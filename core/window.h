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
 * each segment that was added: a scatterlist maps whole or not at all. Unmapping
 * is an operation of quiver_op_remove().
 *
 * Context: any, interrupts included; nothing sleeps but init and fini.
 * Interrupts are off from begin to submit's end, the space's lock is not held
 * over the exit. A window that another CPU is just mapping is waited for after
 * the own exit, so that two operations cannot wait for each other.
 */
#ifndef QUIVER_CORE_WINDOW_H
#define QUIVER_CORE_WINDOW_H

#include "core/index.h"
#include "core/range.h"
#include "quiver/proto.h"

enum quiver_window_state {
	QUIVER_WINDOW_MAPPING,		/* on its way to the host */
	QUIVER_WINDOW_LIVE,
	QUIVER_WINDOW_FAILED		/* refused; in no index, freed by its last user */
};

/* What a map or unmap of a segment in a live window looks at comes first: a cache line. */
struct quiver_window {
	struct quiver_index_node by_gpa;	/* its range; windows may overlap */
	struct quiver_index_node by_iova;	/* LIVE only; these never do */
	uint32_t users;			/* segments mapped through it */
	uint32_t touched;		/* granules with a user */
	uint8_t state;			/* enum quiver_window_state */
	bool idle;			/* LIVE without a user, in one of the space's lists */
	bool chosen;			/* by the plan of that operation */
	bool counted;			/* has count[] */
	int error;			/* why it FAILED; not 0 before the host has granted it */

	/* The planner's, of one operation. */
	uint64_t plan;
	uint32_t covered;		/* granules that the operation has in it, */
	uint32_t saved;			/* and windows that it would need instead */

	struct quiver_window *next, *previous;	/* in one list: created, idle or leaving */
	uint64_t made;			/* the operation that asked for it */
	uint64_t idle_since;		/* operations of the space before it */
	uint16_t count[];		/* users of each granule, if there was storage for them */
};

/* Bytes and mappings. */
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
	 * What the host would still grant ordinary maps of this device, by its own
	 * count: soon out of date. And what it would at most, if all else were
	 * released. Takes no exit. NULL: nobody knows.
	 */
	void (*room)(void *context, struct quiver_room *room, struct quiver_room *most);
	/*
	 * The host refused, and this space has no idle windows left:
	 * quiver_space_relieve() for the other devices that share the limits. False:
	 * none of them had any. The space is not locked. NULL: there are no others.
	 */
	bool (*relieve)(void *context);
};

struct quiver_space_stats {
	uint64_t segments, segments_removed;	/* that drivers mapped and unmapped */
	uint64_t segment_bytes;			/* that they mapped, in all */
	uint64_t exits;
	uint64_t maps, unmaps;			/* entries sent to the host */
	uint64_t windows, windows_peak;		/* mapped, or on the way there or back */
	uint64_t bytes, bytes_peak;
	uint64_t used_bytes, used_bytes_peak;	/* of windows with a user */
	uint64_t idle_windows, idle_bytes;	/* of those without */
	/* Windows for which there was no room; some were granted when asked for again. */
	uint64_t refused_bytes, refused_mappings;
	uint64_t failed_memory;			/* no storage for a window */
	uint64_t failed_host;			/* any other status */
	uint64_t unmap_errors;			/* the host did not know what we released */
	uint64_t bad_unmaps;			/* a driver unmapped what it had not mapped */
};

struct quiver_op;
struct quiver_plan;

struct quiver_policy {
	const char *name;
	/* Windows without a user stay mapped until their room is needed. */
	bool keeps_idle;
	/* Takes note of a segment to come, with the space locked. NULL: needs no notice. */
	void (*expect)(struct quiver_op *op, struct quiver_range segment);
	/*
	 * The window for a segment: quiver_op_window() on a range of whole
	 * granules that contains it, or NULL when storage is out. Called with
	 * the space locked.
	 */
	struct quiver_window *(*choose)(struct quiver_op *op, struct quiver_range segment);
};

extern const struct quiver_policy quiver_policy_planner;
extern const struct quiver_policy quiver_policy_fixed256k;
extern const struct quiver_policy quiver_policy_pages;

/* NULL when there is none of that name. */
const struct quiver_policy *quiver_policy_find(const char *name);

struct quiver_space_config {
	const struct quiver_policy *policy;
	const struct quiver_transport *transport;
	void *context;			/* of the transport */
	uint16_t device;		/* index of the device record */
	unsigned int granule_shift;
	uint8_t vital_flags;		/* of entries of vital operations, if the host knows any */
	/*
	 * Nothing is mapped but what drivers have mapped, to the granule: no
	 * window without a user, none larger than its segments need.
	 */
	bool strict;
};

#define QUIVER_IDLE_CLASSES 48

struct quiver_space {
	struct quiver_space_config config;
	quiver_lock_t lock;
	struct quiver_index by_gpa, by_iova;
	/* Windows without a user, by the power of two of their granules, newest first. */
	struct {
		struct quiver_window *newest, *oldest;
	} idle[QUIVER_IDLE_CLASSES];
	uint64_t operations;
	uint64_t waste;			/* granules of used windows that have no user */
	uint64_t touched, touched_peak;	/* granules that have one, in any window */
	unsigned int leaving;		/* operations whose releases are on their way */
	unsigned int left;		/* changes when one of them has arrived */
	struct quiver_plan *plan;	/* storage of the planner's */
	struct quiver_space_stats stats;
};

/* -ENOMEM. May sleep. */
int quiver_space_init(struct quiver_space *space, const struct quiver_space_config *config);

/*
 * Whoever owns a space looks at its operations every so many seconds, and flushes
 * it if there was none since: an idle device keeps nothing mapped.
 */
#define QUIVER_IDLE_SECONDS 30

/* Releases windows that nobody uses, a bounded number. True: there are more. */
bool quiver_space_flush(struct quiver_space *space);

/*
 * Makes room for another space: flushes, or waits for windows that are already
 * on their way out. False: there are neither.
 */
bool quiver_space_relieve(struct quiver_space *space);

/*
 * Frees every window without a word to the host, which has dropped all mappings
 * of the device (proto.h, DETACHED). Returns how many still had users. No
 * operation may run. The space can be used again.
 */
size_t quiver_space_forget(struct quiver_space *space);

/* Forgets, and frees the rest. May sleep. */
size_t quiver_space_fini(struct quiver_space *space);

struct quiver_space_stats quiver_space_stats(struct quiver_space *space);

/*
 * Segments that one operation should have at most: more are not planned
 * together, and interrupts are off meanwhile.
 */
#define QUIVER_OP_SEGMENTS 4096u

struct quiver_op {
	struct quiver_space *space;
	quiver_lock_flags_t flags;
	struct quiver_window *created, **created_end;
	struct quiver_window *leaving;	/* to be released; in no index any more */
	bool vital;			/* may take of the host's reserve; set after begin() */
	bool exact;			/* no granule but those of segments; set after begin() */
	bool discard;			/* keeps no window that it leaves idle; set after begin() */
	bool generous;			/* mapped more than that, or counts on another CPU's map */
	bool planned;
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

/*
 * The segment of length bytes at iova loses its window. False: no window is
 * there; counted. A length that is wrong spoils the planner's choices only.
 */
bool quiver_op_remove(struct quiver_op *op, uint64_t iova, uint64_t length);

/* Undoes one add() of an earlier, submitted and resolved operation. NULL is fine. */
void quiver_op_drop(struct quiver_op *op, struct quiver_window *window, uint64_t gpa,
		    uint64_t length);

/*
 * Sends what the operation made and unlocks the space. Returns the first error
 * of add(), or 0.
 */
int quiver_op_submit(struct quiver_op *op)
	QUIVER_RELEASES(&op->space->lock);

/*
 * Whether segments that failed with this error, in a generous operation, may be
 * had by one that is exact: there was no room, no hole of that size, or a window
 * was not all guest RAM.
 */
static inline bool quiver_exact_may_do(bool generous, int error)
{
	return generous && (error == -E2BIG || error == -ENOSPC || error == -EIO ||
			    error == -EFAULT);
}

/*
 * Where the device sees gpa, which lies in the window. Waits for another CPU's
 * exit if need be. The error of the host if the window FAILED: -E2BIG byte
 * limit, -ENOSPC mapping limit, -EFAULT it is not all guest RAM, others as
 * quiver_wire_error().
 */
int quiver_window_resolve(const struct quiver_window *window, uint64_t gpa, uint64_t *iova);

/* For policies. The window that is this range: there already, or made. NULL: no storage. */
struct quiver_window *quiver_op_window(struct quiver_op *op, struct quiver_range cover);

#endif
