#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The extension as a product: what it matches, who may open it, and which version it is. Prints TAP."""

import os
import re
import subprocess
import sys
import tempfile

from plists import ANY_CLIENT, CLIENT, PCI, TOP, device, matches, plist, terms, text
from tap import equal, has, run_tests, test, true

INFO = plist("dext", "Info.plist")
PERSONALITIES = INFO["IOKitPersonalities"]
DEVELOPMENT = plist("dext", "QuiverDriver.entitlements")
DISTRIBUTION = plist("dext", "Distribution.entitlements")
FIRST_CHOICE = {0x030000: "VGA", 0x030200: "3D controller", 0x038000: "display controller",
                0x120000: "accelerator"}
LAST_CHOICE = {0x010802: "NVMe", 0x010801: "NVMHCI", 0xFF0000: "no class", 0xFF1234: "no class"}
NEVER = {0x040000: "video", 0x040100: "audio", 0x040300: "a GPU's audio", 0x048000: "multimedia",
         0x04FFFF: "multimedia", 0x020000: "Ethernet", 0x028000: "wireless", 0x060400: "a bridge",
         0x0C0330: "a USB controller", 0x088000: "Thunderbolt", 0x010601: "SATA", 0x010700: "SAS"}


def matched(table, class_code):
    return matches(table, device(0x10DE, 0x2B85, class_code))


def personality(class_code):
    """The one that macOS tries first; None if none matches."""
    found = [p for p in PERSONALITIES.values() if matched(p, class_code)]
    return max(found, key=lambda p: p.get("IOProbeScore", 0), default=None)


def grants(entitlements, class_code):
    return any(matched(table, class_code) for table in entitlements[PCI])


@test
def wire_version():
    """the version's first number is the wire's, and so is QuiverABIVersion"""
    header = text("include", "quiver", "dext_abi.h")
    abi = int(re.search(r"^#define QUIVER_DEXT_ABI_VERSION\s+(\d+)$", header, re.M)[1])
    equal(INFO["QuiverABIVersion"], abi, "QuiverABIVersion")
    version = re.fullmatch(r"(\d{1,4})\.(\d{1,4})\.\$\(QUIVER_BUILD\)", INFO["CFBundleVersion"])
    true(version, "CFBundleVersion is not two numbers, of as many digits as the kernel reads, and the build's")
    equal(int(version[1]), abi, "CFBundleVersion")
    has(text("app", "Quiver.xcconfig"), "\nQUIVER_BUILD = 0\n")
    has(text("scripts", "mac"), "\nLAST_BUILD=9999\n")


@test
def release_version():
    """app and extension have the version of the tree, and the same one"""
    version = re.search(r"^  version: '(.*)',$", text("meson.build"), re.M)[1]
    app = plist("app", "Info.plist")
    for key in ("CFBundleShortVersionString", "CFBundleVersion"):
        equal(app[key], INFO[key], key)
    equal(INFO["CFBundleShortVersionString"], version, "CFBundleShortVersionString")


@test
def entitlements_are_bare():
    """entitlements have no comment but the licence's, above all else: codesign's own parser stumbles over others"""
    found = [(folder, name) for folder in ("app", "cli", "dext") for name in os.listdir(os.path.join(TOP, folder))
             if name.endswith(".entitlements")]
    true(len(found) >= 5, f"only {found}")
    for one in found:
        head, body = text(*one).split("<plist")
        equal(re.findall("<!--.*?-->", head, re.S), ["<!-- SPDX-License-Identifier: BSD-3-Clause -->"], one)
        true("<!" not in body, f"{one}: a comment")
        true("\r" not in head + body and head.startswith("<?xml "), f"{one}: not what codesign reads")


@test
def bundle():
    """the bundle says what macOS wants of an extension to be activated by an app"""
    equal(INFO["CFBundlePackageType"], "DEXT", "CFBundlePackageType")
    equal(INFO["CFBundleIdentifier"], "$(PRODUCT_BUNDLE_IDENTIFIER)", "CFBundleIdentifier")
    equal(INFO["CFBundleExecutable"], "$(EXECUTABLE_NAME)", "CFBundleExecutable")
    equal(INFO["CFBundleInfoDictionaryVersion"], "6.0", "CFBundleInfoDictionaryVersion")
    true(len(INFO["OSBundleUsageDescription"]) > 20, "nothing is said of what it is for")


@test
def personalities_agree():
    """personalities differ in what they match and how much they want it, in nothing else"""
    rest = [{key: value for key, value in p.items() if key not in ("IOPCIClassMatch", "IOProbeScore")}
            for p in PERSONALITIES.values()]
    for one in rest:
        equal(one, rest[0], "a personality")
    equal(rest[0]["IOClass"], "IOUserService", "IOClass")
    equal(rest[0]["IOProviderClass"], "IOPCIDevice", "IOProviderClass")
    equal(rest[0]["IOUserServerName"], INFO["CFBundleIdentifier"], "IOUserServerName")
    equal(rest[0]["CFBundleIdentifier"], INFO["CFBundleIdentifier"], "CFBundleIdentifier")
    true(rest[0]["IOPCITunnelCompatible"] is True, "not for devices behind Thunderbolt")


@test
def classes_exist():
    """the classes that are named are classes of the source"""
    for one in PERSONALITIES.values():
        client = one["UserClientProperties"]
        equal(client["IOClass"], "IOUserUserClient", "IOClass of the client")
        for name in (one["IOUserClass"], client["IOUserClass"]):
            has(text("dext", f"{name}.iig"), f"class {name} : public ")
    has(text("dext", "QuiverDriver.cpp"), '"UserClientProperties"')
    service = re.search(r'^#define QUIVER_DEXT_SERVICE\s+"(\w+)"', text("include", "quiver", "dext_abi.h"), re.M)
    equal(one["IOUserClass"], service[1], "the name that the host looks for")


@test
def gpus_match():
    """a display or an accelerator is matched as any other driver would"""
    for code, name in FIRST_CHOICE.items():
        true(personality(code), f"{name} is not matched")
        equal(personality(code).get("IOProbeScore", 0), 0, f"{name}'s score")


@test
def disks_are_left_alone():
    """NVMe, and what has no class, is matched only if nobody else wants it"""
    for code, name in LAST_CHOICE.items():
        true(personality(code), f"{name} is not matched")
        true(personality(code)["IOProbeScore"] <= -10000, f"{name} is taken from macOS' driver")


@test
def audio_is_refused():
    """no multimedia function of any subclass is matched, nor anything that is not for us [H16]"""
    for name, one in PERSONALITIES.items():
        for value, mask in terms(one["IOPCIClassMatch"], 0xFFFFFF00):
            equal(mask & 0xFF000000, 0xFF000000, f"{name}: part of the mask of {value:#010x}")
            true(value >> 24 != 0x04, f"{name}: {value:#010x} is multimedia")
            equal(value & ~mask, 0, f"{name}: bits of {value:#010x} outside its mask")
    for code, name in NEVER.items():
        equal(personality(code), None, name)


@test
def development_entitlement():
    """for development: Apple's wildcard, the only value that its profiles have"""
    equal(DEVELOPMENT[PCI], [{"IOPCIPrimaryMatch": "0xFFFFFFFF&0x00000000"}], PCI)
    for code, name in {**FIRST_CHOICE, **LAST_CHOICE}.items():
        true(grants(DEVELOPMENT, code), f"{name} is matched and not granted")


@test
def distribution_entitlement():
    """for distribution: what is matched is granted, and no more"""
    equal([entry["IOPCIClassMatch"] for entry in DISTRIBUTION[PCI]],
          [one["IOPCIClassMatch"] for one in PERSONALITIES.values()], PCI)
    for code, name in {**FIRST_CHOICE, **LAST_CHOICE}.items():
        true(grants(DISTRIBUTION, code), f"{name} is matched and not granted")
    for code, name in NEVER.items():
        true(not grants(DISTRIBUTION, code), f"{name} is granted and never matched")


@test
def who_may_open():
    """only a build for development lets any program in; neither has a key that nobody has looked up"""
    true(DEVELOPMENT[ANY_CLIENT] is True, "for development no program could open it")
    true(ANY_CLIENT not in DISTRIBUTION, "any program could open it")
    for entitlements in (DEVELOPMENT, DISTRIBUTION):
        true(CLIENT not in entitlements, "that is for the other side")
        equal({key: value for key, value in entitlements.items() if key not in (PCI, ANY_CLIENT)},
              {"com.apple.developer.driverkit": True, "com.apple.security.app-sandbox": True}, "the rest")


@test
def clients_are_let_in():
    """the host's programs carry all that the extension asks of who opens it, and the app does not"""
    wanted = {tuple(tuple(all_of) for all_of in one["UserClientProperties"]["IOServiceDEXTEntitlements"])
              for one in PERSONALITIES.values()}
    equal(wanted, {(("com.apple.security.hypervisor",),)}, "what is asked")
    development = plist("cli", "quiver.entitlements")
    distribution = plist("cli", "Distribution.entitlements")
    equal(development, {"com.apple.security.hypervisor": True}, "for development")
    equal(distribution, {**development, CLIENT: ["$(QUIVER_BUNDLE_ID).driver"],
                         "com.apple.security.cs.disable-library-validation": True}, "for distribution")
    equal(plist("app", "Quiver.entitlements"), {"com.apple.developer.system-extension.install": True,
                                                "com.apple.security.app-sandbox": True}, "the app")


@test
def simulated_mac_reads_it():
    """the simulated Mac makes its table of the same classes"""
    with tempfile.TemporaryDirectory() as folder:
        out = os.path.join(folder, "table.cpp")
        subprocess.run([sys.executable, os.path.join(TOP, "simmac/driverkit/personalities.py"),
                        os.path.join(TOP, "dext/Info.plist"), out], check=True)
        with open(out, encoding="utf-8") as file:
            table = re.findall(r"^\t\{ (0x\w+), (0x\w+) \},$", file.read(), re.M)
    equal([(int(value, 16), int(mask, 16)) for value, mask in table],
          [pair for one in PERSONALITIES.values() for pair in terms(one["IOPCIClassMatch"], 0xFFFFFF00)],
          "the table")


sys.exit(run_tests())
