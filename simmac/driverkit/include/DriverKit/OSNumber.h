/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef SIMMAC_DRIVERKIT_OSNUMBER_H
#define SIMMAC_DRIVERKIT_OSNUMBER_H

#include <DriverKit/OSContainer.h>

class OSNumber : public OSContainer
{
public:
	/* Bits beyond numberOfBits are cut off. */
	static OSNumber *withNumber(uint64_t value, size_t numberOfBits);
	uint64_t unsigned64BitValue() const { return value; }
private:
	uint64_t value = 0;
};

#endif
