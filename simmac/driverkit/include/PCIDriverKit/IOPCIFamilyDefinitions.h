/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef SIMMAC_PCIDRIVERKIT_DEFINITIONS_H
#define SIMMAC_PCIDRIVERKIT_DEFINITIONS_H

enum {
	kIOInterruptTypePCIMessaged	= 0x00010000,
	kIOInterruptTypePCIMessagedX	= 0x00020000
};

typedef enum tIOPCIDeviceResetTypes {
	kIOPCIDeviceResetTypeHotReset		= 0x00000001,
	kIOPCIDeviceResetTypeWarmReset		= 0x00000002,
	kIOPCIDeviceResetTypeWarmResetDisable	= 0x00000004,
	kIOPCIDeviceResetTypeWarmResetEnable	= 0x00000008,
	kIOPCIDeviceResetTypeFunctionReset	= 0x00000010,
} tIOPCIDeviceResetTypes;

typedef enum tIOPCIDeviceResetOptions {
	kIOPCIDeviceResetOptionNone		= 0x00000000,
} tIOPCIDeviceResetOptions;

#endif
