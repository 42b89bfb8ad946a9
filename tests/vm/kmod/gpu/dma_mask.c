// SPDX-License-Identifier: GPL-2.0-only
/*
 * DMA masks: an address beyond one never comes back, nothing stays mapped where it
 * was refused, and drivers are not led to think that they should ask for memory
 * below 4 GiB.
 */
#include <linux/dma-mapping.h>
#include <linux/scatterlist.h>
#include <linux/slab.h>

#include "dma.h"
#include "windows.h"

#define SG_ENTRIES	3
/* Of the simulated Mac's bus addresses. */
#define SPACE		SZ_2G
/* Pieces for an edge in the midst of them: more than there is room for below it. */
#define EDGE_BITS	36
#define EDGE_PIECES	64
#define EDGE_PIECE	SZ_256K
#define EDGE_ROOM	(EDGE_PIECES * EDGE_PIECE / 2)

/* From wide to narrow too: windows that are left idle by the first must not serve the second. */
static const unsigned int widths[] = { 52, 47, 44, 40, 36, 40, 44, 47, 52 };

struct attempt {
	struct pci_dev *pdev;
	u64 mask;
};

/* Of addresses above and below the mask it may be either. */
static bool may_be(const struct attempt *attempt, bool mapped)
{
	if (dma_base() > attempt->mask)
		return !mapped;
	return mapped || dma_base() + SPACE - 1 > attempt->mask;
}

static int judge(const struct attempt *attempt, const char *what, bool mapped, u64 bus, size_t size)
{
	if (!may_be(attempt, mapped)) {
		pci_err(attempt->pdev, "%s with mask 0x%llx: %s, address 0x%llx\n", what,
			attempt->mask, mapped ? "mapped" : "refused", mapped ? bus : 0);
		return -ERANGE;
	}
	refused += !mapped;
	if (mapped && (!bus || bus + size - 1 > attempt->mask || bus < dma_base())) {
		pci_err(attempt->pdev, "%s with mask 0x%llx: address 0x%llx\n", what,
			attempt->mask, bus);
		return -EFAULT;
	}
	return 0;
}

static int try_page(const struct attempt *attempt, struct page *page, size_t size)
{
	struct device *dev = &attempt->pdev->dev;
	dma_addr_t bus = dma_map_page(dev, page, 0, size, DMA_BIDIRECTIONAL);
	bool mapped = !dma_mapping_error(dev, bus);
	int error = judge(attempt, "a page", mapped, bus, size);

	if (mapped)
		dma_unmap_page(dev, bus, size, DMA_BIDIRECTIONAL);
	return error;
}

/* One that is out of reach fails them all. */
static int try_scatterlist(const struct attempt *attempt, struct page *page)
{
	struct device *dev = &attempt->pdev->dev;
	struct scatterlist list[SG_ENTRIES], *sg;
	int i, mapped, error = 0;

	sg_init_table(list, SG_ENTRIES);
	for_each_sg(list, sg, SG_ENTRIES, i)
		sg_set_page(sg, page + 64 * i, SZ_4K, 0);
	mapped = dma_map_sg(dev, list, SG_ENTRIES, DMA_BIDIRECTIONAL);
	if (!mapped)
		return judge(attempt, "a scatterlist", false, 0, 0);
	for_each_sg(list, sg, mapped, i)
		error = error ?: judge(attempt, "a scatterlist", true, sg_dma_address(sg),
				       sg_dma_len(sg));
	dma_unmap_sg(dev, list, SG_ENTRIES, DMA_BIDIRECTIONAL);
	return error;
}

static int try_coherent(const struct attempt *attempt)
{
	struct device *dev = &attempt->pdev->dev;
	dma_addr_t bus = 0;
	void *memory = dma_alloc_coherent(dev, SZ_64K, &bus, GFP_KERNEL | __GFP_NOWARN);
	int error = judge(attempt, "coherent memory", memory, bus, SZ_64K);

	if (memory)
		dma_free_coherent(dev, SZ_64K, memory, bus);
	return error;
}

/* TTM takes memory below 4 GiB only if this says so, and a driver the wider of two masks. */
static int check_required(const struct attempt *attempt)
{
	struct device *dev = &attempt->pdev->dev;
	u64 required = dma_get_required_mask(dev);

	if (!dma_addressing_limited(dev) && required > DMA_BIT_MASK(32) &&
	    required <= attempt->mask)
		return 0;
	pci_err(attempt->pdev, "mask 0x%llx: required is 0x%llx, addressing is %slimited\n",
		attempt->mask, required, dma_addressing_limited(dev) ? "" : "not ");
	return -EDOM;
}

static int check_left(const struct attempt *attempt)
{
	long windows = quiver_device_windows(attempt->pdev);

	if (!windows)
		return 0;
	pci_err(attempt->pdev, "mask 0x%llx: %ld windows are left\n", attempt->mask, windows);
	return -EBUSY;
}

static int try_all(const struct attempt *attempt, struct page *page)
{
	int error = check_required(attempt);

	error = error ?: try_page(attempt, page, SZ_4K);
	error = error ?: try_page(attempt, page, SZ_4M);
	error = error ?: try_scatterlist(attempt, page);
	error = error ?: try_coherent(attempt);
	return error ?: check_left(attempt);
}

static int try_widths(struct pci_dev *pdev, struct page *page)
{
	struct attempt attempt = { .pdev = pdev };
	int i, error = 0;

	for (i = 0; i < ARRAY_SIZE(widths) && !error; i++) {
		attempt.mask = DMA_BIT_MASK(widths[i]);
		error = dma_set_mask_and_coherent(&pdev->dev, attempt.mask);
		error = error ?: try_all(&attempt, page);
	}
	return error;
}

/* Coherent memory has a mask of its own. */
static int try_two_masks(struct pci_dev *pdev, struct page *page)
{
	const struct attempt wide = { pdev, DMA_BIT_MASK(52) }, narrow = { pdev, DMA_BIT_MASK(36) };
	int error = dma_set_mask(&pdev->dev, wide.mask) ?:
		    dma_set_coherent_mask(&pdev->dev, narrow.mask);

	error = error ?: try_page(&wide, page, SZ_4K);
	error = error ?: try_coherent(&narrow);
	error = error ?: dma_set_mask(&pdev->dev, narrow.mask) ?:
			 dma_set_coherent_mask(&pdev->dev, wide.mask);
	error = error ?: try_page(&narrow, page, SZ_4K);
	error = error ?: try_coherent(&wide);
	return error ?: check_left(&wide);
}

/* --- a mask in the midst of the addresses ------------------------------------------------- */

struct edge {
	struct attempt attempt;
	struct page *block;		/* of 4 MiB, too large to lie below it */
	struct page *page[EDGE_PIECES];
	dma_addr_t bus[EDGE_PIECES];
	unsigned int count, mapped;
};

/* As many as fit below the mask, and what follows is refused without harm to them. */
static int map_pieces(struct edge *edge)
{
	struct device *dev = &edge->attempt.pdev->dev;
	unsigned int i;
	int error = 0;

	for (i = 0; i < edge->count && !error; i++) {
		edge->bus[i] = dma_map_page(dev, edge->page[i], 0, EDGE_PIECE, DMA_BIDIRECTIONAL);
		edge->mapped += !dma_mapping_error(dev, edge->bus[i]);
		error = judge(&edge->attempt, "a piece", !dma_mapping_error(dev, edge->bus[i]),
			      edge->bus[i], EDGE_PIECE);
	}
	if (!error && (!edge->mapped || edge->mapped == edge->count)) {
		pci_err(edge->attempt.pdev, "%u of %u pieces lie below the mask\n", edge->mapped,
			edge->count);
		error = -ENODATA;
	}
	return error;
}

static void unmap_pieces(struct edge *edge)
{
	struct device *dev = &edge->attempt.pdev->dev;
	unsigned int i;

	for (i = 0; i < edge->count; i++)
		if (edge->bus[i] && !dma_mapping_error(dev, edge->bus[i]))
			dma_unmap_page(dev, edge->bus[i], EDGE_PIECE, DMA_BIDIRECTIONAL);
}

/* Some of its entries would fit: all or nothing. */
static int refuse_whole(struct edge *edge)
{
	struct device *dev = &edge->attempt.pdev->dev;
	struct sg_table table;
	struct scatterlist *sg;
	int i, mapped, error = sg_alloc_table(&table, edge->count, GFP_KERNEL);

	if (error)
		return error;
	for_each_sgtable_sg(&table, sg, i)
		sg_set_page(sg, edge->page[i], EDGE_PIECE, 0);
	mapped = dma_map_sg(dev, table.sgl, table.orig_nents, DMA_BIDIRECTIONAL);
	if (mapped) {
		pci_err(edge->attempt.pdev, "a scatterlist was mapped that goes beyond the mask\n");
		dma_unmap_sg(dev, table.sgl, table.orig_nents, DMA_BIDIRECTIONAL);
		error = -ERANGE;
	}
	refused += !mapped;
	sg_free_table(&table);
	return error;
}

/* Whatever was refused: there is room for this much, and what is beyond is not used again. */
static int map_where_room_is(struct edge *edge, struct page *page)
{
	struct device *dev = &edge->attempt.pdev->dev;
	dma_addr_t bus = dma_map_page(dev, page, 0, SZ_4K, DMA_BIDIRECTIONAL);

	if (dma_mapping_error(dev, bus)) {
		pci_err(edge->attempt.pdev, "a page was refused although there is room\n");
		return -ENOSPC;
	}
	dma_unmap_page(dev, bus, SZ_4K, DMA_BIDIRECTIONAL);
	return judge(&edge->attempt, "a page", true, bus, SZ_4K);
}

static int refuse_block(struct edge *edge)
{
	struct device *dev = &edge->attempt.pdev->dev;
	dma_addr_t bus = dma_map_page(dev, edge->block, 0, SZ_4M, DMA_BIDIRECTIONAL);

	if (dma_mapping_error(dev, bus)) {
		refused++;
		return map_where_room_is(edge, edge->block + SZ_4M / PAGE_SIZE - 1);
	}
	dma_unmap_page(dev, bus, SZ_4M, DMA_BIDIRECTIONAL);
	pci_err(edge->attempt.pdev, "4 MiB were mapped at 0x%llx\n", (u64)bus);
	return -ERANGE;
}

static int try_edge_with(struct edge *edge)
{
	int error;

	for (; edge->count < EDGE_PIECES; edge->count++) {
		edge->page[edge->count] = alloc_pages(GFP_KERNEL, get_order(EDGE_PIECE));
		if (!edge->page[edge->count])
			return -ENOMEM;
	}
	error = refuse_block(edge);
	error = error ?: refuse_whole(edge);
	error = error ?: map_where_room_is(edge, edge->page[edge->count - 1]);
	error = error ?: check_left(&edge->attempt);
	error = error ?: map_pieces(edge);
	error = error ?: refuse_whole(edge);
	unmap_pieces(edge);
	return error ?: check_left(&edge->attempt);
}

static int try_edge(struct pci_dev *pdev, struct page *block)
{
	const u64 mask = DMA_BIT_MASK(EDGE_BITS);
	struct edge *edge;
	int error;

	if (dma_base() > mask || dma_base() + EDGE_ROOM <= mask)
		return 0;
	edge = kzalloc(sizeof(*edge), GFP_KERNEL);
	if (!edge)
		return -ENOMEM;
	edge->attempt = (struct attempt){ pdev, mask };
	edge->block = block;
	error = dma_set_mask_and_coherent(&pdev->dev, mask);
	error = error ?: try_edge_with(edge);
	while (edge->count)
		__free_pages(edge->page[--edge->count], get_order(EDGE_PIECE));
	kfree(edge);
	return error;
}

int test_masks(struct pci_dev *pdev)
{
	struct page *page = alloc_pages(GFP_KERNEL, GPU_BLOCK_ORDER);
	int error;

	if (!page)
		return -ENOMEM;
	error = try_widths(pdev, page);
	error = error ?: try_two_masks(pdev, page);
	error = error ?: try_edge(pdev, page);
	__free_pages(page, GPU_BLOCK_ORDER);
	return error ?: dma_set_mask_and_coherent(&pdev->dev, DMA_BIT_MASK(52));
}
