// SPDX-License-Identifier: BSD-3-Clause
#include "doctor/report.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static size_t count_of(const struct quiver_findings *findings, enum quiver_severity severity)
{
	size_t count = 0;

	for (size_t i = 0; i < findings->count; i++)
		count += findings->finding[i].severity == severity;
	return count;
}

static void print_count(const struct quiver_findings *findings)
{
	size_t errors = count_of(findings, QUIVER_ERROR);
	size_t warnings = count_of(findings, QUIVER_WARNING);

	printf("\n%zu error%s, %zu warning%s\n", errors, errors == 1 ? "" : "s", warnings,
	       warnings == 1 ? "" : "s");
}

void quiver_report_print(const struct quiver_findings *findings)
{
	for (size_t i = 0; i < findings->count; i++) {
		const struct quiver_finding *finding = &findings->finding[i];

		printf("%-8s %-19s %s\n", quiver_severity_name(finding->severity), finding->id,
		       finding->text);
		if (finding->cure)
			printf("%-28s -> %s\n", "", finding->cure);
	}
	print_count(findings);
}

/* Text of others may be no UTF-8; a mark for what is not ASCII then is better than no finding. */
static json_t *text_json(const char *text)
{
	json_t *json = json_string(text);
	char *plain;

	if (json || !text)
		return json ? json : json_null();
	plain = quiver_text("%s", text);
	for (char *at = plain; *at; at++)
		if ((unsigned char)*at >= 0x80)
			*at = '?';
	json = json_string(plain);
	free(plain);
	return json;
}

static json_t *id_json(uint64_t id)
{
	char text[24];

	if (!id)
		return json_null();
	snprintf(text, sizeof(text), "0x%" PRIx64, id);
	return json_string(text);
}

static json_t *findings_json(const struct quiver_findings *findings)
{
	json_t *array = json_array();

	for (size_t i = 0; i < findings->count; i++) {
		const struct quiver_finding *finding = &findings->finding[i];

		json_array_append_new(array, json_pack("{s:s s:s s:o s:o s:o s:o}", "id", finding->id,
			"severity", quiver_severity_name(finding->severity),
			"device", id_json(finding->device), "pci", id_json(finding->pci),
			"text", text_json(finding->text), "cure", text_json(finding->cure)));
	}
	return array;
}

static json_t *checks_json(void)
{
	json_t *array = json_array();

	for (size_t i = 0; i < quiver_check_count; i++)
		json_array_append_new(array, json_string(quiver_checks[i].id));
	return array;
}

static json_t *system_json(const struct quiver_facts *facts)
{
	const struct quiver_mac_system *system = &facts->system;
	char version[48];

	if (!facts->has_system)
		return json_null();
	snprintf(version, sizeof(version), "%u.%u.%u", system->major, system->minor, system->patch);
	return json_pack("{s:s s:o s:I s:i s:b s:b}", "macos", version,
			 "model", text_json(system->model),
			 "memory", (json_int_t)system->memory, "cpus", (int)system->cpus,
			 "apple_silicon", (int)system->apple_silicon,
			 "simulated", (int)facts->simulated);
}

/* What only the extension says. */
static json_t *said_json(const struct quiver_facts_device *device, uint32_t value)
{
	return device->served ? json_integer(value) : json_null();
}

static json_t *device_json(const struct quiver_facts_device *device)
{
	const struct quiver_mac_pci *pci = &device->pci;

	return json_pack("{s:o s:o s:i s:i s:i s:o s:o s:i s:i s:i s:i s:i s:o s:o s:o s:o}",
			 "pci", id_json(pci->id),
			 "id", id_json(pci->service), "vendor", pci->vendor, "device", pci->device,
			 "class", (int)pci->class_code, "name", text_json(device->name),
			 "driver", text_json(pci->driver),
			 "thunderbolt", (int)pci->thunderbolt, "bars", (int)pci->bars,
			 "bars_assigned", (int)pci->bars_assigned,
			 "link_speed", (int)pci->link_speed, "link_width", (int)pci->link_width,
			 "state", said_json(device, device->identity.state),
			 "cause", said_json(device, device->identity.cause),
			 "mappings", said_json(device, device->identity.mappings),
			 "error", device->error ? json_integer(device->error) : json_null());
}

static json_t *devices_json(const struct quiver_facts *facts)
{
	json_t *array = json_array();

	for (size_t i = 0; i < facts->device_count; i++)
		json_array_append_new(array, device_json(&facts->devices[i]));
	return array;
}

static json_t *extension_json(const struct quiver_extension *extension)
{
	if (extension->state == QUIVER_EXTENSION_UNKNOWN ||
	    extension->state == QUIVER_EXTENSION_MISSING)
		return json_null();
	return json_pack("{s:o s:o s:o s:i}", "identifier", text_json(extension->identifier),
			 "version", text_json(extension->version),
			 "state", text_json(extension->words),
			 "abi", (int)extension->abi);
}

void quiver_report_json(const struct quiver_facts *facts, const struct quiver_findings *findings,
			int status, json_t *simulation)
{
	json_t *json = json_pack("{s:i s:s s:o s:o s:o s:o s:o s:o}", "status", status,
				 "version", QUIVER_VERSION, "checks", checks_json(),
				 "findings", findings_json(findings),
				 "system", system_json(facts),
				 "extension", extension_json(&facts->extension),
				 "devices", devices_json(facts), "simulation", simulation);

	json_dumpf(json, stdout, JSON_INDENT(2));
	putchar('\n');
	json_decref(json);
}
