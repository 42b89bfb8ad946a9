// SPDX-License-Identifier: BSD-3-Clause
/* What stops the simulated GPU's copy engine: commands, tables and registers that are wrong. */
#include "gpu_driver.h"

#include <endian.h>
#include <string.h>
#include <unistd.h>

#define VA		GPU_VA
#define SPEC		"gpu,card=rtx4090"
#define VIDEO_SIZE	(256 * MIB)

static void what_is_no_command_is_a_fault(void **state)
{
	static const struct gpu_command bad[] = {
		{ .target = VA, .source = VA, .length = 8, .flags = 0 },
		{ .target = VA, .source = VA, .length = 8, .flags = 4 },
		{ .target = VA, .source = VA, .length = 8, .flags = 0xff },
		{ .target = VA, .source = VA, .length = 8, .flags = GPU_OP_COPY | 0x100 },
		{ .target = VA, .source = VA, .length = 8, .flags = GPU_OP_FENCE | 1u << 30 },
		{ .target = VA, .source = VA, .length = 0, .flags = GPU_OP_COPY },
		{ .target = VA, .length = 0, .flags = GPU_OP_FILL | GPU_FLAG_INTERRUPT },
		{ .target = VA, .source = VA, .length = GPU_LENGTH_MAX + 1, .flags = GPU_OP_COPY },
		{ .target = VA, .length = UINT32_MAX, .flags = GPU_OP_FILL },
	};
	struct gpu_driver driver;
	unsigned int i;

	gpu_driver_start_mapped(&driver, SPEC);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		gpu_do(&driver, gpu_fill);
		gpu_expect_fault(&driver, bad[i], GPU_FAULT_ENTRY, 0);
		gpu_check_it_works(&driver);
	}
	gpu_driver_stop(&driver);
	assert_int_equal(atomic_load(&driver.machine.interrupts[0]), 0);
}

static void registers_that_make_no_sense_are_a_fault(void **state)
{
	static const struct { uint32_t entries; uint64_t ring, root; } bad[] = {
		{ 0, 0, 0 }, { 1, 0, 0 }, { 3, 0, 0 }, { 131072, 0, 0 }, { UINT32_MAX, 0, 0 },
		{ 1u << 31, 0, 0 }, { 16, 16, 0 }, { 16, 1, 0 }, { 16, 0, 2048 }, { 16, 0, 1 },
		{ 16, -UINT64_C(32), 0 }, { 65536, -UINT64_C(65536) * 32, 0 },
	};
	struct gpu_driver driver;
	struct machine *machine = &driver.machine;
	unsigned int i;

	gpu_driver_start_mapped(&driver, SPEC);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		gpu_engine_stop(&driver);
		machine_set_reg(machine, GPU_RING_ENTRIES, bad[i].entries);
		gpu_set_reg64(&driver, GPU_RING, bad[i].ring);
		gpu_set_reg64(&driver, GPU_PAGE_TABLE, bad[i].root);
		machine_set_reg(machine, GPU_ENABLE, GPU_ENABLE_MAGIC);
		machine_await_reg(machine, GPU_FAULT, ~0u, GPU_FAULT_ENTRY);
		assert_int_equal(machine_reg(machine, GPU_STATUS), 0);
		gpu_check_it_works(&driver);
	}
	gpu_driver_stop(&driver);
}

static void put_beyond_the_ring_is_a_fault(void **state)
{
	static const uint32_t bad[] = { GPU_ENTRIES, GPU_ENTRIES + 1, 65536, UINT32_MAX };
	struct gpu_driver driver;
	unsigned int i;

	gpu_driver_start_mapped(&driver, SPEC);
	for (i = 0; i < 4; i++) {
		uint32_t get = driver.put;

		*gpu_at(&driver, driver.aligned) = 0;
		gpu_push(&driver, gpu_fill);
		machine_set_reg(&driver.machine, GPU_PUT, bad[i]);
		machine_await_reg(&driver.machine, GPU_FAULT, ~0u, GPU_FAULT_ENTRY);
		assert_int_equal(machine_reg(&driver.machine, GPU_GET), get);
		assert_int_equal(*gpu_at(&driver, driver.aligned), 0);
		gpu_check_it_works(&driver);
	}
	gpu_driver_stop(&driver);
}

static void expect_page_fault(struct gpu_driver *driver, uint64_t va)
{
	struct gpu_command command = gpu_fill;

	command.target = va;
	gpu_expect_fault(driver, command, GPU_FAULT_PAGE, va);
	gpu_engine_start(driver);
	command = (struct gpu_command){ .source = va, .target = VA, .length = 8,
					.flags = GPU_OP_COPY };
	gpu_expect_fault(driver, command, GPU_FAULT_PAGE, va);
	gpu_engine_start(driver);
}

static void addresses_with_no_entry_are_a_fault(void **state)
{
	struct gpu_driver driver;
	uint64_t *entry;

	gpu_driver_start_mapped(&driver, SPEC);
	gpu_map(&driver, VA + 8 * MIB, driver.aligned, 4 * KIB, SMALL, 0);
	gpu_map(&driver, VA + 10 * MIB, driver.aligned, 64 * KIB, BIG, 0);
	expect_page_fault(&driver, 0);
	expect_page_fault(&driver, VA - 1);
	expect_page_fault(&driver, VA + 8 * MIB + 4 * KIB);
	expect_page_fault(&driver, VA + 10 * MIB + 64 * KIB);
	expect_page_fault(&driver, VA + 12 * MIB);
	/* Higher ones than there are do not turn into lower ones. */
	expect_page_fault(&driver, UINT64_C(1) << GPU_VA_BITS | VA);
	expect_page_fault(&driver, UINT64_C(1) << 63 | VA);
	expect_page_fault(&driver, UINT64_MAX);
	/* All but the bit that makes it valid. */
	entry = gpu_pte(&driver, VA + 8 * MIB, 2);
	*entry &= ~htole64(GPU_PTE_VALID);
	expect_page_fault(&driver, VA + 8 * MIB);
	entry = gpu_pte(&driver, VA + 10 * MIB, 1);
	*entry &= ~htole64(GPU_PTE_VALID);
	expect_page_fault(&driver, VA + 10 * MIB);
	gpu_check_it_works(&driver);
	gpu_driver_stop(&driver);
}

/* Not a table where one must be: nothing is read through it. */
static void entries_that_mean_nothing_are_a_fault(void **state)
{
	static const uint64_t root[] = { GPU_PTE_PAGE, GPU_PTE_VIDEO };
	static const uint64_t directory[] = { GPU_PTE_PAGE | GPU_PTE_BIG, GPU_PTE_VIDEO,
					      GPU_PTE_VIDEO | GPU_PTE_BIG };
	struct gpu_driver driver;
	unsigned int i;
	uint64_t old;

	gpu_driver_start_mapped(&driver, SPEC);
	gpu_map(&driver, VA + 8 * MIB, driver.aligned, 4 * KIB, SMALL, 0);
	for (i = 0; i < 3; i++) {
		old = *gpu_pte(&driver, VA + 8 * MIB, 1);
		*gpu_pte(&driver, VA + 8 * MIB, 1) |= htole64(directory[i]);
		expect_page_fault(&driver, VA + 8 * MIB);
		*gpu_pte(&driver, VA + 8 * MIB, 1) = old;
	}
	for (i = 0; i < 2; i++) {
		uint64_t *entry = gpu_pte(&driver, VA + (UINT64_C(1) << 30), 0);

		*entry = *gpu_pte(&driver, VA, 0) | htole64(root[i]);
		expect_page_fault(&driver, VA + (UINT64_C(1) << 30));
	}
	gpu_check_it_works(&driver);
	gpu_driver_stop(&driver);
}

/* What lies before the fault is done, and its address is that of the first byte that is not. */
static void a_fault_tells_where(void **state)
{
	struct gpu_driver driver;
	struct gpu_command command = { .length = 100 * KIB, .payload = 0x33,
				       .flags = GPU_OP_FILL, .target = VA + 16 * MIB };

	gpu_driver_start_mapped(&driver, SPEC);
	gpu_map(&driver, VA + 16 * MIB, driver.aligned, 64 * KIB, BIG, 0);
	gpu_expect_fault(&driver, command, GPU_FAULT_PAGE, VA + 16 * MIB + 64 * KIB);
	assert_int_equal(*gpu_at(&driver, driver.aligned + 64 * KIB - 1), 0x33);
	assert_int_equal(*gpu_at(&driver, driver.aligned + 64 * KIB), 0);
	gpu_driver_stop(&driver);
}

static void video_memory_has_an_end(void **state)
{
	static const uint64_t beyond[] = { VIDEO_SIZE, VIDEO_SIZE + 2 * MIB, 1ull << 40,
					   GPU_PTE_ADDRESS & ~(2 * MIB - 1) };
	struct gpu_command command = gpu_fill;
	struct gpu_driver driver;
	unsigned int i;

	gpu_driver_start_mapped(&driver, SPEC);
	gpu_map(&driver, VA + 16 * MIB, VIDEO_SIZE - 2 * MIB, 4 * MIB, LARGE, GPU_PTE_VIDEO);
	command.target = VA + 18 * MIB - 50;
	gpu_expect_fault(&driver, command, GPU_FAULT_VIDEO, VA + 18 * MIB);
	assert_int_equal(driver.machine.device->bar[1].memory[VIDEO_SIZE - 1], 0x77);
	for (i = 0; i < 4; i++) {
		gpu_engine_start(&driver);
		gpu_map(&driver, VA + 20 * MIB, beyond[i], 2 * MIB, LARGE, GPU_PTE_VIDEO);
		command = (struct gpu_command){ .source = VA + 20 * MIB, .target = VA, .length = 1,
						.flags = GPU_OP_COPY };
		gpu_expect_fault(&driver, command, GPU_FAULT_VIDEO, VA + 20 * MIB);
	}
	gpu_driver_stop(&driver);
}

/* A page that is larger than all of the video memory. */
static void a_page_may_reach_beyond_the_end(void **state)
{
	struct gpu_command command = gpu_fill;
	struct gpu_driver driver;

	gpu_driver_start(&driver, "gpu,card=rtx4090,bar1=64K");
	gpu_map(&driver, VA, 0, 2 * MIB, LARGE, GPU_PTE_VIDEO);
	command.target = VA + 64 * KIB - 100;
	gpu_do(&driver, command);
	command.target++;
	gpu_expect_fault(&driver, command, GPU_FAULT_VIDEO, VA + 64 * KIB);
	gpu_driver_stop(&driver);
}

static void at_a_fault_it_touches_no_more(void **state)
{
	struct gpu_driver driver;

	gpu_driver_start_mapped(&driver, SPEC);
	gpu_push(&driver, (struct gpu_command){ .flags = 0 });
	gpu_push(&driver, gpu_fill);
	gpu_ring(&driver);
	machine_await_reg(&driver.machine, GPU_FAULT, ~0u, GPU_FAULT_ENTRY);
	usleep(2000);
	assert_int_equal(machine_reg(&driver.machine, GPU_GET), 0);
	assert_int_equal(*gpu_at(&driver, driver.aligned), 0);
	gpu_driver_stop(&driver);
}

static void without_the_bus_it_does_not_start(void **state)
{
	struct gpu_driver driver;

	gpu_driver_start_mapped(&driver, SPEC);
	gpu_engine_stop(&driver);
	machine_master(&driver.machine, false);
	gpu_push(&driver, gpu_fill);
	gpu_ring(&driver);
	machine_set_reg(&driver.machine, GPU_ENABLE, GPU_ENABLE_MAGIC);
	machine_await_reg(&driver.machine, GPU_FAULT, ~0u, GPU_FAULT_MASTER);
	assert_int_equal(simmac_dart_stats(driver.machine.device->dart).written_bytes, 0);
	machine_master(&driver.machine, true);
	gpu_check_it_works(&driver);
	gpu_driver_stop(&driver);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_no_command_is_a_fault),
		cmocka_unit_test(registers_that_make_no_sense_are_a_fault),
		cmocka_unit_test(put_beyond_the_ring_is_a_fault),
		cmocka_unit_test(addresses_with_no_entry_are_a_fault),
		cmocka_unit_test(entries_that_mean_nothing_are_a_fault),
		cmocka_unit_test(a_fault_tells_where),
		cmocka_unit_test(video_memory_has_an_end),
		cmocka_unit_test(a_page_may_reach_beyond_the_end),
		cmocka_unit_test(at_a_fault_it_touches_no_more),
		cmocka_unit_test(without_the_bus_it_does_not_start),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
