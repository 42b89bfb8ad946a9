/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef SIMMAC_IOKIT_MACH_BOOLEAN_H
#define SIMMAC_IOKIT_MACH_BOOLEAN_H

/* Of arm64. */
typedef int boolean_t;

#endif
