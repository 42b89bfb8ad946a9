// SPDX-License-Identifier: BSD-3-Clause
/*
 * The page table of a simulated GPU. A driver wrote it, so it may say anything;
 * three reads later the walk is over, whatever they gave.
 */
#include <endian.h>

#include "gpu.h"

struct walk {
	struct simmac_device *device;
	struct gpu_table_cache *cache;
	struct gpu_page *page;
};

static uint64_t read_uncached(struct simmac_device *device, uint64_t table, unsigned int index)
{
	uint64_t entry;

	simmac_dart_read(device->dart, table + index * sizeof(entry), &entry, sizeof(entry));
	return le64toh(entry);
}

/* A table never straddles two granules, so all of it is mapped if an entry is. */
static uint64_t read_cached(struct walk *walk, unsigned int level, uint64_t table,
			    unsigned int index)
{
	struct gpu_table_cache *cache = walk->cache;

	if (!cache->level[level].valid || cache->level[level].at != table) {
		simmac_dart_read(walk->device->dart, table, cache->level[level].entry,
				 GPU_TABLE_SIZE);
		cache->level[level].at = table;
		cache->level[level].valid = true;
	}
	return le64toh(cache->level[level].entry[index]);
}

static uint64_t read_entry(struct walk *walk, uint64_t table, unsigned int index)
{
	unsigned int level = walk->page->levels++;

	walk->page->table[level] = table;
	return walk->cache ? read_cached(walk, level, table, index) :
			     read_uncached(walk->device, table, index);
}

/* Of the entry for va in a table of pages, or of tables, of 1 << shift bytes. */
static unsigned int index_of(uint64_t va, unsigned int shift, unsigned int shift_above)
{
	return (unsigned int)(va >> shift & ((1u << (shift_above - shift)) - 1));
}

static bool is_table(uint64_t entry)
{
	return (entry & (GPU_PTE_VALID | GPU_PTE_PAGE | GPU_PTE_VIDEO)) == GPU_PTE_VALID;
}

static bool is_large_page(uint64_t entry)
{
	return (entry & (GPU_PTE_VALID | GPU_PTE_PAGE | GPU_PTE_BIG)) ==
	       (GPU_PTE_VALID | GPU_PTE_PAGE);
}

/*
 * Here a misaligned address turns into another one [G5 G7]: its low bits are
 * those of the GPU virtual address, not their sum.
 */
static enum gpu_fault locate(const struct simmac_device *device, uint64_t entry, uint64_t va,
			     unsigned int shift, struct gpu_page *page)
{
	uint64_t below = (UINT64_C(1) << shift) - 1, video = device->bar[1].size;

	page->address = (entry & GPU_PTE_ADDRESS & ~below) | (va & below);
	page->left = below + 1 - (va & below);
	page->video = entry & GPU_PTE_VIDEO;
	if (!page->video)
		return GPU_FAULT_NONE;
	if (page->address >= video)
		return GPU_FAULT_VIDEO;
	if (page->left > video - page->address)
		page->left = video - page->address;
	return GPU_FAULT_NONE;
}

enum gpu_fault gpu_translate(struct simmac_device *device, uint64_t root, uint64_t va,
			     struct gpu_table_cache *cache, struct gpu_page *page)
{
	struct walk walk = { device, cache, page };
	unsigned int shift = GPU_DIRECTORY_SHIFT;
	uint64_t entry;

	page->levels = 0;
	if (va >> GPU_VA_BITS)
		return GPU_FAULT_PAGE;
	entry = read_entry(&walk, root, index_of(va, GPU_ROOT_SHIFT, GPU_VA_BITS));
	if (!is_table(entry))
		return GPU_FAULT_PAGE;
	entry = read_entry(&walk, entry & GPU_PTE_ADDRESS, index_of(va, shift, GPU_ROOT_SHIFT));
	if (is_large_page(entry))
		return locate(device, entry, va, shift, page);
	if (!is_table(entry))
		return GPU_FAULT_PAGE;
	shift = entry & GPU_PTE_BIG ? GPU_BIG_SHIFT : GPU_SMALL_SHIFT;
	entry = read_entry(&walk, entry & GPU_PTE_ADDRESS,
			   index_of(va, shift, GPU_DIRECTORY_SHIFT));
	return entry & GPU_PTE_VALID ? locate(device, entry, va, shift, page) : GPU_FAULT_PAGE;
}
