#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""quiver image: what is listed, removed and built, and what is refused. Prints TAP.

The builder is a stand-in here, but for what it refuses; tests/vm/image has the real one.
"""

import fcntl
import json
import os
import pty
import random
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time

from tap import QUIVER, TOP, equal, has, run_tests, test, true

GOOD = {
    "format": 1, "name": "x", "suite": "trixie", "arch": "arm64", "kernel": "6.12.1-arm64",
    "append": "root=PARTUUID=1", "user": "quiver", "with": ["nvidia"], "built": "2026-11-23T15:00:00Z",
    "quiver": "0.1.0", "disk_bytes": 3 << 30, "packed_bytes": 4096, "sha256": {}, "from_later": [1],
}
NO_NAMES = ("", ".", "..", "/", "//", "a/b", "../a", "a/..", "-a", "--force", "_a", ".hidden", ".removed-x", "a b",
            "a\n", "ä", "a\\", "*", "~", "a" * 65, "x/", "./x", "$HOME", "\x7f")


class Folder:
    """A folder for images, with things beside it that must stay."""

    def __init__(self):
        self.top = tempfile.mkdtemp()
        self.images = os.path.join(self.top, "quiver", "images")
        self.env = dict(os.environ, XDG_DATA_HOME=self.top)
        self.env.pop("QUIVER_IMAGE_BUILD", None)
        with open(os.path.join(self.top, "treasure"), "w", encoding="ascii") as file:
            file.write("keep me")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.top)

    def path(self, *parts):
        return os.path.join(self.images, *parts)

    def make(self, name, **change):
        os.makedirs(self.path(name))
        for file in ("disk.raw", "vmlinuz", "initrd"):
            with open(self.path(name, file), "wb") as stream:
                stream.truncate(GOOD["disk_bytes"] if file == "disk.raw" else 5)
        self.describe(name, dict(GOOD, **change))

    def describe(self, name, json_or_text):
        with open(self.path(name, "image.json"), "w", encoding="utf-8") as file:
            file.write(json_or_text if isinstance(json_or_text, str) else json.dumps(json_or_text))

    def run(self, *args, env=None):
        return subprocess.run([QUIVER, "image", *args], stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, errors="replace", check=False, timeout=60,
                              env=dict(self.env, **(env or {})))

    def list(self):
        result = self.run("list", "--json")
        equal((result.returncode, result.stderr), (0, ""), "list")
        return {image["name"]: image for image in json.loads(result.stdout)}

    def snapshot(self):
        """Every path below, links not followed, with its kind."""
        found = {}
        for top, folders, files in os.walk(self.top):
            for name in folders + files:
                path = os.path.join(top, name)
                found[os.path.relpath(path, self.top)] = stat.S_IFMT(os.lstat(path).st_mode)
        return found


def refused(result, status, text):
    equal(result.returncode, status, f"exit status of {result.args}: {result.stderr!r}")
    has(result.stderr, text)
    equal(result.stdout, "", "standard output")


# --- list


@test
def empty():
    """without images the table has its heading only, and the array nothing, even if there is no folder"""
    with Folder() as folder:
        equal(folder.list(), {}, "images")
        equal(len(folder.run("list").stdout.splitlines()), 1, "lines")
        equal(folder.snapshot(), {"treasure": stat.S_IFREG}, "made by looking")


@test
def listed():
    """an image is listed with what image.json says, the name of its folder and the sizes that it has now"""
    with Folder() as folder:
        folder.make("one")
        folder.make("Two.2_-", **{"with": []})
        images = folder.list()
        equal(sorted(images), ["Two.2_-", "one"], "names")
        one = images["one"]
        equal([one[k] for k in ("kernel", "with", "disk_bytes", "in_use", "damage", "folder")],
              ["6.12.1-arm64", ["nvidia"], 3 << 30, False, None, folder.path("one")], "one")
        true(one["bytes"] < 1 << 20, "a hole takes no room")
        table = folder.run("list").stdout
        for word in ("one", "trixie", "nvidia", "0.0 of 3.0 GiB", "free"):
            has(table, word)


@test
def damaged():
    """an image that lacks a file, or whose image.json is wrong, is listed as damaged, and can be removed"""
    broken = ["", "{", "[]", "null", json.dumps(dict(GOOD, format=2)), json.dumps(dict(GOOD, append=7)),
              json.dumps(dict(GOOD, disk_bytes=-1)), json.dumps(dict(GOOD, **{"with": [1]})),
              json.dumps(GOOD)[:-1] + ',"format":1}', json.dumps(dict(GOOD, sha256=[])), "\0" * 100]
    broken += [json.dumps({k: v for k, v in GOOD.items() if k != name})
               for name in GOOD if name not in ("from_later", "packed_bytes")]
    with Folder() as folder:
        for number, text in enumerate(broken):
            folder.make(f"json{number}")
            folder.describe(f"json{number}", text)
        for file in ("disk.raw", "vmlinuz", "initrd", "image.json"):
            folder.make("lacks-" + file)
            os.unlink(folder.path("lacks-" + file, file))
            folder.make("linked-" + file)
            os.rename(folder.path("linked-" + file, file), folder.path("linked-" + file, "there"))
            os.symlink("there", folder.path("linked-" + file, file))
        os.unlink(folder.path("json0", "image.json"))
        os.mkfifo(folder.path("json0", "image.json"))
        images = folder.list()
        equal(len(images), len(broken) + 8, "images")
        equal([name for name, image in images.items() if not image["damage"]], [], "taken for whole")
        has(folder.run("list").stdout, "json0 cannot be used: ")
        equal(folder.run("rm", "--force", *images).returncode, 0, "rm's exit status")
        equal(os.listdir(folder.images), [], "left")


@test
def not_images():
    """files, links and hidden folders among the images are no images"""
    with Folder() as folder:
        folder.make("real")
        folder.make(".build-abc")
        folder.make("bad name")
        os.symlink("real", folder.path("link"))
        open(folder.path("file"), "w", encoding="ascii").close()
        images = folder.list()
        equal(sorted(images), ["file", "link", "real"], "names")
        true(images["link"]["damage"] and images["file"]["damage"], "taken for images")


@test
def in_use():
    """an image that somebody has is in use, as long as a process has the lock, and cannot be removed"""
    with Folder() as folder:
        folder.make("x")
        with open(folder.path("x", "lock"), "w", encoding="ascii") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            equal(folder.list()["x"]["in_use"], True, "in use")
            has(folder.run("list").stdout, "in use")
            refused(folder.run("rm", "--force", "x"), 5, "'x' is in use")
        equal(folder.list()["x"]["in_use"], False, "in use")
        equal(folder.run("rm", "--force", "x").returncode, 0, "exit status")


@test
def home():
    """the folder is $XDG_DATA_HOME's, or $HOME's if that is none; without both nothing is guessed"""
    with Folder() as folder:
        folder.make("x")
        home = os.path.join(folder.top, "home")
        os.makedirs(os.path.join(home, ".local", "share"))
        os.symlink(os.path.join(folder.top, "quiver"), os.path.join(home, ".local", "share", "quiver"))
        for data in ("", "relative"):
            result = folder.run("list", "--json", env={"XDG_DATA_HOME": data, "HOME": home})
            equal([i["name"] for i in json.loads(result.stdout)], ["x"], data)
        refused(folder.run("list", env={"XDG_DATA_HOME": "", "HOME": ""}), 5, "$HOME")
        refused(folder.run("rm", "--force", "x", env={"XDG_DATA_HOME": "", "HOME": ""}), 5, "$HOME")


# --- rm


@test
def odd_names():
    """a name that leads elsewhere, or that no image can have, is refused by rm and build, and nothing is touched"""
    with Folder() as folder:
        folder.make("x")
        folder.make(".hidden")
        before = folder.snapshot()
        for name in NO_NAMES:
            refused(folder.run("rm", "--force", "--", name), 2, "is no name for an image")
            refused(folder.run("build", "--", name, env={"QUIVER_IMAGE_BUILD": "/bin/false"}), 2, "is no name")
        equal(folder.snapshot(), before, "the folder")


@test
def random_names():
    """of 200 random names from few odd letters, rm takes those that are images and no others"""
    rng = random.Random(5)
    with Folder() as folder:
        os.makedirs(folder.images)
        folder.make("a.a")
        for _ in range(20):
            names = ["".join(rng.choice("a./-_ ~\n*") for _ in range(rng.randrange(6))) for _ in range(10)]
            wanted = 0 if all(name == "a.a" for name in names) else None
            before = folder.snapshot()
            result = folder.run("rm", "--force", "--", *names)
            true(result.returncode in ((0,) if wanted == 0 else (2, 5)), f"{names}: {result.returncode}")
            if "a.a" in names:
                true(not os.path.exists(folder.path("a.a")), f"{names}: left")
                folder.make("a.a")
            equal(folder.snapshot(), before, f"the folder after {names}")


@test
def links_stay_unfollowed():
    """a link in place of an image is refused, and links in an image are removed, not what they lead to"""
    with Folder() as folder:
        folder.make("x")
        os.symlink("../..", folder.path("up"))
        os.symlink("x", folder.path("alias"))
        for name in ("up", "alias"):
            refused(folder.run("rm", "--force", name), 5, "damaged")
        os.symlink("../../..", folder.path("x", "top"))
        os.symlink("/nowhere", folder.path("x", "dangling"))
        os.makedirs(folder.path("x", "deep", "deeper"))
        os.symlink("../../../../../treasure", folder.path("x", "deep", "deeper", "treasure"))
        equal(folder.run("rm", "--force", "x").returncode, 0, "exit status")
        equal(sorted(os.listdir(folder.images)), ["alias", "up"], "left")
        with open(os.path.join(folder.top, "treasure"), encoding="ascii") as file:
            equal(file.read(), "keep me", "the treasure")


@test
def lock_is_no_way_out():
    """a lock that is a link does not make rm create or lock a file elsewhere"""
    with Folder() as folder:
        folder.make("x")
        os.symlink("../../../made", folder.path("x", "lock"))
        equal(folder.run("rm", "--force", "x").returncode, 5, "exit status")
        true(not os.path.exists(os.path.join(folder.top, "made")), "a file was made elsewhere")


@test
def many():
    """of several images all are removed that can be, and the first that cannot says how it ends"""
    with Folder() as folder:
        for name in ("a", "b", "c"):
            folder.make(name)
        result = folder.run("rm", "--force", "a", "none", "b")
        refused(result, 5, "there is no image 'none'")
        equal(os.listdir(folder.images), ["c"], "left")


@test
def swept():
    """what an interrupted rm left goes with the next one, and a build's folder does not"""
    with Folder() as folder:
        for name in ("a", ".removed-x", ".build-x"):
            folder.make(name)
        equal(folder.run("rm", "--force", "a").returncode, 0, "exit status")
        equal(os.listdir(folder.images), [".build-x"], "left")


def answer(folder, text):
    pid, terminal = pty.fork()
    if not pid:
        os.execve(QUIVER, [QUIVER, "image", "rm", "x"], folder.env)
    os.write(terminal, text)
    said = b""
    try:
        while block := os.read(terminal, 1000):
            said += block
    except OSError:
        pass
    os.close(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), said.decode()


@test
def asks():
    """rm asks on a terminal, and only yes is yes; without a terminal it wants --force"""
    with Folder() as folder:
        folder.make("x")
        refused(folder.run("rm", "x"), 2, "--force")
        for text in (b"\n", b"n\n", b"maybe\n", b"\x04"):
            status, said = answer(folder, text)
            equal(status, 0, f"{text}: exit status")
            has(said, "Remove the image 'x'")
            true(os.path.exists(folder.path("x")), f"{text}: removed")
        equal(answer(folder, b"y\n")[0], 0, "exit status")
        equal(os.listdir(folder.images), [], "left")


# --- build

FAKE = """#!/bin/sh
for last; do :; done
printf '%s\\n' "$@" >"$XDG_DATA_HOME/args"
BODY
"""
MAKES = """mkdir "$last" && cp "$XDG_DATA_HOME/image.json" "$last/" && cd "$last" && touch disk.raw vmlinuz initrd"""


def builder(folder, body):
    path = os.path.join(folder.top, "builder")
    with open(path, "w", encoding="ascii") as file:
        file.write(FAKE.replace("BODY", body))
    os.chmod(path, 0o755)
    with open(os.path.join(folder.top, "image.json"), "w", encoding="ascii") as file:
        json.dump(GOOD, file)
    return {"QUIVER_IMAGE_BUILD": path}


@test
def built():
    """build hands its options and the image's folder to the builder, and shows what came of it"""
    with Folder() as folder:
        env = builder(folder, MAKES + "; echo noise")
        result = folder.run("build", "one", "--with", "nvidia", "--with=cuda", "--ssh-key", "a b", "--json", env=env)
        equal(result.returncode, 0, f"{result.stderr}: exit status")
        equal(json.loads(result.stdout), GOOD, "JSON")
        with open(os.path.join(folder.top, "args"), encoding="ascii") as file:
            equal(file.read().splitlines(), ["--with=nvidia", "--with=cuda", "--ssh-key=a b", folder.path("one")],
                  "arguments")
        result = folder.run("build", env=env)
        has(result.stdout, "quiver run --image debian")
        refused(folder.run("build", "one", env=env), 5, "there is an image 'one' already")
        refused(folder.run("build", "two", "three", env=env), 2, "what is 'three'?")
        refused(folder.run("build", "--colour", env=env), 2, "--colour")


@test
def build_fails():
    """a builder that fails, or makes no image, is a failure: its own words stand, usage stays usage"""
    with Folder() as folder:
        for body, status in (("exit 1", 5), ("exit 2", 2), ("kill -9 $$", 5), ("exit 0", 5),
                             ('mkdir "$last"', 5)):
            result = folder.run("build", "one", env=builder(folder, body))
            equal((result.returncode, result.stdout), (status, ""), body)
            shutil.rmtree(folder.path("one"), ignore_errors=True)
        refused(folder.run("build", "one", env={"QUIVER_IMAGE_BUILD": "/no/such"}), 5, "/no/such")


@test
def build_interrupted():
    """a signal is the builder's too, which cleans up before quiver ends"""
    body = """trap 'sleep 0.3; echo gone >"$XDG_DATA_HOME/cleaned"; exit 143' TERM
touch "$XDG_DATA_HOME/started"; while :; do sleep 0.05; done"""
    with Folder() as folder:
        # Who runs tests in the background may have them ignore it.
        if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
        process = subprocess.Popen([QUIVER, "image", "build", "one"], env=dict(folder.env, **builder(folder, body)))
        end = time.monotonic() + 20
        while not os.path.exists(os.path.join(folder.top, "started")) and time.monotonic() < end:
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        equal(process.wait(20), 130, "exit status")
        true(os.path.exists(os.path.join(folder.top, "cleaned")), "it was not waited for")


# --- images/build


def real(folder, *args):
    return subprocess.run([os.path.join(TOP, "images", "build"), *args], stdin=subprocess.DEVNULL, text=True,
                          capture_output=True, check=False, timeout=60, env=dict(folder.env, HOME=folder.top))


@test
def builder_refuses():
    """images/build refuses what it does not know before it builds anything, and leaves nothing behind"""
    with Folder() as folder:
        os.makedirs(folder.path("there"))
        key = os.path.join(folder.top, "key")
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
        before = folder.snapshot()
        one = folder.path("one")
        for status, text, args in (
                (2, "name the folder", []), (2, "is no name", [folder.path(".x")]),
                (2, "is no name", [folder.path("a b")]), (2, "only trixie", ["--suite", "sid", one]),
                (2, "not 'vulkan'", ["--with", "vulkan", one]), (2, "64G", ["--disk-size", "0G", one]),
                (2, "64G", ["--disk-size=12", one]), (2, "host name", ["--hostname=-", one]),
                (2, "wants a value", ["--ssh-key"]), (2, "what is", [one, "two"]), (2, "what is", ["--bogus=1", one]),
                (2, "is for --with", ["--container-toolkit-repo", "https://x", "--container-toolkit-key", key, one]),
                (2, "container-toolkit-key", ["--with=container-toolkit", "--container-toolkit-repo=https://x", one]),
                (1, "there already", ["--ssh-key", key + ".pub", folder.path("there")]),
                (1, "not a public ssh key", ["--ssh-key", key, one]),
                (1, "cannot read the ssh key", ["--ssh-key", "/no/such", one]),
                (1, "make a key with ssh-keygen", [one])):
            result = real(folder, *args)
            equal(result.returncode, status, f"{args}: {result.stderr}; exit status")
            has(result.stderr, text)
            equal(folder.snapshot(), before, f"the folder after {args}")


if __name__ == "__main__":
    sys.exit(run_tests())
