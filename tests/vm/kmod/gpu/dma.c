// SPDX-License-Identifier: GPL-2.0-only
/*
 * insmod quiver_gpu_dma.ko [base=0x80000000]
 *
 * Binds to the simulated GPU and runs the tests; the verdict is in dmesg and in the
 * parameter result: 0, or the negative errno of the first that failed.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/dma-mapping.h>
#include <linux/module.h>

#include "dma.h"

static unsigned long long base = SZ_2G;
module_param(base, ullong, 0444);
MODULE_PARM_DESC(base, "The lowest bus address of the simulated Mac: its --base");

static int result = -ENODEV;
module_param(result, int, 0444);

uint refused;
module_param(refused, uint, 0444);
MODULE_PARM_DESC(refused, "Maps that were beyond the DMA mask, and refused");

u64 dma_base(void)
{
	return base;
}

static const struct {
	const char *name;
	int (*run)(struct pci_dev *pdev);
} tests[] = {
	{ "masks", test_masks },
	{ "resources", test_resources },
	{ "page", test_page },
	{ "segment", test_segment },
	{ "msix", test_msix },
	{ "msi", test_msi },
};

static int probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	unsigned int i;
	int error;

	error = dma_set_mask_and_coherent(&pdev->dev, DMA_BIT_MASK(52));
	if (error)
		return error;
	/* Real drivers do without, but debugging of the DMA API wants it. */
	dma_set_max_seg_size(&pdev->dev, UINT_MAX);
	result = 0;
	for (i = 0; i < ARRAY_SIZE(tests); i++) {
		error = tests[i].run(pdev);
		pci_info(pdev, "test %s: %d\n", tests[i].name, error);
		if (!result)
			result = error;
	}
	return 0;
}

static void remove(struct pci_dev *pdev)
{
}

static const struct pci_device_id ids[] = {
	{ PCI_DEVICE(PCI_VENDOR_ID_NVIDIA, PCI_ANY_ID),
	  .class = PCI_BASE_CLASS_DISPLAY << 16, .class_mask = 0xff0000 },
	{ }
};

static struct pci_driver dma_driver = {
	.name = KBUILD_MODNAME,
	.id_table = ids,
	.probe = probe,
	.remove = remove,
};

module_pci_driver(dma_driver);
MODULE_DESCRIPTION("What drivers of GPUs take for granted of the DMA API");
MODULE_LICENSE("GPL");
