/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * quiver-pci: a device that goes without a word. It was unplugged, the Mac slept,
 * the extension ended, or it did not survive a reset; libquiver's thread says so.
 *
 * What the guest can reach of it ends at once, under the BQL: memory, config
 * space, interrupts, then the record of quiver-dma. The main loop then takes it
 * out of its slot as a card that is pulled: presence and link are gone, and the
 * guest's driver is removed. In no slot, it stays where it is, dead.
 *
 * Of sleep we hear while the device still has power, and it keeps that until
 * our handler returns. By then no vCPU can be at a BAR.
 */
#include "qemu/osdep.h"
#include "qemu/error-report.h"
#include "qemu/lockable.h"
#include "qemu/main-loop.h"
#include "qemu/rcu.h"
#include "qapi/error.h"
#include "hw/core/cpu.h"
#include "hw/pci/pci_bridge.h"
#include "hw/pci/pci_bus.h"
#include "hw/pci/pcie.h"
#include "hw/pci/pcie_port.h"
#include "quiver-pci.h"
#include "trace.h"

#define KICK_MS 10

static const char *reason(enum quiver_dext_cause cause)
{
    switch (cause) {
    case QUIVER_DEXT_CAUSE_NONE:
        return "the extension has ended";
    case QUIVER_DEXT_CAUSE_SLEEP:
        return "the Mac sleeps";
    case QUIVER_DEXT_CAUSE_UNPLUGGED:
        return "it was unplugged";
    case QUIVER_DEXT_CAUSE_SILENT:
        return "it does not answer; reconnect its enclosure";
    case QUIVER_DEXT_CAUSE_MASTERING:
        return "its DMA cannot be stopped; reconnect its enclosure";
    case QUIVER_DEXT_CAUSE_RESET:
        return "macOS refuses to reset it; reconnect its enclosure";
    default:
        return "for a reason that this version does not know";
    }
}

static bool is_alone(const QuiverPci *s, PCIBus *bus)
{
    unsigned int i;

    for (i = 0; i < ARRAY_SIZE(bus->devices); i++) {
        if (bus->devices[i] && bus->devices[i] != PCI_DEVICE(s)) {
            return false;
        }
    }
    return true;
}

/* The port that it can be taken out of: all functions of a card go at once. */
static PCIDevice *slot_of(QuiverPci *s)
{
    PCIBus *bus = pci_get_bus(PCI_DEVICE(s));
    PCIDevice *port = pci_bridge_get_device(bus);

    if (!object_dynamic_cast(OBJECT(port), TYPE_PCIE_SLOT) || !is_alone(s, bus)) {
        return NULL;
    }
    return pci_get_long(port->config + port->exp.exp_cap + PCI_EXP_SLTCAP) &
           PCI_EXP_SLTCAP_HPC ? port : NULL;
}

static void take_out(void *opaque)
{
    QuiverPci *s = opaque;
    DeviceState *dev = DEVICE(s);
    PCIDevice *port = qdev_is_realized(dev) ? slot_of(s) : NULL;

    trace_quiver_pci_take_out(s->id, port);
    if (port) {
        /* Who had asked for it to be taken out does not want it back. */
        if (!dev->pending_deleted_event) {
            quiver_pci_return_expect(s, port);
        }
        pcie_cap_slot_lose_device(port);
    }
    object_unref(OBJECT(s));
}

static void pass(CPUState *cpu, run_on_cpu_data data)
{
}

static void kick_vcpus(void)
{
    CPUState *cpu;

    BQL_LOCK_GUARD();
    CPU_FOREACH(cpu) {
        run_on_cpu(cpu, pass, RUN_ON_CPU_NULL);
    }
}

struct readers {
    struct rcu_head rcu;
    QemuSemaphore passed;
};

static void readers_passed(struct rcu_head *rcu)
{
    qemu_sem_post(&container_of(rcu, struct readers, rcu)->passed);
}

/*
 * Who was in the middle of an access, or has addresses of the BARs at hand as
 * TCG's vCPUs do, is through with it; so are threads that are no vCPUs: DMA of
 * other devices into a BAR. A vCPU whose guest is busy ends no RCU section by
 * itself, and who waits for one already does not ask it to: so we do, often.
 */
static void wait_for_readers(void)
{
    struct readers readers;

    qemu_sem_init(&readers.passed, 0);
    call_rcu1(&readers.rcu, readers_passed);
    do {
        kick_vcpus();
    } while (qemu_sem_timedwait(&readers.passed, KICK_MS));
    qemu_sem_destroy(&readers.passed);
}

static void cut_locked(QuiverPci *s, enum quiver_dext_cause cause)
{
    trace_quiver_pci_lost(s->id, cause);
    warn_report("quiver-pci %s is lost: %s", s->id, reason(cause));
    qatomic_set(&s->lost, true);
    quiver_pci_irq_detach(s);
    quiver_pci_bars_cut(s);
}

/*
 * It still does DMA, into memory that the guest takes back once it knows that
 * the device is gone. An attach that is under way would let it go on.
 */
static void stop(QuiverPci *s, unsigned int record)
{
    QEMU_LOCK_GUARD(&s->dma->records[record].lock);
    quiver_device_reset(s->host, 0, NULL);
}

/* The device with a reference, and its record; or NULL if it has been taken away. */
static QuiverPci *cut(QuiverPciIrq *irq, enum quiver_dext_cause cause,
                      unsigned int *record)
{
    QuiverPci *s;

    BQL_LOCK_GUARD();
    s = irq->device;
    if (s) {
        object_ref(OBJECT(s));
        *record = s->record;
        cut_locked(s, cause);
    }
    return s;
}

static void tell_dma(QuiverPci *s)
{
    BQL_LOCK_GUARD();
    if (s->record >= 0) {
        quiver_dma_device_lost(s->dma, s->record);
    }
}

/*
 * Not a thread of QEMU's: as in quiver-pci-irq.c. A device that has just been
 * taken away is out of the map of addresses, and not yet out of every hand.
 */
static void lost(void *opaque, enum quiver_dext_cause cause)
{
    unsigned int record;
    QuiverPci *s;

    rcu_register_thread();
    s = cut(opaque, cause, &record);
    wait_for_readers();
    if (s) {
        if (cause == QUIVER_DEXT_CAUSE_SLEEP) {
            stop(s, record);
        }
        tell_dma(s);
        quiver_pci_return_note_others(s);
        aio_bh_schedule_oneshot(qemu_get_aio_context(), take_out, s);
    }
    rcu_unregister_thread();
}

bool quiver_pci_lost_init(QuiverPci *s, Error **errp)
{
    int error = quiver_device_watch(s->host, lost, s->irq);

    if (error) {
        error_setg_errno(errp, -error, "cannot watch %s", s->id);
    }
    return !error;
}
