/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef SIMMAC_PCIDRIVERKIT_IOPCIDEVICE_H
#define SIMMAC_PCIDRIVERKIT_IOPCIDEVICE_H

#include <DriverKit/IOMemoryDescriptor.h>
#include <DriverKit/IOService.h>
#include <PCIDriverKit/IOPCIFamilyDefinitions.h>

enum IOPCIMemoryRange {
	kPCIMemoryRangeBAR0 = 0,
	kPCIMemoryRangeBAR1 = 1,
	kPCIMemoryRangeBAR2 = 2,
	kPCIMemoryRangeBAR3 = 3,
	kPCIMemoryRangeBAR4 = 4,
	kPCIMemoryRangeBAR5 = 5,
	kPCIMemoryRangeExpansionROM = 6,
};

enum IOPCIBARType {
	kPCIBARTypeM32	 = 0x00,
	kPCIBARTypeIO	 = 0x01,
	kPCIBARTypeM64	 = 0x04,
	kPCIBARTypeM32PF = 0x08,
	kPCIBARTypeM64PF = 0x0c,
};

enum IOPCILinkSpeed {
	kPCILinkSpeed_2_5_GTs = 1,
	kPCILinkSpeed_5_GTs = 2,
	kPCILinkSpeed_8_GTs = 3,
	kPCILinkSpeed_16_GTs = 4,
};

struct IOPCIDevice_IVars;

class IOPCIDevice : public IOService
{
public:
	bool init() override;
	void free() override;

	kern_return_t Open(IOService *forClient, IOOptionBits options = 0);
	void Close(IOService *forClient, IOOptionBits options = 0);

	void ConfigurationRead32(uint64_t offset, uint32_t *readData);
	void ConfigurationRead16(uint64_t offset, uint16_t *readData);
	void ConfigurationRead8(uint64_t offset, uint8_t *readData);
	void ConfigurationWrite32(uint64_t offset, uint32_t data);
	void ConfigurationWrite16(uint64_t offset, uint16_t data);
	void ConfigurationWrite8(uint64_t offset, uint8_t data);

	kern_return_t GetBusDeviceFunction(uint8_t *returnBusNumber, uint8_t *returnDeviceNumber,
					   uint8_t *returnFunctionNumber,
					   OSDispatchMethod supermethod = NULL);
	kern_return_t GetBARInfo(uint8_t barIndex, uint8_t *memoryIndex, uint64_t *barSize,
				 uint8_t *barType, OSDispatchMethod supermethod = NULL);
	kern_return_t GetLinkSpeed(IOPCILinkSpeed *linkSpeed, OSDispatchMethod supermethod = NULL);
	kern_return_t ConfigureInterrupts(uint32_t interruptType, uint32_t numRequired,
					  uint32_t numRequested, IOOptionBits options,
					  OSDispatchMethod supermethod = NULL);
	kern_return_t Reset(IOOptionBits type, IOOptionBits options,
			    OSDispatchMethod supermethod = NULL);
	kern_return_t _CopyDeviceMemoryWithIndex(uint64_t memoryIndex,
						 IOMemoryDescriptor **returnMemory,
						 IOService *forClient,
						 OSDispatchMethod supermethod = NULL);

	IOPCIDevice_IVars *ivars = NULL;
};

#endif
