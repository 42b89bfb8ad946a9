// SPDX-License-Identifier: GPL-2.0-only
/*
 * Maps until the host refuses, and sees that a refusal is an error like any
 * other: nothing is left behind by it, and there is room again once something
 * was given back.
 */
#include <linux/slab.h>

#include "stress.h"
#include "windows.h"

struct fill {
	struct stress *stress;
	struct ledger_record *records;
	u32 count, capacity;
	struct ledger_record refused;
};

static struct device *device_of(struct fill *fill)
{
	return &fill->stress->pdev->dev;
}

static struct page *page_of(const struct ledger_record *record)
{
	return pfn_to_page(PHYS_PFN(record->phys));
}

static int map_record(struct fill *fill, struct ledger_record *record)
{
	record->iova = dma_map_page(device_of(fill), page_of(record), 0, record->size,
				    DMA_TO_DEVICE);
	if (dma_mapping_error(device_of(fill), record->iova))
		return -ENOSPC;
	return ledger_add(record);
}

static void unmap_last(struct fill *fill, u32 count)
{
	while (count-- && fill->count) {
		struct ledger_record *record = &fill->records[--fill->count];

		ledger_remove(record);
		dma_unmap_page(device_of(fill), record->iova, record->size, DMA_TO_DEVICE);
	}
}

static int map_next(struct fill *fill, phys_addr_t phys, size_t size)
{
	struct ledger_record record = { .phys = phys, .size = size };
	int error = map_record(fill, &record);

	if (error)
		fill->refused = record;
	else
		fill->records[fill->count++] = record;
	return error;
}

/* Every run of 1..span_max granules of each chunk: windows of many sizes that overlap. */
static int map_until_refused(struct fill *fill, unsigned int span_max, unsigned int granule_shift)
{
	unsigned int granules = STRESS_CHUNK_SIZE >> granule_shift;
	unsigned int chunk, span, start;
	int error;

	for (chunk = 0; chunk < fill->stress->chunk_count; chunk++) {
		phys_addr_t base = page_to_phys(fill->stress->chunks[chunk]);

		for (span = 1; span <= span_max; span++)
			for (start = 0; start + span <= granules; start++) {
				error = map_next(fill, base + ((u64)start << granule_shift),
						 (size_t)span << granule_shift);
				if (error)
					return error;
			}
		cond_resched();
	}
	return 0;
}

/* One entry is mapped already, the other cannot be: all or nothing. */
static int check_list(struct fill *fill)
{
	struct scatterlist list[2];

	sg_init_table(list, ARRAY_SIZE(list));
	sg_set_page(&list[0], page_of(&fill->records[0]), fill->records[0].size, 0);
	sg_set_page(&list[1], page_of(&fill->refused), fill->refused.size, 0);
	if (dma_map_sg(device_of(fill), list, ARRAY_SIZE(list), DMA_TO_DEVICE))
		return -EEXIST;
	return 0;
}

static int check_room(struct fill *fill)
{
	int error;

	unmap_last(fill, 8);
	error = map_record(fill, &fill->refused);
	if (!error)
		fill->records[fill->count++] = fill->refused;
	return error;
}

static int check_count(struct fill *fill)
{
	return quiver_device_windows(fill->stress->pdev) == fill->count ? 0 : -EBUSY;
}

static int check_refusal(struct fill *fill)
{
	int error = check_count(fill);

	if (!error)
		error = check_list(fill);
	if (!error)
		error = check_count(fill);
	if (!error)
		error = check_room(fill);
	if (!error)
		error = check_count(fill);
	return error;
}

int stress_fill(struct stress *stress, unsigned int span_max, unsigned int granule_shift)
{
	unsigned int granules = STRESS_CHUNK_SIZE >> granule_shift;
	struct fill fill = { .stress = stress, .capacity = stress->chunk_count };
	u32 granted;
	int error;

	if (!granules || span_max > granules)
		return -EINVAL;
	fill.capacity *= span_max * (2 * granules + 1 - span_max) / 2;
	fill.records = kvcalloc(fill.capacity, sizeof(*fill.records), GFP_KERNEL);
	if (!fill.records)
		return -ENOMEM;
	error = map_until_refused(&fill, span_max, granule_shift);
	granted = fill.count;
	if (error == -ENOSPC)
		error = check_refusal(&fill);
	else if (!error)
		error = -ENODATA;
	unmap_last(&fill, fill.count);
	if (!error)
		error = check_count(&fill);
	pr_info("quiver_stress: runs of up to %u granules: result %d after %u maps\n", span_max,
		error, granted);
	kvfree(fill.records);
	return error;
}
