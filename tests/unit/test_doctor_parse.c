// SPDX-License-Identifier: BSD-3-Clause
/* What `quiver doctor` reads in what programs print. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "app/words.h"
#include "cli/doctor/parse.h"

void quiver_error(const char *format, ...)
{
}

static void sip_is_read(void **unused)
{
	assert_int_equal(quiver_parse_sip("System Integrity Protection status: enabled.\n"), QUIVER_SIP_ON);
	assert_int_equal(quiver_parse_sip("System Integrity Protection status: disabled.\n"),
			 QUIVER_SIP_OFF);
	/* Its lines say "enabled", too. */
	assert_int_equal(quiver_parse_sip("System Integrity Protection status: unknown (Custom Configuration)"
					  ".\n\nConfiguration:\n\tApple Internal: disabled\n"
					  "\tKext Signing: enabled\n"), QUIVER_SIP_PARTLY);
	assert_int_equal(quiver_parse_sip("csrutil: failed to retrieve system integrity configuration\n"),
			 QUIVER_SIP_UNKNOWN);
	assert_int_equal(quiver_parse_sip(NULL), QUIVER_SIP_UNKNOWN);
}

#define HEAD "2 extension(s)\n--- com.apple.system_extension.driver_extension (Go to 'System Settings')\n" \
	"enabled\tactive\tteamID\tbundleID (version)\tname\t[state]\n"
#define OTHERS "*\t*\tG43BCU2T37\torg.pqrs.Karabiner-DriverKit-VirtualHIDDevice (1.8.0/1.8.0)\tx\t[activated enabled]\n"
#define ROW(on, version, state) on "\t*\tABCDE12345\tdev.quiver.Quiver.driver (" version ")\tQuiverDriver\t[" state "]\n"

static struct quiver_extension read_list(const char *text)
{
	struct quiver_extension extension;

	quiver_parse_extensions(text, &extension);
	return extension;
}

static void an_extension_is_found_among_others(void **unused)
{
	struct quiver_extension extension;

	assert_int_equal(read_list(NULL).state, QUIVER_EXTENSION_UNKNOWN);
	assert_int_equal(read_list("").state, QUIVER_EXTENSION_UNKNOWN);
	assert_int_equal(read_list("0 extension(s)\n").state, QUIVER_EXTENSION_MISSING);
	assert_int_equal(read_list(HEAD OTHERS).state, QUIVER_EXTENSION_MISSING);
	extension = read_list(HEAD OTHERS ROW("*", "0.1.0/2.1", "activated enabled"));
	assert_int_equal(extension.state, QUIVER_EXTENSION_ENABLED);
	assert_string_equal(extension.identifier, "dev.quiver.Quiver.driver");
	assert_string_equal(extension.version, "0.1.0");
	assert_int_equal(extension.abi, 2);
	assert_false(extension.leftover);
	/* Built by somebody else, who has another identifier; and with an ad-hoc signature. */
	extension = read_list(HEAD "*\t*\t-\tcom.example.egpu.driver (1.0/3)\tQuiverDriver\t[activated enabled]\n");
	assert_int_equal(extension.state, QUIVER_EXTENSION_ENABLED);
	assert_string_equal(extension.identifier, "com.example.egpu.driver");
	assert_int_equal(extension.abi, 3);
	/* One that only begins like ours. */
	assert_int_equal(read_list(HEAD "*\t*\t-\tdev.quiver.Quiver.driver2 (1/3)\tx\t[activated enabled]\n").state,
			 QUIVER_EXTENSION_MISSING);
}

static void states_are_those_that_macos_prints(void **unused)
{
	assert_int_equal(read_list(HEAD ROW("", "1/2", "activated waiting for user")).state,
			 QUIVER_EXTENSION_WAITING);
	assert_int_equal(read_list(HEAD ROW("", "1/2", "activated disabled")).state,
			 QUIVER_EXTENSION_DISABLED);
	assert_int_equal(read_list(HEAD ROW("", "1/2", "terminated waiting to uninstall on reboot")).state,
			 QUIVER_EXTENSION_LEAVING);
	assert_int_equal(read_list(HEAD ROW("", "1/2", "validating by category")).state,
			 QUIVER_EXTENSION_OTHER);
	assert_string_equal(read_list(HEAD ROW("", "1/2", "validating by category")).words,
			    "validating by category");
}

static void of_several_copies_the_one_that_works_counts(void **unused)
{
	struct quiver_extension extension;

	extension = read_list(HEAD ROW("", "1/1", "terminating for upgrade via delegate")
			      ROW("*", "1/2", "activated enabled"));
	assert_int_equal(extension.state, QUIVER_EXTENSION_ENABLED);
	assert_int_equal(extension.abi, 2);
	assert_true(extension.leftover);
	assert_true(extension.replaced);
	extension = read_list(HEAD ROW("*", "1/2", "activated enabled")
			      ROW("", "1/1", "terminated waiting to uninstall on reboot"));
	assert_int_equal(extension.abi, 2);
	assert_true(extension.leftover);
	assert_false(extension.replaced);
	extension = read_list(HEAD ROW("", "1/1", "terminated waiting to uninstall on reboot"));
	assert_false(extension.leftover);
}

static void of_several_copies_the_app_takes_the_same(void **unused)
{
	static const struct {
		const char *row;
		struct quiver_app_extension app;
		enum quiver_extension_state state;
	} copies[] = {
		{ ROW("*", "1/2", "activated enabled"), { .enabled = true }, QUIVER_EXTENSION_ENABLED },
		{ ROW("", "1/2", "activated waiting for user"), { .awaiting_approval = true },
		  QUIVER_EXTENSION_WAITING },
		{ ROW("", "1/2", "activated disabled"), { .enabled = false }, QUIVER_EXTENSION_DISABLED },
		{ ROW("", "1/2", "terminated waiting to uninstall on reboot"), { .uninstalling = true },
		  QUIVER_EXTENSION_LEAVING },
	};
	const size_t count = sizeof(copies) / sizeof(copies[0]);

	for (size_t i = 0; i < count * count; i++) {
		const size_t pair[] = { i / count, i % count };
		struct quiver_app_extension both[] = { copies[pair[0]].app, copies[pair[1]].app };
		char text[1024];
		size_t chosen;

		snprintf(text, sizeof(text), HEAD "%s%s", copies[pair[0]].row, copies[pair[1]].row);
		quiver_app_judge(both, 2, "2.1", &chosen);
		assert_int_equal(read_list(text).state, copies[pair[chosen]].state);
	}
}

static void lists_that_are_cut_or_odd_are_survived(void **unused)
{
	static const char whole[] = HEAD OTHERS ROW("*", "0.1.0/2.1", "activated enabled");
	char part[sizeof(whole)];

	for (size_t length = 0; length < sizeof(whole); length++) {
		snprintf(part, sizeof(part), "%.*s", (int)length, whole);
		read_list(part);
	}
	read_list(HEAD "\t\t\t\t\t\n*\t*\t-\tdev.quiver.Quiver.driver\tQuiverDriver\t\n*\t*\t-\t(/\t\t[\n");
}

static void entitlements_are_read(void **unused)
{
	assert_int_equal(quiver_parse_entitlements("<dict><key>com.apple.security.hypervisor</key><true/></dict>"),
			 QUIVER_YES);
	assert_int_equal(quiver_parse_entitlements("<key>com.apple.security.hypervisor</key>\n\t<true/>"),
			 QUIVER_YES);
	assert_int_equal(quiver_parse_entitlements("<key>com.apple.security.hypervisor</key><false/>"
						   "<key>x</key><true/>"), QUIVER_NO);
	assert_int_equal(quiver_parse_entitlements(""), QUIVER_NO);
	assert_int_equal(quiver_parse_entitlements(NULL), QUIVER_UNKNOWN);
}

static void qemu_is_known_by_its_answers(void **unused)
{
	struct quiver_facts_qemu qemu = { 0 };

	quiver_parse_qemu("{\"QMP\": {\"version\": {\"qemu\": {\"micro\": 2, \"minor\": 2, \"major\": 10}}}}\n"
			  "{\"return\": {}}\n"
			  "{\"return\": [{\"name\": \"host\"}], \"id\": \"pci\"}\n"
			  "{\"return\": [], \"id\": \"dma\"}\n"
			  "{\"return\": [{\"name\": \"tso\"}, {\"name\": \"ram-device-noexec\"}], \"id\": \"hvf\"}\n",
			  &qemu);
	assert_true(qemu.answered && qemu.quiver_pci && qemu.quiver_dma && qemu.hvf && qemu.hvf_noexec &&
		    qemu.hvf_tso);
	assert_int_equal(qemu.major, 10);
	qemu = (struct quiver_facts_qemu){ 0 };
	quiver_parse_qemu("{\"QMP\": {\"version\": {\"qemu\": {\"minor\": 0, \"major\": 9}}}}\n"
			  "{\"id\": \"pci\", \"error\": {\"class\": \"DeviceNotFound\"}}\n"
			  "{\"id\": \"hvf\", \"return\": [{\"name\": \"type\"}]}\n", &qemu);
	assert_true(qemu.answered && qemu.hvf);
	assert_false(qemu.quiver_pci || qemu.quiver_dma || qemu.hvf_noexec);
	qemu = (struct quiver_facts_qemu){ 0 };
	quiver_parse_qemu("not JSON\n[1, 2]\n{\"return\": 3, \"id\": \"pci\"}\n{\"id\": 7}\n\n{", &qemu);
	quiver_parse_qemu(NULL, &qemu);
	assert_false(qemu.answered || qemu.quiver_pci);
}

static void apps_are_told_once_and_identifiers_from_complaints(void **unused)
{
	struct quiver_words apps = { 0 };

	quiver_parse_apps("/Applications/Quiver.app", &apps);
	quiver_parse_apps("/b/Quiver.app\n/Applications/Quiver.app\nnot a path\n", &apps);
	assert_int_equal(apps.count, 2);
	assert_string_equal(apps.word[1], "/b/Quiver.app");
	quiver_words_free(&apps);
	assert_true(quiver_parse_identifier("com.example.egpu-1\n"));
	assert_true(quiver_parse_identifier("dev.quiver.Quiver"));
	assert_false(quiver_parse_identifier(NULL));
	assert_false(quiver_parse_identifier(""));
	assert_false(quiver_parse_identifier("\n"));
	assert_false(quiver_parse_identifier("/Applications/Quiver.app/Contents/Info.plist: file does not exist\n"));
	assert_false(quiver_parse_identifier("a.b\nc.d\n"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sip_is_read),
		cmocka_unit_test(an_extension_is_found_among_others),
		cmocka_unit_test(states_are_those_that_macos_prints),
		cmocka_unit_test(of_several_copies_the_one_that_works_counts),
		cmocka_unit_test(of_several_copies_the_app_takes_the_same),
		cmocka_unit_test(lists_that_are_cut_or_odd_are_survived),
		cmocka_unit_test(entitlements_are_read),
		cmocka_unit_test(qemu_is_known_by_its_answers),
		cmocka_unit_test(apps_are_told_once_and_identifiers_from_complaints),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
