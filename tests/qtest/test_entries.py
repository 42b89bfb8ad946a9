# SPDX-License-Identifier: BSD-3-Clause
"""Entries: what each malformed one gets, and what a good one does."""

import mmap
import multiprocessing
import os
import random

from driver import (
    BATCH, BYTES, DOORBELL, FAULT, GRANULE, INVAL, MAP, MAPPINGS, NODEV, NOENT, OK, READ, UNMAP,
    WRITE, Driver, Endpoint)
from machine import MASTER, COMMAND, MMIO, RAM_BASE, RAM_SIZE, entry, wait_for
from test_registers import bench

BUFFER = RAM_BASE + (64 << 20)
END = RAM_BASE + RAM_SIZE


@bench()
def a_mapping_can_be_used_and_undone(b):
    driver, endpoint = Driver(b).ready(), Endpoint(b.devices[0])
    b.devices[0].set_bits(COMMAND, MASTER)
    status, iova = driver.map(BUFFER, 2 * GRANULE)
    assert status == OK and iova and iova % GRANULE == 0
    b.qemu.put(BUFFER + 100, b"quiver" * 5)
    endpoint.start(endpoint.COPY, iova + 100, iova + GRANULE, 30)
    wait_for(lambda: endpoint.get(endpoint.STATUS) & endpoint.COPY_OK, "the copy")
    assert b.qemu.get(BUFFER + GRANULE, 30) == b"quiver" * 5
    assert driver.unmap(iova, 2 * GRANULE) == OK
    assert driver.mappings() == 0
    assert driver.errors() == 0


@bench()
def malformed_entries_are_INVAL(b):
    driver = Driver(b).ready()
    bad = [
        entry(0, 0, BUFFER, GRANULE, 0, READ), entry(3, 0, BUFFER, GRANULE, 0, READ),
        entry(255, 0, BUFFER, GRANULE, 0, READ), entry(MAP, 0, BUFFER, GRANULE, 0, 0),
        entry(MAP, 0, BUFFER, GRANULE, 0, 4), entry(MAP, 0, BUFFER, GRANULE, 0, 0xFF),
        entry(MAP, 0, BUFFER + 4096, GRANULE, 0, READ), entry(MAP, 0, BUFFER, 4096, 0, READ),
        entry(MAP, 0, BUFFER, 0, 0, READ), entry(MAP, 0, BUFFER, GRANULE + 1, 0, READ),
        entry(MAP, 0, 2**64 - GRANULE, 2 * GRANULE, 0, READ),
        entry(MAP, 0, GRANULE, 2**64 - GRANULE + 1, 0, READ),
        entry(UNMAP, 0, 0, GRANULE, GRANULE, READ), entry(UNMAP, 0, BUFFER, GRANULE, GRANULE),
        entry(UNMAP, 0, 0, 0, GRANULE), entry(UNMAP, 0, 0, GRANULE, 1),
        entry(UNMAP, 0, 0, 2 * GRANULE, 2**64 - GRANULE),
    ]
    for number, one in enumerate(bad):
        assert driver.run([one])[0][0] == INVAL, number
    assert driver.errors() == len(bad)
    assert b.qemu.property("pci0", "failed") == len(bad)
    assert driver.mappings() == 0


@bench()
def unknown_and_detached_devices_are_NODEV(b):
    driver = Driver(b)
    driver.start()
    driver.enable()
    for device in (0, 1, 63, 64, 0xFFFF):
        assert driver.map(BUFFER, device=device)[0] == NODEV, device
        assert driver.unmap(GRANULE, device=device) == NODEV, device
    assert driver.attach() == 1
    assert driver.map(BUFFER)[0] == OK
    assert driver.attach(1) == 0


@bench()
def what_is_not_guest_RAM_is_FAULT(b):
    driver = Driver(b).ready()
    bad = [
        (END - GRANULE, 2 * GRANULE), (END, GRANULE), (RAM_BASE - GRANULE, GRANULE),
        (RAM_BASE - GRANULE, 2 * GRANULE), (MMIO, GRANULE), (0, GRANULE), (0x09000000, GRANULE),
        (b.dma.bar[0], GRANULE), (b.dma.bar[2], GRANULE), (b.devices[0].bar[4], GRANULE),
        (1 << 50, GRANULE), (RAM_BASE, 2**63), (0x4010000000, GRANULE),
    ]
    for gpa, length in bad:
        assert driver.map(gpa, length)[0] == FAULT, (hex(gpa), hex(length))
    assert driver.errors() == len(bad)
    assert driver.map(END - GRANULE)[0] == OK
    assert driver.map(RAM_BASE, RAM_SIZE)[0] == OK


@bench()
def unmapping_what_is_not_mapped_is_NOENT(b):
    driver = Driver(b).ready()
    _, iova = driver.map(BUFFER, 4 * GRANULE)
    for start, length in ((iova, GRANULE), (iova + GRANULE, GRANULE), (iova, 8 * GRANULE),
                          (iova - GRANULE, 4 * GRANULE), (GRANULE, GRANULE), (2**63, GRANULE)):
        assert driver.unmap(start, length) == NOENT, (hex(start), hex(length))
    assert driver.unmap(iova, 4 * GRANULE) == OK
    assert driver.unmap(iova, 4 * GRANULE) == NOENT
    assert driver.mappings() == 0


@bench()
def entries_stand_alone(b):
    driver = Driver(b).ready()
    good = entry(MAP, 0, BUFFER, GRANULE, 0, WRITE)
    results = driver.run([good, entry(9, 0), good, entry(MAP, 7, BUFFER, GRANULE, 0, WRITE), good,
                          entry(MAP, 0, MMIO, GRANULE, 0, WRITE), good])
    assert [status for status, _ in results] == [OK, INVAL, OK, NODEV, OK, FAULT, OK]
    assert driver.mappings() == 4


@bench(devices=["endpoint", "endpoint,name=second"], hosts=["host=1912:0028#0", "host=1912:0028#1"])
def devices_do_not_share_mappings(b):
    driver = Driver(b).ready()
    driver.attach(1)
    batch = [entry(MAP, i % 2, BUFFER + i * GRANULE, GRANULE, 0, WRITE) for i in range(8)]
    results = driver.run(batch)
    assert all(status == OK for status, _ in results)
    assert b.qemu.property("pci0", "mappings") == b.qemu.property("pci1", "mappings") == 4
    known = {iova for _, iova in results[1::2]}
    for _, iova in results[0::2]:
        if iova not in known:
            assert driver.unmap(iova, device=1) == NOENT
    driver.detach(0)
    assert driver.mappings() == 4
    assert all(driver.unmap(iova, device=1) == OK for iova in known)


@bench()
def the_byte_limit_is_BYTES_and_unmaps_make_room_first(b):
    driver = Driver(b).ready()
    size = 128 << 20
    limit = b.qemu.property("dma", "bytes-limit") // 100 * 98
    maps = driver.run([entry(MAP, 0, RAM_BASE, size, 0, WRITE) for _ in range(12)])
    assert [status for status, _ in maps] == [OK] * (limit // size) + [BYTES] * (12 - limit // size)
    assert driver.errors() == 0
    assert b.qemu.property("pci0", "refused-bytes") == 12 - limit // size
    again = driver.run([entry(UNMAP, 0, 0, size, maps[0][1]),
                        entry(MAP, 0, RAM_BASE, size, 0, WRITE),
                        entry(MAP, 0, RAM_BASE, size, 0, WRITE)])
    assert [status for status, _ in again] == [OK, OK, BYTES]
    assert b.qemu.property("dma", "bytes") == limit // size * size


@bench()
def the_mapping_limit_is_MAPPINGS(b):
    driver = Driver(b).ready()
    limit = b.qemu.property("dma", "stats")["devices"][0]["mappings"]["room"]
    batch = [entry(MAP, 0, RAM_BASE + GRANULE * i, GRANULE, 0, WRITE) for i in range(4096)]
    for _ in range(limit // 4096):
        assert all(status == OK for status, _ in driver.run(batch))
    rest = [status for status, _ in driver.run(batch)]
    assert rest == [OK] * (limit % 4096) + [MAPPINGS] * (4096 - limit % 4096)
    assert driver.mappings() == limit
    driver.detach()
    assert driver.mappings() == 0 and b.qemu.property("dma", "bytes") == 0


def scribble(path, offset, stop):
    """Another CPU of the guest that rewrites entries while they run."""
    generator = random.Random(7)
    with open(path, "r+b") as file, mmap.mmap(file.fileno(), 0) as memory:
        while not stop.is_set():
            for _ in range(1000):
                field = generator.choice([0, 1, 2, 9, 16, 17, 20, 25])
                at = offset + 32 * generator.randrange(64) + field
                memory[at] = generator.randrange(256)


@bench()
def entries_rewritten_while_they_run_do_no_harm(b):
    driver = Driver(b).ready()
    stop = multiprocessing.Event()
    other = multiprocessing.Process(target=scribble, args=(
        os.path.join(b.folder, "ram"), BATCH - RAM_BASE, stop))
    other.start()
    for _ in range(400):
        b.qemu.put(BATCH, b"".join(entry(MAP, 0, BUFFER + i * GRANULE, GRANULE, 0, WRITE)
                                   for i in range(64)))
        driver.queue(0, DOORBELL, 64)
    stop.set()
    other.join()
    assert 0 < driver.mappings() == b.qemu.property("pci0", "mappings")
    driver.detach()
    assert driver.mappings() == 0 and b.qemu.property("dma", "bytes") == 0
    assert driver.attach() == 1 and driver.map(BUFFER)[0] == OK
