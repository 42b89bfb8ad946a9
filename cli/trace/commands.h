/* SPDX-License-Identifier: BSD-3-Clause */
/* What the commands of quiver-trace(1) share. */
#ifndef QUIVER_CLI_TRACE_COMMANDS_H
#define QUIVER_CLI_TRACE_COMMANDS_H

#include "trace.h"

/* Each parses its own options and returns a QUIVER_EXIT_ status. */
int quiver_trace_replay_main(int argc, char **argv);
int quiver_trace_stats_main(int argc, char **argv);
int quiver_trace_record_main(int argc, char **argv);

/* quiver_trace_load(), and why not if it failed. A QUIVER_EXIT_ status. */
int quiver_trace_open(const char *path, struct quiver_trace *trace);

#endif
