// SPDX-License-Identifier: BSD-3-Clause
/* One failure at each step of a sequence that is otherwise the same. */
#include "player.h"

#include <stdlib.h>

static struct quiver_sequence_random random_bits;
static const struct quiver_sequence_source source = {
	quiver_sequence_random_bits, &random_bits,
};

/* Room for about half of what is asked for, and lists of a few segments. */
static struct player_world plain_world(unsigned int number)
{
	static const struct quiver_policy *const policies[] = {
		&quiver_policy_planner, &quiver_policy_pages, &quiver_policy_fixed256k,
	};

	return (struct player_world){
		.policy = policies[number % 3], .strict = number / 3 & 1,
		.tells_room = number / 6 & 1, .capacity = 5,
		.ram_base = 0x40000000, .ram = 2 << 20, .limit = 512 << 10,
		.sequence = { .operations = 50, .segments = 6 },
	};
}

static struct player_result play(const struct player_world *world, uint64_t seed)
{
	random_bits.state = seed;
	return player_play(world, &source);
}

static uint64_t seed(const char *test)
{
	struct model_random random;

	model_random_init(&random, test);
	return random.state;
}

static void the_host_fails_at_each_entry(void **state)
{
	static const enum quiver_wire_status statuses[] = {
		QUIVER_S_BYTES, QUIVER_S_MAPPINGS, QUIVER_S_IO, QUIVER_S_FAULT, QUIVER_S_GONE,
		QUIVER_S_PENDING,
	};
	uint64_t start = seed("entries"), steps = 0;

	for (unsigned int number = 0; number < 12; number++) {
		struct player_world world = plain_world(number);
		uint64_t entries = play(&world, start).entries;

		steps += entries;
		for (world.fail_entry = 1; world.fail_entry <= entries; world.fail_entry++) {
			world.fail_status = statuses[(start + world.fail_entry) % 6];
			play(&world, start);
		}
	}
	assert_true(steps > 100);
}

static void storage_fails_at_each_window(void **state)
{
	uint64_t start = seed("storage"), steps = 0;

	for (unsigned int number = 0; number < 12; number++) {
		struct player_world world = plain_world(number);
		uint64_t windows = play(&world, start).windows;

		steps += windows;
		for (world.fail_window = 1; world.fail_window <= windows; world.fail_window++)
			play(&world, start);
	}
	assert_true(steps > 100);
}

/* Both, at steps that have nothing to do with each other. */
static void both_fail(void **state)
{
	uint64_t start = seed("both");
	struct model_random random = { start };

	for (unsigned int number = 0; number < 96; number++) {
		struct player_world world = plain_world(number);

		world.fail_entry = 1 + model_random_below(&random, 100);
		world.fail_window = 1 + model_random_below(&random, 100);
		world.fail_status = QUIVER_S_IO;
		play(&world, start + number);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_host_fails_at_each_entry),
		cmocka_unit_test(storage_fails_at_each_window),
		cmocka_unit_test(both_fail),
	};

	return cmocka_run_group_tests_name("planner-faults", tests, NULL, NULL);
}
