// SPDX-License-Identifier: BSD-3-Clause
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "machine.h"

static int option_add(struct simmac_device *device, char *text)
{
	struct simmac_option *grown;
	char *value = strchr(text, '=');

	if (!value || value == text)
		return -EINVAL;
	*value++ = '\0';
	grown = realloc(device->option, (device->option_count + 1) * sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	device->option = grown;
	grown[device->option_count++] = (struct simmac_option){ .key = text, .value = value };
	return 0;
}

/* Ends the item at a lone comma, folds a double one; returns what follows, or NULL. */
static char *option_split(char *item)
{
	char *from = item, *to = item;

	for (; *from; from++) {
		if (*from == ',' && *++from != ',') {
			*to = '\0';
			return from;
		}
		*to++ = *from;
	}
	*to = '\0';
	return NULL;
}

/* The text stays as it was given; the options point into a copy of it. */
int simmac_options_parse(struct simmac_device *device, const char *text)
{
	char *item, *next, *copy;
	int ret = 0;

	device->options = strdup(text);
	copy = strdup(text);
	if (!device->options || !copy) {
		free(copy);
		return -ENOMEM;
	}
	device->option_text = copy;
	for (item = *copy ? copy : NULL; item && !ret; item = next) {
		next = option_split(item);
		ret = option_add(device, item);
	}
	return ret;
}

void simmac_options_free(struct simmac_device *device)
{
	free(device->option);
	free(device->option_text);
	free(device->options);
}

const char *simmac_options_unknown(const struct simmac_device *device)
{
	unsigned int i;

	for (i = 0; i < device->option_count; i++)
		if (!device->option[i].used)
			return device->option[i].key;
	return NULL;
}

/* The last one wins, and all of that name count as known. */
const char *simmac_device_option(struct simmac_device *device, const char *key,
				 const char *fallback)
{
	const char *value = fallback;
	unsigned int i;

	for (i = 0; i < device->option_count; i++) {
		struct simmac_option *option = &device->option[i];

		if (strcmp(option->key, key))
			continue;
		option->used = true;
		value = option->value;
	}
	return value;
}

static int shift_of(const char *suffix)
{
	static const char units[] = "KMG";
	const char *unit;

	if (!*suffix)
		return 0;
	unit = strchr(units, *suffix);
	return unit && !suffix[1] ? 10 * (int)(unit - units + 1) : -EINVAL;
}

int simmac_device_option_size(struct simmac_device *device, const char *key, uint64_t fallback,
			      uint64_t *value)
{
	const char *text = simmac_device_option(device, key, NULL);
	unsigned long long number;
	char *end;
	int shift;

	*value = fallback;
	if (!text)
		return 0;
	errno = 0;
	number = strtoull(text, &end, 0);
	shift = shift_of(end);
	if (end == text || *text == '-' || errno || shift < 0 || number > UINT64_MAX >> shift)
		return -EINVAL;
	*value = (uint64_t)number << shift;
	return 0;
}
