# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=dash
#
# Files of known content, for scenarios about disks. The host made the content, random bytes on the second
# disk, and gave the SHA-256 of its first 16 slices of so many MiB in /quiver/slices-N: the guest only
# copies and checks. Each round puts other slices into the files, so that what an earlier round left behind on the
# disk is never taken for what this one wrote.

PAYLOAD=/dev/vdb
SLICES=16
WRITERS=4
SLICE_MIB=$(option guest.slice_mib 16)

slice_of() { # FILE ROUND
	echo $((($1 + $2 * 5) % SLICES))
}

# write_share WRITER ROUND FOLDER: the files of one of the processes
write_share() {
	local file=$1

	while [ "$file" -lt $SLICES ]; do
		dd if="$PAYLOAD" of="$3/file-$file" bs=1M count="$SLICE_MIB" \
			skip=$(($(slice_of "$file" "$2") * SLICE_MIB)) conv=fsync 2>"/run/dd.$1" ||
			return 1
		file=$((file + WRITERS))
	done
}

# in_parallel COMMAND...: as "COMMAND 0", "COMMAND 1" ... at once; fails if one of them does
in_parallel() {
	local i=0 pids='' pid status=0

	while [ $i -lt $WRITERS ]; do
		"$@" $i &
		pids="$pids $!"
		i=$((i + 1))
	done
	for pid in $pids; do
		wait "$pid" || status=1
	done
	return $status
}

write_nth() { # ROUND FOLDER WRITER
	write_share "$3" "$1" "$2"
}

# write_files ROUND FOLDER
write_files() {
	in_parallel write_nth "$1" "$2" || fail "writing failed: $(cat /run/dd.* | grep -v records)"
	sync
}

# sums_of ROUND: of all files, as sha256sum has them
sums_of() {
	local file=0

	while [ $file -lt $SLICES ]; do
		echo "$(sed -n "$(($(slice_of $file "$1") + 1))p" "/quiver/slices-$SLICE_MIB")  file-$file"
		file=$((file + 1))
	done
}

verify_nth() { # FOLDER WRITER
	(cd "$1" && awk -v n="$WRITERS" -v me="$2" 'NR % n == me' /run/sums | sha256sum -c) >"/run/verified.$2" 2>&1
}

# difference FILE ROUND FOLDER: where a file is wrong, and whether it is so when it is read again
difference() {
	local expected=/run/expected

	dd if="$PAYLOAD" of=$expected bs=1M count="$SLICE_MIB" skip=$(($(slice_of "$1" "$2") * SLICE_MIB)) 2>/dev/null
	cmp -l "$3/file-$1" $expected | awk '
		NR == 1 { first = $1; value = $2 }
		{ last = $1 }
		END { if (NR) printf "%d bytes from %d to %d, the first is 0%s", NR, first - 1, last - 1, value
		      else printf "right when compared" }'
	drop_caches
	cmp -s "$3/file-$1" $expected && echo "; right when read again" || echo "; wrong when read again"
	rm -f $expected
}

# verify_files ROUND FOLDER: read from the disk, not from memory
verify_files() {
	local count bad

	drop_caches
	sums_of "$1" >/run/sums
	if ! in_parallel verify_nth "$2"; then
		bad=$(sed -n 's/^file-\([0-9]*\): FAILED.*/\1/p' /run/verified.* | head -n 1)
		[ -n "$bad" ] || fail "cannot verify: $(grep -hv ': OK$' /run/verified.* | head -n 1)"
		fail "wrong content in file-$bad: $(difference "$bad" "$1" "$2")"
	fi
	count=$(cat /run/verified.* | grep -c ': OK$')
	[ "$count" = $SLICES ] || fail "$count files of $SLICES verified"
	put "verified=$count round=$1"
}
