// SPDX-License-Identifier: GPL-2.0-only
/*
 * GPU page tables: a root, directories and tables in coherent memory, and beside
 * each the CPU's own addresses of what is below it.
 */
#include <linux/dma-mapping.h>
#include <linux/slab.h>

#include <simmac/gpu.h>

#include "gpu.h"

#define ENTRIES		512

struct gpu_table {
	__le64 *entries;
	dma_addr_t bus;
	struct gpu_table *below[ENTRIES];
};

static struct gpu_table *table_new(struct gpu *gpu)
{
	struct gpu_table *table = kzalloc(sizeof(*table), GFP_KERNEL);

	if (!table)
		return NULL;
	table->entries = dma_alloc_coherent(&gpu->pdev->dev, SZ_4K, &table->bus, GFP_KERNEL);
	if (table->entries)
		return table;
	kfree(table);
	return NULL;
}

/* Two levels below the root, and no deeper. */
static void table_free(struct gpu *gpu, struct gpu_table *table)
{
	dma_free_coherent(&gpu->pdev->dev, SZ_4K, table->entries, table->bus);
	kfree(table);
}

static void directory_free(struct gpu *gpu, struct gpu_table *directory)
{
	unsigned int i;

	for (i = 0; i < ENTRIES; i++)
		if (directory->below[i])
			table_free(gpu, directory->below[i]);
	table_free(gpu, directory);
}

int gpu_tables_init(struct gpu *gpu)
{
	gpu->root = table_new(gpu);
	/* Address 0 is nobody's. */
	gpu->next_va = SZ_2M;
	return gpu->root ? 0 : -ENOMEM;
}

void gpu_tables_exit(struct gpu *gpu)
{
	unsigned int i;

	for (i = 0; i < ENTRIES; i++)
		if (gpu->root->below[i])
			directory_free(gpu, gpu->root->below[i]);
	table_free(gpu, gpu->root);
	gpu->root = NULL;
}

u64 gpu_tables_root(const struct gpu *gpu)
{
	return gpu->root->bus;
}

u64 gpu_reserve(struct gpu *gpu, u64 length)
{
	u64 va = gpu->next_va;

	gpu->next_va += ALIGN(length, SZ_2M);
	return va;
}
EXPORT_SYMBOL_GPL(gpu_reserve);

static unsigned int index_in(u64 va, unsigned int shift)
{
	return va >> shift & (ENTRIES - 1);
}

static void set_entry(struct gpu_table *table, unsigned int index, u64 value)
{
	/* What an entry leads to is written before it. */
	dma_wmb();
	WRITE_ONCE(table->entries[index], cpu_to_le64(value));
}

static u64 get_entry(const struct gpu_table *table, unsigned int index)
{
	return le64_to_cpu(READ_ONCE(table->entries[index]));
}

/* The table below an entry, made if there is none; flags are part of an entry that leads to one. */
static struct gpu_table *descend(struct gpu *gpu, struct gpu_table *table, unsigned int index,
				 u64 flags)
{
	if (!table->below[index]) {
		table->below[index] = table_new(gpu);
		if (table->below[index])
			set_entry(table, index, table->below[index]->bus | GPU_PTE_VALID | flags);
	}
	return table->below[index];
}

static int map_large(struct gpu_table *directory, u64 va, u64 value)
{
	unsigned int index = index_in(va, GPU_DIRECTORY_SHIFT);

	if (directory->below[index])
		return -EEXIST;
	set_entry(directory, index, value | GPU_PTE_PAGE);
	return 0;
}

static int map_in_table(struct gpu *gpu, struct gpu_table *directory, u64 va, u64 value, bool big)
{
	unsigned int index = index_in(va, GPU_DIRECTORY_SHIFT);
	u64 here = get_entry(directory, index), flags = big ? GPU_PTE_BIG : 0;
	struct gpu_table *table;

	if (here & GPU_PTE_VALID && (here & (GPU_PTE_PAGE | GPU_PTE_BIG)) != flags)
		return -EEXIST;
	table = descend(gpu, directory, index, flags);
	if (!table)
		return -ENOMEM;
	index = big ? index_in(va & (SZ_2M - 1), GPU_BIG_SHIFT) : index_in(va, GPU_SMALL_SHIFT);
	set_entry(table, index, value);
	return 0;
}

static int map_entry(struct gpu *gpu, u64 va, u64 page_size, u64 value)
{
	struct gpu_table *directory = descend(gpu, gpu->root, index_in(va, GPU_ROOT_SHIFT), 0);

	if (!directory)
		return -ENOMEM;
	if (page_size == SZ_2M)
		return map_large(directory, va, value);
	return map_in_table(gpu, directory, va, value, page_size == SZ_64K);
}

int gpu_map(struct gpu *gpu, u64 va, u64 page_size, u64 bus)
{
	return map_entry(gpu, va, page_size, (bus & GPU_PTE_ADDRESS) | GPU_PTE_VALID);
}
EXPORT_SYMBOL_GPL(gpu_map);

int gpu_map_video(struct gpu *gpu, u64 va, u64 page_size, u64 offset)
{
	return map_entry(gpu, va, page_size,
			 (offset & GPU_PTE_ADDRESS) | GPU_PTE_VIDEO | GPU_PTE_VALID);
}
EXPORT_SYMBOL_GPL(gpu_map_video);

static void unmap_entry(struct gpu *gpu, u64 va, u64 page_size)
{
	struct gpu_table *directory = gpu->root->below[index_in(va, GPU_ROOT_SHIFT)];
	unsigned int index = index_in(va, GPU_DIRECTORY_SHIFT);
	struct gpu_table *table = directory ? directory->below[index] : NULL;

	if (directory && page_size == SZ_2M && !table)
		set_entry(directory, index, 0);
	else if (table && page_size == SZ_64K)
		set_entry(table, index_in(va & (SZ_2M - 1), GPU_BIG_SHIFT), 0);
	else if (table)
		set_entry(table, index_in(va, GPU_SMALL_SHIFT), 0);
}

void gpu_unmap(struct gpu *gpu, u64 va, u64 length, u64 page_size)
{
	u64 offset;

	for (offset = 0; offset < length; offset += page_size)
		unmap_entry(gpu, va + offset, page_size);
}
EXPORT_SYMBOL_GPL(gpu_unmap);
