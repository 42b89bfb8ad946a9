// SPDX-License-Identifier: BSD-3-Clause
/*
 * Windows under each policy: random operations on random segments. What the
 * checker does not see is added here.
 */
#include "checker.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define RAM_BASE	0x40000000ull
#define RAM_SIZE	(8ull << 20)
#define LIVE_MAX	64u
#define SG_MAX		8u
#define OPERATIONS	700

static const struct quiver_policy *const policies[] = {
	&quiver_policy_planner, &quiver_policy_pages, &quiver_policy_fixed256k,
};

static const size_t capacities[] = { 1, 3, 127 };

struct world {
	struct checker *checker;
	struct model_random random;
};

/* Most are small, some straddle blocks, some are longer than one. */
static struct quiver_range some_segment(struct world *world)
{
	uint64_t length = 1 + model_random_below(&world->random,
		1ull << model_random_below(&world->random, 20));

	return (struct quiver_range){
		RAM_BASE + model_random_below(&world->random, RAM_SIZE - length), length
	};
}

static uint32_t find_map(struct world *world, bool live)
{
	uint32_t map = (uint32_t)model_random_below(&world->random, LIVE_MAX);

	for (uint32_t i = 0; i < LIVE_MAX; i++, map = (map + 1) % LIVE_MAX)
		if (!world->checker->map[map].count == !live)
			return map;
	return LIVE_MAX;
}

static void map_some(struct world *world)
{
	uint32_t count = 1 + (uint32_t)model_random_below(&world->random, SG_MAX);
	uint32_t map = find_map(world, false);
	const struct model_host *host = &world->checker->host;
	uint64_t refused = host->refused_bytes + host->refused_mappings + host->failed;
	struct quiver_range segment[SG_MAX];
	int error;

	if (map == LIVE_MAX)
		return;
	for (uint32_t i = 0; i < count; i++)
		segment[i] = some_segment(world);
	error = checker_map(world->checker, map, segment, count,
			    count == 1 && model_random_below(&world->random, 2));
	assert_in_range(-error, 0, 133);
	/* Nobody here but the host refuses. */
	if (error)
		assert_true(host->refused_bytes + host->refused_mappings + host->failed > refused);
}

static void unmap_some(struct world *world)
{
	uint32_t map = find_map(world, true);

	if (map == LIVE_MAX)
		return;
	if (model_random_below(&world->random, 8))
		checker_unmap(world->checker, map);
	else
		checker_unmap_badly(world->checker, map, model_random_next(&world->random));
}

static void exercise(struct world *world)
{
	for (int i = 0; i < OPERATIONS; i++) {
		uint64_t roll = model_random_below(&world->random, 100);
		bool growing = i / 64 % 2 == 0;

		if (roll < 4)
			checker_unmap_nothing(world->checker, model_random_next(&world->random));
		else if (roll < 6)
			checker_flush(world->checker);
		else if (roll < (growing ? 70u : 35u))
			map_some(world);
		else
			unmap_some(world);
	}
}

/* Each combination of policy, ring size and strictness; then everything goes. */
static void in_every_world(const char *name, void (*prepare)(struct world *world), bool refuses)
{
	struct world world = { .checker = malloc(sizeof(*world.checker)) };
	uint64_t refusals = 0;

	assert_non_null(world.checker);
	model_random_init(&world.random, name);
	for (int i = 0; i < 18; i++) {
		checker_init(world.checker, policies[i % 3], capacities[i / 3 % 3], i / 9);
		world.checker->host.random = world.random;
		prepare(&world);
		exercise(&world);
		refusals += world.checker->refusals;
		checker_fini(world.checker);
		world.random = world.checker->host.random;
	}
	assert_int_equal(!!refusals, refuses);
	free(world.checker);
}

static void prepare_nothing(struct world *world)
{
}

static void segments_reach_their_memory(void **state)
{
	in_every_world("window", prepare_nothing, false);
}

static void prepare_limits(struct world *world)
{
	struct model_limits *limits = world->checker->host.limits;

	limits->bytes = world->checker->policy == &quiver_policy_fixed256k ? 4 << 20 : 1 << 20;
	limits->mappings = 25;
}

static void segments_reach_their_memory_near_the_limits(void **state)
{
	in_every_world("window, limits", prepare_limits, true);
}

static void prepare_failures(struct world *world)
{
	world->checker->host.map_refusals = 10;
	world->checker->host.unmap_refusals = 10;
	world->checker->host.ignored = 5;
}

static void segments_reach_their_memory_under_failures(void **state)
{
	in_every_world("window, failures", prepare_failures, true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(segments_reach_their_memory),
		cmocka_unit_test(segments_reach_their_memory_near_the_limits),
		cmocka_unit_test(segments_reach_their_memory_under_failures),
	};

	return cmocka_run_group_tests_name("window", tests, NULL, NULL);
}
