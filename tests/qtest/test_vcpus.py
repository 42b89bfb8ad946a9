# SPDX-License-Identifier: BSD-3-Clause
"""What only a running vCPU does: its doorbells run beside all else, without the big lock. The guest is vcpu.c."""

import random
import struct
import time

from driver import CONTROL, GONE, OK, Driver
from machine import RAM_BASE, wait_for
from test_registers import bench
from test_unplug import TWO, plug, unplug, wait_until_back, wait_until_gone

SHARED = RAM_BASE + (32 << 20)
GO, RECORD, COUNTS = 8, 16, 32
CPUS, STATUSES = 2, 16
COUNTS_SIZE = 16 + 8 * 4 * STATUSES
LOSSES = 12


class Guest:
    def __init__(self, b):
        self.qemu, self.driver = b.qemu, Driver(b)
        self.driver.start()
        for queue in range(CPUS):
            self.driver.enable(queue)
        self.driver.attach(0)
        self.driver.attach(1)
        self.set(0, b.dma.bar[0])
        self.use(0, 1)
        self.set(GO, 1)
        b.qemu.command("cont")

    def set(self, offset, value):
        self.qemu.write(SHARED + offset, value, 8)

    def use(self, *records):
        for index, record in enumerate(records):
            self.set(RECORD + 8 * index, record)

    def counts(self, cpu):
        """Rounds, whether it has stopped, and {status: how often} of the first device's maps and unmaps, then of the
        second's."""
        data = self.qemu.get(SHARED + COUNTS + cpu * COUNTS_SIZE, COUNTS_SIZE)
        words = struct.unpack(f"<{COUNTS_SIZE // 8}Q", data)
        tables = [words[at:at + STATUSES] for at in range(2, len(words), STATUSES)]
        return words[0], words[1], [{status: n for status, n in enumerate(table) if n} for table in tables]

    def rounds(self):
        return [self.counts(cpu)[0] for cpu in range(CPUS)]

    def wait_for_rounds(self, more):
        before = self.rounds()
        wait_for(lambda: all(now >= then + more for now, then in zip(self.rounds(), before)), "the vCPUs")

    def stop(self):
        """What both have counted, together."""
        self.set(GO, 0)
        wait_for(lambda: all(self.counts(cpu)[1] for cpu in range(CPUS)), "the vCPUs' end")
        totals = [{}, {}, {}, {}]
        for cpu in range(CPUS):
            for total, table in zip(totals, self.counts(cpu)[2]):
                for status, n in table.items():
                    total[status] = total.get(status, 0) + n
        return totals


@bench(**TWO, accel="tcg", program="vcpu.c")
def doorbells_ring_on_while_a_device_is_lost(b):
    guest, driver, seed = Guest(b), Driver(b), random.Random(8)
    for _ in range(LOSSES):
        guest.wait_for_rounds(2)
        time.sleep(seed.random() / 50)
        unplug(b)
        wait_until_gone(b)
        lost = driver.device
        assert driver.record(lost, CONTROL) == 0
        # Its entries have been in vain for a while.
        guest.wait_for_rounds(2)
        assert guest.driver.errors() == 0
        plug(b)
        wait_until_back(b)
        assert driver.find().attach() == 1 and driver.device != lost
        guest.use(driver.device)
    guest.wait_for_rounds(2)
    first, gone, second, unmapped = guest.stop()
    assert set(first) == set(gone) | {OK} == {OK, GONE}, (first, gone)
    # The other one has noticed nothing, and none of its mappings is forgotten.
    assert set(second) == {OK} and second == unmapped, (second, unmapped)
    assert b.qemu.property("pci1", "maps") == b.qemu.property("pci1", "unmaps") == second[OK]
    assert driver.mappings() == 0 and b.qemu.property("dma", "bytes") == 0
    assert all(b.mac.device(index)["mappings"] == 0 for index in range(2))


# If they had the big lock, whoever asks QEMU for something had to wait for a doorbell each time.
@bench(**TWO, accel="tcg", program="vcpu.c")
def nobody_waits_for_a_doorbell(b):
    guest = Guest(b)
    guest.wait_for_rounds(2)
    b.mac.control("delay", "IODMACommand::PrepareForDMA", 2000)
    guest.wait_for_rounds(1)
    before = sum(guest.rounds())
    for _ in range(50):
        assert guest.driver.record(0, CONTROL) == 1
    assert sum(guest.rounds()) <= before + 10
    b.mac.control("delay", "IODMACommand::PrepareForDMA", 0)
    guest.stop()
