/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef SIMMAC_IOKIT_IOTYPES_H
#define SIMMAC_IOKIT_IOTYPES_H

#include <stdint.h>
#include <mach/mach.h>
#include <IOKit/IOReturn.h>

typedef uint32_t IOOptionBits;
typedef mach_port_t io_object_t;
typedef io_object_t io_connect_t, io_iterator_t, io_service_t, io_registry_entry_t;
typedef char io_name_t[128];
typedef uint64_t io_user_reference_t;

#define IO_OBJECT_NULL		((io_object_t)0)

enum {
	kIOMapAnywhere	= 0x00000001,
	kIOMapReadOnly	= 0x00001000,
};

#endif
