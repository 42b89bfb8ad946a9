# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=sh
#
# Sourced by scripts/mac: QEMU from its release, with our patches and devices.

# The release's key is in the tree; whose signature it is, gpg says in words for programs.
verify_signature() { # TARBALL
	verify_home=$WORK/tmp/gpg
	rm -rf "$verify_home"
	mkdir -p "$verify_home"
	chmod 700 "$verify_home"
	gpg --homedir "$verify_home" --batch --quiet --import "$TOP/qemu/keys/qemu-release.asc" >>"$LOG" 2>&1 || return
	gpg --homedir "$verify_home" --batch --status-fd 1 --verify "$1.sig" "$1" >"$WORK/tmp/status" 2>>"$LOG" || return
	cat "$WORK/tmp/status" >>"$LOG"
	grep -q '^\[GNUPG:\] VALIDSIG ' "$WORK/tmp/status"
}

# A hash that somebody checked before, in the tree or here, does as well as the signature.
verify_qemu() { # TARBALL
	if [ -n "$DRY" ]; then
		echo "  (its hash is looked up in qemu/keys/tarballs.sha256; if it is not there:)"
		fetch "$QEMU_URL.sig" "$1.sig"
		print_command gpg --verify "$1.sig" "$1"
		return 0
	fi
	verify_hash=$(shasum -a 256 "$1" | cut -d' ' -f1)
	echo "sha256 $verify_hash" >>"$LOG"
	if cat "$TOP/qemu/keys/tarballs.sha256" "$WORK/verified.sha256" 2>/dev/null |
		grep -q "^$verify_hash  qemu-$QEMU_VERSION.tar.xz\$"; then
		return 0
	fi
	fetch "$QEMU_URL.sig" "$1.sig" || die "QEMU's signature is not to be had" \
		"fetch $QEMU_URL.sig yourself, and put it beside the tarball"
	if ! verify_signature "$1"; then
		# What was given to us is not ours to delete.
		[ -n "${QEMU_TARBALL:-}" ] || rm -f "$1" "$1.sig"
		return 1
	fi
	echo "$verify_hash  qemu-$QEMU_VERSION.tar.xz" >>"$WORK/verified.sha256"
	say "  QEMU's signature is good; for qemu/keys/tarballs.sha256: $verify_hash  qemu-$QEMU_VERSION.tar.xz"
}

# What the source was made of: a change of a patch or of the version unpacks it anew.
qemu_recipe() {
	echo "$QEMU_VERSION"
	cat "$TOP"/qemu/patches/*.patch | shasum -a 256
}

# The places where QEMU learns of a new folder; a patch does the third.
hook_folder() { # SRC
	if [ -n "$DRY" ]; then
		echo "  (add quiver to $1/hw/meson.build and $1/hw/Kconfig)"
		return 0
	fi
	grep -q "^subdir('quiver')\$" "$1/hw/meson.build" || echo "subdir('quiver')" >>"$1/hw/meson.build"
	grep -q '^source quiver/Kconfig$' "$1/hw/Kconfig" || echo 'source quiver/Kconfig' >>"$1/hw/Kconfig"
}

unpack_qemu() { # TARBALL
	unpack_dir=$WORK/tmp/qemu
	run rm -rf "$unpack_dir" "$WORK/qemu" || return
	run mkdir -p "$unpack_dir" || return
	run tar -xf "$1" -C "$unpack_dir" || return
	for patch in "$TOP"/qemu/patches/*.patch; do
		run patch -p1 -N -s -F 0 -d "$unpack_dir/qemu-$QEMU_VERSION" -i "$patch" || return
	done
	hook_folder "$unpack_dir/qemu-$QEMU_VERSION" || return
	[ -n "$DRY" ] || qemu_recipe >"$unpack_dir/qemu-$QEMU_VERSION/.quiver-recipe"
	run mv "$unpack_dir/qemu-$QEMU_VERSION" "$WORK/qemu"
}

sync_overlay() {
	for sync_folder in hw/quiver accel/hvf target/arm/hvf; do
		run mkdir -p "$WORK/qemu/$sync_folder" || return
		run cp -R -p "$TOP/qemu/$sync_folder/." "$WORK/qemu/$sync_folder/" || return
	done
	run cp -p "$TOP/qemu/configs/quiver.mak" "$WORK/qemu/configs/devices/aarch64-softmmu/quiver.mak"
}

# The tarball brings the meson it wants, so nothing is downloaded.
configure_qemu() {
	run mkdir -p "$WORK/qemu/build" || return
	export PKG_CONFIG_PATH="$WORK/install/usr/local/lib/pkgconfig:$PKG_CONFIG_PATH"
	run_in "$WORK/qemu/build" ../configure --target-list=aarch64-softmmu \
		--without-default-features --without-default-devices --with-devices-aarch64=quiver \
		--enable-system --enable-hvf --enable-tcg --enable-fdt=system --enable-slirp --enable-virtfs \
		--enable-pixman --enable-cocoa \
		--disable-docs --disable-werror --disable-debug-info --disable-download --disable-install-blobs || return
	[ -n "$DRY" ] || cp "$WORK/install/usr/local/lib/pkgconfig/quiver.pc" "$WORK/qemu/build/.configured"
}

# Unsigned: QEMU's own signing adds an icon that codesign does not take a second time.
build_qemu() {
	if [ -n "$DRY" ] || ! cmp -s "$WORK/install/usr/local/lib/pkgconfig/quiver.pc" "$WORK/qemu/build/.configured"; then
		configure_qemu || return
	fi
	run ninja -C "$WORK/qemu/build" -j "$(job_count)" qemu-system-aarch64-unsigned
}

stage_qemu() {
	stage_share=$WORK/tmp/share
	run rm -rf "$stage_share" || return
	run mkdir -p "$stage_share" || return
	run cp "$WORK/qemu/pc-bios/edk2-aarch64-code.fd.bz2" "$WORK/qemu/pc-bios/edk2-licenses.txt" "$stage_share" || return
	run bzip2 -d -f "$stage_share/edk2-aarch64-code.fd.bz2" || return
	stage "$stage_share" share/qemu || return
	stage "$WORK/qemu/build/qemu-system-aarch64-unsigned" bin/qemu-system-aarch64
}

step_qemu() {
	step_qemu_tarball=${QEMU_TARBALL:-$WORK/qemu-$QEMU_VERSION.tar.xz}
	export_paths
	begin qemu "building QEMU $QEMU_VERSION"
	if [ -n "$DRY" ] || [ "$(cat "$WORK/qemu/.quiver-recipe" 2>/dev/null)" != "$(qemu_recipe)" ]; then
		attempt "downloading QEMU" "fetch $QEMU_URL yourself, and set QEMU_TARBALL" \
			fetch "$QEMU_URL" "$step_qemu_tarball"
		attempt "checking QEMU's signature" \
			"this is not the release: do not use it; fetch it again, from another network if it happens twice" \
			verify_qemu "$step_qemu_tarball"
		attempt "unpacking and patching QEMU" "is the disk full, or the tarball another version's?" \
			unpack_qemu "$step_qemu_tarball"
	fi
	attempt "copying Quiver's devices into QEMU" "is the disk full?" sync_overlay
	attempt "building QEMU" "the log's first 'error:' says why" build_qemu
	attempt "copying QEMU" "is the disk full?" stage_qemu
}
