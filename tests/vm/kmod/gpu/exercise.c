// SPDX-License-Identifier: GPL-2.0-only
/* Whether the GPU and the CPU see the same memory. */
#include <linux/dma-mapping.h>
#include <linux/minmax.h>

#include "gpu.h"

#define STEP	SZ_1M

/* Where data is seen as the GPU sees it: a page at a time needs no alignment. */
struct scratch {
	struct gpu *gpu;
	void *memory;			/* coherent */
	dma_addr_t bus;
	u64 va, video;
};

static int scratch_show(struct scratch *scratch)
{
	u64 offset;
	int error = 0;

	scratch->va = gpu_reserve(scratch->gpu, STEP);
	scratch->video = gpu_reserve(scratch->gpu, STEP);
	for (offset = 0; offset < STEP && !error; offset += SZ_4K) {
		error = gpu_map(scratch->gpu, scratch->va + offset, SZ_4K, scratch->bus + offset);
		if (!error)
			error = gpu_map_video(scratch->gpu, scratch->video + offset, SZ_4K,
					      SZ_2M + offset);
	}
	return error;
}

static void scratch_put(struct scratch *scratch)
{
	gpu_unmap(scratch->gpu, scratch->va, STEP, SZ_4K);
	gpu_unmap(scratch->gpu, scratch->video, STEP, SZ_4K);
	dma_free_coherent(&scratch->gpu->pdev->dev, STEP, scratch->memory, scratch->bus);
}

static int scratch_get(struct scratch *scratch, struct gpu *gpu)
{
	int error;

	scratch->gpu = gpu;
	scratch->memory = dma_alloc_coherent(&gpu->pdev->dev, STEP, &scratch->bus, GFP_KERNEL);
	if (!scratch->memory)
		return -ENOMEM;
	error = scratch_show(scratch);
	if (error)
		scratch_put(scratch);
	return error;
}

static int move(struct scratch *scratch, u64 target, u64 source, u64 length)
{
	int error = gpu_copy(scratch->gpu, scratch->video, source, length);

	return error ?: gpu_copy(scratch->gpu, target, scratch->video, length);
}

static int read_all(struct scratch *scratch, u64 va, u64 length, size_t *wrong)
{
	u64 at, step;
	int error;

	for (at = 0; at < length; at += step) {
		step = min_t(u64, STEP, length - at);
		error = move(scratch, scratch->va, va + at, step);
		if (error)
			return error;
		*wrong += gpu_pattern_wrong(scratch->memory, step, 1, at);
	}
	return 0;
}

static int write_all(struct scratch *scratch, u64 va, u64 length)
{
	u64 at, step;
	int error;

	for (at = 0; at < length; at += step) {
		step = min_t(u64, STEP, length - at);
		gpu_pattern_fill(scratch->memory, step, 2, at);
		error = move(scratch, va + at, scratch->va, step);
		if (error)
			return error;
	}
	return 0;
}

int gpu_exercise(struct gpu *gpu, u64 va, void *cpu, u64 length, struct gpu_exercise *result)
{
	struct scratch scratch;
	int error = scratch_get(&scratch, gpu);

	*result = (struct gpu_exercise){ };
	if (error)
		return error;
	gpu_pattern_fill(cpu, length, 1, 0);
	error = read_all(&scratch, va, length, &result->misread);
	if (!error)
		error = write_all(&scratch, va, length);
	if (!error)
		result->miswritten = gpu_pattern_wrong(cpu, length, 2, 0);
	scratch_put(&scratch);
	return error;
}
EXPORT_SYMBOL_GPL(gpu_exercise);
