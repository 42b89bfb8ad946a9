# SPDX-License-Identifier: BSD-3-Clause
"""A device that goes without a word, and comes back: the cable, and the Mac's sleep."""

import random
import signal
import threading
import time

from driver import (
    CONTROL, FLAGS, GENERATION, GONE, GRANULE, NODEV, OK, PENDING, PRESENT, WRITE, Driver)
from machine import COMMAND, MASTER, MEMORY, RAM_BASE, Lost, Slot, entry, wait_for
from test_interrupts import ENABLE, TABLE, mail, msix_on
from test_lifetime import BUFFER, busy
from test_registers import bench

ONES = 0xFFFFFFFF
TWO = {"devices": ["endpoint,config=f00:11", "endpoint,name=second,config=f00:22"],
       "hosts": ["host=1912:0028#0", "host=1912:0028#1"]}
MARK = 0xF00  # what tells them apart
MANY = 24
RETURN_SECONDS = 20  # of all of them; who looks for one that another is about to get, waits for it for two


def unplug(b, name="endpoint0"):
    b.mac.control("unplug", name)


def plug(b, name="endpoint0"):
    b.mac.control("plug", name)


def wait_until_gone(b, index=0):
    wait_for(lambda: not Slot(b.ports[index]).is_occupied(), "the removal")


def wait_until_back(b, index=0):
    wait_for(lambda: Slot(b.ports[index]).is_occupied(), "the return")
    return b.place(index)


def says(b, text):
    return b.qemu.text().count(text)


def is_nowhere(b, driver, index=0, record=None):
    """Neither in the slot nor in the record, and nobody has made a mistake."""
    before, device, record = driver.errors(), b.devices[index], index if record is None else record
    assert driver.record(record, FLAGS) == 0 and driver.record(record, CONTROL) == 0
    assert driver.map(BUFFER, device=record)[0] == GONE
    assert driver.unmap(GRANULE, device=record) == GONE
    assert driver.errors() == before
    assert device.read(0) == ONES and device.read(0x40, 1) == 0xFF and device.read(2, 2) == 0xFFFF
    assert not device.bar or device.load(0, 0) == ONES


def system_reset(b):
    """Nothing is in the slots when it ends."""
    b.qemu.command("system_reset")
    wait_for(lambda: b.ports[0].read(0x18) == 0, "the reset")
    b.hosts = [""] * len(b.hosts)
    b.set_up()


@bench()
def what_is_pulled_goes_at_once(b):
    driver, _ = busy(b)
    slot, generation = Slot(b.ports[0]), driver.record(0, GENERATION)
    assert slot.has_link() and slot.events() == 0
    unplug(b)
    wait_until_gone(b)
    # By the link, and not by a button that a guest thinks over.
    assert slot.events() == slot.PRESENCE_CHANGED | slot.LINK_CHANGED and not slot.has_link()
    is_nowhere(b, driver)
    assert driver.record(0, GENERATION) != generation
    assert driver.mappings() == 0 and b.qemu.property("dma", "bytes") == 0
    assert says(b, "is lost: it was unplugged") == 1
    assert driver.attach() == 0


@bench()
def so_does_what_nobody_uses(b):
    driver = Driver(b)
    driver.start()
    driver.enable()
    unplug(b)
    wait_until_gone(b)
    is_nowhere(b, driver)


@bench()
def the_guest_is_told_if_it_wants_to_be(b):
    slot = Slot(b.ports[0])
    slot.control(slot.ON | slot.INTERRUPTS)
    slot.events()
    assert not slot.interrupts()
    unplug(b)
    wait_for(slot.interrupts, "the interrupt")
    assert slot.events() == slot.PRESENCE_CHANGED | slot.LINK_CHANGED
    assert not slot.interrupts()


@bench()
def nobody_is_told_who_does_not(b):
    slot = Slot(b.ports[0])
    slot.control(slot.ON | slot.INTERRUPTS & ~0x1000)
    slot.events()
    unplug(b)
    wait_until_gone(b)
    assert not slot.interrupts()


@bench(port=",hotplug=off")
def in_no_slot_it_stays_and_is_dead(b):
    driver, _ = busy(b)
    device, _, _ = msix_on(b)
    unplug(b)
    wait_for(lambda: driver.record(0, FLAGS) == 0, "the loss")
    is_nowhere(b, driver)
    assert device.load(0, TABLE) == ONES and device.load(0, 0xC000, 8) == 2**64 - 1
    assert b.qemu.property("pci0", "attached") is False
    for offset in (0, COMMAND, 0x10, 0x48, 0xFFC):
        device.write(offset, 0x0407)
        assert device.read(offset) == ONES
    device.store(0, 0, 0x1234)
    device.store(0, TABLE, 0x1234)
    system_reset(b)
    plug(b)
    assert Driver(b).ready(0).record(0, CONTROL) == 0
    assert device.read(0) == ONES
    assert says(b, "reset failed") == 0


@bench(hosts=["host=1912:0028,x-trap=on"], port=",hotplug=off")
def nor_is_there_anything_behind_a_trap(b):
    driver, device = Driver(b).ready(), b.devices[0]
    unplug(b)
    wait_for(lambda: driver.record(0, FLAGS) == 0, "the loss")
    assert device.load(0, 0x1000, 8) == 2**64 - 1 and device.load(0, 3, 1) == 0xFF


# Its registers would still be there, as those of a device that was quarantined are.
@bench(devices=["endpoint,flr=dead"], port=",hotplug=off")
def what_was_quarantined_is_out_of_reach_too(b):
    driver = Driver(b)
    wait_for(lambda: b.devices[0].read(0) == ONES, "the loss")
    driver.start()
    driver.enable()
    is_nowhere(b, driver)
    assert says(b, "is lost: it does not answer; reconnect its enclosure") == 1


@bench()
def interrupts_end(b):
    driver = Driver(b).ready()
    _, _, endpoint = msix_on(b)
    endpoint.raise_irq(endpoint.RAISE_MSIX, 3)
    wait_for(lambda: mail(b, 3) == 0x1003, "the interrupt")
    unplug(b)
    wait_until_gone(b)
    plug(b)
    wait_until_back(b)
    device, control, endpoint = msix_on(b)
    assert device.read(control, 2) & ENABLE
    assert driver.find().attach() == 1
    endpoint.raise_irq(endpoint.RAISE_MSIX, 5)
    wait_for(lambda: mail(b, 5) == 0x1005, "the interrupt")


@bench()
def it_comes_back_to_its_slot(b):
    driver, _ = busy(b)
    slot = Slot(b.ports[0])
    unplug(b)
    wait_until_gone(b)
    slot.events()
    plug(b)
    device = wait_until_back(b)
    # Nobody looks at the link here.
    assert slot.events() == slot.PRESENCE_CHANGED | slot.BUTTON and slot.has_link()
    # In another record: what its driver has still to say of the old one is not about this.
    assert driver.map(BUFFER)[0] == driver.unmap(GRANULE) == GONE
    assert driver.find().device == 1 and driver.record(1, FLAGS) == PRESENT
    assert device.read(COMMAND, 2) == MEMORY and device.read(0) == 0x00281912
    assert driver.attach() == 1 and driver.map(BUFFER)[0] == OK
    busy(b)


@bench()
def who_looks_at_the_link_needs_no_button(b):
    slot = Slot(b.ports[0])
    unplug(b)
    wait_until_gone(b)
    slot.control(slot.OFF | slot.POWER_OFF | slot.INTERRUPTS)
    slot.events()
    plug(b)
    wait_for(slot.is_occupied, "the return")
    assert slot.events() & ~slot.COMPLETED == slot.PRESENCE_CHANGED | slot.LINK_CHANGED
    assert b.devices[0].read(0) == ONES
    slot.control(slot.ON | slot.INTERRUPTS)
    assert b.devices[0].read(0) == 0x00281912


@bench()
def ten_times_in_a_row(b):
    for turn in range(10):
        if turn % 2:
            busy(b)
        unplug(b)
        wait_until_gone(b)
        plug(b)
        wait_until_back(b)
    assert Driver(b).ready().map(BUFFER)[0] == OK
    assert says(b, "is lost") == says(b, "is back") == 10


@bench(hosts=["host=1912:0028,thunderbolt=5,multifunction=on"])
def with_the_options_that_it_had(b):
    driver = Driver(b)
    before = driver.record(0, FLAGS)
    unplug(b)
    wait_until_gone(b)
    plug(b)
    wait_until_back(b)
    assert driver.record(driver.find().device, FLAGS) == before != PRESENT
    assert b.qemu.property("pci0", "multifunction") is True


@bench(hosts=[""])
def also_those_of_the_monitor(b):
    b.qemu.command("device_add", driver="quiver-pci", id="late", bus="port0", host="1912:0028",
                   thunderbolt=5)
    flags = Driver(b).record(0, FLAGS)
    for _ in range(2):
        unplug(b)
        wait_until_gone(b)
        plug(b)
        wait_until_back(b)
        assert b.qemu.property("late", "thunderbolt") == 5
        driver = Driver(b).find()
        assert driver.record(driver.device, FLAGS) == flags


@bench(hosts=[""])
def a_registry_id_stands_for_any_of_its_kind(b):
    b.qemu.command("device_add", driver="quiver-pci", id="any", bus="port0", host="1912:0028")
    named = registry_id(b, "any")
    b.qemu.command("device_del", id="any")
    take_out(b, 0)
    wait_for(lambda: not b.qemu.refusal(host=named), "the device")
    unplug(b)
    wait_until_gone(b)
    plug(b)
    wait_until_back(b)
    assert b.qemu.property("refused", "host") == named != registry_id(b, "refused")
    assert Driver(b).ready().map(BUFFER)[0] == OK


def registry_id(b, name):
    """Of the device that it is now."""
    return next(device["host"].split()[1] for device in Driver(b).stats()["devices"]
                if device["id"] == name)


def marks(b):
    return [device.read(MARK, 1) for device in b.devices]


@bench(**TWO)
def one_of_two_goes_alone(b):
    driver, _ = busy(b)
    driver.attach(1)
    status, iova = driver.map(BUFFER, device=1)
    assert status == OK and marks(b) == [0x11, 0x22]
    unplug(b)
    wait_until_gone(b)
    is_nowhere(b, driver)
    assert driver.mappings() == 1 and driver.record(1, CONTROL) == 1
    plug(b)
    wait_until_back(b)
    # What is the first now is the second: it has a client, and is not taken for the other.
    assert marks(b) == [0x11, 0x22]
    assert driver.unmap(iova, device=1) == OK


def pull_all(b, names):
    """At one moment, as far as there is one."""
    hands = [threading.Thread(target=unplug, args=[b, name]) for name in names]
    for hand in hands:
        hand.start()
    for hand in hands:
        hand.join()


@bench(**TWO)
def of_two_at_once_each_is_served(b):
    driver, slots = busy(b)[0], [Slot(port) for port in b.ports]
    assert driver.attach(1) == 1 and driver.map(BUFFER, device=1)[0] == OK
    for slot in slots:
        slot.control(slot.ON | slot.INTERRUPTS)
    pull_all(b, ["endpoint0", "second"])
    for index in range(2):
        wait_until_gone(b, index)
        is_nowhere(b, driver, index)
    assert driver.mappings() == 0
    plug(b)
    plug(b, "second")
    # The first one's driver is still at work when the second comes back, which is not to have its record.
    slots[1].control(slots[1].OFF | slots[1].POWER_OFF | slots[1].INTERRUPTS)
    wait_for(slots[1].is_occupied, "the return")
    slots[1].control(slots[1].ON | slots[1].INTERRUPTS)
    b.place(1)
    assert not slots[0].is_occupied() and driver.find(1).device == 2
    assert driver.attach() == 1 and driver.map(BUFFER)[0] == OK
    for late in range(2):
        assert driver.unmap(GRANULE, device=late) == GONE
    slots[0].control(slots[0].OFF | slots[0].POWER_OFF | slots[0].INTERRUPTS)
    wait_for(slots[0].is_occupied, "the return")
    slots[0].control(slots[0].ON | slots[0].INTERRUPTS)
    b.place(0)
    assert driver.find(0).device == 3
    assert driver.attach() == 1 and driver.map(BUFFER)[0] == OK


@bench(devices=[f"endpoint,name=e{i}" for i in range(MANY)],
       hosts=[f"host=1912:0028#{i}" for i in range(MANY)])
def of_many_at_once_each_is_served(b):
    driver = Driver(b).ready()
    records = list(range(MANY))
    # Often enough for the records to come round.
    for _ in range(2):
        for record in records:
            assert driver.attach(record) == 1 and driver.map(BUFFER, device=record)[0] == OK
        pull_all(b, [f"e{i}" for i in range(MANY)])
        for index in range(MANY):
            wait_until_gone(b, index)
            is_nowhere(b, driver, index, records[index])
        assert driver.mappings() == 0
        for i in range(MANY):
            plug(b, f"e{i}")
        plugged = time.monotonic()
        for index in range(MANY):
            wait_until_back(b, index)
        assert time.monotonic() - plugged < RETURN_SECONDS
        before, records = records, [driver.find(index).device for index in range(MANY)]
        assert len({*before, *records}) == 2 * MANY
    assert says(b, "is lost") == says(b, "is back") == 2 * MANY


@bench(**TWO)
def the_Mac_sleeps_and_wakes(b):
    driver, _ = busy(b)
    records = [0, 1]
    for turn in range(3):
        b.mac.control("sleep")
        for index in range(2):
            wait_until_gone(b, index)
            is_nowhere(b, driver, index, records[index])
        assert says(b, "is lost: the Mac sleeps") == 2 * (turn + 1)
        b.mac.control("wake")
        for index in range(2):
            wait_until_back(b, index)
        # Each is where it was.
        assert marks(b) == [0x11, 0x22]
        records = [driver.find(index).device for index in range(2)]
        assert driver.attach(records[0]) == driver.attach(records[1]) == 1
        assert driver.map(BUFFER, device=records[turn % 2])[0] == OK
        b.devices[0].set_bits(COMMAND, MASTER)


@bench(**TWO)
def a_batch_that_is_running_ends(b):
    driver = Driver(b).ready()
    driver.attach(1)
    seed, records = random.Random(6), [0, 1]
    for _ in range(10):
        cable = threading.Timer(seed.random() / 20, unplug, [b])
        cable.start()
        for turn in range(6):
            results = driver.run([entry(1, records[i % 2], RAM_BASE + i * GRANULE, GRANULE, 0, WRITE)
                                  for i in range(2000)])
            statuses = {status for status, _ in results}
            assert PENDING not in statuses and statuses <= {OK, GONE, NODEV}, statuses
            assert {status for status, _ in results[1::2]} == {OK}
            rest = driver.run([entry(2, records[i % 2], 0, GRANULE, iova)
                               for i, (status, iova) in enumerate(results) if status == OK])
            assert {status for status, _ in rest} <= {OK, GONE, NODEV}
        cable.join()
        wait_until_gone(b)
        assert driver.mappings() == b.qemu.property("pci1", "mappings")
        plug(b)
        wait_until_back(b)
        records[0] = driver.find().device
        assert driver.attach() == 1
        driver.detach(1)
        driver.attach(1)


@bench()
def one_that_goes_while_it_is_attached(b):
    driver = Driver(b)
    driver.start()
    driver.enable()
    b.mac.control("delay", "IOPCIDevice::Reset", 20000)
    for turn in range(8):
        cable = threading.Timer(0.005 * turn, unplug, [b])
        cable.start()
        for _ in range(3):
            driver.attach()
            driver.detach()
        cable.join()
        wait_until_gone(b)
        assert driver.mappings() == 0
        plug(b)
        wait_until_back(b)
        driver.find()
    assert driver.attach() == 1 and driver.map(BUFFER)[0] == OK


@bench(hosts=[""])
def one_that_goes_while_it_is_plugged(b):
    b.mac.control("delay", "IOPCIDevice::ConfigurationRead", 2000)
    for turn in range(10):
        cable = threading.Timer(0.02 * turn, unplug, [b])
        cable.start()
        refused = b.qemu.refusal(host="1912:0028")
        cable.join()
        wait_until_gone(b)
        plug(b)
        if not refused:
            wait_until_back(b)
            b.qemu.command("device_del", id="refused")
            take_out(b, 0)


def take_out(b, index):
    """What a guest does that is asked to let go."""
    slot = Slot(b.ports[index])
    slot.control(slot.ON)
    slot.control(slot.OFF | slot.POWER_OFF)
    wait_until_gone(b, index)
    slot.control(slot.ON)


WITNESS = {"devices": ["endpoint", "gpu,card=r9700"], "hosts": ["host=1912:0028", "host=1002:7551"]}


def time_passes(b):
    """Another device comes back twice, so each slot's turn has come."""
    for _ in range(2):
        unplug(b, "gpu0")
        wait_until_gone(b, 1)
        plug(b, "gpu0")
        wait_until_back(b, 1)


@bench(**WITNESS)
def a_slot_that_the_guest_has_not_turned_off_waits(b):
    slot = Slot(b.ports[0])
    slot.control(slot.ON | slot.INTERRUPTS)
    unplug(b)
    wait_until_gone(b)
    plug(b)
    # Its driver takes longer than the host does.
    time_passes(b)
    assert not slot.is_occupied()
    slot.control(slot.ON | slot.POWER_OFF | slot.INTERRUPTS)
    time_passes(b)
    assert not slot.is_occupied()
    slot.control(slot.OFF | slot.POWER_OFF | slot.INTERRUPTS)
    wait_for(slot.is_occupied, "the return")


@bench(**WITNESS)
def what_was_asked_for_does_not_come_back(b):
    slot = Slot(b.ports[0])
    slot.control(slot.ON)
    b.qemu.command("device_del", id="pci0")
    unplug(b)
    wait_until_gone(b)
    plug(b)
    time_passes(b)
    assert not slot.is_occupied()


@bench(**WITNESS)
def nor_does_what_has_been_replaced(b):
    slot = Slot(b.ports[0])
    unplug(b)
    wait_until_gone(b)
    b.qemu.command("device_add", driver="pcie-root-port", id="other", bus="port0", chassis=9)
    time_passes(b)
    b.qemu.command("device_del", id="other")
    slot.control(slot.ON)
    slot.control(slot.OFF | slot.POWER_OFF)
    plug(b)
    time_passes(b)
    assert not slot.is_occupied()


@bench(devices=TWO["devices"], hosts=["host=1912:0028", ""])
def one_that_cannot_be_plugged_is_tried_again(b):
    unplug(b)
    wait_until_gone(b)
    b.qemu.command("device_add", driver="quiver-pci", id="pci0", bus="port1", host="1912:0028")
    plug(b)
    wait_for(lambda: says(b, "cannot be plugged"), "the complaint")
    b.qemu.command("device_del", id="pci0")
    take_out(b, 1)
    wait_until_back(b)
    assert says(b, "cannot be plugged") == 1 and says(b, "Duplicate device ID") == 1
    assert b.devices[0].read(MARK, 1) == 0x11


def questions(b):
    """How often somebody has asked what the Mac has."""
    return b.mac.state()["client_calls"]["IOServiceGetMatchingServices"]


@bench(devices=TWO["devices"])
def another_of_its_kind_is_left_alone(b):
    unplug(b)
    wait_until_gone(b)
    # What nobody has is there for whoever comes next, and not for who has lost his.
    before = questions(b)
    wait_for(lambda: questions(b) >= before + 3, "three looks at the host")
    assert b.mac.device(1)["state"] == "idle"
    assert not Slot(b.ports[0]).is_occupied()
    plug(b)
    assert wait_until_back(b).read(MARK, 1) == 0x11


@bench()
def the_machine_is_reset_while_the_slot_is_empty(b):
    unplug(b)
    wait_until_gone(b)
    slot = Slot(b.ports[0])
    system_reset(b)
    plug(b)
    wait_for(slot.is_occupied, "the return")
    slot.control(slot.ON)
    b.place(0)
    assert Driver(b).ready().map(BUFFER)[0] == OK


@bench()
def quitting_while_it_is_away(b):
    busy(b)
    unplug(b)
    wait_until_gone(b)


@bench()
def quitting_at_the_moment_of_its_return(b):
    busy(b)
    unplug(b)
    wait_until_gone(b)
    b.mac.control("delay", "IOPCIDevice::ConfigurationRead", 5000)
    plug(b)
    wait_for(lambda: b.mac.device()["state"] == "in use", "a claim")


@bench()
def ending_at_the_moment_of_the_loss(b):
    busy(b)
    b.mac.control("unplug", "endpoint0", "nowait")
    b.qemu.process.send_signal(signal.SIGTERM)
    b.qemu.process.wait()


@bench(options=("--fail", "IOPCIDevice::ConfigureInterrupts:1"))
def a_guest_cannot_fill_the_log(b):
    Driver(b).ready()
    for turn in range(2, 6):
        b.mac.control("fail", "IOPCIDevice::ConfigureInterrupts", 1)
        device, control, _ = msix_on(b)
        device.write(control, 0, 2)
    assert says(b, "gives no interrupts") == 1


@bench()
def config_space_is_written_with_anything(b):
    driver, _ = busy(b)
    generator, device = random.Random(3), b.devices[0]
    pool = [0, 1, 0xFF, 0xFFFF, ONES, 0x8000, 0x0407, 0x80000000]
    for turn in range(3000):
        width = generator.choice([1, 2, 4])
        offset = generator.randrange(0, 4096, width) if turn % 2 else generator.randrange(0, 256, width)
        device.write(offset, generator.choice([*pool, generator.randrange(2**32)]) & 2**(8 * width) - 1,
                     width)
        device.read(offset, width)
        if turn == 2000:
            unplug(b)
    wait_until_gone(b)
    plug(b)
    wait_until_back(b)
    assert driver.ready().map(BUFFER)[0] == OK


@bench()
def a_device_that_is_deleted_while_it_goes(b):
    for _ in range(5):
        busy(b)
        cable = threading.Thread(target=unplug, args=[b])
        cable.start()
        try:
            b.qemu.command("device_del", id="pci0")
        except Lost:
            pass
        cable.join()
        wait_until_gone(b)
        plug(b)
        b.qemu.command("system_reset")
        try:
            b.qemu.command("device_add", driver="quiver-pci", id="pci0", bus="port0",
                           host="1912:0028")
        except Lost:
            pass
        slot = Slot(b.ports[0])
        wait_for(slot.is_occupied, "the device")
        slot.control(slot.ON)
        b.set_up()
