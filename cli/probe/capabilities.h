/* SPDX-License-Identifier: BSD-3-Clause */
/* The capabilities in a copy of config space, whatever is in it. Pure. */
#ifndef QUIVER_CLI_PROBE_CAPABILITIES_H
#define QUIVER_CLI_PROBE_CAPABILITIES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define QUIVER_PROBE_CONFIG_SIZE	4096u

/* Room for lists that are as long as they can be. */
#define QUIVER_PROBE_CAPABILITIES	48u		/* of 0x40..0xff, four bytes each */
#define QUIVER_PROBE_EXTENDED		960u		/* of 0x100..0xfff */

struct quiver_probe_capability {
	uint16_t id, offset;
};

struct quiver_probe_list {
	struct quiver_probe_capability at[QUIVER_PROBE_EXTENDED];
	size_t count;
	const char *fault;		/* what is wrong with the list, or NULL */
	uint16_t fault_at;		/* the register that is */
};

/*
 * Walks the list. One that loops, leaves its room, or points at nothing ends
 * there, with its fault; what was found before is good.
 */
void quiver_probe_capabilities_walk(const uint8_t config[QUIVER_PROBE_CONFIG_SIZE],
				    struct quiver_probe_list *list);
void quiver_probe_extended_walk(const uint8_t config[QUIVER_PROBE_CONFIG_SIZE],
				struct quiver_probe_list *list);

/* Its offset, or 0. */
unsigned int quiver_probe_capability_find(const struct quiver_probe_list *list, unsigned int id);

/*
 * A PCI Express capability that no list leads to [H11]: its offset, or 0. Only
 * what can be nothing else is taken for one.
 */
unsigned int quiver_probe_hidden_pcie(const uint8_t config[QUIVER_PROBE_CONFIG_SIZE],
			       const struct quiver_probe_list *list);

struct quiver_probe_link {
	unsigned int speed, width;	/* as it is: 3 is 8 GT/s; 0: not known */
	unsigned int speed_max, width_max;
};

/* From the PCI Express capability at that offset. */
struct quiver_probe_link quiver_probe_link_read(const uint8_t config[QUIVER_PROBE_CONFIG_SIZE],
						unsigned int pcie);

uint16_t quiver_probe_get16(const uint8_t *config, unsigned int offset);
uint32_t quiver_probe_get32(const uint8_t *config, unsigned int offset);

#endif
