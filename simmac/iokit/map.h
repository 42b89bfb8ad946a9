/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef SIMMAC_IOKIT_MAP_H
#define SIMMAC_IOKIT_MAP_H

#include "port.h"

/* Whether any of it is in a mapping of a BAR. Any thread. */
bool simmac_mapping_is_device(const void *address, size_t size);

/* Unmaps what the user client behind port had mapped here, as its end does on a Mac. */
void simmac_mappings_free(struct simmac_port *port);

#endif
