// SPDX-License-Identifier: BSD-3-Clause
/* The host: limits, bus addresses, and what it answers. */
#include "model.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/wire.h"

/* --- bus addresses ---------------------------------------------------------------------------- */

static bool slots_free(const struct model_host *host, uint32_t first, uint64_t count)
{
	for (uint64_t i = 0; i < count; i++)
		if (first + i >= host->slots || host->slot[first + i])
			return false;
	return true;
}

/* The next place from *first on that may have room; what is in the way is skipped as a whole. */
static bool slots_next(const struct model_host *host, uint64_t count, uint32_t *first)
{
	uint64_t run = 0;

	for (uint32_t i = *first; i < host->slots; i++) {
		run = host->slot[i] ? 0 : run + 1;
		if (run == count) {
			*first = (uint32_t)(i + 1 - count);
			return true;
		}
	}
	return false;
}

/* Anywhere, as macOS does: at random first, and then wherever there is room. */
static bool slots_find(struct model_host *host, uint64_t count, uint32_t *first)
{
	for (int i = 0; i < 8 && !host->first_fit; i++) {
		*first = (uint32_t)model_random_below(&host->random, host->slots);
		if (slots_free(host, *first, count))
			return true;
	}
	*first = 0;
	return count <= host->slots && slots_next(host, count, first);
}

static uint32_t mapping_new(struct model_host *host)
{
	uint32_t index = host->free_mapping;

	if (index) {
		host->free_mapping = host->mapping[index - 1].next_free;
		return index - 1;
	}
	if (host->mapping_count == host->mapping_room) {
		host->mapping_room = host->mapping_room ? 2 * host->mapping_room : 1024;
		host->mapping = realloc(host->mapping,
					host->mapping_room * sizeof(*host->mapping));
		if (!host->mapping)
			abort();
	}
	return (uint32_t)host->mapping_count++;
}

static void mapping_drop(struct model_host *host, struct model_mapping *mapping)
{
	uint64_t slot = (mapping->iova - host->base) >> MODEL_SHIFT;

	for (uint64_t i = 0; i < mapping->gpa.length >> MODEL_SHIFT; i++)
		host->slot[slot + i] = 0;
	host->bytes -= mapping->gpa.length;
	host->mappings--;
	host->limits->used_bytes -= mapping->gpa.length;
	host->limits->used_mappings--;
	mapping->live = false;
	mapping->next_free = host->free_mapping;
	host->free_mapping = (uint32_t)(mapping - host->mapping) + 1;
}

struct model_mapping *model_host_at(const struct model_host *host, uint64_t iova)
{
	uint64_t slot = (iova - host->base) >> MODEL_SHIFT;

	if (iova < host->base || slot >= host->slots || !host->slot[slot])
		return NULL;
	return &host->mapping[host->slot[slot] - 1];
}

/* --- entries ---------------------------------------------------------------------------------- */

static bool is_ram(const struct model_host *host, struct quiver_range gpa)
{
	if (gpa.start < host->seam && quiver_range_holds(gpa, host->seam))
		return false;
	return (!host->ram.length || quiver_range_contains(host->ram, gpa)) &&
	       !(host->hole.length && quiver_range_overlaps(host->hole, gpa));
}

static uint64_t less(uint64_t a, uint64_t b)
{
	return a > b ? a - b : 0;
}

/* As the budget does: the reserve is for small vital maps. */
static enum quiver_wire_status within_limits(const struct model_limits *limits, uint64_t length,
					     bool vital)
{
	bool believed = vital && length <= QUIVER_DMA_VITAL_MAX;
	uint64_t bytes = less(limits->bytes, believed ? 0 : limits->reserve_bytes);
	uint64_t mappings = less(limits->mappings, believed ? 0 : limits->reserve_mappings);

	if (length > less(bytes, limits->used_bytes))
		return QUIVER_S_BYTES;
	return less(mappings, limits->used_mappings) ? QUIVER_S_OK : QUIVER_S_MAPPINGS;
}

static enum quiver_wire_status host_map(struct model_host *host, struct quiver_range gpa,
					bool vital, uint64_t *iova)
{
	enum quiver_wire_status status = within_limits(host->limits, gpa.length, vital);
	struct model_mapping *mapping;
	uint32_t first, index;

	if (!is_ram(host, gpa))
		return QUIVER_S_FAULT;
	if (status != QUIVER_S_OK)
		return status;
	if (!slots_find(host, gpa.length >> MODEL_SHIFT, &first))
		return QUIVER_S_IO;

	index = mapping_new(host);
	mapping = &host->mapping[index];
	*mapping = (struct model_mapping){
		.gpa = gpa, .iova = host->base + ((uint64_t)first << MODEL_SHIFT),
		.serial = ++host->serial, .live = true,
	};
	for (uint64_t i = 0; i < gpa.length >> MODEL_SHIFT; i++)
		host->slot[first + i] = index + 1;
	host->bytes += gpa.length;
	host->mappings++;
	host->limits->used_bytes += gpa.length;
	host->limits->used_mappings++;
	*iova = mapping->iova;
	return QUIVER_S_OK;
}

static enum quiver_wire_status host_unmap(struct model_host *host, struct quiver_range iova)
{
	struct model_mapping *mapping = model_host_at(host, iova.start);

	if (!mapping || mapping->iova != iova.start || mapping->gpa.length != iova.length)
		return QUIVER_S_NOENT;
	mapping_drop(host, mapping);
	return QUIVER_S_OK;
}

static enum model_fate fate(struct model_host *host, unsigned int refusals)
{
	uint64_t roll = model_random_below(&host->random, 100);

	if (roll < refusals)
		return MODEL_REFUSE;
	return roll < refusals + host->ignored ? MODEL_IGNORE : MODEL_HONOUR;
}

/* A refusal by the budget, or any of the others that a map can meet. */
static enum quiver_wire_status refusal(struct model_host *host)
{
	static const enum quiver_wire_status statuses[] = {
		QUIVER_S_BYTES, QUIVER_S_MAPPINGS, QUIVER_S_IO, QUIVER_S_FAULT, QUIVER_S_GONE,
		QUIVER_S_INVAL, QUIVER_S_NODEV, (enum quiver_wire_status)1234,
	};

	return statuses[model_random_below(&host->random, sizeof(statuses) / sizeof(statuses[0]))];
}

static void run_map(struct model_host *host, struct quiver_dma_entry *entry,
		    const struct quiver_wire_request *request)
{
	enum model_fate chosen = fate(host, host->map_refusals);
	enum quiver_wire_status status = QUIVER_S_PENDING;
	uint64_t iova = 0xdeadbeefdead0000u;

	host->maps++;
	if (host->entries == host->fail_at)
		status = host->fail_status;
	else if (chosen == MODEL_HONOUR)
		status = host_map(host, request->gpa, request->flags & QUIVER_DMA_VITAL, &iova);
	else if (chosen == MODEL_REFUSE)
		status = refusal(host);
	host->refused_bytes += status == QUIVER_S_BYTES;
	host->refused_mappings += status == QUIVER_S_MAPPINGS;
	host->failed += status != QUIVER_S_OK && status != QUIVER_S_BYTES &&
			status != QUIVER_S_MAPPINGS;
	if (host->on_map)
		host->on_map(host, request->gpa, status);
	entry->iova = iova;
	entry->status = status;
}

/* A refused or ignored unmap leaves a mapping that the guest knows no more of. */
static void run_unmap(struct model_host *host, struct quiver_dma_entry *entry,
		      struct quiver_range iova)
{
	enum model_fate chosen = fate(host, host->unmap_refusals);
	struct model_mapping *mapping = model_host_at(host, iova.start);
	enum quiver_wire_status status = QUIVER_S_PENDING;

	host->unmaps++;
	if (host->entries == host->fail_at)
		chosen = MODEL_REFUSE;
	if (chosen == MODEL_HONOUR) {
		status = host_unmap(host, iova);
	} else {
		status = chosen == MODEL_REFUSE ? QUIVER_S_NOENT : QUIVER_S_PENDING;
		if (mapping) {
			mapping->orphan = true;
			host->orphans++;
			host->orphan_bytes += mapping->gpa.length;
		}
	}
	host->unmap_errors += status != QUIVER_S_OK;
	entry->status = status;
}

static void run_entry(struct model_host *host, struct quiver_dma_entry *entry)
{
	struct quiver_wire_request request;

	if (entry->status != QUIVER_S_PENDING ||
	    quiver_wire_decode(entry, MODEL_SHIFT, MODEL_DEVICE + 1, QUIVER_FEATURES_ALL,
			       &request) ||
	    request.device != MODEL_DEVICE) {
		host->malformed++;
		return;
	}
	host->entries++;
	if (request.op == QUIVER_OP_MAP)
		run_map(host, entry, &request);
	else
		run_unmap(host, entry, request.iova);
}

/* --- transport -------------------------------------------------------------------------------- */

/* One batch a thread, as the guest has one a CPU. */
#define BATCH_MAX 512
static _Thread_local struct quiver_dma_entry batch[BATCH_MAX];
static _Thread_local bool batch_open;

static struct quiver_dma_entry *host_open(void *context, size_t *capacity)
{
	struct model_host *host = context;

	assert_false(batch_open);
	batch_open = true;
	memset(batch, 0xa5, host->capacity * sizeof(batch[0]));
	*capacity = host->capacity;
	return batch;
}

static void host_ring(void *context, size_t count)
{
	struct model_host *host = context;

	assert_true(batch_open && count && count <= host->capacity);
	if (host->on_ring)
		host->on_ring(host);
	pthread_mutex_lock(&host->limits->lock);
	host->rings++;
	for (size_t i = 0; i < count; i++)
		run_entry(host, &batch[i]);
	pthread_mutex_unlock(&host->limits->lock);
}

static void host_close(void *context)
{
	assert_true(batch_open);
	batch_open = false;
}

void model_host_room(void *context, struct quiver_room *room, struct quiver_room *most)
{
	struct model_host *host = context;
	struct model_limits *limits = host->limits;

	pthread_mutex_lock(&limits->lock);
	room->bytes = less(less(limits->bytes, limits->reserve_bytes), limits->used_bytes);
	room->mappings = less(less(limits->mappings, limits->reserve_mappings),
			      limits->used_mappings);
	most->bytes = less(limits->bytes, limits->reserve_bytes);
	most->mappings = less(limits->mappings, limits->reserve_mappings);
	pthread_mutex_unlock(&limits->lock);
}

bool model_host_relieve(void *context)
{
	struct model_host *host = context;

	return host->peer && quiver_space_relieve(host->peer);
}

void model_host_init(struct model_host *host, size_t capacity)
{
	assert_true(capacity <= BATCH_MAX);
	memset(host, 0, sizeof(*host));
	host->transport = (struct quiver_transport){
		.open = host_open, .ring = host_ring, .close = host_close,
	};
	pthread_mutex_init(&host->own.lock, NULL);
	host->own.bytes = UINT64_MAX;
	host->own.mappings = UINT64_MAX;
	host->limits = &host->own;
	host->capacity = capacity;
	host->base = MODEL_BASE;
	host->slots = MODEL_SLOTS;
	host->slot = calloc(MODEL_SLOTS, sizeof(*host->slot));
	assert_non_null(host->slot);
}

void model_host_share(struct model_host *host, struct model_host *other)
{
	host->limits = other->limits;
}

void model_host_addresses(struct model_host *host, uint32_t slots, bool first_fit)
{
	free(host->slot);
	host->slot = calloc(slots, sizeof(*host->slot));
	assert_non_null(host->slot);
	host->slots = slots;
	host->first_fit = first_fit;
}

void model_host_detach(struct model_host *host)
{
	pthread_mutex_lock(&host->limits->lock);
	for (size_t i = 0; i < host->mapping_count; i++)
		if (host->mapping[i].live)
			mapping_drop(host, &host->mapping[i]);
	host->orphans = 0;
	host->orphan_bytes = 0;
	pthread_mutex_unlock(&host->limits->lock);
}

void model_host_fini(struct model_host *host)
{
	assert_int_equal(host->malformed, 0);
	pthread_mutex_destroy(&host->own.lock);
	free(host->slot);
	free(host->mapping);
}

bool model_host_reaches(struct model_host *host, uint64_t iova, uint64_t gpa, uint64_t length)
{
	bool reaches = true;

	pthread_mutex_lock(&host->limits->lock);
	for (uint64_t done = 0; done < length && reaches;) {
		const struct model_mapping *m = model_host_at(host, iova + done);
		uint64_t step = MODEL_GRANULE - ((iova + done) & (MODEL_GRANULE - 1));

		reaches = m && m->live && !m->orphan &&
			  m->gpa.start + (iova + done - m->iova) == gpa + done;
		done += step;
	}
	pthread_mutex_unlock(&host->limits->lock);
	return reaches;
}
