#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Whether an installed seawall's man pages say what its headers and its --help say.

Usage: check_docs.py PREFIX
Prints what differs; exit status 1 if something does. Needs mandoc.
"""
import glob
import os
import re
import subprocess
import sys

PREFIX = sys.argv[1]


def output(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def rendered(page):
    text = output("mandoc", "-Tutf8", "-O", "width=1000", page)
    return re.sub(".\b", "", text)  # bold and underlined, as typewriters did


def words(text):
    found = re.findall(r"[a-z0-9_=./$|<>*{}()+-]+", text.lower().replace("`", " "))
    return {word.strip("().") for word in found}


def check_help(program):
    """Each word of a --help is in its page; each command has a page."""
    pages = sorted(glob.glob(PREFIX + "/share/man/man1/*.1"))
    commands = re.findall(r"^  (\w+) ", output(program, "--help").split("\n\n")[2], re.MULTILINE)
    expected = sorted(["seawall"] + ["seawall-" + command for command in commands])
    found = [os.path.basename(page)[:-2] for page in pages]
    problems = [] if sorted(found) == sorted(expected) else [f"pages {found}, expected {expected}"]
    for page, name in zip(pages, found):
        arguments = name.split("-")[1:]
        missing = words(output(program, *arguments, "--help")) - words(rendered(page))
        # "seawall append: writes" and headings that are there in other words.
        missing -= {"usage", "examples", "try", "it", ""} | words(name.replace("-", " "))
        if missing:
            problems.append(f"{name}(1) has not these words of --help: {sorted(missing)}")
    return problems


def declarations(text):
    return set(re.sub(r"\s+", " ", match).replace("( ", "(") for match in
               re.findall(r"^(?!typedef)\w[\w *]*?\bseawall_\w+\([^;{]*\)(?=;)", text, re.MULTILINE))


def manual_declarations(page):
    """What .Ft and .Fn lines say, as C."""
    text, kind = set(), ""
    with open(page, encoding="utf-8") as lines:
        for line in lines:
            if line.startswith(".Ft "):
                kind = line[4:].strip()
            elif line.startswith(".Fn "):
                name, *arguments = re.findall(r'"([^"]*)"|(\S+)', line[4:])
                text.add(f"{kind} {name[1]}({', '.join(a or b for a, b in arguments)})")
    return text


def normal(declaration):
    return re.sub(r"\s*\*+\s*", lambda stars: stars[0].strip() + " ", declaration)


def check_header():
    with open(PREFIX + "/include/seawall/c.h", encoding="utf-8") as header:
        declared = {normal(d) for d in declarations(header.read())}
    manual = {normal(d) for d in manual_declarations(PREFIX + "/share/man/man3/seawall.3")}
    if len(declared) < 30:
        return [f"only {len(declared)} functions found in c.h"]
    return ([f"not in seawall(3): {d}" for d in sorted(declared - manual)] +
            [f"not in c.h: {d}" for d in sorted(manual - declared)])


problems = check_help(PREFIX + "/bin/seawall") + check_header()
print("\n".join(problems))
sys.exit(1 if problems else 0)
