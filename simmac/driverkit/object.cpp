// SPDX-License-Identifier: BSD-3-Clause
#include <mutex>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <DriverKit/DriverKit.h>
#include "runtime.h"

static std::mutex live_lock;
static OSObject *live_first;
static size_t live_count;
static OSMetaClass *classes;

OSMetaClass::OSMetaClass(const char *name, Allocator allocator)
	: name(name), allocator(allocator), next(classes)
{
	classes = this;
}

OSObject *OSMetaClass::New(const char *name)
{
	for (OSMetaClass *c = classes; c; c = c->next) {
		OSObject *object;

		if (strcmp(c->name, name))
			continue;
		object = c->allocator();
		if (!object->init()) {
			object->release();
			return NULL;
		}
		return object;
	}
	return NULL;
}

OSObject::OSObject() : references(1), previous(NULL), next(NULL)
{
	std::lock_guard<std::mutex> guard(live_lock);

	next = live_first;
	if (next)
		next->previous = this;
	live_first = this;
	live_count++;
}

OSObject::~OSObject()
{
	std::lock_guard<std::mutex> guard(live_lock);

	if (next)
		next->previous = previous;
	if (previous)
		previous->next = next;
	else
		live_first = next;
	live_count--;
}

bool OSObject::init()
{
	return true;
}

void OSObject::free()
{
	delete this;
}

void OSObject::retain() const
{
	references.fetch_add(1);
}

void OSObject::release() const
{
	if (references.fetch_sub(1) == 1)
		const_cast<OSObject *>(this)->free();
}

size_t OSObject::LiveCount()
{
	std::lock_guard<std::mutex> guard(live_lock);

	return live_count;
}

void OSObject::EachLive(void (*visit)(const OSObject *object, void *context), void *context)
{
	std::lock_guard<std::mutex> guard(live_lock);

	for (const OSObject *object = live_first; object; object = object->next)
		visit(object, context);
}

OSData *OSData::withCapacity(size_t capacity)
{
	OSData *data;

	if (simmac_calls::fails("OSData::withCapacity"))
		return NULL;
	data = new OSData;
	data->bytes = new uint8_t[capacity];
	data->capacity = capacity;
	return data;
}

OSData *OSData::withBytes(const void *bytes, size_t length)
{
	OSData *data = withCapacity(length);

	if (data)
		data->appendBytes(bytes, length);
	return data;
}

bool OSData::appendBytes(const void *more, size_t size)
{
	if (size > capacity - length)
		return false;
	memcpy(bytes + length, more, size);
	length += size;
	return true;
}

void OSData::free()
{
	delete[] bytes;
	OSObject::free();
}

kern_return_t OSAction::Create(OSObject *target, Method method, size_t referenceSize,
			       OSAction **action)
{
	if (simmac_calls::fails("OSAction::Create"))
		return kIOReturnNoMemory;
	*action = new OSAction;
	(*action)->reference = calloc(1, referenceSize ? referenceSize : 1);
	(*action)->method = method;
	(*action)->target = target;
	target->retain();
	return kIOReturnSuccess;
}

void OSAction::free()
{
	::free(reference);
	target->release();
	OSObject::free();
}

struct IOLock {
	pthread_mutex_t mutex;
};

int IOLog(const char *format, ...)
{
	va_list arguments;
	int length;

	va_start(arguments, format);
	length = vfprintf(stderr, format, arguments);
	va_end(arguments);
	return length;
}

void IOSleep(uint64_t milliseconds)
{
	usleep(static_cast<useconds_t>(milliseconds * 1000));
}

void IODelay(uint64_t microseconds)
{
	usleep(static_cast<useconds_t>(microseconds));
}

void *IOMallocZero(size_t size)
{
	return simmac_calls::fails("IOMallocZero") ? NULL : calloc(1, size);
}

void IOFree(void *address, size_t)
{
	free(address);
}

IOLock *IOLockAlloc()
{
	IOLock *lock;

	if (simmac_calls::fails("IOLockAlloc"))
		return NULL;
	lock = new IOLock;
	pthread_mutex_init(&lock->mutex, NULL);
	return lock;
}

void IOLockFree(IOLock *lock)
{
	pthread_mutex_destroy(&lock->mutex);
	delete lock;
}

void IOLockLock(IOLock *lock)
{
	pthread_mutex_lock(&lock->mutex);
}

void IOLockUnlock(IOLock *lock)
{
	pthread_mutex_unlock(&lock->mutex);
}
