// SPDX-License-Identifier: BSD-3-Clause
/* What libquiver reads of a Mac and its registry, on simulated ones. */
#include <errno.h>
#include <stdlib.h>

#include "quiver/host.h"
#include "quiver/mac.h"
#include "test_dext_mac.h"

#define NVIDIA 0x10de
#define MAX 8

static struct quiver_mac_pci only_device(void)
{
	struct quiver_mac_pci pci[MAX];

	assert_int_equal(quiver_mac_pci_list(pci, MAX), 1);
	return pci[0];
}

static void without_a_mac_nobody_says_anything(void **unused)
{
	struct quiver_mac_enclosure enclosure;
	struct quiver_mac_system system;
	struct quiver_mac_pci pci;

	unsetenv("QUIVER_SIMMAC");
	assert_int_equal(quiver_mac_system(&system), -EIO);
	assert_int_equal(quiver_mac_pci_list(&pci, 1), -EIO);
	assert_int_equal(quiver_mac_enclosures_list(&enclosure, 1), -EIO);
}

static void the_system_is_that_of_the_mac(void **unused)
{
	struct quiver_mac_system system;

	mac_start("--mac version=15.3.2,model=Mac16,,12,memory=16G,cpus=4");
	assert_int_equal(quiver_mac_system(&system), 0);
	assert_int_equal(system.major, 15);
	assert_int_equal(system.minor, 3);
	assert_int_equal(system.patch, 2);
	assert_string_equal(system.model, "Mac16,12");
	assert_int_equal(system.memory, 16ull << 30);
	assert_int_equal(system.cpus, 4);
	assert_true(system.apple_silicon);
	mac_stop();
	mac_start("--mac version=14,model=MacBookPro16,,1,silicon=off,cpus=8");
	assert_int_equal(quiver_mac_system(&system), 0);
	assert_int_equal(system.major, 14);
	assert_int_equal(system.minor, 0);
	assert_int_equal(system.cpus, 8);
	assert_false(system.apple_silicon);
}

static void functions_behind_thunderbolt_are_listed_and_no_others(void **unused)
{
	struct quiver_mac_pci pci[MAX];

	mac_start("");
	assert_int_equal(quiver_mac_pci_list(pci, MAX), 0);
	mac_stop();
	mac_start("--device gpu --device endpoint --enclosure thunderbolt=4");
	assert_int_equal(quiver_mac_pci_list(pci, MAX), 2);
	assert_int_equal(pci[0].vendor, NVIDIA);
	assert_int_equal(pci[0].device, 0x2b85);
	assert_int_equal(pci[0].class_code, 0x030000);
	assert_int_equal(pci[0].bars, 0xb);
	assert_int_equal(pci[0].bars_assigned, 0xb);
	assert_int_equal(pci[0].link_speed, 3);
	assert_int_equal(pci[0].link_width, 4);
	assert_int_equal(pci[1].vendor, 0x1912);
	assert_int_not_equal(pci[0].id, pci[1].id);
	assert_int_not_equal(pci[0].enclosure, pci[1].enclosure);
	/* Room for one of them. */
	memset(&pci[1], 0, sizeof(pci[1]));
	assert_int_equal(quiver_mac_pci_list(pci, 1), 2);
	assert_int_equal(pci[1].id, 0);
}

static void a_service_is_the_one_that_libquiver_lists(void **unused)
{
	struct quiver_device_info info[MAX];
	struct quiver_mac_pci pci;

	mac_start("--device gpu");
	pci = only_device();
	assert_int_equal(quiver_devices_list(info, MAX), 1);
	assert_int_equal(pci.service, info[0].id);
	assert_string_equal(pci.driver, "QuiverDriver");
}

static void somebody_elses_driver_is_named(void **unused)
{
	struct quiver_mac_pci pci;

	mac_start("--device gpu,driver=TinyGPUDriver");
	pci = only_device();
	assert_int_equal(pci.service, 0);
	assert_string_equal(pci.driver, "TinyGPUDriver");
	mac_stop();
	/* Nobody wants an audio function. */
	mac_start("--device gpu,class=0x0403");
	pci = only_device();
	assert_int_equal(pci.service, 0);
	assert_string_equal(pci.driver, "");
}

static void bars_that_have_no_address_are_seen(void **unused)
{
	struct quiver_mac_pci pci;

	mac_start("--device gpu,bars=unassigned");
	pci = only_device();
	assert_int_equal(pci.bars, 0xb);
	assert_int_equal(pci.bars_assigned, 0);
	mac_stop();
	mac_start("--device gpu,bars=unassigned:0x2");
	pci = only_device();
	assert_int_equal(pci.bars, 0xb);
	assert_int_equal(pci.bars_assigned, 0x9);
}

static void expect_link(const char *options, unsigned int generation, unsigned int link)
{
	struct quiver_mac_enclosure enclosure[MAX];
	struct quiver_mac_pci pci;

	mac_start(options);
	pci = only_device();
	assert_int_equal(quiver_mac_enclosures_list(enclosure, MAX), 1);
	assert_int_equal(pci.enclosure, enclosure[0].id);
	assert_int_equal(pci.thunderbolt, link);
	assert_int_equal(enclosure[0].thunderbolt, link);
	assert_int_equal(enclosure[0].generation, generation);
	assert_true(enclosure[0].pcie);
	mac_stop();
}

static void a_link_is_as_old_as_the_older_of_its_ends(void **unused)
{
	expect_link("--device gpu,thunderbolt=3", 3, 3);
	expect_link("--device gpu,thunderbolt=4", 4, 4);
	expect_link("--device gpu,thunderbolt=5", 5, 5);
	expect_link("--mac thunderbolt=4 --device gpu,thunderbolt=5", 5, 4);
	expect_link("--mac thunderbolt=4 --device gpu,thunderbolt=3", 3, 3);
}

static void what_tunnels_no_pcie_is_seen_all_the_same(void **unused)
{
	struct quiver_mac_enclosure enclosure[MAX];

	mac_start("--enclosure thunderbolt=4,pcie=off --enclosure thunderbolt=5");
	assert_int_equal(quiver_mac_enclosures_list(enclosure, MAX), 2);
	assert_false(enclosure[0].pcie);
	assert_true(enclosure[1].pcie);
	assert_string_equal(enclosure[0].model, "Enclosure");
	assert_string_equal(enclosure[0].vendor, "Simmac");
	assert_int_equal(enclosure[1].generation, 5);
}

static void a_registry_that_changes_is_walked_again(void **unused)
{
	struct quiver_mac_enclosure enclosure[MAX];
	struct quiver_mac_pci pci[MAX];

	mac_start("--mac restless=5 --device gpu --device gpu,driver=Other --enclosure thunderbolt=4");
	assert_int_equal(quiver_mac_enclosures_list(enclosure, MAX), 3);
	mac_stop();
	mac_start("--mac restless=5 --device gpu --device gpu,driver=Other");
	assert_int_equal(quiver_mac_pci_list(pci, MAX), 2);
	assert_int_not_equal(pci[0].service, 0);
	assert_string_equal(pci[1].driver, "Other");
	mac_stop();
	/* For ever is too long. */
	mac_start("--mac restless=1000000 --device gpu");
	assert_int_equal(quiver_mac_pci_list(pci, MAX), -EIO);
	assert_int_equal(quiver_mac_enclosures_list(enclosure, MAX), -EIO);
}

#define TEN "0123456789"
#define SIXTY TEN TEN TEN TEN TEN TEN

static void a_name_that_is_too_long_is_cut_at_a_character(void **unused)
{
	struct quiver_mac_enclosure enclosure;

	mac_start("--enclosure model=" SIXTY "xy\xc3\xa9z");
	assert_int_equal(quiver_mac_enclosures_list(&enclosure, 1), 1);
	assert_string_equal(enclosure.model, SIXTY "xy");
	mac_stop();
	mac_start("--enclosure model=" SIXTY "x\xf0\x9f\x8e\xae");
	assert_int_equal(quiver_mac_enclosures_list(&enclosure, 1), 1);
	assert_string_equal(enclosure.model, SIXTY "x");
	mac_stop();
	mac_start("--enclosure model=" SIXTY "x\xc3\xa9");
	assert_int_equal(quiver_mac_enclosures_list(&enclosure, 1), 1);
	assert_string_equal(enclosure.model, SIXTY "x\xc3\xa9");
}

#define MANY 64

/* Names are given from below, so that many new ones reach the higher the more there are already. */
static mach_port_t highest_of_many(void)
{
	io_iterator_t iterator[MANY];
	mach_port_t highest = 0;

	for (int i = 0; i < MANY; i++) {
		assert_int_equal(IOServiceGetMatchingServices(kIOMainPortDefault,
							      IOServiceMatching("IOService"),
							      &iterator[i]), kIOReturnSuccess);
		highest = iterator[i] > highest ? iterator[i] : highest;
	}
	for (int i = 0; i < MANY; i++)
		IOObjectRelease(iterator[i]);
	return highest;
}

static void no_object_of_iokit_is_kept(void **unused)
{
	struct quiver_mac_enclosure enclosure[MAX];
	struct quiver_mac_pci pci[MAX];
	mach_port_t before;

	mac_start("--device gpu --device gpu,driver=Other --enclosure thunderbolt=3");
	before = highest_of_many();
	assert_int_equal(quiver_mac_pci_list(pci, MAX), 2);
	assert_int_equal(quiver_mac_enclosures_list(enclosure, MAX), 3);
	assert_int_equal(highest_of_many(), before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_a_mac_nobody_says_anything),
		cmocka_unit_test_teardown(the_system_is_that_of_the_mac, mac_teardown),
		cmocka_unit_test_teardown(functions_behind_thunderbolt_are_listed_and_no_others,
					  mac_teardown),
		cmocka_unit_test_teardown(a_service_is_the_one_that_libquiver_lists, mac_teardown),
		cmocka_unit_test_teardown(somebody_elses_driver_is_named, mac_teardown),
		cmocka_unit_test_teardown(bars_that_have_no_address_are_seen, mac_teardown),
		cmocka_unit_test(a_link_is_as_old_as_the_older_of_its_ends),
		cmocka_unit_test_teardown(what_tunnels_no_pcie_is_seen_all_the_same, mac_teardown),
		cmocka_unit_test_teardown(a_registry_that_changes_is_walked_again, mac_teardown),
		cmocka_unit_test_teardown(a_name_that_is_too_long_is_cut_at_a_character, mac_teardown),
		cmocka_unit_test_teardown(no_object_of_iokit_is_kept, mac_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
