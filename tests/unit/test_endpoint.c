// SPDX-License-Identifier: BSD-3-Clause
/* The endpoint under a driver as small as can be. */
#include "machine.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define COMMAND		0x04
#define RAISE_INTX	(1u << 0)
#define RAISE_MSI	(1u << 1)
#define RAISE_MSIX	(1u << 2)
#define READ		(1u << 3)
#define WRITE		(1u << 4)
#define COPY		(1u << 5)
#define DOORBELL_ON	(1u << 6)
#define SUBRANGE_SET	(1u << 8)
#define STATUS		0x08
#define READ_OK		(1u << 0)
#define READ_FAIL	(1u << 1)
#define WRITE_OK	(1u << 2)
#define COPY_OK		(1u << 4)
#define IRQ_RAISED	(1u << 6)
#define DOORBELL_ON_FAIL (1u << 11)
#define SUBRANGE_SET_FAIL (1u << 15)
#define SOURCE		0x0c
#define TARGET		0x14
#define SIZE		0x1c
#define CHECKSUM	0x20
#define IRQ_TYPE	0x24
#define IRQ_NUMBER	0x28
#define CAPS		0x30

static const unsigned int sizes[] = { 1, 1024, 1025, 1024000, 1024001 };
#define SIZES (sizeof(sizes) / sizeof(sizes[0]))

/* Bit by bit, unlike the device's. */
static uint32_t crc32_le(uint32_t crc, const uint8_t *data, size_t length)
{
	unsigned int bit;

	for (; length; length--)
		for (crc ^= *data++, bit = 0; bit < 8; bit++)
			crc = crc & 1 ? crc >> 1 ^ 0xedb88320 : crc >> 1;
	return crc;
}

static void set_address(struct machine *machine, unsigned int reg, uint64_t offset)
{
	machine_set_reg(machine, reg, (uint32_t)(machine->iova + offset));
	machine_set_reg(machine, reg + 4, (uint32_t)((machine->iova + offset) >> 32));
}

/* Runs a command with vector 0 as its interrupt; returns the status. */
static uint32_t run(struct machine *machine, uint32_t command, uint32_t type)
{
	unsigned int count = atomic_load(&machine->interrupts[0]);

	machine_set_reg(machine, IRQ_TYPE, type);
	machine_set_reg(machine, IRQ_NUMBER, 1);
	machine_set_reg(machine, COMMAND, command);
	machine_await_interrupts(machine, 0, count + 1);
	assert_int_equal(machine_reg(machine, COMMAND), 0);
	return machine_reg(machine, STATUS);
}

static void fill(uint8_t *memory, size_t length)
{
	size_t i;

	for (i = 0; i < length; i++)
		memory[i] = (uint8_t)rand();
}

static void it_says_what_it_can_do(void **state)
{
	struct machine machine;

	machine_start(&machine, "endpoint", SIMMAC_IRQ_MSI);
	assert_int_equal(machine_reg(&machine, CAPS), 7);
	machine_stop(&machine);
}

static void it_reads(void **state)
{
	struct machine machine;
	unsigned int i;

	machine_start(&machine, "endpoint", SIMMAC_IRQ_MSI);
	for (i = 0; i < SIZES; i++) {
		fill(machine.memory + 3, sizes[i]);
		set_address(&machine, SOURCE, 3);
		machine_set_reg(&machine, SIZE, sizes[i]);
		machine_set_reg(&machine, CHECKSUM, crc32_le(~0u, machine.memory + 3, sizes[i]));
		assert_int_equal(run(&machine, READ, 1), READ_OK | IRQ_RAISED);
		machine.memory[3 + sizes[i] / 2] ^= 1;
		assert_int_equal(run(&machine, READ, 1), READ_FAIL | IRQ_RAISED);
	}
	machine_stop(&machine);
}

static void it_writes(void **state)
{
	struct machine machine;
	unsigned int i;

	machine_start(&machine, "endpoint", SIMMAC_IRQ_MSIX);
	for (i = 0; i < SIZES; i++) {
		uint8_t *at = machine.memory + 5;

		memset(machine.memory, 0x77, MACHINE_MEMORY);
		set_address(&machine, TARGET, 5);
		machine_set_reg(&machine, SIZE, sizes[i]);
		assert_int_equal(run(&machine, WRITE, 2), WRITE_OK | IRQ_RAISED);
		assert_int_equal(machine_reg(&machine, CHECKSUM), crc32_le(~0u, at, sizes[i]));
		assert_int_equal(at[-1], 0x77);
		assert_int_equal(at[sizes[i]], 0x77);
	}
	machine_stop(&machine);
}

static void it_copies(void **state)
{
	struct machine machine;
	unsigned int i;

	machine_start(&machine, "endpoint", SIMMAC_IRQ_MSIX);
	for (i = 0; i < SIZES; i++) {
		uint8_t *from = machine.memory + 7, *to = machine.memory + 2000001;

		fill(machine.memory, MACHINE_MEMORY);
		to[sizes[i]] = 0x77;
		set_address(&machine, SOURCE, 7);
		set_address(&machine, TARGET, 2000001);
		machine_set_reg(&machine, SIZE, sizes[i]);
		assert_int_equal(run(&machine, COPY, 2), COPY_OK | IRQ_RAISED);
		assert_memory_equal(to, from, sizes[i]);
		assert_int_equal(to[sizes[i]], 0x77);
	}
	machine_stop(&machine);
}

static void raise_each(struct machine *machine, uint32_t command, unsigned int vectors)
{
	unsigned int i, j;

	for (i = 0; i < vectors; i++) {
		machine_set_reg(machine, IRQ_NUMBER, i + 1);
		machine_set_reg(machine, COMMAND, command);
		machine_await_interrupts(machine, i, 1);
		assert_int_equal(machine_reg(machine, STATUS), IRQ_RAISED);
		for (j = i + 1; j < vectors; j++)
			assert_int_equal(atomic_load(&machine->interrupts[j]), 0);
	}
}

static void it_raises_each_msi(void **state)
{
	struct machine machine;

	machine_start(&machine, "endpoint", SIMMAC_IRQ_MSI);
	raise_each(&machine, RAISE_MSI, 32);
	machine_stop(&machine);
}

static void it_raises_each_msix_vector(void **state)
{
	struct machine machine;

	machine_start(&machine, "endpoint", SIMMAC_IRQ_MSIX);
	raise_each(&machine, RAISE_MSIX, 64);
	machine_stop(&machine);
}

static void it_has_no_intx(void **state)
{
	struct machine machine;
	unsigned int i, total = 0;

	machine_start(&machine, "endpoint", SIMMAC_IRQ_MSIX);
	machine_set_reg(&machine, IRQ_NUMBER, 1);
	machine_set_reg(&machine, COMMAND, RAISE_INTX);
	machine_await_reg(&machine, COMMAND, ~0u, 0);
	assert_int_equal(machine_reg(&machine, STATUS), 0);
	machine_stop(&machine);
	for (i = 0; i < MACHINE_VECTORS; i++)
		total += atomic_load(&machine.interrupts[i]);
	assert_int_equal(total, 0);
}

static void it_refuses_what_only_others_can(void **state)
{
	struct machine machine;

	machine_start(&machine, "endpoint", SIMMAC_IRQ_MSIX);
	assert_int_equal(run(&machine, DOORBELL_ON, 2), DOORBELL_ON_FAIL | IRQ_RAISED);
	assert_int_equal(run(&machine, SUBRANGE_SET, 2), SUBRANGE_SET_FAIL | IRQ_RAISED);
	machine_set_reg(&machine, COMMAND, 0xdeadbeef);
	machine_await_reg(&machine, COMMAND, ~0u, 0);
	assert_int_equal(machine_reg(&machine, STATUS), 0);
	machine_stop(&machine);
}

/* A Mac panics, whatever guest is to blame. */
static void read_nowhere(void *argument)
{
	struct machine machine;

	machine_start(&machine, "endpoint,name=ep7", SIMMAC_IRQ_MSIX);
	set_address(&machine, SOURCE, MACHINE_MEMORY - 512);
	machine_set_reg(&machine, SIZE, 1024);
	run(&machine, READ, 2);
}

static void dma_beyond_the_mapping_panics(void **state)
{
	assert_panic(read_nowhere, NULL, "D6", "ep7: DMA read of 1024 bytes");
}

static uint64_t moved(struct machine *machine)
{
	struct simmac_dart_stats stats = simmac_dart_stats(machine->device->dart);

	return stats.read_bytes + stats.written_bytes;
}

struct progress {
	struct machine *machine;
	uint64_t moved;
};

static bool has_moved(void *argument)
{
	struct progress *progress = argument;

	return moved(progress->machine) > progress->moved;
}

static bool goes_on(struct machine *machine)
{
	struct progress progress = { machine, moved(machine) + 65536 };

	return await(has_moved, &progress);
}

static void start_relentless(struct machine *machine, uint32_t command)
{
	machine_start(machine, "endpoint,relentless=on", SIMMAC_IRQ_MSIX);
	fill(machine->memory, 65536);
	set_address(machine, SOURCE, 0);
	set_address(machine, TARGET, 1 << 20);
	machine_set_reg(machine, SIZE, 65536);
	machine_set_reg(machine, CHECKSUM, crc32_le(~0u, machine->memory, 65536));
	run(machine, command, 2);
}

/* What has been there stays, so a driver that is done may look at it. */
static void a_relentless_one_goes_on(void **state)
{
	static const uint32_t commands[] = { READ, WRITE, COPY };
	struct machine machine;
	unsigned int i;

	for (i = 0; i < 3; i++) {
		start_relentless(&machine, commands[i]);
		assert_true(goes_on(&machine));
		/* Quiet, so that we may look: it has written the same again and again. */
		simmac_device_pause(machine.device);
		if (commands[i] == WRITE)
			assert_int_equal(machine_reg(&machine, CHECKSUM),
					 crc32_le(~0u, machine.memory + (1 << 20), 65536));
		simmac_device_resume(machine.device);
		/* It does other things as well. */
		machine_set_reg(&machine, SIZE, 1024);
		assert_true(run(&machine, WRITE, 2) & WRITE_OK);
		machine_stop(&machine);
	}
}

static void assert_stands_still(struct machine *machine)
{
	uint64_t before = moved(machine);

	usleep(20000);	/* for one too many */
	assert_int_equal(moved(machine), before);
}

static void a_relentless_one_ends_with_bus_mastering(void **state)
{
	struct machine machine;

	start_relentless(&machine, COPY);
	machine_master(&machine, false);
	machine_master(&machine, true);
	assert_stands_still(&machine);
	machine_stop(&machine);
}

static void a_relentless_one_ends_with_a_reset(void **state)
{
	struct machine machine;

	start_relentless(&machine, COPY);
	simmac_device_reset(machine.device, SIMMAC_RESET_FLR);
	machine_master(&machine, true);
	assert_stands_still(&machine);
	machine_stop(&machine);
}

static void unmap_under_relentless(void *argument)
{
	struct machine machine;

	start_relentless(&machine, READ);
	simmac_dart_unmap(machine.device->dart, machine.iova, MACHINE_MEMORY, false);
}

static void a_relentless_one_lets_nobody_unmap(void **state)
{
	assert_panic(unmap_under_relentless, NULL, "D8", "that the device is using");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_says_what_it_can_do),
		cmocka_unit_test(it_reads),
		cmocka_unit_test(it_writes),
		cmocka_unit_test(it_copies),
		cmocka_unit_test(it_raises_each_msi),
		cmocka_unit_test(it_raises_each_msix_vector),
		cmocka_unit_test(it_has_no_intx),
		cmocka_unit_test(it_refuses_what_only_others_can),
		cmocka_unit_test(dma_beyond_the_mapping_panics),
		cmocka_unit_test(a_relentless_one_goes_on),
		cmocka_unit_test(a_relentless_one_ends_with_bus_mastering),
		cmocka_unit_test(a_relentless_one_ends_with_a_reset),
		cmocka_unit_test(a_relentless_one_lets_nobody_unmap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
