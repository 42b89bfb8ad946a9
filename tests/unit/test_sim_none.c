// SPDX-License-Identifier: BSD-3-Clause
/* --sim as a Mac's quiver has it: known, and refused with a reason. */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "cli/sim.h"

static char said[256];

void quiver_error(const char *format, ...)
{
}

int quiver_usage_error(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(said, sizeof(said), format, args);
	va_end(args);
	return QUIVER_EXIT_USAGE;
}

static void without_the_option_a_command_runs(void **unused)
{
	const struct quiver_sim_options options = { 0 };
	struct quiver_sim sim;
	json_t *json;

	assert_int_equal(quiver_sim_start(&sim, &options), QUIVER_EXIT_OK);
	assert_true(quiver_sim_running(&sim));
	json = quiver_sim_json(&sim);
	assert_true(json_is_null(json));
	json_decref(json);
	assert_int_equal(quiver_sim_end(&sim, QUIVER_EXIT_VM), QUIVER_EXIT_VM);
	quiver_sim_free(&sim);
}

static void the_option_is_refused_and_the_reason_told(void **unused)
{
	struct quiver_sim_options options = { 0 };
	struct quiver_sim sim;

	assert_true(quiver_sim_option(&options, 0x200, NULL));
	assert_int_equal(quiver_sim_options_check(&options), QUIVER_EXIT_OK);
	assert_int_equal(quiver_sim_start(&sim, &options), QUIVER_EXIT_USAGE);
	assert_non_null(strstr(said, "--sim"));
	assert_non_null(strstr(said, "Mac"));
	/* Callers end what they could not start. */
	assert_int_equal(quiver_sim_end(&sim, QUIVER_EXIT_USAGE), QUIVER_EXIT_USAGE);
	quiver_sim_free(&sim);
	quiver_sim_options_free(&options);
}

static void the_environment_makes_no_simulated_mac(void **unused)
{
	setenv("QUIVER_SIMMAC", "/nowhere", 1);
	assert_false(quiver_sim_present());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_the_option_a_command_runs),
		cmocka_unit_test(the_option_is_refused_and_the_reason_told),
		cmocka_unit_test(the_environment_makes_no_simulated_mac),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
