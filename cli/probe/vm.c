// SPDX-License-Identifier: BSD-3-Clause
#include "vm.h"

#include <assert.h>
#include <libkern/OSCacheControl.h>
#include <string.h>
#include <sys/mman.h>

#include "../cli.h"

#define PAGE		16384u		/* [H2] */
#define CODE		0x10000u
#define VECTORS		0x800u		/* in the page of code */
#define VECTOR_SIZE	0x80u
#define PROGRAMS	0x1000u		/* behind the vectors */
#define PROGRAM_SIZE	128u		/* a cache line of Apple's */
#define HVC_1		0xd4000022u	/* what the guest does when it faults itself */
#define CPSR_EL1H	0x3c5u		/* interrupts masked */
#define SCTLR_RESET	0x30d00800u	/* what is always 1; no translation, no caches */
#define SECONDS		5

#define CLASS(syndrome)	((unsigned int)((syndrome) >> 26 & 0x3f))
#define CLASS_HVC	0x16u
#define CLASS_FETCH	0x20u
#define CLASS_DATA	0x24u

static const struct {
	hv_return_t error;
	const char *text, *cure;
} errors[] = {
	{ HV_DENIED, "denied: the program is not signed with com.apple.security.hypervisor",
	  "use the quiver that 'make mac' built and signed, not a copy that lost its signature" },
	{ HV_UNSUPPORTED, "not supported here", "this needs Apple silicon and macOS 13 or later" },
	{ HV_NO_DEVICE, "there is no hypervisor", "this needs Apple silicon, and no VM around it" },
	{ HV_BUSY, "busy", "end other programs that run VMs, and try again" },
	{ HV_NO_RESOURCES, "no resources are left", "end other VMs, and try again" },
	{ HV_BAD_ARGUMENT, "refused as malformed", "send the record in" },
	{ HV_ILLEGAL_GUEST_STATE, "the guest's state is not one that there can be",
	  "send the record in" },
};

/* True when the call worked. */
static bool check(struct quiver_probe_outcome *outcome, const char *call, hv_return_t error)
{
	if (!error)
		return true;
	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++)
		if (errors[i].error == error)
			quiver_probe_fail(outcome, errors[i].cure, "%s: %s", call, errors[i].text);
	quiver_probe_fail(outcome, "send the record in", "%s: error 0x%08x", call,
			  (unsigned int)error);
	return false;
}

static void *watch(void *context)
{
	struct quiver_probe_vm *vm = context;

	while (!atomic_load(&vm->over)) {
		uint64_t since = atomic_load(&vm->since);

		if (since && quiver_probe_now() - since > SECONDS * 1000000000ull)
			hv_vcpus_exit(&vm->vcpu, 1);
		quiver_probe_pause_us(10000);
	}
	return NULL;
}

static bool start_vcpu(struct quiver_probe_vm *vm, struct quiver_probe_outcome *outcome)
{
	if (!check(outcome, "hv_vcpu_create", hv_vcpu_create(&vm->vcpu, &vm->exit, NULL)))
		return false;
	vm->has_vcpu = true;
	vm->watching = !pthread_create(&vm->watchdog, NULL, watch, vm);
	if (!vm->watching)
		quiver_probe_fail(outcome, "end other programs, and try again",
				  "no thread can be had");
	/* What a vCPU begins with is written nowhere. */
	return vm->watching &&
	       check(outcome, "hv_vcpu_set_sys_reg",
		     hv_vcpu_set_sys_reg(vm->vcpu, HV_SYS_REG_SCTLR_EL1, SCTLR_RESET)) &&
	       check(outcome, "hv_vcpu_set_sys_reg",
		     hv_vcpu_set_sys_reg(vm->vcpu, HV_SYS_REG_VBAR_EL1, CODE + VECTORS)) &&
	       check(outcome, "hv_vcpu_set_vtimer_mask", hv_vcpu_set_vtimer_mask(vm->vcpu, true));
}

/*
 * With its caches off the guest may fetch from memory itself, where what was
 * written is only once no cache has it any more.
 */
static void publish(void *start, size_t length)
{
	sys_dcache_flush(start, length);
	__builtin___clear_cache((char *)start, (char *)start + length);
}

/* A range of its own, as hv_vm_map() wants it. Aligned by hand: a host's pages may be smaller. */
static bool get_code(struct quiver_probe_vm *vm, struct quiver_probe_outcome *outcome)
{
	uint8_t *room = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANON, -1, 0);

	if (room == MAP_FAILED) {
		quiver_probe_fail(outcome, "end other programs, and try again", "out of memory");
		return false;
	}
	vm->room = room;
	vm->code = (void *)(room + (PAGE - (uintptr_t)room % PAGE) % PAGE);
	vm->free = vm->code + PROGRAMS / sizeof(*vm->code);
	for (unsigned int at = VECTORS; at < VECTORS + 16 * VECTOR_SIZE; at += VECTOR_SIZE)
		vm->code[at / sizeof(*vm->code)] = HVC_1;
	publish(vm->code, PAGE);
	return true;
}

bool quiver_probe_vm_open(struct quiver_probe_vm *vm, struct quiver_probe_outcome *outcome)
{
	*vm = (struct quiver_probe_vm){ .code = NULL };
	if (!get_code(vm, outcome) || !check(outcome, "hv_vm_create", hv_vm_create(NULL)))
		return false;
	vm->created = true;
	return check(outcome, "hv_vm_map",
		     hv_vm_map(vm->code, CODE, PAGE, HV_MEMORY_READ | HV_MEMORY_EXEC)) &&
	       start_vcpu(vm, outcome);
}

void quiver_probe_vm_close(struct quiver_probe_vm *vm)
{
	atomic_store(&vm->over, true);
	if (vm->watching)
		pthread_join(vm->watchdog, NULL);
	if (vm->has_vcpu)
		hv_vcpu_destroy(vm->vcpu);
	if (vm->mapped)
		hv_vm_unmap(QUIVER_PROBE_VM_BAR, PAGE);
	if (vm->created)
		hv_vm_destroy();
	if (vm->room)
		munmap(vm->room, 2 * PAGE);
}

/* The one line that the whole project began with: EXEC here, and the Mac goes down [H1]. */
#define BAR_FLAGS (HV_MEMORY_READ | HV_MEMORY_WRITE)

_Static_assert(!(BAR_FLAGS & HV_MEMORY_EXEC), "a BAR is never executable [H1]");

bool quiver_probe_vm_map_bar(struct quiver_probe_vm *vm, const struct quiver_probe_bar *bar,
			     struct quiver_probe_outcome *outcome)
{
	vm->mapped = check(
		outcome, "hv_vm_map of the BAR",
		hv_vm_map((void *)(uintptr_t)bar->at, QUIVER_PROBE_VM_BAR, PAGE, BAR_FLAGS));
	return vm->mapped;
}

void quiver_probe_vm_load(struct quiver_probe_vm *vm, const uint32_t *code, size_t words)
{
	size_t size = words * sizeof(*code);

	if (!vm->loaded || memcmp(vm->loaded, code, size)) {
		assert(size <= PROGRAM_SIZE && vm->free < vm->code + PAGE / sizeof(*vm->code));
		memcpy(vm->free, code, size);
		publish(vm->free, size);
		vm->loaded = vm->free;
		vm->free += PROGRAM_SIZE / sizeof(*vm->free);
	}
	quiver_probe_vm_set(vm, HV_REG_PC,
			    CODE + (uint64_t)(vm->loaded - vm->code) * sizeof(*vm->code));
	quiver_probe_vm_set(vm, HV_REG_CPSR, CPSR_EL1H);
}

uint64_t quiver_probe_vm_get(struct quiver_probe_vm *vm, hv_reg_t reg)
{
	uint64_t value = 0;

	hv_vcpu_get_reg(vm->vcpu, reg, &value);
	return value;
}

void quiver_probe_vm_set(struct quiver_probe_vm *vm, hv_reg_t reg, uint64_t value)
{
	hv_vcpu_set_reg(vm->vcpu, reg, value);
}

/* The guest took an exception at its own vector, and said so by HVC #1. */
static void tell_own_fault(struct quiver_probe_vm *vm, struct quiver_probe_outcome *outcome)
{
	uint64_t syndrome = 0, address = 0;

	hv_vcpu_get_sys_reg(vm->vcpu, HV_SYS_REG_ESR_EL1, &syndrome);
	hv_vcpu_get_sys_reg(vm->vcpu, HV_SYS_REG_FAR_EL1, &address);
	quiver_probe_fail(outcome, "send the record in",
			  "the guest faulted: syndrome 0x%llx, address 0x%llx",
			  (unsigned long long)syndrome, (unsigned long long)address);
}

static enum quiver_probe_vm_end judge(struct quiver_probe_vm *vm,
				      struct quiver_probe_outcome *outcome)
{
	const hv_vcpu_exit_exception_t *exception = &vm->exit->exception;
	uint64_t syndrome = exception->syndrome;

	if (vm->exit->reason == HV_EXIT_REASON_CANCELED) {
		quiver_probe_fail(outcome,
				  "switch the enclosure off and on, and send the record in",
				  "the guest did not come back in %d s", SECONDS);
		return QUIVER_PROBE_VM_FAILED;
	}
	if (vm->exit->reason == HV_EXIT_REASON_EXCEPTION) {
		if (CLASS(syndrome) == CLASS_HVC && !(syndrome & 0xffff))
			return QUIVER_PROBE_VM_DONE;
		if (CLASS(syndrome) == CLASS_DATA &&
		    exception->physical_address >> 32 == QUIVER_PROBE_VM_NOWHERE >> 32)
			return QUIVER_PROBE_VM_TRAP;
		if (CLASS(syndrome) == CLASS_HVC) {
			tell_own_fault(vm, outcome);
			return QUIVER_PROBE_VM_FAILED;
		}
	}
	quiver_probe_fail(outcome, "send the record in",
			  "the guest left for another reason: %u, syndrome 0x%llx, address 0x%llx",
			  vm->exit->reason, (unsigned long long)syndrome,
			  (unsigned long long)exception->physical_address);
	return QUIVER_PROBE_VM_FAILED;
}

enum quiver_probe_vm_end quiver_probe_vm_run(struct quiver_probe_vm *vm,
					     struct quiver_probe_outcome *outcome)
{
	hv_return_t error;

	atomic_store(&vm->since, quiver_probe_now());
	error = hv_vcpu_run(vm->vcpu);
	atomic_store(&vm->since, 0);
	if (!check(outcome, "hv_vcpu_run", error))
		return QUIVER_PROBE_VM_FAILED;
	return judge(vm, outcome);
}
