# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=dash
#
# Sourced by the scenarios that have an aperture, after lib.sh and driver.sh. guest.mib= is its length.

APERTURE_TEST=/sys/module/quiver_gpu_aperture/parameters
mib=$(option guest.mib 256)

# In MiB
free_of() { # NODE
	awk '$3 == "MemFree:" { print int($4 / 1024) }' "/sys/devices/system/node/node$1/meminfo"
}

free_on_node() {
	free_of "$node"
}

# bring_online PARAMETER...: what udev does. Leaves the node in node, and the GPU in gpu.
# shellcheck disable=SC2120 # most want none
bring_online() {
	load_quiver "$@"
	dma=$(function_of quiver)
	node=$(cat "/sys/bus/pci/devices/$dma/aperture/node")
	/quiver/aperture-online "/sys/bus/pci/devices/$dma"
	put "aperture=online node=$node free=$(free_on_node)"
	[ "$(free_on_node)" -ge $((mib - 8)) ] || fail "of $mib MiB, $(free_on_node) are free"
	gpu=$(functions_by 0x10de)
	[ "$(stat_of "$gpu" aperture_bytes)" = $((mib << 20)) ] || fail "the GPU sees $(stat_of "$gpu" aperture_bytes) bytes"
}

# The aperture's test, which goes on while it is loaded, has done as it should.
aperture_test_is_right() {
	[ "$(cat $APERTURE_TEST/result)" = 0 ] ||
		fail "result $(cat $APERTURE_TEST/result): $(dmesg | grep "$gpu" | grep ': -[0-9]*$' | tr '\n' ' ')"
}
