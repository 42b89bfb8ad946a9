// SPDX-License-Identifier: BSD-3-Clause
#include "gpu_driver.h"

#include <endian.h>
#include <string.h>
#include <unistd.h>

uint64_t gpu_reg64(struct gpu_driver *driver, unsigned int offset)
{
	return machine_reg(&driver->machine, offset) |
	       (uint64_t)machine_reg(&driver->machine, offset + 4) << 32;
}

void gpu_set_reg64(struct gpu_driver *driver, unsigned int offset, uint64_t value)
{
	machine_set_reg(&driver->machine, offset, (uint32_t)value);
	machine_set_reg(&driver->machine, offset + 4, (uint32_t)(value >> 32));
}

void gpu_engine_start(struct gpu_driver *driver)
{
	struct machine *machine = &driver->machine;

	driver->put = 0;
	machine_set_reg(machine, GPU_RING_ENTRIES, GPU_ENTRIES);
	gpu_set_reg64(driver, GPU_RING, machine->iova + GPU_RING_AT);
	gpu_set_reg64(driver, GPU_PAGE_TABLE, driver->root);
	machine_set_reg(machine, GPU_PUT, 0);
	machine_set_reg(machine, GPU_ENABLE, GPU_ENABLE_MAGIC);
	machine_await_reg(machine, GPU_STATUS, ~0u, 1);
}

void gpu_engine_stop(struct gpu_driver *driver)
{
	machine_set_reg(&driver->machine, GPU_ENABLE, 0);
	machine_await_reg(&driver->machine, GPU_STATUS, ~0u, 0);
}

void gpu_driver_start(struct gpu_driver *driver, const char *spec)
{
	memset(driver, 0, sizeof(*driver));
	machine_start(&driver->machine, spec, SIMMAC_IRQ_MSIX);
	driver->data = memory_new(GPU_DATA);
	assert_int_equal(simmac_dart_map(driver->machine.device->dart, getpid(),
					 (uintptr_t)driver->data, GPU_DATA, &driver->data_bus), 0);
	driver->aligned = (driver->data_bus + 2 * MIB - 1) & ~(2 * MIB - 1);
	assert_true(driver->aligned != driver->data_bus);
	driver->root = driver->machine.iova + GPU_ROOT_AT;
	driver->tables = GPU_TABLES_AT;
	gpu_engine_start(driver);
}

void gpu_driver_stop(struct gpu_driver *driver)
{
	machine_master(&driver->machine, false);
	assert_int_equal(simmac_dart_unmap(driver->machine.device->dart, driver->data_bus,
					   GPU_DATA, true), 0);
	memory_free(driver->data, GPU_DATA);
	machine_stop(&driver->machine);
}

uint8_t *gpu_at(struct gpu_driver *driver, uint64_t bus)
{
	assert_true(bus >= driver->data_bus && bus - driver->data_bus < GPU_DATA);
	return driver->data + (bus - driver->data_bus);
}

static uint64_t *table_at(struct gpu_driver *driver, uint64_t bus)
{
	return (uint64_t *)(void *)(driver->machine.memory + (bus - driver->machine.iova));
}

/* The table that an entry points to, a new one if it is empty. */
static uint64_t *table_of(struct gpu_driver *driver, uint64_t *entry, uint64_t flags)
{
	if (!*entry) {
		assert_true(driver->tables < MACHINE_MEMORY);
		*entry = htole64((driver->machine.iova + driver->tables) | GPU_PTE_VALID | flags);
		driver->tables += 4 * KIB;
	}
	return table_at(driver, le64toh(*entry) & GPU_PTE_ADDRESS);
}

uint64_t *gpu_pte(struct gpu_driver *driver, uint64_t va, unsigned int level)
{
	uint64_t *entry = &table_at(driver, driver->root)[va >> GPU_ROOT_SHIFT];
	unsigned int shift;

	if (level >= 1)
		entry = &table_of(driver, entry, 0)[va >> GPU_DIRECTORY_SHIFT & 511];
	if (level == 2) {
		shift = le64toh(*entry) & GPU_PTE_BIG ? GPU_BIG_SHIFT : GPU_SMALL_SHIFT;
		entry = &table_of(driver, entry, 0)[(va & (2 * MIB - 1)) >> shift];
	}
	return entry;
}

void gpu_map(struct gpu_driver *driver, uint64_t va, uint64_t address, uint64_t length,
	     enum gpu_page_size size, uint64_t flags)
{
	uint64_t page = UINT64_C(1) << size, entry = address | GPU_PTE_VALID | flags, *directory;

	for (; length; length -= page, va += page, entry += page) {
		directory = gpu_pte(driver, va, 1);
		if (size == LARGE) {
			*directory = htole64(entry | GPU_PTE_PAGE);
			continue;
		}
		table_of(driver, directory, size == BIG ? GPU_PTE_BIG : 0);
		*gpu_pte(driver, va, 2) = htole64(entry);
	}
}

static void put64(uint8_t *at, uint64_t value)
{
	value = htole64(value);
	memcpy(at, &value, sizeof(value));
}

static void put32(uint8_t *at, uint32_t value)
{
	value = htole32(value);
	memcpy(at, &value, sizeof(value));
}

void gpu_push(struct gpu_driver *driver, struct gpu_command command)
{
	uint8_t *entry = driver->machine.memory + GPU_RING_AT + driver->put * GPU_ENTRY_SIZE;

	put64(entry + GPU_ENTRY_SOURCE, command.source);
	put64(entry + GPU_ENTRY_TARGET, command.target);
	put32(entry + GPU_ENTRY_LENGTH, command.length);
	put32(entry + GPU_ENTRY_FLAGS, command.flags);
	put64(entry + GPU_ENTRY_PAYLOAD, command.payload);
	driver->put = (driver->put + 1) % GPU_ENTRIES;
}

void gpu_ring(struct gpu_driver *driver)
{
	machine_set_reg(&driver->machine, GPU_PUT, driver->put);
}

static bool is_done(void *argument)
{
	struct gpu_driver *driver = argument;

	return machine_reg(&driver->machine, GPU_GET) == driver->put ||
	       machine_reg(&driver->machine, GPU_FAULT);
}

void gpu_wait(struct gpu_driver *driver)
{
	bool done = await(is_done, driver);
	uint32_t fault = machine_reg(&driver->machine, GPU_FAULT);

	if (!done || fault)
		fail_msg("GET %u, PUT %u, fault %u at 0x%llx",
			 machine_reg(&driver->machine, GPU_GET), driver->put, fault,
			 (unsigned long long)gpu_reg64(driver, GPU_FAULT_ADDRESS));
}

void gpu_do(struct gpu_driver *driver, struct gpu_command command)
{
	gpu_push(driver, command);
	gpu_ring(driver);
	gpu_wait(driver);
}

void gpu_copy(struct gpu_driver *driver, uint64_t target, uint64_t source, uint32_t length)
{
	gpu_do(driver, (struct gpu_command){ .source = source, .target = target, .length = length,
					     .flags = GPU_OP_COPY });
}

void gpu_expect_fault(struct gpu_driver *driver, struct gpu_command command, uint32_t fault,
		      uint64_t address)
{
	uint32_t get = driver->put;

	gpu_push(driver, command);
	gpu_ring(driver);
	machine_await_reg(&driver->machine, GPU_FAULT, ~0u, fault);
	assert_int_equal(gpu_reg64(driver, GPU_FAULT_ADDRESS), address);
	assert_int_equal(machine_reg(&driver->machine, GPU_GET), get);
	assert_int_equal(machine_reg(&driver->machine, GPU_STATUS), 0);
	assert_int_equal(machine_reg(&driver->machine, GPU_ENABLE), 0);
}

void gpu_driver_start_mapped(struct gpu_driver *driver, const char *spec)
{
	gpu_driver_start(driver, spec);
	gpu_map(driver, GPU_VA, driver->aligned, 8 * MIB, LARGE, 0);
}

const struct gpu_command gpu_fill = {
	.target = GPU_VA, .length = 100, .payload = 0x77, .flags = GPU_OP_FILL
};

void gpu_check_it_works(struct gpu_driver *driver)
{
	gpu_engine_start(driver);
	assert_int_equal(machine_reg(&driver->machine, GPU_FAULT), 0);
	assert_int_equal(gpu_reg64(driver, GPU_FAULT_ADDRESS), 0);
	*gpu_at(driver, driver->aligned + 99) = 0;
	gpu_do(driver, gpu_fill);
	assert_int_equal(*gpu_at(driver, driver->aligned + 99), 0x77);
}

void gpu_pattern(uint8_t *memory, size_t length, uint32_t seed)
{
	uint32_t state = seed * 2654435761u + 1;
	size_t i;

	for (i = 0; i < length; i++) {
		state = state * 1664525u + 1013904223u;
		memory[i] = (uint8_t)(state >> 24);
	}
}
