# SPDX-License-Identifier: BSD-3-Clause
"""What the tests of the CLI share: where things are, comparisons, TAP."""

import os
import subprocess
import sys

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("QUIVER_HOST_BUILD", os.path.join(TOP, "build", "host"))
QUIVER = os.path.join(BUILD, "cli", "quiver")
TRACES = os.path.join(TOP, "tests", "traces")

TESTS = []


def test(function):
    """The test's sentence is its docstring."""
    TESTS.append(function)
    return function


def equal(found, wanted, what):
    if found != wanted:
        raise AssertionError(f"{what}: {found!r} instead of {wanted!r}")


def true(value, what):
    if not value:
        raise AssertionError(what)


def has(text, part):
    if part not in text:
        raise AssertionError(f"no {part!r} in {text!r}")


def quiver(*args, timeout=120):
    return subprocess.run([QUIVER, *args], stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, errors="replace", check=False,
                          timeout=timeout)


def run_tests():
    """Runs them all; returns what to exit with."""
    failed = 0
    for number, function in enumerate(TESTS, 1):
        try:
            function()
            print(f"ok {number} - {function.__doc__}")
        except (AssertionError, ValueError, KeyError, subprocess.TimeoutExpired) as error:
            failed += 1
            print(f"not ok {number} - {function.__doc__}\n# {error}")
        sys.stdout.flush()
    print(f"1..{len(TESTS)}")
    return failed > 0
