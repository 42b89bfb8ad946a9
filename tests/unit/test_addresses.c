// SPDX-License-Identifier: BSD-3-Clause
/* What a VM can have with the addresses that Hypervisor.framework gives it, which is made up here. */
#include <Hypervisor/Hypervisor.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "run/addresses.h"

static hv_return_t result;
static uint32_t most;

hv_return_t hv_vm_config_get_max_ipa_size(uint32_t *ipa_bit_length)
{
	if (!result)
		*ipa_bit_length = most;
	return result;
}

static void lengths_are_rounded_down_to_those_of_a_processor(void **state)
{
	static const unsigned int lengths[][2] = {
		{ 31, 0 }, { 32, 32 }, { 36, 36 }, { 39, 36 }, { 40, 40 }, { 41, 40 }, { 42, 42 }, { 64, 52 },
	};

	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		most = lengths[i][0];
		assert_int_equal(quiver_addresses_bits(), lengths[i][1]);
	}
}

static void a_mac_that_does_not_say_is_not_guessed_at(void **state)
{
	result = HV_UNSUPPORTED;
	most = 36;
	assert_int_equal(quiver_addresses_bits(), 0);
	result = HV_SUCCESS;
	assert_null(quiver_addresses_problem(0));
	assert_int_equal(quiver_addresses_memory_gib(0), 0);
}

static void large_bars_want_forty_bits(void **state)
{
	assert_non_null(quiver_addresses_problem(32));
	assert_non_null(quiver_addresses_problem(36));
	assert_null(quiver_addresses_problem(40));
	assert_null(quiver_addresses_problem(48));
}

static void memory_begins_at_one_gib(void **state)
{
	assert_int_equal(quiver_addresses_memory_gib(36), 63);
	assert_int_equal(quiver_addresses_memory_gib(40), 1023);
	assert_int_equal(quiver_addresses_memory_gib(52), (1u << 22) - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lengths_are_rounded_down_to_those_of_a_processor),
		cmocka_unit_test(a_mac_that_does_not_say_is_not_guessed_at),
		cmocka_unit_test(large_bars_want_forty_bits),
		cmocka_unit_test(memory_begins_at_one_gib),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
