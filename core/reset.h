/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * Devices that do not survive the reset which PCI Express offers first. The only
 * list of them: the dext resets by it, and who explains devices reads it.
 */
#ifndef QUIVER_CORE_RESET_H
#define QUIVER_CORE_RESET_H

#include "core/os.h"

/* Whether a function-level reset takes the device off the bus for good [H8]. */
static inline bool quiver_reset_flr_is_fatal(uint16_t vendor, uint16_t device)
{
	static const struct {
		uint16_t vendor, device;
	} victims[] = {
		/* GB202 */
		{ 0x10de, 0x2b85 },
		{ 0x10de, 0x2b87 },
		{ 0x10de, 0x2b8c },
	};
	size_t i;

	for (i = 0; i < sizeof(victims) / sizeof(victims[0]); i++) {
		if (victims[i].vendor == vendor && victims[i].device == device)
			return true;
	}
	return false;
}

#endif
