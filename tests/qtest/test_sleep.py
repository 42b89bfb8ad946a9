# SPDX-License-Identifier: BSD-3-Clause
"""The Mac says that it will sleep, and waits: what is out of the guest's reach by the time its power goes."""

import os
import signal
import threading

from driver import OK, Driver
from machine import Qemu, Slot, wait_for
from test_interrupts import msix_on
from test_lifetime import BUFFER, busy
from test_registers import bench
from test_unplug import MARK, ONES, TWO, is_nowhere, says, wait_until_back, wait_until_gone

SCRATCH = 0x1000  # of BAR 0: keeps what is written
VALUE = 0x5A5A1234


WITNESS = {"devices": TWO["devices"], "hosts": ["host=1912:0028#0"]}


class Sleep:
    """One that gets no further than the answers: another QEMU, on the last device, owes its own."""

    def __init__(self, b, host="host=1912:0028#1"):
        folder = os.path.join(b.folder, "other")
        os.mkdir(folder)
        self.mac, self.other = b.mac, Qemu(folder, b.mac, [host])
        self.other.process.send_signal(signal.SIGSTOP)
        self.thread = threading.Thread(target=self.mac.control, args=["sleep"])
        self.thread.start()
        wait_for(lambda: notices(b) == 1, "the answer")

    def end(self):
        assert "IOService::SetPowerState" not in self.mac.state()["calls"]
        self.other.process.send_signal(signal.SIGCONT)
        self.thread.join()
        assert self.mac.state()["unanswered"] == 0
        self.mac.control("wake")
        assert self.other.stop() == 0
        self.other.log.close()


def asleep(b, index=0):
    return b.mac.device(index)["asleep"]


def notices(b):
    """How often somebody has answered one."""
    return b.mac.state()["client_calls"].get("IOAllowPowerChange", 0)


@bench(port=",hotplug=off", **WITNESS)
def a_BAR_is_out_of_reach_before_its_power_goes(b):
    driver, _ = busy(b)
    device = b.devices[0]
    device.store(0, SCRATCH, VALUE)
    assert device.load(0, SCRATCH) == VALUE
    sleep = Sleep(b)
    # The extension has not heard of it, and the device has its power.
    assert b.mac.device()["plugged"] and not asleep(b)
    assert device.load(0, SCRATCH) == ONES and device.load(0, SCRATCH, 8) == 2**64 - 1
    device.store(0, SCRATCH, 0)
    assert device.read(0) == ONES
    is_nowhere(b, driver)
    sleep.end()
    assert says(b, "is lost: the Mac sleeps") == 1


@bench(devices=TWO["devices"], hosts=["host=1912:0028#0,x-trap=on"], port=",hotplug=off")
def so_is_one_whose_accesses_trap(b):
    Driver(b).ready()
    device = b.devices[0]
    device.store(0, SCRATCH, VALUE)
    sleep = Sleep(b)
    assert device.load(0, SCRATCH) == ONES and not asleep(b)
    sleep.end()


@bench(port=",hotplug=off", **WITNESS)
def its_DMA_has_ended_by_then(b):
    busy(b)
    msix_on(b)
    assert b.mac.device()["masters_bus"] and b.mac.device()["mappings"]
    sleep = Sleep(b)
    state = b.mac.device()
    assert not state["asleep"] and not state["masters_bus"] and not state["mappings"]
    sleep.end()


@bench(devices=[*TWO["devices"], "gpu,card=r9700"], hosts=TWO["hosts"])
def all_of_several_are(b):
    busy(b)
    for device in b.devices:
        device.store(0, SCRATCH, VALUE)
    sleep = Sleep(b, "host=1002:7551")
    for index, device in enumerate(b.devices):
        assert device.load(0, SCRATCH) == ONES and not asleep(b, index)
    sleep.end()
    for index in range(2):
        wait_until_back(b, index)
    assert [device.read(MARK, 1) for device in b.devices] == [0x11, 0x22]


def looks(b):
    """How often somebody has asked what the Mac has."""
    return b.mac.state()["client_calls"]["IOServiceGetMatchingServices"]


def let_it_look(b):
    before = looks(b)
    wait_for(lambda: looks(b) >= before + 2, "two looks at the host")


@bench(**WITNESS)
def it_does_not_come_back_before_its_power_goes(b):
    """It is closed and free by then."""
    busy(b)
    sleep = Sleep(b)
    wait_until_gone(b)
    wait_for(lambda: b.mac.device()["state"] == "idle", "the close")
    let_it_look(b)
    assert b.mac.device()["pristine"] and not asleep(b)
    assert not Slot(b.ports[0]).is_occupied()
    sleep.end()
    wait_until_back(b)


@bench()
def nor_in_a_dark_wake(b):
    """Drivers are awake, and nobody is told of the sleep after it."""
    driver, _ = busy(b)
    b.mac.control("sleep")
    wait_until_gone(b)
    answers = notices(b)
    for _ in range(2):
        b.mac.control("wake", "dark")
        assert not asleep(b)
        let_it_look(b)
        assert not Slot(b.ports[0]).is_occupied()
        b.mac.control("sleep")
    assert notices(b) == answers
    b.mac.control("wake")
    wait_until_back(b)
    assert driver.find().attach() == 1 and driver.map(BUFFER)[0] == OK
    assert says(b, "is lost") == says(b, "is back") == 1


@bench()
def the_Mac_may_sleep_by_itself(b):
    busy(b)
    b.mac.control("sleep", "idle")
    wait_until_gone(b)
    assert notices(b) == 2 and b.mac.state()["unanswered"] == 0
    b.mac.control("wake")
    wait_until_back(b)


@bench(options=("--answer-ms", "700"))
def a_QEMU_that_is_stuck_does_not_keep_it_awake(b):
    busy(b)
    b.qemu.process.send_signal(signal.SIGSTOP)
    b.mac.control("sleep")
    assert asleep(b) and b.mac.state()["unanswered"] == 1
    b.mac.control("wake")
    b.qemu.process.send_signal(signal.SIGCONT)
    wait_for(lambda: says(b, "is lost"), "the loss")


@bench()
def nor_one_that_is_killed_meanwhile(b):
    busy(b)
    b.qemu.process.send_signal(signal.SIGSTOP)
    thread = threading.Thread(target=b.mac.control, args=["sleep"])
    thread.start()
    wait_for(lambda: b.mac.state()["listeners"] == 1, "a listener")
    b.qemu.process.kill()
    # Far sooner than 30 s, or control() gives up.
    thread.join()
    assert asleep(b) and b.mac.state()["unanswered"] == 0
    b.mac.control("wake")
    status, _ = b.close()
    assert status == [-9, 0]


@bench(hosts=[""])
def who_has_no_device_does_not_listen(b):
    assert b.mac.state()["listeners"] == 0
    b.qemu.command("device_add", driver="quiver-pci", id="late", bus="port0", host="1912:0028")
    assert b.mac.state()["listeners"] == 1
    b.mac.control("unplug", "endpoint0")
    wait_until_gone(b)
    wait_for(lambda: b.mac.state()["listeners"] == 0, "the end of the listening")
    b.mac.control("plug", "endpoint0")
    wait_until_back(b)
    assert b.mac.state()["listeners"] == 1
