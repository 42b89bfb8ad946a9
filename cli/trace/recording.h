/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * From the stream of quiver_trace.ko to a trace: an unmap has a DMA address, a
 * trace names it by what was mapped. Knows nothing of the device that it is
 * read from.
 */
#ifndef QUIVER_CLI_RECORDING_H
#define QUIVER_CLI_RECORDING_H

#include <stddef.h>
#include <stdint.h>
#include <zlib.h>

struct quiver_recording_counters {
	uint64_t maps, unmaps;		/* written; scatterlists too */
	uint64_t segments;		/* of the maps written */
	uint64_t unmaps_unknown;	/* of what was mapped before the start, or is lost */
	uint64_t unmaps_at_end;		/* of what was still mapped; part of unmaps */
	uint64_t empty;			/* maps of no byte at all: left out, as are their unmaps */
};

struct quiver_recording {
	struct quiver_recording_counters counters;
	gzFile file;
	uint64_t first_ns, us;
	uint64_t *words;		/* of a record that is not there whole yet */
	size_t word_count, word_room;
	struct quiver_recording_live *live;
};

/* Text that a .gz at the end of its path makes gzip. -errno; then there is nothing to finish. */
int quiver_recording_open(struct quiver_recording *recording, const char *path);

/*
 * More of the stream, cut wherever. -EPROTO: it is none; -EIO, -ENOSPC or the
 * like: the file cannot be written; -ENOMEM. After an error only
 * quiver_recording_finish() may be called.
 */
int quiver_recording_feed(struct quiver_recording *recording, const uint64_t *words, size_t count);

/*
 * Unmaps what is mapped, so that every map of the file has its unmap, and closes
 * it. -EPROTO: the stream ended in a record; errors of writing, as above. Frees
 * all but the counters in any case.
 */
int quiver_recording_finish(struct quiver_recording *recording);

#endif
