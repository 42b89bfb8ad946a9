// SPDX-License-Identifier: GPL-2.0-only
/*
 * Follows the PCI bus: a function that the host passes through is attached as
 * soon as it is seen, always before its driver's probe. Until then the host
 * keeps its bus mastering off.
 *
 * The driver core calls the notifier for BIND, NOT_BOUND and UNBOUND with the
 * device locked, for ADD before and for REMOVED after any driver.
 */
#include <linux/module.h>

#include "quirks/quirk.h"
#include "quiver.h"

/*
 * Whoever had the record before has lost its device: the host gives none twice. It may not be
 * gone from the bus yet, or have gone while it was being attached, of which nobody told us.
 * While its driver works, what that unmaps must not be mistaken for the other's.
 */
static bool take_record(struct quiver *quiver, unsigned int index, struct pci_dev *pdev)
{
	struct quiver_device *holder = quiver->devices[index];
	struct pci_dev *before;

	if (!holder)
		return true;
	before = pci_dev_get(holder->pdev);
	if (device_trylock(&before->dev)) {
		if (!holder->bound)
			quiver_device_detach(holder);
		device_unlock(&before->dev);
	}
	if (quiver->devices[index])
		pci_err(pdev, "quiver: not served: the driver of %s, which had its record, is still at work\n",
			pci_name(before));
	pci_dev_put(before);
	return !quiver->devices[index];
}

static struct quiver_device *find_or_attach(struct quiver *quiver, struct pci_dev *pdev)
{
	struct quiver_device *qdev = quiver_device_find(quiver, pdev);
	int index;

	if (qdev)
		return qdev;
	index = quiver_device_record(quiver, pdev);
	if (index < 0 || !take_record(quiver, index, pdev) ||
	    quiver_device_attach(quiver, pdev, index))
		return NULL;
	return quiver->devices[index];
}

/* Only now, by the set-up for its driver, does the kernel know these of a device. */
static bool bindable(struct quiver_device *qdev)
{
	if (!quiver_device_suitable(qdev->pdev))
		return false;
	if (!dev_is_dma_coherent(&qdev->pdev->dev)) {
		pci_err(qdev->pdev, "quiver: not served: the firmware says that its DMA is not coherent\n");
		return false;
	}
	return true;
}

static bool fresh(struct quiver_device *qdev)
{
	return quiver_device_current(qdev) && !quiver_space_stats(&qdev->space).windows;
}

/*
 * The reference keeps the module in place while a driver depends on it. A
 * device that cannot be served is detached: its driver will fail, by itself,
 * rather than make the device use addresses that are not mapped.
 */
static void on_bind(struct quiver *quiver, struct pci_dev *pdev)
{
	struct quiver_device *qdev = find_or_attach(quiver, pdev);

	if (!qdev)
		return;
	if (!bindable(qdev) || !try_module_get(THIS_MODULE)) {
		quiver_device_detach(qdev);
		return;
	}
	if (!fresh(qdev) && quiver_device_renew(qdev)) {
		module_put(THIS_MODULE);
		return;
	}
	quiver_device_claim_ops(qdev);
	quiver_quirks_bind(pdev, qdev->view.pieces ? quiver->aperture.node : NUMA_NO_NODE);
	qdev->bound = true;
}

static void unbind(struct quiver_device *qdev)
{
	if (qdev->bound) {
		quiver_quirks_unbind(qdev->pdev);
		module_put(THIS_MODULE);
	}
	qdev->bound = false;
}

/* A probe failed; what the driver holds by devres is unmapped only after this. */
static void on_not_bound(struct quiver *quiver, struct pci_dev *pdev)
{
	struct quiver_device *qdev = quiver_device_find(quiver, pdev);

	if (!qdev)
		return;
	quiver_device_flush(qdev);
	unbind(qdev);
}

/*
 * All that a driver does is over: nothing of it stays in the device or mapped. One that was
 * pulled is detached.
 */
static void on_unbound(struct quiver *quiver, struct pci_dev *pdev)
{
	struct quiver_device *qdev = quiver_device_find(quiver, pdev);

	if (!qdev) {
		find_or_attach(quiver, pdev);
		return;
	}
	unbind(qdev);
	quiver_device_renew(qdev);
}

static void on_removed(struct quiver *quiver, struct pci_dev *pdev)
{
	struct quiver_device *qdev = quiver_device_find(quiver, pdev);

	if (!qdev)
		return;
	unbind(qdev);
	quiver_device_detach(qdev);
}

static int bus_notify(struct notifier_block *block, unsigned long action, void *data)
{
	struct quiver *quiver = container_of(block, struct quiver, bus_notifier);
	struct pci_dev *pdev = to_pci_dev(data);

	mutex_lock(&quiver->lock);
	switch (action) {
	case BUS_NOTIFY_ADD_DEVICE:
		find_or_attach(quiver, pdev);
		break;
	case BUS_NOTIFY_BIND_DRIVER:
		on_bind(quiver, pdev);
		break;
	case BUS_NOTIFY_DRIVER_NOT_BOUND:
		on_not_bound(quiver, pdev);
		break;
	case BUS_NOTIFY_UNBOUND_DRIVER:
		on_unbound(quiver, pdev);
		break;
	case BUS_NOTIFY_REMOVED_DEVICE:
		on_removed(quiver, pdev);
		break;
	}
	mutex_unlock(&quiver->lock);
	return NOTIFY_OK;
}

/*
 * A driver that was there first has mapped memory in its own way, and its
 * device has never mastered the bus: nothing can be handed over.
 */
static void adopt(struct quiver *quiver, struct pci_dev *pdev)
{
	if (quiver_device_record(quiver, pdev) < 0)
		return;
	if (!device_trylock(&pdev->dev)) {
		pci_warn(pdev, "quiver: its driver is just probing it, in vain; waiting for that\n");
		device_lock(&pdev->dev);
	}
	mutex_lock(&quiver->lock);
	if (!pdev->dev.driver)
		find_or_attach(quiver, pdev);
	else if (!quiver_device_find(quiver, pdev))
		pci_err(pdev, "quiver: %s was bound before quiver was loaded and cannot work; write %s to its unbind file and then to /sys/bus/pci/drivers_probe, and see modprobe.d/00-quiver.conf\n",
			pdev->dev.driver->name, pci_name(pdev));
	mutex_unlock(&quiver->lock);
	device_unlock(&pdev->dev);
}

/* For drivers that were loaded first and found nothing that works. */
static void probe_drivers(struct quiver *quiver, struct pci_dev *pdev)
{
	struct quiver_device *qdev;

	mutex_lock(&quiver->lock);
	qdev = quiver_device_find(quiver, pdev);
	mutex_unlock(&quiver->lock);
	if (qdev && device_attach(&pdev->dev) < 0)
		pci_warn(pdev, "quiver: no driver could be probed\n");
}

int quiver_bus_start(struct quiver *quiver)
{
	struct pci_dev *pdev = NULL;
	int error;

	quiver->bus_notifier.notifier_call = bus_notify;
	error = bus_register_notifier(&pci_bus_type, &quiver->bus_notifier);
	if (error)
		return error;
	for_each_pci_dev(pdev)
		adopt(quiver, pdev);
	for_each_pci_dev(pdev)
		probe_drivers(quiver, pdev);
	return 0;
}

/* False when a driver was faster than we and must be released once more. */
static bool let_go(struct quiver *quiver, struct pci_dev *pdev)
{
	struct quiver_device *qdev;
	bool done;

	device_release_driver(&pdev->dev);
	device_lock(&pdev->dev);
	mutex_lock(&quiver->lock);
	done = !pdev->dev.driver;
	qdev = quiver_device_find(quiver, pdev);
	if (done && qdev) {
		unbind(qdev);
		quiver_device_detach(qdev);
	}
	mutex_unlock(&quiver->lock);
	device_unlock(&pdev->dev);
	return done;
}

/* With the module's references only a quiver-dma that was pulled leaves drivers to release. */
void quiver_bus_stop(struct quiver *quiver)
{
	struct quiver_device *qdev;
	struct pci_dev *pdev;
	unsigned int i;

	bus_unregister_notifier(&pci_bus_type, &quiver->bus_notifier);
	for (i = 0; i < quiver->device_count; i++) {
		mutex_lock(&quiver->lock);
		qdev = quiver->devices[i];
		pdev = qdev ? pci_dev_get(qdev->pdev) : NULL;
		mutex_unlock(&quiver->lock);
		while (pdev && !let_go(quiver, pdev))
			cond_resched();
		pci_dev_put(pdev);
	}
}
