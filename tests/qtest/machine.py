# SPDX-License-Identifier: BSD-3-Clause
"""A simulated Mac and a QEMU without a guest, driven through QEMU's qtest socket."""

import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("QUIVER_BUILD", os.path.join(TOP, "build"))
QEMU = os.environ.get("QUIVER_QEMU", os.path.join(BUILD, "qemu-system-aarch64"))
DAEMON = os.path.join(BUILD, "host/simmac/daemon")
SIMMACCTL = os.environ.get("QUIVER_SIMMACCTL", os.path.join(DAEMON, "simmacctl"))
SIMMACD = os.environ.get("QUIVER_SIMMACD", os.path.join(DAEMON, "simmacd"))
PATIENCE = 30

RAM_BASE = 0x40000000
RAM_SIZE = 256 << 20
ECAM = 0x4010000000
MMIO = 0x10000000  # the 32-bit window of the virt machine
PORT_WINDOW = 16 << 20
PANIC_STATUS = 86

COMMAND = 0x04
BAR0 = 0x10
MEMORY, MASTER = 2, 4


class Lost(Exception):
    """QEMU or the simulated Mac has gone."""


class SimMac:
    def __init__(self, folder, devices, options=()):
        self.socket = os.path.join(folder, "mac.sock")
        self.log = open(os.path.join(folder, "mac.log"), "w+", encoding="utf-8")
        arguments = [SIMMACD, "--socket", self.socket]
        for device in devices:
            arguments += ["--device", device]
        self.process = subprocess.Popen(arguments + list(options), stdout=self.log, stderr=self.log)
        wait_for(lambda: os.path.exists(self.socket), "simmacd's socket")

    def control(self, *words):
        answer = subprocess.run([SIMMACCTL, "--socket", self.socket, *map(str, words)], check=True,
                                capture_output=True, text=True, timeout=PATIENCE)
        return answer.stdout

    def state(self):
        """What the Mac itself sees."""
        return json.loads(self.control("state"))

    def device(self, index=0):
        """The same of a device."""
        return self.state()["devices"][index]

    def stop(self):
        """The exit status: 0 if nothing is left mapped and nothing panicked."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(PATIENCE)
        self.log.seek(0)
        report = self.log.read()
        self.log.close()
        return status, report


class Line:
    """One line there, one line back."""

    def __init__(self, listener):
        self.connection, _ = listener.accept()
        self.connection.settimeout(PATIENCE)
        self.file = self.connection.makefile("rw", newline="\n")

    def send(self, text):
        try:
            self.file.write(text + "\n")
            self.file.flush()
        except OSError as error:
            raise Lost(text) from error

    def receive(self):
        try:
            line = self.file.readline()
        except OSError as error:
            raise Lost("no answer") from error
        if not line:
            raise Lost("the connection has closed")
        return line.strip()

    def close(self):
        self.file.close()
        self.connection.close()


def wait_for(condition, what):
    end = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > end:
            raise Lost(f"waited {PATIENCE} s for {what}")
        time.sleep(0.005)


def listen(path):
    listener = socket.socket(socket.AF_UNIX)
    listener.settimeout(PATIENCE)
    listener.bind(path)
    listener.listen(1)
    return listener


# A translator that is not started, or only when a test says so.
ACCELERATORS = {"qtest": ["-accel", "qtest"], "tcg": ["-accel", "tcg,thread=multi", "-S"]}

# Without an MMU all memory is a device's: nothing may be unaligned.
BARE = ["aarch64-linux-gnu-gcc", "-std=gnu11", "-O1", "-Wall", "-Wextra", "-Werror", "-ffreestanding",
        "-mgeneral-regs-only", "-mstrict-align", "-fno-pic", "-nostdlib", "-static",
        "-Wl,-Ttext=0x40400000", "-I", os.path.join(TOP, "include")]


def loader(folder, program):
    """For a program of this folder's that is to be the guest: QEMU's arguments."""
    if not program:
        return []
    built = os.path.join(folder, "guest.elf")
    subprocess.run([*BARE, "-o", built, os.path.join(TOP, "tests/qtest", program)], check=True)
    return ["-kernel", built]


class Qemu:
    """Bus 0: quiver-dma at 1.0, a root port at 2.0 and up for each device; one of "" is empty."""

    def __init__(self, folder, mac, devices, dma="", accel="qtest", port="", program=""):
        qtest, qmp = os.path.join(folder, "qtest"), os.path.join(folder, "qmp")
        listeners = [listen(qtest), listen(qmp)]
        self.log = open(os.path.join(folder, "qemu.log"), "w+", encoding="utf-8")
        arguments = [
            QEMU, "-machine", "virt,gic-version=3", *ACCELERATORS[accel], "-cpu", "cortex-a72",
            "-smp", "2", "-m", f"{RAM_SIZE >> 20}M", "-display", "none", "-nodefaults",
            "-object", f"memory-backend-file,id=ram,size={RAM_SIZE},align=2M,share=on,"
            f"mem-path={folder}/ram",
            "-machine", "memory-backend=ram",
            "-qtest", f"unix:{qtest}", "-qtest-log", "none", "-qmp", f"unix:{qmp}",
            "-device", f"quiver-dma,id=dma,addr=1.0{dma}",
            *loader(folder, program),
        ]
        for index, device in enumerate(devices):
            place = f"chassis={index + 1},addr={index + 2:x}.0{port}"
            arguments += ["-device", f"pcie-root-port,id=port{index},{place}"]
            if device:
                arguments += ["-device", f"quiver-pci,id=pci{index},bus=port{index},{device}"]
        environment = dict(os.environ, QUIVER_SIMMAC=mac.socket)
        self.process = subprocess.Popen(arguments, env=environment, stderr=self.log,
                                        stdout=self.log)
        try:
            self.qtest, self.qmp = Line(listeners[0]), Line(listeners[1])
        except OSError as error:
            self.process.kill()
            self.process.wait()
            raise Lost("QEMU did not start: " + self.text()) from error
        finally:
            for listener in listeners:
                listener.close()
        self.qmp.receive()
        self.command("qmp_capabilities")

    def text(self):
        self.log.seek(0)
        return self.log.read()

    # QMP

    def refusal(self, **device):
        """Why a device cannot be plugged into the first port."""
        try:
            self.command("device_add", driver="quiver-pci", id="refused", bus="port0", **device)
        except Lost as error:
            return str(error)
        return ""

    def command(self, name, **arguments):
        self.qmp.send(json.dumps({"execute": name, "arguments": arguments}))
        while True:
            answer = json.loads(self.qmp.receive())
            if "error" in answer:
                raise Lost(answer["error"]["desc"])
            if "return" in answer:
                return answer["return"]

    def property(self, device, name):
        return self.command("qom-get", path=f"/machine/peripheral/{device}", property=name)

    # qtest

    def ask(self, text):
        self.qtest.send(text)
        while True:
            answer = self.qtest.receive().split()
            if answer[0] == "IRQ":
                continue
            if answer[0] != "OK":
                raise Lost(f"{text}: {answer}")
            return answer[1] if len(answer) > 1 else ""

    def read(self, address, width=4):
        return int(self.ask(f"read{'bwlq'[width.bit_length() - 1]} {address:#x}"), 16)

    def write(self, address, value, width=4):
        self.ask(f"write{'bwlq'[width.bit_length() - 1]} {address:#x} {value:#x}")

    def get(self, address, size):
        return bytes.fromhex(self.ask(f"read {address:#x} {size:#x}")[2:])

    def put(self, address, data):
        self.ask(f"write {address:#x} {len(data):#x} 0x{data.hex()}")

    def stop(self):
        """Ends it as a user does. Its exit status."""
        if self.process.poll() is None:
            try:
                self.command("quit")
            except Lost:
                pass
        try:
            status = self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            status = self.process.wait()
        self.qtest.close()
        self.qmp.close()
        return status


def qemu_fails(*arguments):
    """What QEMU says that does not start with these."""
    machine = [QEMU, "-machine", "virt", "-nodefaults", "-display", "none", "-S"]
    process = subprocess.run([*machine, *arguments], capture_output=True, text=True, check=False,
                             timeout=PATIENCE)
    assert process.returncode == 1, process.returncode
    return process.stderr


class Function:
    """A PCI function: config space, and BARs once they are placed."""

    def __init__(self, qemu, bus, slot):
        self.qemu = qemu
        self.config = ECAM + (bus << 20) + (slot << 15)
        self.bar = {}

    def read(self, offset, width=4):
        return self.qemu.read(self.config + offset, width)

    def write(self, offset, value, width=4):
        self.qemu.write(self.config + offset, value, width)

    def size(self, bar):
        self.write(BAR0 + 4 * bar, 0xFFFFFFFF)
        return -(self.read(BAR0 + 4 * bar) & ~0xF) & 0xFFFFFFFF

    def place(self, base):
        """Puts all memory BARs from base on; where the next device may go."""
        bar = 0
        while bar < 6:
            size = self.size(bar)
            is_64 = self.read(BAR0 + 4 * bar) & 6 == 4
            if size:
                base = (base + size - 1) & -size
                self.write(BAR0 + 4 * bar, base)
                if is_64:
                    self.write(BAR0 + 4 * bar + 4, 0)
                self.bar[bar] = base
                base += size
            bar += 2 if is_64 else 1
        self.write(COMMAND, MEMORY, 2)
        return base

    def set_bits(self, offset, bits, width=2):
        self.write(offset, self.read(offset, width) | bits, width)

    def clear_bits(self, offset, bits, width=2):
        self.write(offset, self.read(offset, width) & ~bits, width)

    def capability(self, wanted):
        at = self.read(0x34, 1)
        while at:
            if self.read(at, 1) == wanted:
                return at
            at = self.read(at + 1, 1)
        return 0

    def capabilities(self):
        """{offset: id} of the list, which has an end and stays where it belongs."""
        found, at = {}, self.read(0x34, 1)
        while at:
            assert at % 4 == 0 and at >= 0x40 and at not in found, (hex(at), found)
            found[at] = self.read(at, 1)
            at = self.read(at + 1, 1)
        return found

    def extended(self):
        """The same of the other list."""
        found, at = {}, 0x100
        while at:
            assert at % 4 == 0 and at >= 0x100 and at not in found, (hex(at), found)
            head = self.read(at)
            found[at] = head & 0xFFFF
            at = head >> 20
        return {at: kind for at, kind in found.items() if kind}

    def load(self, bar, offset, width=4):
        return self.qemu.read(self.bar[bar] + offset, width)

    def store(self, bar, offset, value, width=4):
        self.qemu.write(self.bar[bar] + offset, value, width)


class Slot:
    """A port's own registers of hot plug; what pciehp of Linux does with them."""

    LINK, CONTROL, STATUS = 0x12, 0x18, 0x1A
    LINK_ACTIVE = 0x2000
    BUTTON, PRESENCE_CHANGED, COMPLETED, PRESENT, LINK_CHANGED = 0x01, 0x08, 0x10, 0x40, 0x100
    EVENTS = BUTTON | PRESENCE_CHANGED | COMPLETED | LINK_CHANGED
    ON, OFF = 0x0100, 0x0300  # power indicator
    POWER_OFF = 0x0400
    INTERRUPTS = 0x1031  # of the link, the button and commands

    def __init__(self, port):
        self.port, self.at = port, port.capability(0x10)

    def control(self, value):
        self.port.write(self.at + self.CONTROL, value, 2)

    def events(self):
        """What has happened since the last time."""
        status = self.port.read(self.at + self.STATUS, 2)
        self.port.write(self.at + self.STATUS, status & self.EVENTS, 2)
        return status & self.EVENTS

    def is_occupied(self):
        return bool(self.port.read(self.at + self.STATUS, 2) & self.PRESENT)

    def interrupts(self):
        """Whether its line does, of a port whose MSI-X is off."""
        return bool(self.port.read(0x06, 2) & 0x08)

    def has_link(self):
        return bool(self.port.read(self.at + self.LINK, 2) & self.LINK_ACTIVE)


class Bench:
    """Everything, as firmware would leave it."""

    def __init__(self, devices, hosts, options=(), **more):
        self.folder = tempfile.mkdtemp(prefix="quiver-qtest-")
        self.mac = self.qemu = None
        try:
            self.mac = SimMac(self.folder, devices, options)
            self.qemu = Qemu(self.folder, self.mac, hosts, **more)
            self.hosts = hosts
            self.set_up()
        except BaseException:
            self.close()
            raise

    def set_up(self):
        self.dma = Function(self.qemu, 0, 1)
        self.ports, self.devices = [], []
        base = self.dma.place(MMIO)
        for index, host in enumerate(self.hosts):
            port = Function(self.qemu, 0, index + 2)
            port.write(0x18, (index + 1) << 8 | (index + 1) << 16)
            base = (base + PORT_WINDOW - 1) & -PORT_WINDOW
            port.write(0x20, (base >> 16) | ((base + PORT_WINDOW - 1) & 0xFFF00000))
            port.write(COMMAND, MEMORY | MASTER, 2)
            self.ports.append(port)
            self.devices.append(Function(self.qemu, index + 1, 0))
            if host:
                self.place(index)
            base += PORT_WINDOW

    def place(self, index):
        """The device of a port, into the port's window."""
        window = self.ports[index].read(0x20)
        self.devices[index].place((window & 0xFFF0) << 16)
        return self.devices[index]

    def close(self):
        """The exit statuses of QEMU and of the simulated Mac, and what was said."""
        statuses, report = [0, 0], ""
        if self.qemu:
            statuses[0] = self.qemu.stop()
            report += self.qemu.text()
            self.qemu.log.close()
            self.qemu = None
        if self.mac:
            statuses[1], text = self.mac.stop()
            report += text
            self.mac = None
        shutil.rmtree(self.folder, ignore_errors=True)
        return statuses, report


def entry(op, device, gpa=0, length=0, iova=0, flags=0, status=1):
    return struct.pack("<BBHIQQQ", op, flags, device, status, gpa, length, iova)


def unpack_entry(data):
    """(status, iova)"""
    fields = struct.unpack("<BBHIQQQ", data)
    return fields[3], fields[6]
