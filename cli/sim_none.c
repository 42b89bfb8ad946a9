// SPDX-License-Identifier: BSD-3-Clause
/* In place of sim.c where nothing is simulated: on a Mac, simmac's IOKit would be a second one. */
#include "sim.h"

int quiver_sim_start(struct quiver_sim *sim, const struct quiver_sim_options *options)
{
	*sim = (struct quiver_sim){ 0 };
	if (!options->enabled)
		return QUIVER_EXIT_OK;
	return quiver_usage_error("--sim is for Linux; this program is a Mac's, and uses its IOKit");
}

bool quiver_sim_present(void)
{
	return false;
}

bool quiver_sim_running(struct quiver_sim *sim)
{
	return true;
}

int quiver_sim_end(struct quiver_sim *sim, int status)
{
	return status;
}

json_t *quiver_sim_json(const struct quiver_sim *sim)
{
	return json_null();
}

void quiver_sim_free(struct quiver_sim *sim)
{
}
