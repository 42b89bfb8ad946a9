// SPDX-License-Identifier: GPL-2.0-only
/*
 * Behind a Thunderbolt 5 link, the firmware of NVIDIA's GPUs asks for a retrain
 * of the PCIe link that never ends. Two registry keys of the driver keep it from
 * asking [H13]. They are set for the GPUs that are meant, not for all.
 */
#include <linux/pci.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "quirk.h"

#define PARAM		"NVreg_RegistryDwordsPerDevice"
#define KEYS		"RMPcieLinkSpeed=0x800002AA;PCIEPowerControl=0x3"
/* What the kernel takes as the value of a parameter */
#define VALUE_MAX	1024

struct collection {
	unsigned int count;
	size_t length;
};

static char given[VALUE_MAX];

static bool is_meant(const struct quiver_quirk *quirk, struct pci_dev *pdev, bool link_tb5)
{
	return pdev->vendor == PCI_VENDOR_ID_NVIDIA &&
	       pdev->class >> 16 == PCI_BASE_CLASS_DISPLAY &&
	       (link_tb5 || quirk->wants == QUIVER_QUIRK_ON);
}

static bool collect(struct pci_dev *pdev, bool link_tb5, void *context)
{
	struct collection *found = context;

	if (!is_meant(&quiver_nvidia_tb5, pdev, link_tb5))
		return false;
	found->count++;
	found->length += scnprintf(given + found->length, VALUE_MAX - found->length,
				   "%spci=%s;" KEYS, found->length ? ";" : "", pci_name(pdev));
	return false;
}

static void coming(struct quiver_quirk *quirk, struct module *module)
{
	struct collection found = { 0 };
	int error;

	given[0] = '\0';
	quiver_devices_visit(collect, &found);
	if (!found.count) {
		quiver_quirk_set(quirk, QUIVER_QUIRK_IDLE, "no NVIDIA GPU behind Thunderbolt 5");
		return;
	}
	atomic64_inc(&quirk->hits);
	error = found.length + 1 < VALUE_MAX ?
		quiver_module_param_set(module, PARAM, given) : -ENOSPC;
	if (error)
		quiver_quirk_set(quirk, QUIVER_QUIRK_REFUSED, "nvidia does not take " PARAM " (%d)",
				 error);
	else
		quiver_quirk_set(quirk, QUIVER_QUIRK_ACTIVE, "registry keys set for %u GPUs",
				 found.count);
}

/* The user's own value, if there is one, has replaced ours. */
static void live(struct quiver_quirk *quirk, struct module *module)
{
	char *value;

	if (quirk->state != QUIVER_QUIRK_ACTIVE)
		return;
	value = kzalloc(PAGE_SIZE, GFP_KERNEL);
	if (value && !quiver_module_param_get(module, PARAM, value) && sysfs_streq(value, given))
		atomic64_inc(&quirk->cures_done);
	else
		quiver_quirk_set(quirk, QUIVER_QUIRK_REFUSED,
				 PARAM " was given by hand: add " KEYS);
	kfree(value);
}

/* The driver may be reading the parameter just now: it is not changed any more. */
static void attached(struct quiver_quirk *quirk, struct pci_dev *pdev, bool link_tb5)
{
	if (is_meant(quirk, pdev, link_tb5) && !strstr(given, pci_name(pdev)))
		quiver_quirk_set(quirk, QUIVER_QUIRK_REFUSED,
				 "%s came after nvidia: load nvidia again", pci_name(pdev));
}

struct quiver_quirk quiver_nvidia_tb5 = {
	.name = "nvidia_tb5",
	.without = "GPUs behind Thunderbolt 5 wait for their link",
	.wants = QUIVER_QUIRK_AUTO,
	.module = "nvidia",
	.coming = coming,
	.live = live,
	.attached = attached,
};

module_param_cb(nvidia_tb5, &quiver_quirk_switch_ops, &quiver_nvidia_tb5.wants, 0444);
MODULE_PARM_DESC(nvidia_tb5, "off, auto (default) or on: NVIDIA behind Thunderbolt 5: no link retrain");
