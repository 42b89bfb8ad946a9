// SPDX-License-Identifier: GPL-2.0-only
/*
 * Coherent memory: ordinary cached pages, because devices snoop the caches.
 * Attributes that ask for less than that (no kernel mapping, weak ordering,
 * write combining) are met by it.
 */
#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/scatterlist.h>

#include "quiver.h"

static u64 coherent_mask(struct device *dev)
{
	return min_not_zero(dev->coherent_dma_mask, dev->bus_dma_limit);
}

static void free_memory(struct page *page, size_t size)
{
	free_pages_exact(page_address(page), size);
}

/*
 * Physically contiguous, since only one window makes it contiguous for the
 * device; single pages after the split, so that the tail can be given back.
 */
static struct page *alloc_memory(struct device *dev, size_t size, gfp_t gfp)
{
	unsigned int order = get_order(size);
	unsigned long used = PAGE_ALIGN(size) >> PAGE_SHIFT;
	unsigned long i;
	struct page *page;

	gfp &= ~(__GFP_COMP | __GFP_DMA | __GFP_DMA32 | __GFP_HIGHMEM);
	gfp |= __GFP_ZERO | __GFP_NOWARN;
	page = quiver_aperture_alloc(quiver_device_of(dev), gfp, order);
	if (!page)
		page = alloc_pages_node(dev_to_node(dev), gfp, order);
	if (!page)
		return NULL;
	if (order)
		split_page(page, order);
	for (i = used; i < 1ul << order; i++)
		__free_page(page + i);
	return page;
}

static struct page *alloc_mapped(struct device *dev, size_t size, dma_addr_t *iova, gfp_t gfp)
{
	struct quiver_device *qdev = quiver_device_of(dev);
	struct page *page;

	size = PAGE_ALIGN(size);
	page = alloc_memory(dev, size, gfp);
	if (!page) {
		quiver_report_failure(qdev, -ENOMEM, size);
		return NULL;
	}
	if (quiver_dma_map(qdev, page_to_phys(page), size, coherent_mask(dev), true, iova)) {
		free_memory(page, size);
		return NULL;
	}
	return page;
}

static void free_mapped(struct device *dev, size_t size, struct page *page, dma_addr_t iova)
{
	quiver_dma_unmap(quiver_device_of(dev), iova, PAGE_ALIGN(size));
	free_memory(page, PAGE_ALIGN(size));
}

void *quiver_coherent_alloc(struct device *dev, size_t size, dma_addr_t *iova, gfp_t gfp,
			    unsigned long attrs)
{
	struct page *page = alloc_mapped(dev, size, iova, gfp);

	return page ? page_address(page) : NULL;
}

void quiver_coherent_free(struct device *dev, size_t size, void *address, dma_addr_t iova,
			  unsigned long attrs)
{
	free_mapped(dev, size, virt_to_page(address), iova);
}

struct page *quiver_coherent_alloc_pages(struct device *dev, size_t size, dma_addr_t *iova,
					 enum dma_data_direction dir, gfp_t gfp)
{
	return alloc_mapped(dev, size, iova, gfp);
}

void quiver_coherent_free_pages(struct device *dev, size_t size, struct page *page,
				dma_addr_t iova, enum dma_data_direction dir)
{
	free_mapped(dev, size, page, iova);
}

int quiver_coherent_mmap(struct device *dev, struct vm_area_struct *vma, void *address,
			 dma_addr_t iova, size_t size, unsigned long attrs)
{
	unsigned long pages = PAGE_ALIGN(size) >> PAGE_SHIFT;
	unsigned long pfn = page_to_pfn(virt_to_page(address));

	if (vma->vm_pgoff >= pages || vma_pages(vma) > pages - vma->vm_pgoff)
		return -ENXIO;
	return remap_pfn_range(vma, vma->vm_start, pfn + vma->vm_pgoff,
			       vma->vm_end - vma->vm_start, vma->vm_page_prot);
}

int quiver_coherent_get_sgtable(struct device *dev, struct sg_table *table, void *address,
				dma_addr_t iova, size_t size, unsigned long attrs)
{
	int error = sg_alloc_table(table, 1, GFP_KERNEL);

	if (!error)
		sg_set_page(table->sgl, virt_to_page(address), PAGE_ALIGN(size), 0);
	return error;
}
