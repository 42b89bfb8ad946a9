// SPDX-License-Identifier: BSD-3-Clause
/* Operations, and what each may change. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/wire.h"
#include "promise.h"

/* What an attempt is compared to. */
struct moment {
	uint64_t rings, maps, unmaps, refused, made, failed_storage;
	bool overdrawn;
};

/* The reserve is in use, or limits have been lowered: room() cannot say how far below 0 it is. */
static bool is_overdrawn(const struct model_limits *limits)
{
	return limits->used_bytes + limits->reserve_bytes > limits->bytes ||
	       limits->used_mappings + limits->reserve_mappings > limits->mappings;
}

static struct moment now(const struct checker *checker)
{
	const struct model_host *host = &checker->host;

	return (struct moment){
		.rings = host->rings, .maps = host->maps, .unmaps = host->unmaps,
		.refused = host->refused_bytes + host->refused_mappings,
		.made = model_windows_made(), .failed_storage = model_windows_failed(),
		.overdrawn = is_overdrawn(host->limits),
	};
}

/* Whether the host does what it should and nothing else. */
static bool is_faithful(const struct checker *checker)
{
	const struct model_host *host = &checker->host;

	return !host->map_refusals && !host->unmap_refusals && !host->ignored &&
	       (!host->fail_at || host->entries >= host->fail_at);
}

/* Refused without a word to the host: each window that was made counts. */
static void count_unasked(struct checker *checker, const struct moment *before, int error)
{
	uint64_t made = model_windows_made() - before->made;

	if (checker->host.maps != before->maps)
		return;
	checker->refused_bytes += error == -E2BIG ? made : 0;
	checker->refused_mappings += error == -ENOSPC ? made : 0;
}

static void count_answers(struct checker *checker)
{
	for (size_t i = 0; i < checker->answers; i++) {
		enum quiver_wire_status status = checker->answer[i].status;

		checker->failed_host += status != QUIVER_S_OK && status != QUIVER_S_BYTES &&
					status != QUIVER_S_MAPPINGS;
	}
}

static void count_segments(struct checker *checker, const struct model_segment *segment,
			   size_t count, int error)
{
	size_t added = 0;

	while (added < count && segment[added].window)
		added++;
	checker->segments += added;
	checker->segments_removed += error ? added : 0;
	checker->failed_memory += error == -ENOMEM;
	for (size_t i = added; i < count; i++)
		assert_null(segment[i].window);
	if (!error)
		assert_int_equal(added, count);
	else if (error == -ENOMEM || error == -EINVAL)
		assert_true(added < count || checker->answers);
}

/* Where room() is known, nothing is asked for in vain, nor twice, nor in needless exits. */
static void check_economy(const struct checker *checker, const struct moment *before, int error)
{
	const struct model_host *host = &checker->host;
	uint64_t entries = host->maps - before->maps + (host->unmaps - before->unmaps);

	assert_int_equal(host->refused_bytes + host->refused_mappings, before->refused);
	if (error == -E2BIG || error == -ENOSPC)
		assert_int_equal(host->maps, before->maps);
	if (error || host->first_fit)
		return;
	assert_int_equal(host->maps - before->maps, model_windows_made() - before->made);
	assert_int_equal(host->rings - before->rings,
			 (entries + host->capacity - 1) / host->capacity);
}

static int attempt(struct checker *checker, struct model_segment *segment, size_t count,
		   struct model_ask ask, bool *exact_may_do)
{
	struct moment before = now(checker);
	bool faithful = is_faithful(checker);
	int error;

	checker->answers = checker->failures = 0;
	error = model_attempt(&checker->space, segment, count, ask, exact_may_do);
	count_unasked(checker, &before, error);
	count_answers(checker);
	count_segments(checker, segment, count, error);
	if (faithful && checker->host.transport.room && !ask.vital && !before.overdrawn &&
	    model_windows_failed() == before.failed_storage)
		check_economy(checker, &before, error);
	return error;
}

int checker_map(struct checker *checker, uint32_t map, const struct quiver_range *segment,
		uint32_t count, bool vital)
{
	struct checker_map *slot = &checker->map[map];
	uint64_t failed_storage = model_windows_failed();
	bool faithful = is_faithful(checker);
	struct model_ask ask = { .vital = vital };
	bool again;
	int error;

	assert_true(map < CHECKER_MAPS && !slot->count && count && count <= CHECKER_SEGMENTS);
	for (uint32_t i = 0; i < count; i++)
		checker->scratch[i] = model_segment(segment[i].start, segment[i].length);
	error = attempt(checker, checker->scratch, count, ask, &ask.exact);
	if (ask.exact)
		error = attempt(checker, checker->scratch, count, ask, &again);
	if (error) {
		checker->refusals++;
		if (faithful && model_windows_failed() == failed_storage)
			checker_judge_refusal(checker, checker->scratch, count, vital, error);
	} else {
		slot->segment = calloc(count, sizeof(*slot->segment));
		assert_non_null(slot->segment);
		memcpy(slot->segment, checker->scratch, count * sizeof(*slot->segment));
		slot->count = count;
		slot->exact = ask.exact;
	}
	checker_check(checker);
	return error;
}

static void forget_map(struct checker_map *map)
{
	free(map->segment);
	*map = (struct checker_map){ NULL, 0, false };
}

void checker_unmap(struct checker *checker, uint32_t map)
{
	struct checker_map *slot = &checker->map[map];

	assert_int_equal(model_unmap(&checker->space, slot->segment, slot->count), slot->count);
	checker->segments_removed += slot->count;
	forget_map(slot);
	checker_check(checker);
}

void checker_unmap_badly(struct checker *checker, uint32_t map, uint64_t bits)
{
	static const uint64_t lengths[] = { 0, 1, MODEL_GRANULE, 1ull << 40, UINT64_MAX };
	struct checker_map *slot = &checker->map[map];

	while (slot->count) {
		struct model_segment segment = slot->segment[--slot->count];

		checker->partly = slot->count;
		if (bits & 1) {
			segment.length = lengths[(bits >> 1) % 5];
			checker->mislaid = true;
		}
		bits = bits >> 1 | bits << 63;
		assert_int_equal(model_unmap(&checker->space, &segment, 1), 1);
		checker->segments_removed++;
		checker_check(checker);
	}
	forget_map(slot);
}

/* Just before or after some window, or in an idle one. */
static uint64_t nothing_near(const struct checker *checker, uint64_t bits)
{
	static const uint64_t nowhere[] = { 0, 1, MODEL_BASE - 1, UINT64_MAX };
	const struct model_host *host = &checker->host;
	const struct model_mapping *m;
	uint64_t iova;

	if (!host->mapping_count)
		return nowhere[bits % 4];
	m = &host->mapping[(bits >> 2) % host->mapping_count];
	iova = bits & 1 ? m->iova - 1 : m->iova + m->gpa.length;
	if (bits & 2)
		iova = m->iova;
	m = model_host_at(host, iova);
	return m && m->users ? nowhere[bits % 4] : iova;
}

void checker_unmap_nothing(struct checker *checker, uint64_t bits)
{
	struct model_segment segment = { .length = MODEL_GRANULE };

	checker_recount(checker);
	segment.iova = nothing_near(checker, bits);
	if (model_host_at(&checker->host, segment.iova) &&
	    model_host_at(&checker->host, segment.iova)->users)
		return;
	assert_int_equal(model_unmap(&checker->space, &segment, 1), 0);
	checker->bad_unmaps++;
	checker_check(checker);
}

void checker_flush(struct checker *checker)
{
	uint64_t idle = quiver_space_stats(&checker->space).idle_windows, left;
	bool more = quiver_space_flush(&checker->space);

	left = quiver_space_stats(&checker->space).idle_windows;
	assert_int_equal(more, !!left);
	/* A bounded number, and not none. */
	assert_true(!idle || left < idle);
	assert_true(idle - left <= 256);
	checker_check(checker);
}

void checker_forget(struct checker *checker)
{
	uint64_t used;

	checker_recount(checker);
	used = checker->now.used_windows;
	model_host_detach(&checker->host);
	assert_int_equal(quiver_space_forget(&checker->space), used);
	for (size_t m = 0; m < CHECKER_MAPS; m++) {
		checker->forgotten += checker->map[m].count;
		forget_map(&checker->map[m]);
	}
	checker->mislaid = false;
	checker_check(checker);
}
