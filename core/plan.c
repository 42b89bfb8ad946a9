// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
#include "core/plan.h"

int quiver_plan_init(struct quiver_space *space)
{
	if (space->config.policy != &quiver_policy_planner)
		return 0;
	space->plan = quiver_memory_alloc(sizeof(*space->plan));
	return space->plan ? 0 : -ENOMEM;
}

void quiver_plan_fini(struct quiver_space *space)
{
	quiver_memory_free(space->plan);
	space->plan = NULL;
}

void quiver_plan_expect(struct quiver_op *op, struct quiver_range segment)
{
	unsigned int shift = op->space->config.granule_shift;
	struct quiver_plan *plan = op->space->plan;
	struct quiver_piece *before, piece = { 0, 0, NULL };
	struct quiver_range cover;

	if (!quiver_range_cover(segment, shift, &cover))
		return;
	piece.first = cover.start >> shift;
	piece.last = quiver_range_last(cover) >> shift;
	if (plan->operation != op->space->operations) {
		plan->operation = op->space->operations;
		plan->count = 0;
	}
	/* Fragments of one granule come one after the other, as a rule. */
	before = plan->count ? &plan->piece[plan->count - 1] : NULL;
	if (before && before->first <= piece.first && piece.last <= before->last)
		return;
	if (plan->count < QUIVER_OP_SEGMENTS)
		plan->piece[plan->count++] = piece;
}

static int piece_compare(const void *a, const void *b)
{
	const struct quiver_piece *x = a, *y = b;

	return x->first < y->first ? -1 : x->first > y->first;
}

static bool is_sorted(const struct quiver_plan *plan)
{
	for (size_t i = 1; i < plan->count; i++)
		if (plan->piece[i].first < plan->piece[i - 1].first)
			return false;
	return true;
}

void quiver_plan_normalise(struct quiver_op *op)
{
	struct quiver_plan *plan = op->space->plan;
	size_t last = 0;

	if (plan->operation != op->space->operations)
		plan->count = 0;
	if (!is_sorted(plan))
		quiver_sort(plan->piece, plan->count, sizeof(plan->piece[0]), piece_compare);
	for (size_t i = 1; i < plan->count; i++) {
		struct quiver_piece *piece = &plan->piece[last];

		if (plan->piece[i].first > piece->last ||
		    quiver_is_all(op->space, piece->first, plan->piece[i].last))
			plan->piece[++last] = plan->piece[i];
		else if (plan->piece[i].last > piece->last)
			piece->last = plan->piece[i].last;
	}
	if (plan->count)
		plan->count = last + 1;
}

const struct quiver_piece *quiver_plan_find(const struct quiver_plan *plan, uint64_t first,
					    uint64_t last)
{
	size_t low = 0, high = plan->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (plan->piece[middle].last < first)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == plan->count || plan->piece[low].first > first || plan->piece[low].last < last)
		return NULL;
	return &plan->piece[low];
}
