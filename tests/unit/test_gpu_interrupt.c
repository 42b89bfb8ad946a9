// SPDX-License-Identifier: BSD-3-Clause
/* The interrupt tree of a simulated NVIDIA card: what its driver's own test of interrupts does. */
#define _GNU_SOURCE
#include <time.h>

#include "machine.h"
#include "simmac/gpu.h"

/* The vector that NVIDIA's driver triggers for that. */
#define VECTOR	129u
#define LEAF	(VECTOR / 32)
#define BIT	(1u << VECTOR % 32)
#define TOP_BIT	(1u << LEAF / 2)

static void pause_ms(unsigned int ms)
{
	struct timespec time = { .tv_nsec = ms * 1000000L };

	nanosleep(&time, NULL);
}

static unsigned int interrupts(struct machine *machine)
{
	return atomic_load(&machine->interrupts[0]);
}

static void enable(struct machine *machine, unsigned int leaf)
{
	machine_set_reg(machine, GPU_INTERRUPT_LEAF_SET(leaf), BIT);
	machine_await_reg(machine, GPU_INTERRUPT_LEAF_SET(leaf), BIT, BIT);
	machine_set_reg(machine, GPU_INTERRUPT_TOP_SET, 1u << leaf / 2);
	machine_await_reg(machine, GPU_INTERRUPT_TOP_SET, 1u << leaf / 2, 1u << leaf / 2);
}

static void trigger(struct machine *machine, unsigned int vector)
{
	machine_set_reg(machine, GPU_INTERRUPT_TRIGGER, vector);
	machine_await_reg(machine, GPU_INTERRUPT_TRIGGER, ~0u, 0);
}

static void a_triggered_vector_interrupts_once_until_it_is_cleared(void **state)
{
	struct machine machine;

	machine_start(&machine, "gpu", SIMMAC_IRQ_MSI);
	enable(&machine, LEAF);
	trigger(&machine, VECTOR);
	machine_await_interrupts(&machine, 0, 1);
	machine_await_reg(&machine, GPU_INTERRUPT_TOP, ~0u, TOP_BIT);
	trigger(&machine, VECTOR);
	pause_ms(20);
	assert_int_equal(interrupts(&machine), 1);
	machine_set_reg(&machine, GPU_INTERRUPT_LEAF(LEAF), BIT);
	machine_await_reg(&machine, GPU_INTERRUPT_TOP, ~0u, 0);
	trigger(&machine, VECTOR);
	machine_await_interrupts(&machine, 0, 2);
	machine_stop(&machine);
}

static void what_is_not_enabled_does_not_interrupt(void **state)
{
	struct machine machine;

	machine_start(&machine, "gpu", SIMMAC_IRQ_MSI);
	trigger(&machine, VECTOR);
	machine_set_reg(&machine, GPU_INTERRUPT_LEAF_SET(LEAF), BIT);
	machine_await_reg(&machine, GPU_INTERRUPT_TOP, ~0u, TOP_BIT);
	pause_ms(20);
	assert_int_equal(interrupts(&machine), 0);
	/* It was pending all the time. */
	machine_set_reg(&machine, GPU_INTERRUPT_TOP_SET, TOP_BIT);
	machine_await_interrupts(&machine, 0, 1);
	machine_set_reg(&machine, GPU_INTERRUPT_LEAF_CLEAR(LEAF), BIT);
	machine_await_reg(&machine, GPU_INTERRUPT_LEAF_SET(LEAF), ~0u, 0);
	machine_set_reg(&machine, GPU_INTERRUPT_LEAF(LEAF), BIT);
	machine_await_reg(&machine, GPU_INTERRUPT_LEAF(LEAF), ~0u, 0);
	trigger(&machine, VECTOR);
	pause_ms(20);
	assert_int_equal(interrupts(&machine), 1);
	machine_stop(&machine);
}

static void the_top_taken_away_and_given_back_tells_again(void **state)
{
	struct machine machine;

	machine_start(&machine, "gpu", SIMMAC_IRQ_MSI);
	enable(&machine, LEAF);
	trigger(&machine, VECTOR);
	machine_await_interrupts(&machine, 0, 1);
	machine_set_reg(&machine, GPU_INTERRUPT_TOP_CLEAR, TOP_BIT);
	machine_await_reg(&machine, GPU_INTERRUPT_TOP_SET, ~0u, 0);
	machine_set_reg(&machine, GPU_INTERRUPT_TOP_SET, TOP_BIT);
	machine_await_interrupts(&machine, 0, 2);
	machine_stop(&machine);
}

static void a_card_has_the_leaves_of_its_family(void **state)
{
	static const struct {
		const char *spec;
		bool has;
	} cards[] = { { "gpu,card=rtx4090", false }, { "gpu,card=h100", true }, { "gpu", true } };
	struct machine machine;

	for (size_t i = 0; i < 3; i++) {
		machine_start(&machine, cards[i].spec, SIMMAC_IRQ_MSI);
		machine_set_reg(&machine, GPU_INTERRUPT_LEAF_SET(8), BIT);
		machine_set_reg(&machine, GPU_INTERRUPT_TOP_SET, 1u << 4);
		machine_await_reg(&machine, GPU_INTERRUPT_TOP_SET, ~0u, 1u << 4);
		trigger(&machine, 8 * 32 + VECTOR % 32);
		if (cards[i].has)
			machine_await_interrupts(&machine, 0, 1);
		else
			pause_ms(20);
		assert_int_equal(interrupts(&machine), cards[i].has);
		machine_stop(&machine);
	}
}

static void a_reset_forgets_all_of_it(void **state)
{
	struct machine machine;

	machine_start(&machine, "gpu,card=rtx4090", SIMMAC_IRQ_MSI);
	enable(&machine, LEAF);
	trigger(&machine, VECTOR);
	machine_await_interrupts(&machine, 0, 1);
	simmac_device_reset(machine.device, SIMMAC_RESET_HOT);
	machine_master(&machine, true);
	assert_int_equal(machine_reg(&machine, GPU_INTERRUPT_TOP), 0);
	assert_int_equal(machine_reg(&machine, GPU_INTERRUPT_LEAF_SET(LEAF)), 0);
	trigger(&machine, VECTOR);
	pause_ms(20);
	assert_int_equal(interrupts(&machine), 1);
	machine_stop(&machine);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_triggered_vector_interrupts_once_until_it_is_cleared),
		cmocka_unit_test(what_is_not_enabled_does_not_interrupt),
		cmocka_unit_test(the_top_taken_away_and_given_back_tells_again),
		cmocka_unit_test(a_card_has_the_leaves_of_its_family),
		cmocka_unit_test(a_reset_forgets_all_of_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
