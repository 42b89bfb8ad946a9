// SPDX-License-Identifier: BSD-3-Clause
/*
 * Whether the device is still ours. A dext that lets go of it says so in the
 * pending page and wakes the pump; one that died says nothing, so when nothing
 * has come for a while it is asked something. Who watches is told on the pump's
 * thread, without a lock.
 */
#include <errno.h>

#include "service.h"

void quiver_host_watch_init(struct quiver_device *device)
{
	pthread_mutex_init(&device->watch.lock, NULL);
}

void quiver_host_watch_destroy(struct quiver_device *device)
{
	pthread_mutex_destroy(&device->watch.lock);
}

static void watch_set(struct quiver_watch *watch, quiver_lost_handler handler, void *context)
{
	pthread_mutex_lock(&watch->lock);
	watch->handler = handler;
	watch->context = context;
	pthread_mutex_unlock(&watch->lock);
}

static bool is_watched(struct quiver_watch *watch)
{
	bool watched;

	pthread_mutex_lock(&watch->lock);
	watched = watch->handler;
	pthread_mutex_unlock(&watch->lock);
	return watched;
}

bool quiver_host_watch_waits(struct quiver_device *device)
{
	struct quiver_watch *watch = &device->watch;
	bool waits;

	pthread_mutex_lock(&watch->lock);
	waits = watch->handler || watch->telling;
	pthread_mutex_unlock(&watch->lock);
	return waits;
}

static void tell(struct quiver_watch *watch, enum quiver_dext_cause cause)
{
	quiver_lost_handler handler;
	void *context;

	pthread_mutex_lock(&watch->lock);
	handler = watch->handler;
	context = watch->context;
	watch->handler = NULL;
	watch->telling = handler;
	pthread_mutex_unlock(&watch->lock);
	if (!handler)
		return;
	handler(context, cause);
	pthread_mutex_lock(&watch->lock);
	watch->telling = false;
	pthread_mutex_unlock(&watch->lock);
	quiver_host_power_told();
}

/* As the page says. NONE: it says nothing. */
static enum quiver_dext_cause cause_told(struct quiver_device *device)
{
	return __atomic_load_n(&device->irq.pending->lost, __ATOMIC_SEQ_CST);
}

/* The notice of sleep comes before the dext itself hears of it. */
static enum quiver_dext_cause cause_known(struct quiver_device *device)
{
	enum quiver_dext_cause cause = cause_told(device);

	return !cause && quiver_host_power_sleeps() ? QUIVER_DEXT_CAUSE_SLEEP : cause;
}

static int ask(struct quiver_device *device, struct quiver_dext_identity *identity)
{
	return quiver_service_identify(device->connect, identity);
}

void quiver_host_watch_look(struct quiver_device *device, bool idle)
{
	struct quiver_dext_identity identity;
	enum quiver_dext_cause cause;

	if (!is_watched(&device->watch))
		return;
	cause = cause_known(device);
	if (cause || (idle && ask(device, &identity) == -ENODEV))
		tell(&device->watch, cause ? cause : cause_told(device));
}

/* There is no page to look at: it was lost before. */
static void *tell_run(void *argument)
{
	struct quiver_device *device = argument;
	struct quiver_dext_identity identity;
	bool answers = !ask(device, &identity);

	tell(&device->watch, answers ? identity.cause : QUIVER_DEXT_CAUSE_NONE);
	return NULL;
}

static int watch_locked(struct quiver_device *device, quiver_lost_handler handler, void *context)
{
	int error;

	if (device->watch.taken)
		return -EALREADY;
	watch_set(&device->watch, handler, context);
	quiver_host_power_watch(device);
	error = quiver_host_irq_start(device);
	if (error == -ENODEV)
		error = quiver_host_irq_start_lost(device, tell_run);
	device->watch.taken = !error;
	if (!error) {
		quiver_host_power_has_thread(device);
		return 0;
	}
	watch_set(&device->watch, NULL, NULL);
	quiver_host_power_forget(device);
	return error;
}

int quiver_device_watch(struct quiver_device *device, quiver_lost_handler handler, void *context)
{
	int error;

	pthread_mutex_lock(&device->irq.configure_lock);
	error = watch_locked(device, handler, context);
	pthread_mutex_unlock(&device->irq.configure_lock);
	return error;
}
