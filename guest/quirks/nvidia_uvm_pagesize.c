// SPDX-License-Identifier: GPL-2.0-only
/*
 * From 575.51.02 on, NVIDIA's UVM asks the resource manager for system memory in
 * GPU pages of 2 MiB and 64 KiB, which want bus addresses aligned to that. Here
 * they are not: 2 MiB are refused and CUDA does not start, or, where only the
 * first address is looked at, the GPU reads and writes other memory [G5 G6].
 * With a page size of 0 the resource manager takes one that fits.
 *
 * In the aperture they are aligned. As long as that has room, they are left alone, and
 * what the call allocates for them comes from there or not at all.
 */
#include <linux/kprobes.h>
#include <linux/sizes.h>

#include "nvidia.h"
#include "quirk.h"

/* struct UvmGpuAllocInfo, 530 to 595: gpuPhysOffset comes first [G5]. */
#define ALLOC_INFO_PAGE_SIZE	8

#define FUNCTION	"nvidia:nvUvmInterfaceMemoryAllocSys"

/* nvUvmInterfaceMemoryAllocSys(address space, length, GPU pointer *, UvmGpuAllocInfo *) */
static int on_alloc(struct kprobe *probe, struct pt_regs *regs)
{
	struct quiver_quirk *quirk = &quiver_nvidia_uvm_pagesize;
	char *info = (char *)regs_get_kernel_argument(regs, 3);
	u64 *page_size;

	atomic64_inc(&quirk->hits);
	if (!info)
		return 0;
	page_size = (u64 *)(info + ALLOC_INFO_PAGE_SIZE);
	if (*page_size > SZ_4K && !quiver_nvidia_is_strict()) {
		*page_size = 0;
		atomic64_inc(&quirk->cures_done);
	}
	return 0;
}

static struct kprobe probe;

/* Not strict, so that its pages are small, is a call for which this is not called, too. */
static int on_enter(struct kretprobe_instance *instance, struct pt_regs *regs)
{
	u64 length = regs_get_kernel_argument(regs, 1);

	return quiver_nvidia_rm_takes_large(length) && quiver_nvidia_strict_begin() ? 0 : 1;
}

static int on_leave(struct kretprobe_instance *instance, struct pt_regs *regs)
{
	quiver_nvidia_strict_end();
	return 0;
}

static struct kretprobe around;

/* What is registered last is called first. */
static int attach_both(void)
{
	int error;

	memset(&probe, 0, sizeof(probe));
	probe.symbol_name = FUNCTION;
	probe.pre_handler = on_alloc;
	error = register_kprobe(&probe);
	if (error) {
		probe.pre_handler = NULL;
		return error;
	}
	if (!quiver_nvidia_rm_takes_large(0))
		return 0;
	memset(&around, 0, sizeof(around));
	around.kp.symbol_name = FUNCTION;
	around.entry_handler = on_enter;
	around.handler = on_leave;
	if (register_kretprobe(&around))
		around.handler = NULL;
	return 0;
}

static void attach(struct quiver_quirk *quirk, struct module *module)
{
	int error = attach_both();

	if (error) {
		quiver_quirk_set(quirk, QUIVER_QUIRK_REFUSED,
				 "nvidia %s: no probe on nvUvmInterfaceMemoryAllocSys (%d)",
				 module->version, error);
		return;
	}
	quiver_quirk_set(quirk, QUIVER_QUIRK_ACTIVE, "nvidia %s: GPU pages of 4 KiB%s",
			 module->version,
			 around.handler ? ", larger ones in the aperture" : "");
}

/* Only now: before, the module's symbols are not there, and after, UVM may have called [G11]. */
static void coming(struct quiver_quirk *quirk, struct module *module)
{
	struct quiver_nvidia_version version;

	if (!quiver_nvidia_version(module->version, &version))
		quiver_quirk_set(quirk, QUIVER_QUIRK_REFUSED, "nvidia's version is not known: %s",
				 module->version ?: "it has none");
	else if (quiver_nvidia_is_before(&version, 530, 0, 0) || version.major > 595)
		quiver_quirk_set(quirk, QUIVER_QUIRK_REFUSED,
				 "nvidia %s: its structures are known from 530 to 595 only",
				 module->version);
	else if (quiver_nvidia_is_before(&version, 575, 51, 2) && quirk->wants == QUIVER_QUIRK_AUTO)
		quiver_quirk_set(quirk, QUIVER_QUIRK_IDLE, "nvidia %s does not need it",
				 module->version);
	else
		attach(quirk, module);
}

static void detach(void)
{
	if (around.handler)
		unregister_kretprobe(&around);
	around.handler = NULL;
	if (probe.pre_handler)
		unregister_kprobe(&probe);
	probe.pre_handler = NULL;
}

static void going(struct quiver_quirk *quirk)
{
	detach();
}

static void stop(struct quiver_quirk *quirk)
{
	detach();
}

struct quiver_quirk quiver_nvidia_uvm_pagesize = {
	.name = "nvidia_uvm_pagesize",
	.without = "UVM is refused large GPU pages, or gets wrong ones",
	.wants = QUIVER_QUIRK_AUTO,
	.module = "nvidia",
	.coming = coming,
	.going = going,
	.stop = stop,
};

module_param_cb(nvidia_uvm_pagesize, &quiver_quirk_switch_ops,
		&quiver_nvidia_uvm_pagesize.wants, 0444);
MODULE_PARM_DESC(nvidia_uvm_pagesize, "off, auto (default) or on: 4 KiB GPU pages, NVIDIA 575 to 595");
