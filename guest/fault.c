// SPDX-License-Identifier: GPL-2.0-only
/*
 * Lies that no release may tell, so that tests can see the host catch them.
 * In a device's debugfs folder:
 *
 * skip_map	write N: the Nth map entry from now is not sent, and an address
 *		that is mapped nowhere is handed out for it [D6]
 * refuse_maps	write N: from the Nth batch with map entries on, these are not sent, and
 *		answered as if the host could not; until 0 is written. Reads 1 when it
 *		has come to that, and more before
 * nonsense	write KIND: the host's answer to the next map entry is made to be an address
 *		amid a granule (1), the last granule there is (2), a status that there is not
 *		(3), or none (4). Reads 0 when that was done
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
	atomic_t skip;			/* map entries from now on; 0: none */
	atomic_t refuse;		/* batches from now on; 1: from this one on; 0: none */
	atomic_t nonsense;		/* enum nonsense */
};

enum nonsense {
	NONSENSE_NONE,
	NONSENSE_AMID,
	NONSENSE_LAST,
	NONSENSE_STATUS,
	NONSENSE_NO_ANSWER,
	NONSENSES
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

static u64 bytes_to_map(const struct quiver_dma_entry *batch, size_t count)
{
	u64 bytes = 0;

	while (count--)
		if (batch[count].op == QUIVER_OP_MAP)
			bytes += le64_to_cpu(batch[count].length);
	return bytes;
}

/* Counts this batch, if it counts. */
static bool is_refused(struct quiver_faults *faults, const struct quiver_dma_entry *batch,
		       size_t count)
{
	return atomic_read(&faults->refuse) > 0 && bytes_to_map(batch, count) &&
	       !atomic_add_unless(&faults->refuse, -1, 1);
}

/*
 * Moves the map entries of [first, last) to the end of the batch, in their order. Nobody sends
 * them, so they can say where they were. How many others there are.
 */
static size_t set_aside(struct quiver_dma_entry *batch, size_t count, size_t first, size_t last)
{
	struct quiver_dma_entry entry;
	size_t sent = count;

	while (last-- > first) {
		if (batch[last].op != QUIVER_OP_MAP)
			continue;
		entry = batch[last];
		entry.iova = cpu_to_le64(last);
		sent--;
		memmove(&batch[last], &batch[last + 1], (sent - last) * sizeof(entry));
		batch[sent] = entry;
	}
	return sent;
}

/* Puts them back, answered: with addresses in a place where nothing is mapped, or with none. */
static void put_back(struct quiver_dma_entry *batch, size_t sent, size_t count, u32 status,
		     u64 nowhere)
{
	struct quiver_dma_entry entry;
	size_t to;

	for (; sent < count; sent++) {
		entry = batch[sent];
		to = le64_to_cpu(entry.iova);
		memmove(&batch[to + 1], &batch[to], (sent - to) * sizeof(entry));
		entry.status = cpu_to_le32(status);
		entry.iova = cpu_to_le64(nowhere ? nowhere | le64_to_cpu(entry.gpa) : 0);
		batch[to] = entry;
	}
}

static void send_without(struct quiver_queue *queue, size_t count, size_t first, size_t last,
			 u32 status, u64 nowhere)
{
	size_t sent = set_aside(queue->batch, count, first, last);

	quiver_queue_send(queue, sent);
	put_back(queue->batch, sent, count, status, nowhere);
}

static void garble(struct quiver_dma_entry *entry, enum nonsense kind, u64 granule)
{
	switch (kind) {
	case NONSENSE_AMID:
		entry->iova = cpu_to_le64(le64_to_cpu(entry->iova) + granule / 2);
		break;
	case NONSENSE_LAST:
		entry->iova = cpu_to_le64(-granule);
		break;
	case NONSENSE_STATUS:
		entry->status = cpu_to_le32(U32_MAX);
		break;
	case NONSENSE_NO_ANSWER:
		entry->status = cpu_to_le32(QUIVER_S_PENDING);
		break;
	default:
		break;
	}
}

/* After the host has answered. */
static void answer_nonsense(struct quiver_device *qdev, struct quiver_dma_entry *batch,
			    size_t count)
{
	size_t i;
	int kind;

	for (i = 0; i < count; i++)
		if (batch[i].op == QUIVER_OP_MAP)
			break;
	if (i == count)
		return;
	kind = atomic_xchg(&qdev->faults->nonsense, NONSENSE_NONE);
	if (!kind)
		return;
	garble(&batch[i], kind, 1ull << qdev->quiver->granule_shift);
	pci_warn(qdev->pdev, "quiver: fault injected: nonsense %d\n", kind);
}

void quiver_faults_ring(struct quiver_device *qdev, struct quiver_queue *queue, size_t count)
{
	size_t at = find_victim(qdev->faults, queue->batch, count);

	if (at < count) {
		send_without(queue, count, at, at + 1, QUIVER_S_OK, NOWHERE);
		pci_warn(qdev->pdev, "quiver: fault injected: a map entry was not sent\n");
	} else if (is_refused(qdev->faults, queue->batch, count)) {
		pci_warn(qdev->pdev, "quiver: fault injected: %llu bytes were not mapped\n",
			 bytes_to_map(queue->batch, count));
		send_without(queue, count, 0, count, QUIVER_S_IO, 0);
	} else {
		quiver_queue_send(queue, count);
	}
	answer_nonsense(qdev, queue->batch, count);
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

static int refuse_maps_set(void *data, u64 value)
{
	struct quiver_device *qdev = data;

	if (value > INT_MAX)
		return -EINVAL;
	atomic_set(&qdev->faults->refuse, value);
	return 0;
}

static int refuse_maps_get(void *data, u64 *value)
{
	struct quiver_device *qdev = data;

	*value = atomic_read(&qdev->faults->refuse);
	return 0;
}
DEFINE_DEBUGFS_ATTRIBUTE(refuse_maps_fops, refuse_maps_get, refuse_maps_set, "%llu\n");

static int nonsense_set(void *data, u64 value)
{
	struct quiver_device *qdev = data;

	if (value >= NONSENSES)
		return -EINVAL;
	atomic_set(&qdev->faults->nonsense, value);
	return 0;
}

static int nonsense_get(void *data, u64 *value)
{
	struct quiver_device *qdev = data;

	*value = atomic_read(&qdev->faults->nonsense);
	return 0;
}
DEFINE_DEBUGFS_ATTRIBUTE(nonsense_fops, nonsense_get, nonsense_set, "%llu\n");

int quiver_faults_add(struct quiver_device *qdev)
{
	qdev->faults = kzalloc(sizeof(*qdev->faults), GFP_KERNEL);
	if (!qdev->faults)
		return -ENOMEM;
	debugfs_create_file("skip_map", 0200, qdev->debugfs, qdev, &skip_map_fops);
	debugfs_create_file("refuse_maps", 0600, qdev->debugfs, qdev, &refuse_maps_fops);
	debugfs_create_file("nonsense", 0600, qdev->debugfs, qdev, &nonsense_fops);
	debugfs_create_file("release_live", 0200, qdev->debugfs, qdev, &release_live_fops);
	return 0;
}

/* Its files went with the device's folder. */
void quiver_faults_remove(struct quiver_device *qdev)
{
	kfree(qdev->faults);
}
