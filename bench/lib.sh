# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
#
# Sourced after tests/vm/vm.sh by benchmarks that measure in a guest.

# shellcheck disable=SC2034 # for who sources this
JSON=
ROUNDS=5

# shellcheck disable=SC2034
bench_parse() {
	while (($#)); do
		case $1 in
		--json) JSON=yes ;;
		--kernel) VM_LANE=$2 && shift ;;
		--rounds) ROUNDS=$2 && shift ;;
		*) die "Usage: ${0##*/} [--json] [--kernel LANE] [--rounds N]" ;;
		esac
		shift
	done
}

# A QEMU that counts instructions, which it cannot with a thread for each CPU
bench_counting_qemu() {
	COUNTING=$(mktemp "${TMPDIR:-/tmp}/quiver-qemu.XXXXXX")
	cleanup_on_exit "$COUNTING"
	# shellcheck disable=SC2016 # for that script to expand
	printf '#!/bin/bash\nexec %q "${@//thread=multi/thread=single}" -icount shift=0\n' \
		"$QUIVER_BUILD/qemu-system-aarch64" >"$COUNTING"
	chmod +x "$COUNTING"
}

# bench_vm NAME: a run of VM_SCENARIO, or the end
bench_vm() {
	local failure

	vm_start "$QUIVER_LOGS/bench/$1"
	say "  ${1#*-} ..."
	vm_wait
	failure=$(vm_failure)
	[[ -z $failure ]] || die "${0##*/} failed: $failure (log: ${VM_DIR#"$QUIVER_TOP/"}/serial.log)"
}

median() {
	sort -n | awk '{ v[NR] = $1 } END { print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'
}
