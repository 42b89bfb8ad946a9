#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""scripts/mac, rehearsed: what it fetches, builds and signs, and what it does when one of these fails. Prints TAP."""

import os
import re
import sys

from plists import text
from rehearsal import BREW, MAC, OVERLAY, PATCH, SHELLS, STEPS, position, read, write
from tap import equal, has, run_tests, test, true


@test
def dry_run():
    """--dry-run says the same in every shell, on any machine, and calls nothing"""
    MAC.clean()
    true(len(SHELLS) >= 2, "there is but one shell to try it with")
    said = set()
    for shell in SHELLS:
        status, output, calls = MAC.run("--dry-run", *STEPS, "--install", shell=shell, FAKE_SYSTEM="Linux")
        equal((status, calls), (0, []), f"{shell[0]}: status and calls")
        said.add(output)
    equal(len(said), 1, "outputs")
    for part in ("xcodegen generate", "xcodebuild -project", "meson setup", "patch -p1", "../configure",
                 "--enable-hvf", "codesign --force", "codesign --verify", "Applications/.Quiver.app.new"):
        has(output, part)
    true(not os.path.exists(MAC.work), "it has made files")


@test
def whole_run():
    """without an account all is built and signed ad hoc, from the inside out, in every shell"""
    before = None
    for shell in SHELLS:
        MAC.clean()
        calls = MAC.whole(shell=shell)
        order = [position(calls, pattern) for pattern in (
            "^xcodegen generate", "^xcodebuild .*CODE_SIGNING_ALLOWED=NO build$", "^make .*install-lib", "^meson setup",
            "^meson install", "^curl .*qemu-.*xz$", "^curl .*qemu-.*sig$", "^configure .*--enable-hvf",
            "^ninja .*-unsigned$", "^codesign --force .*driver.dext$", "^codesign --force .*Quiver.app$",
            "^codesign --force .*bin/quiver$", "^codesign --force .*bin/qemu-system-aarch64$",
            "^codesign --verify --deep --strict .*Quiver.app$", "^codesign --verify .*bin/quiver$",
            "^codesign --verify .*bin/qemu-system-aarch64$")]
        equal(order, sorted(order), f"{shell[0]}: order of {calls}")
        equal(sorted(MAC.out()), ["Quiver.app/Contents/Library/SystemExtensions/dev.quiver.Quiver.driver.dext/"
                                  "dev.quiver.Quiver.driver", "Quiver.app/Contents/MacOS/Quiver", "bin/qemu-system-aarch64",
                                  "bin/quiver", "share/qemu/edk2-aarch64-code.fd", "share/qemu/edk2-licenses.txt"],
              "what is made")
        equal(MAC.stages(), [], "what is left over")
        true(before in (None, calls), f"{shell[0]} calls others")
        before = calls


@test
def qemu_is_patched():
    """QEMU is patched, hooked and has our devices; the firmware is unpacked"""
    source = os.path.join(MAC.work, "qemu")
    equal(read(os.path.join(source, "accel/hvf/hvf.c")), "patched\n", "the patched file")
    has(read(os.path.join(source, "hw/meson.build")), "subdir('quiver')\n")
    has(read(os.path.join(source, "hw/Kconfig")), "source quiver/Kconfig\n")
    true("hw/quiver" in OVERLAY, "there is no overlay")
    for folder in OVERLAY:
        equal(read(os.path.join(source, folder, "ours")), f"of {folder}\n", "the overlay")
    equal(MAC.out()["share/qemu/edk2-aarch64-code.fd"], "firmware", "the firmware")


@test
def second_run():
    """a second run downloads, unpacks, verifies and configures nothing again; a new patch does"""
    calls = MAC.whole()
    equal([call for call in calls if re.match(r"curl|configure|make|meson setup", call)], [], "calls")
    write(os.path.join(MAC.tree, "qemu/patches/0002-y.patch"),
          PATCH.replace("-as released\n+patched", "-patched\n+twice"))
    calls = MAC.whole()
    equal([call.split()[0] for call in calls if re.match(r"curl|configure|make", call)], ["configure"], "calls")
    equal(read(os.path.join(MAC.work, "qemu/accel/hvf/hvf.c")), "twice\n", "the patched file")
    os.remove(os.path.join(MAC.tree, "qemu/patches/0002-y.patch"))


@test
def team():
    """with a team Xcode signs the app, and codesign the programs only"""
    calls = MAC.whole(QUIVER_TEAM="ABCDE12345", QUIVER_BUNDLE_ID="com.example.quiver", QUIVER_IDENTITY="Apple Development")
    build = calls[position(calls, "^xcodebuild -project")]
    has(build, "-allowProvisioningUpdates -allowProvisioningDeviceRegistration DEVELOPMENT_TEAM=ABCDE12345")
    # Of "any Mac" there is none to register.
    has(build, "-destination platform=macOS,arch=arm64 ")
    has(build, "QUIVER_BUNDLE_ID=com.example.quiver")
    true("CODE_SIGNING_ALLOWED" not in build, "it is told not to sign")
    signed = [call for call in calls if call.startswith("codesign --force")]
    equal([call.split("/")[-1] for call in signed], ["quiver", "qemu-system-aarch64"], "what is signed")
    for call in signed:
        has(call, "--sign Apple Development ")
        true("runtime" not in call, "Homebrew's libraries are refused")
    true(any("com.example.quiver.driver.dext" in name for name in MAC.out()), "the extension has another name")


@test
def failures():
    """each step that fails says so in one line with a cure, and leaves what was there as it was"""
    MAC.whole()
    before = MAC.out()
    for fail, what, *parts in (
            ("^xcodegen", "Xcode project"), ("^xcodebuild -project", "building the app"), ("^ditto", "copying the app"),
            ("^meson install", "libquiver"), ("^ninja .*host", "libquiver"), ("^ninja .*unsigned", "building QEMU"),
            ("^codesign --force .*dext$", "signing the app", "app", "sign"),
            ("^codesign --force .*app$", "signing the app", "app", "sign"),
            ("^codesign --force .*aarch64$", "signing quiver and QEMU"),
            ("^codesign --verify --deep", "checking the signatures", "app", "sign"),
            ("^codesign --verify --strict .*aarch64$", "checking the signatures", "qemu", "sign")):
        status, said, _ = MAC.run(*parts, FAKE_FAIL=fail)
        lines = [line for line in said.split("\n") if line.startswith("mac: ")]
        equal((status, len(lines)), (1, 1), f"{fail}: status and lines of {said!r}")
        true(re.fullmatch(r"mac: .*" + what + r".* failed; .{10,}; log: build/mac/log/\w+\.log", lines[0]), lines[0])
        equal(MAC.out(), before, f"{fail}: what was built before")
        equal(MAC.stages(), [], f"{fail}: what is left over")


@test
def homebrew():
    """each library that meson asks for on a Mac is macOS' own, built here, or a package of Homebrew"""
    places = {"threads": None, "appleframeworks": None, "zlib": None, "libpci": None, "jansson": "jansson",
              "cmocka": "cmocka"}
    for folder in ("", "core", "host", "cli", "man"):
        for name in re.findall(r"\bdependency\('([\w.+-]+)'", text(folder, "meson.build")):
            true(name in places, f"{folder}/meson.build: where does {name} come from on a Mac?")
            true(places[name] in set(BREW) | {None}, f"{name} is not in BREW")


sys.exit(run_tests())
