// SPDX-License-Identifier: BSD-3-Clause
/* QEMU is asked by its machine protocol what it is made of. */
#include <jansson.h>
#include <string.h>

#include "doctor/parse.h"

/* Sent all at once: QEMU takes them one by one. What it does not have is an error of one answer. */
const char quiver_qemu_questions[] =
	"{\"execute\":\"qmp_capabilities\"}\n"
	"{\"execute\":\"qom-list-properties\",\"arguments\":{\"typename\":\"quiver-pci\"},\"id\":\"pci\"}\n"
	"{\"execute\":\"qom-list-properties\",\"arguments\":{\"typename\":\"quiver-dma\"},\"id\":\"dma\"}\n"
	"{\"execute\":\"qom-list-properties\",\"arguments\":{\"typename\":\"hvf-accel\"},\"id\":\"hvf\"}\n"
	"{\"execute\":\"quit\"}\n";

static bool has_property(const json_t *list, const char *wanted)
{
	const char *name;
	json_t *property;
	size_t i;

	json_array_foreach(list, i, property) {
		name = json_string_value(json_object_get(property, "name"));
		if (name && !strcmp(name, wanted))
			return true;
	}
	return false;
}

static void read_answer(const json_t *answer, struct quiver_facts_qemu *qemu)
{
	const char *id = json_string_value(json_object_get(answer, "id"));
	const json_t *list = json_object_get(answer, "return");

	if (!id || !json_is_array(list))
		return;
	if (!strcmp(id, "pci")) {
		qemu->quiver_pci = has_property(list, "host");
	} else if (!strcmp(id, "dma")) {
		qemu->quiver_dma = true;
	} else if (!strcmp(id, "hvf")) {
		qemu->hvf = true;
		qemu->hvf_noexec = has_property(list, "ram-device-noexec");
		qemu->hvf_tso = has_property(list, "tso");
	}
}

static void read_greeting(const json_t *greeting, struct quiver_facts_qemu *qemu)
{
	const json_t *version = json_object_get(json_object_get(greeting, "version"), "qemu");

	if (!version)
		return;
	qemu->answered = true;
	qemu->major = (unsigned int)json_integer_value(json_object_get(version, "major"));
	qemu->minor = (unsigned int)json_integer_value(json_object_get(version, "minor"));
}

void quiver_parse_qemu(const char *text, struct quiver_facts_qemu *qemu)
{
	while (text && *text) {
		size_t length = strcspn(text, "\n");
		json_t *line = json_loadb(text, length, 0, NULL);

		read_greeting(json_object_get(line, "QMP"), qemu);
		read_answer(line, qemu);
		json_decref(line);
		text += length + (text[length] == '\n');
	}
}
