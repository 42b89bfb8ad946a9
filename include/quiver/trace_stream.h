/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Between quiver_trace.ko and what reads /dev/quiver_trace: the only copy. Both
 * run on one machine, so words are in its own byte order.
 *
 * The device is opened by one reader at a time. Nothing is recorded before
 * QUIVER_TRACE_START. read() then gives whole words of the stream, -EAGAIN when
 * there is none just now, and 0 when there will be no more, after
 * QUIVER_TRACE_STOP. Closing the device stops as well.
 *
 * The stream is a sequence of records, each a struct quiver_trace_record followed
 * by two words for each segment: its physical address and its length in bytes. A
 * read may end in the middle of a record.
 */
#ifndef QUIVER_TRACE_STREAM_H
#define QUIVER_TRACE_STREAM_H

#ifdef __KERNEL__
#include <linux/ioctl.h>
#include <linux/types.h>
#else
#include <sys/ioctl.h>
#include "quiver/types.h"
#endif

#define QUIVER_TRACE_DEVICE	"quiver_trace"		/* in /dev */

/* What happened to a mapping of streaming DMA. */
enum quiver_trace_kind {
	QUIVER_TRACE_MAP	= 1,	/* one range; one segment follows */
	QUIVER_TRACE_UNMAP	= 2,	/* none follows */
	QUIVER_TRACE_MAP_SG	= 3,	/* a scatterlist; its entries follow as segments */
	QUIVER_TRACE_UNMAP_SG	= 4	/* none follows */
};

/* In the order in which things happened to each mapping. */
struct quiver_trace_record {
	__u64 head;			/* quiver_trace_head() */
	__u64 ns;			/* of the monotonic clock */
	__u64 device;			/* quiver_trace_function() */
	__u64 dma_address;		/* a scatterlist's: of its first segment */
	__u64 size;			/* a range's: bytes; a scatterlist's: number of segments */
};

#define QUIVER_TRACE_RECORD_WORDS	(sizeof(struct quiver_trace_record) / sizeof(__u64))

/* words: of the whole record. */
static inline __u64 quiver_trace_head(enum quiver_trace_kind kind, __u64 words)
{
	return (__u64)kind << 32 | words;
}

static inline __u64 quiver_trace_words(__u64 head)
{
	return head & 0xffffffff;
}

static inline enum quiver_trace_kind quiver_trace_kind(__u64 head)
{
	return (enum quiver_trace_kind)(head >> 32);
}

/* A PCI function; devices on other buses are not recorded. */
static inline __u64 quiver_trace_function(__u32 domain, __u32 bus, __u32 devfn)
{
	return (__u64)domain << 16 | (bus & 0xff) << 8 | (devfn & 0xff);
}

#define QUIVER_TRACE_ALL	(~0ull)

/*
 * Words that are recorded and not read yet: what comes when there is no room is
 * counted and lost.
 */
#define QUIVER_TRACE_RING_MIN	512u
#define QUIVER_TRACE_RING_MAX	(1u << 27)

struct quiver_trace_start {
	__u64 device;			/* quiver_trace_function(), or QUIVER_TRACE_ALL */
	__u64 ring_words;		/* a power of two, within the limits above */
};

/* Since START, of the device that was named. */
struct quiver_trace_counters {
	__u64 maps, unmaps;		/* recorded; scatterlists too */
	__u64 segments;			/* of the maps recorded */
	__u64 lost_maps, lost_unmaps;	/* for want of room */
	__u64 lost_segments;		/* of the maps lost */
	__u64 failed;			/* maps that failed: there is nothing to record */
	__u64 coherent;			/* allocations of coherent memory: not recorded */
	__u64 mmio;			/* maps of what is not memory: not recorded */
};

/*
 * -EOPNOTSUPP: this kernel has no dma tracepoints. -EINVAL: not a size of a ring.
 * -EBUSY: it was started before. -ENOMEM.
 */
#define QUIVER_TRACE_START	_IOW('Q', 0, struct quiver_trace_start)

/* Nothing is recorded any more when it returns. Also when it was not started. */
#define QUIVER_TRACE_STOP	_IO('Q', 1)
#define QUIVER_TRACE_COUNT	_IOR('Q', 2, struct quiver_trace_counters)

#endif
