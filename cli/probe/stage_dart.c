// SPDX-License-Identifier: BSD-3-Clause
/*
 * Stage 5: mapping for DMA. The device masters nothing meanwhile, so that no
 * mapping can hurt [D6 D8]; and by our own count too it never comes to more than
 * 90 % of what the extension says there is [D7].
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "probe.h"

#define SHARE		90u		/* percent of a limit that is used at most */
#define LARGE_SHARE	50u		/* of the bytes, in one mapping */
#define BLOCK		(16ull << 20)	/* of which the capacity in bytes is made */
#define ROUNDS		64u
#define BOTH_WAYS	(QUIVER_DEXT_DMA_READ | QUIVER_DEXT_DMA_WRITE)

static const unsigned int batches[] = { 1, 8, 64, QUIVER_DEXT_DMA_MAX };

struct dart {
	struct quiver_probe *probe;
	struct quiver_probe_outcome *outcome;
	uint64_t granule, bytes, mappings;	/* what may be used of the limits */
	uint8_t *room, *memory;			/* memory: the first whole granule of it */
	uint64_t room_length;
	struct quiver_dma *dma;			/* room for all mappings at once */
	uint64_t live;				/* of them, from the first */
	uint64_t zeros[65];			/* addresses by how many low bits are 0 */
	uint64_t lowest, highest;
};

static bool failed(const struct dart *dart)
{
	return quiver_probe_over(dart->outcome);
}

static void note_address(struct dart *dart, const struct quiver_dma *dma)
{
	dart->zeros[quiver_probe_trailing_zeros(dma->iova)]++;
	if (dma->iova < dart->lowest)
		dart->lowest = dma->iova;
	if (dma->iova + dma->length - 1 > dart->highest)
		dart->highest = dma->iova + dma->length - 1;
	if (!dma->iova || dma->iova % dart->granule)
		quiver_probe_fail(
			dart->outcome, "send the record in",
			"a mapping came back at 0x%llx: not an address of whole pages [D3 D4]",
			(unsigned long long)dma->iova);
}

static void tell_refusal(struct dart *dart, const struct quiver_dma *dma)
{
	const char *why = dma->result == -E2BIG	   ? "for its bytes"
			  : dma->result == -ENOSPC ? "for their number"
						   : strerror(-dma->result);

	quiver_probe_fail(dart->outcome,
			  "end other users of the device, switch the enclosure off and on [D11],"
			  " and send the record in",
			  "mapping %llu, of %llu bytes, was refused below the limits: %s",
			  (unsigned long long)dart->live, (unsigned long long)dma->length, why);
}

/*
 * Maps count times length bytes, from offset of our memory on, in batches of so
 * many. How long each took goes to samples (NULL: nowhere). What was mapped counts
 * as live, also when it fails.
 */
static void map_many(struct dart *dart, uint64_t count, uint64_t length, uint64_t offset,
		     unsigned int batch, struct quiver_probe_samples *samples)
{
	while (count && !failed(dart)) {
		struct quiver_dma *dma = dart->dma + dart->live;
		unsigned int n = count < batch ? (unsigned int)count : batch, i;
		uint64_t begin;
		int error;

		for (i = 0; i < n; i++, offset += length)
			dma[i] = (struct quiver_dma){ .op = QUIVER_MAP,
						      .flags = BOTH_WAYS,
						      .address = dart->memory + offset,
						      .length = length };
		begin = quiver_probe_now();
		error = quiver_dma_batch(dart->probe->device, dma, n);
		if (samples)
			quiver_probe_samples_add(samples, quiver_probe_now() - begin);
		if (error)
			quiver_probe_fail_call(dart->outcome, "mapping", error);
		/* What was granted is brought together at the front. */
		for (i = 0; i < n && !error; i++) {
			if (dma[i].result) {
				tell_refusal(dart, &dma[i]);
				continue;
			}
			note_address(dart, &dma[i]);
			dart->dma[dart->live++] = dma[i];
		}
		count -= n;
	}
}

static void unmap_all(struct dart *dart, unsigned int batch, struct quiver_probe_samples *samples)
{
	for (uint64_t i = 0; i < dart->live; i++)
		dart->dma[i].op = QUIVER_UNMAP;
	for (uint64_t done = 0; done < dart->live;) {
		unsigned int n = dart->live - done < batch ? (unsigned int)(dart->live - done)
							   : batch;
		uint64_t begin = quiver_probe_now();
		int error = quiver_dma_batch(dart->probe->device, dart->dma + done, n);

		if (samples)
			quiver_probe_samples_add(samples, quiver_probe_now() - begin);
		for (unsigned int i = 0; i < n && !error; i++)
			error = dart->dma[done + i].result;
		if (error) {
			quiver_probe_fail_call(dart->outcome, "unmapping", error);
			break;
		}
		done += n;
	}
	dart->live = 0;
}

static int by_address(const void *a, const void *b)
{
	const struct quiver_dma *left = a, *right = b;

	return left->iova < right->iova ? -1 : left->iova > right->iova;
}

/* Two mappings that share an address are the end of whoever trusts in them. */
static void check_apart(struct dart *dart)
{
	qsort(dart->dma, dart->live, sizeof(*dart->dma), by_address);
	for (uint64_t i = 1; i < dart->live; i++)
		if (dart->dma[i].iova - dart->dma[i - 1].iova < dart->dma[i - 1].length)
			quiver_probe_fail(dart->outcome, "send the record in",
					  "two mappings overlap at 0x%llx",
					  (unsigned long long)dart->dma[i].iova);
}

/* The extension's count must be ours; its limits are what we keep below. */
static void check_count(struct dart *dart, uint64_t bytes)
{
	struct quiver_dext_stats stats;
	int error = quiver_device_stats(dart->probe->device, &stats);

	if (error)
		quiver_probe_fail_call(dart->outcome, "asking for the counts", error);
	else if (stats.mappings != dart->live || stats.bytes != bytes)
		quiver_probe_fail(
			dart->outcome, "send the record in",
			"the extension counts %llu mappings of %llu bytes where there are %llu of %llu",
			(unsigned long long)stats.mappings, (unsigned long long)stats.bytes,
			(unsigned long long)dart->live, (unsigned long long)bytes);
}

static json_t *timing_json(struct dart *dart, unsigned int batch)
{
	struct quiver_probe_samples map = { 0 }, unmap = { 0 };
	json_t *json;

	for (unsigned int i = 0; i < ROUNDS && !failed(dart); i++) {
		map_many(dart, batch, dart->granule, 0, batch, &map);
		unmap_all(dart, batch, &unmap);
	}
	json = json_pack("{s:i s:o s:o}", "batch", (int)batch, "map_ns",
			 quiver_probe_samples_json(&map), "unmap_ns",
			 quiver_probe_samples_json(&unmap));
	quiver_probe_samples_free(&map);
	quiver_probe_samples_free(&unmap);
	return json;
}

static void measure_batches(struct dart *dart)
{
	json_t *array = json_array();

	for (size_t i = 0; i < sizeof(batches) / sizeof(batches[0]); i++)
		if (batches[i] <= dart->mappings && batches[i] * dart->granule <= dart->bytes)
			json_array_append_new(array, timing_json(dart, batches[i]));
	quiver_probe_figure(dart->outcome, "batches", array);
}

static void measure_large(struct dart *dart, uint64_t limit)
{
	uint64_t length = limit / 100 * LARGE_SHARE / dart->granule * dart->granule;
	struct quiver_probe_samples map = { 0 }, unmap = { 0 };

	if (!length || length > dart->bytes)
		return;
	map_many(dart, 1, length, 0, 1, &map);
	if (!failed(dart)) {
		quiver_probe_figure_hex(dart->outcome, "large_address", dart->dma[0].iova);
		check_count(dart, length);
	}
	unmap_all(dart, 1, &unmap);
	quiver_probe_figure(dart->outcome, "large_bytes", json_integer((json_int_t)length));
	quiver_probe_figure(dart->outcome, "large_map_ns", quiver_probe_samples_json(&map));
	quiver_probe_figure(dart->outcome, "large_unmap_ns", quiver_probe_samples_json(&unmap));
	quiver_probe_samples_free(&map);
	quiver_probe_samples_free(&unmap);
}

/* As many blocks, then as many pages, as there may be. */
static void fill(struct dart *dart, const char *key, uint64_t length)
{
	uint64_t count = dart->bytes / length;
	struct quiver_probe_samples map = { 0 }, unmap = { 0 };

	if (count > dart->mappings)
		count = dart->mappings;
	if (failed(dart) || !count)
		return;
	map_many(dart, count, length, 0, QUIVER_DEXT_DMA_MAX, &map);
	check_count(dart, dart->live * length);
	check_apart(dart);
	quiver_probe_figure(dart->outcome, key,
			    json_pack("{s:I s:I s:I}", "mappings", (json_int_t)dart->live, "bytes",
				      (json_int_t)(dart->live * length), "each",
				      (json_int_t)length));
	unmap_all(dart, QUIVER_DEXT_DMA_MAX, &unmap);
	quiver_probe_samples_free(&map);
	quiver_probe_samples_free(&unmap);
}

static void tell_addresses(struct dart *dart)
{
	json_t *array = json_array();

	for (int i = 0; i < 65; i++)
		if (dart->zeros[i])
			json_array_append_new(array, json_pack("{s:i s:I}", "zeros", i, "count",
							       (json_int_t)dart->zeros[i]));
	quiver_probe_figure(dart->outcome, "alignment", array);
	quiver_probe_figure_hex(dart->outcome, "lowest_address", dart->lowest);
	quiver_probe_figure_hex(dart->outcome, "highest_address", dart->highest);
}

static bool read_limits(struct dart *dart, struct quiver_dext_stats *stats)
{
	int error = quiver_device_stats(dart->probe->device, stats);

	if (error) {
		quiver_probe_fail_call(dart->outcome, "asking for the limits", error);
		return false;
	}
	quiver_probe_figure(dart->outcome, "granule", json_integer((json_int_t)stats->granule));
	quiver_probe_figure(dart->outcome, "bytes_limit",
			    json_integer((json_int_t)stats->bytes_limit));
	quiver_probe_figure(dart->outcome, "mappings_limit",
			    json_integer((json_int_t)stats->mappings_limit));
	if (stats->granule < 4096 || stats->granule & (stats->granule - 1) ||
	    stats->bytes_limit < stats->granule || !stats->mappings_limit)
		quiver_probe_fail(dart->outcome, "send the record in",
				  "the extension's limits make no sense");
	dart->granule = stats->granule;
	dart->bytes = stats->bytes_limit / 100 * SHARE;
	dart->mappings = stats->mappings_limit * SHARE / 100;
	return !failed(dart);
}

static void put_memory(struct dart *dart)
{
	if (dart->room != MAP_FAILED)
		munmap(dart->room, dart->room_length);
	free(dart->dma);
}

/* Aligned by hand: a host's own pages may be smaller. */
static bool get_memory(struct dart *dart)
{
	dart->room_length = dart->bytes + dart->granule;
	dart->room = mmap(NULL, dart->room_length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANON,
			  -1, 0);
	dart->dma = calloc(dart->mappings + QUIVER_DEXT_DMA_MAX, sizeof(*dart->dma));
	if (dart->room == MAP_FAILED || !dart->dma) {
		quiver_probe_fail(dart->outcome, "end other programs, and try again",
				  "out of memory: %llu bytes are to be mapped",
				  (unsigned long long)dart->bytes);
		put_memory(dart);
		return false;
	}
	dart->memory = dart->room +
		       (dart->granule - (uintptr_t)dart->room % dart->granule) % dart->granule;
	return true;
}

void quiver_probe_stage_dart(struct quiver_probe *probe, struct quiver_probe_outcome *outcome)
{
	struct dart dart = { .probe = probe, .outcome = outcome, .lowest = UINT64_MAX };
	struct quiver_dext_stats stats;
	struct quiver_probe_bar bar;

	if (!quiver_probe_claim(probe, outcome) || !quiver_probe_check_quiet(probe, outcome) ||
	    !quiver_probe_map_registers(probe, &bar, outcome) || !read_limits(&dart, &stats))
		return;
	if (!dart.mappings || dart.bytes < dart.granule) {
		quiver_probe_skip(outcome, "of %u %% of the limits nothing can be mapped", SHARE);
		return;
	}
	if (!get_memory(&dart))
		return;
	measure_batches(&dart);
	if (!failed(&dart))
		measure_large(&dart, stats.bytes_limit);
	fill(&dart, "filled_by_bytes", BLOCK < dart.bytes ? BLOCK : dart.granule);
	fill(&dart, "filled_by_mappings", dart.granule);
	if (dart.live)
		unmap_all(&dart, QUIVER_DEXT_DMA_MAX, NULL);
	tell_addresses(&dart);
	quiver_probe_check_quiet(probe, outcome);
	put_memory(&dart);
}
