// SPDX-License-Identifier: GPL-2.0-only
/*
 * insmod quiver_budget.ko [chunks=4096]
 *
 * Holds maps of two passed-through functions, so that a test can see what one
 * leaves to the other. A write of a function's PCI address to a parameter in
 * /sys/module/quiver_budget/parameters does, at once and for this function:
 *
 * fill		maps pieces of 128 KiB, too large to be vital, until one is refused
 * storm	of a function that is full and alone: maps that are refused and maps that
 *		are granted take turns. -EXFULL: one was granted that should not be
 * empty	unmaps all that fill left
 * vital	allocates and frees some coherent pages. -ENOMEM: it could not
 *
 * count reads how many maps the last fill left. Functions have no driver.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/dma-mapping.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/slab.h>

#define ORDER		5
#define SIZE		(PAGE_SIZE << ORDER)
#define FUNCTIONS	2
#define VITAL		8
#define STORM		200

static uint chunks = 4096;
module_param(chunks, uint, 0444);
MODULE_PARM_DESC(chunks, "Pieces of 128 KiB, which all functions map");

static uint count;
module_param(count, uint, 0444);

static DEFINE_MUTEX(lock);		/* of all that follows */

static struct page **pages;

static struct function {
	struct pci_dev *pdev;
	dma_addr_t *iova;
	uint held;
} functions[FUNCTIONS];

static void unmap_last(struct function *function)
{
	dma_unmap_page(&function->pdev->dev, function->iova[--function->held], SIZE,
		       DMA_FROM_DEVICE);
}

/* -ENOSPC: refused. */
static int map_next(struct function *function)
{
	dma_addr_t iova;

	if (function->held == chunks)
		return -ENODATA;
	iova = dma_map_page(&function->pdev->dev, pages[function->held], 0, SIZE,
			    DMA_FROM_DEVICE);
	if (dma_mapping_error(&function->pdev->dev, iova))
		return -ENOSPC;
	function->iova[function->held++] = iova;
	return 0;
}

static int storm(struct function *function)
{
	int i, error;

	if (!function->held)
		return -ENODATA;
	for (i = 0; i < STORM; i++) {
		error = map_next(function);
		if (error != -ENOSPC)
			return error ? error : -EXFULL;
		unmap_last(function);
		error = map_next(function);
		if (error)
			return error;
	}
	return 0;
}

static int fill(struct function *function)
{
	int error;

	do {
		error = map_next(function);
		cond_resched();
	} while (!error);
	count = function->held;
	return error == -ENOSPC ? 0 : error;
}

static int empty(struct function *function)
{
	while (function->held)
		unmap_last(function);
	return 0;
}

static int vital(struct function *function)
{
	void *memory[VITAL];
	dma_addr_t iova[VITAL];
	int i, error = 0;

	for (i = 0; i < VITAL && !error; i++) {
		memory[i] = dma_alloc_coherent(&function->pdev->dev, PAGE_SIZE, &iova[i],
					       GFP_KERNEL);
		error = memory[i] ? 0 : -ENOMEM;
	}
	i -= !!error;
	while (i--)
		dma_free_coherent(&function->pdev->dev, PAGE_SIZE, memory[i], iova[i]);
	return error;
}

static void give_back(struct function *function)
{
	if (!function->pdev)
		return;
	empty(function);
	kvfree(function->iova);
	pci_dev_put(function->pdev);
	*function = (struct function){ };
}

static int take(struct function *function, struct pci_dev *pdev)
{
	function->iova = kvcalloc(chunks, sizeof(*function->iova), GFP_KERNEL);
	if (!function->iova)
		return -ENOMEM;
	function->pdev = pci_dev_get(pdev);
	return dma_set_mask_and_coherent(&pdev->dev, DMA_BIT_MASK(64));
}

static struct function *function_of(struct pci_dev *pdev)
{
	uint i;

	for (i = 0; i < FUNCTIONS; i++) {
		if (!functions[i].pdev && take(&functions[i], pdev))
			return NULL;
		if (functions[i].pdev == pdev)
			return &functions[i];
	}
	return NULL;
}

/* The lock keeps drivers from binding. */
static int run_on(struct pci_dev *pdev, int (*command)(struct function *function))
{
	struct function *function;
	int error = -EBUSY;

	device_lock(&pdev->dev);
	if (!pdev->dev.driver) {
		function = function_of(pdev);
		error = function ? command(function) : -ENOMEM;
	}
	device_unlock(&pdev->dev);
	return error;
}

static int set(const char *value, const struct kernel_param *param)
{
	unsigned int domain, bus, slot, devfn;
	struct pci_dev *pdev;
	int error;

	if (sscanf(value, "%x:%x:%x.%x", &domain, &bus, &slot, &devfn) != 4)
		return -EINVAL;
	pdev = pci_get_domain_bus_and_slot(domain, bus, PCI_DEVFN(slot, devfn));
	if (!pdev)
		return -ENODEV;
	mutex_lock(&lock);
	error = run_on(pdev, param->arg);
	mutex_unlock(&lock);
	pci_dev_put(pdev);
	return error;
}

static const struct kernel_param_ops command_ops = { .set = set };

module_param_cb(fill, &command_ops, fill, 0200);
module_param_cb(storm, &command_ops, storm, 0200);
module_param_cb(empty, &command_ops, empty, 0200);
module_param_cb(vital, &command_ops, vital, 0200);

static void free_pages_of(uint n)
{
	while (n)
		__free_pages(pages[--n], ORDER);
	kvfree(pages);
}

static int __init budget_init(void)
{
	uint n;

	pages = kvcalloc(chunks, sizeof(*pages), GFP_KERNEL);
	if (!pages)
		return -ENOMEM;
	for (n = 0; n < chunks; n++) {
		pages[n] = alloc_pages(GFP_KERNEL, ORDER);
		if (!pages[n]) {
			free_pages_of(n);
			return -ENOMEM;
		}
	}
	return 0;
}

static void __exit budget_exit(void)
{
	uint i;

	for (i = 0; i < FUNCTIONS; i++)
		give_back(&functions[i]);
	free_pages_of(chunks);
}

module_init(budget_init);
module_exit(budget_exit);
MODULE_DESCRIPTION("Fills what the host can map for a device");
MODULE_LICENSE("GPL");
