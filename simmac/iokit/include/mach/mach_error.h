/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef SIMMAC_MACH_MACH_ERROR_H
#define SIMMAC_MACH_MACH_ERROR_H
#include <mach/mach.h>
#endif
