// SPDX-License-Identifier: BSD-3-Clause
/* Stage 2: BARs. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "probe.h"
#include "quiver/mac.h"

/* The Mac's word on which BARs there are; false: it has none. */
static bool ask_the_mac(const struct quiver_probe *probe, struct quiver_mac_pci *found)
{
	struct quiver_mac_pci *all;
	int count = quiver_mac_pci_list(NULL, 0), i;
	bool known = false;

	all = count > 0 ? calloc((size_t)count, sizeof(*all)) : NULL;
	if (!all)
		return false;
	i = quiver_mac_pci_list(all, (size_t)count);
	count = i < count ? i : count;
	for (i = 0; i < count && !known; i++) {
		known = all[i].service == probe->info.id;
		*found = all[i];
	}
	free(all);
	return known;
}

static void add_bar(json_t *bars, unsigned int n, const struct quiver_dext_bar *info)
{
	json_array_append_new(bars, json_pack("{s:i s:I s:b s:b s:b}", "bar", (int)n, "bytes",
					      (json_int_t)info->length, "64bit",
					      !!(info->flags & QUIVER_DEXT_BAR_64), "prefetchable",
					      !!(info->flags & QUIVER_DEXT_BAR_PREFETCH), "io",
					      !!(info->flags & QUIVER_DEXT_BAR_IO)));
}

/* Maps what is memory. False: that failed. */
static bool look_at_bar(struct quiver_probe *probe, unsigned int n, json_t *bars,
			unsigned int *mapped, struct quiver_probe_outcome *outcome)
{
	struct quiver_dext_bar info;
	uint64_t length;
	void *address;
	int error = quiver_bar_info(probe->device, n, &info);

	if (!error && info.length) {
		add_bar(bars, n, &info);
		if (info.flags & QUIVER_DEXT_BAR_IO)
			return true;
		error = quiver_bar_map(probe->device, n, &address, &length);
		if (!error && length < info.length)
			quiver_probe_fail(outcome, "send the record in",
					  "of BAR %u only %llu of %llu bytes were mapped", n,
					  (unsigned long long)length,
					  (unsigned long long)info.length);
		*mapped += !error;
	}
	if (error) {
		char what[32];

		snprintf(what, sizeof(what), "mapping BAR %u", n);
		quiver_probe_fail_call(outcome, what, error);
	}
	return !error;
}

/* Those that the Mac left without an address [H10]. */
static void check_assigned(const struct quiver_probe *probe, struct quiver_probe_outcome *outcome)
{
	struct quiver_mac_pci pci;
	uint32_t missing;

	if (!ask_the_mac(probe, &pci))
		return;
	missing = pci.bars & ~pci.bars_assigned;
	quiver_probe_figure_hex(outcome, "bars_assigned", pci.bars_assigned);
	quiver_probe_figure_hex(outcome, "bars_unassigned", missing);
	if (missing)
		quiver_probe_fail(
			outcome, "restart the Mac with the enclosure attached and switched on",
			"BAR %d has no address: macOS found no room for it when the device came [H10]",
			__builtin_ctz(missing));
}

static void check_nvidia(const struct quiver_probe *probe, uint32_t value,
			 struct quiver_probe_outcome *outcome)
{
	struct quiver_probe_boot_0 boot = quiver_probe_boot_0_decode(value);
	uint32_t expected = quiver_probe_boot_0_expected(probe->info.identity.device);

	quiver_probe_figure(outcome, "chip",
			    json_pack("{s:s? s:i s:i s:i s:i}", "family", boot.family,
				      "architecture", (int)boot.architecture, "implementation",
				      (int)boot.implementation, "major", (int)boot.major, "minor",
				      (int)boot.minor));
	if (!boot.family)
		quiver_probe_fail(outcome,
				  "send the record in: it is a chip that nobody here has seen",
				  "BOOT_0 is 0x%08x, which names no chip", value);
	else if (expected && (value ^ expected) >> 20)
		quiver_probe_fail(
			outcome, "send the record in",
			"BOOT_0 is 0x%08x where this card has 0x%08x [G12]: it is not this card that answers",
			value, expected);
}

static void read_registers(struct quiver_probe *probe, struct quiver_probe_outcome *outcome)
{
	bool nvidia = probe->kind->id == QUIVER_PROBE_NVIDIA;
	struct quiver_probe_bar bar = { .at = NULL };
	bool sound = quiver_probe_map_registers(probe, &bar, outcome);

	if (!bar.at)
		return;
	quiver_probe_figure(outcome, "registers_bar", json_integer(bar.number));
	quiver_probe_figure_hex(outcome, nvidia ? "boot_0" : "register", bar.first);
	if (sound && nvidia)
		check_nvidia(probe, bar.first, outcome);
}

void quiver_probe_stage_bars(struct quiver_probe *probe, struct quiver_probe_outcome *outcome)
{
	json_t *bars = json_array();
	unsigned int mapped = 0, n;

	quiver_probe_figure(outcome, "bars", bars);
	if (!quiver_probe_claim(probe, outcome))
		return;
	/* One without an address is not to be mapped, whatever the extension makes of that. */
	check_assigned(probe, outcome);
	if (quiver_probe_failed(outcome))
		return;
	for (n = 0; n < QUIVER_DEXT_BARS; n++)
		if (!look_at_bar(probe, n, bars, &mapped, outcome))
			return;
	if (!mapped)
		quiver_probe_fail(outcome,
				  "restart the Mac with the enclosure attached and switched on",
				  "no BAR can be mapped: none is there, or none is assigned [H10]");
	if (!quiver_probe_failed(outcome))
		read_registers(probe, outcome);
}
