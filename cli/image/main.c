// SPDX-License-Identifier: BSD-3-Clause
/* quiver image: dispatch. */
#include <stdio.h>
#include <string.h>

#include "cli.h"
#include "commands.h"

static const struct {
	const char *name;
	int (*main)(int argc, char **argv);
	const char *summary;
} commands[] = {
	{ "build", quiver_image_build_main, "make a guest: Debian with quiver.ko, and what you ask for" },
	{ "list", quiver_image_list_main, "show the images that are there" },
	{ "rm", quiver_image_rm_main, "remove images, with all that their guests wrote" },
};

#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

static int help(void)
{
	puts("Usage: quiver image COMMAND [OPTION]...\n"
	     "Build and keep guests for 'quiver run --image'.\n");
	for (size_t i = 0; i < COMMANDS; i++)
		printf("  %-6s %s\n", commands[i].name, commands[i].summary);
	puts("\n'quiver image COMMAND --help' says more; quiver-image(1) says all.");
	return QUIVER_EXIT_OK;
}

int quiver_image_main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : NULL;

	if (!name)
		return quiver_usage_error("image: which command?");
	if (!strcmp(name, "--help") || !strcmp(name, "-h") || !strcmp(name, "help"))
		return help();
	for (size_t i = 0; i < COMMANDS; i++)
		if (!strcmp(name, commands[i].name))
			return commands[i].main(argc - 1, argv + 1);
	return quiver_usage_error("image: there is no command '%s'", name);
}
