# SPDX-License-Identifier: BSD-3-Clause
"""A tree of its own for scripts/mac, with a Mac's programs replaced by tests/mac/bin/fake, and with no other programs
than those that macOS has. For build.py, downloads.py and use.py."""

import atexit
import bz2
import hashlib
import os
import re
import shutil
import subprocess
import tarfile
import tempfile

from plists import TOP, text
from tap import equal, true

ROOT = tempfile.mkdtemp(prefix="quiver-mac-")
atexit.register(shutil.rmtree, ROOT)

FAKES = ("uname sw_vers sysctl systemextensionsctl xcrun xcodegen xcodebuild brew meson ninja make curl ditto codesign")
# macOS has them, or a package of BREW in scripts/mac.
TOOLS = ("sh env printf sed cat tail tr cut grep sort dirname mkdir rm mv cp chmod tar xz gzip patch cmp bzip2 shasum perl gpg")
SHELLS = [shell for shell in (["dash"], ["posh"], ["bash", "--posix"]) if shutil.which(shell[0])]
BREW = re.search(r'^BREW="(.*?)"', text("scripts", "mac"), re.M | re.S)[1].split()
STEPS = re.search(r'^STEPS="(.*)"$', text("scripts", "mac"), re.M)[1].split()
APP = "Quiver.app/Contents/MacOS/Quiver"
VERSION = re.search(r"^QEMU_VERSION=(.*)$", text("scripts", "mac"), re.M)[1]
QEMU = f"qemu-{VERSION}.tar.xz"
# Folders whose files go into QEMU's
OVERLAY = [os.path.relpath(folder, os.path.join(TOP, "qemu"))
           for folder, _, names in os.walk(os.path.join(TOP, "qemu")) if {"meson.build"} & set(names) or
           any(name.endswith((".c", ".h")) for name in names)]
PATCH = """--- a/accel/hvf/hvf.c
+++ b/accel/hvf/hvf.c
@@ -1 +1 @@
-as released
+patched
"""


def write(path, content, mode=0o644):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(content if isinstance(content, bytes) else content.encode())
    os.chmod(path, mode)


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def archive(path, folder, mode):
    with tarfile.open(path, mode) as tar:
        tar.add(folder, arcname=os.path.basename(folder))


def make_qemu(server):
    """A release that is no more than what the script touches."""
    source = os.path.join(ROOT, f"qemu-{VERSION}")
    for name, content in {"accel/hvf/hvf.c": "as released\n", "hw/meson.build": "subdir('pci')\n",
                          "hw/Kconfig": "source pci/Kconfig\n", "configs/devices/aarch64-softmmu/x": "",
                          "pc-bios/edk2-aarch64-code.fd.bz2": bz2.compress(b"firmware"),
                          "pc-bios/edk2-licenses.txt": "licences\n"}.items():
        write(os.path.join(source, name), content)
    write(os.path.join(source, "configure"), '#!/bin/sh\necho "configure $*" >>"$FAKE_RECORD"\n', 0o755)
    archive(os.path.join(server, QEMU), source, "w:xz")


def make_pciutils(server):
    source = os.path.join(ROOT, "pciutils-" + re.search(r"^PCIUTILS_VERSION=(.*)$", text("scripts", "mac"), re.M)[1])
    write(os.path.join(source, "pci.ids"), "10de  NVIDIA Corporation\n")
    path = os.path.join(server, "v" + source.rsplit("-", 1)[1] + ".tar.gz")
    archive(path, source, "w:gz")
    return hashlib.sha256(open(path, "rb").read()).hexdigest()


def make_key(tree, server):
    """A key of our own in place of the release's."""
    home = os.path.join(ROOT, "gpg")
    os.makedirs(home, 0o700)
    gpg = ["gpg", "--homedir", home, "--batch", "--quiet", "--passphrase", ""]
    subprocess.run([*gpg, "--quick-gen-key", "Test <test@example.com>", "ed25519", "sign"], check=True,
                   capture_output=True)
    subprocess.run([*gpg, "--detach-sign", "--output", os.path.join(server, QEMU + ".sig"),
                    os.path.join(server, QEMU)], check=True)
    key = subprocess.run([*gpg, "--armor", "--export"], check=True, capture_output=True).stdout
    write(os.path.join(tree, "qemu/keys/qemu-release.asc"), b"SPDX-License-Identifier: none\n\n" + key)
    subprocess.run(["gpgconf", "--homedir", home, "--kill", "all"], check=False)


class Mac:
    """A tree with what the script reads, and the programs that it finds."""

    def __init__(self):
        self.tree = os.path.join(ROOT, "tree")
        self.server = os.path.join(ROOT, "server")
        self.bin = os.path.join(ROOT, "bin")
        self.record = os.path.join(ROOT, "record")
        self.work = os.path.join(self.tree, "build", "mac")
        os.makedirs(self.server)
        for folder in ("app", "dext", "cli"):
            for name in os.listdir(os.path.join(TOP, folder)):
                if re.search(r"\.(entitlements|plist|yml|xcconfig)$", name) and name != "local.xcconfig":
                    write(os.path.join(self.tree, folder, name), text(folder, name))
        write(os.path.join(self.tree, "qemu/patches/0001-x.patch"), PATCH)
        for folder in OVERLAY:
            write(os.path.join(self.tree, "qemu", folder, "ours"), f"of {folder}\n")
        write(os.path.join(self.tree, "qemu/configs/quiver.mak"), "CONFIG_QUIVER=y\n")
        write(os.path.join(self.tree, "qemu/keys/tarballs.sha256"), text("qemu", "keys", "tarballs.sha256"))
        make_qemu(self.server)
        make_key(self.tree, self.server)
        self.applications = os.path.join(ROOT, "Applications")
        os.makedirs(self.applications)
        script = text("scripts", "mac")
        for name, value in {"PCIUTILS_SHA256": make_pciutils(self.server), "APPLICATIONS": self.applications}.items():
            script, times = re.subn(f"(?m)^{name}=.*$", f"{name}={value}", script)
            equal(times, 1, f"lines of {name}")
        write(os.path.join(self.tree, "scripts/mac"), script, 0o755)
        for name in ("mac.sh", "mac-qemu.sh"):
            write(os.path.join(self.tree, "scripts", name), text("scripts", name))
        os.makedirs(self.bin)
        for name in FAKES.split():
            os.symlink(os.path.join(TOP, "tests/mac/bin/fake"), os.path.join(self.bin, name))
        for name in TOOLS.split():
            os.symlink(shutil.which(name), os.path.join(self.bin, name))

    def run(self, *args, shell=("dash",), script=None, **env):
        """Exit status, what it said, and what it called."""
        write(self.record, "")
        done = subprocess.run([shutil.which(shell[0]), *shell[1:], script or os.path.join(self.tree, "scripts/mac"),
                               *args], capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL,
                              timeout=60, env={"PATH": self.bin, "HOME": ROOT, "USER": "test",
                                               "FAKE_RECORD": self.record, "FAKE_SERVER": self.server,
                                               "FAKE_TREE": self.tree, "FAKE_BREW": " ".join(BREW), **env})
        return done.returncode, done.stdout + done.stderr, read(self.record).split("\n")[:-1]

    def whole(self, *args, **more):
        status, said, calls = self.run(*args, **more)
        true(status == 0, f"it failed: {said}")
        return calls

    def clean(self):
        shutil.rmtree(self.work, ignore_errors=True)

    def out(self):
        """What it made, by name."""
        return self.below(os.path.join(self.work, "out"))

    @staticmethod
    def below(top):
        return {os.path.relpath(os.path.join(folder, name), top): read(os.path.join(folder, name))
                for folder, _, names in os.walk(top) for name in names}

    def stages(self):
        return [name for name in os.listdir(self.work) if name in ("stage", "tmp", "old")]


def position(calls, pattern):
    found = [number for number, call in enumerate(calls) if re.search(pattern, call)]
    true(found, f"no call of {pattern!r}")
    return found[0]


MAC = Mac()
