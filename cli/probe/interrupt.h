/* SPDX-License-Identifier: BSD-3-Clause */
/* How a device is made to interrupt by its registers, and told that it was heard. */
#ifndef QUIVER_CLI_PROBE_INTERRUPT_H
#define QUIVER_CLI_PROBE_INTERRUPT_H

#include "probe.h"

struct quiver_probe_source {
	const char *name;
	/* Why it cannot be, though it can of others of its kind; NULL: it can. */
	const char *(*obstacle)(const struct quiver_probe_bar *bar);
	bool (*begin)(const struct quiver_probe_bar *bar, uint32_t type);
	void (*raise)(const struct quiver_probe_bar *bar, uint32_t type);
	/* False: the device does not take it back. */
	bool (*acknowledge)(const struct quiver_probe_bar *bar);
	void (*end)(const struct quiver_probe_bar *bar);
};

/* NULL: there is no safe way. */
const struct quiver_probe_source *quiver_probe_source(const struct quiver_probe_kind *kind);

#endif
