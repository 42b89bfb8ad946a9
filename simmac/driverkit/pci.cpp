// SPDX-License-Identifier: BSD-3-Clause
#include <fcntl.h>
#include <linux/pci_regs.h>
#include <stdio.h>
#include <unistd.h>

#include <DriverKit/IOInterruptDispatchSource.h>
#include "runtime.h"

bool IOPCIDevice::init()
{
	if (!IOService::init())
		return false;
	ivars = new IOPCIDevice_IVars;
	return true;
}

void IOPCIDevice::free()
{
	if (ivars) {
		ivars->device->interrupt = NULL;
		for (IOMemoryDescriptor *memory : ivars->memory)
			OSSafeReleaseNULL(memory);
	}
	delete ivars;
	ivars = NULL;
	IOService::free();
}

/*
 * The source is there as long as it is registered. No reference is taken: it could
 * be the last one that goes, and who calls us cannot have the device called back.
 */
static void interrupt(void *context, unsigned int vector)
{
	IOPCIDevice_IVars *ivars = static_cast<IOPCIDevice *>(context)->ivars;
	std::lock_guard<std::mutex> guard(ivars->lock);

	if (vector >= ivars->vectors.size() || !ivars->vectors[vector])
		return;
	ivars->delivered++;
	ivars->vectors[vector]->Deliver();
}

/* Entry 0 stands for an I/O range that cannot be had, so no index is a BAR's number [H4]. */
static void list_memory(IOPCIDevice_IVars *ivars)
{
	uint32_t unassigned = simmac_device_unassigned(ivars->device);
	unsigned int index = 0;

	for (unsigned int n = SIMMAC_BARS; n-- > 0;) {
		const struct simmac_bar *bar = &ivars->device->bar[n];
		uint64_t whole = (bar->size + SIMMAC_GRANULE - 1) / SIMMAC_GRANULE *
				 SIMMAC_GRANULE;

		if (!bar->size || unassigned & 1u << n)
			continue;
		ivars->memory_of_bar[n] = ++index;
		/* Of its own: it may outlive the device. */
		ivars->memory[index] = IOMemoryDescriptor::WithFile(
			fcntl(bar->fd, F_DUPFD_CLOEXEC, 0), whole, kIOMemoryDirectionInOut);
		ivars->memory[index]->device = true;
	}
}

IOPCIDevice *simmac_pci_device(std::shared_ptr<struct simmac_device> device, uint16_t address)
{
	IOPCIDevice *pci = new IOPCIDevice;

	if (!pci->init()) {
		pci->release();
		return NULL;
	}
	pci->ivars->device = device.get();
	pci->ivars->keeper = device;
	pci->ivars->address = address;
	list_memory(pci->ivars);
	device->interrupt_context = pci;
	device->interrupt = interrupt;
	return pci;
}

static bool is_open(IOPCIDevice_IVars *ivars)
{
	std::lock_guard<std::mutex> guard(ivars->lock);

	return ivars->client != NULL;
}

bool simmac_pci_is_open(IOPCIDevice *pci)
{
	return is_open(pci->ivars);
}

static bool open_for(IOPCIDevice_IVars *ivars, IOService *client)
{
	std::lock_guard<std::mutex> guard(ivars->lock);

	return client && ivars->client == client;
}

kern_return_t IOPCIDevice::Open(IOService *forClient, IOOptionBits)
{
	std::lock_guard<std::mutex> guard(ivars->lock);

	if (simmac_calls::fails("IOPCIDevice::Open"))
		return kIOReturnNotOpen;
	/* Exclusive, and the answer of a Mac is no more telling than this. */
	if (ivars->client || ivars->terminated)
		return kIOReturnNotOpen;
	forClient->retain();
	ivars->client = forClient;
	return kIOReturnSuccess;
}

static IOService *take_client(IOPCIDevice_IVars *ivars, bool terminated)
{
	std::lock_guard<std::mutex> guard(ivars->lock);
	IOService *client = ivars->client;

	ivars->client = NULL;
	ivars->terminated = ivars->terminated || terminated;
	return client;
}

void simmac_pci_terminate(IOPCIDevice *pci)
{
	IOService *client = take_client(pci->ivars, true);

	OSSafeReleaseNULL(client);
}

static bool is_terminated(IOPCIDevice_IVars *ivars)
{
	std::lock_guard<std::mutex> guard(ivars->lock);

	return ivars->terminated;
}

void IOPCIDevice::Close(IOService *forClient, IOOptionBits)
{
	uint32_t command;

	if (!open_for(ivars, forClient)) {
		/* What has gone was closed for its client. */
		if (!is_terminated(ivars))
			fprintf(stderr, "simmac: Close() by one that did not open it [H5]\n");
		return;
	}
	command = simmac_device_config_read(ivars->device, PCI_COMMAND, 2);
	simmac_device_config_write(ivars->device, PCI_COMMAND, 2,
				   command & ~(PCI_COMMAND_MASTER | PCI_COMMAND_MEMORY));
	/* It may have been terminated meanwhile. */
	forClient = take_client(ivars, false);
	OSSafeReleaseNULL(forClient);
}

/* An address of DART's side and the type bits of something else [H4]. */
static uint32_t wrong_bar(const IOPCIDevice_IVars *ivars, unsigned int n)
{
	bool is_64 = ivars->device->bar[n].is_64;

	if (!ivars->memory_of_bar[n])
		return 0;
	return 0x80000000u + (n << 20) + (is_64 ? PCI_BASE_ADDRESS_SPACE_MEMORY :
						  PCI_BASE_ADDRESS_MEM_TYPE_64);
}

static uint32_t read(const IOPCIDevice_IVars *ivars, uint64_t offset, unsigned int width)
{
	uint32_t value = simmac_device_config_read(ivars->device,
						   static_cast<unsigned int>(offset), width);
	unsigned int n;

	if (offset < PCI_BASE_ADDRESS_0 || offset >= PCI_BASE_ADDRESS_5 + 4 ||
	    simmac_device_config_read(ivars->device, PCI_VENDOR_ID, 2) == 0xffff)
		return value;
	n = static_cast<unsigned int>(offset - PCI_BASE_ADDRESS_0) / 4;
	return wrong_bar(ivars, n) >> 8 * (offset & 3);
}

static uint32_t checked_read(IOPCIDevice_IVars *ivars, uint64_t offset, unsigned int width)
{
	if (simmac_calls::fails("IOPCIDevice::ConfigurationRead") ||
	    !is_open(ivars) || offset >= SIMMAC_CONFIG_SIZE)
		return ~0u;
	return read(ivars, offset & ~static_cast<uint64_t>(width - 1), width);
}

static void checked_write(IOPCIDevice_IVars *ivars, uint64_t offset, unsigned int width,
			  uint32_t value)
{
	if (simmac_calls::fails("IOPCIDevice::ConfigurationWrite") ||
	    !is_open(ivars) || offset >= SIMMAC_CONFIG_SIZE)
		return;
	simmac_device_config_write(ivars->device,
				   static_cast<unsigned int>(offset) & ~(width - 1), width, value);
}

void IOPCIDevice::ConfigurationRead32(uint64_t offset, uint32_t *readData)
{
	*readData = checked_read(ivars, offset, 4);
}

void IOPCIDevice::ConfigurationRead16(uint64_t offset, uint16_t *readData)
{
	*readData = static_cast<uint16_t>(checked_read(ivars, offset, 2));
}

void IOPCIDevice::ConfigurationRead8(uint64_t offset, uint8_t *readData)
{
	*readData = static_cast<uint8_t>(checked_read(ivars, offset, 1));
}

void IOPCIDevice::ConfigurationWrite32(uint64_t offset, uint32_t data)
{
	checked_write(ivars, offset, 4, data);
}

void IOPCIDevice::ConfigurationWrite16(uint64_t offset, uint16_t data)
{
	checked_write(ivars, offset, 2, data);
}

void IOPCIDevice::ConfigurationWrite8(uint64_t offset, uint8_t data)
{
	checked_write(ivars, offset, 1, data);
}

kern_return_t IOPCIDevice::GetBusDeviceFunction(uint8_t *returnBusNumber,
						uint8_t *returnDeviceNumber,
						uint8_t *returnFunctionNumber, OSDispatchMethod)
{
	if (simmac_calls::fails("IOPCIDevice::GetBusDeviceFunction"))
		return kIOReturnError;
	*returnBusNumber = static_cast<uint8_t>(ivars->address >> 8);
	*returnDeviceNumber = static_cast<uint8_t>(ivars->address >> 3 & 0x1f);
	*returnFunctionNumber = static_cast<uint8_t>(ivars->address & 7);
	return kIOReturnSuccess;
}

static uint8_t bar_type(const struct simmac_bar *bar)
{
	if (bar->is_64)
		return bar->prefetchable ? kPCIBARTypeM64PF : kPCIBARTypeM64;
	return bar->prefetchable ? kPCIBARTypeM32PF : kPCIBARTypeM32;
}

kern_return_t IOPCIDevice::GetBARInfo(uint8_t barIndex, uint8_t *memoryIndex, uint64_t *barSize,
				      uint8_t *barType, OSDispatchMethod)
{
	if (simmac_calls::fails("IOPCIDevice::GetBARInfo"))
		return kIOReturnError;
	if (barIndex > kPCIMemoryRangeExpansionROM)
		return kIOReturnBadArgument;
	if (barIndex >= SIMMAC_BARS || !ivars->memory_of_bar[barIndex])
		return kIOReturnNotFound;
	*memoryIndex = static_cast<uint8_t>(ivars->memory_of_bar[barIndex]);
	*barSize = ivars->device->bar[barIndex].size;
	*barType = bar_type(&ivars->device->bar[barIndex]);
	return kIOReturnSuccess;
}

static unsigned int bar_of_memory(const IOPCIDevice_IVars *ivars, uint64_t index)
{
	unsigned int n = 0;

	while (ivars->memory_of_bar[n] != index)
		n++;
	return n;
}

kern_return_t IOPCIDevice::_CopyDeviceMemoryWithIndex(uint64_t memoryIndex,
						      IOMemoryDescriptor **returnMemory,
						      IOService *forClient, OSDispatchMethod)
{
	if (!open_for(ivars, forClient))
		return kIOReturnNotOpen;
	if (simmac_calls::fails("IOPCIDevice::_CopyDeviceMemoryWithIndex"))
		return kIOReturnError;
	if (memoryIndex > kPCIMemoryRangeExpansionROM)
		return kIOReturnBadArgument;
	if (!ivars->memory[memoryIndex])
		return kIOReturnUnsupported;
	simmac_device_share_bar(ivars->device, bar_of_memory(ivars, memoryIndex));
	*returnMemory = ivars->memory[memoryIndex];
	(*returnMemory)->retain();
	return kIOReturnSuccess;
}

static bool is_off(struct simmac_device *device)
{
	bool off;

	pthread_mutex_lock(&device->config_lock);
	off = device->off;
	pthread_mutex_unlock(&device->config_lock);
	return off;
}

/* Of the bridge above, which goes with what is unplugged and then reads as ones. */
kern_return_t IOPCIDevice::GetLinkSpeed(IOPCILinkSpeed *linkSpeed, OSDispatchMethod)
{
	if (simmac_calls::fails("IOPCIDevice::GetLinkSpeed"))
		return kIOReturnError;
	*linkSpeed = is_off(ivars->device) ? static_cast<IOPCILinkSpeed>(0xf) : kPCILinkSpeed_8_GTs;
	return kIOReturnSuccess;
}

static unsigned int offered(const struct simmac_device *device, uint32_t type)
{
	if (type == kIOInterruptTypePCIMessagedX)
		return device->msix_vectors;
	return type == kIOInterruptTypePCIMessaged ? device->msi_vectors : 0;
}

static enum simmac_irq_mode mode_of(uint32_t type)
{
	return type == kIOInterruptTypePCIMessagedX ? SIMMAC_IRQ_MSIX : SIMMAC_IRQ_MSI;
}

kern_return_t IOPCIDevice::ConfigureInterrupts(uint32_t interruptType, uint32_t numRequired,
					       uint32_t numRequested, IOOptionBits options,
					       OSDispatchMethod)
{
	unsigned int count = offered(ivars->device, interruptType);

	if (!numRequired || numRequired > numRequested || options)
		return kIOReturnBadArgument;
	if (simmac_calls::fails("IOPCIDevice::ConfigureInterrupts"))
		return kIOReturnNoResources;
	std::lock_guard<std::mutex> guard(ivars->lock);

	if (ivars->mode != SIMMAC_IRQ_NONE && (simmac_knobs.sticky_interrupts || ivars->registered))
		return ivars->mode == mode_of(interruptType) &&
		       ivars->vectors.size() >= numRequired ?
		       kIOReturnSuccess : kIOReturnUnsupported;
	if (!count)
		return kIOReturnBadArgument;
	if (count < numRequired)
		return kIOReturnNoResources;
	ivars->mode = mode_of(interruptType);
	ivars->vectors.assign(count < numRequested ? count : numRequested, NULL);
	return kIOReturnSuccess;
}

/* The device sends messages while anybody listens. Not under our lock: it waits for the device. */
static void update_device(IOPCIDevice_IVars *ivars, bool on)
{
	if (on)
		simmac_device_set_irq(ivars->device, ivars->mode,
				      static_cast<unsigned int>(ivars->vectors.size()));
	else
		simmac_device_set_irq(ivars->device, SIMMAC_IRQ_NONE, 0);
}

kern_return_t simmac_pci_register(IOPCIDevice *pci, uint32_t index,
				  IOInterruptDispatchSource *source)
{
	IOPCIDevice_IVars *ivars = pci->ivars;
	bool first;

	{
		std::lock_guard<std::mutex> guard(ivars->lock);

		if (!ivars->client)
			return kIOReturnNotOpen;
		if (index >= ivars->vectors.size())
			return kIOReturnNoInterrupt;
		if (ivars->vectors[index])
			return kIOReturnNoResources;
		ivars->vectors[index] = source;
		first = ivars->registered++ == 0;
	}
	if (first)
		update_device(ivars, true);
	return kIOReturnSuccess;
}

void simmac_pci_unregister(IOPCIDevice *pci, uint32_t index)
{
	bool last;

	{
		std::lock_guard<std::mutex> guard(pci->ivars->lock);

		pci->ivars->vectors[index] = NULL;
		last = --pci->ivars->registered == 0;
	}
	if (last)
		update_device(pci->ivars, false);
}

static bool has_flr(struct simmac_device *device)
{
	return device->pcie_offset &&
	       simmac_device_config_read(device, device->pcie_offset + PCI_EXP_DEVCAP, 4) &
	       PCI_EXP_DEVCAP_FLR;
}

/*
 * Restores the command register, and so a device that was told to master the
 * bus does again. Whether the device lives is not looked at [H8].
 */
kern_return_t IOPCIDevice::Reset(IOOptionBits type, IOOptionBits options, OSDispatchMethod)
{
	uint32_t command = simmac_device_config_read(ivars->device, PCI_COMMAND, 2);

	if (!is_open(ivars))
		return kIOReturnNotOpen;
	if (options || (type != kIOPCIDeviceResetTypeFunctionReset &&
			type != kIOPCIDeviceResetTypeHotReset))
		return kIOReturnUnsupported;
	if (simmac_calls::fails("IOPCIDevice::Reset"))
		return kIOReturnError;
	if (type == kIOPCIDeviceResetTypeFunctionReset && !has_flr(ivars->device))
		return kIOReturnUnsupported;
	simmac_device_reset(ivars->device, type == kIOPCIDeviceResetTypeHotReset ?
			    SIMMAC_RESET_HOT : SIMMAC_RESET_FLR);
	usleep(static_cast<useconds_t>(simmac_knobs.reset_us));
	if (command != 0xffff)
		simmac_device_config_write(ivars->device, PCI_COMMAND, 2, command);
	return kIOReturnSuccess;
}
