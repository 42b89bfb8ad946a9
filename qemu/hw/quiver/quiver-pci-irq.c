/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * quiver-pci: MSI and MSI-X. The guest's side is QEMU's own emulation; the
 * host's vectors are turned on and off with it.
 *
 * libquiver's thread takes the BQL and raises the interrupt itself. We call
 * quiver_irq_configure() under the BQL, always with the same handler and
 * context: then it does not wait for a call of the handler that may itself be
 * waiting for the BQL. Such a call finds another epoch and goes away. Only
 * closing waits, on its own thread.
 */
#include "qemu/osdep.h"
#include "qemu/error-report.h"
#include "qemu/main-loop.h"
#include "qemu/rcu.h"
#include "hw/pci/msi.h"
#include "hw/pci/msix.h"
#include "quiver-pci.h"
#include "trace.h"

/* The guest may have fewer vectors enabled than it had. */
static bool deliver_vector(QuiverPci *s, unsigned int vector)
{
    PCIDevice *pdev = PCI_DEVICE(s);

    if (msix_enabled(pdev)) {
        if (vector >= pdev->msix_entries_nr) {
            return false;
        }
        msix_notify(pdev, vector);
        return true;
    }
    if (!msi_enabled(pdev) || vector >= msi_nr_vectors_allocated(pdev)) {
        return false;
    }
    msi_notify(pdev, vector);
    return true;
}

static void deliver_locked(QuiverPciIrq *irq, unsigned int epoch,
                           unsigned int vector)
{
    QuiverPci *s = irq->device;

    if (!s || irq->epoch != epoch) {
        return;
    }
    trace_quiver_pci_irq(s->id, vector);
    if (deliver_vector(s, vector)) {
        quiver_count(&s->dma->records[s->record].counters->interrupts, 1);
    }
}

/*
 * Not a thread of QEMU's, so RCU learns of it for this call alone: at the
 * thread's end its thread-local storage may be gone before any destructor runs.
 */
static void deliver(void *opaque, unsigned int vector)
{
    QuiverPciIrq *irq = opaque;
    unsigned int epoch = qatomic_read(&irq->epoch);

    rcu_register_thread();
    bql_lock();
    deliver_locked(irq, epoch, vector);
    bql_unlock();
    rcu_unregister_thread();
}

void quiver_pci_irq_init(QuiverPci *s)
{
    s->irq = g_new0(QuiverPciIrq, 1);
    s->irq->device = s;
    s->irq_type = QUIVER_DEXT_IRQ_NONE;
}

void quiver_pci_irq_detach(QuiverPci *s)
{
    s->irq->device = NULL;
}

static uint32_t wanted(PCIDevice *pdev, unsigned int *count)
{
    if (msix_enabled(pdev)) {
        *count = pdev->msix_entries_nr;
        return QUIVER_DEXT_IRQ_MSIX;
    }
    if (msi_enabled(pdev)) {
        *count = msi_nr_vectors_allocated(pdev);
        return QUIVER_DEXT_IRQ_MSI;
    }
    *count = 0;
    return QUIVER_DEXT_IRQ_NONE;
}

static void configure(QuiverPci *s, uint32_t type, unsigned int count)
{
    unsigned int granted = 0;
    int error;

    qatomic_set(&s->irq->epoch, s->irq->epoch + 1);
    error = quiver_irq_configure(s->host, type, count, deliver, s->irq, &granted);
    trace_quiver_pci_irq_configure(s->id, type, count, granted, error);
    /* Once a device: a guest turns them on as often as it likes. */
    if (error && !s->warned_irq) {
        s->warned_irq = true;
        warn_report("quiver-pci %s: the host gives no interrupts: %s", s->id,
                    strerror(-error));
    } else if (granted < count) {
        warn_report_once("quiver-pci %s: the host gives %u of %u interrupt vectors",
                         s->id, granted, count);
    }
}

void quiver_pci_irq_update(QuiverPci *s)
{
    unsigned int count;
    uint32_t type = wanted(PCI_DEVICE(s), &count);

    if (type == s->irq_type && count == s->irq_count) {
        return;
    }
    s->irq_type = type;
    s->irq_count = count;
    configure(s, type, count);
}

void quiver_pci_irq_forget(QuiverPci *s)
{
    qatomic_set(&s->irq->epoch, s->irq->epoch + 1);
    s->irq_type = QUIVER_DEXT_IRQ_NONE;
    s->irq_count = 0;
}
