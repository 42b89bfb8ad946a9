// SPDX-License-Identifier: BSD-3-Clause
/* The generator itself: what a test that uses it may take for granted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "sequence.h"

#define RAM		(64ull << 20)
#define OPERATIONS	20000u

static struct quiver_sequence sequence;
static bool is_live[QUIVER_SEQUENCE_MAPS];
static uint64_t bytes_of[QUIVER_SEQUENCE_MAPS];

struct seen {
	uint64_t ops, hash;
	uint64_t live, live_bytes, peak_maps, peak_bytes;
	uint64_t lists, singles, longest, empty;	/* empty: times that nothing was left */
	uint64_t one_byte, large, again, granule;
	uint32_t straddled;				/* a bit for each block's shift */
};

static void hash(struct seen *seen, uint64_t value)
{
	seen->hash = (seen->hash ^ value) * 0x100000001b3ull;
}

static void see_segment(struct seen *seen, struct quiver_range r)
{
	assert_true(quiver_range_valid(r.start, r.length));
	assert_in_range(quiver_range_last(r), 0, sequence.config.ram - 1);
	assert_in_range(r.length, 1, sequence.config.segment);
	hash(seen, r.start);
	hash(seen, r.length);
	seen->one_byte += r.length == 1;
	seen->large += r.length >= 1 << 20;
	/* Blocks of this size, and of no larger one, have a boundary inside it. */
	if (r.start >> 12 != quiver_range_last(r) >> 12)
		seen->straddled |= 1u << (63 - __builtin_clzll(r.start ^ quiver_range_last(r)));
}

static void see_pairs(struct seen *seen, const struct quiver_range *segment, uint32_t count)
{
	for (uint32_t i = 1; i < count; i++)
		for (uint32_t j = i < 16 ? 0 : i - 16; j < i; j++) {
			seen->again += quiver_range_equal(segment[i], segment[j]);
			seen->granule += segment[i].start >> 14 == segment[j].start >> 14;
		}
}

static void see_map(struct seen *seen, const struct quiver_sequence_op *op)
{
	bool list = op->kind == QUIVER_SEQUENCE_MAP_LIST;

	assert_in_range(op->map, 0, sequence.config.maps - 1);
	assert_false(is_live[op->map]);
	assert_in_range(op->count, 1, list ? sequence.config.segments : 1);
	bytes_of[op->map] = 0;
	for (uint32_t i = 0; i < op->count; i++) {
		see_segment(seen, op->segment[i]);
		bytes_of[op->map] += op->segment[i].length;
	}
	see_pairs(seen, op->segment, op->count);
	is_live[op->map] = true;
	seen->live++;
	seen->live_bytes += bytes_of[op->map];
	assert_in_range(seen->live_bytes, 1, sequence.config.live);
	seen->lists += list;
	seen->singles += !list;
	seen->longest = op->count > seen->longest ? op->count : seen->longest;
}

static void forget(struct seen *seen, uint32_t map)
{
	assert_true(is_live[map]);
	is_live[map] = false;
	seen->live--;
	seen->live_bytes -= bytes_of[map];
	seen->empty += !seen->live;
}

static void see(struct seen *seen, const struct quiver_sequence_op *op)
{
	seen->ops++;
	hash(seen, (uint64_t)op->kind << 32 | op->map);
	if (op->kind == QUIVER_SEQUENCE_UNMAP)
		forget(seen, op->map);
	else
		see_map(seen, op);
	if (seen->live > seen->peak_maps)
		seen->peak_maps = seen->live;
	if (seen->live_bytes > seen->peak_bytes)
		seen->peak_bytes = seen->live_bytes;
}

/* Refuses one map in `refuse`; 0 refuses none. */
static struct seen run(const struct quiver_sequence_config *config,
		       const struct quiver_sequence_source *source, unsigned int refuse)
{
	struct quiver_sequence_op op;
	struct seen seen = { 0 };

	assert_true(quiver_sequence_init(&sequence, config, source));
	while (quiver_sequence_next(&sequence, &op)) {
		see(&seen, &op);
		if (refuse && op.kind != QUIVER_SEQUENCE_UNMAP && seen.ops % refuse == 0) {
			forget(&seen, op.map);
			quiver_sequence_refused(&sequence, op.map);
		}
	}
	assert_int_equal(seen.live, 0);
	assert_false(quiver_sequence_next(&sequence, &op));
	return seen;
}

static struct seen run_seed(uint64_t seed, const struct quiver_sequence_config *config,
			    unsigned int refuse)
{
	struct quiver_sequence_random random = { seed };
	const struct quiver_sequence_source source = { quiver_sequence_random_bits, &random };

	return run(config, &source, refuse);
}

static void one_seed_gives_one_sequence(void **state)
{
	const struct quiver_sequence_config config = { .ram = RAM, .operations = 3000 };
	struct seen first = run_seed(1, &config, 0), second = run_seed(1, &config, 0);
	struct seen third = run_seed(2, &config, 0);

	assert_int_equal(first.hash, second.hash);
	assert_int_equal(first.ops, second.ops);
	assert_int_not_equal(first.hash, third.hash);
}

static void every_sequence_is_sound(void **state)
{
	struct quiver_sequence_random random = { 7 };
	uint64_t bits;

	for (unsigned int seed = 0; seed < 300; seed++) {
		struct quiver_sequence_config config = { .operations = 400 };

		quiver_sequence_random_bits(&random, 8, &bits);
		config.ram = 1 << 20 | (bits & 0x3ff0000);
		config.live = (bits >> 32 & 3) ? 0 : config.ram * 3;
		config.segment = 4096 + (bits >> 34 & 0x3ffff);
		config.segments = 1 + (bits >> 52 & 0xff);
		config.maps = 1 + (bits >> 60) * 9;
		run_seed(bits, &config, (bits >> 40 & 7) * 3);
	}
}

static void a_long_sequence_has_it_all(void **state)
{
	const struct quiver_sequence_config config = { .ram = RAM, .operations = OPERATIONS };
	struct seen seen = run_seed(3, &config, 0);

	assert_true(seen.ops >= OPERATIONS);
	assert_true(seen.lists > OPERATIONS / 20 && seen.singles > OPERATIONS / 5);
	assert_true(seen.longest > QUIVER_SEQUENCE_SEGMENTS / 2);
	assert_true(seen.peak_bytes > RAM / 2 / 10 * 9);
	assert_true(seen.peak_maps > 300);
	assert_true(seen.empty > 4);
	assert_true(seen.one_byte > 20 && seen.large > 50);
	assert_true(seen.again > 20 && seen.granule > 1000);
	/* Over the boundary of 4 KiB blocks up to 32 MiB ones */
	assert_int_equal(seen.straddled & 0x3fff000, 0x3fff000);
}

static void any_bytes_are_a_sequence_that_ends(void **state)
{
	const struct quiver_sequence_config config = { .ram = RAM, .segments = 16 };
	static uint8_t data[4096];

	for (unsigned int round = 0; round < 260; round++) {
		struct quiver_sequence_random random = { round };
		struct quiver_sequence_bytes bytes = { data, sizeof(data) - 13 * round };
		const struct quiver_sequence_source source = { quiver_sequence_bytes_bits, &bytes };
		uint64_t bits = round;
		struct seen seen;

		for (size_t i = 0; i < sizeof(data); i++) {
			if (round >= 256)
				quiver_sequence_random_bits(&random, 1, &bits);
			data[i] = (uint8_t)bits;
		}
		seen = run(&config, &source, 0);
		/* A map and its unmap take more than one byte together. */
		assert_in_range(seen.ops, 0, 2 * sizeof(data));
		assert_int_equal(bytes.left, 0);
		assert_true(round < 256 || seen.ops > 20);
	}
}

static void nonsense_is_refused(void **state)
{
	static const struct quiver_sequence_config bad[] = {
		{ 0 },
		{ .ram = 1 << 19 },
		{ .ram = RAM + 4096 },
		{ .ram = RAM, .segment = 100 },
		{ .ram = RAM, .live = 4096, .segment = 8192 },
		{ .ram = RAM, .segments = QUIVER_SEQUENCE_SEGMENTS + 1 },
		{ .ram = RAM, .maps = QUIVER_SEQUENCE_MAPS + 1 },
	};
	struct quiver_sequence_random random = { 1 };
	const struct quiver_sequence_source source = { quiver_sequence_random_bits, &random };

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(quiver_sequence_init(&sequence, &bad[i], &source));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_seed_gives_one_sequence),
		cmocka_unit_test(every_sequence_is_sound),
		cmocka_unit_test(a_long_sequence_has_it_all),
		cmocka_unit_test(any_bytes_are_a_sequence_that_ends),
		cmocka_unit_test(nonsense_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
