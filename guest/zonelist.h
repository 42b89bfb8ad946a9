/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef QUIVER_GUEST_ZONELIST_H
#define QUIVER_GUEST_ZONELIST_H

#include <linux/mmzone.h>

/* What was taken from the end of one node's list. */
struct quiver_kept_tail {
	unsigned int at, count;
	struct zoneref entry[MAX_NR_ZONES];
};

/* All zeros: none. */
struct quiver_kept_node {
	int node;
	struct quiver_kept_tail *tails;		/* by node */
};

/*
 * From now on nobody gets memory of the node who does not ask for it; to be
 * called again whenever the kernel may have built its lists anew. May sleep.
 * -EUCLEAN: a list is not as expected, and is left alone. -ENOMEM. The same node each time.
 */
int quiver_node_keep(struct quiver_kept_node *kept, int node);

/* All as it was. */
void quiver_node_release(struct quiver_kept_node *kept);

#endif
