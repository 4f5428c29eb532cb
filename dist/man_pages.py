#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes man pages of the tool: what `seawall --help` and `seawall COMMAND --help` say, and no more.

Usage: dist/man_pages.py SEAWALL VERSION DATE DIRECTORY

Runs the program SEAWALL for its help, and writes seawall.1 and a seawall-COMMAND.1 for each command
into DIRECTORY. The help texts are their one source, so the two cannot disagree. They keep to this
form, which is an error otherwise: a first line "NAME: what it is"; a paragraph that begins with
"Usage:"; lists, whose lines begin with two spaces, the term, and two spaces or more before what it
means (or are commands to type, behind a line that ends with a colon); and paragraphs.
"""
import itertools
import re
import subprocess
import sys


def help_of(program, *arguments):
    done = subprocess.run([program, *arguments, "--help"], check=True, capture_output=True, text=True)
    return done.stdout


def literal(text):
    """Text as roff takes it, so that it comes out as typed: no hyphens that break, no quotes that
    turn."""
    for plain, escaped in [("\\", "\\e"), ("-", "\\-"), ("'", "\\(aq"), ("`", "\\(ga"),
                           ("^", "\\(ha"), ("~", "\\(ti")]:
        text = text.replace(plain, escaped)
    return "\\&" + text if text.startswith(".") else text


def prose(text):
    """As literal(); what stands in backquotes is bold."""
    parts = re.split(r"`([^`]*)`", text)
    return "".join("\\fB%s\\fP" % literal(part) if i % 2 else literal(part).removeprefix("\\&")
                   for i, part in enumerate(parts))


def line(text):
    return "\\&" + text if text.startswith((".", "'")) else text


ENTRY = re.compile(r"^  (\S+(?: \S+)*)  +(\S.*)$")


def entries(lines):
    """A list of terms and what they mean; None if these lines are no such list."""
    out = []
    for text in lines:
        entry = ENTRY.match(text)
        if entry:
            out += [".TP", "\\fB%s\\fP" % literal(entry[1]), line(prose(entry[2]))]
        elif out and text.startswith("     "):
            out.append(line(prose(text.strip())))
        else:
            return None
    return out


def block(lines, commands=False):
    """One paragraph as roff: runs of text and of indented lines, these `commands` or a list."""
    out = []
    for indented, run in itertools.groupby(lines, lambda text: text.startswith("  ")):
        run = list(run)
        if not indented:
            out += [".PP"] + [line(prose(text)) for text in run]
            continue
        out += (not commands and entries(run) or
                [".PP", ".RS 4", ".nf"] + [line(literal(text[2:])) for text in run] + [".fi", ".RE"])
    return out


# What begins a paragraph that is a section of its own.
SECTIONS = [("Exit status", "EXIT STATUS"), ("Examples:", "EXAMPLES"), ("Try it:", "EXAMPLES")]


def page(name, text, version, date, see_also):
    paragraphs = [p.split("\n") for p in text.strip("\n").split("\n\n")]
    heading = " ".join(paragraphs.pop(0))
    title, _, summary = heading.partition(": ")
    usage = paragraphs.pop(0)
    if title.replace(" ", "-") != name or not summary or not usage[0].startswith("Usage: "):
        sys.exit(f"man_pages: the help of {name} has not the form that it should have:\n{heading}\n"
                 + "\n".join(usage))
    out = [f'.TH {name.upper()} 1 "{date}" "Seawall {version}" "Seawall"',
           '.\\" Made from --help by dist/man_pages.py.',
           ".SH NAME", literal(name) + " \\- " + prose(summary.rstrip(".")), ".SH SYNOPSIS", ".nf"]
    usage[0] = usage[0].removeprefix("Usage: ")
    out += ["\\fB%s\\fP" % literal(l.strip()) for l in usage] + [".fi", ".SH DESCRIPTION"]
    for paragraph in paragraphs:
        section = next((s for start, s in SECTIONS if paragraph[0].startswith(start)), None)
        if section:
            out.append(".SH " + section)
        if section == "EXAMPLES":
            paragraph = paragraph[1:]
        paragraph[0] = paragraph[0].removeprefix("Exit status: ")
        out += block(paragraph, section == "EXAMPLES")
    out += [".SH SEE ALSO", ",\n".join(f"\\fB{literal(other)}\\fP({number})"
                                       for other, number in see_also)]
    # A paragraph directly below a heading is one already.
    text = "\n".join(out) + "\n"
    return re.sub(r"(\n\.SH [A-Z ]+)\n\.PP\n", r"\1\n", text)


def main():
    if len(sys.argv) != 5 or sys.argv[1].startswith("-"):
        sys.exit(__doc__)
    program, version, date, directory = sys.argv[1:]
    text = help_of(program)
    first_list = re.search(r"\n\n((?:  \S+ .*\n)+)", text)[1]
    commands = [l.split()[0] for l in first_list.splitlines()]
    pages = {"seawall": (text, [(f"seawall-{c}", 1) for c in commands] + [("seawall", 3)])}
    for command in commands:
        pages[f"seawall-{command}"] = (help_of(program, command), [("seawall", 1), ("seawall", 3)])
    for name, (text, see_also) in pages.items():
        with open(f"{directory}/{name}.1", "w", encoding="utf-8") as out:
            out.write(page(name, text, version, date, see_also))


if __name__ == "__main__":
    main()
