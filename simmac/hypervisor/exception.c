// SPDX-License-Identifier: BSD-3-Clause
/* What the guest takes itself, and what leaves it: the architecture's syndromes. */
#include "internal.h"

#define CLASS_UNKNOWN		0x00ull
#define CLASS_WFX		0x01ull
#define CLASS_HVC		0x16ull
#define CLASS_SMC		0x17ull
#define CLASS_FETCH_LOWER	0x20ull
#define CLASS_DATA_LOWER	0x24ull
#define CLASS_DATA_SAME		0x25ull

#define SYNDROME(class)		((class) << 26 | 1ull << 25)	/* 32-bit instructions only */
#define WRITE			(1ull << 6)
#define CACHE_MAINTENANCE	(1ull << 8)

#define PSTATE_EL1H		5u
#define PSTATE_MASKED		0x3c0u
#define VECTOR_SP0		0x000u
#define VECTOR_SPX		0x200u

static uint64_t read_reg(struct guest_vcpu *vcpu, int reg)
{
	uint64_t value = 0;

	uc_reg_read(vcpu->uc, reg, &value);
	return value;
}

static void write_reg(struct guest_vcpu *vcpu, int reg, uint64_t value)
{
	uc_reg_write(vcpu->uc, reg, &value);
}

static void take(struct guest_vcpu *vcpu, uint64_t syndrome)
{
	uint64_t state = read_reg(vcpu, UC_ARM64_REG_PSTATE);
	uc_arm64_cp_reg saved = { .op0 = 3, .crn = 4, .val = state };	/* SPSR_EL1 */

	uc_reg_write(vcpu->uc, UC_ARM64_REG_CP_REG, &saved);
	write_reg(vcpu, UC_ARM64_REG_ELR_EL1, vcpu->at);
	write_reg(vcpu, UC_ARM64_REG_ESR_EL1, syndrome);
	write_reg(vcpu, UC_ARM64_REG_PSTATE, PSTATE_MASKED | PSTATE_EL1H);
	write_reg(vcpu, UC_ARM64_REG_PC, read_reg(vcpu, UC_ARM64_REG_VBAR_EL1) +
		  (state & 1 ? VECTOR_SPX : VECTOR_SP0));
}

void simmac_exception_data(struct guest_vcpu *vcpu, bool write, unsigned int status)
{
	write_reg(vcpu, UC_ARM64_REG_FAR_EL1, vcpu->address);
	take(vcpu, SYNDROME(CLASS_DATA_SAME) | (write ? WRITE : 0) | status);
}

void simmac_exception_undefined(struct guest_vcpu *vcpu)
{
	take(vcpu, SYNDROME(CLASS_UNKNOWN));
}

static void leave(struct guest_vcpu *vcpu, uint64_t syndrome, uint64_t pc, bool has_address)
{
	write_reg(vcpu, UC_ARM64_REG_PC, pc);
	vcpu->exit = (hv_vcpu_exit_t){
		.reason = HV_EXIT_REASON_EXCEPTION,
		.exception = {
			.syndrome = syndrome,
			/* The guest's own translation is off. */
			.virtual_address = has_address ? vcpu->address : 0,
			.physical_address = has_address ? vcpu->address : 0,
		},
	};
}

static unsigned int log2_of(unsigned int element)
{
	return element == 8 ? 3 : element == 4 ? 2 : element == 2 ? 1 : 0;
}

void simmac_exit_data(struct guest_vcpu *vcpu, const struct guest_access *access,
		      unsigned int status)
{
	uint64_t syndrome = SYNDROME(CLASS_DATA_LOWER) | status;

	if (access->write)
		syndrome |= WRITE;
	if (access->zero)
		syndrome |= CACHE_MAINTENANCE;
	if (access->simple)
		syndrome |= 1ull << 24 | (uint64_t)log2_of(access->element) << 22 |
			    (uint64_t)access->sign << 21 | (uint64_t)access->rt << 16 |
			    (uint64_t)access->wide << 15;
	leave(vcpu, syndrome, vcpu->at, true);
}

void simmac_exit_fetch(struct guest_vcpu *vcpu, unsigned int status)
{
	leave(vcpu, SYNDROME(CLASS_FETCH_LOWER) | status, vcpu->address, true);
}

static bool is_hvc(uint32_t instruction)
{
	return (instruction & 0xffe0001f) == 0xd4000002;
}

static bool is_smc(uint32_t instruction)
{
	return (instruction & 0xffe0001f) == 0xd4000003;
}

bool simmac_exits(uint32_t instruction)
{
	return is_hvc(instruction) || is_smc(instruction) ||
	       (instruction & ~0x20u) == 0xd503205f;	/* WFE and WFI */
}

/* After an HVC the guest goes on behind it; the others are the host's to skip. */
void simmac_exit_instruction(struct guest_vcpu *vcpu)
{
	uint64_t immediate = vcpu->instruction >> 5 & 0xffff;

	if (is_hvc(vcpu->instruction))
		leave(vcpu, SYNDROME(CLASS_HVC) | immediate, vcpu->at + 4, false);
	else if (is_smc(vcpu->instruction))
		leave(vcpu, SYNDROME(CLASS_SMC) | immediate, vcpu->at, false);
	else
		leave(vcpu, SYNDROME(CLASS_WFX) | (vcpu->instruction == 0xd503205f), vcpu->at,
		      false);
}
