# SPDX-License-Identifier: BSD-3-Clause
"""What a driver does with quiver-dma: proto.h once more, from its prose."""

import struct

from machine import RAM_BASE, Lost, entry, unpack_entry

MAGIC, QUEUES, DEVICES, GRANULE_SHIFT = 0x00, 0x04, 0x08, 0x0C
DEVICE_FEATURES, DRIVER_FEATURES, STATUS, ENTRIES_MAX = 0x10, 0x18, 0x20, 0x24
GUEST_LO, GUEST_HI = 0x2C, 0x30
DRIVER_OK, FAILED = 1, 2
QUEUE, RECORD, STRIDE = 0x1000, 0x2000, 64
BASE_LO, BASE_HI, ENTRIES, ENABLE, DOORBELL = 0, 4, 8, 12, 16
FLAGS, ADDRESS, CONTROL, GENERATION = 0, 4, 8, 12
PRESENT, LINK_TB5 = 1, 2
RECORDS = 64

MAP, UNMAP = 1, 2
READ, WRITE, VITAL = 1, 2, 4
STATUS_PAGE, BUDGET, TSO, GUEST_STATS = 1, 2, 4, 16  # features
OK, PENDING, INVAL, NODEV, FAULT, NOENT, BYTES, MAPPINGS, IO, GONE = range(10)

GRANULE = 16384
VITAL_MAX = 65536

# The status page
GUEST_ERRORS = 144
BATCH = RAM_BASE + (16 << 20)  # of queue 0; each has room of its own behind it
BATCH_STRIDE = 1 << 18


class Driver:
    def __init__(self, bench):
        self.bench, self.dma, self.qemu = bench, bench.dma, bench.qemu
        self.device = 0  # the record that is meant where none is named

    def start(self, features=0):
        self.dma.store(0, STATUS, 0)
        self.dma.store(0, DRIVER_FEATURES, features)
        self.dma.store(0, STATUS, DRIVER_OK)
        return self.dma.load(0, STATUS)

    def queue(self, index, reg, value=None):
        at = QUEUE + STRIDE * index + reg
        if value is None:
            return self.dma.load(0, at)
        return self.dma.store(0, at, value)

    def record(self, index, reg, value=None):
        at = RECORD + STRIDE * index + reg
        if value is None:
            return self.dma.load(0, at)
        return self.dma.store(0, at, value)

    def enable(self, index=0, base=None, entries=4096):
        base = BATCH + index * BATCH_STRIDE if base is None else base
        self.queue(index, BASE_LO, base & 0xFFFFFFFF)
        self.queue(index, BASE_HI, base >> 32)
        self.queue(index, ENTRIES, entries)
        self.queue(index, ENABLE, 1)
        return self.queue(index, ENABLE)

    def find(self, port=0):
        """By its address, the record of the device behind a port. It is the one that is meant from now on."""
        for index in range(RECORDS):
            if self.record(index, FLAGS) & PRESENT and self.record(index, ADDRESS) == (port + 1) << 8:
                self.device = index
                return self
        raise Lost(f"no record has the device behind port {port}")

    def named(self, device):
        return self.device if device is None else device

    def attach(self, device=None):
        self.record(self.named(device), CONTROL, 1)
        return self.record(self.named(device), CONTROL)

    def detach(self, device=None):
        self.record(self.named(device), CONTROL, 0)
        return self.record(self.named(device), CONTROL)

    def ready(self, device=None, features=0):
        """Everything up: what most tests begin with."""
        self.start(features)
        self.enable()
        self.attach(self.find().device if device is None else device)
        return self

    def run(self, entries, queue=0):
        """[(status, iova)] of packed entries."""
        base = BATCH + queue * BATCH_STRIDE
        self.qemu.put(base, b"".join(entries))
        self.queue(queue, DOORBELL, len(entries))
        data = self.qemu.get(base, 32 * len(entries))
        return [unpack_entry(data[i : i + 32]) for i in range(0, len(data), 32)]

    def one(self, *args, **kwargs):
        return self.run([entry(*args, **kwargs)])[0]

    def map(self, gpa, length=GRANULE, device=None, flags=READ | WRITE):
        return self.one(MAP, self.named(device), gpa, length, 0, flags)

    def unmap(self, iova, length=GRANULE, device=None):
        return self.one(UNMAP, self.named(device), 0, length, iova)[0]

    def counter(self, offset):
        return struct.unpack("<Q", self.qemu.get(self.dma.bar[2] + offset, 8))[0]

    def errors(self):
        return self.counter(GUEST_ERRORS)

    def stats(self):
        return self.qemu.property("dma", "stats")

    def mappings(self):
        return self.qemu.property("dma", "mappings")


class Endpoint:
    """The device that Linux' pci_endpoint_test driver tests."""

    COMMAND, STATUS, SOURCE, TARGET, SIZE, CHECKSUM, IRQ_TYPE, IRQ_NUMBER = (
        0x04, 0x08, 0x0C, 0x14, 0x1C, 0x20, 0x24, 0x28)
    RAISE_MSI, RAISE_MSIX, READ, WRITE, COPY = 2, 4, 8, 16, 32
    READ_OK, WRITE_OK, COPY_OK, IRQ_RAISED = 1, 4, 16, 64

    def __init__(self, function):
        self.function = function

    def set(self, reg, value):
        self.function.store(0, reg, value)

    def get(self, reg):
        return self.function.load(0, reg)

    def set64(self, reg, value):
        self.set(reg, value & 0xFFFFFFFF)
        self.set(reg + 4, value >> 32)

    def start(self, command, source=0, target=0, size=0):
        self.set(self.STATUS, 0)
        self.set64(self.SOURCE, source)
        self.set64(self.TARGET, target)
        self.set(self.SIZE, size)
        self.set(self.COMMAND, command)

    def raise_irq(self, kind, vector):
        self.set(self.IRQ_TYPE, 1 if kind == self.RAISE_MSI else 2)
        self.set(self.IRQ_NUMBER, vector + 1)
        self.start(kind)
