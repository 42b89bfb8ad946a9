# SPDX-License-Identifier: BSD-3-Clause
"""quiver-pci: what is put right in config space, and what is kept from the guest."""

from driver import FLAGS, PRESENT, Driver
from test_registers import bench

PM, MSI, VENDOR, EXPRESS = 0x01, 0x05, 0x09, 0x10
HIDDEN = 0x64  # where an R9700 has its PCI Express capability
DEVCAP, DEVSTA, LNKCAP, LNKSTA, LNKCAP2, LNKCTL2, LNKSTA2 = 4, 10, 12, 18, 44, 48, 50
DSN, VSEC, REBAR, VF_REBAR = 0x03, 0x0B, 0x15, 0x24


def r9700(*runs, **options):
    """The card as it is, but for some bytes of its config space."""
    more = [f"{key}={value}" for key, value in options.items()]
    if runs:
        more.append("config=" + "+".join(runs))
    return {"devices": [",".join(["gpu,card=r9700", *more])],
            "hosts": [f"host=1002:{options.get('device', '0x7551')[2:]}"]}


def express(device):
    found = [at for at, kind in device.capabilities().items() if kind == EXPRESS]
    assert len(found) == 1, device.capabilities()
    return found[0]


def is_invented(device):
    at = express(device)
    return at != HIDDEN and device.read(at + LNKCAP2) == 0


# Registers of the card that are like no emulation's: x8 and 16 GT/s, in capability and status.
@bench(**r9700("70:843c7700", "76:8410", "90:1e000000", "94:0400", "96:2100"))
def a_capability_that_the_card_hides_is_shown(b):
    device = b.devices[0]
    assert device.capabilities()[HIDDEN] == EXPRESS
    assert express(device) == HIDDEN
    assert device.read(HIDDEN + 2, 2) & 0xFF == 0x02
    assert device.read(HIDDEN + LNKCAP) == 0x00773C84
    assert device.read(HIDDEN + LNKSTA, 2) == 0x1084
    assert device.read(HIDDEN + LNKCAP2) == 0x1E
    assert device.read(HIDDEN + LNKCTL2, 2) == 4
    assert device.read(HIDDEN + LNKSTA2, 2) == 0x21


@bench(**r9700())
def the_list_is_whole_with_it(b):
    device = b.devices[0]
    assert sorted(device.capabilities().values()) == [PM, MSI, VENDOR, EXPRESS]
    # What the guest writes there stays in its own copy, and the card stays on the bus [H9].
    control = device.read(HIDDEN + 8, 2)
    device.write(HIDDEN + 8, control ^ 0x70E0, 2)
    assert device.read(HIDDEN + 8, 2) == control ^ 0x70E0
    device.write(HIDDEN + DEVSTA, 0xF, 2)
    assert device.read(HIDDEN + LNKSTA, 2) not in (0, 0xFFFF)


@bench(**r9700(device="0x7550"))
def another_card_with_the_same_bytes_gets_an_invented_one(b):
    assert b.devices[0].read(0) == 0x75501002
    assert is_invented(b.devices[0])


@bench(**r9700(vendor="0x1003"), )
def another_vendors_card_too(b):
    assert is_invented(b.devices[0])


another_vendors_card_too.bench["hosts"] = ["host=1003:7551"]


@bench(**r9700("64:11"))
def what_does_not_look_like_it_is_not_shown(b):
    assert is_invented(b.devices[0])


@bench(**r9700("66:00"))
def nor_is_version_0_of_it(b):
    assert is_invented(b.devices[0])


@bench(**r9700("66:03"))
def nor_is_a_version_that_there_is_not(b):
    assert is_invented(b.devices[0])


@bench(**r9700("66:42"))
def nor_is_that_of_a_port(b):
    assert is_invented(b.devices[0])


# The link of the last one, MSI at 0xa0, leads there.
@bench(**r9700("a1:64", "65:00"))
def one_that_is_listed_after_all_is_shown_once(b):
    assert express(b.devices[0]) == HIDDEN
    assert sorted(b.devices[0].capabilities().values()) == [PM, MSI, VENDOR, EXPRESS]


@bench(**r9700("a1:b4", "b4:10000200"))
def one_that_is_listed_elsewhere_goes_before(b):
    assert express(b.devices[0]) == 0xB4


# A vendor's capability of 32 bytes, in the list.
@bench(**r9700("a1:60", "60:090020"))
def one_that_shares_its_place_with_another_is_not_shown(b):
    device = b.devices[0]
    assert device.capabilities()[0x60] == VENDOR
    assert is_invented(device)


# Advanced features, listed, and of no interest to the guest.
@bench(**r9700("a1:70", "70:1300"))
def nor_one_that_shares_it_with_what_the_guest_does_not_see(b):
    assert 0x70 not in b.devices[0].capabilities()
    assert is_invented(b.devices[0])


@bench(**r9700("06:00"))
def a_card_without_any_list_shows_it(b):
    assert b.devices[0].capabilities() == {HIDDEN: EXPRESS}


# A mend is tried out: the list leads to what is hidden, before there is a row for it.
@bench(**r9700(device="0x7550"))
def bytes_can_be_given_instead_of_the_devices(b):
    assert express(b.devices[0]) == HIDDEN
    assert b.devices[0].read(HIDDEN + LNKSTA, 2) not in (0, 0xFFFF)


bytes_can_be_given_instead_of_the_devices.bench["hosts"] = ["host=1002:7550,x-mend=a1:64"]


@bench(devices=["endpoint,config=f00:0011223344556677"], hosts=["host=1912:0028,x-mend=f02:abcdef"])
def they_are_given_to_reads_of_any_width(b):
    device = b.devices[0]
    assert device.read(0xF00) == 0xCDAB1100
    assert device.read(0xF04) == 0x776655EF
    assert [device.read(0xF00 + i, 1) for i in range(8)] == [
        0x00, 0x11, 0xAB, 0xCD, 0xEF, 0x55, 0x66, 0x77]
    assert device.read(0xF02, 2) == 0xCDAB and device.read(0xF04, 2) == 0x55EF


@bench(hosts=[""])
def bytes_that_make_no_sense_are_refused(b):
    for text in ("", "f0", "f0:", "f0:1", "f0:1g", ":00", "-1:00", "1000:00", "ffe:000000", "f0:00,",
                 "f0:" + 17 * "00", "100000000:00"):
        said = b.qemu.refusal(host="1912:0028", **{"x-mend": text})
        assert "is not OFFSET:BYTES" in said, (text, said)
    assert Driver(b).record(0, FLAGS) == 0


def extended(*capabilities):
    """An option for simmac: capabilities of 32 bytes, each (offset, id, rest of it)."""
    runs = []
    for index, (at, kind, rest) in enumerate(capabilities):
        following = capabilities[index + 1][0] if index + 1 < len(capabilities) else 0
        head = following << 20 | 1 << 16 | kind
        runs.append(f"{at:x}:" + head.to_bytes(4, "little").hex() + rest)
    return "config=" + "+".join(runs)


SIZES_1G = "f0ff0f0020000000"  # capability and control of BAR 0
SERIAL = "0102030405060708"
VENDORS = "0100000111223344"  # 16 bytes, the last 4 of them zero


@bench(devices=["endpoint," + extended((0x100, REBAR, SIZES_1G), (0x140, DSN, SERIAL),
                                       (0x180, VF_REBAR, SIZES_1G), (0x1C0, VSEC, VENDORS))])
def nothing_that_resizes_a_BAR_is_shown(b):
    device = b.devices[0]
    assert device.extended() == {0x140: DSN, 0x1C0: VSEC}
    assert device.read(0x144) == 0x04030201
    assert device.read(0x1C8) == 0x44332211


@bench(devices=["endpoint," + extended((0x100, DSN, SERIAL), (0x140, REBAR, SIZES_1G))])
def nor_if_it_comes_last(b):
    device = b.devices[0]
    assert device.extended() == {0x100: DSN}
    before = device.read(0x148)
    device.write(0x148, 0x00000F20)
    assert device.read(0x148) == before
    assert device.read(0) == 0x00281912


FIRST_BAR = ("--fail", "IOPCIDevice::GetBARInfo:1")


@bench(devices=["gpu,card=r9700"], hosts=[""], options=FIRST_BAR)
def a_display_whose_first_BAR_has_no_address_is_refused(b):
    said = b.qemu.refusal(host="1002:7551")
    assert "BAR 0 of 1002:7551" in said, said
    assert "restart the Mac with the enclosure attached" in said, said
    assert Driver(b).record(0, FLAGS) == 0


@bench(devices=["gpu,card=h100"], hosts=[""], options=("--fail", "IOPCIDevice::GetBARInfo:2"))
def nor_one_of_NVIDIAs_without_its_second(b):
    said = b.qemu.refusal(host="10de:2330")
    assert "BAR 1 of 10de:2330" in said, said
    assert Driver(b).record(0, FLAGS) == 0


@bench(devices=["gpu,card=r9700"], hosts=["host=1002:7551"],
       options=("--fail", "IOPCIDevice::GetBARInfo:3"))
def another_BAR_may_be_missing(b):
    assert Driver(b).record(0, FLAGS) == PRESENT
    assert b.devices[0].size(2) == 0


@bench(devices=["gpu,card=r9700,class=0x1200"], hosts=["host=1002:7551"], options=FIRST_BAR)
def what_is_no_display_may_do_without_it(b):
    assert Driver(b).record(0, FLAGS) == PRESENT
    assert b.devices[0].size(0) == 0
