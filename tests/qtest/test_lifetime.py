# SPDX-License-Identifier: BSD-3-Clause
"""How devices come and go while they are in use: nothing stays mapped, nothing panics."""

import machine
from driver import (
    CONTROL, FLAGS, GENERATION, GONE, GRANULE, NODEV, NOENT, OK, PRESENT, STATUS, WRITE, Driver,
    Endpoint)
from machine import COMMAND, MASTER, RAM_BASE, Slot, entry, wait_for
from test_registers import bench

BUFFER = RAM_BASE + (64 << 20)
EXP_DEVCTL, EXP_SLTCTL, FLR = 8, 0x18, 0x8000
POWER_OFF = 0x0400


def busy(b):
    """A device that masters the bus, with 40 mappings, one of them under a long copy."""
    driver, device = Driver(b).ready(), b.devices[0]
    device.set_bits(COMMAND, MASTER)
    results = driver.run([driver_entry(i, driver.device) for i in range(40)])
    assert all(status == OK for status, _ in results)
    status, iova = driver.map(BUFFER, 8 << 20)
    assert status == OK
    endpoint = Endpoint(device)
    endpoint.start(endpoint.COPY, iova, iova + (4 << 20), 4 << 20)
    return driver, results[0][1]


def driver_entry(i, device):
    return entry(1, device, RAM_BASE + i * GRANULE, GRANULE, 0, WRITE)


def gone(b, driver):
    state = b.mac.device()
    assert state["mappings"] == 0 and not state["masters_bus"]
    assert driver.mappings() == 0 and b.qemu.property("dma", "bytes") == 0


@bench()
def detaching_drops_all_mappings(b):
    driver, iova = busy(b)
    generation = driver.record(0, GENERATION)
    assert driver.detach() == 0
    assert driver.record(0, GENERATION) != generation
    gone(b, driver)
    assert driver.unmap(iova) == NODEV
    assert driver.attach() == 1
    assert driver.unmap(iova) == NOENT
    assert driver.map(BUFFER)[0] == OK


@bench()
def a_device_that_was_never_touched_drops_its_mappings_too(b):
    b.devices[0].write(COMMAND, 0, 2)
    b.devices[0].set_bits(b.devices[0].capability(0x10) + EXP_DEVCTL, FLR)
    driver = Driver(b).ready()
    status, iova = driver.map(BUFFER)
    assert status == OK
    driver.detach()
    assert b.mac.device()["mappings"] == 0
    driver.attach()
    assert driver.unmap(iova) == NOENT


@bench()
def status_zero_stops_everything(b):
    driver, _ = busy(b)
    driver.dma.store(0, STATUS, 0)
    gone(b, driver)
    assert driver.record(0, CONTROL) == 0
    assert driver.queue(0, 12) == 0
    assert driver.ready().map(BUFFER)[0] == OK


@bench(devices=["endpoint", "endpoint,name=second"], hosts=["host=1912:0028#0", "host=1912:0028#1"])
def unplugging_one_leaves_the_other(b):
    driver, _ = busy(b)
    driver.attach(1)
    status, iova = driver.map(BUFFER, device=1)
    assert status == OK
    slot = b.ports[0].capability(0x10) + EXP_SLTCTL
    b.ports[0].write(slot, 0x0100, 2)
    b.qemu.command("device_del", id="pci0")
    b.ports[0].write(slot, 0x0300 | POWER_OFF, 2)
    wait_for(lambda: driver.record(0, FLAGS) == 0, "the unplug")
    assert driver.map(BUFFER)[0] == NODEV
    assert driver.mappings() == 1
    assert driver.unmap(iova, device=1) == OK


@bench()
def an_unplugged_device_can_be_plugged_again(b):
    driver, _ = busy(b)
    slot = b.ports[0].capability(0x10) + EXP_SLTCTL
    for round in range(3):
        b.ports[0].write(slot, 0x0100, 2)
        b.qemu.command("device_del", id="pci0")
        b.ports[0].write(slot, 0x0300 | POWER_OFF, 2)
        wait_for(lambda: driver.record(round, FLAGS) == 0, "the unplug")
        # Closed, or the claim would fail: in the background, hence not at once.
        replug(b)
        wait_for(lambda: driver.record(round + 1, FLAGS) == PRESENT, "the plug")


def replug(b):
    end = machine.time.monotonic() + machine.PATIENCE
    while True:
        try:
            return b.qemu.command("device_add", driver="quiver-pci", id="pci0", bus="port0",
                                  host="1912:0028")
        except machine.Lost:
            if machine.time.monotonic() > end:
                raise


@bench()
def killing_QEMU_leaves_nothing_behind(b):
    busy(b)
    b.qemu.process.kill()
    b.qemu.stop()
    # What is left of the first one goes on its own; the second gets the device.
    b.qemu = None
    b.qemu = restart(b)
    b.set_up()
    assert Driver(b).ready().map(BUFFER)[0] == OK


def restart(b):
    end = machine.time.monotonic() + machine.PATIENCE
    while True:
        for name in ("qtest", "qmp", "ram"):
            path = machine.os.path.join(b.folder, name)
            if machine.os.path.exists(path):
                machine.os.unlink(path)
        try:
            return machine.Qemu(b.folder, b.mac, ["host=1912:0028"])
        except machine.Lost:
            if machine.time.monotonic() > end:
                raise


@bench()
def quitting_while_busy(b):
    busy(b)


@bench(devices=["endpoint,flr=dead"])
def a_device_that_does_not_survive_its_reset_is_gone(b):
    driver = Driver(b)
    driver.start()
    driver.enable()
    # The machine's first reset is one of the device as well.
    assert driver.record(0, FLAGS) == 0
    assert driver.attach() == 0
    assert driver.map(BUFFER)[0] == GONE
    assert driver.attach() == 0
    wait_for(lambda: not Slot(b.ports[0]).is_occupied(), "the end")
    assert b.devices[0].read(8) == 0xFFFFFFFF
