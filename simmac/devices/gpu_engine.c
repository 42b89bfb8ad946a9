// SPDX-License-Identifier: BSD-3-Clause
/*
 * The copy engine of a simulated GPU (simmac/gpu.h). One entry is under way at a
 * time, a piece of it that lies in one page each turn. What its registers say
 * when it starts holds until it stops, but for PUT and VECTOR.
 */
#include <endian.h>
#include <stddef.h>
#include <string.h>

#include "gpu.h"

#define RING_ENTRIES_MAX	65536u

static uint64_t reg_read64(const struct gpu *gpu, unsigned int offset)
{
	return gpu_reg_read(gpu, offset) | (uint64_t)gpu_reg_read(gpu, offset + 4) << 32;
}

static void reg_write64(const struct gpu *gpu, unsigned int offset, uint64_t value)
{
	gpu_reg_write(gpu, offset, (uint32_t)value);
	gpu_reg_write(gpu, offset + 4, (uint32_t)(value >> 32));
}

static bool is_told_to_go_on(const struct gpu *gpu)
{
	return gpu_reg_read(gpu, GPU_ENABLE) == GPU_ENABLE_STARTED;
}

static void stop(struct gpu *gpu)
{
	gpu->enabled = gpu->busy = false;
	gpu_reg_write(gpu, GPU_STATUS, 0);
}

/* The fault comes last: who sees it may set all else anew. */
static void fault(struct gpu *gpu, enum gpu_fault what, uint64_t va)
{
	reg_write64(gpu, GPU_FAULT_ADDRESS, va);
	gpu_reg_replace(gpu, GPU_ENABLE, GPU_ENABLE_STARTED, 0);
	stop(gpu);
	gpu_reg_write(gpu, GPU_FAULT, what);
}

static bool settings_are_sound(const struct gpu *gpu)
{
	return gpu->entries >= 2 && gpu->entries <= RING_ENTRIES_MAX &&
	       !(gpu->entries & (gpu->entries - 1)) && gpu->ring % GPU_ENTRY_SIZE == 0 &&
	       gpu->ring <= UINT64_MAX - gpu->entries * GPU_ENTRY_SIZE &&
	       gpu->root % GPU_TABLE_SIZE == 0;
}

static void start(struct gpu *gpu)
{
	/* What the driver writes from here on is another order. */
	if (!gpu_reg_replace(gpu, GPU_ENABLE, GPU_ENABLE_MAGIC, GPU_ENABLE_STARTED))
		return;
	gpu->entries = gpu_reg_read(gpu, GPU_RING_ENTRIES);
	gpu->ring = reg_read64(gpu, GPU_RING);
	gpu->root = reg_read64(gpu, GPU_PAGE_TABLE);
	gpu->get = 0;
	gpu->busy = false;
	gpu->enabled = true;
	gpu_reg_write(gpu, GPU_GET, 0);
	gpu_reg_write(gpu, GPU_FAULT, GPU_FAULT_NONE);
	reg_write64(gpu, GPU_FAULT_ADDRESS, 0);
	if (settings_are_sound(gpu))
		gpu_reg_write(gpu, GPU_STATUS, 1);
	else
		fault(gpu, GPU_FAULT_ENTRY, 0);
}

static uint64_t field64(const uint8_t *at)
{
	uint64_t value;

	memcpy(&value, at, sizeof(value));
	return le64toh(value);
}

static uint32_t field32(const uint8_t *at)
{
	uint32_t value;

	memcpy(&value, at, sizeof(value));
	return le32toh(value);
}

static bool is_sound(const struct gpu_entry *entry)
{
	uint32_t op = entry->flags & GPU_OP_MASK;

	if (entry->flags & ~(GPU_OP_MASK | GPU_FLAG_INTERRUPT))
		return false;
	return op == GPU_OP_FENCE || ((op == GPU_OP_COPY || op == GPU_OP_FILL) && entry->left &&
				      entry->left <= GPU_LENGTH_MAX);
}

/* Of the driver's memory one copy is taken, and that is checked and used. */
static void fetch(struct gpu *gpu)
{
	struct gpu_entry *entry = &gpu->entry;
	uint8_t bytes[GPU_ENTRY_SIZE];

	simmac_dart_read(gpu->device->dart, gpu->ring + gpu->get * (uint64_t)GPU_ENTRY_SIZE, bytes,
			 sizeof(bytes));
	entry->source = field64(bytes + GPU_ENTRY_SOURCE);
	entry->target = field64(bytes + GPU_ENTRY_TARGET);
	entry->payload = field64(bytes + GPU_ENTRY_PAYLOAD);
	entry->left = field32(bytes + GPU_ENTRY_LENGTH);
	entry->flags = field32(bytes + GPU_ENTRY_FLAGS);
	if (!is_sound(entry)) {
		fault(gpu, GPU_FAULT_ENTRY, 0);
		return;
	}
	if ((entry->flags & GPU_OP_MASK) == GPU_OP_FENCE)
		entry->left = sizeof(entry->payload);
	gpu->busy = true;
}

static bool fetch_next(struct gpu *gpu)
{
	uint32_t put = gpu_reg_read(gpu, GPU_PUT);

	/* A driver that starts it anew sets PUT after it has stopped it. */
	if (put == gpu->get || !is_told_to_go_on(gpu))
		return false;
	if (put >= gpu->entries)
		fault(gpu, GPU_FAULT_ENTRY, 0);
	else
		fetch(gpu);
	return true;
}

static uint32_t least(uint64_t a, uint32_t b)
{
	return a < b ? (uint32_t)a : b;
}

static void read_page(struct gpu *gpu, const struct gpu_page *page, uint32_t length)
{
	if (page->video)
		memcpy(gpu->buffer, gpu->device->bar[1].memory + page->address, length);
	else
		simmac_dart_read(gpu->device->dart, page->address, gpu->buffer, length);
}

static void write_page(struct gpu *gpu, const struct gpu_page *page, uint32_t length)
{
	if (page->video)
		memcpy(gpu->device->bar[1].memory + page->address, gpu->buffer, length);
	else
		simmac_dart_write(gpu->device->dart, page->address, gpu->buffer, length);
}

/* What is left of a fence is the payload's upper bytes. */
static void put_payload(struct gpu *gpu)
{
	const struct gpu_entry *entry = &gpu->entry;
	uint64_t value = htole64(entry->payload);

	memcpy(gpu->buffer, (uint8_t *)&value + sizeof(value) - entry->left, entry->left);
}

/* Fills the buffer with what goes to the target; *length becomes what there is of it. */
static enum gpu_fault get_piece(struct gpu *gpu, uint32_t *length)
{
	const struct gpu_entry *entry = &gpu->entry;
	enum gpu_fault ret = GPU_FAULT_NONE;
	struct gpu_page page;

	switch (entry->flags & GPU_OP_MASK) {
	case GPU_OP_FENCE:
		put_payload(gpu);
		break;
	case GPU_OP_FILL:
		memset(gpu->buffer, (int)(entry->payload & 0xff), *length);
		break;
	default:
		ret = gpu_translate(gpu->device, gpu->root, entry->source, NULL, &page);
		if (ret)
			break;
		*length = least(page.left, *length);
		read_page(gpu, &page, *length);
	}
	return ret;
}

static void move_piece(struct gpu *gpu)
{
	struct gpu_entry *entry = &gpu->entry;
	struct gpu_page target;
	enum gpu_fault ret;
	uint32_t length;

	ret = gpu_translate(gpu->device, gpu->root, entry->target, NULL, &target);
	if (ret) {
		fault(gpu, ret, entry->target);
		return;
	}
	length = least(target.left, least(entry->left, GPU_CHUNK));
	ret = get_piece(gpu, &length);
	if (ret) {
		fault(gpu, ret, entry->source);
		return;
	}
	write_page(gpu, &target, length);
	entry->source += length;
	entry->target += length;
	entry->left -= length;
}

/* GET says that all of the entry is where it belongs, and so it comes after that. */
static void finish(struct gpu *gpu)
{
	gpu->busy = false;
	gpu->get = (gpu->get + 1) & (gpu->entries - 1);
	gpu_reg_write(gpu, GPU_GET, gpu->get);
	if (gpu->entry.flags & GPU_FLAG_INTERRUPT)
		simmac_device_raise(gpu->device, gpu_reg_read(gpu, GPU_VECTOR));
}

static bool work(struct gpu *gpu)
{
	if (!simmac_device_masters_bus(gpu->device)) {
		fault(gpu, GPU_FAULT_MASTER, 0);
		return true;
	}
	if (!gpu->busy && !fetch_next(gpu))
		return false;
	if (gpu->busy)
		move_piece(gpu);
	if (gpu->busy && !gpu->entry.left)
		finish(gpu);
	return true;
}

bool gpu_engine_run(struct gpu *gpu)
{
	uint32_t enable = gpu->card.has_engine ? gpu_reg_read(gpu, GPU_ENABLE) : 0;

	if (enable == GPU_ENABLE_MAGIC)
		start(gpu);
	else if (!gpu->enabled)
		return false;
	else if (enable != GPU_ENABLE_STARTED)
		stop(gpu);
	else
		return work(gpu);
	return true;
}

void gpu_engine_reset(struct gpu *gpu)
{
	gpu->enabled = gpu->busy = false;
}

static bool overlaps(uint64_t from, uint64_t size, uint64_t iova, uint64_t length)
{
	return size && length && (from - iova < length || iova - from < size);
}

static bool page_is_live(const struct gpu_page *page, bool faulted, uint32_t used, uint64_t iova,
			 uint64_t length)
{
	unsigned int i;

	for (i = 0; i < page->levels; i++)
		if (overlaps(page->table[i], GPU_TABLE_SIZE, iova, length))
			return true;
	return !faulted && !page->video && overlaps(page->address, used, iova, length);
}

/* Of GPU virtual addresses: up to where a fault will end it, all is going to be used. */
static bool range_is_live(const struct gpu *gpu, uint64_t va, uint32_t left, uint64_t iova,
			  uint64_t length)
{
	struct gpu_table_cache cache = { 0 };
	enum gpu_fault ret = GPU_FAULT_NONE;
	struct gpu_page page;
	uint32_t used;

	for (; left && !ret; va += used, left -= used) {
		ret = gpu_translate(gpu->device, gpu->root, va, &cache, &page);
		used = ret ? left : least(page.left, left);
		if (page_is_live(&page, ret, used, iova, length))
			return true;
	}
	return false;
}

/* A stop that the engine has not seen yet counts for nothing: GPU_STATUS tells. */
bool gpu_engine_dma_live(const struct gpu *gpu, uint64_t iova, uint64_t length)
{
	const struct gpu_entry *entry = &gpu->entry;

	if (!gpu->enabled)
		return false;
	if (overlaps(gpu->ring, gpu->entries * (uint64_t)GPU_ENTRY_SIZE, iova, length) ||
	    overlaps(gpu->root, GPU_TABLE_SIZE, iova, length))
		return true;
	if (!gpu->busy)
		return false;
	return range_is_live(gpu, entry->target, entry->left, iova, length) ||
	       ((entry->flags & GPU_OP_MASK) == GPU_OP_COPY &&
		range_is_live(gpu, entry->source, entry->left, iova, length));
}
