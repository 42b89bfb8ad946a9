// SPDX-License-Identifier: BSD-3-Clause
/* The vCPU: Unicorn runs it, from one thing that it must not do alone to the next. */
#include <stdlib.h>
#include <string.h>

#include "internal.h"
#include "map.h"

#define VCPU_ID	0

/* Before each instruction. Unicorn knows the PC of a fault only because this is here. */
static void on_instruction(uc_engine *uc, uint64_t address, uint32_t size, void *context)
{
	struct guest_vcpu *vcpu = context;

	vcpu->at = address;
	if (vcpu->stepping)
		return;
	if (atomic_load_explicit(&vcpu->cancelled, memory_order_relaxed)) {
		uc_emu_stop(uc);
		return;
	}
	if (uc_mem_read(uc, address, &vcpu->instruction, sizeof(vcpu->instruction)))
		return;
	vcpu->trapped = simmac_exits(vcpu->instruction) ||
			(vcpu->instruction & 0xffffffe0) == 0xd50b7420;	/* DC ZVA, by bytes else */
	if (vcpu->trapped)
		uc_emu_stop(uc);
}

static bool on_fault(uc_engine *uc, uc_mem_type type, uint64_t address, int size, int64_t value,
		     void *context)
{
	struct guest_vcpu *vcpu = context;

	if (!vcpu->faulted) {
		vcpu->faulted = true;
		vcpu->address = address;
		vcpu->fetch = type == UC_MEM_FETCH_UNMAPPED || type == UC_MEM_FETCH_PROT;
	}
	return false;
}

static void on_interrupt(uc_engine *uc, uint32_t number, void *context)
{
	struct guest_vcpu *vcpu = context;

	vcpu->interrupted = true;
	vcpu->interrupt = number;
	uc_emu_stop(uc);
}

/* Unicorn asks for each access whether it is allowed while somebody listens, else for a page's first. */
static void on_access(uc_engine *uc, uc_mem_type type, uint64_t address, int size, int64_t value,
		      void *context)
{
}

static bool add_hooks(struct guest_vcpu *vcpu)
{
	uc_hook hook;

	return !uc_hook_add(vcpu->uc, &hook, UC_HOOK_CODE, (void *)(uintptr_t)on_instruction, vcpu,
			    1, 0) &&
	       !uc_hook_add(vcpu->uc, &hook, UC_HOOK_MEM_INVALID, (void *)(uintptr_t)on_fault, vcpu,
			    1, 0) &&
	       !uc_hook_add(vcpu->uc, &hook, UC_HOOK_MEM_READ | UC_HOOK_MEM_WRITE,
			    (void *)(uintptr_t)on_access, vcpu, 1, 0) &&
	       !uc_hook_add(vcpu->uc, &hook, UC_HOOK_INTR, (void *)(uintptr_t)on_interrupt, vcpu,
			    1, 0);
}

static bool show_all_locked(struct guest_vcpu *vcpu)
{
	struct guest_region *region;

	for (region = simmac_vm.regions; region; region = region->next)
		if (simmac_region_show(vcpu->uc, region))
			return false;
	return true;
}

static hv_return_t create_locked(hv_vcpu_exit_t **exit)
{
	struct guest_vcpu *vcpu;

	if (!simmac_vm.created)
		return HV_NO_DEVICE;
	if (simmac_vm.vcpu)
		return HV_NO_RESOURCES;
	vcpu = calloc(1, sizeof(*vcpu));
	if (!vcpu)
		return HV_NO_RESOURCES;
	if (uc_open(UC_ARCH_ARM64, UC_MODE_ARM, &vcpu->uc)) {
		free(vcpu);
		return HV_NO_RESOURCES;
	}
	if (!add_hooks(vcpu) || !show_all_locked(vcpu)) {
		uc_close(vcpu->uc);
		free(vcpu);
		return HV_ERROR;
	}
	vcpu->owner = pthread_self();
	simmac_vm.vcpu = vcpu;
	*exit = &vcpu->exit;
	return HV_SUCCESS;
}

hv_return_t hv_vcpu_create(hv_vcpu_t *vcpu, hv_vcpu_exit_t **exit, hv_vcpu_config_t config)
{
	hv_return_t result = simmac_hypervisor_call("hv_vcpu_create", HV_NO_RESOURCES);

	if (result)
		return result;
	if (config)
		return HV_UNSUPPORTED;
	pthread_mutex_lock(&simmac_vm.lock);
	result = create_locked(exit);
	pthread_mutex_unlock(&simmac_vm.lock);
	*vcpu = VCPU_ID;
	return result;
}

/* NULL: no such vCPU, or another thread's. */
static struct guest_vcpu *own(hv_vcpu_t id)
{
	struct guest_vcpu *vcpu = simmac_vm.vcpu;

	return id == VCPU_ID && vcpu && pthread_equal(vcpu->owner, pthread_self()) ? vcpu : NULL;
}

hv_return_t hv_vcpu_destroy(hv_vcpu_t id)
{
	struct guest_vcpu *vcpu = own(id);

	if (!vcpu)
		return HV_BAD_ARGUMENT;
	pthread_mutex_lock(&simmac_vm.lock);
	simmac_vm.vcpu = NULL;
	pthread_mutex_unlock(&simmac_vm.lock);
	uc_close(vcpu->uc);
	free(vcpu);
	return HV_SUCCESS;
}

hv_return_t hv_vcpus_exit(hv_vcpu_t *vcpus, uint32_t vcpu_count)
{
	hv_return_t result = HV_SUCCESS;

	pthread_mutex_lock(&simmac_vm.lock);
	for (uint32_t i = 0; i < vcpu_count; i++) {
		if (vcpus[i] == VCPU_ID && simmac_vm.vcpu)
			atomic_store(&simmac_vm.vcpu->cancelled, true);
		else
			result = HV_BAD_ARGUMENT;
	}
	pthread_mutex_unlock(&simmac_vm.lock);
	return result;
}

/* A mapping of IOKit's that is gone is gone for the guest too. */
static struct guest_region *region_at(uint64_t address)
{
	struct guest_region *region = simmac_region_find(simmac_vm.regions, address);

	if (region && region->device && !simmac_mapping_is_device(region->memory, region->size))
		return NULL;
	return region;
}

/* True: the guest goes on. */
static bool fetch_fault(struct guest_vcpu *vcpu)
{
	struct guest_region *region = region_at(vcpu->address);

	if (region && region->device && region->flags & HV_MEMORY_EXEC) {
		simmac_hypervisor_touched(vcpu->address, true);
		vcpu->gone = true;
		return true;
	}
	simmac_exit_fetch(vcpu, region ? STATUS_PERMISSION : STATUS_TRANSLATION);
	return false;
}

static bool data_fault(struct guest_vcpu *vcpu)
{
	struct guest_region *region = region_at(vcpu->address);
	struct guest_access access;
	unsigned int status;

	if (!simmac_decode(vcpu->instruction, &access))
		access = (struct guest_access){ .element = 1 };
	if (!region) {
		simmac_exit_data(vcpu, &access, STATUS_TRANSLATION);
		return false;
	}
	if (!(region->flags & (access.write ? HV_MEMORY_WRITE : HV_MEMORY_READ))) {
		simmac_exit_data(vcpu, &access, STATUS_PERMISSION);
		return false;
	}
	if (simmac_device_access(vcpu, region, &access, &status))
		return true;
	simmac_exception_data(vcpu, access.write, status);
	return true;
}

static void prepare_zero(struct guest_vcpu *vcpu)
{
	unsigned int n = vcpu->instruction & 31;
	int reg = n < 29 ? UC_ARM64_REG_X0 + (int)n : n == 29 ? UC_ARM64_REG_X29 : UC_ARM64_REG_X30;

	vcpu->trapped = false;
	vcpu->faulted = true;
	vcpu->address = 0;
	if (n != 31)
		uc_reg_read(vcpu->uc, reg, &vcpu->address);
	vcpu->address &= ~63ull;
}

static void execute(struct guest_vcpu *vcpu)
{
	uint64_t pc;

	vcpu->trapped = vcpu->faulted = vcpu->interrupted = vcpu->fetch = false;
	uc_reg_read(vcpu->uc, UC_ARM64_REG_PC, &pc);
	vcpu->at = pc;
	uc_emu_start(vcpu->uc, pc, ~0ull, 0, 0);
	if (vcpu->trapped && !simmac_exits(vcpu->instruction))
		prepare_zero(vcpu);
}

/* True: the guest goes on. */
static bool run_once(struct guest_vcpu *vcpu)
{
	if (atomic_exchange(&vcpu->cancelled, false)) {
		vcpu->exit = (hv_vcpu_exit_t){ .reason = HV_EXIT_REASON_CANCELED };
		return false;
	}
	execute(vcpu);
	if (vcpu->faulted)
		return vcpu->fetch ? fetch_fault(vcpu) : data_fault(vcpu);
	if (vcpu->trapped) {
		simmac_exit_instruction(vcpu);
		return false;
	}
	if (vcpu->interrupted)
		simmac_exception_undefined(vcpu);
	return true;
}

/* Code that the host has changed since: what is translated of it goes. */
static void forget_code(struct guest_vcpu *vcpu)
{
	struct guest_region *region;

	for (region = simmac_vm.regions; region; region = region->next)
		if (!region->device && region->flags & HV_MEMORY_EXEC)
			uc_ctl_remove_cache(vcpu->uc, region->ipa, region->ipa + region->size);
}

hv_return_t hv_vcpu_run(hv_vcpu_t id)
{
	struct guest_vcpu *vcpu = own(id);
	hv_return_t result = simmac_hypervisor_call("hv_vcpu_run", HV_ERROR);

	if (!vcpu)
		return HV_BAD_ARGUMENT;
	if (result)
		return result;
	if (!vcpu->has_sctlr)
		return HV_ILLEGAL_GUEST_STATE;
	if (!vcpu->timer_masked) {
		vcpu->timer_masked = true;
		vcpu->exit = (hv_vcpu_exit_t){ .reason = HV_EXIT_REASON_VTIMER_ACTIVATED };
		return HV_SUCCESS;
	}
	forget_code(vcpu);
	while (!vcpu->gone && run_once(vcpu))
		;
	return vcpu->gone ? HV_NO_DEVICE : HV_SUCCESS;
}

static int uc_register(hv_reg_t reg)
{
	if (reg <= HV_REG_X28)
		return UC_ARM64_REG_X0 + (int)reg;
	switch (reg) {
	case HV_REG_X29:
		return UC_ARM64_REG_X29;
	case HV_REG_X30:
		return UC_ARM64_REG_X30;
	case HV_REG_PC:
		return UC_ARM64_REG_PC;
	case HV_REG_FPCR:
		return UC_ARM64_REG_FPCR;
	case HV_REG_FPSR:
		return UC_ARM64_REG_FPSR;
	case HV_REG_CPSR:
		return UC_ARM64_REG_PSTATE;
	default:
		return UC_ARM64_REG_INVALID;
	}
}

hv_return_t hv_vcpu_get_reg(hv_vcpu_t id, hv_reg_t reg, uint64_t *value)
{
	struct guest_vcpu *vcpu = own(id);
	int name = uc_register(reg);

	*value = 0;
	if (!vcpu || name == UC_ARM64_REG_INVALID || uc_reg_read(vcpu->uc, name, value))
		return HV_BAD_ARGUMENT;
	return HV_SUCCESS;
}

hv_return_t hv_vcpu_set_reg(hv_vcpu_t id, hv_reg_t reg, uint64_t value)
{
	struct guest_vcpu *vcpu = own(id);
	int name = uc_register(reg);

	if (!vcpu || name == UC_ARM64_REG_INVALID || uc_reg_write(vcpu->uc, name, &value))
		return HV_BAD_ARGUMENT;
	return HV_SUCCESS;
}

static uc_arm64_cp_reg uc_system_register(hv_sys_reg_t reg, uint64_t value)
{
	return (uc_arm64_cp_reg){
		.op0 = reg >> 14 & 3, .op1 = reg >> 11 & 7, .crn = reg >> 7 & 15,
		.crm = reg >> 3 & 15, .op2 = reg & 7, .val = value,
	};
}

hv_return_t hv_vcpu_get_sys_reg(hv_vcpu_t id, hv_sys_reg_t reg, uint64_t *value)
{
	uc_arm64_cp_reg name = uc_system_register(reg, 0);
	struct guest_vcpu *vcpu = own(id);

	if (!vcpu || uc_reg_read(vcpu->uc, UC_ARM64_REG_CP_REG, &name))
		return HV_BAD_ARGUMENT;
	*value = name.val;
	return HV_SUCCESS;
}

/* The guest's own translation is not modelled: faults are told by physical addresses. */
hv_return_t hv_vcpu_set_sys_reg(hv_vcpu_t id, hv_sys_reg_t reg, uint64_t value)
{
	uc_arm64_cp_reg name = uc_system_register(reg, value);
	struct guest_vcpu *vcpu = own(id);

	if (reg == HV_SYS_REG_SCTLR_EL1 && value & 1)
		return HV_UNSUPPORTED;
	if (!vcpu || uc_reg_write(vcpu->uc, UC_ARM64_REG_CP_REG, &name))
		return HV_BAD_ARGUMENT;
	vcpu->has_sctlr = vcpu->has_sctlr || reg == HV_SYS_REG_SCTLR_EL1;
	return HV_SUCCESS;
}

/* There is no timer here. One that is not masked may be pending from the start, so it is. */
hv_return_t hv_vcpu_set_vtimer_mask(hv_vcpu_t id, bool masked)
{
	struct guest_vcpu *vcpu = own(id);

	if (!vcpu)
		return HV_BAD_ARGUMENT;
	vcpu->timer_masked = masked;
	return HV_SUCCESS;
}
