/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Replays a trace through the guest's own window code, as quiver.ko does on one
 * CPU, against the host's own budget and a model of DART: what it would cost,
 * and whether it fits.
 */
#ifndef QUIVER_CLI_REPLAY_H
#define QUIVER_CLI_REPLAY_H

#include "cli/trace/plot.h"
#include "cli/trace/trace.h"
#include "core/window.h"

struct quiver_replay_config {
	const struct quiver_policy *policy;
	uint64_t limit_bytes, limit_mappings;	/* of DART; the reserve is part of them */
	bool strict;
};

#define QUIVER_REPLAY_BYTES_MAX (UINT64_C(1) << 40)

struct quiver_replay_result {
	uint64_t segments;		/* that the driver asked for */
	uint64_t failed_segments;	/* of scatterlists that were refused */
	uint64_t map_calls, unmap_calls;	/* entries that the host was sent */
	uint64_t exits;			/* doorbells */
	uint64_t peak_live_bytes;	/* distinct pages of DART under live segments */
	uint64_t peak_used_bytes;	/* windows with a live user */
	uint64_t peak_bytes, peak_mappings;	/* all windows */
	/* Used by live bytes, at its worst while more than half the limit was used; 0: never. */
	double worst_used_ratio;
	uint64_t later_failed_segments;	/* quiver_replay_note_later() */
	struct quiver_plot_sample *samples;	/* one an operation, or NULL */
	size_t sample_count;
};

struct quiver_replay;

/*
 * NULL: memory is out. samples: one for each operation is kept. The model of DART
 * gives addresses by first fit, so that they fragment [D11].
 */
struct quiver_replay *quiver_replay_new(const struct quiver_replay_config *config, bool samples);
void quiver_replay_free(struct quiver_replay *replay);

/* Replays one more trace in the same space; what it leaves mapped is unmapped. */
void quiver_replay_run(struct quiver_replay *replay, const struct quiver_trace *trace);

/* Counts segments that failed in a later run of a trace, but not in its first. */
void quiver_replay_note_later(struct quiver_replay *replay, uint64_t segments);

/* What all runs so far came to. Its samples stay the replay's. */
struct quiver_replay_result quiver_replay_result(const struct quiver_replay *replay);

#endif
