// SPDX-License-Identifier: BSD-3-Clause
#include <DriverKit/IODMACommand.h>
#include "runtime.h"

#define SEGMENTS_MAX 32u

struct IODMACommand_IVars {
	IOPCIDevice *pci;
	IOMemoryDescriptor *memory;		/* while prepared */
	IOAddressSegment segments[SEGMENTS_MAX];
	uint32_t count;
};

static struct simmac_dart *dart_of(const IODMACommand_IVars *ivars)
{
	return ivars->pci->ivars->device->dart;
}

kern_return_t IODMACommand::Create(IOService *device, uint64_t options,
				   const IODMACommandSpecification *specification,
				   IODMACommand **command)
{
	IOPCIDevice *pci = OSDynamicCast(IOPCIDevice, device);

	if (options || !pci || specification->maxAddressBits > 64)
		return kIOReturnBadArgument;
	if (simmac_calls::fails("IODMACommand::Create"))
		return kIOReturnNoMemory;
	*command = new IODMACommand;
	(*command)->ivars = new IODMACommand_IVars();
	(*command)->ivars->pci = pci;
	pci->retain();
	return kIOReturnSuccess;
}

void IODMACommand::free()
{
	Complete();
	ivars->pci->release();
	delete ivars;
	OSObject::free();
}

/* Whether nobody is left who could vouch for the device: its client is gone [D8]. */
static bool ownerless(const IODMACommand_IVars *ivars)
{
	return ivars->memory->task && !ivars->memory->task->alive;
}

static void unmap(const IODMACommand_IVars *ivars)
{
	for (uint32_t i = 0; i < ivars->count; i++)
		simmac_dart_unmap(dart_of(ivars), ivars->segments[i].address,
				  ivars->segments[i].length, ownerless(ivars));
}

/* Cuts the memory as evenly as whole granules allow. */
static kern_return_t map(IODMACommand_IVars *ivars, uint64_t address, uint64_t length,
			 uint32_t pieces)
{
	uint64_t granules = length / SIMMAC_GRANULE;

	for (; pieces; pieces--) {
		uint64_t piece = granules / pieces * SIMMAC_GRANULE;
		IOAddressSegment *segment = &ivars->segments[ivars->count];
		int error = simmac_dart_map(dart_of(ivars), ivars->memory->task->pid, address,
					    piece, &segment->address);

		if (error)
			return error == -EINVAL ? kIOReturnNotAligned : kIOReturnNoSpace;
		segment->length = piece;
		ivars->count++;
		granules -= piece / SIMMAC_GRANULE;
		address += piece;
	}
	return kIOReturnSuccess;
}

static uint32_t pieces_of(uint64_t length, uint32_t room)
{
	uint64_t granules = length / SIMMAC_GRANULE;
	uint32_t pieces = simmac_knobs.segments;

	if (pieces > room)
		pieces = room;
	if (pieces > SEGMENTS_MAX)
		pieces = SEGMENTS_MAX;
	return pieces > granules || !pieces ? 1 : pieces;
}

static kern_return_t check(const IODMACommand_IVars *ivars, const IOMemoryDescriptor *memory,
			   uint64_t offset, uint64_t length)
{
	if (!memory || !memory->task || !(memory->direction & kIOMemoryDirectionInOut))
		return kIOReturnBadArgument;
	if (ivars->memory)
		return kIOReturnBusy;
	if (!simmac_pci_is_open(ivars->pci))
		return kIOReturnNotOpen;
	if (offset > memory->length || length > memory->length - offset)
		return kIOReturnBadArgument;
	if ((memory->address + offset) % SIMMAC_GRANULE || length % SIMMAC_GRANULE)
		return kIOReturnNotAligned;
	return kIOReturnSuccess;
}

kern_return_t IODMACommand::PrepareForDMA(uint64_t options, IOMemoryDescriptor *memory,
					  uint64_t offset, uint64_t length, uint64_t *flags,
					  uint32_t *segmentsCount, IOAddressSegment segments[32])
{
	kern_return_t result;

	if (options || !memory || !*segmentsCount)
		return kIOReturnBadArgument;
	if (!length)
		length = memory->length - offset;
	result = check(ivars, memory, offset, length);
	if (result == kIOReturnSuccess && simmac_calls::fails("IODMACommand::PrepareForDMA"))
		result = kIOReturnNoResources;
	if (result)
		return result;

	memory->retain();
	ivars->memory = memory;
	result = map(ivars, memory->address + offset, length,
		     pieces_of(length, *segmentsCount));
	if (result) {
		Complete();
		return result;
	}
	memcpy(segments, ivars->segments, ivars->count * sizeof(segments[0]));
	*segmentsCount = ivars->count;
	*flags = memory->direction;
	return kIOReturnSuccess;
}

kern_return_t IODMACommand::Complete()
{
	if (!ivars->memory)
		return kIOReturnNotReady;
	unmap(ivars);
	ivars->count = 0;
	OSSafeReleaseNULL(ivars->memory);
	return kIOReturnSuccess;
}

kern_return_t IODMACommand::CompleteDMA(uint64_t options)
{
	if (options)
		return kIOReturnBadArgument;
	if (simmac_calls::fails("IODMACommand::CompleteDMA"))
		return kIOReturnIOError;
	return Complete();
}
