/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef SIMMAC_DRIVERKIT_IOTYPES_H
#define SIMMAC_DRIVERKIT_IOTYPES_H

#include <stddef.h>
#include <stdint.h>
#include <DriverKit/IOReturn.h>

typedef uint32_t IOOptionBits;
typedef uint64_t mach_vm_address_t;
typedef uint64_t mach_vm_size_t;

#endif
