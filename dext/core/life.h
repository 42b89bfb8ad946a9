/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The states of a device and what takes it from one to another: one table, no
 * memory of its own, no side effects. docs/life.rst has it in words.
 */
#ifndef QUIVER_DEXT_CORE_LIFE_H
#define QUIVER_DEXT_CORE_LIFE_H

#include "quiver/dext_abi.h"

enum quiver_life_event {
	QUIVER_LIFE_CLAIM,	/* a client takes it */
	QUIVER_LIFE_MASTER,	/* it is told to master the bus */
	QUIVER_LIFE_QUIESCE,	/* the way out begins */
	QUIVER_LIFE_SAFE,	/* the way out has ended well, and the claim goes on */
	QUIVER_LIFE_CLOSE,	/* the way out has ended well, and nobody claims it */
	QUIVER_LIFE_LOSE,	/* it has ended, and nobody can use the device */
	QUIVER_LIFE_RETURN	/* what took it away is over */
};

#define QUIVER_LIFE_STATES	(QUIVER_DEXT_GONE + 1)
#define QUIVER_LIFE_EVENTS	(QUIVER_LIFE_RETURN + 1)

/* False: there is no such way, and *state stays as it is. */
bool quiver_life_next(enum quiver_dext_state *state, enum quiver_life_event event);

#endif
