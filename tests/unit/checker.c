// SPDX-License-Identifier: BSD-3-Clause
/* Recounts everything from the live segments, and compares. */
#include "checker.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/internal.h"
#include "promise.h"

static uint64_t granules(uint64_t bytes)
{
	return bytes >> MODEL_SHIFT;
}

/* --- the recount ------------------------------------------------------------------------------ */

/* All of it in one mapping, at its own place there. */
static void recount_segment(struct checker *checker, const struct model_segment *segment)
{
	struct model_host *host = &checker->host;
	struct model_mapping *mapping = model_host_at(host, segment->iova);
	uint64_t offset, last;

	assert_int_not_equal(segment->iova, 0);
	assert_non_null(mapping);
	assert_false(mapping->orphan);
	offset = segment->iova - mapping->iova;
	assert_true(mapping->gpa.start + offset == segment->gpa);
	assert_true(segment->length <= mapping->gpa.length - offset);
	last = granules(segment->iova - host->base + (segment->length - 1));
	for (uint64_t i = granules(segment->iova - host->base); i <= last; i++) {
		assert_ptr_equal(&host->mapping[host->slot[i] - 1], mapping);
		mapping->touched += checker->mark[i] != checker->epoch;
		checker->mark[i] = checker->epoch;
	}
	mapping->users++;
	checker->now.segments++;
}

/* Very large ones count as touched throughout, and those for whose counts there was no storage. */
static bool is_counted(const struct checker *checker, const struct model_mapping *mapping)
{
	struct quiver_range iova = { mapping->iova, 1 };
	struct quiver_index_node *node = quiver_index_find(&checker->space.by_iova, iova);

	assert_non_null(node);
	return quiver_window_by_iova(node)->counted;
}

static void recount_mapping(struct checker *checker, struct model_mapping *mapping)
{
	struct checker_totals *now = &checker->now;
	uint64_t length = mapping->gpa.length;

	now->windows++;
	now->bytes += length;
	if (!mapping->users)
		return;
	now->used_windows++;
	now->used_bytes += length;
	if (!is_counted(checker, mapping))
		mapping->touched = granules(length);
	now->touched += mapping->touched;
	now->waste += granules(length) - mapping->touched;
}

void checker_recount(struct checker *checker)
{
	struct model_host *host = &checker->host;

	if (!checker->mark)
		checker->mark = calloc(host->slots, sizeof(*checker->mark));
	assert_non_null(checker->mark);
	memset(&checker->now, 0, sizeof(checker->now));
	checker->epoch++;
	for (size_t i = 0; i < host->mapping_count; i++)
		host->mapping[i].users = host->mapping[i].touched = 0;
	for (size_t m = 0; m < CHECKER_MAPS; m++)
		for (size_t i = 0; i < checker->map[m].count; i++)
			recount_segment(checker, &checker->map[m].segment[i]);
	for (size_t i = 0; i < host->mapping_count; i++)
		if (host->mapping[i].live && !host->mapping[i].orphan)
			recount_mapping(checker, &host->mapping[i]);
}

/* --- comparison ------------------------------------------------------------------------------- */

static void check_windows(const struct checker *checker, const struct quiver_space_stats *stats)
{
	const struct checker_totals *now = &checker->now;

	assert_int_equal(stats->windows, now->windows);
	assert_int_equal(stats->bytes, now->bytes);
	assert_int_equal(stats->used_bytes, now->used_bytes);
	assert_int_equal(stats->idle_windows, now->windows - now->used_windows);
	assert_int_equal(stats->idle_bytes, now->bytes - now->used_bytes);
	if (!checker->mislaid) {
		assert_int_equal(checker->space.touched, now->touched);
		assert_int_equal(checker->space.waste, now->waste);
	}
	/* Whatever drivers say, each granule of a used window is the one or the other. */
	assert_int_equal(checker->space.touched + checker->space.waste,
			 granules(now->used_bytes));
	assert_int_equal(model_windows_live() - checker->windows_before, now->windows +
			 (checker->peer ? checker->peer->now.windows : 0));
}

static void check_traffic(const struct checker *checker, const struct quiver_space_stats *stats)
{
	const struct model_host *host = &checker->host;

	assert_int_equal(host->malformed, 0);
	assert_int_equal(stats->windows, host->mappings - host->orphans);
	assert_int_equal(stats->bytes, host->bytes - host->orphan_bytes);
	assert_int_equal(stats->exits, host->rings);
	assert_int_equal(stats->maps, host->maps);
	assert_int_equal(stats->unmaps, host->unmaps);
	assert_int_equal(stats->unmap_errors, host->unmap_errors);
	assert_int_equal(stats->refused_bytes, host->refused_bytes + checker->refused_bytes);
	assert_int_equal(stats->refused_mappings,
			 host->refused_mappings + checker->refused_mappings);
	assert_int_equal(stats->failed_host, checker->failed_host);
	assert_int_equal(stats->failed_memory, checker->failed_memory);
	assert_int_equal(stats->segments, checker->segments);
	assert_int_equal(stats->segments_removed, checker->segments_removed);
	assert_int_equal(stats->segments - stats->segments_removed - checker->forgotten,
			 checker->now.segments);
	assert_int_equal(stats->bad_unmaps, checker->bad_unmaps);
}

static void check_peaks(struct checker *checker, const struct quiver_space_stats *stats)
{
	const struct quiver_space_stats *before = &checker->before;

	assert_true(stats->windows_peak >= stats->windows);
	assert_true(stats->windows_peak >= before->windows_peak);
	assert_true(stats->bytes_peak >= stats->bytes);
	assert_true(stats->bytes_peak >= before->bytes_peak);
	assert_true(stats->used_bytes_peak >= stats->used_bytes);
	assert_true(stats->used_bytes_peak >= before->used_bytes_peak);
	assert_true(checker->space.touched_peak >= checker->space.touched);
	checker->before = *stats;
}

/* Each list has the windows of its class, those that came last first. */
static uint64_t check_idle_list(const struct checker *checker, unsigned int class)
{
	const struct quiver_space *space = &checker->space;
	const struct quiver_window *window, *previous = NULL;
	uint64_t count = 0;

	for (window = space->idle[class].newest; window; window = window->next) {
		struct model_mapping *mapping =
			model_host_at(&checker->host, window->by_iova.range.start);

		assert_true(window->idle && !window->users && !window->touched);
		assert_int_equal(window->state, QUIVER_WINDOW_LIVE);
		assert_int_equal(quiver_window_granules(space, window) >> class, 1);
		assert_ptr_equal(window->previous, previous);
		assert_true(!previous || previous->idle_since >= window->idle_since);
		assert_non_null(mapping);
		assert_true(quiver_range_equal(mapping->gpa, window->by_gpa.range));
		assert_int_equal(mapping->users, 0);
		previous = window;
		count++;
	}
	assert_ptr_equal(space->idle[class].oldest, previous);
	return count;
}

/* Whether some map was had at the second attempt. */
static bool has_exact(const struct checker *checker)
{
	for (size_t m = 0; m < CHECKER_MAPS; m++)
		if (checker->map[m].count && checker->map[m].exact)
			return true;
	return false;
}

static void check_idle(const struct checker *checker, const struct quiver_space_stats *stats)
{
	uint64_t count = 0;

	for (unsigned int class = 0; class < QUIVER_IDLE_CLASSES; class++)
		count += check_idle_list(checker, class);
	assert_int_equal(stats->idle_windows, count);
	if (checker->strict || !checker->policy->keeps_idle)
		assert_int_equal(count, 0);
	if (checker->strict && !checker->partly && !has_exact(checker))
		assert_int_equal(checker->now.waste, 0);
}

/* One window, found by either address, that counts what was recounted. */
static void check_window(const struct checker *checker, const struct model_mapping *mapping)
{
	const struct quiver_space *space = &checker->space;
	struct quiver_index_node *node = quiver_index_find(
		&space->by_iova, (struct quiver_range){ mapping->iova, mapping->gpa.length });
	const struct quiver_window *window = quiver_window_by_iova(node);
	struct quiver_index_search search;
	unsigned int equal = 0;

	assert_non_null(window);
	assert_int_equal(window->state, QUIVER_WINDOW_LIVE);
	assert_int_equal(window->users, mapping->users);
	/* Storage for few counts is never short alone. */
	assert_true(window->counted || granules(mapping->gpa.length) > 64);
	if (!checker->mislaid)
		assert_int_equal(window->touched, mapping->touched);
	quiver_index_search(&space->by_gpa, mapping->gpa, &search);
	while ((node = quiver_index_next(&search))) {
		if (!quiver_range_equal(node->range, mapping->gpa))
			continue;
		assert_ptr_equal(quiver_window_by_gpa(node), window);
		equal++;
	}
	assert_int_equal(equal, 1);
}

static void check_indices(const struct checker *checker)
{
	const struct model_host *host = &checker->host;

	assert_int_equal(checker->space.by_gpa.count, checker->now.windows);
	assert_int_equal(checker->space.by_iova.count, checker->now.windows);
	for (size_t i = 0; i < host->mapping_count; i++)
		if (host->mapping[i].live && !host->mapping[i].orphan)
			check_window(checker, &host->mapping[i]);
}

/* What the description of the policy says is this segment's window. */
static void check_choice(const struct checker *checker, const struct checker_map *map, size_t i)
{
	const struct model_segment *segment = &map->segment[i];
	const struct model_mapping *mapping = model_host_at(&checker->host, segment->iova);
	uint64_t last = segment->gpa + (segment->length - 1), size = MODEL_GRANULE, start;

	if (checker->policy == &quiver_policy_fixed256k && !map->exact &&
	    !checker->space.config.strict &&
	    segment->gpa / 0x40000 == last / 0x40000)
		size = 0x40000;
	start = segment->gpa / size * size;
	assert_true(mapping->gpa.start == start);
	assert_true(mapping->gpa.length == (last / size + 1) * size - start);
}

static void check_choices(const struct checker *checker)
{
	if (checker->policy == &quiver_policy_planner)
		return;
	for (size_t m = 0; m < CHECKER_MAPS; m++)
		for (size_t i = 0; i < checker->map[m].count; i++)
			check_choice(checker, &checker->map[m], i);
}

void checker_check(struct checker *checker)
{
	struct quiver_space_stats stats = quiver_space_stats(&checker->space);

	if (checker->peer)
		checker_recount(checker->peer);
	checker_recount(checker);
	check_windows(checker, &stats);
	check_traffic(checker, &stats);
	check_peaks(checker, &stats);
	check_idle(checker, &stats);
	check_indices(checker);
	check_choices(checker);
}

/* --- set-up ----------------------------------------------------------------------------------- */

void checker_init(struct checker *checker, const struct quiver_policy *policy, size_t capacity,
		  bool strict)
{
	memset(checker, 0, sizeof(*checker));
	model_host_init(&checker->host, capacity);
	checker->host.on_map = checker_on_map;
	checker->host.context = checker;
	model_space_init(&checker->space, &checker->host, policy, strict);
	checker->policy = policy;
	checker->strict = strict;
	checker->windows_before = model_windows_live();
}

void checker_join(struct checker *a, struct checker *b)
{
	model_host_share(&b->host, &a->host);
	a->host.peer = &b->space;
	b->host.peer = &a->space;
	a->host.transport.relieve = model_host_relieve;
	b->host.transport.relieve = model_host_relieve;
	a->peer = b;
	b->peer = a;
}

void checker_fini(struct checker *checker)
{
	for (uint32_t map = 0; map < CHECKER_MAPS; map++)
		if (checker->map[map].count)
			checker_unmap(checker, map);
	while (quiver_space_flush(&checker->space))
		;
	checker_check(checker);
	assert_int_equal(checker->now.windows, 0);
	assert_int_equal(checker->space.touched + checker->space.waste, 0);
	if (checker->peer)
		checker->peer->peer = NULL;
	assert_int_equal(quiver_space_fini(&checker->space), 0);
	model_host_fini(&checker->host);
	free(checker->mark);
}
