// SPDX-License-Identifier: GPL-2.0-only
/*
 * From 575.51.02 on, NVIDIA's UVM asks the resource manager for system memory in
 * GPU pages of 2 MiB and 64 KiB, which want bus addresses aligned to that. Here
 * they are not: 2 MiB are refused and CUDA does not start, or, where only the
 * first address is looked at, the GPU reads and writes other memory [G5 G6].
 * With a page size of 0 the resource manager takes one that fits.
 */
#include <linux/kprobes.h>
#include <linux/sizes.h>

#include "quirk.h"

/* struct UvmGpuAllocInfo, 530 to 595: gpuPhysOffset comes first [G5]. */
#define ALLOC_INFO_PAGE_SIZE	8

struct version {
	unsigned int major, minor, patch;
};

/* As 575.51.02, or 580.142, and nothing after it. */
static bool parse_version(const char *text, struct version *version)
{
	int two = 0, three = 0;

	*version = (struct version){ };
	if (!text || sscanf(text, "%u.%u%n.%u%n", &version->major, &version->minor, &two,
			    &version->patch, &three) < 2)
		return false;
	return !text[two] || (three && !text[three]);
}

static bool is_before(const struct version *version, unsigned int major, unsigned int minor,
		      unsigned int patch)
{
	if (version->major != major)
		return version->major < major;
	if (version->minor != minor)
		return version->minor < minor;
	return version->patch < patch;
}

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
	if (*page_size > SZ_4K) {
		*page_size = 0;
		atomic64_inc(&quirk->cures_done);
	}
	return 0;
}

static struct kprobe probe;

static void attach(struct quiver_quirk *quirk, struct module *module)
{
	int error;

	memset(&probe, 0, sizeof(probe));
	probe.symbol_name = "nvidia:nvUvmInterfaceMemoryAllocSys";
	probe.pre_handler = on_alloc;
	error = register_kprobe(&probe);
	if (error) {
		probe.pre_handler = NULL;
		quiver_quirk_set(quirk, QUIVER_QUIRK_REFUSED,
				 "nvidia %s: no probe on nvUvmInterfaceMemoryAllocSys (%d)",
				 module->version, error);
		return;
	}
	quiver_quirk_set(quirk, QUIVER_QUIRK_ACTIVE, "nvidia %s: GPU pages of 4 KiB",
			 module->version);
}

/* Only now: before, the module's symbols are not there, and after, UVM may have called [G11]. */
static void coming(struct quiver_quirk *quirk, struct module *module)
{
	struct version version;

	if (!parse_version(module->version, &version))
		quiver_quirk_set(quirk, QUIVER_QUIRK_REFUSED, "nvidia's version is not known: %s",
				 module->version ?: "it has none");
	else if (is_before(&version, 530, 0, 0) || version.major > 595)
		quiver_quirk_set(quirk, QUIVER_QUIRK_REFUSED,
				 "nvidia %s: its structures are known from 530 to 595 only",
				 module->version);
	else if (is_before(&version, 575, 51, 2) && quirk->wants == QUIVER_QUIRK_AUTO)
		quiver_quirk_set(quirk, QUIVER_QUIRK_IDLE, "nvidia %s does not need it",
				 module->version);
	else
		attach(quirk, module);
}

static void detach(void)
{
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
