# SPDX-License-Identifier: BSD-3-Clause
"""What a run does, all of it drawn from its seed and its size: the same of both, the same rounds."""

import dataclasses
import random

# Of a guest. "boot": it is killed before it has come so far as to have a load.
GUEST_LOADS = ("boot", "maps", "unmaps", "resets", "interrupts", "disk", "all")
# Of matrix-client
CLIENT_LOADS = ("claims", "maps", "unmaps", "resets", "interrupts", "mastering", "all")
ACTIONS = ("reboot", "kexec", "remove", "unload", "unplug")
DEVICES = ("nvme", "endpoint")
REBOOTS = ("orderly", "reset", "panic")

BOOT_SECONDS = 10  # a boot takes about as long, where a guest is interpreted by a busy machine
LOAD_SECONDS = 2.5
CLIENT_SECONDS = 0.06  # a reset is a tenth of a second


@dataclasses.dataclass
class Action:
    """What happens to a guest, so many seconds after it began its load; it lives on."""

    kind: str
    load: str
    device: str
    how: str
    delay: float

    def __str__(self):
        what = {"reboot": self.how, "remove": self.device, "unplug": self.device}.get(self.kind, "")
        return f"{self.kind} {what}".strip() + f" under {self.load}"


@dataclasses.dataclass
class Guest:
    """A virtual machine: actions, then it is killed, so many seconds after it began its load."""

    number: int
    load: str
    victim: str  # that gets SIGKILL: "qemu", or "quiver"
    delay: float
    actions: list

    @property
    def name(self):
        return f"guest-{self.number}"

    @property
    def strict(self):
        """Whether its module leaves no window mapped that nobody uses: then the host sees each unmapping."""
        return "unmaps" in (self.load, *(action.load for action in self.actions))

    @property
    def aperture(self):
        """Whether all its devices see an aperture: every second guest, of each load."""
        return self.number % 2 == 1

    def __str__(self):
        first = "".join(f"{action}; " for action in self.actions)
        return f"{first}{self.victim} killed under {self.load}{', with an aperture' if self.aperture else ''}"


@dataclasses.dataclass
class Client:
    """A process that has an endpoint by libquiver, and is killed so many seconds after it is ready."""

    number: int
    load: str
    seed: int
    delay: float

    @property
    def name(self):
        return f"client-{self.number}"

    def __str__(self):
        return f"client killed under {self.load}"


def deal(draw, kinds, count):
    """So many in random order, each kind as often as the others, or once less."""
    kinds = draw.sample(kinds, len(kinds))
    hand = [kinds[i % len(kinds)] for i in range(count)]
    draw.shuffle(hand)
    return hand


def action(draw, kind, loads):
    return Action(kind, draw.choice(loads), draw.choice(DEVICES), draw.choice(REBOOTS),
                  draw.uniform(0, LOAD_SECONDS))


def guests(seed, count, actions, loads=GUEST_LOADS, kinds=ACTIONS):
    """Guests that are killed, so many of each load, with so many actions of each kind among them."""
    draw = random.Random(f"{seed}/guests/{count}/{actions}/{loads}/{kinds}")
    plan = []
    for number, load in enumerate(deal(draw, loads, count)):
        most = BOOT_SECONDS if load == "boot" else LOAD_SECONDS
        plan.append(Guest(number, load, draw.choice(("qemu", "qemu", "qemu", "quiver")),
                          draw.uniform(0, most), []))
    # One that is killed while it boots has no time for anything else.
    able = [guest for guest in plan if guest.load != "boot"] or plan[-1:]
    working = [load for load in loads if load != "boot"] or ["disk"]
    for turn, kind in enumerate(deal(draw, kinds, len(kinds) * actions)):
        if able:
            able[turn % len(able)].actions.append(action(draw, kind, working))
    return plan


def clients(seed, count, loads=CLIENT_LOADS):
    draw = random.Random(f"{seed}/clients/{count}/{loads}")
    return [Client(number, load, draw.getrandbits(32), draw.uniform(0, CLIENT_SECONDS))
            for number, load in enumerate(deal(draw, loads, count))]
