// SPDX-License-Identifier: GPL-2.0-only
/*
 * One address for one piece of memory, however large: the GPU is shown what
 * follows from it, page by page, and must find what the CPU wrote. And none
 * for what is not memory [G4].
 */
#include <linux/dma-map-ops.h>
#include <linux/dma-mapping.h>
#include <linux/scatterlist.h>
#include <linux/slab.h>
#include <linux/sort.h>

#include "dma.h"
#include "quiver/proto.h"

/* The largest that a real driver was seen to map [G3], in blocks of 4 MiB */
#define SEGMENT_SIZE	38322176
#define SEGMENT_BLOCKS	DIV_ROUND_UP(SEGMENT_SIZE, SZ_4M)
/* What is allocated to find so many in a row */
#define POOL_BLOCKS	96

/* Whether the map callback that drivers look for is there [G4]. */
static bool has_map_resource(struct device *dev)
{
	const struct dma_map_ops *ops = get_dma_ops(dev);

#ifdef QUIVER_HAVE_MAP_PHYS
	return ops && ops->map_phys;
#else
	return ops && ops->map_resource;
#endif
}

/* The aperture is memory in a BAR, and is mapped as memory is. */
static bool is_memory(struct pci_dev *owner, unsigned int bar)
{
	return owner->vendor == QUIVER_PCI_VENDOR && owner->device == QUIVER_PCI_DEVICE &&
	       bar == QUIVER_BAR_APERTURE;
}

static int try_bar(struct pci_dev *pdev, struct pci_dev *owner, unsigned int bar)
{
	phys_addr_t start = pci_resource_start(owner, bar);
	size_t size = min_t(u64, pci_resource_len(owner, bar), SZ_64K);
	dma_addr_t bus;

	if (!(pci_resource_flags(owner, bar) & IORESOURCE_MEM) || !start || !size ||
	    is_memory(owner, bar))
		return 0;
	bus = dma_map_resource(&pdev->dev, start, size, DMA_BIDIRECTIONAL, 0);
	if (dma_mapping_error(&pdev->dev, bus))
		return 1;
	pci_err(pdev, "BAR %u of %s at %pa was mapped, at 0x%llx\n", bar, pci_name(owner), &start,
		(u64)bus);
	return -EACCES;
}

/* How many there were, or a negative errno. */
static int try_bars(struct pci_dev *pdev, struct pci_dev *owner)
{
	unsigned int bar;
	int tried, sum = 0;

	for (bar = 0; bar < PCI_STD_NUM_BARS; bar++) {
		tried = try_bar(pdev, owner, bar);
		if (tried < 0)
			return tried;
		sum += tried;
	}
	return sum;
}

static int try_peers(struct pci_dev *pdev)
{
	struct pci_dev *peer = NULL;
	int tried, sum = 0;

	for_each_pci_dev(peer) {
		tried = peer == pdev ? 0 : try_bars(pdev, peer);
		if (tried < 0) {
			pci_dev_put(peer);
			return tried;
		}
		sum += tried;
	}
	return sum;
}

int test_resources(struct pci_dev *pdev)
{
	int own, peers;

	if (!has_map_resource(&pdev->dev)) {
		pci_err(pdev, "there is no map_resource: raw BAR addresses would be used\n");
		return -EOPNOTSUPP;
	}
	own = try_bars(pdev, pdev);
	peers = try_peers(pdev);
	pci_info(pdev, "refused as they should be: %d of its own BARs and %d of others\n", own,
		 peers);
	if (own < 0 || peers < 0)
		return min(own, peers);
	return own && peers ? 0 : -ENODATA;
}

static int compare(struct gpu *gpu, u64 va, struct page *pages, size_t size)
{
	struct gpu_exercise result;
	int error = gpu_exercise(gpu, va, page_address(pages), size, &result);

	if (error || (!result.misread && !result.miswritten))
		return error;
	pci_err(gpu->pdev, "of %zu bytes the GPU misread %zu and miswrote %zu\n", size,
		result.misread, result.miswritten);
	return -EILSEQ;
}

static int check_data(struct pci_dev *pdev, dma_addr_t bus, struct page *pages, size_t size)
{
	struct gpu gpu;
	size_t offset;
	int error = gpu_open(&gpu, pdev);
	u64 va;

	if (error)
		return error;
	va = gpu_reserve(&gpu, size);
	for (offset = 0; offset < size && !error; offset += SZ_4K)
		error = gpu_map(&gpu, va + offset, SZ_4K, bus + offset);
	if (!error)
		error = compare(&gpu, va, pages, size);
	gpu_close(&gpu);
	return error;
}

int test_page(struct pci_dev *pdev)
{
	struct page *pages = alloc_pages(GFP_KERNEL, GPU_BLOCK_ORDER);
	dma_addr_t bus;
	int error = -EIO;

	if (!pages)
		return -ENOMEM;
	bus = dma_map_page(&pdev->dev, pages, 0, SZ_4M, DMA_BIDIRECTIONAL);
	if (!dma_mapping_error(&pdev->dev, bus)) {
		error = bus ? check_data(pdev, bus, pages, SZ_4M) : -EFAULT;
		dma_unmap_page(&pdev->dev, bus, SZ_4M, DMA_BIDIRECTIONAL);
	}
	__free_pages(pages, GPU_BLOCK_ORDER);
	return error;
}

/* A segment must not cross such a boundary: 4 GiB, until a driver says otherwise. */
static bool crosses_boundary(struct pci_dev *pdev, dma_addr_t bus, size_t size)
{
	return (bus ^ (bus + size - 1)) & ~(u64)dma_get_seg_boundary(&pdev->dev);
}

static int map_segment(struct pci_dev *pdev, struct page *pages)
{
	struct scatterlist sg;
	int error = -EFAULT;
	dma_addr_t bus;

	sg_init_table(&sg, 1);
	sg_set_page(&sg, pages, SEGMENT_SIZE, 0);
	if (dma_map_sg(&pdev->dev, &sg, 1, DMA_BIDIRECTIONAL) != 1)
		return -EIO;
	bus = sg_dma_address(&sg);
	if (bus && sg_dma_len(&sg) == SEGMENT_SIZE && !crosses_boundary(pdev, bus, SEGMENT_SIZE))
		error = check_data(pdev, bus, pages, SEGMENT_SIZE);
	dma_unmap_sg(&pdev->dev, &sg, 1, DMA_BIDIRECTIONAL);
	return error;
}

/* Where the simulated Mac's addresses begin just below a boundary, there may be no other way. */
static int map_segment_anywhere(struct pci_dev *pdev, struct page *pages)
{
	int error = map_segment(pdev, pages);

	if (error != -EIO || !crosses_boundary(pdev, dma_base(), SZ_64M))
		return error;
	refused++;
	dma_set_seg_boundary(&pdev->dev, ULONG_MAX);
	error = map_segment(pdev, pages);
	dma_set_seg_boundary(&pdev->dev, DMA_BIT_MASK(32));
	return error;
}

static int by_address(const void *a, const void *b)
{
	struct page *const *left = a, *const *right = b;

	return page_to_pfn(*left) < page_to_pfn(*right) ? -1 : 1;
}

static struct page *find_run(struct page **blocks, unsigned int count)
{
	unsigned int i, run = 1;

	sort(blocks, count, sizeof(*blocks), by_address, NULL);
	for (i = 1; i < count && run < SEGMENT_BLOCKS; i++)
		run = page_to_phys(blocks[i]) == page_to_phys(blocks[i - 1]) + SZ_4M ? run + 1 : 1;
	return run == SEGMENT_BLOCKS ? blocks[i - SEGMENT_BLOCKS] : NULL;
}

int test_segment(struct pci_dev *pdev)
{
	struct page **blocks = kcalloc(POOL_BLOCKS, sizeof(*blocks), GFP_KERNEL), *run;
	unsigned int count = 0;
	int error = -ENOMEM;

	if (!blocks)
		return error;
	while (count < POOL_BLOCKS) {
		blocks[count] = alloc_pages(GFP_KERNEL | __GFP_NOWARN | __GFP_NORETRY,
					    GPU_BLOCK_ORDER);
		if (!blocks[count])
			break;
		count++;
	}
	run = find_run(blocks, count);
	if (run)
		error = map_segment_anywhere(pdev, run);
	while (count)
		__free_pages(blocks[--count], GPU_BLOCK_ORDER);
	kfree(blocks);
	return error;
}
