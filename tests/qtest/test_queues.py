# SPDX-License-Identifier: BSD-3-Clause
"""Queues: set-up, doorbells."""

from driver import (
    BASE_LO, BATCH, BATCH_STRIDE, DOORBELL, ENABLE, ENTRIES, MAP, OK, PENDING, WRITE, Driver)
from machine import MMIO, RAM_BASE, RAM_SIZE, entry, unpack_entry
from test_registers import bench

END = RAM_BASE + RAM_SIZE


@bench()
def bad_queues_are_refused(b):
    driver = Driver(b)
    driver.start()
    bad = [
        (BATCH + 32, 16), (BATCH + 1, 16), (BATCH, 0), (BATCH, 4097), (BATCH, 0xFFFFFFFF),
        (END - 64, 3), (END, 1), (MMIO, 1), (0, 1), (2**64 - 64, 3), (2**64 - 64, 2),
        (b.dma.bar[0] + 0x1000, 1), (b.dma.bar[2], 1), (b.devices[0].bar[3], 1),
    ]
    for base, entries in bad:
        before = driver.errors()
        assert driver.enable(0, base, entries) == 0, (hex(base), entries)
        assert driver.errors() == before + 1, (hex(base), entries)
    assert driver.enable(0, END - 64, 2) == 1


@bench()
def a_queue_does_not_change_while_enabled(b):
    driver = Driver(b)
    driver.start()
    assert driver.enable(5) == 1
    before = driver.errors()
    driver.queue(5, BASE_LO, 0)
    driver.queue(5, ENTRIES, 1)
    driver.queue(5, ENABLE, 2)
    assert driver.errors() == before + 3
    assert driver.queue(5, ENTRIES) == 4096
    assert driver.queue(5, BASE_LO) == BATCH + 5 * BATCH_STRIDE
    driver.queue(5, ENABLE, 1)
    assert driver.errors() == before + 3
    driver.queue(5, ENABLE, 0)
    driver.queue(5, ENTRIES, 1)
    assert driver.queue(5, ENTRIES) == 1


@bench()
def bad_doorbells_run_nothing(b):
    driver = Driver(b)
    driver.start()
    driver.attach()
    driver.enable(0, entries=4)
    b.qemu.put(BATCH, entry(MAP, 0, RAM_BASE, 16384, 0, WRITE))
    for count in (0, 5, 0xFFFFFFFF):
        before = driver.errors()
        driver.queue(0, DOORBELL, count)
        assert driver.errors() == before + 1, count
    driver.queue(1, DOORBELL, 1)
    assert driver.errors() == before + 2
    driver.queue(0, ENABLE, 0)
    driver.queue(0, DOORBELL, 1)
    assert driver.errors() == before + 3
    assert unpack_entry(b.qemu.get(BATCH, 32))[0] == PENDING
    assert driver.mappings() == 0
    assert driver.queue(0, DOORBELL) == 0


@bench()
def sixty_four_queues_serve_one_device(b):
    driver = Driver(b)
    driver.start()
    driver.attach()
    for index in range(64):
        assert driver.enable(index, entries=8) == 1
    for index in range(64):
        gpa = RAM_BASE + index * 16384
        status, iova = driver.run([entry(MAP, 0, gpa, 16384, 0, WRITE)], queue=index)[0]
        assert (status, iova % 16384) == (OK, 0) and iova
    assert driver.mappings() == 64
    assert b.qemu.property("dma", "doorbells") == 64
    driver.queue(64, ENABLE, 1)
    assert driver.errors() == 1


@bench()
def a_full_batch_runs_in_order(b):
    driver = Driver(b).ready()
    maps = driver.run([entry(MAP, 0, RAM_BASE + 16384 * (i % 512), 16384, 0, WRITE)
                       for i in range(4096)])
    assert all(status == OK for status, _ in maps)
    assert len({iova for _, iova in maps}) == 4096
    unmaps = driver.run([entry(2, 0, 0, 16384, iova) for _, iova in maps])
    assert all(status == OK for status, _ in unmaps)
    assert driver.mappings() == 0
    assert b.qemu.property("dma", "doorbells") == 2
    assert b.qemu.property("dma", "entries") == 8192
