/* SPDX-License-Identifier: BSD-3-Clause */
/* What the files of libquiver that ask the Mac have of each other. */
#ifndef QUIVER_HOST_MAC_H
#define QUIVER_HOST_MAC_H

#include "quiver/mac.h"

/* More than can be plugged into a Mac: a port takes a chain of six, and there are six ports. */
#define QUIVER_HOST_ENCLOSURES_MAX 36

struct quiver_host_enclosure {
	struct quiver_mac_enclosure enclosure;
	uint64_t bridge;		/* registry entry id: what is behind it is behind this; 0: none */
};

/* At most max are written; returns how many there are. -EIO: no IOKit. */
int quiver_host_enclosures(struct quiver_host_enclosure *found, size_t max);

#endif
