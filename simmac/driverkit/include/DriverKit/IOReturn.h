/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef SIMMAC_DRIVERKIT_IORETURN_H
#define SIMMAC_DRIVERKIT_IORETURN_H
#include <IOKit/IOReturn.h>
#endif
