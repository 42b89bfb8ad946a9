// SPDX-License-Identifier: BSD-3-Clause
/*
 * Stage 4: what a load from a BAR takes: by the host, by a guest that has the BAR
 * mapped, and by one that leaves for each and has it done by us [H2].
 */
#include "vm.h"

#define LDR_W0_X1	0xb9400020u
#define SUBS_X2_X2_1	0xf1000442u
#define B_NE_BACK_2	0x54ffffc1u	/* to the load */
#define HVC_0		0xd4000002u

#define ROUNDS		32u
#define LOADS		1000u		/* of a round */
#define TRAPPED		1000u
#define EMPTY		200u

#define SYNDROME_VALID	(1u << 24)
#define SYNDROME_RT(syndrome) ((unsigned int)((syndrome) >> 16 & 0x1f))

struct speed {
	struct quiver_probe_vm vm;
	struct quiver_probe_bar bar;
	uint32_t offset;
	struct quiver_probe_samples host, direct, trapped, empty;
};

static void load_loop(struct speed *speed, uint64_t address, uint64_t loads)
{
	static const uint32_t code[] = { LDR_W0_X1, SUBS_X2_X2_1, B_NE_BACK_2, HVC_0 };

	quiver_probe_vm_load(&speed->vm, code, 4);
	quiver_probe_vm_set(&speed->vm, HV_REG_X1, address + speed->offset);
	quiver_probe_vm_set(&speed->vm, HV_REG_X2, loads);
}

static void measure_host(struct speed *speed)
{
	for (unsigned int i = 0; i < ROUNDS; i++) {
		uint64_t begin = quiver_probe_now();

		for (unsigned int n = 0; n < LOADS; n++)
			quiver_probe_load(&speed->bar, speed->offset);
		quiver_probe_samples_add(&speed->host, (quiver_probe_now() - begin) / LOADS);
	}
}

/* What it takes to enter the guest and to leave it, with nothing in between. */
static bool measure_empty(struct speed *speed, struct quiver_probe_outcome *outcome)
{
	static const uint32_t code[] = { HVC_0 };

	for (unsigned int i = 0; i < EMPTY; i++) {
		uint64_t begin;

		quiver_probe_vm_load(&speed->vm, code, 1);
		begin = quiver_probe_now();
		if (quiver_probe_vm_run(&speed->vm, outcome) != QUIVER_PROBE_VM_DONE)
			return false;
		quiver_probe_samples_add(&speed->empty, quiver_probe_now() - begin);
	}
	return true;
}

/* A guest that ends early is no fast one. */
static bool all_done(struct speed *speed, struct quiver_probe_outcome *outcome)
{
	uint64_t left = quiver_probe_vm_get(&speed->vm, HV_REG_X2);

	if (left)
		quiver_probe_fail(outcome, "send the record in",
				  "the guest ended with %llu of its loads not done",
				  (unsigned long long)left);
	return !quiver_probe_over(outcome);
}

static bool measure_direct(struct speed *speed, struct quiver_probe_outcome *outcome)
{
	for (unsigned int i = 0; i < ROUNDS; i++) {
		uint64_t begin;

		load_loop(speed, QUIVER_PROBE_VM_BAR, LOADS);
		begin = quiver_probe_now();
		if (quiver_probe_vm_run(&speed->vm, outcome) != QUIVER_PROBE_VM_DONE) {
			quiver_probe_fail(outcome, "send the record in",
					  "a direct load left the guest");
			return false;
		}
		if (!all_done(speed, outcome))
			return false;
		quiver_probe_samples_add(&speed->direct, (quiver_probe_now() - begin) / LOADS);
	}
	return true;
}

/* As a VMM does it: the syndrome says which register, the load is ours. */
static bool emulate(struct speed *speed, struct quiver_probe_outcome *outcome)
{
	uint64_t syndrome = speed->vm.exit->exception.syndrome;

	if (!(syndrome & SYNDROME_VALID) || SYNDROME_RT(syndrome) != 0) {
		quiver_probe_fail(outcome, "send the record in",
				  "the exit does not tell of the load: syndrome 0x%llx",
				  (unsigned long long)syndrome);
		return false;
	}
	quiver_probe_vm_set(&speed->vm, HV_REG_X0, quiver_probe_load(&speed->bar, speed->offset));
	quiver_probe_vm_set(&speed->vm, HV_REG_PC, quiver_probe_vm_get(&speed->vm, HV_REG_PC) + 4);
	return true;
}

static bool measure_trapped(struct speed *speed, struct quiver_probe_outcome *outcome)
{
	enum quiver_probe_vm_end end;
	uint64_t begin, now;

	load_loop(speed, QUIVER_PROBE_VM_NOWHERE, TRAPPED);
	begin = quiver_probe_now();
	while ((end = quiver_probe_vm_run(&speed->vm, outcome)) == QUIVER_PROBE_VM_TRAP) {
		if (!emulate(speed, outcome) || quiver_probe_over(outcome))
			return false;
		now = quiver_probe_now();
		quiver_probe_samples_add(&speed->trapped, now - begin);
		begin = now;
	}
	if (end == QUIVER_PROBE_VM_DONE && speed->trapped.count != TRAPPED)
		quiver_probe_fail(outcome, "send the record in", "%zu of %u loads left the guest",
				  speed->trapped.count, TRAPPED);
	return end == QUIVER_PROBE_VM_DONE && all_done(speed, outcome);
}

static void tell(struct speed *speed, struct quiver_probe_outcome *outcome)
{
	uint64_t direct = quiver_probe_samples_summary(&speed->direct).median;
	uint64_t trapped = quiver_probe_samples_summary(&speed->trapped).median;

	quiver_probe_figure(outcome, "host_load_ns", quiver_probe_samples_json(&speed->host));
	quiver_probe_figure(outcome, "direct_load_ns", quiver_probe_samples_json(&speed->direct));
	quiver_probe_figure(outcome, "trapped_load_ns", quiver_probe_samples_json(&speed->trapped));
	quiver_probe_figure(outcome, "empty_exit_ns", quiver_probe_samples_json(&speed->empty));
	quiver_probe_figure(outcome, "loads_a_round", json_integer(LOADS));
	if (direct)
		quiver_probe_figure(outcome, "trapped_to_direct",
				    json_real((double)trapped / (double)direct));
}

void quiver_probe_stage_speed(struct quiver_probe *probe, struct quiver_probe_outcome *outcome)
{
	struct speed speed = { .offset = probe->kind->read[0] };

	if (!quiver_probe_claim(probe, outcome) ||
	    !quiver_probe_map_registers(probe, &speed.bar, outcome) ||
	    !quiver_probe_vm_fits(&speed.bar, outcome))
		return;
	measure_host(&speed);
	if (quiver_probe_vm_open(&speed.vm, outcome) &&
	    quiver_probe_vm_map_bar(&speed.vm, &speed.bar, outcome) &&
	    measure_empty(&speed, outcome) && measure_direct(&speed, outcome) &&
	    measure_trapped(&speed, outcome))
		tell(&speed, outcome);
	quiver_probe_vm_close(&speed.vm);
	quiver_probe_samples_free(&speed.host);
	quiver_probe_samples_free(&speed.direct);
	quiver_probe_samples_free(&speed.trapped);
	quiver_probe_samples_free(&speed.empty);
}
