#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The config file of quiver run, and that the man pages know all options. Prints TAP."""

import os
import re
import shlex
import sys

from world import TOP, equal, expect, run_tests, status, test


def write(world, text, path=".config/quiver/config"):
    path = os.path.join(world.folder, path)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(text.encode("utf-8", "surrogateescape"))
    return path


def dry_run(world, *args, env=None):
    return world.run("run", "--sim", "--sim-device", "endpoint", "--sim-device", "nvme,size=64M",
                     "--dry-run", *args, env=env)


def words(world, *args, env=None):
    result = dry_run(world, *args, env=env)
    status(result, 0)
    # Which port of the Mac is free is not for us to say.
    return shlex.split(re.sub(r"127\.0\.0\.1:22\d\d-:22\b", "127.0.0.1:PORT-:22", result.out))


def value(found, option):
    return found[found.index(option) + 1]


@test
def the_files_lines_are_as_good_as_options(world):
    write(world, "memory = 3G\ncpus=3\n  serial =  stdio \ndevice = 1234:1e0e\ndevice = 1912:0028,thunderbolt=5\n"
                 "kernel = /k\nappend = a # b = c\ntrap = on\ntso = on\nssh-port = none\nqemu-arg = -name\n"
                 "qemu-arg = x y\ndisk = /d,ro\nqemu = some-qemu\n")
    equal(words(world), words(world, "--no-config", "--memory", "3G", "--cpus", "3", "--device", "1234:1e0e",
                              "--device", "1912:0028,thunderbolt=5", "--kernel", "/k", "--append", "a # b = c",
                              "--trap", "--tso", "--ssh-port", "none", "--qemu-arg=-name", "--qemu-arg", "x y",
                              "--disk", "/d,ro", "--qemu", "some-qemu"), "the command")


@test
def the_command_line_goes_before_the_file(world):
    write(world, "memory = 3G\ntrap = on\nnet = none\nqemu-arg = -a\nqemu-arg = -b\nconsole = on\n")
    found = words(world)
    equal((value(found, "-m"), "x-trap=on" in found[-4], found[-2:]), ("3G", False, ["-a", "-b"]), "the file's")
    expect(any("x-trap=on" in word for word in found) and "mon:stdio" in found, found)
    found = words(world, "--memory", "4G", "--trap=off", "--qemu-arg=-c", "--console=off")
    equal((value(found, "-m"), found[-1], "-a" in found), ("4G", "-c", False), "the command line's")
    expect(not any("x-trap=on" in word for word in found) and "mon:stdio" not in found, found)


def has(found, option, wanted):
    return option in found and value(found, option) == wanted


@test
def what_the_command_line_excludes_in_the_file_is_dropped(world):
    for text, args, wanted in (
            ("serial = /log", ["--console"], ("-serial", "mon:stdio")),
            ("serial = /log", ["--console=off"], ("-serial", "file:/log")),
            ("console = on", ["--serial", "/log"], ("-serial", "file:/log")),
            ("kernel = /k\ninitrd = /i\nappend = a", ["--firmware", "/f"], ("-bios", "/f")),
            ("image = no-such", ["--firmware", "/f"], ("-bios", "/f")),
            ("firmware = /f", ["--kernel", "/k"], ("-kernel", "/k")),
            ("forward = 20001:80\nssh-port = 20002", ["--net", "none"], None),
            ("net = none", ["--ssh-port=none", "--forward", "20001:80"],
             ("-netdev", "user,id=net0,hostfwd=tcp:127.0.0.1:20001-:80"))):
        write(world, text + "\n")
        found = words(world, *args)
        expect(has(found, *wanted) if wanted else "-netdev" not in found, f"{text!r} {args}: {found}")
        for absent in {"-bios": ("-kernel", "-initrd", "-append"), "-kernel": ("-bios",)}.get(wanted and wanted[0], ()):
            expect(absent not in found, f"{text!r} {args}: {absent} in {found}")
    write(world, "console = on\n")
    result = dry_run(world, "--json")
    status(result, 0)
    expect("mon:stdio" not in result.out, result.out)
    # What only the file says, or only the command line, is still a mistake.
    for text, args in (("serial = /log\nconsole = on", []), ("", ["--serial", "/log", "--console"]),
                       ("net = none\nforward = 1:2", []), ("initrd = /i", ["--firmware", "/f", "--initrd", "/i"])):
        write(world, text + "\n")
        status(dry_run(world, *args), 2)


@test
def the_file_is_where_the_desktop_says(world):
    write(world, "memory = 1G\n")
    write(world, "memory = 2G\n", "xdg/quiver/config")
    other = write(world, "memory = 3G\n", "other")
    xdg = {"XDG_CONFIG_HOME": os.path.join(world.folder, "xdg")}
    equal(value(words(world), "-m"), "1G", "in the home")
    equal(value(words(world, env=xdg), "-m"), "2G", "by XDG_CONFIG_HOME")
    equal(value(words(world, env={"XDG_CONFIG_HOME": "xdg"}), "-m"), "1G", "a relative one does not count")
    equal(value(words(world, "--config", other, env=xdg), "-m"), "3G", "by --config")
    plain = words(world, env={"XDG_CONFIG_HOME": "/nowhere"})
    equal(words(world, "--no-config"), plain, "by --no-config")
    for path in ("/nowhere/config", world.folder):
        result = dry_run(world, "--config", path)
        status(result, 5)
        expect(path in result.err and not result.out, result.err)
    status(dry_run(world, "--config", other, "--no-config"), 2)


@test
def blanks_and_comments_are_nothing(world):
    path = write(world, "\n  \t\n# a\n   # memory = 9G\r\nmemory = 2G\r\n\tcpus\t=\t3\t\nappend =\nkernel=/k")
    found = words(world)
    equal((value(found, "-m"), value(found, "-smp"), value(found, "-append"), value(found, "-kernel")),
          ("2G", "3", "", "/k"), f"what {path} says")


@test
def a_mistake_is_told_with_file_and_line(world):
    for text, line, part in (("memry = 1G", 1, "memry"), ("\n\nmemory", 3, "NAME = VALUE"), ("= 1G", 1, "NAME"),
                             ("memory = much", 1, "'much'"), ("# x\ncpus = 0", 2, "'0'"),
                             ("memory = 1G\ncpus = 1\nmemory = 1G", 3, "line 1"),
                             ("console = on\nconsole = off", 2, "line 1"), ("trap = yes", 1, "on or off"),
                             ("device = x,y", 1, "x,y"), ("tso =", 1, "auto"), ("forward = 1", 1, "'1'"),
                             ("grace = -1", 1, "-1"), ("kernel =", 1, "file"), ("disk =", 1, "file"), ("ssh-port = 70000", 1, "70000"),
                             ("dry-run = on", 1, "command line"), ("config = x", 1, "command line"),
                             ("image = ../x", 1, "../x"), ("mem\0ory = 1G", 1, "NAME"),
                             ("sim = on", 1, "sim"), ("[run]", 1, "NAME"), ("--memory = 1G", 1, "--memory"),
                             ("memory = 1\0G", 1, "NAME"), ("\udcff = 1", 1, "no option")):
        path = write(world, text + "\n")
        # Said on the command line or not, a file is right or wrong.
        for args in ([], ["--memory", "1G", "--cpus", "1", "--tso=off"]):
            result = dry_run(world, *args)
            status(result, 2)
            expect(f"{path}:{line}: " in result.err and part in result.err and not result.out,
                   f"{text!r}: {result.err}")


@test
def files_are_looked_for_from_the_config_file_on(world):
    folder = os.path.join(world.folder, ".config", "quiver")
    write(world, "kernel = k\ninitrd = ~/i\ndisk = d,1,ro\nshare = ../s\nqemu = ./q\nserial = log\n")
    found = words(world)
    equal((value(found, "-kernel"), value(found, "-initrd"), value(found, "-serial"), found[0]),
          (f"{folder}/k", f"{world.folder}/i", f"file:{folder}/log", f"{folder}/./q"), "files")
    expect(f"file={folder}/d,,1,format" in value(found, "-drive"), found)
    expect(f"path={folder}/../s," in value(found, "-fsdev"), found)
    write(world, "serial = stdio\nqemu = q\n")
    found = words(world)
    equal((value(found, "-serial"), found[0]), ("stdio", "q"), "words")


@test
def mistakes_of_the_command_line_are_told_as_its_own(world):
    for args in (["--memory", "x"], ["--net", "tap"], ["--ssh-port", "0"], ["--forward", "a:1"], ["--display", "big"],
                 ["--grace", "x"], ["--trap=maybe"], ["--tso=perhaps"], ["--image", ".x"], ["--cpus", "1x"],
                 ["--aperture", "100M"], ["--aperture", "0"], ["--aperture", "1G1"], ["--aperture", "2048G"],
                 ["--firmware", "f", "--kernel", "k"], ["--net", "none", "--ssh-port", "22"],
                 ["--net", "none", "--forward", "1:2"], ["--initrd", "i", "--image", "x"],
                 ["--forward", "20001:1", "--forward", "20001:2"], ["--ssh-port", "20001", "--forward", "20001:2"]):
        result = dry_run(world, *args)
        status(result, 2)
        expect(result.err.startswith("quiver: run: --") and not result.out, f"{args}: {result.err}")


# --- one table


def named_in_help(world):
    text = world.run("run", "--help").out
    return {name for name in re.findall(r"--([a-z][a-z-]*)", text) if not name.startswith("sim")}


def page(name):
    with open(os.path.join(TOP, "man", name), encoding="utf-8") as file:
        return file.read()


@test
def the_man_page_has_every_option_and_no_other(world):
    text = page("quiver-run.1.scd")
    headings = {name for line in text.splitlines() if line.startswith("*--")
                for name in re.findall(r"\*--([a-z-]+)\*", line)}
    equal(headings, named_in_help(world), "options")


@test
def the_config_page_has_every_name_and_no_other(world):
    names = set()
    for name in named_in_help(world):
        write(world, f"{name} = \n", "trial")
        error = dry_run(world, "--config", os.path.join(world.folder, "trial")).err
        expect("there is no option" not in error, f"{name}: {error}")
        if "for the command line only" not in error:
            names.add(name)
    text = page("quiver-config.5.scd")
    equal({match for match in re.findall(r"^\*([a-z-]+)\* = ", text, re.M)}, names, "names")


VALUES = {"device": "0x1", "image": "x", "kernel": "x", "initrd": "x", "append": "x", "firmware": "x", "disk": "x",
          "share": "x", "memory": "1G", "aperture": "1G", "cpus": "1", "tso": "on", "net": "none", "ssh-port": "none",
          "forward": "1:2", "display": "none", "serial": "x", "console": "on", "grace": "1",
          "trap": "on", "qemu": "x", "qemu-arg": "x"}


@test
def the_config_page_knows_what_may_be_repeated(world):
    text = page("quiver-config.5.scd")
    found = set(re.findall(r"^\*([a-z-]+)\* = .*\n\tMay be repeated", text, re.M))
    once = set()
    for name in re.findall(r"^\*([a-z-]+)\* = ", text, re.M):
        write(world, f"{name} = {VALUES[name]}\n" * 2, "trial")
        error = dry_run(world, "--config", os.path.join(world.folder, "trial")).err
        expect(" wants " not in error, f"{name}: {error}")
        if f"'{name}' was said in line 1" in error:
            once.add(name)
    equal(found, set(VALUES) - once, "names")


if __name__ == "__main__":
    sys.exit(run_tests())
