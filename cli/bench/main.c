// SPDX-License-Identifier: BSD-3-Clause
/* quiver bench: dispatch. */
#include <stdio.h>
#include <string.h>

#include "bench.h"
#include "cli.h"

static int help(void)
{
	puts("Usage: quiver bench core [--json]\n"
	     "Measure Quiver's own part of a map, in nanoseconds, without any host.\n\n"
	     "  --json              one JSON array");
	return QUIVER_EXIT_OK;
}

int quiver_bench_main(int argc, char **argv)
{
	bool json = false;

	if (argc > 1 && (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h")))
		return help();
	if (argc < 2)
		return quiver_usage_error("bench: what?");
	if (strcmp(argv[1], "core"))
		return quiver_usage_error("bench: there is no '%s'", argv[1]);
	for (int i = 2; i < argc; i++) {
		if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h"))
			return help();
		if (strcmp(argv[i], "--json"))
			return quiver_usage_error("bench core: what is '%s'?", argv[i]);
		json = true;
	}
	return quiver_bench_core(json);
}
