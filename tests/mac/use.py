#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""scripts/mac, rehearsed as its users run it: settings, parts anew, installing, and what they are told. Prints TAP."""

import os
import re
import shutil
import sys

from plists import text
from rehearsal import APP, BREW, MAC, ROOT, position, write
from tap import equal, has, run_tests, test, true


@test
def local_settings():
    """team and identifier are taken from app/local.xcconfig as Xcode reads it, and checked; the environment outranks it"""
    path = os.path.join(MAC.tree, "app", "local.xcconfig")
    build = "^xcodebuild -project"
    try:
        write(path, "// mine\nDEVELOPMENT_TEAM = ABCDE12345 // ours\n  QUIVER_BUNDLE_ID=com.a.b // mine\r\n")
        calls = MAC.whole("app")
        has(calls[position(calls, build)] + " ", " QUIVER_BUNDLE_ID=com.a.b ")
        has(calls[position(calls, build)] + " ", " DEVELOPMENT_TEAM=ABCDE12345 ")
        calls = MAC.whole("app", QUIVER_TEAM="", QUIVER_BUNDLE_ID="com.c.d")
        has(calls[position(calls, build)], "CODE_SIGNING_ALLOWED=NO")
        has(calls[position(calls, build)], " QUIVER_BUNDLE_ID=com.c.d ")
        for line in ("QUIVER_BUNDLE_ID = com.a b", "QUIVER_BUNDLE_ID =", "DEVELOPMENT_TEAM = ours"):
            write(path, line + "\n")
            status, said, calls = MAC.run("app")
            equal((status, said.count("mac: "), calls), (1, 1, []), f"{line}: status, lines of {said!r}, calls")
            has(said, "app/local.xcconfig")
    finally:
        os.remove(path)
        shutil.rmtree(os.path.join(MAC.work, "stage"), ignore_errors=True)


@test
def installing():
    """what was built for a team is installed as it is, by --install alone, without the settings of the build"""
    MAC.whole(QUIVER_TEAM="ABCDE12345", QUIVER_BUNDLE_ID="com.example.quiver")
    before = MAC.out()
    has(before[APP], "DEVELOPMENT_TEAM=ABCDE12345")
    write(os.path.join(MAC.applications, APP), "an older one")
    write(os.path.join(MAC.applications, "Quiver.app/gone"), "of the older one")
    calls = MAC.whole("--install")
    equal([call.split()[0] for call in calls if not call.startswith(("uname", "sw_vers"))], ["ditto"], "calls")
    equal(MAC.out(), before, "what was built")
    equal(MAC.below(MAC.applications), {name: made for name, made in before.items() if name.startswith("Quiver.app/")},
          "what is installed")
    status, said, _ = MAC.run("--install", FAKE_FAIL="^ditto")
    equal(status, 1, "status")
    has(said, "copying the app to")
    true(MAC.below(MAC.applications), "the installed one is gone")
    MAC.clean()
    status, said, _ = MAC.run("--install")
    equal((status, said.count("mac: ")), (1, 1), f"without a build: status and lines of {said!r}")
    has(said, "build it first")


@test
def build_numbers():
    """each build of the app has a higher number than the last one, and than what is installed, of the same release"""
    release = re.search(r"<string>(\d+\.\d+)\.\$\(QUIVER_BUILD\)", text("dext", "Info.plist"))[1]
    major, minor = (int(number) for number in release.split("."))
    row = "*\t*\tABCDE12345\t{} (0.1.0/{})\tQuiverDriver\t[activated enabled]"

    def number(*extensions):
        said = "\n".join(["2 extension(s)", *(row.format(*one) for one in extensions)])
        calls = MAC.whole("app", FAKE_EXTENSIONS=said)
        return int(re.search(r" QUIVER_BUILD=(\d+) ", calls[position(calls, "^xcodebuild -project")])[1])

    MAC.clean()
    ours = "dev.quiver.Quiver.driver"
    equal([number(), number()], [1, 2], "the first numbers")
    MAC.run("app", FAKE_FAIL="^xcodebuild -project")
    equal(number((ours, f"{release}.2")), 3, "the same as built last")
    equal(number((ours, f"{release}.9"), (ours, f"{release}.41")), 42, "higher, and another")
    equal(number(("com.other.driver", f"{release}.77"), (ours, f"{major}.{minor + 1}.88"), (ours, release)), 43,
          "another app's, another release's, one without")
    MAC.clean()
    equal(number((ours, f"{release}.43")), 44, "after a clean-up")
    status, said, calls = MAC.run("app", FAKE_EXTENSIONS=row.format(ours, f"{release}.9999"))
    equal((status, said.count("mac: ")), (1, 1), f"past the last: status and lines of {said!r}")
    has(said, "raise the second number")
    true(not any(call.startswith("xcodebuild -project") for call in calls), "it builds")
    shutil.rmtree(os.path.join(MAC.work, "stage"), ignore_errors=True)
    MAC.whole()


@test
def one_part_anew():
    """'app sign' builds and signs the app alone; the rest is in the out folder as it was"""
    MAC.whole(QUIVER_IDENTITY="Somebody")
    before = MAC.out()
    calls = MAC.whole("app")
    equal(MAC.out(), before, "before it is signed")
    calls = MAC.whole("sign")
    equal([call.split("/")[-1] for call in calls if call.startswith("codesign --force")],
          ["dev.quiver.Quiver.driver.dext", "Quiver.app"], "what is signed")
    after = MAC.out()
    equal({name for name in before if after.get(name) != before[name]}, {APP}, "what has changed")
    equal(set(after), set(before), "what is there")
    equal(MAC.stages(), [], "what is left over")
    # What a team has signed stays so if something else is built anew.
    MAC.whole("app", "sign", QUIVER_TEAM="ABCDE12345")
    calls = MAC.whole("host", "sign")
    equal([call.split("/")[-1] for call in calls if call.startswith("codesign --force")], ["quiver"], "what is signed")
    has(MAC.out()[APP], "DEVELOPMENT_TEAM=ABCDE12345")


@test
def publishing():
    """a failure, or an end, between the two renames leaves the out folder of before"""
    mv = os.path.join(MAC.bin, "mv")
    real = os.readlink(mv)
    before = MAC.out()
    try:
        for what, status in (("exit 1", 1), ("kill -TERM $PPID; exit 1", 143), ("kill -KILL $PPID; exit 1", -9)):
            os.remove(mv)
            write(mv, f'#!/bin/sh\ncase $1 in */stage) {what} ;; esac\nexec {real} "$@"\n', 0o755)
            equal(MAC.run()[0], status, f"{what}: status")
            if status == -9:
                equal(MAC.out(), {}, "out, when killed: this test no longer hits the gap")
                MAC.whole("check")
            equal(MAC.out(), before, f"{what}: what was built before")
    finally:
        os.remove(mv)
        os.symlink(real, mv)
    MAC.whole()
    equal(MAC.stages(), [], "what is left over")


# As users of these programs have shown them in public, with names of ours.
NO_DEVICES = ("error: Communication with Apple failed: Your team has no devices from which to generate a provisioning "
              "profile. Connect a device to use or manually add device IDs in Certificates, Identifiers & Profiles. "
              "https://developer.apple.com/account/ (in target 'Quiver' from project 'Quiver')\n"
              "error: No profiles for 'com.example.quiver' were found: Xcode couldn't find any Mac App Development "
              "provisioning profiles matching 'com.example.quiver'. (in target 'Quiver' from project 'Quiver')")
OTHER_DEVICE = ("error: Provisioning profile \"Mac Team Provisioning Profile: com.example.quiver\" doesn't include the "
                'currently selected device "Mac mini" (identifier 00006030-001638A234D0001C).')
NO_TEAM = ('error: Signing for "Quiver" requires a development team. Select a development team in the Signing & '
           "Capabilities editor. (in target 'Quiver' from project 'Quiver')")
FREE = ('error: Cannot create a Mac App Development provisioning profile for "com.example.quiver". Personal development '
        'teams, including "Jane Doe", do not support the System Extension capability.')
NO_ACCOUNT = ('error: No Account for Team "ABCDE12345". Add a new account in Accounts settings or verify that your '
              "accounts have valid credentials.")
OTHER_VALUE = ('error: Provisioning profile "Mac Team Provisioning Profile: com.example.quiver.driver" doesn\'t match the '
               "entitlements file's value for the com.apple.developer.driverkit.transport.pci entitlement.")
TAKEN = ('error: Failed Registering Bundle Identifier: The app identifier "com.example.quiver" cannot be registered to '
         "your development team because it is not available. Change your bundle identifier to a unique string to try "
         "again.")
LICENCE = ("You have not agreed to the Xcode license agreements. You must agree to both license agreements below in order "
           "to use Xcode.")
OLD_LICENCE = "Agreeing to the Xcode/iOS license requires admin privileges, please run \u201csudo xcodebuild -license\u201d"
COMMAND_LINE_TOOLS = ("xcode-select: error: tool 'xcodebuild' requires Xcode, but active developer directory "
                      "'/Library/Developer/CommandLineTools' is a command line tools instance")


@test
def cures():
    """what Xcode and codesign say most often, word for word, is turned into what to do"""
    for says, cure in ((NO_DEVICES, "Provisioning UDID"), (OTHER_DEVICE, "Provisioning UDID"),
                       (NO_TEAM, "set QUIVER_TEAM"), (FREE, "a free account"),
                       (NO_ACCOUNT, "Xcode > Settings > Accounts"), (OTHER_VALUE, "The profile does not match"),
                       (TAKEN, "QUIVER_BUNDLE_ID"), (LICENCE, "xcodebuild -license accept"),
                       (OLD_LICENCE, "xcodebuild -license accept"), (COMMAND_LINE_TOOLS, "xcode-select -s"),
                       ('xcrun: error: SDK "driverkit" cannot be located', "xcode-select -s"),
                       ("Quiver.app: errSecInternalComponent", "unlock-keychain"),
                       ("Quiver.app: resource fork, Finder information, or similar detritus not allowed", "xattr -cr"),
                       ("curl: (6) Could not resolve host: download.qemu.org", "no network"),
                       ("ld: write: No space left on device", "disk is full")):
        status, said, _ = MAC.run("app", FAKE_FAIL="^xcodebuild -project", FAKE_SAYS=says)
        equal(status, 1, says)
        has(said, cure)


@test
def machines():
    """a machine that will not do is told what it lacks, before anything is built"""
    MAC.clean()
    for env, part in (({"FAKE_SYSTEM": "Linux"}, "not a Mac"), ({"FAKE_MACHINE": "x86_64"}, "Apple silicon"),
                      ({"FAKE_MACOS": "13.6.9"}, "Quiver needs 14.0"), ({"FAKE_XCODE": "14.3.1"}, "Quiver needs 15"),
                      ({"FAKE_FAIL": "^xcrun"}, "xcode-select -s"),
                      ({"FAKE_FAIL": "^xcodebuild -version",
                        "FAKE_SAYS": "xcode-select: error: tool 'xcodebuild' requires Xcode, but active developer "
                                     "directory is a command line tools instance"}, "install Xcode"),
                      ({"FAKE_BREW": " ".join(one for one in BREW if one not in ("ninja", "pixman"))}, "brew install ninja pixman'"),
                      ({"QUIVER_TEAM": "my team"}, "the team is 'my team'"), ({"QUIVER_BUNDLE_ID": "a b"}, "com.example.quiver"),
                      ({"QUIVER_BUNDLE_ID": "quiver"}, "com.example.quiver")):
        status, said, calls = MAC.run(**env)
        equal((status, said.count("mac: ")), (1, 1), f"{env}: status and lines of {said!r}")
        has(said, part)
        true(not any(re.match("xcodegen|meson|curl", call) for call in calls), f"{env}: it builds")
    for version in ("14.0", "14", "15.0.1", "26.1"):
        status, said, _ = MAC.run("check", FAKE_MACOS=version)
        equal(status, 0, f"macOS {version}: {said}")


@test
def places():
    """a tree whose path QEMU's build would choke on is refused before anything is built"""
    for name in ("a tree", "a:tree"):
        shutil.copytree(os.path.join(MAC.tree, "scripts"), os.path.join(ROOT, "whole", name, "scripts"))
        status, said, calls = MAC.run(script=os.path.join(ROOT, "whole", name, "scripts/mac"), QUIVER_BUNDLE_ID="a.b")
        equal((status, said.count("mac: ")), (1, 1), f"{name}: status and lines of {said!r}")
        has(said, "a space or a colon in the path")
        true(not any(re.match("xcodebuild|brew|curl", call) for call in calls), f"{name}: it goes on")


@test
def steps():
    """single steps run alone; signing what is not built is refused"""
    MAC.clean()
    calls = MAC.whole("host")
    true(not any(re.match("xcodebuild|configure|codesign", call) for call in calls), "others run")
    status, said, _ = MAC.run("sign")
    equal(status, 1, "status")
    has(said, "Quiver.app is not built")
    status, said, _ = MAC.run("--frobnicate")
    equal(status, 2, "status of an unknown option")


sys.exit(run_tests())
