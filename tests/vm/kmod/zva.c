// SPDX-License-Identifier: GPL-2.0-only
/*
 * Clears memory as drivers do, with memset(), in a thread of its own: one that the
 * kernel kills is a failure, and the module can tell of it.
 *
 * what: device (a BAR, mapped by ioremap), wc (by ioremap_wc), memory (the machine's
 * own), gone (as device, but where quiver is about to store instead is not mapped any
 * more). A BAR is that of function; untouched: it is only cleared, and not looked at.
 */
#include <linux/delay.h>
#include <linux/io.h>
#include <linux/kprobes.h>
#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/vmalloc.h>

#define FILL	0xa5a5a5a5a5a5a5a5ull
#define MARGIN	SZ_64

static char *function;
module_param(function, charp, 0444);
MODULE_PARM_DESC(function, "PCI address, as 0000:01:00.0");

static unsigned int bar;
module_param(bar, uint, 0444);
MODULE_PARM_DESC(bar, "Number of the BAR");

static char *what = "device";
module_param(what, charp, 0444);
MODULE_PARM_DESC(what, "device, wc, memory or gone");

static bool untouched;
module_param(untouched, bool, 0444);
MODULE_PARM_DESC(untouched, "Do not fill it before, nor look at it after");

struct area {
	void __iomem *base;
	size_t size;
	bool cleared;
	u64 took;			/* ns */
};

static int clear(void *context)
{
	struct area *area = context;
	u64 since = ktime_get_ns();

	memset((void __force *)area->base + MARGIN, 0, area->size - 2 * MARGIN);
	area->took = ktime_get_ns() - since;
	WRITE_ONCE(area->cleared, true);
	while (!kthread_should_stop())
		msleep(20);
	return 0;
}

static void fill(struct area *area)
{
	size_t offset;

	for (offset = 0; offset < area->size; offset += sizeof(u64))
		writeq(FILL, area->base + offset);
}

static size_t count_wrong(struct area *area)
{
	size_t offset, wrong = 0;

	for (offset = 0; offset < area->size; offset += sizeof(u64)) {
		bool margin = offset < MARGIN || offset >= area->size - MARGIN;

		wrong += readq(area->base + offset) != (margin ? FILL : 0);
	}
	return wrong;
}

/* What a driver would pay that does not use memset() */
static u64 time_of_stores(struct area *area)
{
	u64 since = ktime_get_ns();

	memset_io(area->base + MARGIN, 0, area->size - 2 * MARGIN);
	return ktime_get_ns() - since;
}

static int run(struct area *area)
{
	struct task_struct *task;
	size_t wrong = 0;

	if (!untouched)
		fill(area);
	task = kthread_create(clear, area, "quiver_zva");
	if (IS_ERR(task))
		return PTR_ERR(task);
	get_task_struct(task);
	wake_up_process(task);
	while (!READ_ONCE(area->cleared) && !READ_ONCE(task->exit_state))
		msleep(20);
	if (area->cleared)
		kthread_stop(task);
	put_task_struct(task);
	if (!area->cleared)
		return -EFAULT;
	if (!untouched)
		wrong = count_wrong(area);
	pr_info("quiver_zva: %zu bytes of %s cleared in %llu us, by memset_io in %llu us, %zu words are wrong\n",
		area->size - 2 * MARGIN, what, area->took / NSEC_PER_USEC,
		untouched ? 0 : time_of_stores(area) / NSEC_PER_USEC, wrong);
	return wrong ? -EIO : 0;
}

/* No area that is mapped follows another at once. */
static unsigned long behind;

static int on_mend(struct kprobe *probe, struct pt_regs *regs)
{
	pt_regs_write_reg(regs, 0, behind);
	return 0;
}

static int run_gone(struct area *area)
{
	struct kprobe probe = { .symbol_name = "quiver:mend", .pre_handler = on_mend };
	int error;

	behind = (unsigned long)area->base + area->size;
	error = register_kprobe(&probe);
	if (error)
		return error;
	error = run(area);
	unregister_kprobe(&probe);
	return error;
}

static int run_memory(void)
{
	struct area area = { .size = SZ_1M };
	void *memory = vmalloc(area.size);
	int error;

	if (!memory)
		return -ENOMEM;
	area.base = (void __iomem *)memory;
	error = run(&area);
	vfree(memory);
	return error;
}

static int run_bar(struct pci_dev *pdev)
{
	resource_size_t start = pci_resource_start(pdev, bar);
	struct area area = { .size = pci_resource_len(pdev, bar) };
	int error;

	if (!area.size || area.size <= 2 * MARGIN)
		return -ENODEV;
	error = pci_enable_device_mem(pdev);
	if (error)
		return error;
	area.base = strcmp(what, "wc") ? ioremap(start, area.size) : ioremap_wc(start, area.size);
	if (!area.base)
		error = -ENOMEM;
	else
		error = strcmp(what, "gone") ? run(&area) : run_gone(&area);
	iounmap(area.base);
	pci_disable_device(pdev);
	return error;
}

static struct pci_dev *find(void)
{
	unsigned int domain, bus, slot, number;

	if (!function || sscanf(function, "%x:%x:%x.%x", &domain, &bus, &slot, &number) != 4)
		return NULL;
	return pci_get_domain_bus_and_slot(domain, bus, PCI_DEVFN(slot, number));
}

static int __init quiver_zva_init(void)
{
	struct pci_dev *pdev;
	int error;

	if (!strcmp(what, "memory"))
		return run_memory();
	pdev = find();
	if (!pdev || bar >= PCI_STD_NUM_BARS)
		return -ENODEV;
	error = run_bar(pdev);
	pci_dev_put(pdev);
	return error;
}

static void __exit quiver_zva_exit(void)
{
}

module_init(quiver_zva_init);
module_exit(quiver_zva_exit);
MODULE_DESCRIPTION("memset() of a BAR");
MODULE_LICENSE("GPL");
