// SPDX-License-Identifier: BSD-3-Clause
/*
 * Stage 6: interrupts. A message is a write of the device's to memory, so it has
 * to master the bus; nothing is mapped for it meanwhile, and nothing but an
 * interrupt is asked of it.
 */
#include <stdatomic.h>

#include "interrupt.h"
#include "pci.h"

#define SAMPLES		200u
#define PATIENCE_NS	1000000000ull
#define STEP_US		20u

struct heard {
	atomic_uint count;
	_Atomic(uint64_t) at;
};

struct interrupts {
	struct quiver_probe *probe;
	const struct quiver_probe_source *source;
	struct quiver_probe_bar bar;
	uint32_t type;
	struct heard heard;
	struct quiver_probe_samples latency;
	struct quiver_probe_histogram histogram;
};

static void on_interrupt(void *context, unsigned int vector)
{
	struct heard *heard = context;

	atomic_store(&heard->at, quiver_probe_now());
	atomic_fetch_add(&heard->count, 1);
}

static bool master(struct interrupts *interrupts, bool on, struct quiver_probe_outcome *outcome)
{
	uint32_t command = PCI_COMMAND_MEMORY | (on ? PCI_COMMAND_MASTER : 0);
	int error = quiver_config_write(interrupts->probe->device, PCI_COMMAND, 2, command);

	if (error)
		quiver_probe_fail_call(outcome, on ? "bus mastering on" : "bus mastering off",
				       error);
	return !error;
}

/* MSI first: with one vector there is no question of which one comes. */
static bool configure(struct interrupts *interrupts, struct quiver_probe_outcome *outcome)
{
	static const uint32_t types[] = { QUIVER_DEXT_IRQ_MSI, QUIVER_DEXT_IRQ_MSIX };
	int error = 0;

	for (unsigned int i = 0; i < 2; i++) {
		interrupts->type = types[i];
		error = quiver_irq_configure(interrupts->probe->device, types[i], 1, on_interrupt,
					     &interrupts->heard, NULL);
		if (!error)
			return true;
	}
	quiver_probe_fail(outcome, "send the record in",
			  "neither MSI nor MSI-X can be had (error %d)", -error);
	return false;
}

static bool wait_for(struct interrupts *interrupts, unsigned int count, uint64_t begin)
{
	while (atomic_load(&interrupts->heard.count) < count) {
		if (quiver_probe_now() - begin > PATIENCE_NS)
			return false;
		quiver_probe_pause_us(STEP_US);
	}
	return true;
}

static bool measure_one(struct interrupts *interrupts, unsigned int n,
			struct quiver_probe_outcome *outcome)
{
	uint64_t begin = quiver_probe_now(), latency;

	interrupts->source->raise(&interrupts->bar, interrupts->type);
	if (!wait_for(interrupts, n + 1, begin)) {
		quiver_probe_fail(
			outcome,
			"run 'quiver doctor'; switch the enclosure off and on; send the record in",
			"interrupt %u did not come within a second", n);
		return false;
	}
	latency = atomic_load(&interrupts->heard.at) - begin;
	quiver_probe_samples_add(&interrupts->latency, latency);
	quiver_probe_histogram_add(&interrupts->histogram, latency / 1000);
	if (!interrupts->source->acknowledge(&interrupts->bar)) {
		quiver_probe_fail(outcome,
				  "switch the enclosure off and on, and send the record in",
				  "the device does not take interrupt %u back", n);
		return false;
	}
	if (atomic_load(&interrupts->heard.count) != n + 1) {
		quiver_probe_fail(outcome,
				  "switch the enclosure off and on, and send the record in",
				  "interrupts come that nobody raised, the first after %u", n);
		return false;
	}
	return true;
}

static void measure(struct interrupts *interrupts, struct quiver_probe_outcome *outcome)
{
	if (!interrupts->source->begin(&interrupts->bar, interrupts->type))
		quiver_probe_fail(outcome,
				  "switch the enclosure off and on, and send the record in",
				  "the device's interrupt registers do not keep what is written");
	for (unsigned int n = 0; n < SAMPLES && !quiver_probe_over(outcome); n++)
		measure_one(interrupts, n, outcome);
	interrupts->source->end(&interrupts->bar);
}

static void run(struct interrupts *interrupts, struct quiver_probe_outcome *outcome)
{
	struct quiver_probe *probe = interrupts->probe;

	if (configure(interrupts, outcome) && master(interrupts, true, outcome))
		measure(interrupts, outcome);
	master(interrupts, false, outcome);
	quiver_irq_configure(probe->device, QUIVER_DEXT_IRQ_NONE, 0, NULL, NULL, NULL);
	quiver_probe_figure(outcome, "type",
			    json_string(interrupts->type == QUIVER_DEXT_IRQ_MSI ? "MSI" : "MSI-X"));
	quiver_probe_figure(outcome, "source", json_string(interrupts->source->name));
	quiver_probe_figure(outcome, "latency_ns", quiver_probe_samples_json(&interrupts->latency));
	quiver_probe_figure(outcome, "latency_us_histogram",
			    quiver_probe_histogram_json(&interrupts->histogram));
	quiver_probe_check_quiet(probe, outcome);
	quiver_probe_samples_free(&interrupts->latency);
}

void quiver_probe_stage_interrupts(struct quiver_probe *probe, struct quiver_probe_outcome *outcome)
{
	struct interrupts interrupts = { .probe = probe,
					 .source = quiver_probe_source(probe->kind) };
	const char *obstacle;

	if (!interrupts.source) {
		quiver_probe_skip(outcome, "no safe way to make this device raise one is known");
		return;
	}
	if (!quiver_probe_claim(probe, outcome) || !quiver_probe_check_quiet(probe, outcome) ||
	    !quiver_probe_map_registers(probe, &interrupts.bar, outcome))
		return;
	obstacle = interrupts.source->obstacle(&interrupts.bar);
	if (obstacle)
		quiver_probe_skip(outcome, "no safe way to raise one: %s", obstacle);
	else
		run(&interrupts, outcome);
}
