// SPDX-License-Identifier: BSD-3-Clause
/*
 * Where QEMU's memory becomes mappings of Hypervisor.framework, executed over a fake of both: what a region is, and
 * so what the guest may do with it, up to the call that would end the Mac if it were wrong [H1].
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "qemu/osdep.h"

#define PAGE	0x4000ull
#define HOST	((uint8_t *)0x100000000)
#define RW	(HV_MEMORY_READ | HV_MEMORY_WRITE)
#define RX	(HV_MEMORY_READ | HV_MEMORY_EXEC)
#define RWX	(RW | HV_MEMORY_EXEC)

AddressSpace address_space_memory;

static struct call {
	void *mem;
	uint64_t start, size, flags;
	unsigned int count;
} mapped, unmapped, protected;
static hv_return_t map_returns;
static bool ready;			/* the machine */
static char said[256];
static unsigned int warnings;

void test_qemu_assert(int holds, const char *what, const char *file, int line)
{
	mock_assert(holds, what, file, line);
}

hv_return_t hv_vm_map(void *mem, uint64_t start, size_t size, uint64_t flags)
{
	mapped = (struct call){ mem, start, size, flags, mapped.count + 1 };
	return map_returns;
}

hv_return_t hv_vm_unmap(uint64_t start, size_t size)
{
	unmapped = (struct call){ NULL, start, size, 0, unmapped.count + 1 };
	return HV_SUCCESS;
}

hv_return_t hv_vm_protect(uint64_t start, size_t size, uint64_t flags)
{
	protected = (struct call){ NULL, start, size, flags, protected.count + 1 };
	return HV_SUCCESS;
}

const char *hvf_return_string(hv_return_t code)
{
	return code == 5 ? "five" : "[unknown]";
}

bool phase_check(MachineInitPhase phase)
{
	return ready;
}

void error_report(const char *format, ...)
{
	fail_msg("an error: %s", format);
}

void warn_report(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(said, sizeof(said), format, args);
	va_end(args);
	warnings++;
}

static int begin(void **state)
{
	mapped = unmapped = protected = (struct call){ 0 };
	map_returns = HV_SUCCESS;
	ready = true;
	warnings = 0;
	hvf_memory_init();
	return 0;
}

static MemoryRegionSection section_of(MemoryRegion *mr)
{
	return (MemoryRegionSection){
		.mr = mr, .size = 4 * PAGE, .offset_within_region = PAGE,
		.offset_within_address_space = 16 * PAGE,
	};
}

static void add(MemoryRegionSection *section)
{
	address_space_memory.listener->region_add(address_space_memory.listener, section);
}

static void del(MemoryRegionSection *section)
{
	address_space_memory.listener->region_del(address_space_memory.listener, section);
}

/* Comes, is mapped so, and goes. */
static void check_mapped(MemoryRegion *mr, bool readonly, uint64_t flags)
{
	MemoryRegionSection section = section_of(mr);
	unsigned int count = mapped.count;

	section.readonly = readonly;
	add(&section);
	assert_int_equal(mapped.count, count + 1);
	assert_ptr_equal(mapped.mem, HOST + PAGE);
	assert_int_equal(mapped.start, 16 * PAGE);
	assert_int_equal(mapped.size, 4 * PAGE);
	assert_int_equal(mapped.flags, flags);
	del(&section);
	assert_int_equal(unmapped.start, 16 * PAGE);
	assert_int_equal(unmapped.size, 4 * PAGE);
	assert_null(hvf_find_overlap_slot(0, 64 * PAGE));
}

static void memory_of_a_device_is_mapped_and_never_executable(void **state)
{
	MemoryRegion bar = { .name = "bar", .host = HOST, .ram = true, .ram_device = true };

	check_mapped(&bar, false, RW);
	check_mapped(&bar, true, HV_MEMORY_READ);
	bar.readonly = true;
	check_mapped(&bar, false, HV_MEMORY_READ);
}

static void RAM_and_ROM_are_executable(void **state)
{
	MemoryRegion ram = { .name = "ram", .host = HOST, .ram = true };
	MemoryRegion rom = { .name = "rom", .host = HOST, .ram = true, .readonly = true };
	MemoryRegion flash = { .name = "flash", .host = HOST, .rom_device = true, .romd = true };

	check_mapped(&ram, false, RWX);
	check_mapped(&ram, true, RX);
	check_mapped(&rom, false, RX);
	check_mapped(&flash, false, RX);
}

static void what_is_not_memory_traps(void **state)
{
	MemoryRegion mmio = { .name = "mmio" };
	MemoryRegion flash = { .name = "flash", .host = HOST, .rom_device = true };
	MemoryRegionSection section = section_of(&mmio);

	section.size = (Int128)1 << 64;	/* as only such may be */
	add(&section);
	del(&section);
	section = section_of(&flash);
	add(&section);
	assert_int_equal(mapped.count, 0);
	del(&section);
}

static void the_log_does_not_make_memory_of_a_device_executable(void **state)
{
	MemoryListener *listener = address_space_memory.listener;
	MemoryRegion bar = { .name = "bar", .host = HOST, .ram = true, .ram_device = true };
	MemoryRegionSection section = section_of(&bar);

	add(&section);
	listener->log_start(listener, &section, 0, 1);
	assert_int_equal(protected.flags, HV_MEMORY_READ);
	listener->log_start(listener, &section, 1, 3);
	listener->log_stop(listener, &section, 3, 1);
	assert_int_equal(protected.count, 1);
	assert_true(hvf_memory_allows(17 * PAGE + 8, HV_MEMORY_WRITE));
	assert_int_equal(protected.flags, RW);
	assert_int_equal(protected.start, 17 * PAGE);
	assert_int_equal(protected.size, PAGE);
	assert_int_equal(bar.dirty_at, 2 * PAGE);
	assert_int_equal(bar.dirty_size, PAGE);
	listener->log_sync(listener, &section);
	assert_int_equal(protected.flags, HV_MEMORY_READ);
	listener->log_stop(listener, &section, 1, 0);
	assert_int_equal(protected.flags, RW);
	assert_false(hvf_memory_allows(17 * PAGE, HV_MEMORY_EXEC));
	del(&section);
}

/* As if all that decides had been wrong: a slot, or its region, is not what it was. */
static void QEMU_ends_before_memory_of_a_device_becomes_executable(void **state)
{
	MemoryListener *listener = address_space_memory.listener;
	MemoryRegion region = { .name = "ram", .host = HOST, .ram = true };
	MemoryRegionSection section = section_of(&region);

	add(&section);
	region.ram_device = true;
	listener->log_start(listener, &(MemoryRegionSection){ .mr = &region, .size = PAGE }, 0, 1);
	expect_assert_failure(listener->log_start(listener, &section, 0, 1));
	expect_assert_failure(hvf_memory_allows(16 * PAGE, HV_MEMORY_WRITE));
	assert_int_equal(protected.count, 0);
	del(&section);
}

static void each_region_that_cannot_be_mapped_is_told_of_once(void **state)
{
	static MemoryRegion first = { .name = "first", .host = HOST, .ram = true, .ram_device = true };
	static MemoryRegion second = { .name = "second", .host = HOST, .ram = true, .ram_device = true };
	MemoryRegionSection a = section_of(&first), b = section_of(&second);

	map_returns = (hv_return_t)0xfae94008;
	for (unsigned int i = 0; i < 3; i++) {
		add(&a);
		add(&b);
	}
	assert_int_equal(mapped.count, 6);
	assert_int_equal(warnings, 2);
	assert_non_null(strstr(said, "'second' at 0x40000: [unknown] (0xfae94008)"));
}

static void what_is_told_of_has_an_end(void **state)
{
	static MemoryRegion regions[200];

	map_returns = 5;
	for (unsigned int i = 0; i < ARRAY_SIZE(regions); i++) {
		regions[i] = (MemoryRegion){ .name = "bar", .host = HOST, .ram = true, .ram_device = true };
		add(&(MemoryRegionSection){ .mr = &regions[i], .size = PAGE });
	}
	assert_in_range(warnings, 32, 64);
}

#define TEST(name) cmocka_unit_test_setup(name, begin)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(memory_of_a_device_is_mapped_and_never_executable),
		TEST(RAM_and_ROM_are_executable),
		TEST(what_is_not_memory_traps),
		TEST(the_log_does_not_make_memory_of_a_device_executable),
		TEST(QEMU_ends_before_memory_of_a_device_becomes_executable),
		TEST(each_region_that_cannot_be_mapped_is_told_of_once),
		TEST(what_is_told_of_has_an_end),
	};

	return cmocka_run_group_tests_name("hvf_memory", tests, NULL, NULL);
}
