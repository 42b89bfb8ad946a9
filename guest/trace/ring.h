/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A ring of 64-bit words: any number of writers in any context, who never wait,
 * and one reader. A writer reserves room, which fixes the order of records,
 * fills it, and commits it; the reader sees a record when it is committed and all
 * before it are.
 */
#ifndef QUIVER_TRACE_RING_H
#define QUIVER_TRACE_RING_H

#include <linux/atomic.h>
#include <linux/types.h>

struct quiver_trace_ring {
	u64 *words;			/* 0 wherever nothing is committed */
	u64 mask;
	atomic64_t head;		/* positions only grow; the mask makes indexes of them */
	u64 tail;			/* up to here words are free again; the reader's */
	u64 readable;			/* up to here records are committed; the reader's */
};

/* count is a power of two. -ENOMEM. May sleep. */
int quiver_trace_ring_init(struct quiver_trace_ring *ring, u64 count);

/* There are no more writers. May sleep. */
void quiver_trace_ring_fini(struct quiver_trace_ring *ring);

/* Room for a record of so many words from *position on. False: there is none. Any context. */
bool quiver_trace_ring_reserve(struct quiver_trace_ring *ring, u64 count, u64 *position);

/* A word of a record that is reserved, but not its first. Any context. */
static inline void quiver_trace_ring_put(struct quiver_trace_ring *ring, u64 position, u64 word)
{
	ring->words[position & ring->mask] = word;
}

/* The record at position is complete; its first word is this quiver_trace_head(). Any context. */
void quiver_trace_ring_commit(struct quiver_trace_ring *ring, u64 position, u64 head);

/*
 * Copies words to user space, at most count, and frees them. Their number; 0:
 * there is none now; -EFAULT. May sleep; one caller at a time.
 */
ssize_t quiver_trace_ring_read(struct quiver_trace_ring *ring, u64 __user *to, u64 count);

#endif
