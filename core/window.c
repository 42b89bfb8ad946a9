// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
#include "core/internal.h"

/* Buckets for as many windows as a host has mappings [D2]. */
#define INDEX_BITS 16

/* Windows of more granules have no count of each: they are one segment, as a rule. */
#define COUNTED_MAX 4096u

/* Where storage is short, those of more do without: a page of counts is harder to have. */
#define COUNTS_SMALL 64u

int quiver_space_init(struct quiver_space *space, const struct quiver_space_config *config)
{
	memset(space, 0, sizeof(*space));
	space->config = *config;
	quiver_lock_init(&space->lock);
	if (quiver_index_init(&space->by_gpa, INDEX_BITS) ||
	    quiver_index_init(&space->by_iova, INDEX_BITS) || quiver_plan_init(space)) {
		quiver_space_fini(space);
		return -ENOMEM;
	}
	return 0;
}

static void window_count(struct quiver_space *space, const struct quiver_window *window)
{
	struct quiver_space_stats *stats = &space->stats;

	stats->windows++;
	stats->bytes += window->by_gpa.range.length;
	if (stats->windows > stats->windows_peak)
		stats->windows_peak = stats->windows;
	if (stats->bytes > stats->bytes_peak)
		stats->bytes_peak = stats->bytes;
}

void quiver_window_uncount(struct quiver_space *space, const struct quiver_window *window)
{
	space->stats.windows--;
	space->stats.bytes -= window->by_gpa.range.length;
}

/* --- windows without a user --- */

static unsigned int idle_class(const struct quiver_space *space, const struct quiver_window *window)
{
	return 63 - __builtin_clzll(quiver_window_granules(space, window));
}

void quiver_idle_add(struct quiver_space *space, struct quiver_window *window)
{
	unsigned int class = idle_class(space, window);

	window->previous = NULL;
	window->next = space->idle[class].newest;
	if (window->next)
		window->next->previous = window;
	else
		space->idle[class].oldest = window;
	space->idle[class].newest = window;
	window->idle_since = space->operations;
	window->idle = true;
	space->stats.idle_windows++;
	space->stats.idle_bytes += window->by_gpa.range.length;
}

static void idle_remove(struct quiver_space *space, struct quiver_window *window)
{
	unsigned int class = idle_class(space, window);

	if (window->next)
		window->next->previous = window->previous;
	else
		space->idle[class].oldest = window->previous;
	if (window->previous)
		window->previous->next = window->next;
	else
		space->idle[class].newest = window->next;
	window->next = NULL;
	window->idle = false;
	space->stats.idle_windows--;
	space->stats.idle_bytes -= window->by_gpa.range.length;
}

/*
 * Where bytes are short, a large window weighs as much as many small ones of its age: one release
 * and perhaps one map, instead of many. Where mappings are, each weighs the same.
 */
static uint64_t idle_weight(const struct quiver_space *space, const struct quiver_window *window,
			    bool bytes)
{
	uint64_t age = space->operations - window->idle_since + 1;

	return bytes ? age * quiver_window_granules(space, window) : age;
}

static struct quiver_window *idle_choose(const struct quiver_space *space, bool bytes)
{
	struct quiver_window *best = NULL;
	uint64_t weight, most = 0;

	for (unsigned int i = 0; i < QUIVER_IDLE_CLASSES; i++) {
		struct quiver_window *window = space->idle[i].oldest;

		if (!window)
			continue;
		weight = idle_weight(space, window, bytes);
		if (weight > most) {
			most = weight;
			best = window;
		}
	}
	return best;
}

/* From the host's point of view it is still there. */
static void window_leave(struct quiver_op *op, struct quiver_window *window)
{
	quiver_index_remove(&op->space->by_gpa, &window->by_gpa);
	quiver_index_remove(&op->space->by_iova, &window->by_iova);
	window->next = op->leaving;
	op->leaving = window;
}

void quiver_idle_take(struct quiver_op *op, uint64_t bytes, uint64_t windows)
{
	struct quiver_space *space = op->space;
	struct quiver_window *window;

	while ((bytes || windows) && (window = idle_choose(space, bytes))) {
		uint64_t length = window->by_gpa.range.length;

		idle_remove(space, window);
		window_leave(op, window);
		bytes -= bytes < length ? bytes : length;
		windows -= !!windows;
	}
}

/* --- users --- */

/*
 * Which of the window's granules a segment touches. Its length is a driver's word at unmap, so it
 * is cut to the window's.
 */
static void granules_of(const struct quiver_space *space, const struct quiver_window *window,
			struct quiver_range segment, uint64_t *first, uint64_t *last)
{
	unsigned int shift = space->config.granule_shift;
	uint64_t offset = segment.start - window->by_gpa.range.start;
	uint64_t end = quiver_window_granules(space, window) - 1;

	*first = offset >> shift;
	*last = (offset + (segment.length - 1)) >> shift;
	if (*last > end || *last < *first)
		*last = end;
}

static uint32_t touch(const struct quiver_space *space, struct quiver_window *window,
		      struct quiver_range segment)
{
	uint32_t fresh = 0;
	uint64_t i, last;

	for (granules_of(space, window, segment, &i, &last); i <= last; i++) {
		fresh += !window->count[i];
		/* One that is full stays so until the window has no user. */
		window->count[i] += window->count[i] != UINT16_MAX;
	}
	return fresh;
}

static uint32_t untouch(const struct quiver_space *space, struct quiver_window *window,
			struct quiver_range segment)
{
	uint32_t gone = 0;
	uint64_t i, last;

	for (granules_of(space, window, segment, &i, &last); i <= last; i++) {
		if (!window->count[i] || window->count[i] == UINT16_MAX)
			continue;
		gone += !--window->count[i];
	}
	return gone;
}

static void touched_add(struct quiver_space *space, struct quiver_window *window, uint32_t granules)
{
	window->touched += granules;
	space->touched += granules;
	space->waste -= granules;
	if (space->touched > space->touched_peak)
		space->touched_peak = space->touched;
}

static void touched_remove(struct quiver_space *space, struct quiver_window *window,
			   uint32_t granules)
{
	window->touched -= granules;
	space->touched -= granules;
	space->waste += granules;
}

static void window_use(struct quiver_space *space, struct quiver_window *window,
		       struct quiver_range segment)
{
	uint64_t granules = quiver_window_granules(space, window);

	if (!window->users++) {
		if (window->idle)
			idle_remove(space, window);
		space->waste += granules;
		space->stats.used_bytes += window->by_gpa.range.length;
		if (space->stats.used_bytes > space->stats.used_bytes_peak)
			space->stats.used_bytes_peak = space->stats.used_bytes;
		if (!window->counted)
			touched_add(space, window, granules);
	}
	if (window->counted)
		touched_add(space, window, touch(space, window, segment));
	space->stats.segments++;
	space->stats.segment_bytes += segment.length;
}

static void window_unused(struct quiver_op *op, struct quiver_window *window)
{
	struct quiver_space *space = op->space;
	uint64_t granules = quiver_window_granules(space, window);

	touched_remove(space, window, window->touched);
	space->waste -= granules;
	space->stats.used_bytes -= window->by_gpa.range.length;
	if (window->counted)
		memset(window->count, 0, granules * sizeof(window->count[0]));

	if (window->state == QUIVER_WINDOW_FAILED)
		quiver_window_free(window);
	else if (space->config.policy->keeps_idle && !space->config.strict && !op->discard)
		quiver_idle_add(space, window);
	else
		window_leave(op, window);
}

static void window_unuse(struct quiver_op *op, struct quiver_window *window,
			 struct quiver_range segment)
{
	struct quiver_space *space = op->space;

	space->stats.segments_removed++;
	if (window->counted)
		touched_remove(space, window, untouch(space, window, segment));
	if (!--window->users)
		window_unused(op, window);
}

/* --- operations --- */

void quiver_op_begin(struct quiver_op *op, struct quiver_space *space)
	QUIVER_ACQUIRES(&space->lock)
{
	op->space = space;
	op->created = NULL;
	op->created_end = &op->created;
	op->leaving = NULL;
	op->vital = false;
	op->exact = false;
	op->discard = false;
	op->generous = false;
	op->planned = false;
	op->error = 0;
	quiver_lock_acquire(&space->lock, &op->flags);
	space->operations++;
}

static struct quiver_window *find_equal(const struct quiver_op *op, struct quiver_range range)
{
	struct quiver_index_search search;
	struct quiver_index_node *node;

	quiver_index_search(&op->space->by_gpa, range, &search);
	while ((node = quiver_index_next(&search)))
		if (quiver_range_equal(node->range, range) &&
		    quiver_op_may_share(op, quiver_window_by_gpa(node)))
			break;
	return quiver_window_by_gpa(node);
}

static struct quiver_window *window_new(struct quiver_space *space, struct quiver_range cover)
{
	uint64_t granules = cover.length >> space->config.granule_shift;
	struct quiver_window *window = NULL;
	bool counted = false;

	if (granules <= COUNTED_MAX)
		window = quiver_window_alloc(sizeof(*window) + granules * sizeof(window->count[0]));
	if (window)
		counted = true;
	else if (granules > COUNTS_SMALL)
		window = quiver_window_alloc(sizeof(*window));
	if (!window)
		return NULL;
	window->counted = counted;
	window->made = space->operations;
	window->by_gpa.range = cover;
	window->state = QUIVER_WINDOW_MAPPING;
	window->error = -EINPROGRESS;
	return window;
}

struct quiver_window *quiver_op_window(struct quiver_op *op, struct quiver_range cover)
{
	struct quiver_space *space = op->space;
	struct quiver_window *window = find_equal(op, cover);

	if (window) {
		op->generous |= quiver_op_is_guest(op, window);
		return window;
	}
	window = window_new(space, cover);
	if (!window)
		return NULL;
	quiver_index_insert(&space->by_gpa, &window->by_gpa);
	*op->created_end = window;
	op->created_end = &window->next;
	window_count(space, window);
	return window;
}

void quiver_op_expect(struct quiver_op *op, uint64_t gpa, uint64_t length)
{
	const struct quiver_policy *policy = op->space->config.policy;
	struct quiver_range segment = { gpa, length };

	if (policy->expect && quiver_range_valid(gpa, length))
		policy->expect(op, segment);
}

int quiver_op_add(struct quiver_op *op, uint64_t gpa, uint64_t length,
		  struct quiver_window **window)
{
	struct quiver_range segment = { gpa, length };
	int error = -EINVAL;

	*window = NULL;
	if (quiver_range_valid(gpa, length)) {
		*window = op->space->config.policy->choose(op, segment);
		error = *window ? 0 : -ENOMEM;
	}
	if (error) {
		op->space->stats.failed_memory += error == -ENOMEM;
		op->error = op->error ? op->error : error;
		return error;
	}
	window_use(op->space, *window, segment);
	return 0;
}

void quiver_op_drop(struct quiver_op *op, struct quiver_window *window, uint64_t gpa,
		    uint64_t length)
{
	if (window)
		window_unuse(op, window, (struct quiver_range){ gpa, length });
}

bool quiver_op_remove(struct quiver_op *op, uint64_t iova, uint64_t length)
{
	struct quiver_index_node *node =
		quiver_index_find(&op->space->by_iova, (struct quiver_range){ iova, 1 });
	struct quiver_window *window = quiver_window_by_iova(node);
	struct quiver_range segment;

	if (!window || !window->users) {
		op->space->stats.bad_unmaps++;
		return false;
	}
	segment.start = window->by_gpa.range.start + (iova - window->by_iova.range.start);
	segment.length = length ? length : 1;
	window_unuse(op, window, segment);
	return true;
}

int quiver_window_resolve(const struct quiver_window *window, uint64_t gpa, uint64_t *iova)
{
	while (quiver_load_acquire(&window->state) == QUIVER_WINDOW_MAPPING)
		quiver_relax();
	if (window->error)
		return window->error;
	*iova = window->by_iova.range.start + (gpa - window->by_gpa.range.start);
	return 0;
}

/* --- the space --- */

/* An operation releases so many, so that interrupts are not off for long. */
#define FLUSH_MAX 256

bool quiver_space_flush(struct quiver_space *space)
{
	struct quiver_op op;
	bool more;

	quiver_op_begin(&op, space);
	quiver_idle_take(&op, 0, FLUSH_MAX);
	more = space->stats.idle_windows;
	quiver_op_submit(&op);
	return more;
}

size_t quiver_space_forget(struct quiver_space *space)
{
	struct quiver_index_node *node;
	size_t used = 0, bucket = 0;

	while ((node = quiver_index_any(&space->by_gpa, &bucket))) {
		struct quiver_window *window = quiver_window_by_gpa(node);

		used += !!window->users;
		quiver_index_remove(&space->by_gpa, node);
		quiver_index_remove(&space->by_iova, &window->by_iova);
		quiver_window_uncount(space, window);
		quiver_window_free(window);
	}
	memset(space->idle, 0, sizeof(space->idle));
	space->waste = 0;
	space->touched = 0;
	space->stats.used_bytes = 0;
	space->stats.idle_windows = 0;
	space->stats.idle_bytes = 0;
	return used;
}

size_t quiver_space_fini(struct quiver_space *space)
{
	size_t used = space->by_gpa.bucket ? quiver_space_forget(space) : 0;

	quiver_plan_fini(space);
	quiver_index_fini(&space->by_iova);
	quiver_index_fini(&space->by_gpa);
	return used;
}

struct quiver_space_stats quiver_space_stats(struct quiver_space *space)
{
	struct quiver_space_stats stats;
	quiver_lock_flags_t flags;

	quiver_lock_acquire(&space->lock, &flags);
	stats = space->stats;
	quiver_lock_release(&space->lock, &flags);
	return stats;
}
