// SPDX-License-Identifier: GPL-2.0-only
/*
 * One operation after the other, from one thread: what is live is known at any
 * time, and so is what each byte of it should be.
 */
#define dev_fmt(fmt) "replay: " fmt

#include <linux/dma-mapping.h>
#include <linux/slab.h>

#include "replay.h"
#include "windows.h"

#define GRANULE_MASK	(SZ_16K - 1)
/* Refusals whose remains are counted, which costs all idle windows; so not of all. */
#define REFUSALS_SEEN	64
#define RETRIES		16

static struct device *device_of(struct replay *replay)
{
	return &replay->pdev->dev;
}

/* -EILSEQ, said once for each entry. */
static int check_entry(struct replay *replay, struct scatterlist *sg)
{
	phys_addr_t phys = sg_phys(sg);
	dma_addr_t iova = sg_dma_address(sg);

	if (iova && sg_dma_len(sg) == sg->length && !((iova ^ phys) & GRANULE_MASK))
		return 0;
	pci_err(replay->pdev, "not as promised: phys %pap size %u iova %pad size %u\n", &phys,
		sg->length, &iova, sg_dma_len(sg));
	return -EILSEQ;
}

static int look_at_all(struct replay *replay, struct replay_map *map)
{
	struct scatterlist *sg;
	int error, i;

	for_each_sg(map->table.sgl, sg, map->table.orig_nents, i) {
		error = replay_device_reads(replay, sg);
		if (error)
			return error;
		cond_resched();
	}
	return 0;
}

/* Each segment, as the driver's device would see it for the first time. */
static int look_at_new(struct replay *replay, struct replay_map *map)
{
	struct replay_counts *counts = &replay->counts;
	struct scatterlist *sg;
	int error, i;

	for_each_sg(map->table.sgl, sg, map->table.orig_nents, i) {
		error = check_entry(replay, sg);
		if (!error)
			error = replay_device_reads(replay, sg);
		if (!error && prandom_u32_state(&replay->random) % 256 < replay->checks.writes)
			error = replay_device_writes(replay, sg);
		if (error)
			return error;
		counts->seen_segments++;
		counts->seen_bytes += sg->length;
		cond_resched();
	}
	return 0;
}

static int sweep(struct replay *replay)
{
	int error;
	u32 i;

	for (i = 0; i < replay->source->maps; i++) {
		if (!replay->maps[i].live)
			continue;
		error = look_at_all(replay, &replay->maps[i]);
		if (error)
			return error;
	}
	replay->counts.sweeps++;
	return 0;
}

/* A segment of a map at random; small ones of long lists are what there is most of. */
static int look_at_one(struct replay *replay)
{
	struct replay_map *map = NULL;
	struct scatterlist *sg;
	u32 tries, at;

	for (tries = 0; tries < RETRIES && !(map && map->live); tries++)
		map = &replay->maps[prandom_u32_state(&replay->random) % replay->source->maps];
	if (!map->live)
		return 0;
	at = prandom_u32_state(&replay->random) % map->table.orig_nents;
	sg = map->table.sgl;
	while (at--)
		sg = sg_next(sg);
	return replay_device_reads(replay, sg);
}

static int look_around(struct replay *replay)
{
	u32 spot;
	int error;

	for (spot = 0; spot < replay->checks.spots; spot++) {
		error = look_at_one(replay);
		if (error)
			return error;
	}
	if (!replay->checks.sweep || replay->counts.ops % replay->checks.sweep)
		return 0;
	return sweep(replay);
}

static int set_segments(struct replay *replay, struct replay_map *map,
			const struct quiver_sequence_op *op)
{
	struct scatterlist *sg;
	int error, i;

	for (i = 0; i < op->count; i++)
		if (!quiver_range_valid(op->segment[i].start, op->segment[i].length) ||
		    quiver_range_last(op->segment[i]) >= replay->source->ram)
			return -EINVAL;
	error = sg_alloc_table(&map->table, op->count, GFP_KERNEL);
	if (error)
		return error;
	for_each_sg(map->table.sgl, sg, op->count, i) {
		phys_addr_t phys = replay->base + op->segment[i].start;

		sg_set_page(sg, pfn_to_page(PHYS_PFN(phys)), op->segment[i].length,
			    offset_in_page(phys));
	}
	map->list = op->kind == QUIVER_SEQUENCE_MAP_LIST;
	return 0;
}

static void fill_segments(struct replay *replay, struct replay_map *map)
{
	struct scatterlist *sg;
	int i;

	for_each_sg(map->table.sgl, sg, map->table.orig_nents, i) {
		replay_fill(sg, replay->counts.segments + i);
		cond_resched();
	}
}

/* -ENOSPC: refused. -EILSEQ: neither that nor mapped. */
static int dma_map(struct replay *replay, struct replay_map *map)
{
	struct scatterlist *sg = map->table.sgl;
	int mapped;

	if (map->list) {
		mapped = dma_map_sg(device_of(replay), sg, map->table.orig_nents,
				    DMA_BIDIRECTIONAL);
		if (!mapped)
			return -ENOSPC;
		map->live = true;
		return mapped == map->table.orig_nents ? 0 : -EILSEQ;
	}
	sg_dma_address(sg) = dma_map_page(device_of(replay), sg_page(sg), sg->offset, sg->length,
					  DMA_BIDIRECTIONAL);
	sg_dma_len(sg) = sg->length;
	if (dma_mapping_error(device_of(replay), sg_dma_address(sg)))
		return -ENOSPC;
	map->live = true;
	return 0;
}

static void dma_unmap(struct replay *replay, struct replay_map *map)
{
	struct scatterlist *sg = map->table.sgl;

	if (map->list)
		dma_unmap_sg(device_of(replay), sg, map->table.orig_nents, DMA_BIDIRECTIONAL);
	else
		dma_unmap_page(device_of(replay), sg_dma_address(sg), sg->length,
			       DMA_BIDIRECTIONAL);
	map->live = false;
}

static u64 bytes_of(struct replay_map *map)
{
	struct scatterlist *sg;
	u64 bytes = 0;
	int i;

	for_each_sg(map->table.sgl, sg, map->table.orig_nents, i)
		bytes += sg->length;
	return bytes;
}

static void count_map(struct replay *replay, struct replay_map *map)
{
	struct replay_counts *counts = &replay->counts;
	u64 bytes = bytes_of(map);

	counts->maps++;
	counts->lists += map->list;
	counts->segments += map->table.orig_nents;
	counts->bytes += bytes;
	counts->live_segments += map->table.orig_nents;
	counts->live_bytes += bytes;
	counts->peak_segments = max(counts->peak_segments, counts->live_segments);
	counts->peak_bytes = max(counts->peak_bytes, counts->live_bytes);
	replay_pages_add(replay, map);
	counts->peak_page_bytes = max(counts->peak_page_bytes, counts->page_bytes);
}

/*
 * Nothing of a refused map may stay mapped, and no idle window may have been in
 * its way: without any, which is what asking for their number does, it is
 * refused again.
 */
static int check_refusal(struct replay *replay, struct replay_map *map)
{
	long before = quiver_device_windows(replay->pdev), after;
	int error;

	if (before < 0)
		return before;
	error = dma_map(replay, map);
	if (error != -ENOSPC) {
		pci_err(replay->pdev, "refused with idle windows, granted without\n");
		return -EAGAIN;
	}
	after = quiver_device_windows(replay->pdev);
	if (after == before)
		return 0;
	pci_err(replay->pdev, "a refused map of %u segments changed %ld windows to %ld\n",
		map->table.orig_nents, before, after);
	return -EBUSY;
}

static void note_refusal(struct replay *replay, struct replay_map *map)
{
	struct replay_counts *counts = &replay->counts;

	replay_pages_add(replay, map);
	counts->least_refused = min_not_zero(counts->least_refused, counts->page_bytes);
	replay_pages_remove(replay, map);
}

static int take_refusal(struct replay *replay, struct replay_map *map, u32 number)
{
	int error = 0;

	note_refusal(replay, map);
	if (!replay->source->refused) {
		pci_err(replay->pdev, "operation %llu refused: %u segments, %llu bytes\n",
			replay->counts.ops, map->table.orig_nents, bytes_of(map));
		error = -ENOSPC;
	} else {
		if (replay->counts.refused++ < REFUSALS_SEEN)
			error = check_refusal(replay, map);
		replay->source->refused(replay->source->context, number);
	}
	if (!map->live)
		sg_free_table(&map->table);
	return error;
}

static int do_map(struct replay *replay, const struct quiver_sequence_op *op)
{
	struct replay_map *map = &replay->maps[op->map];
	int error;

	if (map->live || !op->count)
		return -EINVAL;
	error = set_segments(replay, map, op);
	if (error)
		return error;
	fill_segments(replay, map);
	error = dma_map(replay, map);
	if (error == -ENOSPC)
		error = take_refusal(replay, map, op->map);
	if (map->live)
		count_map(replay, map);
	if (error || !map->live)
		return error;
	/* The first thing that is mapped shows what the device's word is worth. */
	if (replay->counts.maps == 1)
		error = replay_device_objects(replay, map->table.sgl);
	return error ? error : look_at_new(replay, map);
}

static void end_map(struct replay *replay, struct replay_map *map)
{
	replay->counts.unmaps++;
	replay->counts.live_segments -= map->table.orig_nents;
	replay->counts.live_bytes -= bytes_of(map);
	replay_pages_remove(replay, map);
	dma_unmap(replay, map);
	sg_free_table(&map->table);
}

/* It was mapped until now, whatever happened around it. */
static int do_unmap(struct replay *replay, const struct quiver_sequence_op *op)
{
	struct replay_map *map = &replay->maps[op->map];
	int error;

	if (!map->live)
		return -EINVAL;
	error = look_at_all(replay, map);
	end_map(replay, map);
	return error;
}

static int do_op(struct replay *replay, const struct quiver_sequence_op *op)
{
	int error;

	if (op->map >= replay->source->maps)
		return -EINVAL;
	replay->counts.ops++;
	if (op->kind == QUIVER_SEQUENCE_UNMAP)
		error = do_unmap(replay, op);
	else
		error = do_map(replay, op);
	return error ? error : look_around(replay);
}

/* After an error, so that the module can go. Returns how many there were. */
static u32 end_all(struct replay *replay)
{
	u32 i, count = 0;

	for (i = 0; i < replay->source->maps; i++) {
		if (!replay->maps[i].live)
			continue;
		end_map(replay, &replay->maps[i]);
		count++;
	}
	return count;
}

static int check_end(struct replay *replay)
{
	const struct replay_counts *counts = &replay->counts;
	long windows;

	if (end_all(replay) || counts->maps != counts->unmaps || counts->page_bytes)
		return -EINVAL;
	if (counts->seen_segments != counts->segments ||
	    (replay->source->segments && replay->source->segments != counts->segments))
		return -ENODATA;
	windows = quiver_device_windows(replay->pdev);
	if (windows)
		pci_err(replay->pdev, "%ld windows left\n", windows);
	return windows ? -EBUSY : 0;
}

static int run_all(struct replay *replay)
{
	struct quiver_sequence_op op;
	int error = 0;

	while (!error && replay->source->next(replay->source->context, &op))
		error = do_op(replay, &op);
	if (!error)
		return check_end(replay);
	if (error == -EINVAL)
		pci_err(replay->pdev, "operation %llu makes no sense\n", replay->counts.ops);
	end_all(replay);
	return error;
}

int replay_run(struct replay *replay)
{
	int error = replay_pages_init(replay);

	if (error)
		return error;
	replay->maps = kvcalloc(replay->source->maps, sizeof(*replay->maps), GFP_KERNEL);
	error = replay->maps ? run_all(replay) : -ENOMEM;
	kvfree(replay->maps);
	replay_pages_exit(replay);
	return error;
}
