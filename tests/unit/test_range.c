// SPDX-License-Identifier: BSD-3-Clause
/* The range helpers against the same questions asked in 128 bits. */
#include "model.h"

#include "core/range.h"

typedef unsigned __int128 wide;

static const uint64_t edges[] = {
	0, 1, 2, 0x3fff, 0x4000, 0x4001, 0x3ffff, 0x40000, UINT64_MAX >> 1,
	(UINT64_MAX >> 1) + 1, UINT64_MAX - 0x4000, UINT64_MAX - 0x3fff, UINT64_MAX - 1, UINT64_MAX,
};

#define EDGES (sizeof(edges) / sizeof(edges[0]))

static uint64_t value(struct model_random *random)
{
	uint64_t edge = edges[model_random_below(random, EDGES)];

	switch (model_random_below(random, 4)) {
	case 0:
		return edge;
	case 1:
		return edge + model_random_below(random, 5) - 2;
	case 2:
		return model_random_next(random) >> model_random_below(random, 64);
	default:
		return 0x10000 + model_random_below(random, 64);
	}
}

static wide end(struct quiver_range r)
{
	return (wide)r.start + r.length;
}

static bool wide_valid(uint64_t start, uint64_t length)
{
	return length && (wide)start + length <= (wide)1 << 64;
}

static void check_one(struct quiver_range r, uint64_t address)
{
	assert_int_equal(quiver_range_last(r), (uint64_t)(end(r) - 1));
	assert_int_equal(quiver_range_holds(r, address), address >= r.start && address < end(r));
}

static void check_two(struct quiver_range a, struct quiver_range b)
{
	wide low = a.start > b.start ? a.start : b.start;
	wide high = end(a) < end(b) ? end(a) : end(b);

	assert_int_equal(quiver_range_overlaps(a, b), low < high);
	assert_int_equal(quiver_range_overlaps(b, a), low < high);
	assert_int_equal(quiver_range_contains(a, b), b.start >= a.start && end(b) <= end(a));
	assert_int_equal(quiver_range_equal(a, b), a.start == b.start && end(a) == end(b));
}

static void check_shift(struct quiver_range r, unsigned int shift)
{
	wide block = (wide)1 << shift;
	wide first = r.start / block * block;
	wide past = (end(r) + block - 1) / block * block;
	struct quiver_range out = { 77, 88 };
	bool fits = past - first <= UINT64_MAX;

	assert_int_equal(quiver_range_aligned(r, shift),
			 r.start % block == 0 && r.length % block == 0);
	assert_int_equal(quiver_range_cover(r, shift, &out), fits);
	assert_true(out.start == (fits ? (uint64_t)first : 77));
	assert_true(out.length == (fits ? (uint64_t)(past - first) : 88));
}

static void ranges_at_every_edge(void **state)
{
	for (size_t i = 0; i < EDGES * EDGES; i++) {
		struct quiver_range a = { edges[i / EDGES], edges[i % EDGES] };

		assert_int_equal(quiver_range_valid(a.start, a.length),
				 wide_valid(a.start, a.length));
		if (!wide_valid(a.start, a.length))
			continue;
		for (unsigned int shift = 0; shift < 64; shift++)
			check_shift(a, shift);
		for (size_t j = 0; j < EDGES * EDGES; j++) {
			struct quiver_range b = { edges[j / EDGES], edges[j % EDGES] };

			check_one(a, b.start);
			if (wide_valid(b.start, b.length))
				check_two(a, b);
		}
	}
}

static void ranges_at_random(void **state)
{
	struct model_random random;
	unsigned int checked = 0;

	model_random_init(&random, "range");
	while (checked < 200000) {
		struct quiver_range a = { value(&random), value(&random) };
		struct quiver_range b = { value(&random), value(&random) };

		assert_int_equal(quiver_range_valid(a.start, a.length),
				 wide_valid(a.start, a.length));
		if (!wide_valid(a.start, a.length) || !wide_valid(b.start, b.length))
			continue;
		check_one(a, value(&random));
		check_two(a, b);
		check_shift(a, (unsigned int)model_random_below(&random, 64));
		checked++;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ranges_at_every_edge),
		cmocka_unit_test(ranges_at_random),
	};

	return cmocka_run_group_tests_name("range", tests, NULL, NULL);
}
