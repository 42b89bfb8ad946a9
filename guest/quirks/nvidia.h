/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the quirks of NVIDIA's modules share: their versions; and large pages of the GPU's,
 * which are right in the aperture alone.
 */
#ifndef QUIVER_GUEST_QUIRKS_NVIDIA_H
#define QUIVER_GUEST_QUIRKS_NVIDIA_H

#include <linux/types.h>

struct quiver_nvidia_version {
	unsigned int major, minor, patch;
};

/* As 575.51.02, or 580.142, and nothing after it. NULL: there is none. */
bool quiver_nvidia_version(const char *text, struct quiver_nvidia_version *version);
bool quiver_nvidia_is_before(const struct quiver_nvidia_version *version, unsigned int major,
			     unsigned int minor, unsigned int patch);

/*
 * nvidia_memory.c: whether what the resource manager, or UVM as managed memory, is given in
 * more than a page is the aperture's or nothing, if that is asked of it, and GPU pages of that size
 * are right there. Any context.
 */
bool quiver_nvidia_rm_takes_large(u64 bytes);
bool quiver_nvidia_uvm_takes_large(void);

/*
 * From begin to end, it is asked of what the resource manager allocates in this task. Any context.
 * False: too many tasks are at it. They do not nest.
 */
bool quiver_nvidia_strict_begin(void);
void quiver_nvidia_strict_end(void);
bool quiver_nvidia_is_strict(void);

#endif
