// SPDX-License-Identifier: BSD-3-Clause
/* The index of ranges against a plain array: what contains what, and in which order it comes. */
#include "model.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/index.h"

#define NODES	300u

struct world {
	struct quiver_index index;
	struct quiver_index_node node[NODES];
	bool in[NODES];
	unsigned int found[NODES];	/* in the search under way */
	size_t count;
	struct model_random random;
};

/* As the header says: the power of two that holds so many bytes; the largest holds any. */
static unsigned int class_of(uint64_t length)
{
	unsigned int class = 0;

	while (class < 63 && length > 1ull << class)
		class++;
	return class;
}

/* A length of any magnitude, the powers of two and their neighbours more often than others. */
static uint64_t some_length(struct model_random *random, unsigned int magnitudes)
{
	uint64_t power = 1ull << model_random_below(random, magnitudes);

	switch (model_random_below(random, 4)) {
	case 0:
		return power;
	case 1:
		return power - (power > 1);
	case 2:
		return power + 1;
	default:
		return 1 + model_random_below(random, power);
	}
}

/* Few places, so that ranges meet; both ends of the address space are among them. */
static struct quiver_range some_range(struct model_random *random, unsigned int magnitudes)
{
	static const uint64_t places[] = {
		0, 0x4000, 0x100000, 0x40000000, 0x7fffffffffffffff, 0x8000000000000000,
		UINT64_MAX - 0xfffff, UINT64_MAX,
	};
	struct quiver_range r = { .length = some_length(random, magnitudes) };
	uint64_t place = places[model_random_below(random, 8)];
	uint64_t shift = model_random_below(random, some_length(random, magnitudes)) >> 1;

	r.start = model_random_below(random, 2) ? place + shift : place - shift;
	if (r.start - 1 > UINT64_MAX - r.length)
		r.start = r.start ? 0 - r.length : 0;
	assert_true(quiver_range_valid(r.start, r.length));
	return r;
}

/* What is searched: anything, one that is there, its ends, or a byte more than it. */
static struct quiver_range some_inner(struct world *world, unsigned int magnitudes)
{
	struct quiver_range r = world->node[model_random_below(&world->random, NODES)].range;

	switch (model_random_below(&world->random, 6)) {
	case 0:
		return r;
	case 1:
		return (struct quiver_range){ r.start, 1 };
	case 2:
		return (struct quiver_range){ quiver_range_last(r), 1 };
	case 3:
		return quiver_range_valid(r.start, r.length + 1) ?
			(struct quiver_range){ r.start, r.length + 1 } : r;
	case 4:
		r.length = 1 + model_random_below(&world->random, r.length);
		return r;
	default:
		return some_range(&world->random, magnitudes);
	}
}

static void check_search(struct world *world, struct quiver_range inner)
{
	struct quiver_index_node *node, *first = NULL;
	struct quiver_index_search search;
	unsigned int class = 0;

	memset(world->found, 0, sizeof(world->found));
	quiver_index_search(&world->index, inner, &search);
	while ((node = quiver_index_next(&search))) {
		first = first ? first : node;
		assert_true(class_of(node->range.length) >= class);
		class = class_of(node->range.length);
		world->found[node - world->node]++;
	}
	assert_null(quiver_index_next(&search));
	assert_ptr_equal(quiver_index_find(&world->index, inner), first);
	for (size_t i = 0; i < NODES; i++)
		assert_int_equal(world->found[i], world->in[i] &&
				 quiver_range_contains(world->node[i].range, inner));
}

static void toggle(struct world *world, size_t i, unsigned int magnitudes)
{
	if (world->in[i]) {
		quiver_index_remove(&world->index, &world->node[i]);
		world->count--;
	} else {
		world->node[i].range = some_range(&world->random, magnitudes);
		/* Equal ranges may be there several times. */
		if (!model_random_below(&world->random, 4))
			world->node[i].range =
				world->node[model_random_below(&world->random, NODES)].range;
		quiver_index_insert(&world->index, &world->node[i]);
		world->count++;
	}
	world->in[i] = !world->in[i];
	assert_int_equal(world->index.count, world->count);
}

/* Each is met once on the way to an empty index. */
static void check_any(struct world *world)
{
	struct quiver_index_node *node;
	size_t bucket = 0;

	while ((node = quiver_index_any(&world->index, &bucket))) {
		assert_true(world->in[node - world->node]);
		world->in[node - world->node] = false;
		quiver_index_remove(&world->index, node);
		world->count--;
	}
	assert_int_equal(world->count, 0);
	assert_int_equal(world->index.count, 0);
	assert_true(!world->index.classes);
}

static void world_init(struct world *world, unsigned int bits)
{
	struct model_random random = world->random;

	memset(world, 0, sizeof(*world));
	world->random = random;
	for (size_t i = 0; i < NODES; i++)
		world->node[i].range = (struct quiver_range){ i, 1 };
	assert_int_equal(quiver_index_init(&world->index, bits), 0);
}

static void a_search_finds_what_contains_it_once(void **state)
{
	/* From one bucket for all to more than enough of them. */
	static const unsigned int bits[] = { 1, 4, 16 };
	static const unsigned int magnitudes[] = { 8, 22, 40, 64 };
	struct world *world = calloc(1, sizeof(*world));

	assert_non_null(world);
	model_random_init(&world->random, "index");
	for (size_t i = 0; i < 12; i++) {
		world_init(world, bits[i % 3]);
		for (int round = 0; round < 1500; round++) {
			toggle(world, model_random_below(&world->random, NODES), magnitudes[i / 3]);
			check_search(world, some_inner(world, magnitudes[i / 3]));
		}
		check_any(world);
		quiver_index_fini(&world->index);
	}
	free(world);
	assert_int_equal(model_memory_live(), 0);
}

/* Every pair of small ranges, so that no boundary of a block is left to luck. */
static void small_ranges_exhaustively(void **state)
{
	struct world *world = calloc(1, sizeof(*world));

	assert_non_null(world);
	world_init(world, 3);
	/* All of 1 to 12 bytes that begin in [20, 44]; 16, 24, 32 and 40 are boundaries. */
	for (size_t i = 0; i < NODES; i++) {
		world->node[i].range = (struct quiver_range){ 20 + i / 12, 1 + i % 12 };
		quiver_index_insert(&world->index, &world->node[i]);
		world->in[i] = true;
	}
	for (uint64_t start = 16; start < 60; start++)
		for (uint64_t length = 1; length < 20; length++)
			check_search(world, (struct quiver_range){ start, length });
	world->count = NODES;
	check_any(world);
	quiver_index_fini(&world->index);
	free(world);
}

/* A range of one block's size may begin in the block before, and nowhere else. */
static void what_straddles_a_block_is_found(void **state)
{
	for (unsigned int shift = 1; shift < 63; shift++) {
		struct quiver_index_node node = { .range = { (1ull << shift) - 1, 1ull << shift } };
		struct quiver_index index;

		assert_int_equal(quiver_index_init(&index, 6), 0);
		quiver_index_insert(&index, &node);
		assert_ptr_equal(quiver_index_find(&index, node.range), &node);
		assert_ptr_equal(quiver_index_find(&index, (struct quiver_range){
			quiver_range_last(node.range), 1 }), &node);
		assert_null(quiver_index_find(&index, (struct quiver_range){
			quiver_range_last(node.range) + 1, 1 }));
		assert_null(quiver_index_find(&index, (struct quiver_range){
			node.range.start - 1, 1 }));
		quiver_index_remove(&index, &node);
		assert_null(quiver_index_find(&index, node.range));
		quiver_index_fini(&index);
	}
}

static void no_storage_no_index(void **state)
{
	struct quiver_index index;

	model_memory_fail_at(1);
	assert_int_equal(quiver_index_init(&index, 10), -ENOMEM);
	model_memory_fail_at(0);
	quiver_index_fini(&index);
	assert_int_equal(model_memory_live(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_search_finds_what_contains_it_once),
		cmocka_unit_test(small_ranges_exhaustively),
		cmocka_unit_test(what_straddles_a_block_is_found),
		cmocka_unit_test(no_storage_no_index),
	};

	return cmocka_run_group_tests_name("index", tests, NULL, NULL);
}
