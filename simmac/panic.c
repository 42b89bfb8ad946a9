// SPDX-License-Identifier: BSD-3-Clause
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "simmac/panic.h"

static char report_path[4096];
static _Atomic(void (*)(void)) panic_hook;
static atomic_flag panicked = ATOMIC_FLAG_INIT;

void simmac_panic_set_report(const char *path)
{
	snprintf(report_path, sizeof(report_path), "%s", path ? path : "");
}

void simmac_panic_set_hook(void (*hook)(void))
{
	atomic_store(&panic_hook, hook);
}

static void write_all(int fd, const char *text, size_t length)
{
	while (length) {
		ssize_t n = write(fd, text, length);

		if (n <= 0)
			return;
		text += n;
		length -= (size_t)n;
	}
}

static void write_report(const char *text, size_t length)
{
	int fd;

	write_all(STDERR_FILENO, text, length);
	if (!report_path[0])
		return;
	fd = open(report_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0)
		return;
	write_all(fd, text, length);
	close(fd);
}

void simmac_panic(const char *fact, const char *format, ...)
{
	static char text[4096];
	void (*hook)(void);
	size_t length;
	va_list args;

	while (atomic_flag_test_and_set(&panicked))
		pause();

	length = (size_t)snprintf(text, sizeof(text), "simmac: PANIC [%s] ", fact);
	va_start(args, format);
	vsnprintf(text + length, sizeof(text) - length - 1, format, args);
	va_end(args);
	length = strlen(text);
	text[length++] = '\n';
	write_report(text, length);

	hook = atomic_load(&panic_hook);
	if (hook)
		hook();
	_exit(SIMMAC_PANIC_STATUS);
}
