// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
#include "core/budget.h"

void quiver_budget_init(struct quiver_budget *budget, uint64_t bytes_limit,
			uint64_t mappings_limit)
{
	memset(budget, 0, sizeof(*budget));
	budget->bytes_limit = bytes_limit;
	budget->mappings_limit = mappings_limit;
}

int quiver_budget_reserve(struct quiver_budget *budget, uint64_t length)
{
	if (length > budget->bytes_limit - budget->bytes) {
		budget->refused_bytes++;
		return -E2BIG;
	}
	if (budget->mappings == budget->mappings_limit) {
		budget->refused_mappings++;
		return -ENOSPC;
	}
	budget->bytes += length;
	budget->mappings++;
	if (budget->bytes > budget->bytes_peak)
		budget->bytes_peak = budget->bytes;
	if (budget->mappings > budget->mappings_peak)
		budget->mappings_peak = budget->mappings;
	return 0;
}

void quiver_budget_release(struct quiver_budget *budget, uint64_t length)
{
	budget->bytes -= length;
	budget->mappings--;
}
