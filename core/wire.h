/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/* Encoding, decoding and checking of the entries of proto.h. */
#ifndef QUIVER_CORE_WIRE_H
#define QUIVER_CORE_WIRE_H

#include "core/range.h"
#include "quiver/proto.h"

/* An entry that passed every check that needs no state. */
struct quiver_wire_request {
	uint8_t op;			/* QUIVER_OP_* */
	uint8_t flags;			/* QUIVER_DMA_* */
	uint16_t device;
	struct quiver_range gpa;	/* map */
	struct quiver_range iova;	/* unmap */
};

/*
 * Checks one entry. entry must be a private copy: the guest may rewrite its own
 * at any time. features are those that the driver accepted, as 1 << QUIVER_F_*.
 * Returns QUIVER_S_OK, QUIVER_S_INVAL or QUIVER_S_NODEV (the index is not below
 * device_count).
 */
enum quiver_wire_status quiver_wire_decode(const struct quiver_dma_entry *entry,
					   unsigned int granule_shift, unsigned int device_count,
					   uint64_t features, struct quiver_wire_request *request);

void quiver_wire_encode_map(struct quiver_dma_entry *entry, uint16_t device,
			    struct quiver_range gpa, uint8_t flags);
void quiver_wire_encode_unmap(struct quiver_dma_entry *entry, uint16_t device,
			      struct quiver_range iova);

/*
 * Wire status to negative errno; -EIO for one that we do not know.
 * INVAL -EINVAL, NODEV and GONE -ENODEV, FAULT -EFAULT, NOENT -ENOENT,
 * BYTES -E2BIG, MAPPINGS -ENOSPC, IO and PENDING -EIO.
 */
int quiver_wire_error(uint32_t status);

/* The other way; QUIVER_S_IO for an errno that has no status of its own. */
enum quiver_wire_status quiver_wire_status(int error);

/* Of enum quiver_pressure: "none", "low", "medium", "critical"; else "unknown". */
const char *quiver_wire_pressure_name(uint64_t pressure);

#endif
