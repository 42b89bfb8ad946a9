#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""qemu/patches apply to QEMU as it was released, which is what a Mac builds, and not only to Debian's source,
which is what is built here. The release is had by taking Debian's patches back. Prints TAP."""

import glob
import os
import re
import shutil
import subprocess
import sys
import tempfile

from plists import TOP, text
from tap import equal, run_tests, test, true

CACHE = os.environ.get("QUIVER_CACHE", os.path.join(
    os.environ.get("XDG_CACHE_HOME", os.path.join(os.path.expanduser("~"), ".cache")), "quiver"))
VERSION = re.search(r"^QEMU_VERSION=(.*)$", text("scripts", "mac"), re.M)[1]
OURS = sorted(glob.glob(os.path.join(TOP, "qemu/patches/*.patch")))
NAME = re.compile(r"^--- \S+\n\+\+\+ [^/\s]+/(\S+)", re.M)


def read(path):
    with open(path, encoding="utf-8", errors="surrogateescape") as file:
        return file.read()


def parts(path):
    """A patch, by the file that it changes."""
    content = read(path)
    starts = [match.start() for match in NAME.finditer(content)] + [len(content)]
    return {NAME.match(content, start)[1]: re.split("^diff --git ", content[start:end], flags=re.M)[0]
            for start, end in zip(starts, starts[1:])}


CHANGED = sorted({name for path in OURS for name in parts(path)})


def patch(folder, content, *flags):
    return subprocess.run(["patch", "-p1", "--fuzz=0", "--no-backup-if-mismatch", "-s", "-f", "-d", folder, *flags],
                          input=content, text=True, capture_output=True, check=False,
                          encoding="utf-8", errors="surrogateescape")


def copy(source, folder):
    for name in CHANGED:
        path = os.path.join(source, name)
        if os.path.exists(path):
            os.makedirs(os.path.dirname(os.path.join(folder, name)), exist_ok=True)
            shutil.copy(path, os.path.join(folder, name))


def take_back_ours(source, folder, count):
    """Of a source that has the first so many of our patches"""
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    copy(source, folder)
    return all(patch(folder, read(path), "-R").returncode == 0 for path in reversed(OURS[:count]))


def debian(source):
    """Its patches to what ours change, last first."""
    series = read(os.path.join(source, "debian/patches/series")).split("\n")
    for name in reversed([line.split()[0] for line in series if line and line[0] != "#"]):
        for changed, content in parts(os.path.join(source, "debian/patches", name)).items():
            if changed in CHANGED:
                yield name, content


def find_source(folder):
    """A source in the cache that has our patches, at least some first ones; unpatched in folder."""
    sources = [path for path in glob.glob(os.path.join(CACHE, "qemu-*", "src"))
               if read(os.path.join(path, "VERSION")).strip() == VERSION]
    for count in range(len(OURS), 0, -1):
        for source in sorted(sources, key=os.path.getmtime, reverse=True):
            if take_back_ours(source, folder, count):
                return source
    return None


ROOT = tempfile.mkdtemp(prefix="quiver-patches-")
RELEASE = os.path.join(ROOT, "release")
SOURCE = find_source(RELEASE)


@test
def release():
    """what Debian has changed in the files that ours change can be taken back"""
    for name, content in debian(SOURCE):
        done = patch(RELEASE, content, "-R")
        equal((name, done.returncode, done.stdout), (name, 0, ""), "taking back")


@test
def ours_apply():
    """our patches apply to the release, in their order"""
    true(len(OURS) >= 4, "there are no patches")
    for path in OURS:
        done = patch(RELEASE, read(path), "-N")
        equal((os.path.basename(path), done.returncode, done.stdout), (os.path.basename(path), 0, ""), "applying")


@test
def in_order():
    """each patch is needed by the next, or stands alone: none applies twice"""
    for path in OURS:
        true(patch(RELEASE, read(path), "-N", "--dry-run").returncode, f"{os.path.basename(path)} applies again")


if SOURCE is None:
    print(f"no source of QEMU {VERSION} with our patches is in the cache: make qemu")
    shutil.rmtree(ROOT)
    sys.exit(77)
STATUS = run_tests()
shutil.rmtree(ROOT)
sys.exit(STATUS)
