/* SPDX-License-Identifier: GPL-2.0-or-later */
/* quiver-dma: from checked entries to host mappings. Locking: quiver-dma.h. */
#include "qemu/osdep.h"
#include "qemu/error-report.h"
#include "qemu/rcu.h"
#include "qapi/error.h"
#include "quiver-dma.h"
#include "quiver-pci.h"

/* The part of a run that goes down in one call. */
struct batch {
    struct quiver_dma dma[QUIVER_DMA_RUN_MAX];
    const QuiverRun *run[QUIVER_DMA_RUN_MAX];
    unsigned int count;
    bool releases;              /* some are unmaps */
};

/*
 * Host address of [gpa, gpa + length): RAM that the guest may write, all in one
 * block, and aligned for DART on this side as well. NULL otherwise. Valid
 * inside the caller's RCU section.
 */
static void *guest_ram(QuiverDma *s, struct quiver_range gpa)
{
    hwaddr offset, length = gpa.length;
    MemoryRegion *mr;
    void *address;

    mr = address_space_translate(&address_space_memory, gpa.start, &offset,
                                 &length, true, MEMTXATTRS_UNSPECIFIED);
    if (length < gpa.length || !memory_region_is_ram(mr) ||
        memory_region_is_ram_device(mr) || memory_region_is_romd(mr) ||
        mr->readonly) {
        return NULL;
    }
    if (offset > memory_region_size(mr) ||
        gpa.length > memory_region_size(mr) - offset) {
        return NULL;
    }
    address = (uint8_t *)memory_region_get_ram_ptr(mr) + offset;
    if (!QEMU_PTR_IS_ALIGNED(address, 1ull << s->granule_shift)) {
        warn_report_once("quiver-dma: guest memory '%s' is not aligned to the"
                         " %u bytes of the host's IOMMU; give its backend align=2M",
                         memory_region_name(mr), 1u << s->granule_shift);
        return NULL;
    }
    return address;
}

static bool refused(uint32_t status)
{
    return status == QUIVER_S_BYTES || status == QUIVER_S_MAPPINGS;
}

static void entry_set(QuiverRecord *record, const QuiverRun *run,
                      uint32_t status)
{
    *run->status = status;
    if (status != QUIVER_S_OK && !refused(status)) {
        quiver_count(&record->counters->failed, 1);
    }
}

static void map_finish(QuiverDma *s, QuiverRecord *record,
                       const QuiverRun *run,
                       const struct quiver_dma *dma)
{
    if (dma->result) {
        quiver_dma_budget_release(s, record, dma->length);
    } else {
        *run->iova = dma->iova;
        quiver_count(&record->counters->maps, 1);
    }
}

static void batch_finish(QuiverDma *s, QuiverRecord *record, struct batch *batch,
                         int error)
{
    unsigned int i;

    for (i = 0; i < batch->count; i++) {
        const struct quiver_dma *dma = &batch->dma[i];

        if (dma->op == QUIVER_MAP) {
            map_finish(s, record, batch->run[i], dma);
        } else if (!dma->result || (dma->result == -EIO && !error)) {
            /* A release that failed is one all the same. */
            quiver_dma_budget_release(s, record, dma->length);
            quiver_count(&record->counters->unmaps, 1);
        }
        entry_set(record, batch->run[i], dma->result == -ENODEV
                  ? QUIVER_S_GONE : quiver_wire_status(dma->result));
    }
}

static void batch_run(QuiverDma *s, QuiverRecord *record, struct batch *batch)
{
    int error;

    if (!batch->count) {
        return;
    }
    error = quiver_dma_batch(record->pci->host, batch->dma, batch->count);
    batch_finish(s, record, batch, error);
    batch->count = 0;
    batch->releases = false;
    if (error == -ENODEV) {
        qatomic_set(&record->gone, true);
    }
}

static struct quiver_dma *batch_add(struct batch *batch,
                                    const QuiverRun *run)
{
    batch->run[batch->count] = run;
    return &batch->dma[batch->count++];
}

static int take(QuiverDma *s, QuiverRecord *record, struct batch *batch,
                const struct quiver_wire_request *request)
{
    bool vital = request->flags & QUIVER_DMA_VITAL;
    uint64_t length = request->gpa.length;

    /* Unmaps that come before it may make room. */
    if (batch->releases &&
        !quiver_dma_budget_fits(s, record, length, vital)) {
        batch_run(s, record, batch);
    }
    return quiver_dma_budget_take(s, record, length, vital);
}

static void add_map(QuiverDma *s, QuiverRecord *record, struct batch *batch,
                    const QuiverRun *run)
{
    const struct quiver_wire_request *request = run->request;
    void *address = guest_ram(s, request->gpa);
    int error;

    if (!address) {
        entry_set(record, run, QUIVER_S_FAULT);
        return;
    }
    error = take(s, record, batch, request);
    if (error) {
        entry_set(record, run, quiver_wire_status(error));
        return;
    }
    *batch_add(batch, run) = (struct quiver_dma) {
        .op = QUIVER_MAP,
        .flags = (request->flags & QUIVER_DMA_READ ? QUIVER_DEXT_DMA_READ : 0) |
                 (request->flags & QUIVER_DMA_WRITE ? QUIVER_DEXT_DMA_WRITE : 0),
        .address = address,
        .length = request->gpa.length,
    };
}

static void add_unmap(struct batch *batch, const QuiverRun *run)
{
    batch->releases = true;
    *batch_add(batch, run) = (struct quiver_dma) {
        .op = QUIVER_UNMAP,
        .length = run->request->iova.length,
        .iova = run->request->iova.start,
    };
}

static uint32_t record_status(const QuiverRecord *record)
{
    if (record->gone) {
        return QUIVER_S_GONE;
    }
    return record->pci && record->attached ? QUIVER_S_OK : QUIVER_S_NODEV;
}

void quiver_dma_run(QuiverDma *s, QuiverRecord *record,
                    const QuiverRun *run, unsigned int count)
{
    struct batch batch;
    unsigned int i;

    batch.count = 0;
    batch.releases = false;
    QEMU_LOCK_GUARD(&record->lock);
    RCU_READ_LOCK_GUARD();
    for (i = 0; i < count; i++) {
        uint32_t status = record_status(record);

        if (status != QUIVER_S_OK) {
            entry_set(record, &run[i], status);
        } else if (run[i].request->op == QUIVER_OP_MAP) {
            add_map(s, record, &batch, &run[i]);
        } else {
            add_unmap(&batch, &run[i]);
        }
    }
    batch_run(s, record, &batch);
    quiver_dma_budget_publish(s);
}
