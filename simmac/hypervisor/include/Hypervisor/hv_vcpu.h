/* SPDX-License-Identifier: BSD-3-Clause */
/* Hypervisor.framework: a vCPU, of which a thread has one at most. */
#ifndef SIMMAC_HYPERVISOR_HV_VCPU_H
#define SIMMAC_HYPERVISOR_HV_VCPU_H

#include <Hypervisor/hv_base.h>
#include <Hypervisor/hv_vcpu_types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* *exit is written by each hv_vcpu_run(), until the vCPU is destroyed. config NULL: defaults. */
hv_return_t hv_vcpu_create(hv_vcpu_t *vcpu, hv_vcpu_exit_t **exit, hv_vcpu_config_t config)
	SIMMAC_HV_SINCE(11.0);
hv_return_t hv_vcpu_destroy(hv_vcpu_t vcpu) SIMMAC_HV_SINCE(11.0);

/* Until the next exit. */
hv_return_t hv_vcpu_run(hv_vcpu_t vcpu) SIMMAC_HV_SINCE(11.0);

/* Any thread. One that does not run at the moment leaves its next run at once. */
hv_return_t hv_vcpus_exit(hv_vcpu_t *vcpus, uint32_t vcpu_count) SIMMAC_HV_SINCE(11.0);

hv_return_t hv_vcpu_get_reg(hv_vcpu_t vcpu, hv_reg_t reg, uint64_t *value)
	SIMMAC_HV_SINCE(11.0);
hv_return_t hv_vcpu_set_reg(hv_vcpu_t vcpu, hv_reg_t reg, uint64_t value)
	SIMMAC_HV_SINCE(11.0);
hv_return_t hv_vcpu_get_simd_fp_reg(hv_vcpu_t vcpu, hv_simd_fp_reg_t reg,
				    hv_simd_fp_uchar16_t *value) SIMMAC_HV_SINCE(11.0);
hv_return_t hv_vcpu_set_simd_fp_reg(hv_vcpu_t vcpu, hv_simd_fp_reg_t reg,
				    hv_simd_fp_uchar16_t value) SIMMAC_HV_SINCE(11.0);
hv_return_t hv_vcpu_get_sys_reg(hv_vcpu_t vcpu, hv_sys_reg_t reg, uint64_t *value)
	SIMMAC_HV_SINCE(11.0);
hv_return_t hv_vcpu_set_sys_reg(hv_vcpu_t vcpu, hv_sys_reg_t reg, uint64_t value)
	SIMMAC_HV_SINCE(11.0);

/* Each run ends with none pending: set before each. */
hv_return_t hv_vcpu_get_pending_interrupt(hv_vcpu_t vcpu, hv_interrupt_type_t type,
					  bool *pending) SIMMAC_HV_SINCE(11.0);
hv_return_t hv_vcpu_set_pending_interrupt(hv_vcpu_t vcpu, hv_interrupt_type_t type,
					  bool pending) SIMMAC_HV_SINCE(11.0);

/* Whether the guest's debug exceptions, and accesses of debug registers, leave it. */
hv_return_t hv_vcpu_get_trap_debug_exceptions(hv_vcpu_t vcpu, bool *value)
	SIMMAC_HV_SINCE(11.0);
hv_return_t hv_vcpu_set_trap_debug_exceptions(hv_vcpu_t vcpu, bool value)
	SIMMAC_HV_SINCE(11.0);
hv_return_t hv_vcpu_get_trap_debug_reg_accesses(hv_vcpu_t vcpu, bool *value)
	SIMMAC_HV_SINCE(11.0);
hv_return_t hv_vcpu_set_trap_debug_reg_accesses(hv_vcpu_t vcpu, bool value)
	SIMMAC_HV_SINCE(11.0);

/* In units of mach_absolute_time(). */
hv_return_t hv_vcpu_get_exec_time(hv_vcpu_t vcpu, uint64_t *time) SIMMAC_HV_SINCE(11.0);

/* The virtual timer: CNTVCT_EL0 = mach_absolute_time() - offset. Its exit masks it. */
hv_return_t hv_vcpu_get_vtimer_mask(hv_vcpu_t vcpu, bool *vtimer_is_masked)
	SIMMAC_HV_SINCE(11.0);
hv_return_t hv_vcpu_set_vtimer_mask(hv_vcpu_t vcpu, bool vtimer_is_masked)
	SIMMAC_HV_SINCE(11.0);
hv_return_t hv_vcpu_get_vtimer_offset(hv_vcpu_t vcpu, uint64_t *vtimer_offset)
	SIMMAC_HV_SINCE(11.0);
hv_return_t hv_vcpu_set_vtimer_offset(hv_vcpu_t vcpu, uint64_t vtimer_offset)
	SIMMAC_HV_SINCE(11.0);

#ifdef __cplusplus
}
#endif
#endif
