// SPDX-License-Identifier: BSD-3-Clause
#include "run/values.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "image/image.h"
#include "quiver/proto.h"
#include "spec.h"

#define APERTURE_MIB_MOST (1u << 20)

/* Decimal digits up to end, and within the range. */
static bool is_number(const char *text, const char *end, unsigned long least, unsigned long most)
{
	unsigned long number = 0;

	if (text == end || end - text > 9)
		return false;
	for (; text < end; text++) {
		if (!isdigit((unsigned char)*text))
			return false;
		number = number * 10 + (unsigned long)(*text - '0');
	}
	return number >= least && number <= most;
}

static bool is_one_of(const char *value, const char *const *words)
{
	for (; *words; words++)
		if (!strcmp(value, *words))
			return true;
	return false;
}

bool quiver_value_is_spec(const char *value)
{
	struct quiver_spec spec;

	if (!quiver_spec_parse(value, &spec))
		return false;
	free(spec.name);
	return true;
}

bool quiver_value_is_image(const char *value)
{
	return quiver_image_name_valid(value);
}

bool quiver_value_is_path(const char *value)
{
	return *value && strcmp(value, ",ro");
}

bool quiver_value_is_size(const char *value)
{
	const char *end = value + strlen(value);

	if (end > value && strchr("MGTmgt", end[-1]))
		end--;
	return is_number(value, end, 1, 999999999);
}

/* As QEMU has it, a number alone is of MiB. */
uint64_t quiver_value_mib(const char *value)
{
	uint64_t number = strtoul(value, NULL, 10);
	char unit = value[strlen(value) - 1];

	return strchr("Gg", unit) ? number << 10 : strchr("Tt", unit) ? number << 20 : number;
}

bool quiver_value_is_aperture(const char *value)
{
	return is_one_of(value, (const char *const[]){ "auto", "none", NULL }) ||
	       (quiver_value_is_size(value) && quiver_value_mib(value) <= APERTURE_MIB_MOST &&
		quiver_value_mib(value) % (QUIVER_APERTURE_BLOCK >> 20) == 0);
}

bool quiver_value_is_count(const char *value)
{
	return is_number(value, value + strlen(value), 1, 512);
}

bool quiver_value_is_tso(const char *value)
{
	return is_one_of(value, (const char *const[]){ "auto", "on", "off", NULL });
}

bool quiver_value_is_net(const char *value)
{
	return is_one_of(value, (const char *const[]){ "user", "none", NULL });
}

bool quiver_value_is_port(const char *value)
{
	return value && is_number(value, value + strlen(value), 1, UINT16_MAX);
}

bool quiver_value_is_ssh_port(const char *value)
{
	return quiver_value_is_port(value) ||
	       is_one_of(value, (const char *const[]){ "auto", "none", NULL });
}

bool quiver_value_forward(const char *value, uint16_t *from, uint16_t *to)
{
	const char *colon = strchr(value, ':');

	if (!colon || !is_number(value, colon, 1, UINT16_MAX) || !quiver_value_is_port(colon + 1))
		return false;
	*from = (uint16_t)strtoul(value, NULL, 10);
	*to = (uint16_t)strtoul(colon + 1, NULL, 10);
	return true;
}

bool quiver_value_is_forward(const char *value)
{
	uint16_t from, to;

	return quiver_value_forward(value, &from, &to);
}

bool quiver_value_is_display(const char *value)
{
	return is_one_of(value, (const char *const[]){ "none", "window", NULL });
}

bool quiver_value_is_switch(const char *value)
{
	return is_one_of(value, (const char *const[]){ "on", "off", NULL });
}

bool quiver_value_is_grace(const char *value)
{
	return is_number(value, value + strlen(value), 0, 3600);
}

bool quiver_value_is_no_path(const char *name, const char *value)
{
	if (!strcmp(name, "serial"))
		return !strcmp(value, "stdio");
	return !strcmp(name, "qemu") && !strchr(value, '/');
}
