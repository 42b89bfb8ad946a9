/* SPDX-License-Identifier: GPL-2.0-only */
/* quiver_gpu_aperture.ko: DMA of memory in the aperture. */
#ifndef QUIVER_TEST_GPU_APERTURE_H
#define QUIVER_TEST_GPU_APERTURE_H

#include "gpu.h"

/* aperture_cost.c: to the log, so many times; of a block of GPU_BLOCK_ORDER. */
int measure_cost(struct pci_dev *gpu, struct page *pages, unsigned int rounds);

/* aperture_use.c: how many pages of a node somebody has */
long count_used(int node);

#endif
