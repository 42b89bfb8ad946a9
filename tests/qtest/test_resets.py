# SPDX-License-Identifier: BSD-3-Clause
"""Resets: a driver that resets its own device goes on, a machine that is reset does not."""

from driver import CONTROL, DRIVER_OK, FLAGS, GENERATION, GRANULE, OK, PRESENT, STATUS, Driver, Endpoint
from machine import COMMAND, MASTER, MEMORY, RAM_BASE, Slot, wait_for
from test_interrupts import mail, msix_on
from test_lifetime import BUFFER, EXP_DEVCTL, FLR, busy, gone
from test_registers import bench

BRIDGE_CONTROL, BUS_RESET = 0x3E, 0x40
MAPPINGS = 41  # of who is busy
RELENTLESS = ["endpoint,relentless=on"]


def function_level(b):
    device = b.devices[0]
    device.set_bits(device.capability(0x10) + EXP_DEVCTL, FLR)


def of_the_bus(b):
    b.ports[0].set_bits(BRIDGE_CONTROL, BUS_RESET)
    b.ports[0].clear_bits(BRIDGE_CONTROL, BUS_RESET)


def goes_on_after(b, reset):
    """What the guest had mapped is mapped, and the device waits for its driver."""
    driver, iova = busy(b)
    generation, device = driver.record(0, GENERATION), b.devices[0]
    reset(b)
    state = b.mac.device()
    assert state["mappings"] == MAPPINGS and not state["masters_bus"]
    assert driver.mappings() == MAPPINGS
    assert driver.record(0, CONTROL) == 1 and driver.record(0, GENERATION) == generation
    assert device.read(COMMAND, 2) & (MASTER | MEMORY) == 0
    b.place(0)
    return driver, iova


def copies(b, iova):
    """The device reads and writes guest memory at a bus address that it had before."""
    endpoint = Endpoint(b.devices[0])
    b.devices[0].set_bits(COMMAND, MASTER)
    b.qemu.put(RAM_BASE, b"arrow" * 4)
    endpoint.start(endpoint.COPY, iova, iova + GRANULE // 2, 20)
    wait_for(lambda: endpoint.get(endpoint.STATUS) & endpoint.COPY_OK, "the copy")
    assert b.qemu.get(RAM_BASE + GRANULE // 2, 20) == b"arrow" * 4


@bench()
def FLR_keeps_mappings(b):
    driver, iova = goes_on_after(b, function_level)
    copies(b, iova)
    assert driver.unmap(iova) == OK
    assert driver.map(BUFFER)[0] == OK
    assert driver.errors() == 0


@bench()
def reset_of_the_bus_above_keeps_mappings(b):
    driver, iova = goes_on_after(b, of_the_bus)
    copies(b, iova)
    assert driver.unmap(iova) == OK


@bench()
def interrupts_are_set_up_anew_after_FLR(b):
    Driver(b).ready()
    device, control, endpoint = msix_on(b)
    for turn in range(3):
        endpoint.raise_irq(endpoint.RAISE_MSIX, turn)
        wait_for(lambda: mail(b, turn) == 0x1000 + turn, "the interrupt")
        function_level(b)
        assert device.read(control, 2) & 0x8000 == 0
        b.place(0)
        device, control, endpoint = msix_on(b)


@bench(devices=RELENTLESS)
def what_does_DMA_until_it_is_reset_finds_its_mappings(b):
    for reset in (function_level, of_the_bus, function_level):
        driver, _ = goes_on_after(b, reset)
        driver.detach()
        gone(b, driver)


@bench()
def FLR_of_what_is_not_attached_resets_it(b):
    Driver(b).start()
    function_level(b)
    state = b.mac.device()
    assert state["mappings"] == 0 and state["state"] != "dead"
    assert Driver(b).record(0, CONTROL) == 0
    b.place(0)
    assert Driver(b).ready().map(BUFFER)[0] == OK


@bench()
def a_storm_of_resets_ends(b):
    driver, iova = busy(b)
    for turn in range(20):
        (function_level, of_the_bus)[turn % 2](b)
        b.place(0)
        b.devices[0].set_bits(COMMAND, MASTER)
    assert b.mac.device()["mappings"] == MAPPINGS
    copies(b, iova)
    for _ in range(20):
        assert driver.attach() == 1 and driver.detach() == 0
    gone(b, driver)


def system_reset(b, driver):
    generation = driver.record(0, GENERATION)
    b.qemu.command("system_reset")
    wait_for(lambda: b.qemu.property("pci0", "generation") != generation, "the reset")
    gone(b, driver)


@bench()
def system_reset_stops_everything(b):
    driver, _ = busy(b)
    system_reset(b, driver)
    b.set_up()
    driver = Driver(b)
    assert driver.dma.load(0, STATUS) == 0
    assert driver.record(0, CONTROL) == 0
    assert driver.start() == DRIVER_OK
    assert driver.ready().map(BUFFER)[0] == OK


@bench(devices=RELENTLESS)
def even_a_device_that_stops_for_nothing_else(b):
    for _ in range(3):
        driver, _ = busy(b)
        system_reset(b, driver)
        b.set_up()
    assert b.mac.device()["pristine"]


@bench()
def a_bus_that_is_held_in_reset_is_no_way_to_keep_them(b):
    driver, _ = busy(b)
    b.ports[0].set_bits(BRIDGE_CONTROL, BUS_RESET)
    assert b.mac.device()["mappings"] == MAPPINGS
    system_reset(b, driver)


@bench()
def a_device_without_power_has_none(b):
    driver, _ = busy(b)
    slot = Slot(b.ports[0])
    slot.control(slot.ON | slot.POWER_OFF)
    gone(b, driver)
    assert driver.record(0, CONTROL) == 0 and b.devices[0].read(0) == 0xFFFFFFFF
    slot.control(slot.ON)
    b.place(0)
    assert driver.record(0, FLAGS) == PRESENT
    assert driver.attach() == 1 and driver.map(BUFFER)[0] == OK
