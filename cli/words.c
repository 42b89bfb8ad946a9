// SPDX-License-Identifier: BSD-3-Clause
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

static void *need(void *memory)
{
	if (memory)
		return memory;
	quiver_error("out of memory");
	exit(QUIVER_EXIT_SETUP);
}

static char *format_text(const char *format, va_list args)
{
	va_list again;
	char *text;
	int length;

	va_copy(again, args);
	length = vsnprintf(NULL, 0, format, again);
	va_end(again);
	if (length < 0)
		return need(NULL);
	text = need(malloc((size_t)length + 1));
	vsnprintf(text, (size_t)length + 1, format, args);
	return text;
}

char *quiver_text(const char *format, ...)
{
	va_list args;
	char *text;

	va_start(args, format);
	text = format_text(format, args);
	va_end(args);
	return text;
}

void quiver_words_add(struct quiver_words *words, const char *format, ...)
{
	va_list args;

	words->word = need(realloc(words->word, (words->count + 2) * sizeof(*words->word)));
	va_start(args, format);
	words->word[words->count++] = format_text(format, args);
	va_end(args);
	words->word[words->count] = NULL;
}

void quiver_words_free(struct quiver_words *words)
{
	for (size_t i = 0; i < words->count; i++)
		free(words->word[i]);
	free(words->word);
	*words = (struct quiver_words){ 0 };
}

static bool is_plain(const char *word)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789@%+=:,./_-";

	return *word && !word[strspn(word, plain)];
}

/* Appends word to the end of a buffer that is large enough; returns the new end. */
static char *quote(char *end, const char *word)
{
	if (is_plain(word))
		return stpcpy(end, word);
	*end++ = '\'';
	for (; *word; word++) {
		if (*word == '\'')
			end = stpcpy(end, "'\\''");
		else
			*end++ = *word;
	}
	return stpcpy(end, "'");
}

char *quiver_words_quote(const struct quiver_words *words)
{
	size_t size = 1;
	char *line, *end;

	for (size_t i = 0; i < words->count; i++)
		size += 4 * strlen(words->word[i]) + 3;
	end = line = need(malloc(size));
	*end = '\0';
	for (size_t i = 0; i < words->count; i++) {
		if (i)
			*end++ = ' ';
		end = quote(end, words->word[i]);
	}
	return line;
}
