#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""quiver quirks: a guest's list of quirks, for people and for programs. Prints TAP."""

import json
import os
import shutil
import sys
import tempfile

from tap import equal, has, quiver, run_tests, test

LIST = """\
nvidia_uvm_pagesize active auto 6 4 nvidia 580.142.00: GPU pages of 4 KiB
tso disabled off 0 0 by its switch
bare idle on 9223372036854775807 0
"""


def written(text):
    path = os.path.join(FOLDER, "quirks")
    with open(path, "w", encoding="utf-8", errors="surrogateescape") as file:
        file.write(text)
    return path


@test
def as_a_table():
    """a quirk is a row, with its detail as the module words it"""
    result = quiver("quirks", written(LIST))
    equal((result.returncode, result.stderr), (0, ""), "status")
    rows = [line.split(None, 5) for line in result.stdout.splitlines()]
    equal(rows[0], ["QUIRK", "STATE", "SWITCH", "REACHED", "CURED", "DETAIL"], "head")
    equal([row[:5] for row in rows[1:]], [line.split()[:5] for line in LIST.splitlines()], "rows")
    equal(rows[1][5], "nvidia 580.142.00: GPU pages of 4 KiB", "detail")


@test
def as_json():
    """a quirk is an object, its counts are numbers"""
    result = quiver("quirks", "--json", written(LIST))
    equal((result.returncode, result.stderr), (0, ""), "status")
    found = json.loads(result.stdout)
    equal(found[0], {"name": "nvidia_uvm_pagesize", "state": "active", "switch": "auto",
                     "reached": 6, "cured": 4, "detail": "nvidia 580.142.00: GPU pages of 4 KiB"},
          "object")
    equal([quirk["detail"] for quirk in found[1:]], ["by its switch", ""], "details")
    equal(found[2]["reached"], (1 << 63) - 1, "the largest count")


@test
def not_a_list():
    """what is not a list of quirks is refused, and nothing of it is shown"""
    for text in ("name state\n", LIST + "half a\n", "a b c d e f\n", "a b c -5 0 d\n",
                 "a b c 1 0x10 d\n", "a b c 1 9223372036854775808 d\n", "a b c 1 1 \udcff\n",
                 "a" * 64 + " b c 1 1\n", "\n"):
        result = quiver("quirks", "--json", written(text))
        equal((result.returncode, result.stdout), (5, ""), ascii(text))
        has(result.stderr, "not a list of quirks")


@test
def no_module():
    """without the module it says what is missing"""
    result = quiver("quirks", os.path.join(FOLDER, "missing"))
    equal((result.returncode, result.stdout), (5, ""), "status")
    has(result.stderr, "quiver.ko must be loaded")


@test
def usage():
    """an option or a second file that there is not is a mistake in usage"""
    equal(quiver("quirks", "--what").returncode, 2, "option")
    equal(quiver("quirks", written(LIST), "more").returncode, 2, "file")


FOLDER = tempfile.mkdtemp(prefix="quiver-quirks-")
try:
    sys.exit(run_tests())
finally:
    shutil.rmtree(FOLDER)
