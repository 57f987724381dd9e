#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Draws how the cost of what is done to a BAR grows with the size of what is mapped.

Takes the table.json of a run without -s, and writes an SVG file. Needs matplotlib
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


def draw(operations, path):
    """One diagram for each operation."""
    figure, axes = pyplot.subplots(2, 2, figsize=(9, 7), sharey=True)
    for axis, (key, title) in zip(axes.flat, TITLES.items()):
        points = sorted(operations[key])
        sizes = [point[0] for point in points]
        for column, (label, style, color) in enumerate(STACKS, 2):
            axis.plot(sizes, [point[column] for point in points], style,
                      color=color, label=label)
        axis.set_title(title)
        axis.set_xscale("log", base=2)
        axis.set_yscale("log")
        axis.set_xticks(sizes, [point[1] for point in points], rotation=30)
        axis.grid(alpha=0.4)
        axis.legend()
    for axis in axes[:, 0]:
        axis.set_ylabel("instructions")
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("table", help="table.json")
    parser.add_argument("output", help="the SVG file")
    options = parser.parse_args()
    draw(read_points(options.table), options.output)


if __name__ == "__main__":
    main()
