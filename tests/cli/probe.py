#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""quiver probe: its stages on simulated Macs, what fails, and what it keeps of that. Prints TAP."""

import getpass
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

from tap import BUILD, QUIVER, equal, has, run_tests, test, true

SIMMACD = os.path.join(BUILD, "simmac", "daemon", "simmacd")
SIMMACCTL = os.path.join(BUILD, "simmac", "daemon", "simmacctl")
BROKEN = os.path.join(BUILD, "tests", "cli", "probe-broken")
NAMES = ["extension", "identity", "bars", "touch", "speed", "dart", "interrupts", "reset"]
PATIENCE = 10
CLAIM = "IOBufferMemoryDescriptor::Create"       # for nothing but a claim the extension makes one
FEW = ["--limit-mappings=1000", "--reset-us=1000"]
FOLDER = tempfile.mkdtemp(prefix="quiver-probe-")
STARTED = []


def environment(**more):
    env = {k: v for k, v in os.environ.items() if not k.startswith("QUIVER_")}
    env.update({"HOME": FOLDER, "TMPDIR": FOLDER}, **more)
    return env


def run(*args, program=QUIVER, **env):
    return subprocess.run([program, "probe", *args], stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, check=False, timeout=60, env=environment(**env))


def simulated(*args, device="gpu", sim=(), fault=None, small=True):
    """With little to map and short resets, unless that is the point."""
    words = [word for arg in [*(FEW if small else []), *sim] for word in ("--sim-arg", arg)]
    return run("--sim", "--sim-device", device, *words, "--json", *args,
               program=BROKEN if fault else QUIVER, QUIVER_SIMMACD=SIMMACD, PROBE_FAULT=fault or "")


def results(record):
    return [stage["result"] for stage in record["stages"]]


def ids(sock):
    """Of the devices of a simulated Mac, as --device takes them."""
    listed = subprocess.run([QUIVER, "list", "--json"], capture_output=True, text=True, check=True,
                            env=environment(QUIVER_SIMMAC=sock))
    return [f'{one["id"]}' for one in json.loads(listed.stdout)]


def passed(result):
    """The record of a run in which nothing failed, on a Mac that was left clean."""
    equal(result.returncode, 0, f"exit status ({result.stderr.strip()})")
    record = json.loads(result.stdout)
    equal(record["simulation"]["verdict"], "ok", "the simulated Mac")
    return record


def failed(result, stage, reason, status=7):
    """The failed stage of a run that ended there, on a Mac that was left clean."""
    equal(result.returncode, status, f"exit status ({result.stderr.strip()})")
    record = json.loads(result.stdout)
    equal(results(record), ["passed"] * stage + ["failed"] + ["not run"] * (7 - stage), "results")
    equal(record["simulation"]["verdict"], "ok", "the simulated Mac")
    has(record["stages"][stage]["reason"], reason)
    true(record["stages"][stage]["cure"], "no cure")
    return record["stages"][stage]


class Mac:
    """A simulated Mac that outlives its clients, and where they keep their record."""

    def __init__(self, device="gpu", *args, again=False):
        self.socket = os.path.join(FOLDER, "socket")
        self.report = os.path.join(FOLDER, "report")
        self.record = os.path.join(FOLDER, "record.json")
        if not again and os.path.exists(self.record):
            os.unlink(self.record)
        self.daemon = subprocess.Popen(
            [SIMMACD, "--socket", self.socket, "--report", self.report, "--device", device, *FEW,
             *args],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        STARTED.append(self.daemon)
        until(self.answers, "simmacd does not answer")

    def answers(self):
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as client:
            return client.connect_ex(self.socket) == 0

    def probe(self, *args, fault=None):
        return run(*args, "--record", self.record, program=BROKEN if fault else QUIVER,
                   QUIVER_SIMMAC=self.socket, PROBE_FAULT=fault or "")

    def start(self, *args, fault=None):
        process = subprocess.Popen([BROKEN if fault else QUIVER, "probe", *args, "--record", self.record],
                                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL,
                                   env=environment(QUIVER_SIMMAC=self.socket,
                                                   PROBE_FAULT=fault or ""))
        STARTED.append(process)
        return process

    def kept(self):
        with open(self.record, encoding="utf-8") as file:
            return json.load(file)

    def says(self, stage, result):
        """Waits until the record does."""
        until(lambda: os.path.exists(self.record) and results(self.kept())[stage] == result,
              f"stage {stage} is not {result}")

    def control(self, *words):
        return subprocess.run([SIMMACCTL, "--socket", self.socket, *words], capture_output=True,
                              check=True, text=True).stdout

    def state(self):
        return json.loads(self.control("state"))

    def calls(self, name):
        return self.state()["calls"].get(name, 0)

    def client_calls(self, name):
        return self.state()["client_calls"].get(name, 0)

    def is_claimed(self):
        return self.state()["devices"][0]["clients"] > 0

    def crash(self, process):
        """Goes down, with all that runs on it at once: nobody sees the other go first."""
        process.send_signal(signal.SIGSTOP)
        os.waitpid(process.pid, os.WUNTRACED)
        for one in (self.daemon, process):
            one.kill()
            one.wait()

    def end(self, status=0):
        if status == 0:
            self.daemon.terminate()
        equal(self.daemon.wait(PATIENCE), status, "how the simulated Mac ended")


def until(condition, text):
    end = time.monotonic() + PATIENCE
    while not condition():
        true(time.monotonic() < end, text)
        time.sleep(0.01)


# --- what passes


@test
def a_card_passes_all_stages():
    """an RTX 5090 passes all stages, and the record has what each measured"""
    record = passed(simulated(small=False))
    equal(results(record), ["passed"] * 8, "results")
    equal([stage["name"] for stage in record["stages"]], NAMES, "names")
    figures = [stage["figures"] for stage in record["stages"]]
    equal((record["simulated"], record["device"]["device"]), (True, 0x2b85), "what it was run on")
    equal((figures[1]["id"], figures[1]["link"]["width"]), ("0x2b8510de", 4), "identity")
    equal((figures[2]["boot_0"], figures[2]["chip"]["family"]), ("0x1b2000a1", "Blackwell"), "chip")
    equal([bar["bytes"] >> 20 for bar in figures[2]["bars"]], [64, 256, 32], "BARs")
    equal((figures[3]["guest_read"], figures[3]["host_read"], figures[3]["writes"]),
          ("0x1b2000a1", "0x1b2000a1", False), "touch")
    has(figures[3]["note"], "known to be harmless")
    for name, count in (("host_load_ns", 32), ("direct_load_ns", 32), ("trapped_load_ns", 1000)):
        one = figures[4][name]
        equal(one["count"], count, name)
        true(one["min"] <= one["median"] <= one["p99"] <= one["max"], f"{name} is out of order")
    true(figures[4]["trapped_to_direct"] > 1, "leaving the guest is no slower than not to")
    equal([(b["batch"], b["map_ns"]["count"]) for b in figures[5]["batches"]],
          [(1, 64), (8, 64), (64, 64), (127, 64)], "batches")
    equal((figures[5]["granule"], sum(a["count"] for a in figures[5]["alignment"])),
          (16384, 64 * 200 + 1 + 85 + 58752), "addresses")
    equal((figures[6]["latency_ns"]["count"],
           sum(b["count"] for b in figures[6]["latency_us_histogram"])), (200, 200), "interrupts")
    true(figures[7]["reset_ns"] >= 100e6, "the reset took no time")


@test
def other_devices():
    """an endpoint is written to from the guest; what cannot interrupt safely skips that and goes on"""
    record = passed(simulated(device="endpoint"))
    equal(results(record), ["passed"] * 8, "results of the endpoint")
    equal(record["stages"][3]["figures"]["guest_wrote"], "0x5a17c0de", "written")
    record = passed(simulated(device="nvme"))
    equal(results(record), ["passed"] * 6 + ["skipped", "passed"], "results of the NVMe")
    has(record["stages"][6]["reason"], "no safe way")
    record = passed(simulated(device="gpu,card=r9700"))
    equal(results(record), ["passed"] * 6 + ["skipped", "passed"], "results of the AMD card")
    equal(record["stages"][1]["figures"]["hidden_pcie"], "0x64", "the hidden capability [H11]")
    equal(record["stages"][3]["figures"]["bar"], 5, "the registers' BAR")


@test
def old_chips():
    """a chip before Turing skips interrupts, which it has elsewhere"""
    record = passed(simulated("--upto", "6", device="gpu,card=rtx4090,boot0=0x140000a1"))
    equal(results(record)[6], "skipped", "result")
    has(record["stages"][6]["reason"], "before Turing")


@test
def as_text():
    """a stage is a line for people, with its figures below"""
    result = run("--sim", "--sim-device", "nvme", "--sim-arg", FEW[0])
    equal((result.returncode, result.stderr), (0, ""), "status")
    lines = [line for line in result.stdout.splitlines() if line[0].isdigit()]
    equal([line.split()[:2] for line in lines], [[str(i), n] for i, n in enumerate(NAMES)], "stages")
    has(lines[6], "skipped  no safe way")
    has(result.stdout, "trapped_load_ns        median ")
    equal(result.stdout.splitlines()[-1],
          "- release     passed   the device is given back, and reset for that", "the end")
    result = run("--sim", "--sim-device", "gpu,boot0=0xffffffff")
    equal(result.returncode, 7, "status of a failure")
    has(result.stdout, "2 bars        failed   BAR 0 at 0x0: it reads as all ones: the device is off the"
        " bus, or does not decode it\n    what helps             check cable and power")


@test
def ninety_percent():
    """no more is mapped than 90 % of each limit, and all of that is"""
    sim = ["--limit-bytes=100000000"]
    record = passed(simulated("--upto", "5", sim=sim))
    figures = record["stages"][5]["figures"]
    state = record["simulation"]["state"]["devices"][0]
    equal((figures["mappings_limit"], figures["filled_by_mappings"]["mappings"]), (1000, 900), "number")
    equal(state["mappings_peak"], 900, "the most mappings at once")
    share = state["bytes_peak"] / figures["bytes_limit"]
    true(0.75 < share <= 0.9, f"{share} of the bytes")
    equal((state["mappings"], state["maps"]), (0, state["unmaps"]), "what is left")
    record = passed(simulated(sim=["--limit-mappings=1"]))
    equal(results(record), ["passed"] * 5 + ["skipped"] + ["passed"] * 2, "with one mapping")
    equal(record["simulation"]["state"]["devices"][0]["mappings_peak"], 0, "mappings of one")


# --- what fails


@test
def nothing_there():
    """without a device stage 0 fails, with what helps"""
    result = run("--sim", "--sim-device", "none", "--json")
    equal(result.returncode, 7, result.stderr)
    record = json.loads(result.stdout)
    equal(results(record), ["failed"] + ["not run"] * 7, "results")
    has(record["stages"][0]["reason"], "not loaded, or nothing is attached")
    result = run()
    equal(result.returncode, 3, "without a Mac")
    has(result.stderr, "not a Mac")


@test
def lying_config_space():
    """lists of capabilities that loop or lead astray fail stage 1"""
    for config, reason in (("41:40", "loops"), ("41:10", "leads into the header"),
                           ("41:f0+f0:ffffffff", "leads to nothing"),
                           ("100:0b000110", "loops")):
        failed(simulated(device=f"gpu,config={config}"), 1, reason)


@test
def bars_that_do_not_answer():
    """BARs without address, or with a device behind them that is dead or another one, fail stage 2"""
    failed(simulated(device="gpu,bars=unassigned"), 2, "[H10]")
    stage = failed(simulated(device="gpu,bars=unassigned:2"), 2, "BAR 1 has no address")
    equal(stage["figures"]["bars"], [], "what was mapped then")
    for boot0, reason in (("0xffffffff", "all ones"), ("0xffff0001", "[H8]"),
                          ("0xbadf5040", "register bus"), ("0x192000a1", "it is not this card"),
                          ("0x00000000", "names no chip")):
        failed(simulated(device=f"gpu,boot0={boot0}"), 2, reason)
    failed(simulated(sim=["--fail", "IOPCIDevice::_CopyDeviceMemoryWithIndex:1"]), 2, "mapping BAR")


@test
def no_vm():
    """a VM that cannot be made or run fails stage 3, and nothing is left of it"""
    stage = failed(simulated(sim=["--fail", "hv_vm_create:1"]), 3, "hv_vm_create: denied")
    has(stage["reason"], "com.apple.security.hypervisor")
    failed(simulated(sim=["--fail", "hv_vm_map:1"]), 3, "hv_vm_map: no resources")
    failed(simulated(sim=["--fail", "hv_vm_map:2"]), 3, "hv_vm_map of the BAR")
    failed(simulated(sim=["--fail", "hv_vcpu_create:1"]), 3, "hv_vcpu_create")
    failed(simulated(sim=["--fail", "hv_vcpu_run:1"]), 3, "hv_vcpu_run: error 0xfae94001")
    failed(simulated(sim=["--fail", "hv_vcpu_run:500"]), 4, "hv_vcpu_run")


@test
def a_guest_that_does_not_see_it():
    """a guest that reads another value, or that does not get at the BAR, fails stage 3"""
    failed(simulated(fault="value"), 3, "the guest read 0x1b2000a0 where the host reads 0x1b2000a1")
    failed(simulated(fault="unmapped"), 3, "address 0x100000000")
    stage = failed(simulated(fault="read-only", device="endpoint"), 3, "address 0x10000000c")
    equal(stage["figures"]["writes"], True, "whether it writes")
    passed(simulated("--upto", "4", fault="read-only"))


@test
def a_guest_that_runs_something_else():
    """a guest that sees other code than was written fails, and is not taken for a fast one"""
    failed(simulated(fault="unflushed"), 3, "the guest faulted")
    failed(simulated(fault="early"), 4, "the guest ended with 1000 of its loads not done")


@test
def a_device_that_drops_off():
    """a card that drops off after it passed fails whatever stage comes next"""
    mac = Mac()
    equal(mac.probe("--upto", "6").returncode, 0, "before")
    for stage, value in ((6, "0xffff0001"), (6, "0xffffffff"), (5, "0xffff0001"),
                         (4, "0xffffffff"), (3, "0xffff0001")):
        result = mac.probe("--stage", str(stage), fault=f"reads {value}")
        equal(result.returncode, 7, f"stage {stage} with {value}: {result.stdout}")
        has(mac.kept()["stages"][stage]["reason"],
            "all ones" if value == "0xffffffff" else "[H8]")
    equal(mac.probe("--upto", "5").returncode, 0, "once it is back")
    equal(mac.probe("--stage", "6", fault="reads 0x1d2000a1").returncode, 0, "another chip")
    has(mac.kept()["stages"][6]["reason"] or "", "no family that is known")
    mac.end()


@test
def no_dma():
    """a mapping that is refused or comes in pieces fails stage 5, and nothing stays mapped"""
    for number in (1, 13700):
        failed(simulated("--upto", "5", sim=["--fail", f"IODMACommand::PrepareForDMA:{number}"]), 5,
               "was refused below the limits")
    failed(simulated(sim=["--segments", "2"]), 5, "refused")


@test
def no_interrupts():
    """without vectors, or without an interrupt that comes, stage 6 fails; one in use is left alone"""
    failed(simulated(device="gpu,msi=0,msix=0"), 6, "neither MSI nor MSI-X")
    failed(simulated(fault="silent"), 6, "interrupt 0 did not come")
    record = passed(simulated("--upto", "6", device="gpu,poke=0xb81608:4"))
    has(record["stages"][6]["reason"], "already in use")


@test
def a_reset_that_kills():
    """a card that dies of its reset fails stage 7, and one that must not have an FLR gets none"""
    failed(simulated(device="gpu,card=h100,flr=dead"), 7, "[H8]")
    passed(simulated("--upto", "7", device="gpu,card=rtx5090,flr=dead"))


@test
def a_mac_that_goes_to_sleep():
    """sleep waits for the stage that is at work; it fails, as does one that claims again, and says what to do"""
    mac = Mac()
    equal(mac.probe("--upto", "6").returncode, 0, "before")
    for stage, fault, reason in ((6, "lingers", "in the middle of this: the Mac is about to sleep"),
                                 (7, "sleeps", "claiming the device: the Mac is about to sleep")):
        probe = mac.start("--stage", str(stage), fault=fault)
        mac.says(stage, "started")
        until(mac.is_claimed, "it does not claim")
        mac.control("sleep")
        equal(probe.wait(PATIENCE), 7, f"status of stage {stage}")
        kept = mac.kept()
        has(kept["stages"][stage]["reason"], reason)
        has(kept["stages"][stage]["cure"], "wake the Mac")
        mac.control("wake")
        equal(mac.probe("--stage", str(stage)).returncode, 0, "once it is awake")
    mac.end()


@test
def a_mac_that_nobody_touches():
    """while stages run the Mac does not fall asleep by itself; when they are over it may"""
    mac = Mac()
    equal(mac.probe("--upto", "5").returncode, 0, "before")
    probe = mac.start("--stage", "6", fault="hangs")
    mac.says(6, "started")
    until(mac.is_claimed, "it does not claim")
    refused = subprocess.run([SIMMACCTL, "--socket", mac.socket, "sleep", "idle"], capture_output=True,
                             check=False, text=True)
    probe.kill()
    probe.wait()
    until(lambda: subprocess.run([SIMMACCTL, "--socket", mac.socket, "sleep", "idle"],
                                 capture_output=True, check=False).returncode == 0,
          "it cannot sleep afterwards")
    true(refused.returncode != 0, f"it slept under the stage: {refused.stdout}")
    mac.control("wake")
    mac.end()


@test
def the_reset_at_the_end():
    """a card that dies of the reset which each run ends with fails the run, and the record says so"""
    mac = Mac("gpu,card=h100,flr=dead")
    result = mac.probe("--upto", "0")
    equal(result.returncode, 7, "status")
    has(result.stdout, "- release     failed   the device did not survive the reset that it was"
        " given back by [H8]\n    what helps             switch the enclosure off")
    record = mac.kept()
    equal((results(record), record["release"]["result"]), (["passed"] + ["not run"] * 7, "failed"),
          "the record")
    equal(mac.probe().returncode, 3, "from then on")
    mac.end()
    equal(passed(simulated("--upto", "0"))["release"]["result"], "passed", "another card's")


# --- order, and what is kept


@test
def out_of_order():
    """a stage is refused until those before it passed on this Mac, and nothing is done then"""
    mac = Mac()
    result = mac.probe("--stage", "4")
    equal(result.returncode, 7, "status")
    has(result.stderr, "stage 4 (speed) wants stage 0 (extension)")
    true(not os.path.exists(mac.record), "a record was made")
    equal(mac.probe("--upto", "2").returncode, 0, "the stages before")
    result = mac.probe("--stage", "4")
    equal(result.returncode, 7, "status with one missing")
    has(result.stderr, "wants stage 3 (touch)")
    equal(mac.calls("hv_vm_create"), 0, "VMs")
    for stage in ("3", "4", "1", "7"):
        result = mac.probe("--stage", stage)
        equal(result.returncode, 7 if stage == "7" else 0, f"stage {stage}: {result.stderr}")
    equal(results(mac.kept()), ["passed"] * 5 + ["not run"] * 3, "the record")
    mac.end()


@test
def another_boot():
    """what passed before the Mac started anew counts no more"""
    mac = Mac()
    equal(mac.probe("--upto", "3").returncode, 0, "first boot")
    mac.end()
    mac = Mac(again=True)
    result = mac.probe("--stage", "4")
    equal(result.returncode, 7, "second boot")
    has(result.stderr, "on this boot")
    mac.end()
    mac.end()


@test
def another_device():
    """of another card of the model nothing counts but that the Mac went down, of another model nothing"""
    both = ("gpu", "--device", "gpu,name=second")
    mac = Mac(*both)
    one, other = ids(mac.socket)
    equal(mac.probe("--device", one, "--upto", "4").returncode, 0, "one")
    result = mac.probe("--device", other, "--stage", "5")
    equal(result.returncode, 7, "what one passed counted for the other")
    has(result.stderr, "wants stage 0")
    equal(mac.start("--device", one, fault="exec").wait(PATIENCE), -signal.SIGKILL, "the fall")
    mac.end(86)
    mac = Mac(*both, again=True)
    one, other = ids(mac.socket)
    result = mac.probe("--device", other)
    has(result.stderr, "the Mac went down during stage 3")
    equal(mac.probe("--device", other, "--stage", "3", "--force").returncode, 0, "the other's, by force")
    equal(mac.probe("--device", other, "--stage", "3").returncode, 0, "the other's, from then on")
    result = mac.probe("--device", one)
    equal(result.returncode, 7, "the other passed, so one was let through")
    has(result.stderr, "the Mac went down during stage 3")
    mac.end()
    mac = Mac("gpu,card=h100", again=True)
    before = mac.kept()
    result = mac.probe()
    equal(result.returncode, 5, "another model")
    has(result.stderr, "the record of another device")
    equal(mac.kept(), before, "the record")
    mac.end()


@test
def the_mac_went_down():
    """executable BARs take the Mac down in stage 3; the next run says so and does not repeat it"""
    mac = Mac()
    probe = mac.start(fault="exec")
    equal(probe.wait(PATIENCE), -signal.SIGKILL, "the broken probe, which dies with its Mac")
    mac.end(86)
    with open(mac.report, encoding="utf-8") as report:
        has(report.readline(), "PANIC [H1]")
    equal(results(mac.kept()), ["passed"] * 3 + ["started"] + ["not run"] * 4, "what it left")
    mac = Mac(again=True)
    for _ in range(2):
        result = mac.probe()
        equal(result.returncode, 7, "status")
        has(result.stderr, "the Mac went down during stage 3 (touch)")
        equal(results(mac.kept())[2:4], ["passed", "went down"], "the record")
    equal(mac.calls("hv_vm_create"), 0, "VMs")
    equal(mac.probe("--stage", "3", "--force").returncode, 0, "by force")
    equal(results(mac.kept())[3], "passed", "the record")
    equal(mac.probe("--stage", "3").returncode, 0, "from then on")
    mac.end()


@test
def the_mac_went_down_at_the_end():
    """a Mac that goes down in the reset at the end goes through no stage again, but by force"""
    mac = Mac("gpu", "--delay", "IOPCIDevice::Reset:5000000")
    probe = mac.start("--upto", "0")
    until(lambda: os.path.exists(mac.record) and mac.kept()["release"]["result"] == "started",
          "no release")
    mac.crash(probe)
    mac = Mac(again=True)
    claims = mac.calls(CLAIM)
    for args in ((), ("--upto", "0")):
        result = mac.probe(*args)
        equal(result.returncode, 7, "status")
        has(result.stderr, "the Mac went down when the device was given back")
    equal(mac.calls(CLAIM), claims, "claims")
    equal(mac.probe("--upto", "0", "--force").returncode, 0, "by force")
    equal(mac.probe("--upto", "0").returncode, 0, "from then on")
    mac.end()


@test
def before_the_claim():
    """the record says that a stage started before the device is claimed"""
    mac = Mac()
    mac.control("delay", CLAIM, str(3 * PATIENCE * 1000000))
    probe = mac.start()
    mac.says(0, "started")
    mac.crash(probe)
    equal(results(mac.kept())[0], "started", "what is left")
    mac = Mac(again=True)
    has(mac.probe().stderr, "the Mac went down during stage 0")
    mac.end()
    mac = Mac()
    mac.control("fail", CLAIM, "1")
    equal(mac.probe().returncode, 7, "a claim that fails")
    equal(results(mac.kept())[0], "failed", "the record of it")
    mac.end()


@test
def interrupted():
    """a signal lets the stage unmap and the device go, and is in the record"""
    mac = Mac("gpu", "--delay", "IODMACommand::PrepareForDMA:1000")
    probe = mac.start()
    mac.says(5, "started")
    until(lambda: mac.state()["devices"][0]["maps"], "nothing is mapped")
    probe.send_signal(signal.SIGINT)
    equal(probe.wait(PATIENCE), 130, "status")
    record = mac.kept()
    equal((results(record)[4:], record["release"]["result"]),
          (["passed", "interrupted", "not run", "not run"], "passed"), "the record")
    device = mac.state()["devices"][0]
    equal((device["mappings"], device["maps"]), (0, device["unmaps"]), "what is left")
    mac.end()


@test
def the_broken_one_is_told_of():
    """of a simulated Mac that panics the report is printed, and the status is 4"""
    result = simulated(fault="exec")
    equal(result.returncode, 4, "status")
    has(json.loads(result.stdout)["simulation"]["report"], "PANIC [H1]")


@test
def killed_in_the_midst():
    """a probe that is killed in a stage leaves a clean Mac, and the stage may run again"""
    mac = Mac()
    equal(mac.probe("--upto", "2").returncode, 0, "the stages before")
    for stage, call, fault in ((3, "hv_vm_map", None), (4, "hv_vcpu_run", None),
                               (5, "IODMACommand::PrepareForDMA", None), (6, None, "hangs"),
                               (7, "IOPCIDevice::Reset", None)):
        if call:
            mac.control("delay", call, "1000000")   # long enough to be seen on a busy machine
        probe = mac.start("--stage", str(stage), fault=fault)
        mac.says(stage, "started")
        if fault:
            until(lambda: mac.state()["devices"][0]["masters_bus"], "it does not master the bus")
        probe.kill()
        equal(probe.wait(), -signal.SIGKILL, f"how stage {stage} ended")
        if call:
            mac.control("delay", call, "0")
        result = mac.probe("--stage", str(stage))
        equal(result.returncode, 0, f"stage {stage} again: {result.stdout} {result.stderr}")
        equal(results(mac.kept())[stage], "passed", f"stage {stage} again")
        device = mac.state()["devices"][0]
        equal((device["mappings"], device["masters_bus"]), (0, False), "what is left")
    mac.end()


@test
def nothing_personal():
    """a record names no user, no path and no machine"""
    mac = Mac()
    equal(mac.probe("--upto", "6").returncode, 0, "status")
    with open(mac.record, encoding="utf-8") as file:
        text = file.read()
    for secret in (getpass.getuser(), socket.gethostname(), FOLDER, "/tmp", "socket", "serial"):
        true(secret not in text, f"{secret} is in the record")
    equal(os.stat(mac.record).st_mode & 0o777, 0o600, "who may read it")
    mac.end()


@test
def where_records_are():
    """a record lies in the home folder by default; without a place for it no stage is run"""
    mac = Mac()
    env = {"QUIVER_SIMMAC": mac.socket}
    path = os.path.join(FOLDER, ".local", "state", "quiver", "probe-10de-2b85.json")
    equal(run("--upto", "1", **env).returncode, 0, "the default")
    true(os.path.exists(path), "no record")
    equal(run("--stage", "2", **env).returncode, 0, "with it")
    folder, loop, fifo = (os.path.join(FOLDER, name) for name in ("folder", "loop", "fifo"))
    os.mkdir(folder)
    os.symlink(loop, loop)
    os.mkfifo(fifo)
    for place, word in (("/proc/none/record", "No such"), (folder, "no record"),
                        (loop, "cannot read the record"), (fifo, "no record")):
        result = run("--record", place, **env)
        equal(result.returncode, 5, f"{place}: {result.stderr}")
        has(result.stderr, word)
    equal(run(**env, HOME="").returncode, 5, "without a home")
    with open(path, "w", encoding="ascii") as file:
        file.write("not a record")
    result = run(**env)
    equal(result.returncode, 5, "a file that is none")
    with open(path, encoding="ascii") as file:
        equal(file.read(), "not a record", "that file")
    equal(mac.calls("hv_vm_create"), 0, "VMs")
    mac.end()


# --- usage


@test
def which_device():
    """the one graphics card is meant, or the one that is named; one in use is refused"""
    both = ["--sim", "--sim-device", "nvme", "--sim-device", "gpu", "--upto", "0", "--json"]
    equal(json.loads(run(*both).stdout)["device"]["vendor"], 0x10de, "of two")
    result = run(*both, "--device", "1234:1e0e")
    equal(json.loads(result.stdout)["device"]["vendor"], 0x1234, "the one named")
    result = run("--sim", "--upto", "0")
    equal(result.returncode, 3, "of two that are no cards")
    has(result.stderr, "--device says which")
    equal(run("--sim", "--device", "10de:9999").returncode, 3, "one that is not there")
    mac = Mac("gpu", "--device", "gpu,name=second", "--delay", "hv_vm_create:300000")
    one, other = ids(mac.socket)
    probe = mac.start("--device", one)
    mac.says(3, "started")
    equal(mac.probe("--device", one).returncode, 3, "one in use")
    result = mac.probe("--device", other)
    equal(result.returncode, 3, "another one, with the same record")
    has(result.stderr, "another quiver probe is running")
    equal(probe.wait(PATIENCE), 0, "whoever has it")
    equal(results(mac.kept()), ["passed"] * 8, "its record")
    mac.end()


@test
def usage():
    """wrong options are 2, help is no error"""
    for args in (["x"], ["--stage"], ["--stage", "8"], ["--stage", "-1"], ["--upto", "x"],
                 ["--upto", "33"], ["--stage", "1", "--upto", "2"], ["--device", "x,"],
                 ["--sim-device", "gpu"], ["--frob"], ["--stage="]):
        result = run(*args)
        equal((result.returncode, result.stdout), (2, ""), f"{args}: {result.stderr}")
    result = run("--help")
    equal((result.returncode, result.stderr), (0, ""), "help")
    for name in NAMES:
        has(result.stdout, name)


def main():
    for path in (QUIVER, SIMMACD, BROKEN):
        if not os.access(path, os.X_OK):
            print(f"Bail out! {path} is not built")
            return 1
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    try:
        return run_tests()
    finally:
        for process in STARTED:
            process.kill()
            process.wait()
        shutil.rmtree(FOLDER)


if __name__ == "__main__":
    sys.exit(main())
