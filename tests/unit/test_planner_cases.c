// SPDX-License-Identifier: BSD-3-Clause
/* The planner: what is promised of single cases. */
#include "model.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define RAM_BASE	0x40000000ull
#define GRANULE(n)	(RAM_BASE + (n) * MODEL_GRANULE)

struct world {
	struct model_host host;
	struct quiver_space space;
};

static void world_init(struct world *world, bool strict, bool tells_room)
{
	memset(world, 0, sizeof(*world));
	model_host_init(&world->host, 127);
	if (tells_room)
		world->host.transport.room = model_host_room;
	model_space_init(&world->space, &world->host, &quiver_policy_planner, strict);
}

static void world_fini(struct world *world)
{
	quiver_space_fini(&world->space);
	assert_int_equal(model_windows_live(), 0);
	model_host_fini(&world->host);
}

/* One granule each, far from all others. */
static struct model_segment far_apart(unsigned int n)
{
	return model_segment(GRANULE(1000 * n), 1);
}

static bool is_mapped(struct world *world, const struct model_segment *segment)
{
	return model_host_reaches(&world->host, segment->iova, segment->gpa, segment->length);
}

static void idle_windows_wait_and_are_taken_up_again(void **state)
{
	struct model_segment s = far_apart(0);
	struct world world;
	uint64_t iova;

	world_init(&world, false, true);
	assert_int_equal(model_map(&world.space, &s, 1), 0);
	iova = s.iova;
	for (int i = 0; i < 3; i++) {
		assert_int_equal(model_unmap(&world.space, &s, 1), 1);
		assert_true(is_mapped(&world, &s));
		assert_int_equal(model_unmap(&world.space, &s, 1), 0);
		assert_int_equal(model_map(&world.space, &s, 1), 0);
		assert_true(s.iova == iova);
	}
	assert_int_equal(world.host.rings, 1);
	assert_int_equal(quiver_space_stats(&world.space).bad_unmaps, 3);

	assert_int_equal(model_unmap(&world.space, &s, 1), 1);
	model_flush(&world.space);
	assert_int_equal(world.host.rings, 2);
	assert_int_equal(world.host.mappings, 0);
	model_flush(&world.space);
	assert_int_equal(world.host.rings, 2);
	world_fini(&world);
}

/* With room() known, in the exit of the map; otherwise after a refusal. */
static void idle_windows_go_when_their_room_is_wanted(void **state)
{
	for (int tells = 0; tells < 2; tells++) {
		struct model_segment s[9];
		struct world world;

		world_init(&world, false, tells);
		world.host.limits->mappings = 6;
		for (unsigned int i = 0; i < 9; i++)
			s[i] = far_apart(i);
		for (unsigned int i = 0; i < 6; i++)
			assert_int_equal(model_map(&world.space, &s[i], 1), 0);
		/* Three are idle, in the order 1, 0, 2. */
		assert_int_equal(model_unmap(&world.space, &s[1], 1), 1);
		assert_int_equal(model_unmap(&world.space, &s[0], 1), 1);
		assert_int_equal(model_unmap(&world.space, &s[2], 1), 1);

		assert_int_equal(model_map(&world.space, &s[6], 2), 0);
		assert_int_equal(world.host.rings, tells ? 7 : 8);
		assert_int_equal(world.host.refused_mappings, tells ? 0 : 2);
		assert_int_equal(world.host.mappings, 6);
		assert_false(is_mapped(&world, &s[1]));
		assert_false(is_mapped(&world, &s[0]));
		assert_true(is_mapped(&world, &s[2]));
		for (unsigned int i = 3; i < 8; i++)
			assert_true(is_mapped(&world, &s[i]));

		/* One idle window is not enough for two. */
		assert_int_equal(model_map(&world.space, s, 2), -ENOSPC);
		assert_int_equal(model_map(&world.space, s, 1), 0);
		assert_false(is_mapped(&world, &s[2]));
		assert_int_equal(world.host.mappings, 6);
		world_fini(&world);
	}
}

/* Room that is known to be lacking is not asked for, and nothing is released in vain. */
static void a_refusal_that_is_known_costs_nothing(void **state)
{
	struct model_segment s[3] = { far_apart(0), far_apart(1),
				      model_segment(GRANULE(5000), 9 * MODEL_GRANULE) };
	struct world world;

	world_init(&world, false, true);
	world.host.limits->bytes = 8 << MODEL_SHIFT;
	assert_int_equal(model_map(&world.space, s, 2), 0);
	assert_int_equal(model_unmap(&world.space, s, 1), 1);
	assert_int_equal(model_map(&world.space, &s[2], 1), -E2BIG);
	assert_int_equal(world.host.rings, 1);
	assert_int_equal(world.host.maps, 2);
	assert_int_equal(world.host.mappings, 2);
	assert_int_equal(quiver_space_stats(&world.space).refused_bytes, 1);
	assert_true(is_mapped(&world, &s[0]));
	world_fini(&world);
}

/* No room may be left for a window of its own, however large the one that it lies in. */
static void what_lies_in_a_used_window_is_never_refused(void **state)
{
	for (int i = 0; i < 4; i++) {
		struct model_segment large = model_segment(GRANULE(0), 1000 << MODEL_SHIFT);
		struct model_segment small[2] = { model_segment(GRANULE(77), 100),
						  model_segment(GRANULE(800), 1) };
		struct world world;

		world_init(&world, i & 1, i & 2);
		world.host.limits->bytes = large.length;
		assert_int_equal(model_map(&world.space, &large, 1), 0);
		assert_int_equal(model_ask(&world.space, small, 2, (struct model_ask){ 1, 0 }), 0);
		assert_int_equal(world.host.mappings, 1);
		assert_int_equal(model_unmap(&world.space, &large, 1), 1);
		assert_true(is_mapped(&world, &small[0]) && is_mapped(&world, &small[1]));
		assert_int_equal(model_unmap(&world.space, small, 2), 2);
		world_fini(&world);
	}
}

#define IDLE 60000u

/* However many they are, and of whichever of the two devices. */
static void all_idle_windows_can_be_had(void **state)
{
	for (int i = 0; i < 4; i++) {
		struct model_segment large = model_segment(GRANULE(0), IDLE * MODEL_GRANULE);
		struct model_segment *s = calloc(IDLE, sizeof(*s));
		struct world a, b, *owner = i & 1 ? &a : &b;

		assert_non_null(s);
		world_init(&a, false, i & 2);
		world_init(&b, false, i & 2);
		model_host_share(&b.host, &a.host);
		a.host.peer = &b.space;
		a.host.transport.relieve = model_host_relieve;
		for (unsigned int n = 0; n < IDLE; n++) {
			s[n] = far_apart(n + 30);
			assert_int_equal(model_map(&owner->space, &s[n], 1), 0);
		}
		assert_int_equal(model_unmap(&owner->space, s, IDLE), IDLE);
		a.host.limits->bytes = large.length;
		assert_int_equal(model_map(&a.space, &large, 1), 0);
		assert_int_equal(owner->host.mappings, owner == &a);
		assert_true(is_mapped(&a, &large));
		quiver_space_fini(&b.space);
		model_host_fini(&b.host);
		world_fini(&a);
		free(s);
	}
}

/*
 * Neighbours of one scatterlist share a window; a gap is not mapped; what comes later has a window of
 * its own, so that it keeps nothing else mapped.
 */
/* However far: what one refusal after the other releases doubles, and each is an exit. */
static void limits_may_be_below_what_is_in_use(void **state)
{
	enum { WINDOWS = 1500 };
	struct model_segment s = far_apart(WINDOWS), *idle = calloc(WINDOWS, sizeof(*idle));
	struct world world;
	uint64_t rings;

	assert_non_null(idle);
	world_init(&world, false, false);
	for (unsigned int i = 0; i < WINDOWS; i++) {
		idle[i] = far_apart(i);
		assert_int_equal(model_map(&world.space, &idle[i], 1), 0);
	}
	for (unsigned int i = 0; i < WINDOWS; i++)
		assert_int_equal(model_unmap(&world.space, &idle[i], 1), 1);
	assert_int_equal(world.host.mappings, WINDOWS);
	world.host.limits->mappings = 1;
	rings = world.host.rings;
	assert_int_equal(model_map(&world.space, &s, 1), 0);
	assert_in_range(world.host.rings - rings, 1, 30);
	assert_int_equal(world.host.mappings, 1);
	assert_int_equal(model_unmap(&world.space, &s, 1), 1);
	world_fini(&world);
	free(idle);
}

static void strict_maps_what_is_asked_for_and_no_more(void **state)
{
	struct model_segment s[4] = {
		model_segment(GRANULE(0), 100), model_segment(GRANULE(1), 2 << MODEL_SHIFT),
		model_segment(GRANULE(4), 1), model_segment(GRANULE(2) + 5, 1),
	};
	struct world world;

	world_init(&world, true, true);
	assert_int_equal(model_map(&world.space, s, 3), 0);
	assert_int_equal(world.host.mappings, 2);
	assert_int_equal(world.host.bytes, 4 << MODEL_SHIFT);
	assert_int_equal(model_map(&world.space, &s[3], 1), 0);
	assert_int_equal(world.host.mappings, 3);
	assert_int_equal(world.host.bytes, 5 << MODEL_SHIFT);

	assert_int_equal(model_unmap(&world.space, &s[2], 1), 1);
	assert_int_equal(world.host.mappings, 2);
	assert_int_equal(model_unmap(&world.space, s, 2), 2);
	assert_int_equal(world.host.mappings, 1);
	assert_int_equal(world.host.bytes, 1 << MODEL_SHIFT);
	assert_int_equal(model_unmap(&world.space, &s[3], 1), 1);
	assert_int_equal(world.host.mappings, 0);
	assert_int_equal(quiver_space_stats(&world.space).idle_windows, 0);
	world_fini(&world);
}

/* The caller stops at the first error; what the plan had made for the rest is not left behind. */
static void a_plan_that_fails_leaves_nothing(void **state)
{
	for (int strict = 0; strict < 2; strict++) {
		struct model_segment s[4] = { far_apart(0), model_segment(UINT64_MAX, 2),
					      far_apart(1), far_apart(2) };
		struct world world;

		world_init(&world, strict, true);
		assert_int_equal(model_map(&world.space, s, 4), -EINVAL);
		assert_int_equal(world.host.rings, 0);
		assert_int_equal(model_windows_live(), 0);
		assert_int_equal(quiver_space_stats(&world.space).failed_host, 0);
		world_fini(&world);
	}
}

/* It is asked for once, and no room is made for it in vain. */
static void what_is_no_ram_is_refused_at_once(void **state)
{
	struct model_segment idle = far_apart(3), s = model_segment(GRANULE(10), 1);
	struct world world;

	for (int tells = 0; tells < 2; tells++) {
		world_init(&world, false, tells);
		world.host.hole = (struct quiver_range){ GRANULE(10), MODEL_GRANULE };
		assert_int_equal(model_map(&world.space, &idle, 1), 0);
		assert_int_equal(model_unmap(&world.space, &idle, 1), 1);
		assert_int_equal(model_map(&world.space, &s, 1), -EFAULT);
		assert_int_equal(world.host.maps, 2);
		assert_int_equal(world.host.rings, 2);
		assert_true(is_mapped(&world, &idle));
		assert_int_equal(quiver_space_stats(&world.space).failed_host, 1);
		world_fini(&world);
	}
}

/* Not all that is planned is RAM: the second attempt takes only what is asked for. */
static void what_lies_beside_a_hole_can_be_mapped(void **state)
{
	struct model_segment s[2] = { model_segment(GRANULE(9), 1), model_segment(GRANULE(11), 1) };
	struct world world;

	world_init(&world, false, true);
	world.host.limits->bytes = 1ull << 30;
	world.host.hole = (struct quiver_range){ GRANULE(10), MODEL_GRANULE };
	assert_int_equal(model_map(&world.space, s, 2), -EFAULT);
	assert_int_equal(world.host.mappings, 0);
	assert_int_equal(model_ask(&world.space, s, 2, (struct model_ask){ .exact = true }), 0);
	assert_int_equal(world.host.mappings, 2);
	world_fini(&world);
}

/* Neighbours share a window, unless the host cannot map them as one. */
static void neighbours_in_two_blocks_of_ram_can_be_mapped(void **state)
{
	struct model_segment s[2] = { model_segment(GRANULE(9), 1), model_segment(GRANULE(10), 1) };

	for (int strict = 0; strict < 2; strict++) {
		struct world world;

		world_init(&world, strict, true);
		world.host.seam = GRANULE(10);
		assert_int_equal(model_map(&world.space, s, 2), -EFAULT);
		assert_int_equal(model_map_twice(&world.space, s, 2), 0);
		assert_int_equal(world.host.mappings, 2);
		assert_true(is_mapped(&world, &s[0]) && is_mapped(&world, &s[1]));
		assert_int_equal(model_unmap(&world.space, s, 2), 2);
		world_fini(&world);
	}
}

#define OFTEN 70000u

static void map_very_often(struct world *world, struct model_segment *s)
{
	for (size_t i = 0; i < OFTEN; i++) {
		s[i] = model_segment(GRANULE(0) + i % 1000, 1 + i % 7);
		assert_int_equal(model_map(&world->space, &s[i], 1), 0);
	}
	assert_int_equal(world->host.maps, 1);
	for (size_t i = 0; i < OFTEN - 1; i++) {
		assert_int_equal(model_unmap(&world->space, &s[i], 1), 1);
		assert_int_equal(world->space.touched, 1);
	}
	assert_true(is_mapped(world, &s[OFTEN - 1]));
	assert_int_equal(quiver_space_stats(&world->space).idle_windows, 0);
	assert_int_equal(model_unmap(&world->space, &s[OFTEN - 1], 1), 1);
	assert_int_equal(world->space.touched + world->space.waste, 0);
}

/* The count of one granule ends at 65,535; the window's own does not. */
static void a_granule_may_be_mapped_very_often(void **state)
{
	struct model_segment *s = calloc(OFTEN, sizeof(*s));

	assert_non_null(s);
	for (int strict = 0; strict < 2; strict++) {
		struct world world;

		world_init(&world, strict, true);
		map_very_often(&world, s);
		assert_int_equal(world.host.mappings, !strict);
		/* A full count is gone once nobody uses the window. */
		for (int i = 0; i < 2; i++) {
			assert_int_equal(model_map(&world.space, s, 1), 0);
			assert_int_equal(world.space.touched, 1);
			assert_int_equal(model_unmap(&world.space, s, 1), 1);
			assert_int_equal(world.space.touched, 0);
		}
		world_fini(&world);
	}
	free(s);
}

#define LONG (QUIVER_OP_SEGMENTS + 1000u)

/* What is too much for one plan, or was not announced, is mapped all the same. */
static void more_than_a_plan_can_hold(void **state)
{
	struct model_segment *s = calloc(LONG, sizeof(*s));
	struct world world;
	struct quiver_op op;

	assert_non_null(s);
	world_init(&world, false, true);
	for (unsigned int i = 0; i < LONG; i++)
		s[i] = model_segment(GRANULE(100 * (uint64_t)(i * 2749 % LONG)), 20000);
	assert_int_equal(model_map(&world.space, s, LONG), 0);
	for (size_t i = 0; i < LONG; i++)
		assert_true(is_mapped(&world, &s[i]));
	assert_int_equal(model_unmap(&world.space, s, LONG), LONG);
	model_flush(&world.space);

	quiver_op_begin(&op, &world.space);
	for (size_t i = 0; i < LONG; i++)
		assert_int_equal(quiver_op_add(&op, s[i].gpa, s[i].length, &s[i].window), 0);
	assert_int_equal(quiver_op_submit(&op), 0);
	for (size_t i = 0; i < LONG; i++) {
		assert_int_equal(quiver_window_resolve(s[i].window, s[i].gpa, &s[i].iova), 0);
		assert_true(is_mapped(&world, &s[i]));
	}
	world_fini(&world);
	free(s);
}

/* The same segment many times in one list: one window, and one user each. */
static void duplicates_in_a_list(void **state)
{
	struct model_segment s[2000];
	struct world world;

	world_init(&world, true, true);
	for (size_t i = 0; i < 2000; i++)
		s[i] = model_segment(GRANULE(i % 3 * 10), 30000);
	assert_int_equal(model_map(&world.space, s, 2000), 0);
	assert_int_equal(world.host.mappings, 3);
	for (size_t i = 0; i < 1999; i++)
		assert_int_equal(model_unmap(&world.space, &s[i], 1), 1);
	assert_true(is_mapped(&world, &s[1999]));
	assert_int_equal(world.host.mappings, 1);
	assert_int_equal(model_unmap(&world.space, &s[1999], 1), 1);
	assert_int_equal(model_unmap(&world.space, &s[1999], 1), 0);
	world_fini(&world);
}

/* Larger than 64 MiB: no count of each granule, and still the last segment counts. */
static void very_large_windows(void **state)
{
	struct model_segment large = model_segment(GRANULE(0), 300ull << 20);
	struct model_segment inside = model_segment(GRANULE(9000), 1);
	struct world world;

	world_init(&world, true, false);
	world.host.limits->bytes = large.length;
	assert_int_equal(model_map(&world.space, &large, 1), 0);
	assert_int_equal(model_ask(&world.space, &inside, 1, (struct model_ask){ 1, 0 }), 0);
	assert_int_equal(world.space.touched, large.length >> MODEL_SHIFT);
	assert_int_equal(model_unmap(&world.space, &large, 1), 1);
	assert_true(is_mapped(&world, &inside));
	assert_int_equal(world.space.waste, 0);
	assert_int_equal(model_unmap(&world.space, &inside, 1), 1);
	assert_int_equal(world.host.mappings, 0);
	assert_int_equal(world.space.touched, 0);
	world_fini(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(idle_windows_wait_and_are_taken_up_again),
		cmocka_unit_test(idle_windows_go_when_their_room_is_wanted),
		cmocka_unit_test(a_refusal_that_is_known_costs_nothing),
		cmocka_unit_test(what_lies_in_a_used_window_is_never_refused),
		cmocka_unit_test(all_idle_windows_can_be_had),
		cmocka_unit_test(limits_may_be_below_what_is_in_use),
		cmocka_unit_test(strict_maps_what_is_asked_for_and_no_more),
		cmocka_unit_test(a_plan_that_fails_leaves_nothing),
		cmocka_unit_test(what_is_no_ram_is_refused_at_once),
		cmocka_unit_test(what_lies_beside_a_hole_can_be_mapped),
		cmocka_unit_test(neighbours_in_two_blocks_of_ram_can_be_mapped),
		cmocka_unit_test(a_granule_may_be_mapped_very_often),
		cmocka_unit_test(more_than_a_plan_can_hold),
		cmocka_unit_test(duplicates_in_a_list),
		cmocka_unit_test(very_large_windows),
	};

	return cmocka_run_group_tests_name("planner-cases", tests, NULL, NULL);
}
