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

left_mapped() { # FUNCTION
	echo $(($(stat_of "$1" segments) - $(stat_of "$1" segments_removed)))
}

# nothing_mapped FUNCTION: all that its driver has mapped, it has unmapped
nothing_mapped() {
	[ "$(left_mapped "$1") $(stat_of "$1" used_bytes)" = "0 0" ] ||
		fail "$(stat_of "$1" used_bytes) bytes in $(left_mapped "$1") segments are left mapped"
	[ "$(stat_of "$1" bad_unmaps)" = 0 ] || fail "$(stat_of "$1" bad_unmaps) unmaps of what was not mapped"
}

# How many mappings the driver may have forgotten in this step. 535 says so. 550 does not, when it fails before RM has
# attached the GPU: osIovaUnmap looks for the GPU, which is no longer in the list, for the one page mapped first.
admitted() {
	dmesg | awk '/NVRM: iovaspaceDestruct_IMPL: .* left-over mappings/ { sub(/ left-over.*/, ""); n += $NF }
		/NVRM: osInitNvMapping: .* Cannot attach gpu/ { n++ }
		END { print n + 0 }'
}

# check_left FUNCTION: nothing is mapped but what the driver forgot, now and earlier: FORGOTTEN segments
FORGOTTEN=0
check_left() {
	local left idle

	left=$(left_mapped "$1")
	if [ "$left" -lt $FORGOTTEN ] || [ "$left" -gt $((FORGOTTEN + $(admitted))) ]; then
		fail "$left segments are left mapped, of which the driver forgot $FORGOTTEN and $(admitted)"
	fi
	FORGOTTEN=$left
	[ "$left" != 0 ] || nothing_mapped "$1"
	idle=$(stat_of "$1" idle_windows)
	[ $(($(stat_of "$1" windows) - idle)) -le "$left" ] ||
		fail "$(stat_of "$1" windows) windows, $idle of them idle, for $left segments"
	[ "$(stat_of "$1" windows)" = "$(stat_of "$1" host_mappings)" ] || fail "the host has other mappings"
	[ "$(stat_of "$1" bad_unmaps)" = 0 ] || fail "$(stat_of "$1" bad_unmaps) unmaps of what was not mapped"
}

# unload_and_check FUNCTION: unbound, it is stopped, and what its driver forgot is released, in so many words.
unload_and_check() {
	local held

	held=$(stat_of "$1" used_bytes)
	unload_nvidia
	[ "$held" = 0 ] || expect_log "quiver: the driver left"
	[ "$(stat_of "$1" windows) $(stat_of "$1" host_mappings)" = "0 0" ] ||
		fail "$(stat_of "$1" windows) windows are left, the host has $(stat_of "$1" host_mappings) mappings"
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
