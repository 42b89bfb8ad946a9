# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
#
# Sourced after scripts/lib.sh by what boots test guests: tests/vm/run, scripts/run, bench/nvme. A run is
# described by VM_* variables, started with vm_start, and leaves in its folder
#
#   serial.log    the guest's console, QUIVER: lines included
#   result.json   what `quiver run --json` says at its end: QEMU, the simulated Mac
#   host.log      what it and its children wrote to standard error

VM=$QUIVER_TOP/tests/vm
VM_BUILD=$QUIVER_BUILD/vm
VM_SLICE_SIZES=(2 4 16)		# MiB; guests write 16 slices
VM_TRACE_NAMES=(ctx8 llm serve)	# of tests/traces, that guests replay: they fit in 3 GiB, and take half a minute

VM_LANE=6.12
VM_POLICY=planner
VM_CPUS=2
VM_MEMORY=1G
VM_UEFI=			# the Debian that its EDK2 is of
VM_SLICE_MIB=16			# one of the sizes
VM_FAULT=
VM_STRICT=
VM_SCENARIO=
VM_APPEND=()			# more words for the guest's command line
VM_OPTIONS=()			# more options of quiver run
VM_DIR=
VM_PID=
VM_TMP=
VM_TICK=

# --- what a guest needs -------------------------------------------------------------------------

# newer FILE INPUT...: whether FILE is there and none of the inputs was changed after it was
newer() {
	local file=$1

	shift
	[[ -e $file && -z $(find "$@" -type f -newer "$file" -print -quit) ]]
}

# Made once: a guest that runs reads it, and its initrd has the sums.
# Made once: guests that run now read it, and know its sums.
vm_payload() {
	local size slice

	[[ ! -e $VM_BUILD/payload ]] || return 0
	need_space "$VM_BUILD" 400 "the guests' test data"
	head -c 256M /dev/urandom >"$VM_BUILD/payload.part"
	for size in "${VM_SLICE_SIZES[@]}"; do
		for ((slice = 0; slice < 16; slice++)); do
			dd if="$VM_BUILD/payload.part" bs=1M skip=$((slice * size)) count="$size" status=none |
				sha256sum | cut -d' ' -f1
		done >"$VM_BUILD/slices-$size"
	done
	mv "$VM_BUILD/payload.part" "$VM_BUILD/payload"
}

# The programs that guests run
vm_programs() {
	local source program

	VM_PROGRAMS=()
	for source in "$VM"/*.c; do
		program=$VM_BUILD/$(basename "$source" .c)
		VM_PROGRAMS+=("$program")
		newer "$program" "$source" || aarch64-linux-gnu-gcc -std=gnu11 -O2 -Wall -Wextra -Werror -static -pthread \
			-o "$program" "$source"
	done
}

# The modules of the lane, or a build of them that can lie.
vm_modules() {
	VM_MODULES=$QUIVER_BUILD/guest/$VM_LANE$1
	newer "$VM_MODULES/quiver.ko" "$QUIVER_TOP"/{guest,core,include,simmac/include,tests/sequence,tests/vm/kmod} || {
		"$QUIVER_TOP/scripts/module" "$VM_LANE" "$VM_MODULES" ${1:+QUIVER_FAULTS=1}
		# Up to date, even if what was changed makes no difference
		touch "$VM_MODULES/quiver.ko"
	}
}

# The part of quiver(1) that runs in a guest
vm_quiver() {
	newer "$QUIVER_BUILD/guest/quiver" "$QUIVER_TOP"/{cli,core,include,meson.build,meson_options.txt,scripts/guest} || {
		"$QUIVER_TOP/scripts/guest"
		touch "$QUIVER_BUILD/guest/quiver"
	}
}

# Traces, placed in memory, for the guests that replay them
vm_traces() {
	local name trace placed

	VM_TRACES=()
	[[ $VM_SCENARIO = replay ]] || return 0
	make_dir "$VM_BUILD/traces"
	for name in "${VM_TRACE_NAMES[@]}"; do
		trace=$QUIVER_TOP/tests/traces/$name.trace.gz
		placed=$VM_BUILD/traces/$name
		newer "$placed" "$trace" "$VM/place-trace" || "$VM/place-trace" "$trace" "$placed" >/dev/null
		VM_TRACES+=("$placed")
	done
}

# vm_load NAME: a recorded load, unpacked
vm_load() {
	local packed=$QUIVER_TOP/tests/traces/$1.load.gz load=$VM_BUILD/$1.load

	newer "$load" "$packed" || gzip -dc "$packed" >"$load"
	echo "$load"
}

# The GPU drivers that a scenario loads, and how they are to be loaded: VM_DRIVERS, for scripts/initrd. Where
# NVIDIA's cannot be had, that ends the run as a skip.
vm_drivers() {
	local folder file

	VM_DRIVERS=()
	case $VM_SCENARIO in
	nvidia*)
		folder=$("$QUIVER_TOP/scripts/nvidia" "$VM_LANE")
		VM_DRIVERS=("$folder"/*.ko kernel:drm "quiver/nvidia-version=$folder/version"
			"lib/firmware/nvidia/$(<"$folder/version")/gsp_ga10x.bin=$folder/firmware/gsp_ga10x.bin")
		;;
	amdgpu) VM_DRIVERS=(kernel:amdgpu) ;;
	quirks | aperture-load | aperture-quirks)
		for file in "$VM_MODULES"/standin/*; do
			VM_DRIVERS+=("quiver/standin/${file##*/}=$file")
		done
		[[ $VM_SCENARIO = quirks ]] || VM_DRIVERS+=("quiver/load/vkstream=$(vm_load vkstream)")
		;;
	*) return 0 ;;
	esac
	for file in "$QUIVER_TOP"/guest/modprobe.d/*; do
		VM_DRIVERS+=("quiver/modprobe.d/${file##*/}=$file")
	done
}

vm_initrd() {
	local out=$VM_BUILD/initrd-$VM_LANE$1 file files=() inputs=()

	((${#VM_TRACES[@]} == 0)) || out+=-traces
	((${#VM_DRIVERS[@]} == 0)) || out+=-${VM_SCENARIO%%-*}
	VM_INITRD=$out
	for file in "${VM_DRIVERS[@]#*=}"; do
		[[ $file = kernel:* ]] || inputs+=("$file")
	done
	! newer "$out" "$QUIVER_TOP/guest/udev" "$VM"/{guest,scenario} "$VM_BUILD"/slices-* "${VM_PROGRAMS[@]}" "$VM_MODULES"/*.ko \
		"$QUIVER_BUILD/guest/quiver" "${VM_TRACES[@]}" "${inputs[@]}" "$QUIVER_TOP/scripts/initrd" \
		"$VM_KERNEL/version" || return 0
	for file in "$QUIVER_TOP/guest/udev/aperture-online" "$VM"/{guest,scenario}/* "$VM_BUILD"/slices-* "${VM_PROGRAMS[@]}" "${VM_TRACES[@]}"; do
		case $file in
		*/guest/init) files+=("init=$file") ;;
		*/scenario/*) files+=("quiver/scenario/${file##*/}=$file") ;;
		*/traces/*) files+=("quiver/traces/${file##*/}=$file") ;;
		*) files+=("quiver/${file##*/}=$file") ;;
		esac
	done
	"$QUIVER_TOP/scripts/initrd" "$VM_LANE" "$out" "${files[@]}" \
		"bin/quiver=$QUIVER_BUILD/guest/quiver" "$VM_MODULES"/*.ko "${VM_DRIVERS[@]}"
}

# All that VM_LANE and VM_FAULT ask for; quick when it is there. One process at a time.
vm_prepare() {
	local kind=${VM_FAULT:+-faults}

	make_dir "$VM_BUILD"
	exec {LOCK_FD}>"$VM_BUILD/lock"
	flock "$LOCK_FD"
	VM_KERNEL=$("$QUIVER_TOP/scripts/kernel" "$VM_LANE")
	VM_ROOTFS=$("$QUIVER_TOP/scripts/rootfs")
	vm_payload
	vm_programs
	vm_quiver
	vm_modules "$kind"
	vm_traces
	vm_drivers
	vm_initrd "$kind"
	vm_reserve
	vm_next_kernel
	vm_uefi
	unlock
}

# --- a run --------------------------------------------------------------------------------------

# A guest that starts another kernel reads it, and its RAM disk, from its third and fourth disk.
vm_next_kernel() {
	[[ $VM_SCENARIO != kexec ]] || VM_OPTIONS+=(--disk "$VM_KERNEL/vmlinuz,ro" --disk "$VM_INITRD,ro")
}

# quiver run has firmware boot disks only; what the guest is to find is on its command line.
vm_uefi() {
	local firmware

	[[ -n $VM_UEFI ]] || return 0
	firmware=$("$QUIVER_TOP/scripts/firmware" "$VM_UEFI")
	VM_OPTIONS+=(--qemu-arg -bios --qemu-arg "$firmware")
	VM_APPEND+=(guest.acpi=1)
}

# Memory for the guest, and a block of it for the traces' or the sequence's layout. No page of it is the
# machine's before it is used.
vm_reserve() {
	case $VM_SCENARIO in
	replay) set -- 4G 3G ;;
	sequence) set -- 1G 256M ;;
	# All of it lives outside of the aperture once.
	aperture-load) VM_MEMORY=2G && return ;;
	*) return 0 ;;
	esac
	VM_MEMORY=$1
	# In one piece: below 4 GiB the kernel would have its own, in the middle.
	VM_APPEND+=(cma=0 reserve_mem="$2:32M:replay")
}

vm_command_line() {
	# Stalls and lockups are a matter of minutes on a busy machine that interprets the guest.
	local words=(console=ttyAMA0 printk.devkmsg=on log_buf_len=4M panic=-1 oops=panic
		rcupdate.rcu_cpu_stall_timeout=120 watchdog_thresh=60 workqueue.watchdog_thresh=120
		guest.test="$VM_SCENARIO" guest.policy="$VM_POLICY" guest.slice_mib="$VM_SLICE_MIB")

	if [[ $VM_SCENARIO = shell ]]; then words+=(quiet); else words+=(loglevel=7); fi
	# Without idle windows, which would do instead of one that is skipped
	[[ -z $VM_FAULT ]] || words+=(guest.fault="$VM_FAULT")
	[[ -z $VM_FAULT$VM_STRICT ]] || words+=(guest.strict=1)
	echo "${words[*]} ${VM_APPEND[*]}"
}

# vm_start FOLDER: leaves its process in VM_PID. The guest's shell wants the terminal.
vm_start() {
	local command

	VM_DIR=$1
	rm -rf "$VM_DIR"
	make_dir "$VM_DIR"
	# Nothing of the user's; and test guests do not hear a power button, but for one.
	command=("$QUIVER_BUILD/host/cli/quiver" run --no-config --net none --grace 0 --aperture none --sim --qemu "$QUIVER_BUILD/qemu-system-aarch64"
		--kernel "$VM_KERNEL/vmlinuz" --initrd "$VM_INITRD" --append "$(vm_command_line)"
		--disk "$VM_ROOTFS,ro" --disk "$VM_BUILD/payload,ro" --cpus "$VM_CPUS" --memory "$VM_MEMORY"
		"${VM_OPTIONS[@]}")
	printf '%q ' "${command[@]}" >"$VM_DIR/command"
	if [[ $VM_SCENARIO = shell ]]; then
		"${command[@]}" --console
		return
	fi
	VM_TMP=$(mktemp -d)
	cleanup_on_exit "$VM_TMP"
	TMPDIR=$VM_TMP "${command[@]}" --json --serial "$VM_DIR/serial.log" </dev/null \
		>"$VM_DIR/result.json" 2>"$VM_DIR/host.log" &
	VM_PID=$!
}

# vm_mac WORD...: a word to the simulated Mac of the run, by simmacctl
vm_mac() {
	"$QUIVER_BUILD/host/simmac/daemon/simmacctl" --socket "$(echo "$VM_TMP"/quiver-*/socket)" "$@"
}

# vm_qmp COMMAND [KEY=VALUE]...: one to QEMU's monitor
vm_qmp() {
	python3 - "$(echo "$VM_TMP"/quiver-*/qmp)" "$@" <<-'END'
		import json, socket, sys
		path, command, *values = sys.argv[1:]
		with socket.socket(socket.AF_UNIX) as client:
		    client.settimeout(30)
		    client.connect(path)
		    lines = client.makefile("rw")
		    for request in ({"execute": "qmp_capabilities"},
		                    {"execute": command, "arguments": dict(value.split("=", 1) for value in values)}):
		        lines.write(json.dumps(request) + "\n")
		        lines.flush()
		        answer = {}
		        while not answer.keys() & {"return", "error"}:
		            answer = json.loads(lines.readline())
		print(command, *values, answer)
		sys.exit("error" in answer)
	END
}

# vm_stat: soon, `quiver stat` has of the device that sees the aperture, and of the VM, what the guest's last
# counts= line has
vm_stat() {
	TMPDIR=$VM_TMP python3 - "$QUIVER_BUILD/host/cli/quiver" "$(vm_lines | grep '^counts=' | tail -n 1)" <<-'END'
		import json, subprocess, sys, time
		quiver, line = sys.argv[1:]
		wanted = {name: int(value) for name, value in (word.split("=") for word in line.split()[1:])}
		for _ in range(60):
		    done = subprocess.run([quiver, "stat", "--json"], capture_output=True, text=True)
		    stats = json.loads(done.stdout)[0]["stats"] if not done.returncode else {"devices": []}
		    found = {}
		    for guest in [stats.get("guest")] + [one.get("guest") for one in stats["devices"] if one["aperture_pieces"]]:
		        for name, value in (guest or {}).items():
		            found.update(value if name == "pages" and guest is not stats["guest"] else {name: value})
		    differ = {name: (value, found.get(name)) for name, value in wanted.items() if found.get(name) != value}
		    if not differ:
		        break
		    time.sleep(0.1)
		print(subprocess.run([quiver, "stat"], capture_output=True, text=True).stdout)
		print(done.stderr, "the guest and quiver stat differ:" if differ else "they agree:", differ or found)
		sys.exit(bool(differ))
	END
}

# vm_free NAME: the Mac's device of that name has no client and no mapping, soon
vm_free() {
	local i

	for ((i = 0; i < 100; i++)); do
		vm_mac state | python3 -c '
import json, sys
device = next(d for d in json.load(sys.stdin)["devices"] if d["name"] == sys.argv[1])
sys.exit(bool(device["clients"] or device["mappings"] or device["masters_bus"] or device["vectors"]))
' "$1" && return 0
		sleep 0.1
	done
	echo "somebody has $1 still, or something is left of it"
	return 1
}

# The guest's lines so far, without time stamps
vm_lines() {
	[[ ! -e $VM_DIR/serial.log ]] || grep -a 'QUIVER: ' "$VM_DIR/serial.log" | sed 's/.*QUIVER: //; s/\r$//' || true
}

# vm_value LINE KEY: of the last line that has LINE (a regular expression); nothing if there is none
vm_value() {
	vm_lines | { grep -E "$1" || true; } | tail -n 1 | tr ' ' '\n' | sed -n "s/^$2=//p"
}

# vm_result EXPRESSION: of result.json, as `r`, in Python; nothing if there is no such thing
vm_result() {
	python3 -c '
import json, sys
try:
    r = json.load(open(sys.argv[1]))
    value = eval(sys.argv[2])
except (ValueError, KeyError, TypeError, IndexError, OSError):
    value = None
print("" if value is None else value)
' "$VM_DIR/result.json" "$1"
}

# Lines of the console that match
vm_count() { # REGULAR-EXPRESSION
	if [[ -e $VM_DIR/serial.log ]]; then
		grep -acE -- "$1" "$VM_DIR/serial.log" || true
	else
		echo 0
	fi
}

# More often than it has said that it would. A panic has two such lines, the second at its end.
vm_panicked() {
	(($(vm_count '\] Kernel panic - not syncing') > $(vm_count 'QUIVER: panicking=1')))
}

# A guest that panics would boot again and again: that is allowed only to those that ask for it.
vm_lost() {
	vm_panicked || (($(vm_count 'QUIVER: boot ') > 1 + $(vm_count 'QUIVER: rebooting=1')))
}

vm_running() {
	[[ -n $VM_PID ]] && kill -0 "$VM_PID" 2>/dev/null
}

vm_stop() {
	! vm_running || {
		kill -TERM "$VM_PID" 2>/dev/null || true
		wait "$VM_PID" || true
	}
	VM_PID=
}

# Until the run is over; calls VM_TICK, if that is set, a few times a second. Leaves the exit status of
# quiver run in VM_STATUS.
vm_wait() {
	VM_STATUS=0
	while vm_running; do
		if vm_lost; then
			kill -TERM "$VM_PID" 2>/dev/null || true
		fi
		[[ -z $VM_TICK ]] || "$VM_TICK"
		sleep 0.2
	done
	wait "$VM_PID" || VM_STATUS=$?
	VM_PID=
}

# --- the outcome --------------------------------------------------------------------------------

# Why the run did not pass, in one line; nothing if it did.
vm_failure() {
	local verdict

	verdict=$(vm_panic)
	if [[ -n $verdict ]]; then
		echo "$verdict"
	elif vm_panicked; then
		echo "the guest panicked: $(grep -am1 -E "Kernel panic|Unable to handle|Internal error" "$VM_DIR/serial.log" | tr -d '\r')"
	else
		verdict=$(vm_lines | { grep '^verdict=' || true; } | tail -n 1)
		case $verdict in
		verdict=pass) vm_host_failure ;;
		verdict=fail*) echo "in the guest: ${verdict#*reason=}" ;;
		*) echo "the guest ended without a verdict (status $VM_STATUS): $(tail -n 1 "$VM_DIR/host.log"); its last line: $(vm_lines | tail -n 1)" ;;
		esac
	fi
}

# The same for the host's side of a run that passed in the guest
vm_host_failure() {
	if ((VM_STATUS != 0)); then
		echo "the guest passed, but quiver run ended with status $VM_STATUS: $(tail -n 1 "$VM_DIR/host.log")"
	elif [[ $(vm_result 'r["simulation"]["verdict"]') != ok ]]; then
		echo "the guest passed, but the simulated Mac says: $(vm_result 'r["simulation"]["verdict"]')"
	elif [[ $(vm_dart mappings) != 0 ]]; then
		echo "the guest passed, but DART still has $(vm_dart mappings) mappings"
	fi
}

# The first line of the simulated Mac's panic report, if it panicked
vm_panic() {
	vm_result 'r["simulation"]["verdict"] == "panic" and r["simulation"]["report"].splitlines()[0] or None'
}

# What is still mapped in DART, over all devices, or the like
vm_dart() { # KEY
	vm_result "sum(d['$1'] for d in r['simulation']['state']['devices'])"
}
