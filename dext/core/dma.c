// SPDX-License-Identifier: BSD-3-Clause
#include "dext/core/internal.h"

#define GRANULE_SHIFT 14
#define ACCOUNT 0

static struct quiver_dext_mapping *mapping_of(struct quiver_mapping *node)
{
	return (struct quiver_dext_mapping *)((char *)node -
					      offsetof(struct quiver_dext_mapping, node));
}

static bool range_valid(uint64_t start, uint64_t length)
{
	struct quiver_range range = { start, length };

	return quiver_range_valid(start, length) && quiver_range_aligned(range, GRANULE_SHIFT);
}

static bool map_valid(const struct quiver_dext_dma_entry *entry)
{
	const uint32_t directions = QUIVER_DEXT_DMA_READ | QUIVER_DEXT_DMA_WRITE;

	return range_valid(entry->address, entry->length) && entry->iova == 0 &&
	       entry->flags & directions &&
	       !(entry->flags & ~(directions | QUIVER_DEXT_DMA_STAYS));
}

static bool unmap_valid(const struct quiver_dext_dma_entry *entry)
{
	return range_valid(entry->iova, entry->length) && entry->address == 0 &&
	       entry->flags == 0;
}

/* One segment of full length is one mapping; anything else is of no use to a guest [D5]. */
static bool grant_usable(const struct quiver_dext_grant *grant, uint64_t length)
{
	return grant->segments == 1 && grant->length == length && grant->iova != 0 &&
	       range_valid(grant->iova, length);
}

static enum quiver_dext_dma_code refusal(int err)
{
	return err == -E2BIG ? QUIVER_DEXT_S_BYTES : QUIVER_DEXT_S_MAPPINGS;
}

/* The side effect, and undoing it where its result is no good. */
static enum quiver_dext_dma_code map_and_add(struct quiver_dext *dext,
					     const struct quiver_dext_dma_entry *entry,
					     struct quiver_dext_mapping *mapping)
{
	const struct quiver_dext_ops *ops = dext->ops;
	int err = ops->map(dext->shell, entry->address, entry->length, entry->flags,
			   &mapping->grant);

	if (err)
		return err == -EFAULT ? QUIVER_DEXT_S_NOMEM : QUIVER_DEXT_S_IO;
	mapping->node.iova = (struct quiver_range){ mapping->grant.iova, entry->length };
	mapping->stays = entry->flags & QUIVER_DEXT_DMA_STAYS;
	if (!grant_usable(&mapping->grant, entry->length) ||
	    quiver_registry_add(&dext->registry, &mapping->node)) {
		ops->unmap(dext->shell, &mapping->grant);
		return QUIVER_DEXT_S_IO;
	}
	return QUIVER_DEXT_S_OK;
}

static enum quiver_dext_dma_code map(struct quiver_dext *dext,
				     const struct quiver_dext_dma_entry *entry, uint64_t *iova)
{
	struct quiver_dext_mapping *mapping;
	enum quiver_dext_dma_code code = QUIVER_DEXT_S_IO;
	int err;

	if (!map_valid(entry))
		return QUIVER_DEXT_S_INVAL;
	err = quiver_budget_take(&dext->budget, ACCOUNT, entry->length, false);
	if (err)
		return refusal(err);

	mapping = dext->ops->allocate(dext->shell, sizeof(*mapping));
	if (!mapping)
		goto release_budget;
	code = map_and_add(dext, entry, mapping);
	if (code != QUIVER_DEXT_S_OK)
		goto free_mapping;
	*iova = mapping->node.iova.start;
	dext->maps++;
	return QUIVER_DEXT_S_OK;

free_mapping:
	dext->ops->release(dext->shell, mapping, sizeof(*mapping));
release_budget:
	quiver_budget_release(&dext->budget, ACCOUNT, entry->length);
	return code;
}

static int remove_mapping(struct quiver_dext *dext, struct quiver_mapping *node)
{
	struct quiver_dext_mapping *mapping = mapping_of(node);
	uint64_t length = node->iova.length;
	int err;

	quiver_registry_remove(&dext->registry, node);
	err = dext->ops->unmap(dext->shell, &mapping->grant);
	dext->ops->release(dext->shell, mapping, sizeof(*mapping));
	quiver_budget_release(&dext->budget, ACCOUNT, length);
	dext->unmaps++;
	return err;
}

static enum quiver_dext_dma_code unmap(struct quiver_dext *dext,
				       const struct quiver_dext_dma_entry *entry)
{
	struct quiver_mapping *node;

	if (!unmap_valid(entry))
		return QUIVER_DEXT_S_INVAL;
	node = quiver_registry_find(&dext->registry,
				    (struct quiver_range){ entry->iova, entry->length });
	if (!node)
		return QUIVER_DEXT_S_NOENT;
	return remove_mapping(dext, node) ? QUIVER_DEXT_S_RELEASE : QUIVER_DEXT_S_OK;
}

static bool counts_as_failed(enum quiver_dext_dma_code code)
{
	return code != QUIVER_DEXT_S_OK && code != QUIVER_DEXT_S_BYTES &&
	       code != QUIVER_DEXT_S_MAPPINGS;
}

static void run_entry(struct quiver_dext *dext, const struct quiver_dext_dma_entry *entry,
		      struct quiver_dext_dma_status *status)
{
	enum quiver_dext_dma_code code = QUIVER_DEXT_S_INVAL;
	uint64_t iova = 0;

	if (entry->op == QUIVER_DEXT_DMA_MAP)
		code = map(dext, entry, &iova);
	else if (entry->op == QUIVER_DEXT_DMA_UNMAP)
		code = unmap(dext, entry);
	dext->failed += counts_as_failed(code);
	*status = (struct quiver_dext_dma_status){ .iova = iova, .status = code };
}

static bool request_valid(const struct quiver_dext_dma_request *request, size_t request_size,
			  size_t result_size)
{
	const size_t head = offsetof(struct quiver_dext_dma_request, entry);
	const size_t result_head = offsetof(struct quiver_dext_dma_result, entry);

	if (request_size < head || request_size > sizeof(*request) ||
	    result_size < result_head || result_size > sizeof(struct quiver_dext_dma_result))
		return false;
	for (size_t i = 0; i < sizeof(request->reserved) / sizeof(request->reserved[0]); i++) {
		if (request->reserved[i])
			return false;
	}
	return request->count >= 1 && request->count <= QUIVER_DEXT_DMA_MAX &&
	       request->count <= (request_size - head) / sizeof(request->entry[0]) &&
	       request->count <= (result_size - result_head) /
				 sizeof(struct quiver_dext_dma_status);
}

int quiver_dext_dma(struct quiver_dext *dext, const void *client,
		    const struct quiver_dext_dma_request *request, size_t request_size,
		    struct quiver_dext_dma_result *result, size_t result_size)
{
	int err = quiver_dext_check(dext, client);

	if (err)
		return err;
	if (!request_valid(request, request_size, result_size))
		return -EINVAL;

	dext->calls++;
	memset(result, 0, offsetof(struct quiver_dext_dma_result, entry));
	result->count = request->count;
	for (uint32_t i = 0; i < request->count; i++)
		run_entry(dext, &request->entry[i], &result->entry[i]);
	return 0;
}

/* No grant begins at 0. */
uint64_t quiver_dma_drop(struct quiver_dext *dext, bool goes_on)
{
	struct quiver_mapping *node, *next;
	uint64_t dropped = 0;

	for (node = quiver_registry_above(&dext->registry, 0); node; node = next) {
		next = quiver_registry_above(&dext->registry, node->iova.start);
		if (goes_on && mapping_of(node)->stays)
			continue;
		remove_mapping(dext, node);
		dropped++;
	}
	return dropped;
}
