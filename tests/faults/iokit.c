// SPDX-License-Identifier: BSD-3-Clause
#include "iokit.h"

#include <CoreFoundation/CoreFoundation.h>
#include <IOKit/pwr_mgt/IOPMLib.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/sysctl.h>

static const struct {
	const char *name;
	enum iokit_meaning meaning;
} calls[IOKIT_CALLS] = {
#define IOKIT_CALL(name, meaning) { #name, meaning },
#include "iokit_calls.h"
#undef IOKIT_CALL
};

static struct {
	struct iokit_fault faults[IOKIT_FAULTS_MAX];
	atomic_bool struck[IOKIT_FAULTS_MAX];
	size_t count;
	_Atomic(const struct iokit_fault *) death;	/* the connection's */
	atomic_ullong used[IOKIT_CALLS];
} plan;

static _Thread_local bool counted;
static _Thread_local const struct iokit_fault *struck_here;
static atomic_int held;

const char *iokit_name(enum iokit_call call)
{
	return calls[call].name;
}

enum iokit_meaning iokit_meaning(enum iokit_call call)
{
	return calls[call].meaning;
}

void iokit_begin(const struct iokit_fault *faults, size_t count)
{
	for (size_t i = 0; i < IOKIT_CALLS; i++)
		atomic_store(&plan.used[i], 0);
	for (size_t i = 0; i < count; i++) {
		plan.faults[i] = faults[i];
		atomic_store(&plan.struck[i], false);
	}
	plan.count = count;
	counted = true;
	struck_here = NULL;
}

void iokit_end(void)
{
	counted = false;
	atomic_store(&plan.death, NULL);
}

uint64_t iokit_used(enum iokit_call call)
{
	return atomic_load(&plan.used[call]);
}

unsigned int iokit_struck(void)
{
	unsigned int struck = 0;

	for (size_t i = 0; i < plan.count; i++)
		struck += atomic_load(&plan.struck[i]);
	return struck;
}

const struct iokit_fault *iokit_struck_here(void)
{
	const struct iokit_fault *fault = struck_here;

	struck_here = NULL;
	return fault;
}

bool iokit_dead(void)
{
	return atomic_load(&plan.death);
}

int iokit_held(void)
{
	return atomic_load(&held);
}

bool iokit_has_connection(enum iokit_call call)
{
	switch (call) {
	case IOKIT_IOConnectCallMethod:
	case IOKIT_IOConnectCallScalarMethod:
	case IOKIT_IOConnectCallStructMethod:
	case IOKIT_IOConnectCallAsyncScalarMethod:
	case IOKIT_IOConnectMapMemory64:
		return true;
	default:
		return false;
	}
}

static kern_return_t strike(const struct iokit_fault *fault)
{
	atomic_store(&plan.struck[fault - plan.faults], true);
	struck_here = fault;
	if (fault->forever)
		atomic_store(&plan.death, fault);
	return fault->status;
}

/* What this use of it is to fail with; 0: it is not to. */
static kern_return_t use(enum iokit_call call)
{
	const struct iokit_fault *death = atomic_load(&plan.death);
	unsigned long long nth;

	if (death && iokit_has_connection(call))
		return strike(death);
	/* These two are made by threads of libquiver's own. */
	if (!counted && call != IOKIT_mach_msg_receive && call != IOKIT_IOAllowPowerChange)
		return 0;
	nth = atomic_fetch_add(&plan.used[call], 1) + 1;
	for (size_t i = 0; i < plan.count; i++) {
		if (plan.faults[i].call == call && plan.faults[i].nth == nth)
			return strike(&plan.faults[i]);
	}
	return 0;
}

static void hold(bool more)
{
	if (more)
		atomic_fetch_add(&held, 1);
}

static void give_back(bool fewer)
{
	if (fewer)
		atomic_fetch_sub(&held, 1);
}

/* The calls, under the names that libquiver is compiled with. */
#define UNDER_LIBQUIVER(type, name, ...) \
	type faults_##name(__VA_ARGS__); \
	type faults_##name(__VA_ARGS__)

UNDER_LIBQUIVER(void, CFRelease, CFTypeRef value)
{
	CFRelease(value);
	give_back(true);
}

UNDER_LIBQUIVER(CFMutableDictionaryRef, IOServiceNameMatching, const char *name)
{
	CFMutableDictionaryRef matching = NULL;

	if (!use(IOKIT_IOServiceNameMatching))
		matching = IOServiceNameMatching(name);
	hold(matching);
	return matching;
}

UNDER_LIBQUIVER(CFMutableDictionaryRef, IOServiceMatching, const char *name)
{
	CFMutableDictionaryRef matching = NULL;

	if (!use(IOKIT_IOServiceMatching))
		matching = IOServiceMatching(name);
	hold(matching);
	return matching;
}

/* Consumes matching, whatever becomes of it. */
UNDER_LIBQUIVER(kern_return_t, IOServiceGetMatchingServices, mach_port_t port,
		CFDictionaryRef matching, io_iterator_t *existing)
{
	kern_return_t result = use(IOKIT_IOServiceGetMatchingServices);

	give_back(matching);
	if (result) {
		if (matching)
			CFRelease(matching);
		return result;
	}
	result = IOServiceGetMatchingServices(port, matching, existing);
	hold(!result && *existing);
	return result;
}

UNDER_LIBQUIVER(io_object_t, IOIteratorNext, io_iterator_t iterator)
{
	io_object_t object = use(IOKIT_IOIteratorNext) ? IO_OBJECT_NULL : IOIteratorNext(iterator);

	hold(object);
	return object;
}

UNDER_LIBQUIVER(boolean_t, IOIteratorIsValid, io_iterator_t iterator)
{
	return use(IOKIT_IOIteratorIsValid) ? 0 : IOIteratorIsValid(iterator);
}

UNDER_LIBQUIVER(kern_return_t, IOObjectRelease, io_object_t object)
{
	kern_return_t result = IOObjectRelease(object);

	give_back(!result);
	return result;
}

UNDER_LIBQUIVER(kern_return_t, IOObjectGetClass, io_object_t object, io_name_t name)
{
	kern_return_t result = use(IOKIT_IOObjectGetClass);

	return result ? result : IOObjectGetClass(object, name);
}

UNDER_LIBQUIVER(kern_return_t, IORegistryEntryGetRegistryEntryID, io_registry_entry_t entry,
		uint64_t *id)
{
	kern_return_t result = use(IOKIT_IORegistryEntryGetRegistryEntryID);

	return result ? result : IORegistryEntryGetRegistryEntryID(entry, id);
}

UNDER_LIBQUIVER(kern_return_t, IORegistryEntryGetName, io_registry_entry_t entry, io_name_t name)
{
	kern_return_t result = use(IOKIT_IORegistryEntryGetName);

	return result ? result : IORegistryEntryGetName(entry, name);
}

UNDER_LIBQUIVER(kern_return_t, IORegistryEntryGetChildIterator, io_registry_entry_t entry,
		const io_name_t plane, io_iterator_t *iterator)
{
	kern_return_t result = use(IOKIT_IORegistryEntryGetChildIterator);

	if (!result) {
		result = IORegistryEntryGetChildIterator(entry, plane, iterator);
		hold(!result && *iterator);
	}
	return result;
}

UNDER_LIBQUIVER(kern_return_t, IORegistryEntryGetParentEntry, io_registry_entry_t entry,
		const io_name_t plane, io_registry_entry_t *parent)
{
	kern_return_t result = use(IOKIT_IORegistryEntryGetParentEntry);

	if (!result) {
		result = IORegistryEntryGetParentEntry(entry, plane, parent);
		hold(!result);
	}
	return result;
}

UNDER_LIBQUIVER(CFTypeRef, IORegistryEntryCreateCFProperty, io_registry_entry_t entry,
		CFStringRef key, CFAllocatorRef allocator, IOOptionBits options)
{
	CFTypeRef value = NULL;

	if (!use(IOKIT_IORegistryEntryCreateCFProperty))
		value = IORegistryEntryCreateCFProperty(entry, key, allocator, options);
	hold(value);
	return value;
}

UNDER_LIBQUIVER(CFTypeRef, IORegistryEntrySearchCFProperty, io_registry_entry_t entry,
		const io_name_t plane, CFStringRef key, CFAllocatorRef allocator,
		IOOptionBits options)
{
	CFTypeRef value = NULL;

	if (!use(IOKIT_IORegistryEntrySearchCFProperty))
		value = IORegistryEntrySearchCFProperty(entry, plane, key, allocator, options);
	hold(value);
	return value;
}

UNDER_LIBQUIVER(Boolean, CFNumberGetValue, CFNumberRef number, CFNumberType type, void *value)
{
	return use(IOKIT_CFNumberGetValue) ? 0 : CFNumberGetValue(number, type, value);
}

UNDER_LIBQUIVER(Boolean, CFStringGetCString, CFStringRef string, char *buffer, CFIndex size,
		CFStringEncoding encoding)
{
	return use(IOKIT_CFStringGetCString) ? 0 :
	       CFStringGetCString(string, buffer, size, encoding);
}

UNDER_LIBQUIVER(int, sysctlbyname, const char *name, void *old, size_t *old_size, void *new,
		size_t new_size)
{
	if (!use(IOKIT_sysctlbyname))
		return sysctlbyname(name, old, old_size, new, new_size);
	errno = ENOENT;
	return -1;
}

UNDER_LIBQUIVER(IOReturn, IOPMAssertionCreateWithName, CFStringRef type,
		IOPMAssertionLevel level, CFStringRef name, IOPMAssertionID *assertion)
{
	kern_return_t result = use(IOKIT_IOPMAssertionCreateWithName);

	if (!result) {
		result = IOPMAssertionCreateWithName(type, level, name, assertion);
		hold(!result);
	}
	return result;
}

UNDER_LIBQUIVER(IOReturn, IOPMAssertionRelease, IOPMAssertionID assertion)
{
	IOReturn result = IOPMAssertionRelease(assertion);

	give_back(!result);
	return result;
}

/* A connection, a notifier and a port: each is given back by itself. */
UNDER_LIBQUIVER(io_connect_t, IORegisterForSystemPower, void *refcon, IONotificationPortRef *port,
		IOServiceInterestCallback callback, io_object_t *notifier)
{
	io_connect_t connect = MACH_PORT_NULL;

	if (!use(IOKIT_IORegisterForSystemPower))
		connect = IORegisterForSystemPower(refcon, port, callback, notifier);
	for (int i = 0; i < 3; i++)
		hold(connect);
	return connect;
}

UNDER_LIBQUIVER(IOReturn, IODeregisterForSystemPower, io_object_t *notifier)
{
	give_back(*notifier);
	return IODeregisterForSystemPower(notifier);
}

UNDER_LIBQUIVER(IOReturn, IOAllowPowerChange, io_connect_t connect, intptr_t id)
{
	return use(IOKIT_IOAllowPowerChange) ? kIOReturnError : IOAllowPowerChange(connect, id);
}

UNDER_LIBQUIVER(kern_return_t, IOServiceOpen, io_service_t service, task_port_t task,
		uint32_t type, io_connect_t *connect)
{
	kern_return_t result = use(IOKIT_IOServiceOpen);

	if (!result) {
		result = IOServiceOpen(service, task, type, connect);
		hold(!result);
	}
	return result;
}

UNDER_LIBQUIVER(kern_return_t, IOServiceClose, io_connect_t connect)
{
	kern_return_t result = IOServiceClose(connect);

	give_back(!result);
	return result;
}

UNDER_LIBQUIVER(kern_return_t, IOConnectCallMethod, mach_port_t connection, uint32_t selector,
		const uint64_t *input, uint32_t input_count, const void *bytes, size_t size,
		uint64_t *output, uint32_t *output_count, void *out, size_t *out_size)
{
	kern_return_t result = use(IOKIT_IOConnectCallMethod);

	return result ? result : IOConnectCallMethod(connection, selector, input, input_count, bytes,
						     size, output, output_count, out, out_size);
}

UNDER_LIBQUIVER(kern_return_t, IOConnectCallScalarMethod, mach_port_t connection,
		uint32_t selector, const uint64_t *input, uint32_t input_count, uint64_t *output,
		uint32_t *output_count)
{
	kern_return_t result = use(IOKIT_IOConnectCallScalarMethod);

	return result ? result : IOConnectCallScalarMethod(connection, selector, input, input_count,
							   output, output_count);
}

UNDER_LIBQUIVER(kern_return_t, IOConnectCallStructMethod, mach_port_t connection,
		uint32_t selector, const void *bytes, size_t size, void *out, size_t *out_size)
{
	kern_return_t result = use(IOKIT_IOConnectCallStructMethod);

	return result ? result : IOConnectCallStructMethod(connection, selector, bytes, size, out,
							   out_size);
}

UNDER_LIBQUIVER(kern_return_t, IOConnectCallAsyncScalarMethod, mach_port_t connection,
		uint32_t selector, mach_port_t port, uint64_t *reference,
		uint32_t reference_count, const uint64_t *input, uint32_t input_count,
		uint64_t *output, uint32_t *output_count)
{
	kern_return_t result = use(IOKIT_IOConnectCallAsyncScalarMethod);

	return result ? result : IOConnectCallAsyncScalarMethod(connection, selector, port, reference,
								reference_count, input, input_count,
								output, output_count);
}

UNDER_LIBQUIVER(kern_return_t, IOConnectMapMemory64, io_connect_t connect, uint32_t type,
		task_port_t task, mach_vm_address_t *address, mach_vm_size_t *size,
		IOOptionBits options)
{
	kern_return_t result = use(IOKIT_IOConnectMapMemory64);

	return result ? result : IOConnectMapMemory64(connect, type, task, address, size, options);
}

UNDER_LIBQUIVER(kern_return_t, IOConnectUnmapMemory64, io_connect_t connect, uint32_t type,
		task_port_t task, mach_vm_address_t address)
{
	kern_return_t result = use(IOKIT_IOConnectUnmapMemory64);

	return result ? result : IOConnectUnmapMemory64(connect, type, task, address);
}

UNDER_LIBQUIVER(IONotificationPortRef, IONotificationPortCreate, mach_port_t port)
{
	IONotificationPortRef notify = NULL;

	if (!use(IOKIT_IONotificationPortCreate))
		notify = IONotificationPortCreate(port);
	hold(notify);
	return notify;
}

UNDER_LIBQUIVER(void, IONotificationPortDestroy, IONotificationPortRef notify)
{
	IONotificationPortDestroy(notify);
	give_back(true);
}

UNDER_LIBQUIVER(mach_msg_return_t, mach_msg, mach_msg_header_t *message,
		mach_msg_option_t option, mach_msg_size_t send_size, mach_msg_size_t room,
		mach_port_name_t port, mach_msg_timeout_t timeout, mach_port_name_t notify)
{
	mach_msg_return_t result = use(option & MACH_SEND_MSG ? IOKIT_mach_msg_send :
								IOKIT_mach_msg_receive);

	return result ? result : mach_msg(message, option, send_size, room, port, timeout, notify);
}

UNDER_LIBQUIVER(int, pthread_create, pthread_t *thread, const pthread_attr_t *attributes,
		void *(*run)(void *), void *argument)
{
	return use(IOKIT_pthread_create) ? EAGAIN :
					   pthread_create(thread, attributes, run, argument);
}

UNDER_LIBQUIVER(void *, calloc, size_t count, size_t size)
{
	return use(IOKIT_calloc) ? NULL : calloc(count, size);
}

UNDER_LIBQUIVER(void *, realloc, void *memory, size_t size)
{
	return use(IOKIT_realloc) ? NULL : realloc(memory, size);
}
