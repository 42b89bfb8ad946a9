// SPDX-License-Identifier: BSD-3-Clause
/* What the budget's rules come to, in figures. test_budget.c has the rules. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/budget.h"

#define ACCOUNTS_MAX	64u

struct world {
	struct quiver_budget budget;
	struct quiver_account accounts[ACCOUNTS_MAX];
};

static void world_start(struct world *world, unsigned int count, struct quiver_amount limit)
{
	quiver_budget_init(&world->budget, world->accounts, count);
	assert_int_equal(quiver_budget_set_limit(&world->budget, limit,
						 quiver_budget_reserve_of(limit)), 0);
}

#define MIB (1ull << 20)
#define DART ((struct quiver_amount){ 1536 * MIB, 65536 })

static uint64_t fill(struct world *world, unsigned int account, uint64_t length)
{
	uint64_t count = 0;

	while (!quiver_budget_take(&world->budget, account, length, false))
		count++;
	return count;
}

static void one_device_has_all_but_the_reserve(void **state)
{
	static struct world world;

	world_start(&world, 4, DART);
	assert_int_equal(world.budget.bytes.reserve, 32212255);	/* 2 % of 1.5 GiB, rounded up */
	assert_int_equal(world.budget.mappings.reserve, 1311);
	quiver_budget_attach(&world.budget, 2);
	assert_int_equal(quiver_budget_room(&world.budget, 2).bytes, 1536 * MIB - 32212255);
	assert_int_equal(quiver_budget_room(&world.budget, 2).mappings, 65536 - 1311);
	assert_int_equal(fill(&world, 2, MIB), 1505);
	assert_int_equal(world.accounts[2].refused[QUIVER_REFUSAL_RESERVE], 1);
	assert_int_equal(fill(&world, 2, 2048 * MIB), 0);
	assert_int_equal(world.accounts[2].refused[QUIVER_REFUSAL_BYTES], 1);
}

static void a_full_budget_leaves_vital_maps_their_reserve(void **state)
{
	static struct world world;
	uint64_t count = 0;

	world_start(&world, 1, DART);
	quiver_budget_attach(&world.budget, 0);
	fill(&world, 0, MIB);
	fill(&world, 0, 16384);
	assert_int_equal(quiver_budget_take(&world.budget, 0, 16384, false), -E2BIG);
	/* What is called vital and is large is as ordinary as it looks. */
	assert_int_equal(quiver_budget_take(&world.budget, 0, 65537, true), -E2BIG);
	assert_int_equal(quiver_budget_take(&world.budget, 0, 65536, true), 0);
	quiver_budget_release(&world.budget, 0, 65536);
	while (!quiver_budget_take(&world.budget, 0, 16384, true))
		count++;
	assert_int_equal(count, 32212255 / 16384);
	assert_int_equal(world.budget.bytes.borrowed, count * 16384);
	assert_true(world.budget.bytes.used <= 1536 * MIB);
	/* Whatever is given back pays back first: the reserve is there for the next. */
	quiver_budget_release(&world.budget, 0, MIB);
	assert_int_equal(world.budget.bytes.borrowed, count * 16384 - MIB);
	assert_int_equal(quiver_budget_take(&world.budget, 0, 16384, false), -E2BIG);
	assert_int_equal(quiver_budget_take(&world.budget, 0, 16384, true), 0);
}

static void others_keep_what_is_guaranteed_to_them(void **state)
{
	static struct world world;
	uint64_t guarantee = 1536 * MIB / 16;

	world_start(&world, 2, DART);
	quiver_budget_attach(&world.budget, 0);
	quiver_budget_attach(&world.budget, 1);
	assert_int_equal(fill(&world, 0, MIB), 1505 - 96);
	assert_int_equal(world.accounts[0].refused[QUIVER_REFUSAL_SHARE], 1);
	assert_int_equal(quiver_budget_room(&world.budget, 1).bytes,
			 1536 * MIB - 32212255 - (1505 - 96) * MIB);
	assert_int_equal(quiver_budget_take(&world.budget, 1, guarantee, false), 0);
	/* Nothing is owed any more: the rest goes to who comes first. */
	assert_int_equal(quiver_budget_room(&world.budget, 0).bytes,
			 quiver_budget_room(&world.budget, 1).bytes);
	quiver_budget_release(&world.budget, 1, guarantee);
	assert_int_equal(quiver_budget_take(&world.budget, 0, MIB, false), -E2BIG);
	quiver_budget_detach(&world.budget, 1);
	assert_int_equal(fill(&world, 0, MIB), 96);
}

static void calling_everything_vital_gains_the_reserve_and_no_more(void **state)
{
	static struct world world;
	uint64_t count = 0;

	world_start(&world, 2, DART);
	quiver_budget_attach(&world.budget, 0);
	quiver_budget_attach(&world.budget, 1);
	while (!quiver_budget_take(&world.budget, 0, 65536, true))
		count++;
	assert_int_equal(count, ((1536 - 96) * MIB - 32212255) / 65536 + 32212255 / 65536);
	assert_int_equal(quiver_budget_take(&world.budget, 1, 96 * MIB, false), 0);
}

static void guarantees_never_take_more_than_a_quarter(void **state)
{
	static struct world world;

	world_start(&world, ACCOUNTS_MAX, DART);
	for (unsigned int n = 0; n < ACCOUNTS_MAX; n++) {
		quiver_budget_attach(&world.budget, n);
		assert_int_equal(world.budget.bytes.guarantee,
				 n < 4 ? 96 * MIB : 384 * MIB / (n + 1));
		assert_int_equal(world.budget.mappings.guarantee, n < 4 ? 4096 : 16384 / (n + 1));
		assert_true(world.budget.bytes.lacking <= 384 * MIB);
	}
}

/* It cannot take back what is used, but nobody gets more before it has its own. */
static void a_late_device_comes_first_from_then_on(void **state)
{
	static struct world world;

	world_start(&world, 2, DART);
	quiver_budget_attach(&world.budget, 0);
	fill(&world, 0, MIB);
	quiver_budget_attach(&world.budget, 1);
	assert_int_equal(quiver_budget_take(&world.budget, 1, MIB, false), -E2BIG);
	quiver_budget_release(&world.budget, 0, MIB);
	assert_int_equal(quiver_budget_take(&world.budget, 0, MIB, false), -E2BIG);
	assert_int_equal(quiver_budget_take(&world.budget, 1, MIB, false), 0);
}

static void lower_limits_wait_for_what_is_used(void **state)
{
	static struct world world;
	struct quiver_amount small = { 8 * MIB, 8 }, none = { 0, 0 };

	world_start(&world, 1, DART);
	quiver_budget_attach(&world.budget, 0);
	assert_int_equal(quiver_budget_take(&world.budget, 0, 9 * MIB, false), 0);
	assert_int_equal(quiver_budget_set_limit(&world.budget, small, none), -EBUSY);
	assert_int_equal(world.budget.bytes.limit, 1536 * MIB);
	quiver_budget_release(&world.budget, 0, 9 * MIB);
	assert_int_equal(quiver_budget_set_limit(&world.budget, small, none), 0);
	assert_int_equal(quiver_budget_room(&world.budget, 0).bytes, 8 * MIB);
	assert_int_equal(quiver_budget_take(&world.budget, 0, 8 * MIB, false), 0);
}

static void the_reserve_is_two_percent_and_never_nothing(void **state)
{
	assert_int_equal(quiver_budget_reserve_of((struct quiver_amount){ 0, 1 }).bytes, 0);
	assert_int_equal(quiver_budget_reserve_of((struct quiver_amount){ 0, 1 }).mappings, 1);
	assert_int_equal(quiver_budget_reserve_of((struct quiver_amount){ 50, 51 }).bytes, 1);
	assert_int_equal(quiver_budget_reserve_of((struct quiver_amount){ 50, 51 }).mappings, 2);
	assert_int_equal(quiver_budget_reserve_of((struct quiver_amount){ UINT64_MAX, 100 }).bytes,
			 368934881474191033ull);
}

/* In units that are large beside the smallest map that counts. */
#define UNIT MIB

static enum quiver_pressure pressure_at(struct world *world, uint64_t bytes, uint64_t mappings)
{
	enum quiver_pressure pressure;

	for (uint64_t i = 0; i < mappings; i++)
		assert_int_equal(quiver_budget_take(&world->budget, 0,
						    i ? 1 : bytes * UNIT - mappings + 1, true), 0);
	pressure = quiver_budget_pressure(&world->budget);
	quiver_budget_detach(&world->budget, 0);
	quiver_budget_attach(&world->budget, 0);
	return pressure;
}

static void pressure_is_that_of_the_fuller_one(void **state)
{
	static const struct {
		uint64_t bytes, mappings;
		enum quiver_pressure pressure;
	} rows[] = {
		{ 1, 1, QUIVER_PRESSURE_NONE }, { 749, 1, QUIVER_PRESSURE_NONE },
		{ 750, 1, QUIVER_PRESSURE_LOW }, { 899, 74, QUIVER_PRESSURE_LOW },
		{ 900, 1, QUIVER_PRESSURE_MEDIUM }, { 979, 1, QUIVER_PRESSURE_MEDIUM },
		{ 980, 1, QUIVER_PRESSURE_CRITICAL },	/* no room for one more */
		{ 100, 74, QUIVER_PRESSURE_NONE }, { 100, 75, QUIVER_PRESSURE_LOW },
		{ 100, 89, QUIVER_PRESSURE_LOW }, { 100, 90, QUIVER_PRESSURE_MEDIUM },
		{ 100, 97, QUIVER_PRESSURE_MEDIUM }, { 100, 98, QUIVER_PRESSURE_CRITICAL },
		{ 100, 99, QUIVER_PRESSURE_CRITICAL },	/* borrowed */
		{ 900, 75, QUIVER_PRESSURE_MEDIUM }, { 750, 99, QUIVER_PRESSURE_CRITICAL },
	};
	static struct world world;

	world_start(&world, 1, (struct quiver_amount){ 1000 * UNIT, 100 });
	quiver_budget_attach(&world.budget, 0);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(pressure_at(&world, rows[i].bytes, rows[i].mappings),
				 rows[i].pressure);
	quiver_budget_init(&world.budget, world.accounts, 1);
	assert_int_equal(quiver_budget_pressure(&world.budget), QUIVER_PRESSURE_NONE);
}

static void pressure_lasts_while_the_refused_map_would_be_refused(void **state)
{
	static struct world world;
	struct quiver_budget *budget = &world.budget;

	world_start(&world, 2, (struct quiver_amount){ 1000 * UNIT, 100 });
	quiver_budget_attach(budget, 0);
	/* Too big for anybody, and nothing is used: no pressure. */
	assert_int_equal(quiver_budget_take(budget, 0, 2000 * UNIT, false), -E2BIG);
	assert_int_equal(quiver_budget_pressure(budget), QUIVER_PRESSURE_NONE);
	assert_int_equal(quiver_budget_take(budget, 0, 750 * UNIT, false), 0);
	assert_int_equal(quiver_budget_take(budget, 0, 50 * UNIT, false), 0);
	assert_int_equal(quiver_budget_take(budget, 0, 200 * UNIT, false), -E2BIG);
	assert_int_equal(quiver_budget_pressure(budget), QUIVER_PRESSURE_CRITICAL);
	quiver_budget_release(budget, 0, 50 * UNIT);
	assert_int_equal(quiver_budget_pressure(budget), QUIVER_PRESSURE_LOW);
	/* Another's guarantee is a reason like any other. */
	quiver_budget_attach(budget, 1);
	assert_int_equal(quiver_budget_take(budget, 0, 200 * UNIT, false), -E2BIG);
	assert_int_equal(world.accounts[0].refused[QUIVER_REFUSAL_SHARE], 1);
	assert_int_equal(quiver_budget_pressure(budget), QUIVER_PRESSURE_CRITICAL);
	quiver_budget_detach(budget, 1);
	assert_int_equal(quiver_budget_pressure(budget), QUIVER_PRESSURE_LOW);
	/* With the device goes what it was refused. */
	quiver_budget_attach(budget, 1);
	assert_int_equal(quiver_budget_take(budget, 1, 240 * UNIT, false), -E2BIG);
	assert_int_equal(quiver_budget_pressure(budget), QUIVER_PRESSURE_CRITICAL);
	quiver_budget_detach(budget, 1);
	assert_int_equal(quiver_budget_pressure(budget), QUIVER_PRESSURE_LOW);
}

/* One that keeps to its share and has filled all but the other's: nobody needs to have asked. */
static void a_device_without_room_is_pressure(void **state)
{
	static struct world world;

	world_start(&world, 2, DART);
	quiver_budget_attach(&world.budget, 0);
	quiver_budget_attach(&world.budget, 1);
	assert_int_equal(quiver_budget_take(&world.budget, 0,
					    quiver_budget_room(&world.budget, 0).bytes, false), 0);
	assert_int_equal(quiver_budget_pressure(&world.budget), QUIVER_PRESSURE_CRITICAL);
	quiver_budget_detach(&world.budget, 1);
	assert_int_equal(quiver_budget_pressure(&world.budget), QUIVER_PRESSURE_MEDIUM);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_device_has_all_but_the_reserve),
		cmocka_unit_test(a_full_budget_leaves_vital_maps_their_reserve),
		cmocka_unit_test(others_keep_what_is_guaranteed_to_them),
		cmocka_unit_test(calling_everything_vital_gains_the_reserve_and_no_more),
		cmocka_unit_test(guarantees_never_take_more_than_a_quarter),
		cmocka_unit_test(a_late_device_comes_first_from_then_on),
		cmocka_unit_test(lower_limits_wait_for_what_is_used),
		cmocka_unit_test(the_reserve_is_two_percent_and_never_nothing),
		cmocka_unit_test(pressure_is_that_of_the_fuller_one),
		cmocka_unit_test(pressure_lasts_while_the_refused_map_would_be_refused),
		cmocka_unit_test(a_device_without_room_is_pressure),
	};

	return cmocka_run_group_tests_name("budget_cases", tests, NULL, NULL);
}
