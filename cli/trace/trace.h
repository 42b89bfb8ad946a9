/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * DMA traces: what a driver mapped and unmapped, in order, as gzip or plain
 * text, one operation a line, times in microseconds since the first:
 *
 *	<us> m <addr> <len>			one range is mapped (hex)
 *	<us> u <addr> <len>			and unmapped
 *	<us> M <addr>+<len> <addr>+<len> ...	a scatterlist is mapped (hex)
 *	<us> U <addr>				and unmapped, named by its first address
 *
 * Empty lines and those that begin with # are comments. The same range or
 * scatterlist may be mapped more than once; an unmap ends the latest.
 */
#ifndef QUIVER_CLI_TRACE_H
#define QUIVER_CLI_TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct quiver_trace_segment {
	uint64_t address;		/* guest physical */
	uint64_t length;		/* bytes, not 0; the range does not wrap */
};

struct quiver_trace_op {
	uint64_t us;
	bool map;
	bool list;			/* a scatterlist, not a single range */
	size_t first, count;		/* of segments[]; an unmap has those of its map */
	size_t mate;			/* index of the other op; SIZE_MAX: a map that is never undone */
};

struct quiver_trace {
	char *name;			/* the file's name, without folder, .gz and .trace */
	struct quiver_trace_op *ops;
	size_t op_count;
	struct quiver_trace_segment *segments;	/* of all maps, in order */
	size_t segment_count;
};

/*
 * Reads a file. -errno of opening or reading it; -EIO: damaged or cut short as
 * gzip; -EINVAL: not a trace, with *line the first wrong line (an unmap of what
 * is not mapped included), else 0; -ENOMEM. On an error *trace is empty.
 */
int quiver_trace_load(const char *path, struct quiver_trace *trace, size_t *line);
void quiver_trace_free(struct quiver_trace *trace);

#endif
