/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What goes between libsimmac-iokit and simmacd: one packet there, one back, on
 * a SOCK_SEQPACKET socket. A connection on which OPEN succeeded is a user client
 * until it closes. Host byte order: both ends are of one build.
 */
#ifndef SIMMAC_IOKIT_RPC_H
#define SIMMAC_IOKIT_RPC_H

#include <stdint.h>

#define SIMMAC_RPC_STRUCT_MAX	4096
#define SIMMAC_RPC_SCALARS_MAX	16
#define SIMMAC_RPC_REFERENCE_MAX 8

enum simmac_rpc_op {
	SIMMAC_RPC_MATCH,	/* selector: by what; struct: a name; reply struct: entry ids */
	SIMMAC_RPC_OPEN,	/* argument: entry id; selector: type */
	SIMMAC_RPC_METHOD,
	SIMMAC_RPC_ASYNC_METHOD, /* carries the sending end of a port, and a reference */
	SIMMAC_RPC_MAP,		/* selector: type; the reply carries a file */
	SIMMAC_RPC_UNMAP,	/* selector: type */
	SIMMAC_RPC_CONTROL,	/* struct: a command; the reply carries a file with the answer */
	SIMMAC_RPC_PARENT,	/* argument: entry id; reply struct: its parent's, if it has one */
	SIMMAC_RPC_CHILDREN,	/* argument: entry id; reply struct: entry ids */
	SIMMAC_RPC_NAME,	/* argument: entry id; reply struct: a name */
	SIMMAC_RPC_CLASS,	/* argument: entry id; reply struct: a name */
	SIMMAC_RPC_PROPERTY,	/* argument: entry id; selector: kIORegistryIterate...; struct: a key */
	SIMMAC_RPC_SYSCTL,	/* struct: a name; the reply as PROPERTY's: a value */
	SIMMAC_RPC_HYPERVISOR,	/* struct: a call's name; fails if it is to fail */
	SIMMAC_RPC_TOUCHED,	/* argument: a guest's address; struct: how. No reply [H1] */
	SIMMAC_RPC_FAILS,	/* struct: a call's name; fails if it is to fail */
	SIMMAC_RPC_ASSERT,	/* selector: level; struct: type, 0, name; the reply's argument: an id */
	SIMMAC_RPC_UNASSERT,	/* all that the connection has; so does closing it */
	SIMMAC_RPC_LISTEN,	/* carries a port and a reference; until the connection closes */
	SIMMAC_RPC_ALLOW	/* argument: what came with a notice */
};

enum simmac_rpc_match {
	SIMMAC_RPC_BY_NAME,
	SIMMAC_RPC_BY_CLASS
};

/* Beside kIOMapReadOnly in the reply's options of MAP: a BAR. */
#define SIMMAC_RPC_MAP_DEVICE	(1u << 0)

/* In the reply's options of MATCH and CHILDREN: the registry changed meanwhile. */
#define SIMMAC_RPC_CHANGED	(1u << 0)

/* A value: its type in the reply's options, its bytes in its struct. */
enum simmac_rpc_type {
	SIMMAC_RPC_NUMBER,	/* int64_t */
	SIMMAC_RPC_BOOLEAN,	/* one byte */
	SIMMAC_RPC_DATA,
	SIMMAC_RPC_STRING	/* with no zero at its end */
};

struct simmac_rpc_request {
	uint32_t op;
	uint32_t selector;
	uint64_t argument;
	uint32_t scalars, struct_size;		/* that follow, in this order */
	uint32_t scalars_max, struct_max;	/* of the reply */
	uint64_t reference[SIMMAC_RPC_REFERENCE_MAX];
};

struct simmac_rpc_reply {
	int32_t result;				/* kern_return_t */
	uint32_t options;			/* MAP: kIOMapReadOnly; PROPERTY: a type */
	uint64_t argument;			/* MAP: length */
	uint32_t scalars, struct_size;
};

#define SIMMAC_RPC_PACKET_MAX \
	(sizeof(struct simmac_rpc_request) + 8 * SIMMAC_RPC_SCALARS_MAX + SIMMAC_RPC_STRUCT_MAX)

#endif
