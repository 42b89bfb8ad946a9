/* SPDX-License-Identifier: GPL-2.0-or-later */
/* quiver-dma: queues and doorbells. Locking: quiver-dma.h. */
#include "qemu/osdep.h"
#include "qemu/main-loop.h"
#include "qemu/rcu.h"
#include "hw/core/cpu.h"
#include "quiver-dma.h"
#include "trace.h"

/* A part of a batch, copied once: the guest may rewrite its own at any time. */
struct chunk {
    struct quiver_dma_entry entry[QUIVER_DMA_RUN_MAX];
    struct quiver_wire_request request[QUIVER_DMA_RUN_MAX];
    uint32_t status[QUIVER_DMA_RUN_MAX];
    uint64_t iova[QUIVER_DMA_RUN_MAX];
    QuiverRun run[QUIVER_DMA_RUN_MAX];
    unsigned int count;
};

static uint64_t queue_base(const QuiverQueue *queue)
{
    return (uint64_t)queue->base_hi << 32 | queue->base_lo;
}

/*
 * Maps count entries of a queue. Only RAM: a queue in registers could ring its
 * own doorbell. Looked up anew each time, since the guest can move memory.
 */
static bool queue_map(const QuiverQueue *queue, uint32_t count,
                      MemoryRegionCache *cache)
{
    hwaddr length = (hwaddr)count * sizeof(struct quiver_dma_entry);
    int64_t mapped;

    mapped = address_space_cache_init(cache, &address_space_memory,
                                      queue_base(queue), length, true);
    if (mapped == length && cache->ptr) {
        return true;
    }
    address_space_cache_destroy(cache);
    return false;
}

static bool queue_valid(const QuiverQueue *queue)
{
    struct quiver_range range = {
        queue_base(queue),
        (uint64_t)queue->entries * sizeof(struct quiver_dma_entry),
    };
    MemoryRegionCache cache;

    if (!queue->entries || queue->entries > QUIVER_QUEUE_ENTRIES_MAX ||
        range.start % QUIVER_BATCH_ALIGN ||
        !quiver_range_valid(range.start, range.length)) {
        return false;
    }
    RCU_READ_LOCK_GUARD();
    if (!queue_map(queue, queue->entries, &cache)) {
        return false;
    }
    address_space_cache_destroy(&cache);
    return true;
}

static void queue_enable(QuiverDma *s, QuiverQueue *queue, unsigned int index,
                         uint32_t value)
{
    if (value > 1) {
        quiver_dma_guest_error(s, "queue %u: enable is 0 or 1", index);
    } else if (!value) {
        queue->enabled = false;
    } else if (!queue->enabled && !queue_valid(queue)) {
        quiver_dma_guest_error(s, "queue %u: %u entries at 0x%" PRIx64 " refused",
                               index, queue->entries, queue_base(queue));
    } else {
        queue->enabled = true;
    }
}

static void queue_setup(QuiverDma *s, QuiverQueue *queue, unsigned int index,
                        uint32_t *field, uint32_t value)
{
    if (queue->enabled) {
        quiver_dma_guest_error(s, "queue %u is changed while enabled", index);
    } else {
        *field = value;
    }
}

uint32_t quiver_dma_queue_read(QuiverDma *s, unsigned int index, hwaddr reg)
{
    QuiverQueue *queue = &s->queues[index];

    QEMU_LOCK_GUARD(&queue->lock);
    switch (reg) {
    case offsetof(struct quiver_queue_regs, base_lo):
        return queue->base_lo;
    case offsetof(struct quiver_queue_regs, base_hi):
        return queue->base_hi;
    case offsetof(struct quiver_queue_regs, entries):
        return queue->entries;
    case offsetof(struct quiver_queue_regs, enable):
        return queue->enabled;
    case offsetof(struct quiver_queue_regs, doorbell):
        return 0;
    default:
        quiver_dma_guest_error(s, "queue %u: read at 0x%" HWADDR_PRIx, index, reg);
        return 0;
    }
}

void quiver_dma_queue_write(QuiverDma *s, unsigned int index, hwaddr reg,
                            uint32_t value)
{
    QuiverQueue *queue = &s->queues[index];

    QEMU_LOCK_GUARD(&queue->lock);
    switch (reg) {
    case offsetof(struct quiver_queue_regs, base_lo):
        queue_setup(s, queue, index, &queue->base_lo, value);
        break;
    case offsetof(struct quiver_queue_regs, base_hi):
        queue_setup(s, queue, index, &queue->base_hi, value);
        break;
    case offsetof(struct quiver_queue_regs, entries):
        queue_setup(s, queue, index, &queue->entries, value);
        break;
    case offsetof(struct quiver_queue_regs, enable):
        queue_enable(s, queue, index, value);
        break;
    default:
        quiver_dma_guest_error(s, "queue %u: write at 0x%" HWADDR_PRIx, index,
                               reg);
        break;
    }
}

static bool guest_error(uint32_t status)
{
    return status == QUIVER_S_INVAL || status == QUIVER_S_NODEV ||
           status == QUIVER_S_FAULT || status == QUIVER_S_NOENT;
}

static void count_errors(QuiverDma *s, const struct chunk *chunk)
{
    unsigned int i, device;

    for (i = 0; i < chunk->count; i++) {
        if (guest_error(chunk->status[i])) {
            quiver_dma_guest_error(s, "entry: op %u device %u status %u",
                                   chunk->entry[i].op,
                                   le16_to_cpu(chunk->entry[i].device),
                                   chunk->status[i]);
        }
        /* What got as far as its device is counted there. */
        device = le16_to_cpu(chunk->entry[i].device);
        if (chunk->status[i] == QUIVER_S_INVAL && device < QUIVER_MAX_DEVICES) {
            quiver_count(&s->page->device[device].failed, 1);
        }
    }
}

/* Features stay as they are as long as a queue is enabled. */
static void chunk_decode(QuiverDma *s, struct chunk *chunk)
{
    uint64_t features = (uint64_t)s->driver_features[1] << 32 |
                        s->driver_features[0];
    unsigned int i;

    for (i = 0; i < chunk->count; i++) {
        chunk->status[i] = quiver_wire_decode(&chunk->entry[i], s->granule_shift,
                                              QUIVER_MAX_DEVICES, features,
                                              &chunk->request[i]);
    }
}

/* Takes valid entries from *next on, as long as they are of one device. */
static unsigned int chunk_collect(struct chunk *chunk, unsigned int *next)
{
    unsigned int i, count = 0;

    for (i = *next; i < chunk->count; i++) {
        if (chunk->status[i] != QUIVER_S_OK) {
            continue;
        }
        if (count &&
            chunk->request[i].device != chunk->run[0].request->device) {
            break;
        }
        chunk->run[count++] = (QuiverRun) {
            .request = &chunk->request[i],
            .status = &chunk->status[i],
            .iova = &chunk->iova[i],
        };
    }
    *next = i;
    return count;
}

static void chunk_run(QuiverDma *s, struct chunk *chunk)
{
    unsigned int next = 0, count;

    while ((count = chunk_collect(chunk, &next))) {
        quiver_dma_run(s, &s->records[chunk->run[0].request->device], chunk->run,
                       count);
    }
}

static void entry_finish(MemoryRegionCache *cache, hwaddr at,
                         const struct chunk *chunk, unsigned int i)
{
    uint64_t iova = cpu_to_le64(chunk->iova[i]);
    uint32_t status = cpu_to_le32(chunk->status[i]);

    if (chunk->status[i] == QUIVER_S_OK &&
        chunk->request[i].op == QUIVER_OP_MAP) {
        address_space_write_cached(cache,
                                   at + offsetof(struct quiver_dma_entry, iova),
                                   &iova, sizeof(iova));
        /* Whoever polls status on another CPU finds the address. */
        smp_wmb();
    }
    address_space_write_cached(cache,
                               at + offsetof(struct quiver_dma_entry, status),
                               &status, sizeof(status));
}

static void queue_run(QuiverDma *s, MemoryRegionCache *cache, uint32_t count)
{
    struct chunk chunk;
    uint32_t first;
    unsigned int i;

    for (first = 0; first < count; first += chunk.count) {
        hwaddr at = (hwaddr)first * sizeof(struct quiver_dma_entry);

        chunk.count = MIN(count - first, QUIVER_DMA_RUN_MAX);
        address_space_read_cached(cache, at, chunk.entry,
                                  chunk.count * sizeof(chunk.entry[0]));
        chunk_decode(s, &chunk);
        chunk_run(s, &chunk);
        count_errors(s, &chunk);
        for (i = 0; i < chunk.count; i++) {
            entry_finish(cache, at + i * sizeof(chunk.entry[0]), &chunk, i);
        }
    }
}

static void doorbell_locked(QuiverDma *s, QuiverQueue *queue, unsigned int index,
                            uint32_t count)
{
    MemoryRegionCache cache;

    if (!queue->enabled) {
        quiver_dma_guest_error(s, "queue %u: doorbell while disabled", index);
        return;
    }
    if (!count || count > queue->entries) {
        quiver_dma_guest_error(s, "queue %u: doorbell for %u of %u entries",
                               index, count, queue->entries);
        return;
    }
    RCU_READ_LOCK_GUARD();
    if (!queue_map(queue, count, &cache)) {
        quiver_dma_guest_error(s, "queue %u is no longer in RAM", index);
        return;
    }
    quiver_count(&s->page->doorbells, 1);
    quiver_count(&s->page->entries, count);
    queue_run(s, &cache, count);
    address_space_cache_invalidate(&cache, 0,
                                   count * sizeof(struct quiver_dma_entry));
    address_space_cache_destroy(&cache);
}

/*
 * A CPU's own access, and nothing above it on the stack that counts on the BQL.
 * TCG tells, and HVF with our patches; others give no attributes.
 */
static bool may_drop_bql(MemTxAttrs attrs)
{
    return bql_locked() && current_cpu && !attrs.unspecified &&
           !attrs.requester_id;
}

void quiver_dma_doorbell(QuiverDma *s, unsigned int index, uint32_t count,
                         MemTxAttrs attrs)
{
    QuiverQueue *queue = &s->queues[index];
    bool dropped = may_drop_bql(attrs);
    int64_t start = get_clock();

    if (dropped) {
        bql_unlock();
    }
    WITH_QEMU_LOCK_GUARD(&queue->lock) {
        doorbell_locked(s, queue, index, count);
    }
    trace_quiver_dma_doorbell(index, count, get_clock() - start);
    if (dropped) {
        bql_lock();
    }
}

void quiver_dma_queues_init(QuiverDma *s)
{
    unsigned int i;

    for (i = 0; i < QUIVER_MAX_QUEUES; i++) {
        qemu_mutex_init(&s->queues[i].lock);
    }
}

void quiver_dma_queues_reset(QuiverDma *s)
{
    unsigned int i;

    for (i = 0; i < QUIVER_MAX_QUEUES; i++) {
        QuiverQueue *queue = &s->queues[i];

        QEMU_LOCK_GUARD(&queue->lock);
        queue->base_lo = 0;
        queue->base_hi = 0;
        queue->entries = 0;
        queue->enabled = false;
    }
}
