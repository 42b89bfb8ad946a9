// SPDX-License-Identifier: BSD-3-Clause
#include "doctor/ask.h"

#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli.h"
#include "platform.h"
#include "process.h"

#define ANSWER_MAX	(1u << 20)

static long now_ms(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

/* More has come, or the end: 0. A negative number: it takes too long, or is too much. */
static ssize_t read_more(int fd, char **text, size_t length, long end)
{
	struct pollfd ready = { .fd = fd, .events = POLLIN };
	long left = end - now_ms();
	char *grown;

	if (left <= 0 || length >= ANSWER_MAX || poll(&ready, 1, (int)left) <= 0)
		return -1;
	grown = realloc(*text, length + 4097);
	if (!grown)
		return -1;
	*text = grown;
	return read(fd, grown + length, 4096);
}

static char *read_answer(int fd, unsigned int seconds)
{
	long end = now_ms() + seconds * 1000L;
	char *text = NULL;
	size_t length = 0;
	ssize_t more;

	while ((more = read_more(fd, &text, length, end)) > 0)
		length += (size_t)more;
	if (more < 0) {
		free(text);
		return NULL;
	}
	text[length] = '\0';
	return text;
}

static void close_all(int *fds, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (fds[i] >= 0)
			close(fds[i]);
}

static bool make_pipe(int *ends)
{
	if (pipe(ends)) {
		ends[0] = ends[1] = -1;
		return false;
	}
	fcntl(ends[0], F_SETFD, FD_CLOEXEC);
	fcntl(ends[1], F_SETFD, FD_CLOEXEC);
	return true;
}

/* What is smaller than a pipe is in it before anybody reads. */
static bool put(int fd, const char *input)
{
	return !input || write(fd, input, strlen(input)) == (ssize_t)strlen(input);
}

char *quiver_ask(char *const argv[], const char *input, unsigned int seconds)
{
	/* What it reads, both ends; what it prints; where its complaints go. */
	int fds[5] = { -1, -1, -1, -1, open("/dev/null", O_WRONLY | O_CLOEXEC) };
	struct quiver_child_setup setup = { 0 };
	struct quiver_child child;
	char *text = NULL;

	if (!make_pipe(&fds[0]) || !make_pipe(&fds[2]) || fds[4] < 0 || !put(fds[1], input)) {
		close_all(fds, 5);
		return NULL;
	}
	setup.in = fds[0];
	setup.out = fds[3];
	setup.err = fds[4];
	if (quiver_child_start(&child, argv, &setup)) {
		close_all(fds, 5);
		return NULL;
	}
	close_all(&fds[0], 2);
	close_all(&fds[3], 2);
	text = read_answer(fds[2], seconds);
	close(fds[2]);
	/* One that has closed its output has nothing more to say. */
	quiver_child_finish(&child, text ? 1 : 0);
	return text;
}

static char *find(const char *name)
{
	const char *folder = quiver_platform_tools();
	char *path = NULL;

	while (*folder && !path) {
		size_t length = strcspn(folder, ":");

		path = quiver_text("%.*s/%s", (int)length, folder, name);
		if (*folder != '/' || access(path, X_OK)) {
			free(path);
			path = NULL;
		}
		folder += length + (folder[length] == ':');
	}
	return path;
}

char *quiver_ask_macos(const char *name, ...)
{
	struct quiver_words command = { 0 };
	char *path = find(name), *text = NULL;
	const char *word;
	va_list words;

	if (!path)
		return NULL;
	quiver_words_add(&command, "%s", path);
	va_start(words, name);
	while ((word = va_arg(words, const char *)))
		quiver_words_add(&command, "%s", word);
	va_end(words);
	text = quiver_ask(command.word, NULL, QUIVER_ASK_SECONDS);
	quiver_words_free(&command);
	free(path);
	return text;
}
