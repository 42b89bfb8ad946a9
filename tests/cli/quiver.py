#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The command line tool: what it prints, and that it leaves nothing behind. Prints TAP."""

import json
import os
import shlex
import signal
import subprocess
import sys
import time

from world import (ENDPOINT, NVME, PATIENCE, QEMU, equal, expect, finish, heard, run_tests, sim_run,
                   status, test, until)


# --- list


@test
def list_prints_a_table(world):
    path = world.simmac("nvme,size=64M", "endpoint")
    result = world.run("list", env={"QUIVER_SIMMAC": path})
    status(result, 0)
    lines = result.out.splitlines()
    equal(len(lines), 3, "lines")
    equal(lines[0].split(), ["ID", "ADDRESS", "DEVICE", "STATE", "CLASS", "NAME"], "heading")
    start = {title: lines[0].index(title) for title in lines[0].split()}
    for line, device, name in zip(lines[1:], (NVME, ENDPOINT), ("Non-Volatile memory", "Renesas")):
        equal(line[start["DEVICE"]:start["STATE"]].strip(), device, "vendor and device")
        equal(line[start["STATE"]:start["CLASS"]].strip(), "unclaimed", "state")
        expect(line.startswith("0x"), f"no id in {line!r}")
        expect(name in line, f"no {name!r} in {line!r}")
    equal(result.err, "", "standard error")


@test
def list_prints_json(world):
    path = world.simmac("nvme,size=64M", "endpoint")
    table = world.run("list", env={"QUIVER_SIMMAC": path}).out.splitlines()[1:]
    result = world.run("list", "--json", env={"QUIVER_SIMMAC": path})
    status(result, 0)
    devices = json.loads(result.out)
    equal([device["id"] for device in devices], [line.split()[0] for line in table], "ids")
    equal([f"{d['vendor']:04x}:{d['device']:04x}" for d in devices], [NVME, ENDPOINT], "devices")
    for device, line in zip(devices, table):
        equal(device["address"], line.split()[1], "address")
        equal((device["state"], device["refused"], device["claimable"], device["obstacle"]),
              ("unclaimed", False, True, None), "state")
    equal(devices[0]["class"], 0x010802, "class of the nvme")


@test
def list_and_run_know_a_device_in_use(world):
    path = world.simmac("endpoint")
    env = {"QUIVER_SIMMAC": path}
    user = world.start("run", "--qemu", QEMU, env=env, script=f"claim pid={world.pid_file} wait")
    world.qemu_pid()
    device = json.loads(world.run("list", "--json", env=env).out)[0]
    equal((device["state"], device["claimable"], device["obstacle"]), ("live", False, "in use"),
          "a device in use")
    expect("in use" in world.run("list", env=env).out, "the table does not say why")
    for args in ([], ["--device", ENDPOINT], ["--device", device["id"]]):
        result = world.run("run", "--dry-run", *args, env=env)
        status(result, 3)
        expect(f"in use by 'quiver run', process {user.pid}\n" in result.err, result.err)
    user.terminate()
    status(finish(user), 143)
    until(lambda: json.loads(world.run("list", "--json", env=env).out)[0]["claimable"],
          "it is not free again")


@test
def without_a_mac_there_is_a_clear_error(world):
    for args in (["list"], ["run", "--dry-run"]):
        result = world.run(*args)
        status(result, 3)
        expect("not a Mac" in result.err and "--sim" in result.err, result.err)
        equal(result.out, "", "standard output")
    result = world.run("list", "--json")
    status(result, 3)
    equal(json.loads(result.out), [], "devices")


@test
def list_can_simulate(world):
    result = world.run("list", "--sim")
    status(result, 0)
    equal([line.split()[2] for line in result.out.splitlines()[1:]], [NVME, ENDPOINT], "devices")
    world.nothing_left()
    result = world.run("list", "--sim", "--sim-device", "endpoint", "--json")
    equal(len(json.loads(result.out)), 1, "devices")
    world.nothing_left()


# --- run: the command


@test
def usage_errors_are_2(world):
    for args in ([], ["frob"], ["list", "--frob"], ["list", "x"], ["run", "--cpus"],
                 ["run", "--cpus", "none"], ["run", "--cpus", "0"], ["run", "x"],
                 ["run", "--initrd", "x"], ["run", "--append", "x"],
                 ["run", "--console", "--serial", "f"], ["run", "--console", "--json"],
                 ["run", "--sim-device", "nvme"], ["list", "--sim-arg", "x"],
                 *(["run", "--device", ENDPOINT + text] for text in (
                     ",", ",thunderbolt", ",thunderbolt=", ",thunderbolt=2", ",thunderbolt=6",
                     ",thunderbolt=0", ",thunderbolt=50", ",thunderbolt=5,", ",x-trap=on",
                     ",thunderbolt=5,x-trap=on", ",,thunderbolt=5"))):
        result = world.run(*args)
        equal(result.returncode, 2, f"exit status of {args}")
        equal(result.out, "", f"standard output of {args}")
        expect(result.err.startswith("quiver: ") and "--help" in result.err, result.err)


@test
def help_is_no_error(world):
    for args in (["--help"], ["list", "--help"], ["run", "--help"], ["--version"]):
        result = world.run(*args)
        status(result, 0)
        expect(result.out and not result.err, f"{args}: {result.err}")


def dry_run(world, *args, path=None, env=None):
    env = dict(env or {}, QUIVER_SIMMAC=path)
    result = world.run("run", "--dry-run", *args, env=env)
    status(result, 0)
    equal(result.out.count("\n"), 1, "lines")
    return result.out[:-1]


@test
def dry_run_prints_the_whole_command(world):
    path = world.simmac("nvme,size=64M", "endpoint")
    ids = [d["id"] for d in json.loads(world.run("list", "--json", env={"QUIVER_SIMMAC": path}).out)]
    line = dry_run(world, "--kernel", "vmlinuz", "--initrd", "initrd.gz", "--append",
                   "console=ttyAMA0 it's \"x\" $HOME `id` \\n", "--disk", "my disk,1.raw,ro",
                   "--disk", "b.qcow2", "--net", "none", "--memory", "3G", "--cpus", "4", "--serial", "log,1",
                   "--trap", "--qemu-arg", "-name", "--qemu-arg", "", path=path)
    equal(line,
          "qemu-system-aarch64 -machine virt,gic-version=3 -accel tcg,thread=multi -cpu neoverse-n1"
          " -smp 4 -m 3G -nodefaults -display none -serial file:log,,1 -kernel vmlinuz"
          " -initrd initrd.gz"
          " -append 'console=ttyAMA0 it'\\''s \"x\" $HOME `id` \\n'"
          " -drive 'if=none,id=disk0,file=my disk,,1.raw,format=raw,readonly=on'"
          " -device virtio-blk-pci,drive=disk0"
          " -drive if=none,id=disk1,file=b.qcow2,format=qcow2,discard=unmap -device virtio-blk-pci,drive=disk1"
          " -device pcie-root-port,id=port0,chassis=1,slot=0,hotplug=off -device quiver-dma,id=dma0,bus=port0"
          " -device pcie-root-port,id=port1,chassis=2,slot=1"
          f" -device quiver-pci,id=device0,bus=port1,host={ids[0]},dma=dma0,thunderbolt=4,x-trap=on"
          " -device pcie-root-port,id=port2,chassis=3,slot=2"
          f" -device quiver-pci,id=device1,bus=port2,host={ids[1]},dma=dma0,thunderbolt=4,x-trap=on"
          " -device virtio-rng-pci -name ''", "the command")


@test
def a_shell_reads_the_command_back(world):
    path = world.simmac("endpoint")
    words = ["a b", "it's", '"', "$(id)", "", "\n", "*", "~", "\\", "-x=1", "ü", "#", "a;b", "!", "'"]
    args = [word for text in words for word in ("--qemu-arg", text)]
    result = world.run("run", "--dry-run", "--qemu", "/a b/qemu", *args, env={"QUIVER_SIMMAC": path})
    status(result, 0)
    script = f'set -- {result.out}for word; do printf "%s\\0" "$word"; done'
    shell = subprocess.run(["sh", "-c", script], stdout=subprocess.PIPE, check=True, text=True)
    equal(shell.stdout.split("\0")[-len(words) - 1:-1], words, "what a shell reads")
    equal(shlex.split(result.out)[0], "/a b/qemu", "the program")


@test
def the_terminal_and_qemu_can_be_chosen(world):
    path = world.simmac("endpoint")
    expect(" -serial mon:stdio " in dry_run(world, "--console", path=path), "--console")
    expect(" -serial stdio " in dry_run(world, path=path), "default")
    line = dry_run(world, path=path, env={"QUIVER_QEMU": "/q/emu"})
    expect(line.startswith("/q/emu "), line)
    line = dry_run(world, "--qemu", "/r/emu", path=path, env={"QUIVER_QEMU": "/q/emu"})
    expect(line.startswith("/r/emu "), line)


def words_of(line, device):
    return [word for word in shlex.split(line) if word.startswith(device + ",")]


@test
def an_aperture_has_a_node_of_its_own(world):
    path = world.simmac("endpoint")
    for none in ((), ("--aperture", "none"), ("--aperture", "auto")):
        line = dry_run(world, *none, path=path)
        equal(words_of(line, "quiver-dma"), ["quiver-dma,id=dma0,bus=port0"], none)
        expect("-numa" not in line and "-object" not in line, line)
    gpu = world.simmac("endpoint", "gpu")
    for auto in ((), ("--aperture", "auto")):
        equal(words_of(dry_run(world, *auto, path=gpu), "quiver-dma"),
              ["quiver-dma,id=dma0,bus=port0,aperture=1024M"], auto)
    equal(words_of(dry_run(world, "--aperture", "none", path=gpu), "quiver-dma"),
          ["quiver-dma,id=dma0,bus=port0"], "none, with a GPU")
    line = dry_run(world, "--aperture", "1G", "--memory", "3G", "--cpus", "4", path=path)
    equal(words_of(line, "quiver-dma"), ["quiver-dma,id=dma0,bus=port0,aperture=1024M"], "its length")
    equal(words_of(line, "memory-backend-ram"),
          ["memory-backend-ram,id=node0,size=3040M", "memory-backend-ram,id=node1,size=32M"], "memory")
    equal(words_of(line, "node"), ["node,nodeid=0,memdev=node0,cpus=0-3", "node,nodeid=1,memdev=node1"], "nodes")


@test
def tso_is_the_vms_and_off_unless_asked_for(world):
    path = world.simmac("endpoint")
    equal(words_of(dry_run(world, path=path), "quiver-dma"), ["quiver-dma,id=dma0,bus=port0"],
          "without")
    equal(words_of(dry_run(world, "--tso=off", path=path), "quiver-dma"),
          ["quiver-dma,id=dma0,bus=port0"], "with --tso=off")
    for option in ("--tso", "--tso=on"):
        equal(words_of(dry_run(world, option, path=path), "quiver-dma"),
              ["quiver-dma,id=dma0,bus=port0,tso=on"], option)


@test
def what_is_said_of_a_link_goes_before_what_the_mac_says(world):
    path = world.simmac("endpoint", "nvme,size=64M", "endpoint")
    env = {"QUIVER_SIMMAC": path}
    nvme = json.loads(world.run("list", "--json", env=env).out)[1]["id"]
    line = dry_run(world, "--trap", "--device", ENDPOINT, "--device", nvme + ",thunderbolt=5",
                   "--device", ENDPOINT + ",thunderbolt=3", path=path)
    ends = [word.split("dma=dma0")[1] for word in words_of(line, "quiver-pci")]
    equal(ends, [",thunderbolt=4,x-trap=on", ",thunderbolt=5,x-trap=on",
                 ",thunderbolt=3,x-trap=on"], "links")
    equal(hosts(line)[1], nvme, "the second device")
    status(world.run("run", "--dry-run", "--device", "10de:2b85,thunderbolt=5", env=env), 3)


def hosts(line):
    return [word.split("host=")[1].split(",")[0] for word in shlex.split(line) if "host=" in word]


@test
def devices_are_chosen_by_id_or_by_kind(world):
    path = world.simmac("endpoint", "nvme,size=64M", "endpoint")
    env = {"QUIVER_SIMMAC": path}
    first, nvme, second = [d["id"] for d in json.loads(world.run("list", "--json", env=env).out)]
    for specs, wanted in (([], [first, nvme, second]), ([nvme], [nvme]), ([NVME], [nvme]),
                          ([NVME.upper()], [nvme]), ([str(int(second, 16))], [second]),
                          ([ENDPOINT, ENDPOINT], [first, second]),
                          ([second, nvme], [second, nvme])):
        args = [word for spec in specs for word in ("--device", spec)]
        equal(hosts(dry_run(world, *args, path=path)), wanted, f"devices of {specs}")
    for specs in ([ENDPOINT] * 3, [first, first], ["10de:2b85"], ["0x1"], ["x"], [""], ["-1"],
                  [ENDPOINT + "0"], [first + "x"]):
        args = [f"--device={spec}" for spec in specs]
        result = world.run("run", "--dry-run", *args, env=env)
        equal(result.returncode, 3, f"exit status of {specs}")
        equal(result.out, "", f"output of {specs}")


# --- run: life and death


@test
def a_vm_that_ends_well_is_0(world):
    result = world.run(*sim_run(), script="claim look exit=0")
    status(result, 0)
    world.nothing_left()


@test
def a_vm_that_fails_is_1(world):
    for script, text in (("exit=3", "status 3"), ("claim exit=1", "status 1"),
                         ("claim kill=9", "signal 9"), ("kill=6", "signal 6")):
        result = world.run(*sim_run(), script=script)
        status(result, 1)
        expect(text in result.err, f"{script}: {result.err}")
        world.nothing_left()


@test
def what_cannot_be_started_is_5(world):
    result = world.run("run", "--sim", "--qemu", "/no/such/qemu")
    status(result, 5)
    expect("/no/such/qemu" in result.err, result.err)
    world.nothing_left()
    result = world.run(*sim_run(), env={"QUIVER_SIMMACD": "/no/such/simmacd"})
    status(result, 5)
    expect("/no/such/simmacd" in result.err, result.err)
    world.nothing_left()
    result = world.run(*sim_run("--sim-device", "toaster"))
    status(result, 5)
    expect("toaster" in result.err, result.err)
    world.nothing_left()
    result = world.run(*sim_run(), env={"TMPDIR": world.folder + "/none"})
    status(result, 5)
    result = world.run(*sim_run(), env={"TMPDIR": "/tmp/" + 100 * "x"})
    status(result, 5)


@test
def signals_end_qemu_and_then_the_mac(world):
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        quiver = world.start(*sim_run(), script=f"claim pid={world.pid_file} wait look exit=0")
        world.qemu_pid()
        quiver.send_signal(number)
        status(finish(quiver), 128 + number)
        world.nothing_left()
        os.unlink(world.pid_file)


@test
def ctrl_c_reaches_qemu_and_not_the_mac(world):
    quiver = world.start(*sim_run(), script=f"claim pid={world.pid_file} wait look exit=0")
    world.qemu_pid()
    os.killpg(quiver.pid, signal.SIGINT)
    status(finish(quiver), 130)
    expect(quiver.err.endswith("\nquiver: the VM has ended\n"), quiver.err)
    world.nothing_left()


@test
def signals_that_come_together_are_one(world):
    quiver = world.start(*sim_run("--json"), script=f"pid={world.pid_file} wait nap exit=0")
    world.qemu_pid()
    quiver.send_signal(signal.SIGTERM)
    heard(quiver, "ending QEMU")
    quiver.send_signal(signal.SIGINT)
    status(finish(quiver), 143)
    equal(json.loads(quiver.out)["qemu"]["exit"], 0, "QEMU's exit status")


@test
def a_second_signal_is_the_last(world):
    quiver = world.start(*sim_run(), script=f"claim pid={world.pid_file} hang")
    pid = world.qemu_pid()
    quiver.terminate()
    heard(quiver, "ending QEMU")
    time.sleep(1.1)
    expect(pid in world.processes(), "QEMU is gone too early")
    quiver.terminate()
    status(finish(quiver), 143)
    world.nothing_left()


@test
def a_signal_during_the_start_leaves_nothing(world):
    slow = ["--sim-arg", "--delay", "--sim-arg", "IOPCIDevice::Open:500000"]
    quiver = world.start(*sim_run(*slow), script="hang")
    until(lambda: len(world.processes()) == 2, "the Mac does not start")
    quiver.terminate()
    status(finish(quiver), 143)
    world.nothing_left()


@test
def of_all_signals_qemu_misses_those_of_the_terminal(world):
    program = os.path.join(world.folder, "qemu")
    with open(program, "w", encoding="ascii") as file:
        # Not a shell: some clear the mask themselves.
        file.write("#!/usr/bin/env python3\nimport signal\n"
                   "print(*sorted(int(s) for s in signal.pthread_sigmask(signal.SIG_BLOCK, [])))\n")
    os.chmod(program, 0o755)
    result = world.run("run", "--sim", "--qemu", program)
    status(result, 0)
    equal(result.out.split(), [str(int(s)) for s in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT)], "blocked")


@test
def nobody_outlives_a_killed_quiver(world):
    quiver = world.start(*sim_run(), script=f"claim pid={world.pid_file} wait")
    world.qemu_pid()
    until(lambda: len(world.named("quiver")) == 2, "nobody watches")
    equal((len(world.named("simmacd")), len(world.processes())), (1, 4), "processes")
    quiver.kill()
    finish(quiver)
    until(lambda: not world.processes(), "somebody lives on")


@test
def a_simulated_panic_is_4(world):
    args = sim_run("--sim-device", "endpoint", "--json")
    quiver = world.run(*args, script="claim stray hang")
    status(quiver, 4)
    expect("PANIC [D6]" in quiver.err, quiver.err)
    result = json.loads(quiver.out)
    equal(result["status"], 4, "status in JSON")
    equal(result["simulation"]["verdict"], "panic", "verdict")
    expect(result["simulation"]["report"].startswith("simmac: PANIC [D6]"), "no report in JSON")
    world.nothing_left()


@test
def a_mac_that_dies_takes_qemu_with_it(world):
    quiver = world.start(*sim_run(), script=f"pid={world.pid_file} hang")
    world.qemu_pid()
    mac = world.named("simmacd")
    equal(len(mac), 1, "simulated Macs")
    os.kill(mac[0], signal.SIGKILL)
    status(finish(quiver), 4)
    expect("signal 9" in quiver.err, quiver.err)
    world.nothing_left()


# A Mac that hangs up on everybody, and says in the end that mappings were left.
LEAKY = """#!/usr/bin/env python3
import signal, socket, sys, threading
options = dict(zip(sys.argv[1::2], sys.argv[2::2]))
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
server = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
server.bind(options["--socket"])
server.listen()
def serve():
    while True:
        server.accept()[0].close()
threading.Thread(target=serve, daemon=True).start()
signal.sigwait([signal.SIGTERM])
open(options["--state"], "w").write('{"leaks": {"mappings": 7, "objects": 0}}')
print("seven are left", file=sys.stderr)
sys.exit(1)
"""


@test
def a_leak_is_4(world):
    program = os.path.join(world.folder, "leaky")
    with open(program, "w", encoding="ascii") as file:
        file.write(LEAKY)
    os.chmod(program, 0o755)
    quiver = world.run("run", "--sim", "--json", env={"QUIVER_SIMMACD": program})
    status(quiver, 4)
    expect("left on the simulated Mac" in quiver.err and "seven are left" in quiver.err, quiver.err)
    simulation = json.loads(quiver.out)["simulation"]
    equal((simulation["verdict"], simulation["state"]["leaks"]["mappings"]), ("leak", 7), "JSON")
    world.nothing_left()


@test
def json_says_what_happened(world):
    result = world.run(*sim_run("--json", "--device", ENDPOINT), script="claim say=hello exit=5")
    status(result, 1)
    expect("hello" in result.err, "what QEMU printed is lost")
    run = json.loads(result.out)
    equal(run["status"], 1, "status")
    equal((run["qemu"]["exit"], run["qemu"]["signal"]), (5, None), "QEMU's end")
    expect(0 < run["qemu"]["seconds"] < PATIENCE, "seconds")
    equal(run["command"][0], QEMU, "command")
    equal([f"{d['vendor']:04x}:{d['device']:04x}" for d in run["devices"]], [ENDPOINT], "devices")
    equal(run["simulation"]["verdict"], "ok", "verdict")
    counters = {d["name"]: d for d in run["simulation"]["state"]["devices"]}["endpoint0"]
    equal((counters["maps"], counters["unmaps"], counters["mappings"]), (1, 1, 0), "counters")
    result = world.run(*sim_run("--json"), script="kill=9")
    equal(json.loads(result.out)["qemu"]["signal"], 9, "QEMU's signal")


if __name__ == "__main__":
    sys.exit(run_tests())
