// SPDX-License-Identifier: BSD-3-Clause
#include "sim.h"

bool quiver_sim_option(struct quiver_sim_options *options, int code, const char *value)
{
	switch (code) {
	case 0x200:
		options->enabled = true;
		return true;
	case 0x201:
		quiver_words_add(&options->devices, "%s", value);
		return true;
	case 0x202:
		quiver_words_add(&options->args, "%s", value);
		return true;
	default:
		return false;
	}
}

int quiver_sim_options_check(const struct quiver_sim_options *options)
{
	if (!options->enabled && (options->devices.count || options->args.count))
		return quiver_usage_error("--sim-device and --sim-arg need --sim");
	return QUIVER_EXIT_OK;
}

void quiver_sim_options_free(struct quiver_sim_options *options)
{
	quiver_words_free(&options->devices);
	quiver_words_free(&options->args);
}
