/* SPDX-License-Identifier: BSD-3-Clause */
/* What libquiver calls, by name. A call of IOKit's that is missing here fails test_faults. */
IOKIT_CALL(IOServiceNameMatching, IOKIT_IO)
IOKIT_CALL(IOServiceGetMatchingServices, IOKIT_IO)
IOKIT_CALL(IOIteratorNext, IOKIT_ABSENT)
/* Once: the walk is begun anew. */
IOKIT_CALL(IOIteratorIsValid, IOKIT_PASSES)
IOKIT_CALL(IORegistryEntryGetRegistryEntryID, IOKIT_TELLS)
IOKIT_CALL(IOServiceOpen, IOKIT_TELLS)
IOKIT_CALL(IOConnectCallMethod, IOKIT_TELLS)
IOKIT_CALL(IOConnectCallScalarMethod, IOKIT_TELLS)
IOKIT_CALL(IOConnectCallStructMethod, IOKIT_TELLS)
IOKIT_CALL(IOConnectCallAsyncScalarMethod, IOKIT_TELLS)
IOKIT_CALL(IOConnectMapMemory64, IOKIT_TELLS)
IOKIT_CALL(IONotificationPortCreate, IOKIT_MEMORY)
IOKIT_CALL(IORegisterForSystemPower, IOKIT_IO)
/* The Mac waits for a while, and sleeps. */
IOKIT_CALL(IOAllowPowerChange, IOKIT_PASSES)
IOKIT_CALL(pthread_create, IOKIT_MEMORY)
IOKIT_CALL(calloc, IOKIT_MEMORY)
IOKIT_CALL(realloc, IOKIT_MEMORY)
/* A wake-up that is lost: the thread looks for itself, in time. */
IOKIT_CALL(mach_msg_send, IOKIT_PASSES)
IOKIT_CALL(mach_msg_receive, IOKIT_PASSES)
/* The end of the connection does it as well. */
IOKIT_CALL(IOConnectUnmapMemory64, IOKIT_PASSES)

/* What a Mac says of itself; a property that cannot be had is one that is not there. */
IOKIT_CALL(IOServiceMatching, IOKIT_IO)
IOKIT_CALL(IORegistryEntryGetChildIterator, IOKIT_PASSES)
IOKIT_CALL(IORegistryEntryGetParentEntry, IOKIT_PASSES)
IOKIT_CALL(IORegistryEntryGetName, IOKIT_PASSES)
IOKIT_CALL(IOObjectGetClass, IOKIT_PASSES)
IOKIT_CALL(IORegistryEntryCreateCFProperty, IOKIT_PASSES)
IOKIT_CALL(IORegistryEntrySearchCFProperty, IOKIT_PASSES)
IOKIT_CALL(CFNumberGetValue, IOKIT_PASSES)
IOKIT_CALL(CFStringGetCString, IOKIT_PASSES)
IOKIT_CALL(sysctlbyname, IOKIT_PASSES)
IOKIT_CALL(IOPMAssertionCreateWithName, IOKIT_IO)
