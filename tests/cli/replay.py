#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""quiver trace replay and quiver bench: figures against counting them anew, goals, limits. Prints TAP."""

import collections
import gzip
import json
import os
import shutil
import sys
import tempfile

from tap import TRACES, equal, has, quiver, run_tests, test, true

MIB = 1 << 20
LIMIT = 1536 * MIB
NAMES = ("ctx8", "llm", "loader", "serve")
KEYS = {"trace", "policy", "segments", "map_calls", "unmap_calls", "exits", "peak_live_bytes",
        "peak_used_bytes", "peak_bytes", "peak_mappings", "failed_segments", "worst_used_ratio"}


def paths(*names):
    return [os.path.join(TRACES, name + ".trace.gz") for name in names or NAMES]


def replay(*args):
    result = quiver("trace", "replay", "--json", *args)
    equal((result.returncode, result.stderr), (0, ""), f"replay {args}")
    return {(found["policy"], found["trace"]): found for found in json.loads(result.stdout)}


def calls(found):
    return found["map_calls"] + found["unmap_calls"]


def operations(path):
    """(is a map, segments), the unmap's those of its map."""
    live = collections.defaultdict(list)
    with gzip.open(path, "rt") as lines:
        for line in lines:
            _, kind, *words = line.split()
            if kind in "mu":
                name, segments = tuple(words), [tuple(int(word, 16) for word in words)]
            elif kind == "M":
                segments = [tuple(int(part, 16) for part in word.split("+")) for word in words]
                name = words[0].split("+")[0]
            else:
                name = words[0]
            if kind in "mM":
                live[name].append(segments)
                yield True, segments
            else:
                yield False, live[name].pop()


def blocks(segment, shift):
    start, length = segment
    return range(start >> shift, ((start + length - 1) >> shift) + 1)


class Fixed:
    """The published scheme, counted the long way: a window a block, gone with its last user."""

    def __init__(self, path, shift):
        self.shift, self.users, self.live = shift, collections.Counter(), collections.Counter()
        self.calls = self.exits = self.peak = self.live_peak = self.segments = 0
        for is_map, segments in operations(path):
            before = self.calls
            for segment in segments:
                self.change(segment, 1 if is_map else -1)
            self.exits += self.calls > before
            self.segments += len(segments) if is_map else 0
            self.peak = max(self.peak, len(self.users))
            self.live_peak = max(self.live_peak, len(self.live))

    def window(self, segment):
        """One that lies across blocks has a window of its own granules."""
        block = blocks(segment, self.shift)
        return block[0] if len(block) == 1 else (blocks(segment, 14)[0], blocks(segment, 14)[-1])

    def change(self, segment, by):
        window = self.window(segment)
        self.calls += by > 0 and not self.users[window]
        self.users[window] += by
        if not self.users[window]:
            del self.users[window]
            self.calls += 1
        for page in blocks(segment, 14):
            self.live[page] += by
            if not self.live[page]:
                del self.live[page]


@test
def the_published_scheme():
    """fixed256k and pages cost what counting them anew gives"""
    found = replay("--policy", "fixed256k,pages", *paths("ctx8", "llm", "serve"))
    for name in ("ctx8", "llm", "serve"):
        for policy, shift in (("fixed256k", 18), ("pages", 14)):
            mine, wanted = found[policy, name], Fixed(*paths(name), shift)
            equal(set(mine), KEYS, "keys")
            equal(calls(mine), wanted.calls, f"{policy} {name}: calls")
            equal(mine["exits"], wanted.exits, f"{policy} {name}: exits")
            equal(mine["peak_mappings"], wanted.peak, f"{policy} {name}: windows at most")
            equal(mine["segments"], wanted.segments, f"{policy} {name}: segments")
            equal(mine["peak_live_bytes"], wanted.live_peak << 14, f"{policy} {name}: live")
            equal(mine["failed_segments"], 0, f"{policy} {name}: failures")


@test
def the_goals():
    """planner: no failure, at most a fifth of the exits, no more calls, little waste"""
    found = replay("--policy", "planner,fixed256k", *paths())
    for name in NAMES:
        mine, theirs = found["planner", name], found["fixed256k", name]
        equal(mine["failed_segments"], 0, f"{name}: failures")
        true(5 * mine["exits"] <= calls(theirs), f"{name}: {mine['exits']} exits")
        true(calls(mine) <= calls(theirs), f"{name}: {calls(mine)} calls")
        true(mine["peak_used_bytes"] >= mine["peak_live_bytes"], f"{name}: used less than live")
        true((mine["worst_used_ratio"] or 1) <= 1.10, f"{name}: {mine['worst_used_ratio']}")
    true(found["fixed256k", "loader"]["failed_segments"] > 0, "loader fits the published scheme")
    true(found["planner", "loader"]["worst_used_ratio"] >= 1, "no ratio for loader")
    equal(found["planner", "llm"]["worst_used_ratio"], None, "a ratio for llm")


@test
def strict():
    """--strict keeps no window that nobody uses, nor a granule that none touches"""
    found = replay("--strict", *paths())
    for name in NAMES:
        mine = found["planner", name]
        equal(mine["unmap_calls"], mine["map_calls"], f"{name}: windows are left")
        equal(mine["peak_bytes"], mine["peak_used_bytes"], f"{name}: idle windows")
        true(mine["peak_used_bytes"] < 1.01 * mine["peak_live_bytes"], f"{name}: waste")


@test
def limits():
    """what does not fit is refused, whole and without an exit, and never more is mapped"""
    for limit in ("--limit-bytes", "--limit-mappings"):
        number = 64 * MIB if limit == "--limit-bytes" else 300
        for policy in ("planner", "fixed256k", "pages"):
            found = replay(limit, str(number), "--policy", policy, *paths("llm"))[policy, "llm"]
            true(0 < found["failed_segments"] < found["segments"], f"{policy} {limit}: failures")
            peak = found["peak_bytes" if limit == "--limit-bytes" else "peak_mappings"]
            true(0.8 * number < peak <= number, f"{policy} {limit}: {peak} of {number}")
    # With every page refused, the host is not even asked, but for what may have the reserve.
    found = replay("--limit-mappings", "1", *paths("llm"))["planner", "llm"]
    true(found["exits"] < 600, f"{found['exits']} exits")


@test
def cycles():
    """loads that fit go on to fit, in addresses as fragmented as their predecessors left them"""
    args = ("--cycles", "40", "--limit-bytes", str(340 * MIB), *paths("serve", "ctx8", "llm"))
    [found] = replay(*args).values()
    equal(found["later_failed_segments"], 0, "later failures")
    equal(found["failed_segments"], 0, "failures")
    equal(found["segments"], 40 * (6750 + 10574 + 1953), "segments")
    true(found["unmap_calls"] > 1000, "nothing was ever released")
    equal([found], list(replay(*args).values()), "the same again")


@test
def plots():
    """--plot draws the policies side by side"""
    picture = os.path.join(FOLDER, "picture.svg")
    replay("--policy", "planner,fixed256k", "--plot", picture, *paths("llm"))
    with open(picture, encoding="utf-8") as file:
        text = file.read()
    for part in ("<svg", "planner", "fixed256k", "llm"):
        has(text, part)
    result = quiver("trace", "replay", "--plot", picture, *paths("llm", "serve"))
    equal(result.returncode, 2, "a plot of two traces")


@test
def usage():
    """what makes no sense is refused, and said"""
    for args, text in (((), "which trace"), (("--policy", "best", *paths("llm")), "no policy 'best'"),
                       (("--limit-bytes", "0", *paths("llm")), "not a number"),
                       (("--limit-bytes", "1x", *paths("llm")), "not a number"),
                       (("--limit-mappings", "-1", *paths("llm")), "not a number"),
                       (("--cycles", "99999999999", *paths("llm")), "not a number"),
                       (("--nonsense",), "what is"), (("--policy",), "wants a value")):
        result = quiver("trace", "replay", *args)
        equal(result.returncode, 2, f"status of {args}")
        has(result.stderr, text)
    equal(quiver("trace", "replay", "/nonexistent").returncode, 5, "no file")


@test
def bench():
    """bench core measures each policy in each case, at 10, 1,000 and 65,000 windows"""
    result = quiver("bench", "core", "--json", timeout=280)
    equal((result.returncode, result.stderr), (0, ""), "bench")
    found = json.loads(result.stdout)
    cases = {"page_hit", "page_hit_any", "page_miss", "scatterlist_again", "scatterlist_new"}
    equal({(row["policy"], row["case"], row["live_windows"]) for row in found},
          {(policy, case, live) for policy in ("planner", "fixed256k", "pages")
           for case in cases for live in (10, 1000, 65000)}, "rows")
    true(all(row["ns"] > 1 for row in found), "it took no time")
    equal(quiver("bench", "all").returncode, 2, "bench of nothing")


FOLDER = tempfile.mkdtemp(prefix="quiver-replay-")
try:
    sys.exit(run_tests())
finally:
    shutil.rmtree(FOLDER)
