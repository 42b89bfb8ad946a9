// SPDX-License-Identifier: BSD-3-Clause
/*
 * The CPU's interrupt tree of NVIDIA's chips from Turing on, as their open kernel
 * modules have it: vectors are bits of leaves, two leaves are a subtree, a
 * subtree is a bit of the top. A message is sent when the first enabled vector
 * of an enabled subtree becomes pending: an edge, so one that is not cleared
 * keeps the next from being told.
 */
#include "gpu.h"

#define VECTORS_OF_LEAF	32u
#define TRIGGER_VECTOR	0xfffu

unsigned int gpu_interrupt_leaves(const struct gpu_card *card)
{
	unsigned int architecture = card->boot_0 >> 24 & 0x1f;

	/* Hopper has 16, and what came after Ada. */
	return architecture == 0x18 || architecture > 0x19 ? GPU_LEAVES_MAX : GPU_LEAVES_MAX / 2;
}

/* What was written since the last look; it reads as 0 from then on. */
static uint32_t take(const struct gpu *gpu, unsigned int offset)
{
	uint32_t value = gpu_reg_read(gpu, offset);

	while (value && !gpu_reg_replace(gpu, offset, value, 0))
		value = gpu_reg_read(gpu, offset);
	return value;
}

/*
 * A pair of registers that set and clear bits of a mask; the former shows it.
 * What is written between our look and our answer is left for the next turn.
 */
static bool run_mask(const struct gpu *gpu, struct gpu_mask *mask, unsigned int set,
		     unsigned int clear)
{
	uint32_t written = gpu_reg_read(gpu, set), cleared = take(gpu, clear);

	if (written == mask->shown && !cleared)
		return false;
	if (written != mask->shown)
		mask->bits |= written;
	mask->bits &= ~cleared;
	if (gpu_reg_replace(gpu, set, written, mask->bits))
		mask->shown = mask->bits;
	return true;
}

static bool run_leaf(struct gpu *gpu, unsigned int leaf)
{
	uint32_t cleared = take(gpu, GPU_INTERRUPT_LEAF(leaf));

	gpu->interrupt.pending[leaf] &= ~cleared;
	return run_mask(gpu, &gpu->interrupt.leaf[leaf], GPU_INTERRUPT_LEAF_SET(leaf),
			GPU_INTERRUPT_LEAF_CLEAR(leaf)) || cleared;
}

static bool run_trigger(struct gpu *gpu, unsigned int leaves)
{
	uint32_t written = take(gpu, GPU_INTERRUPT_TRIGGER);
	uint32_t vector = written & TRIGGER_VECTOR;

	if (vector < leaves * VECTORS_OF_LEAF && written)
		gpu->interrupt.pending[vector / VECTORS_OF_LEAF] |= 1u << vector % VECTORS_OF_LEAF;
	return written;
}

static void show_top(struct gpu *gpu, unsigned int leaves)
{
	struct gpu_interrupt *interrupt = &gpu->interrupt;
	uint32_t top = 0;
	unsigned int i;
	bool line;

	for (i = 0; i < leaves; i++)
		if (interrupt->pending[i] & interrupt->leaf[i].bits)
			top |= 1u << i / 2;
	gpu_reg_write(gpu, GPU_INTERRUPT_TOP, top);
	line = top & interrupt->top.bits;
	if (line && !interrupt->line)
		simmac_device_raise(gpu->device, 0);
	interrupt->line = line;
}

bool gpu_interrupt_run(struct gpu *gpu)
{
	unsigned int leaves = gpu_interrupt_leaves(&gpu->card), i;
	bool worked = false;

	for (i = 0; i < leaves; i++)
		worked |= run_leaf(gpu, i);
	worked |= run_mask(gpu, &gpu->interrupt.top, GPU_INTERRUPT_TOP_SET,
			   GPU_INTERRUPT_TOP_CLEAR);
	worked |= run_trigger(gpu, leaves);
	if (worked)
		show_top(gpu, leaves);
	return worked;
}

void gpu_interrupt_reset(struct gpu *gpu)
{
	gpu->interrupt = (struct gpu_interrupt){ 0 };
}
