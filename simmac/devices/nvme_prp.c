// SPDX-License-Identifier: BSD-3-Clause
#include "nvme.h"

#define ENTRIES (NVME_PAGE / sizeof(uint64_t))

static void add(struct nvme_command *command, uint64_t iova, uint32_t length)
{
	struct simmac_dart_segment *last = &command->segment[command->segments];

	if (command->segments && last[-1].iova + last[-1].length == iova) {
		last[-1].length += length;
		return;
	}
	*last = (struct simmac_dart_segment){ iova, length };
	command->segments++;
}

/* Adds whole pages; the last may be used in part. Returns the bytes left. */
static uint32_t add_pages(struct nvme_command *command, const uint64_t *entry, uint32_t count,
			  uint32_t left)
{
	for (; count; count--, entry++) {
		uint32_t piece = left < NVME_PAGE ? left : NVME_PAGE;

		add(command, *entry, piece);
		left -= piece;
	}
	return left;
}

static bool are_pages(const uint64_t *entry, uint32_t count)
{
	for (; count; count--)
		if (*entry++ % NVME_PAGE)
			return false;
	return true;
}

/*
 * A list may begin anywhere in its page; each later one begins a page. So every
 * round but the first yields at least 511 pages, and the walk ends.
 */
static uint16_t walk(struct nvme *nvme, struct nvme_command *command, uint64_t list, uint32_t left)
{
	uint64_t entry[ENTRIES];

	if (list % sizeof(uint64_t))
		return NVME_BAD_PRP_OFFSET;
	while (left) {
		uint32_t slots = (uint32_t)((NVME_PAGE - list % NVME_PAGE) / sizeof(uint64_t));
		uint32_t pages = (left + NVME_PAGE - 1) / NVME_PAGE;
		bool chained = pages > slots;
		uint32_t count = chained ? slots : pages;

		nvme->blind = !simmac_dart_read(nvme->device->dart, list, entry,
						count * sizeof(uint64_t));
		if (nvme->blind || !are_pages(entry, count))
			return NVME_BAD_PRP_OFFSET;
		left = add_pages(command, entry, chained ? slots - 1 : pages, left);
		list = entry[count - 1];
	}
	return NVME_OK;
}

uint16_t nvme_prp_decode(struct nvme *nvme, struct nvme_command *command, uint32_t length)
{
	const struct nvme_sqe *sqe = &command->sqe;
	uint32_t first = (uint32_t)(NVME_PAGE - sqe->prp1 % NVME_PAGE);

	command->length = length;
	command->segments = 0;
	if (!length)
		return NVME_OK;
	if (length > NVME_TRANSFER_MAX)
		return NVME_BAD_FIELD;
	if (sqe->prp1 % 4)
		return NVME_BAD_PRP_OFFSET;
	if (length <= first) {
		add(command, sqe->prp1, length);
		return NVME_OK;
	}
	add(command, sqe->prp1, first);
	if (length - first > NVME_PAGE)
		return walk(nvme, command, sqe->prp2, length - first);
	if (sqe->prp2 % NVME_PAGE)
		return NVME_BAD_PRP_OFFSET;
	add(command, sqe->prp2, length - first);
	return NVME_OK;
}
