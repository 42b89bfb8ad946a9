// SPDX-License-Identifier: BSD-3-Clause
/* The planner, and the others where they promise the same, against a recount by brute force. */
#include "player.h"

#include <stdlib.h>
#include <string.h>

static const struct quiver_policy *const policies[] = {
	&quiver_policy_planner, &quiver_policy_pages, &quiver_policy_fixed256k,
};

static struct player_result total;
static struct quiver_sequence_random random_bits;
static const struct quiver_sequence_source source = {
	quiver_sequence_random_bits, &random_bits,
};

static void seed(const char *test)
{
	struct model_random random;

	model_random_init(&random, test);
	memset(&total, 0, sizeof(total));
	random_bits.state = random.state;
}

/* Each test starts here and changes one thing. */
static struct player_world plain_world(const struct quiver_policy *policy)
{
	return (struct player_world){
		.policy = policy, .tells_room = true, .capacity = 512,
		.ram_base = 0x40000000, .ram = 8 << 20, .limit = 1ull << 30,
		.sequence = { .operations = 400, .segments = 64 },
	};
}

static void play_all(struct player_world world)
{
	for (int i = 0; i < 4; i++) {
		struct player_result result;

		world.strict = i & 1;
		world.tells_room = i & 2;
		result = player_play(&world, &source);
		total.maps += result.maps;
		total.refusals += result.refusals;
		total.segments += result.segments;
		if (result.longest > total.longest)
			total.longest = result.longest;
	}
}

/* That the worlds were what their test thinks. */
static void check_total(bool refuses)
{
	assert_true(total.maps > 1000);
	assert_int_equal(!!total.refusals, refuses);
}

static void with_plenty_everything_maps(void **state)
{
	seed("plenty");
	for (size_t i = 0; i < 3; i++)
		play_all(plain_world(policies[i]));
	check_total(false);
}

static void limits_that_change_refuse_only_what_does_not_fit(void **state)
{
	seed("limits");
	for (size_t i = 0; i < 6; i++) {
		struct player_world world = plain_world(policies[i % 3]);

		world.limit = 0;
		world.holes = i >= 3;
		world.ram = 1ull << (20 + i);
		play_all(world);
	}
	check_total(true);
}

/* Of 512 granules that are mapped, 128 fit. */
static void limits_that_stay_refuse_only_what_does_not_fit(void **state)
{
	seed("near the limits");
	for (size_t i = 0; i < 3; i++) {
		struct player_world world = plain_world(policies[i]);

		world.limit = 2 << 20;
		world.sequence.live = 3 << 20;
		play_all(world);
	}
	check_total(true);
}

static void bus_addresses_that_fragment(void **state)
{
	seed("first fit");
	for (size_t i = 0; i < 3; i++) {
		struct player_world world = plain_world(policies[i]);

		world.slots = 160;
		world.sequence.live = 3 << 20;
		play_all(world);
	}
	check_total(true);
}

static void small_batches(void **state)
{
	static const size_t capacities[] = { 1, 3, 64 };

	seed("batches");
	for (size_t i = 0; i < 9; i++) {
		struct player_world world = plain_world(policies[i / 3]);

		world.capacity = capacities[i % 3];
		play_all(world);
	}
	check_total(false);
}

static void two_devices_relieve_each_other(void **state)
{
	seed("two devices");
	for (size_t i = 0; i < 6; i++) {
		struct player_world world = plain_world(policies[i / 2]);

		world.shared = true;
		world.limit = i % 2 ? 0 : 2 << 20;
		play_all(world);
	}
	check_total(true);
}

static void the_ends_of_the_address_space(void **state)
{
	seed("ends");
	for (size_t i = 0; i < 6; i++) {
		struct player_world world = plain_world(policies[i / 2]);

		world.high = true;
		world.ram_base = i % 2 ? 0 : 0 - world.ram;
		play_all(world);
	}
	check_total(false);
}

static void hosts_and_storage_that_fail(void **state)
{
	seed("failures");
	for (size_t i = 0; i < 6; i++) {
		struct player_world world = plain_world(policies[i / 2]);

		world.fails = true;
		world.limit = i % 2 ? 0 : world.limit;
		play_all(world);
	}
	check_total(true);
}

static void long_scatterlists(void **state)
{
	seed("long scatterlists");
	for (size_t i = 0; i < 3; i++) {
		struct player_world world = plain_world(policies[i]);

		world.ram = 64 << 20;
		world.sequence.segments = 2048;
		world.sequence.operations = 300;
		play_all(world);
	}
	assert_true(total.longest > 500);
}

static void any_world_at_all(void **state)
{
	seed("any world");
	for (int i = 0; i < 300; i++) {
		struct player_world world = player_world_from_bits(&source);

		world.sequence.operations = 100;
		player_play(&world, &source);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(with_plenty_everything_maps),
		cmocka_unit_test(limits_that_change_refuse_only_what_does_not_fit),
		cmocka_unit_test(limits_that_stay_refuse_only_what_does_not_fit),
		cmocka_unit_test(bus_addresses_that_fragment),
		cmocka_unit_test(small_batches),
		cmocka_unit_test(two_devices_relieve_each_other),
		cmocka_unit_test(the_ends_of_the_address_space),
		cmocka_unit_test(hosts_and_storage_that_fail),
		cmocka_unit_test(long_scatterlists),
		cmocka_unit_test(any_world_at_all),
	};

	return cmocka_run_group_tests_name("planner", tests, NULL, NULL);
}
