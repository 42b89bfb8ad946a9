// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
#include "core/index.h"

int quiver_index_init(struct quiver_index *index, unsigned int bits)
{
	memset(index, 0, sizeof(*index));
	index->shift = 64 - bits;
	index->bucket = quiver_memory_alloc(sizeof(*index->bucket) << bits);
	return index->bucket ? 0 : -ENOMEM;
}

void quiver_index_fini(struct quiver_index *index)
{
	quiver_memory_free(index->bucket);
	index->bucket = NULL;
}

/* The power of two that holds so many bytes. The largest has two blocks: any range fits. */
static unsigned int class_of(uint64_t length)
{
	if (length > 1ull << 63)
		return 63;
	return length > 1 ? 64 - __builtin_clzll(length - 1) : 0;
}

static struct quiver_index_node **bucket_of(const struct quiver_index *index, unsigned int class,
					    uint64_t block)
{
	uint64_t key = (block + class) * 0x9e3779b97f4a7c15ull;

	return &index->bucket[key >> index->shift];
}

static struct quiver_index_node **bucket_of_node(const struct quiver_index *index,
						 const struct quiver_index_node *node)
{
	unsigned int class = class_of(node->range.length);

	return bucket_of(index, class, node->range.start >> class);
}

void quiver_index_insert(struct quiver_index *index, struct quiver_index_node *node)
{
	struct quiver_index_node **bucket = bucket_of_node(index, node);
	unsigned int class = class_of(node->range.length);

	node->next = *bucket;
	*bucket = node;
	index->classes |= 1ull << class;
	index->population[class]++;
	index->count++;
}

void quiver_index_remove(struct quiver_index *index, struct quiver_index_node *node)
{
	struct quiver_index_node **at = bucket_of_node(index, node);
	unsigned int class = class_of(node->range.length);

	while (*at != node)
		at = &(*at)->next;
	*at = node->next;
	if (!--index->population[class])
		index->classes &= ~(1ull << class);
	index->count--;
}

void quiver_index_search(const struct quiver_index *index, struct quiver_range inner,
			 struct quiver_index_search *search)
{
	search->index = index;
	search->inner = inner;
	search->classes = index->classes >> class_of(inner.length) << class_of(inner.length);
	search->below = 2;
	search->node = NULL;
}

/* Enters the next block that may have one. False: there is none. */
static bool next_block(struct quiver_index_search *search)
{
	uint64_t block;

	if (++search->below >= 2) {
		if (!search->classes)
			return false;
		search->class = __builtin_ctzll(search->classes);
		search->classes &= search->classes - 1;
		search->below = 0;
	}
	block = search->inner.start >> search->class;
	search->node = block >= search->below ?
		*bucket_of(search->index, search->class, block - search->below) : NULL;
	return true;
}

/* A bucket is shared with other blocks: whatever else contains it is found in its own. */
static bool match(const struct quiver_index_search *search, const struct quiver_index_node *node)
{
	return class_of(node->range.length) == search->class &&
	       node->range.start >> search->class ==
		       (search->inner.start >> search->class) - search->below &&
	       quiver_range_contains(node->range, search->inner);
}

struct quiver_index_node *quiver_index_next(struct quiver_index_search *search)
{
	struct quiver_index_node *node;

	do {
		while ((node = search->node)) {
			search->node = node->next;
			if (match(search, node))
				return node;
		}
	} while (next_block(search));
	return NULL;
}

struct quiver_index_node *quiver_index_find(const struct quiver_index *index,
					    struct quiver_range inner)
{
	struct quiver_index_search search;

	quiver_index_search(index, inner, &search);
	return quiver_index_next(&search);
}

struct quiver_index_node *quiver_index_any(const struct quiver_index *index, size_t *bucket)
{
	size_t buckets = 1ull << (64 - index->shift);

	if (!index->count)
		return NULL;
	while (*bucket < buckets && !index->bucket[*bucket])
		++*bucket;
	return *bucket < buckets ? index->bucket[*bucket] : NULL;
}
