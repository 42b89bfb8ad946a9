/* SPDX-License-Identifier: BSD-3-Clause */
/* The devices that the dext serves, and how a user names them. */
#ifndef QUIVER_CLI_DEVICES_H
#define QUIVER_CLI_DEVICES_H

#include "cli.h"
#include "quiver/host.h"

struct quiver_devices {
	struct quiver_device_info *info;
	unsigned int *thunderbolt;	/* of each: its link's generation, 0: not known; NULL: of none */
	size_t count;
};

/* Says what is wrong and returns an enum quiver_exit. */
int quiver_devices_load(struct quiver_devices *devices);
void quiver_devices_free(struct quiver_devices *devices);

const char *quiver_device_state(const struct quiver_device_info *info);

/* Why it cannot be claimed by a new VM, or NULL if it can. */
const char *quiver_device_obstacle(const struct quiver_device_info *info);

/* "01:00.0"; size is at least 12. */
const char *quiver_device_address(const struct quiver_device_info *info, char *text, size_t size);

/*
 * Keeps those that the specs name, in that order: an id, or VVVV:DDDD, which
 * takes the first that is claimable and not yet taken; all that are claimable
 * without specs. The specs are ones that quiver_spec_parse() takes; where one says
 * nothing of the link, what the Mac knows of it holds [H13]. Says what is wrong,
 * with who has a device as far as that is known, and returns an enum quiver_exit.
 */
int quiver_devices_select(struct quiver_devices *devices, const struct quiver_words *specs);

#endif
