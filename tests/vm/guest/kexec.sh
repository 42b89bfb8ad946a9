# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=dash
#
# Sourced after lib.sh by scenarios that start another kernel. It, and its RAM disk, are the third and fourth disk; the
# tools are mounted.

KERNEL=/dev/vdc
INITRD=/dev/vdd

# The interrupt controller goes on writing where the first kernel told it to, and only on a machine with EFI is the
# next one told: it is to keep away from there.
lpi_tables() {
	{ cat /run/log.all && dmesg; } | sed -n 's/.*LPI property table @\(0x[0-9a-f]*\).*/\1/p' | head -n 1
}

# load_kernel OPTION...: sums of what is loaded take half a minute, and memory does not go bad here.
load_kernel() {
	tool kexec --no-checks "$@" "$KERNEL" --initrd="$INITRD" >/run/kexec 2>&1 || fail "kexec: $(tail -n 1 /run/kexec)"
}

# load_in_order MORE: to be started by kexec -e, with this command line and more
load_in_order() {
	local tables

	tables=$(lpi_tables)
	[ -n "$tables" ] || fail "where the interrupt controller writes is not known"
	load_kernel -l --mem-min=0x50000000 \
		"--command-line=$(cat /proc/cmdline) crashkernel=32M@$((tables & ~0x1fffff)) $1"
}
