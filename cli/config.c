// SPDX-License-Identifier: BSD-3-Clause
#include "config.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

static char *trim(char *text)
{
	char *end;

	while (isspace((unsigned char)*text))
		text++;
	end = text + strlen(text);
	while (end > text && isspace((unsigned char)end[-1]))
		end--;
	*end = '\0';
	return text;
}

/* Both blanks and comments are nothing: true, and no name. */
static bool split(char *line, struct quiver_config_entry *entry)
{
	char *equals, *text = trim(line);

	entry->name = entry->value = NULL;
	if (!*text || *text == '#')
		return true;
	equals = strchr(text, '=');
	if (!equals)
		return false;
	*equals = '\0';
	entry->name = trim(text);
	entry->value = trim(equals + 1);
	return *entry->name;
}

static int take_line(char *line, size_t length, quiver_config_take take, void *context,
		     struct quiver_config_entry *entry)
{
	if (strlen(line) != length || !split(line, entry))
		return quiver_usage_error("%s:%u: this is neither 'NAME = VALUE' nor a comment",
					  entry->file, entry->line);
	return entry->name ? take(context, entry) : QUIVER_EXIT_OK;
}

static int read_lines(FILE *stream, const char *file, quiver_config_take take, void *context)
{
	struct quiver_config_entry entry = { .file = file };
	char *line = NULL;
	size_t size = 0;
	ssize_t length;
	int status = QUIVER_EXIT_OK;

	errno = 0;
	while (!status && (length = getline(&line, &size, stream)) >= 0) {
		entry.line++;
		status = take_line(line, (size_t)length, take, context, &entry);
		errno = 0;
	}
	if (!status && errno) {
		quiver_error("cannot read %s: %s", file, strerror(errno));
		status = QUIVER_EXIT_SETUP;
	}
	free(line);
	return status;
}

int quiver_config_load(const char *file, bool required, quiver_config_take take, void *context)
{
	FILE *stream = fopen(file, "re");
	int status;

	if (!stream) {
		if (!required && (errno == ENOENT || errno == ENOTDIR))
			return QUIVER_EXIT_OK;
		quiver_error("cannot read %s: %s", file, strerror(errno));
		return QUIVER_EXIT_SETUP;
	}
	status = read_lines(stream, file, take, context);
	fclose(stream);
	return status;
}

char *quiver_config_default(void)
{
	const char *folder = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");

	/* A relative one is to be passed over, says the XDG Base Directory Specification. */
	if (folder && *folder == '/')
		return quiver_text("%s/quiver/config", folder);
	return home && *home ? quiver_text("%s/.config/quiver/config", home) : NULL;
}

char *quiver_config_path(const struct quiver_config_entry *entry)
{
	const char *home = getenv("HOME"), *slash = strrchr(entry->file, '/');

	if (!strncmp(entry->value, "~/", 2) && home && *home)
		return quiver_text("%s%s", home, entry->value + 1);
	if (*entry->value == '/' || !slash)
		return quiver_text("%s", entry->value);
	return quiver_text("%.*s%s", (int)(slash - entry->file + 1), entry->file, entry->value);
}
