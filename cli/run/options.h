/* SPDX-License-Identifier: BSD-3-Clause */
/* What a user asks of `quiver run`, on the command line and in the config file: one table has it all. */
#ifndef QUIVER_CLI_RUN_OPTIONS_H
#define QUIVER_CLI_RUN_OPTIONS_H

#include "cli.h"
#include "sim.h"

#define QUIVER_RUN_OPTIONS_MAX 40

/* Texts are its own, checked, and NULL where nothing was said. */
struct quiver_run_options {
	struct quiver_words devices;	/* specs, fit for quiver_spec_parse() */
	struct quiver_words disks;	/* FILE[,ro] */
	struct quiver_words shares;	/* FOLDER[,ro] */
	struct quiver_words forwards;	/* PORT:PORT */
	struct quiver_words qemu_args;
	char *image, *kernel, *initrd, *append, *firmware;
	char *memory, *aperture, *cpus, *tso;
	char *net, *ssh_port, *display, *serial;
	char *qemu, *grace;
	char *config;
	bool console, trap;
	bool no_config, dry_run, json, help;
	struct quiver_sim_options sim;
	bool said[QUIVER_RUN_OPTIONS_MAX];	/* on the command line */
};

/* The command line, and what the config file says besides. Says what is wrong; an enum quiver_exit. */
int quiver_run_options_parse(struct quiver_run_options *options, int argc, char **argv);
void quiver_run_options_free(struct quiver_run_options *options);

void quiver_run_help(void);

#endif
