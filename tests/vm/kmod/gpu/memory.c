// SPDX-License-Identifier: GPL-2.0-only
/* Memory with mapped neighbours, and what is written into it. */
#include <linux/dma-mapping.h>

#include "gpu.h"

int gpu_block_get(struct gpu *gpu, struct gpu_block *block)
{
	struct device *dev = &gpu->pdev->dev;

	block->start = SZ_4M - GPU_BLOCK_USABLE;
	block->pages = alloc_pages(GFP_KERNEL | __GFP_ZERO, GPU_BLOCK_ORDER);
	if (!block->pages)
		return -ENOMEM;
	block->bus = dma_map_page(dev, block->pages, 0, SZ_4M, DMA_BIDIRECTIONAL);
	if (!dma_mapping_error(dev, block->bus))
		return 0;
	__free_pages(block->pages, GPU_BLOCK_ORDER);
	block->pages = NULL;
	return -EIO;
}
EXPORT_SYMBOL_GPL(gpu_block_get);

void gpu_block_put(struct gpu *gpu, struct gpu_block *block)
{
	if (!block->pages)
		return;
	dma_unmap_page(&gpu->pdev->dev, block->bus, SZ_4M, DMA_BIDIRECTIONAL);
	__free_pages(block->pages, GPU_BLOCK_ORDER);
	block->pages = NULL;
}
EXPORT_SYMBOL_GPL(gpu_block_put);

/* A bijection of 64 bits, so that no two words of a stream are the same. */
static u64 word(u64 stream, u64 position)
{
	u64 x = (stream << 40 ^ position) * 0x9e3779b97f4a7c15ull;

	return x ^ x >> 29;
}

void gpu_pattern_fill(void *memory, size_t length, u64 stream, u64 position)
{
	u64 *words = memory;
	size_t i;

	for (i = 0; i < length / sizeof(*words); i++)
		words[i] = word(stream, position / sizeof(*words) + i);
}
EXPORT_SYMBOL_GPL(gpu_pattern_fill);

size_t gpu_pattern_wrong(const void *memory, size_t length, u64 stream, u64 position)
{
	const u64 *words = memory;
	size_t i, wrong = 0;

	for (i = 0; i < length / sizeof(*words); i++)
		if (words[i] != word(stream, position / sizeof(*words) + i))
			wrong += sizeof(*words);
	return wrong;
}
EXPORT_SYMBOL_GPL(gpu_pattern_wrong);
