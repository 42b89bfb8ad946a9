/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The simulated Mac of --sim, from start to end. Nothing else here knows of it:
 * without --sim each of these calls succeeds and does nothing.
 */
#ifndef QUIVER_CLI_SIM_H
#define QUIVER_CLI_SIM_H

#include <jansson.h>

#include "cli.h"
#include "process.h"

struct quiver_sim_options {
	bool enabled;
	struct quiver_words devices, args;
};

/* For getopt_long(); codes from 0x200 on. */
#define QUIVER_SIM_OPTIONS \
	{ "sim", no_argument, NULL, 0x200 }, \
	{ "sim-device", required_argument, NULL, 0x201 }, \
	{ "sim-arg", required_argument, NULL, 0x202 }

#define QUIVER_SIM_HELP \
	"  --sim               on a simulated Mac, which lives as long as the command\n" \
	"  --sim-device SPEC   what is attached to it; may be repeated\n" \
	"                      (default: nvme, with an empty disk of 1 GiB, and endpoint;\n" \
	"                      none: nothing)\n" \
	"  --sim-arg ARG       one argument of simmacd; may be repeated"

/* False: the code is none of ours. */
bool quiver_sim_option(struct quiver_sim_options *options, int code, const char *value);
int quiver_sim_options_check(const struct quiver_sim_options *options);
void quiver_sim_options_free(struct quiver_sim_options *options);

struct quiver_sim {
	bool enabled, ready;
	struct quiver_child daemon;
	char *folder;			/* its own, removed at the end */
	char *socket, *report, *state, *log, *disk;
	json_t *json;
};

/*
 * Starts it and waits until it takes clients, of which this program and its
 * children are. Says what is wrong and returns an enum quiver_exit; then
 * quiver_sim_end() and quiver_sim_free() are still to be called.
 */
int quiver_sim_start(struct quiver_sim *sim, const struct quiver_sim_options *options);

/* Whether there is one, of ours or of another command. */
bool quiver_sim_present(void);

/* False when it ended by itself, as it does when it panics. */
bool quiver_sim_running(struct quiver_sim *sim);

/*
 * Ends it, removes its folder, and says what it found. Returns status, or
 * QUIVER_EXIT_SIMULATION for a panic or a leak.
 */
int quiver_sim_end(struct quiver_sim *sim, int status);

/* What it was like at its end; null without --sim. A new reference. */
json_t *quiver_sim_json(const struct quiver_sim *sim);

void quiver_sim_free(struct quiver_sim *sim);

#endif
