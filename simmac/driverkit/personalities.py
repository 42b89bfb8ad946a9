#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Turns an extension's Info.plist into the table that the simulated Mac matches with.

usage: personalities.py Info.plist OUT.cpp
"""
import plistlib
import sys


def classes(text):
    for term in text.split():
        value, _, mask = term.partition("&")
        yield int(value, 16), int(mask, 16) if mask else 0xFFFFFF00


def main():
    with open(sys.argv[1], "rb") as file:
        personalities = plistlib.load(file)["IOKitPersonalities"].values()
    out = ["// SPDX-License-Identifier: BSD-3-Clause", '#include "runtime.h"', ""]
    rows = []
    for n, p in enumerate(personalities):
        if p["IOProviderClass"] != "IOPCIDevice":
            sys.exit("only IOPCIDevice can be matched")
        match = list(classes(p["IOPCIClassMatch"]))
        clients = [(key, value["IOUserClass"]) for key, value in p.items()
                   if isinstance(value, dict) and "IOUserClass" in value]
        out.append(f"static const uint32_t classes{n}[][2] = {{")
        out += [f"\t{{ {value:#010x}, {mask:#010x} }}," for value, mask in match]
        out += ["};", f"static const simmac_property_class clients{n}[] = {{"]
        out += [f'\t{{ "{key}", "{user_class}" }},' for key, user_class in clients]
        out += ["};", ""]
        rows.append(f'\t{{ "{p["IOUserClass"]}", classes{n}, {len(match)}, '
                    f"clients{n}, {len(clients)} }},")
    out += ["const simmac_personality simmac_personalities[] = {", *rows, "};",
            f"const size_t simmac_personality_count = {len(rows)};", ""]
    with open(sys.argv[2], "w", encoding="utf-8") as file:
        file.write("\n".join(out))


main()
