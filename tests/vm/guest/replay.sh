# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=dash
#
# Sourced by the scenarios that use quiver_replay.ko, after lib.sh.

REPLAY_FIGURES='segments bytes peak_segments peak_bytes verified_segments verified_bytes reads read_bytes'
REPLAY_FIGURES="$REPLAY_FIGURES writes write_bytes peak_page_bytes refused least_refused ops"

# An armed lie is told while the module runs: skip_map at a later entry, release_live a moment later.
arm_fault() {
	local fault

	fault=$(option guest.fault)
	[ -n "$fault" ] || return 0
	put "arming=$fault"
	if [ "$fault" = skip_map ]; then
		option guest.skip 300 >"$QUIVER_DEBUGFS/$1/skip_map"
	else
		(sleep 3 && echo 1 >"$QUIVER_DEBUGFS/$1/$fault") &
	fi
}

# The endpoint's function, which has no driver yet
endpoint_function() {
	local dev

	for dev in /sys/bus/pci/devices/*; do
		[ "$(cat "$dev/vendor") $(cat "$dev/device")" != "0x1912 0x0028" ] || {
			echo "${dev##*/}"
			return
		}
	done
	fail "no endpoint on the bus"
}

# used KEY: of the budget, as the host counts
used() {
	awk -v key="$1" '$1 == key { print $2 }' "$QUIVER_DEBUGFS"/*/budget
}

# replay LABEL PARAMETER...: one run of the module; its figures go to the log in a line replay=LABEL
replay() {
	local label=$1 from result line figure figures

	shift
	step "replay $label"
	arm_fault "$(endpoint_function)"
	from=$(cut -d. -f1 /proc/uptime)
	modprobe quiver_replay memory=replay "$@" || fail "$label: quiver_replay did not load"
	result=$(cat /sys/module/quiver_replay/parameters/result)
	line=$(dmesg | sed -n 's/.*replay: result=/result=/p' | tail -n 1)
	for figure in $REPLAY_FIGURES; do
		figures="${figures:-} $(echo "$line" | tr ' ' '\n' | grep "^$figure=")"
	done
	put "replay=$label result=$result seconds=$(($(cut -d. -f1 /proc/uptime) - from))${figures:-}"
	counters
	[ "$result" = 0 ] ||
		fail "$label: result $result: $(dmesg | sed -n 's/.*replay: //p' | head -n 1)"
	# While the device has its driver, for with that goes all that is mapped.
	[ "$(used bytes_used) $(used mappings_used)" = "0 0" ] ||
		fail "$label: the host still counts $(used bytes_used) bytes in $(used mappings_used) mappings"
	rmmod quiver_replay
}
