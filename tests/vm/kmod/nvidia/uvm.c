// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stands in for nvidia-uvm.ko. A write to one of these parameters, in
 * /sys/module/nvidia_uvm/parameters, does what the real one does, uses the memory
 * by the GPU's copy engine, and a read says what came of it: "ok", "refused 0x37" (a
 * status of the resource manager), "wrong data: ..." or "failed: ..." (the test
 * itself could not be done).
 *
 * pushbuffer	16 MiB of the resource manager's, as at each registration of a GPU [G5]
 * small	256 KiB of it
 * managed	memory of its own, in the largest chunks allowed, which are mapped one
 *		by one and get GPU pages of their size [G7]
 */
#define pr_fmt(fmt) KBUILD_MODNAME " stand-in: " fmt

#include <linux/dma-mapping.h>
#include <linux/kernel.h>
#include <linux/log2.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include "gpu.h"
#include "interface.h"

#define CHUNK_SIZES	(SZ_2M | SZ_64K | SZ_4K)
#define MANAGED_BLOCKS	3
#define BLOCKS_ASIDE	8

static uint uvm_cpu_chunk_allocation_sizes = CHUNK_SIZES;
module_param(uvm_cpu_chunk_allocation_sizes, uint, 0644);
/* Of the last managed memory */
static unsigned long long managed_chunk_seen;
module_param(managed_chunk_seen, ullong, 0444);

MODULE_PARM_DESC(uvm_cpu_chunk_allocation_sizes, "OR of 0x1000, which has to be there, 0x10000 and 0x200000");

struct outcome {
	char text[80];
};

__printf(2, 3)
static void conclude(struct outcome *outcome, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vscnprintf(outcome->text, sizeof(outcome->text), format, args);
	va_end(args);
}

/* Of memory that the GPU sees at va and the CPU at cpu */
static void use(struct outcome *outcome, u64 va, void *cpu, u64 length)
{
	struct gpu_exercise result;
	int error = gpu_exercise(nvidia_gpu(), va, cpu, length, &result);

	if (error)
		conclude(outcome, "failed: %d", error);
	else if (result.misread || result.miswritten)
		conclude(outcome, "wrong data: %zu bytes read, %zu written, of %llu",
			 result.misread, result.miswritten, length);
	else
		conclude(outcome, "ok");
}

/* --- memory of the resource manager's ----------------------------------------------------- */

static unsigned int driver_major(void)
{
	unsigned int major;

	/* Whatever comes after those that we know is like the last of them. */
	return sscanf(THIS_MODULE->version ?: "", "%u.", &major) == 1 ? major : UINT_MAX;
}

/* From 575 on; 0 leaves it to the resource manager. */
static u64 page_size_for(u64 length)
{
	if (driver_major() < 575 || length < SZ_64K)
		return 0;
	return length < SZ_2M ? SZ_64K : SZ_2M;
}

/* Those before 575 leave the page size at 0, wherever it is in the structure. */
static u32 allocate(u64 length, u64 *va)
{
	struct nvidia_alloc_info info = { .page_size = page_size_for(length) };
	u32 status = nvUvmInterfaceMemoryAllocSys(nvidia_gpu(), length, va, &info);

	/* Only for want of memory, not for a misaligned address. */
	if (status == NV_ERR_NO_MEMORY && driver_major() >= 580 && length >= SZ_64K) {
		info.page_size = 0;
		status = nvUvmInterfaceMemoryAllocSys(nvidia_gpu(), length, va, &info);
	}
	return status;
}

static void use_allocated(struct outcome *outcome, u64 length)
{
	u32 status;
	void *cpu;
	u64 va;

	status = allocate(length, &va);
	if (status) {
		conclude(outcome, "refused 0x%x", status);
		return;
	}
	nvUvmInterfaceMemoryCpuMap(nvidia_gpu(), va, length, &cpu, 0);
	use(outcome, va, cpu, length);
	nvUvmInterfaceMemoryFree(nvidia_gpu(), va);
}

static void run_pushbuffer(struct outcome *outcome)
{
	use_allocated(outcome, SZ_16M);
}

static void run_small(struct outcome *outcome)
{
	use_allocated(outcome, SZ_256K);
}

/* --- managed memory ----------------------------------------------------------------------- */

/* A block of 2 MiB of virtual memory, and the chunks that back it. */
struct managed {
	struct gpu_block block;
	u64 va, chunk;
	struct page *piece[SZ_2M / SZ_4K];	/* each chunk, if not of the block */
	dma_addr_t bus[SZ_2M / SZ_4K];
	unsigned int mapped;
};

/* The largest, below a size */
static u64 next_chunk(u64 below)
{
	u64 sizes = uvm_cpu_chunk_allocation_sizes & CHUNK_SIZES & (below - 1);

	return sizes ? rounddown_pow_of_two(sizes) : 0;
}

struct uvm_cpu_chunk {
	struct page *page;
};

noinline u32 uvm_cpu_chunk_alloc(u64 size, u32 flags, int node, struct uvm_cpu_chunk **chunk)
{
	gfp_t gfp = GFP_HIGHUSER_MOVABLE | __GFP_ZERO | __GFP_NOMEMALLOC;

	if (size > PAGE_SIZE)
		gfp |= __GFP_COMP | __GFP_NORETRY | __GFP_NOWARN;
	*chunk = kzalloc(sizeof(**chunk), GFP_KERNEL);
	if (!*chunk)
		return NV_ERR_NO_MEMORY;
	if (node == NUMA_NO_NODE)
		(*chunk)->page = alloc_pages(gfp, get_order(size));
	else
		(*chunk)->page = alloc_pages_node(node, gfp, get_order(size));
	if ((*chunk)->page)
		return NV_OK;
	kfree(*chunk);
	*chunk = NULL;
	return NV_ERR_NO_MEMORY;
}

static void put_pieces(struct managed *managed)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(managed->piece); i++) {
		if (managed->piece[i])
			__free_pages(managed->piece[i], get_order(managed->chunk));
		managed->piece[i] = NULL;
	}
}

/*
 * Chunk by chunk. -ENOMEM: there are none of this size. -ENODATA: they are large, and not all of
 * a node without processors, where all that is around them is mapped, too.
 */
static int take_pieces(struct managed *managed)
{
	int node = driver_major() < 545 ? NUMA_NO_NODE : numa_mem_id();
	unsigned int i;

	for (i = 0; i < SZ_2M / managed->chunk; i++) {
		struct uvm_cpu_chunk *chunk;

		if (uvm_cpu_chunk_alloc(managed->chunk, 0, node, &chunk))
			goto fail;
		managed->piece[i] = chunk->page;
		kfree(chunk);
		if (managed->chunk > SZ_4K && node_state(page_to_nid(managed->piece[i]), N_CPU)) {
			put_pieces(managed);
			return -ENODATA;
		}
	}
	return 0;

fail:
	put_pieces(managed);
	return -ENOMEM;
}

static int map_chunk(struct gpu *gpu, struct managed *managed, u64 offset)
{
	struct device *dev = &gpu->pdev->dev;
	dma_addr_t bus = dma_map_page(dev, gpu_block_page(&managed->block, offset), 0,
				      managed->chunk, DMA_BIDIRECTIONAL);

	if (dma_mapping_error(dev, bus))
		return -EIO;
	managed->bus[managed->mapped++] = bus;
	if (bus != gpu_block_bus(&managed->block, offset))
		return -EXDEV;
	return gpu_map(gpu, managed->va + offset, managed->chunk, bus);
}

static void unmap_chunks(struct gpu *gpu, struct managed *managed)
{
	gpu_unmap(gpu, managed->va, SZ_2M, managed->chunk);
	while (managed->mapped)
		dma_unmap_page(&gpu->pdev->dev, managed->bus[--managed->mapped], managed->chunk,
			       DMA_BIDIRECTIONAL);
}

static int map_chunks(struct gpu *gpu, struct managed *managed)
{
	int error = gpu_block_get(gpu, &managed->block);
	u64 offset;

	for (offset = 0; offset < SZ_2M && !error; offset += managed->chunk)
		error = map_chunk(gpu, managed, offset);
	return error;
}

/*
 * An idle window of what was in this memory before may give part of a block
 * another address. Such blocks are put aside, so that the next is another one.
 */
static int map_elsewhere(struct gpu *gpu, struct managed *managed)
{
	struct gpu_block aside[BLOCKS_ASIDE];
	unsigned int count = 0;
	int error = map_chunks(gpu, managed);

	while (error == -EXDEV && count < BLOCKS_ASIDE) {
		unmap_chunks(gpu, managed);
		aside[count++] = managed->block;
		managed->block.pages = NULL;
		error = map_chunks(gpu, managed);
	}
	while (count)
		gpu_block_put(gpu, &aside[--count]);
	return error;
}

/* A test of large pages that happen to be aligned would show nothing. */
static bool is_lucky(const struct managed *managed)
{
	return IS_ALIGNED(managed->bus[0], managed->chunk);
}

static int map_pieces(struct gpu *gpu, struct managed *managed)
{
	unsigned int i;
	int error = 0;

	for (i = 0; i < SZ_2M / managed->chunk && !error; i++) {
		dma_addr_t bus = dma_map_page(&gpu->pdev->dev, managed->piece[i], 0,
					      managed->chunk, DMA_BIDIRECTIONAL);

		if (dma_mapping_error(&gpu->pdev->dev, bus))
			return -EIO;
		managed->bus[managed->mapped++] = bus;
		error = gpu_map(gpu, managed->va + i * managed->chunk, managed->chunk, bus);
	}
	return error;
}

/* In one piece for the CPU, whatever the chunks are */
static void use_pieces(struct outcome *outcome, struct gpu *gpu, struct managed *managed)
{
	unsigned int i, per = managed->chunk >> PAGE_SHIFT;
	struct page **pages = kvcalloc(SZ_2M >> PAGE_SHIFT, sizeof(*pages), GFP_KERNEL);
	int error = map_pieces(gpu, managed);
	void *cpu;

	for (i = 0; pages && i < SZ_2M >> PAGE_SHIFT; i++)
		pages[i] = managed->piece[i / per] + i % per;
	cpu = pages ? vmap(pages, SZ_2M >> PAGE_SHIFT, VM_MAP, PAGE_KERNEL) : NULL;
	if (error || !cpu)
		conclude(outcome, "failed: %d", error ?: -ENOMEM);
	else
		use(outcome, managed->va, cpu, SZ_2M);
	if (cpu)
		vunmap(cpu);
	kvfree(pages);
	unmap_chunks(gpu, managed);
	put_pieces(managed);
}

/* Sizes are tried from the largest on, as the real one does. */
static int use_managed(struct outcome *outcome, struct gpu *gpu, struct managed *managed)
{
	int error = -ENOMEM;

	for (managed->chunk = next_chunk(SZ_4M); managed->chunk;
	     managed->chunk = next_chunk(managed->chunk)) {
		error = take_pieces(managed);
		if (error != -ENOMEM)
			break;
	}
	managed_chunk_seen = managed->chunk;
	managed->va = gpu_reserve(gpu, SZ_2M);
	if (!error) {
		use_pieces(outcome, gpu, managed);
		return strcmp(outcome->text, "ok");
	}
	if (error != -ENODATA) {
		conclude(outcome, "failed: %d", error);
		return error;
	}
	error = map_elsewhere(gpu, managed);
	if (error)
		conclude(outcome, "failed: %d", error);
	else if (is_lucky(managed))
		conclude(outcome, "failed: aligned by luck");
	else
		use(outcome, managed->va, page_address(gpu_block_page(&managed->block, 0)), SZ_2M);
	unmap_chunks(gpu, managed);
	gpu_block_put(gpu, &managed->block);
	return strcmp(outcome->text, "ok");
}

static void run_managed(struct outcome *outcome)
{
	struct managed *managed = kzalloc(sizeof(*managed), GFP_KERNEL);
	unsigned int i;

	conclude(outcome, "failed: no memory");
	for (i = 0; managed && i < MANAGED_BLOCKS; i++)
		if (use_managed(outcome, nvidia_gpu(), managed))
			break;
	kfree(managed);
}

/* --- parameters --------------------------------------------------------------------------- */

struct command {
	void (*run)(struct outcome *outcome);
	struct outcome outcome;
};

/* The kernel calls for one parameter of a module at a time. */
static int command_set(const char *value, const struct kernel_param *kp)
{
	struct command *command = kp->arg;

	if (!nvidia_gpu())
		return -ENODEV;
	command->run(&command->outcome);
	pr_info("%s: %s\n", kp->name, command->outcome.text);
	return 0;
}

static int command_get(char *buffer, const struct kernel_param *kp)
{
	const struct command *command = kp->arg;

	return sysfs_emit(buffer, "%s\n", command->outcome.text);
}

static const struct kernel_param_ops command_ops = { .set = command_set, .get = command_get };

static struct command pushbuffer = { .run = run_pushbuffer };
static struct command small = { .run = run_small };
static struct command managed = { .run = run_managed };
module_param_cb(pushbuffer, &command_ops, &pushbuffer, 0600);
module_param_cb(small, &command_ops, &small, 0600);
module_param_cb(managed, &command_ops, &managed, 0600);

static int __init uvm_init(void)
{
	uvm_cpu_chunk_allocation_sizes &= CHUNK_SIZES;
	if (!(uvm_cpu_chunk_allocation_sizes & PAGE_SIZE)) {
		pr_info("Invalid value for uvm_cpu_chunk_allocation_sizes, using 0x%x instead\n",
			CHUNK_SIZES);
		uvm_cpu_chunk_allocation_sizes = CHUNK_SIZES;
	}
	return 0;
}

static void __exit uvm_exit(void)
{
}

module_init(uvm_init);
module_exit(uvm_exit);
MODULE_DESCRIPTION("Stands in for NVIDIA's unified memory on the simulated GPU");
MODULE_LICENSE("Dual MIT/GPL");
MODULE_VERSION(NVIDIA_VERSION_PLACE);
