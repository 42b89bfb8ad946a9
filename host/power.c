// SPDX-License-Identifier: BSD-3-Clause
/*
 * The Mac says that it will sleep before any device loses its power, and waits
 * for our answer [L9]. It is given when every watcher has been told, and so has
 * taken the BARs from its guest; or after QUIVER_SLEEP_SECONDS, for a VMM that
 * hangs is no reason to keep a Mac awake.
 *
 * One registration and one thread a process, while a device is open. Both stay
 * on until the Mac is awake: a device that was closed for its sleep must not be
 * opened before. In a dark wake drivers are awake, and the next sleep comes
 * without a notice.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <IOKit/IOMessage.h>
#include <IOKit/pwr_mgt/IOPMLib.h>

#include "device.h"

#define PATIENCE (QUIVER_SLEEP_SECONDS * 1000 / QUIVER_HOST_IDLE_MS)

/* Its thread's own, but for the port, which does not change. */
struct registration {
	io_connect_t connect;
	io_object_t notifier;
	IONotificationPortRef port;
	bool over;		/* it is on its way out */
	bool asked;		/* macOS waits for an answer to: */
	intptr_t question;
	unsigned int patience;	/* times that nothing may come until it is given */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct registration *current;	/* NULL: nobody listens */
static unsigned int holders;
static struct quiver_device *watched;
static bool sleeps;

static void look_locked(struct quiver_device *device)
{
	if (device->has_thread)
		quiver_host_irq_look(device);
}

static void set_sleeps(bool now)
{
	pthread_mutex_lock(&lock);
	sleeps = now;
	for (struct quiver_device *device = watched; device && now; device = device->next_watched)
		look_locked(device);
	pthread_mutex_unlock(&lock);
}

bool quiver_host_power_sleeps(void)
{
	bool now;

	pthread_mutex_lock(&lock);
	now = sleeps;
	pthread_mutex_unlock(&lock);
	return now;
}

static bool anybody_waits(void)
{
	struct quiver_device *device;

	pthread_mutex_lock(&lock);
	for (device = watched; device && !quiver_host_watch_waits(device);)
		device = device->next_watched;
	pthread_mutex_unlock(&lock);
	return device;
}

/* No device is open for it, and sleeps is not its own any more. */
static void hear_late(struct registration *registration, uint32_t message, void *argument)
{
	if (message == kIOMessageCanSystemSleep || message == kIOMessageSystemWillSleep)
		IOAllowPowerChange(registration->connect, (intptr_t)argument);
}

static void hear(void *context, io_service_t service, uint32_t message, void *argument)
{
	struct registration *registration = context;

	if (registration->over) {
		hear_late(registration, message, argument);
		return;
	}
	switch (message) {
	case kIOMessageCanSystemSleep:
		/* Who does not want that has an assertion: mac_awake.c. */
		IOAllowPowerChange(registration->connect, (intptr_t)argument);
		break;
	case kIOMessageSystemWillSleep:
		registration->asked = true;
		registration->question = (intptr_t)argument;
		registration->patience = PATIENCE;
		set_sleeps(true);
		break;
	case kIOMessageSystemHasPoweredOn:
		set_sleeps(false);
		break;
	}
}

/* Nobody but the user could do anything about a watcher that hangs, hence the line. */
static void answer(struct registration *registration, bool idle)
{
	bool waits;

	if (!registration->asked)
		return;
	waits = anybody_waits();
	if (waits && idle)
		registration->patience--;
	if (waits && registration->patience)
		return;
	if (waits)
		fprintf(stderr, "libquiver: the Mac sleeps now, and a device was not let go for %d s\n",
			QUIVER_SLEEP_SECONDS);
	registration->asked = false;
	IOAllowPowerChange(registration->connect, registration->question);
}

/* Whoever needs one from now on makes another. */
static bool ends(struct registration *registration, bool must)
{
	bool end;

	pthread_mutex_lock(&lock);
	end = must || (!holders && !sleeps);
	if (end) {
		current = NULL;
		sleeps = false;
	}
	pthread_mutex_unlock(&lock);
	return end;
}

/* What was asked before we were off the list is waited for, 30 s long [L9]. */
static void answer_late(struct registration *registration)
{
	enum quiver_host_heard heard;
	union quiver_host_message message;

	registration->over = true;
	do {
		heard = quiver_host_port_wait(registration->port, 0, &message);
		if (heard == QUIVER_HOST_MESSAGE)
			IODispatchCalloutFromMessage(NULL, &message.header, registration->port);
	} while (heard == QUIVER_HOST_MESSAGE || heard == QUIVER_HOST_NOTHING);
}

static void unregister(struct registration *registration)
{
	IODeregisterForSystemPower(&registration->notifier);
	answer_late(registration);
	IOServiceClose(registration->connect);
	IONotificationPortDestroy(registration->port);
	free(registration);
}

static void *listen_run(void *argument)
{
	struct registration *registration = argument;
	enum quiver_host_heard heard = QUIVER_HOST_NOTHING;
	union quiver_host_message message;

	while (!ends(registration, heard == QUIVER_HOST_ENDED)) {
		heard = quiver_host_port_wait(registration->port, QUIVER_HOST_IDLE_MS, &message);
		if (heard == QUIVER_HOST_MESSAGE)
			IODispatchCalloutFromMessage(NULL, &message.header, registration->port);
		answer(registration, heard == QUIVER_HOST_IDLE);
	}
	unregister(registration);
	return NULL;
}

static int register_locked(void)
{
	struct registration *registration = calloc(1, sizeof(*registration));
	pthread_t thread;

	if (!registration)
		return -ENOMEM;
	registration->connect = IORegisterForSystemPower(registration, &registration->port, hear,
							 &registration->notifier);
	if (!registration->connect) {
		free(registration);
		return -EIO;
	}
	/* There is one way for it to fail, and EAGAIN is what it calls that. */
	if (pthread_create(&thread, NULL, listen_run, registration)) {
		unregister(registration);
		return -ENOMEM;
	}
	pthread_detach(thread);
	current = registration;
	return 0;
}

int quiver_host_power_hold(void)
{
	int error = 0;

	pthread_mutex_lock(&lock);
	if (sleeps)
		error = -EAGAIN;
	else if (!current)
		error = register_locked();
	holders += !error;
	pthread_mutex_unlock(&lock);
	return error;
}

static void wake_locked(void)
{
	if (current)
		quiver_host_port_wake(current->port);
}

void quiver_host_power_release(void)
{
	pthread_mutex_lock(&lock);
	if (!--holders)
		wake_locked();
	pthread_mutex_unlock(&lock);
}

void quiver_host_power_told(void)
{
	pthread_mutex_lock(&lock);
	if (sleeps)
		wake_locked();
	pthread_mutex_unlock(&lock);
}

void quiver_host_power_watch(struct quiver_device *device)
{
	pthread_mutex_lock(&lock);
	device->next_watched = watched;
	watched = device;
	pthread_mutex_unlock(&lock);
}

void quiver_host_power_has_thread(struct quiver_device *device)
{
	pthread_mutex_lock(&lock);
	device->has_thread = true;
	if (sleeps)
		look_locked(device);
	pthread_mutex_unlock(&lock);
}

void quiver_host_power_forget(struct quiver_device *device)
{
	struct quiver_device **link;

	pthread_mutex_lock(&lock);
	for (link = &watched; *link && *link != device;)
		link = &(*link)->next_watched;
	if (*link)
		*link = device->next_watched;
	if (sleeps)
		wake_locked();
	pthread_mutex_unlock(&lock);
}
