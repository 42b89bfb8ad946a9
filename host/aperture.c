// SPDX-License-Identifier: BSD-3-Clause
/*
 * Memory that is mapped for devices as a whole. What a mapping begins with is
 * lead: memory in front of the aperture that nobody uses, as much as it takes
 * for the aperture to begin at a multiple of the alignment on the bus.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "quiver/host.h"

#define ALIGNMENT QUIVER_APERTURE_ALIGNMENT
#define TRIES 4		/* macOS gives the same address for the same wish, as a rule */

struct quiver_aperture {
	void *region;		/* alignment, room for lead, the aperture, room to shift it */
	uint64_t region_length;
	unsigned char *first;	/* where the aperture can begin at the earliest */
	unsigned char *memory;	/* where it begins; NULL: not settled */
	uint64_t length;
	uint64_t lead;		/* that was right for the last mapping */
};

/* For what was unsettled, shift; for what is settled, lead. */
static uint64_t lacking(uint64_t iova)
{
	return -iova % ALIGNMENT;
}

int quiver_aperture_new(uint64_t length, struct quiver_aperture **out)
{
	struct quiver_aperture *aperture;

	if (!length || length % (ALIGNMENT * QUIVER_APERTURE_PIECES) ||
	    length > SIZE_MAX - 3 * ALIGNMENT)
		return -EINVAL;
	aperture = calloc(1, sizeof(*aperture));
	if (!aperture)
		return -ENOMEM;
	aperture->length = length;
	aperture->region_length = length + 3 * ALIGNMENT;
	aperture->region = mmap(NULL, aperture->region_length, PROT_READ | PROT_WRITE,
				MAP_PRIVATE | MAP_ANON | MAP_NORESERVE, -1, 0);
	if (aperture->region == MAP_FAILED) {
		free(aperture);
		return -ENOMEM;
	}
	aperture->first = (unsigned char *)aperture->region +
			  lacking((uintptr_t)aperture->region) + ALIGNMENT;
	*out = aperture;
	return 0;
}

void quiver_aperture_free(struct quiver_aperture *aperture)
{
	if (!aperture)
		return;
	munmap(aperture->region, aperture->region_length);
	free(aperture);
}

static void settle(struct quiver_aperture *aperture, uint64_t shift)
{
	aperture->memory = aperture->first + shift;
}

void *quiver_aperture_memory(struct quiver_aperture *aperture)
{
	if (!aperture->memory)
		settle(aperture, 0);
	return aperture->memory;
}

static int run(struct quiver_device *device, struct quiver_dma *dma)
{
	int error = quiver_dma_batch(device, dma, 1);

	return error ? error : dma->result;
}

static int map(struct quiver_device *device, struct quiver_dma *dma, unsigned char *address,
	       uint64_t length)
{
	*dma = (struct quiver_dma){
		.op = QUIVER_MAP, .address = address, .length = length,
		.flags = QUIVER_DEXT_DMA_READ | QUIVER_DEXT_DMA_WRITE | QUIVER_DEXT_DMA_STAYS,
	};
	return run(device, dma);
}

/* One that fails has unmapped it all the same, or the device is gone with it. */
static void unmap(struct quiver_device *device, struct quiver_dma *dma)
{
	dma->op = QUIVER_UNMAP;
	run(device, dma);
}

/* The aperture may begin anywhere in what is mapped. */
static int map_first(struct quiver_aperture *aperture, struct quiver_device *device,
		     uint64_t length, struct quiver_dma *dma, uint64_t *iova)
{
	int error = map(device, dma, aperture->first, length + ALIGNMENT);

	if (error)
		return error;
	settle(aperture, lacking(dma->iova));
	*iova = dma->iova + lacking(dma->iova);
	return 0;
}

static int map_next(struct quiver_aperture *aperture, struct quiver_device *device,
		    uint64_t offset, uint64_t length, struct quiver_dma *dma, uint64_t *iova)
{
	int error, tries;

	for (tries = 1;; tries++) {
		uint64_t lead = aperture->lead;

		error = map(device, dma, aperture->memory + offset - lead, length + lead);
		if (error)
			return error;
		*iova = dma->iova + lead;
		aperture->lead = lacking(dma->iova);
		if (aperture->lead == lead || tries == TRIES)
			return 0;
		unmap(device, dma);
	}
}

static int map_pieces(struct quiver_aperture *aperture, struct quiver_device *device,
		      struct quiver_aperture_place *place)
{
	uint64_t length = aperture->length / place->count;
	struct quiver_dma dma[QUIVER_APERTURE_PIECES];
	unsigned int i;
	int error = 0;

	place->mapped = 0;
	place->aligned = true;
	for (i = 0; i < place->count; i++) {
		error = aperture->memory ?
			map_next(aperture, device, i * length, length, &dma[i], &place->iova[i]) :
			map_first(aperture, device, length, &dma[i], &place->iova[i]);
		if (error)
			break;
		place->mapped += dma[i].length;
		place->aligned = place->aligned && !lacking(place->iova[i]);
	}
	while (error && i--)
		unmap(device, &dma[i]);
	return error;
}

int quiver_aperture_map(struct quiver_aperture *aperture, struct quiver_device *device,
			struct quiver_aperture_place *place)
{
	int error = -EIO;

	for (place->count = 1; error == -EIO && place->count <= QUIVER_APERTURE_PIECES;) {
		error = map_pieces(aperture, device, place);
		if (error)
			place->count *= 2;
	}
	return error;
}
