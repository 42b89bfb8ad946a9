/* SPDX-License-Identifier: BSD-3-Clause */
/* Hypervisor.framework: what a VM is created with. Let go of with os_release(). */
#ifndef SIMMAC_HYPERVISOR_HV_VM_CONFIG_H
#define SIMMAC_HYPERVISOR_HV_VM_CONFIG_H

#include <Hypervisor/hv_base.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct hv_vm_config_s *hv_vm_config_t;

hv_vm_config_t hv_vm_config_create(void) SIMMAC_HV_SINCE(13.0);

/* Bits of a guest physical address. */
hv_return_t hv_vm_config_get_max_ipa_size(uint32_t *ipa_bit_length) SIMMAC_HV_SINCE(13.0);
hv_return_t hv_vm_config_get_default_ipa_size(uint32_t *ipa_bit_length) SIMMAC_HV_SINCE(13.0);
hv_return_t hv_vm_config_set_ipa_size(hv_vm_config_t config, uint32_t ipa_bit_length)
	SIMMAC_HV_SINCE(13.0);
hv_return_t hv_vm_config_get_ipa_size(hv_vm_config_t config, uint32_t *ipa_bit_length)
	SIMMAC_HV_SINCE(13.0);

/* Nested virtualization. */
hv_return_t hv_vm_config_get_el2_supported(bool *el2_supported) SIMMAC_HV_SINCE(15.0);
hv_return_t hv_vm_config_get_el2_enabled(hv_vm_config_t config, bool *el2_enabled)
	SIMMAC_HV_SINCE(15.0);
hv_return_t hv_vm_config_set_el2_enabled(hv_vm_config_t config, bool el2_enabled)
	SIMMAC_HV_SINCE(15.0);

#ifdef __cplusplus
}
#endif
#endif
