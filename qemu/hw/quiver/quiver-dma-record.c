/* SPDX-License-Identifier: GPL-2.0-or-later */
/* quiver-dma: device records. Locking: quiver-dma.h. */
#include "qemu/osdep.h"
#include "qemu/error-report.h"
#include "qemu/main-loop.h"
#include "qapi/error.h"
#include "hw/resettable.h"
#include "quiver-dma.h"
#include "quiver-pci.h"
#include "trace.h"

static bool present(const QuiverRecord *record)
{
    return record->pci && !qatomic_read(&record->gone);
}

static uint32_t address_of(const QuiverRecord *record)
{
    PCIDevice *pdev = PCI_DEVICE(record->pci);

    return PCI_BUILD_BDF(pci_dev_bus_num(pdev), pdev->devfn);
}

static void clear_counters(QuiverRecord *record)
{
    struct quiver_device_counters *counters = record->counters;

    qatomic_set(&counters->maps, 0);
    qatomic_set(&counters->unmaps, 0);
    qatomic_set(&counters->failed, 0);
    qatomic_set(&counters->interrupts, 0);
}

static int attach_locked(QuiverDma *s, QuiverRecord *record)
{
    int error;

    /* Mapped RAM must stay where it is: no balloon, no virtio-mem. */
    error = ram_block_discard_disable(true);
    if (error) {
        warn_report_once("quiver-dma: guest memory may be discarded (virtio-mem?),"
                         " devices cannot be attached");
        return error;
    }
    /* A driver that ran ahead may have told it to use addresses of its own. */
    error = quiver_pci_host_reset(record->pci, 0);
    if (!error) {
        clear_counters(record);
        quiver_dma_budget_attach(s, record);
        record->attached = true;
        error = quiver_pci_attached(record->pci);
    }
    if (error) {
        record->attached = false;
        quiver_dma_budget_detach(s, record);
        qatomic_set(&record->gone, error == -ENODEV);
        ram_block_discard_disable(false);
    }
    return error;
}

/*
 * Stops the device and drops its mappings, whether it is attached or not. A
 * device that does not survive is gone; what it had is not coming back either.
 */
static void drop_locked(QuiverDma *s, QuiverRecord *record)
{
    unsigned int index = record - s->records;
    bool was_attached = record->attached;
    int error;

    record->attached = false;
    error = quiver_pci_host_reset(record->pci, 0);
    trace_quiver_dma_drop(index, record->counters->mappings,
                          record->counters->bytes, error);
    if (error && !record->gone) {
        warn_report("quiver-pci %s: reset failed: %s; the device is lost until"
                    " it is reconnected", record->pci->id, strerror(-error));
        qatomic_set(&record->gone, true);
    }
    quiver_dma_budget_detach(s, record);
    record->generation++;
    if (was_attached) {
        ram_block_discard_disable(false);
    }
}

static void control_write(QuiverDma *s, unsigned int index, uint32_t value)
{
    QuiverRecord *record = &s->records[index];
    int error;

    QEMU_LOCK_GUARD(&record->lock);
    if (value > QUIVER_CONTROL_ATTACHED) {
        quiver_dma_guest_error(s, "record %u: control is 0 or 1", index);
    } else if (value == QUIVER_CONTROL_DETACHED && record->attached) {
        drop_locked(s, record);
    } else if (!present(record)) {
        quiver_dma_guest_error(s, "record %u: no device to control", index);
    } else if (value == QUIVER_CONTROL_ATTACHED && !record->attached) {
        error = attach_locked(s, record);
        trace_quiver_dma_attach(index, error);
    }
}

static uint32_t flags_of(const QuiverRecord *record)
{
    if (!present(record)) {
        return 0;
    }
    return QUIVER_DEVICE_PRESENT |
           (record->pci->thunderbolt == 5 ? QUIVER_DEVICE_LINK_TB5 : 0);
}

uint32_t quiver_dma_record_read(QuiverDma *s, unsigned int index, hwaddr reg)
{
    QuiverRecord *record = &s->records[index];
    uint32_t value;

    /* All of these but gone change under the BQL, which we have. */
    if (quiver_dma_aperture_read(s, record, reg, &value)) {
        return value;
    }
    switch (reg) {
    case offsetof(struct quiver_device_regs, flags):
        return flags_of(record);
    case offsetof(struct quiver_device_regs, address):
        return present(record) ? address_of(record) : 0;
    case offsetof(struct quiver_device_regs, control):
        return record->attached && present(record) ? QUIVER_CONTROL_ATTACHED
                                                   : QUIVER_CONTROL_DETACHED;
    case offsetof(struct quiver_device_regs, generation):
        return record->generation;
    default:
        quiver_dma_guest_error(s, "record %u: read at 0x%" HWADDR_PRIx, index,
                               reg);
        return 0;
    }
}

void quiver_dma_record_write(QuiverDma *s, unsigned int index, hwaddr reg,
                             uint32_t value)
{
    if (reg == offsetof(struct quiver_device_regs, control)) {
        control_write(s, index, value);
    } else {
        quiver_dma_guest_error(s, "record %u: write at 0x%" HWADDR_PRIx, index,
                               reg);
    }
}

/* The planner keeps what the aperture leaves. */
static int take_limits(QuiverDma *s, QuiverRecord *record, Error **errp)
{
    const struct quiver_aperture_place *aperture = &record->aperture;
    QuiverPci *pci = record->pci;
    struct quiver_dext_stats stats;
    int error;

    error = quiver_device_stats(pci->host, &stats);
    if (error) {
        error_setg_errno(errp, -error, "cannot read the limits of the device");
        return -1;
    }
    if (stats.granule != 1ull << s->granule_shift) {
        error_setg(errp, "the host maps pages of %" PRIu64 " bytes, and not of %u",
                   (uint64_t)stats.granule, 1u << s->granule_shift);
        return -1;
    }
    quiver_dma_aperture_map(s, record);
    return quiver_dma_budget_limit(s, stats.bytes_limit - aperture->mapped,
                                   stats.mappings_limit - aperture->count,
                                   errp) ? 0 : -1;
}

/*
 * Records go round: one that was just given up is the last to be given away.
 * The guest's driver of what had it may still be at work, and what that unmaps
 * is not the next one's.
 */
static int free_record(const QuiverDma *s)
{
    unsigned int i, index;

    for (i = 0; i < QUIVER_MAX_DEVICES; i++) {
        index = (s->next_record + i) % QUIVER_MAX_DEVICES;
        if (!s->records[index].pci) {
            return index;
        }
    }
    return -1;
}

int quiver_dma_add(QuiverDma *s, QuiverPci *pci, Error **errp)
{
    int i = free_record(s);
    QuiverRecord *record;

    if (i < 0) {
        error_setg(errp, "quiver-dma serves %d devices at most",
                   QUIVER_MAX_DEVICES);
        return -1;
    }
    record = &s->records[i];
    QEMU_LOCK_GUARD(&record->lock);
    record->pci = pci;
    if (take_limits(s, record, errp) < 0) {
        record->pci = NULL;
        return -1;
    }
    s->next_record = i + 1;
    clear_counters(record);
    record->gone = false;
    record->generation++;
    return i;
}

void quiver_dma_remove(QuiverDma *s, unsigned int index)
{
    QuiverRecord *record = &s->records[index];

    QEMU_LOCK_GUARD(&record->lock);
    drop_locked(s, record);
    /* Who has not heard of it yet has made no mistake. */
    record->gone = record->pci->lost;
    record->pci = NULL;
}

void quiver_dma_device_reset(QuiverDma *s, unsigned int index, bool goes_on)
{
    QuiverRecord *record = &s->records[index];

    QEMU_LOCK_GUARD(&record->lock);
    if (!goes_on || !record->attached ||
        quiver_pci_host_reset(record->pci, QUIVER_DEXT_RESET_KEEP)) {
        drop_locked(s, record);
    }
}

void quiver_dma_device_lost(QuiverDma *s, unsigned int index)
{
    QuiverRecord *record = &s->records[index];

    /* Before its turn comes: a batch that has the lock may be long. */
    qatomic_set(&record->gone, true);
    QEMU_LOCK_GUARD(&record->lock);
    drop_locked(s, record);
}

bool quiver_dma_device_attached(QuiverDma *s, unsigned int index)
{
    return s->records[index].attached;
}

void quiver_dma_records_init(QuiverDma *s)
{
    unsigned int i;

    for (i = 0; i < QUIVER_MAX_DEVICES; i++) {
        qemu_mutex_init(&s->records[i].lock);
        s->records[i].counters = &s->page->device[i];
    }
}

void quiver_dma_records_reset(QuiverDma *s)
{
    unsigned int i;

    for (i = 0; i < QUIVER_MAX_DEVICES; i++) {
        QuiverRecord *record = &s->records[i];

        QEMU_LOCK_GUARD(&record->lock);
        if (record->attached && !resettable_is_in_reset(OBJECT(record->pci))) {
            drop_locked(s, record);
        }
    }
}
