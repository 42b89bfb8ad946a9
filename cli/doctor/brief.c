// SPDX-License-Identifier: BSD-3-Clause
#include <string.h>

#include "doctor/facts.h"

char *quiver_path_brief(const char *path, const char *home)
{
	size_t length = home ? strlen(home) : 0;

	if (!length || strncmp(path, home, length) || (path[length] && path[length] != '/'))
		return quiver_text("%s", path);
	return quiver_text("~%s", path + length);
}
