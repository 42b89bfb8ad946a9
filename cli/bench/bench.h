/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef QUIVER_CLI_BENCH_H
#define QUIVER_CLI_BENCH_H

#include <stdbool.h>

/* Prints a table, or JSON. A QUIVER_EXIT_ status. */
int quiver_bench_core(bool json);

#endif
