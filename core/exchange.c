// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/* The end of an operation: what goes to the host, and what becomes of the answer. */
#include "core/internal.h"
#include "core/wire.h"

/* What goes to the host and back, in as few exits as the batch allows. */
struct exchange {
	const struct quiver_space_config *config;
	uint8_t flags;			/* of map entries */
	struct quiver_window *leaving, *created;
	uint64_t exits, maps, unmaps, unmap_errors;
	uint64_t unmapped_bytes;
};

static struct quiver_window *fill_leaving(struct exchange *x, struct quiver_dma_entry *entries,
					  size_t *count, size_t capacity)
{
	struct quiver_window *window = x->leaving;

	for (; window && *count < capacity; window = window->next)
		quiver_wire_encode_unmap(&entries[(*count)++], x->config->device,
					 window->by_iova.range);
	return window;
}

/* Not asked yet, or to be asked again. */
static bool wanted(const struct quiver_window *window)
{
	return window->error == -EINPROGRESS || quiver_window_refused(window);
}

static struct quiver_window *fill_created(struct exchange *x, struct quiver_dma_entry *entries,
					  size_t *count, size_t capacity)
{
	struct quiver_window *window = x->created;

	for (; window && *count < capacity; window = window->next)
		if (wanted(window))
			quiver_wire_encode_map(&entries[(*count)++], x->config->device,
					       window->by_gpa.range, x->flags);
	return window;
}

static void collect_leaving(struct exchange *x, const struct quiver_window *end,
			    const struct quiver_dma_entry **entry)
{
	while (x->leaving != end) {
		struct quiver_window *window = x->leaving;

		x->leaving = window->next;
		x->unmaps++;
		x->unmapped_bytes += window->by_gpa.range.length;
		x->unmap_errors += le32_to_cpu((*entry)->status) != QUIVER_S_OK;
		quiver_window_free(window);
		(*entry)++;
	}
}

static void collect_created(struct exchange *x, const struct quiver_window *end,
			    const struct quiver_dma_entry **entry)
{
	for (; x->created != end; x->created = x->created->next) {
		struct quiver_range *iova = &x->created->by_iova.range;

		if (!wanted(x->created))
			continue;
		x->maps++;
		x->created->error = quiver_wire_error(le32_to_cpu((*entry)->status));
		iova->start = le64_to_cpu((*entry)->iova);
		iova->length = x->created->by_gpa.range.length;
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

	while (x->leaving || x->created) {
		const struct quiver_dma_entry *entry = entries;
		const struct quiver_window *leaving, *created;
		size_t count = 0;

		leaving = fill_leaving(x, entries, &count, capacity);
		created = fill_created(x, entries, &count, capacity);
		if (count) {
			transport->ring(context, count);
			x->exits++;
		}
		collect_leaving(x, leaving, &entry);
		collect_created(x, created, &entry);
	}
	transport->close(context);
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
static void converse(struct quiver_op *op)
	QUIVER_HOLDS(&op->space->lock)
{
	struct quiver_space *space = op->space;
	struct exchange x = {
		.config = &space->config,
		.flags = QUIVER_DMA_READ | QUIVER_DMA_WRITE |
			 (op->vital ? space->config.vital_flags : 0),
		.leaving = op->leaving,
		.created = op->created,
	};
	bool leaving = op->leaving;

	space->leaving += leaving;
	quiver_lock_pause(&space->lock);
	exchange(&x);
	quiver_lock_resume(&space->lock);
	space->leaving -= leaving;
	quiver_store_release(&space->left, space->left + leaving);
	space->stats.exits += x.exits;
	space->stats.maps += x.maps;
	space->stats.unmaps += x.unmaps;
	space->stats.unmap_errors += x.unmap_errors;
	space->stats.windows -= x.unmaps;
	space->stats.bytes -= x.unmapped_bytes;
	op->leaving = NULL;
	count_refusals(op);
}

/* Bytes and mappings of the new windows: all of them, or those that were refused. */
static struct quiver_room created_size(const struct quiver_op *op, bool refused)
{
	struct quiver_room size = { 0, 0 };
	const struct quiver_window *window;

	for (window = op->created; window; window = window->next) {
		if (refused && !quiver_window_refused(window))
			continue;
		size.bytes += window->by_gpa.range.length;
		size.mappings++;
	}
	return size;
}

/*
 * How often one operation makes room anew before others that take it have won: enough to have all
 * the windows released that another device can have [D2], by quiver_space_flush(), and some.
 */
#define ATTEMPTS_MAX 272

/* Of what it releases from one refusal to the next: interrupts are off meanwhile. */
#define DOUBLINGS_MAX 8

/* What other CPUs are just releasing will be room in a moment. */
static void wait_for_left(struct quiver_space *space)
	QUIVER_HOLDS(&space->lock)
{
	unsigned int left = space->left;

	quiver_lock_pause(&space->lock);
	while (quiver_load_acquire(&space->left) == left)
		quiver_relax();
	quiver_lock_resume(&space->lock);
}

bool quiver_space_relieve(struct quiver_space *space)
{
	quiver_lock_flags_t flags;
	bool idle, leaving;

	quiver_lock_acquire(&space->lock, &flags);
	idle = space->stats.idle_windows;
	leaving = space->leaving;
	if (!idle && leaving)
		wait_for_left(space);
	quiver_lock_release(&space->lock, &flags);
	if (idle)
		quiver_space_flush(space);
	return idle || leaving;
}

/* Whether somebody else's releases may have made room. */
static bool relieve_others(struct quiver_space *space)
	QUIVER_HOLDS(&space->lock)
{
	const struct quiver_space_config *config = &space->config;
	bool relieved;

	if (space->leaving) {
		wait_for_left(space);
		return true;
	}
	if (!config->transport->relieve)
		return false;
	quiver_lock_pause(&space->lock);
	relieved = config->transport->relieve(config->context);
	quiver_lock_resume(&space->lock);
	return relieved;
}

static uint64_t shortage(uint64_t want, uint64_t room)
{
	return want > room ? want - room : 0;
}

/* Whether it would fit if nobody else had anything; the new windows count as used already. */
static bool fits_at_most(const struct quiver_space *space, struct quiver_room want,
			 struct quiver_room most)
{
	return space->stats.used_bytes <= most.bytes && want.mappings <= most.mappings;
}

/*
 * Releases, in the same exit, what would otherwise cost a refusal and another one. Or the error
 * that the host would give: there is no need to ask it, nor to release anything in vain.
 */
static int make_room(struct quiver_op *op)
{
	struct quiver_space *space = op->space;
	const struct quiver_space_config *config = &space->config;
	struct quiver_room want = created_size(op, false), room, most, shortages;
	unsigned int attempts = ATTEMPTS_MAX;

	if (!want.mappings || !config->transport->room)
		return 0;
	do {
		config->transport->room(config->context, &room, &most);
		shortages.bytes = shortage(want.bytes, room.bytes);
		shortages.mappings = shortage(want.mappings, room.mappings);
		if (shortages.bytes <= space->stats.idle_bytes &&
		    shortages.mappings <= space->stats.idle_windows) {
			quiver_idle_take(op, shortages.bytes, shortages.mappings);
			return 0;
		}
		/* Room first, the reserve second, of which the host alone knows. */
		if (op->vital) {
			quiver_idle_take(op, shortages.bytes, shortages.mappings);
			return 0;
		}
	} while (fits_at_most(space, want, most) && attempts-- && relieve_others(space));
	return shortages.bytes > space->stats.idle_bytes ? -E2BIG : -ENOSPC;
}

/* As if the host had said so. */
static void refuse_all(struct quiver_op *op, int error)
{
	struct quiver_window *window;

	for (window = op->created; window; window = window->next)
		window->error = error;
	count_refusals(op);
}

/*
 * After refusals: whether to ask again. No idle window, of this device or of another, may cost
 * one. Each doubles what goes: others take what is released, or the limits are lower than what
 * is in use.
 */
static bool relieve(struct quiver_op *op, unsigned int refusals)
{
	struct quiver_room want = created_size(op, true);
	unsigned int doublings = refusals < DOUBLINGS_MAX ? refusals : DOUBLINGS_MAX;

	if (!want.mappings)
		return false;
	quiver_idle_take(op, want.bytes << doublings, want.mappings << doublings);
	return op->leaving || relieve_others(op->space);
}

/* In no index, and nobody waits for it: what users it has free it. */
static void window_fail(struct quiver_space *space, struct quiver_window *window)
{
	space->stats.failed_host += window->error != -E2BIG && window->error != -ENOSPC &&
				    window->error != -ECANCELED;
	quiver_index_remove(&space->by_gpa, &window->by_gpa);
	quiver_window_uncount(space, window);
	if (window->users)
		quiver_store_release(&window->state, QUIVER_WINDOW_FAILED);
	else
		quiver_window_free(window);
}

static void window_publish(struct quiver_op *op, struct quiver_window *window)
{
	quiver_index_insert(&op->space->by_iova, &window->by_iova);
	/* A waiter may use the window as soon as its state is set. */
	quiver_store_release(&window->state, QUIVER_WINDOW_LIVE);
	if (!window->users)
		quiver_idle_add(op->space, window);
}

static void commit_created(struct quiver_op *op)
{
	struct quiver_window *window, *next;

	for (window = op->created; window; window = next) {
		next = window->next;
		window->next = NULL;
		if (window->error)
			window_fail(op->space, window);
		else
			window_publish(op, window);
	}
}

/* Releases only, where the answer about the new windows is known. */
static void send(struct quiver_op *op, int refusal)
{
	struct quiver_window *created = op->created;
	unsigned int refusals = 0;

	if (!refusal) {
		if (op->leaving || created)
			converse(op);
		while (refusals < ATTEMPTS_MAX && relieve(op, refusals++))
			converse(op);
		return;
	}
	op->created = NULL;
	if (op->leaving)
		converse(op);
	op->created = created;
	refuse_all(op, refusal);
}

int quiver_op_submit(struct quiver_op *op)
	QUIVER_RELEASES(&op->space->lock)
{
	/* After an error all that was added will be dropped: nothing is asked for in vain. */
	send(op, op->error ? -ECANCELED : make_room(op));
	commit_created(op);
	quiver_lock_release(&op->space->lock, &op->flags);
	return op->error;
}
