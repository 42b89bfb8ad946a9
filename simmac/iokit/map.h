/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef SIMMAC_IOKIT_MAP_H
#define SIMMAC_IOKIT_MAP_H

#include "port.h"

/* Unmaps what the user client behind port had mapped here, as its end does on a Mac. */
void simmac_mappings_free(struct simmac_port *port);

#endif
