// SPDX-License-Identifier: BSD-3-Clause
#include <chrono>
#include <stdio.h>
#include <stdlib.h>
#include <thread>

#include <DriverKit/IOService.h>
#include "runtime.h"

uint64_t simmac_entry_id()
{
	static std::atomic<uint64_t> id{0x100000400};

	return id.fetch_add(1);
}

bool IOService::init()
{
	IODispatchQueue *queue;

	if (!OSObject::init() ||
	    IODispatchQueue::Create(kIOServiceDefaultQueueName, 0, 0, &queue))
		return false;
	service = new IOService_IVars;
	service->queue = queue;
	service->id = simmac_entry_id();
	return true;
}

void IOService::free()
{
	if (service) {
		for (auto &entry : service->queues)
			entry.second->release();
		service->queue->release();
	}
	delete service;
	service = NULL;
	OSObject::free();
}

kern_return_t IOService::Start(IOService *provider, OSDispatchMethod)
{
	kern_return_t result = kIOReturnError;

	service->provider = provider;
	simmac_enter(service->queue, [&] { result = Start_Impl(provider); });
	return result;
}

kern_return_t IOService::JoinPMTree(OSDispatchMethod)
{
	std::lock_guard<std::mutex> guard(service->lock);

	if (simmac_calls::fails("IOService::JoinPMTree"))
		return kIOReturnError;
	service->joined = true;
	return kIOReturnSuccess;
}

kern_return_t IOService::SetPowerState(uint32_t powerFlags, OSDispatchMethod)
{
	kern_return_t result = kIOReturnError;

	simmac_enter(service->queue, [&] { result = SetPowerState_Impl(powerFlags); });
	return result;
}

kern_return_t IOService::SetPowerState_Impl(uint32_t)
{
	bool fails = simmac_calls::fails("IOService::SetPowerState");
	std::lock_guard<std::mutex> guard(service->lock);

	if (fails)
		return kIOReturnError;
	if (!service->will_power)
		return kIOReturnNotReady;
	service->will_power = false;
	service->changed.notify_all();
	return kIOReturnSuccess;
}

bool simmac_set_power(IOService *service, uint32_t powerFlags)
{
	IOService_IVars *state = service->ServiceState();
	bool returned = false, in_time;
	std::thread call;

	{
		std::lock_guard<std::mutex> guard(state->lock);

		state->will_power = true;
	}
	call = std::thread([&] {
		kern_return_t result = service->SetPowerState(powerFlags);
		std::lock_guard<std::mutex> guard(state->lock);

		if (result != kIOReturnSuccess)
			state->will_power = false;
		returned = true;
		state->changed.notify_all();
	});
	{
		std::unique_lock<std::mutex> guard(state->lock);

		in_time = state->changed.wait_for(guard,
						  std::chrono::milliseconds(simmac_knobs.power_ms),
						  [&] { return returned && !state->will_power; });
	}
	if (in_time)
		call.join();
	else
		call.detach();
	return in_time;
}

kern_return_t IOService::Start_Impl(IOService *)
{
	return simmac_calls::fails("IOService::Start") ? kIOReturnError : kIOReturnSuccess;
}

/* A Mac sends it once to each service. */
static void count_stop(IOService_IVars *service)
{
	std::lock_guard<std::mutex> guard(service->lock);

	if (service->stopping) {
		fprintf(stderr, "simmac: a service is stopped twice\n");
		abort();
	}
	service->stopping = true;
}

kern_return_t IOService::Stop(IOService *provider, OSDispatchMethod)
{
	kern_return_t result = kIOReturnError;

	count_stop(service);
	simmac_enter(service->queue, [&] { result = Stop_Impl(provider); });
	return result;
}

/* The end of stopping, which may come long after Stop() has returned. */
kern_return_t IOService::Stop_Impl(IOService *)
{
	std::lock_guard<std::mutex> guard(service->lock);

	service->stopped = true;
	service->changed.notify_all();
	return kIOReturnSuccess;
}

kern_return_t IOService::NewUserClient(uint32_t type, IOUserClient **userClient, OSDispatchMethod)
{
	kern_return_t result = kIOReturnError;

	simmac_enter(service->queue, [&] { result = NewUserClient_Impl(type, userClient); });
	return result;
}

kern_return_t IOService::NewUserClient_Impl(uint32_t, IOUserClient **)
{
	return kIOReturnError;
}

kern_return_t IOService::RegisterService(OSDispatchMethod)
{
	std::lock_guard<std::mutex> guard(service->lock);

	if (simmac_calls::fails("IOService::RegisterService"))
		return kIOReturnError;
	service->registered = true;
	return kIOReturnSuccess;
}

kern_return_t IOService::SetName(const IOServiceName name, OSDispatchMethod)
{
	std::lock_guard<std::mutex> guard(service->lock);

	if (simmac_calls::fails("IOService::SetName"))
		return kIOReturnNoMemory;
	service->name = name;
	return kIOReturnSuccess;
}

kern_return_t IOService::GetRegistryEntryID(uint64_t *registryEntryID, OSDispatchMethod)
{
	*registryEntryID = service->id;
	return kIOReturnSuccess;
}

kern_return_t IOService::SetDispatchQueue(const IODispatchQueueName name, IODispatchQueue *queue,
					  OSDispatchMethod)
{
	std::lock_guard<std::mutex> guard(service->lock);
	IODispatchQueue *&slot = service->queues[name];

	if (simmac_calls::fails("IOService::SetDispatchQueue"))
		return kIOReturnNoMemory;
	queue->retain();
	OSSafeReleaseNULL(slot);
	slot = queue;
	return kIOReturnSuccess;
}

kern_return_t IOService::CopyDispatchQueue(const IODispatchQueueName name, IODispatchQueue **queue,
					   OSDispatchMethod)
{
	std::lock_guard<std::mutex> guard(service->lock);
	auto found = service->queues.find(name);

	if (simmac_calls::fails("IOService::CopyDispatchQueue"))
		return kIOReturnNoMemory;
	*queue = NULL;
	if (found != service->queues.end())
		*queue = found->second;
	else if (!strcmp(name, kIOServiceDefaultQueueName))
		*queue = service->queue;
	if (!*queue)
		return kIOReturnNotFound;
	(*queue)->retain();
	return kIOReturnSuccess;
}

/* Of a class that cannot be made a Mac says the same as of one that is not known. */
static kern_return_t create(const simmac_personality *personality, const char *key,
			    OSObject **object)
{
	for (size_t i = 0; personality && i < personality->client_count; i++) {
		if (strcmp(personality->clients[i].key, key))
			continue;
		*object = OSMetaClass::New(personality->clients[i].user_class);
		return *object ? kIOReturnSuccess : kIOReturnUnsupported;
	}
	return kIOReturnBadArgument;
}

kern_return_t IOService::Create(IOService *provider, const IOPropertyName propertiesKey,
				IOService **result, OSDispatchMethod)
{
	OSObject *object = NULL;
	kern_return_t made;

	if (provider != this)
		return kIOReturnUnsupported;
	if (simmac_calls::fails("IOService::Create"))
		return kIOReturnNoMemory;
	made = create(service->personality, propertiesKey, &object);
	if (made != kIOReturnSuccess)
		return made;
	*result = OSDynamicCast(IOService, object);
	if (!*result) {
		object->release();
		return kIOReturnBadArgument;
	}
	return kIOReturnSuccess;
}
