# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=sh
#
# Sourced by scripts/mac: what it says and runs, and where things are found on a Mac.

say() {
	printf '%s\n' "$*" >&2
}

# die WHAT CURE
die() {
	say "mac: $1; $2"
	exit 1
}

# quote WORD: into QUOTED, as a shell reads it back
quote() {
	case $1 in
	*\'*) QUOTED="'$(printf '%s' "$1" | sed "s/'/'\\\\''/g")'" ;;
	'' | *[!A-Za-z0-9_./:=,@%+-]*) QUOTED="'$1'" ;;
	*) QUOTED=$1 ;;
	esac
}

print_command() {
	print_line=" "
	for word; do
		quote "$word"
		print_line="$print_line $QUOTED"
	done
	printf '%s\n' "$print_line"
}

# run COMMAND...: what it prints goes to the log of the step
run() {
	if [ -n "$DRY" ]; then
		print_command "$@"
		return 0
	fi
	print_command "$@" >>"$LOG"
	"$@" >>"$LOG" 2>&1
}

# run_in FOLDER COMMAND...
run_in() {
	if [ -n "$DRY" ]; then
		quote "$1"
		echo "  cd $QUOTED &&"
		shift
		print_command "$@"
		return 0
	fi
	(cd "$1" && shift && run "$@")
}

# What a log says of it, in words; the cure of the step, if it is nothing known
diagnose() { # LOG CURE
	if grep -q 'requires a development team' "$1"; then
		echo "Xcode wants a team: set QUIVER_TEAM, or DEVELOPMENT_TEAM in app/local.xcconfig"
	elif grep -q 'Personal development teams' "$1"; then
		echo "a free account cannot sign extensions: join Apple's developer program, or build without a team and turn SIP off"
	elif grep -qE 'no devices from which to generate|no devices registered|include the currently selected device' "$1"; then
		echo "Apple's list of the team's devices lacks this Mac, and Xcode could not add it: add its Provisioning UDID (system_profiler SPHardwareDataType) at developer.apple.com/account, Devices"
	elif grep -qE 'No Account for Team|No Accounts' "$1"; then
		echo "Xcode knows no account of this team: add it in Xcode > Settings > Accounts"
	elif grep -q "match the entitlements file's value" "$1"; then
		echo "the profile grants other devices than dext/*.entitlements claims: docs/mac.rst, 'The profile does not match'"
	elif grep -qE 'cannot be registered to your development team|Failed to register bundle identifier' "$1"; then
		echo "the identifier belongs to another team: set QUIVER_BUNDLE_ID to one of your own, as com.example.quiver"
	elif grep -qE 'SDK .*driverkit.* cannot be located|unable to find sdk|requires Xcode, but active developer directory' "$1"; then
		echo "the command line tools have no DriverKit: install Xcode and run 'sudo xcode-select -s /Applications/Xcode.app'"
	elif grep -qE 'not agreed to the Xcode|Agreeing to the Xcode' "$1"; then
		echo "Xcode's licence is not accepted: run 'sudo xcodebuild -license accept'"
	elif grep -q 'errSecInternalComponent' "$1"; then
		echo "the keychain is locked, as it is over ssh: run 'security unlock-keychain' and this again"
	elif grep -qE 'resource fork, Finder information' "$1"; then
		echo "a file has attributes that cannot be signed: run 'xattr -cr $STAGE' and this again"
	elif grep -qE 'No space left on device' "$1"; then
		echo "the disk is full: make room and run it again"
	elif grep -qE 'Could not resolve host|Failed to connect|Operation timed out' "$1"; then
		echo "no network: check the connection and run it again"
	else
		echo "$2"
	fi
}

# attempt WHAT CURE COMMAND...: one of the step's commands, which may fail
attempt() {
	attempt_what=$1
	attempt_cure=$2
	shift 2
	# By hand, for set -e holds for nothing that is asked about.
	"$@" || die "$attempt_what failed" "$(diagnose "$LOG" "$attempt_cure"); log: ${LOG#"$TOP/"}"
}

# begin STEP WHAT
begin() {
	LOG=$LOGS/$1.log
	if [ -n "$DRY" ]; then
		echo "# $1: $2"
	else
		say "  $2"
		: >"$LOG"
	fi
}

clean_up() {
	rm -rf "$STAGE" "$WORK/tmp"
	restore_out
}

# stage FILE NAME: what goes into the out folder by that name, whole or not at all
stage() {
	run rm -rf "$WORK/tmp/new" "$STAGE/$2" || return
	run mkdir -p "$WORK/tmp" "$(dirname "$STAGE/$2")" || return
	run ditto "$1" "$WORK/tmp/new" || return
	run mv "$WORK/tmp/new" "$STAGE/$2"
}

# setting NAME: as Xcode reads it of the files, the last one counts
setting() {
	cat "$TOP/app/Quiver.xcconfig" "$TOP/app/local.xcconfig" 2>/dev/null |
		sed -n -e 's|//.*||' -e "s/^[[:space:]]*$1[[:space:]]*=[[:space:]]*//p" | sed 's/[[:space:]]*$//' | tail -n 1
}

# Where meson and QEMU's configure find what Homebrew has, and what we built
export_paths() {
	if [ -n "$DRY" ]; then
		PREFIX=/opt/homebrew
	else
		PREFIX=$(brew --prefix)
	fi
	export PKG_CONFIG_PATH="$DEPS/lib/pkgconfig:$PREFIX/lib/pkgconfig:$PREFIX/share/pkgconfig"
	export MACOSX_DEPLOYMENT_TARGET="$MACOS"
	# uthash is headers only, and has no .pc file.
	export CPPFLAGS="-I$PREFIX/include" LDFLAGS="-L$PREFIX/lib"
}

job_count() {
	if [ -n "${QUIVER_JOBS:-}" ]; then
		echo "$QUIVER_JOBS"
	elif [ -n "$DRY" ]; then
		echo 8
	else
		sysctl -n hw.ncpu
	fi
}

sha256_is() { # FILE SHA256
	[ "$(shasum -a 256 "$1" | cut -d' ' -f1)" = "$2" ]
}

# fetch URL FILE
fetch() {
	[ -n "$DRY" ] || [ ! -s "$2" ] || return 0
	run curl --fail --location --silent --show-error --output "$2.part" "$1" || return
	run mv "$2.part" "$2"
}
