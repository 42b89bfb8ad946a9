// SPDX-License-Identifier: GPL-2.0-only
/*
 * What mapping and unmapping costs in the aperture, and what it costs a device for which the
 * kernel's own direct mapping serves, in turn and on the same memory.
 */
#include <linux/dma-mapping.h>
#include <linux/ktime.h>
#include <linux/scatterlist.h>

#include "aperture.h"
#include "quiver/proto.h"

#define PAIRS	1000
#define ENTRIES	256

static u64 time_page(struct device *dev, struct page *page)
{
	u64 start = ktime_get_ns();
	unsigned int i;

	for (i = 0; i < PAIRS; i++) {
		dma_addr_t bus = dma_map_page(dev, page, 0, PAGE_SIZE, DMA_BIDIRECTIONAL);

		if (dma_mapping_error(dev, bus))
			return 0;
		dma_unmap_page(dev, bus, PAGE_SIZE, DMA_BIDIRECTIONAL);
	}
	return (ktime_get_ns() - start) / PAIRS;
}

static u64 time_list(struct device *dev, struct sg_table *table)
{
	u64 start = ktime_get_ns();
	unsigned int i;

	for (i = 0; i < PAIRS / 100; i++) {
		if (dma_map_sgtable(dev, table, DMA_BIDIRECTIONAL, 0))
			return 0;
		dma_unmap_sgtable(dev, table, DMA_BIDIRECTIONAL, 0);
	}
	return (ktime_get_ns() - start) / (PAIRS / 100);
}

static void measure(struct device *gpu, struct device *direct, struct page *pages,
		    struct sg_table *table, unsigned int rounds)
{
	for (; rounds; rounds--) {
		u64 here = time_page(gpu, pages), there = time_page(direct, pages);

		pr_notice("QUIVER: cost=page aperture=%llu direct=%llu\n", here, there);
		here = time_list(gpu, table);
		there = time_list(direct, table);
		pr_notice("QUIVER: cost=list aperture=%llu direct=%llu\n", here, there);
	}
}

/* quiver-dma itself: it has no DMA that would mind, and snoops the caches as the others do. */
static struct pci_dev *get_direct(void)
{
	struct pci_dev *pdev = pci_get_device(QUIVER_PCI_VENDOR, QUIVER_PCI_DEVICE, NULL);

	if (pdev)
		dma_set_mask_and_coherent(&pdev->dev, DMA_BIT_MASK(64));
	return pdev;
}

int measure_cost(struct pci_dev *gpu, struct page *pages, unsigned int rounds)
{
	struct pci_dev *direct = get_direct();
	struct sg_table table;
	struct scatterlist *sg;
	int i, error;

	if (!direct)
		return -ENODEV;
	error = sg_alloc_table(&table, ENTRIES, GFP_KERNEL);
	if (!error) {
		for_each_sgtable_sg(&table, sg, i)
			sg_set_page(sg, pages + 2 * i, PAGE_SIZE, 0);
		measure(&gpu->dev, &direct->dev, pages, &table, rounds);
		sg_free_table(&table);
	}
	pci_dev_put(direct);
	return error;
}
