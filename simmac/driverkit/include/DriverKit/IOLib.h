/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef SIMMAC_DRIVERKIT_IOLIB_H
#define SIMMAC_DRIVERKIT_IOLIB_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>
#include <DriverKit/IOTypes.h>

struct IOLock;

extern "C" {
int IOLog(const char *format, ...) __attribute__((format(printf, 1, 2)));
void IOSleep(uint64_t milliseconds);
void IODelay(uint64_t microseconds);
void *IOMallocZero(size_t size);
void IOFree(void *address, size_t size);
struct IOLock *IOLockAlloc(void);
void IOLockFree(struct IOLock *lock);
void IOLockLock(struct IOLock *lock);
void IOLockUnlock(struct IOLock *lock);
}

#define IONewZero(type, count) static_cast<type *>(IOMallocZero(sizeof(type) * (count)))
#define IOSafeDeleteNULL(pointer, type, count) \
	do { \
		if ((pointer) != NULL) \
			IOFree((pointer), sizeof(type) * (count)); \
		(pointer) = NULL; \
	} while (0)

/* Of Darwin's libc. */
#ifndef CLOCK_UPTIME_RAW
#define CLOCK_UPTIME_RAW CLOCK_MONOTONIC
static inline uint64_t clock_gettime_nsec_np(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return static_cast<uint64_t>(now.tv_sec) * 1000000000 + static_cast<uint64_t>(now.tv_nsec);
}
#endif

#endif
