/* SPDX-License-Identifier: BSD-3-Clause */
/* One round trip to the simulated Mac. */
#ifndef SIMMAC_IOKIT_CALL_H
#define SIMMAC_IOKIT_CALL_H

#include <IOKit/IOTypes.h>

#include "port.h"
#include "rpc.h"

struct simmac_call {
	struct simmac_rpc_request *request;
	const uint64_t *scalars;	/* request->scalars of them */
	const void *bytes;		/* request->struct_size */
	uint64_t *scalars_out;		/* room for request->scalars_max */
	void *bytes_out;		/* and struct_max */
	int pass;			/* a file to send along, or -1 */
	int take;			/* the file that came with the reply, or -1 */
	struct simmac_rpc_reply reply;
};

/* A new connection; a negative errno. */
int simmac_call_connect(void);

/*
 * The daemon's answer, or MACH_SEND_INVALID_DEST when it is gone. Takes the
 * port's lock.
 */
kern_return_t simmac_call_run(struct simmac_port *port, struct simmac_call *call);

/* Whether this use of a call that needs no Mac is to fail. Not if there is none. */
bool simmac_call_fails(const char *name);

#endif
