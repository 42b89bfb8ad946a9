/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/* Between window.c, which keeps windows, exchange.c, which sends them, and planner.c. */
#ifndef QUIVER_CORE_INTERNAL_H
#define QUIVER_CORE_INTERNAL_H

#include "core/window.h"

static inline struct quiver_window *quiver_window_by_gpa(struct quiver_index_node *node)
{
	return node ? quiver_index_entry(node, struct quiver_window, by_gpa) : NULL;
}

static inline struct quiver_window *quiver_window_by_iova(struct quiver_index_node *node)
{
	return node ? quiver_index_entry(node, struct quiver_window, by_iova) : NULL;
}

static inline uint64_t quiver_window_granules(const struct quiver_space *space,
					      const struct quiver_window *window)
{
	return window->by_gpa.range.length >> space->config.granule_shift;
}

/* Whether granules [first, last] are all that there are: such a range would have no length. */
static inline bool quiver_is_all(const struct quiver_space *space, uint64_t first, uint64_t last)
{
	return !first && last == UINT64_MAX >> space->config.granule_shift;
}

/*
 * Whether the host has no room, or (it does not say so: -EIO) no hole of that size among its
 * bus addresses [D11]. Releasing something may help.
 */
static inline bool quiver_window_refused(const struct quiver_window *window)
{
	return window->error == -E2BIG || window->error == -ENOSPC || window->error == -EIO;
}

/* Whether another CPU is just mapping it: it may yet fail, and all who joined it with it. */
static inline bool quiver_op_is_guest(const struct quiver_op *op,
				      const struct quiver_window *window)
{
	return window->state == QUIVER_WINDOW_MAPPING && window->made != op->space->operations;
}

/* An operation that has no other try does not count on another's. */
static inline bool quiver_op_may_share(const struct quiver_op *op,
				       const struct quiver_window *window)
{
	return !((op->exact || op->vital) && quiver_op_is_guest(op, window));
}

/* A LIVE window without a user joins its idle list. */
void quiver_idle_add(struct quiver_space *space, struct quiver_window *window);

/*
 * Takes idle windows out, those first whose bytes (or else: whose mapping) have been unused for
 * longest for what they are worth, until they are enough or there are none. They are in no index
 * any more, still mapped, and on their way to op->leaving.
 */
void quiver_idle_take(struct quiver_op *op, uint64_t bytes, uint64_t windows);

/* A window leaves the counts; it is mapped no more, or never was. */
void quiver_window_uncount(struct quiver_space *space, const struct quiver_window *window);

/* The planner's storage. -ENOMEM. May sleep. */
int quiver_plan_init(struct quiver_space *space);
void quiver_plan_fini(struct quiver_space *space);

#endif
