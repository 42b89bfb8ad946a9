/* SPDX-License-Identifier: BSD-3-Clause */
/* Which granules of an aperture are taken. Not locked: the caller's business. */
#ifndef SIMMAC_SPACE_H
#define SIMMAC_SPACE_H

#include <stdbool.h>
#include <stdint.h>

#define SPACE_NONE	UINT64_MAX
#define SPACE_ORDERS	40

struct space {
	uint64_t *taken;		/* one bit a granule */
	uint64_t granules;
	/* No hole of 2^n granules or more starts below hint[n]. */
	uint64_t hint[SPACE_ORDERS];
	uint64_t random;		/* state; 0: first fit */
};

/* What a place must look like, in granules: see simmac_dart_config.skew. */
struct space_rule {
	uint64_t base;			/* number of the aperture's first granule */
	uint64_t boundary;
	uint64_t skew;			/* less than boundary */
};

int space_init(struct space *space, uint64_t granules, uint64_t seed);
void space_fini(struct space *space);

/* Takes count granules in a row; returns the first, SPACE_NONE if no hole fits. */
uint64_t space_take(struct space *space, uint64_t count, const struct space_rule *rule);
void space_give(struct space *space, uint64_t first, uint64_t count);

#endif
