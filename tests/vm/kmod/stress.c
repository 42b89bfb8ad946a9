// SPDX-License-Identifier: GPL-2.0-only
/*
 * insmod quiver_stress.ko device=0000:01:00.0 [threads=16] [seconds=30]
 * insmod quiver_stress.ko device=0000:01:00.0 fill=1 chunks=9600
 *
 * The second maps up to the host's limits, first of mappings, then of bytes.
 * Returns when it is done; the verdict is in dmesg and in the parameter result:
 * 0, or a negative errno (-EILSEQ a promise broken, -EBUSY windows left over).
 * The device has no driver and does no DMA; its addresses are only borrowed.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/slab.h>

#include "stress.h"
#include "windows.h"

static char *device;
module_param(device, charp, 0444);
MODULE_PARM_DESC(device, "PCI address of a passed-through function without a driver");

static uint threads = 16;
module_param(threads, uint, 0444);

static uint seconds = 30;
module_param(seconds, uint, 0444);

static uint chunks = 512;
module_param(chunks, uint, 0444);
MODULE_PARM_DESC(chunks, "64 KiB pieces of memory that all threads share");

static uint granule_shift = 14;
module_param(granule_shift, uint, 0444);

static bool fill;
module_param(fill, bool, 0444);
MODULE_PARM_DESC(fill, "Map until the host refuses, instead of from many threads");

static int result = -EINPROGRESS;
module_param(result, int, 0444);

static struct pci_dev *find_device(void)
{
	unsigned int domain, bus, slot, function;

	if (!device || sscanf(device, "%x:%x:%x.%x", &domain, &bus, &slot, &function) != 4)
		return NULL;
	return pci_get_domain_bus_and_slot(domain, bus, PCI_DEVFN(slot, function));
}

static void free_chunks(struct stress *stress)
{
	while (stress->chunk_count)
		__free_pages(stress->chunks[--stress->chunk_count], STRESS_CHUNK_ORDER);
	kvfree(stress->chunks);
}

static int alloc_chunks(struct stress *stress)
{
	struct page *page;

	stress->chunks = kvcalloc(chunks, sizeof(*stress->chunks), GFP_KERNEL);
	if (!stress->chunks)
		return -ENOMEM;
	while (stress->chunk_count < chunks) {
		page = alloc_pages(GFP_KERNEL, STRESS_CHUNK_ORDER);
		if (!page) {
			free_chunks(stress);
			return -ENOMEM;
		}
		stress->chunks[stress->chunk_count++] = page;
	}
	return 0;
}

static void start_workers(struct stress_worker *workers, struct stress *stress)
{
	unsigned int i;

	for (i = 0; i < threads; i++) {
		struct task_struct *task;

		if (worker_init(&workers[i], stress, 16 * i + 1))
			continue;
		task = kthread_run(worker_thread, &workers[i], "quiver_stress%u", i);
		workers[i].task = IS_ERR(task) ? NULL : task;
	}
}

static unsigned int stop_workers(struct stress_worker *workers, struct stress *stress)
{
	unsigned int i, ran = 0;

	WRITE_ONCE(stress->stopping, true);
	for (i = 0; i < threads; i++) {
		if (workers[i].task) {
			kthread_stop(workers[i].task);
			ran++;
		}
	}
	for (i = 0; i < threads; i++)
		if (workers[i].stress)
			worker_exit(&workers[i]);
	return ran;
}

static struct stress_counts sum_counts(const struct stress_worker *workers)
{
	struct stress_counts sum = { };
	unsigned int i;

	for (i = 0; i < threads; i++) {
		sum.maps += workers[i].counts.maps;
		sum.scatterlists += workers[i].counts.scatterlists;
		sum.segments += workers[i].counts.segments;
		sum.coherent += workers[i].counts.coherent;
		sum.softirq += workers[i].counts.softirq;
		sum.hardirq += workers[i].counts.hardirq;
		sum.irqs_off += workers[i].counts.irqs_off;
		sum.refused += workers[i].counts.refused;
		sum.broken += workers[i].counts.broken;
	}
	return sum;
}

/* A run in which some kind of work did not happen has shown nothing about it. */
static bool all_done(const struct stress_counts *c)
{
	return c->maps && c->scatterlists && c->coherent && c->softirq && c->hardirq && c->irqs_off;
}

static int judge(const struct stress_counts *c, unsigned int ran, long windows)
{
	if (c->broken)
		return -EILSEQ;
	if (windows)
		return -EBUSY;
	if (ran != threads || !all_done(c))
		return -ENODATA;
	return 0;
}

static void run(struct stress *stress, struct stress_worker *workers)
{
	struct stress_counts c;
	unsigned int ran;
	long windows;

	stress->deadline = jiffies + seconds * HZ;
	start_workers(workers, stress);
	while (time_before(jiffies, stress->deadline))
		schedule_timeout_interruptible(HZ / 10);
	ran = stop_workers(workers, stress);
	c = sum_counts(workers);
	windows = quiver_device_windows(stress->pdev);
	result = judge(&c, ran, windows);
	pr_info("%s: result %d: %u threads, %llu maps, %llu scatterlists of %llu segments, %llu coherent, %llu in softirq, %llu in hardirq, %llu with interrupts off, %llu refused, %llu broken, %ld windows left\n",
		result ? "FAILED" : "passed", result, ran, c.maps, c.scatterlists, c.segments,
		c.coherent, c.softirq, c.hardirq, c.irqs_off, c.refused, c.broken, windows);
}

/* Small windows run into the limit of mappings, large ones into that of bytes. */
static void run_fill(struct stress *stress)
{
	result = stress_fill(stress, 2, granule_shift);
	if (!result)
		result = stress_fill(stress, 4, granule_shift);
	pr_info("%s: result %d\n", result ? "FAILED" : "passed", result);
}

static int run_with_memory(struct stress *stress)
{
	struct stress_worker *workers = kvcalloc(threads, sizeof(*workers), GFP_KERNEL);
	int error;

	if (!workers)
		return -ENOMEM;
	error = alloc_chunks(stress);
	if (error)
		goto free_workers;
	error = ledger_init(granule_shift);
	if (error)
		goto free_memory;
	if (fill)
		run_fill(stress);
	else
		run(stress, workers);
	ledger_exit();
free_memory:
	free_chunks(stress);
free_workers:
	kvfree(workers);
	return error;
}

/* The lock keeps drivers from binding. */
static int borrow(struct pci_dev *pdev)
{
	struct stress stress = { .pdev = pdev };
	int error = -EBUSY;

	device_lock(&pdev->dev);
	if (pdev->dev.driver)
		goto unlock;
	error = quiver_device_windows(pdev) < 0 ? -ENODEV : 0;
	if (error)
		goto unlock;
	error = dma_set_mask_and_coherent(&pdev->dev, DMA_BIT_MASK(64));
	if (!error)
		error = run_with_memory(&stress);
unlock:
	device_unlock(&pdev->dev);
	return error;
}

static int __init stress_init(void)
{
	struct pci_dev *pdev = find_device();
	int error;

	if (!pdev || !threads || !chunks) {
		pci_dev_put(pdev);
		pr_err("device=%s threads=%u chunks=%u: no such device or setting\n",
		       device ? device : "", threads, chunks);
		return -EINVAL;
	}
	error = borrow(pdev);
	if (error)
		pci_err(pdev, "quiver_stress: cannot start: %d\n", error);
	pci_dev_put(pdev);
	return error;
}

static void __exit stress_exit(void)
{
}

module_init(stress_init);
module_exit(stress_exit);
MODULE_DESCRIPTION("Concurrent DMA maps in all contexts, each checked");
MODULE_LICENSE("GPL");
