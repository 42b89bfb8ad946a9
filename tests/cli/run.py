#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""quiver run: how it stops a VM whatever QEMU does, and what it keeps to itself meanwhile. Prints TAP."""

import concurrent.futures
import contextlib
import fcntl
import glob
import json
import os
import pty
import signal
import socket
import stat
import subprocess
import sys
import termios
import threading
import time

from world import (QEMU, QUIVER, REAL_QEMU, SIMMACD, World, ended, equal, expect, finish, free_port, heard,
                   need_real_qemu, run_tests, sim_run, status, test, until, vm)

ONE_SIGNAL = 1.1  # seconds after which a signal is another one, from when quiver took the one before


def in_order(lines, *parts):
    """Each part is in a line of its own, in this order."""
    rest = iter(lines)
    for part in parts:
        expect(any(part in line for line in rest), f"no '{part}', or too early, in {lines}")


# --- a Mac that does not fall asleep


def control(path, *words):
    done = subprocess.run([os.path.join(os.path.dirname(SIMMACD), "simmacctl"), "--socket", path, *words], text=True,
                          capture_output=True, check=True)
    return done.stdout


def awake(path):
    """Who keeps that Mac awake: [(pid, kind)]"""
    return [(one["pid"], one["type"]) for one in json.loads(control(path, "state"))["assertions"]]


def vm_of(world, path):
    quiver = world.start("run", "--qemu", QEMU, "--grace", "0", script=f"claim pid={world.pid_file} wait exit=0",
                         env={"QUIVER_SIMMAC": path})
    world.qemu_pid()
    return quiver


@test
def the_mac_stays_awake_as_long_as_the_vm_lives(world):
    path = world.simmac("endpoint")
    equal(awake(path), [], "before")
    quiver = vm_of(world, path)
    equal(awake(path), [(quiver.pid, "PreventUserIdleSystemSleep")], "meanwhile")
    quiver.terminate()
    finish(quiver)
    expect("stay awake" not in quiver.err, quiver.err)
    equal(awake(path), [], "after")


@test
def nor_longer_if_quiver_is_killed(world):
    path = world.simmac("endpoint")
    quiver = vm_of(world, path)
    quiver.kill()
    finish(quiver)
    until(lambda: not awake(path), "it stays awake for nobody")


@test
def a_mac_that_does_not_promise_to_is_said_so_and_used(world):
    path = world.simmac("endpoint")
    control(path, "fail", "IOPMAssertionCreateWithName", "1")
    quiver = vm_of(world, path)
    equal(awake(path), [], "assertions")
    quiver.terminate()
    finish(quiver)
    status(quiver, 128 + signal.SIGTERM)
    expect("quiver: macOS does not promise to stay awake" in quiver.err, quiver.err)


# --- the simulated Mac's own disk, which is nobody's file


def disk_of(world):
    """(path, inode) of what simmacd has open as the disk: a file that is gone by name, and one only."""
    found = {}
    for pid in world.named("simmacd"):
        for path in glob.glob(f"/proc/{pid}/fd/*"):
            with contextlib.suppress(OSError):
                if os.path.basename(os.readlink(path)).startswith("disk"):
                    expect(os.readlink(path).endswith(" (deleted)"), f"{os.readlink(path)} is there by name")
                    found[os.stat(path).st_ino] = path
    equal(len(found), 1, "disks")
    return next((path, inode) for inode, path in found.items())


@test
def a_disk_that_is_pulled_comes_back_as_it_was(world):
    quiver = world.start(*sim_run("--json"), script=f"pid={world.pid_file} wait exit=0")
    world.qemu_pid()
    mac = glob.glob(os.path.join(world.tmp, "quiver-*", "socket"))[0]
    path, inode = disk_of(world)
    with open(path, "r+b") as disk:
        disk.write(b"what a guest has written")
    for _ in range(2):
        control(mac, "unplug", "nvme0")
        control(mac, "plug", "nvme0")
        path, found = disk_of(world)
        equal(found, inode, "the disk")
        with open(path, "rb") as disk:
            equal(disk.read(4), b"what", "what is on it")
    quiver.terminate()
    finish(quiver)
    equal(json.loads(quiver.out)["simulation"]["verdict"], "ok", "the Mac's verdict")
    world.nothing_left()


# --- the guest is asked


@test
def a_guest_that_is_asked_ends_the_vm_itself(world):
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        quiver = vm(world, script=f"claim qmp pid={world.pid_file} powerdown look exit=0")
        quiver.send_signal(number)
        lines = ended(quiver, number, "guest")
        in_order(lines, "passing through", "was asked to shut down", "has ended")
        expect(not any("ending QEMU" in line for line in lines), lines)
        world.nothing_left()
        os.unlink(world.pid_file)


@test
def a_terminals_ctrl_c_does_not_end_qemu_before_the_guest(world):
    quiver = vm(world, script=f"claim qmp pid={world.pid_file} powerdown nap signals look exit=0")
    os.killpg(quiver.pid, signal.SIGINT)
    ended(quiver, signal.SIGINT, "guest")
    expect("fake-qemu: signal" not in quiver.err, quiver.err)
    world.nothing_left()


@test
def a_signal_for_the_whole_group_is_not_qemus(world):
    quiver = vm(world, script=f"claim qmp pid={world.pid_file} powerdown nap signals look exit=0")
    os.killpg(quiver.pid, signal.SIGTERM)
    ended(quiver, signal.SIGTERM, "guest")
    expect("fake-qemu: signal" not in quiver.err, quiver.err)


@test
def a_guest_that_does_not_care_has_its_grace_and_no_more(world):
    quiver = vm(world, "--grace", "1", script=f"claim qmp pid={world.pid_file} powerdown wait look exit=0")
    began = time.monotonic()
    quiver.terminate()
    lines = ended(quiver, signal.SIGTERM, "qemu")
    expect(time.monotonic() - began >= 1, "the guest did not have its grace")
    in_order(lines, "asked to shut down, and has 1 s", "has not shut down in 1 s", "ending QEMU", "has ended")
    expect("fake-qemu: signal 15" in quiver.err, quiver.err)
    world.nothing_left()


@test
def without_grace_nobody_is_asked(world):
    quiver = vm(world, "--grace", "0", script=f"claim qmp pid={world.pid_file} wait look exit=0")
    quiver.terminate()
    lines = ended(quiver, signal.SIGTERM, "qemu")
    expect(not any("asked" in line for line in lines), lines)
    world.nothing_left()


@test
def a_second_ctrl_c_ends_qemu_at_once_and_a_third_kills_it(world):
    for count, end, by in ((2, "wait look exit=0", "qemu"), (3, "hang", "kill")):
        quiver = vm(world, script=f"claim qmp pid={world.pid_file} powerdown {end}")
        quiver.send_signal(signal.SIGINT)
        before = heard(quiver, "was asked")
        for said in ("ending QEMU", "killing QEMU")[:count - 1]:
            time.sleep(ONE_SIGNAL)
            quiver.send_signal(signal.SIGINT)
            before += heard(quiver, said)
        lines = ended(quiver, signal.SIGINT, by)
        expect(not any("has not" in line for line in lines), f"it waited: {lines}")
        in_order(before.splitlines() + lines, "was asked", "ending QEMU",
                 *(["killing QEMU"] if by == "kill" else []), "has ended")
        world.nothing_left()
        os.unlink(world.pid_file)


# A shell in small: quiver is in the foreground, then in the background as soon as there is a file named "away".
SHELL = """import os, signal, sys, termios, time
signal.signal(signal.SIGTTOU, signal.SIG_IGN)
pid = os.fork()
if not pid:
    signal.signal(signal.SIGTTOU, signal.SIG_DFL)
    os.setpgid(0, 0)
    while os.tcgetpgrp(0) != os.getpgrp():
        time.sleep(0.01)
    os.execv(sys.argv[2], sys.argv[2:])
while os.getpgid(pid) != pid:
    time.sleep(0.01)
os.tcsetpgrp(0, pid)
while not os.path.exists(sys.argv[1]):
    time.sleep(0.01)
os.tcsetpgrp(0, os.getpgrp())
settings = termios.tcgetattr(0)
settings[3] |= termios.ECHO | termios.NOFLSH
termios.tcsetattr(0, termios.TCSANOW, settings)
os.rename(sys.argv[1], sys.argv[1] + ".done")
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, os.WUNTRACED)[1]))
"""


class Terminal:
    """One that is quiver's, with QEMU in its foreground to read from it."""

    def __init__(self, world, *args, script, qemu=QEMU, shell=(), env=None):
        self.master, self.slave = pty.openpty()
        self.before = self.state()
        self.report = os.path.join(world.folder, "report")
        run = ["run", "--sim", "--qemu", qemu, "--sim-device", "endpoint", *args]
        with open(self.report, "w", encoding="ascii") as report:
            self.quiver = subprocess.Popen(["setsid", "-c", *shell, QUIVER, *run], stdin=self.slave, stdout=self.slave,
                                           stderr=report, env=world.environment(FAKE_QEMU=script, **(env or {})))
        if qemu == QEMU:
            world.qemu_pid()

    def state(self):
        """What QEMU makes of it: its settings, and how whoever has it open reads from it."""
        return termios.tcgetattr(self.slave), fcntl.fcntl(self.slave, fcntl.F_GETFL)

    def end(self):
        try:
            self.quiver.wait(20)
        except subprocess.TimeoutExpired as error:
            raise AssertionError(f"quiver does not end: {self.said()}") from error
        self.after = self.state()
        os.close(self.slave)
        os.close(self.master)
        return self.said()

    def said(self):
        with open(self.report, encoding="ascii") as report:
            return report.read()


@test
def what_is_typed_at_a_terminal_is_for_the_guest_first(world):
    for key, number in ((b"\x03", signal.SIGINT), (b"\x1c", signal.SIGQUIT)):
        terminal = Terminal(world, script=f"claim qmp pid={world.pid_file} powerdown nap signals look exit=0")
        equal(os.getpgid(world.qemu_pid()), terminal.quiver.pid, "QEMU's group: else it cannot read what is typed")
        os.write(terminal.master, key)
        report = terminal.end()
        equal(terminal.quiver.returncode, 128 + number, f"exit status ({report})")
        in_order(report.splitlines(), "was asked to shut down", "has ended")
        expect("ending QEMU" not in report and "fake-qemu: signal" not in report, report)
        world.nothing_left()
        os.unlink(world.pid_file)


@test
def a_shells_kill_at_a_terminal_is_for_the_guest_first(world):
    terminal = Terminal(world, script=f"claim qmp pid={world.pid_file} powerdown nap signals look exit=0")
    os.killpg(terminal.quiver.pid, signal.SIGTERM)
    report = terminal.end()
    equal(terminal.quiver.returncode, 143, f"exit status ({report})")
    in_order(report.splitlines(), "was asked to shut down", "has ended")
    expect("ending QEMU" not in report and "fake-qemu: signal" not in report, report)
    world.nothing_left()


@test
def qemu_is_ended_in_order_at_a_terminal_where_it_hears_no_signal(world):
    terminal = Terminal(world, "--grace", "0", script=f"claim qmp pid={world.pid_file} quit look exit=0")
    terminal.quiver.terminate()
    report = terminal.end()
    equal(terminal.quiver.returncode, 143, f"exit status ({report})")
    in_order(report.splitlines(), "ending QEMU", "fake-qemu: quit", "has ended")
    expect("killing" not in report, report)
    world.nothing_left()


@test
def qemu_may_come_to_listen_after_it_was_to_end(world):
    terminal = Terminal(world, "--grace", "0", script=f"claim pid={world.pid_file} nap nap qmp quit look exit=0")
    terminal.quiver.terminate()
    began = time.monotonic()
    report = terminal.end()
    expect("fake-qemu: quit" in report and time.monotonic() - began < 8, report)
    world.nothing_left()


@test
def a_killed_quiver_leaves_a_qemu_that_ends_in_order_at_a_terminal_too(world):
    terminal = Terminal(world, script=f"claim qmp pid={world.pid_file} quit look exit=0")
    terminal.quiver.kill()
    terminal.end()
    until(lambda: not world.named("fake-qemu") and not world.named("quiver"), "somebody lives on")
    expect("fake-qemu: quit" in terminal.said(), terminal.said())


@test
def the_terminal_is_as_it_was_even_after_a_qemu_that_was_killed(world):
    for args in ((), ("--console",), ("--serial", "/dev/null", "--qemu-arg", "-nographic")):
        terminal = Terminal(world, *args, script=f"claim pid={world.pid_file} raw kill=9")
        report = terminal.end()
        equal(terminal.quiver.returncode, 1, f"exit status ({report})")
        equal(terminal.after, terminal.before, f"the terminal after {args}")
        os.unlink(world.pid_file)


@test
def from_the_background_the_terminal_is_left_alone(world):
    away = os.path.join(world.folder, "away")
    for args in ((), ("--console",)):
        terminal = Terminal(world, *args, script=f"claim qmp pid={world.pid_file} raw powerdown kill=9",
                            shell=[sys.executable, "-c", SHELL, away])
        until(lambda: terminal.state() != terminal.before, "QEMU does not have the terminal")
        with open(away, "w", encoding="ascii"):
            pass
        until(lambda: os.path.exists(away + ".done"), "quiver does not get into the background")
        os.kill(os.getpgid(world.qemu_pid()), signal.SIGTERM)  # quiver alone
        report = terminal.end()
        equal(terminal.quiver.returncode, 143, f"exit status ({report})")
        expect(terminal.after[0][3] & termios.NOFLSH, "the shell's settings are gone")
        for path in (world.pid_file, away + ".done"):
            os.unlink(path)


@test
def what_was_not_to_be_heard_at_the_start_is_not_heard(world):
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
        quiver = vm(world, script=f"claim qmp pid={world.pid_file} powerdown look exit=0",
                    preexec_fn=lambda n=number: signal.signal(n, signal.SIG_IGN))
        os.killpg(quiver.pid, number)
        time.sleep(0.3)
        quiver.terminate()
        lines = ended(quiver, signal.SIGTERM, "guest")
        in_order(lines, "was asked to shut down", "has ended")
        world.nothing_left()
        os.unlink(world.pid_file)


@test
def a_terminal_that_is_closed_is_no_reason_for_haste(world):
    terminal = Terminal(world, script=f"claim qmp pid={world.pid_file} powerdown nap signals look exit=0")
    os.close(terminal.slave)
    os.close(terminal.master)
    terminal.quiver.wait(20)
    report = terminal.said()
    equal(terminal.quiver.returncode, 129, f"exit status ({report})")
    in_order(report.splitlines(), "was asked to shut down", "has ended")
    expect("fake-qemu: signal" not in report, report)
    world.nothing_left()


# --- QEMU misbehaves


@test
def whatever_qemu_answers_it_is_ended_in_order(world):
    for script, reason in (("refuse", "not today"), ("hangup", "QEMU has hung up"), ("flood", "what QEMU answers makes no sense"),
                           ("answer=hello", "what QEMU answers makes no sense"), ("answer=[]", "what QEMU answers makes no sense"),
                           ("answer={}", "what QEMU answers makes no sense"), ('answer={"return":{}}', "what QEMU answers makes no sense"),
                           ('answer={"error":7}', "QEMU refuses"), ("", "QEMU has not come so far")):
        comes_up = "qmp " if script else ""
        quiver = vm(world, script=f"claim {comes_up}pid={world.pid_file} {script} wait look exit=0")
        quiver.send_signal(signal.SIGINT)
        lines = ended(quiver, signal.SIGINT, "qemu")
        in_order(lines, f"cannot be asked to shut down: {reason}", "ending QEMU", "has ended")
        world.nothing_left()
        os.unlink(world.pid_file)


@test
def a_second_signal_does_not_wait_for_qemus_answer(world):
    quiver = vm(world, script=f"claim qmp pid={world.pid_file} silence wait look exit=0")
    quiver.send_signal(signal.SIGINT)
    heard(quiver, "fake-qemu: client")
    time.sleep(ONE_SIGNAL)
    quiver.send_signal(signal.SIGINT)
    lines = ended(quiver, signal.SIGINT, "qemu")
    in_order(lines, "ending QEMU", "has ended")
    expect(not any("answer" in line for line in lines), f"it waited: {lines}")


@test
def patience_with_qemu_has_an_end(world):
    """Side by side, for they take their time: silence 5 s, a QEMU that hangs 10 s, one without quiver 10 s."""
    worlds = [world, World(), World()]
    scripts = ("claim qmp pid={} wait look exit=0", "claim qmp pid={} hang", "claim qmp pid={} hang")
    grace = ("30", "0", "30")
    try:
        runs = [vm(w, "--grace", g, script=s.format(w.pid_file))
                for w, s, g in zip(worlds, scripts, grace)]
        until(lambda: len(worlds[2].named("quiver")) == 2, "nobody watches")
        runs[0].send_signal(signal.SIGINT)
        runs[1].send_signal(signal.SIGINT)
        runs[2].kill()
        in_order(ended(runs[0], signal.SIGINT, "qemu"), "QEMU does not answer", "ending QEMU")
        in_order(ended(runs[1], signal.SIGINT, "kill"), "ending QEMU", "has not ended in 10 s",
                 "killing QEMU")
        finish(runs[2])
        until(lambda: not worlds[2].processes(), "QEMU lives on without quiver")
        for w in worlds[:2]:
            w.nothing_left()
        expect(not any(os.path.exists(os.path.join(worlds[2].tmp, name, "qmp"))
                       for name in os.listdir(worlds[2].tmp)), "the socket is left")
    finally:
        for w in worlds[1:]:
            w.close()


@test
def a_killed_quiver_leaves_a_qemu_that_ends_in_order(world):
    env = {"QUIVER_SIMMAC": world.simmac("endpoint")}
    quiver = world.start("run", "--qemu", QEMU, env=env,
                         script=f"claim qmp pid={world.pid_file} wait look exit=0")
    world.qemu_pid()
    until(lambda: len(world.named("quiver")) == 2, "nobody watches")
    quiver.kill()
    finish(quiver)
    until(lambda: not world.named("fake-qemu") and not world.named("quiver"), "somebody lives on")
    expect("fake-qemu: signal 15" in quiver.err, f"QEMU was not asked to end: {quiver.err}")
    equal(os.listdir(world.tmp), [], "files left behind")
    until(lambda: json.loads(world.run("list", "--json", env=env).out)[0]["claimable"],
          "the device is not free again")


def started(pid):
    """When, in the order in which processes were."""
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        return int(file.read().rpartition(")")[2].split()[19]), pid


@test
def somebody_watches_before_qemu_is_there(world):
    quiver = vm(world, script=f"claim qmp pid={world.pid_file} powerdown exit=0")
    watcher = [pid for pid in world.named("quiver") if pid != quiver.pid]
    equal(len(watcher), 1, "who watches")
    expect(started(watcher[0]) < started(world.qemu_pid()), "for a moment nobody would see to QEMU's end")
    quiver.terminate()
    ended(quiver, signal.SIGTERM, "guest")


# --- what is its own


def qmp_path(words):
    """The socket's, of the command that starts QEMU."""
    return words[words.index("-chardev") + 1].split("path=")[1].split(",")[0]


@test
def the_socket_is_in_a_folder_of_the_users_alone(world):
    quiver = vm(world, script=f"claim qmp pid={world.pid_file} powerdown exit=0")
    with open(f"/proc/{world.qemu_pid()}/cmdline", encoding="utf-8") as file:
        path = qmp_path(file.read().split("\0"))
    folder = os.path.dirname(path)
    equal(os.path.dirname(folder), world.tmp, "where it is")
    equal(stat.S_IMODE(os.stat(folder).st_mode), 0o700, "mode")
    expect(stat.S_ISSOCK(os.stat(path).st_mode), "no socket")
    quiver.terminate()
    ended(quiver, signal.SIGTERM, "guest")
    world.nothing_left()


@test
def a_name_too_long_for_a_socket_is_not_used(world):
    path = world.simmac("endpoint")
    long = os.path.join(world.tmp, 60 * "x")
    os.mkdir(long)
    quiver = world.start("run", "--qemu", QEMU, "--json", env={"QUIVER_SIMMAC": path, "TMPDIR": long},
                         script=f"claim qmp pid={world.pid_file} powerdown exit=0")
    world.qemu_pid()
    quiver.terminate()
    finish(quiver)
    status(quiver, 143)
    result = json.loads(quiver.out)
    equal(result["qemu"]["stopped_by"], "guest", "who stopped it")
    used = qmp_path(result["command"])
    expect(used.startswith("/tmp/quiver-") and not os.path.exists(os.path.dirname(used)), used)


@test
def a_dead_vms_record_says_nothing(world):
    env = {"QUIVER_SIMMAC": world.simmac("endpoint")}
    device = json.loads(world.run("list", "--json", env=env).out)[0]["id"]
    folder = os.path.join(world.tmp, "quiver-abcdef")
    os.mkdir(folder)
    with open(os.path.join(folder, "vm.json"), "w", encoding="ascii") as file:
        json.dump({"pid": 1, "devices": [device]}, file)
    # Held by somebody who is no quiver run of this user's.
    holder = subprocess.Popen([QEMU, f"quiver-pci,host={device}"], stderr=subprocess.PIPE,
                              env=world.environment(FAKE_QEMU=f"claim pid={world.pid_file} wait", **env))
    world.qemu_pid()
    result = world.run("run", "--dry-run", env=env)
    status(result, 3)
    expect("in use\n" in result.err and "process" not in result.err, result.err)
    holder.terminate()
    holder.communicate()


# --- with the real QEMU


def listens(world):
    """Whether QMP is there to connect to: a name alone is there before."""
    paths = glob.glob(os.path.join(world.tmp, "quiver-*", "qmp"))
    with open("/proc/net/unix", encoding="ascii", errors="replace") as file:
        return paths and any(words[-1] == paths[0] and words[3] == "00010000" for words in map(str.split, file))


@test
def the_real_qemu_understands_the_command_and_the_order(world):
    need_real_qemu()
    # Stopped before its first instruction: nobody is there to hear the button.
    quiver = world.start("run", "--sim", "--json", "--qemu", REAL_QEMU, "--memory", "64M", "--cpus", "1",
                         "--share", world.folder, "--serial", os.path.join(world.folder, "log"),
                         "--grace", "1", "--ssh-port", str(free_port()), "--qemu-arg=-S")
    until(lambda: listens(world), "QEMU does not come up")
    quiver.terminate()
    finish(quiver)
    status(quiver, 143)
    result = json.loads(quiver.out)
    equal((result["qemu"]["exit"], result["qemu"]["stopped_by"]), (0, "qemu"), "QEMU's end")
    in_order(quiver.err.splitlines(), "asked to shut down, and has 1 s", "has not shut down", "ending QEMU")
    equal(result["simulation"]["verdict"], "ok", "the Mac's verdict")
    world.nothing_left()


@test
def the_real_qemu_quits_in_order_at_a_terminal(world):
    need_real_qemu()
    # Without a network: others may take a port before QEMU does.
    terminal = Terminal(world, "--net", "none", "--memory", "64M", "--cpus", "1", "--grace", "1", "--qemu-arg=-S",
                        script="", qemu=REAL_QEMU)
    until(lambda: terminal.state() != terminal.before, "QEMU does not have the terminal")
    os.killpg(terminal.quiver.pid, signal.SIGTERM)
    report = terminal.end()
    equal(terminal.quiver.returncode, 143, f"exit status ({report})")
    in_order(report.splitlines(), "asked to shut down, and has 1 s", "has not shut down", "ending QEMU", "has ended")
    expect("killing QEMU" not in report and "terminating on signal" not in report, report)
    equal(terminal.after, terminal.before, "the terminal")
    world.nothing_left()


def asks_until_it_hangs_up(path, answered):
    with socket.socket(socket.AF_UNIX) as client, contextlib.suppress(OSError):
        client.connect(path)
        client.sendall(b'{"execute":"qmp_capabilities"}')
        while client.recv(4096):
            answered.release()
            client.sendall(b'{"execute":"query-status"}')


@test
def the_real_qemu_ends_in_order_whoever_still_asks(world):
    need_real_qemu()
    # quiver and its keeper both tell QEMU to quit. Of 30 without the patch about five die by SIGSEGV.
    for _ in range(30):
        paths = [os.path.join(world.tmp, str(number)) for number in range(8)]
        monitors = [word for path in paths for word in ("-qmp", f"unix:{path},server=on,wait=off")]
        answered = threading.Semaphore(0)
        with concurrent.futures.ThreadPoolExecutor(len(paths)) as pool:
            qemu = subprocess.Popen([REAL_QEMU, "-machine", "none", "-nodefaults", "-display", "none", *monitors],
                                    stderr=subprocess.DEVNULL, env=world.environment())
            until(lambda: all(map(os.path.exists, paths)), "QEMU does not come up")
            for path in paths:
                pool.submit(asks_until_it_hangs_up, path, answered)
            # It listens before it hears signals, and answers only after.
            expect(answered.acquire(timeout=20), "QEMU does not answer")
            time.sleep(0.05)
            qemu.terminate()
            equal(qemu.wait(), 0, "exit status")
    world.nothing_left()


if __name__ == "__main__":
    sys.exit(run_tests())