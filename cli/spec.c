// SPDX-License-Identifier: BSD-3-Clause
#include "spec.h"

#include <string.h>

#include "cli.h"

static bool parse_thunderbolt(const char *value, unsigned int *generation)
{
	if (*value < '3' || *value > '5' || value[1])
		return false;
	*generation = (unsigned int)(*value - '0');
	return true;
}

bool quiver_spec_parse(const char *text, struct quiver_spec *spec)
{
	static const char thunderbolt[] = ",thunderbolt=";
	size_t length = strcspn(text, ",");

	*spec = (struct quiver_spec){ 0 };
	if (text[length] && (strncmp(text + length, thunderbolt, strlen(thunderbolt)) ||
			     !parse_thunderbolt(text + length + strlen(thunderbolt),
						&spec->thunderbolt)))
		return false;
	spec->name = quiver_text("%.*s", (int)length, text);
	return true;
}
