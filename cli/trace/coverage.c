// SPDX-License-Identifier: BSD-3-Clause
#include "coverage.h"

#include <errno.h>
#include <stdlib.h>

#include "core/range.h"

/* The blocks that a segment touches: from first up to, not including, end. */
struct blocks {
	uint64_t first, end;
};

static struct blocks blocks_of(const struct quiver_coverage *coverage,
			       const struct quiver_trace_segment *segment)
{
	struct quiver_range range = { segment->address, segment->length };

	return (struct blocks){ range.start >> coverage->shift,
				(quiver_range_last(range) >> coverage->shift) + 1 };
}

static int compare(const void *a, const void *b)
{
	uint64_t left = ((const struct quiver_coverage_interval *)a)->start;
	uint64_t right = ((const struct quiver_coverage_interval *)b)->start;

	return left < right ? -1 : left > right;
}

static void drop_duplicates(struct quiver_coverage *coverage)
{
	struct quiver_coverage_interval *intervals = coverage->intervals;
	size_t kept = 0;

	for (size_t i = 0; i < coverage->count; i++)
		if (!i || intervals[i].start != intervals[kept - 1].start)
			intervals[kept++] = intervals[i];
	coverage->count = kept;
}

int quiver_coverage_init(struct quiver_coverage *coverage, const struct quiver_trace *trace,
			 unsigned int shift)
{
	size_t bounds = trace->segment_count * 2;

	*coverage = (struct quiver_coverage){ .shift = shift, .count = bounds };
	coverage->intervals = calloc(bounds ? bounds : 1, sizeof(*coverage->intervals));
	if (!coverage->intervals)
		return -ENOMEM;
	for (size_t i = 0; i < trace->segment_count; i++) {
		struct blocks blocks = blocks_of(coverage, &trace->segments[i]);

		coverage->intervals[2 * i].start = blocks.first;
		coverage->intervals[2 * i + 1].start = blocks.end;
	}
	qsort(coverage->intervals, bounds, sizeof(*coverage->intervals), compare);
	drop_duplicates(coverage);
	return 0;
}

/* Every first block of a segment begins an interval. */
static struct quiver_coverage_interval *find(const struct quiver_coverage *coverage,
					     uint64_t first)
{
	const struct quiver_coverage_interval key = { .start = first };

	return bsearch(&key, coverage->intervals, coverage->count, sizeof(key), compare);
}

static void use(struct quiver_coverage *coverage, struct quiver_coverage_interval *interval)
{
	uint64_t blocks = interval[1].start - interval->start;

	coverage->uses += blocks;
	if (!interval->users)
		coverage->blocks += blocks;
	else
		coverage->shared_uses += blocks;
	if (interval->users == 1)
		coverage->shared += blocks;
	interval->users++;
}

static void leave(struct quiver_coverage *coverage, struct quiver_coverage_interval *interval)
{
	uint64_t blocks = interval[1].start - interval->start;

	interval->users--;
	if (!interval->users)
		coverage->blocks -= blocks;
	if (interval->users == 1)
		coverage->shared -= blocks;
}

static void apply_segment(struct quiver_coverage *coverage,
			  const struct quiver_trace_segment *segment, bool map, size_t mark)
{
	struct blocks blocks = blocks_of(coverage, segment);
	struct quiver_coverage_interval *interval = find(coverage, blocks.first);

	for (; interval->start < blocks.end; interval++) {
		if (interval->seen == mark)
			continue;
		interval->seen = mark;
		if (map)
			use(coverage, interval);
		else
			leave(coverage, interval);
	}
}

void quiver_coverage_apply(struct quiver_coverage *coverage, const struct quiver_trace *trace,
			   size_t index)
{
	const struct quiver_trace_op *op = &trace->ops[index];

	for (size_t i = 0; i < op->count; i++)
		apply_segment(coverage, &trace->segments[op->first + i], op->map, index + 1);
}

void quiver_coverage_free(struct quiver_coverage *coverage)
{
	free(coverage->intervals);
	*coverage = (struct quiver_coverage){ 0 };
}
