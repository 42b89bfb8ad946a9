/* SPDX-License-Identifier: BSD-3-Clause */
/* Names of Mach ports and IOKit objects: one table a process. */
#ifndef SIMMAC_IOKIT_PORT_H
#define SIMMAC_IOKIT_PORT_H

#include <pthread.h>
#include <stdbool.h>
#include <mach/mach.h>

enum simmac_port_kind {
	SIMMAC_PORT_QUEUE,	/* messages: fd receives, peer sends */
	SIMMAC_PORT_SERVICE,
	SIMMAC_PORT_ITERATOR,
	SIMMAC_PORT_CONNECT,	/* fd is the user client's connection */
	SIMMAC_PORT_NOTIFIER	/* the notices go on as long as its connection does */
};

/* Counted: a name that goes while a call uses it does not take it away from the call. */
struct simmac_port {
	enum simmac_port_kind kind;
	unsigned int users;
	mach_port_t name;
	int fd, peer;
	pthread_mutex_t lock;		/* one call at a time */
	uint64_t *ids;			/* registry entries: all, or the one */
	size_t count, next;
	bool stale;			/* an iterator that ended early */
	struct simmac_mapping *mappings;
};

/* A new name, or NULL. Takes over the ids and the descriptors. */
struct simmac_port *simmac_port_new(enum simmac_port_kind kind, int fd, int peer, uint64_t *ids,
				    size_t count);

/* NULL: no such name, or of another kind. */
struct simmac_port *simmac_port_get(mach_port_t name, enum simmac_port_kind kind);
void simmac_port_put(struct simmac_port *port);

/* Whether one of them is such. Called with the table locked: it looks at the port and no more. */
bool simmac_port_any(bool (*matches)(struct simmac_port *port, const void *context),
		     const void *context);

/* The name is gone and its sockets are shut: whoever waits on them returns. */
bool simmac_port_drop(mach_port_t name, enum simmac_port_kind kind);

#endif
