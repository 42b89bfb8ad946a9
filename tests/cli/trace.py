#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""quiver trace: its figures against counting them anew, and what it refuses. Prints TAP."""

import collections
import gzip
import json
import os
import shutil
import sys
import tempfile

from tap import TRACES, equal, has, quiver, run_tests, test

MIB = 1 << 20

# As tests/traces/README.rst has them: segments, most live at once, MiB live at most; and 4 KiB ones in %.
TABLE = {
    "ctx8": (10574, 1390, 103, 43),
    "llm": (1953, 1953, 114, 67),
    "loader": (5765, 5765, 1458, 18),
    "serve": (6750, 6750, 299, 58),
}


def trace(*args):
    return quiver("trace", *args)


def path_of(name):
    return os.path.join(TRACES, name + ".trace.gz")


def stats(*paths):
    result = trace("stats", "--json", *paths)
    equal((result.returncode, result.stderr), (0, ""), "stats")
    return json.loads(result.stdout)


def refused(status, text, *args):
    result = trace(*args)
    equal(result.returncode, status, f"status of {args}; {result.stderr}")
    has(result.stderr, text)
    return result


def segments_of(words):
    if words[1] == "m":
        return [(int(words[2], 16), int(words[3], 16))]
    return [tuple(int(number, 16) for number in word.split("+")) for word in words[2:]]


def key_of(words):
    """What the unmap of a map names, or an unmap itself."""
    if words[1] in "mu":
        return int(words[2], 16), int(words[3], 16)
    return int(words[2].split("+")[0], 16)


class Count:
    """A trace, counted the long way: a number of users for each block."""

    def __init__(self, path, shift):
        self.shift = shift
        self.users = collections.Counter()
        self.live = collections.defaultdict(list)
        self.shared = self.blocks_peak = self.shared_peak = self.blocks_full = 0
        self.bytes = self.bytes_peak = self.uses = self.shared_uses = 0
        with gzip.open(path, "rt") as lines:
            for line in lines:
                self.step(line.split())

    def blocks(self, segments):
        return {block for start, length in segments
                for block in range(start >> self.shift, ((start + length - 1) >> self.shift) + 1)}

    def step(self, words):
        if words[1] in "mM":
            segments = segments_of(words)
            self.live[key_of(words)].append(segments)
            self.change(segments, 1)
        else:
            self.change(self.live[key_of(words)].pop(), -1)
        if self.bytes > self.bytes_peak:
            self.bytes_peak = self.bytes
            self.blocks_full = len(self.users)
        self.blocks_peak = max(self.blocks_peak, len(self.users))
        self.shared_peak = max(self.shared_peak, self.shared)

    def change(self, segments, by):
        self.bytes += by * sum(length for _, length in segments)
        for block in self.blocks(segments):
            before = self.users[block]
            self.users[block] += by
            self.shared += (before + by > 1) - (before > 1)
            if by > 0:
                self.uses += 1
                self.shared_uses += before > 0
            if not self.users[block]:
                del self.users[block]


@test
def figures_of_the_table():
    """stats has the figures that are published for the traces"""
    for name, (segments, live, mib, share) in TABLE.items():
        [found] = stats(path_of(name))
        equal(found["trace"], name, "name")
        equal(found["segments"], segments, f"{name}: segments")
        equal(found["peak"]["segments"], live, f"{name}: live at most")
        equal(found["peak"]["bytes"] // MIB, mib, f"{name}: MiB")
        equal(round(100 * found["segments_4k"] / found["segments"]), share, f"{name}: 4 KiB")
        equal(found["unmaps"], found["maps"], f"{name}: unmaps")


@test
def blocks_counted_anew():
    """blocks, density and sharing are what counting each block gives"""
    for found in stats(*map(path_of, TABLE)):
        for block in found["blocks"]:
            shift = block["block_bytes"].bit_length() - 1
            count = Count(path_of(found["trace"]), shift)
            what = f"{found['trace']}, blocks of 1 << {shift}"
            equal(found["peak"]["bytes"], count.bytes_peak, what)
            for key in ("blocks_peak", "shared_peak", "uses", "shared_uses"):
                equal(block[key], getattr(count, key), f"{what}: {key}")
            density = count.bytes_peak / (count.blocks_full << shift)
            equal(round(block["density"], 9), round(density, 9), f"{what}: density")


@test
def the_published_scheme():
    """llm in blocks of 256 KiB takes what its replay was published with: 223 MiB"""
    [found] = stats(path_of("llm"))
    [block] = [block for block in found["blocks"] if block["block_bytes"] == 256 << 10]
    equal(block["blocks_peak"] * block["block_bytes"] // MIB, 223, "MiB")


@test
def histograms_add_up():
    """histograms and curves agree with the totals"""
    for found in stats(*map(path_of, TABLE)):
        equal(sum(size["segments"] for size in found["sizes"]), found["segments"], "segments")
        equal(sum(size["bytes"] for size in found["sizes"]), found["bytes"], "bytes")
        equal(sum(entry["scatterlists"] for entry in found["scatterlist_lengths"]),
              found["scatterlists"], "scatterlists")
        for key in ("bytes", "pages", "segments", "maps"):
            equal(max(found["curve"][key]), found["peak"][key], f"curve of {key}")
            equal(len(found["curve"][key]), len(found["curve"]["us"]), f"length of {key}")


@test
def tables_for_people():
    """without --json there is a table of all traces at the end"""
    result = trace("stats", path_of("llm"), path_of("serve"))
    equal(result.returncode, 0, "status")
    rows = [line.split() for line in result.stdout.splitlines()]
    equal(rows[-2], "llm 1953 1953 114.1 117.0 67.0".split(), "row of llm")
    equal(rows[-1], "serve 6750 6750 299.5 305.3 58.3".split(), "row of serve")
    has(result.stdout, "llm: 571 maps in 11.5 s, 17 of them scatterlists of up to 509 segments; "
        "all are unmapped")


@test
def made_up_trace():
    """one that can be counted by hand, as plain text and with a map that stays"""
    path = os.path.join(FOLDER, "hand.trace")
    with open(path, "w", encoding="ascii") as file:
        file.write("0 m 3000 1000\n10 M 3000+2000 8000+1000\n20 u 3000 1000\n30 m 100000 1\n")
    [found] = stats(path)
    equal(found["maps"], 3, "maps")
    equal(found["unmaps"], 1, "unmaps")
    equal(found["peak"], {"us": 10, "bytes": 0x4000, "pages": 4, "segments": 3, "maps": 2}, "peak")
    equal(found["blocks"][0]["shared_peak"], 1, "shared pages")
    curve = dict(zip(found["curve"]["us"], found["curve"]["segments"]))
    equal([curve[us] for us in (0, 9, 10, 19, 21, 29, 30)], [1, 1, 3, 3, 2, 2, 3], "curve")
    has(trace("stats", path).stdout, "2 are never unmapped")


@test
def wrong_files():
    """a file that is no trace is refused, and the wrong line is told"""
    wrong = os.path.join(FOLDER, "wrong.trace")
    with open(wrong, "w", encoding="ascii") as file:
        file.write("0 m 1000 1000\n1 u 2000 1000\n")
    refused(6, "wrong.trace: line 2 is not a trace's", "stats", wrong)
    cut = os.path.join(FOLDER, "cut.trace.gz")
    with open(path_of("llm"), "rb") as whole, open(cut, "wb") as part:
        part.write(whole.read()[:-1000])
    refused(6, "cut.trace.gz: damaged, or cut short", "stats", cut)
    refused(5, "No such file", "stats", os.path.join(FOLDER, "none"))
    result = refused(6, "line 2", "stats", "--json", path_of("llm"), wrong)
    equal([found["trace"] for found in json.loads(result.stdout)], ["llm"], "what came before it")


@test
def drawing():
    """replay draws a trace with a column for each policy"""
    path = os.path.join(FOLDER, "llm.svg")
    result = trace("replay", "--policy", "pages,fixed256k", "--plot", path, path_of("llm"))
    equal((result.returncode, result.stderr), (0, ""), "replay")
    with open(path, encoding="utf-8") as file:
        drawn = file.read()
    for text in (">llm<", ">pages<", ">fixed256k<", "</svg>"):
        equal(drawn.count(text), 1, text)
    refused(5, "cannot write /nonexistent/x.svg", "replay", "--plot", "/nonexistent/x.svg", path_of("llm"))


@test
def usage():
    """what is not understood is said, and ends with status 2"""
    refused(2, "which command?")
    refused(2, "there is no command 'x'", "x")
    refused(2, "name a trace", "stats")
    refused(2, "what is '--x'?", "stats", "--x", "y")
    refused(2, "is no PCI address", "record", "--device", "1:2")
    refused(2, "is no PCI address", "record", "--device", "00:20.0")
    refused(2, "is no PCI address", "record", "--device", "0000:00:00.0x")
    refused(2, "--seconds wants a number", "record", "--seconds", "0")
    refused(2, "--seconds wants a number", "record", "--seconds", "-1")
    refused(2, "--buffer wants KiB", "record", "--buffer", "99999999999")
    refused(2, "A command comes after --", "record", "true")
    refused(2, "wants a value", "record", "--output")
    refused(3, "no PCI function fffe:7f:1f.7", "record", "--device", "fffe:7f:1f.7")
    for command in ((), ("replay",), ("stats",), ("record",)):
        result = trace(*command, "--help")
        equal((result.returncode, result.stderr), (0, ""), f"--help of {command}")
        has(result.stdout, "Usage: quiver trace " + " ".join(command))


@test
def no_module():
    """without quiver_trace.ko record says what is missing"""
    if os.path.exists("/dev/quiver_trace"):
        return
    refused(5, "load quiver_trace.ko", "record", "--seconds", "1", "--output", FOLDER + "/x.gz")
    equal(os.path.exists(FOLDER + "/x.gz"), False, "a file")


FOLDER = tempfile.mkdtemp(prefix="quiver-trace-")
try:
    sys.exit(run_tests())
finally:
    shutil.rmtree(FOLDER)
