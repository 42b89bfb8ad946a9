/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef SIMMAC_DRIVERKIT_DRIVERKIT_H
#define SIMMAC_DRIVERKIT_DRIVERKIT_H

#include <DriverKit/IOTypes.h>
#include <DriverKit/IOReturn.h>
#include <DriverKit/IOLib.h>
#include <DriverKit/OSObject.h>
#include <DriverKit/OSAction.h>
#include <DriverKit/OSData.h>

#endif
