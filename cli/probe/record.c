// SPDX-License-Identifier: BSD-3-Clause
/* What a record says, and what it means. */
#include "record.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <sys/sysctl.h>
#include <time.h>
#include <unistd.h>

#include "../cli.h"
#include "../sim.h"
#include "quiver/mac.h"

static const char *const result_names[] = {
	[QUIVER_PROBE_NOT_RUN] = "not run", [QUIVER_PROBE_STARTED] = "started",
	[QUIVER_PROBE_PASSED] = "passed",   [QUIVER_PROBE_SKIPPED] = "skipped",
	[QUIVER_PROBE_FAILED] = "failed",   [QUIVER_PROBE_INTERRUPTED] = "interrupted",
	[QUIVER_PROBE_WENT_DOWN] = "went down",
};

#define RESULTS (sizeof(result_names) / sizeof(result_names[0]))

const char *quiver_probe_result_name(enum quiver_probe_result result)
{
	return result_names[result];
}

/* A stage's entry, or that of the release. */
static json_t *entry_of(const json_t *json, unsigned int step)
{
	return step < QUIVER_PROBE_STAGES ? json_array_get(json_object_get(json, "stages"), step)
					  : json_object_get(json, "release");
}

static void set_entry(json_t *json, unsigned int step, json_t *entry)
{
	if (step < QUIVER_PROBE_STAGES)
		json_array_set_new(json_object_get(json, "stages"), step, entry);
	else
		json_object_set_new(json, "release", entry);
}

static enum quiver_probe_result result_of(const json_t *entry)
{
	const char *name = json_string_value(json_object_get(entry, "result"));

	for (size_t i = 0; name && i < RESULTS; i++)
		if (!strcmp(name, result_names[i]))
			return (enum quiver_probe_result)i;
	return QUIVER_PROBE_NOT_RUN;
}

void quiver_probe_past_settle(struct quiver_probe_past *past)
{
	bool counts = past->same_device && past->same_boot && past->same_software;

	for (unsigned int i = 0; i < QUIVER_PROBE_STEPS; i++) {
		enum quiver_probe_result *result = &past->result[i];

		if (*result == QUIVER_PROBE_WENT_DOWN ||
		    (*result == QUIVER_PROBE_STARTED && !past->same_boot))
			past->down[i] = true;
		if (!counts || *result == QUIVER_PROBE_STARTED)
			*result = QUIVER_PROBE_NOT_RUN;
		if (past->down[i] && *result != QUIVER_PROBE_PASSED)
			*result = QUIVER_PROBE_WENT_DOWN;
	}
}

enum quiver_probe_decision
quiver_probe_decide(const enum quiver_probe_result result[QUIVER_PROBE_STEPS], unsigned int stage,
		    bool force, unsigned int *which)
{
	for (*which = 0; *which < stage; ++*which)
		if (result[*which] != QUIVER_PROBE_PASSED && result[*which] != QUIVER_PROBE_SKIPPED)
			return QUIVER_PROBE_NEEDS_ANOTHER;
	if (force)
		return QUIVER_PROBE_MAY_RUN;
	/* Whatever is run, a release comes after it. */
	if (result[stage] != QUIVER_PROBE_WENT_DOWN)
		*which = QUIVER_PROBE_RELEASE;
	return result[*which] == QUIVER_PROBE_WENT_DOWN ? QUIVER_PROBE_NEEDS_FORCE
							: QUIVER_PROBE_MAY_RUN;
}

/* FNV-1a: which boot it was is nobody's business, only whether it was another one. */
static uint64_t hash(const char *text)
{
	uint64_t value = 0xcbf29ce484222325;

	for (; *text; text++)
		value = (value ^ (unsigned char)*text) * 0x100000001b3;
	return value;
}

static json_t *boot_json(void)
{
	char text[64] = "";
	size_t size = sizeof(text) - 1;
	char *number;
	json_t *json;

	if (sysctlbyname("kern.bootsessionuuid", text, &size, NULL, 0) || !*text)
		return json_null();
	number = quiver_text("%016llx", (unsigned long long)hash(text));
	json = json_string(number);
	free(number);
	return json;
}

/* Counted anew on each boot, and for each device that is plugged in: no secret. */
static json_t *entry_id_json(uint64_t id)
{
	char *number = quiver_text("0x%llx", (unsigned long long)id);
	json_t *json = json_string(number);

	free(number);
	return json;
}

static json_t *mac_json(void)
{
	struct quiver_mac_system system;
	char *version;
	json_t *json;

	if (quiver_mac_system(&system))
		return json_pack("{s:n s:o}", "macos", "boot", boot_json());
	version = quiver_text("%u.%u.%u", system.major, system.minor, system.patch);
	json = json_pack("{s:s s:s s:I s:i s:o}", "macos", version, "model", system.model, "memory",
			 (json_int_t)system.memory, "cpus", (int)system.cpus, "boot", boot_json());
	free(version);
	return json;
}

static json_t *device_json(const struct quiver_device_info *info)
{
	const struct quiver_dext_identity *identity = &info->identity;

	return json_pack("{s:i s:i s:i s:i s:i s:i s:o}", "vendor", identity->vendor, "device",
			 identity->device, "subsystem_vendor", identity->subsystem_vendor,
			 "subsystem", identity->subsystem, "class",
			 (int)(identity->class_revision >> 8), "revision",
			 (int)(identity->class_revision & 0xff), "entry", entry_id_json(info->id));
}

static json_t *date_json(void)
{
	char text[32] = "";
	time_t now = time(NULL);
	struct tm broken;

	if (gmtime_r(&now, &broken))
		strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &broken);
	return json_string(text);
}

json_t *quiver_probe_record_new(const struct quiver_device_info *info)
{
	json_t *stages = json_array();

	for (unsigned int i = 0; i < QUIVER_PROBE_STAGES; i++)
		json_array_append_new(stages, json_pack("{s:i s:s}", "stage", (int)i, "result",
							result_names[QUIVER_PROBE_NOT_RUN]));
	return json_pack("{s:i s:s s:o s:b s:o s:o s:{s:i} s:o s:{s:s}}", "quiver_probe",
			 QUIVER_PROBE_FORMAT, "quiver", QUIVER_VERSION, "date", date_json(),
			 "simulated", (int)quiver_sim_present(), "mac", mac_json(), "device",
			 device_json(info), "extension", "abi", (int)info->identity.abi_version,
			 "stages", stages, "release", "result",
			 result_names[QUIVER_PROBE_NOT_RUN]);
}

static bool same(const json_t *a, const json_t *b, const char *key)
{
	const json_t *left = json_object_get(a, key), *right = json_object_get(b, key);

	return left && right && json_equal(left, right);
}

/* A boot that is not known is not the same as any. */
static bool same_boot(const json_t *old, const json_t *new)
{
	const json_t *left = json_object_get(old, "mac"), *right = json_object_get(new, "mac");

	return json_is_string(json_object_get(left, "boot")) && same(left, right, "boot");
}

static bool same_software(const json_t *old, const json_t *new)
{
	return same(json_object_get(old, "mac"), json_object_get(new, "mac"), "macos") &&
	       same(old, new, "extension") && same(old, new, "quiver") &&
	       same(old, new, "simulated");
}

/* As the name of the file has it. */
static bool same_model(const json_t *old, const json_t *new)
{
	const json_t *left = json_object_get(old, "device"), *right = json_object_get(new, "device");

	return same(left, right, "vendor") && same(left, right, "device");
}

static bool was_down(const json_t *entry)
{
	return json_is_true(json_object_get(entry, "went_down")) ||
	       result_of(entry) == QUIVER_PROBE_WENT_DOWN;
}

static void take_over(struct quiver_probe_record *record, const json_t *old)
{
	struct quiver_probe_past past = {
		.same_device = same(old, record->json, "device"),
		.same_boot = same_boot(old, record->json),
		.same_software = same_software(old, record->json),
	};

	for (unsigned int i = 0; i < QUIVER_PROBE_STEPS; i++) {
		past.result[i] = result_of(entry_of(old, i));
		past.down[i] = was_down(entry_of(old, i));
	}
	quiver_probe_past_settle(&past);
	for (unsigned int i = 0; i < QUIVER_PROBE_STEPS; i++) {
		json_t *entry;

		if (past.result[i] == QUIVER_PROBE_NOT_RUN)
			continue;
		entry = json_deep_copy(entry_of(old, i));
		json_object_set_new(entry, "result", json_string(result_names[past.result[i]]));
		if (past.down[i])
			json_object_set_new(entry, "went_down", json_true());
		set_entry(record->json, i, entry);
	}
}

/* Whoever cannot read a record does not know that there is none. */
static int read_json(const char *path, json_t **json)
{
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	*json = json_loadfd(fd, 0, NULL);
	close(fd);
	return *json ? 0 : -EINVAL;
}

int quiver_probe_record_load(struct quiver_probe_record *record)
{
	json_t *old;
	int error = record->path ? read_json(record->path, &old) : -ENOENT;

	if (error)
		return error;
	if (json_integer_value(json_object_get(old, "quiver_probe")) != QUIVER_PROBE_FORMAT ||
	    json_array_size(json_object_get(old, "stages")) != QUIVER_PROBE_STAGES)
		error = -EINVAL;
	else if (!same_model(old, record->json))
		error = -EXDEV;
	else
		take_over(record, old);
	json_decref(old);
	return error;
}

enum quiver_probe_result quiver_probe_record_result(const struct quiver_probe_record *record,
						    unsigned int step)
{
	return result_of(entry_of(record->json, step));
}

void quiver_probe_record_set(struct quiver_probe_record *record, unsigned int step,
			     const char *name, enum quiver_probe_result result, json_t *more)
{
	bool over = result == QUIVER_PROBE_PASSED && record->alone;
	json_t *entry = json_pack("{s:s s:s}", "name", name, "result", result_names[result]);

	if (step < QUIVER_PROBE_STAGES)
		json_object_set_new(entry, "stage", json_integer(step));
	if (was_down(entry_of(record->json, step)) && !over)
		json_object_set_new(entry, "went_down", json_true());
	if (more)
		json_object_update(entry, more);
	json_decref(more);
	set_entry(record->json, step, entry);
}
