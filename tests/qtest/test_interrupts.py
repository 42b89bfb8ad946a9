# SPDX-License-Identifier: BSD-3-Clause
"""MSI and MSI-X. A message goes to guest RAM here, where it can be seen."""

import struct

from driver import BATCH, DOORBELL, OK, QUEUE, WRITE, Driver, Endpoint
from machine import COMMAND, MASTER, RAM_BASE, entry, unpack_entry, wait_for
from test_registers import bench

MAILBOX = RAM_BASE + (32 << 20)
TABLE, PBA = 0x8000, 0xC000
VECTORS = 64
ENABLE, MASK_ALL = 0x8000, 0x4000


def mail(b, vector):
    return struct.unpack("<I", b.qemu.get(MAILBOX + 4 * vector, 4))[0]


def write_vector(device, vector, masked=0):
    at = TABLE + 16 * vector
    device.store(0, at, MAILBOX + 4 * vector)
    device.store(0, at + 4, 0)
    device.store(0, at + 8, 0x1000 + vector)
    device.store(0, at + 12, masked)


def msix_on(b):
    device = b.devices[0]
    device.set_bits(COMMAND, MASTER)
    for vector in range(VECTORS):
        write_vector(device, vector)
    control = device.capability(0x11) + 2
    device.write(control, ENABLE, 2)
    return device, control, Endpoint(device)


@bench()
def each_MSIX_vector_arrives(b):
    Driver(b).ready()
    _, _, endpoint = msix_on(b)
    for vector in range(VECTORS):
        endpoint.raise_irq(endpoint.RAISE_MSIX, vector)
        wait_for(lambda: mail(b, vector) == 0x1000 + vector, f"vector {vector}")
    assert b.qemu.property("pci0", "interrupts") == VECTORS


@bench()
def masked_MSIX_vectors_stay_pending(b):
    Driver(b).ready()
    device, control, endpoint = msix_on(b)
    write_vector(device, 3, masked=1)
    endpoint.raise_irq(endpoint.RAISE_MSIX, 3)
    wait_for(lambda: device.load(0, PBA) == 8, "the pending bit")
    assert mail(b, 3) == 0
    device.store(0, TABLE + 16 * 3 + 12, 0)
    wait_for(lambda: mail(b, 3) == 0x1003, "vector 3")
    assert device.load(0, PBA) == 0
    b.qemu.put(MAILBOX, b"\0" * 64)
    device.write(control, ENABLE | MASK_ALL, 2)
    endpoint.raise_irq(endpoint.RAISE_MSIX, 5)
    wait_for(lambda: device.load(0, PBA) == 32, "the pending bit")
    device.write(control, ENABLE, 2)
    wait_for(lambda: mail(b, 5) == 0x1005, "vector 5")


def msi_on(b, order):
    device = b.devices[0]
    device.set_bits(COMMAND, MASTER)
    at = device.capability(0x05)
    is_64 = device.read(at + 2, 2) & 0x80
    device.write(at + 4, MAILBOX)
    if is_64:
        device.write(at + 8, 0)
    device.write(at + (12 if is_64 else 8), 0x40, 2)
    device.write(at + 2, order << 4 | 1, 2)
    return device, at, Endpoint(device)


@bench()
def each_MSI_vector_arrives(b):
    Driver(b).ready()
    _, _, endpoint = msi_on(b, 5)
    for vector in range(32):
        endpoint.raise_irq(endpoint.RAISE_MSI, vector)
        wait_for(lambda: mail(b, 0) == 0x40 + vector, f"vector {vector}")


@bench()
def MSI_and_MSIX_take_turns(b):
    Driver(b).ready()
    for _ in range(3):
        device, at, endpoint = msi_on(b, 0)
        endpoint.raise_irq(endpoint.RAISE_MSI, 0)
        wait_for(lambda: mail(b, 0) == 0x40, "MSI")
        device.write(at + 2, 0, 2)
        device, control, endpoint = msix_on(b)
        endpoint.raise_irq(endpoint.RAISE_MSIX, 9)
        wait_for(lambda: mail(b, 9) == 0x1009, "MSI-X")
        device.write(control, 0, 2)
        b.qemu.put(MAILBOX, b"\0" * 256)


@bench()
def a_storm_across_enabling_and_disabling(b):
    Driver(b).ready()
    device, control, endpoint = msix_on(b)
    for turn in range(200):
        device.write(control, ENABLE if turn % 2 else 0, 2)
        endpoint.raise_irq(endpoint.RAISE_MSIX, turn % VECTORS)
    device.write(control, ENABLE, 2)
    b.qemu.put(MAILBOX, b"\0" * 256)
    endpoint.raise_irq(endpoint.RAISE_MSIX, 7)
    wait_for(lambda: mail(b, 7) == 0x1007, "the last one")


@bench()
def a_doorbell_rung_by_an_interrupt_runs(b):
    driver = Driver(b).ready()
    device, _, endpoint = msix_on(b)
    b.qemu.put(BATCH, entry(1, 0, MAILBOX, 16384, 0, WRITE))
    device.store(0, TABLE, b.dma.bar[0] + QUEUE + DOORBELL)
    device.store(0, TABLE + 8, 1)
    endpoint.raise_irq(endpoint.RAISE_MSIX, 0)
    wait_for(lambda: driver.mappings() == 1, "the doorbell")
    assert unpack_entry(b.qemu.get(BATCH, 32))[0] == OK
