// SPDX-License-Identifier: GPL-2.0-only
#include <linux/minmax.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include <linux/vmalloc.h>

#include "quiver/trace_stream.h"
#include "ring.h"

int quiver_trace_ring_init(struct quiver_trace_ring *ring, u64 count)
{
	ring->words = vzalloc(array_size(count, sizeof(*ring->words)));
	if (!ring->words)
		return -ENOMEM;
	ring->mask = count - 1;
	atomic64_set(&ring->head, 0);
	ring->tail = 0;
	ring->readable = 0;
	return 0;
}

void quiver_trace_ring_fini(struct quiver_trace_ring *ring)
{
	vfree(ring->words);
	ring->words = NULL;
}

bool quiver_trace_ring_reserve(struct quiver_trace_ring *ring, u64 count, u64 *position)
{
	s64 head = atomic64_read(&ring->head);

	do {
		/* Pairs with the reader's release: what it freed reads as 0 by now. */
		if (head + count - smp_load_acquire(&ring->tail) > ring->mask + 1)
			return false;
	} while (!atomic64_try_cmpxchg(&ring->head, &head, head + count));
	*position = head;
	return true;
}

void quiver_trace_ring_commit(struct quiver_trace_ring *ring, u64 position, u64 head)
{
	/* The other words are there when the first one is. */
	smp_store_release(&ring->words[position & ring->mask], head);
}

/* Beyond the last word that is reserved lies a 0, or the first word of the oldest record. */
static void find_readable(struct quiver_trace_ring *ring)
{
	u64 head;

	while (ring->readable - ring->tail <= ring->mask) {
		/* Pairs with the commit: the rest of the record is there. */
		head = smp_load_acquire(&ring->words[ring->readable & ring->mask]);
		if (!head)
			return;
		ring->readable += quiver_trace_words(head);
	}
}

/* Up to the end of the buffer: two calls are needed where they wrap. */
static ssize_t read_piece(struct quiver_trace_ring *ring, u64 __user *to, u64 count)
{
	u64 index = ring->tail & ring->mask;
	size_t bytes;

	count = min3(count, ring->readable - ring->tail, ring->mask + 1 - index);
	bytes = count * sizeof(*to);
	if (copy_to_user(to, &ring->words[index], bytes))
		return -EFAULT;
	memset(&ring->words[index], 0, bytes);
	/* Zeroes first: a writer that sees the room must not see old words. */
	smp_store_release(&ring->tail, ring->tail + count);
	return count;
}

ssize_t quiver_trace_ring_read(struct quiver_trace_ring *ring, u64 __user *to, u64 count)
{
	u64 done = 0;
	ssize_t piece;

	find_readable(ring);
	while (done < count && ring->readable != ring->tail) {
		piece = read_piece(ring, to + done, count - done);
		if (piece < 0)
			return done ? done : piece;
		done += piece;
	}
	return done;
}
