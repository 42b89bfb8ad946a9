#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""quiver doctor: each finding on a simulated Mac where it is so and on one where it is not. Prints TAP."""

import concurrent.futures
import json
import os
import plistlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from tap import BUILD, QUIVER, TOP, equal, has, run_tests, test, true  # noqa: E402

SIMMACD = os.path.join(BUILD, "simmac", "daemon", "simmacd")
TOOLS = os.path.join(BUILD, "simmac", "tools")
FAKE_QEMU = os.path.join(BUILD, "tests", "cli", "fake-qemu")
FOLDER = tempfile.mkdtemp(prefix="quiver-doctor-")
CARD = "gpu,card=rtx4090"
ELSE = "/Users/me/build/mac/out/Quiver.app"

PATCHED = {"quiver-pci": ["host"], "quiver-dma": [], "hvf-accel": ["tso", "ram-device-noexec"]}

# Answers as QEMU does, for a machine of nothing.
QEMU = """#!{python}
import json, sys
types = {types}
print(json.dumps({{"QMP": {{"version": {{"qemu": {{"major": 10, "minor": 2, "micro": 0}}}}}}}}))
for line in sys.stdin:
    question = json.loads(line)
    name = question.get("arguments", {{}}).get("typename")
    answer = {{"return": {{}}}}
    if name in types:
        answer = {{"return": [{{"name": p, "type": "bool"}} for p in types[name]]}}
    elif name:
        answer = {{"error": {{"class": "DeviceNotFound", "desc": "Class not found"}}}}
    if "id" in question:
        answer["id"] = question["id"]
    print(json.dumps(answer))
"""


def script(name, text):
    path = os.path.join(FOLDER, name)
    with open(path, "w", encoding="ascii") as file:
        file.write(text)
    os.chmod(path, 0o755)
    return path


def qemu(name, types):
    return script(name, QEMU.format(python=sys.executable, types=types))


def environment(**more):
    env = {k: v for k, v in os.environ.items() if not k.startswith("QUIVER_")}
    env.update({"TMPDIR": FOLDER, "XDG_DATA_HOME": FOLDER}, **more)
    return env


def run(*args, **more):
    return subprocess.run([QUIVER, "doctor", *args], stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, errors="replace", check=False, timeout=60,
                          env=environment(**more))


def examine(*args, **more):
    """The object that --json prints, and that its status is the exit status."""
    result = run("--json", *args, **more)
    try:
        report = json.loads(result.stdout)
    except ValueError as error:
        raise AssertionError(f"no JSON ({result.returncode}): {result.stderr}") from error
    equal(report["status"], result.returncode, "exit status")
    return report


def sim(*args, devices=(CARD,), program=None, **more):
    """On a simulated Mac of one's own; args that are dictionaries are --mac's."""
    line = ["--sim", "--qemu", program or GOOD]
    for device in devices or ["none"]:
        line += ["--sim-device", device]
    for arg in args:
        if isinstance(arg, dict):
            pairs = (f"{k}={str(v).replace(',', ',,')}" for k, v in arg.items())
            line += ["--sim-arg", "--mac", "--sim-arg", ",".join(pairs)]
        else:
            line.append(arg)
    return examine(*line, **more)


def everything(report):
    """All that it prints, as one text."""
    return json.dumps({**report, "simulation": None}, ensure_ascii=False)


def said(report, name):
    """Severities, most of them one, that a check found."""
    return [f["severity"] for f in report["findings"] if f["id"] == name]


def worst(report, name):
    order = ["ok", "note", "warning", "error"]
    return max(said(report, name), key=order.index, default=None)


def words(report, name):
    """What a check says first, also when all is well."""
    found = [f["text"] for f in report["findings"] if f["id"] == name]
    true(found, f"no {name}")
    return found[0]


def finding(report, name):
    found = [f for f in report["findings"] if f["id"] == name and f["severity"] != "ok"]
    true(found, f"no {name}")
    return found[0]


GOOD = qemu("qemu-good", PATCHED)

# id, severity, and on which Mac: what sim() takes.
CASES = [
    ("not-apple-silicon", "error", ({"silicon": "off", "model": "MacBookPro16,1"},), {}),
    ("macos-version", "error", ({"version": "13.6.1"},), {}),
    ("macos-tso", "warning", ({"version": "14.5"},), {}),
    ("macos-addresses", "warning", ({"version": "14.5"},), {}),
    ("macos-addresses", "ok", ({"version": "15.1"},), {}),
    ("sip", "note", ({"sip": "disabled"},), {}),
    ("sip", "note", ({"sip": "custom"},), {}),
    ("app-missing", "warning", ({"app": "", "extension": "none"},), {"beside": {"extension-missing"}}),
    ("app-missing", "note", ({"app": ""},), {}),
    ("app-missing", "ok", ({"spotlight": "none", "extension": "none"},), {"beside": {"extension-missing"}}),
    ("app-missing", "ok", ({"bundle": "com.example.egpu", "extension": "none"},), {"beside": {"extension-missing"}}),
    ("app-missing", "ok", ({"bundle": "com.example.egpu", "app": ELSE, "extension": "none"},),
     {"beside": {"extension-missing", "app-place"}}),
    ("app-place", "error", ({"app": ELSE, "extension": "none"},), {"beside": {"extension-missing"}}),
    ("app-place", "note", ({"app": ELSE},), {}),
    ("app-place", "ok", ({"spotlight": ELSE},), {}),
    ("app-place", "ok", ({"spotlight": ELSE, "extension": "none"},), {"beside": {"extension-missing"}}),
    ("app-place", "ok", ({"app": "/Applications/Utilities/Quiver.app"},), {}),
    ("extension-missing", "error", ({"extension": "none"},), {}),
    ("extension-waiting", "error", ({"extension": "waiting"},), {}),
    ("extension-disabled", "error", ({"extension": "disabled"},), {}),
    ("extension-leaving", "error", ({"extension": "terminated"},), {}),
    ("extension-state", "warning", ({"extension": "validating by category"},), {}),
    ("extension-replaced", "note", ({"leftover": "0.0.9/1.4"},), {}),
    ("extension-replaced", "warning", ({"upgrading": "0.0.9/1.4"},), {}),
    ("extension-abi", "error", ({"extension_version": "0.0.9/1.4"},), {}),
    ("extension-abi", "error", ({"abi": 1},), {}),
    ("quiver-unsigned", "error", ({"quiver_signed": "off"},), {"beside": {"extension-refused"}}),
    ("extension-refused", "error", ({"quiver_signed": "off"},), {"beside": {"quiver-unsigned"}}),
    ("extension-refused", "error", ("--sim-arg", "--fail", "--sim-arg", "IOService::Create:1"), {}),
    # One of two: the other one works.
    ("extension-refused", "error", ("--sim-arg", "--fail", "--sim-arg", "IOService::Create:1"),
     {"devices": (CARD, CARD)}),
    ("enclosure-missing", "error", (), {"devices": ()}),
    ("device-missing", "error", ("--sim-arg", "--enclosure", "--sim-arg", "thunderbolt=4"), {"devices": ()}),
    ("device-missing", "error", ("--sim-arg", "--enclosure", "--sim-arg", "pcie=off"), {"devices": ()}),
    ("device-missing", "error", (), {"devices": (CARD + ",class=0x0200",)}),
    ("device-missing", "error", (), {"devices": (CARD + ",class=0x0403",)}),
    ("device-missing", "error", (), {"devices": (CARD + ",class=0x0108,driver=AppleDisks",)}),
    ("device-missing", "ok", (), {"devices": (CARD + ",class=0x0200", CARD)}),
    ("bars-unassigned", "error", (), {"devices": (CARD + ",bars=unassigned",)}),
    ("bars-unassigned", "error", (), {"devices": (CARD + ",bars=unassigned:0x2",)}),
    ("driver-other", "error", (), {"devices": (CARD + ",driver=TinyGPUDriver",)}),
    ("driver-other", "note", (), {"devices": (CARD, CARD + ",class=0x0108,driver=AppleDisks")}),
    ("driver-none", "error", ("--sim-arg", "--fail", "--sim-arg", "IOPCIDevice::Open:1"), {}),
    ("driver-none", "error", ("--sim-arg", "--fail", "--sim-arg", "IOPCIDevice::Open:1"),
     {"devices": (CARD + ",class=0x0108",)}),
    ("driver-none", "warning", ("--sim-arg", "--fail", "--sim-arg", "IOPCIDevice::Open:2"),
     {"devices": (CARD, CARD + ",class=0x0108")}),
    ("driver-none", "note", (), {"devices": (CARD, CARD + ",class=0x0200")}),
    ("audio-function", "note", (), {"devices": (CARD, CARD + ",class=0x0403")}),
    ("reset-method", "note", (), {"devices": ("gpu,card=rtx5090",)}),
    ("thunderbolt", "warning", (), {"devices": (CARD + ",thunderbolt=3",)}),
    ("nvidia-thunderbolt", "note", (), {"devices": (CARD + ",thunderbolt=5",)}),
    ("link-slow", "warning", (), {"devices": ("gpu,card=rtx5090,config=72:1310",)}),
    ("link-slow", "note", (), {"devices": ("gpu,card=rtx5090,config=72:4110",)}),
    ("memory-low", "error", ("--memory", "32G"), {}),
    ("memory-low", "warning", ("--memory", "22G"), {}),
    ("disk-low", "warning", (), {"XDG_DATA_HOME": "/sys"}),
    ("qemu-missing", "error", (), {"program": "/nonexistent/qemu"}),
    ("qemu-silent", "error", (), {"program": "/bin/true"}),
    ("qemu-devices", "error", (), {"program": qemu("qemu-plain", {})}),
    ("qemu-devices", "error", (), {"program": qemu("qemu-half", {"quiver-pci": ["host"]})}),
    ("qemu-unpatched", "error", (), {"program": qemu("qemu-hvf", {**PATCHED, "hvf-accel": ["tso"]})}),
    ("qemu-unpatched", "warning", (), {"program": qemu("qemu-old", {**PATCHED,
                                                                  "hvf-accel": ["ram-device-noexec"]})}),
    ("qemu-unsigned", "error", ({"signed": "off"},), {}),
]

# Tests below, or those of facts: tests/unit/test_doctor.c.
ELSEWHERE = {"not-a-mac", "device-gone", "device-in-use", "mappings-left", "qemu-hvf"}


@test
def on_a_healthy_mac_nothing_fires():
    """a Mac on which all is well has no finding that is not ok, and the exit status is 0"""
    report = sim()
    equal(report["status"], 0, "status")
    equal([f for f in report["findings"] if f["severity"] != "ok"], [], "findings")
    equal([f for f in report["findings"] if f["cure"]], [], "cures of what is well")
    equal(report["system"]["model"], "Mac16,8", "model")
    equal(report["extension"]["state"], "activated enabled", "extension")
    equal(report["simulation"]["verdict"], "ok", "verdict")
    device = report["devices"][0]
    equal((device["vendor"], device["thunderbolt"], device["driver"]), (0x10de, 4, "QuiverDriver"), "device")


def fires(case):
    """One of CASES: what it says, and that no other check is worse off than it."""
    name, severity, args, more = case
    beside = more.get("beside", set())
    report = sim(*args, **{key: value for key, value in more.items() if key != "beside"})
    equal(worst(report, name), severity, f"{name} on {args} {more}")
    equal(report["status"], 7 if severity == "error" or beside else 0, f"exit status of {name}")
    others = {f["id"] for f in report["findings"] if f["severity"] == "error"} - {name}
    equal(others, beside, f"errors beside {name} on {args} {more}")
    if severity in ("warning", "error"):
        true(finding(report, name)["cure"], f"{name} has no cure")


@test
def each_fires_where_it_is_so():
    """each finding fires on the Mac that is made so, alone of the errors, with a cure"""
    # Mostly waiting, for macOS' programs and for QEMU.
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        for unused in pool.map(fires, CASES):
            pass


@test
def each_is_tested():
    """every check of the table has a Mac on which it fires"""
    checks = set(sim()["checks"])
    equal({name for name, *_ in CASES} | ELSEWHERE, checks, "checks that are tested")


@test
def the_manual_has_all():
    """quiver-doctor(1) lists the checks, all and no others, and each has words"""
    with open(os.path.join(TOP, "man", "quiver-doctor.1.scd"), encoding="utf-8") as file:
        section = re.search(r"\n# FINDINGS\n(.*?)\n# ", file.read(), re.S).group(1)
    entries = re.findall(r"^\*([a-z0-9-]+)\*\n\t(\S.*)", section, re.M)
    equal([name for name, _ in entries], sim()["checks"], "ids in the manual, in their order")


@test
def the_oldest_macos_is_the_apps():
    """the oldest macOS that will do is the one that the app is built for"""
    with open(os.path.join(TOP, "app", "project.yml"), encoding="utf-8") as file:
        target = re.search(r'macOS: "(\d+)\.(\d+)"', file.read())
    major = int(target.group(1))
    equal(worst(sim({"version": f"{major}.0"}), "macos-version"), "ok", f"macOS {major}")
    equal(worst(sim({"version": f"{major - 1}.9"}), "macos-version"), "error", f"macOS {major - 1}")


@test
def qemu_says_what_its_patches_say():
    """the properties by which patched QEMUs are known are those that qemu/accel adds"""
    with open(os.path.join(TOP, "qemu", "accel", "hvf", "hvf-options.c"), encoding="utf-8") as file:
        source = file.read()
    for name in PATCHED["hvf-accel"]:
        has(source, f'"{name}"')
    with open(os.path.join(TOP, "qemu", "hw", "quiver", "quiver-pci.c"), encoding="utf-8") as file:
        has(file.read(), '"host"')


@test
def the_extensions_identifier_is_the_apps():
    """the identifier that is looked for is the one of app/Quiver.xcconfig"""
    with open(os.path.join(TOP, "app", "Quiver.xcconfig"), encoding="utf-8") as file:
        name = re.search(r"^QUIVER_BUNDLE_ID = (\S+)$", file.read(), re.M).group(1)
    equal(sim()["extension"]["identifier"], name + ".driver", "identifier")


@test
def the_extension_takes_what_its_info_plist_says():
    """the kinds of devices that doctor knows are those of dext/Info.plist, in the same order of wishes"""
    with open(os.path.join(TOP, "dext", "Info.plist"), "rb") as file:
        personalities = plistlib.load(file)["IOKitPersonalities"].values()
    wanted = set()
    for one in personalities:
        kind = "KIND_LAST" if one.get("IOProbeScore", 0) < 0 else "KIND_TAKEN"
        for term in one["IOPCIClassMatch"].split():
            value, mask = (int(number, 16) for number in term.split("&"))
            wanted.add((value, mask, kind))
    with open(os.path.join(TOP, "cli", "doctor", "checks_device.c"), encoding="utf-8") as file:
        rows = re.findall(r"\{ (0x[0-9a-f]{8}), (0x[0-9a-f]{8}), (KIND_[A-Z]+) \}", file.read())
    equal({(int(value, 16), int(mask, 16), kind) for value, mask, kind in rows}, wanted, "kinds")


@test
def who_is_not_let_in_is_told_how():
    """a quiver that is not signed is told how to sign it, and any other refusal has its number"""
    report = sim({"quiver_signed": "off"})
    has(finding(report, "extension-refused")["cure"], "scripts/mac")
    has(finding(report, "quiver-unsigned")["cure"], "scripts/mac")
    equal(said(report, "extension-abi"), ["ok"], "the version, as macOS lists it")
    report = sim("--sim-arg", "--fail", "--sim-arg", "IOService::Create:1", devices=(CARD, CARD))
    one = finding(report, "extension-refused")
    has(one["text"], "(-")
    equal([device["id"] for device in report["devices"] if device["error"]], [one["device"]], "device of the error")


@test
def what_nobody_said_is_not_said():
    """the version of the wire is not told when neither macOS nor the extension has told it"""
    report = sim({"extension_version": "0.1.0"}, devices=())
    equal(said(report, "extension-abi"), [], "finding")
    equal(said(sim({"extension_version": "0.1.0"}), "extension-abi"), ["ok"], "with a device to ask")


@test
def a_registry_that_cannot_be_read_is_not_an_empty_one():
    """when the registry cannot be read, it is not claimed that nothing is plugged in"""
    report = sim({"restless": 1000000})
    equal(worst(report, "enclosure-missing"), "warning", "severity")
    has(finding(report, "enclosure-missing")["text"], "not known")
    equal(said(report, "device-missing"), [], "device-missing")


@test
def an_unserved_device_has_no_id():
    """a finding's device is an id that quiver list shows, or null, and pci is the function's own id"""
    report = sim(devices=(CARD, CARD + ",driver=TinyGPUDriver"))
    other, ours = finding(report, "driver-other"), report["devices"][0]
    equal((other["device"], other["pci"]), (None, report["devices"][1]["pci"]), "of the other driver's")
    served = [f for f in report["findings"] if f["device"] == ours["id"]]
    true(served and all(f["pci"] == ours["pci"] for f in served), "ids of ours")
    equal([f["pci"] for f in report["findings"] if f["id"] == "macos-version"], [None], "of no device")


@test
def no_home_folder_is_told():
    """what it prints, to be shown to others, has no path of the user's home folder in it"""
    home = os.path.join(FOLDER, "home", "jane")
    os.makedirs(os.path.join(home, "bin"), exist_ok=True)
    program = os.path.join(home, "bin", "qemu")
    shutil.copy(GOOD, program)
    more = {"program": program, "HOME": home, "XDG_DATA_HOME": os.path.join(home, "data")}
    report = sim({"app": home + "/Quiver.app", "extension": "none"}, **more)
    equal("jane" in everything(report), False, everything(report))
    has(words(report, "qemu-missing"), "QEMU is ~/bin/qemu")
    has(words(report, "disk-low"), "~/data")
    has(finding(report, "app-place")["text"], "~/Quiver.app")
    text = run("--sim", "--qemu", program, HOME=home, XDG_DATA_HOME=home + "/data").stdout
    has(text, "~/bin/qemu")
    equal("jane" in text, False, text)


@test
def odd_text_hides_no_finding():
    """a path that is no UTF-8 is shown with marks in it, and its finding is there"""
    program = os.path.join(os.fsencode(FOLDER), b"qemu-\xff")
    shutil.copy(os.fsencode(GOOD), program)
    report = examine("--sim", "--sim-device", CARD, "--qemu", os.fsdecode(program))
    has(words(report, "qemu-missing"), "/qemu-?")


@test
def elsewhere_it_says_so():
    """without a Mac the one error is that it is none"""
    report = examine("--qemu", GOOD)
    equal(report["status"], 7, "status")
    equal([f["id"] for f in report["findings"] if f["severity"] == "error"], ["not-a-mac"], "errors")
    equal(report["system"], None, "system")


class Mac:
    """A simulated Mac that outlives its clients, and what they leave on it."""

    def __init__(self, *args):
        self.socket = os.path.join(FOLDER, "socket")
        words = [SIMMACD, "--socket", self.socket, "--reset-us", "1000", *args]
        self.daemon = subprocess.Popen(words, stderr=subprocess.DEVNULL)
        while not os.path.exists(self.socket):
            true(self.daemon.poll() is None, "simmacd ends")
            time.sleep(0.005)

    def examine(self, *args):
        return examine("--qemu", GOOD, *args, QUIVER_SIMMAC=self.socket,
                       PATH=TOOLS + ":" + os.environ["PATH"])

    def client(self, device, script_words):
        return subprocess.Popen([FAKE_QEMU, "-device", f"quiver-pci,host={device}"],
                                env=environment(QUIVER_SIMMAC=self.socket, FAKE_QEMU=script_words))

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.daemon.terminate()
        self.daemon.wait(30)


@test
def a_device_of_somebody_is_left_to_them():
    """a device that a QEMU has is said to be in use, is not touched, and is free again afterwards"""
    with Mac("--device", CARD) as mac:
        device = mac.examine()["devices"][0]["id"]
        pid = os.path.join(FOLDER, "pid")
        client = mac.client(device, f"claim pid={pid} wait")
        while not os.path.exists(pid):
            true(client.poll() is None, "the VM ends")
            time.sleep(0.005)
        report = mac.examine()
        equal(worst(report, "device-in-use"), "warning", "in use")
        equal(said(report, "mappings-left"), [], "mappings of a live VM")
        equal(report["status"], 0, "status")
        client.send_signal(signal.SIGTERM)
        equal(client.wait(30), 0, "the VM's end: the device was its own all the time")
        for _ in range(1000):
            report = mac.examine()
            if worst(report, "device-in-use") == "ok":
                break
        equal(worst(report, "mappings-left"), "ok", "mappings when all is over")


@test
def a_quiver_run_of_ones_own_is_named():
    """a device that a quiver run of the same user has is a note with its process"""
    with Mac("--device", CARD) as mac:
        pid = os.path.join(FOLDER, "pid-of-qemu")
        vm = subprocess.Popen([QUIVER, "run", "--no-config", "--qemu", FAKE_QEMU], stdin=subprocess.DEVNULL,
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                              env=environment(QUIVER_SIMMAC=mac.socket, FAKE_QEMU=f"claim pid={pid} wait"))
        while not os.path.exists(pid):
            true(vm.poll() is None, "quiver run ends")
            time.sleep(0.005)
        report = mac.examine()
        vm.send_signal(signal.SIGTERM)
        vm.wait(30)
        equal(worst(report, "device-in-use"), "note", "in use")
        has(finding(report, "device-in-use")["text"], f"(process {vm.pid})")


@test
def a_device_that_died_is_told_of():
    """a card that did not come back from its reset is gone, for that cause, and has nothing mapped"""
    with Mac("--device", CARD + ",flr=dead") as mac:
        device = mac.examine()["devices"][0]["id"]
        mac.client(device, "claim exit=0").wait(30)
        for _ in range(1000):
            report = mac.examine()
            if said(report, "device-gone"):
                break
        equal(worst(report, "device-gone"), "error", "gone")
        equal(worst(report, "mappings-left"), "ok", "mappings")
        equal(report["status"], 7, "status")
        has(finding(report, "device-gone")["device"], "0x")
        has(finding(report, "device-gone")["text"], "does not answer")
        device = report["devices"][0]
        equal((device["state"], device["cause"], device["mappings"]), (4, 3, 0), "what the extension says")


@test
def a_card_that_macos_itself_would_end_is_to_be_unplugged_first():
    """the owner of a card that an FLR ends is told to unplug it before an update of the extension, and no other is"""
    cure = finding(sim(devices=("gpu,card=rtx5090",)), "reset-method")["cure"]
    has(cure or "", "Unplug it before the extension is updated or removed")
    equal([f["cure"] for f in sim()["findings"] if f["id"] == "reset-method"], [None], "of another card")
    with open(os.path.join(TOP, "docs", "mac.rst"), encoding="utf-8") as file:
        has(" ".join(file.read().split()), "before you update or remove the extension")


@test
def people_get_a_line_each_and_the_cure():
    """without --json each finding is a line, errors have their cure below, and the last line counts"""
    result = run("--sim", "--sim-device", CARD + ",bars=unassigned", "--qemu", GOOD)
    equal(result.returncode, 7, "status")
    lines = result.stdout.splitlines()
    at = next(i for i, line in enumerate(lines) if line.startswith("error"))
    equal(lines[at].split()[:2], ["error", "bars-unassigned"], "line")
    has(lines[at + 1], "-> Restart the Mac")
    equal(lines[-1], "1 error, 0 warnings", "count")
    equal(result.stderr, "", "standard error")


@test
def words_that_make_no_sense_are_refused():
    """options that are none, and sizes that are none, are a mistake in usage"""
    for args in (["--nonsense"], ["more"], ["--memory", "lots"], ["--memory", "0"], ["--memory", "-1"],
                 ["--memory"], ["--sim-device", "gpu"]):
        result = run(*args)
        equal(result.returncode, 2, f"exit status of {args}")
        has(result.stderr, "quiver: ")
    equal(run("--help").returncode, 0, "--help")


if __name__ == "__main__":
    status = 1
    try:
        status = run_tests()
    finally:
        shutil.rmtree(FOLDER)
    sys.exit(status)
