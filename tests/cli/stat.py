#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""quiver stat: what it shows of VMs that run, and that it is in nobody's way. Prints TAP."""

import json
import os
import signal
import socket
import sys
import time

from world import (ENDPOINT, REAL_QEMU, ended, equal, expect, finish, heard, need_real_qemu, run_tests,
                   status, test, until, vm)

AMOUNT = {"used": 3 << 20, "limit": 1500 << 20, "peak": 4 << 20}
PAGES = {"steered": 9, "offline": 0, "full": 3, "cpuset": 2, "unseen": 0}
GUEST = {"updates": 5, "page_size": 4096, "total": 1207 << 20, "usable": 951 << 20, "aperture": 256 << 20,
         "aperture_online": 256 << 20, "aperture_free": 200 << 20, "aperture_shared": 0,
         "pages": {**dict.fromkeys(PAGES, 0), "steered": 77}}
DEVICE = {"id": "device0", "host": "10de:2b85 0x1000003f2", "record": 0, "attached": True, "aperture_pieces": 1,
          "bytes": AMOUNT, "mappings": {"used": 40},
          "guest": {"aperture_segments": 999, "aperture_bytes": 1 << 30, "window_segments": 1, "window_bytes": 4096,
                    "exits": 12, "windows": 41, "pages": PAGES}}
STATS = {"bytes": AMOUNT, "mappings": {"used": 40, "limit": 65000}, "pressure": "none", "aperture": 256 << 20,
         "guest": GUEST, "devices": [DEVICE]}


def written(world, stats):
    path = os.path.join(world.folder, "stats")
    with open(path, "w", encoding="ascii") as file:
        json.dump(stats, file)
    return path


def with_answer(world, stats, then="wait exit=0"):
    """A VM whose QEMU answers one question so."""
    return vm(world, "--grace", "0", script=f"claim qmp pid={world.pid_file} stats={written(world, stats)} {then}")


def stopped(quiver):
    quiver.terminate()
    finish(quiver)
    status(quiver, 128 + signal.SIGTERM)


@test
def without_a_vm_there_is_nothing_to_show(world):
    result = world.run("stat")
    status(result, 0)
    equal((result.out, result.err), ("No VM of yours runs.\n", ""), "what it says")
    result = world.run("stat", "--json")
    status(result, 0)
    equal(json.loads(result.out), [], "as JSON")


@test
def a_vm_is_shown_with_its_devices(world):
    quiver = with_answer(world, STATS)
    result = world.run("stat")
    status(result, 0)
    lines = result.out.splitlines()
    equal(lines[:5], [f"VM of process {quiver.pid}",
                      "  memory    951 MiB; MemTotal says 1207 MiB, with the aperture",
                      "  aperture  256 MiB, 256 MiB online, 56 MiB used, 200 MiB free; for drivers only",
                      "  budget    3072 KiB of 1500 MiB, 40 of 65000 mappings, pressure none",
                      "  drivers   77 pages of the aperture, 0 from elsewhere"], "the machine")
    equal(lines[5].split(), ["DEVICE", "HOST", "APERTURE-MAPS", "APERTURE-BYTES", "EXITS", "WINDOWS", "MAPPINGS",
                             "MAPPED", "STEERED", "MISSED"], "heading")
    equal(lines[6].split(), ["device0", "10de:2b85", "0x1000003f2", "99.9", "%", "99.9", "%", "12", "41", "40", "3072",
                             "KiB", "9", "5"], "the device")
    equal(lines[7:], ["device0: 3 pages from elsewhere: the aperture has none in one piece",
                      "device0: 2 pages from elsewhere: the cpuset of who asked is without its node: cpuset.mems"], "why")
    stopped(quiver)
    world.nothing_left()


@test
def as_json_it_is_what_QEMU_says(world):
    quiver = with_answer(world, STATS)
    result = world.run("stat", "--json")
    status(result, 0)
    equal(json.loads(result.out), [{"pid": quiver.pid, "stats": STATS}], "the VM")
    stopped(quiver)


@test
def of_a_guest_that_tells_nothing_the_hosts_numbers_are_shown(world):
    old = {key: value for key, value in STATS.items() if key != "guest"}
    old["devices"] = [{key: value for key, value in DEVICE.items() if key != "guest"}]
    quiver = with_answer(world, old)
    lines = world.run("stat").out.splitlines()
    equal(lines[1:4], ["  memory    - (the guest tells nothing)", "  aperture  256 MiB",
                       "  budget    3072 KiB of 1500 MiB, 40 of 65000 mappings, pressure none"], "the machine")
    equal(lines[5].split()[3:], ["-", "-", "-", "-", "40", "3072", "KiB", "-", "-"], "the device")
    equal(len(lines), 6, "lines")
    stopped(quiver)


@test
def a_QEMU_that_cannot_be_asked_is_said_so_and_not_for_long(world):
    for script, said in (("", "has not come so far"), ("qmp silence", "does not answer"), ("qmp hangup", "has hung up"),
                         ("qmp answer=nonsense", "makes no sense"), ("qmp flood", "makes no sense")):
        quiver = vm(world, "--grace", "0", script=f"claim {script.split(' ')[0]} pid={world.pid_file} "
                                                 f"{' '.join(script.split(' ')[1:])} wait exit=0")
        for options in ((), ("--json",)):
            began = time.monotonic()
            result = world.run("stat", *options)
            status(result, 5)
            expect(time.monotonic() - began < 5, f"{script}: it takes {time.monotonic() - began} s")
            if not options:
                expect(f"process {quiver.pid} cannot be asked" in result.err and said in result.err, result.err)
                equal(result.out, "", "what it shows")
            else:
                equal(json.loads(result.out), [{"pid": quiver.pid, "stats": None}], "as JSON")
        stopped(quiver)
        os.unlink(world.pid_file)


@test
def a_VM_that_is_stopped_meanwhile_is_asked_all_the_same(world):
    quiver = vm(world, script=f"claim qmp pid={world.pid_file} stats={written(world, STATS)} powerdown look exit=0")
    stat = world.start("stat", "--json")
    heard(quiver, "fake-qemu: asked")
    quiver.terminate()
    finish(stat)
    status(stat, 0)
    equal(len(json.loads(stat.out)), 1, "VMs")
    ended(quiver, signal.SIGTERM, "guest")
    world.nothing_left()


@test
def nor_does_one_that_gets_no_answer_keep_a_VM_from_its_end(world):
    quiver = vm(world, script=f"claim qmp pid={world.pid_file} silence nap nap nap nap nap nap nap powerdown look exit=0")
    stat = world.start("stat")
    heard(quiver, "fake-qemu: client")
    quiver.terminate()
    status(finish(stat), 5)
    ended(quiver, signal.SIGTERM, "guest")


@test
def a_real_QEMU_that_is_asked_again_and_again_is_stopped_in_order(world):
    need_real_qemu()
    quiver = world.start("run", "--sim", "--qemu", REAL_QEMU, "--sim-device", "endpoint", "--kernel", "/dev/null",
                         "--no-config", "--net", "none", "--grace", "1", "--json", "--serial", "/dev/null")
    until(lambda: world.run("stat").returncode == 0 and world.named("qemu-system-aarch64"), "QEMU does not answer")
    for _ in range(5):
        result = world.run("stat", "--json")
        status(result, 0)
        stats = json.loads(result.out)[0]["stats"]
        equal(stats["devices"][0]["id"], "device0", "the device")
        expect(stats["devices"][0]["host"].startswith(ENDPOINT) and "guest" not in stats, stats)
    equal(world.run("stat").out.splitlines()[1:3], ["  memory    - (the guest tells nothing)", "  aperture  none"],
          "as text")
    others = [world.start("stat") for _ in range(4)]
    quiver.terminate()
    for other in others:
        finish(other)
        expect(other.returncode in (0, 5), other.err)
    finish(quiver)
    expect(json.loads(quiver.out)["simulation"]["verdict"] == "ok" and "cannot be asked" not in quiver.err, quiver.err)
    world.nothing_left()


@test
def others_VMs_and_dead_ones_are_not_asked(world):
    folder = os.path.join(world.tmp, "quiver-dead")
    os.mkdir(folder)
    with open(os.path.join(folder, "vm.json"), "w", encoding="ascii") as file:
        json.dump({"pid": 1, "devices": []}, file)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.join(folder, "qmp"))
        server.listen(1)
        server.setblocking(False)
        equal(json.loads(world.run("stat", "--json").out), [], "VMs")
        try:
            server.accept()
            raise AssertionError("it was asked")
        except BlockingIOError:
            pass


@test
def usage(world):
    for words in (("--what",), ("more",), ("--json=1",)):
        status(world.run("stat", *words), 2)
    result = world.run("stat", "--help")
    status(result, 0)
    expect("Usage: quiver stat [--json]" in result.out, result.out)


sys.exit(run_tests())
