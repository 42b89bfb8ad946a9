// SPDX-License-Identifier: BSD-3-Clause
/* Option "config": bytes in config space that are not as the model has put them. */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>

#include "machine.h"

static int digit(char c)
{
	return isdigit((unsigned char)c) ? c - '0' : tolower((unsigned char)c) - 'a' + 10;
}

/* "OFFSET:" and pairs of digits; returns what follows them, or NULL. */
static const char *lay_run(struct simmac_device *device, const char *text)
{
	unsigned long at;
	char *end;

	if (!isxdigit((unsigned char)*text))
		return NULL;
	at = strtoul(text, &end, 16);
	if (*end != ':')
		return NULL;
	for (text = end + 1; isxdigit((unsigned char)text[0]) && isxdigit((unsigned char)text[1]);
	     text += 2, at++) {
		if (at >= SIMMAC_CONFIG_SIZE)
			return NULL;
		device->config[at] = (uint8_t)(digit(text[0]) << 4 | digit(text[1]));
	}
	return text;
}

int simmac_config_lay_over(struct simmac_device *device)
{
	const char *text = simmac_device_option(device, "config", NULL);

	while (text) {
		text = lay_run(device, text);
		if (!text || (*text && *text != '+'))
			return -EINVAL;
		text = *text ? text + 1 : NULL;
	}
	return 0;
}
