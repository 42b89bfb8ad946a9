# SPDX-License-Identifier: BSD-3-Clause
"""A guest on the simulated Mac by `quiver run`, told what to do on its serial line (tests/vm/scenario/matrix)."""

import os
import queue
import select
import signal
import subprocess
import threading
import time

from mac import QUIVER, Failed, Storm, machine

PATIENCE = 240  # seconds for a line of the guest's, which a busy machine interprets
END_SECONDS = 30  # quiver's own patience with QEMU, and more
NAMES = {"nvme": ("nvme0",), "endpoint": ("endpoint0",)}
ALL = ("nvme0", "endpoint0", "endpoint1")
EXIT_VM = 1


def prepare(lane):
    """What guests need, made if it is not there: [kernel, initrd, root file system, data, command line]"""
    script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "prepare.sh")
    made = subprocess.run(["bash", script, lane], check=True, stdout=subprocess.PIPE, text=True)
    return made.stdout.splitlines()


def child_of(pid):
    """QEMU's pid, once quiver has started it."""
    try:
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
            children = file.read().split()
    except OSError:
        return 0
    for child in children:
        try:
            if os.path.basename(os.readlink(f"/proc/{child}/exe")).startswith("qemu-"):
                return int(child)
        except OSError:
            continue
    return 0


class Vm:
    """One boot after the other, until it is killed or told to end."""

    def __init__(self, mac, made, folder, strict, aperture):
        kernel, initrd, rootfs, payload, words = made
        ids = mac.ids()
        os.makedirs(folder, exist_ok=True)
        self.mac = mac
        self.kept = 1 if aperture else 0  # mappings of each device, for as long as QEMU has it
        self.serial = open(os.path.join(folder, "serial.log"), "wb")
        self.log = open(os.path.join(folder, "host.log"), "w+", encoding="utf-8")
        command = [QUIVER, "run", "--no-config", "--net", "none", "--grace", "0", "--qemu", machine.QEMU,
                   "--kernel", kernel, "--initrd", initrd, "--append", f"{words} loglevel=6 guest.strict={int(strict)}",
                   *(word for disk in (rootfs, payload, kernel, initrd) for word in ("--disk", f"{disk},ro")),
                   "--cpus", "2", "--memory", "512M", "--serial", "stdio",
                   *(word for name in ALL for word in ("--device", ids[name]))]
        if aperture:
            command += ["--aperture", "128M", "--qemu-arg", "-global", "--qemu-arg", "quiver-pci.aperture=on"]
        self.quiver = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log,
                                       env=dict(os.environ, QUIVER_SIMMAC=mac.socket), start_new_session=True)
        self.lines = queue.Queue()
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()
        self.storm = None
        self.qemu = self.find_qemu()

    def find_qemu(self):
        """A handle that stays its own, whatever becomes of the number."""
        end = time.monotonic() + machine.PATIENCE
        while time.monotonic() < end:
            pid = child_of(self.quiver.pid)
            if pid:
                return os.pidfd_open(pid)
            if self.quiver.poll() is not None:
                break
            time.sleep(0.001)
        self.end()
        raise Failed(f"QEMU did not start: {self.said()}")

    def said(self):
        self.log.seek(0)
        lines = self.log.read().strip().splitlines()
        return " / ".join(lines[-3:])

    # --- the serial line

    def read(self):
        for line in self.quiver.stdout:
            self.serial.write(line)
            self.serial.flush()
            text = line.decode(errors="replace").strip()
            if "QUIVER: " in text:
                self.lines.put(text.split("QUIVER: ", 1)[1])
            elif "Kernel panic" in text:
                self.lines.put(f"panic={text}")
        self.lines.put(None)

    def say(self, *words):
        try:
            self.quiver.stdin.write((" ".join(words) + "\n").encode())
            self.quiver.stdin.flush()
        except OSError as error:
            raise Failed(f"the guest cannot be told '{' '.join(words)}': {error}") from error

    def expect(self, key, passing=()):
        """The value of the guest's next line that counts, which has to be this one."""
        end = time.monotonic() + PATIENCE
        while True:
            try:
                line = self.lines.get(timeout=max(0, end - time.monotonic()))
            except queue.Empty:
                self.mac.check_alive()
                raise Failed(f"the guest does not say {key} in {PATIENCE} s") from None
            if line is None:
                self.mac.check_alive()
                raise Failed(f"the VM ended before the guest said {key}: {self.said()}")
            name, _, value = line.partition("=")
            if name == key:
                return value
            if name in ("verdict", "panic", "hello") and name not in passing:
                raise Failed(f"the guest says {line} instead of {key}")

    def do(self, *words, answer):
        self.say(*words)
        return self.expect(answer)

    # --- what it is told

    def start_load(self, load):
        self.do("load", load, answer="loaded")
        if load == "interrupts":
            self.storm = Storm(self.mac, "endpoint0")

    def stop_load(self):
        self.stop_storm()
        self.do("stop", answer="stopped")

    def stop_storm(self):
        if self.storm:
            self.storm.stop()
        self.storm = None

    def check(self, least):
        """The NVMe check: the last round of files that was told of is there and right, and so is the next."""
        return int(self.do("check", str(least), answer="checked"))

    def act(self, action):
        self.start_load(action.load)
        time.sleep(action.delay)
        getattr(self, action.kind)(action)

    def reboot(self, action):
        self.say("reboot", action.how)
        self.stop_storm()
        self.expect("hello", passing=("panic",))

    def kexec(self, _):
        """The next kernel, without a reset of the machine."""
        self.do("kexec", answer="kexec")
        self.stop_storm()
        self.expect("hello")

    def remove(self, action):
        self.do("remove", action.device, answer="removed")
        self.stop_storm()
        self.mac.expect_mapped(self.kept, NAMES[action.device], "after the guest removed it")
        self.do("back", "rescan", answer="back")

    def unload(self, action):
        self.do("unload", answer="unloaded")
        self.stop_storm()
        self.mac.expect_mapped(self.kept, ALL, "after the guest's module was unloaded")
        self.do("back", answer="back")

    def unplug(self, action):
        [name] = NAMES[action.device]
        self.do("await", action.device, answer="waiting")
        self.mac.ask(f"unplug {name}")
        try:
            self.stop_storm()
            self.expect("gone")
            self.mac.expect_mapped(0, (name,), "after it was unplugged")
        finally:
            self.mac.ask(f"plug {name}")
        self.do("back", answer="back")

    # --- its end

    def dead(self):
        """Whether QEMU is."""
        return bool(select.select([self.qemu], [], [], 0)[0])

    def kill(self, victim):
        """Microseconds until all devices were free."""
        self.mac.check_alive()
        since = time.monotonic_ns()
        if victim == "qemu":
            signal.pidfd_send_signal(self.qemu, signal.SIGKILL)
        else:
            self.quiver.kill()
        self.stop_storm()
        took = self.mac.wait_free(since, ALL, self.dead)
        status = self.quiver.wait(END_SECONDS)
        wanted = EXIT_VM if victim == "qemu" else -signal.SIGKILL
        if status != wanted:
            raise Failed(f"quiver ended with {status} instead of {wanted}: {self.said()}")
        return took

    def off(self):
        """It shuts down by itself."""
        self.say("off")
        self.expect("verdict")
        status = self.quiver.wait(END_SECONDS)
        if status:
            raise Failed(f"quiver ended with {status}: {self.said()}")
        self.mac.wait_free(time.monotonic_ns(), ALL, self.dead)

    def end(self):
        """Whatever state it is in."""
        self.stop_storm()
        if self.quiver.poll() is None:
            self.quiver.terminate()
        try:
            self.quiver.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self.quiver.kill()
            self.quiver.wait()
        self.reader.join(END_SECONDS)

    def close(self):
        self.end()
        self.quiver.stdin.close()
        self.quiver.stdout.close()
        self.serial.close()
        self.log.close()
        os.close(self.qemu)
