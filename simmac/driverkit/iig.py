#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Turns an .iig file into the header and the source that Apple's iig makes of it.

usage: iig.py NAME.iig NAME.h NAME.iig.cpp

Of the grammar: one or more classes with methods, each with a semicolon and maybe
LOCALONLY, TYPE(...) or override after its arguments. What is not a class passes
through, with includes of .iig files turned into includes of their headers.
"""
import re
import sys

# Declared LOCALONLY in DriverKit's own .iig files: plain virtual methods.
LOCAL_OVERRIDES = {"init", "free", "ExternalMethod"}

METHOD = re.compile(
    r"(?P<result>(?:virtual\s+)?[\w:]+[\s*]+?)(?P<name>\w+)\s*\((?P<args>[^()]*)\)"
    r"\s*(?P<tail>(?:override|LOCALONLY|LOCAL|final|TYPE\s*\([^)]*\)|\s)*);")
CLASS = re.compile(r"class\s+(?:KERNEL\s+)?(\w+)\s*:\s*public\s+(\w+)\s*\{(.*?)\n\};", re.S)


class IigError(Exception):
    pass


def strip_comments(text):
    return re.sub(r"/\*.*?\*/|//[^\n]*", "", text, flags=re.S)


def argument_names(args):
    names = []
    for arg in filter(None, (a.strip() for a in args.split(","))):
        match = re.search(r"(\w+)\s*(?:\[[^\]]*\])?$", arg)
        if not match or match.group(1) == arg:
            raise IigError(f"argument without a name: {arg}")
        names.append(match.group(1))
    return names


class Method:
    def __init__(self, match):
        self.result = " ".join(match["result"].split())
        self.name = match["name"]
        self.args = " ".join(match["args"].split())
        tail = match["tail"]
        self.override = "override" in tail
        self.local = "LOCALONLY" in tail or self.name in LOCAL_OVERRIDES
        typed = re.search(r"TYPE\s*\(\s*([\w:]+)\s*\)", tail)
        self.type = typed.group(1) if typed else None
        if self.args == "void":
            self.args = ""

    def plain_result(self):
        return re.sub(r"^virtual\s+", "", self.result)

    def declarations(self):
        if self.local:
            yield f"{self.result} {self.name}({self.args}){' override' if self.override else ''};"
            return
        virtual = "override" if self.override else ""
        head = "" if self.override else "virtual "
        if self.type:
            yield f"{head}{self.plain_result()} {self.name}_Impl({self.args}) {virtual};"
            yield (f"kern_return_t CreateAction{self.name}(size_t referenceSize, "
                   "OSAction ** action);")
            return
        yield f"{head}{self.plain_result()} {self.name}_Impl({self.args}) {virtual};"
        names = ", ".join(argument_names(self.args))
        comma = ", " if self.args else ""
        yield (f"{self.plain_result()} {self.name}({self.args}{comma}"
               f"OSDispatchMethod supermethod = NULL) "
               f"{{ return supermethod ? super::{self.name}_Impl({names}) : "
               f"super::{self.name}({names}); }}")


def parse_methods(name, body):
    body = strip_comments(body)
    methods = []
    rest = re.sub(r"\b(public|protected|private)\s*:", "", body)
    for match in METHOD.finditer(rest):
        methods.append(Method(match))
    rest = METHOD.sub("", rest)
    if rest.strip():
        raise IigError(f"{name}: not understood: {rest.strip()!r}")
    return methods


def class_header(name, base, methods):
    lines = [f"struct {name}_IVars;", f"struct {name}_LocalIVars;", ""]
    lines += [f"#define {name}_{m.name}_Args {m.args}" for m in methods if not m.local]
    lines += ["", f"class {name} : public {base}", "{", "public:",
              f"\tusing super = {base};",
              f"\tunion {{ {name}_IVars * ivars = NULL; {name}_LocalIVars * lvars; }};"]
    for method in methods:
        lines += ["\t" + line for line in method.declarations()]
    lines.append("};")
    return "\n".join(lines)


def class_source(name, methods):
    lines = [f"static OSObject *new_{name}() {{ return new {name}; }}",
             f"static OSMetaClass meta_{name}(\"{name}\", new_{name});"]
    for m in methods:
        if not m.type:
            continue
        names = argument_names(m.args)
        lines += [
            f"static void call_{name}_{m.name}(OSObject *target, OSAction *action, "
            "uint64_t count, uint64_t time)",
            "{",
            f"\tstatic_cast<{name} *>(target)->{m.name}_Impl(action, count, time);",
            "}",
            f"kern_return_t {name}::CreateAction{m.name}(size_t referenceSize, "
            "OSAction **action)",
            "{",
            f"\treturn OSAction::Create(this, call_{name}_{m.name}, referenceSize, action);",
            "}"]
        if m.type != "IOInterruptDispatchSource::InterruptOccurred" or len(names) != 3:
            raise IigError(f"{name}::{m.name}: no such type of action: {m.type}")
    return "\n".join(lines)


def translate(text):
    sources = []

    def one(match):
        name, base, body = match.groups()
        methods = parse_methods(name, body)
        sources.append(class_source(name, methods))
        return class_header(name, base, methods)

    header = CLASS.sub(one, text)
    if not sources:
        raise IigError("no class")
    header = re.sub(r"(#include\s*[<\"][^>\"]*)\.iig([>\"])", r"\1.h\2", header)
    header = re.sub(r"#include\s*<Availability\.h>\n", "", header)
    return header, "\n\n".join(sources)


def main():
    iig, header_path, source_path = sys.argv[1:]
    try:
        with open(iig, encoding="utf-8") as file:
            header, source = translate(file.read())
    except IigError as error:
        sys.exit(f"{iig}: {error}")
    with open(header_path, "w", encoding="utf-8") as file:
        file.write(header)
    with open(source_path, "w", encoding="utf-8") as file:
        name = header_path.rsplit("/", 1)[-1]
        file.write("// SPDX-License-Identifier: BSD-3-Clause\n"
                   "#include <DriverKit/DriverKit.h>\n"
                   f"#include \"{name}\"\n\n{source}\n")


main()
