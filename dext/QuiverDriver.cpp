// SPDX-License-Identifier: BSD-3-Clause
/* DriverKit around dext/core: life and death of the service, and core's ops. */
#include <stddef.h>
#include <DriverKit/IOBufferMemoryDescriptor.h>
#include <DriverKit/IOLib.h>
#include <DriverKit/IOUserClient.h>
#include <DriverKit/OSNumber.h>
#include <PCIDriverKit/PCIDriverKit.h>

#include "QuiverDriver.h"
#include "QuiverUserClient.h"
#include "dext/errors.h"
#include "dext/platform.h"

bool QuiverDriver::init()
{
	if (!super::init())
		return false;
	ivars = IONewZero(QuiverDriver_IVars, 1);
	if (!ivars)
		return false;
	ivars->driver = this;
	ivars->ending = 1;	/* Stop() itself */
	ivars->lock = IOLockAlloc();
	return ivars->lock != NULL;
}

void QuiverDriver::free()
{
	if (ivars) {
		OSSafeReleaseNULL(ivars->queue);
		OSSafeReleaseNULL(ivars->pci);
		if (ivars->lock)
			IOLockFree(ivars->lock);
	}
	IOSafeDeleteNULL(ivars, QuiverDriver_IVars, 1);
	super::free();
}

static kern_return_t open_device(QuiverDriver_IVars *ivars, IOService *provider)
{
	IOPCIDevice *pci = OSDynamicCast(IOPCIDevice, provider);
	kern_return_t result;

	if (!pci)
		return kIOReturnNoDevice;
	result = pci->Open(ivars->driver, 0);
	if (result != kIOReturnSuccess)
		return result;
	pci->retain();
	ivars->pci = pci;
	ivars->open = true;
	return kIOReturnSuccess;
}

/*
 * A number of our own registry entry, or of one above it. One that is there and
 * cannot be read might be lower than what we know [D7].
 */
static kern_return_t read_limit(QuiverDriver *driver, const char *key, uint64_t *limit)
{
	OSContainer *property = NULL;
	OSNumber *number;
	kern_return_t result = driver->SearchProperty(key, "IOService",
						      kIOServiceSearchPropertyParents, &property);

	*limit = UINT64_MAX;
	if (result == kIOReturnNotFound || (result == kIOReturnSuccess && !property))
		return kIOReturnSuccess;
	if (result != kIOReturnSuccess)
		return result;
	number = OSDynamicCast(OSNumber, property);
	if (number)
		*limit = number->unsigned64BitValue();
	property->release();
	return number ? kIOReturnSuccess : kIOReturnBadArgument;
}

static kern_return_t read_limits(QuiverDriver *driver, struct quiver_dext_limits *limits)
{
	kern_return_t result = read_limit(driver, QUIVER_DEXT_KEY_BYTES, &limits->bytes);

	if (result != kIOReturnSuccess)
		return result;
	return read_limit(driver, QUIVER_DEXT_KEY_MAPPINGS, &limits->mappings);
}

static kern_return_t start_device(QuiverDriver_IVars *ivars)
{
	uint8_t bus = 0, device = 0, function = 0;
	struct quiver_dext_limits limits;
	kern_return_t result;

	result = IODispatchQueue::Create("QuiverInterrupts", 0, 0, &ivars->queue);
	if (result != kIOReturnSuccess)
		return result;
	result = ivars->pci->GetBusDeviceFunction(&bus, &device, &function);
	if (result != kIOReturnSuccess)
		return result;
	result = read_limits(ivars->driver, &limits);
	if (result != kIOReturnSuccess)
		return result;
	return quiver_dext_return(quiver_dext_new(&quiver_platform_ops, ivars,
						  static_cast<uint32_t>(bus << 8 | device << 3 |
									function),
						  limits, &ivars->dext));
}

/* After whatever may have lost the device to its claimant. Under lock. */
static void tell_lost(QuiverDriver_IVars *ivars)
{
	if (ivars->claimant && quiver_dext_lost(ivars->dext, ivars->pending))
		quiver_platform_wake(ivars);
}

/*
 * Sleep and the end have their time, and a lock is not fair: until they are done, clients
 * do not compete for it. So there is at most one call of theirs to wait for.
 */
static void lock_urgently(QuiverDriver_IVars *ivars)
{
	__atomic_add_fetch(&ivars->urgent, 1, __ATOMIC_SEQ_CST);
	IOLockLock(ivars->lock);
}

static void unlock_urgently(QuiverDriver_IVars *ivars)
{
	__atomic_sub_fetch(&ivars->urgent, 1, __ATOMIC_SEQ_CST);
	IOLockUnlock(ivars->lock);
}

/* Undoes Start(); what was cancelled may still be on its way. */
static void stop_device(QuiverDriver_IVars *ivars)
{
	struct quiver_dext *dext;

	lock_urgently(ivars);
	dext = ivars->dext;
	if (dext) {
		quiver_dext_end(dext);
		tell_lost(ivars);
		ivars->dext = NULL;
		quiver_dext_delete(dext);
	}
	if (ivars->queue)
		quiver_platform_set_wake(ivars, NULL, NULL);
	quiver_platform_release_page(ivars);
	ivars->claimant = NULL;
	unlock_urgently(ivars);
	if (ivars->open)
		ivars->pci->Close(ivars->driver, 0);
	ivars->open = false;
}

kern_return_t IMPL(QuiverDriver, Start)
{
	kern_return_t result = Start(provider, SUPERDISPATCH);

	if (result != kIOReturnSuccess)
		return result;
	result = open_device(ivars, provider);
	if (result == kIOReturnSuccess)
		result = start_device(ivars);
	if (result == kIOReturnSuccess)
		result = RegisterService();
	if (result != kIOReturnSuccess) {
		IOLog("QuiverDriver: cannot start: 0x%x\n", static_cast<unsigned int>(result));
		stop_device(ivars);
		Stop(provider, SUPERDISPATCH);
	}
	return result;
}

/* Goes on in Cancelled(): interrupt sources tell later that they have ended [H7]. */
kern_return_t IMPL(QuiverDriver, Stop)
{
	provider->retain();
	ivars->stopping = provider;
	stop_device(ivars);
	Cancelled();
	return kIOReturnSuccess;
}

void QuiverDriver::Cancelled()
{
	IOService *provider;

	if (__atomic_sub_fetch(&ivars->ending, 1, __ATOMIC_SEQ_CST))
		return;
	provider = ivars->stopping;
	Stop(provider, SUPERDISPATCH);
	provider->release();
}

static void put_to_sleep(QuiverDriver_IVars *ivars)
{
	lock_urgently(ivars);
	if (ivars->dext) {
		quiver_dext_sleep(ivars->dext);
		tell_lost(ivars);
	}
	unlock_urgently(ivars);
}

static void wake_up(QuiverDriver_IVars *ivars)
{
	IOLockLock(ivars->lock);
	if (ivars->dext)
		quiver_dext_wake(ivars->dext);
	IOLockUnlock(ivars->lock);
}

/*
 * Off is sleep; Low, a device that is not fully powered while the Mac runs, is no better
 * for a guest. The call of super has 20 s [L2], and so the client is told, but never
 * waited for.
 */
kern_return_t IMPL(QuiverDriver, SetPowerState)
{
	if (powerFlags & kIOServicePowerCapabilityOn)
		wake_up(ivars);
	else
		put_to_sleep(ivars);
	return SetPowerState(powerFlags, SUPERDISPATCH);
}

kern_return_t IMPL(QuiverDriver, NewUserClient)
{
	IOService *service = NULL;
	kern_return_t result = Create(this, "UserClientProperties", &service);

	/* An object that cannot be made, says xnu; to a client it would mean this device. */
	if (result == kIOReturnUnsupported)
		return kIOReturnNoMemory;
	if (result != kIOReturnSuccess)
		return result;
	*userClient = OSDynamicCast(IOUserClient, service);
	if (!*userClient) {
		service->release();
		return kIOReturnError;
	}
	return kIOReturnSuccess;
}

/* *place: of client, or of NULL, which is room. */
static bool find_client(QuiverDriver_IVars *ivars, QuiverUserClient *client, size_t *place)
{
	for (*place = 0; *place < QUIVER_CLIENTS_MAX; ++*place) {
		if (ivars->clients[*place] == client)
			return true;
	}
	return false;
}

kern_return_t QuiverDriver::Admit(QuiverUserClient *client)
{
	kern_return_t result = kIOReturnNoResources;
	size_t place;

	IOLockLock(ivars->lock);
	if (!ivars->dext) {
		result = kIOReturnNoDevice;
	} else if (find_client(ivars, NULL, &place)) {
		ivars->clients[place] = client;
		result = kIOReturnSuccess;
	}
	IOLockUnlock(ivars->lock);
	return result;
}

/* Of a client's call. -ENODEV: the driver has ended, and the lock is not held. */
static int lock_for_client(QuiverDriver_IVars *ivars)
{
	IOLockLock(ivars->lock);
	while (__atomic_load_n(&ivars->urgent, __ATOMIC_SEQ_CST)) {
		IOLockUnlock(ivars->lock);
		IOSleep(1);
		IOLockLock(ivars->lock);
	}
	if (ivars->dext)
		return 0;
	IOLockUnlock(ivars->lock);
	return -ENODEV;
}

kern_return_t QuiverDriver::Perform(QuiverUserClient *client, QuiverMethod method,
				    IOUserClientMethodArguments *arguments)
{
	int error = lock_for_client(ivars);

	if (error)
		return quiver_dext_return(error);
	error = method(ivars->dext, client, arguments);
	tell_lost(ivars);
	IOLockUnlock(ivars->lock);
	return quiver_dext_return(error);
}

/* The page comes first, so that nothing can fail once the claim is ours. */
static int claim_locked(QuiverDriver_IVars *ivars, QuiverUserClient *client)
{
	size_t place;
	int error;

	/* A call that was under way when its client was stopped: nobody would end the claim. */
	if (!find_client(ivars, client, &place))
		return -ENODEV;
	if (ivars->claimant)	/* core knows why not, or that it is us */
		return quiver_dext_claim(ivars->dext, client);
	error = quiver_platform_create_page(ivars);
	if (!error)
		error = quiver_dext_claim(ivars->dext, client);
	if (error)
		quiver_platform_release_page(ivars);
	else
		ivars->claimant = client;
	return error;
}

kern_return_t QuiverDriver::Claim(QuiverUserClient *client)
{
	int error = lock_for_client(ivars);

	if (error)
		return quiver_dext_return(error);
	error = claim_locked(ivars, client);
	IOLockUnlock(ivars->lock);
	return quiver_dext_return(error);
}

void QuiverDriver::Release(QuiverUserClient *client)
{
	size_t place;

	IOLockLock(ivars->lock);
	if (find_client(ivars, client, &place))
		ivars->clients[place] = NULL;
	if (ivars->dext && quiver_dext_owned_by(ivars->dext, client)) {
		if (quiver_dext_release(ivars->dext, client, ivars->pending))
			quiver_platform_wake(ivars);
		quiver_platform_set_wake(ivars, NULL, NULL);
		quiver_platform_release_page(ivars);
		ivars->claimant = NULL;
	}
	IOLockUnlock(ivars->lock);
}

static int copy_memory_locked(QuiverDriver_IVars *ivars, QuiverUserClient *client, uint64_t type,
			      IOMemoryDescriptor **memory)
{
	uint8_t index;
	int error;

	if (type == QUIVER_DEXT_MEM_PENDING) {
		if (!quiver_dext_owned_by(ivars->dext, client))
			return -EPERM;
		*memory = ivars->page;
		(*memory)->retain();
		return 0;
	}
	error = quiver_dext_bar_memory(ivars->dext, client, type, &index);
	if (error)
		return error;
	/* From the object that opened the device, whoever asks [H5]. */
	return ivars->pci->_CopyDeviceMemoryWithIndex(index, memory, ivars->driver) ? -EIO : 0;
}

kern_return_t QuiverDriver::CopyMemory(QuiverUserClient *client, uint64_t type,
				       IOMemoryDescriptor **memory)
{
	int error = lock_for_client(ivars);

	if (error)
		return quiver_dext_return(error);
	error = copy_memory_locked(ivars, client, type, memory);
	IOLockUnlock(ivars->lock);
	return quiver_dext_return(error);
}

kern_return_t QuiverDriver::SetWake(QuiverUserClient *client, OSAction *action)
{
	int error = lock_for_client(ivars);

	if (error)
		return quiver_dext_return(error);
	error = quiver_dext_check(ivars->dext, client);
	if (!error)
		quiver_platform_set_wake(ivars, client, action);
	IOLockUnlock(ivars->lock);
	return quiver_dext_return(error);
}

/* On the interrupt queue. */
void IMPL(QuiverDriver, InterruptOccurred)
{
	quiver_platform_interrupt(ivars, action);
}
