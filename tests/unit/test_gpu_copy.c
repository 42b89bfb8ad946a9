// SPDX-License-Identifier: BSD-3-Clause
/* What the simulated GPU's copy engine moves: pages of all sizes, aligned and not; order. */
#include "gpu_driver.h"
#include "model.h"

#include <string.h>

#define VA_TARGET	(7ull << GPU_ROOT_SHIFT)
#define VA		GPU_VA
#define SPEC		"gpu,card=h100"

/* The CPU's view of the data that begins at the first 2 MiB boundary of the bus. */
static uint8_t *data(struct gpu_driver *driver, uint64_t offset)
{
	return gpu_at(driver, driver->aligned + offset);
}

static uint8_t *video(struct gpu_driver *driver)
{
	return driver->machine.device->bar[1].memory;
}

static const enum gpu_page_size sizes[] = { SMALL, BIG, LARGE };

static void it_copies_between_pages_of_all_sizes(void **state)
{
	static const uint32_t lengths[] = { 1, 7, 4095, 4096, 65537, 1000001 };
	struct gpu_driver driver;
	unsigned int from, to, i;
	uint64_t source, target;

	gpu_driver_start(&driver, SPEC);
	for (from = 0; from < 3; from++)
		gpu_map(&driver, VA + from * 2 * MIB, driver.aligned, 2 * MIB, sizes[from], 0);
	for (to = 0; to < 3; to++)
		gpu_map(&driver, VA_TARGET + to * 2 * MIB, driver.aligned + 2 * MIB, 2 * MIB,
			sizes[to], 0);
	for (i = 0; i < 9 * 6; i++) {
		uint32_t length = lengths[i % 6];

		source = VA + i / 6 % 3 * 2 * MIB + 12345;
		target = VA_TARGET + i / 18 * 2 * MIB + 777;
		gpu_pattern(data(&driver, 0), 2 * MIB, i);
		memset(data(&driver, 2 * MIB), 0x5a, 2 * MIB);
		gpu_copy(&driver, target, source, length);
		assert_memory_equal(data(&driver, 2 * MIB + 777), data(&driver, 12345), length);
		assert_int_equal(*data(&driver, 2 * MIB + 776), 0x5a);
		assert_int_equal(*data(&driver, 2 * MIB + 777 + length), 0x5a);
	}
	gpu_driver_stop(&driver);
}

/* Pages that follow each other for the GPU lie anywhere, and are of any kind. */
static void it_crosses_pages_of_different_kinds(void **state)
{
	struct gpu_driver driver;
	static uint8_t expected[2 * MIB + 16 * KIB];

	gpu_driver_start(&driver, SPEC);
	gpu_pattern(data(&driver, 0), 6 * MIB, 1);
	gpu_pattern(video(&driver), 4 * MIB, 2);
	/* Across a boundary of 1 GiB: another directory. */
	gpu_map(&driver, VA - 2 * MIB, driver.aligned + 2 * MIB, 2 * MIB, LARGE, 0);
	gpu_map(&driver, VA, 192 * KIB, 64 * KIB, BIG, GPU_PTE_VIDEO);
	gpu_map(&driver, VA + 64 * KIB, driver.aligned + 64 * KIB, 2 * MIB - 64 * KIB, BIG, 0);
	gpu_map(&driver, VA + 2 * MIB, 8 * KIB, 4 * KIB, SMALL, GPU_PTE_VIDEO);
	gpu_map(&driver, VA + 2 * MIB + 4 * KIB, driver.aligned + 20 * KIB, 4 * KIB, SMALL, 0);
	memcpy(expected, data(&driver, 4 * MIB - 100), 100);
	memcpy(expected + 100, video(&driver) + 192 * KIB, 64 * KIB);
	memcpy(expected + 100 + 64 * KIB, data(&driver, 64 * KIB), 2 * MIB - 64 * KIB);
	memcpy(expected + 100 + 2 * MIB, video(&driver) + 8 * KIB, 4 * KIB);
	memcpy(expected + 100 + 2 * MIB + 4 * KIB, data(&driver, 20 * KIB), 4 * KIB);
	gpu_map(&driver, VA_TARGET, 32 * MIB, 4 * MIB, LARGE, GPU_PTE_VIDEO);
	gpu_copy(&driver, VA_TARGET, VA - 100, 100 + 2 * MIB + 8 * KIB);
	assert_memory_equal(video(&driver) + 32 * MIB, expected, 100 + 2 * MIB + 8 * KIB);
	/* And the other way. */
	memset(data(&driver, 0), 0, 6 * MIB);
	memset(video(&driver), 0, 4 * MIB);
	gpu_copy(&driver, VA - 100, VA_TARGET, 100 + 2 * MIB + 8 * KIB);
	assert_memory_equal(data(&driver, 4 * MIB - 100), expected, 100);
	assert_memory_equal(video(&driver) + 192 * KIB, expected + 100, 64 * KIB);
	assert_memory_equal(data(&driver, 64 * KIB), expected + 100 + 64 * KIB,
			    2 * MIB - 64 * KIB);
	assert_memory_equal(video(&driver) + 8 * KIB, expected + 100 + 2 * MIB, 4 * KIB);
	assert_memory_equal(data(&driver, 20 * KIB), expected + 100 + 2 * MIB + 4 * KIB, 4 * KIB);
	gpu_driver_stop(&driver);
}

/* What a driver sees that put such an address into an entry of such a size. */
static void read_through(struct gpu_driver *driver, uint64_t address, enum gpu_page_size size,
			 uint32_t offset, uint8_t *got, uint32_t length)
{
	gpu_map(driver, VA, address, UINT64_C(1) << size, size, 0);
	gpu_copy(driver, VA_TARGET, VA + offset, length);
	memcpy(got, video(driver), length);
	memset(gpu_pte(driver, VA, 1), 0, sizeof(uint64_t));
}

/* [G5 G7]: an address that does not fit its page is silently another one. */
static void misaligned_large_pages_read_what_lies_before(void **state)
{
	static const struct { enum gpu_page_size size; uint64_t off; } cases[] = {
		{ BIG, 4 * KIB }, { BIG, 16 * KIB }, { BIG, 60 * KIB },
		{ LARGE, 4 * KIB }, { LARGE, 64 * KIB }, { LARGE, 37 * 16 * KIB },
		{ LARGE, 2 * MIB - 4 * KIB },
	};
	struct gpu_driver driver;
	uint8_t got[10000];
	unsigned int i;

	gpu_driver_start(&driver, SPEC);
	gpu_pattern(driver.data, GPU_DATA, 3);
	gpu_map(&driver, VA_TARGET, 0, 2 * MIB, LARGE, GPU_PTE_VIDEO);
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint64_t off = cases[i].off;

		read_through(&driver, driver.aligned, cases[i].size, 100, got, sizeof(got));
		assert_memory_equal(got, data(&driver, 100), sizeof(got));
		read_through(&driver, driver.aligned + off, cases[i].size, 100, got, sizeof(got));
		assert_memory_equal(got, data(&driver, 100), sizeof(got));
		assert_memory_not_equal(got, data(&driver, off + 100), sizeof(got));
		read_through(&driver, driver.aligned + off, SMALL, 100, got, 4 * KIB - 100);
		assert_memory_equal(got, data(&driver, off + 100), 4 * KIB - 100);
	}
	gpu_driver_stop(&driver);
}

static void misaligned_large_pages_write_next_to_what_was_meant(void **state)
{
	struct gpu_driver driver;
	unsigned int i;

	gpu_driver_start(&driver, SPEC);
	for (i = 0; i < 3; i++) {
		uint64_t off = 12 * KIB, va = VA + i * 2 * MIB;
		bool right = sizes[i] == SMALL;

		memset(data(&driver, 0), 0, 2 * MIB);
		gpu_map(&driver, va, driver.aligned + off, UINT64_C(1) << sizes[i], sizes[i], 0);
		gpu_do(&driver, (struct gpu_command){ .target = va, .length = 100,
						      .payload = 0xc3, .flags = GPU_OP_FILL });
		assert_int_equal(*data(&driver, off), right ? 0xc3 : 0);
		assert_int_equal(*data(&driver, 0), right ? 0 : 0xc3);
		assert_int_equal(*data(&driver, 99), right ? 0 : 0xc3);
		assert_int_equal(*data(&driver, 100), 0);
	}
	gpu_driver_stop(&driver);
}

static void video_pages_are_as_blind(void **state)
{
	struct gpu_driver driver;

	gpu_driver_start(&driver, SPEC);
	gpu_map(&driver, VA, 64 * KIB + 4 * KIB, 64 * KIB, BIG, GPU_PTE_VIDEO);
	gpu_do(&driver, (struct gpu_command){ .target = VA + 5, .length = 1, .payload = 0x1ff,
					      .flags = GPU_OP_FILL });
	assert_int_equal(video(&driver)[64 * KIB + 5], 0xff);
	assert_int_equal(video(&driver)[68 * KIB + 5], 0);
	gpu_driver_stop(&driver);
}

/* No TLB: an entry is looked at again at each use. */
static void changed_entries_hold_at_once(void **state)
{
	struct gpu_driver driver;
	unsigned int i;

	gpu_driver_start(&driver, SPEC);
	for (i = 0; i < 32; i++) {
		gpu_map(&driver, VA, driver.aligned + i * 4 * KIB, 4 * KIB, SMALL, 0);
		gpu_do(&driver, (struct gpu_command){ .target = VA, .length = 4096,
						      .payload = i + 1, .flags = GPU_OP_FILL });
	}
	for (i = 0; i < 32; i++)
		assert_int_equal(*data(&driver, i * 4 * KIB + 4095), i + 1);
	gpu_driver_stop(&driver);
}

static uint64_t fence_of(struct gpu_driver *driver)
{
	return __atomic_load_n((uint64_t *)(void *)data(driver, 4 * MIB), __ATOMIC_ACQUIRE);
}

struct fence {
	struct gpu_driver *driver;
	uint64_t value;
};

static bool fence_is_there(void *argument)
{
	const struct fence *fence = argument;

	return fence_of(fence->driver) == fence->value;
}

/* The fence alone is waited for: all that came before it is there, and GET soon too. */
static void a_fence_comes_after_what_came_before(void **state)
{
	struct gpu_driver driver;
	unsigned int i, j;

	gpu_driver_start(&driver, SPEC);
	gpu_map(&driver, VA, driver.aligned, 6 * MIB, LARGE, 0);
	for (i = 1; i <= 40; i++) {
		struct fence fence = { &driver, UINT64_C(0x0123456789abcdef) * i };

		gpu_push(&driver, (struct gpu_command){ .target = VA, .length = 300000,
							.payload = i, .flags = GPU_OP_FILL });
		gpu_push(&driver, (struct gpu_command){ .source = VA, .target = VA + 2 * MIB,
							.length = 300000, .flags = GPU_OP_COPY });
		gpu_push(&driver, (struct gpu_command){ .target = VA + 4 * MIB,
							.payload = fence.value,
							.flags = GPU_OP_FENCE });
		gpu_ring(&driver);
		assert_true(await(fence_is_there, &fence));
		for (j = 0; j < 300000; j += 99)
			assert_int_equal(*data(&driver, 2 * MIB + j), i);
		assert_int_equal(*data(&driver, 2 * MIB + 299999), i);
		gpu_wait(&driver);
	}
	gpu_driver_stop(&driver);
}

static void get_comes_after_the_fence(void **state)
{
	struct gpu_driver driver;
	uint64_t i;

	gpu_driver_start(&driver, SPEC);
	gpu_map(&driver, VA, driver.aligned + 4 * MIB, 2 * MIB, LARGE, 0);
	for (i = 1; i < 200; i++) {
		gpu_do(&driver, (struct gpu_command){ .target = VA, .payload = i << 40 | i,
						      .flags = GPU_OP_FENCE });
		assert_int_equal(fence_of(&driver), i << 40 | i);
	}
	gpu_driver_stop(&driver);
}

static void a_fence_may_lie_across_pages(void **state)
{
	struct gpu_driver driver;
	uint64_t got = 0;

	gpu_driver_start(&driver, SPEC);
	gpu_map(&driver, VA, driver.aligned, 4 * KIB, SMALL, 0);
	gpu_map(&driver, VA + 4 * KIB, driver.aligned + 40 * KIB, 4 * KIB, SMALL, 0);
	gpu_do(&driver, (struct gpu_command){ .target = VA + 4 * KIB - 3, .flags = GPU_OP_FENCE,
					      .payload = 0x1122334455667788 });
	memcpy(&got, data(&driver, 4 * KIB - 3), 3);
	memcpy((uint8_t *)&got + 3, data(&driver, 40 * KIB), 5);
	assert_int_equal(got, 0x1122334455667788);
	assert_int_equal(*data(&driver, 40 * KIB + 5), 0);
	gpu_driver_stop(&driver);
}

static void it_raises_the_vector_that_is_set(void **state)
{
	struct gpu_driver driver;
	struct machine *machine = &driver.machine;
	struct gpu_command fence = { .target = VA, .flags = GPU_OP_FENCE | GPU_FLAG_INTERRUPT };

	gpu_driver_start(&driver, SPEC);
	gpu_map(&driver, VA, driver.aligned, 2 * MIB, LARGE, 0);
	machine_set_reg(machine, GPU_VECTOR, 8);
	gpu_push(&driver, fence);
	gpu_ring(&driver);
	machine_await_interrupts(machine, 8, 1);
	/* The handler that looks finds the work done. */
	assert_int_equal(machine_reg(machine, GPU_GET), driver.put);
	machine_set_reg(machine, GPU_VECTOR, 3);
	fence.flags = GPU_OP_FENCE;
	gpu_do(&driver, fence);
	fence = (struct gpu_command){ .target = VA, .length = 9, .payload = 1,
				      .flags = GPU_OP_FILL | GPU_FLAG_INTERRUPT };
	gpu_do(&driver, fence);
	machine_await_interrupts(machine, 3, 1);
	/* There are nine. */
	machine_set_reg(machine, GPU_VECTOR, 9);
	gpu_do(&driver, fence);
	machine_set_reg(machine, GPU_VECTOR, UINT32_MAX);
	gpu_do(&driver, fence);
	gpu_driver_stop(&driver);
	assert_int_equal(atomic_load(&machine->interrupts[8]), 1);
	assert_int_equal(atomic_load(&machine->interrupts[3]), 1);
	assert_int_equal(atomic_load(&machine->interrupts[9]), 0);
}

static void the_ring_wraps(void **state)
{
	struct gpu_driver driver;
	uint64_t round, i, value = 0;

	gpu_driver_start(&driver, SPEC);
	gpu_map(&driver, VA, driver.aligned, 2 * MIB, LARGE, 0);
	for (round = 0; round < 40; round++) {
		uint64_t count = 1 + round % (GPU_ENTRIES - 1);

		for (i = 0; i < count; i++)
			gpu_push(&driver, (struct gpu_command){ .target = VA + i * 8,
								.payload = ++value,
								.flags = GPU_OP_FENCE });
		gpu_ring(&driver);
		gpu_wait(&driver);
		for (i = 0; i < count; i++)
			assert_int_equal(*(uint64_t *)(void *)data(&driver, i * 8),
					 value - count + 1 + i);
	}
	gpu_driver_stop(&driver);
}

/* Five pages a side, of any sizes, at addresses that fit their sizes or not. */
#define PAGES 5u
#define SHADOW (16 * MIB)	/* of the data from the boundary on, then of video memory */

struct side {
	uint64_t va;
	uint64_t bus;			/* of 4 MiB, 2 MiB-aligned, that its pages lie in */
	struct { enum gpu_page_size size; uint64_t address; bool video; } page[PAGES];
};

static void random_side(struct gpu_driver *driver, struct model_random *random, struct side *side)
{
	unsigned int i;

	for (i = 0; i < PAGES; i++) {
		uint64_t place = model_random_below(random, 1024) * 4 * KIB, page, offset;

		side->page[i].size = sizes[model_random_below(random, 3)];
		side->page[i].video = model_random_below(random, 4) == 0;
		side->page[i].address = (side->page[i].video ? side->bus - driver->aligned :
				      side->bus) + place;
		page = UINT64_C(1) << side->page[i].size;
		/* Each has 2 MiB of addresses; those of small sizes are there many times. */
		memset(gpu_pte(driver, side->va + i * 2 * MIB, 1), 0, sizeof(uint64_t));
		for (offset = 0; offset < 2 * MIB; offset += page)
			gpu_map(driver, side->va + i * 2 * MIB + offset, side->page[i].address,
				page, side->page[i].size,
				side->page[i].video ? GPU_PTE_VIDEO : 0);
	}
}

/* As the contract has it: the address loses the bits that are the page's. */
static uint8_t *byte_of(const struct gpu_driver *driver, const struct side *side, uint64_t offset,
			uint8_t *shadow)
{
	unsigned int i = (unsigned int)(offset / (2 * MIB));
	uint64_t page = UINT64_C(1) << side->page[i].size;
	uint64_t at = side->page[i].address / page * page + offset % page;

	return side->page[i].video ? shadow + SHADOW / 2 + at : shadow + (at - driver->aligned);
}

static void new_tables(struct gpu_driver *driver)
{
	driver->tables = GPU_TABLES_AT;
	memset(driver->machine.memory + GPU_ROOT_AT, 0, MIB);
}

static void random_copies_do_what_a_simple_model_says(void **state)
{
	struct side source = { .va = VA }, target = { .va = VA_TARGET };
	uint8_t *shadow = test_malloc(SHADOW);
	struct gpu_driver driver;
	struct model_random random;
	unsigned int round;

	model_random_init(&random, "random_copies_do_what_a_simple_model_says");
	gpu_driver_start(&driver, SPEC);
	source.bus = driver.aligned;
	target.bus = driver.aligned + 4 * MIB;
	for (round = 0; round < 40; round++) {
		uint32_t i, length = 1 + (uint32_t)model_random_below(&random, 3 * MIB);
		uint64_t from = model_random_below(&random, PAGES * 2 * MIB - length);
		uint64_t to = model_random_below(&random, PAGES * 2 * MIB - length);

		new_tables(&driver);
		random_side(&driver, &random, &source);
		random_side(&driver, &random, &target);
		gpu_pattern(shadow, SHADOW, round);
		memcpy(data(&driver, 0), shadow, SHADOW / 2);
		memcpy(video(&driver), shadow + SHADOW / 2, SHADOW / 2);
		gpu_copy(&driver, VA_TARGET + to, VA + from, length);
		/* Where pages of the target coincide, what is written last stays. */
		for (i = 0; i < length; i++)
			*byte_of(&driver, &target, to + i, shadow) =
				*byte_of(&driver, &source, from + i, shadow);
		assert_true(!memcmp(data(&driver, 0), shadow, SHADOW / 2));
		assert_true(!memcmp(video(&driver), shadow + SHADOW / 2, SHADOW / 2));
	}
	gpu_driver_stop(&driver);
	test_free(shadow);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_copies_between_pages_of_all_sizes),
		cmocka_unit_test(it_crosses_pages_of_different_kinds),
		cmocka_unit_test(misaligned_large_pages_read_what_lies_before),
		cmocka_unit_test(misaligned_large_pages_write_next_to_what_was_meant),
		cmocka_unit_test(video_pages_are_as_blind),
		cmocka_unit_test(changed_entries_hold_at_once),
		cmocka_unit_test(a_fence_comes_after_what_came_before),
		cmocka_unit_test(get_comes_after_the_fence),
		cmocka_unit_test(a_fence_may_lie_across_pages),
		cmocka_unit_test(it_raises_the_vector_that_is_set),
		cmocka_unit_test(the_ring_wraps),
		cmocka_unit_test(random_copies_do_what_a_simple_model_says),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
