// SPDX-License-Identifier: BSD-3-Clause
/* quiver(1): dispatch. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "cli.h"

static const struct {
	const char *name;
	int (*main)(int argc, char **argv);
	const char *summary;
} commands[] = {
#ifdef QUIVER_WITH_HOST
	{ "list", quiver_list_main, "show the devices that can be passed through" },
	{ "doctor", quiver_doctor_main, "say what would keep a VM from running, and how to mend it" },
	{ "probe", quiver_probe_main, "bring a device up, stage by stage" },
	{ "run", quiver_run_main, "start a VM with devices passed through" },
	{ "stat", quiver_stat_main, "show what running VMs map, by which way, and their memory" },
	{ "image", quiver_image_main, "build and keep guests to run" },
#endif
	{ "bench", quiver_bench_main, "measure Quiver's own part of a map" },
	{ "quirks", quiver_quirks_main, "show what quiver.ko mends in this guest" },
	{ "trace", quiver_trace_main, "record, replay and measure what a driver maps for DMA" },
};

#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

static void print_error(const char *format, va_list args)
{
	fputs("quiver: ", stderr);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
}

void quiver_error(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	print_error(format, args);
	va_end(args);
}

int quiver_usage_error(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	print_error(format, args);
	va_end(args);
	fputs("Try 'quiver --help', or 'quiver COMMAND --help'.\n", stderr);
	return QUIVER_EXIT_USAGE;
}

static int help(void)
{
	puts("Usage: quiver COMMAND [OPTION]...\n"
	     "Pass PCIe devices of a Mac's Thunderbolt enclosure into a Linux VM.\n");
	for (size_t i = 0; i < COMMANDS; i++)
		printf("  %-6s %s\n", commands[i].name, commands[i].summary);
	puts("\n'quiver COMMAND --help' says more; quiver(1) says all.");
	return QUIVER_EXIT_OK;
}

int main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : NULL;

	if (!name)
		return quiver_usage_error("which command?");
	if (!strcmp(name, "--help") || !strcmp(name, "-h") || !strcmp(name, "help"))
		return help();
	if (!strcmp(name, "--version")) {
		puts("quiver " QUIVER_VERSION);
		return QUIVER_EXIT_OK;
	}
	for (size_t i = 0; i < COMMANDS; i++)
		if (!strcmp(name, commands[i].name))
			return commands[i].main(argc - 1, argv + 1);
	return quiver_usage_error("there is no command '%s'", name);
}
