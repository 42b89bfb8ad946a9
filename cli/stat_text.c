// SPDX-License-Identifier: BSD-3-Clause
#include "stat_text.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "cli.h"
#include "table.h"

/* Room for a number with its unit. */
#define CELL 40

/* False: there is no such number. */
static bool number(const json_t *object, const char *name, uint64_t *value)
{
	const json_t *json = json_object_get(object, name);

	*value = json_is_integer(json) && json_integer_value(json) > 0 ?
			 (uint64_t)json_integer_value(json) : 0;
	return json_is_integer(json);
}

static uint64_t number_or_0(const json_t *object, const char *name)
{
	uint64_t value;

	number(object, name, &value);
	return value;
}

static const char *word(const json_t *object, const char *name)
{
	const char *text = json_string_value(json_object_get(object, name));

	return text && *text ? text : "-";
}

static const char *count(const json_t *object, const char *name, char *cell)
{
	uint64_t value;

	if (!number(object, name, &value))
		return "-";
	snprintf(cell, CELL, "%" PRIu64, value);
	return cell;
}

/* Up to 10 MiB in KiB: a budget's least is 16 of these. */
static const char *bytes(const json_t *object, const char *name, char *cell)
{
	uint64_t value;

	if (!number(object, name, &value))
		return "-";
	if (value < 10u << 20)
		snprintf(cell, CELL, "%" PRIu64 " KiB", value >> 10);
	else
		snprintf(cell, CELL, "%" PRIu64 " MiB", value >> 20);
	return cell;
}

/* Of both together, rounded down: what is not all is not 100 %. */
static const char *share(const json_t *guest, const char *part, const char *rest, char *cell)
{
	uint64_t aperture, windows;

	if (!number(guest, part, &aperture) || !number(guest, rest, &windows) ||
	    !(aperture | windows))
		return "-";
	snprintf(cell, CELL, "%u.%u %%",
		 (unsigned int)(1000.0 * (double)aperture / ((double)aperture + (double)windows)) / 10,
		 (unsigned int)(1000.0 * (double)aperture / ((double)aperture + (double)windows)) % 10);
	return cell;
}

static const struct {
	const char *name, *why;
} misses[] = {
	{ "full", "the aperture has none in one piece" },
	{ "offline", "none of the aperture is online" },
	{ "cpuset", "the cpuset of who asked is without its node: cpuset.mems" },
	{ "unseen", "the device does not see the aperture" },
};

#define MISSES (sizeof(misses) / sizeof(misses[0]))

static const char *missed(const json_t *pages, char *cell)
{
	uint64_t sum = 0;

	if (!pages)
		return "-";
	for (size_t i = 0; i < MISSES; i++)
		sum += number_or_0(pages, misses[i].name);
	snprintf(cell, CELL, "%" PRIu64, sum);
	return cell;
}

static void print_misses(const char *who, const json_t *pages, FILE *file)
{
	for (size_t i = 0; i < MISSES; i++)
		if (number_or_0(pages, misses[i].name))
			fprintf(file, "%s: %" PRIu64 " pages from elsewhere: %s\n", who,
				number_or_0(pages, misses[i].name), misses[i].why);
}

/* --- the machine --- */

static void print_memory(const json_t *guest, FILE *file)
{
	char usable[CELL], total[CELL];

	if (guest)
		fprintf(file, "  memory    %s; MemTotal says %s%s\n", bytes(guest, "usable", usable),
			bytes(guest, "total", total),
			number_or_0(guest, "aperture_online") ? ", with the aperture" : "");
	else
		fprintf(file, "  memory    - (the guest tells nothing)\n");
}

static void print_aperture(const json_t *stats, const json_t *guest, FILE *file)
{
	uint64_t online = number_or_0(guest, "aperture_online");
	uint64_t unused = number_or_0(guest, "aperture_free");
	char all[CELL], part[CELL], rest[CELL];

	if (!number_or_0(stats, "aperture")) {
		fprintf(file, "  aperture  none\n");
		return;
	}
	fprintf(file, "  aperture  %s", bytes(stats, "aperture", all));
	if (guest)
		fprintf(file, ", %s online, %" PRIu64 " MiB used, %s free%s",
			bytes(guest, "aperture_online", part),
			online > unused ? (online - unused) >> 20 : 0,
			bytes(guest, "aperture_free", rest),
			number_or_0(guest, "aperture_shared") ?
				"; not kept for drivers" : "; for drivers only");
	fputc('\n', file);
}

static void print_budget(const json_t *stats, FILE *file)
{
	const json_t *amount = json_object_get(stats, "bytes");
	const json_t *mappings = json_object_get(stats, "mappings");
	char used[CELL], limit[CELL], some[CELL], most[CELL];

	fprintf(file, "  budget    %s of %s, %s of %s mappings, pressure %s\n",
		bytes(amount, "used", used), bytes(amount, "limit", limit),
		count(mappings, "used", some), count(mappings, "limit", most),
		word(stats, "pressure"));
}

/* Those that quirks steer, who know no device. */
static void print_drivers(const json_t *guest, FILE *file)
{
	const json_t *pages = json_object_get(guest, "pages");
	char some[CELL], rest[CELL];

	if (!number_or_0(pages, "steered") && !strcmp(missed(pages, rest), "0"))
		return;
	fprintf(file, "  drivers   %s pages of the aperture, %s from elsewhere\n",
		count(pages, "steered", some), missed(pages, rest));
	print_misses("  drivers", pages, file);
}

/* --- its devices --- */

static void add_row(struct quiver_table *table, const json_t *device)
{
	const json_t *guest = json_object_get(device, "guest");
	const json_t *pages = json_object_get(guest, "pages");
	char maps[CELL], amount[CELL], exits[CELL], windows[CELL], mappings[CELL], used[CELL];
	char steered[CELL], rest[CELL];

	quiver_table_row(table, word(device, "id"), word(device, "host"),
			 share(guest, "aperture_segments", "window_segments", maps),
			 share(guest, "aperture_bytes", "window_bytes", amount),
			 count(guest, "exits", exits), count(guest, "windows", windows),
			 count(json_object_get(device, "mappings"), "used", mappings),
			 bytes(json_object_get(device, "bytes"), "used", used),
			 count(pages, "steered", steered), missed(pages, rest));
}

static void print_devices(const json_t *devices, FILE *file)
{
	struct quiver_table table = { .columns = 10 };
	const json_t *device;
	size_t i;

	quiver_table_row(&table, "DEVICE", "HOST", "APERTURE-MAPS", "APERTURE-BYTES", "EXITS",
			 "WINDOWS", "MAPPINGS", "MAPPED", "STEERED", "MISSED");
	json_array_foreach(devices, i, device)
		add_row(&table, device);
	quiver_table_print(&table, file);
	quiver_table_free(&table);
	json_array_foreach(devices, i, device)
		print_misses(word(device, "id"),
			     json_object_get(json_object_get(device, "guest"), "pages"), file);
}

void quiver_stat_print(const json_t *stats, FILE *file)
{
	const json_t *guest = json_object_get(stats, "guest");

	print_memory(guest, file);
	print_aperture(stats, guest, file);
	print_budget(stats, file);
	if (guest)
		print_drivers(guest, file);
	print_devices(json_object_get(stats, "devices"), file);
}
