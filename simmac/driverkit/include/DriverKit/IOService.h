/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef SIMMAC_DRIVERKIT_IOSERVICE_H
#define SIMMAC_DRIVERKIT_IOSERVICE_H

#include <DriverKit/IOTypes.h>
#include <DriverKit/OSAction.h>
#include <DriverKit/OSContainer.h>
#include <DriverKit/OSObject.h>

class IOService;
class IOUserClient;
struct IOService_IVars;
typedef char IOServiceName[128];
typedef char IOPropertyName[128];
typedef char IORegistryPlaneName[128];

#define kIOServiceDefaultQueueName "Default"

enum {
	kIOServiceSearchPropertyParents = 0x00000001
};

/* Of SetPowerState(): the system goes to sleep, all is on, or the device may save power. */
enum {
	kIOServicePowerCapabilityOff = 0x00000000,
	kIOServicePowerCapabilityOn  = 0x00000002,
	kIOServicePowerCapabilityLow = 0x00010000,
};

/*
 * Methods that cross processes on a Mac run on the object's default queue:
 * calling one enters it, and the extension's own is name_Impl().
 */
class IOService : public OSObject
{
public:
	bool init() override;
	void free() override;

	kern_return_t Start(IOService *provider, OSDispatchMethod supermethod = NULL);
	kern_return_t Stop(IOService *provider, OSDispatchMethod supermethod = NULL);
	kern_return_t NewUserClient(uint32_t type, IOUserClient **userClient,
				    OSDispatchMethod supermethod = NULL);
	kern_return_t RegisterService(OSDispatchMethod supermethod = NULL);
	kern_return_t SetName(const IOServiceName name, OSDispatchMethod supermethod = NULL);
	kern_return_t GetRegistryEntryID(uint64_t *registryEntryID,
					 OSDispatchMethod supermethod = NULL);
	kern_return_t SetDispatchQueue(const IODispatchQueueName name, IODispatchQueue *queue,
				       OSDispatchMethod supermethod = NULL);
	kern_return_t CopyDispatchQueue(const IODispatchQueueName name, IODispatchQueue **queue,
					OSDispatchMethod supermethod = NULL);
	/* provider must be this; propertiesKey names a dictionary of the personality. */
	kern_return_t Create(IOService *provider, const IOPropertyName propertiesKey,
			     IOService **result, OSDispatchMethod supermethod = NULL);

	/*
	 * Of this service or, as options say, of those above it in a plane, of
	 * which only "IOService" is there. kIOReturnNotFound, with *property NULL.
	 */
	kern_return_t SearchProperty(const IOPropertyName name, const IORegistryPlaneName plane,
				     uint64_t options, OSContainer **property,
				     OSDispatchMethod supermethod = NULL);

	/* A service that was matched joins by itself once it has started. */
	kern_return_t JoinPMTree(OSDispatchMethod supermethod = NULL);
	/*
	 * The platform's call when power goes or comes. The extension makes itself
	 * safe and then calls super, which tells the platform that it has, once for
	 * each call of its own, and within 20 s [L2]. kIOReturnNotReady: nothing is
	 * waited for. An extension that returns an error is waited for no longer.
	 */
	kern_return_t SetPowerState(uint32_t powerFlags, OSDispatchMethod supermethod = NULL);

	virtual kern_return_t SetPowerState_Impl(uint32_t powerFlags);
	virtual kern_return_t Start_Impl(IOService *provider);
	virtual kern_return_t Stop_Impl(IOService *provider);
	virtual kern_return_t NewUserClient_Impl(uint32_t type, IOUserClient **userClient);

	/* The platform's. */
	IOService_IVars *ServiceState() { return service; }
private:
	IOService_IVars *service = NULL;
};

#endif
