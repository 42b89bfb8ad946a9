/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * quiver_gpu.ko: drives the simulated GPU, for test modules that stand in for a
 * real one's driver. Everything may sleep and is to be called by one thread at a
 * time. Buffers of drivers are mapped by the drivers, through the DMA API, and
 * shown to the GPU at virtual addresses.
 */
#ifndef QUIVER_TEST_GPU_H
#define QUIVER_TEST_GPU_H

#include <linux/pci.h>
#include <linux/sizes.h>

#define GPU_BAR_REGISTERS	0
#define GPU_BAR_VIDEO		1

struct gpu_table;

struct gpu {
	struct pci_dev *pdev;
	void __iomem *registers;
	u8 *ring;			/* coherent, as everything that the GPU itself walks */
	dma_addr_t ring_bus;
	u32 put;
	__le64 *fence;			/* the GPU writes here that it got so far */
	dma_addr_t fence_bus;
	u64 fence_va, fences;
	struct gpu_table *root;
	u64 next_va;
};

/*
 * engine.c. open: enables the function, its bus mastering and its copy engine;
 * the DMA mask is the caller's. -ENODEV: no registers; -ENOMEM; what the PCI core
 * says. close: the engine is stopped before any of its memory is released.
 */
int gpu_open(struct gpu *gpu, struct pci_dev *pdev);
void gpu_close(struct gpu *gpu);

/*
 * By virtual addresses, of any length; complete when they return. -EFAULT: the
 * engine has stopped with a fault, which is logged; -ETIMEDOUT.
 */
int gpu_copy(struct gpu *gpu, u64 target, u64 source, u64 length);
int gpu_fill(struct gpu *gpu, u64 target, u8 byte, u64 length);

/* Has the GPU raise this vector, and waits until its write that says so has arrived, no longer. */
int gpu_raise(struct gpu *gpu, u32 vector);

/*
 * table.c: GPU virtual memory. reserve: addresses that nobody has, aligned to 2 MiB;
 * they are never given again. map: one page of 4 KiB, 64 KiB or 2 MiB at a
 * bus address, or at an offset into video memory; like a real driver it does not
 * mind where a page begins. -EEXIST: smaller or larger pages are there already;
 * -ENOMEM.
 */
u64 gpu_reserve(struct gpu *gpu, u64 length);
int gpu_map(struct gpu *gpu, u64 va, u64 page_size, u64 bus);
int gpu_map_video(struct gpu *gpu, u64 va, u64 page_size, u64 offset);
/* Of one page size; what is not mapped does not matter. */
void gpu_unmap(struct gpu *gpu, u64 va, u64 length, u64 page_size);

/* For engine.c. */
int gpu_tables_init(struct gpu *gpu);
void gpu_tables_exit(struct gpu *gpu);
u64 gpu_tables_root(const struct gpu *gpu);

/*
 * memory.c: a block of 4 MiB, mapped whole. The pages that a test takes from its
 * second half have mapped memory on both sides: a GPU that ignores the low bits of
 * an address finds there what is not meant, instead of ending the simulated Mac.
 */
struct gpu_block {
	struct page *pages;
	dma_addr_t bus;
	size_t start;			/* of the usable 2 MiB; SZ_2M at first */
};

#define GPU_BLOCK_ORDER		get_order(SZ_4M)
#define GPU_BLOCK_USABLE	SZ_2M

/* -ENOMEM; -EIO: it cannot be mapped. */
int gpu_block_get(struct gpu *gpu, struct gpu_block *block);
void gpu_block_put(struct gpu *gpu, struct gpu_block *block);

static inline struct page *gpu_block_page(const struct gpu_block *block, size_t offset)
{
	return block->pages + ((block->start + offset) >> PAGE_SHIFT);
}

/* What the GPU sees of this page if its own mapping shares the block's window. */
static inline dma_addr_t gpu_block_bus(const struct gpu_block *block, size_t offset)
{
	return block->bus + block->start + offset;
}

/* Uses the part of the block that the GPU sees at a multiple of 2 MiB. */
static inline void gpu_block_align(struct gpu_block *block)
{
	block->start = ALIGN(block->bus, SZ_2M) - block->bus;
}

/* A pattern, different in every 8 bytes of every stream. wrong: how many bytes are not so. */
void gpu_pattern_fill(void *memory, size_t length, u64 stream, u64 position);
size_t gpu_pattern_wrong(const void *memory, size_t length, u64 stream, u64 position);

/*
 * exercise.c: has the GPU read and write [va, va + length), which the CPU sees at
 * cpu, by way of video memory, and compares each way by itself: what the GPU has
 * read is looked at in a buffer of small pages, what it has written where it should
 * be. Whatever is wrong is counted, not an error. A negative errno: it could not be done.
 */
struct gpu_exercise {
	size_t misread, miswritten;	/* bytes */
};

int gpu_exercise(struct gpu *gpu, u64 va, void *cpu, u64 length, struct gpu_exercise *result);

#endif
