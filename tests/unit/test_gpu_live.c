// SPDX-License-Identifier: BSD-3-Clause
/* The simulated GPU's copy engine in the middle of its work: what ends it, and what it uses. */
#include "gpu_driver.h"

#include <endian.h>
#include <unistd.h>

#define VA		GPU_VA
#define SPEC		"gpu,card=rtx4090"
#define LONG_COPY	GPU_LENGTH_MAX
#define LONG_COPIES	(GPU_ENTRIES - 1)	/* long enough for a busy machine */

static uint64_t written(struct gpu_driver *driver)
{
	return simmac_dart_stats(driver->machine.device->dart).written_bytes;
}

static bool has_begun(void *argument)
{
	return written(argument) > 0;
}

/* A ring full of copies of 64 MiB, of which something was written when this returns. */
static void begin_long_copy_on(struct gpu_driver *driver, const char *spec)
{
	uint64_t va;
	unsigned int i;

	gpu_driver_start_mapped(driver, spec);
	for (va = VA + 64 * MIB; va < VA + 64 * MIB + LONG_COPY; va += 2 * MIB)
		gpu_map(driver, va, driver->aligned, 2 * MIB, LARGE, 0);
	for (va = VA + 128 * MIB; va < VA + 128 * MIB + LONG_COPY; va += 2 * MIB)
		gpu_map(driver, va, driver->aligned + 4 * MIB, 2 * MIB, LARGE, 0);
	for (i = 0; i < LONG_COPIES; i++)
		gpu_push(driver, (struct gpu_command){ .source = VA + 64 * MIB,
						       .target = VA + 128 * MIB,
						       .length = LONG_COPY,
						       .flags = GPU_OP_COPY });
	gpu_ring(driver);
	assert_true(await(has_begun, driver));
}

static void begin_long_copy(struct gpu_driver *driver)
{
	begin_long_copy_on(driver, SPEC);
}

static void expect_no_more(struct gpu_driver *driver)
{
	uint64_t moved = written(driver);

	assert_true(moved < (uint64_t)LONG_COPIES * LONG_COPY);
	usleep(3000);
	assert_int_equal(written(driver), moved);
}

static void losing_the_bus_is_a_fault(void **state)
{
	struct gpu_driver driver;

	begin_long_copy(&driver);
	machine_master(&driver.machine, false);
	expect_no_more(&driver);
	machine_await_reg(&driver.machine, GPU_FAULT, ~0u, GPU_FAULT_MASTER);
	assert_true(machine_reg(&driver.machine, GPU_GET) < LONG_COPIES);
	assert_int_equal(machine_reg(&driver.machine, GPU_STATUS), 0);
	machine_master(&driver.machine, true);
	expect_no_more(&driver);
	gpu_check_it_works(&driver);
	gpu_driver_stop(&driver);
}

static void a_reset_ends_a_transfer(void **state)
{
	static const enum simmac_reset kinds[] = { SIMMAC_RESET_FLR, SIMMAC_RESET_HOT };
	struct gpu_driver driver;
	unsigned int i;

	for (i = 0; i < 2; i++) {
		begin_long_copy(&driver);
		simmac_device_reset(driver.machine.device, kinds[i]);
		expect_no_more(&driver);
		assert_int_equal(machine_reg(&driver.machine, GPU_STATUS), 0);
		assert_int_equal(machine_reg(&driver.machine, GPU_ENABLE), 0);
		assert_int_equal(machine_reg(&driver.machine, GPU_PUT), 0);
		assert_int_equal(machine_reg(&driver.machine, GPU_BOOT_0), 0x192000a1);
		machine_master(&driver.machine, true);
		expect_no_more(&driver);
		gpu_check_it_works(&driver);
		gpu_driver_stop(&driver);
	}
}

/* Not even where its registers say afterwards that it runs. */
static void a_reset_ends_a_transfer_for_good(void **state)
{
	struct gpu_driver driver;

	begin_long_copy_on(&driver, SPEC ",poke=0xff0000:1+0xff0018:5");
	assert_int_equal(GPU_ENABLE, 0xff0000);
	assert_int_equal(GPU_PUT, 0xff0018);
	simmac_device_reset(driver.machine.device, SIMMAC_RESET_HOT);
	machine_master(&driver.machine, true);
	expect_no_more(&driver);
	assert_int_equal(machine_reg(&driver.machine, GPU_ENABLE), GPU_ENABLE_STARTED);
	assert_int_equal(machine_reg(&driver.machine, GPU_STATUS), 0);
	gpu_check_it_works(&driver);
	gpu_driver_stop(&driver);
}

static void the_driver_can_stop_a_transfer(void **state)
{
	struct gpu_driver driver;

	begin_long_copy(&driver);
	gpu_engine_stop(&driver);
	expect_no_more(&driver);
	assert_int_equal(machine_reg(&driver.machine, GPU_FAULT), 0);
	gpu_check_it_works(&driver);
	gpu_driver_stop(&driver);
}

/* Faster than it can look: what counts is the last word. */
static void a_start_is_not_overlooked(void **state)
{
	struct gpu_driver driver;
	unsigned int i;

	gpu_driver_start_mapped(&driver, SPEC);
	for (i = 0; i < 100; i++) {
		machine_set_reg(&driver.machine, GPU_ENABLE, 0);
		gpu_engine_start(&driver);
		machine_await_reg(&driver.machine, GPU_ENABLE, ~0u, GPU_ENABLE_STARTED);
		gpu_do(&driver, gpu_fill);
		gpu_do(&driver, gpu_fill);
		assert_int_equal(machine_reg(&driver.machine, GPU_GET), 2);
	}
	gpu_driver_stop(&driver);
}

static bool is_live(struct gpu_driver *driver, uint64_t bus, uint64_t length)
{
	struct simmac_device *device = driver->machine.device;

	return device->model->dma_live(device, bus, length);
}

static void an_idle_engine_uses_its_ring_and_its_root(void **state)
{
	struct gpu_driver driver;
	uint64_t ring, end;

	gpu_driver_start_mapped(&driver, SPEC);
	gpu_do(&driver, gpu_fill);
	ring = driver.machine.iova + GPU_RING_AT;
	end = ring + GPU_ENTRIES * GPU_ENTRY_SIZE;
	simmac_device_pause(driver.machine.device);
	assert_true(is_live(&driver, ring, 1));
	assert_true(is_live(&driver, end - 1, 100));
	assert_false(is_live(&driver, end, GPU_ROOT_AT - GPU_ENTRIES * GPU_ENTRY_SIZE));
	assert_true(is_live(&driver, driver.root, 8));
	assert_true(is_live(&driver, driver.root + 4095, 1));
	assert_false(is_live(&driver, driver.root + 4096, MIB));
	assert_false(is_live(&driver, driver.data_bus, GPU_DATA));
	assert_false(is_live(&driver, ring, 0));
	/* The word alone does not stop it. */
	machine_set_reg(&driver.machine, GPU_ENABLE, 0);
	assert_true(is_live(&driver, ring, 1));
	simmac_device_resume(driver.machine.device);
	machine_await_reg(&driver.machine, GPU_STATUS, ~0u, 0);
	simmac_device_pause(driver.machine.device);
	assert_false(is_live(&driver, ring, MACHINE_MEMORY));
	simmac_device_resume(driver.machine.device);
	gpu_driver_stop(&driver);
}

/* Between two copies no pages are in use: not then. */
static void pause_in_copy(struct gpu_driver *driver)
{
	simmac_device_pause(driver->machine.device);
	while (written(driver) % LONG_COPY == 0) {
		assert_true(machine_reg(&driver->machine, GPU_GET) < LONG_COPIES);
		simmac_device_resume(driver->machine.device);
		usleep(100);
		simmac_device_pause(driver->machine.device);
	}
}

static void a_transfer_uses_its_pages_and_their_tables(void **state)
{
	struct gpu_driver driver;
	uint64_t directory;

	begin_long_copy(&driver);
	directory = le64toh(*gpu_pte(&driver, VA, 0)) & GPU_PTE_ADDRESS;
	pause_in_copy(&driver);
	assert_true(is_live(&driver, driver.aligned, 2 * MIB));
	assert_true(is_live(&driver, driver.aligned + 2 * MIB - 1, 1));
	assert_true(is_live(&driver, driver.aligned + 6 * MIB - 1, 1));
	assert_true(is_live(&driver, driver.data_bus, GPU_DATA));
	assert_true(is_live(&driver, directory + 8, 1));
	assert_false(is_live(&driver, directory + 4096, 4096));
	assert_false(is_live(&driver, driver.aligned + 2 * MIB, 2 * MIB));
	assert_false(is_live(&driver, driver.aligned + 6 * MIB, 2 * MIB));
	assert_false(is_live(&driver, driver.data_bus, driver.aligned - driver.data_bus));
	simmac_device_resume(driver.machine.device);
	gpu_engine_stop(&driver);
	simmac_device_pause(driver.machine.device);
	assert_false(is_live(&driver, driver.data_bus, GPU_DATA));
	simmac_device_resume(driver.machine.device);
	gpu_driver_stop(&driver);
}

/* With the device held still but for one turn. */
static void all_pages_of_a_transfer_are_in_use_until_they_are_done(void **state)
{
	const uint64_t source = VA + 64 * MIB - 2 * MIB, length = 5 * MIB;
	struct gpu_driver driver;
	uint64_t bus, at;

	gpu_driver_start_mapped(&driver, SPEC);
	bus = driver.aligned;
	/* Through three tables: pages of 4 KiB, of 64 KiB, of 2 MiB. */
	gpu_map(&driver, source, bus, 2 * MIB, SMALL, 0);
	gpu_map(&driver, source + 2 * MIB, bus + 4 * MIB, 2 * MIB, BIG, 0);
	gpu_map(&driver, source + 4 * MIB, bus + 6 * MIB, 2 * MIB, LARGE, 0);
	gpu_map(&driver, VA + 128 * MIB, 0, 8 * MIB, LARGE, GPU_PTE_VIDEO);
	simmac_device_pause(driver.machine.device);
	gpu_push(&driver, (struct gpu_command){ .source = source, .target = VA + 128 * MIB,
						.length = (uint32_t)length,
						.flags = GPU_OP_COPY });
	gpu_ring(&driver);
	assert_true(driver.machine.device->model->run(driver.machine.device));
	assert_false(is_live(&driver, bus, 4 * KIB));
	for (at = 4 * KIB; at < 2 * MIB; at += 4 * KIB)
		assert_true(is_live(&driver, bus + at, 1));
	assert_false(is_live(&driver, bus + 2 * MIB, 2 * MIB));
	for (at = 4 * MIB; at < 6 * MIB; at += 64 * KIB)
		assert_true(is_live(&driver, bus + at + 64 * KIB - 1, 1));
	assert_true(is_live(&driver, bus + 7 * MIB - 1, 1));
	assert_false(is_live(&driver, bus + 7 * MIB, MIB));
	simmac_device_resume(driver.machine.device);
	gpu_wait(&driver);
	simmac_device_pause(driver.machine.device);
	assert_false(is_live(&driver, driver.data_bus, GPU_DATA));
	simmac_device_resume(driver.machine.device);
	gpu_driver_stop(&driver);
}

static void unmap_ring(void *argument)
{
	struct gpu_driver driver;

	gpu_driver_start_mapped(&driver, SPEC);
	simmac_dart_unmap(driver.machine.device->dart, driver.machine.iova, MACHINE_MEMORY, false);
}

static void unmap_under_copy(void *argument)
{
	struct gpu_driver driver;

	begin_long_copy(&driver);
	simmac_dart_unmap(driver.machine.device->dart, driver.data_bus, GPU_DATA, false);
}

static void copy_from_nowhere(void *argument)
{
	struct gpu_driver driver;

	gpu_driver_start(&driver, "gpu,card=h100,name=hopper");
	gpu_map(&driver, VA, driver.data_bus + GPU_DATA - 2 * KIB, 4 * KIB, SMALL, 0);
	gpu_map(&driver, VA + 4 * KIB, 64 * KIB, 4 * KIB, SMALL, 0);
	gpu_copy(&driver, VA, VA + 4 * KIB, 4 * KIB);
}

static void table_nowhere(void *argument)
{
	struct gpu_driver driver;

	gpu_driver_start(&driver, "gpu,card=h100,name=hopper");
	*gpu_pte(&driver, VA, 0) = htole64(0x4000 | GPU_PTE_VALID);
	gpu_do(&driver, gpu_fill);
}

static void ring_nowhere(void *argument)
{
	struct gpu_driver driver;

	gpu_driver_start(&driver, "gpu,card=h100,name=hopper");
	gpu_engine_stop(&driver);
	gpu_set_reg64(&driver, GPU_RING, 0x20000);
	machine_set_reg(&driver.machine, GPU_PUT, 1);
	machine_set_reg(&driver.machine, GPU_ENABLE, GPU_ENABLE_MAGIC);
	machine_await_reg(&driver.machine, GPU_GET, ~0u, 1);
}

static void a_mac_panics_as_for_any_device(void **state)
{
	assert_panic(unmap_ring, NULL, "D8", "that the device is using");
	assert_panic(unmap_under_copy, NULL, "D8", "that the device is using");
	assert_panic(copy_from_nowhere, NULL, "D6", "hopper: DMA read of 4096 bytes at 0x10000");
	assert_panic(table_nowhere, NULL, "D6", "hopper: DMA read of 8 bytes at 0x4000");
	assert_panic(ring_nowhere, NULL, "D6", "hopper: DMA read of 32 bytes at 0x20000");
}

static void what_is_done_may_be_unmapped(void **state)
{
	struct gpu_driver driver;
	struct simmac_dart *dart;

	gpu_driver_start_mapped(&driver, SPEC);
	dart = driver.machine.device->dart;
	gpu_do(&driver, gpu_fill);
	assert_int_equal(simmac_dart_unmap(dart, driver.data_bus, GPU_DATA, false), 0);
	gpu_engine_stop(&driver);
	assert_int_equal(simmac_dart_unmap(dart, driver.machine.iova, MACHINE_MEMORY, false), 0);
	usleep(2000);
	simmac_device_free(driver.machine.device);
	memory_free(driver.data, GPU_DATA);
	memory_free(driver.machine.memory, MACHINE_MEMORY);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(losing_the_bus_is_a_fault),
		cmocka_unit_test(a_reset_ends_a_transfer),
		cmocka_unit_test(a_reset_ends_a_transfer_for_good),
		cmocka_unit_test(the_driver_can_stop_a_transfer),
		cmocka_unit_test(a_start_is_not_overlooked),
		cmocka_unit_test(an_idle_engine_uses_its_ring_and_its_root),
		cmocka_unit_test(a_transfer_uses_its_pages_and_their_tables),
		cmocka_unit_test(all_pages_of_a_transfer_are_in_use_until_they_are_done),
		cmocka_unit_test(a_mac_panics_as_for_any_device),
		cmocka_unit_test(what_is_done_may_be_unmapped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
