// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * The policy for real loads: docs/planner.rst explains it, with measurements.
 *
 * A scatterlist is planned as a whole. Its segments become pieces, runs of
 * granules that must lie in one window. A piece that lies in a window already
 * takes it, others get new windows, a run of neighbours one between them. What
 * is spent on having few windows and few exits is waste: granules of used windows
 * that no segment touches. Waste has an allowance, and a price that rises to
 * infinity as it is used up, so that near the limits windows fit exactly.
 */
#include "core/plan.h"

/*
 * All prices are in granules of waste, while there is none yet. They were
 * chosen by replaying traces: docs/planner.rst. The allowance trades exits and
 * entries for waste; half or double of the others changes either by 10 % or less,
 * with gaps as an exception.
 */
#define ALLOWANCE_DIVISOR	56	/* of what the device can have at all, in bytes */
#define PRICE_ENTRY		96	/* a map entry that reusing a window saves */
#define PRICE_EXIT		1024	/* an exit */
#define GAP_MAX			6	/* between two pieces that share a window */
#define AHEAD_MAX		16	/* around small pieces, in one operation */
#define AHEAD_BLOCK		8	/* ... in whose naturally aligned block it stays */
#define AHEAD_SMALL		8	/* ... that are at most so long */

/*
 * A window that is in use is joined for nothing now, but would be kept alive by
 * this segment when its others have gone: not where it is larger than this many
 * granules, and so many more for each that the operation has in it.
 */
#define JOIN_ANY		8
#define JOIN_FACTOR		32

/* Windows that contain a piece, of which so many are considered: the smaller ones. */
#define CANDIDATES_MAX		16

/* Prices are scaled by the allowance that is left, in so many steps. */
#define SCALE_SHIFT		8

/* What waste may cost now: prices of 0 make everything fit exactly. */
struct prices {
	uint64_t entry, exit, gap, ahead;
};

static struct quiver_range range_of(const struct quiver_space *space, uint64_t first, uint64_t last)
{
	unsigned int shift = space->config.granule_shift;

	return (struct quiver_range){ first << shift, (last - first + 1) << shift };
}

/* --- windows that are there --- */

static bool is_adjacent(const struct quiver_plan *plan, size_t i)
{
	return i && plan->piece[i - 1].last + 1 == plan->piece[i].first;
}

static void tally(struct quiver_op *op, struct quiver_window *window, size_t i, bool continues)
{
	if (window->plan != op->space->operations) {
		window->plan = op->space->operations;
		window->chosen = false;
		window->covered = 0;
		window->saved = 0;
	}
	window->covered += quiver_piece_length(&op->space->plan->piece[i]);
	window->saved += !continues;
}

struct candidates {
	struct quiver_index_search search;
	unsigned int left;
};

static void candidates_of(const struct quiver_op *op, const struct quiver_piece *piece,
			  struct candidates *candidates)
{
	quiver_index_search(&op->space->by_gpa, range_of(op->space, piece->first, piece->last),
			    &candidates->search);
	candidates->left = CANDIDATES_MAX;
}

static struct quiver_window *next_candidate(struct candidates *candidates)
{
	if (!candidates->left)
		return NULL;
	candidates->left--;
	return quiver_window_by_gpa(quiver_index_next(&candidates->search));
}

static void tally_candidates(struct quiver_op *op)
{
	struct quiver_plan *plan = op->space->plan;
	struct candidates candidates;
	struct quiver_window *window;

	for (size_t i = 0; i < plan->count; i++) {
		candidates_of(op, &plan->piece[i], &candidates);
		while ((window = next_candidate(&candidates)))
			tally(op, window, i, is_adjacent(plan, i));
	}
}

/* Granules that would be wasted if the operation alone used the window. */
static uint64_t waste_of(const struct quiver_space *space, const struct quiver_window *window)
{
	return quiver_window_granules(space, window) - window->covered;
}

/* In use before idle, then the one that would be used best. */
static bool is_better(const struct quiver_space *space, const struct quiver_window *a,
		      const struct quiver_window *b)
{
	if (!a->users != !b->users)
		return a->users;
	return waste_of(space, a) < waste_of(space, b);
}

static void choose_best(struct quiver_op *op, struct quiver_piece *piece)
{
	struct candidates candidates;
	struct quiver_window *window;

	candidates_of(op, piece, &candidates);
	while ((window = next_candidate(&candidates))) {
		if (!quiver_op_may_share(op, window))
			continue;
		if (!piece->window || is_better(op->space, window, piece->window))
			piece->window = window;
	}
}

/* What windows lost to better ones does not count for them. */
static void tally_best(struct quiver_op *op)
{
	struct quiver_plan *plan = op->space->plan;

	for (size_t i = 0; i < plan->count; i++) {
		if (plan->piece[i].window) {
			plan->piece[i].window->covered = 0;
			plan->piece[i].window->saved = 0;
		}
	}
	for (size_t i = 0; i < plan->count; i++) {
		struct quiver_window *window = plan->piece[i].window;

		bool continues = is_adjacent(plan, i) && plan->piece[i - 1].window == window;

		if (window)
			tally(op, window, i, continues);
	}
}

static void find_windows(struct quiver_op *op)
{
	struct quiver_plan *plan = op->space->plan;

	tally_candidates(op);
	for (size_t i = 0; i < plan->count; i++)
		choose_best(op, &plan->piece[i]);
	tally_best(op);
}

/* --- what is worth its waste --- */

static uint64_t scaled(uint64_t price, uint64_t allowance, uint64_t spent)
{
	uint64_t left = spent < allowance ? allowance - spent : 0;

	return allowance ? price * ((left << SCALE_SHIFT) / allowance) >> SCALE_SHIFT : 0;
}

static struct prices prices_now(const struct quiver_op *op)
{
	const struct quiver_space *space = op->space;
	const struct quiver_space_config *config = &space->config;
	struct quiver_room room = { 0, 0 }, most;
	uint64_t limit, used, allowance, more;

	if (op->exact || config->strict || !config->transport->room)
		return (struct prices){ 0, 0, 0, 0 };
	config->transport->room(config->context, &room, &most);
	if (!(room.bytes + space->stats.idle_bytes) || !(room.mappings + space->stats.idle_windows))
		return (struct prices){ 0, 0, 0, 0 };
	limit = (room.bytes + space->stats.bytes) >> config->granule_shift;
	used = space->stats.used_bytes >> config->granule_shift;
	allowance = limit / ALLOWANCE_DIVISOR;
	/* Gaps are filled later, as often as not: somewhat more while there is plenty. */
	more = used < limit / 2 ? (limit / 2 - used) / 10 : 0;
	return (struct prices){
		.entry = scaled(PRICE_ENTRY, allowance, space->waste),
		.exit = scaled(PRICE_EXIT, allowance, space->waste),
		.gap = scaled(GAP_MAX, allowance + more, space->waste),
		.ahead = scaled(AHEAD_MAX, allowance + more, space->waste),
	};
}

static bool may_join(const struct quiver_space *space, const struct quiver_window *window)
{
	return quiver_window_granules(space, window) <=
	       JOIN_ANY + JOIN_FACTOR * (uint64_t)window->covered;
}

/* One in use costs nothing more: where no granule is to spare, it is always joined. */
static bool is_worth_it(const struct quiver_op *op, const struct quiver_window *window,
			const struct prices *prices)
{
	if (op->space->config.strict && !op->exact)
		return !waste_of(op->space, window);
	if (window->users)
		return op->exact || may_join(op->space, window);
	return waste_of(op->space, window) <= prices->entry * window->saved;
}

/* What it would waste to use the window: for one in use, a guess of what it will. */
static uint64_t cost_of(const struct quiver_space *space, const struct quiver_window *window)
{
	if (!window->users)
		return waste_of(space, window);
	return may_join(space, window) ? 0 : quiver_window_granules(space, window) / 4;
}

/* Whether to take what is there for all pieces, and save the exit. */
static bool is_exit_avoidable(struct quiver_op *op, const struct prices *prices)
{
	struct quiver_plan *plan = op->space->plan;
	uint64_t cost = 0, saved = 0;

	for (size_t i = 0; i < plan->count; i++) {
		struct quiver_window *window = plan->piece[i].window;

		if (!window)
			return false;
		if (i && window == plan->piece[i - 1].window)
			continue;
		if (op->space->config.strict && !op->exact && waste_of(op->space, window))
			return false;
		cost += cost_of(op->space, window);
		saved += window->users ? 0 : window->saved;
	}
	return !cost || cost <= prices->exit + prices->entry * saved;
}

static bool has_chosen(const struct quiver_piece *piece)
{
	return piece->window && piece->window->chosen;
}

/* --- windows that are made --- */

static bool is_in_window(const struct quiver_op *op, uint64_t granule)
{
	return quiver_index_find(&op->space->by_gpa, range_of(op->space, granule, granule));
}

/*
 * Small pieces attract others: extends one within its block, by granules of which no window knows,
 * and pays for them.
 */
static void extend(struct quiver_op *op, struct quiver_piece *run, uint64_t *ahead)
{
	uint64_t start = run->first & ~(AHEAD_BLOCK - 1ull);
	uint64_t end = run->last | (AHEAD_BLOCK - 1ull);

	if (quiver_piece_length(run) > AHEAD_SMALL)
		return;
	for (; *ahead && run->last < end && !is_in_window(op, run->last + 1); --*ahead)
		run->last++;
	for (; *ahead && run->first > start && !is_in_window(op, run->first - 1); --*ahead)
		run->first--;
}

/* The window of pieces [first, end), but for those that have theirs. Storage may be out: NULL. */
static void make_window(struct quiver_op *op, struct quiver_piece *run, size_t first, size_t end,
			struct prices *prices)
{
	struct quiver_plan *plan = op->space->plan;
	struct quiver_window *window;
	uint64_t length = quiver_piece_length(run);

	extend(op, run, &prices->ahead);
	op->generous |= quiver_piece_length(run) > length;
	window = quiver_op_window(op, range_of(op->space, run->first, run->last));
	for (size_t i = first; i < end; i++)
		if (!has_chosen(&plan->piece[i]))
			plan->piece[i].window = window;
	if (window)
		window->chosen = true;
}

/* Joins the piece to the run before it, where that is near enough. */
static bool joins(const struct quiver_op *op, const struct quiver_piece *run,
		  const struct quiver_piece *piece, const struct prices *prices)
{
	if (op->exact || quiver_is_all(op->space, run->first, piece->last))
		return false;
	return piece->first - run->last - 1 <= prices->gap;
}

static void make_windows(struct quiver_op *op, struct prices *prices)
{
	struct quiver_plan *plan = op->space->plan;
	size_t first = 0;
	struct quiver_piece run;
	bool open = false;

	for (size_t i = 0; i < plan->count; i++) {
		const struct quiver_piece *piece = &plan->piece[i];

		if (has_chosen(piece))
			continue;
		if (open && joins(op, &run, piece, prices)) {
			op->generous = true;
			run.last = piece->last;
			continue;
		}
		if (open)
			make_window(op, &run, first, i, prices);
		run = *piece;
		first = i;
		open = true;
	}
	if (open)
		make_window(op, &run, first, plan->count, prices);
}

/*
 * Takes windows that are there. Both an idle one that holds more than is needed and one in use that
 * is passed over cost room, of which an exact operation would want less.
 */
static void take_windows(struct quiver_op *op, const struct prices *prices, bool all)
{
	struct quiver_space *space = op->space;

	for (size_t i = 0; i < space->plan->count; i++) {
		struct quiver_window *window = space->plan->piece[i].window;

		if (!window)
			continue;
		if (all || is_worth_it(op, window, prices))
			window->chosen = true;
		if (window->users)
			op->generous |= !window->chosen || quiver_op_is_guest(op, window);
		else
			op->generous |= window->chosen && waste_of(space, window);
	}
}

static void make_plan(struct quiver_op *op)
{
	struct prices prices;
	bool all;

	quiver_plan_normalise(op);
	find_windows(op);
	prices = prices_now(op);
	all = is_exit_avoidable(op, &prices);
	take_windows(op, &prices, all);
	if (!all)
		make_windows(op, &prices);
}

static struct quiver_window *planner_choose(struct quiver_op *op, struct quiver_range segment)
{
	unsigned int shift = op->space->config.granule_shift;
	const struct quiver_piece *piece;
	struct quiver_range cover;

	if (!op->planned) {
		make_plan(op);
		op->planned = true;
	}
	if (!quiver_range_cover(segment, shift, &cover))
		return NULL;
	piece = quiver_plan_find(op->space->plan, cover.start >> shift,
				 quiver_range_last(cover) >> shift);
	return piece && piece->window ? piece->window : quiver_op_window(op, cover);
}

const struct quiver_policy quiver_policy_planner = {
	.name = "planner",
	.keeps_idle = true,
	.expect = quiver_plan_expect,
	.choose = planner_choose,
};
