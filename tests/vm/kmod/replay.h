/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * quiver_replay.ko: is the driver of the endpoint, maps and unmaps as a trace or
 * a generated sequence says, on memory whose layout is the trace's own, and has
 * the device read and write each segment through its bus address.
 */
#ifndef QUIVER_REPLAY_H
#define QUIVER_REPLAY_H

#include <linux/pci.h>
#include <linux/prandom.h>
#include <linux/scatterlist.h>

#include "tests/sequence/sequence.h"

/* Where the operations come from; both kinds end with nothing mapped. */
struct replay_source {
	void *context;
	/* False: no more. The op's segments are valid until the next call. */
	bool (*next)(void *context, struct quiver_sequence_op *op);
	/* The map just made was refused; its unmap will not come. NULL: refusals are errors. */
	void (*refused)(void *context, u32 map);
	u64 ram;		/* bytes that its segments lie in */
	u32 maps;		/* its map numbers are below this */
	u64 segments;		/* of all its maps; 0: nobody knows */
};

/* How much is looked at; see the module's parameters. */
struct replay_checks {
	u32 writes;		/* in 256 of the segments that are mapped */
	u32 spots;		/* live segments at random, after each operation */
	u32 sweep;		/* operations between looks at all that is live; 0: none */
};

struct replay_counts {
	u64 ops, maps, lists, unmaps;
	u64 segments, bytes;			/* mapped */
	u64 live_segments, live_bytes, peak_segments, peak_bytes;
	u64 seen_segments, seen_bytes;		/* of those: read by the device when mapped */
	u64 reads, read_bytes;			/* by the device, again ones too */
	u64 writes, write_bytes;		/* by the device, checked by the CPU */
	u64 sweeps;
	u64 page_bytes, peak_page_bytes;	/* of the 16 KiB pages that are live */
	u64 refused;
	u64 least_refused;			/* page bytes with it, of any that was */
};

/* One entry of a table for dma_map_page() too, so that all look alike. */
struct replay_map {
	struct sg_table table;
	bool live, list;
};

struct replay {
	struct pci_dev *pdev;
	void __iomem *regs;
	phys_addr_t base;		/* of the reserved memory */
	u64 size;
	const struct replay_source *source;
	struct replay_checks checks;
	struct replay_map *maps;
	u32 *page_users;
	struct rnd_state random;
	struct replay_counts counts;
};

/*
 * replay_run.c: all of the source. 0, or the first error: -EILSEQ a promise
 * broken, or the device saw something else than the CPU; -ENOSPC a refusal that
 * should not be; -EBUSY a refusal or the end left something behind; -EAGAIN idle
 * windows caused a refusal; -ENODATA not all was looked at; -EINVAL a source that
 * makes no sense; -ETIMEDOUT the device does not answer; -ENOMEM. What is mapped
 * is unmapped in any case.
 */
int replay_run(struct replay *replay);

/*
 * replay_device.c: of one mapped entry. -EILSEQ: the device and the CPU do not
 * see the same bytes; logged. -ETIMEDOUT.
 */
int replay_device_reads(struct replay *replay, struct scatterlist *sg);
int replay_device_writes(struct replay *replay, struct scatterlist *sg);
/* Whether the device notices a wrong sum; -EILSEQ if not: its word is worth nothing. */
int replay_device_objects(struct replay *replay, struct scatterlist *sg);
/* Content that no other place or time has. */
void replay_fill(struct scatterlist *sg, u64 position);

/*
 * replay_pages.c: counts.page_bytes with and without a map. init wants base and
 * size; -ENOMEM.
 */
int replay_pages_init(struct replay *replay);
void replay_pages_exit(struct replay *replay);
void replay_pages_add(struct replay *replay, struct replay_map *map);
void replay_pages_remove(struct replay *replay, struct replay_map *map);

/*
 * replay_trace.c: a file as tests/vm/place-trace writes it. -EINVAL: it is not
 * one; the errors of kernel_read_file().
 */
int replay_trace_open(struct replay_source *source, const char *path);
void replay_trace_close(struct replay_source *source);

#endif
