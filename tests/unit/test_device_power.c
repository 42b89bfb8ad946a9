// SPDX-License-Identifier: BSD-3-Clause
/* The cable and the power of a device, and what it says of its own state. */
#define _GNU_SOURCE
#include "machine.h"

#include <linux/pci_regs.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* The endpoint's registers, as far as needed here. */
#define COMMAND		0x04
#define COMMAND_WRITE	16
#define TARGET		0x14
#define SIZE		0x1c
#define IRQ_NUMBER	0x28
#define CAPS		0x30

static uint32_t config(struct machine *machine, unsigned int offset, unsigned int width)
{
	return simmac_device_config_read(machine->device, offset, width);
}

static void start(struct machine *machine)
{
	machine_start(machine, "endpoint,relentless=on", SIMMAC_IRQ_MSIX);
	for (unsigned int n = 0; n < SIMMAC_BARS; n++)
		simmac_device_share_bar(machine->device, n);
}

static bool dma_has_begun(void *argument)
{
	struct machine *machine = argument;

	return simmac_dart_stats(machine->device->dart).written_bytes > 0;
}

/* It writes to all of the memory, over and over. */
static void set_to_work(struct machine *machine)
{
	machine_set_reg(machine, TARGET, (uint32_t)machine->iova);
	machine_set_reg(machine, TARGET + 4, (uint32_t)(machine->iova >> 32));
	machine_set_reg(machine, SIZE, MACHINE_MEMORY);
	machine_set_reg(machine, COMMAND, COMMAND_WRITE);
	machine_await_reg(machine, COMMAND, ~0u, 0);
	assert_true(await(dma_has_begun, machine));
}

static void assert_is_off(struct machine *machine)
{
	uint64_t moved = simmac_dart_stats(machine->device->dart).written_bytes;

	assert_false(simmac_device_masters_bus(machine->device));
	assert_false(simmac_device_pristine(machine->device));
	for (unsigned int offset = 0; offset < SIMMAC_CONFIG_SIZE; offset += 4)
		assert_int_equal(config(machine, offset, 4), 0xffffffff);
	assert_int_equal(machine_reg(machine, CAPS), 0xffffffff);
	assert_int_equal(machine->device->bar[5].memory[77], 0xff);
	/* Nobody hears of it. */
	simmac_device_config_write(machine->device, PCI_COMMAND, 2, PCI_COMMAND_MASTER);
	simmac_device_config_write(machine->device, PCI_BASE_ADDRESS_0, 4, 0);
	simmac_device_reset(machine->device, SIMMAC_RESET_HOT);
	assert_int_equal(config(machine, PCI_VENDOR_ID, 4), 0xffffffff);
	machine_set_reg(machine, COMMAND, COMMAND_WRITE);
	usleep(5000);	/* for one too many */
	assert_int_equal(machine_reg(machine, COMMAND), COMMAND_WRITE);
	assert_int_equal(simmac_dart_stats(machine->device->dart).written_bytes, moved);
}

static void unplugged_it_does_nothing_any_more(void **state)
{
	struct machine machine;

	start(&machine);
	set_to_work(&machine);
	simmac_device_unplug(machine.device);
	assert_is_off(&machine);
	simmac_device_raise(machine.device, 0);
	machine_stop(&machine);
	assert_int_equal(atomic_load(&machine.interrupts[0]), 0);
}

static void unplugged_it_stays_whatever_comes(void **state)
{
	struct machine machine;

	start(&machine);
	simmac_device_unplug(machine.device);
	simmac_device_power(machine.device, false);
	simmac_device_power(machine.device, true);
	assert_is_off(&machine);
	machine_stop(&machine);
}

static void a_dead_one_reads_as_ones_too(void **state)
{
	struct machine machine;

	machine_start(&machine, "endpoint,flr=dead", SIMMAC_IRQ_MSIX);
	simmac_device_reset(machine.device, SIMMAC_RESET_FLR);
	assert_int_equal(config(&machine, PCI_VENDOR_ID, 4), 0xffff0001);
	simmac_device_unplug(machine.device);
	assert_int_equal(config(&machine, PCI_VENDOR_ID, 4), 0xffffffff);
	machine_stop(&machine);
}

static void a_bar_that_is_shared_later_reads_as_ones(void **state)
{
	struct machine machine;

	machine_start(&machine, "endpoint", SIMMAC_IRQ_MSIX);
	simmac_device_unplug(machine.device);
	assert_int_equal(machine.device->bar[3].memory[5], 0);
	simmac_device_share_bar(machine.device, 3);
	assert_int_equal(machine.device->bar[3].memory[5], 0xff);
	machine_stop(&machine);
}

/* Registers are lost; of config space macOS brings back the header and PCI Express. */
static void power_takes_state_and_macos_restores_some(void **state)
{
	struct machine machine;
	unsigned int control, n;

	start(&machine);
	control = machine.device->pcie_offset + PCI_EXP_DEVCTL;
	for (n = 0; n < 3; n++) {
		uint32_t relaxed = n % 2 ? PCI_EXP_DEVCTL_RELAX_EN : 0;

		simmac_device_config_write(machine.device, control, 2,
					   (config(&machine, control, 2) & ~PCI_EXP_DEVCTL_RELAX_EN) |
					   relaxed);
		machine_master(&machine, n != 1);
		if (n != 1)
			set_to_work(&machine);
		machine.device->bar[5].memory[77] = 1;
		simmac_device_power(machine.device, false);
		assert_is_off(&machine);
		simmac_device_power(machine.device, true);
		assert_int_equal(config(&machine, PCI_VENDOR_ID, 2), 0x1912);
		assert_int_equal(config(&machine, PCI_COMMAND, 2),
				 n == 1 ? PCI_COMMAND_MEMORY : PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
		assert_int_equal(simmac_device_masters_bus(machine.device), n != 1);
		assert_int_equal(config(&machine, control, 2) & PCI_EXP_DEVCTL_RELAX_EN, relaxed);
		assert_int_equal(machine_reg(&machine, CAPS), 7);
		assert_int_equal(machine_reg(&machine, COMMAND), 0);
		assert_int_equal(machine.device->bar[5].memory[77], 0);
	}
	machine_stop(&machine);
}

/* What it was at work with is forgotten, though it masters the bus again. */
static void power_ends_its_work(void **state)
{
	struct machine machine;

	start(&machine);
	set_to_work(&machine);
	simmac_device_power(machine.device, false);
	simmac_device_power(machine.device, true);
	assert_true(simmac_device_masters_bus(machine.device));
	assert_int_equal(simmac_dart_unmap(machine.device->dart, machine.iova, MACHINE_MEMORY,
					   false), 0);
	usleep(5000);	/* for a panic */
	assert_int_equal(simmac_dart_map(machine.device->dart, getpid(),
					 (uintptr_t)machine.memory, MACHINE_MEMORY,
					 &machine.iova), 0);
	machine_stop(&machine);
}

static void power_does_not_bring_back_the_dead(void **state)
{
	struct machine machine;

	machine_start(&machine, "endpoint,flr=dead", SIMMAC_IRQ_MSIX);
	simmac_device_reset(machine.device, SIMMAC_RESET_FLR);
	simmac_device_power(machine.device, false);
	assert_int_equal(config(&machine, PCI_VENDOR_ID, 4), 0xffffffff);
	simmac_device_power(machine.device, true);
	assert_int_equal(config(&machine, PCI_VENDOR_ID, 4), 0xffff0001);
	machine_stop(&machine);
}

static void pristine_is_as_the_last_reset_left_it(void **state)
{
	static const char *const specs[] = { "endpoint", "nvme", "gpu,card=rtx4090" };
	struct machine machine;
	unsigned int i, n;

	for (i = 0; i < sizeof(specs) / sizeof(specs[0]); i++) {
		machine_start(&machine, specs[i], SIMMAC_IRQ_MSIX);
		assert_false(simmac_device_pristine(machine.device));
		/* Memory decoding is macOS' business. */
		machine_master(&machine, false);
		assert_true(simmac_device_pristine(machine.device));
		for (n = 0; n < SIMMAC_BARS; n++) {
			struct simmac_bar *bar = &machine.device->bar[n];

			if (!bar->size)
				continue;
			bar->memory[bar->size - 8] ^= 1;
			assert_false(simmac_device_pristine(machine.device));
			bar->memory[bar->size - 8] ^= 1;
			assert_true(simmac_device_pristine(machine.device));
			bar->memory[bar->size - 8] ^= 1;
			simmac_device_reset(machine.device, SIMMAC_RESET_HOT);
			assert_true(simmac_device_pristine(machine.device));
		}
		simmac_device_config_write(machine.device, PCI_CACHE_LINE_SIZE, 1, 16);
		assert_false(simmac_device_pristine(machine.device));
		simmac_device_reset(machine.device, SIMMAC_RESET_FLR);
		assert_true(simmac_device_pristine(machine.device));
		machine_stop(&machine);
	}
}

/* To say so costs a large BAR no memory. */
static void what_nobody_touched_stays_a_hole(void **state)
{
	struct machine machine;

	machine_start(&machine, "gpu", SIMMAC_IRQ_MSIX);
	machine_master(&machine, false);
	assert_true(simmac_device_pristine(machine.device));
	assert_int_equal(lseek(machine.device->bar[1].fd, 0, SEEK_DATA), -1);
	machine_stop(&machine);
}

static void a_disk_keeps_its_medium(void **state)
{
	struct simmac_device *device, *next;
	char spec[64], text[4] = "old";

	assert_int_equal(simmac_device_new("nvme,size=1M", NULL, &device), 0);
	assert_int_equal(pwrite(device->model->medium(device), text, sizeof(text), 4096),
			 sizeof(text));
	snprintf(spec, sizeof(spec), "nvme,size=1M,file=/proc/self/fd/%d",
		 device->model->medium(device));
	assert_int_equal(simmac_device_new(spec, NULL, &next), 0);
	simmac_device_free(device);
	memset(text, 0, sizeof(text));
	assert_int_equal(pread(next->model->medium(next), text, sizeof(text), 4096), sizeof(text));
	assert_string_equal(text, "old");
	simmac_device_free(next);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(unplugged_it_does_nothing_any_more),
		cmocka_unit_test(unplugged_it_stays_whatever_comes),
		cmocka_unit_test(a_dead_one_reads_as_ones_too),
		cmocka_unit_test(a_bar_that_is_shared_later_reads_as_ones),
		cmocka_unit_test(power_takes_state_and_macos_restores_some),
		cmocka_unit_test(power_ends_its_work),
		cmocka_unit_test(power_does_not_bring_back_the_dead),
		cmocka_unit_test(pristine_is_as_the_last_reset_left_it),
		cmocka_unit_test(what_nobody_touched_stays_a_hole),
		cmocka_unit_test(a_disk_keeps_its_medium),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
