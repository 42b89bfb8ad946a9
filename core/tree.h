/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * An intrusive ordered tree (a treap) on a pair of 64-bit keys: no allocation,
 * O(log n) expected for each call, whatever order the keys come in. Callers
 * serialise.
 */
#ifndef QUIVER_CORE_TREE_H
#define QUIVER_CORE_TREE_H

#include "core/os.h"

struct quiver_node {
	struct quiver_node *left, *right;
	uint64_t key, minor;
	uint32_t priority;
};

struct quiver_tree {
	struct quiver_node *root;
	uint32_t seed;
	size_t count;
};

#define quiver_node_entry(node, type, member) \
	((type *)((char *)(node) - offsetof(type, member)))

void quiver_tree_init(struct quiver_tree *tree);

/* Inserts node, whose keys are set. -EEXIST: there is an equal one. */
int quiver_tree_insert(struct quiver_tree *tree, struct quiver_node *node);

/* Removes node, which must be in the tree. */
void quiver_tree_remove(struct quiver_tree *tree, struct quiver_node *node);

/* The node with exactly these keys, or NULL. */
struct quiver_node *quiver_tree_find(const struct quiver_tree *tree, uint64_t key, uint64_t minor);

/* The last node with (key, minor) at most these, or NULL. */
struct quiver_node *quiver_tree_floor(const struct quiver_tree *tree, uint64_t key,
				      uint64_t minor);

/* The first node with (key, minor) greater than these, or NULL. */
struct quiver_node *quiver_tree_above(const struct quiver_tree *tree, uint64_t key,
				      uint64_t minor);

struct quiver_node *quiver_tree_first(const struct quiver_tree *tree);

#endif
