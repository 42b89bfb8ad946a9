// SPDX-License-Identifier: BSD-3-Clause
/* Loads and stores of A64, as far as it takes to know how a device likes them [H3]. */
#include "internal.h"

static unsigned int bits(uint32_t instruction, unsigned int high, unsigned int low)
{
	return instruction >> low & ((1u << (high - low + 1)) - 1);
}

/* LDR, STR and their kin, of one register with any kind of address. */
static bool decode_single(uint32_t instruction, struct guest_access *access)
{
	unsigned int size = bits(instruction, 31, 30), opc = bits(instruction, 23, 22);
	bool immediate = bits(instruction, 24, 24), other = bits(instruction, 21, 21);
	unsigned int index = bits(instruction, 11, 10);

	access->rt = bits(instruction, 4, 0);
	access->element = 1u << size;
	if (bits(instruction, 26, 26)) {
		access->element = opc & 2 ? 16 : 1u << size;
		access->write = !(opc & 1);
		return true;
	}
	if (!immediate && other && index != 2) {
		access->exclusive = access->write = true;	/* LDADD, SWP */
		return true;
	}
	if (opc >= 2 && size == 3)
		return false;					/* PRFM */
	access->write = opc == 0;
	access->sign = opc >= 2;
	access->wide = access->sign ? opc == 2 : size == 3;
	/* Index 1 and 3 write the base back. */
	access->simple = immediate || other || !(index & 1);
	return true;
}

static bool decode_literal(uint32_t instruction, struct guest_access *access)
{
	unsigned int opc = bits(instruction, 31, 30);

	access->rt = bits(instruction, 4, 0);
	if (bits(instruction, 26, 26)) {
		access->element = 4u << opc;
		return opc != 3;
	}
	access->element = opc == 1 ? 8 : 4;
	access->sign = opc == 2;
	access->wide = opc != 0;
	access->simple = true;
	return opc != 3;
}

static bool decode_pair(uint32_t instruction, struct guest_access *access)
{
	unsigned int opc = bits(instruction, 31, 30);

	access->element = bits(instruction, 26, 26) ? 4u << opc : opc & 2 ? 8 : 4;
	access->write = !bits(instruction, 22, 22);
	return opc != 3;
}

/* LDXR, CAS and, with bit 23 alone, LDAR and STLR. */
static bool decode_ordered(uint32_t instruction, struct guest_access *access)
{
	access->element = 1u << bits(instruction, 31, 30);
	access->write = !bits(instruction, 22, 22);
	access->rt = bits(instruction, 4, 0);
	access->wide = access->element == 8;
	access->simple = bits(instruction, 23, 23) && !bits(instruction, 21, 21);
	access->exclusive = !access->simple;
	return true;
}

static bool decode_vector(uint32_t instruction, struct guest_access *access)
{
	access->element = 1u << bits(instruction, 11, 10);
	access->write = !bits(instruction, 22, 22);
	return true;
}

bool simmac_decode(uint32_t instruction, struct guest_access *access)
{
	*access = (struct guest_access){ .element = 1 };
	if ((instruction & 0xffffffe0) == 0xd50b7420) {
		access->zero = access->write = true;
		access->rt = bits(instruction, 4, 0);
		return true;
	}
	/* Bits 27 and 25: loads and stores. */
	if (bits(instruction, 27, 27) != 1 || bits(instruction, 25, 25))
		return false;
	switch (bits(instruction, 29, 28)) {
	case 0:
		return bits(instruction, 26, 26) ? decode_vector(instruction, access) :
						   decode_ordered(instruction, access);
	case 1:
		return !bits(instruction, 24, 24) && decode_literal(instruction, access);
	case 2:
		return decode_pair(instruction, access);
	default:
		return decode_single(instruction, access);
	}
}
