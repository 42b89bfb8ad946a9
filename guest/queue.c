// SPDX-License-Identifier: GPL-2.0-only
/*
 * The way to the host: a queue for each CPU, shared where the device has fewer.
 * A doorbell write returns when the host is done, so a queue is a lock, a batch
 * and a register, and never waits for anything.
 */
#include <linux/gfp.h>
#include <linux/slab.h>
#include <linux/smp.h>

#include "core/wire.h"
#include "quiver.h"

#define QUEUE_ENTRIES	4096

static struct quiver_queue *this_queue(struct quiver *quiver)
{
	return &quiver->queues[smp_processor_id() % quiver->queue_count];
}

static struct quiver_dma_entry *queue_open(void *context, size_t *capacity)
	__acquires(&this_queue(context)->lock)
{
	struct quiver_device *qdev = context;
	struct quiver_queue *queue = this_queue(qdev->quiver);

	spin_lock(&queue->lock);
	*capacity = queue->entries;
	return queue->batch;
}

static void queue_close(void *context)
	__releases(&this_queue(context)->lock)
{
	struct quiver_device *qdev = context;

	spin_unlock(&this_queue(qdev->quiver)->lock);
}

/* The doorbell write returns when the host is done. */
void quiver_queue_send(struct quiver_queue *queue, size_t count)
{
	if (!count)
		return;
	/* Orders the batch before the doorbell. */
	writel(count, &queue->regs->doorbell);
	/* Answers are read after it. */
	mb();
	queue->doorbells++;
}

/* A device whose mappings the host dropped: unmapping them is done, mapping is over. */
static void answer_alone(struct quiver_dma_entry *entries, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++)
		entries[i].status = cpu_to_le32(entries[i].op == QUIVER_OP_UNMAP ?
						QUIVER_S_OK : QUIVER_S_GONE);
}

#define DROPPED	"the host dropped this device"
#define CUT_OFF	"the host does not answer"

/*
 * Some drivers retry a map that fails for as long as the device seems to be
 * there. This one is not.
 */
static void note_dead(struct quiver_device *qdev, const char *why)
{
	if (xchg(&qdev->dead, true))
		return;
	WRITE_ONCE(qdev->pdev->error_state, pci_channel_io_perm_failure);
	pci_err(qdev->pdev, "quiver: %s; its DMA has ended\n", why);
}

static void note_failed(struct quiver *quiver)
{
	if (!xchg(&quiver->failed, true))
		dev_err(&quiver->pdev->dev, "no answer from the host; all DMA has ended\n");
}

/* Whether a map gives a range that an unmap could name, without the address that is an error. */
static bool is_answer(const struct quiver *quiver, const struct quiver_dma_entry *entry)
{
	struct quiver_range iova = { le64_to_cpu(entry->iova), le64_to_cpu(entry->length) };

	return entry->op != QUIVER_OP_MAP ||
	       (quiver_range_valid(iova.start, iova.length) &&
		quiver_range_last(iova) != DMA_MAPPING_ERROR &&
		quiver_range_aligned(iova, quiver->granule_shift));
}

/*
 * An address that makes no sense is given to nobody, and what the host has mapped there can only be
 * dropped with all else: with the device.
 */
static void check_answers(struct quiver_device *qdev, struct quiver_dma_entry *entries,
			  size_t count)
{
	size_t i;

	for (i = 0; i < count; i++) {
		switch (le32_to_cpu(entries[i].status)) {
		case QUIVER_S_OK:
			if (is_answer(qdev->quiver, &entries[i]))
				break;
			entries[i].status = cpu_to_le32(QUIVER_S_GONE);
			note_dead(qdev, "the host's answer makes no sense");
			break;
		case QUIVER_S_NODEV:
		case QUIVER_S_GONE:
			note_dead(qdev, DROPPED);
			break;
		case QUIVER_S_PENDING:
			note_failed(qdev->quiver);
			note_dead(qdev, CUT_OFF);
			break;
		}
	}
}

static void queue_ring(void *context, size_t count)
{
	struct quiver_device *qdev = context;
	struct quiver_queue *queue = this_queue(qdev->quiver);

	if (READ_ONCE(qdev->quiver->failed))
		note_dead(qdev, CUT_OFF);
	if (READ_ONCE(qdev->dead)) {
		answer_alone(queue->batch, count);
		return;
	}
	quiver_faults_ring(qdev, queue, count);
	check_answers(qdev, queue->batch, count);
}

/* By the host's word, which need not make sense. */
static u64 beyond(u64 limit, u64 reserve)
{
	return limit > reserve ? limit - reserve : 0;
}

u64 quiver_queue_bytes_most(const struct quiver *quiver)
{
	struct quiver_budget_page __iomem *budget = &quiver->status->budget;

	return beyond(readq(&budget->bytes_limit), readq(&budget->bytes_reserve));
}

static void queue_room(void *context, struct quiver_room *room, struct quiver_room *most)
{
	struct quiver_device *qdev = context;
	struct quiver_budget_page __iomem *budget = &qdev->quiver->status->budget;
	struct quiver_device_counters __iomem *counters;

	counters = &qdev->quiver->status->device[qdev->index];
	room->bytes = readq(&counters->bytes_room);
	room->mappings = readq(&counters->mappings_room);
	most->bytes = quiver_queue_bytes_most(qdev->quiver);
	most->mappings = beyond(readq(&budget->mappings_limit),
				readq(&budget->mappings_reserve));
}

static bool queue_relieve(void *context)
{
	return quiver_device_relieve(context);
}

static const struct quiver_transport transport = {
	.open = queue_open,
	.ring = queue_ring,
	.close = queue_close,
	.room = queue_room,
	.relieve = queue_relieve,
};

/* For a host that does not tell. */
static const struct quiver_transport blind_transport = {
	.open = queue_open,
	.ring = queue_ring,
	.close = queue_close,
	.relieve = queue_relieve,
};

const struct quiver_transport *quiver_queue_transport(const struct quiver *quiver)
{
	return quiver->status && quiver->has_budget ? &transport : &blind_transport;
}

/* As many entries as are wanted and as memory has in one piece. */
static int alloc_batch(struct quiver_queue *queue, u32 entries)
{
	for (; entries; entries /= 2) {
		queue->batch = alloc_pages_exact(entries * sizeof(*queue->batch),
						 GFP_KERNEL | __GFP_ZERO | __GFP_NOWARN);
		if (queue->batch) {
			queue->entries = entries;
			return 0;
		}
	}
	return -ENOMEM;
}

static void free_batch(struct quiver_queue *queue)
{
	free_pages_exact(queue->batch, queue->entries * sizeof(*queue->batch));
}

static int queue_setup(struct quiver *quiver, unsigned int index, u32 entries)
{
	struct quiver_queue *queue = &quiver->queues[index];
	u64 base;
	int error;

	spin_lock_init(&queue->lock);
	queue->regs = (void __iomem *)quiver->regs + QUIVER_QUEUES_OFFSET + index * QUIVER_STRIDE;
	error = alloc_batch(queue, entries);
	if (error)
		return error;

	base = virt_to_phys(queue->batch);
	writel(lower_32_bits(base), &queue->regs->base_lo);
	writel(upper_32_bits(base), &queue->regs->base_hi);
	writel(queue->entries, &queue->regs->entries);
	writel(1, &queue->regs->enable);
	if (readl(&queue->regs->enable) == 1)
		return 0;

	dev_err(&quiver->pdev->dev, "the host refuses queue %u\n", index);
	free_batch(queue);
	return -EIO;
}

static void queue_teardown(struct quiver_queue *queue)
{
	writel(0, &queue->regs->enable);
	free_batch(queue);
}

int quiver_queues_setup(struct quiver *quiver)
{
	u32 entries = min_t(u32, readl(&quiver->regs->queue_entries_max), QUEUE_ENTRIES);
	u32 count = min_t(u32, readl(&quiver->regs->queue_count), QUIVER_MAX_QUEUES);
	int error;

	count = min_t(u32, count, nr_cpu_ids);
	if (!entries || !count)
		return -EIO;
	quiver->queues = kcalloc(count, sizeof(*quiver->queues), GFP_KERNEL);
	if (!quiver->queues)
		return -ENOMEM;
	for (; quiver->queue_count < count; quiver->queue_count++) {
		error = queue_setup(quiver, quiver->queue_count, entries);
		if (error) {
			quiver_queues_teardown(quiver);
			return error;
		}
	}
	return 0;
}

void quiver_queues_teardown(struct quiver *quiver)
{
	while (quiver->queue_count)
		queue_teardown(&quiver->queues[--quiver->queue_count]);
	kfree(quiver->queues);
}
