/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * By which reset a device is brought back to where it began. The only list of
 * those that do not survive one: the dext resets by it, and who explains devices
 * reads it.
 */
#ifndef QUIVER_CORE_RESET_H
#define QUIVER_CORE_RESET_H

#include "quiver/types.h"

enum quiver_reset_method {
	QUIVER_RESET_FUNCTION,		/* FLR */
	QUIVER_RESET_HOT,		/* of the bus that it is on */
	QUIVER_RESET_NONE		/* it is stopped, and keeps what it has */
};

struct quiver_reset_entry {
	uint16_t vendor, device, mask;	/* device: where mask has ones */
	/*
	 * HOT: never FLR. FUNCTION: never hot, so nothing if it has no FLR.
	 * NONE: neither.
	 */
	enum quiver_reset_method method;
	/* A row of docs/facts.rst, or "Linux": drivers/pci/quirks.c. */
	const char *source;
};

/* NULL: nothing is known against either. */
static inline const struct quiver_reset_entry *quiver_reset_find(uint16_t vendor, uint16_t device)
{
	static const struct quiver_reset_entry table[] = {
		/* GB202 */
		{ 0x10de, 0x2b85, 0xffff, QUIVER_RESET_HOT, "H8" },
		{ 0x10de, 0x2b87, 0xffff, QUIVER_RESET_HOT, "H8" },
		{ 0x10de, 0x2b8c, 0xffff, QUIVER_RESET_HOT, "H8" },

		/* FLR hangs: AMD Starship and Matisse, FCH; Intel 82579; MediaTek MT7922 */
		{ 0x1022, 0x1486, 0xffff, QUIVER_RESET_HOT, "Linux" },
		{ 0x1022, 0x1487, 0xffff, QUIVER_RESET_HOT, "Linux" },
		{ 0x1022, 0x148c, 0xffff, QUIVER_RESET_HOT, "Linux" },
		{ 0x1022, 0x149c, 0xffff, QUIVER_RESET_HOT, "Linux" },
		{ 0x1022, 0x7901, 0xffff, QUIVER_RESET_HOT, "Linux" },
		{ 0x8086, 0x1502, 0xffff, QUIVER_RESET_HOT, "Linux" },
		{ 0x8086, 0x1503, 0xffff, QUIVER_RESET_HOT, "Linux" },
		{ 0x14c3, 0x0616, 0xffff, QUIVER_RESET_HOT, "Linux" },

		/* Off the bus after a hot reset: NVIDIA T4, GH100 on SXM; TI KeyStone; Atheros */
		{ 0x10de, 0x1eb8, 0xffff, QUIVER_RESET_FUNCTION, "Linux" },
		{ 0x10de, 0x2340, 0xffc0, QUIVER_RESET_FUNCTION, "Linux" },
		{ 0x104c, 0xb005, 0xffff, QUIVER_RESET_FUNCTION, "Linux" },
		{ 0x168c, 0x0030, 0xffff, QUIVER_RESET_FUNCTION, "Linux" },
		{ 0x168c, 0x0032, 0xfffe, QUIVER_RESET_FUNCTION, "Linux" },
		{ 0x168c, 0x0034, 0xffff, QUIVER_RESET_FUNCTION, "Linux" },
		{ 0x168c, 0x003c, 0xffff, QUIVER_RESET_FUNCTION, "Linux" },
		{ 0x168c, 0x003e, 0xffff, QUIVER_RESET_FUNCTION, "Linux" },
	};
	size_t i;

	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		if (table[i].vendor == vendor && table[i].device == (device & table[i].mask))
			return &table[i];
	}
	return NULL;
}

/* FLR if the device has it and lives through it, else a hot reset, else none. */
static inline enum quiver_reset_method quiver_reset_choose(uint16_t vendor, uint16_t device,
							   bool has_flr)
{
	const struct quiver_reset_entry *entry = quiver_reset_find(vendor, device);

	if (!entry)
		return has_flr ? QUIVER_RESET_FUNCTION : QUIVER_RESET_HOT;
	if (entry->method == QUIVER_RESET_FUNCTION && !has_flr)
		return QUIVER_RESET_NONE;
	return entry->method;
}

/* Whether the device comes back from a reset of its bus, as far as is known. */
static inline bool quiver_reset_hot_is_survived(uint16_t vendor, uint16_t device)
{
	const struct quiver_reset_entry *entry = quiver_reset_find(vendor, device);

	return !entry || entry->method == QUIVER_RESET_HOT;
}

/* Whether a function-level reset takes the device off the bus [H8]. */
static inline bool quiver_reset_flr_is_fatal(uint16_t vendor, uint16_t device)
{
	const struct quiver_reset_entry *entry = quiver_reset_find(vendor, device);

	return entry && entry->method != QUIVER_RESET_FUNCTION;
}

#endif
