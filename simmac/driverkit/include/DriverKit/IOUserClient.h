/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef SIMMAC_DRIVERKIT_IOUSERCLIENT_H
#define SIMMAC_DRIVERKIT_IOUSERCLIENT_H

#include <memory>
#include <DriverKit/IOBufferMemoryDescriptor.h>
#include <DriverKit/IOService.h>
#include <DriverKit/OSAction.h>
#include <DriverKit/OSData.h>

enum {
	kIOUserClientScalarArrayCountMax = 16,
	kIOUserClientAsyncReferenceCountMax = 16,
	kIOUserClientAsyncArgumentsCountMax = 16,
};
typedef uint64_t IOUserClientAsyncArgumentsArray[kIOUserClientAsyncArgumentsCountMax];

enum {
	kIOUserClientMemoryReadOnly = 0x00000001,
};

enum {
	kIOUserClientVariableStructureSize = 0xffffffff
};

enum {
	kIOUserClientMethodArgumentsCurrentVersion = 2
};

struct IOUserClientMethodArguments {
	uint64_t version;
	uint64_t selector;
	OSAction *completion;
	const uint64_t *scalarInput;
	uint32_t scalarInputCount;
	OSData *structureInput;
	IOMemoryDescriptor *structureInputDescriptor;
	uint64_t *scalarOutput;
	uint32_t scalarOutputCount;
	OSData *structureOutput;
	IOMemoryDescriptor *structureOutputDescriptor;
	uint64_t structureOutputMaximumSize;
	uint64_t __reserved[30];
};

typedef kern_return_t (*IOUserClientMethodFunction)(OSObject *target, void *reference,
						    IOUserClientMethodArguments *arguments);

struct IOUserClientMethodDispatch {
	IOUserClientMethodFunction function;
	uint32_t checkCompletionExists;
	uint32_t checkScalarInputCount;
	uint32_t checkStructureInputSize;
	uint32_t checkScalarOutputCount;
	uint32_t checkStructureOutputSize;
};

class IOUserClient : public IOService
{
public:
	virtual kern_return_t ExternalMethod(uint64_t selector,
					     IOUserClientMethodArguments *arguments,
					     const IOUserClientMethodDispatch *dispatch,
					     OSObject *target, void *reference);
	void AsyncCompletion(OSAction *action, IOReturn status,
			     const IOUserClientAsyncArgumentsArray asyncData,
			     uint32_t asyncDataCount, OSDispatchMethod supermethod = NULL);
	kern_return_t CopyClientMemoryForType(uint64_t type, uint64_t *options,
					      IOMemoryDescriptor **memory,
					      OSDispatchMethod supermethod = NULL);
	kern_return_t CreateMemoryDescriptorFromClient(uint64_t memoryDescriptorCreateOptions,
						       uint32_t segmentsCount,
						       const IOAddressSegment segments[32],
						       IOMemoryDescriptor **memory,
						       OSDispatchMethod supermethod = NULL);

	virtual kern_return_t CopyClientMemoryForType_Impl(uint64_t type, uint64_t *options,
							   IOMemoryDescriptor **memory) = 0;

	/* The platform's: who opened us. */
	std::shared_ptr<simmac_task> task;
};

#endif
