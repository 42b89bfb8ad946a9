// SPDX-License-Identifier: GPL-2.0-only
/*
 * NVIDIA's resource manager, and UVM, take system memory from wherever the kernel
 * has it; the device's node is not looked at [G8]. What they allocate is taken from
 * the aperture here, where it is mapped without an exit and where its bus addresses
 * are aligned; once that is full, from wherever, as ever.
 *
 * The functions by which they allocate are the kernel's, so all their callers pass the
 * hook: each is hooked only while the module is there for which it is.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/ftrace.h>
#include <linux/gfp.h>
#include <linux/kprobes.h>
#include <linux/pci_ids.h>

#include "../aperture.h"
#include "../compat.h"
#include "nvidia.h"
#include "quirk.h"

#ifdef QUIVER_HAVE_DIVERT
#ifdef QUIVER_HAVE_NOPROF
#define GET_FREE_PAGES	"get_free_pages_noprof"
#define ALLOC_PAGES	"alloc_pages_noprof"
#else
#define GET_FREE_PAGES	"__get_free_pages"
#define ALLOC_PAGES	"alloc_pages"
#endif

/* One function, and the module whose calls of it go to ours instead. */
struct hook {
	struct ftrace_ops ops;		/* first */
	const char *function;
	unsigned long ours;
	struct module *module;		/* NULL: it is not hooked */
};

static struct page *steer(struct quiver_quirk *quirk, gfp_t gfp, unsigned int order)
{
	struct page *page = quiver_aperture_pages(gfp, order);

	atomic64_inc(&quirk->hits);
	if (page)
		atomic64_inc(&quirk->cures_done);
	return page;
}

/* In place of the kernel's. What they call themselves is not diverted: we are not that module. */
static unsigned long steer_free_pages(gfp_t gfp, unsigned int order)
{
	struct page *page = steer(&quiver_nvidia_memory, gfp & ~__GFP_HIGHMEM, order);

	if (page)
		return (unsigned long)page_address(page);
	return order && quiver_nvidia_is_strict() ? 0 : __get_free_pages(gfp, order);
}

/* For managed memory UVM tries sizes, the largest first, and not hard: __GFP_NORETRY says so. */
static struct page *steer_pages(gfp_t gfp, unsigned int order)
{
	struct page *page = steer(&quiver_nvidia_uvm_memory, gfp, order);

	if (page || (order && gfp & __GFP_NORETRY))
		return page;
	return alloc_pages(gfp, order);
}

static notrace void on_call(unsigned long ip, unsigned long parent_ip, struct ftrace_ops *ops,
			    struct ftrace_regs *fregs)
{
	struct hook *hook = container_of(ops, struct hook, ops);

	if (within_module(parent_ip, hook->module))
		quiver_divert_to(fregs, hook->ours);
}

/* Permanent: no sysctl turns them off, for large pages must not come from anywhere else then. */
#define FLAGS	(QUIVER_DIVERT_FLAGS | FTRACE_OPS_FL_PERMANENT)

static struct hook free_pages_hook = {
	.function = GET_FREE_PAGES,
	.ours = (unsigned long)steer_free_pages,
};

static struct hook pages_hook = {
	.function = ALLOC_PAGES,
	.ours = (unsigned long)steer_pages,
};

static int attach(struct hook *hook, struct module *module)
{
	unsigned char name[32];
	int error, length = strscpy(name, hook->function, sizeof(name));

	hook->module = module;
	/* Anew each time: what ftrace_free_filter() has freed, the ops still point to. */
	hook->ops = (struct ftrace_ops){ .func = on_call, .flags = FLAGS };
	error = ftrace_set_filter(&hook->ops, name, length, 1);
	if (!error)
		error = register_ftrace_function(&hook->ops);
	if (error) {
		ftrace_free_filter(&hook->ops);
		hook->module = NULL;
	}
	return error;
}

/* A module that goes has nobody in its functions, nor in ours. */
static void detach(struct hook *hook)
{
	if (!hook->module)
		return;
	unregister_ftrace_function(&hook->ops);
	ftrace_free_filter(&hook->ops);
	hook->module = NULL;
	module_put(THIS_MODULE);
}

/* A task can sleep in our functions, so that this module stays as long as the other. */
static void hook_up(struct quiver_quirk *quirk, struct hook *hook, struct module *module)
{
	int error;

	if (quiver_aperture_node() == NUMA_NO_NODE) {
		quiver_quirk_set(quirk, QUIVER_QUIRK_IDLE, "there is no aperture");
		return;
	}
	if (!try_module_get(THIS_MODULE))
		return;
	error = attach(hook, module);
	if (error) {
		module_put(THIS_MODULE);
		quiver_quirk_set(quirk, QUIVER_QUIRK_REFUSED,
				 "no hook on %s (%d): a live patch has it, or ftrace is off",
				 hook->function, error);
		return;
	}
	quiver_quirk_set(quirk, QUIVER_QUIRK_ACTIVE, "%s of %s: from node %d first",
			 hook->function, module->name, quiver_aperture_node());
}

/*
 * From 590 on it keeps what was freed for the next who asks, by that one's node and not by
 * ours. A default: what the user gives comes after it.
 */
static void rm_coming(struct quiver_quirk *quirk, struct module *module)
{
	hook_up(quirk, &free_pages_hook, module);
	if (free_pages_hook.module)
		quiver_module_param_set(module, "NVreg_EnableSystemMemoryPools", "0");
}

static void rm_going(struct quiver_quirk *quirk)
{
	detach(&free_pages_hook);
}

/*
 * uvm_cpu_chunk_alloc(size, flags, node, chunk *): managed memory is asked of a node from 545
 * on, and so not of the function that is hooked; of none, it is.
 */
static int on_chunk(struct kprobe *probe, struct pt_regs *regs)
{
	pt_regs_write_reg(regs, 2, (u32)NUMA_NO_NODE);
	return 0;
}

static struct kprobe chunk_probe;
static bool chunks_are_steered;

static int attach_chunks(struct module *module)
{
	struct quiver_nvidia_version version;
	int error;

	if (!quiver_nvidia_version(module->version, &version) ||
	    quiver_nvidia_is_before(&version, 530, 0, 0) || version.major > 595)
		return -EOPNOTSUPP;
	if (quiver_nvidia_is_before(&version, 545, 0, 0))
		return 0;
	memset(&chunk_probe, 0, sizeof(chunk_probe));
	chunk_probe.symbol_name = "nvidia_uvm:uvm_cpu_chunk_alloc";
	chunk_probe.pre_handler = on_chunk;
	error = register_kprobe(&chunk_probe);
	if (error)
		chunk_probe.pre_handler = NULL;
	return error;
}

static void uvm_coming(struct quiver_quirk *quirk, struct module *module)
{
	int error;

	hook_up(quirk, &pages_hook, module);
	if (!pages_hook.module)
		return;
	error = attach_chunks(module);
	chunks_are_steered = !error;
	if (error)
		quiver_quirk_set(quirk, QUIVER_QUIRK_ACTIVE,
				 "%s of %s: from node %d first; but for managed memory (%d)",
				 pages_hook.function, module->name, quiver_aperture_node(), error);
}

static void uvm_going(struct quiver_quirk *quirk)
{
	chunks_are_steered = false;
	if (chunk_probe.pre_handler)
		unregister_kprobe(&chunk_probe);
	chunk_probe.pre_handler = NULL;
	detach(&pages_hook);
}

bool quiver_nvidia_rm_takes_large(u64 bytes)
{
	return free_pages_hook.module && quiver_aperture_takes_large(PCI_VENDOR_ID_NVIDIA, bytes);
}

bool quiver_nvidia_uvm_takes_large(void)
{
	return chunks_are_steered && quiver_aperture_takes_large(PCI_VENDOR_ID_NVIDIA, 0);
}
#else
static void rm_coming(struct quiver_quirk *quirk, struct module *module)
{
	quiver_quirk_set(quirk, QUIVER_QUIRK_REFUSED,
			 "this kernel's functions cannot be hooked: it has no DYNAMIC_FTRACE");
}

static void rm_going(struct quiver_quirk *quirk)
{
}

#define uvm_coming	rm_coming
#define uvm_going	rm_going

bool quiver_nvidia_rm_takes_large(u64 bytes)
{
	return false;
}

bool quiver_nvidia_uvm_takes_large(void)
{
	return false;
}
#endif

struct quiver_quirk quiver_nvidia_memory = {
	.name = "nvidia_memory",
	.without = "its memory is not the aperture's",
	.wants = QUIVER_QUIRK_AUTO,
	.module = "nvidia",
	.coming = rm_coming,
	.going = rm_going,
};

struct quiver_quirk quiver_nvidia_uvm_memory = {
	.name = "nvidia_uvm_memory",
	.without = "its memory is not the aperture's",
	.wants = QUIVER_QUIRK_AUTO,
	.module = "nvidia_uvm",
	.coming = uvm_coming,
	.going = uvm_going,
};

module_param_cb(nvidia_memory, &quiver_quirk_switch_ops, &quiver_nvidia_memory.wants, 0444);
MODULE_PARM_DESC(nvidia_memory, "off, auto (default) or on: NVIDIA's driver has its memory of the aperture");
module_param_cb(nvidia_uvm_memory, &quiver_quirk_switch_ops, &quiver_nvidia_uvm_memory.wants, 0444);
MODULE_PARM_DESC(nvidia_uvm_memory, "off, auto (default) or on: NVIDIA's UVM has its memory of the aperture");
