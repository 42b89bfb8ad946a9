/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * quiver-dma: the function through which a guest asks for DMA mappings of all
 * passed-through devices. The wire is quiver/proto.h, its prose
 * docs/protocol.rst of Quiver.
 *
 * Locking. The order is: big QEMU lock (BQL), queue lock, record lock, budget
 * lock. Whoever holds one of the last three never takes the BQL, so that a
 * doorbell can run without it, and an access under the BQL can wait for one.
 *
 *  - A doorbell runs under its queue's lock and without the BQL. A second vCPU
 *    that rings the same one waits. Queue registers change under BQL and queue
 *    lock, so disabling a queue, and thereby resetting quiver-dma, waits for
 *    the batch that is in flight.
 *  - For each run of entries of one device it takes that record's lock, checks
 *    that the device is attached, and keeps the lock until the host has
 *    answered. Attaching, detaching, resetting and unplugging a device change
 *    the record under BQL and record lock: they come before or after a run,
 *    never in its middle. A reset holds both for as long as the device takes.
 *  - Guest RAM that a run names is looked up inside an RCU section that lasts
 *    until the host has it pinned, so it is not unmapped meanwhile.
 *  - The budget lock is a leaf around additions, and around publishing them.
 *  - Counters in the status page are atomics. The guest cannot write them.
 *
 * The BQL is only let go where it was taken for a CPU's own access. An access
 * that comes from another device's DMA runs under it: that device's code may
 * not expect the world to change.
 */
#ifndef HW_QUIVER_DMA_H
#define HW_QUIVER_DMA_H

#include "qemu/thread.h"
#include "hw/pci/pci_device.h"
#include "qom/object.h"
#include "compat.h"
#include "quiver/host.h"
#include "quiver/proto.h"
#include "core/budget.h"
#include "core/wire.h"

#define TYPE_QUIVER_DMA "quiver-dma"
OBJECT_DECLARE_SIMPLE_TYPE(QuiverDma, QUIVER_DMA)

typedef struct QuiverPci QuiverPci;

#define QUIVER_QUEUE_ENTRIES_MAX 4096
#define QUIVER_GRANULE_SHIFT     14      /* until a device says so [D4] */

typedef struct QuiverQueue {
    QemuMutex lock;
    uint32_t base_lo, base_hi;
    uint32_t entries;
    bool enabled;
} QuiverQueue;

typedef struct QuiverRecord {
    QemuMutex lock;
    QuiverPci *pci;             /* NULL: nothing is here */
    bool attached;
    bool gone;                  /* the host has lost it; atomic, read anywhere */
    uint32_t generation;
    struct quiver_device_counters *counters;
    struct quiver_aperture_place aperture;  /* count 0: the device has none */
} QuiverRecord;

struct QuiverDma {
    PCIDevice parent_obj;

    MemoryRegion regs;
    MemoryRegion status_page;
    struct quiver_status_page *page;
    bool tso;                   /* property: whoever starts the machine says so */

    uint64_t aperture_length;   /* property; 0: there is none */
    struct quiver_aperture *aperture;
    MemoryRegion aperture_bar;
    MemoryRegion aperture_ram;
    Notifier machine_done;

    uint32_t driver_features[2];
    uint32_t status;
    uint32_t guest_stats[2];    /* where the guest's counters are; 0: nowhere */

    QemuMutex budget_lock;
    struct quiver_budget budget;
    struct quiver_account accounts[QUIVER_MAX_DEVICES];     /* of records */
    unsigned int granule_shift;

    QuiverQueue queues[QUIVER_MAX_QUEUES];
    QuiverRecord records[QUIVER_MAX_DEVICES];
    unsigned int next_record;   /* where the next device's is looked for */
};

/* quiver-dma.c */

void quiver_dma_guest_error(QuiverDma *s, const char *format, ...)
    G_GNUC_PRINTF(2, 3);

static inline void quiver_count(__le64 *counter, uint64_t n)
{
    qatomic_add(counter, n);
}

/* quiver-dma-tso.c */

/*
 * Makes all vCPUs run with TSO from their first instruction, as tso=on says.
 * Before the machine runs.
 */
bool quiver_dma_tso_enable(Error **errp);
/* quiver-dma-tso-tcg.c: whether this translator keeps that order. */
bool quiver_dma_tso_of_tcg(void);

/* quiver-dma-aperture.c: all under the BQL */

/* As the property says: the BAR, empty until the machine is complete. */
bool quiver_dma_aperture_init(QuiverDma *s, Error **errp);
void quiver_dma_aperture_exit(QuiverDma *s);
/* Maps it for the device of a record, if that is to have it. A refusal is a warning. */
void quiver_dma_aperture_map(QuiverDma *s, QuiverRecord *record);
/* Of a record's registers; false: it is none of ours. */
bool quiver_dma_aperture_read(QuiverDma *s, const QuiverRecord *record,
                              hwaddr reg, uint32_t *value);

/* quiver-dma-record.c: all under the BQL */

/* Gives a device its record; the index, or -1 with an error. */
int quiver_dma_add(QuiverDma *s, QuiverPci *pci, Error **errp);
/* Stops the device for good. Safe while doorbells are in flight. */
void quiver_dma_remove(QuiverDma *s, unsigned int index);
/*
 * The device is reset: it is detached, unless its driver does it and goes on,
 * with a device that is attached.
 */
void quiver_dma_device_reset(QuiverDma *s, unsigned int index, bool goes_on);
/* It is the host's no more, and in no need of being stopped. */
void quiver_dma_device_lost(QuiverDma *s, unsigned int index);
bool quiver_dma_device_attached(QuiverDma *s, unsigned int index);

uint32_t quiver_dma_record_read(QuiverDma *s, unsigned int index, hwaddr reg);
void quiver_dma_record_write(QuiverDma *s, unsigned int index, hwaddr reg,
                             uint32_t value);
void quiver_dma_records_init(QuiverDma *s);
/* Detaches all but those that are being reset themselves. */
void quiver_dma_records_reset(QuiverDma *s);

/*
 * quiver-dma-budget.c: core/budget.h for records. Any context. What is taken
 * and released shows in the status page when it is published; the rest
 * publishes by itself.
 */

void quiver_dma_budget_init(QuiverDma *s);
/* Whether a device of these limits fits what is mapped; if so, they hold. */
bool quiver_dma_budget_limit(QuiverDma *s, uint64_t bytes, uint64_t mappings,
                             Error **errp);
void quiver_dma_budget_attach(QuiverDma *s, QuiverRecord *record);
/* The host has dropped all of the device's mappings, if there were any. */
void quiver_dma_budget_detach(QuiverDma *s, QuiverRecord *record);
int quiver_dma_budget_take(QuiverDma *s, QuiverRecord *record, uint64_t length,
                           bool vital);
bool quiver_dma_budget_fits(QuiverDma *s, QuiverRecord *record, uint64_t length,
                            bool vital);
void quiver_dma_budget_release(QuiverDma *s, QuiverRecord *record,
                               uint64_t length);
void quiver_dma_budget_publish(QuiverDma *s);

/* quiver-dma-stats.c: the property "stats", what host and guest count */

void quiver_dma_stats_init(QuiverDma *s);

/* quiver-dma-map.c */

typedef struct QuiverRun {
    const struct quiver_wire_request *request;
    uint32_t *status;           /* QUIVER_S_* */
    uint64_t *iova;
} QuiverRun;

/*
 * Runs entries of one device in order and sets the status of each; *iova of the
 * maps that succeed. At most QUIVER_DMA_RUN_MAX. No BQL needed.
 */
#define QUIVER_DMA_RUN_MAX 127
void quiver_dma_run(QuiverDma *s, QuiverRecord *record,
                    const QuiverRun *run, unsigned int count);

/* quiver-dma-queue.c */

void quiver_dma_queues_init(QuiverDma *s);
/* Under the BQL; waits for doorbells. */
void quiver_dma_queues_reset(QuiverDma *s);
uint32_t quiver_dma_queue_read(QuiverDma *s, unsigned int index, hwaddr reg);
void quiver_dma_queue_write(QuiverDma *s, unsigned int index, hwaddr reg,
                            uint32_t value);
/* With or without the BQL. */
void quiver_dma_doorbell(QuiverDma *s, unsigned int index, uint32_t count,
                         MemTxAttrs attrs);

#endif
