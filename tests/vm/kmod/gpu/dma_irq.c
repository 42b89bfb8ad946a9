// SPDX-License-Identifier: GPL-2.0-only
/* Interrupts of the GPU, by their number, and behind the data that they announce. */
#include <linux/completion.h>
#include <linux/interrupt.h>
#include <linux/pci.h>
#include <linux/slab.h>

#include "dma.h"

#define VECTORS		8
#define PATIENCE	(30 * HZ)

struct vector {
	struct gpu *gpu;
	struct completion arrived;
	unsigned int count;
	u64 fence;			/* as the handler saw it */
};

struct irq_test {
	struct gpu gpu;
	struct vector vector[VECTORS];
};

static irqreturn_t handler(int irq, void *data)
{
	struct vector *vector = data;

	vector->count++;
	vector->fence = le64_to_cpu(READ_ONCE(*vector->gpu->fence));
	complete(&vector->arrived);
	return IRQ_HANDLED;
}

static int raise(struct irq_test *test, unsigned int n)
{
	struct vector *vector = &test->vector[n];
	unsigned int i, before = 0, after = 0;
	int error;

	for (i = 0; i < VECTORS; i++)
		before += test->vector[i].count;
	reinit_completion(&vector->arrived);
	error = gpu_raise(&test->gpu, n);
	if (error)
		return error;
	if (!wait_for_completion_timeout(&vector->arrived, PATIENCE)) {
		pci_err(test->gpu.pdev, "vector %u did not arrive\n", n);
		return -ETIMEDOUT;
	}
	for (i = 0; i < VECTORS; i++)
		after += test->vector[i].count;
	if (after != before + 1 || vector->fence != test->gpu.fences) {
		pci_err(test->gpu.pdev, "vector %u: %u interrupts instead of one, fence %llu of %llu\n",
			n, after - before, vector->fence, test->gpu.fences);
		return -EPROTO;
	}
	return 0;
}

static int raise_all(struct irq_test *test, unsigned int count)
{
	struct pci_dev *pdev = test->gpu.pdev;
	unsigned int requested, n, round;
	int error = 0;

	for (requested = 0; requested < count && !error; requested += !error) {
		test->vector[requested].gpu = &test->gpu;
		init_completion(&test->vector[requested].arrived);
		error = request_irq(pci_irq_vector(pdev, requested), handler, 0, KBUILD_MODNAME,
				    &test->vector[requested]);
	}
	for (round = 0; round < 3; round++)
		for (n = 0; n < count && !error; n++)
			error = raise(test, n);
	while (requested--)
		free_irq(pci_irq_vector(pdev, requested), &test->vector[requested]);
	return error;
}

static int test_irqs(struct pci_dev *pdev, unsigned int kind)
{
	struct irq_test *test;
	int error, count;

	count = pci_alloc_irq_vectors(pdev, 1, VECTORS, kind);
	if (count < 0)
		return count;
	test = kzalloc(sizeof(*test), GFP_KERNEL);
	error = test ? gpu_open(&test->gpu, pdev) : -ENOMEM;
	if (!error) {
		error = raise_all(test, count);
		gpu_close(&test->gpu);
	}
	kfree(test);
	pci_info(pdev, "%d vectors of %s\n", count, kind == PCI_IRQ_MSIX ? "MSI-X" : "MSI");
	pci_free_irq_vectors(pdev);
	return error;
}

int test_msix(struct pci_dev *pdev)
{
	return test_irqs(pdev, PCI_IRQ_MSIX);
}

int test_msi(struct pci_dev *pdev)
{
	return test_irqs(pdev, PCI_IRQ_MSI);
}
