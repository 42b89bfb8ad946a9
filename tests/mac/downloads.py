#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""scripts/mac, rehearsed: what it downloads, and what it takes for the release. Prints TAP."""

import hashlib
import os
import shutil
import sys

from plists import text
from rehearsal import MAC, PATCH, QEMU, ROOT, read, write
from tap import equal, has, run_tests, test, true


@test
def fetch_failures():
    """so do the steps of a first build: downloads, patches, configuring"""
    for fail, what in (("^curl .*pciutils", "downloading pciutils"), ("^make", "building libpci"),
                       ("^meson setup", "libquiver"), ("^curl .*qemu", "downloading QEMU")):
        MAC.clean()
        status, said, _ = MAC.run(FAKE_FAIL=fail)
        equal((status, said.count("mac: ")), (1, 1), f"{fail}: status and lines of {said!r}")
        has(said, what)
        equal(MAC.out(), {}, f"{fail}: what is built")
    patch = os.path.join(MAC.tree, "qemu/patches/0001-x.patch")
    write(patch, PATCH.replace("as released", "another release"))
    status, said, calls = MAC.run()
    equal(status, 1, "a patch that does not apply")
    has(said, "unpacking and patching QEMU failed")
    true(not any(call.startswith("configure") for call in calls), "it goes on")
    # Nor one that applies only by overlooking what is around it.
    write(patch, "--- a/hw/meson.build\n+++ b/hw/meson.build\n@@ -1,2 +1,3 @@\n subdir('pci')\n+ours\n subdir('gone')\n")
    status, said, calls = MAC.run()
    equal(status, 1, "a patch that applies with fuzz only")
    has(said, "unpacking and patching QEMU failed")
    write(patch, PATCH)
    MAC.whole()


@test
def forgery():
    """a tarball that the release's key has not signed is refused, deleted and not unpacked"""
    MAC.clean()
    path = os.path.join(MAC.server, QEMU)
    whole = open(path, "rb").read()
    try:
        write(path, whole + b"\0")
        status, said, calls = MAC.run()
        equal(status, 1, "status")
        has(said, "checking QEMU's signature failed")
        true(not os.path.exists(os.path.join(MAC.work, "qemu")), "it is unpacked")
        true(not os.path.exists(os.path.join(MAC.work, QEMU)), "it is kept")
        true(not any(call.startswith("codesign") for call in calls), "it goes on")
    finally:
        write(path, whole)


@test
def own_tarball():
    """a tarball of the user's own is checked as well, and never deleted; one without its signature is not used"""
    own = os.path.join(ROOT, "own", QEMU)
    write(own, open(os.path.join(MAC.server, QEMU), "rb").read() + b"\0")
    status, said, _ = MAC.run(QEMU_TARBALL=own, FAKE_FAIL="^curl .*sig$")
    equal((status, said.count("mac: ")), (1, 1), "status and lines without a signature")
    has(said, "put it beside the tarball")
    status, said, _ = MAC.run(QEMU_TARBALL=own)
    equal(status, 1, "status of a forgery")
    has(said, "checking QEMU's signature failed")
    true(os.path.exists(own), "it is deleted")
    shutil.copy(os.path.join(MAC.server, QEMU), own)
    calls = MAC.whole(QEMU_TARBALL=own)
    true(not any(call.endswith("xz") for call in calls if call.startswith("curl")), "it is downloaded")


@test
def known_hash():
    """a hash that is recorded in the tree does as well as the signature"""
    MAC.clean()
    list_path = os.path.join(MAC.tree, "qemu/keys/tarballs.sha256")
    before = read(list_path)
    digest = hashlib.sha256(open(os.path.join(MAC.server, QEMU), "rb").read()).hexdigest()
    signature = os.path.join(MAC.server, QEMU + ".sig")
    os.rename(signature, signature + ".away")
    write(signature, "none")
    try:
        status, _, _ = MAC.run()
        equal(status, 1, "status without either")
        write(list_path, f"{before}{digest}  {QEMU}\n")
        MAC.whole()
        write(list_path, f"{before}{digest}  qemu-9.9.9.tar.xz\n")
        MAC.clean()
        status, _, _ = MAC.run()
        equal(status, 1, "status with another file's hash")
    finally:
        write(list_path, before)
        os.rename(signature + ".away", signature)


@test
def pciutils_hash():
    """pciutils of another hash are refused, by the script as it is"""
    MAC.clean()
    script = os.path.join(MAC.tree, "scripts/untouched")
    write(script, text("scripts", "mac"), 0o755)
    status, said, calls = MAC.run("host", script=script)
    equal(status, 1, "status")
    has(said, "checking pciutils failed")
    true(not any(call.startswith("make") for call in calls), "it is built")


sys.exit(run_tests())
