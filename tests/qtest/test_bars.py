# SPDX-License-Identifier: BSD-3-Clause
"""quiver-pci: config space and BARs."""

import random
import re

from driver import OK, Driver, Endpoint
from machine import COMMAND, MASTER, MEMORY, wait_for
from test_registers import bench

SIZES = [65536, 4096, 16384, 65536, 131072, 1048576]
PAGE = 16384  # of a Mac [H2], whatever this machine's are
EXP_DEVCTL, EXP_DEVSTA = 8, 10


@bench()
def looks_like_the_real_device(b):
    device = b.devices[0]
    assert device.read(0) == 0x00281912
    assert [device.size(bar) for bar in range(6)] == SIZES
    assert device.read(0x3D, 1) == 0
    assert device.capability(0x10) and device.capability(0x05) and device.capability(0x11)


def pattern(b):
    device = b.devices[0]
    for bar in range(1, 6):
        for offset in (0, 4, SIZES[bar] // 2, SIZES[bar] - 8):
            device.store(bar, offset, 0x01020304 + bar + offset)
    for bar in range(1, 6):
        for offset in (0, 4, SIZES[bar] // 2, SIZES[bar] - 8):
            assert device.load(bar, offset) == 0x01020304 + bar + offset, (bar, offset)
    device.store(1, 0, 0x1122334455667788, 8)
    assert device.load(1, 0, 8) == 0x1122334455667788
    assert device.load(1, 2, 2) == 0x5566
    device.store(1, 7, 0xEE, 1)
    assert device.load(1, 4) == 0xEE223344


@bench()
def BARs_are_memory(b):
    pattern(b)
    tree = b.qemu.command("human-monitor-command", **{"command-line": "info mtree -f"})
    # 0x8000 to the end of BAR 0 has the MSI-X table and the PBA, BAR 1 is too small.
    assert "quiver-bar0-direct0" in tree and "quiver-bar0-direct1" not in tree
    assert "quiver-bar1-direct" not in tree and "quiver-bar1-trapped" in tree
    assert "quiver-bar4-direct0" in tree and "quiver-bar4-trapped" not in tree


@bench()
def what_maps_directly_is_whole_pages_of_a_Mac(b):
    tree = b.qemu.command("human-monitor-command", **{"command-line": "info mtree -f"})
    direct = {(int(first, 16), int(last, 16) + 1, kind, int(offset or "0", 16))
              for first, last, kind, offset in re.findall(
                  r"([0-9a-f]{16})-([0-9a-f]{16}) \(prio -?\d+, (\w+)\): quiver-bar\d-direct\d(?: @([0-9a-f]+))?",
                  tree)}
    # Of BARs 0, 2, 3, 4 and 5.
    assert len(direct) == 5, tree
    for first, last, kind, offset in direct:
        assert kind == "ramd" and first % PAGE == last % PAGE == offset % PAGE == 0, (hex(first), kind)
    assert sum(last - first for first, last, _, _ in direct) == 0x8000 + sum(SIZES[2:])


@bench(hosts=["host=1912:0028,x-trap=on"])
def BARs_are_the_same_when_trapped(b):
    pattern(b)
    tree = b.qemu.command("human-monitor-command", **{"command-line": "info mtree -f"})
    assert "-direct" not in tree


@bench()
def what_would_take_the_device_off_the_bus_is_kept_back(b):
    device = b.devices[0]
    control = device.capability(0x10) + EXP_DEVCTL
    device.write(control, 0x50BF, 2)
    assert device.read(control, 2) == 0x50BF
    for bar in range(6):
        device.write(0x10 + 4 * bar, 0xFFFFFFFF)
    device.write(0x30, 0xFFFFFFFF)
    device.write(COMMAND, 0xFFFF, 2)
    # A device that has left the bus reads as all ones.
    assert device.read(control + 2, 2) != 0xFFFF
    assert Driver(b).ready().map(0x40000000)[0] == OK


@bench()
def unaligned_config_accesses_work(b):
    device = b.devices[0]
    whole = device.read(0, 4) | device.read(4, 4) << 32
    assert device.read(1, 2) == whole >> 8 & 0xFFFF
    assert device.read(3, 1) == whole >> 24 & 0xFF


@bench()
def DMA_stays_off_until_attached(b):
    driver, device = Driver(b), b.devices[0]
    endpoint = Endpoint(device)
    device.set_bits(COMMAND, MASTER)
    assert device.read(COMMAND, 2) & MASTER
    # It would panic the Mac if it mastered the bus now, and also if it did later: attaching resets it.
    endpoint.start(endpoint.READ, source=0x123450000, size=64)
    assert not b.mac.device()["masters_bus"]
    driver.ready()
    assert endpoint.get(endpoint.SOURCE) == 0
    status, iova = driver.map(0x44000000)
    assert status == OK
    endpoint.start(endpoint.WRITE, target=iova, size=64)
    wait_for(lambda: endpoint.get(endpoint.STATUS) & endpoint.WRITE_OK, "the write")


@bench()
def bus_mastering_follows_the_guest_while_attached(b):
    driver, device = Driver(b).ready(), b.devices[0]
    endpoint = Endpoint(device)
    _, iova = driver.map(0x44000000)
    for _ in range(3):
        device.set_bits(COMMAND, MASTER)
        endpoint.start(endpoint.WRITE, target=iova, size=64)
        wait_for(lambda: endpoint.get(endpoint.STATUS) & endpoint.WRITE_OK, "the write")
        assert b.mac.device()["masters_bus"]
        device.clear_bits(COMMAND, MASTER)
        assert not b.mac.device()["masters_bus"]
        assert device.read(COMMAND, 2) & (MASTER | MEMORY) == MEMORY


@bench()
def fuzzed_config_space_does_no_harm(b):
    driver, device, generator = Driver(b).ready(), b.devices[0], random.Random(2)
    hot = [COMMAND, 0x06, 0x10, 0x14, 0x34, 0x3C] + [
        device.capability(kind) + offset
        for kind in (0x01, 0x05, 0x10, 0x11) for offset in range(0, 16, 2)]
    for _ in range(3000):
        width = generator.choice([1, 2, 4])
        offset = min(generator.choice([generator.randrange(4096), *hot]), 4096 - width)
        if generator.random() < 0.3:
            device.read(offset, width)
        else:
            values = [0, 1, 0x8000, 0xFFFFFFFF, generator.getrandbits(32)]
            device.write(offset, generator.choice(values), width)
    b.qemu.command("system_reset")
    b.set_up()
    pattern(b)
    assert driver.ready().map(0x44000000)[0] == OK
