#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""app/project.yml, of which XcodeGen makes the Xcode project, against the tree. Prints TAP."""

import fnmatch
import os
import re
import subprocess
import sys

import yaml

from plists import TOP, plist, text
from tap import BUILD, equal, has, run_tests, test, true

PROJECT = yaml.safe_load(text("app", "project.yml"))
APP = PROJECT["targets"]["Quiver"]
DEXT = PROJECT["targets"]["QuiverDriver"]
# macOS with the number of its Darwin, which is DriverKit's.
DARWIN = {11: 20, 12: 21, 13: 22, 14: 23, 15: 24, 26: 25}
LIBRARIES = {"dext": "simmac/driverkit/libquiver-dext-core.a", "core": "core/libquiver-core.a"}


def setting(target, name, config="Development"):
    settings = target["settings"]
    for place in (settings.get("configs", {}).get(config, {}), settings["base"],
                  PROJECT["settings"]["configs"].get(config, {}), PROJECT["settings"]["base"]):
        if name in place:
            return place[name]
    raise KeyError(name)


def path(relative):
    """As seen from the top, of what is written as seen from app/."""
    return os.path.normpath(os.path.join("app", relative))


def sources(target):
    return [path(one if isinstance(one, str) else one["path"]) for one in target["sources"]]


def tracked(*patterns):
    """Files of the tree, also those that are new."""
    done = subprocess.run(["git", "-C", TOP, "ls-files", "--cached", "--others", "--exclude-standard"],
                          capture_output=True, text=True, check=True)
    return {name for name in done.stdout.split("\n")
            if any(fnmatch.fnmatch(name, pattern) for pattern in patterns)
            and os.path.exists(os.path.join(TOP, name))}


def symbols(library):
    """Of an archive, by object: what it defines, what it wants."""
    done = subprocess.run(["nm", "-P", os.path.join(BUILD, library)], capture_output=True, text=True,
                          check=True)
    defines, wants, name = {}, {}, None
    for line in done.stdout.split("\n"):
        member = re.search(r"\[(.*)\.c\.o\]:$", line)
        if member:
            name = os.path.basename(member[1]).split("_")[-1]
            defines[name], wants[name] = set(), set()
        elif line:
            symbol, kind = line.split()[:2]
            (wants if kind == "U" else defines)[name].add(symbol)
    return defines, wants


def linked():
    """The files of core/ that the extension's core drags in, and theirs."""
    wanted = set().union(*symbols(LIBRARIES["dext"])[1].values())
    defines, wants = symbols(LIBRARIES["core"])
    found = set()
    while True:
        more = {name for name in defines if name not in found and defines[name] & wanted}
        if not more:
            return found
        found |= more
        wanted |= set().union(*(wants[name] for name in more))


@test
def sources_exist():
    """each source that is named exists, once"""
    for target in (APP, DEXT):
        names = sources(target)
        equal(len(names), len(set(names)), "sources")
        for name in names:
            true(os.path.isfile(os.path.join(TOP, name)), f"{name} does not exist")


@test
def app_is_whole():
    """the app is all sources of app/"""
    equal(set(sources(APP)), tracked("app/*.[cmh]"), "sources of the app")


@test
def dext_is_whole():
    """the extension is all sources of dext/, as the simulated Mac builds it"""
    found = {name for name in sources(DEXT) if name.startswith("dext/")}
    equal(found, tracked("dext/*.c", "dext/*.cpp", "dext/*.iig"), "sources of the extension")
    simulated = text("simmac", "driverkit", "meson.build")
    for name in found:
        if name.endswith(".iig"):
            has(simulated, f"'{os.path.basename(name)[:-4]}'")
        else:
            has(simulated, f"'../../{name}'")


@test
def core_is_what_links():
    """of core/ the extension has what its own core needs to link, and no more"""
    found = {os.path.basename(name)[:-2] for name in sources(DEXT) if name.startswith("core/")}
    equal(found, linked(), "files of core/")


@test
def identifiers():
    """the extension's identifier begins with the app's, and its file is named by it [H17]"""
    app, dext = (setting(target, "PRODUCT_BUNDLE_IDENTIFIER") for target in (APP, DEXT))
    equal(app, "$(QUIVER_BUNDLE_ID)", "the app's")
    equal(dext, f"{app}.driver", "the extension's")
    equal(setting(DEXT, "PRODUCT_NAME"), "$(PRODUCT_BUNDLE_IDENTIFIER)", "the extension's name")
    has(text("app", "manager.m"), 'stringByAppendingString:@".driver"')
    has(text("app", "Quiver.xcconfig"), "\nQUIVER_BUNDLE_ID = ")


@test
def plists_exist():
    """property lists and entitlements are there, for each way to build, and are such"""
    for config in PROJECT["configs"]:
        for target in (APP, DEXT):
            for name in ("INFOPLIST_FILE", "CODE_SIGN_ENTITLEMENTS"):
                plist(path(setting(target, name, config)))
        true(os.path.isfile(os.path.join(TOP, path(PROJECT["configFiles"][config]))), config)
    equal(path(setting(DEXT, "CODE_SIGN_ENTITLEMENTS", "Development")),
          "dext/QuiverDriver.entitlements", "Development")
    equal(path(setting(DEXT, "CODE_SIGN_ENTITLEMENTS", "Distribution")),
          "dext/Distribution.entitlements", "Distribution")


@test
def product_types():
    """an app that carries an extension of DriverKit"""
    equal((APP["type"], DEXT["type"]), ("application", "driver-extension"), "types")
    true({"target": "QuiverDriver"} in APP["dependencies"], "the app does not carry the extension")
    true({"sdk": "SystemExtensions.framework"} in APP["dependencies"], "the app cannot ask for it")
    equal({one["sdk"] for one in DEXT["dependencies"]}, {"DriverKit.framework", "PCIDriverKit.framework"},
          "frameworks of the extension")
    equal(setting(DEXT, "SDKROOT"), "driverkit", "SDKROOT")


@test
def keys():
    """each key is one that XcodeGen knows: it passes over others without a word"""
    known = {"": "name options configs configFiles settings targets schemes",
             "options": "minimumXcodeGenVersion createIntermediateGroups usesTabs deploymentTarget",
             "settings": "base configs", "target": "type platform sources settings dependencies",
             "scheme": "build run archive", "dependency": "target sdk", "source": "path"}
    places = [("", PROJECT), ("options", PROJECT["options"]), ("settings", PROJECT["settings"])]
    for target in PROJECT["targets"].values():
        places += [("target", target), ("settings", target["settings"])]
        places += [("dependency", one) for one in target["dependencies"]]
        places += [("source", one) for one in target["sources"] if isinstance(one, dict)]
    places += [("scheme", one) for one in PROJECT["schemes"].values()]
    for place, found in places:
        equal(set(found) - set(known[place].split()), set(), f"unknown keys of {place or 'the project'}")
    for place in (PROJECT, APP, DEXT):
        equal(set(place["settings"].get("configs", {})) - set(PROJECT["configs"]), set(), "configurations")


@test
def headers_are_found():
    """every header of ours that the extension includes is found by its search paths"""
    paths = [one.replace("$(SRCROOT)", "app") for one in setting(DEXT, "HEADER_SEARCH_PATHS")]
    generated = {os.path.basename(name)[:-4] + ".h" for name in sources(DEXT) if name.endswith(".iig")}
    seen, queue = set(), list(sources(DEXT))
    while queue:
        name = queue.pop()
        for header in re.findall(r'^#include "(.*)"', text(name), re.M):
            if header in generated or header in seen:
                continue
            seen.add(header)
            found = [os.path.join(folder, header) for folder in (os.path.dirname(name), *paths)
                     if os.path.isfile(os.path.join(TOP, folder, header))]
            true(found, f"{name} includes {header}, and nothing has it")
            queue.append(os.path.normpath(found[0]))
    true({"dext/core/dext.h", "quiver/dext_abi.h"} <= seen, "the test finds no headers")


@test
def oldest_macos():
    """app, extension, command line and documentation agree on the oldest macOS"""
    macos = PROJECT["options"]["deploymentTarget"]["macOS"]
    equal(int(setting(DEXT, "DRIVERKIT_DEPLOYMENT_TARGET").split(".")[0]), DARWIN[int(macos.split(".")[0])],
          "DriverKit")
    has(text("scripts", "darwin"), f"TARGET=arm64-apple-macos{macos.split('.')[0]}\n")
    has(text("scripts", "mac"), f"MACOS={macos}\n")
    has(text("scripts", "mac"), "\nCONFIGURATION=Development\n")
    has(text("docs", "mac.rst"), f"macOS {macos.split('.')[0]}")


sys.exit(run_tests())
