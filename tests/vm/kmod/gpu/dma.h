/* SPDX-License-Identifier: GPL-2.0-only */
/* quiver_gpu_dma.ko: what drivers of GPUs take for granted of the DMA API. */
#ifndef QUIVER_TEST_GPU_DMA_H
#define QUIVER_TEST_GPU_DMA_H

#include "gpu.h"

/* Where the simulated Mac's bus addresses begin. */
u64 dma_base(void);

/*
 * Each is a test, by the driver that is bound to the GPU, with its mask at 52 bits before
 * and after. 0; a negative errno, logged with what was expected.
 */
int test_masks(struct pci_dev *pdev);		/* dma_mask.c [G9] */
int test_resources(struct pci_dev *pdev);	/* dma_shape.c [G4] */
int test_page(struct pci_dev *pdev);
int test_segment(struct pci_dev *pdev);
int test_msix(struct pci_dev *pdev);		/* dma_irq.c */
int test_msi(struct pci_dev *pdev);

/* How many maps were refused because of the mask, as they should be. */
extern uint refused;

#endif
