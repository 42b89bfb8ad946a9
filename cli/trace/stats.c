// SPDX-License-Identifier: BSD-3-Clause
#include "stats.h"

#include <errno.h>
#include <stdlib.h>

#include "coverage.h"

#define SEGMENT_4K	4096u

const unsigned int quiver_stats_shifts[QUIVER_STATS_BLOCKS] = { 14, 18, 21 };

static uint64_t highest(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* Of what is not 0. */
static unsigned int power_of_two(uint64_t value)
{
	return 63 - (unsigned int)__builtin_clzll(value);
}

/* Everything else that is added up is less. */
static int add_up_bytes(const struct quiver_trace *trace, struct quiver_stats *stats)
{
	for (size_t i = 0; i < trace->segment_count; i++)
		if (__builtin_add_overflow(stats->bytes, trace->segments[i].length, &stats->bytes))
			return -ERANGE;
	stats->segments = trace->segment_count;
	return 0;
}

static void count_sizes(const struct quiver_trace *trace, struct quiver_stats *stats)
{
	for (size_t i = 0; i < trace->segment_count; i++) {
		uint64_t length = trace->segments[i].length;

		stats->size_segments[power_of_two(length)]++;
		stats->size_bytes[power_of_two(length)] += length;
		stats->segments_4k += length == SEGMENT_4K;
	}
}

static void count_maps(const struct quiver_trace *trace, struct quiver_stats *stats)
{
	for (size_t i = 0; i < trace->op_count; i++) {
		const struct quiver_trace_op *op = &trace->ops[i];

		if (!op->map)
			continue;
		stats->maps++;
		if (!op->list)
			continue;
		stats->scatterlists++;
		stats->list_lengths[power_of_two(op->count)]++;
		stats->segments_max = highest(stats->segments_max, op->count);
	}
	stats->unmaps = trace->op_count - stats->maps;
}

static uint64_t op_bytes(const struct quiver_trace *trace, const struct quiver_trace_op *op)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < op->count; i++)
		bytes += trace->segments[op->first + i].length;
	return bytes;
}

static void apply(struct quiver_stats_point *now, const struct quiver_trace *trace,
		  const struct quiver_trace_op *op)
{
	uint64_t bytes = op_bytes(trace, op);

	/* Clocks of several processors may differ a little; the order of the ops is right. */
	now->us = highest(now->us, op->us);
	now->bytes += op->map ? bytes : -bytes;
	now->segments += op->map ? op->count : -(uint64_t)op->count;
	now->maps += op->map ? 1 : -(uint64_t)1;
}

static int follow_ops(const struct quiver_trace *trace, struct quiver_stats *stats)
{
	struct quiver_stats_point now = { 0 }, *peak = &stats->peak;

	stats->points = calloc(trace->op_count ? trace->op_count : 1, sizeof(*stats->points));
	if (!stats->points)
		return -ENOMEM;
	stats->point_count = trace->op_count;
	for (size_t i = 0; i < trace->op_count; i++) {
		apply(&now, trace, &trace->ops[i]);
		stats->points[i] = now;
		if (now.bytes > peak->bytes)
			peak->us = now.us;
		peak->bytes = highest(peak->bytes, now.bytes);
		peak->segments = highest(peak->segments, now.segments);
		peak->maps = highest(peak->maps, now.maps);
	}
	if (trace->op_count)
		stats->us = now.us - trace->ops[0].us;
	return 0;
}

static void follow_op(const struct quiver_trace *trace, struct quiver_stats *stats, size_t op,
		      struct quiver_coverage *coverage, size_t block, bool *full)
{
	struct quiver_stats_block *result = &stats->blocks[block];

	quiver_coverage_apply(coverage, trace, op);
	result->blocks_peak = highest(result->blocks_peak, coverage->blocks);
	result->shared_peak = highest(result->shared_peak, coverage->shared);
	/* The first time that the most bytes are live. */
	if (!*full && stats->points[op].bytes == stats->peak.bytes) {
		result->blocks_full = coverage->blocks;
		*full = true;
	}
	if (block == QUIVER_STATS_PAGE)
		stats->points[op].pages = coverage->blocks;
}

static int follow_blocks(const struct quiver_trace *trace, struct quiver_stats *stats,
			 size_t block)
{
	struct quiver_coverage coverage;
	bool full = false;
	int error = quiver_coverage_init(&coverage, trace, quiver_stats_shifts[block]);

	if (error)
		return error;
	for (size_t i = 0; i < trace->op_count; i++)
		follow_op(trace, stats, i, &coverage, block, &full);
	stats->blocks[block].uses = coverage.uses;
	stats->blocks[block].shared_uses = coverage.shared_uses;
	quiver_coverage_free(&coverage);
	return 0;
}

int quiver_stats_compute(const struct quiver_trace *trace, struct quiver_stats *stats)
{
	int error;

	*stats = (struct quiver_stats){ 0 };
	error = add_up_bytes(trace, stats);
	if (!error)
		error = follow_ops(trace, stats);
	for (size_t i = 0; i < QUIVER_STATS_BLOCKS && !error; i++)
		error = follow_blocks(trace, stats, i);
	if (error) {
		quiver_stats_free(stats);
		return error;
	}
	count_sizes(trace, stats);
	count_maps(trace, stats);
	stats->peak.pages = stats->blocks[QUIVER_STATS_PAGE].blocks_peak;
	return 0;
}

double quiver_stats_density(const struct quiver_stats *stats, size_t block)
{
	uint64_t blocks = stats->blocks[block].blocks_full;
	double size = (double)(1ull << quiver_stats_shifts[block]);

	return blocks ? (double)stats->peak.bytes / ((double)blocks * size) : 0;
}

static void merge(struct quiver_stats_point *into, const struct quiver_stats_point *point)
{
	into->bytes = highest(into->bytes, point->bytes);
	into->pages = highest(into->pages, point->pages);
	into->segments = highest(into->segments, point->segments);
	into->maps = highest(into->maps, point->maps);
}

struct quiver_stats_point *quiver_stats_curve(const struct quiver_stats *stats, size_t limit,
					      size_t *count)
{
	struct quiver_stats_point *curve, held = { 0 };
	uint64_t first, step;
	size_t next = 0;

	*count = 0;
	if (!stats->point_count)
		return NULL;
	curve = calloc(limit, sizeof(*curve));
	if (!curve)
		return NULL;
	first = stats->points[0].us;
	step = stats->us / limit + 1;
	for (uint64_t start = first; next < stats->point_count; start += step) {
		struct quiver_stats_point *point = &curve[(*count)++];

		*point = held;
		point->us = start;
		for (; next < stats->point_count && stats->points[next].us - start < step; next++) {
			held = stats->points[next];
			merge(point, &held);
		}
	}
	return curve;
}

void quiver_stats_free(struct quiver_stats *stats)
{
	free(stats->points);
	*stats = (struct quiver_stats){ 0 };
}
