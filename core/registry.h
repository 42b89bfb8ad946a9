/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * The mappings that a device has, by bus address: what the dext needs to undo
 * each of them. Embedded in the owner's own struct; ranges of bus addresses
 * never overlap. Callers serialise.
 */
#ifndef QUIVER_CORE_REGISTRY_H
#define QUIVER_CORE_REGISTRY_H

#include "core/range.h"
#include "core/tree.h"

struct quiver_mapping {
	struct quiver_node by_iova;
	struct quiver_range iova;
};

struct quiver_registry {
	struct quiver_tree by_iova;
};

void quiver_registry_init(struct quiver_registry *registry);

/* -EEXIST: it overlaps one that is there. mapping->iova is set by the caller. */
int quiver_registry_add(struct quiver_registry *registry, struct quiver_mapping *mapping);

/* The mapping that is exactly this range, or NULL. */
struct quiver_mapping *quiver_registry_find(const struct quiver_registry *registry,
					    struct quiver_range iova);

/* The mapping that holds this bus address, or NULL. */
struct quiver_mapping *quiver_registry_at(const struct quiver_registry *registry, uint64_t iova);

/* The first mapping that begins beyond this bus address, or NULL: to walk along all. */
struct quiver_mapping *quiver_registry_above(const struct quiver_registry *registry,
					     uint64_t iova);

void quiver_registry_remove(struct quiver_registry *registry, struct quiver_mapping *mapping);

static inline size_t quiver_registry_count(const struct quiver_registry *registry)
{
	return registry->by_iova.count;
}

#endif
