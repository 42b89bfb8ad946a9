# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
#
# Sourced by every script here: where things live, steps that show progress, errors in one line,
# the cache of built artefacts. Results are left in REPLY rather than printed, because a command
# substitution would be a subshell, and a subshell does not run the traps that clean up.

set -euo pipefail
shopt -s inherit_errexit
umask 022
export LC_ALL=C.UTF-8
unset CDPATH

QUIVER_TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
QUIVER_BUILD=$QUIVER_TOP/build
QUIVER_CACHE=${QUIVER_CACHE:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/quiver}
QUIVER_LOGS=$QUIVER_BUILD/log
QUIVER_JOBS=${QUIVER_JOBS:-$(nproc)}
export QUIVER_CACHE

SELF=${0##*/}

say() {
	printf '%s\n' "$*" >&2
}

# Where what the network withholds means something else than a failure, DIE_WORD and DIE_STATUS say so.
die() {
	say "${DIE_WORD:-quiver}: $*"
	exit "${DIE_STATUS:-1}"
}

# Apt and make print the addresses they talk to; what we pass on to the user does not need them.
scrub() {
	sed -E 's#([a-z+]+://)[^/ ]+#\1...#g'
}

# --- clean-up -----------------------------------------------------------------------------------

CLEANUP=()
STEP_PID=

cleanup_on_exit() {
	CLEANUP+=("$1")
}

run_cleanup() {
	local path

	if [[ -n $STEP_PID ]]; then
		kill -TERM -- "-$STEP_PID" 2>/dev/null || true
		wait "$STEP_PID" 2>/dev/null || true
	fi
	for path in "${CLEANUP[@]}"; do
		rm -rf "$path"
	done
}

trap run_cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# --- space --------------------------------------------------------------------------------------

# need_space FOLDER MIB WHAT: FOLDER need not exist yet.
need_space() {
	local dir=$1 need=$2 what=$3 where=$1 have

	[[ $dir != "$QUIVER_CACHE"/* ]] || where=$QUIVER_CACHE
	while [[ ! -d $dir ]]; do
		dir=$(dirname "$dir")
	done
	have=$(df --output=avail -BM "$dir" | tail -n 1 | tr -dc 0-9)
	((have >= need)) ||
		die "not enough disk space for $what: $need MiB needed in $where, $have MiB free;" \
			"make room there or point QUIVER_CACHE at another disk"
}

make_dir() {
	mkdir -p "$1" 2>/dev/null || die "cannot create the folder $1; check its permissions and free space"
}

# --- steps --------------------------------------------------------------------------------------

# The "[12/345]" of ninja, if that is what the step is running.
step_progress() {
	tail -c 2000 "$1" 2>/dev/null | grep -oE '\[[0-9]+/[0-9]+\]' | tail -n 1 || true
}

step_watch() {
	local what=$1 log=$2 start=$SECONDS shown=0 t

	while kill -0 "$STEP_PID" 2>/dev/null; do
		t=$((SECONDS - start))
		if [[ -t 2 ]]; then
			((t < 2)) || printf '\r\033[K  %s ... %d s %s' "$what" "$t" "$(step_progress "$log")" >&2
		elif ((t >= 2 && shown == 0)); then
			say "  $what ..."
			shown=1
		elif ((t >= 30 * shown && shown > 0)); then
			say "  $what ... $t s $(step_progress "$log")"
			shown=$((t / 30 + 1))
		fi
		# A short step should not cost a whole tick.
		if ((t < 2)); then sleep 0.1; else sleep 1; fi
	done
	t=$((SECONDS - start))
	if [[ -t 2 ]]; then
		printf '\r\033[K' >&2
	fi
	((t < 2)) || say "  $what: $t s"
}

# What went wrong, in words, from what apt, dpkg, make and friends say about it.
diagnose() {
	local log=$1

	if grep -qE 'No space left on device|not enough free space|Disk quota exceeded' "$log"; then
		echo "the disk is full; make room in $QUIVER_CACHE and $QUIVER_BUILD, or set QUIVER_CACHE, and run it again"
	elif grep -qE 'Hash Sum mismatch|File has unexpected size|Hashes of received file' "$log"; then
		echo "a download has the wrong checksum; the mirror may be changing just now: run it again in a few minutes"
	elif grep -qE 'is not signed|NO_PUBKEY|signatures were invalid|signatures couldn.t be verified' "$log"; then
		echo "the mirror's signature could not be checked; update debian-archive-keyring or check your mirror"
	elif grep -qE 'Could not resolve|Temporary failure resolving|Could not connect|Failed to connect|Network is unreachable|No route to host|[Cc]onnection timed out|Connection refused|Unable to connect|Connection failed' "$log"; then
		echo "no network: the mirror cannot be reached; check the connection and the proxy settings, and run it again"
	elif grep -qE '(404|403|502|503)  ?[A-Z]' "$log"; then
		echo "the mirror lists a file that it does not deliver; run it again later or use another mirror"
	elif grep -qE 'unexpected end of file|lzma error|xz: .*corrupt|is not a Debian format archive|Unexpected end of input|invalid compressed data' "$log"; then
		echo "a downloaded file is damaged; run it again"
	elif grep -qE 'Could not get lock|Unable to acquire the dpkg frontend lock' "$log"; then
		echo "another program is using apt; let it finish and run it again"
	elif grep -qE 'Cannot allocate memory|Killed( |$)|virtual memory exhausted' "$log"; then
		echo "out of memory; set QUIVER_JOBS=1 and run it again"
	fi
}

step_failed() {
	local what=$1 log=$2 rc=$3 why

	why=$(diagnose "$log")
	if [[ -z $why ]]; then
		tail -n 12 "$log" | scrub | sed 's/^/  | /' >&2
		why="exit status $rc, its last lines are above"
	fi
	case $why in
	"no network"* | "the mirror lists"*) ;;
	*) unset DIE_WORD DIE_STATUS ;;
	esac
	die "$what failed: $why (full output: $log)"
}

# step WHAT COMMAND...: COMMAND may be a function; its output goes to a log. It gets a process group
# of its own, so that an interrupt can end all of it.
step() {
	local what=$1 log rc=0

	shift
	make_dir "$QUIVER_LOGS"
	log=$QUIVER_LOGS/$SELF-$(tr -cs '[:alnum:].' - <<<"$what" | sed 's/-$//').log
	set -m
	(
		set -e
		"$@"
	) </dev/null >"$log" 2>&1 &
	STEP_PID=$!
	set +m
	step_watch "$what" "$log"
	wait "$STEP_PID" || rc=$?
	STEP_PID=
	((rc == 0)) || step_failed "$what" "$log" "$rc"
}

# --- cache --------------------------------------------------------------------------------------

# lock NAME: one process at a time, over all clones that share the cache; held until exit or unlock.
lock() {
	make_dir "$QUIVER_CACHE/lock"
	exec {LOCK_FD}>"$QUIVER_CACHE/lock/$1" || die "cannot write in $QUIVER_CACHE; check its permissions"
	if ! flock -n "$LOCK_FD"; then
		say "  waiting for another build of $1"
		flock "$LOCK_FD"
	fi
}

unlock() {
	exec {LOCK_FD}>&-
}

hash_text() {
	sha256sum | cut -c1-12
}

# hash_files FILE|FOLDER...: contents and names below each argument, not where the tree lies
hash_files() {
	local path

	for path in "$@"; do
		[[ -e $path ]] || continue
		(cd "$(dirname "$path")" && find "$(basename "$path")" -type f -print0 |
			sort -z | xargs -0r sha256sum)
	done | hash_text
}

# recipe_text FUNCTION: its text and that of the functions of the same script that it calls. The
# plumbing of lib.sh and apt.sh is not part of it: a better error message must not rebuild the world.
recipe_text() {
	local -A seen=()
	local queue=("$1") name word

	while ((${#queue[@]})); do
		name=${queue[0]}
		queue=("${queue[@]:1}")
		[[ -z ${seen[$name]:-} && -z ${PLUMBING[$name]:-} ]] || continue
		seen[$name]=1
		declare -f "$name"
		for word in $(declare -f "$name" | grep -oE '[a-z_]{4,}' | sort -u); do
			[[ $(type -t "$word") != function ]] || queue+=("$word")
		done
	done
}

# Artefacts of the same name that nobody has used for two weeks
forget_old() {
	find "$QUIVER_CACHE" -mindepth 1 -maxdepth 1 -type d -mtime +14 -regextype posix-extended \
		-regex ".*/${1//./\\.}-[0-9a-f]{12}" -exec rm -rf {} +
}

# cached NAME RECIPE [ARG...]: leaves in REPLY the folder of an artefact. If it is not there, RECIPE
# (a function) is called as "RECIPE FOLDER ARG..." with an empty folder, renamed into place at the
# end. QUIVER_REFRESH=1 makes it again. The key is the recipe's text and arguments: name in them all that the artefact is built from.
cached() {
	local name=$1 recipe=$2 key dir tmp fd

	shift 2
	key=$({ recipe_text "$recipe" && printf '%s\0' "$@"; } | hash_text)
	dir=$QUIVER_CACHE/$name-$key
	if [[ ! -d $dir || -n ${QUIVER_REFRESH:-} ]]; then
		lock "$name-$key"
		fd=$LOCK_FD
		if [[ ! -d $dir || -n ${QUIVER_REFRESH:-} ]]; then
			tmp=$QUIVER_CACHE/tmp/$name-$key
			rm -rf "$tmp"
			make_dir "$tmp"
			cleanup_on_exit "$tmp"
			"$recipe" "$tmp" "$@"
			if [[ -d $dir ]]; then
				mv -T "$dir" "$tmp.old"
				cleanup_on_exit "$tmp.old"
			fi
			mv -T "$tmp" "$dir"
			forget_old "$name"
		fi
		exec {fd}>&-
	fi
	touch "$dir" 2>/dev/null || true
	REPLY=$dir
}

# copy_changed FROM TO: make the folder TO equal to FROM, touching only files whose content differs,
# so that make and ninja rebuild no more than they must. What only TO has is left unless listed by
# an earlier call as ours.
copy_changed() {
	local from=$1 to=$2 list=$2/.copied file

	mkdir -p "$to"
	if [[ -e $list ]]; then
		while IFS= read -r file; do
			[[ -e $from/$file ]] || rm -f "$to/$file"
		done <"$list"
	fi
	(cd "$from" && find . -type f -print) >"$list"
	while IFS= read -r file; do
		if ! cmp -s "$from/$file" "$to/$file"; then
			mkdir -p "$to/$(dirname "$file")"
			cp "$from/$file" "$to/$file"
		fi
	done <"$list"
}

# --- the machine --------------------------------------------------------------------------------

os_release() {
	sed -n "s/^$1=//p" /etc/os-release | tr -d \"
}

need_debian_12() {
	local id='' version=''

	if [[ -r /etc/os-release ]]; then
		id=$(os_release ID)
		version=$(os_release VERSION_ID)
	fi
	[[ $id = debian && $version = 12 && $(dpkg --print-architecture) = amd64 ]] ||
		die "this needs Debian 12 on x86-64, and this machine is ${id:-unknown} ${version:-} $(uname -m);" \
			"use such a machine, a VM or a container"
}

# as_root COMMAND...
as_root() {
	if ((EUID == 0)); then
		"$@"
	else
		sudo -n "$@"
	fi
}

need_root() {
	((EUID != 0)) || return 0
	command -v sudo >/dev/null || die "$1 needs root, and there is no sudo; run it as root"
	# Asked here, in the foreground: a step has no terminal to ask on.
	sudo -v || die "$1 needs root, and sudo did not grant it; run it as root"
}

# --- end ----------------------------------------------------------------------------------------

# Functions that no artefact's key depends on; apt.sh adds its own.
declare -A PLUMBING=()

mark_plumbing() {
	local name

	while read -r name; do
		PLUMBING[$name]=1
	done < <(compgen -A function)
}

mark_plumbing
