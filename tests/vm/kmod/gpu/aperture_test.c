// SPDX-License-Identifier: GPL-2.0-only
/*
 * insmod quiver_gpu_aperture.ko node=1
 *
 * Binds to the simulated GPU and looks at what its DMA has of the aperture: memory of that
 * node. The verdict is in dmesg and in the parameter result: 0, or the negative errno of the
 * first test that failed.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/dma-mapping.h>
#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/scatterlist.h>

#include "aperture.h"
#include "quiver/proto.h"

static int node;
module_param(node, int, 0444);
MODULE_PARM_DESC(node, "Of the aperture's memory");

static bool mixed;
module_param(mixed, bool, 0444);
MODULE_PARM_DESC(mixed, "Maps other memory as well, which takes exits");

static uint cycles;
module_param(cycles, uint, 0444);
MODULE_PARM_DESC(cycles, "So many times, something of 4 KiB to 4 MiB is allocated or freed");

static uint cost;
module_param(cost, uint, 0444);
MODULE_PARM_DESC(cost, "Measures what mapping costs, so many times");

static bool follow;
module_param(follow, bool, 0444);
MODULE_PARM_DESC(follow, "The device is on that node");

static bool keep;
module_param(keep, bool, 0444);
MODULE_PARM_DESC(keep, "Forgets to free one piece, when it is removed");

static bool walled;
module_param(walled, bool, 0444);
MODULE_PARM_DESC(walled, "Whoever loads it is in a cpuset without that node");

static bool loop;
module_param(loop, bool, 0444);
MODULE_PARM_DESC(loop, "Goes on with what a driver does all the time, until it is removed");

static uint rounds;
module_param(rounds, uint, 0444);
MODULE_PARM_DESC(rounds, "How often that has been done");

static int foreign;
module_param(foreign, int, 0444);
MODULE_PARM_DESC(foreign, "Pages that others had of the node after a round, at the most");

static int result = -ENODEV;
module_param(result, int, 0444);

/* The aperture itself: the node has a little other memory, and some of that may be free. */
static phys_addr_t aperture_start;
static u64 aperture_length;
static LIST_HEAD(others);

static bool find_aperture(void)
{
	struct pci_dev *dma = pci_get_device(QUIVER_PCI_VENDOR, QUIVER_PCI_DEVICE, NULL);

	if (!dma)
		return false;
	aperture_start = pci_resource_start(dma, QUIVER_BAR_APERTURE);
	aperture_length = pci_resource_len(dma, QUIVER_BAR_APERTURE);
	pci_dev_put(dma);
	return aperture_length;
}

static struct page *alloc_there(unsigned int order)
{
	gfp_t gfp = GFP_KERNEL | __GFP_THISNODE | __GFP_ZERO;
	struct page *page;

	while ((page = alloc_pages_node(node, gfp, order)) &&
	       page_to_phys(page) - aperture_start >= aperture_length) {
		set_page_private(page, order);
		list_add(&page->lru, &others);
	}
	return page;
}

/* Large pages of a GPU are right only where both addresses agree so far. */
static bool agree(phys_addr_t phys, dma_addr_t bus)
{
	return bus && !((phys ^ bus) & (SZ_2M - 1));
}

static int test_coherent(struct pci_dev *pdev)
{
	static const size_t sizes[] = { SZ_4K, SZ_16K, SZ_64K, SZ_2M, SZ_4M };
	unsigned int i;
	int error = 0;

	for (i = 0; i < ARRAY_SIZE(sizes) && !error; i++) {
		dma_addr_t bus;
		void *memory = dma_alloc_coherent(&pdev->dev, sizes[i], &bus, GFP_KERNEL);

		if (!memory)
			return -ENOMEM;
		if (page_to_nid(virt_to_page(memory)) != node)
			error = -EXDEV;
		else if (!agree(virt_to_phys(memory), bus))
			error = -EFAULT;
		dma_free_coherent(&pdev->dev, sizes[i], memory, bus);
	}
	return error;
}

static int compare(struct gpu *gpu, struct page *pages, dma_addr_t bus, size_t page_size)
{
	struct gpu_exercise seen;
	u64 va = gpu_reserve(gpu, SZ_4M), offset;
	int error = 0;

	for (offset = 0; offset < SZ_4M && !error; offset += page_size)
		error = gpu_map(gpu, va + offset, page_size, bus + offset);
	error = error ?: gpu_exercise(gpu, va, page_address(pages), SZ_4M, &seen);
	gpu_unmap(gpu, va, SZ_4M, page_size);
	if (!error && (seen.misread || seen.miswritten)) {
		pci_err(gpu->pdev, "in pages of %zu bytes the GPU misread %zu and miswrote %zu\n",
			page_size, seen.misread, seen.miswritten);
		error = -EILSEQ;
	}
	return error;
}

/* The GPU is wrong where a large page is not as large pages have to be. */
static int test_large_pages(struct pci_dev *pdev)
{
	struct page *pages = alloc_there(GPU_BLOCK_ORDER);
	struct gpu gpu;
	dma_addr_t bus;
	int error;

	if (!pages)
		return -ENOMEM;
	error = gpu_open(&gpu, pdev);
	if (error)
		goto free;
	bus = dma_map_page(&pdev->dev, pages, 0, SZ_4M, DMA_BIDIRECTIONAL);
	if (dma_mapping_error(&pdev->dev, bus)) {
		error = -EIO;
		goto close;
	}
	error = compare(&gpu, pages, bus, SZ_2M) ?: compare(&gpu, pages, bus, SZ_64K);
	dma_unmap_page(&pdev->dev, bus, SZ_4M, DMA_BIDIRECTIONAL);
close:
	gpu_close(&gpu);
free:
	__free_pages(pages, GPU_BLOCK_ORDER);
	return error;
}

/* Anywhere in a piece, of any length, with interrupts off. */
static int test_pieces(struct pci_dev *pdev)
{
	struct page *pages = alloc_there(GPU_BLOCK_ORDER);
	unsigned long flags;
	size_t offset, size;
	int error = 0;

	if (!pages)
		return -ENOMEM;
	for (offset = 0, size = 1; offset + size < SZ_4M && !error;
	     offset += size + 7, size += 4093) {
		struct page *page = pages + offset / PAGE_SIZE;
		dma_addr_t bus;

		local_irq_save(flags);
		bus = dma_map_page(&pdev->dev, page, offset_in_page(offset), size, DMA_TO_DEVICE);
		local_irq_restore(flags);
		if (dma_mapping_error(&pdev->dev, bus))
			error = -EIO;
		else if (!agree(page_to_phys(pages) + offset, bus))
			error = -EFAULT;
		if (error != -EIO)
			dma_unmap_page(&pdev->dev, bus, size, DMA_TO_DEVICE);
	}
	__free_pages(pages, GPU_BLOCK_ORDER);
	return error;
}

#define ENTRIES 1000

static int check_entries(struct scatterlist *sgl, int count)
{
	struct scatterlist *sg;
	int i;

	for_each_sg(sgl, sg, count, i) {
		if (sg_dma_len(sg) != sg->length || !sg_dma_address(sg))
			return -EMSGSIZE;
		if (page_to_nid(sg_page(sg)) == node && !agree(sg_phys(sg), sg_dma_address(sg)))
			return -EFAULT;
	}
	return 0;
}

static int map_entries(struct pci_dev *pdev, struct sg_table *list)
{
	int error = dma_map_sgtable(&pdev->dev, list, DMA_BIDIRECTIONAL, 0);

	if (error)
		return error;
	error = list->nents == list->orig_nents ? check_entries(list->sgl, list->nents) :
						  -EMSGSIZE;
	dma_unmap_sgtable(&pdev->dev, list, DMA_BIDIRECTIONAL, 0);
	return error;
}

/* Made beforehand: a driver that goes on wants nothing of the memory that others use up. */
static struct sg_table table;

/* Every third entry is of other memory if that is wanted. */
static int test_list(struct pci_dev *pdev)
{
	struct scatterlist *sg;
	int i, error = 0;

	for_each_sgtable_sg(&table, sg, i) {
		struct page *page = mixed && i % 3 == 1 ? alloc_page(GFP_KERNEL) : alloc_there(0);

		if (!page) {
			error = -ENOMEM;
			break;
		}
		sg_set_page(sg, page, PAGE_SIZE - i % 64, i % 64);
	}
	error = error ?: map_entries(pdev, &table);
	for_each_sgtable_sg(&table, sg, i) {
		if (sg_page(sg))
			__free_page(sg_page(sg));
		sg_assign_page(sg, NULL);
	}
	return error;
}

static void free_list(struct list_head *list)
{
	struct page *page, *next;

	list_for_each_entry_safe(page, next, list, lru) {
		unsigned int order = page_private(page);

		set_page_private(page, 0);
		__free_pages(page, order);
	}
}

/* All that there is of one order; how many. */
static unsigned int take(struct list_head *list, gfp_t gfp, unsigned int order)
{
	unsigned int count = 0;
	struct page *page;

	while ((page = alloc_pages_node(node, gfp | __GFP_THISNODE | __GFP_NOWARN, order))) {
		set_page_private(page, order);
		list_add(&page->lru, list);
		count++;
	}
	return count;
}

static void take_all(struct list_head *list)
{
	int order;

	for (order = GPU_BLOCK_ORDER; order >= 0; order--)
		take(list, 0, order);
}

/* Blocks of 2 MiB that can be had; with reclaim, for processors keep some for themselves. */
static unsigned int count_large(void)
{
	LIST_HEAD(list);
	unsigned int count = take(&list, GFP_KERNEL | __GFP_NORETRY, get_order(SZ_2M));

	free_list(&list);
	return count;
}

/* A driver gets other memory then, mapped as that is. */
static int test_exhausted(struct pci_dev *pdev)
{
	LIST_HEAD(list);
	dma_addr_t bus;
	void *memory;
	int error = 0;

	if (!mixed)
		return 0;
	take_all(&list);
	memory = dma_alloc_coherent(&pdev->dev, SZ_2M, &bus, GFP_KERNEL);
	if (!memory)
		error = -ENOMEM;
	else if (page_to_nid(virt_to_page(memory)) == node)
		error = -EXDEV;
	if (memory)
		dma_free_coherent(&pdev->dev, SZ_2M, memory, bus);
	free_list(&list);
	return error ?: test_coherent(pdev);
}

/* A cpuset keeps users' memory off the aperture, and not the kernel's. */
static int test_walled(struct pci_dev *pdev)
{
	static const gfp_t gfp[] = { GFP_KERNEL, GFP_USER };
	unsigned int i;
	int error = 0;

	for (i = 0; i < ARRAY_SIZE(gfp) && walled && !error; i++) {
		bool theirs = gfp[i] == GFP_USER;
		dma_addr_t bus;
		void *memory = dma_alloc_coherent(&pdev->dev, SZ_64K, &bus, gfp[i]);

		if (!memory)
			return -ENOMEM;
		if ((page_to_nid(virt_to_page(memory)) == node) == theirs)
			error = -EXDEV;
		dma_free_coherent(&pdev->dev, SZ_64K, memory, bus);
	}
	return error;
}

/* As TTM takes its memory. */
static int test_node(struct pci_dev *pdev)
{
	struct page *page;
	int error = 0;

	if ((dev_to_node(&pdev->dev) == node) != follow)
		return -EXDEV;
	page = alloc_pages_node(dev_to_node(&pdev->dev), GFP_USER, get_order(SZ_2M));
	if (!page)
		return -ENOMEM;
	if ((page_to_nid(page) == node) != follow)
		error = -EXDEV;
	__free_pages(page, get_order(SZ_2M));
	return error;
}

#define SLOTS 512

static u32 random_state = 2463534242u;

static u32 next_random(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 17;
	random_state ^= random_state << 5;
	return random_state;
}

/* What is live is two thirds of the node at the most. */
static int run_cycles(struct pci_dev *pdev)
{
	unsigned long pages = 0, most = node_present_pages(node) / 3 * 2;
	struct page **slot = kcalloc(SLOTS, sizeof(*slot), GFP_KERNEL);
	unsigned int i, at, failed = 0;

	if (!slot)
		return -ENOMEM;
	for (i = 0; i < cycles + SLOTS; i++) {
		at = i < cycles ? next_random() % SLOTS : i - cycles;
		if (slot[at]) {
			unsigned int order = page_private(slot[at]);

			set_page_private(slot[at], 0);
			__free_pages(slot[at], order);
			slot[at] = NULL;
			pages -= 1ul << order;
		} else if (i < cycles) {
			unsigned int order = next_random() % (GPU_BLOCK_ORDER + 1);

			if (pages + (1ul << order) > most)
				continue;
			slot[at] = alloc_pages_node(node, __GFP_THISNODE | __GFP_NOWARN, order);
			failed += !slot[at];
			if (!slot[at])
				continue;
			set_page_private(slot[at], order);
			pages += 1ul << order;
		}
	}
	kfree(slot);
	pci_info(pdev, "%u of %u cycles found nothing\n", failed, cycles);
	return failed ? -ENOSPC : 0;
}

static int test_cycles(struct pci_dev *pdev)
{
	unsigned int before, after, all = node_present_pages(node) >> get_order(SZ_2M);
	int error;

	if (!cycles)
		return 0;
	before = count_large();
	error = run_cycles(pdev);
	after = count_large();
	pr_notice("QUIVER: wear=2M cycles=%u all=%u before=%u after=%u\n", cycles, all, before,
		  after);
	if (!error && (after * 100 < before * 95 || before * 100 < all * 80))
		error = -ENOSPC;
	return error;
}

static int test_cost(struct pci_dev *pdev)
{
	struct page *pages = cost ? alloc_there(GPU_BLOCK_ORDER) : NULL;
	int error;

	if (!pages)
		return cost ? -ENOMEM : 0;
	error = measure_cost(pdev, pages, cost);
	__free_pages(pages, GPU_BLOCK_ORDER);
	return error;
}

static const struct {
	const char *name;
	int (*run)(struct pci_dev *pdev);
	bool loops;
} tests[] = {
	{ "coherent", test_coherent, true },
	{ "large pages", test_large_pages, true },
	{ "pieces", test_pieces, true },
	{ "list", test_list, true },
	{ "exhausted", test_exhausted },
	{ "walled", test_walled },
	{ "node", test_node },
	{ "cycles", test_cycles },
	{ "cost", test_cost },
};

/* A thread of the kernel's, which nobody can kill for its memory */
static int go_on(void *data)
{
	struct pci_dev *pdev = data;
	long before = count_used(node);
	unsigned int i;

	while (!kthread_should_stop()) {
		for (i = 0; i < ARRAY_SIZE(tests) && !result; i++) {
			result = tests[i].loops ? tests[i].run(pdev) : 0;
			if (result)
				pci_err(pdev, "round %u, %s: %d\n", rounds, tests[i].name, result);
		}
		foreign = max_t(long, foreign, count_used(node) - before);
		rounds++;
		schedule_timeout_interruptible(1);
	}
	return 0;
}

static int start_loop(struct pci_dev *pdev)
{
	struct task_struct *task = kthread_run(go_on, pdev, KBUILD_MODNAME);

	if (IS_ERR(task))
		return PTR_ERR(task);
	pci_set_drvdata(pdev, task);
	return 0;
}

static int probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	unsigned int i;
	int error;

	error = dma_set_mask_and_coherent(&pdev->dev, DMA_BIT_MASK(52));
	if (error)
		return error;
	dma_set_max_seg_size(&pdev->dev, UINT_MAX);
	if (!find_aperture())
		return -ENODEV;
	error = sg_alloc_table(&table, ENTRIES, GFP_KERNEL);
	if (error)
		return error;
	result = 0;
	if (loop) {
		error = start_loop(pdev);
		if (error)
			sg_free_table(&table);
		return error;
	}
	for (i = 0; i < ARRAY_SIZE(tests); i++) {
		error = tests[i].run(pdev);
		pci_info(pdev, "test %s: %d\n", tests[i].name, error);
		if (!result)
			result = error;
	}
	return 0;
}

static void remove(struct pci_dev *pdev)
{
	struct task_struct *task = pci_get_drvdata(pdev);

	if (task)
		kthread_stop(task);
	sg_free_table(&table);
	free_list(&others);
	INIT_LIST_HEAD(&others);
	if (keep && !alloc_there(get_order(SZ_2M)))
		pci_err(pdev, "nothing is left to be forgotten\n");
}

static const struct pci_device_id ids[] = {
	{ PCI_DEVICE(PCI_VENDOR_ID_NVIDIA, PCI_ANY_ID),
	  .class = PCI_BASE_CLASS_DISPLAY << 16, .class_mask = 0xff0000 },
	{ }
};

static struct pci_driver aperture_driver = {
	.name = KBUILD_MODNAME,
	.id_table = ids,
	.probe = probe,
	.remove = remove,
};

module_pci_driver(aperture_driver);
MODULE_DESCRIPTION("DMA of memory in the aperture");
MODULE_LICENSE("GPL");
