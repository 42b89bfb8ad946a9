// SPDX-License-Identifier: GPL-2.0-only
/*
 * UVM takes managed memory in chunks of up to 2 MiB and writes large GPU page
 * table entries for them without a look at the bus address. A misaligned one
 * makes the GPU read and write other memory, and nothing tells [G7]. Chunks of
 * a page need no alignment that a bus address here does not have.
 *
 * In the aperture they are aligned. If what is larger than a page comes from there or
 * not at all, which UVM answers by trying the next smaller size, its sizes are left alone.
 */
#include <linux/mm.h>
#include <linux/pci.h>
#include <linux/sizes.h>
#include <linux/slab.h>

#include "nvidia.h"
#include "quirk.h"

#define PARAM		"uvm_cpu_chunk_allocation_sizes"
#define NOT_SAFE	"managed memory is NOT SAFE: "

/* Chunks of a page must be among the sizes, and bus addresses are aligned to 16 KiB only [D4]. */
static bool page_is_small(struct quiver_quirk *quirk)
{
	if (PAGE_SIZE <= SZ_16K)
		return true;
	quiver_quirk_set(quirk, QUIVER_QUIRK_REFUSED,
			 NOT_SAFE "this kernel has pages of %lu KiB", PAGE_SIZE / SZ_1K);
	return false;
}

static int set_to_page(struct module *module)
{
	char value[16];

	snprintf(value, sizeof(value), "%lu", PAGE_SIZE);
	return quiver_module_param_set(module, PARAM, value);
}

/* A default: what the user gives comes after it. */
static void coming(struct quiver_quirk *quirk, struct module *module)
{
	int error;

	if (!page_is_small(quirk) || quiver_nvidia_uvm_takes_large())
		return;
	error = set_to_page(module);
	if (error)
		quiver_quirk_set(quirk, QUIVER_QUIRK_REFUSED,
				 NOT_SAFE "nvidia-uvm %s does not take " PARAM " (%d)",
				 module->version ?: "", error);
}

static int read_sizes(struct module *module, unsigned long *sizes)
{
	char *value = kzalloc(PAGE_SIZE, GFP_KERNEL);
	int error;

	if (!value)
		return -ENOMEM;
	error = quiver_module_param_get(module, PARAM, value);
	if (!error)
		error = kstrtoul(strim(value), 0, sizes);
	kfree(value);
	return error;
}

/* False: what the module has is refused. */
static bool judge(struct quiver_quirk *quirk, struct module *module)
{
	unsigned long sizes;

	if (read_sizes(module, &sizes)) {
		quiver_quirk_set(quirk, QUIVER_QUIRK_REFUSED, NOT_SAFE PARAM " cannot be read");
		return false;
	}
	if (sizes != PAGE_SIZE && !quiver_nvidia_uvm_takes_large()) {
		quiver_quirk_set(quirk, QUIVER_QUIRK_REFUSED,
				 NOT_SAFE "nvidia-uvm has " PARAM "=0x%lx, not %lu", sizes,
				 PAGE_SIZE);
		return false;
	}
	return true;
}

/* By now the module has taken what the user gave, and corrected what it did not like. */
static void live(struct quiver_quirk *quirk, struct module *module)
{
	if (quirk->state == QUIVER_QUIRK_REFUSED)
		return;
	atomic64_inc(&quirk->hits);
	if (!judge(quirk, module))
		return;
	atomic64_inc(&quirk->cures_done);
	if (quiver_nvidia_uvm_takes_large())
		quiver_quirk_set(quirk, QUIVER_QUIRK_ACTIVE,
				 "what is larger than a page is the aperture's");
	else
		quiver_quirk_set(quirk, QUIVER_QUIRK_ACTIVE, PARAM "=%lu", PAGE_SIZE);
}

/* Root may write the parameter at any time, and the module reads it anew for each chunk. */
static void check(struct quiver_quirk *quirk, struct module *module)
{
	if (quirk->state == QUIVER_QUIRK_ACTIVE)
		judge(quirk, module);
}

/* One that does not see the aperture, or not aligned, after those that do. */
static void attached(struct quiver_quirk *quirk, struct pci_dev *pdev, bool link_tb5)
{
	unsigned long sizes;

	if (quirk->state != QUIVER_QUIRK_ACTIVE || quiver_nvidia_uvm_takes_large() ||
	    read_sizes(quirk->up, &sizes) || sizes == PAGE_SIZE)
		return;
	set_to_page(quirk->up);
	quiver_quirk_set(quirk, QUIVER_QUIRK_REFUSED,
			 NOT_SAFE "%s came later, without the aperture: load nvidia_uvm again",
			 pci_name(pdev));
}

struct quiver_quirk quiver_nvidia_uvm_chunks = {
	.name = "nvidia_uvm_chunks",
	.without = "managed memory is NOT SAFE",
	.wants = QUIVER_QUIRK_AUTO,
	.module = "nvidia_uvm",
	.coming = coming,
	.live = live,
	.check = check,
	.attached = attached,
};

module_param_cb(nvidia_uvm_chunks, &quiver_quirk_switch_ops, &quiver_nvidia_uvm_chunks.wants, 0444);
MODULE_PARM_DESC(nvidia_uvm_chunks, "off, auto (default) or on: NVIDIA: managed memory in chunks of a page");
