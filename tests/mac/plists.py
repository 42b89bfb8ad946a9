# SPDX-License-Identifier: BSD-3-Clause
"""Property lists of the product, and IOPCIFamily's way of reading what is matched. For the tests of tests/mac."""

import os
import plistlib
import re
import sys

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(TOP, "tests", "cli"))

PCI = "com.apple.developer.driverkit.transport.pci"
ANY_CLIENT = "com.apple.developer.driverkit.allow-any-userclient-access"
CLIENT = "com.apple.developer.driverkit.userclient-access"

# The registers that a key is compared with, and the mask of a value that has none.
KEYS = {"IOPCIClassMatch": (8, 0xFFFFFF00), "IOPCIPrimaryMatch": (0, 0xFFFFFFFF),
        "IOPCISecondaryMatch": (0x2C, 0xFFFFFFFF)}


def text(*path):
    with open(os.path.join(TOP, *path), encoding="utf-8") as file:
        return file.read()


def plist(*path):
    with open(os.path.join(TOP, *path), "rb") as file:
        return plistlib.load(file)


def terms(value, default):
    """'0x03000000&0xffff0000 0x12000000' as pairs; anything else is an error."""
    pairs = []
    for term in value.split(" "):
        match = re.fullmatch(r"0x([0-9a-fA-F]{8})(?:&0x([0-9a-fA-F]{8}))?", term)
        if not match:
            raise ValueError(f"{term!r} is no value or value&mask of eight digits")
        pairs.append((int(match[1], 16), int(match[2], 16) if match[2] else default))
    return pairs


def matches(table, registers):
    """All keys of a table must match; of a key's values, one."""
    known = [key for key in KEYS if key in table]
    if not known:
        return False
    return all(any(value & mask == registers[KEYS[key][0]] & mask
                   for value, mask in terms(table[key], KEYS[key][1])) for key in known)


def device(vendor, product, class_code):
    return {0: product << 16 | vendor, 8: class_code << 8 | 0xA1, 0x2C: 0}
