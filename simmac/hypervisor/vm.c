// SPDX-License-Identifier: BSD-3-Clause
/* The VM and its memory. */
#include <stdlib.h>
#include <sys/sysctl.h>

#include "internal.h"
#include "map.h"

struct guest_vm simmac_vm = { .lock = PTHREAD_MUTEX_INITIALIZER };

hv_return_t hv_vm_get_max_vcpu_count(uint32_t *max_vcpu_count)
{
	*max_vcpu_count = 1;
	return HV_SUCCESS;
}

static bool is_older_than(int major)
{
	char version[32] = "";
	size_t size = sizeof(version);

	return !sysctlbyname("kern.osproductversion", version, &size, NULL, 0) &&
	       atoi(version) < major;
}

/* More than what it can create: a configuration is not taken yet. */
hv_return_t hv_vm_config_get_max_ipa_size(uint32_t *ipa_bit_length)
{
	if (!ipa_bit_length)
		return HV_BAD_ARGUMENT;
	*ipa_bit_length = is_older_than(15) ? IPA_BITS : MAX_IPA_BITS;
	return HV_SUCCESS;
}

hv_return_t hv_vm_create(hv_vm_config_t config)
{
	hv_return_t result = simmac_hypervisor_call("hv_vm_create", HV_DENIED);

	if (result)
		return result;
	if (config)
		return HV_UNSUPPORTED;
	pthread_mutex_lock(&simmac_vm.lock);
	if (simmac_vm.created)
		result = HV_BUSY;
	simmac_vm.created = true;
	pthread_mutex_unlock(&simmac_vm.lock);
	return result;
}

static void free_regions(void)
{
	struct guest_region *region;

	while ((region = simmac_vm.regions)) {
		simmac_vm.regions = region->next;
		simmac_region_free(region);
	}
}

hv_return_t hv_vm_destroy(void)
{
	hv_return_t result = HV_SUCCESS;

	pthread_mutex_lock(&simmac_vm.lock);
	if (!simmac_vm.created)
		result = HV_NO_DEVICE;
	else if (simmac_vm.vcpu)
		result = HV_BUSY;
	if (!result) {
		free_regions();
		simmac_vm.created = false;
	}
	pthread_mutex_unlock(&simmac_vm.lock);
	return result;
}

static bool range_is_sound(hv_ipa_t ipa, size_t size)
{
	const hv_ipa_t end = 1ull << IPA_BITS;

	return size && !(ipa % PAGE) && !(size % PAGE) && ipa < end && size <= end - ipa;
}

static bool flags_are_sound(hv_memory_flags_t flags)
{
	return !(flags & ~(HV_MEMORY_READ | HV_MEMORY_WRITE | HV_MEMORY_EXEC));
}

static hv_return_t add_locked(struct guest_region *region)
{
	if (!simmac_vm.created)
		return HV_NO_DEVICE;
	if (simmac_region_overlaps(simmac_vm.regions, region->ipa, region->size))
		return HV_BAD_ARGUMENT;
	if (simmac_vm.vcpu && simmac_region_show(simmac_vm.vcpu->uc, region))
		return HV_ERROR;
	region->next = simmac_vm.regions;
	simmac_vm.regions = region;
	return HV_SUCCESS;
}

hv_return_t hv_vm_map(void *addr, hv_ipa_t ipa, size_t size, hv_memory_flags_t flags)
{
	hv_return_t result = simmac_hypervisor_call("hv_vm_map", HV_NO_RESOURCES);
	struct guest_region *region;

	if (result)
		return result;
	if (!addr || (uintptr_t)addr % PAGE || !range_is_sound(ipa, size) ||
	    !flags_are_sound(flags))
		return HV_BAD_ARGUMENT;
	region = calloc(1, sizeof(*region));
	if (!region)
		return HV_NO_RESOURCES;
	*region = (struct guest_region){
		.ipa = ipa, .size = size, .flags = flags, .memory = addr,
		/* An executable one is taken like any other: the touch is what hurts [H1]. */
		.device = simmac_mapping_is_device(addr, size),
	};
	pthread_mutex_lock(&simmac_vm.lock);
	result = simmac_region_clean(region) ? add_locked(region) : HV_NO_RESOURCES;
	pthread_mutex_unlock(&simmac_vm.lock);
	if (result)
		simmac_region_free(region);
	return result;
}

/* The link to the region that is exactly this range, or NULL. */
static struct guest_region **find_locked(hv_ipa_t ipa, size_t size)
{
	struct guest_region **link;

	for (link = &simmac_vm.regions; *link; link = &(*link)->next)
		if ((*link)->ipa == ipa && (*link)->size == size)
			return link;
	return NULL;
}

/* A Mac unmaps parts as well; nobody here asks for that. */
hv_return_t hv_vm_unmap(hv_ipa_t ipa, size_t size)
{
	struct guest_region **link, *region;
	hv_return_t result = HV_BAD_ARGUMENT;

	pthread_mutex_lock(&simmac_vm.lock);
	link = find_locked(ipa, size);
	if (link) {
		region = *link;
		*link = region->next;
		if (simmac_vm.vcpu)
			simmac_region_hide(simmac_vm.vcpu->uc, region);
		simmac_region_free(region);
		result = HV_SUCCESS;
	}
	pthread_mutex_unlock(&simmac_vm.lock);
	return result;
}

hv_return_t hv_vm_protect(hv_ipa_t ipa, size_t size, hv_memory_flags_t flags)
{
	hv_return_t result = HV_BAD_ARGUMENT;
	struct guest_region **link;

	pthread_mutex_lock(&simmac_vm.lock);
	link = flags_are_sound(flags) ? find_locked(ipa, size) : NULL;
	if (link) {
		if (simmac_vm.vcpu)
			simmac_region_hide(simmac_vm.vcpu->uc, *link);
		(*link)->flags = flags;
		result = !simmac_region_clean(*link) ? HV_NO_RESOURCES :
			 simmac_vm.vcpu && simmac_region_show(simmac_vm.vcpu->uc, *link) ?
			 HV_ERROR : HV_SUCCESS;
	}
	pthread_mutex_unlock(&simmac_vm.lock);
	return result;
}
