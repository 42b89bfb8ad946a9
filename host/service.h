/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef QUIVER_HOST_SERVICE_H
#define QUIVER_HOST_SERVICE_H

#include "device.h"
#include "entries.h"

/* All services of the dext; the caller frees them. -ENOENT: none. */
int quiver_services(struct quiver_entries *services);

/* -EPROTO: another ABI version. */
int quiver_service_identify(io_connect_t connect, struct quiver_dext_identity *identity);

#endif
