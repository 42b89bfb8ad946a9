/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How a VM is stopped, each step only if the one before was not enough:
 *
 *   1. The guest is asked to shut down, so that the device's own driver stops
 *      the device.
 *   2. QEMU is told to end, by QMP and by SIGTERM: at a terminal it is deaf to the
 *      one, and the other may not be answered. The dext stops the device mastering the bus, resets
 *      it, and then releases what was mapped [D8].
 *   3. QEMU is killed. The dext does the same when it sees that its client died.
 *
 * A signal begins the first step, and later ones each begin the next.
 */
#ifndef QUIVER_CLI_RUN_STOP_H
#define QUIVER_CLI_RUN_STOP_H

#include "process.h"
#include "run/qmp.h"
#include "sim.h"

enum quiver_stop_step {
	QUIVER_STOP_NOT,		/* it runs */
	QUIVER_STOP_ASKING,		/* QMP is being talked to */
	QUIVER_STOP_ASKED,		/* the guest shuts down, or does not care */
	QUIVER_STOP_ENDING,
	QUIVER_STOP_KILLED
};

struct quiver_stop {
	const char *socket;		/* QEMU's, for QMP; NULL: there is none */
	unsigned int grace;		/* seconds that the guest has; 0: it is not asked */
	enum quiver_stop_step step;
	int signal;			/* the first one, or 0 */
	double signalled, since;	/* when the last that counted came; when the step began */
	struct quiver_qmp qmp;
	int quit;			/* the connection by which QEMU was told to; -1: not yet */
};

/*
 * Until QEMU has ended; its status is then taken. Signals must be blocked. Of
 * stop the caller sets socket and grace; the rest is 0.
 */
void quiver_stop_wait(struct quiver_stop *stop, struct quiver_child *qemu, struct quiver_sim *sim);

/* "guest", "qemu" or "kill": which step it took; NULL: none. */
const char *quiver_stop_name(const struct quiver_stop *stop);

#endif
