// SPDX-License-Identifier: BSD-3-Clause
/*
 * Bytes become a world (policy, limits, batch, bus addresses) and then operations
 * in it: maps, unmaps, flushes, limits that change, hosts and storage that fail.
 * After each, everything is recounted; see checker.h.
 */
#include <stdlib.h>

#include "player.h"

/* Enough for all that matters; more would only make each input slower. */
#define OPERATIONS_MAX 300

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A failed assertion is to be a crash. */
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	return setenv("CMOCKA_TEST_ABORT", "1", 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct quiver_sequence_bytes bytes = { data, size };
	struct quiver_sequence_source source = { quiver_sequence_bytes_bits, &bytes };
	struct player_world world = player_world_from_bits(&source);

	world.sequence.operations = OPERATIONS_MAX;
	player_play(&world, &source);
	return 0;
}
