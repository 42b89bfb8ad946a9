/* SPDX-License-Identifier: BSD-3-Clause */
/* Text in columns, each as wide as it needs to be. */
#ifndef QUIVER_CLI_TABLE_H
#define QUIVER_CLI_TABLE_H

#include <stdio.h>

#include "cli.h"

struct quiver_table {
	size_t columns;
	struct quiver_words cells;
};

/* As many strings as there are columns. */
void quiver_table_row(struct quiver_table *table, ...);
void quiver_table_print(const struct quiver_table *table, FILE *file);
void quiver_table_free(struct quiver_table *table);

#endif
