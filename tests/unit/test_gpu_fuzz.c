// SPDX-License-Identifier: BSD-3-Clause
/*
 * A hostile driver: whatever it writes into ring, tables and registers, the
 * simulator lives, and writes nothing but what the tables map. These map no more
 * than 8 MiB of the data, for else a Mac would panic, and be right.
 */
#include "gpu_driver.h"
#include "model.h"

#include <endian.h>
#include <string.h>
#include <unistd.h>

#define SPEC			"gpu,card=rtx4090"
#define FUZZ_ROUNDS		400
#define FUZZ_DIRECTORIES	4u
#define FUZZ_TABLES		12u
#define FUZZ_RING_AT		(2 * MIB)
#define FUZZ_COMMANDS		64u

struct fuzz {
	struct gpu_driver driver;
	struct model_random random;
};

static uint64_t below(struct fuzz *fuzz, uint64_t limit)
{
	return model_random_below(&fuzz->random, limit);
}

/* One chance in so many. */
static bool chance(struct fuzz *fuzz, uint64_t in)
{
	return below(fuzz, in) == 0;
}

/* Bits that have no meaning. */
static uint64_t noise(struct fuzz *fuzz)
{
	return (model_random_next(&fuzz->random) & 0xff) << 4 |
	       model_random_next(&fuzz->random) << 52;
}

static uint64_t garbage(struct fuzz *fuzz, uint64_t set, uint64_t clear)
{
	return (model_random_next(&fuzz->random) & ~clear) | set;
}

static uint64_t fuzz_table(struct fuzz *fuzz, uint64_t first, uint64_t count)
{
	return fuzz->driver.machine.iova + GPU_TABLES_AT + (first + below(fuzz, count)) * 4 * KIB;
}

static uint64_t fuzz_page(struct fuzz *fuzz)
{
	if (chance(fuzz, 3))
		return (model_random_next(&fuzz->random) >> below(fuzz, 64) & GPU_PTE_ADDRESS) |
		       GPU_PTE_VIDEO;
	return fuzz->driver.aligned + below(fuzz, 2048) * 4 * KIB;
}

static uint64_t root_entry(struct fuzz *fuzz)
{
	if (chance(fuzz, 6))
		return garbage(fuzz, 0, GPU_PTE_VALID);
	if (chance(fuzz, 6))
		return garbage(fuzz, GPU_PTE_VALID | (chance(fuzz, 2) ? GPU_PTE_PAGE :
							  GPU_PTE_VIDEO), 0);
	return fuzz_table(fuzz, 0, FUZZ_DIRECTORIES) | GPU_PTE_VALID | noise(fuzz);
}

static uint64_t directory_entry(struct fuzz *fuzz)
{
	switch (below(fuzz, 10)) {
	case 0:
		return garbage(fuzz, 0, GPU_PTE_VALID);
	case 1:
		return garbage(fuzz, GPU_PTE_VALID | GPU_PTE_PAGE | GPU_PTE_BIG, 0);
	case 2:
		return garbage(fuzz, GPU_PTE_VALID | GPU_PTE_VIDEO, GPU_PTE_PAGE);
	case 3:
	case 4:
	case 5:
		return fuzz_page(fuzz) | GPU_PTE_VALID | GPU_PTE_PAGE | noise(fuzz);
	default:
		return fuzz_table(fuzz, FUZZ_DIRECTORIES, FUZZ_TABLES) | GPU_PTE_VALID |
		       (chance(fuzz, 2) ? GPU_PTE_BIG : 0) | noise(fuzz);
	}
}

static uint64_t table_entry(struct fuzz *fuzz)
{
	return chance(fuzz, 50) ? garbage(fuzz, 0, GPU_PTE_VALID) :
	       fuzz_page(fuzz) | GPU_PTE_VALID | noise(fuzz) | below(fuzz, 4) << 1;
}

static void fuzz_tables(struct fuzz *fuzz)
{
	uint64_t *root = (uint64_t *)(void *)(fuzz->driver.machine.memory + GPU_ROOT_AT);
	uint64_t *table = root + 512;
	unsigned int i;

	for (i = 0; i < 512; i++)
		root[i] = htole64(root_entry(fuzz));
	for (i = 0; i < FUZZ_DIRECTORIES * 512; i++)
		*table++ = htole64(directory_entry(fuzz));
	for (i = 0; i < FUZZ_TABLES * 512; i++)
		*table++ = htole64(table_entry(fuzz));
}

static uint64_t fuzz_va(struct fuzz *fuzz)
{
	uint64_t va = model_random_next(&fuzz->random);

	return chance(fuzz, 20) ? va : va >> (64 - GPU_VA_BITS);
}

static void fuzz_ring(struct fuzz *fuzz)
{
	uint8_t *ring = fuzz->driver.machine.memory + FUZZ_RING_AT;
	unsigned int i, j;

	for (i = 0; i < FUZZ_COMMANDS; i++) {
		uint64_t entry[4] = { fuzz_va(fuzz), fuzz_va(fuzz),
				      1 + below(fuzz, UINT64_C(1) << below(fuzz, 26)),
				      model_random_next(&fuzz->random) };

		entry[2] |= (1 + below(fuzz, 3)) << 32 | below(fuzz, 2) << 63;
		if (chance(fuzz, 30))
			entry[2] = model_random_next(&fuzz->random);
		for (j = 0; j < 4; j++)
			entry[j] = htole64(entry[j]);
		memcpy(ring + i * GPU_ENTRY_SIZE, entry, sizeof(entry));
	}
}

/* Sound, or not so sound that it could start. */
static void fuzz_registers(struct fuzz *fuzz)
{
	static const uint32_t bad[] = { 0, 1, 3, 24, 65537, 131072, 1u << 31, UINT32_MAX };
	struct machine *machine = &fuzz->driver.machine;

	machine_set_reg(machine, GPU_RING_ENTRIES, chance(fuzz, 20) ? bad[below(fuzz, 8)] :
						   2u << below(fuzz, 6));
	gpu_set_reg64(&fuzz->driver, GPU_RING, machine->iova + FUZZ_RING_AT +
		      (chance(fuzz, 20) ? below(fuzz, GPU_ENTRY_SIZE) : 0));
	gpu_set_reg64(&fuzz->driver, GPU_PAGE_TABLE, fuzz->driver.root +
		      (chance(fuzz, 20) ? below(fuzz, 4096) : 0));
	machine_set_reg(machine, GPU_VECTOR, (uint32_t)below(fuzz, 1u << below(fuzz, 32)));
}

static void fuzz_enable(struct fuzz *fuzz)
{
	uint32_t value = chance(fuzz, 8) ? (uint32_t)below(fuzz, 4) : GPU_ENABLE_MAGIC;

	machine_set_reg(&fuzz->driver.machine, GPU_ENABLE, value);
}

static void fuzz_reset(struct fuzz *fuzz)
{
	struct machine *machine = &fuzz->driver.machine;

	simmac_device_reset(machine->device, chance(fuzz, 2) ? SIMMAC_RESET_FLR :
							       SIMMAC_RESET_HOT);
	fuzz_registers(fuzz);
	machine_master(machine, true);
}

static void fuzz_live(struct fuzz *fuzz)
{
	struct simmac_device *device = fuzz->driver.machine.device;

	simmac_device_pause(device);
	device->model->dma_live(device, model_random_next(&fuzz->random), below(fuzz, 1u << 30));
	device->model->dma_live(device, fuzz->driver.aligned + 5 * MIB, 4096);
	simmac_device_resume(device);
}

static void fuzz_step(struct fuzz *fuzz)
{
	struct machine *machine = &fuzz->driver.machine;

	switch (below(fuzz, 16)) {
	case 0:
		fuzz_registers(fuzz);
		break;
	case 1:
		fuzz_reset(fuzz);
		break;
	case 2:
		machine_master(machine, chance(fuzz, 2));
		break;
	case 3:
	case 4:
		fuzz_live(fuzz);
		break;
	case 5:
	case 6:
	case 7:
		fuzz_enable(fuzz);
		break;
	default:
		machine_set_reg(machine, GPU_PUT, (uint32_t)(chance(fuzz, 30) ?
				model_random_next(&fuzz->random) : below(fuzz, FUZZ_COMMANDS)));
		usleep((useconds_t)below(fuzz, 100));
	}
}

static bool is_zero(const uint8_t *memory, size_t length)
{
	return !length || (!memory[0] && !memcmp(memory, memory + 1, length - 1));
}

static void a_hostile_driver_reaches_what_it_mapped_and_no_more(void **state)
{
	struct fuzz *fuzz = test_calloc(1, sizeof(*fuzz));
	struct gpu_driver *driver = &fuzz->driver;
	uint8_t *before = test_malloc(MACHINE_MEMORY);
	uint64_t head;
	unsigned int round, step;

	model_random_init(&fuzz->random, "a_hostile_driver_reaches_what_it_mapped_and_no_more");
	gpu_driver_start_mapped(driver, SPEC);
	head = driver->aligned - driver->data_bus;
	fuzz_registers(fuzz);
	for (round = 0; round < FUZZ_ROUNDS; round++) {
		if (round % 16 == 0)
			fuzz_tables(fuzz);
		fuzz_ring(fuzz);
		memcpy(before, driver->machine.memory, MACHINE_MEMORY);
		for (step = 0; step < 16; step++)
			fuzz_step(fuzz);
		assert_true(!memcmp(before, driver->machine.memory, MACHINE_MEMORY));
	}
	assert_true(is_zero(driver->data, head));
	assert_true(is_zero(driver->data + head + 8 * MIB, GPU_DATA - head - 8 * MIB));
	assert_false(is_zero(driver->data + head, 8 * MIB));
	simmac_device_reset(driver->machine.device, SIMMAC_RESET_HOT);
	machine_master(&driver->machine, true);
	memset(driver->machine.memory + GPU_ROOT_AT, 0, MIB);
	driver->tables = GPU_TABLES_AT;
	gpu_map(driver, GPU_VA, driver->aligned, 2 * MIB, LARGE, 0);
	gpu_check_it_works(driver);
	gpu_driver_stop(driver);
	test_free(before);
	test_free(fuzz);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_hostile_driver_reaches_what_it_mapped_and_no_more),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
