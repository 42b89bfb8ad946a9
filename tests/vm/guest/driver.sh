# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=dash
#
# Sourced by the scenarios that load a GPU's real driver, after lib.sh.

# kmod's modprobe and the settings that quiver ships, as in a Debian guest: busybox' modprobe does not know soft
# dependencies.
prepare_modprobe() {
	mount_tools
	mkdir -p /tools/lib/modules /tools/etc/modprobe.d
	mount --bind /lib/modules /tools/lib/modules
	cp /quiver/modprobe.d/* /tools/etc/modprobe.d/
}

# functions_by VENDOR: as 0x10de
functions_by() {
	local dev

	for dev in /sys/bus/pci/devices/*; do
		[ "$(cat "$dev/vendor")" != "$1" ] || echo "${dev##*/}"
	done
}

stat_of() { # FUNCTION NAME
	awk -v name="$2" '$1 == name { print $2 }' "$QUIVER_DEBUGFS/$1/stats"
}

# What udev and nvidia-modprobe do in a real guest
make_nodes() { # COUNT
	local major n=0

	major=$(awk '$2 == "nvidia" || $2 == "nvidia-frontend" { print $1; exit }' /proc/devices)
	[ -n "$major" ] || fail "nvidia has no device number"
	while [ "$n" -lt "$1" ]; do
		[ -e "/dev/nvidia$n" ] || mknod "/dev/nvidia$n" c "$major" "$n"
		n=$((n + 1))
	done
}

# open_gpu N: a card that has no firmware to boot cannot come up, so it is EIO that is wanted and nothing else.
open_gpu() {
	local said

	! said=$(cat "/dev/nvidia$1" 2>&1 >/dev/null) || fail "/dev/nvidia$1 opened"
	case $said in
	*"I/O error"* | *"Input/output error"*) ;;
	*) fail "/dev/nvidia$1: $said" ;;
	esac
}

# What the log may have of the driver's after the card did not come up: PATTERN, and that it failed.
check_nvrm() { # PATTERN
	local line

	line=$(dmesg | grep -F 'NVRM: ' | grep -vE "$1|RmInitAdapter failed! |rm_init_adapter failed, device minor number" |
		head -n 1)
	[ -z "$line" ] || fail "the driver says: ${line#*NVRM: }"
}

# nothing_mapped FUNCTION: all that its driver has mapped, it has unmapped
nothing_mapped() {
	[ "$(stat_of "$1" used_bytes)" = 0 ] || fail "$(stat_of "$1" used_bytes) bytes are left mapped"
	[ "$(stat_of "$1" segments)" = "$(stat_of "$1" segments_removed)" ] ||
		fail "$(stat_of "$1" segments) segments were mapped, $(stat_of "$1" segments_removed) unmapped"
	[ "$(stat_of "$1" bad_unmaps)" = 0 ] || fail "$(stat_of "$1" bad_unmaps) unmaps of what was not mapped"
}

# figures FUNCTION NAME...: of its stats, for the log
figures() {
	local function=$1 name line=

	shift
	for name; do
		line="$line $name=$(stat_of "$function" "$name")"
	done
	put "nvidia=$(cat /quiver/nvidia-version)$line"
}
