#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Tells whether pages are true that say what is in the source.

Every function that where.rst names is in the file that it names, every message in the source
of one of the functions' files, and every ioctl of the user interface has a row.
The code in drivers.rst is that of the files that it names. Every source file that a page names
with its folder is there.

The exit status is 0 if nothing is wrong.
"""

import pathlib
import re
import sys

TREE = pathlib.Path(__file__).resolve().parent.parent.parent
IOCTL = re.compile(r"const (VFIO_\w+): u32 = number\(")


def rows(text):
    """The rows of all tables: what one sees, and where that is; lines that go on are joined."""
    found, rules, width = [], 0, 0
    for line in text.splitlines():
        rule = re.fullmatch(r"(=+  )=+", line)
        if rule:
            rules += 1
            width = len(rule.group(1))
        elif rules % 3 == 2 and line[:1] == " ":
            found[-1][1] += " " + line.strip()
        elif rules % 3 == 2:
            # Between the second rule and the third.
            found.append([line[:width].strip(), line[width:].strip()])
    return found


def named(where):
    """The functions of a row, each with its file."""
    for part in where.split(";"):
        names = re.findall(r"``([^`]+)``", part)
        if names:
            file, *functions = names
            yield file, functions


def source(file):
    """The text of a source file; empty if there is none."""
    path = TREE / file
    return path.read_text(encoding="utf-8") if path.is_file() else ""


def complaint_of(seen, where):
    """What is wrong with a row."""
    found = list(named(where))
    for file, functions in found:
        text = source(file)
        if not functions:
            return f"{file} without a function"
        for function in functions:
            if not re.search(rf"\bfn {function}\b", text):
                return f"there is no {function}() in {file}"
    message = re.fullmatch(r'"(.*)"', seen)
    if message and not any(message.group(1) in source(file) for file, _ in found):
        return f"no {seen} in {', '.join(file for file, _ in found)}"
    return None if found else "no function"


def code_complaints():
    """What is wrong with the code in drivers.rst."""
    pattern = r"``([\w/]+\.rs)``:\n\n\.\. code-block:: rust\n\n((?:   [^\n]*\n|\n)+)"
    found = re.findall(pattern, source("drivers.rst") + "\n")
    for file, block in found:
        code = "\n".join(line[3:] for line in block.split("\n")).strip()
        if code != source(file).strip():
            yield f"drivers.rst: the code is not that of {file}"
    print(f"drivers.rst: {len(found)} programs")
    if not found or len(found) != source("drivers.rst").count("code-block::"):
        yield "drivers.rst has no code, or some that is of no file"


def file_complaints():
    """Which source files pages name that are not there."""
    for page in sorted(TREE.glob("*.rst")):
        for name in re.findall(r"``(\w+(?:/\w+)+\.(?:rs|c|h|py|sh))``", page.read_text("utf-8")):
            if not (TREE / name).is_file():
                yield f"{page.name}: there is no {name}"


def main():
    text = (TREE / "where.rst").read_text(encoding="utf-8")
    table = rows(text)
    complaints = [f"where.rst: {seen}: {complaint}" for seen, where in table
                  if (complaint := complaint_of(seen, where))]
    ioctls = {name for path in (TREE / "abstractions").rglob("*.rs")
              for name in IOCTL.findall(path.read_text(encoding="utf-8"))}
    listed = {name for seen, _ in table for name in re.findall(r"``(VFIO_\w+)``", seen)}
    complaints += [f"where.rst has no row for {name}" for name in sorted(ioctls - listed)]
    complaints += [f"where.rst: there is no ioctl {name}" for name in sorted(listed - ioctls)]
    print(f"where.rst: {len(table)} rows, {len(ioctls)} ioctls")
    complaints += [*code_complaints(), *file_complaints()]
    for complaint in complaints:
        print(f"error: {complaint}")
    sys.exit(1 if complaints else 0)


if __name__ == "__main__":
    main()
