// SPDX-License-Identifier: BSD-3-Clause
/* What every device does: options, config space, resets, interrupts, DMA's end. */
#include "machine.h"

#include <errno.h>
#include <linux/pci_regs.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

/* The endpoint's registers, as far as needed here. */
#define COMMAND		0x04
#define COMMAND_MSIX	4
#define COMMAND_WRITE	16
#define TARGET		0x14
#define SIZE		0x1c
#define IRQ_TYPE	0x24
#define IRQ_NUMBER	0x28
#define CAPS		0x30

static uint32_t config(struct simmac_device *device, unsigned int offset, unsigned int width)
{
	return simmac_device_config_read(device, offset, width);
}

static unsigned int capability(struct simmac_device *device, unsigned int id)
{
	unsigned int at = config(device, PCI_CAPABILITY_LIST, 1), hops;

	for (hops = 0; at && hops < 48; hops++) {
		if (config(device, at, 1) == id)
			return at;
		at = config(device, at + 1, 1);
	}
	fail_msg("no capability 0x%x", id);
	return 0;
}

static int try_spec(const char *spec)
{
	struct simmac_device *device;
	int ret = simmac_device_new(spec, NULL, &device);

	if (!ret)
		simmac_device_free(device);
	return ret;
}

static void bad_specs_are_refused(void **state)
{
	assert_int_equal(try_spec("toaster"), -ENOENT);
	assert_int_equal(try_spec(""), -ENOENT);
	assert_int_equal(try_spec("nvm"), -ENOENT);
	assert_int_equal(try_spec("nvme,size"), -EINVAL);
	assert_int_equal(try_spec("nvme,=1"), -EINVAL);
	assert_int_equal(try_spec("nvme,"), 0);
	assert_int_equal(try_spec("nvme,size=12x"), -EINVAL);
	assert_int_equal(try_spec("nvme,size=-1"), -EINVAL);
	assert_int_equal(try_spec("nvme,size=99999999999G"), -EINVAL);
	assert_int_equal(try_spec("nvme,size=100"), -EINVAL);
	assert_int_equal(try_spec("nvme,block=1000"), -EINVAL);
	assert_int_equal(try_spec("nvme,file=/nonexistent/disk"), -ENOENT);
	assert_int_equal(try_spec("nvme,colour=red"), -EINVAL);
	assert_int_equal(try_spec("endpoint,size=1M"), -EINVAL);
	assert_int_equal(try_spec("endpoint,flr=maybe"), -EINVAL);
	assert_int_equal(try_spec("endpoint,config="), -EINVAL);
	assert_int_equal(try_spec("endpoint,config=100"), -EINVAL);
	assert_int_equal(try_spec("endpoint,config=100:1"), -EINVAL);
	assert_int_equal(try_spec("endpoint,config=100:11/200:11"), -EINVAL);
	assert_int_equal(try_spec("endpoint,config=100:11+"), -EINVAL);
	assert_int_equal(try_spec("endpoint,config=fff:1122"), -EINVAL);
	assert_int_equal(try_spec("endpoint,config=ffffffffffffffff:11"), -EINVAL);
}

static void options_are_read(void **state)
{
	struct simmac_device *device;

	assert_int_equal(simmac_device_new("endpoint,name=a,,b,flr=ok,flr=dead", NULL, &device), 0);
	assert_string_equal(device->name, "a,b");
	assert_string_equal(device->options, "name=a,,b,flr=ok,flr=dead");
	assert_string_equal(simmac_device_option(device, "flr", ""), "dead");
	assert_string_equal(simmac_device_option(device, "none", "fallback"), "fallback");
	simmac_device_free(device);
}

static void config_space_is_that_of_a_pcie_endpoint(void **state)
{
	static const char *const specs[] = { "nvme,size=1M", "endpoint" };
	struct simmac_device *device;
	unsigned int i, at;

	for (i = 0; i < 2; i++) {
		assert_int_equal(simmac_device_new(specs[i], NULL, &device), 0);
		assert_int_equal(config(device, PCI_HEADER_TYPE, 1), PCI_HEADER_TYPE_NORMAL);
		assert_true(config(device, PCI_STATUS, 2) & PCI_STATUS_CAP_LIST);
		at = capability(device, PCI_CAP_ID_EXP);
		assert_true(config(device, at + PCI_EXP_DEVCAP, 4) & PCI_EXP_DEVCAP_FLR);
		at = capability(device, PCI_CAP_ID_MSIX);
		assert_int_equal((config(device, at + PCI_MSIX_FLAGS, 2) & 0x7ff) + 1,
				 device->msix_vectors);
		assert_int_equal(config(device, at + PCI_MSIX_TABLE, 4), 0x8000);
		assert_int_equal(config(device, at + PCI_MSIX_PBA, 4), 0xc000);
		at = capability(device, PCI_CAP_ID_MSI);
		assert_int_equal(1 << (config(device, at + PCI_MSI_FLAGS, 2) >> 1 & 7),
				 device->msi_vectors);
		assert_int_equal(config(device, PCI_CFG_SPACE_SIZE, 4), 0);
		simmac_device_free(device);
	}
}

static void only_writable_bits_change(void **state)
{
	struct simmac_device *device;
	uint32_t id;

	assert_int_equal(simmac_device_new("endpoint", NULL, &device), 0);
	id = config(device, PCI_VENDOR_ID, 4);
	simmac_device_config_write(device, PCI_VENDOR_ID, 4, ~id);
	assert_int_equal(config(device, PCI_VENDOR_ID, 4), id);
	simmac_device_config_write(device, PCI_INTERRUPT_LINE, 1, 0x5a);
	assert_int_equal(config(device, PCI_INTERRUPT_LINE, 1), 0x5a);
	assert_int_equal(config(device, PCI_INTERRUPT_PIN, 1), 0);
	/* Accesses that no bus makes read as ones, and write nothing. */
	assert_int_equal(config(device, 1, 2), 0xffffffff);
	assert_int_equal(config(device, 4096, 4), 0xffffffff);
	assert_int_equal(config(device, 0, 3), 0xffffffff);
	simmac_device_config_write(device, UINT32_MAX, 4, 0);
	simmac_device_config_write(device, PCI_INTERRUPT_LINE - 1, 4, 0);
	assert_int_equal(config(device, PCI_INTERRUPT_LINE, 1), 0x5a);
	simmac_device_free(device);
}

static void config_space_can_be_laid_over(void **state)
{
	struct simmac_device *device;

	assert_int_equal(simmac_device_new("endpoint,config=2:cDaB+ffe:0102", NULL, &device), 0);
	assert_int_equal(config(device, PCI_VENDOR_ID, 4), 0xabcd1912);
	assert_int_equal(config(device, 0xffc, 4), 0x02010000);
	/* It is what the device is, not what was written to it. */
	simmac_device_reset(device, SIMMAC_RESET_HOT);
	assert_int_equal(config(device, PCI_VENDOR_ID, 4), 0xabcd1912);
	simmac_device_free(device);
}

static void bar_writes_take_the_device_off_the_bus(void **state)
{
	struct simmac_device *device;
	uint32_t id, bar;

	assert_int_equal(simmac_device_new("endpoint", NULL, &device), 0);
	id = config(device, PCI_VENDOR_ID, 4);
	bar = config(device, PCI_BASE_ADDRESS_2, 4);
	simmac_device_config_write(device, PCI_COMMAND, 2, PCI_COMMAND_MASTER);
	assert_true(simmac_device_masters_bus(device));
	simmac_device_config_write(device, PCI_BASE_ADDRESS_2, 4, bar);
	assert_false(simmac_device_masters_bus(device));
	assert_int_equal(config(device, PCI_VENDOR_ID, 4), 0xffffffff);
	assert_int_equal(config(device, PCI_COMMAND, 2), 0xffff);
	simmac_device_reset(device, SIMMAC_RESET_FLR);
	assert_int_equal(config(device, PCI_VENDOR_ID, 4), 0xffffffff);
	simmac_device_reset(device, SIMMAC_RESET_HOT);
	assert_int_equal(config(device, PCI_VENDOR_ID, 4), id);
	assert_int_equal(config(device, PCI_BASE_ADDRESS_2, 4), bar);
	assert_int_equal(config(device, PCI_COMMAND, 2), 0);
	simmac_device_free(device);
}

static void payload_size_writes_take_the_device_off_the_bus(void **state)
{
	struct simmac_device *device;
	unsigned int control;
	uint32_t value;

	assert_int_equal(simmac_device_new("endpoint", NULL, &device), 0);
	control = capability(device, PCI_CAP_ID_EXP) + PCI_EXP_DEVCTL;
	value = config(device, control, 2);
	simmac_device_config_write(device, control, 2, value ^ PCI_EXP_DEVCTL_CERE);
	assert_int_equal(config(device, control, 2), value ^ PCI_EXP_DEVCTL_CERE);
	simmac_device_config_write(device, control + 1, 1, (value ^ PCI_EXP_DEVCTL_READRQ) >> 8);
	assert_int_equal(config(device, control, 2), 0xffff);
	simmac_device_reset(device, SIMMAC_RESET_HOT);
	assert_int_equal(config(device, control, 2), value);
	simmac_device_config_write(device, control, 4, value | PCI_EXP_DEVCTL_PAYLOAD);
	assert_int_equal(config(device, control, 2), 0xffff);
	simmac_device_free(device);
}

static void flr_brings_back_power_on_state(void **state)
{
	struct machine machine;
	unsigned int control;

	machine_start(&machine, "endpoint", SIMMAC_IRQ_MSIX);
	control = capability(machine.device, PCI_CAP_ID_EXP) + PCI_EXP_DEVCTL;
	machine_set_reg(&machine, 0x1000, 42);
	machine_set_reg(&machine, CAPS, 42);
	machine.device->bar[5].memory[77] = 1;
	simmac_device_config_write(machine.device, control, 2,
				   config(machine.device, control, 2) | PCI_EXP_DEVCTL_BCR_FLR);
	assert_int_equal(machine_reg(&machine, 0x1000), 0);
	assert_int_equal(machine_reg(&machine, CAPS), 7);
	assert_int_equal(machine.device->bar[5].memory[77], 0);
	assert_int_equal(config(machine.device, PCI_COMMAND, 2), 0);
	assert_false(config(machine.device, control, 2) & PCI_EXP_DEVCTL_BCR_FLR);
	machine_stop(&machine);
}

static void some_never_come_back_from_flr(void **state)
{
	struct simmac_device *device;

	assert_int_equal(simmac_device_new("endpoint,flr=dead", NULL, &device), 0);
	simmac_device_reset(device, SIMMAC_RESET_HOT);
	assert_int_equal(config(device, PCI_VENDOR_ID, 2), 0x1912);
	simmac_device_reset(device, SIMMAC_RESET_FLR);
	assert_int_equal(config(device, PCI_VENDOR_ID, 4), 0xffff0001);
	assert_int_equal(config(device, PCI_VENDOR_ID, 2), 0x0001);
	assert_int_equal(config(device, PCI_DEVICE_ID, 2), 0xffff);
	assert_int_equal(config(device, PCI_COMMAND, 4), 0xffffffff);
	simmac_device_config_write(device, PCI_COMMAND, 2, PCI_COMMAND_MASTER);
	assert_false(simmac_device_masters_bus(device));
	simmac_device_reset(device, SIMMAC_RESET_HOT);
	assert_int_equal(config(device, PCI_VENDOR_ID, 4), 0xffff0001);
	simmac_device_free(device);
}

static bool is_back(void *argument)
{
	return config(argument, PCI_VENDOR_ID, 4) != 0xffff0001;
}

static void a_reset_may_take_its_time(void **state)
{
	struct simmac_device *device;

	assert_int_equal(simmac_device_new("endpoint,reset_ms=100", NULL, &device), 0);
	simmac_device_reset(device, SIMMAC_RESET_FLR);
	assert_int_equal(config(device, PCI_VENDOR_ID, 4), 0xffff0001);
	assert_true(await(is_back, device));
	assert_int_equal(config(device, PCI_VENDOR_ID, 2), 0x1912);
	simmac_device_free(device);
}

static void raise(struct machine *machine, unsigned int vector)
{
	machine_set_reg(machine, IRQ_TYPE, 2);
	machine_set_reg(machine, IRQ_NUMBER, vector + 1);
	machine_set_reg(machine, COMMAND, COMMAND_MSIX);
	machine_await_reg(machine, COMMAND, ~0u, 0);
}

static void interrupts_need_a_vector_and_the_bus(void **state)
{
	struct machine machine;

	machine_start(&machine, "endpoint", SIMMAC_IRQ_MSIX);
	raise(&machine, 63);
	machine_await_interrupts(&machine, 63, 1);
	raise(&machine, 64);
	simmac_device_set_irq(machine.device, SIMMAC_IRQ_MSIX, 4);
	raise(&machine, 4);
	raise(&machine, 3);
	machine_await_interrupts(&machine, 3, 1);
	machine_master(&machine, false);
	raise(&machine, 3);
	simmac_device_set_irq(machine.device, SIMMAC_IRQ_NONE, 0);
	machine_master(&machine, true);
	raise(&machine, 3);
	simmac_device_set_irq(machine.device, SIMMAC_IRQ_MSI, 32);
	raise(&machine, 3);
	usleep(5000);	/* for one too many */
	machine_stop(&machine);
	assert_int_equal(atomic_load(&machine.interrupts[3]), 1);
	assert_int_equal(atomic_load(&machine.interrupts[4]), 0);
	assert_int_equal(atomic_load(&machine.interrupts[63]), 1);
}

#define LARGE (1u << 20)

static void start_large_write(struct machine *machine)
{
	machine_set_reg(machine, TARGET, (uint32_t)machine->iova);
	machine_set_reg(machine, TARGET + 4, (uint32_t)(machine->iova >> 32));
	machine_set_reg(machine, SIZE, LARGE);
	machine_set_reg(machine, COMMAND, COMMAND_WRITE);
}

static bool dma_has_begun(void *argument)
{
	struct machine *machine = argument;

	return simmac_dart_stats(machine->device->dart).written_bytes > 0;
}

/* However far a transfer is: when the write returns, not a byte more comes. */
static void clearing_bus_mastering_ends_dma(void **state)
{
	struct machine machine;
	uint64_t moved, least = LARGE;
	unsigned int round;

	for (round = 0; round < 20; round++) {
		machine_start(&machine, "endpoint", SIMMAC_IRQ_MSIX);
		start_large_write(&machine);
		assert_true(await(dma_has_begun, &machine));
		machine_master(&machine, false);
		moved = simmac_dart_stats(machine.device->dart).written_bytes;
		least = moved < least ? moved : least;
		usleep(2000);
		assert_int_equal(simmac_dart_stats(machine.device->dart).written_bytes, moved);
		machine_stop(&machine);
	}
	/* Else none was caught at work. */
	assert_true(least < LARGE);
}

static void unmap_all(void *argument)
{
	struct machine machine;

	machine_start(&machine, "endpoint", SIMMAC_IRQ_MSIX);
	simmac_dart_unmap(machine.device->dart, machine.iova, MACHINE_MEMORY, true);
}

static void nobody_may_unmap_under_a_device_left_alone(void **state)
{
	assert_panic(unmap_all, NULL, "D8", "nobody left");
}

/* A transfer that was through before the unmap came proves nothing: again then. */
static void unmap_under_transfer(void *argument)
{
	struct machine machine;
	unsigned int round;

	machine_start(&machine, "endpoint", SIMMAC_IRQ_MSIX);
	for (round = 0; round < 100; round++) {
		machine_await_reg(&machine, COMMAND, ~0u, 0);
		start_large_write(&machine);
		machine_await_reg(&machine, COMMAND, ~0u, 0);
		simmac_dart_unmap(machine.device->dart, machine.iova, MACHINE_MEMORY, false);
		assert_int_equal(simmac_dart_map(machine.device->dart, getpid(),
						 (uintptr_t)machine.memory, MACHINE_MEMORY,
						 &machine.iova), 0);
	}
}

static void unmapping_what_a_transfer_uses_panics(void **state)
{
	assert_panic(unmap_under_transfer, NULL, "D8", "that the device is using");
}

static void bars_can_be_mapped_by_others(void **state)
{
	struct simmac_device *device;
	uint8_t *memory;
	unsigned int n;

	assert_int_equal(simmac_device_new("endpoint", NULL, &device), 0);
	for (n = 0; n < SIMMAC_BARS; n++) {
		memory = mmap(NULL, device->bar[n].size, PROT_READ | PROT_WRITE, MAP_SHARED,
			      device->bar[n].fd, 0);
		assert_true(memory != MAP_FAILED);
		memory[device->bar[n].size - 1] = (uint8_t)(n + 1);
		assert_int_equal(device->bar[n].memory[device->bar[n].size - 1], n + 1);
		munmap(memory, device->bar[n].size);
		assert_int_equal(ftruncate(device->bar[n].fd, 0), -1);
	}
	simmac_device_free(device);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bad_specs_are_refused),
		cmocka_unit_test(options_are_read),
		cmocka_unit_test(config_space_is_that_of_a_pcie_endpoint),
		cmocka_unit_test(only_writable_bits_change),
		cmocka_unit_test(config_space_can_be_laid_over),
		cmocka_unit_test(bar_writes_take_the_device_off_the_bus),
		cmocka_unit_test(payload_size_writes_take_the_device_off_the_bus),
		cmocka_unit_test(flr_brings_back_power_on_state),
		cmocka_unit_test(some_never_come_back_from_flr),
		cmocka_unit_test(a_reset_may_take_its_time),
		cmocka_unit_test(interrupts_need_a_vector_and_the_bus),
		cmocka_unit_test(clearing_bus_mastering_ends_dma),
		cmocka_unit_test(nobody_may_unmap_under_a_device_left_alone),
		cmocka_unit_test(unmapping_what_a_transfer_uses_panics),
		cmocka_unit_test(bars_can_be_mapped_by_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
