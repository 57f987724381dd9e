#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Prints what operations cost with the C modules and with ours.

Reads c/results.log and rust/results.log of a directory, or that of another stack in place
of the second, which have lines "bench: ID COST NAME", and writes table.rst and table.json
there. The exit status is 0 if both have the same operations, none failed, and no ratio
exceeds its limit, which there are for our modules only.
"""

import argparse
import json
import os
import re
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
LINE = re.compile(r"bench: (\S+) (?:(\d+\.\d)|error (\d+)) (.+)$")
HEADS = ("operation", "C", "here", "ratio", "limit")


def read_log(path):
    """The operations of one log: id to name and cost, which is None if it failed."""
    operations = {}
    with open(path, encoding="utf-8", errors="replace") as lines:
        for line in lines:
            match = LINE.match(line.rstrip())
            if match:
                cost = float(match[2]) if match[2] else None
                operations[match[1]] = (match[4], cost)
    return operations


def read_limits(path):
    """Id to the limit of the ratio."""
    limits = {}
    with open(path, encoding="ascii") as lines:
        for line in lines:
            words = line.split("#")[0].split(None, 2)
            if not words:
                continue
            limits[words[0]] = float(words[1])
            if limits[words[0]] > 0.9 and len(words) < 3:
                sys.exit(f"{path}: {words[0]}: a limit above 0.9 has a reason")
    return limits


def compare(one, two, limits):
    """Rows of id, name, costs, ratio and limit; and what is wrong."""
    rows, wrong = [], []
    for name in sorted(set(one) ^ set(two)):
        wrong.append(f"{name}: only one of the stacks has it")
    for key, (name, cost) in one.items():
        if key not in two:
            continue
        here = two[key][1]
        if cost is None or here is None:
            wrong.append(f"{key}: it failed")
            continue
        ratio = here / cost if cost else float("inf")
        limit = limits.get(key)
        rows.append({"id": key, "name": name, "c": cost, "here": here,
                     "ratio": ratio, "limit": limit})
        if limit is not None and ratio > limit:
            wrong.append(f"{key}: {ratio:.3f} times the cost of C, the limit is {limit}")
    if not rows:
        wrong.append("nothing was measured")
    return rows, wrong


def number(value):
    """A cost as people read it."""
    return f"{value:,.0f}" if value >= 1000 else f"{value:.1f}"


def layout(cells):
    """Lines of cells, of which the first one has the heads, as a table of reStructuredText."""
    widths = [max(len(line[column]) for line in cells) for column in range(len(cells[0]))]
    rule = "  ".join("=" * width for width in widths)
    text = ["  ".join([line[0].ljust(widths[0])] + [
        cell.rjust(width) for cell, width in zip(line[1:], widths[1:])]).rstrip()
            for line in cells]
    return "\n".join([rule, text[0], rule, *text[1:], rule])


def table(rows):
    """The rows as a table of reStructuredText."""
    cells = [HEADS]
    for row in rows:
        limit = "" if row["limit"] is None else f"{row['limit']}"
        cells.append((row["name"], number(row["c"]), number(row["here"]),
                      f"{row['ratio']:.3g}", limit))
    return layout(cells)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory")
    parser.add_argument("--limits", default=os.path.join(HERE, "limits"))
    parser.add_argument("--stack", default="rust")
    options = parser.parse_args()
    logs = [read_log(f"{options.directory}/{stack}/results.log")
            for stack in ("c", options.stack)]
    rows, wrong = compare(*logs, read_limits(options.limits) if options.stack == "rust" else {})
    print(table(rows))
    # What is in the plot makes the table long.
    text = table([row for row in rows if not row["id"].startswith("grow-")])
    with open(f"{options.directory}/table.rst", "w", encoding="ascii") as file:
        file.write(text + "\n")
    with open(f"{options.directory}/table.json", "w", encoding="ascii") as file:
        json.dump(rows, file, indent=1)
    for line in wrong:
        print(f"error: {line}")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
