/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The DART model: one a device. Strict where the Mac is fatal: DMA outside a
 * mapping is a panic [D6], a request beyond the limits is one [D7], a mapping
 * released under a device that uses it is one [D8].
 */
#ifndef SIMMAC_DART_H
#define SIMMAC_DART_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

struct simmac_dart;
struct simmac_device;

#define SIMMAC_GRANULE 16384u			/* [D4] */

struct simmac_dart_config {
	uint64_t limit_bytes;		/* 1536 MiB [D1] */
	uint64_t limit_mappings;	/* 65536 [D2] */
	uint64_t aperture_base;		/* bus addresses come from [base, base + size), */
	uint64_t aperture_size;		/* never 0 [G4] */
	/*
	 * A mapping of 2 MiB or more starts this far beyond a 2 MiB boundary;
	 * a smaller one anywhere but on such a boundary. 0: nothing is avoided.
	 */
	uint64_t skew;			/* whole granules [D3] */
	uint64_t seed;			/* of the allocator's choices; 0: first fit */
};

extern const struct simmac_dart_config simmac_dart_defaults;

struct simmac_dart_stats {
	uint64_t bytes, mappings;		/* now */
	uint64_t bytes_peak, mappings_peak;
	uint64_t maps, unmaps;			/* ever */
	uint64_t read_bytes, written_bytes;	/* moved by the device */
};

/*
 * config NULL: the defaults. Returns NULL when memory is out, or the aperture
 * is empty, contains address 0, wraps, or is not made of whole granules.
 */
struct simmac_dart *simmac_dart_new(const struct simmac_dart_config *config);
void simmac_dart_free(struct simmac_dart *dart);

/*
 * The device that does its DMA here: it is asked, at each unmap, whether it may
 * be in the middle of using the range. Set once, by the device framework.
 */
void simmac_dart_set_owner(struct simmac_dart *dart, struct simmac_device *device);

/*
 * Maps [address, address + length) of a task. Both multiples of the granule
 * (-EINVAL otherwise). -ENOSPC: no hole in the bus address space is large
 * enough (fragmentation [D11]). Beyond the limits: panic [D7]. The memory
 * counts as wired until it is unmapped, whether or not the task lives: DMA to
 * a dead task's memory reads zeros and loses writes.
 */
int simmac_dart_map(struct simmac_dart *dart, pid_t task, uint64_t address, uint64_t length,
		    uint64_t *iova);

/*
 * Unmaps what one simmac_dart_map() made. -ENOENT: no such mapping. Panic [D8]
 * when the owner masters the bus and either says that the range is live or
 * nobody is left who could vouch for it (ownerless).
 */
int simmac_dart_unmap(struct simmac_dart *dart, uint64_t iova, uint64_t length, bool ownerless);

/*
 * The device's DMA. Any part outside a mapping: panic [D6]. May span adjacent
 * mappings. Bytes move in ascending order of addresses, and what one call wrote
 * is seen before what a later one writes. Only a single byte is sure to be one
 * store: into another task's memory the kernel copies, as it pleases. A read
 * that is false met a task that is dead: what a Mac would still show there is
 * not known, and a device that would act on it does nothing more.
 */
bool simmac_dart_read(struct simmac_dart *dart, uint64_t iova, void *to, size_t length);
void simmac_dart_write(struct simmac_dart *dart, uint64_t iova, const void *from, size_t length);

struct simmac_dart_segment {
	uint64_t iova;
	uint64_t length;
};

/* The same for a list of segments, in its order, and one buffer of their total length. */
bool simmac_dart_gather(struct simmac_dart *dart, const struct simmac_dart_segment *segment,
			size_t count, void *to);
void simmac_dart_scatter(struct simmac_dart *dart, const struct simmac_dart_segment *segment,
			 size_t count, const void *from);

struct simmac_dart_stats simmac_dart_stats(struct simmac_dart *dart);

#ifdef __cplusplus
}
#endif
#endif
