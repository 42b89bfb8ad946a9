// SPDX-License-Identifier: BSD-3-Clause
/*
 * Stage 3: a BAR is touched from inside a VM, by three instructions. It is what
 * took a Mac down when the BAR was mapped to be executed [H1]; mapped to be read
 * and written only, it must work.
 */
#include "pci.h"
#include "vm.h"

#define LDR_W0_X1	0xb9400020u
#define LDR_W2_X3	0xb9400062u
#define STR_W2_X3	0xb9000062u
#define HVC_0		0xd4000002u

#define TRIES		3
#define PATTERN		0x5a17c0deu

struct touch {
	struct quiver_probe_bar bar;
	bool writes;
	uint32_t second;		/* the register of the second instruction */
	uint32_t value;			/* that it writes */
};

bool quiver_probe_vm_fits(const struct quiver_probe_bar *bar, struct quiver_probe_outcome *outcome)
{
	if (quiver_probe_fits_guest((uintptr_t)bar->at, bar->length))
		return true;
	quiver_probe_skip(outcome,
			  "BAR %u is no whole page of 16 KiB [H2]: no guest gets it directly",
			  bar->number);
	return false;
}

/* What is written is chosen so that it changes nothing, or that it can be taken back. */
static void choose(const struct quiver_probe *probe, struct touch *touch)
{
	const struct quiver_probe_kind *kind = probe->kind;

	touch->writes = kind->write &&
			!(kind->unless && quiver_probe_load(&touch->bar, kind->unless) & 1);
	touch->second = touch->writes ? kind->write : kind->read[1];
	touch->value = kind->write_back ? quiver_probe_load(&touch->bar, kind->write) : PATTERN;
}

static bool touch_once(struct quiver_probe_vm *vm, const struct quiver_probe *probe,
		       const struct touch *touch, struct quiver_probe_outcome *outcome)
{
	const uint32_t code[] = { LDR_W0_X1, touch->writes ? STR_W2_X3 : LDR_W2_X3, HVC_0 };

	quiver_probe_vm_load(vm, code, 3);
	quiver_probe_vm_set(vm, HV_REG_X0, 0);
	quiver_probe_vm_set(vm, HV_REG_X1, QUIVER_PROBE_VM_BAR + probe->kind->read[0]);
	quiver_probe_vm_set(vm, HV_REG_X2, touch->value);
	quiver_probe_vm_set(vm, HV_REG_X3, QUIVER_PROBE_VM_BAR + touch->second);
	switch (quiver_probe_vm_run(vm, outcome)) {
	case QUIVER_PROBE_VM_DONE:
		return true;
	case QUIVER_PROBE_VM_TRAP:
		quiver_probe_fail(outcome, "send the record in",
				  "the access left the guest: the BAR is not mapped");
		return false;
	default:
		return false;
	}
}

/* A register may change between two reads of ours; then the guest's says nothing. */
static bool compare(struct quiver_probe_vm *vm, const struct quiver_probe *probe,
		    const struct touch *touch, struct quiver_probe_outcome *outcome)
{
	uint32_t before = 0, after = 0, seen = 0, written;

	for (unsigned int i = 0; i < TRIES; i++) {
		before = quiver_probe_load(&touch->bar, probe->kind->read[0]);
		if (!touch_once(vm, probe, touch, outcome))
			return false;
		seen = (uint32_t)quiver_probe_vm_get(vm, HV_REG_X0);
		after = quiver_probe_load(&touch->bar, probe->kind->read[0]);
		if (before == after)
			break;
	}
	quiver_probe_figure_hex(outcome, "host_read", after);
	quiver_probe_figure_hex(outcome, "guest_read", seen);
	quiver_probe_figure(outcome, "compared", json_boolean(before == after));
	if (before == after && seen != after)
		quiver_probe_fail(outcome, "send the record in",
				  "the guest read 0x%08x where the host reads 0x%08x", seen, after);
	written = quiver_probe_load(&touch->bar, touch->second);
	if (touch->writes)
		quiver_probe_figure_hex(outcome, "guest_wrote", touch->value);
	if (touch->writes && written != touch->value)
		quiver_probe_fail(outcome, "send the record in",
				  "the guest wrote 0x%08x, and the host reads 0x%08x", touch->value,
				  written);
	return !quiver_probe_failed(outcome);
}

static void touch_in_vm(struct quiver_probe *probe, struct touch *touch,
			struct quiver_probe_outcome *outcome)
{
	struct quiver_probe_vm vm;

	if (quiver_probe_vm_open(&vm, outcome) &&
	    quiver_probe_vm_map_bar(&vm, &touch->bar, outcome))
		compare(&vm, probe, touch, outcome);
	quiver_probe_vm_close(&vm);
}

void quiver_probe_stage_touch(struct quiver_probe *probe, struct quiver_probe_outcome *outcome)
{
	struct touch touch = { .writes = false };
	uint32_t before;

	if (!quiver_probe_claim(probe, outcome) ||
	    !quiver_probe_map_registers(probe, &touch.bar, outcome) ||
	    !quiver_probe_vm_fits(&touch.bar, outcome))
		return;
	choose(probe, &touch);
	quiver_probe_figure(outcome, "bar", json_integer(touch.bar.number));
	quiver_probe_figure(outcome, "writes", json_boolean(touch.writes));
	quiver_probe_figure(
		outcome, "note",
		json_string(touch.writes ? probe->kind->note
			    : probe->kind->write
				    ? "the register that could be written is in use: read twice"
				    : probe->kind->note));
	before = touch.writes ? quiver_probe_load(&touch.bar, touch.second) : 0;
	touch_in_vm(probe, &touch, outcome);
	if (touch.writes)
		quiver_probe_store(&touch.bar, touch.second, before);
}
