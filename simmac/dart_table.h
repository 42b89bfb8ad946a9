/* SPDX-License-Identifier: BSD-3-Clause */
/* A DART's inside, shared by the two halves of the model. */
#ifndef SIMMAC_DART_TABLE_H
#define SIMMAC_DART_TABLE_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/types.h>

#include "simmac/dart.h"
#include "simmac/device.h"
#include "space.h"

struct dart_mapping {
	pid_t task;
	uint64_t address, iova, length;
};

struct simmac_dart {
	struct simmac_dart_config config;
	struct simmac_device *owner;

	/* DMA holds it shared to its end, so that unmapping waits for it. */
	pthread_rwlock_t lock;
	struct dart_mapping **page;		/* by granule, as a DART's page table */
	struct space space;
	struct simmac_dart_stats stats;	/* without the next two */
	_Atomic(uint64_t) read_bytes, written_bytes;
};

static inline const char *dart_owner_name(const struct simmac_dart *dart)
{
	return dart->owner ? dart->owner->name : "device";
}

static inline uint64_t dart_granule_of(const struct simmac_dart *dart, uint64_t iova)
{
	return (iova - dart->config.aperture_base) / SIMMAC_GRANULE;
}

static inline struct dart_mapping *dart_mapping_at(const struct simmac_dart *dart, uint64_t iova)
{
	if (iova < dart->config.aperture_base ||
	    iova - dart->config.aperture_base >= dart->config.aperture_size)
		return NULL;
	return dart->page[dart_granule_of(dart, iova)];
}

#endif
