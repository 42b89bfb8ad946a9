// SPDX-License-Identifier: BSD-3-Clause
/* What QEMU makes of a guest's data abort under Hypervisor.framework, without either. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "hvf-abort.h"

/* ESR_EL2 of accesses of trapped memory, as the architecture has it: EC 0x24, IL, a translation fault. */
#define ABORT		(0x24u << 26 | 1u << 25 | 0x07u)
#define ISV		(1u << 24)
#define SAS(log2)	((uint32_t)(log2) << 22)
#define SSE		(1u << 21)
#define SRT(n)		((uint32_t)(n) << 16)
#define SF		(1u << 15)
#define CM		(1u << 8)
#define S1PTW		(1u << 7)
#define WNR		(1u << 6)

static void loads_and_stores_of_a_register_are_emulated(void **state)
{
	for (unsigned int log2 = 0; log2 < 4; log2++) {
		for (unsigned int reg = 0; reg < 32; reg++) {
			HVFAbort load = hvf_abort_decode(ABORT | ISV | SAS(log2) | SRT(reg));
			HVFAbort store = hvf_abort_decode(ABORT | ISV | SAS(log2) | SRT(reg) | WNR);

			assert_int_equal(load.kind, HVF_ABORT_EMULATE);
			assert_int_equal(store.kind, HVF_ABORT_EMULATE);
			assert_false(load.write);
			assert_true(store.write);
			assert_int_equal(load.length, 1u << log2);
			assert_int_equal(store.reg, reg);
		}
	}
}

static uint32_t with_status(uint32_t syndrome, uint32_t fsc)
{
	return (syndrome & ~0x3fu) | fsc;
}

static void what_names_no_register_is_not_emulated(void **state)
{
	/* A SIMD load, DC ZVA, and a table walk of an access that would name one. */
	assert_int_equal(hvf_abort_decode(ABORT).kind, HVF_ABORT_OPAQUE);
	assert_int_equal(hvf_abort_decode(ABORT | WNR).kind, HVF_ABORT_OPAQUE);
	assert_true(hvf_abort_decode(ABORT | WNR).write);
	assert_int_equal(hvf_abort_decode(ABORT | S1PTW | ISV).kind, HVF_ABORT_OPAQUE);
}

/* Address size, translation, access flag, permission: all others leave HPFAR_EL2 as it was. */
static void only_a_fault_that_has_an_address_is_emulated(void **state)
{
	for (uint32_t fsc = 0; fsc < 64; fsc++)
		assert_int_equal(hvf_abort_decode(with_status(ABORT | ISV, fsc)).kind,
				 fsc < 16 ? HVF_ABORT_EMULATE : HVF_ABORT_OPAQUE);
}

static void cache_maintenance_is_passed_over_unless_its_table_walk_fails(void **state)
{
	assert_int_equal(hvf_abort_decode(ABORT | CM | WNR).kind, HVF_ABORT_SKIP);
	assert_int_equal(hvf_abort_decode(ABORT | CM | WNR | ISV).kind, HVF_ABORT_SKIP);
	assert_int_equal(hvf_abort_decode(ABORT | CM | WNR | S1PTW).kind, HVF_ABORT_OPAQUE);
	assert_int_equal(hvf_abort_decode(with_status(ABORT | CM | WNR, 0x10)).kind, HVF_ABORT_OPAQUE);
}

/* All that decides which of the three it is, whatever the other bits. */
static void what_is_emulated_names_a_register_and_an_address(void **state)
{
	const uint32_t other[] = { 0, SAS(3) | SSE | SRT(31) | SF | WNR, SAS(1) | SRT(9), 0x1fu << 9 };

	for (uint32_t i = 0; i < 8 * 64 * 4; i++) {
		uint32_t bits = (i & 1 ? ISV : 0) | (i & 2 ? CM : 0) | (i & 4 ? S1PTW : 0), fsc = i / 8 % 64;
		HVFAbort abort = hvf_abort_decode(with_status(ABORT | other[i / 512], fsc) | bits);

		assert_int_equal(abort.kind == HVF_ABORT_EMULATE, bits == ISV && fsc < 16);
		assert_int_equal(abort.kind == HVF_ABORT_SKIP, (bits & ~ISV) == CM && fsc < 16);
		assert_int_equal(abort.length != 0, abort.kind == HVF_ABORT_EMULATE);
	}
}

static void only_a_missing_page_is_worth_another_try(void **state)
{
	for (uint32_t fsc = 0; fsc < 64; fsc++) {
		bool expected = (fsc >= 4 && fsc < 8) || (fsc >= 12 && fsc < 16);

		assert_int_equal(hvf_abort_decode(with_status(ABORT, fsc)).access, expected ? HVF_MAP_READ : 0);
		assert_int_equal(hvf_abort_fetch_access(fsc), expected ? HVF_MAP_EXEC : 0);
	}
}

static uint32_t access_for(uint32_t syndrome)
{
	return hvf_abort_decode(syndrome).access;
}

static void another_try_asks_for_what_the_access_needs(void **state)
{
	assert_int_equal(access_for(ABORT | WNR), HVF_MAP_WRITE);
	assert_int_equal(access_for(ABORT | WNR | ISV), HVF_MAP_WRITE);
	/* A load of a register is emulated as well as it is tried again. */
	assert_int_equal(access_for(ABORT | ISV), 0);
}

/* All that is mapped can be read, so permission to write is what lacks: for the access flag. */
static void a_table_walk_without_permission_wants_to_write(void **state)
{
	assert_int_equal(access_for(with_status(ABORT | S1PTW, 0xf)), HVF_MAP_WRITE);
	assert_int_equal(access_for(with_status(ABORT | S1PTW | CM, 0xf)), HVF_MAP_WRITE);
	assert_int_equal(hvf_abort_fetch_access(S1PTW | 0xf), HVF_MAP_WRITE);
	assert_int_equal(access_for(ABORT | S1PTW | WNR), HVF_MAP_READ);
	assert_int_equal(hvf_abort_fetch_access(S1PTW | 0x7), HVF_MAP_READ);
	assert_int_equal(hvf_abort_fetch_access(S1PTW | 0x10), 0);
}

static void cache_maintenance_is_tried_again_where_a_page_is_mapped_now(void **state)
{
	assert_int_equal(access_for(ABORT | CM | WNR), HVF_MAP_READ);
	assert_int_equal(access_for(with_status(ABORT | CM | WNR, 0xf)), HVF_MAP_WRITE);
}

static void what_is_not_aligned_is_whole_in_RAM_only(void **state)
{
	for (unsigned int log2 = 0; log2 < 4; log2++) {
		HVFAbort abort = hvf_abort_decode(ABORT | ISV | SAS(log2));

		for (uint64_t address = 0x1000; address < 0x1010; address++) {
			assert_int_equal(hvf_abort_is_whole(&abort, address, false), address % (1u << log2) == 0);
			assert_true(hvf_abort_is_whole(&abort, address, true));
		}
	}
}

static uint64_t load(unsigned int log2, uint32_t how, uint64_t bytes)
{
	HVFAbort abort = hvf_abort_decode(ABORT | ISV | SAS(log2) | how);

	return hvf_abort_extend(&abort, bytes);
}

static void loads_fill_the_register_as_the_instruction_says(void **state)
{
	assert_int_equal(load(0, 0, 0x1ff), 0xff);			/* ldrb */
	assert_int_equal(load(0, SSE, 0x80), 0xffffff80);		/* ldrsb w */
	assert_int_equal(load(0, SSE | SF, 0x80), 0xffffffffffffff80);	/* ldrsb x */
	assert_int_equal(load(1, SSE, 0x7fff), 0x7fff);
	assert_int_equal(load(1, SSE | SF, 0x8000), 0xffffffffffff8000);
	assert_int_equal(load(2, 0, 0xffffffffdeadbeef), 0xdeadbeef);
	assert_int_equal(load(2, SSE | SF, 0xdeadbeef), 0xffffffffdeadbeef);
	assert_int_equal(load(3, SF, 0xfedcba9876543210), 0xfedcba9876543210);
}

/* Of ESR_EL1: class, instruction length, and no syndrome of an instruction. */
static void check_injected(uint32_t esr, uint32_t class, uint32_t fsc, uint32_t wnr)
{
	assert_int_equal(esr, class << 26 | 1u << 25 | fsc | wnr);
}

static void the_guest_gets_an_external_abort_at_its_own_level(void **state)
{
	check_injected(hvf_abort_inject_data(ABORT, 0, HVF_ABORT_EXTERNAL), 0x24, 0x10, 0);
	check_injected(hvf_abort_inject_data(ABORT, 1, HVF_ABORT_EXTERNAL), 0x25, 0x10, 0);
	check_injected(hvf_abort_inject_data(ABORT | WNR | SF | S1PTW, 1, HVF_ABORT_EXTERNAL), 0x25, 0x10, WNR);
	/* Or Linux takes it for a write. */
	check_injected(hvf_abort_inject_data(ABORT | WNR | CM, 1, HVF_ABORT_EXTERNAL), 0x25, 0x10, WNR | CM);
	check_injected(hvf_abort_inject_fetch(0), 0x20, 0x10, 0);
	check_injected(hvf_abort_inject_fetch(1), 0x21, 0x10, 0);
}

static void a_load_or_store_that_is_not_aligned_gets_an_alignment_fault(void **state)
{
	check_injected(hvf_abort_inject_data(ABORT | ISV | SAS(3) | SRT(3) | WNR, 1, HVF_ABORT_ALIGNMENT), 0x25, 0x21,
		       WNR);
}

static void faults_of_the_access_itself_stay_what_they_are(void **state)
{
	for (uint32_t fsc = 0; fsc < 64; fsc++)
		assert_int_equal(hvf_abort_status(with_status(ABORT | WNR, fsc)),
				 fsc == 0x21 || fsc == 0x35 ? fsc : 0x10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(loads_and_stores_of_a_register_are_emulated),
		cmocka_unit_test(what_names_no_register_is_not_emulated),
		cmocka_unit_test(only_a_fault_that_has_an_address_is_emulated),
		cmocka_unit_test(cache_maintenance_is_passed_over_unless_its_table_walk_fails),
		cmocka_unit_test(what_is_emulated_names_a_register_and_an_address),
		cmocka_unit_test(only_a_missing_page_is_worth_another_try),
		cmocka_unit_test(another_try_asks_for_what_the_access_needs),
		cmocka_unit_test(a_table_walk_without_permission_wants_to_write),
		cmocka_unit_test(cache_maintenance_is_tried_again_where_a_page_is_mapped_now),
		cmocka_unit_test(what_is_not_aligned_is_whole_in_RAM_only),
		cmocka_unit_test(loads_fill_the_register_as_the_instruction_says),
		cmocka_unit_test(the_guest_gets_an_external_abort_at_its_own_level),
		cmocka_unit_test(a_load_or_store_that_is_not_aligned_gets_an_alignment_fault),
		cmocka_unit_test(faults_of_the_access_itself_stay_what_they_are),
	};

	return cmocka_run_group_tests_name("hvf_abort", tests, NULL, NULL);
}
