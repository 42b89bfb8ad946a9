/* SPDX-License-Identifier: BSD-3-Clause */
/* Hypervisor.framework: return codes, permissions, addresses. */
#ifndef SIMMAC_HYPERVISOR_HV_BASE_H
#define SIMMAC_HYPERVISOR_HV_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <os/object.h>

/* So that a use that is not guarded by __builtin_available() is told of. */
#ifdef __APPLE__
#define SIMMAC_HV_SINCE(version) __attribute__((availability(macos, introduced = version)))
#else
#define SIMMAC_HV_SINCE(version)
#endif

/* An enumeration of that width for clang, as Apple's OS_ENUM() makes it. */
#ifdef __clang__
#define SIMMAC_HV_ENUM(name, type, ...) typedef enum : type { __VA_ARGS__ } name
#else
#define SIMMAC_HV_ENUM(name, type, ...) enum { __VA_ARGS__ }; typedef type name
#endif

/* A mach_error_t: err_local | err_sub(0xba5) | code */
typedef int hv_return_t;

#define SIMMAC_HV_RETURN(code)	((hv_return_t)(0xfae94000u | (code)))

enum {
	HV_SUCCESS		= 0,
	HV_ERROR		= SIMMAC_HV_RETURN(0x01),
	HV_BUSY			= SIMMAC_HV_RETURN(0x02),
	HV_BAD_ARGUMENT		= SIMMAC_HV_RETURN(0x03),
	HV_ILLEGAL_GUEST_STATE	= SIMMAC_HV_RETURN(0x04),
	HV_NO_RESOURCES		= SIMMAC_HV_RETURN(0x05),
	HV_NO_DEVICE		= SIMMAC_HV_RETURN(0x06),
	HV_DENIED		= SIMMAC_HV_RETURN(0x07),
	HV_UNSUPPORTED		= SIMMAC_HV_RETURN(0x0f),
};

/* Guest physical, which for the architecture is an intermediate address. */
typedef uint64_t hv_ipa_t;

typedef uint64_t hv_memory_flags_t;

#define HV_MEMORY_READ	(1ull << 0)
#define HV_MEMORY_WRITE	(1ull << 1)
#define HV_MEMORY_EXEC	(1ull << 2)

#endif
