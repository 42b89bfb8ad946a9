// SPDX-License-Identifier: BSD-3-Clause
#include <libkern/OSCacheControl.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

struct guest_region *simmac_region_find(struct guest_region *list, hv_ipa_t ipa)
{
	for (; list; list = list->next)
		if (ipa - list->ipa < list->size)
			return list;
	return NULL;
}

bool simmac_region_overlaps(struct guest_region *list, hv_ipa_t ipa, size_t size)
{
	for (; list; list = list->next)
		if (ipa - list->ipa < list->size || list->ipa - ipa < size)
			return true;
	return false;
}

bool simmac_region_is_shown(const struct guest_region *region)
{
	return !region->device && region->flags & HV_MEMORY_EXEC;
}

uc_err simmac_region_show(uc_engine *uc, const struct guest_region *region)
{
	if (!simmac_region_is_shown(region))
		return UC_ERR_OK;
	return uc_mem_map_ptr(uc, region->ipa, region->size, UC_PROT_EXEC,
			      simmac_region_seen(region));
}

void simmac_region_hide(uc_engine *uc, const struct guest_region *region)
{
	if (simmac_region_is_shown(region))
		uc_mem_unmap(uc, region->ipa, region->size);
}

uint8_t *simmac_region_seen(const struct guest_region *region)
{
	return region->clean ? region->clean : region->memory;
}

/* Of what both write only the guest's own view is kept, for want of its caches. */
bool simmac_region_clean(struct guest_region *region)
{
	free(region->clean);
	region->clean = NULL;
	if (region->device || region->flags & HV_MEMORY_WRITE)
		return true;
	region->clean = aligned_alloc(PAGE, region->size);
	if (region->clean)
		memcpy(region->clean, region->memory, region->size);
	return region->clean;
}

void simmac_region_free(struct guest_region *region)
{
	free(region->clean);
	free(region);
}

void sys_dcache_flush(void *start, size_t len)
{
	const uint8_t *from = start;
	struct guest_region *region;

	pthread_mutex_lock(&simmac_vm.lock);
	for (region = simmac_vm.regions; region; region = region->next)
		for (size_t i = 0; region->clean && i < len; i++)
			if ((size_t)(from + i - region->memory) < region->size)
				region->clean[from + i - region->memory] = from[i];
	pthread_mutex_unlock(&simmac_vm.lock);
}
