// SPDX-License-Identifier: BSD-3-Clause
/* Whether a refusal was one: what the map would have needed, by brute force. */
#include "promise.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct need {
	uint64_t bytes, mappings;
	uint64_t largest;		/* of one window */
};

static uint64_t less(uint64_t a, uint64_t b)
{
	return a > b ? a - b : 0;
}

static bool cover_of(const struct model_segment *segment, struct quiver_range *cover)
{
	return quiver_range_cover((struct quiver_range){ segment->gpa, segment->length },
				  MODEL_SHIFT, cover);
}

static int range_compare(const void *a, const void *b)
{
	const struct quiver_range *x = a, *y = b;

	if (x->start != y->start)
		return x->start < y->start ? -1 : 1;
	return x->length < y->length ? -1 : x->length > y->length;
}

/* For the planner, ranges that share a granule are one; for others, equal ones are. */
static size_t merge(struct quiver_range *range, size_t count, bool overlapping)
{
	size_t last = 0;

	qsort(range, count, sizeof(*range), range_compare);
	for (size_t i = 1; i < count; i++) {
		struct quiver_range *r = &range[last];
		uint64_t end = quiver_range_last(range[i]);

		if (overlapping ? !quiver_range_overlaps(*r, range[i]) :
				  !quiver_range_equal(*r, range[i]))
			range[++last] = range[i];
		else if (end > quiver_range_last(*r))
			r->length = end - r->start + 1;
	}
	return last + 1;
}

/* In a used window of any range; or, for policies but the planner, of exactly this one. */
static bool is_there(const struct checker *checker, struct quiver_range range)
{
	const struct model_host *host = &checker->host;

	for (size_t i = 0; i < host->mapping_count; i++) {
		const struct model_mapping *m = &host->mapping[i];

		if (!m->live || m->orphan || !m->users)
			continue;
		if (checker->policy == &quiver_policy_planner ?
		    quiver_range_contains(m->gpa, range) : quiver_range_equal(m->gpa, range))
			return true;
	}
	return false;
}

static struct need need_of(const struct checker *checker, const struct model_segment *segment,
			   size_t count)
{
	struct quiver_range *range = calloc(count, sizeof(*range));
	struct need need = { 0, 0, 0 };

	assert_non_null(range);
	for (size_t i = 0; i < count; i++)
		assert_true(cover_of(&segment[i], &range[i]));
	count = merge(range, count, checker->policy == &quiver_policy_planner);
	for (size_t i = 0; i < count; i++) {
		if (is_there(checker, range[i]))
			continue;
		need.bytes += range[i].length;
		need.mappings++;
		if (range[i].length > need.largest)
			need.largest = range[i].length;
	}
	free(range);
	return need;
}

static bool has_room(const struct checker *checker, struct need need, bool vital)
{
	const struct model_limits *limits = checker->host.limits;
	uint64_t used_bytes = limits->used_bytes, used_mappings = limits->used_mappings;

	for (const struct checker *c = checker; c; c = c == checker ? c->peer : NULL) {
		used_bytes -= c->now.bytes - c->now.used_bytes;
		used_mappings -= c->now.windows - c->now.used_windows;
	}
	if (!vital || need.bytes > QUIVER_DMA_VITAL_MAX) {
		used_bytes += limits->reserve_bytes;
		used_mappings += limits->reserve_mappings;
	}
	return (!need.bytes || need.bytes <= less(limits->bytes, used_bytes)) &&
	       (!need.mappings || need.mappings <= less(limits->mappings, used_mappings));
}

/* Whether so many bytes are free in one piece once idle windows have gone. */
static bool has_hole(const struct checker *checker, uint64_t length)
{
	const struct model_host *host = &checker->host;
	uint64_t run = 0;

	for (uint32_t i = 0; i < host->slots; i++) {
		const struct model_mapping *m =
			host->slot[i] ? &host->mapping[host->slot[i] - 1] : NULL;

		run = m && (m->users || m->orphan) ? 0 : run + 1;
		if (run == length >> MODEL_SHIFT)
			return true;
	}
	return false;
}

static bool is_ram(const struct model_host *host, const struct model_segment *segment)
{
	struct quiver_range cover;

	return cover_of(segment, &cover) &&
	       (!host->ram.length || quiver_range_contains(host->ram, cover)) &&
	       !(host->hole.length && quiver_range_overlaps(host->hole, cover));
}

static bool is_all_ram(const struct model_host *host, const struct model_segment *segment,
		       size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (!is_ram(host, &segment[i]))
			return false;
	return true;
}

void checker_judge_refusal(struct checker *checker, const struct model_segment *segment,
			   size_t count, bool vital, int error)
{
	struct need need;

	if (error == -EFAULT) {
		assert_false(is_all_ram(&checker->host, segment, count));
		return;
	}
	/* The published scheme promises nothing; nor does a plan that was too long. */
	if (checker->policy == &quiver_policy_fixed256k || count > QUIVER_OP_SEGMENTS)
		return;
	if (checker->peer)
		checker_recount(checker->peer);
	checker_recount(checker);
	need = need_of(checker, segment, count);
	if (error == -E2BIG || error == -ENOSPC)
		assert_false(has_room(checker, need, vital));
	else if (error == -EIO && need.mappings <= 1)
		assert_true(need.mappings && !has_hole(checker, need.largest));
	else
		assert_int_equal(error, -EIO);
}

/* An attempt asks a second time only for what was refused. */
void checker_on_map(struct model_host *host, struct quiver_range gpa,
		    enum quiver_wire_status status)
{
	struct checker *checker = host->context;
	size_t search = checker->failures ? checker->answers : 0;

	checker->failures += status != QUIVER_S_OK;
	for (size_t i = 0; i < search; i++) {
		if (!quiver_range_equal(checker->answer[i].gpa, gpa))
			continue;
		assert_int_not_equal(checker->answer[i].status, QUIVER_S_OK);
		checker->answer[i].status = status;
		return;
	}
	assert_true(checker->answers < CHECKER_SEGMENTS);
	checker->answer[checker->answers++] =
		(struct checker_answer){ .gpa = gpa, .status = status };
}
