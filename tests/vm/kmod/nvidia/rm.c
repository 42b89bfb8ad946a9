// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stands in for nvidia.ko on the simulated GPU: binds to it, and serves UVM with
 * system memory the way that the resource manager does. Non-contiguous memory is
 * mapped as a scatterlist, the bus addresses are spread into an array of 4 KiB
 * pages, and each GPU page takes one of them for granted.
 *
 * Parameters, in /sys/module/nvidia/parameters: page_size_seen, of the last call
 * of nvUvmInterfaceMemoryAllocSys; registry, which reads what the real module's
 * parameter has that nobody can read; and first_aligned: the first large page of an
 * allocation happens to have an aligned bus address, the others as before [G6].
 */
#define pr_fmt(fmt) KBUILD_MODNAME " stand-in: " fmt

#include <linux/dma-mapping.h>
#include <linux/list.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include "gpu.h"
#include "interface.h"

static char *NVreg_RegistryDwordsPerDevice;
module_param(NVreg_RegistryDwordsPerDevice, charp, 0);
module_param_named(registry, NVreg_RegistryDwordsPerDevice, charp, 0444);

static unsigned long long page_size_seen = U64_MAX;
module_param(page_size_seen, ullong, 0444);

/* In 590 and later */
static uint NVreg_EnableSystemMemoryPools = 0x211;
module_param(NVreg_EnableSystemMemoryPools, uint, 0444);

static bool fail_init;
module_param(fail_init, bool, 0);

static bool first_aligned;
module_param(first_aligned, bool, 0644);

struct allocation {
	struct list_head list;
	u64 va, length, page_size;	/* of the GPU's pages */
	bool in_pieces;			/* each large page was allocated for itself */
	struct gpu_block *blocks;	/* what they are taken from otherwise */
	unsigned int block_count;
	struct page **pages;		/* all of it, by PAGE_SIZE */
	unsigned int count;
	struct sg_table table;
	dma_addr_t *bus;		/* of each page */
	void *cpu;
};

static DEFINE_MUTEX(lock);		/* of all that follows */
static struct gpu gpu;
static bool present;
static LIST_HEAD(allocations);

struct gpu *nvidia_gpu(void)
{
	return READ_ONCE(present) ? &gpu : NULL;
}
EXPORT_SYMBOL(nvidia_gpu);

static bool is_515(void)
{
	return THIS_MODULE->version && !strncmp(THIS_MODULE->version, "515.", 4);
}

static u64 page_size_of(const void *info)
{
	if (is_515())
		return ((const struct nvidia_alloc_info_515 *)info)->page_size;
	return ((const struct nvidia_alloc_info *)info)->page_size;
}

static void put_blocks(struct allocation *a)
{
	while (a->block_count)
		gpu_block_put(&gpu, &a->blocks[--a->block_count]);
	kfree(a->blocks);
}

static void put_pieces(struct allocation *a)
{
	unsigned int i, order = get_order(a->page_size);

	for (i = 0; i < a->count && a->pages[i]; i += 1u << order)
		__free_pages(a->pages[i], order);
	memset(a->pages, 0, a->count * sizeof(*a->pages));
}

/*
 * One by one, as the real one does. -ENODATA: not all are of a node without processors, where
 * all that is around them is mapped, too.
 */
static int take_pieces(struct allocation *a)
{
	unsigned int i, k, order = get_order(a->page_size);

	for (i = 0; i < a->count; i += 1u << order) {
		unsigned long address = __get_free_pages(GFP_KERNEL | __GFP_ZERO | __GFP_COMP,
							 order);
		struct page *page = address ? virt_to_page((void *)address) : NULL;

		for (k = 0; page && k < 1u << order; k++)
			a->pages[i + k] = page + k;
		if (page && !node_state(page_to_nid(page), N_CPU))
			continue;
		put_pieces(a);
		return page ? -ENODATA : -ENOMEM;
	}
	return 0;
}

/* With neighbours that the GPU can go astray to. */
static int take_from_blocks(struct allocation *a)
{
	unsigned int i, blocks = DIV_ROUND_UP(a->length, GPU_BLOCK_USABLE);
	int error;

	a->blocks = kcalloc(blocks, sizeof(*a->blocks), GFP_KERNEL);
	if (!a->blocks)
		return -ENOMEM;
	for (; a->block_count < blocks; a->block_count++) {
		error = gpu_block_get(&gpu, &a->blocks[a->block_count]);
		if (error) {
			put_blocks(a);
			return error;
		}
	}
	if (first_aligned)
		gpu_block_align(&a->blocks[0]);
	for (i = 0; i < a->count; i++) {
		size_t offset = (size_t)i << PAGE_SHIFT;

		a->pages[i] = gpu_block_page(&a->blocks[offset / GPU_BLOCK_USABLE],
					     offset % GPU_BLOCK_USABLE);
	}
	return 0;
}

static int take_large_pages(struct allocation *a)
{
	int error = take_pieces(a);

	a->in_pieces = !error;
	return error == -ENODATA ? take_from_blocks(a) : error;
}

static int take_small_pages(struct allocation *a)
{
	unsigned int i;

	for (i = 0; i < a->count; i++) {
		a->pages[i] = alloc_page(GFP_KERNEL | __GFP_ZERO);
		if (!a->pages[i]) {
			while (i)
				__free_page(a->pages[--i]);
			return -ENOMEM;
		}
	}
	return 0;
}

static void give_back_pages(struct allocation *a)
{
	unsigned int i;

	if (a->in_pieces) {
		put_pieces(a);
		return;
	}
	if (a->blocks) {
		put_blocks(a);
		return;
	}
	for (i = 0; i < a->count; i++)
		__free_page(a->pages[i]);
}

/* Entries are contiguous; that they begin where a GPU page may begin nobody checks. */
static void spread(struct allocation *a)
{
	struct scatterlist *sg;
	unsigned int i, page = 0;
	size_t offset;

	for_each_sgtable_dma_sg(&a->table, sg, i)
		for (offset = 0; offset < sg_dma_len(sg) && page < a->count; offset += PAGE_SIZE)
			a->bus[page++] = sg_dma_address(sg) + offset;
}

/* Neighbours would be of no use to a mapping that has a window of its own. */
static bool in_blocks(const struct allocation *a)
{
	unsigned int i;

	for (i = 0; i < a->block_count; i++)
		if (a->bus[i * (GPU_BLOCK_USABLE >> PAGE_SHIFT)] != gpu_block_bus(&a->blocks[i], 0))
			return false;
	return true;
}

static u32 map_for_device(struct allocation *a)
{
	if (sg_alloc_table_from_pages(&a->table, a->pages, a->count, 0, a->length, GFP_KERNEL))
		return NV_ERR_NO_MEMORY;
	if (dma_map_sgtable(&gpu.pdev->dev, &a->table, DMA_BIDIRECTIONAL, 0)) {
		sg_free_table(&a->table);
		return NV_ERR_OPERATING_SYSTEM;
	}
	spread(a);
	return NV_OK;
}

static void unmap_for_device(struct allocation *a)
{
	dma_unmap_sgtable(&gpu.pdev->dev, &a->table, DMA_BIDIRECTIONAL, 0);
	sg_free_table(&a->table);
}

static u32 show_to_gpu(struct allocation *a)
{
	u64 offset;

	if (a->page_size == SZ_2M && !IS_ALIGNED(a->bus[0], SZ_2M))
		return NV_ERR_INVALID_OFFSET;
	if (!in_blocks(a)) {
		pr_err("large pages have no neighbours: this needs idle windows and policy=planner\n");
		return NV_ERR_INVALID_ADDRESS;
	}
	a->va = gpu_reserve(&gpu, a->length);
	for (offset = 0; offset < a->length; offset += a->page_size) {
		if (gpu_map(&gpu, a->va + offset, a->page_size, a->bus[offset >> PAGE_SHIFT])) {
			gpu_unmap(&gpu, a->va, a->length, a->page_size);
			return NV_ERR_NO_MEMORY;
		}
	}
	return NV_OK;
}

static u32 map(struct allocation *a)
{
	u32 status = map_for_device(a);

	if (status)
		return status;
	status = show_to_gpu(a);
	if (status)
		goto unmap;
	a->cpu = vmap(a->pages, a->count, VM_MAP, PAGE_KERNEL);
	if (a->cpu)
		return NV_OK;

	status = NV_ERR_NO_MEMORY;
	gpu_unmap(&gpu, a->va, a->length, a->page_size);
unmap:
	unmap_for_device(a);
	return status;
}

static void free_allocation(struct allocation *a)
{
	kvfree(a->pages);
	kvfree(a->bus);
	kfree(a);
}

static struct allocation *new_allocation(u64 length, u64 page_size)
{
	struct allocation *a = kzalloc(sizeof(*a), GFP_KERNEL);

	if (!a)
		return NULL;
	a->length = ALIGN(length, page_size);
	a->page_size = page_size;
	a->count = a->length >> PAGE_SHIFT;
	a->pages = kvcalloc(a->count, sizeof(*a->pages), GFP_KERNEL);
	a->bus = kvcalloc(a->count, sizeof(*a->bus), GFP_KERNEL);
	if (a->pages && a->bus)
		return a;
	free_allocation(a);
	return NULL;
}

static u32 allocate(u64 length, u64 page_size, u64 *gpu_pointer)
{
	struct allocation *a = new_allocation(length, page_size);
	u32 status = NV_ERR_NO_MEMORY;

	if (!a)
		return NV_ERR_NO_MEMORY;
	if (page_size > PAGE_SIZE ? take_large_pages(a) : take_small_pages(a))
		goto free;
	status = map(a);
	if (status)
		goto give_back;
	list_add(&a->list, &allocations);
	*gpu_pointer = a->va;
	return NV_OK;

give_back:
	give_back_pages(a);
free:
	free_allocation(a);
	return status;
}

static void release(struct allocation *a)
{
	list_del(&a->list);
	vunmap(a->cpu);
	gpu_unmap(&gpu, a->va, a->length, a->page_size);
	unmap_for_device(a);
	give_back_pages(a);
	free_allocation(a);
}

static struct allocation *find(u64 gpu_pointer)
{
	struct allocation *a;

	list_for_each_entry(a, &allocations, list)
		if (a->va == gpu_pointer)
			return a;
	return NULL;
}

u32 nvUvmInterfaceMemoryAllocSys(void *space, u64 length, u64 *gpu_pointer, void *info)
{
	u64 page_size = info ? page_size_of(info) : 0;
	u32 status = NV_ERR_INVALID_ARGUMENT;

	mutex_lock(&lock);
	page_size_seen = page_size;
	/* Its choice for memory that is not contiguous */
	if (!page_size)
		page_size = SZ_4K;
	if (space && space == nvidia_gpu() && info && length && length <= SZ_1G &&
	    (page_size == SZ_4K || page_size == SZ_64K || page_size == SZ_2M))
		status = allocate(length, page_size, gpu_pointer);
	mutex_unlock(&lock);
	return status;
}
EXPORT_SYMBOL(nvUvmInterfaceMemoryAllocSys);

void nvUvmInterfaceMemoryFree(void *space, u64 gpu_pointer)
{
	struct allocation *a;

	mutex_lock(&lock);
	a = find(gpu_pointer);
	if (a)
		release(a);
	mutex_unlock(&lock);
}
EXPORT_SYMBOL(nvUvmInterfaceMemoryFree);

u32 nvUvmInterfaceMemoryCpuMap(void *space, u64 gpu_pointer, u64 length, void **cpu_pointer,
			       u64 page_size)
{
	struct allocation *a;

	mutex_lock(&lock);
	a = find(gpu_pointer);
	*cpu_pointer = a ? a->cpu : NULL;
	mutex_unlock(&lock);
	return a ? NV_OK : NV_ERR_INVALID_ARGUMENT;
}
EXPORT_SYMBOL(nvUvmInterfaceMemoryCpuMap);

/* The real one begins with a narrow mask, too [G9]. */
static int set_masks(struct pci_dev *pdev)
{
	int error = dma_set_mask_and_coherent(&pdev->dev, DMA_BIT_MASK(36));

	/* It does without this, but debugging of the DMA API wants it. */
	dma_set_max_seg_size(&pdev->dev, UINT_MAX);
	return error ?: dma_set_mask_and_coherent(&pdev->dev, DMA_BIT_MASK(47));
}

static int probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	int error;

	if (present)
		return -EBUSY;
	error = set_masks(pdev);
	if (!error)
		error = gpu_open(&gpu, pdev);
	if (error)
		return error;
	WRITE_ONCE(present, true);
	pci_info(pdev, "stand-in of nvidia %s\n", THIS_MODULE->version ?: "of no version");
	return 0;
}

static void remove(struct pci_dev *pdev)
{
	struct allocation *a, *next;

	WRITE_ONCE(present, false);
	mutex_lock(&lock);
	list_for_each_entry_safe(a, next, &allocations, list)
		release(a);
	mutex_unlock(&lock);
	gpu_close(&gpu);
}

static const struct pci_device_id ids[] = {
	{ PCI_DEVICE(PCI_VENDOR_ID_NVIDIA, PCI_ANY_ID),
	  .class = PCI_BASE_CLASS_DISPLAY << 16, .class_mask = 0xff0000 },
	{ }
};

/* Who unbinds it while UVM uses it deserves no less than a test that fails. */
static struct pci_driver rm_driver = {
	.name = KBUILD_MODNAME,
	.id_table = ids,
	.probe = probe,
	.remove = remove,
	.driver.suppress_bind_attrs = true,
};

/* The real one gives up after it has registered, where it finds no GPU that it likes. */
static int __init rm_init(void)
{
	int error = pci_register_driver(&rm_driver);

	if (!error && fail_init) {
		pci_unregister_driver(&rm_driver);
		error = -ENODEV;
	}
	return error;
}

static void __exit rm_exit(void)
{
	pci_unregister_driver(&rm_driver);
}

module_init(rm_init);
module_exit(rm_exit);
MODULE_DESCRIPTION("Stands in for NVIDIA's driver on the simulated GPU");
MODULE_LICENSE("Dual MIT/GPL");
MODULE_VERSION(NVIDIA_VERSION_PLACE);
