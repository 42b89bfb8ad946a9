/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A drawing of what policies do with a trace, as SVG: a column a policy, bytes
 * above and mappings below, over the trace's time, all at the same scale.
 */
#ifndef QUIVER_CLI_PLOT_H
#define QUIVER_CLI_PLOT_H

#include <stddef.h>
#include <stdint.h>

/* How things stood from us on, until the next sample. */
struct quiver_plot_sample {
	uint64_t us;			/* not before the previous sample's */
	uint64_t live_bytes;		/* distinct pages of the DART under live segments */
	uint64_t used_bytes;		/* windows with a live user */
	uint64_t mapped_bytes;		/* all windows */
	uint64_t mappings;
};

struct quiver_plot_series {
	const char *name;		/* of the policy */
	const struct quiver_plot_sample *samples;
	size_t count;			/* not 0 */
};

struct quiver_plot {
	const char *title;
	uint64_t limit_bytes, limit_mappings;	/* drawn as lines; 0: there is none */
	const struct quiver_plot_series *series;
	size_t count;			/* not 0 */
};

/*
 * Draws with gnuplot(1). What is drawn depends on *plot alone. Where samples lie
 * closer than the picture can show, the highest of each value is drawn.
 * QUIVER_EXIT_OK, or QUIVER_EXIT_SETUP when it has said why not: no gnuplot, or
 * a file that cannot be written. Then there is no file of that name, unless there
 * was one before.
 */
int quiver_plot_svg(const char *path, const struct quiver_plot *plot);

#endif
