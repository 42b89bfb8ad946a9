#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""quiver run: what it chooses, and what QEMU is told of what was chosen. Prints TAP."""

import contextlib
import json
import os
import shlex
import signal
import socket
import subprocess
import sys

from world import (ENDPOINT, QUIVER, REAL_QEMU, Skip, ended, equal, expect, free_port, need_real_qemu, run_tests,
                   sim_run, status, test, vm)


def dry_run(world, *args, env=None, sim=("--sim-device", "endpoint")):
    result = world.run("run", "--sim", *sim, "--dry-run", *args, env=env)
    status(result, 0)
    return shlex.split(result.out)


def after(words, option):
    return [words[i + 1] for i, word in enumerate(words) if word == option]


@test
def a_vm_gets_half_of_the_memory_and_the_processors_that_work_hard(world):
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    for memory, cpus in ((3, 1), (4, 2)):
        sim = ("--sim-arg", f"--mac=memory={memory << 30},cpus={cpus}", "--sim-device", "endpoint")
        words = dry_run(world, sim=sim)
        half = min(memory << 30, pages) // 2 >> 30
        equal((after(words, "-m"), after(words, "-smp")), ([f"{half or 1}G"],
              [str(min(cpus, os.cpu_count()))]), f"of {memory} GiB and {cpus} processors")
    words = dry_run(world, "--memory", "5G", "--cpus", "7")
    equal((after(words, "-m"), after(words, "-smp")), (["5G"], ["7"]), "what was said")


@test
def the_mac_knows_the_link(world):
    words = dry_run(world, sim=("--sim-arg", "--mac=thunderbolt=5", "--sim-device",
                                "endpoint,thunderbolt=5"))
    expect(any(word.startswith("quiver-pci,") and ",thunderbolt=5" in word for word in words), words)


@test
def which_devices_are_passed_through_is_said(world):
    result = world.run("run", "--sim", "--dry-run")
    status(result, 0)
    lines = [line for line in result.err.splitlines() if "passing through 0x" in line]
    equal(len(lines), 2, "devices")
    expect(ENDPOINT in lines[1] and "Renesas" in lines[1], lines[1])


@test
def tso_is_there_where_the_machine_has_it(world):
    words = after(dry_run(world, "--tso=auto"), "-device")
    dma = [word for word in words if word.startswith("quiver-dma")][0]
    equal("tso=on" in dma, os.uname().machine == "x86_64", "TSO")


def ports(words):
    [netdev] = after(words, "-netdev")
    return [part.split("tcp:")[1] for part in netdev.split(",") if "tcp:" in part]


@contextlib.contextmanager
def taken_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", free_port()))
        taken.listen()
        yield taken.getsockname()[1]


@test
def ssh_gets_a_port_that_is_free(world):
    with taken_port() as port:
        result = world.run("run", "--sim", "--dry-run", "--ssh-port", str(port))
        status(result, 5)
        expect(f"port {port} is taken" in result.err, result.err)
        first = ports(dry_run(world))[0]
        number = int(first.split(":")[1].split("-")[0])
        equal(first, f"127.0.0.1:{number}-:22", "the forward")
        with socket.socket() as other:
            other.bind(("127.0.0.1", number))
            other.listen()
            expect(ports(dry_run(world))[0] != first, "the port that is taken was chosen")
    equal(ports(dry_run(world, "--ssh-port", str(port))), [f"127.0.0.1:{port}-:22"], "chosen port")
    more = free_port()
    equal(ports(dry_run(world, "--ssh-port=none", "--forward", f"{port}:80", "--forward", f"{more}:82")),
          [f"127.0.0.1:{port}-:80", f"127.0.0.1:{more}-:82"], "more ports")
    words = dry_run(world, "--net", "none")
    equal((after(words, "-netdev"), [w for w in words if "virtio-net" in w]), ([], []), "without")


@test
def a_port_leads_to_one_place(world):
    for _ in range(10):  # somebody may take it meanwhile
        number = int(ports(dry_run(world))[0].split(":")[1].split("-")[0])
        result = world.run("run", "--sim", "--dry-run", "--forward", f"{number}:80")
        if "is taken" not in result.err:
            break
    status(result, 0)
    found = ports(shlex.split(result.out))
    expect(found[1] == f"127.0.0.1:{number}-:80" and f":{number}-" not in found[0], found)
    with taken_port() as port:
        result = world.run("run", "--sim", "--dry-run", "--forward", f"{port}:80")
        status(result, 5)
        expect(f"port {port} is taken" in result.err and "--forward" in result.err, result.err)


@test
def a_port_that_is_not_for_everybody_is_not_called_taken(world):
    with open("/proc/sys/net/ipv4/ip_unprivileged_port_start", encoding="ascii") as file:
        if int(file.read()) < 2:
            raise Skip("every port is for everybody here")
    without = ["setpriv", "--bounding-set=-net_bind_service", "--inh-caps=-net_bind_service"] * (os.geteuid() == 0)
    result = subprocess.run([*without, QUIVER, "run", "--sim", "--dry-run", "--ssh-port", "1"], text=True,
                            capture_output=True, env=world.environment(), check=False)
    equal(result.returncode, 5, f"exit status ({result.stderr})")
    expect("port 1 cannot be had: Permission denied" in result.stderr, result.stderr)


@test
def a_window_has_a_display_a_keyboard_and_a_mouse(world):
    words = dry_run(world, "--display", "window")
    equal(after(words, "-display"), ["gtk"], "display")
    equal([w.split(",")[0] for w in after(words, "-device") if "usb" in w or "gpu" in w],
          ["virtio-gpu-pci", "qemu-xhci", "usb-kbd", "usb-tablet"], "devices")
    words = dry_run(world)
    equal(after(words, "-display"), ["none"], "display")
    expect(not any("usb" in word or "gpu" in word for word in words), words)


@test
def folders_are_shared_under_numbers(world):
    words = dry_run(world, "--share", "/a,b", "--share", "/c,ro")
    equal(after(words, "-fsdev"), ["local,id=share0,path=/a,,b,security_model=none",
                                   "local,id=share1,path=/c,security_model=none,readonly=on"], "folders")
    equal([w for w in after(words, "-device") if "9p" in w],
          [f"virtio-9p-pci,fsdev=share{n},mount_tag=share{n}" for n in (0, 1)], "devices")


@test
def a_disk_without_a_kernel_boots_by_firmware(world):
    qemu = os.path.join(world.folder, "bin", "qemu")
    firmware = os.path.join(world.folder, "share", "qemu", "edk2-aarch64-code.fd")
    for path in (qemu, firmware):
        os.makedirs(os.path.dirname(path))
        with open(path, "w", encoding="ascii"):
            pass
    words = dry_run(world, "--disk", "d.raw", "--qemu", qemu)
    equal([os.path.realpath(path) for path in after(words, "-bios")], [firmware], "firmware")
    equal(after(dry_run(world, "--disk", "d.raw", "--firmware", "/f"), "-bios"), ["/f"], "chosen")
    equal(after(dry_run(world, "--disk", "d.raw", "--kernel", "k"), "-bios"), [], "with a kernel")
    equal(after(dry_run(world), "-bios"), [], "without a disk")


def make_image(world, name):
    """What `quiver image build` leaves, as far as `quiver run` looks."""
    folder = os.path.join(world.folder, ".local", "share", "quiver", "images", name)
    os.makedirs(folder)
    for file in ("disk.raw", "vmlinuz", "initrd"):
        with open(os.path.join(folder, file), "w", encoding="ascii"):
            pass
    with open(os.path.join(folder, "image.json"), "w", encoding="ascii") as file:
        json.dump({"format": 1, "name": name, "suite": "bookworm", "arch": "arm64", "kernel": "6.1",
                   "append": "root=/dev/vda1", "user": "quiver", "built": "2026-01-01T00:00:00Z",
                   "quiver": "0.1.0", "with": [], "disk_bytes": 1,
                   "sha256": {"disk.raw": 64 * "0", "vmlinuz": 64 * "0", "initrd": 64 * "0"}}, file)
    return folder


@test
def an_image_is_a_disk_a_kernel_and_a_command_line(world):
    folder = make_image(world, "deb")
    words = dry_run(world, "--image", "deb", "--disk", "more.raw", "--append", "quiet")
    equal((after(words, "-kernel"), after(words, "-initrd"), after(words, "-append")),
          ([folder + "/vmlinuz"], [folder + "/initrd"], ["root=/dev/vda1 quiet"]), "boot")
    drives = after(words, "-drive")
    expect(f"file={folder}/disk.raw,format=raw" in drives[0] and "file=more.raw" in drives[1], drives)
    words = dry_run(world, "--image", "deb", "--kernel", "k")
    equal((after(words, "-kernel"), after(words, "-initrd"), after(words, "-append")),
          (["k"], [], ["root=/dev/vda1"]), "another kernel")
    result = world.run("run", "--sim", "--dry-run", "--image", "none")
    status(result, 5)
    expect("none" in result.err, result.err)


@test
def an_image_has_one_vm_at_a_time(world):
    make_image(world, "deb")
    quiver = vm(world, "--image", "deb", script=f"claim qmp pid={world.pid_file} powerdown exit=0")
    result = world.run(*sim_run("--image", "deb"), script="exit=0")
    status(result, 5)
    expect("deb" in result.err, result.err)
    quiver.terminate()
    expect("quiver@127.0.0.1" in "".join(ended(quiver, signal.SIGTERM, "guest")), "who may log in")
    status(world.run(*sim_run("--image", "deb"), script="exit=0"), 0)


@test
def the_real_qemu_has_what_a_window_needs(world):
    need_real_qemu()
    wanted = [word.split(",")[0] for word in after(dry_run(world, "--display", "window"), "-device")]
    known = subprocess.run([REAL_QEMU, "-machine", "virt", "-device", "help"], stdout=subprocess.PIPE,
                           text=True, check=True).stdout
    equal([name for name in wanted if f'name "{name}"' not in known], [], "devices that QEMU lacks")


if __name__ == "__main__":
    sys.exit(run_tests())
