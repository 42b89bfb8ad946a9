// SPDX-License-Identifier: GPL-2.0-only
/*
 * Lies that no release may tell, so that tests can see the host catch them.
 * In a device's debugfs folder:
 *
 * skip_map	write N: the Nth map entry from now is not sent, and an address
 *		that is mapped nowhere is handed out for it [D6]
 * release_live	write 1: all live windows are released at the host while the
 *		driver and its device go on with them [D8]
 */
#include <linux/debugfs.h>
#include <linux/slab.h>

#include "core/wire.h"
#include "quiver.h"

/* Beyond what any host hands out, within what 48-bit devices reach. */
#define NOWHERE		BIT_ULL(45)

struct quiver_faults {
	atomic_t skip;
};

/* The place of the entry to leave out, or count. */
static size_t find_victim(struct quiver_faults *faults, const struct quiver_dma_entry *batch,
			  size_t count)
{
	size_t i;

	if (atomic_read(&faults->skip) <= 0)
		return count;
	for (i = 0; i < count; i++)
		if (batch[i].op == QUIVER_OP_MAP && !atomic_dec_if_positive(&faults->skip))
			return i;
	return count;
}

void quiver_faults_ring(struct quiver_device *qdev, struct quiver_queue *queue, size_t count)
{
	struct quiver_dma_entry *batch = queue->batch;
	size_t at = find_victim(qdev->faults, batch, count);
	struct quiver_dma_entry victim;
	size_t tail;

	if (at == count) {
		quiver_queue_send(queue, count);
		return;
	}
	victim = batch[at];
	tail = (count - at - 1) * sizeof(victim);
	memmove(&batch[at], &batch[at + 1], tail);
	quiver_queue_send(queue, count - 1);
	memmove(&batch[at + 1], &batch[at], tail);
	victim.status = cpu_to_le32(QUIVER_S_OK);
	victim.iova = cpu_to_le64(NOWHERE | le64_to_cpu(victim.gpa));
	batch[at] = victim;
	pci_warn(qdev->pdev, "quiver: fault injected: a map entry was not sent\n");
}

/* The next live window from bucket *at of the index on, after this one. */
static struct quiver_index_node *next_live(struct quiver_space *space, size_t *at,
					   struct quiver_index_node *node)
{
	if (node && node->next)
		return node->next;
	*at += !!node;
	return quiver_index_any(&space->by_iova, at);
}

static int release_live_set(void *data, u64 value)
{
	struct quiver_device *qdev = data;
	struct quiver_space *space = &qdev->space;
	const struct quiver_transport *transport = space->config.transport;
	struct quiver_dma_entry *entries;
	struct quiver_index_node *node = NULL;
	size_t capacity, at = 0, count = 0, total = 0;
	unsigned long flags;

	if (value != 1)
		return -EINVAL;
	quiver_lock_acquire(&space->lock, &flags);
	entries = transport->open(qdev, &capacity);
	while ((node = next_live(space, &at, node))) {
		quiver_wire_encode_unmap(&entries[count++], space->config.device, node->range);
		total++;
		if (count < capacity)
			continue;
		transport->ring(qdev, count);
		count = 0;
	}
	if (count)
		transport->ring(qdev, count);
	transport->close(qdev);
	quiver_lock_release(&space->lock, &flags);
	pci_warn(qdev->pdev, "quiver: fault injected: %zu live windows released\n", total);
	return 0;
}
DEFINE_DEBUGFS_ATTRIBUTE(release_live_fops, NULL, release_live_set, "%llu\n");

static int skip_map_set(void *data, u64 value)
{
	struct quiver_device *qdev = data;

	if (value > INT_MAX)
		return -EINVAL;
	atomic_set(&qdev->faults->skip, value);
	return 0;
}
DEFINE_DEBUGFS_ATTRIBUTE(skip_map_fops, NULL, skip_map_set, "%llu\n");

int quiver_faults_add(struct quiver_device *qdev)
{
	qdev->faults = kzalloc(sizeof(*qdev->faults), GFP_KERNEL);
	if (!qdev->faults)
		return -ENOMEM;
	debugfs_create_file("skip_map", 0200, qdev->debugfs, qdev, &skip_map_fops);
	debugfs_create_file("release_live", 0200, qdev->debugfs, qdev, &release_live_fops);
	return 0;
}

/* Its files went with the device's folder. */
void quiver_faults_remove(struct quiver_device *qdev)
{
	kfree(qdev->faults);
}
