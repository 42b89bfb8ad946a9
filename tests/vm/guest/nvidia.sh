# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=dash
#
# Sourced by scenarios that load the stand-ins of NVIDIA's modules, as any version of them.

STANDIN=/quiver/standin
UVM=/sys/module/nvidia_uvm/parameters

# write_version MODULE VERSION TO: a copy of a stand-in that says to be that version
write_version() {
	local place=000.000.00-stand-in-of-any-version at length=${#2}

	[ "$length" -le ${#place} ] || fail "'$2' is too long for a version"
	cp "$STANDIN/$1.ko" "$3"
	at=$(strings -t d "$3" | awk -v place="version=$place" '$2 == place { print $1 }')
	[ -n "$at" ] || fail "$1.ko has no place for a version"
	{
		printf 'version=%s' "$2"
		dd if=/dev/zero bs=1 count=$((${#place} - length)) 2>/dev/null
	} | dd of="$3" bs=1 seek="$at" conv=notrunc 2>/dev/null
}

load_rm() { # VERSION [PARAMETER...]
	write_version nvidia "$1" /run/nvidia.ko
	shift
	insmod /run/nvidia.ko "$@" || fail "nvidia did not load"
}

load_uvm() { # VERSION [PARAMETER...]
	write_version nvidia-uvm "$1" /run/nvidia-uvm.ko
	shift
	insmod /run/nvidia-uvm.ko "$@" || fail "nvidia-uvm did not load"
}

# load_by_kmod VERSION: nvidia-uvm and what it depends on, as a distribution does, with the file that we ship
load_by_kmod() {
	local root=/tmp/kmod modules

	modules=$root/lib/modules/$(uname -r)
	mkdir -p "$modules"
	cp -r /quiver/modprobe.d $root/
	cp "/lib/modules/$(uname -r)"/extra/quiver*.ko "$modules/"
	write_version nvidia "$1" "$modules/nvidia.ko"
	write_version nvidia-uvm "$1" "$modules/nvidia-uvm.ko"
	touch "$modules"/modules.order "$modules"/modules.builtin "$modules"/modules.builtin.modinfo
	tool depmod -b $root "$(uname -r)"
	tool modprobe -d $root -C $root/modprobe.d nvidia-uvm || fail "kmod did not load nvidia-uvm"
	rm -r $root
}

unload_nvidia() {
	[ ! -d /sys/module/nvidia_uvm ] || rmmod nvidia_uvm
	[ ! -d /sys/module/nvidia ] || rmmod nvidia
	[ ! -d /sys/module/nvidia ] || fail "nvidia did not unload"
}

# use WHAT: pushbuffer, small or managed; what came of it
use() {
	echo 1 >"$UVM/$1" || fail "$1 could not be tried"
	cat "$UVM/$1"
}

# uses WHAT PATTERN: what comes of it is like that
uses() {
	local outcome

	outcome=$(use "$1")
	# shellcheck disable=SC2254 # it is a pattern
	case $outcome in
	$2) put "nvidia=$1 outcome=$(echo "$outcome" | tr ' ' _)" ;;
	*) fail "$1: '$outcome', and not '$2'" ;;
	esac
}

# --- quirks -------------------------------------------------------------------------------------

# quirk_is NAME STATE [DETAIL]: as debugfs has it; DETAIL is part of what it says
quirk_is() {
	local line

	line=$(grep "^$1 " "$QUIVER_DEBUGFS/quirks") || fail "there is no quirk $1"
	case $line in
	"$1 $2 "*"${3:-}"*) ;;
	*) fail "the quirk is not $2 (${3:-}): $line" ;;
	esac
}

# quirk_count NAME reached|cured
quirk_count() {
	awk -v name="$1" -v field="$([ "$2" = reached ] && echo 4 || echo 5)" '$1 == name { print $field }' \
		"$QUIVER_DEBUGFS/quirks"
}

# calls_give ASKED GOT: a page size that a call without an address space asks for, and what becomes of it [G11]
calls_give() {
	echo "$1" >/sys/module/quiver_uvmcall/parameters/call || fail "there is nothing to call, or more was changed"
	[ "$(cat /sys/module/quiver_uvmcall/parameters/status)" = 31 ] ||
		fail "the status is $(cat /sys/module/quiver_uvmcall/parameters/status)"
	[ "$(cat /sys/module/quiver_uvmcall/parameters/page_size)" = "$2" ] ||
		fail "asked for $1, the callee sees $(cat /sys/module/quiver_uvmcall/parameters/page_size) and not $2"
}
