#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""docs/mac.rst: its table of verification against the tree, and what it says of commands. Prints TAP."""

import fnmatch
import json
import os
import re
import subprocess
import sys

from plists import TOP, text
from tap import BUILD, equal, run_tests, test, true

DOCS = text("docs", "mac.rst")
FOLDERS = ("dext", "host", "cli", "core", "qemu", "guest", "app", "images", "include/quiver",
           "scripts/mac", "scripts/mac.sh", "scripts/mac-qemu.sh")
CLASSES = ("executed", "rehearsed", "compiled", "checked", "read")
# What tests/darwin compiles, as it is written there, for files that nothing else compiles.
LANES = {"darwin-app": ("tests/darwin/app", ['"$QUIVER_TOP"/app/*.[cm]'], r"app/[^/]*\.[cmh]"),
         "darwin-qemu": ("tests/darwin/qemu", ["accel/hvf/*.c", "target/arm/hvf/*.c", "hw/quiver/*.c"],
                         r"qemu/(accel/hvf|target/arm/hvf|hw/quiver)/[^/]*\.[ch]|qemu/patches/.*\.patch")}


def braces(pattern):
    """a{b,c} as ab and ac"""
    match = re.search(r"\{([^{}]*)\}", pattern)
    if not match:
        return [pattern]
    return [one for word in match[1].split(",")
            for one in braces(pattern[:match.start()] + word + pattern[match.end():])]


def regex(pattern):
    """* within a folder, ** across them, [ab] as it is"""
    parts = re.split(r"(\*\*/|\*\*|\*|\[[^]]*\])", pattern)
    known = {"**/": "(?:.*/)", "**": ".*", "*": "[^/]*"}
    return "".join(known.get(part, part if part.startswith("[") else re.escape(part)) for part in parts)


def rows():
    """Patterns, class and tests of each row, as it is written."""
    lines = DOCS.split("\n.. verified\n")[1].split("\n")
    bars = [number for number, line in enumerate(lines) if line.startswith("=====")]
    columns = [match.start() for match in re.finditer("=+", lines[bars[0]])]
    for line in lines[bars[1] + 1:bars[2]]:
        cells = [line[start:end].strip() for start, end in zip(columns, [*columns[1:], None])]
        yield [one for word in cells[0].strip('`').split() for one in braces(word)], cells[1], cells[2]


ROWS = list(rows())


def files():
    done = subprocess.run(["git", "-C", TOP, "ls-files", "--cached", "--others", "--exclude-standard", "--", *FOLDERS],
                          capture_output=True, text=True, check=True)
    return sorted({name for name in done.stdout.split("\n") if name and os.path.exists(os.path.join(TOP, name))})


FILES = files()


def of(patterns):
    return {name for name in FILES for pattern in patterns if re.fullmatch(regex(pattern), name)}


def test_names():
    done = subprocess.run([os.path.join(TOP, "tests", "run"), "--list", "--long"], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@test
def every_file_once():
    """each file of the product is in the table, once"""
    seen = {}
    for patterns, _, _ in ROWS:
        for name in of(patterns):
            seen.setdefault(name, []).append(patterns)
    equal([name for name in FILES if name not in seen], [], "files that are not in it")
    equal({name: where for name, where in seen.items() if len(where) > 1}, {}, "files that are in it twice")


@test
def every_pattern_matches():
    """nothing is listed that does not exist"""
    true(len(ROWS) > 10, "the table is not found")
    for patterns, kind, _ in ROWS:
        true(kind in CLASSES, f"{patterns}: {kind!r} is no class")
        for pattern in patterns:
            true(of([pattern]), f"{pattern} is no file")


@test
def executed_is_built():
    """what is said to be executed is compiled on Linux, if it is one of Linux' own builds, and nothing else is"""
    with open(os.path.join(BUILD, "compile_commands.json"), encoding="utf-8") as file:
        built = {os.path.relpath(os.path.join(one["directory"], one["file"]), TOP) for one in json.load(file)}
    ours = re.compile(r"(dext|host|cli|core|app)/.*\.(c|cpp)|qemu/(accel|target)/.*\.c")
    for patterns, kind, _ in ROWS:
        for name in of(patterns):
            if ours.fullmatch(name):
                equal((name, name in built), (name, kind == "executed"), "a file, and whether it is compiled on Linux")


@test
def compiled_is_compiled():
    """what is said to be compiled for a Mac is in what a test compiles"""
    for name, (script, words, _) in LANES.items():
        for word in words:
            true(word in text(script), f"{name} does not compile {word}, or this test does not see it")
    for patterns, kind, by in ROWS:
        for name in of(patterns):
            lanes = [lane for lane in by.split() if lane in LANES and re.fullmatch(LANES[lane][2], name)]
            true(kind != "compiled" or lanes, f"{name} is compiled by none of {by}")


@test
def tests_exist():
    """the tests that it names are there"""
    names = test_names()
    true(len(names) > 50, f"only {names}")
    for patterns, kind, by in ROWS:
        words = by.split(";")[0].split()
        for word in words:
            true(any(fnmatch.fnmatchcase(name, word) for name in names), f"{patterns}: there is no test {word}")
        runs = [word for word in words if not word.startswith(("darwin-", "mac-", "check"))]
        wanted = {"executed": runs, "rehearsed": [word for word in words if word.startswith("mac-")], "read": True}
        true(wanted.get(kind, words), f"{patterns}: {kind}, by {by!r}")


@test
def safety_is_tested():
    """the tests that docs/safety.rst names are there"""
    names = test_names()
    table = text("docs", "safety.rst").split("list-table::")[1].split("\nLimits\n")[0]
    found = re.findall(r"``((?:host|asan|tsan|vm|cli|fuzz)-[^`]*|matrix|qtest)``", table)
    true(len(found) > 40, f"only {found}")
    equal(sorted(set(found) - names), [], "tests that do not exist")


@test
def packages():
    """the packages that it wants installed are those that scripts/mac looks for"""
    wanted = re.search(r'^BREW="(.*?)"', text("scripts", "mac"), re.M | re.S)[1].split()
    found = re.search(r"^    brew install (.*)$", DOCS, re.M)[1].split()
    equal(found, wanted, "packages")


@test
def exit_statuses():
    """the app's exit statuses are those of words.h"""
    enum = re.search(r"^enum quiver_app_exit \{(.*?)^\}", text("app", "words.h"), re.M | re.S)[1]
    known = re.findall(r"^\tQUIVER_APP_\w+\s+= (\d+)", enum, re.M)
    true(len(known) >= 7, f"only {known}")
    said = re.search(r"``Quiver --status`` says .*?;", DOCS, re.S)[0]
    # 2, usage, is no answer to it.
    equal(re.findall(r"(?<!\S)(\d+) \(", said), [number for number in known if number != "2"], "exit statuses")


@test
def stages():
    """it has a command for each stage of quiver probe"""
    names = re.findall(r'^\t\{ "(\w+)", "', text("cli", "probe", "probe.c"), re.M)
    equal(re.findall(r"^(\d)      ``quiver probe --stage (\d)``", DOCS, re.M),
          [(str(number), str(number)) for number in range(len(names))], "stages")


@test
def it_is_rst():
    """it is what docutils reads, without a warning"""
    done = subprocess.run([sys.executable, "-m", "docutils", "--halt=2", "--report=2", os.path.join(TOP, "docs/mac.rst"),
                           os.devnull], capture_output=True, text=True, check=False)
    equal((done.returncode, done.stderr), (0, ""), "docutils")


sys.exit(run_tests())
