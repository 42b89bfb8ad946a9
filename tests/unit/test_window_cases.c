// SPDX-License-Identifier: BSD-3-Clause
/* Windows: what is promised of single cases, whatever the policy. */
#include "model.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define RAM_BASE	0x40000000ull

static const size_t capacities[] = { 1, 3, 127 };

static const struct quiver_policy *const policies[] = {
	&quiver_policy_pages, &quiver_policy_fixed256k, &quiver_policy_planner,
};

struct world {
	struct model_host host;
	struct quiver_space space;
	struct model_random random;
};

static void world_init(struct world *world, const struct quiver_policy *policy, size_t capacity,
		       bool strict)
{
	memset(world, 0, sizeof(*world));
	model_host_init(&world->host, capacity);
	model_space_init(&world->space, &world->host, policy, strict);
}

static void world_fini(struct world *world)
{
	quiver_space_fini(&world->space);
	assert_int_equal(quiver_space_stats(&world->space).windows, 0);
	assert_int_equal(quiver_space_stats(&world->space).bytes, 0);
	assert_int_equal(model_windows_live(), 0);
	assert_int_equal(model_memory_live(), 0);
	model_host_fini(&world->host);
}

/* A limit of mappings far away and far too near: nothing, or everything. */
static void a_scatterlist_maps_whole_or_not_at_all(void **state)
{
	for (int i = 0; i < 18; i++) {
		struct model_segment segments[40];
		struct world world;

		world_init(&world, policies[i % 3], capacities[i / 3 % 3], i / 9);
		for (unsigned int limit = 0; limit < 41; limit++) {
			int error;

			world.host.limits->mappings = limit;
			for (unsigned int s = 0; s < 40; s++)
				segments[s] = model_segment(RAM_BASE + s * 0x80000, 8);
			error = model_map(&world.space, segments, 40);
			assert_int_equal(error, limit < 40 ? -ENOSPC : 0);
			model_flush(&world.space);
			if (limit < 40)
				assert_int_equal(world.host.mappings, 0);
		}
		assert_int_equal(world.host.mappings, 40);
		assert_int_equal(model_unmap(&world.space, segments, 40), 40);
		model_flush(&world.space);
		assert_int_equal(world.host.mappings, 0);
		world_fini(&world);
	}
}

/*
 * After a failure nothing is asked of the host. The planner asks for storage
 * again where its plan found none.
 */
static void storage_may_fail_at_each_point(void **state)
{
	for (unsigned int i = 0; i < 54; i++) {
		struct model_segment first = model_segment(RAM_BASE + 0x80000, 100);
		struct model_segment segments[8];
		unsigned int point = 1 + i / 6;
		bool fails = point < 8 && policies[i % 3] != &quiver_policy_planner;
		struct world world;
		int error;

		world_init(&world, policies[i % 3], 3, i / 3 % 2);
		assert_int_equal(model_map(&world.space, &first, 1), 0);
		for (unsigned int s = 0; s < 8; s++)
			segments[s] = model_segment(RAM_BASE + s * 0x80000, 8);
		model_windows_fail_at(point);
		error = model_map(&world.space, segments, 8);
		model_windows_fail_at(0);

		/* One of the eight is there already. */
		assert_int_equal(error, fails ? -ENOMEM : 0);
		assert_int_equal(quiver_space_stats(&world.space).failed_memory, fails);
		assert_int_equal(quiver_space_stats(&world.space).failed_host, 0);
		assert_int_equal(model_windows_live(), fails ? 1 : 8);
		assert_int_equal(world.host.mappings, fails ? 1 : 8);
		assert_int_equal(world.host.maps, fails ? 1 : 8);
		assert_true(model_host_reaches(&world.host, first.iova, first.gpa, first.length));
		world_fini(&world);
	}
}

static void what_is_no_range_is_refused(void **state)
{
	static const struct quiver_range bad[] = {
		{ 0, 0 }, { RAM_BASE, 0 }, { UINT64_MAX, 2 }, { 1, UINT64_MAX + 0ull },
		{ 0, UINT64_MAX }, { UINT64_MAX - 0x3fff, 0x4001 },
	};

	for (size_t i = 0; i < 3 * sizeof(bad) / sizeof(bad[0]); i++) {
		struct model_segment segments[2] = {
			model_segment(RAM_BASE, 100),
			model_segment(bad[i / 3].start, bad[i / 3].length),
		};
		struct world world;

		world_init(&world, policies[i % 3], 3, false);
		assert_true(model_map(&world.space, segments, 2) < 0);
		assert_null(segments[1].window);
		assert_int_equal(world.host.mappings, 0);
		assert_int_equal(world.host.maps, 0);
		assert_int_equal(quiver_space_stats(&world.space).segments_removed, 1);
		world_fini(&world);
	}
}

/* All but the first granule, and all but the last: the host has no room for such. */
static void half_of_all_addresses_is_refused_by_the_host_alone(void **state)
{
	static const struct quiver_range huge[] = {
		{ MODEL_GRANULE, UINT64_MAX - MODEL_GRANULE }, { 0, UINT64_MAX - MODEL_GRANULE },
		{ 1ull << 63, 1ull << 63 }, { 1, 1ull << 63 },
	};

	for (size_t i = 0; i < 3 * sizeof(huge) / sizeof(huge[0]); i++) {
		struct model_segment segment = model_segment(huge[i / 3].start, huge[i / 3].length);
		struct model_segment small = model_segment(RAM_BASE, 100);
		struct world world;

		world_init(&world, policies[i % 3], 3, false);
		world.host.limits->bytes = 1 << 30;
		assert_int_equal(model_map(&world.space, &segment, 1), -E2BIG);
		assert_int_equal(model_map(&world.space, &small, 1), 0);
		assert_int_equal(world.space.by_gpa.count, 1);
		assert_int_equal(model_unmap(&world.space, &small, 1), 1);
		world_fini(&world);
	}
}

static void the_last_page_of_all_can_be_mapped(void **state)
{
	struct model_segment segment = model_segment(UINT64_MAX - 99, 100);

	for (int i = 0; i < 3; i++) {
		struct world world;

		world_init(&world, policies[i], 1, false);
		assert_int_equal(model_map(&world.space, &segment, 1), 0);
		assert_true(model_host_reaches(&world.host, segment.iova, segment.gpa, 100));
		assert_int_equal(model_unmap(&world.space, &segment, 1), 1);
		world_fini(&world);
	}
}

static void a_scatterlist_takes_as_few_exits_as_it_can(void **state)
{
	static const size_t exits[] = { 300, 100, 3 };
	struct model_segment segments[300];

	for (int i = 0; i < 3; i++) {
		struct world world;

		world_init(&world, &quiver_policy_pages, capacities[i], false);
		for (unsigned int s = 0; s < 300; s++)
			segments[s] = model_segment(RAM_BASE + s * MODEL_GRANULE, 1);
		assert_int_equal(model_map(&world.space, segments, 300), 0);
		assert_int_equal(world.host.rings, exits[i]);
		assert_int_equal(model_map(&world.space, segments, 300), 0);
		assert_int_equal(world.host.rings, exits[i]);
		assert_int_equal(model_unmap(&world.space, segments, 300), 300);
		assert_int_equal(world.host.rings, exits[i]);
		assert_int_equal(model_unmap(&world.space, segments, 300), 300);
		assert_int_equal(world.host.rings, 2 * exits[i]);
		assert_int_equal(quiver_space_stats(&world.space).windows_peak, 300);
		assert_int_equal(quiver_space_stats(&world.space).segments, 600);
		world_fini(&world);
	}
}

/* One operation, releases and maps: what it frees is what it needs. */
static void releases_go_before_maps(void **state)
{
	struct model_segment old = model_segment(RAM_BASE, 1);
	struct model_segment new = model_segment(RAM_BASE + 0x100000, 1);
	struct world world;
	struct quiver_op op;

	world_init(&world, &quiver_policy_pages, 8, false);
	world.host.limits->mappings = 1;
	assert_int_equal(model_map(&world.space, &old, 1), 0);
	quiver_op_begin(&op, &world.space);
	assert_true(quiver_op_remove(&op, old.iova, old.length));
	assert_int_equal(quiver_op_add(&op, new.gpa, new.length, &new.window), 0);
	assert_int_equal(quiver_op_submit(&op), 0);
	assert_int_equal(quiver_window_resolve(new.window, new.gpa, &new.iova), 0);
	assert_int_equal(world.host.rings, 2);
	assert_true(model_host_reaches(&world.host, new.iova, new.gpa, new.length));
	world_fini(&world);
}

/* A vital map may take of the reserve, an ordinary one may not. */
static void the_reserve_is_for_vital_maps(void **state)
{
	for (int i = 0; i < 6; i++) {
		struct model_segment s[3] = {
			model_segment(RAM_BASE, 1), model_segment(RAM_BASE + 0x100000, 1),
			model_segment(RAM_BASE + 0x200000, 1),
		};
		struct world world;

		world_init(&world, i % 2 ? &quiver_policy_pages : &quiver_policy_planner, 8, i / 4);
		if (i & 2)
			world.host.transport.room = model_host_room;
		world.host.limits->bytes = 2 * MODEL_GRANULE;
		world.host.limits->reserve_bytes = MODEL_GRANULE;
		assert_int_equal(model_ask(&world.space, &s[0], 1, (struct model_ask){ 1, 0 }), 0);
		assert_int_equal(model_ask(&world.space, &s[1], 1, (struct model_ask){ 1, 0 }),
				 -E2BIG);
		assert_int_equal(model_ask(&world.space, &s[1], 1, (struct model_ask){ 1, 1 }), 0);
		assert_int_equal(model_ask(&world.space, &s[2], 1, (struct model_ask){ 1, 1 }),
				 -E2BIG);
		assert_true(model_host_reaches(&world.host, s[1].iova, s[1].gpa, 1));
		world_fini(&world);
	}
}

static void fini_says_nothing_to_the_host(void **state)
{
	for (int i = 0; i < 3; i++) {
		struct model_segment s[3] = {
			model_segment(RAM_BASE, 1), model_segment(RAM_BASE + 0x100000, 1),
			model_segment(RAM_BASE + 0x200000, 1),
		};
		bool keeps = policies[i]->keeps_idle;
		struct quiver_space_stats stats;
		struct world world;

		world_init(&world, policies[i], 127, false);
		assert_int_equal(model_map(&world.space, s, 3), 0);
		assert_int_equal(model_unmap(&world.space, s, 1), 1);
		assert_int_equal(quiver_space_fini(&world.space), 2);
		stats = quiver_space_stats(&world.space);
		assert_int_equal(world.host.unmaps, keeps ? 0 : 1);
		assert_int_equal(stats.unmaps, keeps ? 0 : 1);
		assert_int_equal(stats.exits, keeps ? 1 : 2);
		assert_int_equal(stats.windows, 0);
		assert_int_equal(model_windows_live(), 0);
		world_fini(&world);
	}
}

/* As after a reset: the host has dropped everything, and everything can be mapped again. */
static void what_was_forgotten_can_be_mapped_again(void **state)
{
	for (int i = 0; i < 3; i++) {
		struct model_segment s[3] = {
			model_segment(RAM_BASE, 1), model_segment(RAM_BASE + 0x100000, 1),
			model_segment(RAM_BASE + 0x200000, 1),
		};
		struct world world;

		world_init(&world, policies[i], 127, false);
		for (int round = 0; round < 3; round++) {
			uint64_t unmaps = world.host.unmaps;

			assert_int_equal(model_map(&world.space, s, 3), 0);
			for (int j = 0; j < 3; j++)
				assert_true(model_host_reaches(&world.host, s[j].iova,
							       s[j].gpa, 1));
			model_host_detach(&world.host);
			assert_int_equal(quiver_space_forget(&world.space), 3);
			assert_int_equal(world.host.unmaps, unmaps);
			assert_int_equal(model_windows_live(), 0);
			assert_int_equal(model_unmap(&world.space, s, 3), 0);
			assert_int_equal(quiver_space_stats(&world.space).used_bytes, 0);
		}
		world_fini(&world);
	}
}

static void a_space_that_cannot_be_had_leaves_nothing(void **state)
{
	for (int i = 0; i < 3; i++) {
		struct quiver_space_config config = {
			.policy = policies[i], .granule_shift = MODEL_SHIFT,
		};
		uint64_t tables = policies[i] == &quiver_policy_planner ? 3 : 2;
		struct quiver_space space;

		for (uint64_t fail_at = 1; fail_at <= tables + 1; fail_at++) {
			model_memory_fail_at(fail_at);
			assert_int_equal(quiver_space_init(&space, &config),
					 fail_at <= tables ? -ENOMEM : 0);
			model_memory_fail_at(0);
			if (fail_at <= tables)
				assert_int_equal(model_memory_live(), 0);
		}
		assert_int_equal(quiver_space_fini(&space), 0);
		assert_int_equal(model_memory_live(), 0);
	}
}

#define MANY 65536u

static void shuffle(struct model_random *random, struct model_segment *segments)
{
	for (size_t i = MANY - 1; i; i--) {
		size_t j = model_random_below(random, i + 1);
		struct model_segment swap = segments[i];

		segments[i] = segments[j];
		segments[j] = swap;
	}
}

static void sixty_four_thousand_windows(void **state)
{
	struct model_segment *s = calloc(MANY, sizeof(*s));
	struct model_segment extra = model_segment(RAM_BASE, 1);
	struct world world;

	world_init(&world, &quiver_policy_pages, 127, false);
	model_random_init(&world.random, "64k windows");
	world.host.limits->mappings = MANY;
	for (size_t i = 0; i < MANY; i++)
		s[i] = model_segment(RAM_BASE + (i + 1) * 2 * MODEL_GRANULE, 0x1000);
	shuffle(&world.random, s);
	for (size_t i = 0; i < MANY; i++)
		assert_int_equal(model_map(&world.space, &s[i], 1), 0);
	assert_int_equal(world.host.mappings, MANY);
	assert_int_equal(world.host.rings, MANY);

	assert_int_equal(model_map(&world.space, &extra, 1), -ENOSPC);
	assert_int_equal(quiver_space_stats(&world.space).refused_mappings, 1);
	for (size_t i = 0; i < MANY; i++)
		assert_true(model_host_reaches(&world.host, s[i].iova, s[i].gpa, s[i].length));
	shuffle(&world.random, s);
	for (size_t i = 0; i < MANY; i++)
		assert_int_equal(model_unmap(&world.space, &s[i], 1), 1);
	assert_int_equal(world.host.mappings, 0);
	assert_int_equal(quiver_space_stats(&world.space).windows_peak, MANY + 1);
	free(s);
	world_fini(&world);
}

static void policies_have_names(void **state)
{
	assert_ptr_equal(quiver_policy_find("planner"), &quiver_policy_planner);
	assert_ptr_equal(quiver_policy_find("pages"), &quiver_policy_pages);
	assert_ptr_equal(quiver_policy_find("fixed256k"), &quiver_policy_fixed256k);
	assert_null(quiver_policy_find("fixed256"));
	assert_null(quiver_policy_find(""));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_scatterlist_maps_whole_or_not_at_all),
		cmocka_unit_test(storage_may_fail_at_each_point),
		cmocka_unit_test(what_is_no_range_is_refused),
		cmocka_unit_test(half_of_all_addresses_is_refused_by_the_host_alone),
		cmocka_unit_test(the_last_page_of_all_can_be_mapped),
		cmocka_unit_test(a_scatterlist_takes_as_few_exits_as_it_can),
		cmocka_unit_test(releases_go_before_maps),
		cmocka_unit_test(the_reserve_is_for_vital_maps),
		cmocka_unit_test(fini_says_nothing_to_the_host),
		cmocka_unit_test(what_was_forgotten_can_be_mapped_again),
		cmocka_unit_test(a_space_that_cannot_be_had_leaves_nothing),
		cmocka_unit_test(sixty_four_thousand_windows),
		cmocka_unit_test(policies_have_names),
	};

	return cmocka_run_group_tests_name("window-cases", tests, NULL, NULL);
}
