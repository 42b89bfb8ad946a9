// SPDX-License-Identifier: BSD-3-Clause
/* Windows: what is promised of single cases. */
#include "model.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define RAM_BASE	0x40000000ull

static const size_t capacities[] = { 1, 3, 127 };

struct world {
	struct model_host host;
	struct quiver_space space;
	struct model_random random;
};

static void world_init(struct world *world, bool fixed256k, size_t capacity,
		       size_t release_batch)
{
	memset(world, 0, sizeof(*world));
	model_host_init(&world->host, capacity);
	model_space_init(&world->space, &world->host,
			 fixed256k ? &quiver_policy_fixed256k : &quiver_policy_pages,
			 release_batch);
}

static void world_fini(struct world *world)
{
	quiver_space_fini(&world->space);
	assert_int_equal(quiver_space_stats(&world->space).windows, 0);
	assert_int_equal(quiver_space_stats(&world->space).bytes, 0);
	assert_int_equal(model_windows_live(), 0);
	model_host_fini(&world->host);
}

/* A limit of mappings far away and far too near: nothing, or everything. */
static void a_scatterlist_maps_whole_or_not_at_all(void **state)
{
	for (int i = 0; i < 6; i++) {
		struct model_segment segments[40];
		struct world world;

		world_init(&world, i % 2, capacities[i / 2], 1);
		for (unsigned int limit = 0; limit < 41; limit++) {
			int error;

			world.host.limit_mappings = limit;
			for (unsigned int s = 0; s < 40; s++)
				segments[s] = model_segment(RAM_BASE + s * 0x80000, 8);
			error = model_map(&world.space, segments, 40);
			assert_int_equal(error, limit < 40 ? -ENOSPC : 0);
			if (limit < 40)
				assert_int_equal(world.host.mappings, 0);
		}
		assert_int_equal(world.host.mappings, 40);
		assert_int_equal(model_unmap(&world.space, segments, 40), 40);
		assert_int_equal(world.host.mappings, 0);
		world_fini(&world);
	}
}

static void storage_may_fail_at_each_point(void **state)
{
	for (unsigned int point = 1; point <= 9; point++) {
		struct model_segment first = model_segment(RAM_BASE + 0x80000, 100);
		struct model_segment segments[8];
		struct world world;
		int error;

		world_init(&world, point % 2, 3, 1);
		assert_int_equal(model_map(&world.space, &first, 1), 0);
		for (unsigned int s = 0; s < 8; s++)
			segments[s] = model_segment(RAM_BASE + s * 0x80000, 8);
		model_windows_fail_at(point);
		error = model_map(&world.space, segments, 8);
		model_windows_fail_at(0);

		/* One of the eight is there already. */
		assert_int_equal(error, point < 8 ? -ENOMEM : 0);
		assert_int_equal(quiver_space_stats(&world.space).failed_memory, point < 8);
		assert_int_equal(model_windows_live(), point < 8 ? 1 : 8);
		assert_int_equal(world.host.mappings, point < 8 ? 1 : 8);
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

	for (size_t i = 0; i < 2 * sizeof(bad) / sizeof(bad[0]); i++) {
		struct model_segment segments[2] = {
			model_segment(RAM_BASE, 100),
			model_segment(bad[i / 2].start, bad[i / 2].length),
		};
		struct world world;

		world_init(&world, i % 2, 3, 1);
		assert_true(model_map(&world.space, segments, 2) < 0);
		assert_null(segments[1].window);
		assert_int_equal(world.host.mappings, 0);
		assert_int_equal(quiver_space_stats(&world.space).segments_removed, 1);
		world_fini(&world);
	}
}

static void the_last_page_of_all_can_be_mapped(void **state)
{
	struct model_segment segment = model_segment(UINT64_MAX - 99, 100);

	for (int fixed256k = 0; fixed256k < 2; fixed256k++) {
		struct world world;

		world_init(&world, fixed256k, 1, 1);
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

		world_init(&world, false, capacities[i], 1);
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

static void idle_windows_wait_and_half_of_a_batch_goes(void **state)
{
	struct model_segment s[8];
	struct world world;

	world_init(&world, false, 127, 4);
	for (unsigned int i = 0; i < 8; i++)
		s[i] = model_segment(RAM_BASE + i * MODEL_GRANULE, 1);
	assert_int_equal(model_map(&world.space, s, 6), 0);
	assert_int_equal(world.host.rings, 1);

	/* Three wait; with the fourth the two that came first go, in one exit. */
	for (int i = 0; i < 3; i++)
		assert_int_equal(model_unmap(&world.space, &s[i], 1), 1);
	assert_int_equal(world.host.rings, 1);
	assert_int_equal(world.host.mappings, 6);
	assert_int_equal(quiver_space_stats(&world.space).windows, 6);
	assert_int_equal(model_unmap(&world.space, &s[3], 1), 1);
	assert_int_equal(world.host.rings, 2);
	assert_int_equal(world.host.mappings, 4);
	assert_false(model_host_reaches(&world.host, s[1].iova, s[1].gpa, 1));
	assert_true(model_host_reaches(&world.host, s[2].iova, s[2].gpa, 1));

	/* One that waits is taken up again, without an exit, and is not to be unmapped before. */
	assert_int_equal(model_unmap(&world.space, &s[3], 1), 0);
	assert_int_equal(model_map(&world.space, &s[3], 1), 0);
	assert_int_equal(world.host.rings, 2);
	assert_true(model_host_reaches(&world.host, s[3].iova, s[3].gpa, 1));

	/* Maps leave alone what waits. */
	assert_int_equal(model_map(&world.space, s, 2), 0);
	assert_int_equal(world.host.rings, 3);
	assert_int_equal(world.host.mappings, 6);

	quiver_space_flush(&world.space);
	assert_int_equal(world.host.rings, 4);
	assert_int_equal(world.host.mappings, 5);
	quiver_space_flush(&world.space);
	assert_int_equal(world.host.rings, 4);
	world_fini(&world);
}

static void idle_windows_never_cost_a_refusal(void **state)
{
	struct model_segment s[8];
	struct world world;

	world_init(&world, false, 127, 8);
	world.host.limit_mappings = 6;
	for (unsigned int i = 0; i < 8; i++)
		s[i] = model_segment(RAM_BASE + i * MODEL_GRANULE, 1);
	assert_int_equal(model_map(&world.space, s, 5), 0);
	assert_int_equal(model_unmap(&world.space, s, 3), 3);
	assert_int_equal(world.host.mappings, 5);

	/* One fits, the other is asked for again when what waits has gone. */
	assert_int_equal(model_map(&world.space, &s[5], 2), 0);
	assert_int_equal(world.host.refused_mappings, 1);
	assert_int_equal(world.host.rings, 3);
	assert_int_equal(world.host.mappings, 4);
	assert_true(model_host_reaches(&world.host, s[5].iova, s[5].gpa, 1));
	assert_true(model_host_reaches(&world.host, s[6].iova, s[6].gpa, 1));

	/* With nothing left that waits, a refusal stands. */
	assert_int_equal(model_map(&world.space, s, 3), -ENOSPC);
	world_fini(&world);
}

static struct quiver_window *keeping_choose(struct quiver_op *op, struct quiver_range segment)
{
	return quiver_policy_pages.choose(op, segment);
}

static void keeping_idle(struct quiver_op *op, struct quiver_window *window)
{
}

/* As a policy may that is still to come. */
static void idle_windows_may_be_kept(void **state)
{
	static const struct quiver_policy keeping = {
		.name = "keeping", .choose = keeping_choose, .idle = keeping_idle,
	};
	struct model_segment segment = model_segment(RAM_BASE, 100);
	struct quiver_space space;
	struct model_host host;

	model_host_init(&host, 3);
	model_space_init(&space, &host, &keeping, 1);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(model_map(&space, &segment, 1), 0);
		assert_true(model_host_reaches(&host, segment.iova, segment.gpa, 100));
		assert_int_equal(model_unmap(&space, &segment, 1), 1);
		assert_int_equal(model_unmap(&space, &segment, 1), 0);
	}
	quiver_space_flush(&space);
	assert_int_equal(host.rings, 1);
	assert_int_equal(host.mappings, 1);
	assert_int_equal(quiver_space_stats(&space).bad_unmaps, 3);
	assert_int_equal(quiver_space_fini(&space), 0);
	assert_int_equal(model_windows_live(), 0);
	model_host_fini(&host);
}

static void fini_says_nothing_to_the_host(void **state)
{
	struct model_segment s[3] = {
		model_segment(RAM_BASE, 1), model_segment(RAM_BASE + 0x100000, 1),
		model_segment(RAM_BASE + 0x200000, 1),
	};
	struct quiver_space_stats stats;
	struct world world;

	world_init(&world, true, 127, 8);
	assert_int_equal(model_map(&world.space, s, 3), 0);
	assert_int_equal(model_unmap(&world.space, s, 1), 1);
	assert_int_equal(quiver_space_fini(&world.space), 2);
	stats = quiver_space_stats(&world.space);
	assert_int_equal(world.host.unmaps, 0);
	assert_int_equal(stats.unmaps, 0);
	assert_int_equal(stats.exits, 1);
	assert_int_equal(stats.windows, 0);
	assert_int_equal(model_windows_live(), 0);
	world_fini(&world);
}

/* Levels of the tree that the mean lookup walks, times a thousand. */
static uint64_t levels(const struct quiver_node *node, uint64_t level, uint64_t *nodes)
{
	if (!node)
		return 0;
	++*nodes;
	return level * 1000 + levels(node->left, level + 1, nodes) +
	       levels(node->right, level + 1, nodes);
}

static uint64_t mean_levels(const struct quiver_tree *tree)
{
	uint64_t nodes = 0;
	uint64_t sum = levels(tree->root, 1, &nodes);

	assert_int_equal(nodes, tree->count);
	return sum / nodes;
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
	uint64_t by_gpa = 0, by_iova = 0;
	struct world world;

	world_init(&world, false, 127, 1);
	model_random_init(&world.random, "64k windows");
	world.host.limit_mappings = MANY;
	for (size_t i = 0; i < MANY; i++)
		s[i] = model_segment(RAM_BASE + (i + 1) * 2 * MODEL_GRANULE, 0x1000);
	shuffle(&world.random, s);

	for (size_t i = 0; i < MANY; i++) {
		assert_int_equal(model_map(&world.space, &s[i], 1), 0);
		if (i == 9) {
			by_gpa = mean_levels(&world.space.by_gpa);
			by_iova = mean_levels(&world.space.by_iova);
		}
	}
	assert_int_equal(world.host.mappings, MANY);
	assert_int_equal(world.host.rings, MANY);
	/* 16 levels against 3.3 if both were perfect; a list would be 6,000 times. */
	assert_in_range(mean_levels(&world.space.by_gpa), by_gpa, 8 * by_gpa);
	assert_in_range(mean_levels(&world.space.by_iova), by_iova, 8 * by_iova);

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
		cmocka_unit_test(the_last_page_of_all_can_be_mapped),
		cmocka_unit_test(a_scatterlist_takes_as_few_exits_as_it_can),
		cmocka_unit_test(idle_windows_wait_and_half_of_a_batch_goes),
		cmocka_unit_test(idle_windows_never_cost_a_refusal),
		cmocka_unit_test(idle_windows_may_be_kept),
		cmocka_unit_test(fini_says_nothing_to_the_host),
		cmocka_unit_test(sixty_four_thousand_windows),
		cmocka_unit_test(policies_have_names),
	};

	return cmocka_run_group_tests_name("window-cases", tests, NULL, NULL);
}
