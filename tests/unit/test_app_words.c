// SPDX-License-Identifier: BSD-3-Clause
/* What the app on a Mac decides and says: every error code, state, place and version. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <jansson.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "app/words.h"

#define CODES 13		/* OSSystemExtensionErrorCode has 1 to 13 */

static bool same(struct quiver_app_words a, struct quiver_app_words b)
{
	return !strcmp(a.what, b.what) && !strcmp(a.cure, b.cure);
}

static void assert_says(struct quiver_app_words words, const char *part)
{
	if (!strstr(words.what, part) && !strstr(words.cure, part))
		fail_msg("no '%s' in '%s' '%s'", part, words.what, words.cure);
}

/* Every code has words of its own, which say what happened and what to do. */
static void every_error_has_words_of_its_own(void **state)
{
	struct quiver_app_words unknown = quiver_app_error_words(QUIVER_APP_ACTIVATE, CODES + 1);
	long a, b;

	for (a = 1; a <= CODES; a++) {
		struct quiver_app_words words = quiver_app_error_words(QUIVER_APP_ACTIVATE, a);

		assert_non_null(words.what);
		assert_non_null(words.cure);
		assert_true(strlen(words.what) > 20);
		assert_true(strlen(words.cure) > 20);
		assert_false(same(words, unknown));
		for (b = 1; b < a; b++)
			assert_string_not_equal(words.what,
						quiver_app_error_words(QUIVER_APP_ACTIVATE, b).what);
	}
}

static void errors_name_the_cure_that_fits_them(void **state)
{
	static const struct {
		long code;
		const char *part;
	} cures[] = {
		{ 2, "entitlement" }, { 3, "/Applications" }, { 6, "QUIVER_BUNDLE_ID" },
		{ 8, "codesign --verify" }, { 9, "profile" }, { 10, "policy" },
		{ 11, "--force" }, { 13, "password" },
	};
	size_t i;

	for (i = 0; i < sizeof(cures) / sizeof(cures[0]); i++)
		assert_says(quiver_app_error_words(QUIVER_APP_ACTIVATE, cures[i].code), cures[i].part);
}

static void codes_of_a_later_macos_are_not_taken_for_known_ones(void **state)
{
	static const long codes[] = { LONG_MIN, -1, 0, CODES + 1, 4000, LONG_MAX };
	size_t i;

	for (i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
		assert_says(quiver_app_error_words(QUIVER_APP_ACTIVATE, codes[i]), "does not know");
}

static void removing_what_is_not_there_wants_no_cure(void **state)
{
	struct quiver_app_words words = quiver_app_error_words(QUIVER_APP_DEACTIVATE, 4);

	assert_says(words, "not installed");
	assert_string_equal(words.cure, "");
}

static void a_result_is_done_or_waits_for_a_restart_and_no_other_is_taken_for_done(void **state)
{
	long result;

	assert_int_equal(quiver_app_result_exit(0), QUIVER_APP_DONE);
	assert_int_equal(quiver_app_result_exit(1), QUIVER_APP_RESTART);
	for (result = 2; result < 5; result++)
		assert_int_equal(quiver_app_result_exit(result), QUIVER_APP_FAILED);
	assert_int_equal(quiver_app_result_exit(-1), QUIVER_APP_FAILED);
	assert_says(quiver_app_result_words(QUIVER_APP_ACTIVATE, 1), "becomes active");
	assert_says(quiver_app_result_words(QUIVER_APP_DEACTIVATE, 1), "removed when");
	assert_says(quiver_app_result_words(QUIVER_APP_DEACTIVATE, 0), "is removed");
	assert_says(quiver_app_result_words(QUIVER_APP_ACTIVATE, 0), "is active");
	assert_says(quiver_app_result_words(QUIVER_APP_ACTIVATE, 7), "does not know");
}

static void versions_compare_by_number_and_not_by_letter(void **state)
{
	static const struct {
		const char *a, *b;
		int order;
	} pairs[] = {
		{ "2.1", "2.1", 0 }, { "2.1", "2.1.0", 0 }, { "2", "2.0", 0 }, { "02.1", "2.1", 0 },
		{ "2.1", "2.2", -1 }, { "2.9", "2.10", -1 }, { "2.99", "10.0", -1 },
		{ "2.1.9", "2.1.10", -1 }, { "2.1.9999", "2.2.0", -1 }, { "2.1.7", "2.1.7", 0 },
		{ "3.0", "2.99.99", 1 }, { "2.1.1", "2.1", 1 }, { "", "0", 0 }, { "", "0.1", -1 },
		{ "x", "1", -1 }, { "2.x", "2.0", 0 }, { "2..5", "2.0", 0 },
		{ "99999999999999999999", "4294967294", 1 }, { "1.2.3.4", "1.2.3.5", 0 },
	};
	size_t i;

	for (i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		int order = quiver_app_version_compare(pairs[i].a, pairs[i].b);
		int back = quiver_app_version_compare(pairs[i].b, pairs[i].a);

		if ((order > 0) - (order < 0) != pairs[i].order || order != -back)
			fail_msg("'%s' and '%s': %d", pairs[i].a, pairs[i].b, order);
	}
}

static void a_newer_extension_is_replaced_only_by_force(void **state)
{
	assert_true(quiver_app_may_replace("2.1", "2.2", false));
	assert_true(quiver_app_may_replace("2.1", "2.1", false));
	assert_true(quiver_app_may_replace("2.1.9", "2.1.10", false));
	assert_false(quiver_app_may_replace("2.1.10", "2.1.9", false));
	assert_false(quiver_app_may_replace("2.10", "2.9", false));
	assert_true(quiver_app_may_replace("2.10", "2.9", true));
}

static void only_the_applications_folder_is_a_good_place(void **state)
{
	const struct quiver_app_words *words;

	assert_null(quiver_app_check_place("/Applications/Quiver.app"));
	assert_null(quiver_app_check_place("/Applications/Tools/Quiver.app"));
	words = quiver_app_check_place("/Users/u/Applications/Quiver.app");
	assert_non_null(words);
	assert_says(*words, "--anywhere");
	assert_non_null(quiver_app_check_place("/ApplicationsOld/Quiver.app"));
	words = quiver_app_check_place("/private/var/folders/x/T/AppTranslocation/1/d/Quiver.app");
	assert_non_null(words);
	assert_says(*words, "copy");
	words = quiver_app_check_place("/Volumes/Quiver/Quiver.app");
	assert_non_null(words);
	assert_says(*words, "disk image");
}

static struct quiver_app_extension extension(const char *version, const char *flags)
{
	struct quiver_app_extension extension = { .version = "" };

	strcpy(extension.version, version);
	extension.enabled = strchr(flags, 'e');
	extension.awaiting_approval = strchr(flags, 'a');
	extension.uninstalling = strchr(flags, 'u');
	return extension;
}

static void one_extension_is_judged_by_its_flags_and_version(void **state)
{
	static const struct {
		const char *version, *flags;
		enum quiver_app_state state;
		enum quiver_app_exit exit;
	} cases[] = {
		{ "2.3", "e", QUIVER_APP_STATE_ACTIVE, QUIVER_APP_DONE },
		{ "2.2", "e", QUIVER_APP_STATE_OLDER, QUIVER_APP_OTHER },
		{ "2.10", "e", QUIVER_APP_STATE_NEWER, QUIVER_APP_OTHER },
		{ "1.9", "e", QUIVER_APP_STATE_OTHER_ABI, QUIVER_APP_OTHER },
		{ "3.0", "e", QUIVER_APP_STATE_OTHER_ABI, QUIVER_APP_OTHER },
		{ "2.3", "a", QUIVER_APP_STATE_APPROVAL, QUIVER_APP_APPROVAL },
		{ "2.3", "", QUIVER_APP_STATE_DISABLED, QUIVER_APP_APPROVAL },
		{ "2.3", "u", QUIVER_APP_STATE_LEAVING, QUIVER_APP_RESTART },
		{ "2.3", "eu", QUIVER_APP_STATE_LEAVING, QUIVER_APP_RESTART },
	};
	size_t i, chosen;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct quiver_app_extension one = extension(cases[i].version, cases[i].flags);

		assert_int_equal(quiver_app_judge(&one, 1, "2.3", &chosen), cases[i].state);
		assert_int_equal(chosen, 0);
		assert_int_equal(quiver_app_state_exit(cases[i].state), cases[i].exit);
	}
	assert_int_equal(quiver_app_judge(NULL, 0, "2.3", &chosen), QUIVER_APP_STATE_ABSENT);
	assert_int_equal(chosen, 0);
	assert_int_equal(quiver_app_state_exit(QUIVER_APP_STATE_ABSENT), QUIVER_APP_ABSENT);
}

/* An update leaves the old one behind until a restart; what is enabled counts. */
static void of_several_the_enabled_one_counts_and_then_the_newest(void **state)
{
	struct quiver_app_extension several[] = {
		extension("2.9", "u"), extension("2.2", "e"), extension("2.8", "a"), extension("2.3", "e"),
		extension("2.7", ""),
	};
	size_t chosen;

	assert_int_equal(quiver_app_judge(several, 5, "2.3", &chosen), QUIVER_APP_STATE_ACTIVE);
	assert_int_equal(chosen, 3);
	several[1].enabled = several[3].enabled = false;
	assert_int_equal(quiver_app_judge(several, 5, "2.3", &chosen), QUIVER_APP_STATE_APPROVAL);
	assert_int_equal(chosen, 2);
	several[2].awaiting_approval = false;
	assert_int_equal(quiver_app_judge(several, 5, "2.3", &chosen), QUIVER_APP_STATE_DISABLED);
	assert_int_equal(chosen, 2);
	assert_int_equal(quiver_app_judge(several, 1, "2.3", &chosen), QUIVER_APP_STATE_LEAVING);
}

static void approval_is_looked_for_where_that_macos_has_it(void **state)
{
	assert_says(quiver_app_approval_words(14), "Privacy & Security");
	assert_says(quiver_app_approval_words(15), "Login Items & Extensions");
	assert_says(quiver_app_approval_words(26), "Driver Extensions");
	assert_string_not_equal(quiver_app_settings_url(14), quiver_app_settings_url(15));
	assert_says(quiver_app_state_words(QUIVER_APP_STATE_DISABLED, 15), "Driver Extensions");
	assert_says(quiver_app_state_words(QUIVER_APP_STATE_DISABLED, 14), "Privacy");
}

static void every_state_has_a_name_words_and_an_exit_status(void **state)
{
	int a, b;

	for (a = QUIVER_APP_STATE_ABSENT; a <= QUIVER_APP_STATE_LEAVING; a++) {
		struct quiver_app_words words = quiver_app_state_words(a, 15);

		assert_true(strlen(words.what) > 10);
		assert_true(strlen(words.cure) > 10);
		for (b = QUIVER_APP_STATE_ABSENT; b < a; b++) {
			assert_string_not_equal(quiver_app_state_name(a), quiver_app_state_name(b));
			assert_string_not_equal(words.what, quiver_app_state_words(b, 15).what);
		}
	}
}

static void status_is_json_whatever_a_version_holds(void **state)
{
	char text[256];
	json_t *json;
	int length = quiver_app_status_json(text, sizeof(text), QUIVER_APP_STATE_OLDER,
					    "2.1\"},{\"x", "2.2\n");

	assert_true(length > 0);
	assert_int_equal(length, strlen(text));
	json = json_loads(text, 0, NULL);
	assert_non_null(json);
	assert_string_equal(json_string_value(json_object_get(json, "state")), "active-older");
	assert_string_equal(json_string_value(json_object_get(json, "installed")), "2.1");
	assert_string_equal(json_string_value(json_object_get(json, "bundled")), "2.2");
	assert_int_equal(json_integer_value(json_object_get(json, "exit")), QUIVER_APP_OTHER);
	json_decref(json);

	assert_true(quiver_app_status_json(text, sizeof(text), QUIVER_APP_STATE_ABSENT, NULL, "2.2") > 0);
	json = json_loads(text, 0, NULL);
	assert_true(json_is_null(json_object_get(json, "installed")));
	json_decref(json);
	assert_int_equal(quiver_app_status_json(text, 20, QUIVER_APP_STATE_ABSENT, NULL, "2.2"), -ENOSPC);
}

static enum quiver_app_command parse(char *line, struct quiver_app_options *options)
{
	char *argv[12] = { "Quiver" }, *rest = NULL, *word;
	int argc = 1;

	for (word = strtok_r(line, " ", &rest); word; word = strtok_r(NULL, " ", &rest))
		argv[argc++] = word;
	quiver_app_parse(argc, argv, options);
	return options->command;
}

static void the_command_line_is_one_command_and_its_own_options(void **state)
{
	static const struct {
		const char *line;
		enum quiver_app_command command;
	} cases[] = {
		{ "", QUIVER_APP_WINDOW }, { "-psn_0_12345", QUIVER_APP_WINDOW },
		{ "-NSDocumentRevisionsDebugMode YES", QUIVER_APP_WINDOW },
		{ "-AppleLanguages (de) --status", QUIVER_APP_STATUS },
		{ "--activate", QUIVER_APP_ACTIVATE }, { "--deactivate", QUIVER_APP_DEACTIVATE },
		{ "--activate --force --wait --anywhere", QUIVER_APP_ACTIVATE },
		{ "--status --json", QUIVER_APP_STATUS }, { "--help", QUIVER_APP_HELP },
		{ "--activate --deactivate", QUIVER_APP_UNKNOWN },
		{ "--activate --json", QUIVER_APP_UNKNOWN }, { "--status --force", QUIVER_APP_UNKNOWN },
		{ "--deactivate --wait", QUIVER_APP_UNKNOWN }, { "--json", QUIVER_APP_UNKNOWN },
		{ "--activat", QUIVER_APP_UNKNOWN }, { "status", QUIVER_APP_UNKNOWN },
		{ "-NSNothing", QUIVER_APP_WINDOW },
	};
	struct quiver_app_options options;
	char line[80];
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		strcpy(line, cases[i].line);
		if (parse(line, &options) != cases[i].command)
			fail_msg("'%s': %d", cases[i].line, options.command);
	}
	strcpy(line, "--activate --force");
	parse(line, &options);
	assert_true(options.force);
	assert_false(options.wait);
	assert_false(options.anywhere);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_error_has_words_of_its_own),
		cmocka_unit_test(errors_name_the_cure_that_fits_them),
		cmocka_unit_test(codes_of_a_later_macos_are_not_taken_for_known_ones),
		cmocka_unit_test(removing_what_is_not_there_wants_no_cure),
		cmocka_unit_test(a_result_is_done_or_waits_for_a_restart_and_no_other_is_taken_for_done),
		cmocka_unit_test(versions_compare_by_number_and_not_by_letter),
		cmocka_unit_test(a_newer_extension_is_replaced_only_by_force),
		cmocka_unit_test(only_the_applications_folder_is_a_good_place),
		cmocka_unit_test(one_extension_is_judged_by_its_flags_and_version),
		cmocka_unit_test(of_several_the_enabled_one_counts_and_then_the_newest),
		cmocka_unit_test(approval_is_looked_for_where_that_macos_has_it),
		cmocka_unit_test(every_state_has_a_name_words_and_an_exit_status),
		cmocka_unit_test(status_is_json_whatever_a_version_holds),
		cmocka_unit_test(the_command_line_is_one_command_and_its_own_options),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
