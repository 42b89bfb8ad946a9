/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * quiver_trace.ko: records what drivers map for DMA, from the kernel's own dma
 * tracepoints. The kernel's ring buffer cannot do that: an event of it fits in a
 * page and has the first 128 segments of a scatterlist.
 */
#ifndef QUIVER_TRACE_H
#define QUIVER_TRACE_H

#include <linux/atomic.h>
#include <linux/types.h>

#include "quiver/trace_stream.h"
#include "ring.h"

struct device;

/* The one recording that there may be at a time. */
struct quiver_trace_recording {
	struct quiver_trace_ring ring;
	u64 device;			/* or QUIVER_TRACE_ALL */
	bool running;			/* all probes are in place */
	atomic64_t maps, unmaps, segments;
	atomic64_t lost_maps, lost_unmaps, lost_segments;
	atomic64_t failed, coherent, mmio;
};

/*
 * probes.c: from start to stop, what happens goes to the recording. Both may
 * sleep; callers serialise. -EOPNOTSUPP: this kernel has no such tracepoints;
 * -ENOMEM. No probe runs any more when stop returns.
 */
int quiver_trace_probes_start(struct quiver_trace_recording *recording);
void quiver_trace_probes_stop(struct quiver_trace_recording *recording);

#endif
