// SPDX-License-Identifier: BSD-3-Clause
#include "cli/trace/replay.h"

#include <assert.h>
#include <stdlib.h>
#include <uthash.h>

#include "core/budget.h"
#include "core/wire.h"
#include "simmac/dart.h"

#define GRANULE_SHIFT	14u		/* [D4] */
#define BATCH		4096u		/* as quiver.ko's queues */
#define TICK_US		(QUIVER_IDLE_SECONDS * UINT64_C(1000000))

/* A page of DART under so many live segments. */
struct page {
	uint64_t number;
	uint64_t users;
	UT_hash_handle hh;
};

struct quiver_replay {
	struct quiver_replay_config config;
	struct quiver_space space;
	struct simmac_dart *dart;
	struct quiver_account account;
	struct quiver_budget budget;
	struct quiver_dma_entry batch[BATCH];
	struct page *pages;
	uint64_t live_bytes;
	uint64_t operations;		/* of the space, at the last tick */
	bool sampling;
	size_t sample_room;
	struct quiver_window **windows;	/* of the trace's segments; NULL: not mapped */
	struct quiver_replay_result result;
};

/* --- the host ----------------------------------------------------------------------------------- */

static struct quiver_dma_entry *host_open(void *context, size_t *capacity)
{
	struct quiver_replay *replay = context;

	*capacity = BATCH;
	return replay->batch;
}

static enum quiver_wire_status host_map(struct quiver_replay *replay,
					const struct quiver_wire_request *request, uint64_t *iova)
{
	uint64_t length = request->gpa.length;
	int error = quiver_budget_take(&replay->budget, 0, length,
				       request->flags & QUIVER_DMA_VITAL);

	if (error)
		return quiver_wire_status(error);
	error = simmac_dart_map(replay->dart, 1, request->gpa.start, length, iova);
	if (!error)
		return QUIVER_S_OK;
	quiver_budget_release(&replay->budget, 0, length);
	return QUIVER_S_IO;
}

static enum quiver_wire_status host_unmap(struct quiver_replay *replay, struct quiver_range iova)
{
	if (simmac_dart_unmap(replay->dart, iova.start, iova.length, false))
		return QUIVER_S_NOENT;
	quiver_budget_release(&replay->budget, 0, iova.length);
	return QUIVER_S_OK;
}

static void host_ring(void *context, size_t count)
{
	struct quiver_replay *replay = context;
	struct quiver_wire_request request;

	for (size_t i = 0; i < count; i++) {
		struct quiver_dma_entry *entry = &replay->batch[i];
		uint32_t status = quiver_wire_decode(entry, GRANULE_SHIFT, 1, QUIVER_FEATURES_ALL,
						     &request);
		uint64_t iova = 0;

		if (status == QUIVER_S_OK && request.op == QUIVER_OP_MAP)
			status = host_map(replay, &request, &iova);
		else if (status == QUIVER_S_OK)
			status = host_unmap(replay, request.iova);
		if (status == QUIVER_S_OK && request.op == QUIVER_OP_MAP)
			entry->iova = iova;
		entry->status = status;
	}
}

static void host_close(void *context)
{
}

static void host_room(void *context, struct quiver_room *room, struct quiver_room *most)
{
	struct quiver_replay *replay = context;
	struct quiver_amount amount = quiver_budget_room(&replay->budget, 0);

	room->bytes = amount.bytes;
	room->mappings = amount.mappings;
	most->bytes = replay->budget.bytes.limit - replay->budget.bytes.reserve;
	most->mappings = replay->budget.mappings.limit - replay->budget.mappings.reserve;
}

static const struct quiver_transport transport = {
	.open = host_open,
	.ring = host_ring,
	.close = host_close,
	.room = host_room,
};

/* --- what is live ------------------------------------------------------------------------------- */

static void live_add(struct quiver_replay *replay, const struct quiver_trace_segment *segment)
{
	uint64_t last = (segment->address + (segment->length - 1)) >> GRANULE_SHIFT;
	struct page *page;

	for (uint64_t n = segment->address >> GRANULE_SHIFT; n <= last; n++) {
		HASH_FIND(hh, replay->pages, &n, sizeof(n), page);
		if (!page) {
			page = calloc(1, sizeof(*page));
			if (!page)
				abort();
			page->number = n;
			HASH_ADD(hh, replay->pages, number, sizeof(n), page);
		}
		if (!page->users++)
			replay->live_bytes += 1u << GRANULE_SHIFT;
	}
}

static void live_remove(struct quiver_replay *replay, const struct quiver_trace_segment *segment)
{
	uint64_t last = (segment->address + (segment->length - 1)) >> GRANULE_SHIFT;
	struct page *page;

	for (uint64_t n = segment->address >> GRANULE_SHIFT; n <= last; n++) {
		HASH_FIND(hh, replay->pages, &n, sizeof(n), page);
		if (!--page->users)
			replay->live_bytes -= 1u << GRANULE_SHIFT;
	}
}

static void pages_free(struct quiver_replay *replay)
{
	struct page *page, *next;

	HASH_ITER(hh, replay->pages, page, next) {
		HASH_DEL(replay->pages, page);
		free(page);
	}
}

static void highest(uint64_t *peak, uint64_t value)
{
	if (value > *peak)
		*peak = value;
}

static void sample(struct quiver_replay *replay, uint64_t us)
{
	struct quiver_replay_result *result = &replay->result;
	struct quiver_space_stats stats = quiver_space_stats(&replay->space);

	highest(&result->peak_live_bytes, replay->live_bytes);
	highest(&result->peak_used_bytes, stats.used_bytes);
	if (stats.used_bytes > replay->config.limit_bytes / 2) {
		double ratio = (double)stats.used_bytes /
			       (double)(replay->live_bytes ? replay->live_bytes : 1);

		if (ratio > result->worst_used_ratio)
			result->worst_used_ratio = ratio;
	}
	if (!replay->sampling)
		return;
	if (result->sample_count == replay->sample_room) {
		replay->sample_room = replay->sample_room ? 2 * replay->sample_room : 4096;
		result->samples = reallocarray(result->samples, replay->sample_room,
					       sizeof(*result->samples));
		if (!result->samples)
			abort();
	}
	result->samples[result->sample_count++] = (struct quiver_plot_sample){
		.us = us,
		.live_bytes = replay->live_bytes,
		.used_bytes = stats.used_bytes,
		.mapped_bytes = stats.bytes,
		.mappings = stats.windows,
	};
}

/* --- operations, as guest/dma_ops.c does them ----------------------------------------------------- */

static void drop(struct quiver_replay *replay, const struct quiver_trace *trace,
		 const struct quiver_trace_op *op)
{
	struct quiver_op dma;

	quiver_op_begin(&dma, &replay->space);
	for (size_t i = op->first; i < op->first + op->count; i++) {
		const struct quiver_trace_segment *segment = &trace->segments[i];

		quiver_op_drop(&dma, replay->windows[i], segment->address, segment->length);
		replay->windows[i] = NULL;
	}
	quiver_op_submit(&dma);
}

static int try_map(struct quiver_replay *replay, const struct quiver_trace *trace,
		   const struct quiver_trace_op *op, bool exact, bool *generous)
{
	const struct quiver_trace_segment *segment = &trace->segments[op->first];
	struct quiver_window **window = &replay->windows[op->first];
	struct quiver_op dma;
	uint64_t iova;
	int error;

	quiver_op_begin(&dma, &replay->space);
	dma.exact = exact;
	for (size_t i = 0; i < op->count; i++)
		quiver_op_expect(&dma, segment[i].address, segment[i].length);
	for (size_t i = 0; i < op->count; i++)
		quiver_op_add(&dma, segment[i].address, segment[i].length, &window[i]);
	error = quiver_op_submit(&dma);
	*generous = dma.generous;
	for (size_t i = 0; i < op->count; i++) {
		int unresolved = window[i] ? quiver_window_resolve(window[i], segment[i].address,
								   &iova) : -ENOMEM;

		error = error ? error : unresolved;
	}
	return error;
}

static void map(struct quiver_replay *replay, const struct quiver_trace *trace,
		const struct quiver_trace_op *op)
{
	bool generous;
	int error = try_map(replay, trace, op, false, &generous);

	if (quiver_exact_may_do(generous, error)) {
		drop(replay, trace, op);
		error = try_map(replay, trace, op, true, &generous);
	}
	replay->result.segments += op->count;
	if (error) {
		drop(replay, trace, op);
		replay->result.failed_segments += op->count;
		return;
	}
	for (size_t i = op->first; i < op->first + op->count; i++)
		live_add(replay, &trace->segments[i]);
}

static void unmap(struct quiver_replay *replay, const struct quiver_trace *trace,
		  const struct quiver_trace_op *op)
{
	struct quiver_op dma;
	uint64_t iova;

	if (!replay->windows[op->first])
		return;
	quiver_op_begin(&dma, &replay->space);
	for (size_t i = op->first; i < op->first + op->count; i++) {
		const struct quiver_trace_segment *segment = &trace->segments[i];
		bool known;

		quiver_window_resolve(replay->windows[i], segment->address, &iova);
		known = quiver_op_remove(&dma, iova, segment->length);
		assert(known);
		replay->windows[i] = NULL;
		live_remove(replay, segment);
	}
	quiver_op_submit(&dma);
}

/* quiver.ko looks every so often whether nothing has happened since it looked last. */
static void tick(struct quiver_replay *replay, uint64_t us, uint64_t *next)
{
	if (us < *next)
		return;
	/* The first tick after the last operation, and the second: more change nothing. */
	if (us - *next >= TICK_US || replay->operations == replay->space.operations)
		while (quiver_space_flush(&replay->space))
			;
	replay->operations = replay->space.operations;
	*next = us - us % TICK_US + TICK_US;
}

/* What the trace leaves mapped goes the way of a driver that unbinds. */
static void unmap_rest(struct quiver_replay *replay, const struct quiver_trace *trace)
{
	for (size_t i = 0; i < trace->op_count; i++)
		if (trace->ops[i].map)
			unmap(replay, trace, &trace->ops[i]);
}

void quiver_replay_run(struct quiver_replay *replay, const struct quiver_trace *trace)
{
	uint64_t next = TICK_US;

	replay->windows = calloc(trace->segment_count + 1, sizeof(*replay->windows));
	if (!replay->windows)
		abort();
	replay->operations = replay->space.operations;
	for (size_t i = 0; i < trace->op_count; i++) {
		const struct quiver_trace_op *op = &trace->ops[i];

		tick(replay, op->us, &next);
		if (op->map)
			map(replay, trace, op);
		else
			unmap(replay, trace, op);
		sample(replay, op->us);
	}
	unmap_rest(replay, trace);
	free(replay->windows);
	replay->windows = NULL;
}

/* --- the whole ---------------------------------------------------------------------------------- */

struct quiver_replay_result quiver_replay_result(const struct quiver_replay *replay)
{
	struct quiver_replay_result result = replay->result;
	const struct quiver_space_stats *stats = &replay->space.stats;

	result.map_calls = stats->maps;
	result.unmap_calls = stats->unmaps;
	result.exits = stats->exits;
	result.peak_bytes = replay->budget.bytes.peak;
	result.peak_mappings = replay->budget.mappings.peak;
	return result;
}

void quiver_replay_note_later(struct quiver_replay *replay, uint64_t segments)
{
	replay->result.later_failed_segments += segments;
}

static int host_init(struct quiver_replay *replay)
{
	const struct quiver_amount limit = { replay->config.limit_bytes,
					     replay->config.limit_mappings };
	struct simmac_dart_config dart = simmac_dart_defaults;

	dart.limit_bytes = limit.bytes;
	dart.limit_mappings = limit.mappings;
	/* A third more addresses than bytes, as the defaults have. */
	dart.aperture_size = ((limit.bytes / 3 * 4 >> GRANULE_SHIFT) + 1) << GRANULE_SHIFT;
	quiver_budget_init(&replay->budget, &replay->account, 1);
	quiver_budget_set_limit(&replay->budget, limit, quiver_budget_reserve_of(limit));
	quiver_budget_attach(&replay->budget, 0);
	replay->dart = simmac_dart_new(&dart);
	return replay->dart ? 0 : -ENOMEM;
}

struct quiver_replay *quiver_replay_new(const struct quiver_replay_config *config, bool samples)
{
	struct quiver_replay *replay = calloc(1, sizeof(*replay));
	struct quiver_space_config space = {
		.policy = config->policy,
		.transport = &transport,
		.context = replay,
		.granule_shift = GRANULE_SHIFT,
		.strict = config->strict,
	};

	if (!replay)
		return NULL;
	replay->config = *config;
	replay->sampling = samples;
	if (host_init(replay) || quiver_space_init(&replay->space, &space)) {
		quiver_replay_free(replay);
		return NULL;
	}
	return replay;
}

void quiver_replay_free(struct quiver_replay *replay)
{
	if (!replay)
		return;
	quiver_space_fini(&replay->space);
	simmac_dart_free(replay->dart);
	pages_free(replay);
	free(replay->result.samples);
	free(replay);
}
