// SPDX-License-Identifier: BSD-3-Clause
/* What `quiver stat` prints: of what is there, and of whatever else comes. */
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/stat_text.h"
#include "model.h"

/* Of words.c, which reports memory that is out. */
void quiver_error(const char *format, ...)
{
	abort();
}

static const char whole[] =
	"{\"aperture\": 268435456, \"pressure\": \"low\","
	" \"bytes\": {\"used\": 16384, \"limit\": 1572864000},"
	" \"mappings\": {\"used\": 1, \"limit\": 64000},"
	" \"guest\": {\"total\": 1265631232, \"usable\": 997195776, \"aperture_online\": 134217728,"
	"  \"aperture_free\": 33554432, \"aperture_shared\": 1,"
	"  \"pages\": {\"steered\": 8, \"full\": 0, \"offline\": 2, \"cpuset\": 0, \"unseen\": 0}},"
	" \"devices\": [{\"id\": \"device0\", \"host\": \"10de:2b85\","
	"  \"bytes\": {\"used\": 16384}, \"mappings\": {\"used\": 1},"
	"  \"guest\": {\"aperture_segments\": 1, \"window_segments\": 2, \"aperture_bytes\": 0,"
	"   \"window_bytes\": 0, \"exits\": 3, \"windows\": 1,"
	"   \"pages\": {\"steered\": 4, \"full\": 5, \"offline\": 0, \"cpuset\": 0, \"unseen\": 6}}}]}";

/* The caller frees it. */
static char *print(const json_t *stats)
{
	char *text = NULL;
	size_t size;
	FILE *file = open_memstream(&text, &size);

	quiver_stat_print(stats, file);
	fclose(file);
	return text;
}

static char *print_text(const char *json)
{
	json_t *stats = json_loads(json, JSON_DECODE_ANY, NULL);
	char *text = print(stats);

	json_decref(stats);
	return text;
}

static void each_number_is_where_it_belongs(void **state)
{
	char *text = print_text(whole);

	assert_string_equal(text,
		"  memory    951 MiB; MemTotal says 1207 MiB, with the aperture\n"
		"  aperture  256 MiB, 128 MiB online, 96 MiB used, 32 MiB free; not kept for drivers\n"
		"  budget    16 KiB of 1500 MiB, 1 of 64000 mappings, pressure low\n"
		"  drivers   8 pages of the aperture, 2 from elsewhere\n"
		"  drivers: 2 pages from elsewhere: none of the aperture is online\n"
		"DEVICE   HOST       APERTURE-MAPS  APERTURE-BYTES  EXITS  WINDOWS  MAPPINGS  MAPPED  STEERED  MISSED\n"
		"device0  10de:2b85  33.3 %         -               3      1        1         16 KiB  4        11\n"
		"device0: 5 pages from elsewhere: the aperture has none in one piece\n"
		"device0: 6 pages from elsewhere: the device does not see the aperture\n");
	free(text);
}

static void what_is_not_there_is_a_dash(void **state)
{
	char *text = print_text("{\"devices\": [{}]}");

	assert_non_null(strstr(text, "  memory    - (the guest tells nothing)\n  aperture  none\n"));
	assert_non_null(strstr(text, "\n-       -     -              -               -      -        -         -       -        -\n"));
	free(text);
}

static void nearly_all_is_not_all(void **state)
{
	char *text = print_text("{\"devices\": [{\"guest\": {\"aperture_segments\": 999999, \"window_segments\": 1,"
				" \"aperture_bytes\": 1, \"window_bytes\": 0}}]}");

	assert_non_null(strstr(text, " 99.9 % "));
	assert_non_null(strstr(text, " 100.0 % "));
	free(text);
}

/* Any value in place of any other: a guest may say what it likes, and so may who is at the socket. */
static json_t *spoilt(const json_t *json, struct model_random *dice)
{
	static const char *const others[] = {
		"null", "[]", "{}", "[1]", "\"\"", "-1", "9223372036854775807", "1e300", "-9223372036854775807", "true",
	};
	json_t *copy, *value;
	const char *key;
	size_t i;

	if (!model_random_below(dice, 12))
		return json_loads(others[model_random_below(dice, sizeof(others) / sizeof(others[0]))],
				  JSON_DECODE_ANY, NULL);
	if (json_is_object(json)) {
		copy = json_object();
		json_object_foreach((json_t *)json, key, value)
			json_object_set_new(copy, key, spoilt(value, dice));
	} else if (json_is_array(json)) {
		copy = json_array();
		json_array_foreach(json, i, value)
			json_array_append_new(copy, spoilt(value, dice));
	} else {
		copy = json_deep_copy(json);
	}
	return copy;
}

static void whatever_comes_is_printed(void **state)
{
	json_t *stats = json_loads(whole, 0, NULL);
	struct model_random dice;

	model_random_init(&dice, "stat");
	for (int round = 0; round < 20000; round++) {
		json_t *other = spoilt(stats, &dice);
		char *text = print(other);

		assert_true(strlen(text) > 100);
		free(text);
		json_decref(other);
	}
	json_decref(stats);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_number_is_where_it_belongs),
		cmocka_unit_test(what_is_not_there_is_a_dash),
		cmocka_unit_test(nearly_all_is_not_all),
		cmocka_unit_test(whatever_comes_is_printed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
