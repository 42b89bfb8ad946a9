// SPDX-License-Identifier: BSD-3-Clause
/*
 * What every run ends with: the extension quiesces and resets a device whose
 * claim is put down [D8], in its own time and behind our back. A card that does
 * not survive that, and a Mac that does not, are to be in the record too.
 */
#include <errno.h>
#include <string.h>

#include "probe.h"

#define SECONDS		15
#define STEP_US		20000

#define DEAD_CURE "switch the enclosure off, wait ten seconds, and switch it on; and send the" \
		  " record in, so that the extension learns another method for this device"

static bool is_over(const struct quiver_dext_identity *identity)
{
	return identity->state == QUIVER_DEXT_UNCLAIMED || identity->state == QUIVER_DEXT_GONE;
}

/* A client that is on its way out still has it. */
static int await(const struct quiver_probe *probe, uint64_t begin,
		 struct quiver_dext_identity *identity)
{
	int error;

	while (!(error = quiver_device_identify(probe->info.id, identity)) && !is_over(identity)) {
		if (quiver_probe_now() - begin > SECONDS * 1000000000ull)
			return -ETIMEDOUT;
		quiver_probe_pause_us(STEP_US);
	}
	return error;
}

void quiver_probe_release(struct quiver_probe *probe, struct quiver_probe_outcome *outcome)
{
	struct quiver_dext_identity identity;
	uint64_t begin = quiver_probe_now();
	int error;

	quiver_probe_put_down(probe);
	error = await(probe, begin, &identity);
	if (error == -ETIMEDOUT)
		quiver_probe_fail(outcome, "switch the enclosure off and on, and send the record in",
				  "the extension has not let go of the device in %d s, or another"
				  " program has claimed it", SECONDS);
	else if (error == -ENOENT || error == -ENODEV)
		quiver_probe_fail(outcome, "check cable and power of the enclosure",
				  "the device is gone since it was given back");
	else if (error)
		quiver_probe_fail(outcome, "run 'quiver doctor', and send the record in",
				  "asking whether the device is well: %s", strerror(-error));
	else if (identity.state == QUIVER_DEXT_GONE && identity.cause == QUIVER_DEXT_CAUSE_SLEEP)
		quiver_probe_fail_call(outcome, "giving it back", -EAGAIN);
	else if (identity.state == QUIVER_DEXT_GONE)
		quiver_probe_fail(outcome, DEAD_CURE,
				  "the device did not survive the reset that it was given back by"
				  " [H8]");
}
