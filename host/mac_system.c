// SPDX-License-Identifier: BSD-3-Clause
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <sys/sysctl.h>

#include "quiver/mac.h"

static bool get_text(const char *name, char *text, size_t size)
{
	size_t length = size - 1;

	memset(text, 0, size);
	return !sysctlbyname(name, text, &length, NULL, 0);
}

/* macOS has numbers of 32 and of 64 bits. */
static bool get_number(const char *name, uint64_t *value)
{
	union {
		uint32_t narrow;
		uint64_t wide;
	} number = { .wide = 0 };
	size_t size = sizeof(number);

	if (sysctlbyname(name, &number, &size, NULL, 0))
		return false;
	*value = size == sizeof(number.narrow) ? number.narrow : number.wide;
	return true;
}

int quiver_mac_system(struct quiver_mac_system *system)
{
	char version[48];
	uint64_t cpus, arm64;

	memset(system, 0, sizeof(*system));
	if (!get_text("kern.osproductversion", version, sizeof(version)) ||
	    sscanf(version, "%u.%u.%u", &system->major, &system->minor, &system->patch) < 1 ||
	    !get_text("hw.model", system->model, sizeof(system->model)) ||
	    !get_number("hw.memsize", &system->memory))
		return -EIO;
	/* perflevel0 are the fast ones; a Mac whose cores are all alike has no levels. */
	if (!get_number("hw.perflevel0.physicalcpu", &cpus) &&
	    !get_number("hw.physicalcpu", &cpus))
		return -EIO;
	system->cpus = (unsigned int)cpus;
	system->apple_silicon = get_number("hw.optional.arm64", &arm64) && arm64;
	return 0;
}
