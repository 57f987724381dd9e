#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Prints what several threads reach with the C modules and with ours.

Reads c/results.log and rust/results.log of a directory, which have lines
"threads: OPERATION THREADS RATE UNIT", and writes the table there as threads.rst and
threads.json. "x one" is how many times as much that is as one thread reaches. The exit status is
0 if both have the same operations, and none failed.
"""

import argparse
import json
import re
import sys

from report import layout

LINE = re.compile(r"threads: (\S+) (\d+) (?:(\d+\.\d) (\S+)|error (\d+))$")
HEADS = ("operation", "threads", "C", "x one", "here", "x one", "ratio")


def read_log(path):
    """Operation and number of threads to rate and unit, None if it failed."""
    rates = {}
    with open(path, encoding="utf-8", errors="replace") as lines:
        for line in lines:
            match = LINE.match(line.rstrip())
            if match:
                rate = float(match[3]) if match[3] else None
                rates[match[1], int(match[2])] = (rate, match[4])
    return rates


def cells_of(rates, key):
    """A rate, and how many times that of one thread it is."""
    rate, one = rates[key][0], rates[key[0], 1][0]
    return f"{rate:,.0f}", f"{rate / one:.2f}" if one else "-"


def table(one, two):
    """The table as reStructuredText."""
    cells = [HEADS]
    for key in one:
        if key in two and one[key][0] and two[key][0] is not None:
            ratio = two[key][0] / one[key][0]
            cells.append((f"{key[0]}, {one[key][1]}", str(key[1]), *cells_of(one, key),
                          *cells_of(two, key), f"{ratio:.2f}"))
    return layout(cells)


def records(one, two):
    """What a plot needs."""
    return [{"id": key[0], "unit": one[key][1], "threads": key[1],
             "c": one[key][0], "here": two[key][0]}
            for key in one if key in two and None not in (one[key][0], two[key][0])]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory")
    options = parser.parse_args()
    one, two = (read_log(f"{options.directory}/{stack}/results.log") for stack in ("c", "rust"))
    text = table(one, two)
    print(text)
    with open(f"{options.directory}/threads.rst", "w", encoding="ascii") as file:
        file.write(text + "\n")
    with open(f"{options.directory}/threads.json", "w", encoding="ascii") as file:
        json.dump(records(one, two), file, indent=1)
    failed = sorted(set(one) ^ set(two)) + [
        key for key in one if key in two and None in (one[key][0], two[key][0])]
    for name, count in failed:
        print(f"error: {name} with {count} threads: not done on both stacks")
    sys.exit(1 if failed or not one else 0)


if __name__ == "__main__":
    main()
