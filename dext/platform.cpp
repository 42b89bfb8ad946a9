// SPDX-License-Identifier: BSD-3-Clause
/* core's ops on DriverKit, but for interrupts. */
#include <time.h>
#include <DriverKit/IODMACommand.h>
#include <DriverKit/IOUserClient.h>

#include "QuiverDriver.h"
#include "QuiverUserClient.h"
#include "core/error.h"
#include "dext/platform.h"

static QuiverDriver_IVars *state(void *shell)
{
	return static_cast<QuiverDriver_IVars *>(shell);
}

static uint32_t config_read(void *shell, unsigned int offset, unsigned int width)
{
	IOPCIDevice *pci = state(shell)->pci;
	uint32_t value32;
	uint16_t value16;
	uint8_t value8;

	switch (width) {
	case 1:
		pci->ConfigurationRead8(offset, &value8);
		return value8;
	case 2:
		pci->ConfigurationRead16(offset, &value16);
		return value16;
	default:
		pci->ConfigurationRead32(offset, &value32);
		return value32;
	}
}

static void config_write(void *shell, unsigned int offset, unsigned int width, uint32_t value)
{
	IOPCIDevice *pci = state(shell)->pci;

	switch (width) {
	case 1:
		pci->ConfigurationWrite8(offset, static_cast<uint8_t>(value));
		break;
	case 2:
		pci->ConfigurationWrite16(offset, static_cast<uint16_t>(value));
		break;
	default:
		pci->ConfigurationWrite32(offset, value);
		break;
	}
}

static int bar_info(void *shell, unsigned int bar, struct quiver_dext_bar_info *info)
{
	return state(shell)->pci->GetBARInfo(static_cast<uint8_t>(bar), &info->memory_index,
					     &info->size, &info->type) ? -ENOENT : 0;
}

static uint64_t direction(uint32_t flags)
{
	return (flags & QUIVER_DEXT_DMA_READ ? kIOMemoryDirectionOut : kIOMemoryDirectionNone) |
	       (flags & QUIVER_DEXT_DMA_WRITE ? kIOMemoryDirectionIn : kIOMemoryDirectionNone);
}

static kern_return_t prepare(IODMACommand *command, IOMemoryDescriptor *memory, uint64_t length,
			     struct quiver_dext_grant *grant)
{
	IOAddressSegment segments[32] = {};
	uint32_t count = 32;
	uint64_t flags = 0;
	kern_return_t result;

	result = command->PrepareForDMA(kIODMACommandPrepareForDMANoOptions, memory, 0, length,
					&flags, &count, segments);
	grant->segments = count;
	grant->iova = segments[0].address;
	grant->length = segments[0].length;
	return result;
}

static int map(void *shell, uint64_t address, uint64_t length, uint32_t flags,
	       struct quiver_dext_grant *grant)
{
	QuiverDriver_IVars *ivars = state(shell);
	const IODMACommandSpecification specification = {
		kIODMACommandSpecificationNoOptions, 64, {}
	};
	const IOAddressSegment segments[32] = { { address, length } };
	IOMemoryDescriptor *memory = NULL;
	IODMACommand *command = NULL;
	int error = -EFAULT;

	/* Client memory comes to us by its user client only [H6]. */
	if (ivars->claimant->CreateMemoryDescriptorFromClient(direction(flags), 1, segments,
							      &memory))
		goto fail;
	error = -EIO;
	if (IODMACommand::Create(ivars->pci, kIODMACommandCreateNoOptions, &specification,
				 &command))
		goto fail;
	if (prepare(command, memory, length, grant))
		goto fail;
	grant->memory = memory;
	grant->command = command;
	return 0;

fail:
	OSSafeReleaseNULL(command);
	OSSafeReleaseNULL(memory);
	return error;
}

/* Freeing the command ends the mapping even where completing it failed. */
static int unmap(void *, const struct quiver_dext_grant *grant)
{
	IODMACommand *command = static_cast<IODMACommand *>(grant->command);
	IOMemoryDescriptor *memory = static_cast<IOMemoryDescriptor *>(grant->memory);
	kern_return_t result = command->CompleteDMA(kIODMACommandCompleteDMANoOptions);

	command->release();
	memory->release();
	return result ? -EIO : 0;
}

static int reset(void *shell, enum quiver_reset_method method)
{
	IOOptionBits type = method == QUIVER_RESET_FUNCTION ? kIOPCIDeviceResetTypeFunctionReset :
							      kIOPCIDeviceResetTypeHotReset;

	return state(shell)->pci->Reset(type, kIOPCIDeviceResetOptionNone) ? -EIO : 0;
}

/* All ones: the bridge above has gone as well [L7]. One that is there has no such speed. */
static bool unplugged(void *shell)
{
	IOPCILinkSpeed speed = kPCILinkSpeed_2_5_GTs;
	uint32_t bits = 0;

	if (state(shell)->pci->GetLinkSpeed(&speed) != kIOReturnSuccess)
		return false;
	/* The type has no such value: it may not be read as one. */
	static_assert(sizeof(speed) == sizeof(bits), "an enum of C");
	memcpy(&bits, &speed, sizeof(bits));
	return bits == 0xf;
}

static uint64_t now_us(void *)
{
	return clock_gettime_nsec_np(CLOCK_UPTIME_RAW) / 1000;
}

static void sleep_us(void *, uint64_t us)
{
	IOSleep((us + 999) / 1000);
}

static void *allocate(void *, size_t size)
{
	return IOMallocZero(size);
}

static void release(void *, void *memory, size_t size)
{
	IOFree(memory, size);
}

const struct quiver_dext_ops quiver_platform_ops = {
	config_read, config_write, bar_info, map, unmap, reset, unplugged,
	quiver_interrupts_start, quiver_interrupts_stop, now_us, sleep_us, allocate, release,
};

int quiver_platform_create_page(QuiverDriver_IVars *ivars)
{
	IOAddressSegment range;

	if (IOBufferMemoryDescriptor::Create(kIOMemoryDirectionInOut, QUIVER_DEXT_PENDING_SIZE,
					     QUIVER_DEXT_PENDING_SIZE, &ivars->page))
		return -ENOMEM;
	if (ivars->page->GetAddressRange(&range)) {
		OSSafeReleaseNULL(ivars->page);
		return -ENOMEM;
	}
	ivars->pending = reinterpret_cast<struct quiver_dext_pending *>(range.address);
	return 0;
}

/* No vector is active: they end before the claim does. */
void quiver_platform_release_page(QuiverDriver_IVars *ivars)
{
	ivars->pending = NULL;
	OSSafeReleaseNULL(ivars->page);
}
