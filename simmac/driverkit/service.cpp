// SPDX-License-Identifier: BSD-3-Clause
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

kern_return_t IOService::Start_Impl(IOService *)
{
	return simmac_calls::fails("IOService::Start") ? kIOReturnError : kIOReturnSuccess;
}

kern_return_t IOService::Stop(IOService *provider, OSDispatchMethod)
{
	kern_return_t result = kIOReturnError;

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

static OSObject *create(const simmac_personality *personality, const char *key)
{
	for (size_t i = 0; personality && i < personality->client_count; i++) {
		if (!strcmp(personality->clients[i].key, key))
			return OSMetaClass::New(personality->clients[i].user_class);
	}
	return NULL;
}

kern_return_t IOService::Create(IOService *provider, const IOPropertyName propertiesKey,
				IOService **result, OSDispatchMethod)
{
	OSObject *object;

	if (provider != this)
		return kIOReturnUnsupported;
	if (simmac_calls::fails("IOService::Create"))
		return kIOReturnNoMemory;
	object = create(service->personality, propertiesKey);
	if (!object)
		return kIOReturnBadArgument;
	*result = OSDynamicCast(IOService, object);
	if (!*result) {
		object->release();
		return kIOReturnBadArgument;
	}
	return kIOReturnSuccess;
}
