// SPDX-License-Identifier: BSD-3-Clause
/*
 * Interrupts are off while an operation is planned: its time is bounded, for the
 * worst shapes too. The bounds here are coarse, ten times and more what was seen on
 * a slow machine; quiver bench core measures. A method that is quadratic, or that
 * walks all windows, misses them by far.
 */
#include "model.h"

#include <stdlib.h>
#include <string.h>

#define RAM_BASE	0x40000000ull
#define GRANULE(n)	(RAM_BASE + (n) * MODEL_GRANULE)

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SLOWNESS 20
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SLOWNESS 20
#endif
#endif
#ifndef SLOWNESS
#define SLOWNESS 1
#endif

#define OP_SECONDS	(0.025 * SLOWNESS)
#define ROUNDS		5

struct world {
	struct model_host host;
	struct quiver_space space;
	struct model_random random;
	struct model_segment *segment;
};

static void world_init(struct world *world, const char *name, bool strict, size_t segments)
{
	memset(world, 0, sizeof(*world));
	model_random_init(&world->random, name);
	model_host_init(&world->host, 512);
	world->host.transport.room = model_host_room;
	world->host.limits->bytes = 1536ull << 20;
	world->host.limits->mappings = 65536;
	model_space_init(&world->space, &world->host, &quiver_policy_planner, strict);
	world->segment = calloc(segments, sizeof(*world->segment));
	assert_non_null(world->segment);
}

static void world_fini(struct world *world)
{
	quiver_space_fini(&world->space);
	model_host_fini(&world->host);
	free(world->segment);
}

/* The host's own time is not the planner's. */
static double host_time;

static void (*real_ring)(void *context, size_t count);

static void timed_ring(void *context, size_t count)
{
	double start = model_cpu_time();

	real_ring(context, count);
	host_time += model_cpu_time() - start;
}

static void shuffle(struct world *world, size_t count)
{
	for (size_t i = count - 1; i; i--) {
		size_t j = model_random_below(&world->random, i + 1);
		struct model_segment swap = world->segment[i];

		world->segment[i] = world->segment[j];
		world->segment[j] = swap;
	}
}

static double faster(double a, double b)
{
	return a < b ? a : b;
}

/* Seconds of the best of some rounds: others use the processor too. */
static double time_list(struct world *world, size_t count)
{
	double map = 1e9, unmap = 1e9, start;

	real_ring = world->host.transport.ring;
	world->host.transport.ring = timed_ring;
	for (int i = 0; i < ROUNDS; i++) {
		host_time = 0;
		start = model_cpu_time();
		assert_int_equal(model_map(&world->space, world->segment, count), 0);
		map = faster(map, model_cpu_time() - start - host_time);
		host_time = 0;
		start = model_cpu_time();
		assert_int_equal(model_unmap(&world->space, world->segment, count), count);
		unmap = faster(unmap, model_cpu_time() - start - host_time);
		if (i & 1)
			model_flush(&world->space);
	}
	world->host.transport.ring = real_ring;
	model_flush(&world->space);
	printf("# %zu: map %.0f us, unmap %.0f us\n", count, map * 1e6, unmap * 1e6);
	assert_true(map < OP_SECONDS);
	assert_true(unmap < OP_SECONDS);
	return map + unmap;
}

/* Eight times as long: eight times the time and a little, not 64 times. */
static void check_list(struct world *world)
{
	double some = time_list(world, QUIVER_OP_SEGMENTS / 8);

	assert_true(time_list(world, QUIVER_OP_SEGMENTS) < 24 * some + 200e-6 * SLOWNESS);
}

static void sorted(struct model_segment *segment, size_t i)
{
	*segment = model_segment(GRANULE(20 * i), 1);
}

static void backwards(struct model_segment *segment, size_t i)
{
	*segment = model_segment(GRANULE(20 * (QUIVER_OP_SEGMENTS - i)), 1);
}

static void neighbours(struct model_segment *segment, size_t i)
{
	*segment = model_segment(GRANULE(2 * i), 1 + MODEL_GRANULE);
}

/* Each shares a granule with the one before it: one piece of 4,097 granules. */
static void chained(struct model_segment *segment, size_t i)
{
	*segment = model_segment(GRANULE(i) + 5, MODEL_GRANULE);
}

/* Each contains all that came before it. */
static void nested(struct model_segment *segment, size_t i)
{
	*segment = model_segment(GRANULE(5000 - i), (2 * i + 1) << MODEL_SHIFT);
}

/* Each granule of each is counted. */
static void large(struct model_segment *segment, size_t i)
{
	*segment = model_segment(GRANULE(0), 8 << 20);
}

static void same(struct model_segment *segment, size_t i)
{
	*segment = model_segment(GRANULE(i % 2 * 50), 1);
}

static void long_lists_of_every_shape(void **state)
{
	static const struct {
		const char *name;
		void (*make)(struct model_segment *segment, size_t i);
	} shapes[] = {
		{ "sorted", sorted }, { "backwards", backwards }, { "neighbours", neighbours },
		{ "chained", chained }, { "nested", nested }, { "same", same },
		{ "large", large },
	};

	for (size_t i = 0; i < 2 * sizeof(shapes) / sizeof(shapes[0]); i++) {
		struct world world;

		world_init(&world, shapes[i / 2].name, i & 1, QUIVER_OP_SEGMENTS);
		for (size_t s = 0; s < QUIVER_OP_SEGMENTS; s++)
			shapes[i / 2].make(&world.segment[s], s);
		check_list(&world);
		shuffle(&world, QUIVER_OP_SEGMENTS);
		check_list(&world);
		world_fini(&world);
	}
}

#define BLOCK 64u

/* So many ranges of one size class begin in one block of it that the index is no help. */
static size_t make_crowd(struct world *world)
{
	size_t count = 0;

	/* The short ones first: the long ones would hold them. */
	for (uint64_t length = BLOCK / 2 + 1; length <= BLOCK; length++)
		for (uint64_t start = 0; start < BLOCK; start++) {
			struct model_segment *s = &world->segment[count++];

			*s = model_segment(GRANULE(BLOCK * 1000 + start), length << MODEL_SHIFT);
			assert_int_equal(model_map(&world->space, s, 1), 0);
		}
	return count;
}

static void windows_that_crowd_one_place(void **state)
{
	struct model_segment *crowd;
	struct world world;
	double start;
	size_t count;

	world_init(&world, "crowd", true, QUIVER_OP_SEGMENTS);
	world.host.limits->bytes = UINT64_MAX;
	count = make_crowd(&world);
	assert_int_equal(world.space.by_gpa.count, count);

	/* A list that meets them all. */
	crowd = world.segment;
	world.segment = calloc(2 * BLOCK, sizeof(*world.segment));
	assert_non_null(world.segment);
	for (uint64_t i = 0; i < 2 * BLOCK; i++)
		world.segment[i] = model_segment(GRANULE(BLOCK * 1000 + i), 1);
	time_list(&world, 2 * BLOCK);

	/* And one operation that releases them all, oldest first. */
	host_time = 0;
	real_ring = world.host.transport.ring;
	world.host.transport.ring = timed_ring;
	start = model_cpu_time();
	assert_int_equal(model_unmap(&world.space, crowd, count), count);
	start = model_cpu_time() - start - host_time;
	printf("# %zu windows released: %.0f us\n", count, start * 1e6);
	assert_true(start < OP_SECONDS);
	assert_int_equal(world.host.mappings, 0);
	free(crowd);
	world_fini(&world);
}

#define MANY	65000u
#define BATCH	2000u

/* Seconds for BATCH maps and unmaps of a page each, far from all else and from each other. */
static double few_pages(struct world *world)
{
	double best = 1e9;

	for (int round = 0; round < ROUNDS; round++) {
		double start = model_cpu_time();

		for (uint64_t i = 0; i < BATCH; i++) {
			struct model_segment s =
				model_segment(GRANULE(i * 7919 % 99991 * 40), 4096);

			assert_int_equal(model_map(&world->space, &s, 1), 0);
			assert_int_equal(model_unmap(&world->space, &s, 1), 1);
		}
		best = faster(best, model_cpu_time() - start);
	}
	return best;
}

static void as_fast_with_65000_windows_as_with_10(void **state)
{
	struct world world;
	double few, many;

	world_init(&world, "many windows", true, MANY);
	for (size_t i = 0; i < MANY; i++) {
		world.segment[i] = model_segment(GRANULE(20 + 40 * i), 1);
		assert_int_equal(model_map(&world.space, &world.segment[i], 1), 0);
		if (i == 9)
			few = few_pages(&world);
	}
	assert_int_equal(world.space.by_gpa.count, MANY);
	many = few_pages(&world);
	printf("# %.0f ns with 10 windows, %.0f ns with %u\n", few / BATCH * 1e9,
	       many / BATCH * 1e9, MANY);
	/* A list of them would take 6,500 times as long, a tree four times. */
	assert_true(many < 10 * few);
	world_fini(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(long_lists_of_every_shape),
		cmocka_unit_test(windows_that_crowd_one_place),
		cmocka_unit_test(as_fast_with_65000_windows_as_with_10),
	};

	return cmocka_run_group_tests_name("planner-time", tests, NULL, NULL);
}
