// SPDX-License-Identifier: BSD-3-Clause
/*
 * The claim, and what may take it from us. A BAR that is touched when its device
 * has no power can end the Mac: sleep waits until no step is under way.
 */
#include <errno.h>
#include <pthread.h>

#include "probe.h"

static struct {
	pthread_mutex_t lock;
	pthread_cond_t rests;
	bool busy;			/* a step has the device in use */
	bool lost;
	enum quiver_dext_cause cause;	/* of that */
} hold = { .lock = PTHREAD_MUTEX_INITIALIZER, .rests = PTHREAD_COND_INITIALIZER };

static void on_loss(void *context, enum quiver_dext_cause cause)
{
	pthread_mutex_lock(&hold.lock);
	hold.lost = true;
	hold.cause = cause;
	while (hold.busy)
		pthread_cond_wait(&hold.rests, &hold.lock);
	pthread_mutex_unlock(&hold.lock);
}

static int claim(struct quiver_probe *probe)
{
	int error = quiver_device_open(probe->info.id, &probe->device);

	if (error)
		return error;
	hold.lost = false;
	error = quiver_device_watch(probe->device, on_loss, NULL);
	if (error)
		quiver_probe_put_down(probe);
	return error;
}

bool quiver_probe_lost(struct quiver_probe_outcome *outcome)
{
	enum quiver_dext_cause cause;
	bool lost;

	pthread_mutex_lock(&hold.lock);
	lost = hold.lost;
	cause = hold.cause;
	pthread_mutex_unlock(&hold.lock);
	if (lost)
		quiver_probe_fail_call(outcome, "in the middle of this",
				       cause == QUIVER_DEXT_CAUSE_SLEEP ? -EAGAIN : -ENODEV);
	return lost;
}

bool quiver_probe_claim(struct quiver_probe *probe, struct quiver_probe_outcome *outcome)
{
	int error = probe->device ? 0 : claim(probe);

	if (error == -EBUSY)
		quiver_probe_fail(outcome, "end the VM or program that uses it",
				  "another program has claimed the device");
	else if (error == -EPERM)
		quiver_probe_fail(
			outcome,
			"give it to nobody: the graphics function is the one to pass through",
			"the extension refuses this function [H16]");
	else if (error)
		quiver_probe_fail_call(outcome, "claiming the device", error);
	if (error)
		return false;
	pthread_mutex_lock(&hold.lock);
	hold.busy = !hold.lost;
	pthread_mutex_unlock(&hold.lock);
	return !quiver_probe_lost(outcome);
}

void quiver_probe_rest(void)
{
	pthread_mutex_lock(&hold.lock);
	hold.busy = false;
	pthread_cond_signal(&hold.rests);
	pthread_mutex_unlock(&hold.lock);
}

void quiver_probe_put_down(struct quiver_probe *probe)
{
	quiver_probe_rest();
	quiver_device_close(probe->device);
	probe->device = NULL;
}
