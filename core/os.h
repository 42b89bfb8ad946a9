/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * What core/ needs of the world that it is compiled into: integers, errno, a
 * spinlock, and storage that may be had in any context. Nothing else in core/
 * includes a system header.
 */
#ifndef QUIVER_CORE_OS_H
#define QUIVER_CORE_OS_H

#include "core/error.h"
#include "quiver/types.h"

#ifdef __KERNEL__

#include <linux/atomic.h>
#include <linux/limits.h>
#include <linux/processor.h>
#include <linux/sort.h>
#include <linux/spinlock.h>
#include <linux/string.h>

#ifndef UINT16_MAX
#define UINT16_MAX U16_MAX
#endif
#ifndef UINT64_MAX
#define UINT64_MAX U64_MAX
#endif

typedef spinlock_t quiver_lock_t;
typedef unsigned long quiver_lock_flags_t;

#define quiver_lock_init(lock)		spin_lock_init(lock)
#define quiver_lock_acquire(lock, flags) spin_lock_irqsave(lock, *(flags))
#define quiver_lock_release(lock, flags) spin_unlock_irqrestore(lock, *(flags))

/* Interrupts stay as the matching quiver_lock_acquire() left them. */
#define quiver_lock_pause(lock)		spin_unlock(lock)
#define quiver_lock_resume(lock)	spin_lock(lock)

#define quiver_relax()			cpu_relax()
#define quiver_load_acquire(pointer)	smp_load_acquire(pointer)
#define quiver_store_release(pointer, value) smp_store_release(pointer, value)

/* For sparse: a function that takes a lock, lets go of one, or does so for a while. */
#define QUIVER_ACQUIRES(lock)		__acquires(lock)
#define QUIVER_RELEASES(lock)		__releases(lock)
#define QUIVER_HOLDS(lock)		__must_hold(lock)

#else

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

typedef atomic_flag quiver_lock_t;
typedef int quiver_lock_flags_t;

#if __has_include("sched.h")
#include <sched.h>
#define quiver_relax()			sched_yield()
#else	/* DriverKit, on arm64 */
#define quiver_relax()			__builtin_arm_yield()
#endif
#define quiver_load_acquire(pointer)	__atomic_load_n(pointer, __ATOMIC_ACQUIRE)
#define quiver_store_release(pointer, value) __atomic_store_n(pointer, value, __ATOMIC_RELEASE)

#define QUIVER_ACQUIRES(lock)
#define QUIVER_RELEASES(lock)
#define QUIVER_HOLDS(lock)

/* Every machine that Quiver runs on is little-endian. */
#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "a big-endian host wants real conversions here"
#endif
#define le16_to_cpu(x)			(x)
#define le32_to_cpu(x)			(x)
#define le64_to_cpu(x)			(x)
#define cpu_to_le16(x)			(x)
#define cpu_to_le32(x)			(x)
#define cpu_to_le64(x)			(x)

static inline void quiver_lock_init(quiver_lock_t *lock)
{
	atomic_flag_clear(lock);
}

static inline void quiver_lock_resume(quiver_lock_t *lock)
{
	while (atomic_flag_test_and_set_explicit(lock, memory_order_acquire))
		quiver_relax();
}

static inline void quiver_lock_pause(quiver_lock_t *lock)
{
	atomic_flag_clear_explicit(lock, memory_order_release);
}

#define quiver_lock_acquire(lock, flags) ((void)(flags), quiver_lock_resume(lock))
#define quiver_lock_release(lock, flags) ((void)(flags), quiver_lock_pause(lock))

#endif

/* Sorts in place, without storage. compare returns as for qsort(3). */
#ifdef __KERNEL__
#define quiver_sort(base, count, size, compare) sort(base, count, size, compare, NULL)
#else
#define quiver_sort(base, count, size, compare) qsort(base, count, size, compare)
#endif

/*
 * Storage, zeroed, or NULL; NULL may be freed. Whoever compiles core/window.c
 * defines all four. For tables: may sleep.
 */
void *quiver_memory_alloc(size_t size);
void quiver_memory_free(void *memory);

/* For one window, of size bytes, some hundred as a rule. Any context, never sleeps. */
struct quiver_window;
struct quiver_window *quiver_window_alloc(size_t size);
void quiver_window_free(struct quiver_window *window);

#endif
