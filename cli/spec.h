/* SPDX-License-Identifier: BSD-3-Clause */
/* A device as a user names it, and what is said of it: NAME[,thunderbolt=3|4|5]. */
#ifndef QUIVER_CLI_SPEC_H
#define QUIVER_CLI_SPEC_H

#include <stdbool.h>

struct quiver_spec {
	char *name;			/* an id or VVVV:DDDD, if it is any good */
	unsigned int thunderbolt;	/* generation of the link; 0: nothing was said */
};

/* False if what is behind the name makes no sense; else the caller frees the name. */
bool quiver_spec_parse(const char *text, struct quiver_spec *spec);

#endif
