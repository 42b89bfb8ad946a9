// SPDX-License-Identifier: BSD-3-Clause
#include "devices.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "platform.h"
#include "quiver/mac.h"
#include "run/folder.h"
#include "sim.h"
#include "spec.h"

/* Base class 0x04 is multimedia: what the dext refuses [H16]. */
static bool is_multimedia(const struct quiver_dext_identity *identity)
{
	return identity->class_revision >> 24 == 0x04;
}

static int complain(int error)
{
	if (error == -EPROTO)
		quiver_error("the driver extension is of another version than this program");
	else if (!quiver_platform_has_iokit() && !quiver_sim_present())
		quiver_error("no IOKit service: this is not a Mac (--sim starts a simulated one)");
	else if (error == -ENOENT)
		quiver_error("no device: the driver extension is not loaded, or nothing is attached");
	else
		quiver_error("cannot list the devices: %s", strerror(-error));
	return QUIVER_EXIT_DEVICE;
}

int quiver_devices_load(struct quiver_devices *devices)
{
	struct quiver_device_info *grown;
	size_t room = 0;
	int count;

	*devices = (struct quiver_devices){ 0 };
	/* More may be attached between two calls. */
	while ((count = quiver_devices_list(devices->info, room)) > 0 && (size_t)count > room) {
		room = (size_t)count;
		grown = realloc(devices->info, room * sizeof(*grown));
		if (!grown) {
			count = -ENOMEM;
			break;
		}
		devices->info = grown;
	}
	if (count > 0) {
		devices->count = (size_t)count;
		return QUIVER_EXIT_OK;
	}
	quiver_devices_free(devices);
	return complain(count ? count : -ENOENT);
}

void quiver_devices_free(struct quiver_devices *devices)
{
	free(devices->info);
	free(devices->thunderbolt);
	*devices = (struct quiver_devices){ 0 };
}

const char *quiver_device_state(const struct quiver_device_info *info)
{
	static const char *const names[] = {
		[QUIVER_DEXT_UNCLAIMED] = "unclaimed",
		[QUIVER_DEXT_CLAIMED] = "claimed",
		[QUIVER_DEXT_LIVE] = "live",
		[QUIVER_DEXT_QUIESCING] = "quiescing",
		[QUIVER_DEXT_GONE] = "gone",
	};
	uint32_t state = info->identity.state;

	return state < sizeof(names) / sizeof(names[0]) ? names[state] : "unknown";
}

const char *quiver_device_obstacle(const struct quiver_device_info *info)
{
	if (info->identity.refused)
		return is_multimedia(&info->identity) ?
			"audio function: binding one brings faults and interrupts that nobody serves" :
			"refused by the driver extension";
	switch (info->identity.state) {
	case QUIVER_DEXT_UNCLAIMED:
		return NULL;
	case QUIVER_DEXT_CLAIMED:
	case QUIVER_DEXT_LIVE:
		return "in use";
	case QUIVER_DEXT_QUIESCING:
		return "still being reset";
	case QUIVER_DEXT_GONE:
		return "unplugged, or did not survive a reset: switch its enclosure off and on";
	default:
		return "in a state that this program does not know";
	}
}

const char *quiver_device_address(const struct quiver_device_info *info, char *text, size_t size)
{
	uint32_t address = info->identity.address;

	snprintf(text, size, "%02x:%02x.%x", address >> 8 & 0xff, address >> 3 & 0x1f, address & 7);
	return text;
}

static bool is_pci_id(const char *spec)
{
	for (int i = 0; i < 9; i++)
		if (i == 4 ? spec[i] != ':' : !isxdigit((unsigned char)spec[i]))
			return false;
	return !spec[9];
}

static bool parse_id(const char *spec, uint64_t *id)
{
	char *end;

	errno = 0;
	*id = strtoull(spec, &end, 0);
	return isdigit((unsigned char)*spec) && !*end && !errno;
}

static bool matches(const struct quiver_device_info *info, const char *spec)
{
	const struct quiver_dext_identity *identity = &info->identity;
	uint64_t id;

	if (is_pci_id(spec))
		return identity->vendor == strtoul(spec, NULL, 16) &&
		       identity->device == strtoul(spec + 5, NULL, 16);
	return parse_id(spec, &id) && info->id == id;
}

/* The obstacle, and who has the device if that can be known. */
static char *describe_obstacle(const struct quiver_device_info *info, const char *obstacle)
{
	uint32_t state = info->identity.state;
	json_t *holder = NULL;
	char *text;

	if (state == QUIVER_DEXT_CLAIMED || state == QUIVER_DEXT_LIVE)
		holder = quiver_folder_holder(info->id);
	if (!holder)
		return quiver_text("%s", obstacle);
	text = quiver_text("%s by 'quiver run', process %" JSON_INTEGER_FORMAT, obstacle,
			   json_integer_value(json_object_get(holder, "pid")));
	json_decref(holder);
	return text;
}

static void complain_of_device(const char *spec, const struct quiver_device_info *info,
			       const char *obstacle)
{
	char *text = describe_obstacle(info, obstacle);

	quiver_error("device %s: %s", spec, text);
	free(text);
}

/* Takes the one that spec names out of devices. */
static int take(struct quiver_devices *devices, bool *taken, const char *spec,
		struct quiver_device_info *out)
{
	const struct quiver_device_info *last = NULL;
	const char *obstacle = NULL;

	for (size_t i = 0; i < devices->count; i++) {
		if (!matches(&devices->info[i], spec))
			continue;
		obstacle = taken[i] ? "named more often than it is there" :
				      quiver_device_obstacle(&devices->info[i]);
		last = &devices->info[i];
		if (obstacle)
			continue;
		taken[i] = true;
		*out = devices->info[i];
		return QUIVER_EXIT_OK;
	}
	if (last)
		complain_of_device(spec, last, obstacle);
	else
		quiver_error("there is no device %s ('quiver list' shows those that are)", spec);
	return QUIVER_EXIT_DEVICE;
}

static int keep_claimable(struct quiver_devices *devices)
{
	size_t kept = 0;
	char id[24];

	for (size_t i = 0; i < devices->count; i++)
		if (!quiver_device_obstacle(&devices->info[i]))
			kept++;
	for (size_t i = 0; !kept && i < devices->count; i++) {
		snprintf(id, sizeof(id), "0x%" PRIx64, devices->info[i].id);
		complain_of_device(id, &devices->info[i], quiver_device_obstacle(&devices->info[i]));
	}
	if (!kept) {
		quiver_error("no device is free");
		return QUIVER_EXIT_DEVICE;
	}
	for (size_t i = kept = 0; i < devices->count; i++)
		if (!quiver_device_obstacle(&devices->info[i]))
			devices->info[kept++] = devices->info[i];
	devices->count = kept;
	devices->thunderbolt = calloc(kept, sizeof(*devices->thunderbolt));
	if (devices->thunderbolt)
		return QUIVER_EXIT_OK;
	quiver_error("out of memory");
	return QUIVER_EXIT_SETUP;
}

static int take_all(struct quiver_devices *devices, bool *taken, const struct quiver_words *specs,
		    struct quiver_devices *chosen)
{
	int status = QUIVER_EXIT_OK;
	struct quiver_spec spec;

	for (; chosen->count < specs->count && !status; chosen->count++) {
		quiver_spec_parse(specs->word[chosen->count], &spec);
		chosen->thunderbolt[chosen->count] = spec.thunderbolt;
		status = take(devices, taken, spec.name, &chosen->info[chosen->count]);
		free(spec.name);
	}
	return status;
}

/* What the user said of a link goes before what the Mac says of it. */
static void fill_links(struct quiver_devices *devices)
{
	struct quiver_mac_pci *pci = NULL, *grown;
	int room = 0, count;

	while ((count = quiver_mac_pci_list(pci, (size_t)room)) > room) {
		grown = realloc(pci, (size_t)count * sizeof(*pci));
		if (!grown)
			break;
		pci = grown;
		room = count;
	}
	for (size_t i = 0; i < devices->count; i++)
		for (int n = 0; n < count && n < room; n++)
			if (pci[n].service == devices->info[i].id && !devices->thunderbolt[i])
				devices->thunderbolt[i] = pci[n].thunderbolt;
	free(pci);
}

static int select_named(struct quiver_devices *devices, const struct quiver_words *specs)
{
	struct quiver_devices chosen = { 0 };
	bool *taken;
	int status = QUIVER_EXIT_SETUP;

	chosen.info = calloc(specs->count, sizeof(*chosen.info));
	chosen.thunderbolt = calloc(specs->count, sizeof(*chosen.thunderbolt));
	taken = calloc(devices->count, sizeof(*taken));
	if (chosen.info && chosen.thunderbolt && taken)
		status = take_all(devices, taken, specs, &chosen);
	else
		quiver_error("out of memory");
	free(taken);
	if (status) {
		quiver_devices_free(&chosen);
		return status;
	}
	quiver_devices_free(devices);
	*devices = chosen;
	return status;
}

int quiver_devices_select(struct quiver_devices *devices, const struct quiver_words *specs)
{
	int status = specs->count ? select_named(devices, specs) : keep_claimable(devices);

	if (!status)
		fill_links(devices);
	return status;
}
