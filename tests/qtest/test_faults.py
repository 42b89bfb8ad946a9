# SPDX-License-Identifier: BSD-3-Clause
"""A device that cannot be had: what the user reads says which call of whose it was, and why."""

from driver import OK, Driver
from machine import RAM_BASE, wait_for
from test_registers import bench

NAME = "1912:0028"
NO_MEMORY = "Cannot allocate memory"
NO_ANSWER = "it does not answer"
TROUBLE = "Input/output error"

# A call of the platform's, which use of it fails from the plug on, and what is said.
FAULTS = (
    ("IOServiceGetMatchingServices", 1, "cannot list the host's devices", TROUBLE),
    ("IOServiceOpen", 1, "cannot list the host's devices", NO_MEMORY),
    ("IOServiceOpen", 2, f"cannot open host device {NAME}", NO_MEMORY),
    ("IONotificationPortCreate", 1, f"cannot open host device {NAME}", TROUBLE),
    ("IOService::Create", 1, "cannot list the host's devices", NO_MEMORY),
    ("IOService::Create", 2, f"cannot open host device {NAME}", NO_MEMORY),
    ("IOService::Start", 2, f"cannot open host device {NAME}", TROUBLE),
    ("IODispatchQueue::Create", 2, f"cannot open host device {NAME}", NO_MEMORY),
    ("IOBufferMemoryDescriptor::Create", 1, f"cannot open host device {NAME}", NO_MEMORY),
    ("IOBufferMemoryDescriptor::GetAddressRange", 1, f"cannot open host device {NAME}", NO_MEMORY),
    ("IOPCIDevice::ConfigurationRead", 1, f"cannot open host device {NAME}", NO_ANSWER),
    ("IOPCIDevice::_CopyDeviceMemoryWithIndex", 1, f"cannot map BAR 0 of {NAME}", TROUBLE),
    ("IOPCIDevice::_CopyDeviceMemoryWithIndex", 6, f"cannot map BAR 5 of {NAME}", TROUBLE),
    ("IOConnectMapMemory64", 3, f"cannot map BAR 2 of {NAME}", NO_MEMORY),
    ("OSAction::Create", 1, f"cannot watch {NAME}", NO_MEMORY),
    ("IONotificationPortCreate", 2, f"cannot watch {NAME}", NO_MEMORY),
)


def refusal(b, call, nth):
    """What is said with that; what closes behind QEMU's back must not use the call as well."""
    b.mac.control("fail", call, nth)
    said = b.qemu.refusal(host=NAME)
    b.mac.control("fail", call, 0)
    if said:
        wait_for(lambda: not b.mac.device()["clients"], "the end of its connection")
    return said


@bench(hosts=[""])
def each_failure_is_named_with_its_cause(b):
    for call, nth, what, why in FAULTS:
        said = refusal(b, call, nth)
        assert what in said and why in said, (call, nth, said)
    # And after all that the device is as good as ever.
    assert b.qemu.refusal(host=NAME) == ""


@bench(hosts=[""])
def answers_that_do_not_fit_into_memory_are_told_apart(b):
    said = []
    while not said or said[-1]:
        said.append(refusal(b, "OSData::withCapacity", len(said) + 1))
    expected = ["cannot list the host's devices", f"cannot open host device {NAME}",
                *(f"cannot read BAR {bar} of {NAME}" for bar in range(6)),
                "cannot read the limits of the device"]
    for what in expected:
        assert any(what in text and NO_MEMORY in text for text in said), (what, said)


@bench(hosts=["", "host=1912:0028"])
def one_that_another_has_is_refused_for_that(b):
    assert "another process has it" in b.qemu.refusal(host=NAME)
    assert Driver(b).ready(0).map(RAM_BASE)[0] == OK
