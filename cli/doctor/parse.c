// SPDX-License-Identifier: BSD-3-Clause
#include "doctor/parse.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define IDENTIFIER	"dev.quiver.Quiver.driver"	/* of app/Quiver.xcconfig */
#define COLUMNS		6

enum column { COLUMN_ENABLED, COLUMN_ACTIVE, COLUMN_TEAM, COLUMN_BUNDLE, COLUMN_NAME,
	      COLUMN_STATE };

enum quiver_sip quiver_parse_sip(const char *text)
{
	static const char label[] = "System Integrity Protection status: ";
	const char *status = text ? strstr(text, label) : NULL;

	if (!status)
		return QUIVER_SIP_UNKNOWN;
	status += strlen(label);
	if (!strncmp(status, "enabled", strlen("enabled")))
		return QUIVER_SIP_ON;
	if (!strncmp(status, "disabled", strlen("disabled")))
		return QUIVER_SIP_OFF;
	return strstr(status, "Custom Configuration") ? QUIVER_SIP_PARTLY : QUIVER_SIP_UNKNOWN;
}

/* Cuts a line at its tabs. */
static unsigned int split(char *line, char *column[COLUMNS])
{
	unsigned int count = 0;

	for (char *at = line; at && count < COLUMNS; count++)
		column[count] = strsep(&at, "\t");
	return count;
}

/* Ours, whoever built it: the identifier is its builder's, the name is not. */
static bool is_ours(const char *bundle, const char *name)
{
	size_t length = strcspn(bundle, " (");

	return !strcmp(name, QUIVER_DEXT_SERVICE) ||
	       (length == strlen(IDENTIFIER) && !strncmp(bundle, IDENTIFIER, length));
}

static enum quiver_extension_state state_of(const char *words)
{
	static const struct {
		const char *words;
		enum quiver_extension_state state;
	} known[] = {
		{ "activated enabled", QUIVER_EXTENSION_ENABLED },
		{ "activated waiting for user", QUIVER_EXTENSION_WAITING },
		{ "activated disabled", QUIVER_EXTENSION_DISABLED },
		{ "terminat", QUIVER_EXTENSION_LEAVING },	/* terminated ..., terminating ... */
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (!strncmp(words, known[i].words, strlen(known[i].words)))
			return known[i].state;
	return QUIVER_EXTENSION_OTHER;
}

/* "[activated enabled]" without the brackets */
static void copy_state(char *to, size_t size, const char *from)
{
	from += *from == '[';
	snprintf(to, size, "%.*s", (int)strcspn(from, "]"), from);
}

/* "dev.quiver.Quiver.driver (0.1.0/2.1)": the build's first number is that of the wire. */
static void read_bundle(const char *bundle, struct quiver_extension *extension)
{
	size_t length = strcspn(bundle, " (");
	const char *version = strchr(bundle, '('), *build = version ? strchr(version, '/') : NULL;

	snprintf(extension->identifier, sizeof(extension->identifier), "%.*s", (int)length, bundle);
	if (version)
		snprintf(extension->version, sizeof(extension->version), "%.*s",
			 (int)strcspn(version + 1, "/)"), version + 1);
	if (build)
		extension->abi = (unsigned int)strtoul(build + 1, NULL, 10);
}

static bool read_row(char *line, struct quiver_extension *extension)
{
	char *column[COLUMNS];

	if (split(line, column) < COLUMNS || !is_ours(column[COLUMN_BUNDLE], column[COLUMN_NAME]))
		return false;
	*extension = (struct quiver_extension){ 0 };
	copy_state(extension->words, sizeof(extension->words), column[COLUMN_STATE]);
	extension->state = state_of(extension->words);
	read_bundle(column[COLUMN_BUNDLE], extension);
	return true;
}

/* Less is nearer to working. */
static int rank(enum quiver_extension_state state)
{
	switch (state) {
	case QUIVER_EXTENSION_ENABLED:
		return 0;
	case QUIVER_EXTENSION_WAITING:
		return 1;
	case QUIVER_EXTENSION_DISABLED:
		return 2;
	case QUIVER_EXTENSION_OTHER:
		return 3;
	case QUIVER_EXTENSION_LEAVING:
		return 4;
	default:
		return 5;
	}
}

static void add_row(const struct quiver_extension *row, struct quiver_extension *best)
{
	bool leaving = row->state == QUIVER_EXTENSION_LEAVING;
	bool leftover = best->leftover, replaced = best->replaced;

	/* One that ends "for upgrade" is the one that runs until then. */
	if (leaving && !strncmp(row->words, "terminating", strlen("terminating")))
		replaced = true;
	if (leaving && rank(best->state) < rank(row->state))
		leftover = true;
	if (best->state == QUIVER_EXTENSION_LEAVING && !leaving)
		leftover = true;
	if (rank(row->state) < rank(best->state))
		*best = *row;
	best->leftover = leftover;
	best->replaced = replaced;
}

void quiver_parse_extensions(const char *text, struct quiver_extension *extension)
{
	struct quiver_extension row;
	char *copy, *rest, *line;

	*extension = (struct quiver_extension){ 0 };
	/* "3 extension(s)" comes first, also of none. */
	if (!text || !strstr(text, "extension(s)"))
		return;
	extension->state = QUIVER_EXTENSION_MISSING;
	copy = rest = quiver_text("%s", text);
	while ((line = strsep(&rest, "\n")))
		if (read_row(line, &row))
			add_row(&row, extension);
	free(copy);
	extension->replaced = extension->replaced && extension->leftover;
}

static bool has_word(const struct quiver_words *words, const char *word, size_t length)
{
	for (size_t i = 0; i < words->count; i++)
		if (strlen(words->word[i]) == length && !strncmp(words->word[i], word, length))
			return true;
	return false;
}

void quiver_parse_apps(const char *text, struct quiver_words *apps)
{
	while (text && *text) {
		size_t length = strcspn(text, "\n");

		if (*text == '/' && !has_word(apps, text, length))
			quiver_words_add(apps, "%.*s", (int)length, text);
		text += length + (text[length] == '\n');
	}
}

bool quiver_parse_identifier(const char *text)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-";
	size_t length = text ? strspn(text, letters) : 0;

	return length && (!text[length] || !strcmp(text + length, "\n"));
}

enum quiver_answer quiver_parse_entitlements(const char *text)
{
	static const char key[] = "<key>com.apple.security.hypervisor</key>";
	const char *found = text ? strstr(text, key) : NULL;

	if (!text)
		return QUIVER_UNKNOWN;
	if (!found)
		return QUIVER_NO;
	found += strlen(key);
	found += strspn(found, " \t\r\n");
	return strncmp(found, "<true", strlen("<true")) ? QUIVER_NO : QUIVER_YES;
}
