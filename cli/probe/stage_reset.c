// SPDX-License-Identifier: BSD-3-Clause
/*
 * Stage 7: the device is reset, and is what it was; the claim is given back and
 * taken again, as from one VM to the next, and all of it works once more.
 */
#include <errno.h>
#include <string.h>
#include <stdlib.h>

#include "pci.h"
#include "probe.h"

#define DEAD "the device did not survive the reset [H8]"
#define DEAD_CURE "switch the enclosure off, wait ten seconds, and switch it on; and send the" \
		  " record in, so that the extension learns another method for this device"

static uint8_t before[QUIVER_PROBE_CONFIG_SIZE], after[QUIVER_PROBE_CONFIG_SIZE];

static bool reset(struct quiver_probe *probe, struct quiver_probe_outcome *outcome)
{
	uint64_t begin = quiver_probe_now(), dropped = 0;
	int error = quiver_device_reset(probe->device, 0, &dropped);

	quiver_probe_figure(outcome, "reset_ns",
			    json_integer((json_int_t)(quiver_probe_now() - begin)));
	quiver_probe_figure(outcome, "dropped", json_integer((json_int_t)dropped));
	if (error == -ENODEV)
		quiver_probe_fail(outcome, DEAD_CURE, DEAD);
	else if (error)
		quiver_probe_fail_call(outcome, "the reset", error);
	return !error;
}

/*
 * What a device keeps: who it is, and its list of capabilities. Command, status
 * and what a list's members are set to may differ.
 */
static bool config_is_back(struct quiver_probe_outcome *outcome)
{
	static const unsigned int kept[] = { PCI_ID, PCI_CLASS_REVISION, PCI_SUBSYSTEM };
	static struct quiver_probe_list old, new;

	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
		if (quiver_probe_get32(before, kept[i]) != quiver_probe_get32(after, kept[i]))
			quiver_probe_fail(outcome, DEAD_CURE,
					  "config space at 0x%02x was 0x%08x and is 0x%08x",
					  kept[i], quiver_probe_get32(before, kept[i]),
					  quiver_probe_get32(after, kept[i]));
	quiver_probe_capabilities_walk(before, &old);
	quiver_probe_capabilities_walk(after, &new);
	if (old.count != new.count || memcmp(old.at, new.at, old.count * sizeof(old.at[0])))
		quiver_probe_fail(outcome, DEAD_CURE,
				  "the list of capabilities is another one than before");
	return !quiver_probe_failed(outcome);
}

static bool registers_answer(struct quiver_probe *probe, uint32_t expected, const char *when,
			     struct quiver_probe_outcome *outcome)
{
	struct quiver_probe_bar bar;

	if (!quiver_probe_map_registers(probe, &bar, outcome))
		return false;
	if (probe->kind->id != QUIVER_PROBE_OTHER && bar.first != expected)
		quiver_probe_fail(outcome, DEAD_CURE, "%s, BAR %u at 0x%x was 0x%08x and is 0x%08x",
				  when, bar.number, probe->kind->read[0], expected, bar.first);
	return !quiver_probe_failed(outcome);
}

static bool claim_again(struct quiver_probe *probe, struct quiver_probe_outcome *outcome)
{
	uint64_t begin = quiver_probe_now();

	quiver_probe_put_down(probe);
	if (!quiver_probe_claim(probe, outcome))
		return false;
	quiver_probe_figure(outcome, "close_and_claim_ns",
			    json_integer((json_int_t)(quiver_probe_now() - begin)));
	return true;
}

/* Nor here is more than 90 % of a limit used, though one page is more of a small one [D7]. */
static bool one_fits(const struct quiver_dext_stats *stats)
{
	return stats->granule && stats->mappings_limit * 90 / 100 &&
	       stats->bytes_limit / 100 * 90 >= stats->granule;
}

static void map_once(struct quiver_probe *probe, struct quiver_probe_outcome *outcome)
{
	struct quiver_dma dma = { .op = QUIVER_MAP,
				  .flags = QUIVER_DEXT_DMA_READ | QUIVER_DEXT_DMA_WRITE };
	struct quiver_dext_stats stats;
	int error = quiver_device_stats(probe->device, &stats);

	if (error) {
		quiver_probe_fail_call(outcome, "asking for the limits", error);
		return;
	}
	quiver_probe_figure(outcome, "mapped_again", json_boolean(one_fits(&stats)));
	if (!one_fits(&stats))
		return;
	dma.length = stats.granule;
	if (posix_memalign(&dma.address, stats.granule, stats.granule)) {
		quiver_probe_fail(outcome, "end other programs, and try again", "out of memory");
		return;
	}
	error = quiver_dma_batch(probe->device, &dma, 1);
	if (!error)
		error = dma.result;
	if (!error) {
		dma.op = QUIVER_UNMAP;
		error = quiver_dma_batch(probe->device, &dma, 1);
	}
	if (!error)
		error = dma.result;
	free(dma.address);
	if (error)
		quiver_probe_fail_call(outcome, "mapping after the reset", error);
}

void quiver_probe_stage_reset(struct quiver_probe *probe, struct quiver_probe_outcome *outcome)
{
	struct quiver_probe_bar bar;

	if (!quiver_probe_claim(probe, outcome) ||
	    !quiver_probe_read_config(probe, before, outcome) ||
	    !quiver_probe_map_registers(probe, &bar, outcome))
		return;
	quiver_probe_figure_hex(outcome, "register_before", bar.first);
	if (!reset(probe, outcome) || !quiver_probe_read_config(probe, after, outcome) ||
	    !config_is_back(outcome) ||
	    !registers_answer(probe, bar.first, "after the reset", outcome) ||
	    !claim_again(probe, outcome) ||
	    !registers_answer(probe, bar.first, "claimed again", outcome))
		return;
	map_once(probe, outcome);
	quiver_probe_check_quiet(probe, outcome);
}
