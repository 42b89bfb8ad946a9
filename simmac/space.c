// SPDX-License-Identifier: BSD-3-Clause
#include <errno.h>
#include <stdlib.h>

#include "space.h"

#define WORD 64u

int space_init(struct space *space, uint64_t granules, uint64_t seed)
{
	*space = (struct space){ .granules = granules, .random = seed };
	space->taken = calloc((granules + WORD - 1) / WORD, sizeof(*space->taken));
	return space->taken ? 0 : -ENOMEM;
}

void space_fini(struct space *space)
{
	free(space->taken);
}

/* The next granule from at on that is taken (or free), or granules. */
static uint64_t find(const struct space *space, uint64_t at, bool taken)
{
	while (at < space->granules) {
		uint64_t word = space->taken[at / WORD];

		if (!taken)
			word = ~word;
		word >>= at % WORD;
		if (word) {
			at += (uint64_t)__builtin_ctzll(word);
			return at < space->granules ? at : space->granules;
		}
		at += WORD - at % WORD;
	}
	return space->granules;
}

/* The start of the hole that contains at. */
static uint64_t hole_start(const struct space *space, uint64_t at)
{
	while (at) {
		uint64_t word = space->taken[(at - 1) / WORD] << (WORD - 1 - (at - 1) % WORD);

		if (word)
			return at - (uint64_t)__builtin_clzll(word);
		at -= (at - 1) % WORD + 1;
	}
	return 0;
}

static void mark(struct space *space, uint64_t first, uint64_t count, bool taken)
{
	while (count) {
		uint64_t bit = first % WORD, n = WORD - bit < count ? WORD - bit : count;
		uint64_t mask = (n == WORD ? ~UINT64_C(0) : (UINT64_C(1) << n) - 1) << bit;

		if (taken)
			space->taken[first / WORD] |= mask;
		else
			space->taken[first / WORD] &= ~mask;
		first += n;
		count -= n;
	}
}

static unsigned int order_of(uint64_t count)
{
	return WORD - 1 - (unsigned int)__builtin_clzll(count);
}

/* The first place from at on that the rule allows. */
static uint64_t obey(uint64_t at, uint64_t count, const struct space_rule *rule)
{
	uint64_t phase = (rule->base + at) % rule->boundary;

	if (count >= rule->boundary)
		return at + (rule->skew + rule->boundary - phase) % rule->boundary;
	return rule->skew && !phase ? at + 1 : at;
}

/* Searches holes that start in [from, to). *large: the first of 2^order or more. */
static uint64_t search(const struct space *space, uint64_t from, uint64_t to, uint64_t count,
		       const struct space_rule *rule, uint64_t *large)
{
	uint64_t order = UINT64_C(1) << order_of(count), start, end, at;

	*large = SPACE_NONE;
	for (start = find(space, from, false); start < to; start = find(space, end, false)) {
		end = find(space, start, true);
		if (end - start >= order && *large == SPACE_NONE)
			*large = start;
		at = obey(start, count, rule);
		if (at < end && end - at >= count)
			return at;
	}
	return SPACE_NONE;
}

/* xorshift: any sequence will do, the same one for the same seed. */
static uint64_t next_random(struct space *space)
{
	space->random ^= space->random << 13;
	space->random ^= space->random >> 7;
	space->random ^= space->random << 17;
	return space->random;
}

uint64_t space_take(struct space *space, uint64_t count, const struct space_rule *rule)
{
	unsigned int order = order_of(count);
	uint64_t at = SPACE_NONE, large;

	if (count > space->granules)
		return SPACE_NONE;
	if (space->random)
		at = search(space, next_random(space) % space->granules, space->granules, count,
			    rule, &large);
	if (at == SPACE_NONE) {
		at = search(space, space->hint[order], space->granules, count, rule, &large);
		space->hint[order] = large == SPACE_NONE ? space->granules : large;
	}
	if (at != SPACE_NONE)
		mark(space, at, count, true);
	return at;
}

void space_give(struct space *space, uint64_t first, uint64_t count)
{
	uint64_t start, end;
	unsigned int i;

	mark(space, first, count, false);
	start = hole_start(space, first);
	end = find(space, first, true);
	for (i = 0; i <= order_of(end - start); i++)
		if (start < space->hint[i])
			space->hint[i] = start;
}
