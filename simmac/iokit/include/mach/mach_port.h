/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef SIMMAC_MACH_MACH_PORT_API_H
#define SIMMAC_MACH_MACH_PORT_API_H
#include <mach/mach.h>
#endif
