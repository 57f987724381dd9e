#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Tells which rows of the inventory of behaviour are tested.

The file "rows" lists them. A row is tested if a test names it: "6-12", or
"6-16 to 6-20", where the test is. What the first comment of a file says does not
count, as it says nothing about what is there. Every other row has to be in
"rows-not-tested" with the reason.
Every difference from the C stack in differences.rst has to name its row and a
test that is there, and every rule of compare/differences a row of that table.

The exit status is 0 if nothing is missing.
"""

import argparse
import collections
import configparser
import pathlib
import re
import sys

HERE = pathlib.Path(__file__).resolve().parent
TREE = HERE.parent.parent
ROW = re.compile(r"\b(\d{1,2})-(\d{1,3})(?:(?: to |\.\.)\1-(\d{1,3}))?\b")
# The first comment of a file, with the line of the licence before it.
OPENING = re.compile(r"\A(?://[^\n]*\n)?\s*(?:/\*.*?\*/|(?://![^\n]*\n)+)", re.DOTALL)
# Where the tests begin in a file that has other things too.
TESTS = re.compile(r"^#\[.*kunit_tests\(", re.MULTILINE)
SOURCES = (
    "tools/testing/selftests/*.c",
    "tools/testing/compare/*.c",
    "tools/testing/host/src/**/*.rs",
    "pci/**/*.rs",
    "type1/*.rs",
)
WHOLE = re.compile(r"tools/|/cases|/kunit\.rs|tests\.rs|cases\.rs")


def test_text(path):
    """What of a source file is test."""
    text = path.read_text(encoding="utf-8")
    if WHOLE.search(str(path.relative_to(TREE))):
        return OPENING.sub("", text)
    start = TESTS.search(text)
    return text[start.start():] if start else ""


def cited(text):
    """The rows that a text names."""
    for section, first, last in ROW.findall(text):
        for number in range(int(first), int(last or first) + 1):
            yield f"{section}-{number}"


def table(path):
    """A file of rows, each with a text."""
    rows = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            row, _, text = line.partition(" ")
            rows[row] = text.strip()
    return rows


def tested_rows():
    """All rows that tests name, each with the files."""
    rows = collections.defaultdict(set)
    for pattern in SOURCES:
        for path in TREE.glob(pattern):
            for row in cited(test_text(path)):
                rows[row].add(str(path.relative_to(TREE)))
    return rows


def coverage(complaints):
    """Counts the rows of each section."""
    rows = table(HERE / "rows")
    reasons = table(HERE / "rows-not-tested")
    tested = tested_rows()
    counts = collections.defaultdict(collections.Counter)
    for row, text in rows.items():
        section = row.partition("-")[0]
        if row in tested:
            counts[section]["tested"] += 1
            if row in reasons:
                complaints.append(f"{row} is tested, but rows-not-tested has a reason why not")
        elif reasons.get(row):
            counts[section]["reason"] += 1
        else:
            complaints.append(f"{row} ({text}) is not tested and has no reason")
    complaints += [f"rows-not-tested: there is no row {row}" for row in reasons if row not in rows]
    for section, count in counts.items():
        print(f"section {section:>2}: {count['tested']:3} rows tested, "
              f"{count['reason']:3} with a reason why not")


def differences(complaints):
    """Checks the table of differences, and the rules that go back to it."""
    text = (TREE / "differences.rst").read_text(encoding="utf-8")
    rows = set(cited(text))
    tests = set(re.findall(r"``([\w/.]+\.(?:c|rs|py))``", text))
    names = {path.name for pattern in SOURCES for path in TREE.glob(pattern)}
    complaints += [f"differences.rst: there is no test {test}" for test in sorted(tests)
                   if not (TREE / test).exists() and pathlib.Path(test).name not in names]
    rules = configparser.ConfigParser(interpolation=None, delimiters=("=",))
    rules.read(HERE / "compare" / "differences", encoding="utf-8")
    for name in rules.sections():
        if name.split()[0] not in rows:
            complaints.append(f"compare/differences: {name} is not in differences.rst")
    print(f"differences: {len(rows)} rows, {len(rules.sections())} rules of the comparison")


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-l", "--list", action="store_true", help="which file tests which row")
    options = parser.parse_args()
    if options.list:
        for row, files in sorted(tested_rows().items()):
            print(row, *sorted(files))
        return
    complaints = []
    coverage(complaints)
    differences(complaints)
    for complaint in complaints:
        print(f"error: {complaint}")
    sys.exit(1 if complaints else 0)


if __name__ == "__main__":
    main()
