// SPDX-License-Identifier: BSD-3-Clause
#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "simmac/task.h"

#define HOST_PAGE 4096u

/*
 * Our own memory is copied with atomic accesses, for it is shared with threads
 * that know nothing of a lock, as a driver knows nothing of the device's: stores
 * release and loads acquire, as posted writes keep their order on PCIe.
 */
static void own_read(uint8_t *to, const uint8_t *from, size_t length)
{
	for (; length && (uintptr_t)from % 8; length--)
		*to++ = __atomic_load_n(from++, __ATOMIC_ACQUIRE);
	for (; length >= 8; length -= 8, to += 8, from += 8) {
		uint64_t word = __atomic_load_n((const uint64_t *)(const void *)from,
						__ATOMIC_ACQUIRE);

		memcpy(to, &word, 8);
	}
	for (; length; length--)
		*to++ = __atomic_load_n(from++, __ATOMIC_ACQUIRE);
}

static void own_write(uint8_t *to, const uint8_t *from, size_t length)
{
	for (; length && (uintptr_t)to % 8; length--)
		__atomic_store_n(to++, *from++, __ATOMIC_RELEASE);
	for (; length >= 8; length -= 8, to += 8, from += 8) {
		uint64_t word;

		memcpy(&word, from, 8);
		__atomic_store_n((uint64_t *)(void *)to, word, __ATOMIC_RELEASE);
	}
	for (; length; length--)
		__atomic_store_n(to++, *from++, __ATOMIC_RELEASE);
}

static void own_copy(uint8_t *buffer, const struct iovec *range, size_t count, bool write)
{
	for (; count; count--, range++) {
		if (write)
			own_write(range->iov_base, buffer, range->iov_len);
		else
			own_read(buffer, range->iov_base, range->iov_len);
		buffer += range->iov_len;
	}
}

/* Not silent: a read of zeros would be hunted for in every other place first. */
static void complain_once(pid_t task, int error)
{
	static atomic_flag complained = ATOMIC_FLAG_INIT;

	if (error == EPERM && !atomic_flag_test_and_set(&complained))
		fprintf(stderr, "simmac: no permission to access the memory of task %d: "
			"see kernel.yama.ptrace_scope and PR_SET_PTRACER\n", (int)task);
}

/* What of a transfer is still to be done. */
struct progress {
	const struct iovec *range;
	size_t count;
	size_t done;		/* of range[0] */
	uint8_t *buffer;
};

static size_t progress_left(const struct progress *p)
{
	size_t i, total = 0;

	for (i = 0; i < p->count; i++)
		total += p->range[i].iov_len;
	return total - p->done;
}

static void progress_advance(struct progress *p, size_t bytes)
{
	p->buffer += bytes;
	while (p->count && bytes >= p->range->iov_len - p->done) {
		bytes -= p->range->iov_len - p->done;
		p->done = 0;
		p->range++;
		p->count--;
	}
	p->done += bytes;
}

static ssize_t transfer_some(pid_t task, const struct progress *p, bool write)
{
	size_t i, count = p->count < IOV_MAX ? p->count : IOV_MAX, total = 0;
	struct iovec first = p->range[0], remote[2], local;
	const struct iovec *ranges = p->range;

	/* The list is the caller's: a first range that is half done goes alone. */
	if (p->done) {
		first.iov_base = (uint8_t *)first.iov_base + p->done;
		first.iov_len -= p->done;
		remote[0] = first;
		ranges = remote;
		count = 1;
	}
	for (i = 0; i < count; i++)
		total += ranges[i].iov_len;
	local = (struct iovec){ p->buffer, total };
	return write ? process_vm_writev(task, &local, 1, ranges, count, 0) :
		       process_vm_readv(task, &local, 1, ranges, count, 0);
}

/* Bytes from the current place to the end of its host page. */
static size_t rest_of_page(const struct progress *p)
{
	uintptr_t at = (uintptr_t)p->range->iov_base + p->done;
	size_t page = HOST_PAGE - at % HOST_PAGE, range = p->range->iov_len - p->done;

	return page < range ? page : range;
}

static bool other_copy(pid_t task, uint8_t *buffer, const struct iovec *range, size_t count,
		       bool write)
{
	struct progress p = { .range = range, .count = count, .buffer = buffer };
	bool alive = true;

	progress_advance(&p, 0);	/* over empty ranges */
	while (p.count) {
		ssize_t n = transfer_some(task, &p, write);
		int error = n < 0 ? errno : EFAULT;

		if (n > 0) {
			progress_advance(&p, (size_t)n);
			continue;
		}
		/* Only this page is missing, or the whole task. */
		n = (ssize_t)(error != EFAULT ? progress_left(&p) : rest_of_page(&p));
		if (!write)
			memset(p.buffer, 0, (size_t)n);
		alive = alive && error != ESRCH;
		complain_once(task, error);
		progress_advance(&p, (size_t)n);
	}
	return alive;
}

static bool copy(pid_t task, uint8_t *buffer, const struct iovec *range, size_t count, bool write)
{
	if (task != getpid())
		return other_copy(task, buffer, range, count, write);
	own_copy(buffer, range, count, write);
	return true;
}

bool simmac_task_read(pid_t task, void *to, const struct iovec *range, size_t count)
{
	return copy(task, to, range, count, false);
}

void simmac_task_write(pid_t task, const void *from, const struct iovec *range, size_t count)
{
	copy(task, (uint8_t *)(uintptr_t)from, range, count, true);
}
