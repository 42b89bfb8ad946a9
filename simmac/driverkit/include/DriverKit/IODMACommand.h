/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef SIMMAC_DRIVERKIT_IODMACOMMAND_H
#define SIMMAC_DRIVERKIT_IODMACOMMAND_H

#include <DriverKit/IOMemoryDescriptor.h>
#include <DriverKit/IOService.h>

enum {
	kIODMACommandCreateNoOptions = 0,
};

enum {
	kIODMACommandPrepareForDMANoOptions = 0,
};

enum {
	kIODMACommandCompleteDMANoOptions = 0,
};

enum {
	kIODMACommandSpecificationNoOptions = 0,
};

struct IODMACommandSpecification {
	uint64_t options;
	uint64_t maxAddressBits;
	uint64_t _resv[16];
};

struct IODMACommand_IVars;

/* Freed while prepared, it completes without being asked. */
class IODMACommand : public OSObject
{
public:
	static kern_return_t Create(IOService *device, uint64_t options,
				    const IODMACommandSpecification *specification,
				    IODMACommand **command);
	void free() override;
	virtual kern_return_t PrepareForDMA(uint64_t options, IOMemoryDescriptor *memory,
					    uint64_t offset, uint64_t length, uint64_t *flags,
					    uint32_t *segmentsCount,
					    IOAddressSegment segments[32]);
	virtual kern_return_t CompleteDMA(uint64_t options);
private:
	kern_return_t Complete();
	IODMACommand_IVars *ivars = NULL;
};

#endif
