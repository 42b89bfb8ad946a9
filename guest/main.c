// SPDX-License-Identifier: GPL-2.0-only
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/mm.h>
#include <linux/module.h>
#include <linux/slab.h>

#include "quirks/quirk.h"
#include "quiver.h"

static char *policy = "planner";
module_param(policy, charp, 0444);
MODULE_PARM_DESC(policy, "How windows are chosen: planner (default), fixed256k or pages");

static bool strict;
module_param(strict, bool, 0444);
MODULE_PARM_DESC(strict, "Map nothing but what drivers have mapped: an exit for each release");

const struct quiver_policy *quiver_param_policy(void)
{
	return quiver_policy_find(policy);
}

bool quiver_param_strict(void)
{
	return strict;
}

void *quiver_memory_alloc(size_t size)
{
	return kvzalloc(size, GFP_KERNEL);
}

void quiver_memory_free(void *memory)
{
	kvfree(memory);
}

struct quiver_window *quiver_window_alloc(size_t size)
{
	return kzalloc(size, GFP_ATOMIC | __GFP_NOWARN);
}

void quiver_window_free(struct quiver_window *window)
{
	kfree(window);
}

/* Every feature that both sides know; none is indispensable. */
static int negotiate(struct quiver *quiver)
{
	struct quiver_regs __iomem *regs = quiver->regs;
	u32 features = readl(&regs->device_features[0]) & (u32)QUIVER_FEATURES_ALL;

	writel(0, &regs->status);
	writel(features, &regs->driver_features[0]);
	writel(0, &regs->driver_features[1]);
	writel(QUIVER_STATUS_DRIVER_OK, &regs->status);
	if (readl(&regs->status) != QUIVER_STATUS_DRIVER_OK) {
		dev_err(&quiver->pdev->dev, "the host refuses the features\n");
		return -EIO;
	}
	quiver->has_status = features & BIT(QUIVER_F_STATUS_PAGE);
	quiver->has_budget = features & BIT(QUIVER_F_BUDGET);
	quiver->features = features;
	return 0;
}

static int map_status(struct quiver *quiver)
{
	if (!quiver->has_status)
		return 0;
	if (pci_resource_len(quiver->pdev, QUIVER_BAR_STATUS) < QUIVER_STATUS_SIZE)
		return -ENODEV;
	quiver->status = pci_iomap(quiver->pdev, QUIVER_BAR_STATUS, 0);
	return quiver->status ? 0 : -ENOMEM;
}

static void unmap_status(struct quiver *quiver)
{
	if (quiver->status)
		pci_iounmap(quiver->pdev, quiver->status);
}

static bool identify(struct quiver *quiver)
{
	if (pci_resource_len(quiver->pdev, QUIVER_BAR_REGS) < QUIVER_REGS_SIZE ||
	    readl(&quiver->regs->magic) != QUIVER_MAGIC)
		return false;
	quiver->granule_shift = readl(&quiver->regs->granule_shift);
	quiver->device_count = min_t(u32, readl(&quiver->regs->device_count), QUIVER_MAX_DEVICES);
	return quiver->granule_shift >= 12 && quiver->granule_shift <= 30;
}

/* Negotiation begins with a reset, which drops what a kernel before this one left. */
static int start(struct quiver *quiver)
{
	int error;

	if (!identify(quiver)) {
		dev_err(&quiver->pdev->dev, "not a quiver-dma that this driver knows\n");
		return -ENODEV;
	}
	error = negotiate(quiver);
	if (error)
		goto reset;
	error = map_status(quiver);
	if (error)
		goto reset;
	error = quiver_queues_setup(quiver);
	if (error)
		goto unmap;
	return 0;

unmap:
	unmap_status(quiver);
reset:
	writel(0, &quiver->regs->status);
	return error;
}

static void stop(struct quiver *quiver)
{
	quiver_queues_teardown(quiver);
	writel(0, &quiver->regs->status);
	unmap_status(quiver);
}

#define REGIONS (BIT(QUIVER_BAR_REGS) | BIT(QUIVER_BAR_STATUS))

static int open_function(struct quiver *quiver)
{
	struct pci_dev *pdev = quiver->pdev;
	int error;

	error = pci_enable_device_mem(pdev);
	if (error)
		return error;
	/* Not the aperture's, which the kernel takes in as memory. */
	error = pci_request_selected_regions(pdev, REGIONS, KBUILD_MODNAME);
	if (error)
		goto disable;
	quiver->regs = pci_iomap(pdev, QUIVER_BAR_REGS, 0);
	if (!quiver->regs) {
		error = -ENOMEM;
		goto release;
	}
	pci_set_master(pdev);
	return 0;

release:
	pci_release_selected_regions(pdev, REGIONS);
disable:
	pci_disable_device(pdev);
	return error;
}

static void close_function(struct quiver *quiver)
{
	pci_clear_master(quiver->pdev);
	pci_iounmap(quiver->pdev, quiver->regs);
	pci_release_selected_regions(quiver->pdev, REGIONS);
	pci_disable_device(quiver->pdev);
}

static int probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	struct quiver *quiver = kzalloc(sizeof(*quiver), GFP_KERNEL);
	int error;

	if (!quiver)
		return -ENOMEM;
	quiver->pdev = pdev;
	mutex_init(&quiver->lock);
	error = open_function(quiver);
	if (error)
		goto free;
	error = start(quiver);
	if (error)
		goto close;
	pci_set_drvdata(pdev, quiver);
	quiver_debugfs_add(quiver);
	dev_info(&pdev->dev, "%u devices, %u queues of %u, granule %lu KiB, policy %s\n",
		 quiver->device_count, quiver->queue_count, quiver->queues[0].entries,
		 (1ul << quiver->granule_shift) >> 10, policy);
	quiver_quirks_host(quiver->features);
	quiver_aperture_start(quiver);
	quiver_stats_start(quiver);
	error = quiver_bus_start(quiver);
	if (!error)
		return 0;

	quiver_stats_stop(quiver);
	quiver_aperture_stop(quiver);
	quiver_debugfs_remove(quiver);
	stop(quiver);
close:
	close_function(quiver);
free:
	kfree(quiver);
	return error;
}

static void remove(struct pci_dev *pdev)
{
	struct quiver *quiver = pci_get_drvdata(pdev);

	quiver_bus_stop(quiver);
	quiver_stats_stop(quiver);
	quiver_aperture_stop(quiver);
	quiver_debugfs_remove(quiver);
	stop(quiver);
	close_function(quiver);
	kfree(quiver);
}

/*
 * The kernel ends, perhaps for another one that it starts itself, without a reset of the machine.
 * A driver that runs ahead of quiver.ko there must not find its device attached.
 */
static void shutdown(struct pci_dev *pdev)
{
	struct quiver *quiver = pci_get_drvdata(pdev);

	WRITE_ONCE(quiver->failed, true);
	writel(0, &quiver->regs->status);
}

static const struct pci_device_id ids[] = {
	{ PCI_DEVICE(QUIVER_PCI_VENDOR, QUIVER_PCI_DEVICE) },
	{ }
};
MODULE_DEVICE_TABLE(pci, ids);

/*
 * No unbinding through sysfs, which does not ask whether a disk is mounted;
 * removing the module does, by its reference count.
 */
static struct pci_driver driver = {
	.name = KBUILD_MODNAME,
	.id_table = ids,
	.probe = probe,
	.remove = remove,
	.shutdown = shutdown,
	.dev_groups = quiver_aperture_groups,
	.driver.suppress_bind_attrs = true,
};

static int __init quiver_init(void)
{
	int error;

	if (!quiver_param_policy()) {
		pr_err("policy=%s: no such setting\n", policy);
		return -EINVAL;
	}
	quiver_quirks_init();
	quiver_debugfs_init();
	error = pci_register_driver(&driver);
	if (error) {
		quiver_debugfs_exit();
		quiver_quirks_exit();
	}
	return error;
}

static void __exit quiver_exit(void)
{
	pci_unregister_driver(&driver);
	quiver_debugfs_exit();
	quiver_quirks_exit();
}

module_init(quiver_init);
module_exit(quiver_exit);
MODULE_DESCRIPTION("DMA of passed-through PCI devices through the host's IOMMU");
MODULE_LICENSE("GPL");
