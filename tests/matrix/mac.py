# SPDX-License-Identifier: BSD-3-Clause
"""The simulated Mac that lives through a whole run, and what it says of its devices."""

import json
import os
import socket
import struct
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "qtest"))

import machine  # noqa: E402

# simmac/iokit/rpc.h: a request with its command, and the head of a reply, which brings a file.
REQUEST = struct.Struct("=IIQIIII64x")
REPLY = struct.Struct("=iIQII")
RPC_CONTROL = 6

QUIVER = os.path.join(machine.BUILD, "host/cli/quiver")
NAMES = ("nvme0", "endpoint0", "endpoint1", "relentless")

DISK_SIZE = 256 << 20
FREE_SECONDS = 20  # more than all that dext and quiver wait for


class Failed(Exception):
    """A round did not end as it should."""


class Panicked(Failed):
    """The simulated Mac is gone; so is the run."""


def tool(*words):
    """A program of the administrator's, which are in not everybody's path."""
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    return subprocess.run(words, check=False, capture_output=True, text=True, env=dict(os.environ, PATH=path))


class Mac(machine.SimMac):
    """With a disk and two endpoints for guests, and an endpoint for clients that goes on with its DMA until it is
    stopped. In a guest that would be an end of it: the stock driver frees its buffers."""

    def __init__(self, folder, options=()):
        self.disk = os.path.join(folder, "disk")
        with open(self.disk, "wb") as disk:
            disk.truncate(DISK_SIZE)
        made = tool("mkfs.ext4", "-q", "-F", self.disk)
        if made.returncode:
            raise OSError(f"mkfs.ext4: {made.stderr.strip()}")
        super().__init__(folder, [f"nvme,file={self.disk}", "endpoint", "endpoint",
                                  "endpoint,name=relentless,relentless=on"], options)
        self.line = self.connect()
        self.mappings_left = 0

    def connect(self):
        line = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        line.settimeout(machine.PATIENCE)
        line.connect(self.socket)
        return line

    def ask(self, text, line=None):
        """The same as control(), for who asks thousands of times."""
        data = text.encode()
        line = line or self.line
        try:
            line.sendmsg([REQUEST.pack(RPC_CONTROL, 0, 0, 0, len(data), 0, 0), data])
            reply, files, _, _ = socket.recv_fds(line, REPLY.size, 1)
        except OSError as error:
            raise self.gone(f"it does not answer '{text}': {error}") from error
        if len(reply) != REPLY.size:
            raise self.gone(f"it hung up at '{text}'")
        result, _, size, _, _ = REPLY.unpack(reply)
        if result or not files:
            raise Failed(f"simmacd refuses '{text}'")
        with open(files[0], "rb") as file:
            return os.pread(file.fileno(), size, 0).decode()

    def ids(self):
        """{name: registry id} by which programs know the devices: a new one each time that it is plugged, and only its
        place on the bus stays."""
        answer = subprocess.run([QUIVER, "list", "--json"], check=False, capture_output=True, text=True,
                                env=dict(os.environ, QUIVER_SIMMAC=self.socket))
        self.check_alive()
        listed = sorted(json.loads(answer.stdout or "[]"), key=lambda device: device["address"])
        if len(listed) != len(NAMES):
            raise Failed(f"quiver lists {len(listed)} devices of {len(NAMES)}: {answer.stderr.strip()}")
        return dict(zip(NAMES, (device["id"] for device in listed)))

    def gone(self, what):
        """The exception for that."""
        try:
            self.process.wait(machine.PATIENCE)
        except subprocess.TimeoutExpired:
            return Failed(what)
        self.log.seek(0)
        said = self.log.read().strip().splitlines()
        return Panicked(next((line for line in said if "PANIC" in line), f"{what}; {' / '.join(said[-3:])}"))

    def devices(self, line=None):
        return {device["name"]: device for device in json.loads(self.ask("state", line))["devices"]}

    def check_alive(self):
        if self.process.poll() is not None:
            raise self.gone("it ended")

    def wait_free(self, since, names, dead):
        """Microseconds from since, in ns, until devices are free and as after a reset, with nothing mapped.
        dead() tells whether who had them is gone for good: only then nobody takes them again."""
        end = time.monotonic() + FREE_SECONDS
        while True:
            gone = dead()
            devices = self.devices()
            now = time.monotonic_ns()
            bad = {name: why_not_free(devices[name]) for name in names}
            if gone and not any(bad.values()):
                return (now - since) // 1000
            if time.monotonic() > end:
                self.mappings_left += sum(devices[name]["mappings"] for name in names)
                said = "; ".join(f"{name}: {why}" for name, why in bad.items() if why)
                raise Failed(f"not free {FREE_SECONDS} s after the kill: {said or 'who had it lives'}")
            time.sleep(0.0002)

    def expect_mapped(self, count, names, when):
        """So many mappings of each."""
        devices = self.devices()
        for name in names:
            if devices[name]["mappings"] != count:
                self.mappings_left += max(0, devices[name]["mappings"] - count)
                raise Failed(f"{name} has {devices[name]['mappings']} mappings {when}")

    def check_disk(self):
        """What the last guest left: its journal is replayed, and then nothing is to be mended."""
        tool("e2fsck", "-p", "-E", "journal_only", self.disk)
        found = tool("e2fsck", "-f", "-n", self.disk)
        if found.returncode:
            raise Failed(f"e2fsck: {' / '.join(found.stdout.strip().splitlines()[-3:])}")


def why_not_free(device):
    """Empty if it is."""
    if device["clients"]:
        return f"{device['clients']} clients ({device['state']})"
    if device["mappings"]:
        return f"{device['mappings']} mappings"
    if device["masters_bus"]:
        return "it masters the bus"
    if device["vectors"]:
        return f"{device['vectors']} interrupt vectors"
    if not device["pristine"]:
        return "it is not as after a reset"
    return ""


class Storm(threading.Thread):
    """All vectors of a device interrupt, again and again."""

    def __init__(self, mac, name):
        super().__init__(daemon=True)
        self.mac, self.name_of_device = mac, name
        self.over = threading.Event()
        self.start()

    def run(self):
        with self.mac.connect() as line:
            while not self.over.is_set():
                try:
                    self.mac.ask(f"raise {self.name_of_device} 0 64", line)
                except Failed:  # whoever waits for the round sees it as well
                    return
                time.sleep(0.001)

    def stop(self):
        self.over.set()
        self.join()
