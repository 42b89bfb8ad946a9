/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * An intrusive index of ranges by what they contain. Ranges may overlap, and be
 * equal. Each lies in the hash by its start, rounded to a block of its size
 * class (the power of two that holds it), so that those of a class that contain
 * an address start in one of two blocks. The cost of a search depends on how
 * many classes there are, not on how many ranges: it is the same for 65,000 of
 * them as for ten. Callers serialise.
 */
#ifndef QUIVER_CORE_INDEX_H
#define QUIVER_CORE_INDEX_H

#include "core/range.h"

#define QUIVER_INDEX_CLASSES 64

struct quiver_index_node {
	struct quiver_index_node *next;
	struct quiver_range range;
};

struct quiver_index {
	struct quiver_index_node **bucket;
	unsigned int shift;		/* of a hash, down to a bucket */
	uint64_t classes;		/* bit n: population[n] is not 0 */
	uint32_t population[QUIVER_INDEX_CLASSES];
	size_t count;
};

#define quiver_index_entry(node, type, member) \
	((type *)((char *)(node) - offsetof(type, member)))

/* Room for about 1 << bits ranges at full speed, more at less. -ENOMEM. May sleep. */
int quiver_index_init(struct quiver_index *index, unsigned int bits);
void quiver_index_fini(struct quiver_index *index);

/* node->range is set, and stays as it is until the node is removed. */
void quiver_index_insert(struct quiver_index *index, struct quiver_index_node *node);
void quiver_index_remove(struct quiver_index *index, struct quiver_index_node *node);

/* A search: all ranges that contain another, the smaller classes first. */
struct quiver_index_search {
	const struct quiver_index *index;
	struct quiver_range inner;
	uint64_t classes;		/* not yet searched */
	unsigned int class;
	uint64_t below;			/* 0: the block of inner.start; 1: the one below; 2: done */
	struct quiver_index_node *node;
};

void quiver_index_search(const struct quiver_index *index, struct quiver_range inner,
			 struct quiver_index_search *search);

/* The next, or NULL. The index may not change meanwhile. */
struct quiver_index_node *quiver_index_next(struct quiver_index_search *search);

/* The first that contains inner, or NULL. */
struct quiver_index_node *quiver_index_find(const struct quiver_index *index,
					    struct quiver_range inner);

/* Any one, or NULL when it is empty; O(buckets), to empty it. */
struct quiver_index_node *quiver_index_any(const struct quiver_index *index, size_t *bucket);

#endif
