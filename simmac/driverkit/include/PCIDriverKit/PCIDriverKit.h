/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef SIMMAC_PCIDRIVERKIT_PCIDRIVERKIT_H
#define SIMMAC_PCIDRIVERKIT_PCIDRIVERKIT_H

#include <PCIDriverKit/IOPCIFamilyDefinitions.h>
#include <PCIDriverKit/IOPCIDevice.h>

#endif
