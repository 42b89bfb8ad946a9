// SPDX-License-Identifier: BSD-3-Clause
/* What stats says of random traces, against counting block by block and op by op. */
#include "model.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/trace/coverage.h"
#include "cli/trace/stats.h"

#define OPS		600u
#define SEGMENTS	12u		/* of a map, at most */
#define SPACE		(16ull << 20)	/* bytes of memory that segments lie in */
#define SHIFT_MIN	14u
#define BLOCKS		(SPACE >> SHIFT_MIN)

struct made {
	struct quiver_trace trace;
	struct quiver_trace_op ops[OPS];
	struct quiver_trace_segment segments[OPS * SEGMENTS];
};

static uint64_t length_below(struct model_random *random, uint64_t limit)
{
	uint64_t length = 1 + (model_random_next(random) & 0xffff) %
			  (1ull << (1 + model_random_below(random, 22)));

	return length < limit ? length : limit;
}

static void add_map(struct made *made, struct model_random *random)
{
	struct quiver_trace *trace = &made->trace;
	struct quiver_trace_op *op = &made->ops[trace->op_count++];

	*op = (struct quiver_trace_op){ .map = true, .list = model_random_below(random, 2),
					.first = trace->segment_count, .count = 1,
					.mate = SIZE_MAX };
	if (op->list)
		op->count += model_random_below(random, SEGMENTS);
	for (size_t i = 0; i < op->count; i++) {
		uint64_t address = model_random_below(random, SPACE);

		made->segments[trace->segment_count++] = (struct quiver_trace_segment){
			address, length_below(random, SPACE - address) };
	}
}

/* Of a random map that is live, if the first that is looked at is. */
static void add_unmap(struct made *made, struct model_random *random)
{
	struct quiver_trace *trace = &made->trace;
	size_t mate = model_random_below(random, trace->op_count);
	struct quiver_trace_op *op = &made->ops[trace->op_count];

	if (!made->ops[mate].map || made->ops[mate].mate != SIZE_MAX)
		return;
	*op = made->ops[mate];
	op->map = false;
	op->mate = mate;
	made->ops[mate].mate = trace->op_count++;
}

static struct made *make(struct model_random *random)
{
	struct made *made = calloc(1, sizeof(*made));
	uint64_t us = 0;

	assert_non_null(made);
	made->trace.ops = made->ops;
	made->trace.segments = made->segments;
	while (made->trace.op_count < OPS) {
		size_t before = made->trace.op_count;

		if (!before || model_random_below(random, 5) < 3)
			add_map(made, random);
		else
			add_unmap(made, random);
		if (made->trace.op_count > before)
			made->ops[before].us = us += model_random_below(random, 1000);
	}
	return made;
}

/* --- the model ------------------------------------------------------------------------------ */

struct counts {
	uint32_t users[BLOCKS];
	uint64_t blocks, shared, uses, shared_uses;
};

static void mark_blocks(const struct made *made, const struct quiver_trace_op *op,
			unsigned int shift, bool *touched)
{
	for (size_t i = 0; i < op->count; i++) {
		const struct quiver_trace_segment *segment = &made->segments[op->first + i];

		for (uint64_t at = segment->address >> shift;
		     at <= (segment->address + segment->length - 1) >> shift; at++)
			touched[at] = true;
	}
}

static void count_op(struct counts *counts, const struct made *made,
		     const struct quiver_trace_op *op, unsigned int shift)
{
	bool touched[BLOCKS] = { false };

	mark_blocks(made, op, shift, touched);
	counts->blocks = 0;
	counts->shared = 0;
	for (size_t i = 0; i < BLOCKS; i++) {
		if (touched[i] && op->map) {
			counts->uses++;
			counts->shared_uses += counts->users[i] > 0;
		}
		if (touched[i])
			counts->users[i] += op->map ? 1 : -1u;
		counts->blocks += counts->users[i] > 0;
		counts->shared += counts->users[i] > 1;
	}
}

static void check_coverage(const struct made *made, unsigned int shift)
{
	struct counts *counts = calloc(1, sizeof(*counts));
	struct quiver_coverage coverage;

	assert_non_null(counts);
	assert_int_equal(quiver_coverage_init(&coverage, &made->trace, shift), 0);
	for (size_t i = 0; i < made->trace.op_count; i++) {
		count_op(counts, made, &made->ops[i], shift);
		quiver_coverage_apply(&coverage, &made->trace, i);
		assert_int_equal(coverage.blocks, counts->blocks);
		assert_int_equal(coverage.shared, counts->shared);
		assert_int_equal(coverage.uses, counts->uses);
		assert_int_equal(coverage.shared_uses, counts->shared_uses);
	}
	quiver_coverage_free(&coverage);
	free(counts);
}

static void test_coverage(void **state)
{
	struct model_random random;

	model_random_init(&random, "coverage");
	for (unsigned int round = 0; round < 20; round++) {
		struct made *made = make(&random);

		check_coverage(made, SHIFT_MIN);
		check_coverage(made, 18);
		check_coverage(made, 21);
		free(made);
	}
}

static uint64_t most(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* Peaks, and how full pages were when bytes were most. */
static void check_stats(const struct made *made, const struct quiver_stats *stats)
{
	struct counts *counts = calloc(1, sizeof(*counts));
	uint64_t bytes = 0, segments = 0, maps = 0, bytes_peak = 0, segments_peak = 0;
	uint64_t maps_peak = 0, blocks_peak = 0, blocks_full = 0;

	assert_non_null(counts);
	for (size_t i = 0; i < made->trace.op_count; i++) {
		const struct quiver_trace_op *op = &made->ops[i];
		uint64_t sum = 0;

		for (size_t k = 0; k < op->count; k++)
			sum += made->segments[op->first + k].length;
		bytes += op->map ? sum : -sum;
		segments += op->map ? op->count : -op->count;
		maps += op->map ? 1 : -1ull;
		count_op(counts, made, op, SHIFT_MIN);
		if (bytes > bytes_peak)
			blocks_full = counts->blocks;
		bytes_peak = most(bytes_peak, bytes);
		segments_peak = most(segments_peak, segments);
		maps_peak = most(maps_peak, maps);
		blocks_peak = most(blocks_peak, counts->blocks);
		assert_int_equal(stats->points[i].pages, counts->blocks);
		assert_int_equal(stats->points[i].bytes, bytes);
	}
	free(counts);
	assert_int_equal(stats->peak.bytes, bytes_peak);
	assert_int_equal(stats->peak.segments, segments_peak);
	assert_int_equal(stats->peak.maps, maps_peak);
	assert_int_equal(stats->peak.pages, blocks_peak);
	assert_int_equal(stats->blocks[QUIVER_STATS_PAGE].blocks_full, blocks_full);
}

static void check_sums(const struct made *made, const struct quiver_stats *stats)
{
	uint64_t segments = 0, bytes = 0, lists = 0, all = 0;

	for (size_t i = 0; i < made->trace.segment_count; i++)
		all += made->segments[i].length;
	for (unsigned int i = 0; i < 64; i++) {
		segments += stats->size_segments[i];
		bytes += stats->size_bytes[i];
		lists += stats->list_lengths[i];
		if (stats->size_segments[i]) {
			assert_true(stats->size_bytes[i] >= stats->size_segments[i] << i);
			assert_true(stats->size_bytes[i] < stats->size_segments[i] << i << 1);
		}
	}
	assert_int_equal(segments, made->trace.segment_count);
	assert_int_equal(stats->segments, segments);
	assert_int_equal(bytes, all);
	assert_int_equal(stats->bytes, all);
	assert_int_equal(lists, stats->scatterlists);
	assert_int_equal(stats->maps + stats->unmaps, made->trace.op_count);
}

/* Every step holds the highest of what was at some moment of it. */
static void check_curve(const struct quiver_stats *stats, size_t limit)
{
	size_t count;
	struct quiver_stats_point *curve = quiver_stats_curve(stats, limit, &count);
	uint64_t bytes = 0, pages = 0;

	assert_non_null(curve);
	assert_in_range(count, 1, limit);
	for (size_t i = 0; i < count; i++) {
		bytes = most(bytes, curve[i].bytes);
		pages = most(pages, curve[i].pages);
		if (i)
			assert_true(curve[i].us > curve[i - 1].us);
	}
	assert_int_equal(bytes, stats->peak.bytes);
	assert_int_equal(pages, stats->peak.pages);
	assert_true(curve[0].us == stats->points[0].us);
	assert_true(curve[count - 1].us <= stats->points[stats->point_count - 1].us);
	free(curve);
}

static void test_stats(void **state)
{
	struct model_random random;

	model_random_init(&random, "stats");
	for (unsigned int round = 0; round < 20; round++) {
		struct made *made = make(&random);
		struct quiver_stats stats;

		assert_int_equal(quiver_stats_compute(&made->trace, &stats), 0);
		check_stats(made, &stats);
		check_sums(made, &stats);
		check_curve(&stats, 1);
		check_curve(&stats, 7);
		check_curve(&stats, 5000);
		quiver_stats_free(&stats);
		free(made);
	}
}

/* --- the edges ------------------------------------------------------------------------------ */

static void test_an_empty_trace(void **state)
{
	struct quiver_trace trace = { 0 };
	struct quiver_stats stats;
	size_t count = 7;

	assert_int_equal(quiver_stats_compute(&trace, &stats), 0);
	assert_int_equal(stats.peak.bytes, 0);
	assert_true(quiver_stats_density(&stats, 0) == 0);
	assert_null(quiver_stats_curve(&stats, 10, &count));
	assert_int_equal(count, 0);
	quiver_stats_free(&stats);
}

static void test_segments_beyond_any_memory(void **state)
{
	struct quiver_trace_segment segments[] = {
		{ 0, UINT64_MAX }, { UINT64_MAX, 1 }, { UINT64_MAX - 0x3fff, 0x4000 },
	};
	struct quiver_trace_op ops[] = {
		{ 0, true, false, 0, 1, 2 },
		{ 5, true, false, 1, 1, SIZE_MAX },
		{ 7, false, false, 0, 1, 0 },
		{ 9, true, false, 2, 1, SIZE_MAX },
	};
	struct quiver_trace trace = { .ops = ops, .op_count = 1, .segments = segments,
				      .segment_count = 1 };
	struct quiver_stats stats;

	assert_int_equal(quiver_stats_compute(&trace, &stats), 0);
	assert_int_equal(stats.peak.pages, 1ull << 50);
	quiver_stats_free(&stats);

	trace.op_count = 4;
	trace.segment_count = 3;
	assert_int_equal(quiver_stats_compute(&trace, &stats), -ERANGE);
	assert_null(stats.points);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_coverage),
		cmocka_unit_test(test_stats),
		cmocka_unit_test(test_an_empty_trace),
		cmocka_unit_test(test_segments_beyond_any_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
