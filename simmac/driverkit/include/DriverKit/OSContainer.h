/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef SIMMAC_DRIVERKIT_OSCONTAINER_H
#define SIMMAC_DRIVERKIT_OSCONTAINER_H

#include <DriverKit/OSObject.h>

/* What a registry property can be. */
class OSContainer : public OSObject
{
};

#endif
