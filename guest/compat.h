/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What differs between kernels 6.1 and 7.3. Kbuild looks into the kernel's own
 * headers for the QUIVER_HAVE_* below, because distributions backport.
 */
#ifndef QUIVER_GUEST_COMPAT_H
#define QUIVER_GUEST_COMPAT_H

#include <linux/dma-map-ops.h>
#include <linux/ftrace.h>
#include <linux/iommu.h>

#ifdef QUIVER_HAVE_IOMMU_DMA_H
#include <linux/iommu-dma.h>
#endif

/* Without either, struct device has no ops to override [G1]. */
static inline bool quiver_kernel_has_dma_ops(void)
{
	return IS_ENABLED(CONFIG_ARCH_HAS_DMA_OPS) || IS_ENABLED(CONFIG_DMA_OPS);
}

/* From 6.12 on a device behind an IOMMU skips its ops; before, its ops were the IOMMU's. */
static inline bool quiver_device_skips_ops(struct device *dev)
{
#ifdef QUIVER_HAVE_IOMMU_DMA_H
	return use_dma_iommu(dev);
#else
	return false;
#endif
}

/* A mode in which wide masks skip the ops. */
static inline void quiver_device_no_bypass(struct device *dev)
{
#ifdef CONFIG_DMA_OPS_BYPASS
	dev->dma_ops_bypass = false;
#endif
}

#ifdef QUIVER_HAVE_ALLOC_PAGES_OP
#define quiver_ops_alloc_pages	alloc_pages_op
#else
#define quiver_ops_alloc_pages	alloc_pages
#endif

/*
 * Function hooks that see arguments, and may have the task go on elsewhere: by all
 * registers up to 6.1. A kernel can be without.
 */
#if defined(CONFIG_DYNAMIC_FTRACE_WITH_ARGS)
#define QUIVER_HAVE_DIVERT
#define QUIVER_DIVERT_FLAGS	FTRACE_OPS_FL_IPMODIFY

static __always_inline unsigned long quiver_divert_argument(struct ftrace_regs *fregs,
							    unsigned int n)
{
	return ftrace_regs_get_argument(fregs, n);
}

static __always_inline void quiver_divert_to(struct ftrace_regs *fregs, unsigned long address)
{
	ftrace_regs_set_instruction_pointer(fregs, address);
}
#elif defined(CONFIG_DYNAMIC_FTRACE_WITH_REGS)
#define QUIVER_HAVE_DIVERT
#define QUIVER_DIVERT_FLAGS	(FTRACE_OPS_FL_IPMODIFY | FTRACE_OPS_FL_SAVE_REGS)

static __always_inline unsigned long quiver_divert_argument(struct ftrace_regs *fregs,
							    unsigned int n)
{
	return regs_get_kernel_argument(ftrace_get_regs(fregs), n);
}

static __always_inline void quiver_divert_to(struct ftrace_regs *fregs, unsigned long address)
{
	instruction_pointer_set(ftrace_get_regs(fregs), address);
}
#endif

#endif
