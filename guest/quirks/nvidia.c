// SPDX-License-Identifier: GPL-2.0-only
#include <linux/kernel.h>
#include <linux/sched.h>

#include "nvidia.h"

bool quiver_nvidia_version(const char *text, struct quiver_nvidia_version *version)
{
	int two = 0, three = 0;

	*version = (struct quiver_nvidia_version){ };
	if (!text || sscanf(text, "%u.%u%n.%u%n", &version->major, &version->minor, &two,
			    &version->patch, &three) < 2)
		return false;
	return !text[two] || (three && !text[three]);
}

bool quiver_nvidia_is_before(const struct quiver_nvidia_version *version, unsigned int major,
			     unsigned int minor, unsigned int patch)
{
	if (version->major != major)
		return version->major < major;
	if (version->minor != minor)
		return version->minor < minor;
	return version->patch < patch;
}

/* The resource manager lets few tasks in at once. */
static struct task_struct *strict[8];

bool quiver_nvidia_strict_begin(void)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(strict); i++)
		if (!cmpxchg(&strict[i], NULL, current))
			return true;
	return false;
}

void quiver_nvidia_strict_end(void)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(strict); i++)
		cmpxchg(&strict[i], current, NULL);
}

bool quiver_nvidia_is_strict(void)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(strict); i++)
		if (READ_ONCE(strict[i]) == current)
			return true;
	return false;
}
