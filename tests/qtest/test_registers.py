# SPDX-License-Identifier: BSD-3-Clause
"""Global registers: negotiation, and accesses that no driver makes."""

import random

from driver import (
    BUDGET, DEVICE_FEATURES, DEVICES, DRIVER_FEATURES, DRIVER_OK, ENABLE, ENTRIES_MAX, FAILED, FLAGS,
    GRANULE_SHIFT, GUEST_STATS, LINK_TB5, MAGIC, PRESENT, QUEUES, STATUS, STATUS_PAGE, TSO, Driver)
from machine import RAM_BASE, qemu_fails

ALWAYS = STATUS_PAGE | BUDGET | GUEST_STATS  # features of any machine
ONE = {"devices": ["endpoint"], "hosts": ["host=1912:0028"]}


def bench(**kwargs):
    def mark(function):
        function.bench = dict(ONE, **kwargs)
        return function

    return mark


@bench()
def says_who_it_is(b):
    assert b.dma.read(0) == 0x51561234
    expected = {MAGIC: 0x52565551, QUEUES: 64, DEVICES: 64, GRANULE_SHIFT: 14,
                DEVICE_FEATURES: ALWAYS, DEVICE_FEATURES + 4: 0, ENTRIES_MAX: 4096, STATUS: 0}
    for reg, value in expected.items():
        assert b.dma.load(0, reg) == value, hex(reg)
    assert Driver(b).errors() == 0


@bench()
def features_that_are_offered_are_accepted(b):
    for features in range(4):
        assert Driver(b).start(features) == DRIVER_OK
        assert b.dma.load(0, DRIVER_FEATURES) == features


@bench()
def a_feature_that_is_not_offered_fails_until_reset(b):
    driver = Driver(b)
    for word, bit in ((0, 4), (0, 1 << 31), (4, 1)):
        driver.dma.store(0, STATUS, 0)
        driver.dma.store(0, DRIVER_FEATURES + word, bit)
        driver.dma.store(0, STATUS, DRIVER_OK)
        assert driver.dma.load(0, STATUS) & FAILED
        driver.dma.store(0, STATUS, DRIVER_OK)
        assert driver.dma.load(0, STATUS) & FAILED
        assert driver.attach() == 0
        assert driver.enable() == 0
    assert driver.start() == DRIVER_OK


@bench(dma=",tso=on", accel="tcg")
def TSO_is_offered_if_the_host_says_so(b):
    assert b.dma.load(0, DEVICE_FEATURES) == ALWAYS | TSO
    assert b.dma.load(0, DEVICE_FEATURES + 4) == 0
    for features in range(8):
        assert Driver(b).start(features) == DRIVER_OK
        assert b.dma.load(0, DRIVER_FEATURES) == features
    assert Driver(b).start(8) & FAILED


@bench(dma=",tso=off", accel="tcg")
def TSO_is_not_offered_unasked(b):
    assert b.dma.load(0, DEVICE_FEATURES) == ALWAYS
    assert Driver(b).start(TSO) & FAILED


@bench()
def TSO_is_never_promised_where_nothing_is_known_of_it(b):
    said = qemu_fails("-accel", "qtest", "-device", "quiver-dma,tso=on")
    assert "tso=on: nothing is known of TSO with QTest" in said, said


@bench()
def status_bits_that_no_driver_writes_fail(b):
    driver = Driver(b)
    for value in (2, 3, 4, 0x80000001):
        driver.start()
        driver.dma.store(0, STATUS, value)
        assert driver.dma.load(0, STATUS) & FAILED, value
    assert driver.start() == DRIVER_OK


@bench()
def features_do_not_change_while_running(b):
    driver = Driver(b)
    driver.start(features=1)
    before = driver.errors()
    driver.dma.store(0, DRIVER_FEATURES, 0)
    assert driver.dma.load(0, DRIVER_FEATURES) == 1
    assert driver.errors() == before + 1


@bench()
def other_widths_and_alignments_are_errors(b):
    driver = Driver(b)
    driver.start()
    accesses = [(0, 1), (0, 2), (0, 8), (1, 4), (2, 4), (STATUS, 1), (0x1008, 8), (0x200A, 2)]
    for offset, width in accesses:
        before = driver.errors()
        assert b.dma.load(0, offset, width) == 0, (offset, width)
        assert driver.errors() == before + 1, (offset, width)
        b.dma.store(0, offset, 0, width)
        assert driver.errors() == before + 2, (offset, width)
    assert b.dma.load(0, STATUS) == DRIVER_OK


@bench()
def holes_and_reserved_fields_are_errors(b):
    driver = Driver(b)
    driver.start()
    for offset in (0x34, 0x3C, 0x40, 0xFFC, 0x1014, 0x103C, 0x2034, 0x203C, 0x3000, 0x3FFC):
        before = driver.errors()
        assert b.dma.load(0, offset) == 0, hex(offset)
        b.dma.store(0, offset, 0xFFFFFFFF)
        assert driver.errors() == before + 2, hex(offset)
    for offset in (MAGIC, QUEUES, DEVICE_FEATURES, 0x28, 0x2000, 0x2004, 0x200C, 0x2010, 0x2030):
        before, value = driver.errors(), b.dma.load(0, offset)
        b.dma.store(0, offset, ~value & 0xFFFFFFFF)
        assert b.dma.load(0, offset) == value, hex(offset)
        assert driver.errors() == before + 1, hex(offset)


@bench()
def nothing_moves_before_DRIVER_OK(b):
    driver = Driver(b)
    before = driver.errors()
    assert driver.enable() == 0
    assert driver.attach() == 0
    assert driver.errors() > before
    assert driver.queue(0, ENABLE) == 0


@bench()
def the_status_page_is_read_only(b):
    driver = Driver(b)
    before = driver.counter(0)
    assert before > 1 << 30
    b.qemu.put(b.dma.bar[2], b"\xff" * 16)
    assert driver.counter(0) == before


@bench(devices=["endpoint", "endpoint,name=second"], hosts=["host=1912:0028#0", "host=1912:0028#1"])
def records_tell_where_devices_are(b):
    driver = Driver(b)
    for index in range(64):
        there = index < 2
        assert driver.record(index, FLAGS) == (PRESENT if there else 0)
        assert driver.record(index, 4) == ((index + 1) << 8 if there else 0)
    # The guest renumbers its buses.
    b.ports[0].write(0x18, 0x1616 << 8)
    assert driver.record(0, 4) == 0x1600


@bench(devices=[f"endpoint,name=e{n}" for n in range(4)],
       hosts=["host=1912:0028#0,thunderbolt=5", "host=1912:0028#1,thunderbolt=4",
              "host=1912:0028#2,thunderbolt=3", "host=1912:0028#3,thunderbolt=0"])
def a_link_of_Thunderbolt_5_is_told(b):
    flags = [Driver(b).record(index, FLAGS) for index in range(5)]
    assert flags == [PRESENT | LINK_TB5, PRESENT, PRESENT, PRESENT, 0]


@bench(hosts=[""])
def generations_of_Thunderbolt_that_there_are_not_are_refused(b):
    for generation in (1, 2, 6, 255):
        said = b.qemu.refusal(host="1912:0028", thunderbolt=generation)
        assert f"thunderbolt={generation}: it is 3, 4, 5" in said, said
    assert b.qemu.refusal(host="1912:0028", thunderbolt=256)
    assert Driver(b).record(0, FLAGS) == 0


@bench()
def fuzzed_registers_do_no_harm(b):
    driver = Driver(b)
    generator = random.Random(1)
    pool = [0, 1, 2, 3, 0x40, 4096, 4097, 0xFFFFFFFF, RAM_BASE, 0x1000]
    for _ in range(4000):
        offset = generator.choice([generator.randrange(0x4000), STATUS, 0x1000, 0x1008, 0x100C,
                                   0x1010, 0x2008, DRIVER_FEATURES])
        width = generator.choice([1, 2, 4, 4, 4, 4, 8])
        offset = min(offset, 0x4000 - width)
        if generator.random() < 0.5:
            b.dma.load(0, offset, width)
        else:
            b.dma.store(0, offset, generator.choice(pool), width)
    assert driver.start() == DRIVER_OK
    assert driver.ready().map(RAM_BASE)[0] == 0
