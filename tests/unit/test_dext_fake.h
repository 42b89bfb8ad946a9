/* SPDX-License-Identifier: BSD-3-Clause */
/* dext/core over ops that are made up: one device, as bad as a test wants it. */
#ifndef TEST_DEXT_FAKE_H
#define TEST_DEXT_FAKE_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "dext/core/dext.h"

#define GRANULE		QUIVER_DART_GRANULE
#define MASTER		0x4u
#define DEVSTA		0x4a
#define PENDING		0x20u

/* What the device does, and a log of what was done to it. */
extern struct fake {
	uint8_t config[4096];
	bool silent;			/* reads all ones, and hears nothing */
	bool retries;			/* its id reads 0xffff0001 [H8] */
	bool keeps_mastering;		/* does not let bus mastering go */
	bool restores_mastering;	/* a reset turns it on again */
	bool strict;			/* no mapping may be released under mastering, but by its client */
	uint64_t pending_until;		/* its transactions are, by the clock or until a reset */
	bool stays_pending;		/* through a reset as well */
	unsigned int silent_after;	/* from the nth read from here on */
	unsigned int fail_read;		/* the nth from here fails, which tells by ones */
	bool dies_of_reset;
	bool unplugged;			/* and that is known; silent as well */
	uint64_t pulled_at;		/* when it becomes so: what the clock says, not 0 */
	unsigned int answers_after;	/* polls that a reset takes */
	int reset_result[2];		/* by method */
	struct quiver_dext_grant next;	/* of map, when segments is not 0 */
	int map_result, unmap_result;
	uint64_t next_iova, clock;
	unsigned int mapped, allocated, fail_allocation;
	unsigned int reads, writes;
	char log[256];
} fake;

extern const int client_a, client_b;
extern const struct quiver_dext_ops fake_ops;
extern const struct quiver_dext_limits fake_limits;	/* none of its own */

/* Of cmocka: a GPU with FLR and MSI. */
int fake_set_up(void **state);
void fake_put32(unsigned int offset, uint32_t value);

struct quiver_dext *fake_new(void);
struct quiver_dext *fake_new_claimed(void);	/* by client_a */
/* Its page is nobody's. */
void fake_release(struct quiver_dext *dext, const void *client);
/* Nothing may be left mapped or allocated. */
void fake_delete(struct quiver_dext *dext);

uint32_t fake_state(const struct quiver_dext *dext);
/* What it says of itself, and that it is true of mappings. */
void fake_expect(const struct quiver_dext *dext, enum quiver_dext_state state,
		 enum quiver_dext_cause cause, uint32_t mappings);
/* One entry of client_a's; its status. iova may be NULL. */
uint32_t fake_map(struct quiver_dext *dext, uint64_t granules, uint64_t *iova);
uint32_t fake_map_staying(struct quiver_dext *dext, uint64_t granules, uint64_t *iova);
uint32_t fake_unmap(struct quiver_dext *dext, uint64_t granules, uint64_t iova);
void fake_make_live(struct quiver_dext *dext);

/*
 * What was done since the last look, a letter each: M and m, bus mastering on
 * and off; p and c, a mapping made and released; f and h, FLR and hot reset; I
 * and i, interrupts on and off.
 */
void fake_expect_log(const char *log);

#endif
