// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
#include "core/registry.h"

static struct quiver_mapping *entry(struct quiver_node *node)
{
	return node ? quiver_node_entry(node, struct quiver_mapping, by_iova) : NULL;
}

void quiver_registry_init(struct quiver_registry *registry)
{
	quiver_tree_init(&registry->by_iova);
}

int quiver_registry_add(struct quiver_registry *registry, struct quiver_mapping *mapping)
{
	uint64_t last = quiver_range_last(mapping->iova);
	struct quiver_mapping *below = entry(quiver_tree_floor(&registry->by_iova, last, 0));

	/* Ranges in the tree are disjoint, so only the last that starts in or below can overlap. */
	if (below && quiver_range_overlaps(below->iova, mapping->iova))
		return -EEXIST;

	mapping->by_iova.key = mapping->iova.start;
	mapping->by_iova.minor = 0;
	return quiver_tree_insert(&registry->by_iova, &mapping->by_iova);
}

struct quiver_mapping *quiver_registry_at(const struct quiver_registry *registry, uint64_t iova)
{
	struct quiver_mapping *mapping = entry(quiver_tree_floor(&registry->by_iova, iova, 0));

	return mapping && quiver_range_holds(mapping->iova, iova) ? mapping : NULL;
}

struct quiver_mapping *quiver_registry_find(const struct quiver_registry *registry,
					    struct quiver_range iova)
{
	struct quiver_mapping *mapping = entry(quiver_tree_find(&registry->by_iova, iova.start, 0));

	return mapping && quiver_range_equal(mapping->iova, iova) ? mapping : NULL;
}

struct quiver_mapping *quiver_registry_above(const struct quiver_registry *registry,
					     uint64_t iova)
{
	return entry(quiver_tree_above(&registry->by_iova, iova, 0));
}

void quiver_registry_remove(struct quiver_registry *registry, struct quiver_mapping *mapping)
{
	quiver_tree_remove(&registry->by_iova, &mapping->by_iova);
}
