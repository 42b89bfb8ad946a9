// SPDX-License-Identifier: BSD-3-Clause
#define _GNU_SOURCE
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "dart_table.h"
#include "simmac/panic.h"

#define BOUNDARY (UINT64_C(2) << 20)

const struct simmac_dart_config simmac_dart_defaults = {
	.limit_bytes = UINT64_C(1536) << 20,
	.limit_mappings = 65536,
	.aperture_base = UINT64_C(2) << 30,
	.aperture_size = UINT64_C(2) << 30,
	.skew = 37 * SIMMAC_GRANULE,
};

static bool config_is_sound(const struct simmac_dart_config *c)
{
	uint64_t end;

	return c->aperture_base && c->aperture_size && c->aperture_base % SIMMAC_GRANULE == 0 &&
	       c->aperture_size % SIMMAC_GRANULE == 0 && c->skew % SIMMAC_GRANULE == 0 &&
	       !__builtin_add_overflow(c->aperture_base, c->aperture_size, &end);
}

/* A waiting unmap goes first: DMA that never pauses must not starve it. */
static int lock_init(pthread_rwlock_t *lock)
{
	pthread_rwlockattr_t attr;
	int ret;

	pthread_rwlockattr_init(&attr);
	pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	ret = -pthread_rwlock_init(lock, &attr);
	pthread_rwlockattr_destroy(&attr);
	return ret;
}

struct simmac_dart *simmac_dart_new(const struct simmac_dart_config *config)
{
	struct simmac_dart *dart;
	uint64_t granules;

	if (!config)
		config = &simmac_dart_defaults;
	if (!config_is_sound(config))
		return NULL;
	dart = calloc(1, sizeof(*dart));
	if (!dart)
		return NULL;
	dart->config = *config;
	granules = config->aperture_size / SIMMAC_GRANULE;
	dart->page = calloc(granules, sizeof(*dart->page));
	if (!dart->page)
		goto free_dart;
	if (space_init(&dart->space, granules, config->seed))
		goto free_page;
	if (lock_init(&dart->lock))
		goto free_space;
	return dart;

free_space:
	space_fini(&dart->space);
free_page:
	free(dart->page);
free_dart:
	free(dart);
	return NULL;
}

void simmac_dart_free(struct simmac_dart *dart)
{
	uint64_t i, granules;

	if (!dart)
		return;
	granules = dart->config.aperture_size / SIMMAC_GRANULE;
	for (i = 0; i < granules; i++) {
		struct dart_mapping *m = dart->page[i];

		if (!m)
			continue;
		i += m->length / SIMMAC_GRANULE - 1;
		free(m);
	}
	pthread_rwlock_destroy(&dart->lock);
	space_fini(&dart->space);
	free(dart->page);
	free(dart);
}

void simmac_dart_set_owner(struct simmac_dart *dart, struct simmac_device *device)
{
	dart->owner = device;
}

/* The mapping that begins at iova and is length long. */
static struct dart_mapping *mapping_exact(const struct simmac_dart *dart, uint64_t iova,
				     uint64_t length)
{
	struct dart_mapping *m = dart_mapping_at(dart, iova);

	return m && m->iova == iova && m->length == length ? m : NULL;
}

static void check_limits_locked(const struct simmac_dart *dart, uint64_t length)
{
	const struct simmac_dart_stats *s = &dart->stats;

	if (length > dart->config.limit_bytes ||
	    s->bytes > dart->config.limit_bytes - length)
		simmac_panic("D7", "%s: map of %" PRIu64 " bytes while %" PRIu64
			     " are mapped: DART ends at %" PRIu64 " [D1]", dart_owner_name(dart),
			     length, s->bytes, dart->config.limit_bytes);
	if (s->mappings >= dart->config.limit_mappings)
		simmac_panic("D7", "%s: map of %" PRIu64 " bytes while %" PRIu64
			     " mappings are live: DART has no more [D2]", dart_owner_name(dart),
			     length, s->mappings);
}

static void count_map_locked(struct simmac_dart_stats *s, uint64_t length)
{
	s->maps++;
	s->mappings++;
	s->bytes += length;
	if (s->mappings > s->mappings_peak)
		s->mappings_peak = s->mappings;
	if (s->bytes > s->bytes_peak)
		s->bytes_peak = s->bytes;
}

static int map_locked(struct simmac_dart *dart, struct dart_mapping *m)
{
	const struct space_rule rule = {
		.base = dart->config.aperture_base / SIMMAC_GRANULE,
		.boundary = BOUNDARY / SIMMAC_GRANULE,
		.skew = dart->config.skew % BOUNDARY / SIMMAC_GRANULE,
	};
	uint64_t first, i, count = m->length / SIMMAC_GRANULE;

	check_limits_locked(dart, m->length);
	first = space_take(&dart->space, count, &rule);
	if (first == SPACE_NONE)
		return -ENOSPC;
	m->iova = dart->config.aperture_base + first * SIMMAC_GRANULE;
	for (i = 0; i < count; i++)
		dart->page[first + i] = m;
	count_map_locked(&dart->stats, m->length);
	return 0;
}

int simmac_dart_map(struct simmac_dart *dart, pid_t task, uint64_t address, uint64_t length,
		    uint64_t *iova)
{
	struct dart_mapping *m;
	uint64_t end;
	int ret;

	if (!length || length % SIMMAC_GRANULE || address % SIMMAC_GRANULE ||
	    __builtin_add_overflow(address, length, &end))
		return -EINVAL;
	m = malloc(sizeof(*m));
	if (!m)
		return -ENOMEM;
	*m = (struct dart_mapping){ .task = task, .address = address, .length = length };

	pthread_rwlock_wrlock(&dart->lock);
	ret = map_locked(dart, m);
	if (!ret)
		*iova = m->iova;
	pthread_rwlock_unlock(&dart->lock);
	if (ret)
		free(m);
	return ret;
}

static void unmap_locked(struct simmac_dart *dart, struct dart_mapping *m)
{
	uint64_t i, first = dart_granule_of(dart, m->iova), count = m->length / SIMMAC_GRANULE;

	for (i = 0; i < count; i++)
		dart->page[first + i] = NULL;
	space_give(&dart->space, first, count);
	dart->stats.unmaps++;
	dart->stats.mappings--;
	dart->stats.bytes -= m->length;
}

static void check_device_is_done(struct simmac_dart *dart, uint64_t iova, uint64_t length,
				 bool ownerless)
{
	struct simmac_device *device = dart->owner;
	bool masters = device && simmac_device_masters_bus(device);

	if (!masters && !(device && atomic_load(&device->pending)))
		return;
	if (masters && ownerless)
		simmac_panic("D8", "%s: unmap of %" PRIu64 " bytes at 0x%" PRIx64 " with nobody"
			     " left to stop the device, which masters the bus", device->name,
			     length, iova);
	if (device->model->dma_live && device->model->dma_live(device, iova, length))
		simmac_panic("D8", "%s: unmap of %" PRIu64 " bytes at 0x%" PRIx64 " that the device"
			     " is using, while %s", device->name, length, iova,
			     masters ? "it masters the bus" : "its requests are pending");
}

static bool mapping_exists(struct simmac_dart *dart, uint64_t iova, uint64_t length)
{
	bool exists;

	pthread_rwlock_rdlock(&dart->lock);
	exists = mapping_exact(dart, iova, length);
	pthread_rwlock_unlock(&dart->lock);
	return exists;
}

static int unmap_quiet(struct simmac_dart *dart, uint64_t iova, uint64_t length, bool ownerless)
{
	struct dart_mapping *m;

	if (!mapping_exists(dart, iova, length))
		return -ENOENT;
	check_device_is_done(dart, iova, length, ownerless);

	pthread_rwlock_wrlock(&dart->lock);
	m = mapping_exact(dart, iova, length);
	if (m)
		unmap_locked(dart, m);
	pthread_rwlock_unlock(&dart->lock);
	free(m);
	return m ? 0 : -ENOENT;
}

int simmac_dart_unmap(struct simmac_dart *dart, uint64_t iova, uint64_t length, bool ownerless)
{
	int ret;

	if (!dart->owner)
		return unmap_quiet(dart, iova, length, ownerless);
	simmac_device_pause(dart->owner);
	ret = unmap_quiet(dart, iova, length, ownerless);
	simmac_device_resume(dart->owner);
	return ret;
}

struct simmac_dart_stats simmac_dart_stats(struct simmac_dart *dart)
{
	struct simmac_dart_stats stats;

	pthread_rwlock_rdlock(&dart->lock);
	stats = dart->stats;
	pthread_rwlock_unlock(&dart->lock);
	stats.read_bytes = atomic_load(&dart->read_bytes);
	stats.written_bytes = atomic_load(&dart->written_bytes);
	return stats;
}
