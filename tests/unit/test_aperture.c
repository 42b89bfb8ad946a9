// SPDX-License-Identifier: BSD-3-Clause
/* How a device sees the aperture, against the same questions asked piece by piece in 128 bits. */
#include "model.h"

#include "core/aperture.h"

#define PIECES QUIVER_APERTURE_PIECES_MAX
#define START UINT64_C(0x4000000000)
#define PIECE UINT64_C(0x10000000)

typedef unsigned __int128 wide;

/* Where a piece is on the bus says nothing of where the next is. */
static struct quiver_aperture_view view_of(unsigned int pieces)
{
	static const uint64_t iova[PIECES] = {
		0x8000200000, 0xc000000000, 0x1000000000, 0x600000,
		0x9000000000, 0x7000400000, 0x2000000000, 0xa000000000,
	};
	struct quiver_aperture_view view = {
		.gpa = { START, pieces * PIECE }, .piece = PIECE, .pieces = pieces,
	};

	for (unsigned int i = 0; i < pieces; i++)
		view.iova[i] = iova[i];
	return view;
}

static void expect_at(const struct quiver_aperture_view *view, uint64_t gpa, uint64_t length,
		      uint64_t expected)
{
	uint64_t iova = 0;

	assert_true(quiver_aperture_to_iova(view, gpa, length, &iova));
	assert_int_equal(iova, expected);
	assert_true(quiver_aperture_has_iova(view, iova));
	assert_true(quiver_aperture_has_iova(view, iova + length - 1));
}

static void expect_nowhere(const struct quiver_aperture_view *view, uint64_t gpa, uint64_t length)
{
	uint64_t iova;

	assert_false(quiver_aperture_to_iova(view, gpa, length, &iova));
}

static void every_border_is_where_its_piece_is(void **state)
{
	for (unsigned int pieces = 1; pieces <= PIECES; pieces *= 2) {
		struct quiver_aperture_view view = view_of(pieces);

		assert_true(quiver_aperture_view_valid(&view));
		for (unsigned int i = 0; i < pieces; i++) {
			uint64_t gpa = START + i * PIECE, last = PIECE - 1;

			expect_at(&view, gpa, 1, view.iova[i]);
			expect_at(&view, gpa, PIECE, view.iova[i]);
			expect_at(&view, gpa + 1, PIECE - 1, view.iova[i] + 1);
			expect_at(&view, gpa + last, 1, view.iova[i] + last);
			assert_false(quiver_aperture_has_iova(&view, view.iova[i] - 1));
			assert_false(quiver_aperture_has_iova(&view, view.iova[i] + PIECE));
		}
	}
}

static void addresses_agree_only_if_those_of_all_pieces_do(void **state)
{
	struct quiver_aperture_view view = view_of(4);

	for (unsigned int i = 0; i < 4; i++) {
		assert_true(quiver_aperture_agrees(&view, UINT64_C(2) << 20));
		view.iova[i] += UINT64_C(1) << 20;
		assert_false(quiver_aperture_agrees(&view, UINT64_C(2) << 20));
		assert_true(quiver_aperture_agrees(&view, UINT64_C(1) << 20));
		view.iova[i] -= UINT64_C(1) << 20;
	}
	/* Nor does what does not see it. */
	view.pieces = 0;
	assert_false(quiver_aperture_agrees(&view, UINT64_C(1) << 12));
}

static void nothing_lies_in_two_pieces(void **state)
{
	for (unsigned int pieces = 1; pieces <= PIECES; pieces *= 2) {
		struct quiver_aperture_view view = view_of(pieces);

		for (unsigned int i = 0; i < pieces; i++) {
			uint64_t gpa = START + i * PIECE;

			expect_nowhere(&view, gpa, PIECE + 1);
			expect_nowhere(&view, gpa + 1, PIECE);
			expect_nowhere(&view, gpa + PIECE - 1, 2);
			expect_nowhere(&view, gpa, UINT64_MAX);
			/* It would end where it begins, or before. */
			expect_nowhere(&view, gpa + 2, UINT64_MAX - 1);
		}
	}
}

static void what_is_outside_is_nowhere(void **state)
{
	for (unsigned int pieces = 1; pieces <= PIECES; pieces *= 2) {
		struct quiver_aperture_view view = view_of(pieces);
		uint64_t end = START + pieces * PIECE;

		expect_nowhere(&view, START - 1, 1);
		expect_nowhere(&view, START - 1, 2);
		expect_nowhere(&view, START - PIECE, PIECE);
		expect_nowhere(&view, 0, 1);
		expect_nowhere(&view, 0, UINT64_MAX);
		expect_nowhere(&view, end, 1);
		expect_nowhere(&view, end + PIECE, 1);
		expect_nowhere(&view, UINT64_MAX, 1);
		expect_nowhere(&view, UINT64_MAX, UINT64_MAX);
		/* Around the end of all addresses, into the aperture. */
		expect_nowhere(&view, UINT64_MAX - PIECE, START + 2 * PIECE);
		assert_false(quiver_aperture_has_iova(&view, 0));
		assert_false(quiver_aperture_has_iova(&view, UINT64_MAX));
	}
}

static void the_end_of_all_addresses_is_in_reach(void **state)
{
	struct quiver_aperture_view view = view_of(8);

	view.gpa.start = -view.gpa.length;
	view.iova[7] = UINT64_MAX - PIECE;
	assert_true(quiver_aperture_view_valid(&view));
	expect_at(&view, UINT64_MAX, 1, UINT64_MAX - 1);
	expect_nowhere(&view, UINT64_MAX, 2);
	expect_nowhere(&view, 0, 1);
	assert_false(quiver_aperture_has_iova(&view, UINT64_MAX));
}

static void a_view_of_nothing_has_nothing(void **state)
{
	static const uint64_t edges[] = { 0, 1, PIECE, UINT64_MAX - 1, UINT64_MAX };
	const struct quiver_aperture_view view = { 0 };

	assert_false(quiver_aperture_view_valid(&view));
	for (size_t i = 0; i < sizeof(edges) / sizeof(edges[0]); i++) {
		assert_false(quiver_aperture_has_iova(&view, edges[i]));
		for (size_t j = 0; j < sizeof(edges) / sizeof(edges[0]); j++)
			expect_nowhere(&view, edges[i], edges[j]);
	}
}

static void expect_nonsense(struct quiver_aperture_view view)
{
	assert_false(quiver_aperture_view_valid(&view));
}

static void a_number_of_pieces_that_is_none_is_nonsense(void **state)
{
	for (unsigned int pieces = 0; pieces <= 4 * PIECES; pieces++) {
		struct quiver_aperture_view view = view_of(PIECES);

		view.pieces = pieces;
		view.gpa.length = pieces * PIECE;
		assert_int_equal(quiver_aperture_view_valid(&view),
				 pieces == 1 || pieces == 2 || pieces == 4 || pieces == 8);
	}
	for (unsigned int shift = 4; shift < 32; shift++) {
		struct quiver_aperture_view view = view_of(PIECES);

		view.pieces = 1u << shift;
		view.gpa.length = view.pieces * PIECE;
		expect_nonsense(view);
	}
}

static void a_length_that_is_not_that_of_all_pieces_is_nonsense(void **state)
{
	for (unsigned int pieces = 1; pieces <= PIECES; pieces *= 2) {
		const uint64_t length = pieces * PIECE;
		struct quiver_aperture_view view = view_of(pieces);

		for (uint64_t more = 1; more <= 2 * PIECES; more++) {
			view.gpa.length = length + more;
			expect_nonsense(view);
			view.gpa.length = length - more;
			expect_nonsense(view);
		}
		view.gpa.length = 2 * length;
		expect_nonsense(view);
		view.gpa.length = 0;
		expect_nonsense(view);
		view.piece = 0;
		expect_nonsense(view);
		view.gpa.length = pieces - 1;
		expect_nonsense(view);
	}
}

static void a_product_that_wraps_is_no_length(void **state)
{
	struct quiver_aperture_view view = view_of(8);

	view.piece = PIECE | UINT64_C(1) << 61;
	assert_int_equal(8 * view.piece, view.gpa.length);
	expect_nonsense(view);
}

static void addresses_that_wrap_are_nonsense(void **state)
{
	for (unsigned int pieces = 1; pieces <= PIECES; pieces *= 2) {
		struct quiver_aperture_view view = view_of(pieces);

		view.gpa.start = -view.gpa.length + 1;
		expect_nonsense(view);
		view.gpa.start = UINT64_MAX;
		expect_nonsense(view);
		for (unsigned int i = 0; i < pieces; i++) {
			view = view_of(pieces);
			view.iova[i] = 0;
			expect_nonsense(view);
			view.iova[i] = UINT64_MAX;
			expect_nonsense(view);
			/* It has UINT64_MAX, an error's address. */
			view.iova[i] = -PIECE;
			expect_nonsense(view);
			view.iova[i] = -PIECE - 1;
			assert_true(quiver_aperture_view_valid(&view));
		}
	}
}

static void pieces_that_it_does_not_have_may_lie_anywhere(void **state)
{
	struct quiver_aperture_view view = view_of(4);

	view.iova[4] = 0;
	view.iova[7] = UINT64_MAX;
	assert_true(quiver_aperture_view_valid(&view));
}

/* --- at random -------------------------------------------------------------------------------- */

static bool slow_valid(const struct quiver_aperture_view *view)
{
	const wide end = (wide)1 << 64;

	if (view->pieces != 1 && view->pieces != 2 && view->pieces != 4 && view->pieces != 8)
		return false;
	if (!view->piece || (wide)view->piece * view->pieces != view->gpa.length ||
	    (wide)view->gpa.start + view->gpa.length > end)
		return false;
	for (unsigned int i = 0; i < view->pieces; i++)
		if (!view->iova[i] || (wide)view->iova[i] + view->piece >= end)
			return false;
	return true;
}

static bool slow_to_iova(const struct quiver_aperture_view *view, uint64_t gpa, uint64_t length,
			 uint64_t *iova)
{
	for (unsigned int i = 0; i < view->pieces; i++) {
		wide begin = view->gpa.start + (wide)i * view->piece;

		if (gpa >= begin && gpa < begin + view->piece &&
		    (wide)gpa + length <= begin + view->piece) {
			*iova = view->iova[i] + (uint64_t)(gpa - begin);
			return true;
		}
	}
	return false;
}

static bool slow_has_iova(const struct quiver_aperture_view *view, uint64_t iova)
{
	for (unsigned int i = 0; i < view->pieces; i++)
		if (iova >= view->iova[i] && iova < (wide)view->iova[i] + view->piece)
			return true;
	return false;
}

static uint64_t near(struct model_random *random, uint64_t to)
{
	return to + model_random_below(random, 5) - 2;
}

static uint64_t anything(struct model_random *random)
{
	return model_random_next(random) >> model_random_below(random, 64);
}

static struct quiver_aperture_view random_view(struct model_random *random)
{
	struct quiver_aperture_view view = {
		.pieces = 1u << model_random_below(random, 4),
		.piece = model_random_below(random, 2) ? 1 + model_random_below(random, 8) :
							 anything(random),
	};

	view.gpa.length = view.pieces * view.piece;
	view.gpa.start = model_random_below(random, 4) ? anything(random) :
							 near(random, -view.gpa.length);
	for (unsigned int i = 0; i < view.pieces; i++)
		view.iova[i] = model_random_below(random, 8) ? anything(random) :
							       near(random, -view.piece);
	if (!model_random_below(random, 8))
		view.pieces = (unsigned int)model_random_below(random, 2 * PIECES);
	if (!model_random_below(random, 8))
		view.gpa.length += model_random_below(random, 2 * PIECES);
	return view;
}

static void compare(const struct quiver_aperture_view *view, struct model_random *random)
{
	unsigned int i = (unsigned int)model_random_below(random, view->pieces + 1);
	uint64_t gpa = near(random, view->gpa.start + i * view->piece);
	uint64_t length = model_random_below(random, 2) ? near(random, view->piece) :
							  anything(random);
	uint64_t iova = 0, expected = 0, address;
	bool found;

	if (model_random_below(random, 2))
		gpa = view->gpa.start + model_random_below(random, view->gpa.length);
	length += !length;
	found = slow_to_iova(view, gpa, length, &expected);
	assert_int_equal(quiver_aperture_to_iova(view, gpa, length, &iova), found);
	assert_int_equal(iova, expected);
	if (found) {
		assert_true(quiver_aperture_has_iova(view, iova));
		assert_true(quiver_aperture_has_iova(view, iova + length - 1));
	}
	i %= view->pieces;
	address = near(random, view->iova[i] + (model_random_below(random, 2) ? view->piece : 0));
	assert_int_equal(quiver_aperture_has_iova(view, address), slow_has_iova(view, address));
	/* What it has, it gives: for what lies there in its piece. */
	if (address - view->iova[i] < view->piece) {
		gpa = view->gpa.start + i * view->piece + (address - view->iova[i]);
		assert_true(quiver_aperture_to_iova(view, gpa, 1, &iova));
		assert_int_equal(iova, address);
	}
}

static void random_views_agree_with_a_slow_model(void **state)
{
	unsigned int valid = 0, nonsense = 0;
	struct model_random random;

	model_random_init(&random, "aperture");
	while (valid < 20000) {
		struct quiver_aperture_view view = random_view(&random);

		assert_int_equal(quiver_aperture_view_valid(&view), slow_valid(&view));
		if (!slow_valid(&view)) {
			nonsense++;
			continue;
		}
		valid++;
		for (unsigned int i = 0; i < 20; i++)
			compare(&view, &random);
	}
	assert_true(nonsense > 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_border_is_where_its_piece_is),
		cmocka_unit_test(addresses_agree_only_if_those_of_all_pieces_do),
		cmocka_unit_test(nothing_lies_in_two_pieces),
		cmocka_unit_test(what_is_outside_is_nowhere),
		cmocka_unit_test(the_end_of_all_addresses_is_in_reach),
		cmocka_unit_test(a_view_of_nothing_has_nothing),
		cmocka_unit_test(a_number_of_pieces_that_is_none_is_nonsense),
		cmocka_unit_test(a_length_that_is_not_that_of_all_pieces_is_nonsense),
		cmocka_unit_test(a_product_that_wraps_is_no_length),
		cmocka_unit_test(addresses_that_wrap_are_nonsense),
		cmocka_unit_test(pieces_that_it_does_not_have_may_lie_anywhere),
		cmocka_unit_test(random_views_agree_with_a_slow_model),
	};

	return cmocka_run_group_tests_name("aperture", tests, NULL, NULL);
}
