// SPDX-License-Identifier: BSD-3-Clause
/* The budget against sums over a plain list of what was granted. */
#include "model.h"

#include <errno.h>

#include "core/budget.h"

#define GRANTS 64

static void budget_never_grants_beyond_its_limits(void **state)
{
	struct model_random random;
	struct quiver_budget budget;
	uint64_t grant[GRANTS], count = 0, bytes = 0, bytes_peak = 0, count_peak = 0;
	uint64_t refused_bytes = 0, refused_mappings = 0;

	model_random_init(&random, "budget");
	quiver_budget_init(&budget, 1000, 48);
	for (int i = 0; i < 100000; i++) {
		uint64_t length = model_random_below(&random, 50) ?
			model_random_below(&random, 60) : UINT64_MAX - model_random_below(&random, 3);

		if (model_random_below(&random, 2) && count) {
			uint64_t victim = model_random_below(&random, count);

			quiver_budget_release(&budget, grant[victim]);
			bytes -= grant[victim];
			grant[victim] = grant[--count];
		} else if (length > 1000 || bytes + length > 1000) {
			refused_bytes++;
			assert_int_equal(quiver_budget_reserve(&budget, length), -E2BIG);
		} else if (count == 48) {
			refused_mappings++;
			assert_int_equal(quiver_budget_reserve(&budget, length), -ENOSPC);
		} else {
			assert_int_equal(quiver_budget_reserve(&budget, length), 0);
			grant[count++] = length;
			bytes += length;
		}
		bytes_peak = bytes > bytes_peak ? bytes : bytes_peak;
		count_peak = count > count_peak ? count : count_peak;
		assert_int_equal(budget.bytes, bytes);
		assert_int_equal(budget.mappings, count);
		assert_int_equal(budget.bytes_peak, bytes_peak);
		assert_int_equal(budget.mappings_peak, count_peak);
		assert_int_equal(budget.refused_bytes, refused_bytes);
		assert_int_equal(budget.refused_mappings, refused_mappings);
	}
}

static void budget_is_exact_at_its_limits(void **state)
{
	struct quiver_budget budget;

	quiver_budget_init(&budget, 0, 1);
	assert_int_equal(quiver_budget_reserve(&budget, 1), -E2BIG);

	quiver_budget_init(&budget, 1, 0);
	assert_int_equal(quiver_budget_reserve(&budget, 1), -ENOSPC);

	quiver_budget_init(&budget, UINT64_MAX, 2);
	assert_int_equal(quiver_budget_reserve(&budget, UINT64_MAX), 0);
	assert_int_equal(quiver_budget_reserve(&budget, 1), -E2BIG);
	quiver_budget_release(&budget, UINT64_MAX);
	assert_int_equal(quiver_budget_reserve(&budget, UINT64_MAX - 1), 0);
	assert_int_equal(quiver_budget_reserve(&budget, 1), 0);
	assert_int_equal(quiver_budget_reserve(&budget, 1), -E2BIG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(budget_never_grants_beyond_its_limits),
		cmocka_unit_test(budget_is_exact_at_its_limits),
	};

	return cmocka_run_group_tests_name("budget", tests, NULL, NULL);
}
