/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef QUIVER_GUEST_APERTURE_H
#define QUIVER_GUEST_APERTURE_H

#include <linux/gfp.h>
#include <linux/types.h>

/* Of the aperture's memory, once there is one; else NUMA_NO_NODE. */
int quiver_aperture_node(void);

/*
 * Pages of it, or NULL: it has none in one piece, or has not come online. Without
 * trying hard, for there is other memory: nobody is moved or killed for it. Any context.
 */
struct page *quiver_aperture_pages(gfp_t gfp, unsigned int order);

/*
 * Whether large pages of a GPU's, of up to 2 MiB, are what they seem in the aperture, for each
 * attached display controller of this vendor, and it has twice the room for so many bytes of
 * them. Any context.
 */
bool quiver_aperture_takes_large(u16 vendor, u64 bytes);

#endif
