/* SPDX-License-Identifier: BSD-3-Clause */
/* Hypervisor.framework: the VM, of which a process has one at most. Any thread. */
#ifndef SIMMAC_HYPERVISOR_HV_VM_H
#define SIMMAC_HYPERVISOR_HV_VM_H

#include <Hypervisor/hv_base.h>
#include <Hypervisor/hv_vm_config.h>

#ifdef __cplusplus
extern "C" {
#endif

hv_return_t hv_vm_get_max_vcpu_count(uint32_t *max_vcpu_count) SIMMAC_HV_SINCE(11.0);

/* config NULL: defaults. HV_DENIED without the entitlement com.apple.security.hypervisor. */
hv_return_t hv_vm_create(hv_vm_config_t config) SIMMAC_HV_SINCE(11.0);

/* All vCPUs are destroyed before. */
hv_return_t hv_vm_destroy(void) SIMMAC_HV_SINCE(11.0);

/*
 * Pages of this process become pages of the guest. addr, ipa and size are
 * multiples of the page, 16 KiB [H2]; there is no memory type to choose. A
 * page of a device must not be HV_MEMORY_EXEC [H1].
 */
hv_return_t hv_vm_map(void *addr, hv_ipa_t ipa, size_t size, hv_memory_flags_t flags)
	SIMMAC_HV_SINCE(11.0);
hv_return_t hv_vm_unmap(hv_ipa_t ipa, size_t size) SIMMAC_HV_SINCE(11.0);
hv_return_t hv_vm_protect(hv_ipa_t ipa, size_t size, hv_memory_flags_t flags)
	SIMMAC_HV_SINCE(11.0);

#ifdef __cplusplus
}
#endif
#endif
