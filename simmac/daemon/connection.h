/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef SIMMAC_DAEMON_CONNECTION_H
#define SIMMAC_DAEMON_CONNECTION_H

#include "machine.h"

/*
 * Serves what comes on fd from process pid, until that closes it, dies, or
 * sends what is no request. Its user client is stopped then.
 */
void run_connection(struct machine &machine, int fd, pid_t pid);

#endif
