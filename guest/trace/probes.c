// SPDX-License-Identifier: GPL-2.0-only
/*
 * The tracepoints are not exported: they are found by their names, and the
 * kernel's header checks at compile time that the probes fit them. A probe is
 * called in whatever context the driver maps from and may not sleep.
 */
#include <linux/dma-mapping.h>
#include <linux/pci.h>
#include <linux/scatterlist.h>
#include <linux/timekeeping.h>
#include <linux/tracepoint.h>

#include "trace.h"

#ifdef QUIVER_HAVE_DMA_EVENTS
#include <trace/events/dma.h>

struct probe {
	const char *name;
	void *function;
	struct tracepoint *tracepoint;
};

static bool function_of(struct device *dev, u64 *function)
{
	struct pci_dev *pdev;

	if (!dev_is_pci(dev))
		return false;
	pdev = to_pci_dev(dev);
	*function = quiver_trace_function(pci_domain_nr(pdev->bus), pdev->bus->number, pdev->devfn);
	return true;
}

static bool wanted(const struct quiver_trace_recording *recording, struct device *dev,
		   u64 *function)
{
	return READ_ONCE(recording->running) && function_of(dev, function) &&
	       (recording->device == QUIVER_TRACE_ALL || recording->device == *function);
}

/* Reserves room for a record and so many segments. False: there is none. */
static bool begin(struct quiver_trace_recording *recording,
		  const struct quiver_trace_record *record, u64 segments, u64 *start)
{
	struct quiver_trace_ring *ring = &recording->ring;
	u64 position;

	if (!quiver_trace_ring_reserve(ring, QUIVER_TRACE_RECORD_WORDS + 2 * segments, start))
		return false;
	position = *start + 1;
	/* Now, not before: so the times of records that follow each other rarely go back. */
	quiver_trace_ring_put(ring, position++, ktime_get_mono_fast_ns());
	quiver_trace_ring_put(ring, position++, record->device);
	quiver_trace_ring_put(ring, position++, record->dma_address);
	quiver_trace_ring_put(ring, position++, record->size);
	return true;
}

static void commit(struct quiver_trace_recording *recording, enum quiver_trace_kind kind,
		   u64 segments, u64 start)
{
	quiver_trace_ring_commit(&recording->ring, start,
				 quiver_trace_head(kind, QUIVER_TRACE_RECORD_WORDS + 2 * segments));
}

static void count_map(struct quiver_trace_recording *recording, u64 segments)
{
	atomic64_inc(&recording->maps);
	atomic64_add(segments, &recording->segments);
}

static void count_lost_map(struct quiver_trace_recording *recording, u64 segments)
{
	atomic64_inc(&recording->lost_maps);
	atomic64_add(segments, &recording->lost_segments);
}

static void probe_map(void *data, struct device *dev, phys_addr_t phys, dma_addr_t dma_address,
		      size_t size, enum dma_data_direction dir, unsigned long attrs)
{
	struct quiver_trace_recording *recording = data;
	struct quiver_trace_record record = { .dma_address = dma_address, .size = size };
	u64 start;

	if (!wanted(recording, dev, &record.device))
		return;
	if (dma_address == DMA_MAPPING_ERROR) {
		atomic64_inc(&recording->failed);
		return;
	}
	if (!begin(recording, &record, 1, &start)) {
		count_lost_map(recording, 1);
		return;
	}
	quiver_trace_ring_put(&recording->ring, start + QUIVER_TRACE_RECORD_WORDS, phys);
	quiver_trace_ring_put(&recording->ring, start + QUIVER_TRACE_RECORD_WORDS + 1, size);
	commit(recording, QUIVER_TRACE_MAP, 1, start);
	count_map(recording, 1);
}

static void put_segments(struct quiver_trace_ring *ring, u64 position, struct scatterlist *sgl,
			 int nents)
{
	struct scatterlist *sg;
	int i;

	for_each_sg(sgl, sg, nents, i) {
		quiver_trace_ring_put(ring, position++, sg_phys(sg));
		quiver_trace_ring_put(ring, position++, sg->length);
	}
}

static void probe_map_sg(void *data, struct device *dev, struct scatterlist *sgl, int nents,
			 int ents, enum dma_data_direction dir, unsigned long attrs)
{
	struct quiver_trace_recording *recording = data;
	struct quiver_trace_record record = {
		.dma_address = sg_dma_address(sgl), .size = nents,
	};
	u64 start;

	if (!wanted(recording, dev, &record.device))
		return;
	if (!begin(recording, &record, nents, &start)) {
		count_lost_map(recording, nents);
		return;
	}
	put_segments(&recording->ring, start + QUIVER_TRACE_RECORD_WORDS, sgl, nents);
	commit(recording, QUIVER_TRACE_MAP_SG, nents, start);
	count_map(recording, nents);
}

#ifdef QUIVER_HAVE_DMA_MAP_SG_ERR_EVENT
static void probe_map_sg_err(void *data, struct device *dev, struct scatterlist *sgl, int nents,
			     int error, enum dma_data_direction dir, unsigned long attrs)
{
	struct quiver_trace_recording *recording = data;
	u64 function;

	if (wanted(recording, dev, &function))
		atomic64_inc(&recording->failed);
}
#endif

static void unmap(struct quiver_trace_recording *recording, struct device *dev,
		  enum quiver_trace_kind kind, struct quiver_trace_record *record)
{
	u64 start;

	if (!wanted(recording, dev, &record->device))
		return;
	if (!begin(recording, record, 0, &start)) {
		atomic64_inc(&recording->lost_unmaps);
		return;
	}
	commit(recording, kind, 0, start);
	atomic64_inc(&recording->unmaps);
}

static void probe_unmap(void *data, struct device *dev, dma_addr_t dma_address, size_t size,
			enum dma_data_direction dir, unsigned long attrs)
{
	struct quiver_trace_record record = { .dma_address = dma_address, .size = size };

	unmap(data, dev, QUIVER_TRACE_UNMAP, &record);
}

static void probe_unmap_sg(void *data, struct device *dev, struct scatterlist *sgl, int nents,
			   enum dma_data_direction dir, unsigned long attrs)
{
	struct quiver_trace_record record = {
		.dma_address = sg_dma_address(sgl), .size = nents,
	};

	unmap(data, dev, QUIVER_TRACE_UNMAP_SG, &record);
}

static void count_coherent(struct quiver_trace_recording *recording, struct device *dev,
			   const void *memory)
{
	u64 function;

	if (memory && wanted(recording, dev, &function))
		atomic64_inc(&recording->coherent);
}

#ifdef QUIVER_HAVE_DMA_ALLOC_PAGES_EVENT
static void probe_alloc(void *data, struct device *dev, void *memory, dma_addr_t dma_address,
			size_t size, enum dma_data_direction dir, gfp_t flags,
			unsigned long attrs)
{
	count_coherent(data, dev, memory);
}
#else
static void probe_alloc(void *data, struct device *dev, void *memory, dma_addr_t dma_address,
			size_t size, gfp_t flags, unsigned long attrs)
{
	count_coherent(data, dev, memory);
}
#endif

static void count_mmio(struct quiver_trace_recording *recording, struct device *dev,
		       dma_addr_t dma_address)
{
	u64 function;

	if (dma_address != DMA_MAPPING_ERROR && wanted(recording, dev, &function))
		atomic64_inc(&recording->mmio);
}

#ifdef QUIVER_HAVE_DMA_MAP_PHYS_EVENT
static void probe_map_phys(void *data, struct device *dev, phys_addr_t phys,
			   dma_addr_t dma_address, size_t size, enum dma_data_direction dir,
			   unsigned long attrs)
{
	if (attrs & DMA_ATTR_MMIO)
		count_mmio(data, dev, dma_address);
	else
		probe_map(data, dev, phys, dma_address, size, dir, attrs);
}

static void probe_unmap_phys(void *data, struct device *dev, dma_addr_t dma_address, size_t size,
			     enum dma_data_direction dir, unsigned long attrs)
{
	if (!(attrs & DMA_ATTR_MMIO))
		probe_unmap(data, dev, dma_address, size, dir, attrs);
}
#else
static void probe_map_resource(void *data, struct device *dev, phys_addr_t phys,
			       dma_addr_t dma_address, size_t size, enum dma_data_direction dir,
			       unsigned long attrs)
{
	count_mmio(data, dev, dma_address);
}
#endif

static struct probe probes[] = {
	{ "dma_map_sg", probe_map_sg },
#ifdef QUIVER_HAVE_DMA_MAP_SG_ERR_EVENT
	{ "dma_map_sg_err", probe_map_sg_err },
#endif
	{ "dma_unmap_sg", probe_unmap_sg },
	{ "dma_alloc", probe_alloc },
#ifdef QUIVER_HAVE_DMA_ALLOC_PAGES_EVENT
	{ "dma_alloc_pages", probe_alloc },
#endif
#ifdef QUIVER_HAVE_DMA_MAP_PHYS_EVENT
	{ "dma_map_phys", probe_map_phys },
	{ "dma_unmap_phys", probe_unmap_phys },
#else
	{ "dma_map_page", probe_map },
	{ "dma_unmap_page", probe_unmap },
	{ "dma_map_resource", probe_map_resource },
#endif
};

/* Does nothing, and does not compile where a probe does not fit its tracepoint. */
static void check_probes(void)
{
	check_trace_callback_type_dma_map_sg(probe_map_sg);
#ifdef QUIVER_HAVE_DMA_MAP_SG_ERR_EVENT
	check_trace_callback_type_dma_map_sg_err(probe_map_sg_err);
#endif
	check_trace_callback_type_dma_unmap_sg(probe_unmap_sg);
	check_trace_callback_type_dma_alloc(probe_alloc);
#ifdef QUIVER_HAVE_DMA_ALLOC_PAGES_EVENT
	check_trace_callback_type_dma_alloc_pages(probe_alloc);
#endif
#ifdef QUIVER_HAVE_DMA_MAP_PHYS_EVENT
	check_trace_callback_type_dma_map_phys(probe_map_phys);
	check_trace_callback_type_dma_unmap_phys(probe_unmap_phys);
#else
	check_trace_callback_type_dma_map_page(probe_map);
	check_trace_callback_type_dma_unmap_page(probe_unmap);
	check_trace_callback_type_dma_map_resource(probe_map_resource);
#endif
}

static void find(struct tracepoint *tracepoint, void *unused)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(probes); i++)
		if (!strcmp(tracepoint->name, probes[i].name))
			probes[i].tracepoint = tracepoint;
}

static int find_all(void)
{
	unsigned int i;

	check_probes();
	for_each_kernel_tracepoint(find, NULL);
	for (i = 0; i < ARRAY_SIZE(probes); i++)
		if (!probes[i].tracepoint)
			return -EOPNOTSUPP;
	return 0;
}

static void stop_first(struct quiver_trace_recording *recording, unsigned int count)
{
	/* At once for all, so that no map is recorded whose unmap is not. */
	WRITE_ONCE(recording->running, false);
	while (count--)
		tracepoint_probe_unregister(probes[count].tracepoint, probes[count].function,
					    recording);
	tracepoint_synchronize_unregister();
}

int quiver_trace_probes_start(struct quiver_trace_recording *recording)
{
	int error = find_all();
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(probes) && !error; i++) {
		error = tracepoint_probe_register(probes[i].tracepoint, probes[i].function,
						  recording);
		if (error)
			stop_first(recording, i);
	}
	WRITE_ONCE(recording->running, !error);
	return error;
}

void quiver_trace_probes_stop(struct quiver_trace_recording *recording)
{
	stop_first(recording, ARRAY_SIZE(probes));
}

#else

int quiver_trace_probes_start(struct quiver_trace_recording *recording)
{
	return -EOPNOTSUPP;
}

void quiver_trace_probes_stop(struct quiver_trace_recording *recording)
{
}

#endif
