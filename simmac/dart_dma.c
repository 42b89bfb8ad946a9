// SPDX-License-Identifier: BSD-3-Clause
/* What the device does with a DART: transfers, and the end of a Mac. */
#include <inttypes.h>
#include <stdio.h>

#include "dart_table.h"
#include "simmac/panic.h"
#include "simmac/task.h"

static uint64_t distance(const struct dart_mapping *m, uint64_t iova)
{
	return iova < m->iova ? m->iova - iova : iova - (m->iova + m->length - 1);
}

static const struct dart_mapping *nearest(const struct simmac_dart *dart, uint64_t iova)
{
	uint64_t i, granules = dart->config.aperture_size / SIMMAC_GRANULE;
	const struct dart_mapping *best = NULL;

	for (i = 0; i < granules; i++) {
		const struct dart_mapping *m = dart->page[i];

		if (!m)
			continue;
		if (!best || distance(m, iova) < distance(best, iova))
			best = m;
		i += m->length / SIMMAC_GRANULE - 1;
	}
	return best;
}

static void __attribute__((noreturn))
panic_unmapped(const struct simmac_dart *dart, const struct simmac_dart_segment *segment,
	       uint64_t at, bool write)
{
	const struct dart_mapping *m = nearest(dart, at);
	char near[128] = "nothing is mapped";

	if (m)
		snprintf(near, sizeof(near), "nearest mapping: 0x%" PRIx64 "..0x%" PRIx64
			 " of task %d", m->iova, m->iova + m->length - 1, (int)m->task);
	simmac_panic("D6", "%s: DMA %s of %" PRIu64 " bytes at 0x%" PRIx64 ": 0x%" PRIx64
		     " is not mapped\n  %s; %" PRIu64 " mappings live", dart_owner_name(dart),
		     write ? "write" : "read", segment->length, segment->iova, at, near,
		     dart->stats.mappings);
}

#define BATCH_RANGES 256u

/* Ranges of one task's memory that are moved by one call. */
struct batch {
	struct simmac_dart *dart;
	bool write, blind;	/* blind: some of it was read from a task that is dead */
	uint8_t *buffer;
	pid_t task;
	size_t count, bytes;
	struct iovec range[BATCH_RANGES];
};

static void batch_move(struct batch *batch)
{
	if (!batch->count)
		return;
	if (batch->write)
		simmac_task_write(batch->task, batch->buffer, batch->range, batch->count);
	else if (!simmac_task_read(batch->task, batch->buffer, batch->range, batch->count))
		batch->blind = true;
	batch->buffer += batch->bytes;
	batch->count = batch->bytes = 0;
}

static void batch_add(struct batch *batch, pid_t task, uint64_t address, size_t length)
{
	struct iovec *last = batch->count ? &batch->range[batch->count - 1] : NULL;

	if (last && batch->task == task &&
	    (uintptr_t)last->iov_base + last->iov_len == address) {
		last->iov_len += length;
	} else {
		if (batch->task != task || batch->count == BATCH_RANGES)
			batch_move(batch);
		batch->task = task;
		batch->range[batch->count++] = (struct iovec){ (void *)(uintptr_t)address, length };
	}
	batch->bytes += length;
}

static void batch_add_segment(struct batch *batch, const struct simmac_dart_segment *segment)
{
	uint64_t iova = segment->iova, left = segment->length;

	while (left) {
		const struct dart_mapping *m = dart_mapping_at(batch->dart, iova);
		uint64_t offset, piece;

		if (!m)
			panic_unmapped(batch->dart, segment, iova, batch->write);
		offset = iova - m->iova;
		piece = m->length - offset < left ? m->length - offset : left;
		batch_add(batch, m->task, m->address + offset, piece);
		iova += piece;
		left -= piece;
	}
}

static bool transfer(struct simmac_dart *dart, const struct simmac_dart_segment *segment,
		     size_t count, void *buffer, bool write)
{
	struct batch batch;	/* its ranges stay unset: most transfers are small */
	uint64_t total = 0;

	batch.dart = dart;
	batch.write = write;
	batch.blind = false;
	batch.buffer = buffer;
	batch.task = 0;
	batch.count = batch.bytes = 0;
	pthread_rwlock_rdlock(&dart->lock);
	for (; count; count--, segment++) {
		batch_add_segment(&batch, segment);
		total += segment->length;
	}
	batch_move(&batch);
	pthread_rwlock_unlock(&dart->lock);
	atomic_fetch_add(write ? &dart->written_bytes : &dart->read_bytes, total);
	return !batch.blind;
}

bool simmac_dart_gather(struct simmac_dart *dart, const struct simmac_dart_segment *segment,
			size_t count, void *to)
{
	return transfer(dart, segment, count, to, false);
}

void simmac_dart_scatter(struct simmac_dart *dart, const struct simmac_dart_segment *segment,
			 size_t count, const void *from)
{
	transfer(dart, segment, count, (void *)(uintptr_t)from, true);
}

bool simmac_dart_read(struct simmac_dart *dart, uint64_t iova, void *to, size_t length)
{
	return simmac_dart_gather(dart, &(struct simmac_dart_segment){ iova, length }, 1, to);
}

void simmac_dart_write(struct simmac_dart *dart, uint64_t iova, const void *from, size_t length)
{
	simmac_dart_scatter(dart, &(struct simmac_dart_segment){ iova, length }, 1, from);
}
