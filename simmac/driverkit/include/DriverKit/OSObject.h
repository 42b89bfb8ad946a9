/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * DriverKit's root classes, for extensions that run in the simulated Mac. Names
 * and prototypes are Apple's; of the rest, only what an extension can notice.
 */
#ifndef SIMMAC_DRIVERKIT_OSOBJECT_H
#define SIMMAC_DRIVERKIT_OSOBJECT_H

#include <atomic>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <DriverKit/IOReturn.h>

class OSObject;
class IODispatchQueue;
typedef char IODispatchQueueName[256];

/* Annotations of .iig files. */
#define KERNEL
#define NATIVE
#define LOCAL
#define LOCALONLY
#define REPLY
#define TARGET
#define TYPE(method)
#define QUEUENAME(name)
#define EXTENDS(cls)

#define DEFN(classname, name) name ## _Impl(classname ## _ ## name ## _Args)
#define IMPL(classname, name) classname :: DEFN(classname, name)

/* The method of the superclass is meant, not ours: Apple passes its dispatch function. */
typedef const struct simmac_super *OSDispatchMethod;
#define SUPERDISPATCH (reinterpret_cast<OSDispatchMethod>(1))

class OSMetaClass
{
public:
	typedef OSObject *(*Allocator)();
	OSMetaClass(const char *name, Allocator allocator);
	static OSObject *New(const char *name);		/* initialised, or NULL */
private:
	const char *name;
	Allocator allocator;
	OSMetaClass *next;
};

class OSObject
{
public:
	virtual bool init();
	virtual void free();
	virtual void retain() const;
	virtual void release() const;

	/* How many there are, by class; on the simulated Mac's own account. */
	static size_t LiveCount();
	static void EachLive(void (*visit)(const OSObject *object, void *context), void *context);

protected:
	OSObject();
	virtual ~OSObject();

private:
	OSObject(const OSObject &);
	OSObject &operator=(const OSObject &);
	mutable std::atomic<int> references;
	OSObject *previous, *next;
};

#define OSDynamicCast(type, object) dynamic_cast<type *>(object)
#define OSTypeAlloc(type) (new type)
#define OSSafeReleaseNULL(object) \
	do { if ((object) != NULL) { (object)->release(); (object) = NULL; } } while (0)

#endif
