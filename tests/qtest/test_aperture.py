# SPDX-License-Identifier: BSD-3-Clause
"""The aperture: one memory, seen by guest and device alike for as long as the device is there."""

from driver import (
    DEVICE_FEATURES, DRIVER_OK, FAULT, GRANULE, OK, RECORD, STATUS, STRIDE, Driver, Endpoint)
from machine import COMMAND, MASTER, qemu_fails, wait_for
from test_registers import bench
from test_unplug import plug, system_reset, unplug, wait_until_back, wait_until_gone

APERTURE = 8  # the feature
BLOCKS, PIECES, PIECE = 0x28, 0x10, 0x14
MIB = 1 << 20
LENGTH = 128 * MIB
LARGE = 2 * MIB
ONE = {"dma": f",aperture={LENGTH}", "hosts": ["host=1912:0028,aperture=on"]}


def begin(driver, piece=0):
    """Where the device sees it."""
    return driver.record(driver.device, PIECE + 4 * piece) * GRANULE


def seen(b):
    """Whether the device sees what the guest writes, and the guest what the device does, at both ends."""
    driver, device = Driver(b).ready(), b.devices[0]
    endpoint, bar, bus = Endpoint(device), b.dma.bar[4], begin(driver)
    device.set_bits(COMMAND, MASTER)
    for at, to in ((0, LENGTH - 4096), (LENGTH - 4096, 4096)):
        data = bytes((at // 4096 + i) & 0xFF for i in range(4096))
        b.qemu.put(bar + at, data)
        b.qemu.put(bar + to, bytes(4096))
        endpoint.start(endpoint.COPY, bus + at, bus + to, 4096)
        wait_for(lambda: endpoint.get(endpoint.STATUS) & endpoint.COPY_OK, "the copy")
        assert b.qemu.get(bar + to, 4096) == data
    return driver


@bench()
def without_one_there_is_nothing(b):
    assert not b.dma.load(0, DEVICE_FEATURES) & APERTURE and b.dma.size(4) == 0
    assert b.dma.load(0, BLOCKS) == 0
    assert [b.dma.load(0, RECORD + PIECES + 4 * i) for i in range(9)] == [0] * 9
    assert Driver(b).errors() == 0


@bench(**ONE)
def it_is_a_BAR_of_its_length(b):
    driver = Driver(b)
    assert b.dma.load(0, DEVICE_FEATURES) & APERTURE and b.dma.load(0, BLOCKS) == 1
    assert b.dma.size(4) == LENGTH and b.dma.read(0x20) & 0xF == 0xC
    assert driver.start(APERTURE) == DRIVER_OK
    before = driver.errors()
    driver.record(0, PIECES, 1)
    driver.record(0, PIECE, 1)
    driver.dma.store(0, BLOCKS, 2)
    assert driver.errors() == before + 3


@bench(dma=f",aperture={3 * LENGTH}", hosts=["host=1912:0028,aperture=on"])
def beyond_its_length_a_BAR_is_nothing(b):
    driver = Driver(b).ready()
    end = b.dma.bar[4] + 3 * LENGTH
    assert driver.map(end - GRANULE)[0] == OK
    assert driver.map(end)[0] == FAULT
    assert driver.map(end - GRANULE, 2 * GRANULE)[0] == FAULT
    assert b.dma.size(4) == 4 * LENGTH and b.dma.load(0, BLOCKS) == 3


@bench(**ONE)
def a_device_sees_what_the_guest_sees(b):
    driver = seen(b)
    assert driver.record(driver.device, PIECES) == 1
    assert driver.stats()["aperture"] == LENGTH and driver.stats()["devices"][0]["aperture_pieces"] == 1
    assert begin(driver) and begin(driver) % LARGE == 0
    assert [begin(driver, i) for i in range(1, 8)] == [0] * 7


@bench(dma=f",aperture={LENGTH}")
def who_has_no_use_for_it_does_not_see_it(b):
    driver = Driver(b).ready()
    assert driver.record(driver.device, PIECES) == 0 and begin(driver) == 0
    assert b.mac.device()["mappings"] == 0


@bench(**ONE)
def it_stays_whatever_is_reset(b):
    driver = seen(b)
    bus, limit = begin(driver), driver.stats()["bytes"]["limit"]
    for reset in (driver.detach, lambda: b.dma.store(0, STATUS, 0), lambda: system_reset(b)):
        reset()
        state = b.mac.device()
        assert state["mappings"] == 1 and LENGTH <= state["bytes"] <= LENGTH + LARGE
        assert not state["masters_bus"]
        b.place(0)
        assert begin(seen(b)) == bus
        assert driver.stats()["bytes"]["limit"] == limit and driver.mappings() == 0


@bench(**ONE)
def what_it_takes_is_not_the_budgets(b):
    state, limit = b.mac.device(), Driver(b).stats()["bytes"]["limit"]
    driver = Driver(b).ready()
    # As the extension has it, 1 % below what DART can map; and no exit finds out.
    assert 1536 * MIB * 98 // 100 < limit + state["bytes"] < 1536 * MIB
    assert driver.map(b.dma.bar[4], GRANULE)[0] == OK and driver.mappings() == 1


@bench(**ONE)
def one_that_comes_back_sees_it_again(b):
    seen(b)
    unplug(b)
    wait_until_gone(b)
    assert all(b.dma.load(0, RECORD + STRIDE * i + PIECES) == 0 for i in range(2))
    plug(b)
    wait_until_back(b)
    driver = seen(b)
    assert begin(driver) % LARGE == 0


@bench(dma=f",aperture={LENGTH}", devices=["endpoint", "endpoint,name=second"],
       hosts=["host=1912:0028#0,aperture=on", "host=1912:0028#1,aperture=on"])
def several_see_it_each_at_its_own_place(b):
    driver = Driver(b)
    driver.start()
    for port in range(2):
        assert begin(driver.find(port)) % LARGE == 0 and begin(driver)
        assert b.mac.device(port)["mappings"] == 1


@bench(options=["--limit-bytes", str(LENGTH)], **ONE)
def where_it_does_not_fit_a_device_goes_without(b):
    driver = Driver(b).ready()
    assert driver.record(driver.device, PIECES) == 0 and b.mac.device()["mappings"] == 0
    assert "goes without the aperture" in b.qemu.text()
    assert driver.map(b.dma.bar[4], GRANULE)[0] == OK


@bench()
def a_length_is_a_multiple_of_blocks(b):
    said = qemu_fails("-device", "quiver-dma,aperture=100M")
    assert "multiple of 128 MiB" in said, said
