// SPDX-License-Identifier: GPL-2.0-only
/* The 16 KiB pages that what is live lies in: no policy can do with fewer bytes. */
#include <linux/sizes.h>
#include <linux/slab.h>

#include "replay.h"

#define PAGE_16K_SHIFT	14

int replay_pages_init(struct replay *replay)
{
	replay->page_users = kvcalloc(replay->size >> PAGE_16K_SHIFT,
				      sizeof(*replay->page_users), GFP_KERNEL);
	return replay->page_users ? 0 : -ENOMEM;
}

void replay_pages_exit(struct replay *replay)
{
	kvfree(replay->page_users);
}

static void count(struct replay *replay, struct scatterlist *sg, int change)
{
	u64 offset = sg_phys(sg) - replay->base;
	u64 page, last = (offset + sg->length - 1) >> PAGE_16K_SHIFT;

	for (page = offset >> PAGE_16K_SHIFT; page <= last; page++) {
		bool used = replay->page_users[page];

		replay->page_users[page] += change;
		if (used != !!replay->page_users[page])
			replay->counts.page_bytes += change * SZ_16K;
	}
}

void replay_pages_add(struct replay *replay, struct replay_map *map)
{
	struct scatterlist *sg;
	int i;

	for_each_sg(map->table.sgl, sg, map->table.orig_nents, i)
		count(replay, sg, 1);
}

void replay_pages_remove(struct replay *replay, struct replay_map *map)
{
	struct scatterlist *sg;
	int i;

	for_each_sg(map->table.sgl, sg, map->table.orig_nents, i)
		count(replay, sg, -1);
}
