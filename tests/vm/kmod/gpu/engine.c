// SPDX-License-Identifier: GPL-2.0-only
/* The copy engine: a ring of commands, each followed by a fence that is waited for. */
#include <linux/delay.h>
#include <linux/dma-mapping.h>
#include <linux/module.h>

#include <simmac/gpu.h>

#include "gpu.h"

#define RING_ENTRIES	64
#define RING_SIZE	(RING_ENTRIES * GPU_ENTRY_SIZE)
/* The machine that interprets both guest and GPU may be busy. */
#define PATIENCE	(60 * HZ)

static void write64(struct gpu *gpu, unsigned int offset, u64 value)
{
	writel(lower_32_bits(value), gpu->registers + offset);
	writel(upper_32_bits(value), gpu->registers + offset + 4);
}

static u64 read64(struct gpu *gpu, unsigned int offset)
{
	return readl(gpu->registers + offset) | (u64)readl(gpu->registers + offset + 4) << 32;
}

struct command {
	u64 source, target, payload;
	u32 length, flags;
};

static void push(struct gpu *gpu, const struct command *command)
{
	u8 *entry = gpu->ring + gpu->put * GPU_ENTRY_SIZE;

	*(__le64 *)(entry + GPU_ENTRY_SOURCE) = cpu_to_le64(command->source);
	*(__le64 *)(entry + GPU_ENTRY_TARGET) = cpu_to_le64(command->target);
	*(__le32 *)(entry + GPU_ENTRY_LENGTH) = cpu_to_le32(command->length);
	*(__le32 *)(entry + GPU_ENTRY_FLAGS) = cpu_to_le32(command->flags);
	*(__le64 *)(entry + GPU_ENTRY_PAYLOAD) = cpu_to_le64(command->payload);
	gpu->put = (gpu->put + 1) % RING_ENTRIES;
	/* Orders the entry before it. */
	writel(gpu->put, gpu->registers + GPU_PUT);
}

static int check_fault(struct gpu *gpu)
{
	u32 fault = readl(gpu->registers + GPU_FAULT);

	if (fault == GPU_FAULT_NONE)
		return 0;
	pci_err(gpu->pdev, "the GPU has stopped with fault %u at 0x%llx\n", fault,
		read64(gpu, GPU_FAULT_ADDRESS));
	return -EFAULT;
}

static int wait_for_fence(struct gpu *gpu)
{
	unsigned long deadline = jiffies + PATIENCE;
	int error;

	while (le64_to_cpu(READ_ONCE(*gpu->fence)) != gpu->fences) {
		error = check_fault(gpu);
		if (error)
			return error;
		if (time_after(jiffies, deadline)) {
			pci_err(gpu->pdev, "the GPU does not get on: GET is %u and PUT %u\n",
				readl(gpu->registers + GPU_GET), gpu->put);
			return -ETIMEDOUT;
		}
		usleep_range(50, 200);
	}
	/* What it wrote before is read after. */
	dma_rmb();
	return 0;
}

static int push_fence(struct gpu *gpu, u32 flags)
{
	const struct command fence = {
		.target = gpu->fence_va,
		.payload = ++gpu->fences,
		.flags = GPU_OP_FENCE | flags,
	};

	push(gpu, &fence);
	return wait_for_fence(gpu);
}

static int run(struct gpu *gpu, struct command command, u64 length)
{
	int error = 0;

	for (; length && !error; length -= command.length) {
		command.length = min_t(u64, length, GPU_LENGTH_MAX);
		push(gpu, &command);
		error = push_fence(gpu, 0);
		command.source += command.length;
		command.target += command.length;
	}
	return error;
}

int gpu_copy(struct gpu *gpu, u64 target, u64 source, u64 length)
{
	const struct command copy = { .source = source, .target = target, .flags = GPU_OP_COPY };

	return run(gpu, copy, length);
}
EXPORT_SYMBOL_GPL(gpu_copy);

int gpu_fill(struct gpu *gpu, u64 target, u8 byte, u64 length)
{
	const struct command fill = { .target = target, .payload = byte, .flags = GPU_OP_FILL };

	return run(gpu, fill, length);
}
EXPORT_SYMBOL_GPL(gpu_fill);

int gpu_raise(struct gpu *gpu, u32 vector)
{
	writel(vector, gpu->registers + GPU_VECTOR);
	return push_fence(gpu, GPU_FLAG_INTERRUPT);
}
EXPORT_SYMBOL_GPL(gpu_raise);

static int alloc_memory(struct gpu *gpu)
{
	struct device *dev = &gpu->pdev->dev;

	gpu->ring = dma_alloc_coherent(dev, RING_SIZE, &gpu->ring_bus, GFP_KERNEL);
	if (!gpu->ring)
		return -ENOMEM;
	gpu->fence = dma_alloc_coherent(dev, SZ_4K, &gpu->fence_bus, GFP_KERNEL);
	if (!gpu->fence)
		goto free_ring;
	if (gpu_tables_init(gpu))
		goto free_fence;
	return 0;

free_fence:
	dma_free_coherent(dev, SZ_4K, gpu->fence, gpu->fence_bus);
free_ring:
	dma_free_coherent(dev, RING_SIZE, gpu->ring, gpu->ring_bus);
	return -ENOMEM;
}

static void free_memory(struct gpu *gpu)
{
	struct device *dev = &gpu->pdev->dev;

	gpu_tables_exit(gpu);
	dma_free_coherent(dev, SZ_4K, gpu->fence, gpu->fence_bus);
	dma_free_coherent(dev, RING_SIZE, gpu->ring, gpu->ring_bus);
}

/* Until it has stopped, its memory has to stay. */
static int enable(struct gpu *gpu, bool on)
{
	unsigned long deadline = jiffies + PATIENCE;

	writel(GPU_FAULT_NONE, gpu->registers + GPU_FAULT);
	writel(on ? GPU_ENABLE_MAGIC : 0, gpu->registers + GPU_ENABLE);
	while (readl(gpu->registers + GPU_STATUS) != on) {
		if (on && check_fault(gpu))
			return -EFAULT;
		if (time_after(jiffies, deadline)) {
			pci_err(gpu->pdev, "the GPU does not %s\n", on ? "start" : "stop");
			return -ETIMEDOUT;
		}
		usleep_range(50, 200);
	}
	return 0;
}

static void stop(struct gpu *gpu)
{
	enable(gpu, false);
	pci_clear_master(gpu->pdev);
	free_memory(gpu);
}

static int start(struct gpu *gpu)
{
	writel(RING_ENTRIES, gpu->registers + GPU_RING_ENTRIES);
	write64(gpu, GPU_RING, gpu->ring_bus);
	write64(gpu, GPU_PAGE_TABLE, gpu_tables_root(gpu));
	writel(0, gpu->registers + GPU_PUT);
	pci_set_master(gpu->pdev);
	return enable(gpu, true);
}

static int start_with_memory(struct gpu *gpu)
{
	int error = alloc_memory(gpu);

	if (error)
		return error;
	gpu->fence_va = gpu_reserve(gpu, SZ_4K);
	error = gpu_map(gpu, gpu->fence_va, SZ_4K, gpu->fence_bus);
	if (!error)
		error = start(gpu);
	if (error)
		stop(gpu);
	return error;
}

int gpu_open(struct gpu *gpu, struct pci_dev *pdev)
{
	int error = pci_enable_device_mem(pdev);

	if (error)
		return error;
	*gpu = (struct gpu){ .pdev = pdev };
	gpu->registers = pci_iomap(pdev, GPU_BAR_REGISTERS, 0);
	error = gpu->registers ? start_with_memory(gpu) : -ENODEV;
	if (!error)
		return 0;
	if (gpu->registers)
		pci_iounmap(pdev, gpu->registers);
	pci_disable_device(pdev);
	return error;
}
EXPORT_SYMBOL_GPL(gpu_open);

void gpu_close(struct gpu *gpu)
{
	stop(gpu);
	pci_iounmap(gpu->pdev, gpu->registers);
	pci_disable_device(gpu->pdev);
}
EXPORT_SYMBOL_GPL(gpu_close);

MODULE_DESCRIPTION("Drives the simulated GPU, for test modules");
MODULE_LICENSE("GPL");
