// SPDX-License-Identifier: BSD-3-Clause
#include "run/note.h"

#include <stdarg.h>
#include <stdio.h>

void quiver_note(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fputs("quiver: ", stderr);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
	va_end(args);
}
