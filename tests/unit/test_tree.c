// SPDX-License-Identifier: BSD-3-Clause
/* The tree against a sorted array, and its depth under orders chosen to hurt. */
#include "model.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/tree.h"

#define MODEL_MAX 512

struct sorted {
	struct quiver_node *node[MODEL_MAX];
	size_t count;
};

static int compare(uint64_t key, uint64_t minor, const struct quiver_node *node)
{
	if (key != node->key)
		return key < node->key ? -1 : 1;
	return minor < node->minor ? -1 : minor > node->minor;
}

/* How many nodes are at most (key, minor). */
static size_t rank(const struct sorted *sorted, uint64_t key, uint64_t minor)
{
	size_t i = 0;

	while (i < sorted->count && compare(key, minor, sorted->node[i]) >= 0)
		i++;
	return i;
}

static struct quiver_node *model_find(const struct sorted *sorted, uint64_t key, uint64_t minor)
{
	size_t i = rank(sorted, key, minor);

	return i && !compare(key, minor, sorted->node[i - 1]) ? sorted->node[i - 1] : NULL;
}

static void model_insert(struct sorted *sorted, struct quiver_node *node)
{
	size_t i = rank(sorted, node->key, node->minor);

	memmove(&sorted->node[i + 1], &sorted->node[i],
		(sorted->count++ - i) * sizeof(sorted->node[0]));
	sorted->node[i] = node;
}

static void model_remove(struct sorted *sorted, size_t i)
{
	memmove(&sorted->node[i], &sorted->node[i + 1],
		(--sorted->count - i) * sizeof(sorted->node[0]));
}

static void check_queries(const struct quiver_tree *tree, const struct sorted *sorted,
			  uint64_t key, uint64_t minor)
{
	size_t i = rank(sorted, key, minor);

	assert_ptr_equal(quiver_tree_find(tree, key, minor), model_find(sorted, key, minor));
	assert_ptr_equal(quiver_tree_floor(tree, key, minor), i ? sorted->node[i - 1] : NULL);
	assert_ptr_equal(quiver_tree_above(tree, key, minor),
			 i < sorted->count ? sorted->node[i] : NULL);
	assert_ptr_equal(quiver_tree_first(tree), sorted->count ? sorted->node[0] : NULL);
	assert_int_equal(tree->count, sorted->count);
}

/* Keys crowd at both ends and collide often. */
static uint64_t key_of(struct model_random *random)
{
	uint64_t near = model_random_below(random, 40);

	return model_random_below(random, 2) ? near : UINT64_MAX - near;
}

static void insert_or_refuse(struct quiver_tree *tree, struct sorted *sorted,
			     struct model_random *random)
{
	struct quiver_node *node = malloc(sizeof(*node));
	bool there;

	/* Stale contents must not matter. */
	memset(node, 0xa5, sizeof(*node));
	node->key = key_of(random);
	node->minor = key_of(random);
	there = model_find(sorted, node->key, node->minor);
	assert_int_equal(quiver_tree_insert(tree, node), there ? -EEXIST : 0);
	if (there)
		free(node);
	else
		model_insert(sorted, node);
}

static void remove_one(struct quiver_tree *tree, struct sorted *sorted, size_t i)
{
	struct quiver_node *node = sorted->node[i];

	quiver_tree_remove(tree, node);
	model_remove(sorted, i);
	free(node);
}

static void tree_is_a_sorted_array(void **state)
{
	struct model_random random;
	struct sorted sorted = { .count = 0 };
	struct quiver_tree tree;

	model_random_init(&random, "tree");
	quiver_tree_init(&tree);
	for (unsigned int i = 0; i < 60000; i++) {
		bool growing = i / 2000 % 2 == 0;
		bool insert = model_random_below(&random, 100) < (growing ? 70 : 30);

		if (insert && sorted.count < MODEL_MAX - 1)
			insert_or_refuse(&tree, &sorted, &random);
		else if (sorted.count)
			remove_one(&tree, &sorted, model_random_below(&random, sorted.count));
		check_queries(&tree, &sorted, key_of(&random), key_of(&random));
	}
	while (sorted.count)
		remove_one(&tree, &sorted, model_random_below(&random, sorted.count));
	check_queries(&tree, &sorted, 0, 0);
	assert_null(tree.root);
}

#define DEEP 65536u

struct depth {
	uint64_t nodes, sum, max;
};

static void measure(const struct quiver_node *node, uint64_t level, uint32_t priority,
		    struct depth *depth)
{
	if (!node)
		return;
	/* What keeps the tree shallow on average, whatever is done to it. */
	assert_true(node->priority <= priority);
	depth->nodes++;
	depth->sum += level;
	depth->max = level > depth->max ? level : depth->max;
	measure(node->left, level + 1, node->priority, depth);
	measure(node->right, level + 1, node->priority, depth);
}

/*
 * A treap's expected depth is below 2 ln n = 22.2 at 65,536 and its height near
 * 4.3 ln n = 48. A list would have a mean of 32,768.
 */
static void check_depth(const struct quiver_tree *tree)
{
	struct depth depth = { 0 };

	measure(tree->root, 1, UINT32_MAX, &depth);
	assert_int_equal(depth.nodes, tree->count);
	assert_in_range(depth.sum / depth.nodes, 1, 28);
	assert_in_range(depth.max, 16, 64);
}

static uint64_t order_ascending(uint32_t i)
{
	return (uint64_t)i << 14;
}

static uint64_t order_descending(uint32_t i)
{
	return UINT64_MAX - i;
}

/* From both ends to the middle. */
static uint64_t order_zigzag(uint32_t i)
{
	return i % 2 ? i : UINT64_MAX - i;
}

/* From the middle outwards. */
static uint64_t order_organ_pipe(uint32_t i)
{
	return (1ull << 63) + (i % 2 ? (uint64_t)i : 0 - (uint64_t)i);
}

/* Every 256th, then every 256th after those. */
static uint64_t order_strided(uint32_t i)
{
	return (uint64_t)(i % 256) << 8 | i >> 8;
}

static uint64_t order_same(uint32_t i)
{
	return 42;
}

static void tree_stays_shallow(void **state)
{
	uint64_t (*const orders[])(uint32_t) = {
		order_ascending, order_descending, order_zigzag, order_organ_pipe, order_strided,
		order_same,
	};
	struct quiver_node *nodes = calloc(DEEP, sizeof(*nodes));

	for (size_t o = 0; o < sizeof(orders) / sizeof(orders[0]); o++) {
		struct quiver_tree tree;

		quiver_tree_init(&tree);
		for (uint32_t i = 0; i < DEEP; i++) {
			nodes[i].key = orders[o](i);
			nodes[i].minor = i;
			assert_int_equal(quiver_tree_insert(&tree, &nodes[i]), 0);
		}
		check_depth(&tree);
	}
	free(nodes);
}

/* First in, first out, as DMA mappings are; then back in the old places. */
static void tree_stays_shallow_in_a_queue(void **state)
{
	struct quiver_node *nodes = calloc(DEEP, sizeof(*nodes));
	struct quiver_tree tree;

	quiver_tree_init(&tree);
	for (uint32_t i = 0; i < 4 * DEEP; i++) {
		struct quiver_node *node = &nodes[i % DEEP];

		if (i >= DEEP)
			quiver_tree_remove(&tree, node);
		node->key = i;
		assert_int_equal(quiver_tree_insert(&tree, node), 0);
	}
	check_depth(&tree);
	free(nodes);
}

/* Out and in again at random, long enough to forget how it was built. */
static void tree_stays_shallow_under_churn(void **state)
{
	struct quiver_node *nodes = calloc(DEEP, sizeof(*nodes));
	struct model_random random;
	struct quiver_tree tree;

	model_random_init(&random, "tree churn");
	quiver_tree_init(&tree);
	for (uint32_t i = 0; i < DEEP; i++) {
		nodes[i].key = i;
		assert_int_equal(quiver_tree_insert(&tree, &nodes[i]), 0);
	}
	for (uint32_t i = 0; i < 4 * DEEP; i++) {
		struct quiver_node *node = &nodes[model_random_below(&random, DEEP)];

		quiver_tree_remove(&tree, node);
		node->key = model_random_next(&random);
		assert_int_equal(quiver_tree_insert(&tree, node), 0);
	}
	check_depth(&tree);
	free(nodes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tree_is_a_sorted_array),
		cmocka_unit_test(tree_stays_shallow),
		cmocka_unit_test(tree_stays_shallow_in_a_queue),
		cmocka_unit_test(tree_stays_shallow_under_churn),
	};

	return cmocka_run_group_tests_name("tree", tests, NULL, NULL);
}
