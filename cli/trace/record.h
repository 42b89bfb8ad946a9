/* SPDX-License-Identifier: BSD-3-Clause */
/* A recording: the kernel's side of it read, matched, written. */
#ifndef QUIVER_CLI_RECORD_H
#define QUIVER_CLI_RECORD_H

#include <stdbool.h>
#include <time.h>

#include "process.h"
#include "quiver/trace_stream.h"
#include "recording.h"

struct quiver_record {
	struct quiver_trace_start start;
	const char *output;
	unsigned int seconds;		/* 0: until the command ends, or a signal comes */
	bool quiet;			/* what the command prints goes to standard error */
	char **command;			/* NULL: none */

	int device;
	struct quiver_child child;
	struct quiver_recording recording;
	struct quiver_trace_counters counters;
	struct timespec begin;
	double took;			/* seconds */
};

/*
 * From the start to the end. A QUIVER_EXIT_ status, having said what is wrong:
 * with VM, the command failed, and TRACE, something was lost, the file is there
 * none the less. *begun: recording began, and recording.counters and counters
 * have what came of it.
 */
int quiver_record(struct quiver_record *record, bool *begun);

#endif
