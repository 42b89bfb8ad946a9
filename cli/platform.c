// SPDX-License-Identifier: BSD-3-Clause
#include "platform.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#ifdef __linux__
#include <sys/prctl.h>
#endif
#ifdef __APPLE__
#include <mach-o/dyld.h>
#endif

#include "cli.h"

bool quiver_platform_has_iokit(void)
{
	struct utsname name;

	return !uname(&name) && !strcmp(name.sysname, "Darwin");
}

#ifdef __APPLE__
static char *own_path(void)
{
	char path[PATH_MAX];
	uint32_t size = sizeof(path);

	return _NSGetExecutablePath(path, &size) ? NULL : realpath(path, NULL);
}
#else
static char *own_path(void)
{
	return realpath("/proc/self/exe", NULL);
}
#endif

char *quiver_platform_program(void)
{
	return own_path();
}

char *quiver_platform_folder(void)
{
	char *path = own_path();
	char *slash = path ? strrchr(path, '/') : NULL;

	if (slash)
		*slash = '\0';
	return path;
}

char *quiver_platform_near(const char *const *places, size_t count)
{
	char *folder = quiver_platform_folder(), *path = NULL;

	for (size_t i = 0; folder && !path && i < count; i++) {
		path = quiver_text("%s/%s", folder, places[i]);
		if (access(path, X_OK)) {
			free(path);
			path = NULL;
		}
	}
	free(folder);
	return path;
}

#ifdef __APPLE__
const char *quiver_platform_tools(void)
{
	return "/usr/bin:/usr/sbin:/bin:/sbin";
}
#else
const char *quiver_platform_tools(void)
{
	const char *path = getenv("PATH");

	return path ? path : "";
}
#endif

void quiver_platform_die_with_parent(int signal)
{
#ifdef __linux__
	prctl(PR_SET_PDEATHSIG, signal);
#else
	(void)signal;
#endif
}
