// SPDX-License-Identifier: BSD-3-Clause
/* quiver quirks: what quiver.ko mends in this guest, as its debugfs file says it. */
#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "table.h"

#define QUIRKS_FILE "/sys/kernel/debug/quiver/quirks"

struct quirk {
	char name[64], state[16], wanted[16];
	uint64_t reached, cured;
	const char *detail;		/* in the line that was parsed */
};

struct quirks_options {
	bool json, help;
	const char *file;
};

static int parse(int argc, char **argv, struct quirks_options *options)
{
	static const struct option known[] = {
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	int code;

	opterr = 0;
	while ((code = getopt_long(argc, argv, "+h", known, NULL)) != -1) {
		if (code == 'j')
			options->json = true;
		else if (code == 'h')
			options->help = true;
		else
			return quiver_usage_error("quirks: what is '%s'?", argv[optind - 1]);
	}
	options->file = optind < argc ? argv[optind++] : QUIRKS_FILE;
	if (optind < argc)
		return quiver_usage_error("quirks: what is '%s'?", argv[optind]);
	return QUIVER_EXIT_OK;
}

static void help(void)
{
	puts("Usage: quiver quirks [--json] [FILE]\n"
	     "Show what quiver.ko mends in this guest: drivers' quirks and their state.\n\n"
	     "  --json   one JSON array\n"
	     "  FILE     default: " QUIRKS_FILE);
}

/* A word into room bytes; returns what follows it and its spaces, or NULL. */
static const char *take_word(const char *text, char *word, size_t room)
{
	size_t length = strcspn(text, " ");

	if (!length || length >= room)
		return NULL;
	memcpy(word, text, length);
	word[length] = '\0';
	return text + length + strspn(text + length, " ");
}

static const char *take_count(const char *text, uint64_t *count)
{
	char word[24], *end;

	text = take_word(text, word, sizeof(word));
	if (!text || !isdigit((unsigned char)word[0]))
		return NULL;
	errno = 0;
	*count = strtoull(word, &end, 10);
	/* JSON's numbers have a sign. */
	return errno || *end || *count > INT64_MAX ? NULL : text;
}

/* NAME STATE SWITCH REACHED CURED DETAIL... */
static bool parse_line(char *line, struct quirk *quirk)
{
	const char *text = line;

	line[strcspn(line, "\n")] = '\0';
	text = take_word(text, quirk->name, sizeof(quirk->name));
	text = text ? take_word(text, quirk->state, sizeof(quirk->state)) : NULL;
	text = text ? take_word(text, quirk->wanted, sizeof(quirk->wanted)) : NULL;
	text = text ? take_count(text, &quirk->reached) : NULL;
	text = text ? take_count(text, &quirk->cured) : NULL;
	quirk->detail = text;
	return text;
}

static void add_row(struct quiver_table *table, const struct quirk *quirk)
{
	char reached[24], cured[24];

	snprintf(reached, sizeof(reached), "%" PRIu64, quirk->reached);
	snprintf(cured, sizeof(cured), "%" PRIu64, quirk->cured);
	quiver_table_row(table, quirk->name, quirk->state, quirk->wanted, reached, cured,
			 quirk->detail);
}

/* False: no JSON can say it, since it is not UTF-8. */
static bool add_object(json_t *array, const struct quirk *quirk)
{
	return !json_array_append_new(array, json_pack("{s:s s:s s:s s:I s:I s:s}",
						       "name", quirk->name, "state", quirk->state,
						       "switch", quirk->wanted,
						       "reached", (json_int_t)quirk->reached,
						       "cured", (json_int_t)quirk->cured,
						       "detail", quirk->detail));
}

static int read_quirks(FILE *file, struct quiver_table *table, json_t *array)
{
	struct quirk quirk;
	char *line = NULL;
	size_t room = 0;
	int status = QUIVER_EXIT_OK;

	while (!status && getline(&line, &room, file) >= 0) {
		if (!parse_line(line, &quirk) || !add_object(array, &quirk)) {
			quiver_error("quirks: not a list of quirks: '%s'", line);
			status = QUIVER_EXIT_SETUP;
		} else {
			add_row(table, &quirk);
		}
	}
	if (ferror(file)) {
		quiver_error("quirks: %s", strerror(errno));
		status = QUIVER_EXIT_SETUP;
	}
	free(line);
	return status;
}

static int show(FILE *file, bool json)
{
	struct quiver_table table = { .columns = 6 };
	json_t *array = json_array();
	int status;

	quiver_table_row(&table, "QUIRK", "STATE", "SWITCH", "REACHED", "CURED", "DETAIL");
	status = read_quirks(file, &table, array);
	if (!status && json) {
		json_dumpf(array, stdout, JSON_INDENT(2));
		putchar('\n');
	} else if (!status) {
		quiver_table_print(&table, stdout);
	}
	quiver_table_free(&table);
	json_decref(array);
	return status;
}

int quiver_quirks_main(int argc, char **argv)
{
	struct quirks_options options = { 0 };
	int status = parse(argc, argv, &options);
	FILE *file;

	if (status)
		return status;
	if (options.help) {
		help();
		return QUIVER_EXIT_OK;
	}
	file = fopen(options.file, "re");
	if (!file) {
		quiver_error("quirks: %s: %s; in a guest, as root, quiver.ko must be loaded and debugfs mounted",
			     options.file, strerror(errno));
		return QUIVER_EXIT_SETUP;
	}
	status = show(file, options.json);
	fclose(file);
	return status;
}
