// SPDX-License-Identifier: BSD-3-Clause
#include "table.h"

#include <stdarg.h>
#include <string.h>

void quiver_table_row(struct quiver_table *table, ...)
{
	va_list args;

	va_start(args, table);
	for (size_t i = 0; i < table->columns; i++)
		quiver_words_add(&table->cells, "%s", va_arg(args, const char *));
	va_end(args);
}

static int width(const struct quiver_table *table, size_t column)
{
	size_t widest = 0;

	for (size_t i = column; i < table->cells.count; i += table->columns) {
		size_t length = strlen(table->cells.word[i]);

		widest = length > widest ? length : widest;
	}
	return (int)widest;
}

void quiver_table_print(const struct quiver_table *table, FILE *file)
{
	for (size_t i = 0; i < table->cells.count; i++) {
		size_t column = i % table->columns;
		bool last = column + 1 == table->columns;

		fprintf(file, "%-*s%s", last ? 0 : width(table, column), table->cells.word[i],
			last ? "\n" : "  ");
	}
}

void quiver_table_free(struct quiver_table *table)
{
	quiver_words_free(&table->cells);
}
