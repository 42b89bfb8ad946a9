// SPDX-License-Identifier: GPL-2.0-only
/*
 * A game's load on the stand-in of nvidia.ko: what the file named by the parameter load
 * says is allocated as the resource manager does, page by page, mapped as one scatterlist,
 * used by the GPU, unmapped and freed. A line of the file:
 *
 *	M NUMBER PAGES	allocates and maps, in whatever pieces they come
 *	m NUMBER PAGES	the same in one piece
 *	u NUMBER	unmaps and frees what was that number
 *
 * A write of its name runs it; a read says what came of it. Of the maps, those are placed whose
 * pages are all of the node that the parameter aperture_node has.
 */
#define pr_fmt(fmt) KBUILD_MODNAME " stand-in: " fmt

#include <linux/dma-mapping.h>
#include <linux/kernel_read_file.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>
#include <linux/workqueue.h>

#include "gpu.h"
#include "interface.h"

#define FILE_MAX	SZ_1M
#define MAPS		1024

static int aperture_node = NUMA_NO_NODE;
module_param(aperture_node, int, 0644);

struct map {
	struct page **pages;		/* NULL: this number is free */
	unsigned int count;
	bool whole;			/* in one piece, freed as one */
	struct sg_table table;
};

struct load {
	struct map map[MAPS];
	struct gpu *gpu;
	u64 va;				/* of a page, for what the GPU uses */
	u64 maps, placed, bytes, placed_bytes, peak, live;
	char outcome[160];
};

/* --- memory ------------------------------------------------------------------------------- */

static void free_pages_of(struct map *map)
{
	unsigned int i;

	if (map->whole && map->pages[0])
		__free_pages(map->pages[0], get_order((size_t)map->count << PAGE_SHIFT));
	for (i = 0; !map->whole && i < map->count && map->pages[i]; i++)
		__free_page(map->pages[i]);
	kvfree(map->pages);
	map->pages = NULL;
}

static bool take(struct page **page, unsigned int order)
{
	unsigned long address = __get_free_pages(GFP_KERNEL | __GFP_ZERO, order);

	*page = address ? virt_to_page((void *)address) : NULL;
	return address;
}

static int alloc_pages_of(struct map *map)
{
	unsigned int i;

	map->pages = kvcalloc(map->count, sizeof(*map->pages), GFP_KERNEL);
	if (!map->pages)
		return -ENOMEM;
	if (map->whole) {
		if (!take(&map->pages[0], get_order((size_t)map->count << PAGE_SHIFT)))
			goto free;
		for (i = 1; i < map->count; i++)
			map->pages[i] = map->pages[0] + i;
		return 0;
	}
	for (i = 0; i < map->count; i++)
		if (!take(&map->pages[i], 0))
			goto free;
	return 0;

free:
	free_pages_of(map);
	return -ENOMEM;
}

/* --- a node in pieces --------------------------------------------------------------------- */

static LIST_HEAD(held);

static void free_held(bool half)
{
	struct page *page, *next;

	list_for_each_entry_safe(page, next, &held, lru) {
		unsigned int order = page_private(page);

		if (half && (order || page_to_pfn(page) % 2))
			continue;
		list_del(&page->lru);
		set_page_private(page, 0);
		__free_pages(page, order);
	}
}

static void hold(gfp_t gfp, unsigned int order)
{
	struct page *page;

	while ((page = alloc_pages_node(aperture_node, gfp | __GFP_THISNODE | __GFP_NOWARN,
					order))) {
		set_page_private(page, order);
		list_add(&page->lru, &held);
	}
}

static long hold_pages(void *unused)
{
	hold(__GFP_MEMALLOC, 0);
	return 0;
}

/* What processors have on lists of their own, one for each mobility and order. */
static long hold_rest(void *unused)
{
	static const gfp_t mobilities[] = { 0, __GFP_MOVABLE, __GFP_RECLAIMABLE };
	unsigned int i, order;

	for (i = 0; i < ARRAY_SIZE(mobilities); i++)
		for (order = get_order(SZ_4M); order; order--)
			hold(mobilities[i], order);
	return 0;
}

/* 1: of every two neighbours on the node one is taken. 0: they are given back. */
static int checkered_set(const char *value, const struct kernel_param *kp)
{
	bool wanted;
	int cpu, error = kstrtobool(value, &wanted);

	if (error)
		return error;
	for_each_online_cpu(cpu)
		if (wanted)
			work_on_cpu(cpu, hold_pages, NULL);
	for_each_online_cpu(cpu)
		if (wanted)
			work_on_cpu(cpu, hold_rest, NULL);
	free_held(wanted);
	return 0;
}

static void checkered_free(void *argument)
{
	free_held(false);
}

static const struct kernel_param_ops checkered_ops = {
	.set = checkered_set,
	.free = checkered_free,
};
module_param_cb(checkered, &checkered_ops, NULL, 0200);

/* --- maps --------------------------------------------------------------------------------- */

/* The GPU writes the last page, and the CPU sees it. */
static int use(struct load *load, struct map *map)
{
	struct page *page = map->pages[map->count - 1];
	struct scatterlist *sg = map->table.sgl;
	u8 byte = load->maps;
	unsigned int i;
	int error;

	for (i = 1; i < map->table.nents; i++)
		sg = sg_next(sg);
	error = gpu_map(load->gpu, load->va, SZ_4K,
			sg_dma_address(sg) + sg_dma_len(sg) - SZ_4K);
	if (!error)
		error = gpu_fill(load->gpu, load->va, byte, SZ_4K);
	gpu_unmap(load->gpu, load->va, SZ_4K, SZ_4K);
	if (!error && memchr_inv(page_address(page), byte, SZ_4K))
		error = -EILSEQ;
	return error;
}

static void count(struct load *load, struct map *map)
{
	unsigned int i, there = 0;

	for (i = 0; i < map->count; i++)
		there += page_to_nid(map->pages[i]) == aperture_node;
	load->maps++;
	load->placed += there == map->count;
	load->bytes += (u64)map->count << PAGE_SHIFT;
	load->placed_bytes += (u64)there << PAGE_SHIFT;
	load->live += (u64)map->count << PAGE_SHIFT;
	load->peak = max(load->peak, load->live);
}

static void end_map(struct load *load, struct map *map)
{
	dma_unmap_sgtable(&load->gpu->pdev->dev, &map->table, DMA_BIDIRECTIONAL, 0);
	sg_free_table(&map->table);
	load->live -= (u64)map->count << PAGE_SHIFT;
	free_pages_of(map);
}

static int begin_map(struct load *load, struct map *map)
{
	int error = alloc_pages_of(map);

	if (error)
		return error;
	error = sg_alloc_table_from_pages(&map->table, map->pages, map->count, 0,
					  (size_t)map->count << PAGE_SHIFT, GFP_KERNEL);
	if (error)
		goto free;
	error = dma_map_sgtable(&load->gpu->pdev->dev, &map->table, DMA_BIDIRECTIONAL, 0);
	if (error) {
		sg_free_table(&map->table);
		goto free;
	}
	count(load, map);
	return use(load, map);

free:
	free_pages_of(map);
	return error;
}

/* --- the file ----------------------------------------------------------------------------- */

static int run_line(struct load *load, const char *line)
{
	unsigned int number, pages = 0;
	struct map *map;
	char kind;

	if (sscanf(line, "%c %u %u", &kind, &number, &pages) < 2 || number >= MAPS)
		return -EINVAL;
	map = &load->map[number];
	if ((kind == 'u') != !!map->pages || (kind != 'u' && !pages))
		return -EINVAL;
	if (kind == 'u') {
		end_map(load, map);
		return 0;
	}
	map->whole = kind == 'm';
	map->count = pages;
	return begin_map(load, map);
}

static int run_file(struct load *load, char *text)
{
	unsigned int i, left = 0;
	int error = 0;
	char *line;

	while (!error && (line = strsep(&text, "\n"))) {
		if (*line)
			error = run_line(load, line);
		cond_resched();
	}
	for (i = 0; i < MAPS; i++) {
		if (!load->map[i].pages)
			continue;
		end_map(load, &load->map[i]);
		left++;
	}
	return error ?: left || !load->maps ? -EINVAL : 0;
}

static int run(struct load *load, const char *path)
{
	void *data = NULL;
	/* Of the kinds that there are, the one that is data from outside. */
	ssize_t size = kernel_read_file_from_path(path, 0, &data, FILE_MAX, NULL,
						  READING_FIRMWARE);
	char *text;
	int error;

	if (size < 0)
		return size;
	text = kvmalloc(size + 1, GFP_KERNEL);
	if (text) {
		memcpy(text, data, size);
		text[size] = 0;
		load->va = gpu_reserve(load->gpu, SZ_4K);
		error = run_file(load, text);
	} else {
		error = -ENOMEM;
	}
	kvfree(text);
	vfree(data);
	return error;
}

static struct load *last;

static int load_set(const char *value, const struct kernel_param *kp)
{
	char *path = kstrdup(value, GFP_KERNEL);
	int error;

	kvfree(last);
	last = kvzalloc(sizeof(*last), GFP_KERNEL);
	if (!path || !last)
		return -ENOMEM;
	last->gpu = nvidia_gpu();
	error = last->gpu ? run(last, strim(path)) : -ENODEV;
	scnprintf(last->outcome, sizeof(last->outcome),
		  "result=%d maps=%llu placed=%llu bytes=%llu placed_bytes=%llu peak_bytes=%llu",
		  error, last->maps, last->placed, last->bytes, last->placed_bytes, last->peak);
	kfree(path);
	return 0;
}

static int load_get(char *buffer, const struct kernel_param *kp)
{
	return sysfs_emit(buffer, "%s\n", last ? last->outcome : "");
}

static void load_free(void *argument)
{
	kvfree(last);
}

static const struct kernel_param_ops load_ops = {
	.set = load_set,
	.get = load_get,
	.free = load_free,
};
module_param_cb(load, &load_ops, NULL, 0600);
