/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * How one device sees the aperture, memory that it has mapped as a whole: as
 * pieces of the same length, mostly one. What lies in it is mapped by adding and
 * unmapped by comparing, without a lock, a count or an exit.
 */
#ifndef QUIVER_CORE_APERTURE_H
#define QUIVER_CORE_APERTURE_H

#include "core/range.h"
#include "quiver/proto.h"

struct quiver_aperture_view {
	struct quiver_range gpa;	/* length 0: the device does not see it */
	uint64_t piece;			/* bytes */
	unsigned int pieces;
	uint64_t iova[QUIVER_APERTURE_PIECES_MAX];
};

/*
 * Whether a view that the host describes can be: then length is that of all
 * pieces, and no address in it is one that means an error, UINT64_MAX, or 0 [G4].
 */
static inline bool quiver_aperture_view_valid(const struct quiver_aperture_view *view)
{
	unsigned int i;

	if (!view->pieces || view->pieces > QUIVER_APERTURE_PIECES_MAX ||
	    view->pieces & (view->pieces - 1) || !view->piece ||
	    view->gpa.length / view->pieces != view->piece ||
	    view->gpa.length % view->pieces ||
	    !quiver_range_valid(view->gpa.start, view->gpa.length))
		return false;
	for (i = 0; i < view->pieces; i++)
		if (!view->iova[i] || view->iova[i] > UINT64_MAX - view->piece)
			return false;
	return true;
}

/* Whether guest and bus address agree modulo align, a power of two, all over it. */
static inline bool quiver_aperture_agrees(const struct quiver_aperture_view *view, uint64_t align)
{
	unsigned int i;

	for (i = 0; i < view->pieces; i++)
		if (((view->gpa.start + i * view->piece) ^ view->iova[i]) & (align - 1))
			return false;
	return view->pieces;
}

/* Where the device sees [gpa, gpa + length). False: not at all, or not in one piece. */
static inline bool quiver_aperture_to_iova(const struct quiver_aperture_view *view, uint64_t gpa,
					   uint64_t length, uint64_t *iova)
{
	uint64_t offset = gpa - view->gpa.start;
	unsigned int i = 0;

	if (offset >= view->gpa.length)
		return false;
	if (view->pieces > 1) {
		i = offset / view->piece;
		offset %= view->piece;
	}
	if (length > view->piece - offset)
		return false;
	*iova = view->iova[i] + offset;
	return true;
}

/* Whether a bus address is one that it gives. */
static inline bool quiver_aperture_has_iova(const struct quiver_aperture_view *view, uint64_t iova)
{
	unsigned int i;

	for (i = 0; i < view->pieces; i++)
		if (iova - view->iova[i] < view->piece)
			return true;
	return false;
}

#endif
