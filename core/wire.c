// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
#include "core/wire.h"

static bool flags_valid(uint8_t flags, uint64_t features)
{
	uint8_t known = QUIVER_DMA_READ | QUIVER_DMA_WRITE;

	if (features >> QUIVER_F_BUDGET & 1)
		known |= QUIVER_DMA_VITAL;
	return flags & (QUIVER_DMA_READ | QUIVER_DMA_WRITE) && !(flags & ~known);
}

static bool map_valid(struct quiver_range gpa, unsigned int granule_shift)
{
	return quiver_range_valid(gpa.start, gpa.length) &&
	       quiver_range_aligned(gpa, granule_shift);
}

static bool unmap_valid(uint8_t flags, uint64_t gpa, struct quiver_range iova,
			unsigned int granule_shift)
{
	return !flags && !gpa && quiver_range_valid(iova.start, iova.length) &&
	       quiver_range_aligned(iova, granule_shift);
}

enum quiver_wire_status quiver_wire_decode(const struct quiver_dma_entry *entry,
					   unsigned int granule_shift, unsigned int device_count,
					   uint64_t features, struct quiver_wire_request *request)
{
	struct quiver_wire_request r = {
		.op = entry->op,
		.flags = entry->flags,
		.device = le16_to_cpu(entry->device),
		.gpa = { le64_to_cpu(entry->gpa), le64_to_cpu(entry->length) },
		.iova = { le64_to_cpu(entry->iova), le64_to_cpu(entry->length) },
	};
	bool valid = false;

	if (r.op == QUIVER_OP_MAP)
		valid = flags_valid(r.flags, features) && map_valid(r.gpa, granule_shift);
	else if (r.op == QUIVER_OP_UNMAP)
		valid = unmap_valid(r.flags, r.gpa.start, r.iova, granule_shift);
	if (!valid)
		return QUIVER_S_INVAL;
	if (r.device >= device_count)
		return QUIVER_S_NODEV;
	*request = r;
	return QUIVER_S_OK;
}

static void encode(struct quiver_dma_entry *entry, uint8_t op, uint16_t device, uint64_t length)
{
	memset(entry, 0, sizeof(*entry));
	entry->op = op;
	entry->device = cpu_to_le16(device);
	entry->status = cpu_to_le32(QUIVER_S_PENDING);
	entry->length = cpu_to_le64(length);
}

void quiver_wire_encode_map(struct quiver_dma_entry *entry, uint16_t device,
			    struct quiver_range gpa, uint8_t flags)
{
	encode(entry, QUIVER_OP_MAP, device, gpa.length);
	entry->flags = flags;
	entry->gpa = cpu_to_le64(gpa.start);
}

void quiver_wire_encode_unmap(struct quiver_dma_entry *entry, uint16_t device,
			      struct quiver_range iova)
{
	encode(entry, QUIVER_OP_UNMAP, device, iova.length);
	entry->iova = cpu_to_le64(iova.start);
}

static const struct {
	enum quiver_wire_status status;
	int error;
} table[] = {
	{ QUIVER_S_OK, 0 },
	{ QUIVER_S_INVAL, -EINVAL },
	{ QUIVER_S_NODEV, -ENODEV },
	{ QUIVER_S_FAULT, -EFAULT },
	{ QUIVER_S_NOENT, -ENOENT },
	{ QUIVER_S_BYTES, -E2BIG },
	{ QUIVER_S_MAPPINGS, -ENOSPC },
	{ QUIVER_S_IO, -EIO },
	{ QUIVER_S_GONE, -ENODEV },
};

#define ROWS (sizeof(table) / sizeof(table[0]))

int quiver_wire_error(uint32_t status)
{
	for (size_t i = 0; i < ROWS; i++)
		if (table[i].status == status)
			return table[i].error;
	return -EIO;
}

enum quiver_wire_status quiver_wire_status(int error)
{
	for (size_t i = 0; i < ROWS; i++)
		if (table[i].error == error)
			return table[i].status;
	return QUIVER_S_IO;
}

const char *quiver_wire_pressure_name(uint64_t pressure)
{
	static const char *const names[] = {
		[QUIVER_PRESSURE_NONE] = "none",
		[QUIVER_PRESSURE_LOW] = "low",
		[QUIVER_PRESSURE_MEDIUM] = "medium",
		[QUIVER_PRESSURE_CRITICAL] = "critical",
	};

	return pressure < sizeof(names) / sizeof(names[0]) ? names[pressure] : "unknown";
}
