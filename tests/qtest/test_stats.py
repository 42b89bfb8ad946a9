# SPDX-License-Identifier: BSD-3-Clause
"""The guest's own counters: shown to whoever asks QEMU, and believed by nobody."""

import struct

from driver import (
    DRIVER_OK, FAILED, GUEST_HI, GUEST_LO, GUEST_STATS, RECORDS, STATUS, Driver)
from machine import RAM_BASE, RAM_SIZE, wait_for
from test_registers import bench
from test_unplug import plug, system_reset, unplug, wait_until_back, wait_until_gone

PAGE = RAM_BASE + (8 << 20)
WORDS = 16  # of the machine, and of each device
FIRST = 64  # word at which devices begin
LENGTH = 8 * (FIRST + WORDS * RECORDS)
MOST = (1 << 63) - 1  # that is shown
MACHINE = ["updates", "page_size", "total", "usable", "aperture", "aperture_online", "aperture_free",
           "aperture_shared"]
DEVICE = ["aperture_segments", "aperture_bytes", "window_segments", "window_bytes", "exits", "windows",
          "windows_bytes", "used_bytes"]
PAGES = ["steered", "offline", "full", "cpuset", "unseen"]
TWO = {"devices": ["endpoint", "endpoint,name=second"], "hosts": ["host=1912:0028#0", "host=1912:0028#1"]}


def numbered(attached=1):
    """A page with a number of its own in each word."""
    words = [1000 + n for n in range(LENGTH // 8)]
    for device in range(RECORDS):
        words[FIRST + WORDS * device] = attached
    return words


def keep(b, words, address=PAGE):
    b.qemu.put(address, struct.pack(f"<{len(words)}Q", *words))


def say(driver, address=PAGE):
    driver.dma.store(0, GUEST_HI, address >> 32)
    driver.dma.store(0, GUEST_LO, address & 0xFFFFFFFF)


def expected(names, words):
    return {**dict(zip(names, words)), "pages": dict(zip(PAGES, words[len(names):]))}


def unknown(driver):
    stats = driver.stats()
    return "guest" not in stats and not any("guest" in device for device in stats["devices"])


def lose_BAR(b):
    """As a kernel does that has just been started, and then gives it its place."""
    b.dma.write(0x10, 0xFFFFFFFF)
    b.dma.write(0x10, b.dma.bar[0])


def begin(b):
    """A guest that counts, and is believed to."""
    driver = Driver(b).ready(features=GUEST_STATS)
    keep(b, numbered())
    say(driver)
    assert not unknown(driver)
    return driver


@bench(**TWO)
def what_the_guest_counts_is_shown(b):
    driver, words = Driver(b), numbered()
    assert driver.start(GUEST_STATS) == DRIVER_OK and unknown(driver)
    for port in range(2):
        assert driver.find(port).attach()
    keep(b, words)
    say(driver)
    stats = driver.stats()
    assert stats["guest"] == expected(MACHINE, words)
    for device in stats["devices"]:
        at = FIRST + WORDS * device["record"] + 1
        assert device["guest"] == expected(DEVICE, words[at:])
        assert device["aperture_pieces"] == 0
    assert stats["aperture"] == 0
    words[4] = 7
    keep(b, words)
    assert driver.stats()["guest"]["aperture"] == 7
    assert driver.errors() == 0
    assert [driver.dma.load(0, reg) for reg in (GUEST_LO, GUEST_HI)] == [PAGE & 0xFFFFFFFF, PAGE >> 32]


@bench(**TWO)
def of_a_device_that_it_does_not_have_it_says_nothing(b):
    driver, words = begin(b), numbered()
    driver.find(1)
    devices = {device["record"]: device for device in driver.stats()["devices"]}
    assert "guest" not in devices[driver.device]  # not attached
    driver.attach()
    words[FIRST + WORDS * driver.device] = 0
    keep(b, words)
    devices = {device["record"]: device for device in driver.stats()["devices"]}
    assert sorted("guest" in device for device in devices.values()) == [False, True]
    assert "guest" not in devices[driver.device]


@bench()
def a_page_that_was_never_written_says_nothing(b):
    driver = Driver(b).ready(features=GUEST_STATS)
    keep(b, [0] * (LENGTH // 8))
    say(driver)
    assert unknown(driver)
    keep(b, numbered())
    assert not unknown(driver)
    say(driver, 0)
    assert unknown(driver)


@bench()
def an_address_that_is_not_RAM_says_nothing(b):
    driver = begin(b)
    before = driver.errors()
    for address in (b.dma.bar[0], b.devices[0].bar[0], RAM_BASE - LENGTH, RAM_BASE - 64, RAM_BASE + RAM_SIZE - 64,
                    RAM_BASE + RAM_SIZE, PAGE + 8, PAGE + 1, 64, (1 << 64) - 64, (1 << 63), (1 << 64) - LENGTH,
                    0xFFFFFFC0):
        say(driver, address)
        assert unknown(driver), hex(address)
    assert driver.errors() == before
    say(driver)
    assert not unknown(driver)


@bench()
def numbers_that_no_JSON_has_are_the_largest_that_it_has(b):
    driver, words = begin(b), [(1 << 64) - 1] * (LENGTH // 8)
    keep(b, words)
    stats = driver.stats()
    assert stats["guest"] == expected(MACHINE, [MOST] * WORDS)
    assert stats["devices"][0]["guest"] == expected(DEVICE, [MOST] * WORDS)


@bench()
def without_the_feature_there_is_no_register(b):
    driver = Driver(b).ready()
    keep(b, numbered())
    before = driver.errors()
    say(driver)
    assert driver.errors() == before + 2 and unknown(driver)
    assert driver.dma.load(0, GUEST_LO) == 0 and driver.errors() == before + 2


@bench()
def before_DRIVER_OK_there_is_no_register(b):
    driver = Driver(b)
    driver.dma.store(0, STATUS, 0)
    driver.dma.store(0, 0x18, GUEST_STATS)
    before = driver.errors()
    say(driver)
    assert driver.errors() == before + 2 and driver.dma.load(0, GUEST_LO) == 0


@bench()
def a_reset_forgets_where_it_was(b):
    for reset in (lambda: b.dma.store(0, STATUS, 0), lambda: lose_BAR(b), lambda: system_reset(b)):
        driver = begin(b)
        reset()
        assert unknown(driver)
        b.place(0)
        keep(b, numbered())
        assert driver.ready(features=GUEST_STATS) and unknown(driver)
        assert driver.dma.load(0, GUEST_LO) == 0 and driver.dma.load(0, GUEST_HI) == 0


@bench()
def a_device_that_was_pulled_leaves_nothing_behind(b):
    driver = begin(b)
    unplug(b)
    wait_until_gone(b)
    assert "guest" in driver.stats() and not any("guest" in one for one in driver.stats()["devices"])
    plug(b)
    wait_until_back(b)
    # Not before the driver of the new one has it attached.
    assert not any("guest" in one for one in driver.stats()["devices"])


@bench()
def a_quiver_dma_that_failed_still_shows_it(b):
    driver = begin(b)
    driver.dma.store(0, STATUS, 2)
    assert driver.dma.load(0, STATUS) & FAILED
    wait_for(lambda: "guest" in driver.stats(), "what the guest counted")
