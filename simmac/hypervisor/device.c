// SPDX-License-Identifier: BSD-3-Clause
/* Accesses of the guest: Device-nGnRnE, of a BAR whatever the guest thinks [H2 H3]. */
#include "internal.h"
#include "map.h"

static uint64_t load(const uint8_t *at, unsigned int size)
{
	switch (size) {
	case 1:
		return *(const volatile uint8_t *)at;
	case 2:
		return *(const volatile uint16_t *)(const void *)at;
	case 4:
		return *(const volatile uint32_t *)(const void *)at;
	default:
		return *(const volatile uint64_t *)(const void *)at;
	}
}

static void store(uint8_t *at, unsigned int size, uint64_t value)
{
	switch (size) {
	case 1:
		*(volatile uint8_t *)at = (uint8_t)value;
		break;
	case 2:
		*(volatile uint16_t *)(void *)at = (uint16_t)value;
		break;
	case 4:
		*(volatile uint32_t *)(void *)at = (uint32_t)value;
		break;
	default:
		*(volatile uint64_t *)(void *)at = value;
	}
}

static uint64_t extend(uint64_t value, const struct guest_access *access)
{
	unsigned int unused = 64 - 8 * access->element;

	if (access->sign)
		value = (uint64_t)((int64_t)(value << unused) >> unused);
	return access->wide ? value : (uint32_t)value;
}

static int x_register(unsigned int n)
{
	return n < 29 ? UC_ARM64_REG_X0 + (int)n : n == 29 ? UC_ARM64_REG_X29 : UC_ARM64_REG_X30;
}

static void access_simply(struct guest_vcpu *vcpu, uint8_t *at, const struct guest_access *access)
{
	uint64_t value = 0, pc = vcpu->at + 4;

	if (access->write) {
		if (access->rt != 31)
			uc_reg_read(vcpu->uc, x_register(access->rt), &value);
		store(at, access->element, value);
	} else {
		value = extend(load(at, access->element), access);
		if (access->rt != 31)
			uc_reg_write(vcpu->uc, x_register(access->rt), &value);
	}
	uc_reg_write(vcpu->uc, UC_ARM64_REG_PC, &pc);
}

/* Pairs, vectors, writeback: Unicorn does the one instruction itself, with the pages in sight. */
static void access_by_step(struct guest_vcpu *vcpu, const struct guest_region *region)
{
	hv_ipa_t page = vcpu->address & ~(hv_ipa_t)(PAGE - 1);
	size_t offset = page - region->ipa;
	size_t size = region->size - offset > PAGE ? 2 * PAGE : PAGE;
	bool shown = simmac_region_is_shown(region);

	if (shown ? uc_mem_protect(vcpu->uc, page, size, UC_PROT_ALL) :
		    uc_mem_map_ptr(vcpu->uc, page, size, UC_PROT_READ | UC_PROT_WRITE,
				   simmac_region_seen(region) + offset))
		return;
	vcpu->stepping = true;
	uc_emu_start(vcpu->uc, vcpu->at, ~0ull, 0, 1);
	vcpu->stepping = false;
	if (shown)
		uc_mem_protect(vcpu->uc, page, size, UC_PROT_EXEC);
	else
		uc_mem_unmap(vcpu->uc, page, size);
}

bool simmac_device_access(struct guest_vcpu *vcpu, const struct guest_region *region,
			  const struct guest_access *access, unsigned int *status)
{
	uint8_t *at = simmac_region_seen(region) + (vcpu->address - region->ipa);

	if (region->device && region->flags & HV_MEMORY_EXEC) {
		simmac_hypervisor_touched(vcpu->address, false);
		vcpu->gone = true;
		return true;
	}
	if (access->exclusive) {
		*status = STATUS_EXCLUSIVE;
		return false;
	}
	if (access->zero || vcpu->address % access->element) {
		*status = STATUS_ALIGNMENT;
		return false;
	}
	if (access->simple)
		access_simply(vcpu, at, access);
	else
		access_by_step(vcpu, region);
	return true;
}
