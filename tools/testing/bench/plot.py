#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Draws how the cost of what is done to a BAR grows with the size of what is mapped, and what
threads reach.

Takes the table.json of a run without -s and the threads.json of one with -t, and writes an SVG
file. Needs matplotlib
(Debian: python3-matplotlib).
"""

import argparse
import json
import re

import matplotlib

matplotlib.use("svg")
# The same figures give the same file.
matplotlib.rcParams["svg.hashsalt"] = "vfio"
# Text as text, of which outlines would be most of the file.
matplotlib.rcParams["svg.fonttype"] = "none"
from matplotlib import pyplot  # pylint: disable=wrong-import-position

UNITS = {"K": 10, "M": 20, "G": 30}
GROWS = re.compile(r"grow-(\w+)-(\d+)([KMG])$")
TITLES = {"map": "MAP_DMA", "unmap": "UNMAP_DMA", "fault": "faults",
          "zap": "zap by the command register"}
THREADS = {"map": "threads that map and unmap pages in a row",
           "map-scattered": "threads that map and unmap lone pages",
           "read": "threads that read a register",
           "fault": "threads that mmap, touch and munmap a page"}
STACKS = (("C", "s--", "tab:red"), ("here", "o-", "tab:blue"))


def read_points(path):
    """Operation to a list of size, its name, and the costs on both stacks."""
    operations = {}
    with open(path, encoding="ascii") as file:
        for row in json.load(file):
            match = GROWS.match(row["id"])
            if match:
                size = int(match[2]) << UNITS[match[3]]
                operations.setdefault(match[1], []).append(
                    (size, f"{match[2]} {match[3]}iB", row["c"], row["here"]))
    return operations


def read_threads(path):
    """Operation to a list of number of threads, and the rates on both stacks; and its unit."""
    operations, units = {}, {}
    with open(path, encoding="ascii") as file:
        for row in json.load(file):
            operations.setdefault(row["id"], []).append(
                (row["threads"], str(row["threads"]), row["c"], row["here"]))
            units[row["id"]] = row["unit"]
    return operations, units


def draw_one(axis, points, title, unit):
    """What both stacks have at some points."""
    points = sorted(points)
    places = [point[0] for point in points]
    for column, (label, style, color) in enumerate(STACKS, 2):
        axis.plot(places, [point[column] for point in points], style,
                  color=color, label=label)
    axis.set_title(title, fontsize="medium")
    axis.set_xscale("log", base=2)
    axis.set_xticks(places, [point[1] for point in points])
    axis.set_ylabel(unit)
    axis.grid(alpha=0.4)
    axis.legend()


def draw(operations, threads, path):
    """One diagram for each operation."""
    figure, axes = pyplot.subplots(4, 2, figsize=(9, 13))
    costs = [cost for points in operations.values() for point in points for cost in point[2:]]
    for axis, (key, title) in zip(axes.flat, TITLES.items()):
        draw_one(axis, operations[key], title, "instructions")
        axis.set_yscale("log")
        axis.set_ylim(min(costs) / 2, max(costs) * 2)
        axis.tick_params("x", rotation=30)
    for axis, (key, title) in zip(axes[2:].flat, THREADS.items()):
        draw_one(axis, threads[0][key], title, threads[1][key])
        axis.set_ylim(bottom=0)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("table", help="table.json")
    parser.add_argument("threads", help="threads.json")
    parser.add_argument("output", help="the SVG file")
    options = parser.parse_args()
    draw(read_points(options.table), read_threads(options.threads), options.output)


if __name__ == "__main__":
    main()
