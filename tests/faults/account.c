// SPDX-License-Identifier: BSD-3-Clause
#define _GNU_SOURCE
#include "test_dext_mac.h"

#include <dirent.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "account.h"
#include "iokit.h"

#define PATIENCE_MS 10000
/* What has closed is freed in its own time, which nobody announces. */
#define SETTLED_MS 100

static void pause_ms(void)
{
	const struct timespec pause = { .tv_nsec = 1000000 };

	nanosleep(&pause, NULL);
}

static uint64_t count_entries(const char *path)
{
	DIR *dir = opendir(path);
	uint64_t count = 0;

	assert_non_null(dir);
	while (readdir(dir))
		count++;
	closedir(dir);
	return count;
}

/* BARs and the pending page are files that the daemon passed. */
static uint64_t count_mapped_files(void)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	uint64_t count = 0;
	char line[512];

	assert_non_null(maps);
	while (fgets(line, sizeof(line), maps))
		count += strstr(line, "/memfd:") != NULL;
	fclose(maps);
	return count;
}

static json_t *device_of(json_t *state)
{
	return json_array_get(json_object_get(state, "devices"), 0);
}

static uint64_t number(json_t *object, const char *key)
{
	return (uint64_t)json_integer_value(json_object_get(object, key));
}

static struct account take(void)
{
	json_t *state = mac_state();
	struct account account = {
		.descriptors = count_entries("/proc/self/fd"),
		.threads = count_entries("/proc/self/task"),
		.mappings = count_mapped_files(),
		.held = (uint64_t)iokit_held(),
		.objects = number(state, "live_objects"),
		.clients = number(device_of(state), "clients"),
	};

	json_decref(state);
	return account;
}

struct account account_settled(void)
{
	struct account now = take(), before;

	for (int i = 0, same = 0; i < PATIENCE_MS && same < SETTLED_MS; i++) {
		pause_ms();
		before = now;
		now = take();
		same = memcmp(&before, &now, sizeof(now)) ? 0 : same + 1;
	}
	return now;
}

static void report(const char *name, const char *what, uint64_t before, uint64_t now)
{
	if (before != now)
		print_error("# %s: %s: %llu, before it %llu\n", name, what,
			    (unsigned long long)now, (unsigned long long)before);
}

void account_expect(const struct account *before, const char *name)
{
	struct account now = take();

	for (int i = 0; i < PATIENCE_MS && memcmp(before, &now, sizeof(now)); i++) {
		pause_ms();
		now = take();
	}
	if (!memcmp(before, &now, sizeof(now)))
		return;
	report(name, "descriptors", before->descriptors, now.descriptors);
	report(name, "threads", before->threads, now.threads);
	report(name, "mapped files", before->mappings, now.mappings);
	report(name, "objects of IOKit's", before->held, now.held);
	report(name, "objects of the extension's", before->objects, now.objects);
	report(name, "clients", before->clients, now.clients);
	fail_msg("%s: something was left", name);
}

static void wait_for_clients(const char *name)
{
	for (int i = 0; i < PATIENCE_MS && mac_device("clients"); i++)
		pause_ms();
	if (mac_device("clients"))
		fail_msg("%s: a connection is left", name);
}

struct quiver_dext_identity account_device(const char *name)
{
	struct quiver_dext_identity identity = { 0 };
	io_connect_t client;

	wait_for_clients(name);
	client = client_open();
	assert_int_equal(client_identify(client, &identity), kIOReturnSuccess);
	IOServiceClose(client);
	wait_for_clients(name);
	if (identity.state != QUIVER_DEXT_UNCLAIMED && identity.state != QUIVER_DEXT_GONE)
		fail_msg("%s: the device is left in state %u", name, identity.state);
	if ((identity.state == QUIVER_DEXT_GONE) != (identity.cause != QUIVER_DEXT_CAUSE_NONE))
		fail_msg("%s: state %u, cause %u", name, identity.state, identity.cause);
	return identity;
}

void account_expect_free(const char *name)
{
	struct quiver_dext_identity identity = account_device(name);
	json_t *state = mac_state(), *device = device_of(state);

	if (identity.state != QUIVER_DEXT_UNCLAIMED)
		fail_msg("%s: the device is not free: cause %u", name, identity.cause);
	if (identity.mappings || number(device, "mappings"))
		fail_msg("%s: %llu mappings are left, %u as the extension says", name,
			 (unsigned long long)number(device, "mappings"), identity.mappings);
	if (json_is_true(json_object_get(device, "masters_bus")))
		fail_msg("%s: the device masters the bus", name);
	json_decref(state);
}

size_t account_calls(struct account_call *calls)
{
	json_t *state = mac_state(), *all = json_object_get(state, "calls"), *value;
	size_t count = 0;
	const char *name;

	json_object_foreach(all, name, value) {
		assert_true(count < ACCOUNT_CALLS_MAX);
		snprintf(calls[count].name, sizeof(calls[count].name), "%s", name);
		calls[count++].uses = (uint64_t)json_integer_value(value);
	}
	json_decref(state);
	return count;
}
