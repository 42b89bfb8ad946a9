/* SPDX-License-Identifier: BSD-3-Clause */
/* Hypervisor.framework: what a vCPU is created with. Let go of with os_release(). Any thread. */
#ifndef SIMMAC_HYPERVISOR_HV_VCPU_CONFIG_H
#define SIMMAC_HYPERVISOR_HV_VCPU_CONFIG_H

#include <Hypervisor/hv_base.h>
#include <Hypervisor/hv_vcpu_types.h>

#ifdef __cplusplus
extern "C" {
#endif

SIMMAC_HV_ENUM(hv_feature_reg_t, uint32_t,
	HV_FEATURE_REG_ID_AA64DFR0_EL1,
	HV_FEATURE_REG_ID_AA64DFR1_EL1,
	HV_FEATURE_REG_ID_AA64ISAR0_EL1,
	HV_FEATURE_REG_ID_AA64ISAR1_EL1,
	HV_FEATURE_REG_ID_AA64MMFR0_EL1,
	HV_FEATURE_REG_ID_AA64MMFR1_EL1,
	HV_FEATURE_REG_ID_AA64MMFR2_EL1,
	HV_FEATURE_REG_ID_AA64PFR0_EL1,
	HV_FEATURE_REG_ID_AA64PFR1_EL1,
	HV_FEATURE_REG_CTR_EL0,
	HV_FEATURE_REG_CLIDR_EL1,
	HV_FEATURE_REG_DCZID_EL0,
	HV_FEATURE_REG_ID_AA64SMFR0_EL1 SIMMAC_HV_SINCE(15.2),
	HV_FEATURE_REG_ID_AA64ZFR0_EL1 SIMMAC_HV_SINCE(15.2),
);

hv_vcpu_config_t hv_vcpu_config_create(void) SIMMAC_HV_SINCE(11.0);
hv_return_t hv_vcpu_config_get_feature_reg(hv_vcpu_config_t config, hv_feature_reg_t feature_reg,
					   uint64_t *value) SIMMAC_HV_SINCE(11.0);
hv_return_t hv_vcpu_config_get_ccsidr_el1_sys_reg_values(hv_vcpu_config_t config,
							 hv_cache_type_t cache_type,
							 uint64_t values[8])
	SIMMAC_HV_SINCE(11.0);

#ifdef __cplusplus
}
#endif
#endif
