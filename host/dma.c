// SPDX-License-Identifier: BSD-3-Clause
/* Batches of DMA entries, cut into calls that fit what IOKit passes inband. */
#include <errno.h>
#include <stddef.h>

#include "device.h"

#define PENDING 1	/* result of an entry that is on its way; never left behind */

static int code_error(uint32_t code)
{
	switch (code) {
	case QUIVER_DEXT_S_OK:
		return 0;
	case QUIVER_DEXT_S_INVAL:
		return -EINVAL;
	case QUIVER_DEXT_S_NOENT:
		return -ENOENT;
	case QUIVER_DEXT_S_BYTES:
		return -E2BIG;
	case QUIVER_DEXT_S_MAPPINGS:
		return -ENOSPC;
	case QUIVER_DEXT_S_NOMEM:
		return -EFAULT;
	case QUIVER_DEXT_S_RELEASE:	/* it is unmapped all the same */
	case QUIVER_DEXT_S_IO:
	default:
		return -EIO;
	}
}

static bool entry_valid(const struct quiver_dma *dma)
{
	const uint32_t directions = QUIVER_DEXT_DMA_READ | QUIVER_DEXT_DMA_WRITE;
	const uint32_t known = directions | QUIVER_DEXT_DMA_STAYS;

	if (!dma->length)
		return false;
	if (dma->op == QUIVER_MAP)
		return dma->address && dma->flags & directions && !(dma->flags & ~known);
	return dma->op == QUIVER_UNMAP;
}

static void entry_encode(struct quiver_dext_dma_entry *entry, const struct quiver_dma *dma)
{
	bool map = dma->op == QUIVER_MAP;

	entry->op = map ? QUIVER_DEXT_DMA_MAP : QUIVER_DEXT_DMA_UNMAP;
	entry->flags = map ? dma->flags : 0;
	entry->address = map ? (uintptr_t)dma->address : 0;
	entry->length = dma->length;
	entry->iova = map ? 0 : dma->iova;
}

/* Takes entries until the request is full; returns how many were looked at. */
static size_t request_fill(struct quiver_dma_channel *channel, struct quiver_dma *dma, size_t count)
{
	struct quiver_dext_dma_request *request = &channel->request;
	size_t i;

	request->count = 0;
	for (i = 0; i < count && request->count < QUIVER_DEXT_DMA_MAX; i++) {
		if (!entry_valid(&dma[i])) {
			dma[i].result = -EINVAL;
			continue;
		}
		dma[i].result = PENDING;
		channel->sent[request->count] = &dma[i];
		entry_encode(&request->entry[request->count++], &dma[i]);
	}
	return i;
}

static void results_take(struct quiver_dma_channel *channel)
{
	const struct quiver_dext_dma_status *status = channel->result.entry;
	uint32_t i;

	for (i = 0; i < channel->request.count; i++) {
		struct quiver_dma *dma = channel->sent[i];

		dma->result = code_error(status[i].status);
		if (dma->op == QUIVER_MAP)
			dma->iova = dma->result ? 0 : status[i].iova;
	}
}

static int request_send(struct quiver_device *device)
{
	struct quiver_dma_channel *channel = &device->dma;
	uint32_t count = channel->request.count;
	size_t expected = offsetof(struct quiver_dext_dma_result, entry[count]);
	size_t size = expected;
	int error;

	if (!count)
		return 0;
	error = quiver_host_call_error(
		device,
		IOConnectCallStructMethod(device->connect, QUIVER_DEXT_DMA, &channel->request,
					  offsetof(struct quiver_dext_dma_request, entry[count]),
					  &channel->result, &size));
	if (error)
		return error;
	if (size != expected || channel->result.count != count)
		return -EIO;
	results_take(channel);
	return 0;
}

static void entries_fail(struct quiver_dma *dma, size_t count, int error)
{
	size_t i;

	for (i = 0; i < count; i++)
		dma[i].result = error;
}

int quiver_dma_batch(struct quiver_device *device, struct quiver_dma *dma, size_t count)
{
	size_t done = 0, taken;
	int error = 0;

	pthread_mutex_lock(&device->dma.lock);
	while (done < count) {
		taken = request_fill(&device->dma, dma + done, count - done);
		error = request_send(device);
		if (error)
			break;
		done += taken;
	}
	pthread_mutex_unlock(&device->dma.lock);
	if (error)
		entries_fail(dma + done, count - done, error);
	return error;
}
