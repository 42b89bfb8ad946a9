/* SPDX-License-Identifier: BSD-3-Clause */
/* A Mac that nobody touches falls asleep, and the VM's devices are gone with it. */
#ifndef QUIVER_CLI_RUN_AWAKE_H
#define QUIVER_CLI_RUN_AWAKE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct quiver_awake {
	bool kept;
	uint32_t assertion;
};

/* As long as devices are passed through. Where that cannot be had, a note says so. */
void quiver_awake_begin(struct quiver_awake *awake, size_t devices);
void quiver_awake_end(struct quiver_awake *awake);

#endif
