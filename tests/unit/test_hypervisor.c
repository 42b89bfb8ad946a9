// SPDX-License-Identifier: BSD-3-Clause
/* The fake Hypervisor.framework over a simulated Mac: a guest of a few instructions. */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <Hypervisor/Hypervisor.h>
#include <libkern/OSCacheControl.h>

#include "test_dext_mac.h"

#define CODE		0x4000u
#define VECTORS		(CODE + 0x800)
#define BAR		0x10000000u
#define NOWHERE		0x20000000u
#define RAM		0x30000000u
#define SCTLR		0x30d00800

#define LDR_W0_X1	0xb9400020
#define LDRSH_X0_X1	0x79800020
#define LDRB_W0_X1	0x39400020
#define LDR_X0_X1	0xf9400020
#define LDR_W0_X1_POST	0xb8404420
#define LDR_Q0_X1	0x3dc00020
#define STR_Q0_X1	0x3d800020
#define LDP_W0_W2_X1	0x29400820
#define LDXR_W0_X1	0x885f7c20
#define STR_W2_X1	0xb9000022
#define STR_X2_X1	0xf9000022
#define ADD_X3_X3_1	0x91000463
#define DC_ZVA_X1	0xd50b7421
#define HVC_0		0xd4000002
#define HVC_1		0xd4000022
#define WFI		0xd503207f
#define UDF		0x00000000
#define BR_X1		0xd61f0020
#define B_SELF		0x14000000

#define CLASS(syndrome)	((syndrome) >> 26)
#define HVC_CLASS	0x16
#define DATA_CLASS	0x24
#define FETCH_CLASS	0x20

static struct {
	uint32_t *code;
	hv_vcpu_t vcpu;
	hv_vcpu_exit_t *exit;
	io_connect_t client;
	uint8_t *bar;
	size_t size;
} guest;

static void map_bar(unsigned int bar, hv_memory_flags_t flags)
{
	guest.client = client_open_claimed();
	guest.bar = client_map_memory(guest.client, QUIVER_DEXT_MEM_BAR0 + bar, &guest.size);
	assert_non_null(guest.bar);
	assert_int_equal(hv_vm_map(guest.bar, BAR, GRANULE, flags), HV_SUCCESS);
}

static int start(void **state)
{
	mac_start(*state ? *state : "--device endpoint");
	guest.code = memory_new(GRANULE);
	assert_int_equal(hv_vm_create(NULL), HV_SUCCESS);
	assert_int_equal(hv_vm_map(guest.code, CODE, GRANULE, HV_MEMORY_READ | HV_MEMORY_EXEC),
			 HV_SUCCESS);
	assert_int_equal(hv_vcpu_create(&guest.vcpu, &guest.exit, NULL), HV_SUCCESS);
	/* What the guest takes itself ends at its vector, with HVC #1. */
	for (unsigned int i = 0; i < 16; i++)
		guest.code[(VECTORS - CODE + 0x80 * i) / 4] = HVC_1;
	sys_dcache_flush(guest.code, GRANULE);
	assert_int_equal(hv_vcpu_set_sys_reg(guest.vcpu, HV_SYS_REG_SCTLR_EL1, SCTLR), HV_SUCCESS);
	assert_int_equal(hv_vcpu_set_vtimer_mask(guest.vcpu, true), HV_SUCCESS);
	assert_int_equal(hv_vcpu_set_sys_reg(guest.vcpu, HV_SYS_REG_VBAR_EL1, VECTORS), HV_SUCCESS);
	return 0;
}

static void leave(void)
{
	assert_int_equal(hv_vcpu_destroy(guest.vcpu), HV_SUCCESS);
	assert_int_equal(hv_vm_destroy(), HV_SUCCESS);
	if (guest.client)
		IOServiceClose(guest.client);
	guest.client = 0;
	memory_free(guest.code, GRANULE);
}

static int stop(void **state)
{
	leave();
	mac_stop();
	return 0;
}

static int stop_after_panic(void **state)
{
	leave();
	return 0;
}

static uint64_t reg(hv_reg_t name)
{
	uint64_t value;

	assert_int_equal(hv_vcpu_get_reg(guest.vcpu, name, &value), HV_SUCCESS);
	return value;
}

static uint64_t sys_reg(hv_sys_reg_t name)
{
	uint64_t value;

	assert_int_equal(hv_vcpu_get_sys_reg(guest.vcpu, name, &value), HV_SUCCESS);
	return value;
}

static void set_reg(hv_reg_t name, uint64_t value)
{
	assert_int_equal(hv_vcpu_set_reg(guest.vcpu, name, value), HV_SUCCESS);
}

/* Runs "add, instruction, add, hvc" with X1 as said: one that is retried or skipped shows. */
static hv_return_t attempt(uint32_t instruction, uint64_t x1)
{
	guest.code[0] = ADD_X3_X3_1;
	guest.code[1] = instruction;
	guest.code[2] = ADD_X3_X3_1;
	guest.code[3] = HVC_0;
	sys_dcache_flush(guest.code, 16);
	set_reg(HV_REG_PC, CODE);
	set_reg(HV_REG_CPSR, 0x3c5);
	set_reg(HV_REG_X0, 0x5555555555555555);
	set_reg(HV_REG_X1, x1);
	set_reg(HV_REG_X2, 0x1122334455667788);
	set_reg(HV_REG_X3, 0);
	return hv_vcpu_run(guest.vcpu);
}

static void run(uint32_t instruction, uint64_t x1)
{
	assert_int_equal(attempt(instruction, x1), HV_SUCCESS);
}

static void assert_finished(void)
{
	assert_int_equal(guest.exit->reason, HV_EXIT_REASON_EXCEPTION);
	assert_int_equal(guest.exit->exception.syndrome, (uint64_t)HVC_CLASS << 26 | 1u << 25);
	assert_int_equal(reg(HV_REG_X3), 2);
	assert_int_equal(reg(HV_REG_PC), CODE + 16);
}

/* The guest took it itself, at the instruction in the middle. */
static void assert_faulted(uint64_t address, unsigned int status, bool write)
{
	assert_int_equal(CLASS(guest.exit->exception.syndrome), HVC_CLASS);
	assert_int_equal(guest.exit->exception.syndrome & 0xffff, 1);
	assert_int_equal(reg(HV_REG_PC), VECTORS + 0x200 + 4);
	assert_int_equal(reg(HV_REG_X3), 1);
	assert_int_equal(reg(HV_REG_X0), 0x5555555555555555);
	assert_int_equal(sys_reg(HV_SYS_REG_ELR_EL1), CODE + 4);
	assert_int_equal(sys_reg(HV_SYS_REG_SPSR_EL1) & 0x3cf, 0x3c5);
	assert_int_equal(sys_reg(HV_SYS_REG_FAR_EL1), address);
	assert_int_equal(sys_reg(HV_SYS_REG_ESR_EL1),
			 0x25ull << 26 | 1u << 25 | (write ? 1u << 6 : 0) | status);
}

static void a_bar_is_read_and_written_at_any_natural_width(void **state)
{
	map_bar(3, HV_MEMORY_READ | HV_MEMORY_WRITE);
	*(uint64_t *)(void *)(guest.bar + 0x40) = 0x89abcdef01238765;
	run(LDR_W0_X1, BAR + 0x40);
	assert_finished();
	assert_int_equal(reg(HV_REG_X0), 0x01238765);
	run(LDR_X0_X1, BAR + 0x40);
	assert_int_equal(reg(HV_REG_X0), 0x89abcdef01238765);
	run(LDRB_W0_X1, BAR + 0x41);
	assert_int_equal(reg(HV_REG_X0), 0x87);
	run(LDRSH_X0_X1, BAR + 0x40);
	assert_int_equal(reg(HV_REG_X0), 0xffffffffffff8765);
	run(STR_W2_X1, BAR + 0x44);
	assert_finished();
	assert_int_equal(*(uint64_t *)(void *)(guest.bar + 0x40), 0x5566778801238765);
	run(STR_X2_X1, BAR + 0x40);
	assert_int_equal(*(uint64_t *)(void *)(guest.bar + 0x40), 0x1122334455667788);
}

static void aligned_pairs_vectors_and_writeback_work(void **state)
{
	map_bar(3, HV_MEMORY_READ | HV_MEMORY_WRITE);
	*(uint64_t *)(void *)(guest.bar + 0x40) = 0x89abcdef01238765;
	run(LDP_W0_W2_X1, BAR + 0x40);
	assert_finished();
	assert_int_equal(reg(HV_REG_X0), 0x01238765);
	assert_int_equal(reg(HV_REG_X2), 0x89abcdef);
	run(LDR_W0_X1_POST, BAR + 0x40);
	assert_finished();
	assert_int_equal(reg(HV_REG_X1), BAR + 0x44);
	run(LDR_Q0_X1, BAR + 0x40);
	assert_finished();
	run(STR_Q0_X1, BAR + 0x60);
	assert_finished();
	assert_memory_equal(guest.bar + 0x60, guest.bar + 0x40, 16);
}

static void what_device_memory_refuses_faults_in_the_guest(void **state)
{
	map_bar(3, HV_MEMORY_READ | HV_MEMORY_WRITE);
	run(LDR_W0_X1, BAR + 0x42);
	assert_faulted(BAR + 0x42, 0x21, false);
	run(STR_W2_X1, BAR + 0x41);
	assert_faulted(BAR + 0x41, 0x21, true);
	run(LDR_Q0_X1, BAR + 0x48);
	assert_faulted(BAR + 0x48, 0x21, false);
	run(STR_Q0_X1, BAR + 0x44);
	assert_faulted(BAR + 0x44, 0x21, true);
	run(DC_ZVA_X1, BAR + 0x50);
	assert_faulted(BAR + 0x40, 0x21, true);
	run(LDXR_W0_X1, BAR + 0x40);
	assert_faulted(BAR + 0x40, 0x35, false);
	assert_int_equal(*(uint32_t *)(void *)(guest.bar + 0x40), 0);
}

static void without_translation_ram_is_no_better_than_a_device(void **state)
{
	uint8_t *memory = memory_new(GRANULE);

	assert_int_equal(hv_vm_map(memory, RAM, GRANULE, HV_MEMORY_READ | HV_MEMORY_WRITE),
			 HV_SUCCESS);
	*(uint32_t *)(void *)(memory + 0x40) = 0x01238765;
	run(LDR_W0_X1, RAM + 0x40);
	assert_finished();
	assert_int_equal(reg(HV_REG_X0), 0x01238765);
	run(STR_Q0_X1, RAM + 0x60);
	assert_finished();
	run(LDR_W0_X1, RAM + 0x42);
	assert_faulted(RAM + 0x42, 0x21, false);
	run(STR_X2_X1, RAM + 0x44);
	assert_faulted(RAM + 0x44, 0x21, true);
	run(LDR_Q0_X1, RAM + 0x48);
	assert_faulted(RAM + 0x48, 0x21, false);
	run(DC_ZVA_X1, RAM + 0x50);
	assert_faulted(RAM + 0x40, 0x21, true);
	run(LDR_W0_X1, CODE + 2);
	assert_faulted(CODE + 2, 0x21, false);
	run(LDR_Q0_X1, CODE);
	assert_finished();
	assert_int_equal(*(uint32_t *)(void *)(memory + 0x40), 0x01238765);
	assert_int_equal(hv_vm_unmap(RAM, GRANULE), HV_SUCCESS);
	memory_free(memory, GRANULE);
}

static void code_that_was_not_flushed_is_not_seen(void **state)
{
	run(ADD_X3_X3_1, 0);
	assert_int_equal(reg(HV_REG_X3), 3);
	guest.code[1] = HVC_0;
	set_reg(HV_REG_PC, CODE);
	set_reg(HV_REG_X3, 0);
	assert_int_equal(hv_vcpu_run(guest.vcpu), HV_SUCCESS);
	assert_int_equal(reg(HV_REG_X3), 3);
	sys_dcache_flush(guest.code + 1, 4);
	set_reg(HV_REG_PC, CODE);
	set_reg(HV_REG_X3, 0);
	assert_int_equal(hv_vcpu_run(guest.vcpu), HV_SUCCESS);
	assert_int_equal(reg(HV_REG_X3), 1);
}

static void nothing_runs_before_it_was_said_how(void **state)
{
	assert_int_equal(hv_vcpu_destroy(guest.vcpu), HV_SUCCESS);
	assert_int_equal(hv_vcpu_create(&guest.vcpu, &guest.exit, NULL), HV_SUCCESS);
	assert_int_equal(attempt(ADD_X3_X3_1, 0), HV_ILLEGAL_GUEST_STATE);
	assert_int_equal(hv_vcpu_set_sys_reg(guest.vcpu, HV_SYS_REG_SCTLR_EL1, SCTLR), HV_SUCCESS);
	/* The timer's exit masks it. */
	run(ADD_X3_X3_1, 0);
	assert_int_equal(guest.exit->reason, HV_EXIT_REASON_VTIMER_ACTIVATED);
	assert_int_equal(reg(HV_REG_X3), 0);
	run(ADD_X3_X3_1, 0);
	assert_int_equal(reg(HV_REG_X3), 3);
}

static void an_address_without_memory_leaves_the_guest_with_its_syndrome(void **state)
{
	run(LDR_W0_X1, NOWHERE + 8);
	assert_int_equal(guest.exit->reason, HV_EXIT_REASON_EXCEPTION);
	assert_int_equal(guest.exit->exception.syndrome,
			 (uint64_t)DATA_CLASS << 26 | 1u << 25 | 1u << 24 | 2u << 22 | 0x07);
	assert_int_equal(guest.exit->exception.physical_address, NOWHERE + 8);
	assert_int_equal(reg(HV_REG_PC), CODE + 4);
	assert_int_equal(reg(HV_REG_X3), 1);
	run(STR_X2_X1, NOWHERE);
	assert_int_equal(guest.exit->exception.syndrome,
			 (uint64_t)DATA_CLASS << 26 | 1u << 25 | 1u << 24 | 3u << 22 | 2u << 16 |
			 1u << 15 | 1u << 6 | 0x07);
	/* What has no ISV cannot be emulated [H3]. */
	run(LDR_Q0_X1, NOWHERE);
	assert_int_equal(guest.exit->exception.syndrome,
			 (uint64_t)DATA_CLASS << 26 | 1u << 25 | 0x07);
	run(LDR_W0_X1_POST, NOWHERE);
	assert_int_equal(guest.exit->exception.syndrome & 1u << 24, 0);
	assert_int_equal(reg(HV_REG_X1), NOWHERE);
}

static void a_host_emulates_what_left_and_the_guest_goes_on(void **state)
{
	run(LDR_W0_X1, NOWHERE);
	set_reg(HV_REG_X0, 77);
	set_reg(HV_REG_PC, reg(HV_REG_PC) + 4);
	assert_int_equal(hv_vcpu_run(guest.vcpu), HV_SUCCESS);
	assert_finished();
	assert_int_equal(reg(HV_REG_X0), 77);
}

static void permissions_are_kept(void **state)
{
	map_bar(3, HV_MEMORY_READ);
	run(LDR_W0_X1, BAR);
	assert_finished();
	run(STR_W2_X1, BAR);
	assert_int_equal(CLASS(guest.exit->exception.syndrome), DATA_CLASS);
	assert_int_equal(guest.exit->exception.syndrome & 0x7f, 1u << 6 | 0x0f);
	assert_int_equal(*(uint32_t *)(void *)guest.bar, 0);
	/* The guest's own code is not mapped to be written. */
	run(STR_W2_X1, CODE + 0x100);
	assert_int_equal(CLASS(guest.exit->exception.syndrome), DATA_CLASS);
	assert_int_equal(guest.exit->exception.syndrome & 0x3f, 0x0f);
	run(BR_X1, BAR);
	assert_int_equal(CLASS(guest.exit->exception.syndrome), FETCH_CLASS);
	assert_int_equal(guest.exit->exception.syndrome & 0x3f, 0x0f);
	assert_int_equal(guest.exit->exception.physical_address, BAR);
	run(BR_X1, NOWHERE);
	assert_int_equal(CLASS(guest.exit->exception.syndrome), FETCH_CLASS);
	assert_int_equal(guest.exit->exception.syndrome & 0x3f, 0x07);
}

static void other_instructions_leave_or_are_the_guests_own(void **state)
{
	run(WFI, 0);
	assert_int_equal(CLASS(guest.exit->exception.syndrome), 0x01);
	assert_int_equal(reg(HV_REG_PC), CODE + 4);
	run(UDF, 0);
	assert_int_equal(guest.exit->exception.syndrome & 0xffff, 1);
	assert_int_equal(CLASS(sys_reg(HV_SYS_REG_ESR_EL1)), 0);
	assert_int_equal(sys_reg(HV_SYS_REG_ELR_EL1), CODE + 4);
}

static void *cancel(void *argument)
{
	struct timespec moment = { .tv_nsec = 20000000 };
	hv_vcpu_t vcpu = guest.vcpu;

	nanosleep(&moment, NULL);
	assert_int_equal(hv_vcpus_exit(&vcpu, 1), HV_SUCCESS);
	return NULL;
}

static void a_guest_that_never_leaves_is_made_to(void **state)
{
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, cancel, NULL), 0);
	run(B_SELF, 0);
	pthread_join(thread, NULL);
	assert_int_equal(guest.exit->reason, HV_EXIT_REASON_CANCELED);
	assert_int_equal(reg(HV_REG_PC), CODE + 4);
}

static void the_rules_of_maps_are_kept(void **state)
{
	uint8_t *memory = memory_new(2 * GRANULE);
	const hv_memory_flags_t flags = HV_MEMORY_READ;
	hv_vcpu_exit_t *exit;
	hv_vcpu_t vcpu;

	assert_int_equal(hv_vm_map(memory + 4096, BAR, GRANULE, flags), HV_BAD_ARGUMENT);
	assert_int_equal(hv_vm_map(memory, BAR + 4096, GRANULE, flags), HV_BAD_ARGUMENT);
	assert_int_equal(hv_vm_map(memory, BAR, 4096, flags), HV_BAD_ARGUMENT);
	assert_int_equal(hv_vm_map(memory, BAR, 0, flags), HV_BAD_ARGUMENT);
	assert_int_equal(hv_vm_map(memory, 1ull << 36, GRANULE, flags), HV_BAD_ARGUMENT);
	assert_int_equal(hv_vm_map(memory, BAR, GRANULE, 8), HV_BAD_ARGUMENT);
	assert_int_equal(hv_vm_map(memory, CODE, GRANULE, flags), HV_BAD_ARGUMENT);
	assert_int_equal(hv_vm_map(memory, 0, 2 * GRANULE, flags), HV_BAD_ARGUMENT);
	assert_int_equal(hv_vm_map(memory, BAR, 2 * GRANULE, flags), HV_SUCCESS);
	assert_int_equal(hv_vm_unmap(BAR + GRANULE, 2 * GRANULE), HV_BAD_ARGUMENT);
	assert_int_equal(hv_vm_unmap(BAR, 2 * GRANULE), HV_SUCCESS);
	assert_int_equal(hv_vm_create(NULL), HV_BUSY);
	assert_int_equal(hv_vm_destroy(), HV_BUSY);
	assert_int_equal(hv_vcpu_create(&vcpu, &exit, NULL), HV_NO_RESOURCES);
	memory_free(memory, 2 * GRANULE);
}

static void a_bar_that_iokit_unmapped_is_gone_for_the_guest(void **state)
{
	map_bar(3, HV_MEMORY_READ | HV_MEMORY_WRITE);
	assert_int_equal(IOConnectUnmapMemory64(guest.client, QUIVER_DEXT_MEM_BAR0 + 3,
						mach_task_self(), (uintptr_t)guest.bar),
			 kIOReturnSuccess);
	run(LDR_W0_X1, BAR);
	assert_int_equal(CLASS(guest.exit->exception.syndrome), DATA_CLASS);
	assert_int_equal(guest.exit->exception.syndrome & 0x3f, 0x07);
}

static void the_mac_lives_with_an_executable_bar_that_nobody_touches(void **state)
{
	map_bar(3, HV_MEMORY_READ | HV_MEMORY_WRITE | HV_MEMORY_EXEC);
	run(ADD_X3_X3_1, BAR);
	assert_int_equal(reg(HV_REG_X3), 3);
	assert_true(mac_alive());
}

/* The touch kills us on a Mac, and here: so it is a child that touches. */
static void touch(uint32_t instruction)
{
	map_bar(3, HV_MEMORY_READ | HV_MEMORY_WRITE | HV_MEMORY_EXEC);
	assert_int_equal(attempt(instruction, BAR + 0x40), HV_NO_DEVICE);
}

static void a_touched_executable_bar_panics_the_mac(void **state)
{
	const uint32_t how[] = { LDR_W0_X1, STR_W2_X1, BR_X1 };
	const char *report;

	for (size_t i = 0; i < 3; i++) {
		if (i)
			start(state);
		touch(how[i]);
		report = mac_panic();
		assert_non_null(strstr(report, "PANIC [H1]"));
		assert_non_null(strstr(report, how[i] == BR_X1 ? "fetch" : "access"));
		assert_int_equal(hv_vcpu_run(guest.vcpu), HV_NO_DEVICE);
		if (i < 2)
			leave();
	}
}

/* RAM that reaches into a BAR, as one large region of a careless VMM does. */
static void a_range_with_any_of_a_bar_in_it_is_a_device(void **state)
{
	uint8_t *page;

	guest.client = client_open_claimed();
	guest.bar = client_map_memory(guest.client, QUIVER_DEXT_MEM_BAR0 + 3, &guest.size);
	assert_non_null(guest.bar);
	page = guest.bar + guest.size - GRANULE;
	/* What comes behind a mapping is there, if it is the system's own or ours. */
	mmap(page + GRANULE, GRANULE, PROT_READ | PROT_WRITE,
	     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	assert_int_equal(hv_vm_map(page, BAR, 2 * GRANULE,
				   HV_MEMORY_READ | HV_MEMORY_WRITE | HV_MEMORY_EXEC), HV_SUCCESS);
	assert_int_equal(attempt(LDR_W0_X1, BAR + 0x40), HV_NO_DEVICE);
	assert_non_null(strstr(mac_panic(), "PANIC [H1]"));
}

static void each_call_can_be_made_to_fail(void **state)
{
	static char call[64];
	static const struct {
		const char *name;
		hv_return_t result;
	} calls[] = {
		{ "hv_vm_create", HV_DENIED }, { "hv_vm_map", HV_NO_RESOURCES },
		{ "hv_vcpu_create", HV_NO_RESOURCES }, { "hv_vcpu_run", HV_ERROR },
	};
	hv_vcpu_exit_t *exit;
	hv_vcpu_t vcpu;

	for (size_t i = 0; i < 4; i++) {
		snprintf(call, sizeof(call), "fail %s 1", calls[i].name);
		free(mac_control("%s", call));
	}
	assert_int_equal(hv_vm_create(NULL), calls[0].result);
	assert_int_equal(hv_vm_map(guest.code, BAR, GRANULE, HV_MEMORY_READ), calls[1].result);
	assert_int_equal(hv_vcpu_create(&vcpu, &exit, NULL), calls[2].result);
	assert_int_equal(hv_vcpu_run(guest.vcpu), calls[3].result);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, start, stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_bar_is_read_and_written_at_any_natural_width),
		TEST(aligned_pairs_vectors_and_writeback_work),
		TEST(what_device_memory_refuses_faults_in_the_guest),
		TEST(without_translation_ram_is_no_better_than_a_device),
		TEST(code_that_was_not_flushed_is_not_seen),
		TEST(nothing_runs_before_it_was_said_how),
		TEST(an_address_without_memory_leaves_the_guest_with_its_syndrome),
		TEST(a_host_emulates_what_left_and_the_guest_goes_on),
		TEST(permissions_are_kept),
		TEST(other_instructions_leave_or_are_the_guests_own),
		TEST(a_guest_that_never_leaves_is_made_to),
		TEST(the_rules_of_maps_are_kept),
		TEST(a_bar_that_iokit_unmapped_is_gone_for_the_guest),
		TEST(the_mac_lives_with_an_executable_bar_that_nobody_touches),
		cmocka_unit_test_setup_teardown(a_touched_executable_bar_panics_the_mac, start,
						stop_after_panic),
		cmocka_unit_test_setup_teardown(a_range_with_any_of_a_bar_in_it_is_a_device, start,
						stop_after_panic),
		TEST(each_call_can_be_made_to_fail),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
