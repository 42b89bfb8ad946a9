# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
#
# prepare.sh LANE: what the matrix' guests need, made if it is not there. A line each: kernel, RAM disk, root file
# system, data, the kernel's command line.

# shellcheck source=../scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../../scripts/lib.sh"
# shellcheck source=../tests/vm/vm.sh
. "$QUIVER_TOP/tests/vm/vm.sh"

VM_LANE=$1
VM_SCENARIO=matrix
VM_SLICE_MIB=2
vm_prepare >&2
printf '%s\n' "$VM_KERNEL/vmlinuz" "$VM_INITRD" "$VM_ROOTFS" "$VM_BUILD/payload" "$(vm_command_line)"
