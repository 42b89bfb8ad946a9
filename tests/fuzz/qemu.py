# SPDX-License-Identifier: BSD-3-Clause
"""How fuzz_device is built: qemu.py QEMU_BUILD TOP OUT writes OUT/build.ninja.

Quiver's own files are compiled with coverage and sanitizers; all other objects are those of QEMU's
normal build, which is asked how it compiles and links.
"""

import glob
import json
import os
import shlex
import subprocess
import sys

PROGRAM = "qemu-system-aarch64"
SANITIZE = ["-fsanitize=fuzzer,address,undefined", "-fno-sanitize-recover=all"]
# What clang does not know, or what only slows it down.
UNWANTED = ("-W", "-ftrivial-auto-var-init", "-fzero-call-used-regs", "-fdiagnostics", "-O", "-g")


def commands(build):
    """{output: words} of everything that QEMU's build runs"""
    text = subprocess.run(["ninja", "-C", build, "-t", "compdb", "-x"], check=True, capture_output=True,
                          text=True).stdout
    return {entry["output"]: shlex.split(entry["command"]) for entry in json.loads(text)}


def ours(word):
    return "hw_quiver_quiver-" in word or word.endswith("libquiver.a")


def compile_flags(known):
    """As QEMU compiles our devices, but for warnings and libquiver's installed headers"""
    words = next(words for output, words in known.items() if output.endswith("hw_quiver_quiver-pci.c.o"))
    words = words[next(i for i, word in enumerate(words) if word.startswith("-")):]
    flags, skip = [], False
    for word in words:
        if skip:
            skip = False
        elif word in ("-MQ", "-MF", "-o", "-c"):
            skip = True
        elif word != "-MD" and not word.startswith(UNWANTED) and "/stage/" not in word:
            flags.append(word)
    return flags


def link_words(known):
    """(objects of others, the rest) of QEMU's own program, without its main()"""
    words = known[PROGRAM][1:]
    words = [word for word in words if not ours(word) and not word.endswith("system_main.c.o")]
    if "-o" in words:
        del words[words.index("-o"):words.index("-o") + 2]
    return words


def quoted(words):
    return " ".join(shlex.quote(word) for word in words).replace("$", "$$")


class Writer:
    def __init__(self, build, top, out):
        self.build, self.top, self.out, self.lines = build, top, out, []
        self.known = commands(build)

    def rules(self):
        tree = ["-iquote", f"{self.top}/qemu", f"-I{self.top}/include", f"-I{self.top}",
                f"-I{self.top}/tests/fuzz"]
        # Their timers are the fuzzer's, which waits for none.
        flags = ["-O1", "-g", "-Dtimer_mod=fuzz_timer_mod", *SANITIZE, *tree]
        host = [*flags, "-std=gnu11", "-D_GNU_SOURCE", f"-I{self.top}/simmac/iokit/include", "-fPIE"]
        self.lines += [
            "rule qemu",
            f"  command = cd {shlex.quote(self.build)} && ccache clang {quoted(flags)} "
            f"{quoted(compile_flags(self.known))} -w -MD -MF $dep -o $abs -c $in",
            "  depfile = $dep", "  deps = gcc",
            "rule host",
            f"  command = ccache clang {quoted(host)} -Wall -MD -MF $dep -o $abs -c $in",
            "  depfile = $dep", "  deps = gcc",
            "rule archive", "  command = rm -f $out && ar rcs $out $in",
            "rule link",
            f"  command = cd {shlex.quote(self.build)} && clang -fuse-ld=lld {quoted(SANITIZE)} -o $abs "
            "@$abs.rsp", "  rspfile = $out.rsp", "  rspfile_content = $words",
        ]

    def compile(self, rule, source):
        name = os.path.relpath(source, self.top).replace("/", "_") + ".o"
        path = os.path.join(self.out, name)
        self.lines += [f"build {name}: {rule} {source}", f"  dep = {path}.d", f"  abs = {path}"]
        return path, name

    def write(self):
        self.rules()
        devices = [self.compile("qemu", source)
                   for source in [*sorted(glob.glob(f"{self.top}/qemu/hw/quiver/*.c")),
                                  f"{self.top}/tests/fuzz/device_machine.c",
                                  f"{self.top}/tests/fuzz/fuzz_device.c"]]
        library = [self.compile("host", source) for folder in ("host", "core")
                   for source in sorted(glob.glob(f"{self.top}/{folder}/*.c"))]
        self.lines.append("build libquiver.a: archive " + " ".join(name for _, name in library))
        words = [path for path, _ in devices] + link_words(self.known)
        # Among the libraries, where QEMU has it.
        place = next(i for i, word in enumerate(words) if word.endswith("libsimmac-iokit.a"))
        words.insert(place, os.path.join(self.out, "libquiver.a"))
        self.lines += [
            "build fuzz_device: link " + " ".join(name for _, name in devices) +
            f" | libquiver.a {self.build}/{PROGRAM}",
            f"  abs = {self.out}/fuzz_device", f"  words = {quoted(words)}",
            "default fuzz_device",
        ]
        text = "\n".join(self.lines) + "\n"
        path = os.path.join(self.out, "build.ninja")
        if not os.path.exists(path) or open(path, encoding="utf-8").read() != text:
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)


if __name__ == "__main__":
    Writer(*map(os.path.abspath, sys.argv[1:4])).write()
