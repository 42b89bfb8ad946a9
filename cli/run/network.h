/* SPDX-License-Identifier: BSD-3-Clause */
/* Ports of this machine that the guest is reached by: of 127.0.0.1 only. */
#ifndef QUIVER_CLI_RUN_NETWORK_H
#define QUIVER_CLI_RUN_NETWORK_H

#include <stdbool.h>
#include <stdint.h>

/*
 * 0 if QEMU can have the port, as far as can be seen: somebody may take it
 * before QEMU does. -EADDRINUSE: somebody has it; others are bind()'s, as
 * -EACCES for a port that is not for everybody.
 */
int quiver_port_check(uint16_t port);

/*
 * The first that is free from there on, of a hundred, and not to be passed
 * over; else any; 0: there is none.
 */
uint16_t quiver_port_find(uint16_t first, bool (*pass)(uint16_t port, const void *context),
			  const void *context);

#endif
