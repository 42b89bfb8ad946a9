/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Apple's Hypervisor.framework for arm64, as far as QEMU's hvf accelerator and
 * `quiver probe` call it: prototypes and values are Apple's (SDK of macOS 26),
 * the words are ours. A call is for the thread that created the vCPU, unless it
 * says otherwise. All return HV_SUCCESS or a code of hv_base.h.
 */
#ifndef SIMMAC_HYPERVISOR_HYPERVISOR_H
#define SIMMAC_HYPERVISOR_HYPERVISOR_H

#include <Hypervisor/hv_base.h>
#include <Hypervisor/hv_vm.h>
#include <Hypervisor/hv_vm_config.h>
#include <Hypervisor/hv_vcpu.h>
#include <Hypervisor/hv_vcpu_config.h>

#endif
