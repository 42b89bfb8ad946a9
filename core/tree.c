// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
#include "core/tree.h"

static bool less(uint64_t key, uint64_t minor, const struct quiver_node *node)
{
	return key != node->key ? key < node->key : minor < node->minor;
}

static bool same(const struct quiver_node *node, uint64_t key, uint64_t minor)
{
	return node->key == key && node->minor == minor;
}

/* xorshift32: priorities need to be unrelated to the keys, not secret. */
static uint32_t next_priority(struct quiver_tree *tree)
{
	tree->seed ^= tree->seed << 13;
	tree->seed ^= tree->seed >> 17;
	tree->seed ^= tree->seed << 5;
	return tree->seed;
}

void quiver_tree_init(struct quiver_tree *tree)
{
	tree->root = NULL;
	tree->seed = 2463534242u;
	tree->count = 0;
}

/* Hangs the nodes of top below (key, minor) on *low, those above on *high. */
static void split(struct quiver_node *top, uint64_t key, uint64_t minor,
		  struct quiver_node **low, struct quiver_node **high)
{
	while (top) {
		if (less(key, minor, top)) {
			*high = top;
			high = &top->left;
			top = top->left;
		} else {
			*low = top;
			low = &top->right;
			top = top->right;
		}
	}
	*low = NULL;
	*high = NULL;
}

int quiver_tree_insert(struct quiver_tree *tree, struct quiver_node *node)
{
	struct quiver_node **link = &tree->root;

	if (quiver_tree_find(tree, node->key, node->minor))
		return -EEXIST;

	node->priority = next_priority(tree);
	while (*link && (*link)->priority >= node->priority)
		link = less(node->key, node->minor, *link) ? &(*link)->left : &(*link)->right;
	split(*link, node->key, node->minor, &node->left, &node->right);
	*link = node;
	tree->count++;
	return 0;
}

void quiver_tree_remove(struct quiver_tree *tree, struct quiver_node *node)
{
	struct quiver_node **link = &tree->root;
	struct quiver_node *low = node->left;
	struct quiver_node *high = node->right;

	while (*link != node)
		link = less(node->key, node->minor, *link) ? &(*link)->left : &(*link)->right;

	while (low && high) {
		if (low->priority >= high->priority) {
			*link = low;
			link = &low->right;
			low = low->right;
		} else {
			*link = high;
			link = &high->left;
			high = high->left;
		}
	}
	*link = low ? low : high;
	tree->count--;
}

struct quiver_node *quiver_tree_floor(const struct quiver_tree *tree, uint64_t key, uint64_t minor)
{
	struct quiver_node *best = NULL;
	struct quiver_node *at = tree->root;

	while (at) {
		if (less(key, minor, at)) {
			at = at->left;
		} else {
			best = at;
			at = at->right;
		}
	}
	return best;
}

struct quiver_node *quiver_tree_above(const struct quiver_tree *tree, uint64_t key, uint64_t minor)
{
	struct quiver_node *best = NULL;
	struct quiver_node *at = tree->root;

	while (at) {
		if (less(key, minor, at)) {
			best = at;
			at = at->left;
		} else {
			at = at->right;
		}
	}
	return best;
}

struct quiver_node *quiver_tree_find(const struct quiver_tree *tree, uint64_t key, uint64_t minor)
{
	struct quiver_node *node = quiver_tree_floor(tree, key, minor);

	return node && same(node, key, minor) ? node : NULL;
}

struct quiver_node *quiver_tree_first(const struct quiver_tree *tree)
{
	struct quiver_node *at = tree->root;

	while (at && at->left)
		at = at->left;
	return at;
}
