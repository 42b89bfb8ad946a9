/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The simulated Mac's IOKit, seen from a client: Apple's prototypes, as far as
 * libquiver and quiver(1) call them. $QUIVER_SIMMAC is the socket of the simulated Mac.
 *
 * Where it differs from a Mac: structs of more than 4096 bytes are refused with
 * kIOReturnBadArgument instead of going out of line; an iterator is as long as
 * the list was when it was made.
 *
 * Of a device that is unplugged all ports die: MACH_SEND_INVALID_DEST. A
 * connection with memory mapped answers kIOReturnBadArgument to all but
 * IOServiceClose().
 */
#ifndef SIMMAC_IOKIT_IOKITLIB_H
#define SIMMAC_IOKIT_IOKITLIB_H

#include <stddef.h>
#include <stdint.h>
#include <CoreFoundation/CFBase.h>
#include <CoreFoundation/CFDictionary.h>
#include <mach/mach.h>
#include <IOKit/IOReturn.h>
#include <IOKit/IOTypes.h>
#include <IOKit/OSMessageNotification.h>

#ifdef __cplusplus
extern "C" {
#endif

extern const mach_port_t kIOMainPortDefault;

typedef struct IONotificationPort *IONotificationPortRef;

typedef void (*IOAsyncCallback0)(void *refcon, IOReturn result);
typedef void (*IOAsyncCallback1)(void *refcon, IOReturn result, void *arg0);
typedef void (*IOAsyncCallback2)(void *refcon, IOReturn result, void *arg0, void *arg1);
typedef void (*IOAsyncCallback)(void *refcon, IOReturn result, void **args, uint32_t numArgs);
typedef void (*IOServiceInterestCallback)(void *refcon, io_service_t service, uint32_t messageType,
					  void *messageArgument);

IONotificationPortRef IONotificationPortCreate(mach_port_t mainPort);
void IONotificationPortDestroy(IONotificationPortRef notify);
mach_port_t IONotificationPortGetMachPort(IONotificationPortRef notify);
void IODispatchCalloutFromMessage(void *unused, mach_msg_header_t *msg, void *reference);

kern_return_t IOObjectRelease(io_object_t object);
io_object_t IOIteratorNext(io_iterator_t iterator);
/* No: the registry has changed below it, and it has ended early. */
boolean_t IOIteratorIsValid(io_iterator_t iterator);
kern_return_t IOObjectGetClass(io_object_t object, io_name_t className);

CFMutableDictionaryRef IOServiceMatching(const char *name);
CFMutableDictionaryRef IOServiceNameMatching(const char *name);
/* Consumes matching. MACH_SEND_INVALID_DEST: there is no simulated Mac. */
kern_return_t IOServiceGetMatchingServices(mach_port_t mainPort, CFDictionaryRef matching,
					   io_iterator_t *existing);

/* There is one plane. */
#define kIOServicePlane "IOService"

enum {
	kIORegistryIterateRecursively	= 0x00000001,
	kIORegistryIterateParents	= 0x00000002,
};

kern_return_t IORegistryEntryGetRegistryEntryID(io_registry_entry_t entry, uint64_t *entryID);
kern_return_t IORegistryEntryGetName(io_registry_entry_t entry, io_name_t name);
kern_return_t IORegistryEntryGetChildIterator(io_registry_entry_t entry, const io_name_t plane,
					      io_iterator_t *iterator);
/* kIOReturnNoDevice: it has none. */
kern_return_t IORegistryEntryGetParentEntry(io_registry_entry_t entry, const io_name_t plane,
					    io_registry_entry_t *parent);
/*
 * The caller releases what they return. Of the directions to search in there is
 * that of the parents.
 */
CFTypeRef IORegistryEntryCreateCFProperty(io_registry_entry_t entry, CFStringRef key,
					  CFAllocatorRef allocator, IOOptionBits options);
CFTypeRef IORegistryEntrySearchCFProperty(io_registry_entry_t entry, const io_name_t plane,
					  CFStringRef key, CFAllocatorRef allocator,
					  IOOptionBits options);

/*
 * Closing returns at once; the driver's Stop() follows, as it does when the
 * process dies.
 */
kern_return_t IOServiceOpen(io_service_t service, task_port_t owningTask, uint32_t type,
			    io_connect_t *connect);
kern_return_t IOServiceClose(io_connect_t connect);

kern_return_t IOConnectCallMethod(mach_port_t connection, uint32_t selector,
				  const uint64_t *input, uint32_t inputCnt,
				  const void *inputStruct, size_t inputStructCnt,
				  uint64_t *output, uint32_t *outputCnt,
				  void *outputStruct, size_t *outputStructCnt);
kern_return_t IOConnectCallAsyncMethod(mach_port_t connection, uint32_t selector,
				       mach_port_t wake_port, uint64_t *reference,
				       uint32_t referenceCnt, const uint64_t *input,
				       uint32_t inputCnt, const void *inputStruct,
				       size_t inputStructCnt, uint64_t *output,
				       uint32_t *outputCnt, void *outputStruct,
				       size_t *outputStructCnt);
kern_return_t IOConnectCallScalarMethod(mach_port_t connection, uint32_t selector,
					const uint64_t *input, uint32_t inputCnt,
					uint64_t *output, uint32_t *outputCnt);
kern_return_t IOConnectCallStructMethod(mach_port_t connection, uint32_t selector,
					const void *inputStruct, size_t inputStructCnt,
					void *outputStruct, size_t *outputStructCnt);
kern_return_t IOConnectCallAsyncScalarMethod(mach_port_t connection, uint32_t selector,
					     mach_port_t wake_port, uint64_t *reference,
					     uint32_t referenceCnt, const uint64_t *input,
					     uint32_t inputCnt, uint64_t *output,
					     uint32_t *outputCnt);
kern_return_t IOConnectCallAsyncStructMethod(mach_port_t connection, uint32_t selector,
					     mach_port_t wake_port, uint64_t *reference,
					     uint32_t referenceCnt, const void *inputStruct,
					     size_t inputStructCnt, void *outputStruct,
					     size_t *outputStructCnt);

kern_return_t IOConnectMapMemory64(io_connect_t connect, uint32_t memoryType,
				   task_port_t intoTask, mach_vm_address_t *atAddress,
				   mach_vm_size_t *ofSize, IOOptionBits options);
kern_return_t IOConnectUnmapMemory64(io_connect_t connect, uint32_t memoryType,
				     task_port_t fromTask, mach_vm_address_t atAddress);

#ifdef __cplusplus
}
#endif
#endif
