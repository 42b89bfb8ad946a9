/* SPDX-License-Identifier: BSD-3-Clause */
/* Files of "name = value" lines; what the names are is the caller's: see quiver-config(5). */
#ifndef QUIVER_CLI_CONFIG_H
#define QUIVER_CLI_CONFIG_H

#include "cli.h"

struct quiver_config_entry {
	const char *file;
	unsigned int line;
	const char *name, *value;	/* neither begins or ends with a blank */
};

/* Says what is wrong, with file and line, and returns an enum quiver_exit. */
typedef int (*quiver_config_take)(void *context, const struct quiver_config_entry *entry);

/*
 * Hands over one entry after another, up to the first that is refused. A line
 * that is none is a mistake in usage. QUIVER_EXIT_SETUP: it cannot be read; if
 * it is not required, one that is not there is as good as empty.
 */
int quiver_config_load(const char *file, bool required, quiver_config_take take, void *context);

/*
 * $XDG_CONFIG_HOME/quiver/config, or the one in ~/.config; NULL where there is
 * no home. The caller frees it.
 */
char *quiver_config_default(void);

/*
 * The value as a path: "~/" is the home, and what is relative starts at the
 * file's folder. The caller frees it.
 */
char *quiver_config_path(const struct quiver_config_entry *entry);

#endif
