# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
#
# Sourced by the tests here: TAP, and what they look at Mach-O files with.

# shellcheck source=../scripts/lib.sh
. "$(dirname "$0")/../../scripts/lib.sh"

TESTS=0
BAD=0
# shellcheck disable=SC2034 # for them
SDK=$QUIVER_TOP/tests/darwin-sdk
WORK=$(mktemp -d)
cleanup_on_exit "$WORK"

# ok WHAT COMMAND...: its output only if it fails
ok() {
	local what=$1

	shift
	TESTS=$((TESTS + 1))
	if "$@" >"$WORK/output" 2>&1; then
		echo "ok $TESTS - $what"
	else
		BAD=$((BAD + 1))
		echo "not ok $TESTS - $what"
		sed 's/^/# /' "$WORK/output"
	fi
}

# is WHAT GOT WANTED
is() {
	ok "$1" diff <(printf '%s\n' "$3") <(printf '%s\n' "$2")
}

# must COMMAND...: what everything else rests on; 77 is a skip, with the reason in the last line
must() {
	local status=0

	"$@" >"$WORK/must" 2>&1 || status=$?
	REPLY=$(tail -n 1 "$WORK/must")
	((status == 0)) || {
		cat "$WORK/must"
		exit "$status"
	}
}

darwin() {
	"$QUIVER_TOP/scripts/darwin" "$@"
}

# refused WHAT ERROR FLAG... <SOURCE: the compiler or the linker says ERROR, a pattern, to it
refused() {
	local what=$1 error=$2

	shift 2
	cat >"$WORK/source.c"
	darwin cc -std=gnu11 -Wall -Wextra -Werror "$WORK/source.c" "$@" -o "$WORK/refused" >"$WORK/said" 2>&1 || true
	ok "$what" grep -E "error: .*$error" "$WORK/said"
}

# "executable arm64 Mach-O", "dynamiclibrary arm64 Mach-O"
kind_of() { # FILE
	llvm-readobj --file-headers "$1" | awk '
		/^Format:/ { format = $2 }
		/CpuType:/ { cpu = tolower($2) }
		/FileType:/ { type = tolower($2) }
		END { print type, cpu, format }'
}

# Symbols that a file leaves to others
undefined() {
	llvm-nm -u "$@" 2>/dev/null | awk 'NF && !/:$/ { print $NF }' | sort -u
}

# Symbols that a list of libraries' symbols has
listed() {
	sed -e '/^#/d' -e 's/^.*symbols://' -e '/^[a-z-].*:/d' "$@" | grep -oE '\b_[A-Za-z0-9_$]+' | sort -u
}

finish() {
	echo "1..$TESTS"
	((BAD == 0))
}
