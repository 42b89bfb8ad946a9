// SPDX-License-Identifier: BSD-3-Clause
#include <Block.h>
#include <chrono>
#include <deque>
#include <thread>
#include <time.h>

#include <DriverKit/IOInterruptDispatchSource.h>
#include "runtime.h"

/* What is posted has its part in them: a source may end, and be released, meanwhile. */
struct IOInterruptDispatchSource_IVars {
	std::mutex lock;
	IOPCIDevice *pci = NULL;	/* NULL once cancelled */
	uint32_t index = 0;
	IODispatchQueue *queue = NULL;
	OSAction *action = NULL;
	bool enabled = false, posted = false;
	uint64_t count = 0;		/* not told to the action yet */
};

typedef std::shared_ptr<IOInterruptDispatchSource_IVars> Ivars;

static uint64_t now()
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return static_cast<uint64_t>(time.tv_sec) * 1000000000 +
	       static_cast<uint64_t>(time.tv_nsec);
}

kern_return_t IOInterruptDispatchSource::Create(IOService *provider, uint32_t index,
						IODispatchQueue *queue,
						IOInterruptDispatchSource **source)
{
	IOPCIDevice *pci = OSDynamicCast(IOPCIDevice, provider);
	IOInterruptDispatchSource *made;
	kern_return_t result;

	if (!pci)
		return kIOReturnBadArgument;
	if (simmac_calls::fails("IOInterruptDispatchSource::Create"))
		return kIOReturnNoResources;
	made = new IOInterruptDispatchSource;
	made->ivars = std::make_shared<IOInterruptDispatchSource_IVars>();
	made->ivars->index = index;
	result = simmac_pci_register(pci, index, made);
	if (result) {
		made->release();
		return result;
	}
	made->ivars->pci = pci;
	pci->retain();
	made->ivars->queue = queue;
	queue->retain();
	*source = made;
	return kIOReturnSuccess;
}

kern_return_t IOInterruptDispatchSource::GetInterruptType(IOService *provider, uint32_t index,
							  uint64_t *interruptType)
{
	IOPCIDevice *pci = OSDynamicCast(IOPCIDevice, provider);

	*interruptType = 0;
	if (!pci || simmac_calls::fails("IOInterruptDispatchSource::GetInterruptType"))
		return kIOReturnBadArgument;
	std::lock_guard<std::mutex> guard(pci->ivars->lock);

	if (index >= pci->ivars->vectors.size())
		return kIOReturnNoInterrupt;
	*interruptType = kIOInterruptTypePCIMessaged;
	if (pci->ivars->mode == SIMMAC_IRQ_MSIX)
		*interruptType |= kIOInterruptTypePCIMessagedX;
	return kIOReturnSuccess;
}

/* Ends deliveries; what is posted already still runs. */
static void detach(const Ivars &ivars)
{
	IOPCIDevice *pci;

	{
		std::lock_guard<std::mutex> guard(ivars->lock);

		pci = ivars->pci;
		ivars->pci = NULL;
		ivars->enabled = false;
	}
	if (!pci)
		return;
	simmac_pci_unregister(pci, ivars->index);
	pci->release();
}

void IOInterruptDispatchSource::free()
{
	OSAction *action;

	detach(ivars);
	{
		std::lock_guard<std::mutex> guard(ivars->lock);

		action = ivars->action;
		ivars->action = NULL;
	}
	OSSafeReleaseNULL(action);
	OSSafeReleaseNULL(ivars->queue);
	OSObject::free();
}

kern_return_t IOInterruptDispatchSource::SetHandler(OSAction *action)
{
	OSAction *old;

	if (simmac_calls::fails("IOInterruptDispatchSource::SetHandler"))
		return kIOReturnError;
	action->retain();
	{
		std::lock_guard<std::mutex> guard(ivars->lock);

		old = ivars->action;
		ivars->action = action;
	}
	OSSafeReleaseNULL(old);
	return kIOReturnSuccess;
}

kern_return_t IOInterruptDispatchSource::SetEnableWithCompletion(bool enable,
								 IODispatchSourceCancelHandler handler)
{
	if (simmac_calls::fails("IOInterruptDispatchSource::SetEnable"))
		return kIOReturnError;
	{
		std::lock_guard<std::mutex> guard(ivars->lock);

		if (!ivars->pci)
			return kIOReturnUnsupported;
		ivars->enabled = enable;
	}
	if (handler)
		ivars->queue->DispatchAsync(handler);
	return kIOReturnSuccess;
}

/* Sources whose end takes time, the first to end first. Never destroyed: the thread goes on. */
struct ending {
	typedef std::chrono::steady_clock clock;

	std::mutex lock;
	std::condition_variable changed;
	std::deque<std::pair<clock::time_point, std::function<void()>>> work;
	std::thread thread{[this] { run(); }};

	void run();
	void add(std::function<void()> end);
};

void ending::run()
{
	std::unique_lock<std::mutex> guard(lock);

	for (;;) {
		changed.wait(guard, [this] { return !work.empty(); });
		auto next = std::move(work.front());

		work.pop_front();
		guard.unlock();
		std::this_thread::sleep_until(next.first);
		next.second();
		guard.lock();
	}
}

void ending::add(std::function<void()> end)
{
	std::lock_guard<std::mutex> guard(lock);

	work.emplace_back(clock::now() + std::chrono::milliseconds(simmac_knobs.cancel_ms),
			  std::move(end));
	changed.notify_one();
}

/* One owner after the other: the count of a block is not for two threads where TSan looks on. */
struct cancelled {
	IODispatchQueue *queue;
	IODispatchSourceCancelHandler handler;

	static void run(void *context)
	{
		cancelled *end = static_cast<cancelled *>(context);

		end->handler();
		Block_release(end->handler);
		end->queue->release();
		delete end;
	}
};

static void end_later(IODispatchQueue *queue, IODispatchSourceCancelHandler handler)
{
	static ending &ending = *new struct ending;
	cancelled *end = new cancelled{queue, Block_copy(handler)};

	queue->retain();
	ending.add([end] { end->queue->DispatchAsync_f(end, cancelled::run); });
}

kern_return_t IOInterruptDispatchSource::Cancel(IODispatchSourceCancelHandler handler)
{
	if (simmac_calls::fails("IOInterruptDispatchSource::Cancel"))
		return kIOReturnError;
	detach(ivars);
	if (handler && simmac_knobs.cancel_ms)
		end_later(ivars->queue, handler);
	else if (handler)
		ivars->queue->DispatchAsync(handler);
	return kIOReturnSuccess;
}

void IOInterruptDispatchSource::Run(void *context)
{
	std::unique_ptr<Ivars> held(static_cast<Ivars *>(context));
	IOInterruptDispatchSource_IVars *ivars = held->get();
	OSAction *action;
	uint64_t count;

	{
		std::lock_guard<std::mutex> guard(ivars->lock);

		ivars->posted = false;
		count = ivars->count;
		ivars->count = 0;
		action = ivars->action;
		if (action)
			action->retain();
	}
	if (action && count)
		action->Invoke(count, now());
	OSSafeReleaseNULL(action);
}

void IOInterruptDispatchSource::Deliver()
{
	std::lock_guard<std::mutex> guard(ivars->lock);

	if (!ivars->enabled)
		return;
	ivars->count++;
	if (ivars->posted)
		return;
	ivars->posted = true;
	ivars->queue->DispatchAsync_f(new Ivars(ivars), Run);
}
