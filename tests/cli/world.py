# SPDX-License-Identifier: BSD-3-Clause
"""What tests of `quiver list` and `quiver run` share: a world of their own, and TAP."""

import concurrent.futures
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("QUIVER_HOST_BUILD", os.path.join(TOP, "build", "host"))
QUIVER = os.path.join(BUILD, "cli", "quiver")
SIMMACD = os.path.join(BUILD, "simmac", "daemon", "simmacd")
QEMU = os.path.join(BUILD, "tests", "cli", "fake-qemu")
REAL_QEMU = os.environ.get("QUIVER_TEST_QEMU", os.path.join(TOP, "build", "qemu-system-aarch64"))
NVME = "1234:1e0e"
ENDPOINT = "1912:0028"
PATIENCE = 20

TESTS = []


class Skip(Exception):
    """What a test needs is not there."""


def test(function):
    TESTS.append(function)
    return function


def expect(condition, text):
    if not condition:
        raise AssertionError(text)


def equal(found, wanted, what):
    expect(found == wanted, f"{what}: {found!r} instead of {wanted!r}")


class World:
    """A folder for temporary files, and a mark by which every process of a test is known."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="quiver-test-")
        self.tmp = os.path.join(self.folder, "tmp")
        os.mkdir(self.tmp)
        self.mark = f"QUIVER_TEST_MARK={uuid.uuid4()}"
        self.pid_file = os.path.join(self.folder, "pid")
        self.others = []

    def environment(self, **more):
        name, value = self.mark.split("=")
        env = {k: v for k, v in os.environ.items() if not k.startswith(("QUIVER_", "XDG_"))}
        env.update({name: value, "TMPDIR": self.tmp, "HOME": self.folder}, **more)
        return env

    def start(self, *args, script="", env=None, **more):
        return subprocess.Popen([QUIVER, *args], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True, errors="replace",
                                start_new_session=True,
                                env=self.environment(FAKE_QEMU=script, **(env or {})), **more)

    def run(self, *args, **more):
        return finish(self.start(*args, **more))

    def simmac(self, *devices):
        """A simulated Mac of another command: its socket."""
        path = os.path.join(self.folder, "socket")
        specs = [word for device in devices for word in ("--device", device)]
        self.others.append(subprocess.Popen([SIMMACD, "--socket", path, *specs],
                                            env=self.environment()))
        until(lambda: answers(path), "simmacd does not answer")
        return path

    def processes(self):
        found = []
        for name in os.listdir("/proc"):
            if not name.isdigit() or int(name) == os.getpid():
                continue
            try:
                with open(f"/proc/{name}/environ", "rb") as file:
                    marked = self.mark.encode() in file.read().split(b"\0")
                with open(f"/proc/{name}/stat", encoding="ascii", errors="replace") as file:
                    zombie = file.read().rpartition(")")[2].split()[0] == "Z"
            except OSError:
                continue
            if marked and not zombie:
                found.append(int(name))
        return found

    def named(self, program):
        """Its processes that run the program."""
        found = []
        for pid in self.processes():
            try:
                if os.path.basename(os.readlink(f"/proc/{pid}/exe")) == program:
                    found.append(pid)
            except OSError:
                continue
        return found

    def qemu_pid(self):
        until(lambda: os.path.exists(self.pid_file), "QEMU does not start")
        with open(self.pid_file, encoding="ascii") as file:
            return int(file.read())

    def nothing_left(self, folders=True):
        equal(self.processes(), [], "processes left behind")
        if folders:
            equal(os.listdir(self.tmp), [], "files left behind")

    def close(self):
        for other in self.others:
            other.terminate()
            other.wait(PATIENCE)
        for pid in self.processes():
            os.kill(pid, signal.SIGKILL)
        shutil.rmtree(self.folder)


def heard(process, part):
    """Reads what quiver says up to a line with that part, and no further; returns what was read."""
    read = b""
    while part.encode() not in read or not read.endswith(b"\n"):
        byte = os.read(process.stderr.fileno(), 1)
        expect(byte, f"no '{part}' in: {read}")
        read += byte
    return read.decode(errors="replace")


def finish(process):
    try:
        process.out, process.err = process.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired as error:
        raise AssertionError("quiver does not end") from error
    return process


def until(condition, text):
    end = time.monotonic() + PATIENCE
    while not condition():
        expect(time.monotonic() < end, text)
        time.sleep(0.01)


def answers(path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as client:
        return client.connect_ex(path) == 0


def status(process, wanted):
    equal(process.returncode, wanted, f"exit status (stderr: {process.err.strip()})")


def need_real_qemu():
    if not os.access(REAL_QEMU, os.X_OK):
        raise Skip("QEMU is not built")


def free_port():
    """Below those that are given to whoever asks for any."""
    while True:
        port = random.randrange(20000, 32000)
        with socket.socket() as found:
            if found.connect_ex(("127.0.0.1", port)):
                return port


def sim_run(*more):
    return ["run", "--sim", "--qemu", QEMU, *more]


def vm(world, *args, script, **more):
    """A VM with a device in use, once QEMU is where the script says so by pid=."""
    quiver = world.start(*sim_run("--sim-device", "endpoint", "--json", *args), script=script, **more)
    world.qemu_pid()
    return quiver


def ended(quiver, number, by):
    """Judges a VM that a signal stopped; returns what was printed, a line each."""
    finish(quiver)
    status(quiver, 128 + number)
    result = json.loads(quiver.out)
    equal(result["qemu"]["stopped_by"], by, f"who stopped it (stderr: {quiver.err})")
    equal(result["simulation"]["verdict"], "ok", "the Mac's verdict")
    equal(result["simulation"]["state"]["devices"][0]["mappings"], 0, "mappings")
    return [line for line in quiver.err.splitlines() if line.startswith("quiver: ")]


def run_one(function):
    """The line that TAP has for it, and more where it failed."""
    world = World()
    name = function.__name__.replace("_", " ")
    try:
        function(world)
        return True, f"- {name}"
    except Skip as reason:
        return True, f"- {name} # SKIP {reason}"
    except Exception as error:  # whatever it is, the next test runs
        return False, f"- {name}\n" + f"# {type(error).__name__}: {error}".replace("\n", "\n# ")
    finally:
        world.close()


def run_tests():
    """Some side by side: most of them wait."""
    for path in (QUIVER, SIMMACD, QEMU):
        if not os.access(path, os.X_OK):
            print(f"Bail out! {path} is not built")
            return 1
    # Who runs tests in the background may have them ignore what quiver is to hear.
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGTERM):
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    chosen = [t for t in TESTS if len(sys.argv) < 2 or t.__name__ in sys.argv[1:]]
    print(f"1..{len(chosen)}")
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        for number, (passed, text) in enumerate(pool.map(run_one, chosen), 1):
            failed += not passed
            print(f"{'ok' if passed else 'not ok'} {number} {text}", flush=True)
    return 1 if failed else 0
