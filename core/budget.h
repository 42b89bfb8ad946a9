/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * Our own count of what DART has granted. DART is never asked for more than
 * this allows: a request that it cannot honour can panic the Mac [D7].
 * Callers serialise.
 */
#ifndef QUIVER_CORE_BUDGET_H
#define QUIVER_CORE_BUDGET_H

#include "core/os.h"

struct quiver_budget {
	uint64_t bytes_limit, bytes, bytes_peak;
	uint64_t mappings_limit, mappings, mappings_peak;
	uint64_t refused_bytes, refused_mappings;
};

void quiver_budget_init(struct quiver_budget *budget, uint64_t bytes_limit,
			uint64_t mappings_limit);

/*
 * Takes one mapping of length bytes. -E2BIG: bytes would be exceeded [D1].
 * -ENOSPC: mappings would be [D2]. Either way nothing changes but the count of
 * refusals.
 */
int quiver_budget_reserve(struct quiver_budget *budget, uint64_t length);

/* Gives back what one quiver_budget_reserve() took. */
void quiver_budget_release(struct quiver_budget *budget, uint64_t length);

#endif
