// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
#include "core/window.h"
#include "core/wire.h"

static struct quiver_window *by_gpa_entry(struct quiver_node *node)
{
	return node ? quiver_node_entry(node, struct quiver_window, by_gpa) : NULL;
}

static struct quiver_window *by_iova_entry(struct quiver_node *node)
{
	return node ? quiver_node_entry(node, struct quiver_window, by_iova) : NULL;
}

void quiver_space_init(struct quiver_space *space, const struct quiver_space_config *config)
{
	memset(space, 0, sizeof(*space));
	space->config = *config;
	quiver_lock_init(&space->lock);
	quiver_tree_init(&space->by_gpa);
	quiver_tree_init(&space->by_iova);
}

static void count_window(struct quiver_space *space, const struct quiver_window *window)
{
	struct quiver_space_stats *stats = &space->stats;

	stats->windows++;
	stats->bytes += window->gpa.length;
	if (stats->windows > stats->windows_peak)
		stats->windows_peak = stats->windows;
	if (stats->bytes > stats->bytes_peak)
		stats->bytes_peak = stats->bytes;
}

static void uncount_window(struct quiver_space *space, const struct quiver_window *window)
{
	space->stats.windows--;
	space->stats.bytes -= window->gpa.length;
}

void quiver_op_begin(struct quiver_op *op, struct quiver_space *space)
	QUIVER_ACQUIRES(&space->lock)
{
	op->space = space;
	op->created = NULL;
	op->created_end = &op->created;
	op->vital = false;
	op->flush = false;
	op->error = 0;
	quiver_lock_acquire(&space->lock, &op->flags);
}

/* Idle windows are few and, since each can be large, not much memory. */
#define IDLE_BYTES_MAX (64ull << 20)

static void idle_add(struct quiver_space *space, struct quiver_window *window)
{
	window->previous = NULL;
	window->next = space->idle;
	if (window->next)
		window->next->previous = window;
	else
		space->idle_oldest = window;
	space->idle = window;
	space->idle_count++;
	space->idle_bytes += window->gpa.length;
	window->idle = true;
}

static void idle_remove(struct quiver_space *space, struct quiver_window *window)
{
	if (window->next)
		window->next->previous = window->previous;
	else
		space->idle_oldest = window->previous;
	if (window->previous)
		window->previous->next = window->next;
	else
		space->idle = window->next;
	window->next = NULL;
	window->idle = false;
	space->idle_bytes -= window->gpa.length;
	space->idle_count--;
}

struct quiver_window *quiver_op_window(struct quiver_op *op, struct quiver_range cover)
{
	struct quiver_space *space = op->space;
	struct quiver_node *node = quiver_tree_find(&space->by_gpa, cover.start, cover.length);
	struct quiver_window *window = by_gpa_entry(node);

	if (window) {
		if (window->idle)
			idle_remove(space, window);
		return window;
	}
	window = quiver_window_alloc();
	if (!window)
		return NULL;

	window->gpa = cover;
	window->state = QUIVER_WINDOW_MAPPING;
	window->error = -EINPROGRESS;
	window->by_gpa.key = cover.start;
	window->by_gpa.minor = cover.length;
	quiver_tree_insert(&space->by_gpa, &window->by_gpa);
	*op->created_end = window;
	op->created_end = &window->next;
	count_window(space, window);
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
	(*window)->users++;
	op->space->stats.segments++;
	return 0;
}

void quiver_op_release(struct quiver_op *op, struct quiver_window *window)
{
	idle_add(op->space, window);
}

void quiver_op_drop(struct quiver_op *op, struct quiver_window *window)
{
	if (!window)
		return;
	op->space->stats.segments_removed++;
	if (--window->users)
		return;
	if (window->state == QUIVER_WINDOW_FAILED)
		quiver_window_free(window);
	else
		op->space->config.policy->idle(op, window);
}

bool quiver_op_remove(struct quiver_op *op, uint64_t iova)
{
	struct quiver_node *node = quiver_tree_floor(&op->space->by_iova, iova, 0);
	struct quiver_window *window = by_iova_entry(node);

	if (!window || iova - window->iova >= window->gpa.length || !window->users) {
		op->space->stats.bad_unmaps++;
		return false;
	}
	quiver_op_drop(op, window);
	return true;
}

/* What goes to the host and back, in as few exits as the batch allows. */
struct exchange {
	const struct quiver_space_config *config;
	struct quiver_window *released, *created;
	uint64_t exits, maps, unmaps, unmap_errors;
};

static struct quiver_window *fill_released(struct exchange *x, struct quiver_dma_entry *entries,
					   size_t *count, size_t capacity)
{
	struct quiver_window *window = x->released;

	for (; window && *count < capacity; window = window->next) {
		struct quiver_range iova = { window->iova, window->gpa.length };

		quiver_wire_encode_unmap(&entries[(*count)++], x->config->device, iova);
	}
	return window;
}

static bool refused(const struct quiver_window *window)
{
	return window->error == -E2BIG || window->error == -ENOSPC;
}

/* Not asked yet, or to be asked again. */
static bool wanted(const struct quiver_window *window)
{
	return window->error == -EINPROGRESS || refused(window);
}

static struct quiver_window *fill_created(struct exchange *x, struct quiver_dma_entry *entries,
					  size_t *count, size_t capacity)
{
	struct quiver_window *window = x->created;

	for (; window && *count < capacity; window = window->next)
		if (wanted(window))
			quiver_wire_encode_map(&entries[(*count)++], x->config->device, window->gpa,
					       QUIVER_DMA_READ | QUIVER_DMA_WRITE);
	return window;
}

static void collect_released(struct exchange *x, const struct quiver_window *end,
			     const struct quiver_dma_entry **entry)
{
	for (; x->released != end; x->released = x->released->next, (*entry)++) {
		x->unmaps++;
		x->unmap_errors += le32_to_cpu((*entry)->status) != QUIVER_S_OK;
	}
}

static void collect_created(struct exchange *x, const struct quiver_window *end,
			    const struct quiver_dma_entry **entry)
{
	for (; x->created != end; x->created = x->created->next) {
		if (!wanted(x->created))
			continue;
		x->maps++;
		x->created->error = quiver_wire_error(le32_to_cpu((*entry)->status));
		x->created->iova = le64_to_cpu((*entry)->iova);
		(*entry)++;
	}
}

/* Releases go first: what they free may be what the maps need. */
static void exchange(struct exchange *x)
{
	const struct quiver_transport *transport = x->config->transport;
	void *context = x->config->context;
	size_t capacity;
	struct quiver_dma_entry *entries = transport->open(context, &capacity);

	while (x->released || x->created) {
		const struct quiver_dma_entry *entry = entries;
		const struct quiver_window *released, *created;
		size_t count = 0;

		released = fill_released(x, entries, &count, capacity);
		created = fill_created(x, entries, &count, capacity);
		if (count) {
			transport->ring(context, count);
			x->exits++;
		}
		collect_released(x, released, &entry);
		collect_created(x, created, &entry);
	}
	transport->close(context);
}

/* Publishes the outcome; a waiter may use the window as soon as its state is set. */
static void commit_created(struct quiver_op *op)
{
	struct quiver_space *space = op->space;
	struct quiver_window *window, *next;

	for (window = op->created; window; window = next) {
		next = window->next;
		if (!window->error) {
			window->by_iova.key = window->iova;
			window->by_iova.minor = 0;
			window->error = quiver_tree_insert(&space->by_iova, &window->by_iova);
		}
		if (window->error) {
			space->stats.failed_host += !refused(window);
			quiver_tree_remove(&space->by_gpa, &window->by_gpa);
			uncount_window(space, window);
		}
		quiver_store_release(&window->state, window->error ? QUIVER_WINDOW_FAILED :
								     QUIVER_WINDOW_LIVE);
	}
}

static void commit_released(struct quiver_space *space, struct quiver_window *window)
{
	while (window) {
		struct quiver_window *next = window->next;

		uncount_window(space, window);
		quiver_window_free(window);
		window = next;
	}
}

/*
 * All idle windows but the keep youngest, and of these no more than may be kept, as a list: out of
 * the trees, still mapped by the host.
 */
static struct quiver_window *take_idle(struct quiver_space *space, size_t keep)
{
	struct quiver_window *list = NULL;

	while (space->idle_count > keep || space->idle_bytes > IDLE_BYTES_MAX) {
		struct quiver_window *window = space->idle_oldest;

		idle_remove(space, window);
		quiver_tree_remove(&space->by_gpa, &window->by_gpa);
		quiver_tree_remove(&space->by_iova, &window->by_iova);
		window->next = list;
		list = window;
	}
	return list;
}

static size_t idle_to_keep(const struct quiver_op *op)
{
	size_t batch = op->space->config.release_batch;

	if (op->flush)
		return 0;
	return op->space->idle_count < batch ? batch : batch / 2;
}

static void count_refusals(struct quiver_op *op)
{
	const struct quiver_window *window;

	for (window = op->created; window; window = window->next) {
		op->space->stats.refused_bytes += window->error == -E2BIG;
		op->space->stats.refused_mappings += window->error == -ENOSPC;
	}
}

/* Lets go of the space's lock for as long as the host takes. */
static void converse(struct quiver_op *op, struct quiver_window *released)
{
	struct quiver_space *space = op->space;
	struct exchange x = {
		.config = &space->config,
		.released = released,
		.created = op->created,
	};

	quiver_lock_pause(&space->lock);
	exchange(&x);
	quiver_lock_resume(&space->lock);
	space->stats.exits += x.exits;
	space->stats.maps += x.maps;
	space->stats.unmaps += x.unmaps;
	space->stats.unmap_errors += x.unmap_errors;
	count_refusals(op);
	commit_released(space, released);
}

static bool any_refused(const struct quiver_op *op)
{
	const struct quiver_window *window;

	for (window = op->created; window; window = window->next)
		if (refused(window))
			return true;
	return false;
}

/* Neither our idle windows nor those of other devices may cost a refusal. */
static bool relieve(struct quiver_op *op)
{
	const struct quiver_space_config *config = &op->space->config;
	bool relieved;

	if (op->space->idle)
		return true;
	if (!config->transport->relieve)
		return false;
	quiver_lock_pause(&op->space->lock);
	relieved = config->transport->relieve(config->context);
	quiver_lock_resume(&op->space->lock);
	return relieved;
}

int quiver_op_submit(struct quiver_op *op)
	QUIVER_RELEASES(&op->space->lock)
{
	struct quiver_space *space = op->space;
	struct quiver_window *released = take_idle(space, idle_to_keep(op));

	if (released || op->created)
		converse(op, released);
	while (any_refused(op) && relieve(op))
		converse(op, take_idle(space, 0));
	commit_created(op);
	quiver_lock_release(&space->lock, &op->flags);
	return op->error;
}

int quiver_window_resolve(const struct quiver_window *window, uint64_t gpa, uint64_t *iova)
{
	while (quiver_load_acquire(&window->state) == QUIVER_WINDOW_MAPPING)
		quiver_relax();
	if (window->error)
		return window->error;
	*iova = window->iova + (gpa - window->gpa.start);
	return 0;
}

void quiver_space_flush(struct quiver_space *space)
{
	struct quiver_op op;

	quiver_op_begin(&op, space);
	op.flush = true;
	quiver_op_submit(&op);
}

size_t quiver_space_fini(struct quiver_space *space)
{
	struct quiver_node *node;
	size_t used = 0;

	while ((node = quiver_tree_first(&space->by_gpa))) {
		struct quiver_window *window = by_gpa_entry(node);

		used += !!window->users;
		quiver_tree_remove(&space->by_gpa, node);
		uncount_window(space, window);
		quiver_window_free(window);
	}
	quiver_tree_init(&space->by_iova);
	space->idle = NULL;
	space->idle_oldest = NULL;
	space->idle_count = 0;
	space->idle_bytes = 0;
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
