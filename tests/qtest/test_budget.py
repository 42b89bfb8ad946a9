# SPDX-License-Identifier: BSD-3-Clause
"""The budget: limits, reserve and shares as a guest and a user see them, and that DART is never asked."""

import json

from driver import (
    BUDGET, BYTES, GRANULE, INVAL, MAP, MAPPINGS, OK, READ, UNMAP, VITAL, VITAL_MAX, WRITE, Driver)
from machine import RAM_BASE, entry
from test_registers import bench

# A DART of 256 MiB and 1,000 mappings: shares of 16 MiB and 62, a reserve of 5,368,710 bytes and 20.
MIB = 1 << 20
LIMIT, MANY = 256 * MIB, 1000
RESERVE, FEW = 5368710, 20
SHARE, SHARES = 16 * MIB, 62
SMALL = ["--limit-bytes", str(LIMIT), "--limit-mappings", str(MANY)]
TWO = {"devices": ["endpoint", "endpoint,name=second"],
       "hosts": ["host=1912:0028#0", "host=1912:0028#1"]}

PAGE = 8  # bytes of a field of the status page
TOTALS = ["bytes_limit", "bytes_reserve", "bytes_borrowed", "bytes_guarantee", "bytes_used",
          "bytes_peak", "mappings_limit", "mappings_reserve", "mappings_borrowed",
          "mappings_guarantee", "mappings_used", "mappings_peak", "pressure"]
DEVICE = ["bytes", "bytes_peak", "bytes_room", "mappings", "mappings_peak", "mappings_room", "maps",
          "unmaps", "refused_bytes", "refused_mappings", "refused_reserve", "refused_share", "failed",
          "interrupts"]
DEVICES_AT, DEVICE_SIZE = 0x200, 0x80


def totals(driver):
    return {name: driver.counter(i * PAGE) for i, name in enumerate(TOTALS)}


def device(driver, index=0):
    at = DEVICES_AT + index * DEVICE_SIZE
    return {name: driver.counter(at + i * PAGE) for i, name in enumerate(DEVICE)}


def maps(count, size=GRANULE, index=0, flags=READ | WRITE):
    return [entry(MAP, index, RAM_BASE + i * size % LIMIT, size, 0, flags) for i in range(count)]


def dart_maps(b, index=0):
    """How often the Mac was asked, and how often it mapped for this device."""
    state = json.loads(b.mac.control("state"))
    return state["calls"].get("IODMACommand::PrepareForDMA", 0), state["devices"][index]["maps"]


@bench(options=SMALL)
def the_limits_of_a_small_DART_are_the_guests(b):
    driver = Driver(b).ready()
    page = totals(driver)
    assert page["bytes_limit"] == LIMIT and page["bytes_reserve"] == RESERVE
    assert page["mappings_limit"] == MANY and page["mappings_reserve"] == FEW
    assert page["bytes_guarantee"] == SHARE and page["mappings_guarantee"] == SHARES
    assert page["pressure"] == 0
    assert device(driver)["bytes_room"] == LIMIT - RESERVE
    assert device(driver)["mappings_room"] == MANY - FEW


@bench(options=SMALL)
def a_map_that_cannot_be_had_costs_no_DART_call(b):
    driver = Driver(b).ready()
    assert all(status == OK for status, _ in driver.run(maps(MANY - FEW)))
    before = dart_maps(b)
    assert before == (MANY - FEW, MANY - FEW)
    assert [status for status, _ in driver.run(maps(500))] == [MAPPINGS] * 500
    large = [entry(MAP, 0, RAM_BASE, LIMIT, 0, READ)] * 50
    assert [status for status, _ in driver.run(large)] == [BYTES] * 50
    assert dart_maps(b) == before
    counters = device(driver)
    assert counters["refused_reserve"] == 500
    assert counters["refused_bytes"] == 50
    assert counters["mappings"] == counters["maps"] == MANY - FEW
    assert driver.errors() == 0


@bench(options=SMALL)
def the_reserve_is_for_vital_maps(b):
    driver = Driver(b).ready(features=BUDGET)
    driver.run(maps(MANY - FEW - 1))
    assert totals(driver)["pressure"] == 2
    assert driver.map(RAM_BASE)[0] == OK
    assert driver.map(RAM_BASE)[0] == MAPPINGS
    assert totals(driver)["pressure"] == 3
    vital = READ | WRITE | VITAL
    assert driver.map(RAM_BASE, VITAL_MAX + GRANULE, flags=vital)[0] == MAPPINGS
    granted = driver.run(maps(FEW + 2, flags=vital))
    assert [status for status, _ in granted] == [OK] * FEW + [MAPPINGS] * 2
    counters = device(driver)
    assert counters["refused_reserve"] == 2 and counters["refused_mappings"] == 2
    assert totals(driver)["mappings_used"] == MANY == dart_maps(b)[1]
    assert totals(driver)["mappings_borrowed"] == FEW
    # What is released pays back first.
    assert driver.unmap(granted[0][1]) == OK
    assert totals(driver)["mappings_borrowed"] == FEW - 1
    assert driver.map(RAM_BASE)[0] == MAPPINGS
    assert driver.map(RAM_BASE, VITAL_MAX, flags=vital)[0] == OK


@bench(options=SMALL)
def vital_bytes_come_out_of_the_reserve_too(b):
    driver = Driver(b).ready(features=BUDGET)
    room = device(driver)["bytes_room"] // GRANULE * GRANULE
    assert driver.map(RAM_BASE, room)[0] == OK
    assert driver.map(RAM_BASE)[0] == BYTES
    assert driver.map(RAM_BASE, flags=READ | VITAL)[0] == OK
    assert device(driver)["bytes"] == room + GRANULE > LIMIT - RESERVE
    assert device(driver)["refused_reserve"] == 1


@bench(options=SMALL)
def vital_is_refused_to_a_driver_that_has_not_accepted_it(b):
    driver = Driver(b).ready(features=0)
    assert driver.map(RAM_BASE, flags=READ | VITAL)[0] == INVAL
    assert driver.errors() == 1
    driver = Driver(b).ready(features=BUDGET)
    assert driver.map(RAM_BASE, flags=READ | VITAL)[0] == OK
    assert driver.map(RAM_BASE, flags=VITAL)[0] == INVAL


@bench(options=SMALL, **TWO)
def one_device_cannot_take_the_others_share(b):
    driver = Driver(b).ready()
    driver.attach(1)
    mine = MANY - FEW - SHARES
    statuses = [status for status, _ in driver.run(maps(mine + 5))]
    assert statuses == [OK] * mine + [MAPPINGS] * 5
    assert device(driver, 0)["refused_share"] == 5
    assert device(driver, 0)["mappings_room"] == 0
    assert device(driver, 1)["mappings_room"] == SHARES
    before = dart_maps(b)
    other = driver.run(maps(SHARES + 1, index=1))
    assert [status for status, _ in other] == [OK] * SHARES + [MAPPINGS]
    assert device(driver, 1)["refused_reserve"] == 1
    assert dart_maps(b, 1) == (before[0] + SHARES, SHARES)


@bench(options=SMALL, **TWO)
def vital_maps_leave_the_others_their_share(b):
    driver = Driver(b).ready(features=BUDGET)
    driver.attach(1)
    mine = MANY - FEW - SHARES
    granted = driver.run(maps(MANY, flags=READ | WRITE | VITAL))
    assert [status for status, _ in granted] == [OK] * (mine + FEW) + [MAPPINGS] * SHARES
    assert device(driver, 1)["mappings_room"] == SHARES
    assert all(status == OK for status, _ in driver.run(maps(SHARES, index=1)))
    assert totals(driver)["mappings_used"] == MANY


@bench(options=SMALL, **TWO)
def a_share_is_given_back_by_its_detach(b):
    driver = Driver(b).ready()
    driver.attach(1)
    whole = device(driver, 0)["bytes_room"]
    assert whole == LIMIT - RESERVE - SHARE
    assert driver.map(RAM_BASE, 128 * MIB, device=1)[0] == OK
    assert device(driver, 0)["bytes_room"] == LIMIT - RESERVE - 128 * MIB
    driver.detach(1)
    assert device(driver, 0)["bytes_room"] == LIMIT - RESERVE
    assert device(driver, 1)["bytes_room"] == device(driver, 1)["bytes"] == 0
    assert device(driver, 1)["bytes_peak"] == 128 * MIB
    driver.attach(1)
    assert device(driver, 0)["bytes_room"] == whole
    assert device(driver, 1)["bytes_peak"] == 0


@bench(options=SMALL)
def peaks_and_pressure_follow_what_is_mapped(b):
    driver = Driver(b).ready()
    at = []
    for size in (192 * MIB - GRANULE, GRANULE, 39 * MIB):
        status, iova = driver.map(RAM_BASE, size)
        assert status == OK
        at.append((iova, size, totals(driver)["pressure"]))
    assert [pressure for _, _, pressure in at] == [0, 1, 2]
    for iova, size, _ in at:
        assert driver.unmap(iova, size) == OK
    page = totals(driver)
    assert page["bytes_peak"] == 231 * MIB and page["mappings_peak"] == 3
    assert page["bytes_used"] == page["mappings_used"] == page["pressure"] == 0
    assert device(driver)["bytes_peak"] == 231 * MIB
    assert device(driver)["maps"] == device(driver)["unmaps"] == 3


@bench(options=SMALL)
def an_unmap_in_the_same_batch_makes_room(b):
    driver = Driver(b).ready()
    granted = driver.run(maps(MANY - FEW))
    batch = [entry(UNMAP, 0, 0, GRANULE, granted[0][1])] + maps(2)
    assert [status for status, _ in driver.run(batch)] == [OK, OK, MAPPINGS]
    assert device(driver)["refused_reserve"] == 1


@bench(options=SMALL, **TWO)
def the_users_JSON_says_the_same(b):
    driver = Driver(b).ready(features=BUDGET)
    driver.attach(1)
    driver.map(RAM_BASE, 4 * MIB)
    driver.map(RAM_BASE, 300 * MIB)  # beyond the guest's RAM
    _, iova = driver.map(RAM_BASE, 2 * MIB, device=1)
    driver.unmap(iova, 2 * MIB, device=1)
    driver.one(MAP, 1, RAM_BASE + 1, GRANULE, 0, READ)
    stats = driver.stats()
    assert stats == {
        "bytes": {"limit": LIMIT, "reserve": RESERVE, "borrowed": 0, "guarantee": SHARE,
                  "used": 4 * MIB, "peak": 6 * MIB},
        "mappings": {"limit": MANY, "reserve": FEW, "borrowed": 0, "guarantee": SHARES,
                     "used": 1, "peak": 2},
        "pressure": "none", "doorbells": 5, "entries": 5, "guest_errors": 2, "aperture": 0,
        "devices": [
            {"id": "pci0", "host": stats["devices"][0]["host"], "record": 0, "attached": True,
             "generation": driver.record(0, 12), "aperture_pieces": 0,
             "bytes": {"used": 4 * MIB, "peak": 4 * MIB, "room": LIMIT - RESERVE - SHARE - 4 * MIB},
             "mappings": {"used": 1, "peak": 1, "room": MANY - FEW - SHARES - 1},
             "refused": {"bytes": 0, "mappings": 0, "reserve": 0, "share": 0},
             "maps": 1, "unmaps": 0, "failed": 1, "interrupts": 0},
            {"id": "pci1", "host": stats["devices"][1]["host"], "record": 1, "attached": True,
             "generation": driver.record(1, 12), "aperture_pieces": 0,
             "bytes": {"used": 0, "peak": 2 * MIB, "room": LIMIT - RESERVE - 12 * MIB - 4 * MIB},
             "mappings": {"used": 0, "peak": 1, "room": MANY - FEW - (SHARES - 1) - 1},
             "refused": {"bytes": 0, "mappings": 0, "reserve": 0, "share": 0},
             "maps": 1, "unmaps": 1, "failed": 1, "interrupts": 0},
        ],
    }, stats
    assert all(one["host"].startswith("1912:0028 ") for one in stats["devices"])
    driver.map(RAM_BASE, 256 * MIB)
    assert driver.stats()["devices"][0]["refused"]["bytes"] == 1
    driver.detach(1)
    assert driver.stats()["devices"][1]["attached"] is False
