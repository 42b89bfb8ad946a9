// SPDX-License-Identifier: BSD-3-Clause
/* A stage for a person's eyes: a line, its figures below. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../cli.h"
#include "probe.h"

static char *value_text(const json_t *value);

static char *summary_text(const json_t *value)
{
	return quiver_text("median %" JSON_INTEGER_FORMAT ", p99 %" JSON_INTEGER_FORMAT
			   ", %" JSON_INTEGER_FORMAT " to %" JSON_INTEGER_FORMAT
			   " (of %" JSON_INTEGER_FORMAT ")",
			   json_integer_value(json_object_get(value, "median")),
			   json_integer_value(json_object_get(value, "p99")),
			   json_integer_value(json_object_get(value, "min")),
			   json_integer_value(json_object_get(value, "max")),
			   json_integer_value(json_object_get(value, "count")));
}

/* The text, a separator unless it is empty, and the addition, which is freed, as the text is. */
static char *join(char *text, const char *separator, char *addition)
{
	char *joined = quiver_text("%s%s%s", text, *text ? separator : "", addition);

	free(text);
	free(addition);
	return joined;
}

static char *object_text(const json_t *object)
{
	char *text = quiver_text("%s", "");
	const char *key;
	json_t *value;

	json_object_foreach((json_t *)(uintptr_t)object, key, value) {
		char *one = value_text(value);

		text = join(text, ", ", quiver_text("%s %s", key, one));
		free(one);
	}
	return text;
}

static char *array_text(const json_t *array)
{
	char *text = quiver_text("%s", "");

	for (size_t i = 0; i < json_array_size(array); i++)
		text = join(text, "; ", value_text(json_array_get(array, i)));
	return text;
}

static char *value_text(const json_t *value)
{
	switch (json_typeof(value)) {
	case JSON_OBJECT:
		return json_object_get(value, "median") ? summary_text(value) : object_text(value);
	case JSON_ARRAY:
		return array_text(value);
	case JSON_STRING:
		return quiver_text("%s", json_string_value(value));
	case JSON_INTEGER:
		return quiver_text("%" JSON_INTEGER_FORMAT, json_integer_value(value));
	case JSON_REAL:
		return quiver_text("%.1f", json_real_value(value));
	case JSON_TRUE:
		return quiver_text("yes");
	case JSON_FALSE:
		return quiver_text("no");
	default:
		return quiver_text("-");
	}
}

static void print_line(const char *key, const json_t *value)
{
	char *text = value_text(value);

	printf("    %-22s %s\n", key, *text ? text : "-");
	free(text);
}

/* Many of a kind have a line each. */
static void print_figure(const char *key, const json_t *value)
{
	if (!json_is_array(value) || !json_is_object(json_array_get(value, 0))) {
		print_line(key, value);
		return;
	}
	for (size_t i = 0; i < json_array_size(value); i++)
		print_line(i ? "" : key, json_array_get(value, i));
}

static const char *text_of(const json_t *stage, const char *key)
{
	return json_string_value(json_object_get(stage, key));
}

/* The release has no number. */
static void print_entry(const json_t *entry, const char *reason)
{
	const json_t *stage = json_object_get(entry, "stage");
	json_int_t n = json_integer_value(stage);
	char mark = '-';

	if (stage)
		mark = (char)('0' + n);
	if (!reason)
		reason = stage ? quiver_probe_stages[n].summary : QUIVER_PROBE_RELEASE_SUMMARY;
	printf("%c %-11s %-8s %s\n", mark, text_of(entry, "name"), text_of(entry, "result"), reason);
}

void quiver_probe_print(const json_t *stage)
{
	const char *reason = text_of(stage, "reason"), *cure = text_of(stage, "cure"), *key;
	json_t *value;

	print_entry(stage, reason);
	if (cure)
		printf("    %-22s %s\n", "what helps", cure);
	json_object_foreach(json_object_get(stage, "figures"), key, value)
		print_figure(key, value);
	fflush(stdout);
}
