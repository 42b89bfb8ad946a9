// SPDX-License-Identifier: GPL-2.0-only
/*
 * Drivers that have their memory by TTM take it from their device's node [G8]. With
 * the aperture's node there, they have it of the aperture as long as that has some. So
 * are small things of the driver's that follow the device, and go with it.
 */
#include <linux/pci.h>

#include "../aperture.h"
#include "quirk.h"

/* Those of which it is known [G8]. */
static const char *const drivers[] = { "amdgpu", "nouveau", "radeon" };

static bool is_wanted(struct quiver_quirk *quirk, const char *driver)
{
	return quirk->wants == QUIVER_QUIRK_ON ||
	       match_string(drivers, ARRAY_SIZE(drivers), driver) >= 0;
}

static void start(struct quiver_quirk *quirk)
{
	quiver_quirk_set(quirk, QUIVER_QUIRK_IDLE, "no driver that uses it has an aperture");
}

static void bind(struct quiver_quirk *quirk, struct pci_dev *pdev, int node)
{
	atomic64_inc(&quirk->hits);
	if (node == NUMA_NO_NODE || !is_wanted(quirk, pdev->dev.driver->name))
		return;
	set_dev_node(&pdev->dev, node);
	atomic64_inc(&quirk->cures_done);
	quiver_quirk_set(quirk, QUIVER_QUIRK_ACTIVE, "%s is on node %d for %s", pci_name(pdev),
			 node, pdev->dev.driver->name);
}

/* As the PCI core does it. */
static void unbind(struct quiver_quirk *quirk, struct pci_dev *pdev)
{
	set_dev_node(&pdev->dev, pcibus_to_node(pdev->bus));
}

struct quiver_quirk quiver_device_node = {
	.name = "device_node",
	.without = "its memory is not the aperture's",
	.wants = QUIVER_QUIRK_AUTO,
	.start = start,
	.bind = bind,
	.unbind = unbind,
};

module_param_cb(device_node, &quiver_quirk_switch_ops, &quiver_device_node.wants, 0444);
MODULE_PARM_DESC(device_node, "off, auto (default: for drivers that use TTM) or on: a device is on the aperture's node");
