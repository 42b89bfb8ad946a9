// SPDX-License-Identifier: BSD-3-Clause
/* Stages 0 and 1: the extension, and what the device says of itself. */
#include <stdio.h>
#include <stdlib.h>

#include "../devices.h"
#include "pci.h"
#include "probe.h"

void quiver_probe_stage_extension(struct quiver_probe *probe, struct quiver_probe_outcome *outcome)
{
	struct quiver_dext_stats stats;
	int error;

	quiver_probe_figure(outcome, "abi", json_integer(probe->info.identity.abi_version));
	quiver_probe_figure(outcome, "state_before",
			    json_string(quiver_device_state(&probe->info)));
	if (!quiver_probe_claim(probe, outcome))
		return;
	error = quiver_device_stats(probe->device, &stats);
	if (error) {
		quiver_probe_fail_call(outcome, "asking the extension for its counts", error);
		return;
	}
	quiver_probe_figure(outcome, "bytes_limit", json_integer((json_int_t)stats.bytes_limit));
	quiver_probe_figure(outcome, "mappings_limit",
			    json_integer((json_int_t)stats.mappings_limit));
	quiver_probe_check_quiet(probe, outcome);
}

static json_t *list_json(const struct quiver_probe_list *list)
{
	json_t *array = json_array();
	char text[24];

	for (size_t i = 0; i < list->count; i++) {
		snprintf(text, sizeof(text), "0x%02x at 0x%02x", list->at[i].id,
			 list->at[i].offset);
		json_array_append_new(array, json_string(text));
	}
	return array;
}

static bool identity_is_sound(const struct quiver_probe *probe, const uint8_t *config,
			      struct quiver_probe_outcome *outcome)
{
	const struct quiver_dext_identity *identity = &probe->info.identity;
	uint32_t id = quiver_probe_get32(config, PCI_ID);
	struct quiver_probe_trouble trouble = quiver_probe_trouble(probe->kind, id);

	quiver_probe_figure_hex(outcome, "id", id);
	quiver_probe_figure_hex(outcome, "class_revision",
				quiver_probe_get32(config, PCI_CLASS_REVISION));
	quiver_probe_figure_hex(outcome, "subsystem", quiver_probe_get32(config, PCI_SUBSYSTEM));
	quiver_probe_figure_hex(outcome, "command", quiver_probe_get16(config, PCI_COMMAND));
	quiver_probe_figure_hex(outcome, "status", quiver_probe_get16(config, PCI_STATUS));
	if (trouble.reason)
		quiver_probe_fail(outcome, trouble.cure, "config space: %s", trouble.reason);
	else if (id != (identity->vendor | (uint32_t)identity->device << 16) ||
		 quiver_probe_get32(config, PCI_CLASS_REVISION) != identity->class_revision)
		quiver_probe_fail(
			outcome, "begin at stage 0; if it stays so, send the record in",
			"config space names another device or class than the extension does");
	else if (config[PCI_HEADER_TYPE] & 0x7f)
		quiver_probe_fail(outcome, "pass through the device behind it",
				  "the function is a bridge (header type %u)",
				  config[PCI_HEADER_TYPE] & 0x7f);
	return !quiver_probe_failed(outcome);
}

static void tell_link(const uint8_t *config, unsigned int pcie,
		      struct quiver_probe_outcome *outcome)
{
	struct quiver_probe_link link = quiver_probe_link_read(config, pcie);
	uint32_t abilities = quiver_probe_get32(config, pcie + PCI_EXP_DEVCAP);

	quiver_probe_figure(outcome, "link",
			    json_pack("{s:i s:i s:i s:i}", "speed", (int)link.speed, "width",
				      (int)link.width, "speed_max", (int)link.speed_max,
				      "width_max", (int)link.width_max));
	quiver_probe_figure(outcome, "flr", json_boolean(abilities & PCI_EXP_DEVCAP_FLR));
}

static void check_list(const struct quiver_probe_list *list, const char *which,
		       struct quiver_probe_outcome *outcome)
{
	if (list->fault)
		quiver_probe_fail(
			outcome,
			"switch the enclosure off and on; if it stays so, send the record in",
			"the list of %scapabilities %s at 0x%03x: what config space says cannot be trusted",
			which, list->fault, list->fault_at);
}

/* Large, and one at a time. */
static uint8_t config[QUIVER_PROBE_CONFIG_SIZE];
static struct quiver_probe_list list, extended;

void quiver_probe_stage_identity(struct quiver_probe *probe, struct quiver_probe_outcome *outcome)
{
	unsigned int pcie, hidden;

	if (!quiver_probe_claim(probe, outcome) ||
	    !quiver_probe_read_config(probe, config, outcome) ||
	    !identity_is_sound(probe, config, outcome))
		return;
	quiver_probe_capabilities_walk(config, &list);
	quiver_probe_extended_walk(config, &extended);
	quiver_probe_figure(outcome, "capabilities", list_json(&list));
	quiver_probe_figure(outcome, "extended_capabilities", list_json(&extended));
	hidden = quiver_probe_hidden_pcie(config, &list);
	if (hidden)
		quiver_probe_figure_hex(outcome, "hidden_pcie", hidden);	/* [H11] */
	pcie = hidden ? hidden : quiver_probe_capability_find(&list, PCI_CAP_EXP);
	/* One that lies at the very end has no room for its registers. */
	if (pcie && pcie + PCI_EXP_SIZE <= PCI_EXTENDED)
		tell_link(config, pcie, outcome);
	check_list(&list, "", outcome);
	check_list(&extended, "extended ", outcome);
}
