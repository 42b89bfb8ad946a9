// SPDX-License-Identifier: BSD-3-Clause
#include <errno.h>
#include <string.h>

#include "cli.h"
#include "commands.h"

int quiver_trace_open(const char *path, struct quiver_trace *trace)
{
	size_t line;
	int error = quiver_trace_load(path, trace, &line);

	switch (error) {
	case 0:
		return QUIVER_EXIT_OK;
	case -EINVAL:
		quiver_error("%s: line %zu is not a trace's", path, line);
		return QUIVER_EXIT_TRACE;
	case -EIO:
		quiver_error("%s: damaged, or cut short", path);
		return QUIVER_EXIT_TRACE;
	default:
		quiver_error("%s: %s", path, strerror(-error));
		return QUIVER_EXIT_SETUP;
	}
}
