// SPDX-License-Identifier: BSD-3-Clause
#include <Block.h>
#include <deque>
#include <stdio.h>
#include <stdlib.h>
#include <thread>

#include "runtime.h"

struct IODispatchQueue_IVars {
	std::string name;
	std::mutex serial;		/* held by whoever runs work */
	std::atomic<pthread_t> runner{};	/* has it */
	std::mutex lock;		/* of the rest */
	std::condition_variable changed;
	std::deque<std::function<void()>> work;
	std::thread thread;
	bool started = false, stopping = false;
};

typedef std::shared_ptr<IODispatchQueue_IVars> Queue;

static void run(const Queue &ivars, const std::function<void()> &work)
{
	std::lock_guard<std::mutex> guard(ivars->serial);

	ivars->runner.store(pthread_self());
	work();
	ivars->runner.store(pthread_t());
}

static void worker(Queue ivars)
{
	std::unique_lock<std::mutex> guard(ivars->lock);

	for (;;) {
		ivars->changed.wait(guard, [&ivars] {
			return ivars->stopping || !ivars->work.empty();
		});
		if (ivars->work.empty())
			return;
		{
			std::function<void()> work = std::move(ivars->work.front());

			ivars->work.pop_front();
			guard.unlock();
			run(ivars, work);
		}
		guard.lock();
	}
}

kern_return_t IODispatchQueue::Create(const IODispatchQueueName name, uint64_t, uint64_t,
				      IODispatchQueue **queue)
{
	if (simmac_calls::fails("IODispatchQueue::Create"))
		return kIOReturnNoMemory;
	*queue = new IODispatchQueue;
	(*queue)->ivars = std::make_shared<IODispatchQueue_IVars>();
	(*queue)->ivars->name = name;
	return kIOReturnSuccess;
}

/* The last reference may be dropped by work of the queue itself. */
void IODispatchQueue::free()
{
	{
		std::lock_guard<std::mutex> guard(ivars->lock);

		ivars->stopping = true;
		ivars->changed.notify_all();
	}
	if (ivars->thread.get_id() == std::this_thread::get_id())
		ivars->thread.detach();
	else if (ivars->started)
		ivars->thread.join();
	OSObject::free();
}

bool IODispatchQueue::OnQueue()
{
	return pthread_equal(ivars->runner.load(), pthread_self());
}

static void post(const Queue &ivars, std::function<void()> work)
{
	std::lock_guard<std::mutex> guard(ivars->lock);

	if (!ivars->started)
		ivars->thread = std::thread(worker, ivars);
	ivars->started = true;
	ivars->work.push_back(std::move(work));
	ivars->changed.notify_one();
}

void IODispatchQueue::DispatchAsync(IODispatchBlock block)
{
	IODispatchBlock copy = Block_copy(block);

	retain();
	post(ivars, [this, copy] {
		copy();
		Block_release(copy);
		release();
	});
}

void IODispatchQueue::DispatchAsync_f(void *context, IODispatchFunction function)
{
	post(ivars, [context, function] { function(context); });
}

static void enter(IODispatchQueue *queue, const Queue &ivars,
		  const std::function<void()> &work)
{
	if (queue->OnQueue()) {
		fprintf(stderr, "simmac: deadlock: queue \"%s\" waits for itself\n",
			ivars->name.c_str());
		abort();
	}
	run(ivars, work);
}

void IODispatchQueue::DispatchSync(IODispatchBlock block)
{
	enter(this, ivars, [block] { block(); });
}

void IODispatchQueue::DispatchSync_f(void *context, IODispatchFunction function)
{
	enter(this, ivars, [context, function] { function(context); });
}

void simmac_enter(IODispatchQueue *queue, const std::function<void()> &work)
{
	if (queue->OnQueue()) {
		work();
		return;
	}
	queue->DispatchSync_f(const_cast<std::function<void()> *>(&work), [](void *context) {
		(*static_cast<std::function<void()> *>(context))();
	});
}
