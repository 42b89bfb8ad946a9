// SPDX-License-Identifier: BSD-3-Clause
/* What `quiver doctor` makes of facts: Macs that are made up here. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "app/words.h"
#include "cli/doctor/checks.h"

void quiver_error(const char *format, ...)
{
}

/* A Mac on which all is well, with one card, and a way to look at what is said of it. */
struct world {
	struct quiver_facts facts;
	struct quiver_facts_device devices[2];
	struct quiver_mac_enclosure enclosure;
	struct quiver_findings findings;
};

static struct world healthy(void)
{
	struct world world = {
		.facts = {
			.mac = true, .has_system = true, .sip = QUIVER_SIP_ON, .apps_known = true,
			.system = { .major = 15, .minor = 5, .model = "Mac16,8", .memory = 24 * QUIVER_GIB,
				    .cpus = 10, .apple_silicon = true },
			.extension = { .state = QUIVER_EXTENSION_ENABLED, .words = "activated enabled",
				       .identifier = "dev.quiver.Quiver.driver", .version = "0.1.0",
				       .abi = QUIVER_DEXT_ABI_VERSION },
			.enclosure_count = 1, .device_count = 1, .vm_memory = 12 * QUIVER_GIB,
			.images = (char *)"/somewhere", .disk_free = 100 * QUIVER_GIB, .disk_known = true,
			.qemu = { .program = (char *)"/opt/qemu", .found = true, .answered = true, .major = 10,
				  .quiver_pci = true, .quiver_dma = true, .hvf = true, .hvf_noexec = true,
				  .hvf_tso = true, .entitled = QUIVER_YES },
		},
		.enclosure = { .id = 7, .model = "Box", .generation = 4, .thunderbolt = 4, .pcie = true },
	};

	world.devices[0] = (struct quiver_facts_device){
		.pci = { .id = 1, .service = 2, .enclosure = 7, .vendor = 0x10de, .device = 0x2684,
			 .class_code = 0x030000, .driver = "QuiverDriver", .thunderbolt = 4, .bars = 0xb,
			 .bars_assigned = 0xb, .link_speed = 4, .link_width = 4 },
		.served = true, .name = "Card",
		.identity = { .abi_version = QUIVER_DEXT_ABI_VERSION, .state = QUIVER_DEXT_UNCLAIMED },
	};
	return world;
}

static void look(struct world *world)
{
	world->facts.devices = world->devices;
	world->facts.enclosures = &world->enclosure;
	if (!world->facts.apps.count && world->facts.apps_known)
		quiver_words_add(&world->facts.apps, "/Applications/Quiver.app");
	quiver_checks_run(&world->facts, &world->findings);
}

static void done(struct world *world)
{
	quiver_findings_free(&world->findings);
	quiver_words_free(&world->facts.apps);
}

/* The worst that a check says; -1 if it says nothing. */
static int said(const struct world *world, const char *id)
{
	int worst = -1;

	for (size_t i = 0; i < world->findings.count; i++) {
		const struct quiver_finding *finding = &world->findings.finding[i];

		if (!strcmp(finding->id, id) && (int)finding->severity > worst)
			worst = (int)finding->severity;
	}
	return worst;
}

/* Looks, expects that of one check, and no error of any other. */
static void expect_only(struct world *world, const char *id, int severity)
{
	look(world);
	assert_int_equal(said(world, id), severity);
	for (size_t i = 0; i < world->findings.count; i++) {
		const struct quiver_finding *finding = &world->findings.finding[i];

		if (strcmp(finding->id, id) && finding->severity == QUIVER_ERROR)
			fail_msg("%s: %s", finding->id, finding->text);
	}
	done(world);
}

static void a_healthy_mac_has_nothing_to_mend(void **unused)
{
	struct world world = healthy();

	look(&world);
	for (size_t i = 0; i < world.findings.count; i++) {
		if (world.findings.finding[i].severity != QUIVER_OK)
			fail_msg("%s: %s", world.findings.finding[i].id, world.findings.finding[i].text);
		assert_null(world.findings.finding[i].cure);
	}
	assert_int_equal(quiver_findings_worst(&world.findings), QUIVER_OK);
	done(&world);
}

static void every_error_and_warning_has_a_cure_in_one_line(void **unused)
{
	struct world world = healthy();

	/* As much as can be wrong at once. */
	world.facts.system = (struct quiver_mac_system){ .major = 13, .model = "x", .memory = 4 * QUIVER_GIB };
	world.facts.extension = (struct quiver_extension){ .state = QUIVER_EXTENSION_OTHER, .leftover = true,
							   .replaced = true };
	world.facts.entitled = QUIVER_NO;
	world.facts.device_count = 2;
	world.devices[1] = world.devices[0];
	world.devices[1].served = false;
	world.devices[1].error = -EPERM;
	world.devices[0].identity.state = QUIVER_DEXT_GONE;
	world.devices[0].pci.bars_assigned = 0;
	world.devices[0].pci.thunderbolt = 3;
	world.devices[0].pci.link_width = 1;
	world.facts.disk_free = 0;
	world.facts.qemu = (struct quiver_facts_qemu){ .program = (char *)"q", .found = true,
						       .answered = true, .entitled = QUIVER_NO };
	look(&world);
	assert_true(world.findings.count > 10);
	for (size_t i = 0; i < world.findings.count; i++) {
		const struct quiver_finding *finding = &world.findings.finding[i];

		assert_null(strchr(finding->text, '\n'));
		if (finding->severity >= QUIVER_WARNING)
			assert_non_null(finding->cure);
	}
	done(&world);
}

static void ids_are_told_apart(void **unused)
{
	for (size_t i = 0; i < quiver_check_count; i++)
		for (size_t j = 0; j < i; j++)
			assert_string_not_equal(quiver_checks[i].id, quiver_checks[j].id);
}

static void without_facts_nothing_is_said_but_that_it_is_no_mac(void **unused)
{
	struct quiver_facts facts = { .qemu = { .program = (char *)"q", .found = true, .answered = true,
						.quiver_pci = true, .quiver_dma = true } };
	struct world world = { .facts = facts };

	quiver_checks_run(&facts, &world.findings);
	assert_int_equal(said(&world, "not-a-mac"), QUIVER_ERROR);
	for (size_t i = 0; i < world.findings.count; i++)
		if (strcmp(world.findings.finding[i].id, "not-a-mac"))
			assert_int_not_equal(world.findings.finding[i].severity, QUIVER_ERROR);
	done(&world);
}

static void a_device_that_is_being_reset_is_waited_for(void **unused)
{
	struct world world = healthy();

	world.devices[0].identity.state = QUIVER_DEXT_QUIESCING;
	expect_only(&world, "device-in-use", QUIVER_WARNING);
}

static void a_device_of_a_vm_is_no_trouble(void **unused)
{
	struct world world = healthy();

	world.devices[0].identity.state = QUIVER_DEXT_LIVE;
	world.devices[0].holder = 1234;
	expect_only(&world, "device-in-use", QUIVER_NOTE);
	world = healthy();
	world.devices[0].identity.state = QUIVER_DEXT_LIVE;
	world.devices[0].holder = 1234;
	expect_only(&world, "mappings-left", -1);
}

static const struct quiver_finding *worst_of(const struct world *world, const char *id);

/* What it says of a device that is gone for a cause; what to do, word for word, is a part of the cure. */
static void expect_gone(unsigned int cause, enum quiver_severity severity, const char *text, const char *cure)
{
	struct world world = healthy();

	world.devices[0].identity.state = QUIVER_DEXT_GONE;
	world.devices[0].identity.cause = cause;
	look(&world);
	assert_int_equal(said(&world, "device-gone"), severity);
	assert_non_null(strstr(worst_of(&world, "device-gone")->text, text));
	assert_non_null(strstr(worst_of(&world, "device-gone")->cure, cure));
	assert_int_equal(said(&world, "device-in-use"), -1);
	assert_int_equal(said(&world, "mappings-left"), QUIVER_OK);
	done(&world);
}

static void each_cause_has_words_and_a_cure_of_its_own(void **unused)
{
	expect_gone(QUIVER_DEXT_CAUSE_SLEEP, QUIVER_WARNING, "sleep", "Nothing is broken");
	expect_gone(QUIVER_DEXT_CAUSE_UNPLUGGED, QUIVER_ERROR, "unplugged", "Plug the enclosure in");
	expect_gone(QUIVER_DEXT_CAUSE_SILENT, QUIVER_ERROR, "does not answer", "switch the enclosure off and on");
	expect_gone(QUIVER_DEXT_CAUSE_MASTERING, QUIVER_ERROR, "using the Mac's memory", "Switch the enclosure off");
	expect_gone(QUIVER_DEXT_CAUSE_RESET, QUIVER_ERROR, "macOS refused", "Start the VM again");
	/* Of another extension than ours, maybe. */
	expect_gone(QUIVER_DEXT_CAUSE_NONE, QUIVER_ERROR, "cannot be used", "Switch the enclosure off");
	expect_gone(QUIVER_DEXT_CAUSE_RESET + 1, QUIVER_ERROR, "cannot be used", "Switch the enclosure off");
	expect_gone(UINT32_MAX, QUIVER_ERROR, "cannot be used", "Switch the enclosure off");
}

static void mappings_that_no_vm_uses_are_counted(void **unused)
{
	static const struct {
		enum quiver_dext_state state;
		unsigned int mappings;
		int severity;
		const char *words;
	} cases[] = {
		{ QUIVER_DEXT_GONE, 17, QUIVER_WARNING, "in 17 mappings" },
		{ QUIVER_DEXT_GONE, 1, QUIVER_WARNING, "in 1 mapping:" },
		{ QUIVER_DEXT_GONE, 0, QUIVER_OK, "no memory mapped" },
		{ QUIVER_DEXT_UNCLAIMED, 3, QUIVER_WARNING, "in 3 mappings" },
		{ QUIVER_DEXT_UNCLAIMED, 0, QUIVER_OK, "no memory mapped" },
		{ QUIVER_DEXT_LIVE, 500, -1, NULL },
		{ QUIVER_DEXT_CLAIMED, 0, -1, NULL },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct world world = healthy();

		world.devices[0].identity.state = cases[i].state;
		world.devices[0].identity.mappings = cases[i].mappings;
		look(&world);
		assert_int_equal(said(&world, "mappings-left"), cases[i].severity);
		if (cases[i].words)
			assert_non_null(strstr(worst_of(&world, "mappings-left")->text, cases[i].words));
		done(&world);
	}
}

static void on_a_mac_qemu_must_have_the_hypervisor(void **unused)
{
	struct world world = healthy();

	world.facts.qemu.hvf = world.facts.qemu.hvf_noexec = world.facts.qemu.hvf_tso = false;
	expect_only(&world, "qemu-hvf", QUIVER_ERROR);
	/* What a Mac is simulated on has none. */
	world = healthy();
	world.facts.simulated = true;
	world.facts.qemu.hvf = world.facts.qemu.hvf_noexec = world.facts.qemu.hvf_tso = false;
	expect_only(&world, "qemu-hvf", -1);
}

static void each_of_several_devices_is_judged(void **unused)
{
	struct world world = healthy();

	world.facts.device_count = 2;
	world.devices[1] = world.devices[0];
	world.devices[1].pci.service = 3;
	world.devices[1].pci.bars_assigned = 0x1;
	look(&world);
	assert_int_equal(said(&world, "bars-unassigned"), QUIVER_ERROR);
	for (size_t i = 0; i < world.findings.count; i++) {
		const struct quiver_finding *finding = &world.findings.finding[i];

		if (strcmp(finding->id, "bars-unassigned"))
			continue;
		assert_int_equal(finding->severity, finding->device == 3 ? QUIVER_ERROR : QUIVER_OK);
		assert_true(finding->device == 2 || finding->device == 3);
		if (finding->device == 3)
			assert_string_equal(finding->text, "Card: macOS gave 2 of its 3 BARs no address");
	}
	done(&world);
}

static void a_sound_function_is_judged_as_nothing_else(void **unused)
{
	struct world world = healthy();

	world.facts.device_count = 2;
	world.devices[1] = world.devices[0];
	world.devices[1].pci = (struct quiver_mac_pci){ .id = 9, .vendor = 0x10de, .device = 0x22e8,
							.class_code = 0x040300, .bars = 1 };
	world.devices[1].served = false;
	expect_only(&world, "audio-function", QUIVER_NOTE);
}

static void an_extension_that_runs_must_be_the_one_that_is_installed(void **unused)
{
	struct world world = healthy();

	world.devices[0].served = false;
	world.devices[0].error = -EPROTO;
	expect_only(&world, "extension-abi", QUIVER_ERROR);
	world = healthy();
	world.facts.extension.abi = QUIVER_DEXT_ABI_VERSION + 1;
	expect_only(&world, "extension-abi", QUIVER_ERROR);
	/* What does not say its number is asked when there is a device. */
	world = healthy();
	world.facts.extension.abi = 0;
	expect_only(&world, "extension-abi", QUIVER_OK);
	/* What nobody said is not said. */
	world = healthy();
	world.facts.extension.abi = 0;
	world.devices[0].served = false;
	world.devices[0].error = -EIO;
	look(&world);
	assert_int_equal(said(&world, "extension-abi"), -1);
	assert_int_equal(said(&world, "extension-refused"), QUIVER_ERROR);
	done(&world);
}

static const struct quiver_finding *worst_of(const struct world *world, const char *id)
{
	const struct quiver_finding *worst = NULL;

	for (size_t i = 0; i < world->findings.count; i++) {
		const struct quiver_finding *finding = &world->findings.finding[i];

		if (!strcmp(finding->id, id) && (!worst || finding->severity > worst->severity))
			worst = finding;
	}
	assert_non_null(worst);
	return worst;
}

static void a_device_that_does_not_let_in_is_not_hidden_by_one_that_does(void **unused)
{
	struct world world = healthy();
	const struct quiver_finding *found;

	world.facts.device_count = 2;
	world.devices[1] = world.devices[0];
	world.devices[1].pci.service = 3;
	world.devices[1].pci.id = 4;
	world.devices[1].served = false;
	world.devices[1].error = -EPERM;
	look(&world);
	found = worst_of(&world, "extension-refused");
	assert_int_equal(found->severity, QUIVER_ERROR);
	assert_int_equal(found->device, 3);
	assert_int_equal(found->pci, 4);
	assert_non_null(strstr(found->cure, "com.apple.security.hypervisor"));
	done(&world);
	world = healthy();
	world.devices[0].served = false;
	world.devices[0].error = -EIO;
	look(&world);
	assert_non_null(strstr(worst_of(&world, "extension-refused")->text, "(-5)"));
	done(&world);
}

static void this_program_must_be_signed(void **unused)
{
	struct world world = healthy();

	world.facts.entitled = QUIVER_NO;
	expect_only(&world, "quiver-unsigned", QUIVER_ERROR);
	world = healthy();
	world.facts.entitled = QUIVER_YES;
	expect_only(&world, "quiver-unsigned", QUIVER_OK);
	world = healthy();
	expect_only(&world, "quiver-unsigned", -1);
}

static void a_registry_that_says_nothing_is_not_an_empty_one(void **unused)
{
	struct world world = healthy();

	world.facts.registry_error = -EIO;
	world.facts.device_count = 0;
	world.facts.enclosure_count = 0;
	look(&world);
	assert_int_equal(said(&world, "enclosure-missing"), QUIVER_WARNING);
	assert_int_equal(said(&world, "device-missing"), -1);
	done(&world);
}

static void names_of_system_settings_are_those_of_the_app(void **unused)
{
	for (unsigned int macos = 13; macos < 18; macos++) {
		struct world world = healthy();
		const char *page = macos >= QUIVER_APP_EXTENSIONS_PAGE ? QUIVER_APP_PAGE : QUIVER_APP_OLD_PAGE;

		world.facts.system.major = macos;
		world.facts.extension.state = QUIVER_EXTENSION_WAITING;
		look(&world);
		assert_memory_equal(worst_of(&world, "extension-waiting")->cure, page, strlen(page));
		done(&world);
	}
}

static void the_app_is_in_its_place_where_it_says_so_itself(void **unused)
{
	static const char *const places[] = {
		"/Applications/Quiver.app", "/Applications/Utilities/Quiver.app", "/Volumes/Quiver/Quiver.app",
		"/Users/me/Applications/Quiver.app", "/Applications2/Quiver.app",
	};

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		struct world world = healthy();

		world.facts.extension.state = QUIVER_EXTENSION_MISSING;
		quiver_words_add(&world.facts.apps, "%s", places[i]);
		look(&world);
		assert_int_equal(said(&world, "app-place"), quiver_app_check_place(places[i]) ?
				 QUIVER_ERROR : QUIVER_OK);
		done(&world);
	}
}

static void paths_in_the_home_folder_are_told_without_it(void **unused)
{
	static const char *const cases[][3] = {
		{ "/Users/jane/qemu", "/Users/jane", "~/qemu" },
		{ "/Users/jane", "/Users/jane", "~" },
		{ "/Users/janet/qemu", "/Users/jane", "/Users/janet/qemu" },
		{ "/opt/Users/jane/qemu", "/Users/jane", "/opt/Users/jane/qemu" },
		{ "/opt/qemu", "", "/opt/qemu" },
		{ "/opt/qemu", NULL, "/opt/qemu" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *brief = quiver_path_brief(cases[i][0], cases[i][1]);

		assert_string_equal(brief, cases[i][2]);
		free(brief);
	}
}

static void memory_is_judged_by_what_is_left_for_macos(void **unused)
{
	static const struct {
		uint64_t mac, vm;
		enum quiver_severity severity;
	} cases[] = {
		{ 24, 12, QUIVER_OK }, { 24, 20, QUIVER_OK }, { 24, 21, QUIVER_WARNING },
		{ 24, 24, QUIVER_ERROR }, { 24, 100, QUIVER_ERROR }, { 8, 4, QUIVER_OK },
		{ 24, 3, QUIVER_WARNING },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct world world = healthy();

		world.facts.system.memory = cases[i].mac * QUIVER_GIB;
		world.facts.vm_memory = cases[i].vm * QUIVER_GIB;
		expect_only(&world, "memory-low", cases[i].severity);
	}
}

static void a_reset_is_told_of_for_those_cards_that_the_extension_knows(void **unused)
{
	static const uint16_t gb202[] = { 0x2b85, 0x2b87, 0x2b8c };

	for (size_t i = 0; i < 3; i++) {
		struct world world = healthy();

		world.devices[0].pci.device = gb202[i];
		expect_only(&world, "reset-method", QUIVER_NOTE);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_healthy_mac_has_nothing_to_mend),
		cmocka_unit_test(every_error_and_warning_has_a_cure_in_one_line),
		cmocka_unit_test(ids_are_told_apart),
		cmocka_unit_test(without_facts_nothing_is_said_but_that_it_is_no_mac),
		cmocka_unit_test(a_device_that_is_being_reset_is_waited_for),
		cmocka_unit_test(a_device_of_a_vm_is_no_trouble),
		cmocka_unit_test(each_cause_has_words_and_a_cure_of_its_own),
		cmocka_unit_test(mappings_that_no_vm_uses_are_counted),
		cmocka_unit_test(on_a_mac_qemu_must_have_the_hypervisor),
		cmocka_unit_test(each_of_several_devices_is_judged),
		cmocka_unit_test(a_sound_function_is_judged_as_nothing_else),
		cmocka_unit_test(an_extension_that_runs_must_be_the_one_that_is_installed),
		cmocka_unit_test(memory_is_judged_by_what_is_left_for_macos),
		cmocka_unit_test(a_reset_is_told_of_for_those_cards_that_the_extension_knows),
		cmocka_unit_test(a_device_that_does_not_let_in_is_not_hidden_by_one_that_does),
		cmocka_unit_test(this_program_must_be_signed),
		cmocka_unit_test(a_registry_that_says_nothing_is_not_an_empty_one),
		cmocka_unit_test(names_of_system_settings_are_those_of_the_app),
		cmocka_unit_test(the_app_is_in_its_place_where_it_says_so_itself),
		cmocka_unit_test(paths_in_the_home_folder_are_told_without_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
