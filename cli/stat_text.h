/* SPDX-License-Identifier: BSD-3-Clause */
/* What `quiver stat` prints for people of one VM. */
#ifndef QUIVER_CLI_STAT_TEXT_H
#define QUIVER_CLI_STAT_TEXT_H

#include <jansson.h>
#include <stdio.h>

/*
 * stats: the property "stats" of quiver-dma, as docs/protocol.rst has it. A number that
 * is not there is "-": an older guest tells nothing. Nothing in it is taken for true.
 */
void quiver_stat_print(const json_t *stats, FILE *file);

#endif
