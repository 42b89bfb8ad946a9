// SPDX-License-Identifier: BSD-3-Clause
/* quiver probe: what it makes of config space, of figures, and of what it ran before. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "cli.h"
#include "probe/capabilities.h"
#include "probe/kind.h"
#include "probe/record.h"
#include "probe/samples.h"

void quiver_error(const char *format, ...)
{
	fail_msg("%s", format);
}

int quiver_usage_error(const char *format, ...)
{
	fail_msg("%s", format);
	return 0;
}

/* --- config space */

static uint8_t config[QUIVER_PROBE_CONFIG_SIZE];
static struct quiver_probe_list list;

static void put(unsigned int offset, unsigned int width, uint32_t value)
{
	for (unsigned int i = 0; i < width; i++)
		config[offset + i] = (uint8_t)(value >> 8 * i);
}

static int empty_config(void **state)
{
	memset(config, 0, sizeof(config));
	put(0x06, 2, 0x0010);
	return 0;
}

static void capability(unsigned int offset, uint8_t id, uint8_t next)
{
	put(offset, 1, id);
	put(offset + 1, 1, next);
}

static void pcie(unsigned int offset, uint8_t next)
{
	capability(offset, 0x10, next);
	put(offset + 0x02, 2, 0x0002);
	put(offset + 0x0c, 4, 4u << 4 | 4);
	put(offset + 0x12, 2, 1u << 4 | 3);
}

static void a_list_is_walked_in_its_own_order(void **state)
{
	put(0x34, 1, 0x81);	/* its low bits are reserved */
	capability(0x80, 0x01, 0x40);
	pcie(0x40, 0xb0);
	capability(0xb0, 0x11, 0);
	quiver_probe_capabilities_walk(config, &list);
	assert_null(list.fault);
	assert_int_equal(list.count, 3);
	assert_int_equal(list.at[0].offset, 0x80);
	assert_int_equal(list.at[1].id, 0x10);
	assert_int_equal(quiver_probe_capability_find(&list, 0x11), 0xb0);
	assert_int_equal(quiver_probe_capability_find(&list, 0x05), 0);
}

static void without_the_status_bit_there_is_no_list(void **state)
{
	put(0x06, 2, 0);
	put(0x34, 1, 0x40);
	capability(0x40, 1, 0x40);
	quiver_probe_capabilities_walk(config, &list);
	assert_int_equal(list.count, 0);
	assert_null(list.fault);
}

static void a_hostile_list_ends_with_its_fault(void **state)
{
	put(0x34, 1, 0x40);
	capability(0x40, 1, 0x60);
	capability(0x60, 5, 0x40);
	quiver_probe_capabilities_walk(config, &list);
	assert_int_equal(list.count, 2);
	assert_string_equal(list.fault, "loops");
	assert_int_equal(list.fault_at, 0x61);

	capability(0x60, 5, 0x60);
	quiver_probe_capabilities_walk(config, &list);
	assert_string_equal(list.fault, "loops");

	capability(0x60, 5, 0x10);
	quiver_probe_capabilities_walk(config, &list);
	assert_string_equal(list.fault, "leads into the header");

	capability(0x60, 5, 0xfc);
	put(0xfc, 4, 0xffffffff);
	quiver_probe_capabilities_walk(config, &list);
	assert_string_equal(list.fault, "leads to nothing");
	assert_int_equal(list.count, 2);
}

static void a_list_as_long_as_it_can_be_ends(void **state)
{
	put(0x34, 1, 0x40);
	for (unsigned int at = 0x40; at < 0x100; at += 4)
		capability(at, 9, at + 4 < 0x100 ? (uint8_t)(at + 4) : 0);
	quiver_probe_capabilities_walk(config, &list);
	assert_int_equal(list.count, QUIVER_PROBE_CAPABILITIES);
	assert_null(list.fault);
	memset(config + 0x100, 0, sizeof(config) - 0x100);
	for (unsigned int at = 0x100; at < 0x1000; at += 4)
		put(at, 4, 0x0b | 1u << 16 | (at + 4 < 0x1000 ? at + 4 : 0x100) << 20);
	quiver_probe_extended_walk(config, &list);
	assert_int_equal(list.count, QUIVER_PROBE_EXTENDED);
	assert_string_equal(list.fault, "loops");
}

static void any_bytes_are_survived(void **state)
{
	uint32_t seed = 1;

	for (unsigned int round = 0; round < 2000; round++) {
		for (unsigned int at = 0; at < sizeof(config); at++) {
			seed = seed * 1664525 + 1013904223;
			config[at] = (uint8_t)(seed >> 24);
		}
		quiver_probe_capabilities_walk(config, &list);
		assert_true(list.count <= QUIVER_PROBE_CAPABILITIES);
		quiver_probe_hidden_pcie(config, &list);
		quiver_probe_extended_walk(config, &list);
		assert_true(list.count <= QUIVER_PROBE_EXTENDED);
	}
}

static void what_has_no_extended_space_has_no_extended_list(void **state)
{
	quiver_probe_extended_walk(config, &list);
	assert_int_equal(list.count, 0);
	assert_null(list.fault);
	put(0x100, 4, 0xffffffff);
	quiver_probe_extended_walk(config, &list);
	assert_int_equal(list.count, 0);
	assert_null(list.fault);
	put(0x100, 4, 1 | 1u << 16 | 0x200u << 20);
	quiver_probe_extended_walk(config, &list);
	assert_int_equal(list.count, 1);
	assert_string_equal(list.fault, "leads to nothing");
}

static void a_hidden_pcie_capability_is_found_and_nothing_else_is(void **state)
{
	put(0x34, 1, 0x48);
	capability(0x48, 9, 0);
	pcie(0x64, 0);
	quiver_probe_capabilities_walk(config, &list);
	assert_int_equal(quiver_probe_hidden_pcie(config, &list), 0x64);
	assert_int_equal(quiver_probe_link_read(config, 0x64).speed, 3);
	assert_int_equal(quiver_probe_link_read(config, 0x64).width, 1);
	assert_int_equal(quiver_probe_link_read(config, 0x64).speed_max, 4);
	assert_int_equal(quiver_probe_link_read(config, 0x64).width_max, 4);
	put(0x64 + 0x0c, 4, 3u << 4 | 4);	/* three lanes there are not */
	assert_int_equal(quiver_probe_hidden_pcie(config, &list), 0);
	pcie(0x64, 0);
	put(0x64 + 0x02, 2, 0x0042);		/* nor is a root port passed through */
	assert_int_equal(quiver_probe_hidden_pcie(config, &list), 0);
	/* One that is in the list leaves nothing to look for. */
	pcie(0x64, 0);
	pcie(0x80, 0);
	capability(0x48, 9, 0x80);
	quiver_probe_capabilities_walk(config, &list);
	assert_int_equal(quiver_probe_hidden_pcie(config, &list), 0);
}

/* --- kinds of device */

static void registers_are_known_of_known_devices_only(void **state)
{
	struct quiver_dext_identity identity = { .vendor = 0x10de, .class_revision = 0x030000a1 };

	assert_int_equal(quiver_probe_kind(&identity)->id, QUIVER_PROBE_NVIDIA);
	assert_int_equal(quiver_probe_kind(&identity)->write, 0);
	identity.class_revision = 0x04030000;
	assert_int_equal(quiver_probe_kind(&identity)->id, QUIVER_PROBE_OTHER);
	identity.class_revision = 0x01080200;
	assert_int_equal(quiver_probe_kind(&identity)->id, QUIVER_PROBE_NVME);
	identity.class_revision = 0x01080100;
	assert_int_equal(quiver_probe_kind(&identity)->id, QUIVER_PROBE_OTHER);
	assert_int_equal(quiver_probe_kind(&identity)->write, 0);
}

static void boot_0_names_the_chip(void **state)
{
	struct quiver_probe_boot_0 boot = quiver_probe_boot_0_decode(0x1b2000a1);

	assert_int_equal(boot.architecture, 0x1b);
	assert_int_equal(boot.implementation, 2);
	assert_int_equal(boot.major, 0xa);
	assert_int_equal(boot.minor, 1);
	assert_string_equal(boot.family, "Blackwell");
	assert_null(quiver_probe_boot_0_decode(0x00000000).family);
	assert_int_equal(quiver_probe_boot_0_expected(0x2b85) >> 20, 0x1b2);
	assert_int_equal(quiver_probe_boot_0_expected(0x1234), 0);
}

static void what_a_dead_device_reads_as_is_recognised(void **state)
{
	struct quiver_dext_identity identity = { .vendor = 0x10de, .class_revision = 0x03000000 };
	const struct quiver_probe_kind *nvidia = quiver_probe_kind(&identity), *other;

	identity.vendor = 0x1002;
	other = quiver_probe_kind(&identity);
	assert_non_null(strstr(quiver_probe_trouble(other, 0xffffffff).reason, "off the bus"));
	assert_non_null(strstr(quiver_probe_trouble(other, 0xffff0001).reason, "[H8]"));
	assert_non_null(quiver_probe_trouble(nvidia, 0xbad0ac00).reason);
	assert_null(quiver_probe_trouble(other, 0xbad0ac00).reason);
	assert_null(quiver_probe_trouble(nvidia, 0x1b2000a1).reason);
	assert_null(quiver_probe_trouble(nvidia, 0).reason);
}

static void a_guest_gets_whole_pages_only(void **state)
{
	assert_true(quiver_probe_fits_guest(0x10000, 16384));
	assert_false(quiver_probe_fits_guest(0x10000, 4096));
	assert_false(quiver_probe_fits_guest(0x11000, 1 << 20));
}

/* --- figures */

static void a_summary_is_of_what_was_measured(void **state)
{
	struct quiver_probe_samples samples = { 0 };
	struct quiver_probe_summary summary = quiver_probe_samples_summary(&samples);

	assert_int_equal(summary.count, 0);
	for (unsigned int i = 0; i < 200; i++)
		quiver_probe_samples_add(&samples, i % 2 ? 1000 - i : i);
	summary = quiver_probe_samples_summary(&samples);
	assert_int_equal(summary.count, 200);
	assert_int_equal(summary.min, 0);
	assert_int_equal(summary.max, 999);
	assert_int_equal(summary.median, 801);
	assert_int_equal(summary.p99, 995);
	quiver_probe_samples_free(&samples);
	quiver_probe_samples_add(&samples, 7);
	summary = quiver_probe_samples_summary(&samples);
	assert_int_equal(summary.median, 7);
	assert_int_equal(summary.p99, 7);
	quiver_probe_samples_free(&samples);
}

static void a_histogram_counts_by_powers_of_two(void **state)
{
	struct quiver_probe_histogram histogram = { 0 };
	const uint64_t values[] = { 0, 1, 2, 3, 4, 7, 8, UINT64_MAX };
	json_t *json;

	for (size_t i = 0; i < 8; i++)
		quiver_probe_histogram_add(&histogram, values[i]);
	assert_int_equal(histogram.bucket[0], 1);
	assert_int_equal(histogram.bucket[1], 1);
	assert_int_equal(histogram.bucket[2], 2);
	assert_int_equal(histogram.bucket[3], 2);
	assert_int_equal(histogram.bucket[4], 1);
	assert_int_equal(histogram.bucket[64], 1);
	json = quiver_probe_histogram_json(&histogram);
	assert_int_equal(json_array_size(json), 6);
	assert_int_equal(json_integer_value(json_object_get(json_array_get(json, 3), "from")), 4);
	json_decref(json);
	assert_int_equal(quiver_probe_trailing_zeros(0x4000), 14);
	assert_int_equal(quiver_probe_trailing_zeros(0), 64);
}

/* --- what was run before */

#define PASSED	QUIVER_PROBE_PASSED
#define NOT_RUN	QUIVER_PROBE_NOT_RUN
#define DOWN	QUIVER_PROBE_WENT_DOWN

static struct quiver_probe_past past_of(bool device, bool boot, bool software)
{
	struct quiver_probe_past past = {
		.same_device = device, .same_boot = boot, .same_software = software,
		.result = { PASSED, QUIVER_PROBE_SKIPPED, QUIVER_PROBE_FAILED, QUIVER_PROBE_STARTED,
			    NOT_RUN, DOWN, PASSED, PASSED, QUIVER_PROBE_STARTED },
		.down = { [6] = true },
	};

	quiver_probe_past_settle(&past);
	return past;
}

static void what_passed_counts_for_this_device_boot_and_software_only(void **state)
{
	for (unsigned int i = 0; i < 8; i++) {
		struct quiver_probe_past past = past_of(i & 1, i & 2, i & 4);
		bool all = i == 7;

		assert_int_equal(past.result[0], all ? PASSED : NOT_RUN);
		assert_int_equal(past.result[1], all ? QUIVER_PROBE_SKIPPED : NOT_RUN);
		assert_int_equal(past.result[2], all ? QUIVER_PROBE_FAILED : NOT_RUN);
		assert_int_equal(past.result[7], all ? PASSED : NOT_RUN);
	}
}

static void a_stage_that_started_and_another_boot_mean_that_the_mac_went_down(void **state)
{
	assert_int_equal(past_of(true, false, true).result[3], DOWN);
	assert_int_equal(past_of(true, false, false).result[3], DOWN);
	/* On this boot the Mac lives: it was we who died. */
	assert_int_equal(past_of(true, true, true).result[3], NOT_RUN);
	/* It may have been another card of this model that was not told apart. */
	assert_int_equal(past_of(false, false, true).result[3], DOWN);
	assert_int_equal(past_of(false, true, true).result[3], NOT_RUN);
	/* Once down is remembered, whatever changes. */
	for (unsigned int i = 0; i < 8; i++)
		assert_int_equal(past_of(i & 1, i & 2, i & 4).result[5], DOWN);
	/* Nor does the device's release differ in that. */
	assert_int_equal(past_of(true, false, true).result[QUIVER_PROBE_RELEASE], DOWN);
	assert_int_equal(past_of(true, true, true).result[QUIVER_PROBE_RELEASE], NOT_RUN);
}

static void what_passed_since_counts_where_it_passed_only(void **state)
{
	/* By force, with two cards here: the other one is no safer for it. */
	assert_int_equal(past_of(true, true, true).result[6], PASSED);
	assert_true(past_of(true, true, true).down[6]);
	assert_int_equal(past_of(false, true, true).result[6], DOWN);
	assert_int_equal(past_of(true, false, true).result[6], DOWN);
}

static void that_the_mac_went_down_is_forgotten_only_when_no_other_card_can_be_meant(void **state)
{
	const struct quiver_device_info info = { .id = 1 };
	struct quiver_probe_record record = { .json = quiver_probe_record_new(&info) };
	json_t *release;

	for (unsigned int i = 3; i <= QUIVER_PROBE_RELEASE; i += QUIVER_PROBE_RELEASE - 3) {
		quiver_probe_record_set(&record, i, "x", DOWN, NULL);
		assert_int_equal(quiver_probe_record_result(&record, i), DOWN);
		quiver_probe_record_set(&record, i, "x", QUIVER_PROBE_STARTED, NULL);
		quiver_probe_record_set(&record, i, "x", PASSED, NULL);
		assert_int_equal(quiver_probe_record_result(&record, i), PASSED);
	}
	release = json_object_get(record.json, "release");
	assert_true(json_is_true(json_object_get(release, "went_down")));
	record.alone = true;
	quiver_probe_record_set(&record, QUIVER_PROBE_RELEASE, "x", QUIVER_PROBE_FAILED, NULL);
	release = json_object_get(record.json, "release");
	assert_true(json_is_true(json_object_get(release, "went_down")));
	quiver_probe_record_set(&record, QUIVER_PROBE_RELEASE, "x", PASSED, NULL);
	release = json_object_get(record.json, "release");
	assert_null(json_object_get(release, "went_down"));
	json_decref(record.json);
}

static void a_stage_runs_only_behind_all_before_it(void **state)
{
	enum quiver_probe_result result[QUIVER_PROBE_STEPS] = {
		PASSED, QUIVER_PROBE_SKIPPED, PASSED,
	};
	unsigned int which;

	assert_int_equal(quiver_probe_decide(result, 0, false, &which), QUIVER_PROBE_MAY_RUN);
	assert_int_equal(quiver_probe_decide(result, 3, false, &which), QUIVER_PROBE_MAY_RUN);
	assert_int_equal(quiver_probe_decide(result, 4, false, &which), QUIVER_PROBE_NEEDS_ANOTHER);
	assert_int_equal(which, 3);
	/* Force is no way around that. */
	assert_int_equal(quiver_probe_decide(result, 4, true, &which), QUIVER_PROBE_NEEDS_ANOTHER);
	for (unsigned int i = 0; i < 3; i++) {
		static const enum quiver_probe_result bad[] = {
			NOT_RUN, QUIVER_PROBE_STARTED, QUIVER_PROBE_FAILED, DOWN,
			QUIVER_PROBE_INTERRUPTED,
		};

		for (size_t n = 0; n < sizeof(bad) / sizeof(bad[0]); n++) {
			enum quiver_probe_result kept = result[i];

			result[i] = bad[n];
			assert_int_equal(quiver_probe_decide(result, 3, false, &which),
					 QUIVER_PROBE_NEEDS_ANOTHER);
			assert_int_equal(which, i);
			result[i] = kept;
		}
	}
}

static void what_took_the_mac_down_is_repeated_by_force_only(void **state)
{
	enum quiver_probe_result result[QUIVER_PROBE_STEPS] = { PASSED, PASSED, PASSED, DOWN };
	unsigned int which;

	assert_int_equal(quiver_probe_decide(result, 2, false, &which), QUIVER_PROBE_MAY_RUN);
	assert_int_equal(quiver_probe_decide(result, 3, false, &which), QUIVER_PROBE_NEEDS_FORCE);
	assert_int_equal(which, 3);
	assert_int_equal(quiver_probe_decide(result, 3, true, &which), QUIVER_PROBE_MAY_RUN);
	/* A release comes after any stage. */
	result[3] = NOT_RUN;
	result[QUIVER_PROBE_RELEASE] = DOWN;
	for (unsigned int i = 0; i <= 3; i++) {
		assert_int_equal(quiver_probe_decide(result, i, false, &which),
				 QUIVER_PROBE_NEEDS_FORCE);
		assert_int_equal(which, QUIVER_PROBE_RELEASE);
		assert_int_equal(quiver_probe_decide(result, i, true, &which),
				 QUIVER_PROBE_MAY_RUN);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(a_list_is_walked_in_its_own_order, empty_config),
		cmocka_unit_test_setup(without_the_status_bit_there_is_no_list, empty_config),
		cmocka_unit_test_setup(a_hostile_list_ends_with_its_fault, empty_config),
		cmocka_unit_test_setup(a_list_as_long_as_it_can_be_ends, empty_config),
		cmocka_unit_test_setup(any_bytes_are_survived, empty_config),
		cmocka_unit_test_setup(what_has_no_extended_space_has_no_extended_list,
				       empty_config),
		cmocka_unit_test_setup(a_hidden_pcie_capability_is_found_and_nothing_else_is,
				       empty_config),
		cmocka_unit_test(registers_are_known_of_known_devices_only),
		cmocka_unit_test(boot_0_names_the_chip),
		cmocka_unit_test(what_a_dead_device_reads_as_is_recognised),
		cmocka_unit_test(a_guest_gets_whole_pages_only),
		cmocka_unit_test(a_summary_is_of_what_was_measured),
		cmocka_unit_test(a_histogram_counts_by_powers_of_two),
		cmocka_unit_test(what_passed_counts_for_this_device_boot_and_software_only),
		cmocka_unit_test(a_stage_that_started_and_another_boot_mean_that_the_mac_went_down),
		cmocka_unit_test(what_passed_since_counts_where_it_passed_only),
		cmocka_unit_test(that_the_mac_went_down_is_forgotten_only_when_no_other_card_can_be_meant),
		cmocka_unit_test(a_stage_runs_only_behind_all_before_it),
		cmocka_unit_test(what_took_the_mac_down_is_repeated_by_force_only),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
