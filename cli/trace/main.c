// SPDX-License-Identifier: BSD-3-Clause
/* quiver trace: dispatch. */
#include <stdio.h>
#include <string.h>

#include "cli.h"
#include "commands.h"

static const struct {
	const char *name;
	int (*main)(int argc, char **argv);
	const char *summary;
} commands[] = {
#ifdef __linux__
	{ "record", quiver_trace_record_main, "take a trace of what this machine's drivers map" },
#endif
#ifdef QUIVER_WITH_REPLAY
	{ "replay", quiver_trace_replay_main, "see what policies make of traces" },
#endif
	{ "stats", quiver_trace_stats_main, "print what traces hold" },
};

#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

static int help(void)
{
	puts("Usage: quiver trace COMMAND [OPTION]...\n"
	     "Work with traces of what a driver maps for DMA.\n");
	for (size_t i = 0; i < COMMANDS; i++)
		printf("  %-6s %s\n", commands[i].name, commands[i].summary);
	puts("\n'quiver trace COMMAND --help' says more; quiver-trace(1) says all.");
	return QUIVER_EXIT_OK;
}

int quiver_trace_main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : NULL;

	if (!name)
		return quiver_usage_error("trace: which command?");
	if (!strcmp(name, "--help") || !strcmp(name, "-h") || !strcmp(name, "help"))
		return help();
	for (size_t i = 0; i < COMMANDS; i++)
		if (!strcmp(name, commands[i].name))
			return commands[i].main(argc - 1, argv + 1);
	return quiver_usage_error("trace: there is no command '%s'", name);
}
