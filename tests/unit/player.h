/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Plays a sequence of operations through one or two checkers: whatever a source
 * of bits makes of it, so that property tests and the fuzzer share all but the
 * source. What the world is like comes from the bits as well, or from a caller.
 */
#ifndef QUIVER_TESTS_PLAYER_H
#define QUIVER_TESTS_PLAYER_H

#include "checker.h"
#include "sequence.h"

struct player_world {
	const struct quiver_policy *policy;
	bool strict;
	bool tells_room;
	bool shared;			/* two devices under the same limits */
	bool fails;			/* the host and storage may begin to fail */
	bool holes;			/* not all guest memory can be mapped */
	/* The one entry, and the one window's storage, that fails; from 1 on. */
	uint64_t fail_entry, fail_window;
	enum quiver_wire_status fail_status;
	size_t capacity;		/* entries of a batch */
	uint32_t slots;			/* granules of bus addresses, first-fit; 0: plenty */
	bool high;			/* they end at the very end */
	uint64_t ram_base, ram;		/* of guest addresses */
	uint64_t limit;			/* of bytes and mappings; 0: changes as the bits say */
	struct quiver_sequence_config sequence;
};

/* Any world that there is. */
struct player_world player_world_from_bits(const struct quiver_sequence_source *source);

struct player_result {
	uint64_t maps, refusals;
	uint64_t segments, longest;	/* scatterlist */
	uint64_t entries, windows;	/* as fail_entry and fail_window count */
};

/* Until the sequence is over; then all is unmapped and seen to be gone. */
struct player_result player_play(const struct player_world *world,
				 const struct quiver_sequence_source *source);

#endif
