# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=dash
#
# Sourced by the guest's init and by every scenario, which runs with -eu.

QUIVER_DEBUGFS=/sys/kernel/debug/quiver

# What the kernel may not say. Case matters: these are the kernel's own words.
BAD='WARNING:|BUG:|BUG |Oops|[Cc]all [Tt]race|INFO: task|INFO: rcu|possible circular locking|possible recursive locking'
BAD="$BAD|inconsistent lock state|suspicious RCU usage|sleeping function called|scheduling while atomic"
BAD="$BAD|DMA-API: [^dp]|refcount_t:|list_(add|del) corruption|Bad page|kmemleak: [1-9]|nobody cared"
BAD="$BAD|quiver: (cannot map|the driver (left|unmaps)|not served|the host does not|no driver could)"
BAD="$BAD|I/O error|nvme.*(timeout|[Aa]bort|controller is down|Removing after)|EXT4-fs (error|warning)|swiotlb buffer is full"

# Through the kernel's log, so that a line is never cut in two by a message of the kernel's.
put() {
	echo "<5>QUIVER: $*" >/dev/kmsg
}

# The kernel has found the machine by what --uefi says, or that is not what is tested.
check_tables() {
	if [ "$(option guest.acpi 0)" = 1 ]; then
		[ -e /sys/firmware/acpi/tables/SRAT ] || fail "no ACPI"
		[ ! -e /proc/device-tree/memory@40000000 ] || fail "a device tree beside ACPI"
	else
		[ ! -e /sys/firmware/acpi ] || fail "ACPI, where a device tree was meant"
	fi
}

uptime_s() {
	cut -d' ' -f1 /proc/uptime
}

# option NAME [DEFAULT]: NAME=value of the kernel command line
option() {
	local word

	# shellcheck disable=SC2013 # words are what we want
	for word in $(cat /proc/cmdline); do
		case $word in
		"$1="*)
			echo "${word#*=}"
			return
			;;
		esac
	done
	echo "${2:-}"
}

# allow TEXT: lines of the kernel's log that have it do not count, from now on
allow() {
	echo "$1" >>/run/allowed
}

# take_log: what the kernel has logged since the last call, to /run/log
take_log() {
	[ -e /run/allowed ] || allow 'QUIVER: '
	dmesg -c >/run/log
	cat /run/log >>/run/log.all
}

# bad_log: the first line that the kernel should not have logged since the last call
bad_log() {
	take_log
	grep -vF -f /run/allowed /run/log | grep -m1 -E "$BAD" || true
}

fail() {
	echo "$*" >/run/reason
	exit 1
}

check_log() {
	local line

	line=$(bad_log)
	[ -z "$line" ] || fail "kernel log after '$(cat /run/step)': $line"
}

# step WHAT...: ends the step before, whose kernel log must be clean, and begins one
step() {
	[ ! -e /run/step ] || check_log
	echo "$*" >/run/step
	put "step=$(echo "$*" | tr ' ' _) up=$(uptime_s)"
}

# finish STATUS: of the scenario; says the verdict and ends the guest
finish() {
	local line

	line=$(bad_log)
	if [ "$1" != 0 ]; then
		put "verdict=fail reason=$(cat /run/reason 2>/dev/null || echo "step '$(cat /run/step)' ended with status $1")"
	elif [ -n "$line" ]; then
		put "verdict=fail reason=kernel log: $line"
	else
		put "verdict=pass"
	fi
	sync
	poweroff -f
}

# --- tools of the root file system --------------------------------------------------------------

# The first disk is read-only and shared by all guests; what tools write goes to memory above it.
mount_tools() {
	local module dir

	while read -r module; do
		modprobe "$module"
	done </etc/modules
	mkdir -p /run/lower /run/upper /tools
	mount -t ext4 -o ro /dev/vda /run/lower
	mount -t tmpfs tmpfs /run/upper
	mkdir /run/upper/data /run/upper/work
	mount -t overlay -o lowerdir=/run/lower,upperdir=/run/upper/data,workdir=/run/upper/work overlay /tools
	for dir in dev proc sys tmp mnt; do
		mkdir -p "/tools/$dir"
		mount --rbind "/$dir" "/tools/$dir"
	done
}

# Runs a program of the root file system.
tool() {
	chroot /tools /usr/bin/env PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 "$@"
}

# --- devices ------------------------------------------------------------------------------------

# load_quiver PARAMETER...
# shellcheck disable=SC2120 # most want none
load_quiver() {
	modprobe quiver policy="$(option guest.policy planner)" strict="$(option guest.strict 0)" "$@"
}

# The memory of the aperture, if there is one, as udev brings it online elsewhere
aperture_online() {
	local dma

	for dma in /sys/bus/pci/drivers/quiver/????:??:??.?; do
		[ ! -e "$dma/aperture/node" ] || /quiver/aperture-online "$dma"
	done
}

# Whether a function, as 0000:01:00.0, has its DMA through quiver.
is_attached() {
	[ -e "$QUIVER_DEBUGFS/$1/stats" ]
}

# Comes a little after the function has left the bus
is_detached() { # FUNCTION
	! is_attached "$1"
}

# nvme_disk: the passed-through controller's block device, once it is there
nvme_disk() {
	local disk i=0

	while [ $i -lt 300 ]; do
		for disk in /sys/block/nvme*n1; do
			[ ! -e "/dev/${disk##*/}" ] || ! is_attached "$(pci_of "${disk##*/}")" || {
				echo "/dev/${disk##*/}"
				return
			}
		done
		sleep 0.1
		i=$((i + 1))
	done
	fail "no passed-through nvme disk appeared within 30 s"
}

drop_caches() {
	sync
	echo 3 >/proc/sys/vm/drop_caches
}

# The first function that has its DMA through quiver
first_attached() {
	local stats

	for stats in "$QUIVER_DEBUGFS"/*/stats; do
		[ -e "$stats" ] || fail "quiver serves no device"
		basename "${stats%/stats}"
		return
	done
}

# The nvme controller of a guest that has one, whatever its driver
nvme_function() {
	local dev

	for dev in /sys/bus/pci/devices/*; do
		[ "$(cat "$dev/class")" != 0x010802 ] || {
			echo "${dev##*/}"
			return
		}
	done
	fail "no nvme controller on the bus"
}

bound_driver() { # FUNCTION
	[ ! -e "/sys/bus/pci/devices/$1/driver" ] || basename "$(readlink "/sys/bus/pci/devices/$1/driver")"
}

# function_of DRIVER: the PCI function that is bound to it
function_of() {
	local link

	for link in "/sys/bus/pci/drivers/$1"/????:??:??.?; do
		[ -e "$link" ] || fail "no device is bound to $1"
		echo "${link##*/}"
		return
	done
}

# pci_of DISK: the function that it belongs to
pci_of() {
	basename "$(readlink -f "/sys/block/${1#/dev/}/device/device")"
}

driver_of() { # DISK
	basename "$(readlink -f "/sys/block/${1#/dev/}/device/device/driver")"
}

# counters: what the module and the host have counted so far
counters() {
	local stats

	for stats in "$QUIVER_DEBUGFS"/*/stats; do
		# The kernel's log takes lines of 1 KiB.
		put "counters=$(basename "${stats%/stats}") $(awk '!/^aperture_/ { printf "%s=%s ", $1, $2 }' "$stats")"
		grep -q '^aperture_bytes 0$' "$stats" ||
			put "aperture=$(basename "${stats%/stats}") $(awk '/^aperture_/ { printf "%s=%s ", $1, $2 }' "$stats")"
	done
	for stats in "$QUIVER_DEBUGFS"/*/budget; do
		[ ! -e "$stats" ] || put "budget=host $(awk '{ printf "%s=%s ", $1, $2 }' "$stats")"
	done
}

# Whole, so that no device holds a mapping any more when quiver.ko goes.
# For as long as the kernel still reads the disk's partitions, the module is in use.
unload_nvme() {
	local i=0

	until rmmod nvme; do
		i=$((i + 1))
		[ $i -lt 20 ] || break
		sleep 0.5
	done
	[ ! -d /sys/module/nvme ] || fail "nvme did not unload"
}

unload_quiver() {
	rmmod quiver
	[ ! -d /sys/module/quiver ] || fail "quiver did not unload"
}

# function_of_id VENDOR:DEVICE
function_of_id() {
	local dev

	for dev in /sys/bus/pci/devices/*; do
		[ "$(cat "$dev/vendor"):$(cat "$dev/device")" != "$1" ] || {
			echo "${dev##*/}"
			return
		}
	done
	fail "there is no $1"
}

# rescan: for devices that were removed
rescan() {
	echo 1 >/sys/bus/pci/rescan
}

# wait_until SECONDS WHAT COMMAND...: until it succeeds
wait_until() {
	local seconds=$1 what=$2 i=0

	shift 2
	until "$@"; do
		i=$((i + 1))
		[ $i -lt $((seconds * 10)) ] || fail "$what: not within $seconds s"
		sleep 0.1
	done
}

is_gone() { # FUNCTION
	[ ! -e "/sys/bus/pci/devices/$1" ]
}

# --- more than one boot -------------------------------------------------------------------------

# has_file DISK NAME: whether an earlier boot left it on the disk's file system, if there is one. With the
# journal replayed: after a crash it may be there only.
has_file() {
	local found=1

	mount -t ext4 "$1" /mnt 2>/dev/null || return 1
	[ ! -e "/mnt/$2" ] || found=0
	umount /mnt
	return $found
}

reboot_guest() {
	check_log
	put "rebooting=1 up=$(uptime_s)"
	reboot -f
	sleep 60
	fail "the guest did not reboot"
}

# expect_bad_log TEXT: it is in the kernel's log since the last check, and nothing else there counts
expect_bad_log() {
	sleep 0.2
	take_log
	grep -qF -- "$1" /run/log || fail "the kernel log does not say '$1'"
}

# log_besides TEXT: lines of /run/log that have it do not count, the others as ever
log_besides() {
	local line

	line=$(grep -vF -- "$1" /run/log | grep -vF -f /run/allowed | grep -m1 -E "$BAD" || true)
	[ -z "$line" ] || fail "kernel log, besides '$1': $line"
}

# expect_log TEXT: it is there, and the other lines are judged as ever
expect_log() {
	expect_bad_log "$1"
	log_besides "$1"
}

# What a kernel says whose disk was taken away at work, of that disk
LOSS='I/O error|EXT4-fs (error|warning)|nvme.*(timeout|[Aa]bort|controller is down)'

# A driver says this of its own device, once.
LOSS_LINES=6

# Linux' own (6.12): its hot plug driver takes two locks in both orders. Lockdep has nothing more to say after it.
known_of_pciehp() {
	! dmesg | grep -q 'irq/.*-pciehp/.* is trying to acquire lock' ||
		echo '|possible circular locking dependency detected|[Cc]all trace'
}

# expect_loss: since the last check only a disk was lost, and quiver has said little about it
expect_loss() {
	local line count known

	sleep 0.2
	known=$(known_of_pciehp)
	take_log
	line=$(grep -vF -f /run/allowed /run/log | grep -E "$BAD" | grep -m1 -vE "$LOSS$known" || true)
	[ -z "$line" ] || fail "kernel log, besides a lost disk: $line"
	count=$(grep -c 'quiver' /run/log || true)
	[ "$count" -le $LOSS_LINES ] || fail "quiver wrote $count lines: $(grep quiver /run/log | tail -n 1)"
	put "loss=logged lines=$(wc -l </run/log) of_quiver=$count"
}
