#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Tells which rows of the inventory of behaviour are tested.

The file "rows" lists them. A row is tested if a test names it: "6-12", or
"6-16 to 6-20", where the test is. What the first comment of a file says does not
count, as it says nothing about what is there. Every other row has to be in
"rows-not-tested" with the reason.
Every difference from the C stack in differences.rst has to name tests that name its
row, a rule of the comparison that does, or the reason why there is none; and every
rule of compare/differences a row of that table.

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
    "abstractions/exports/*.rs",
)
WHOLE = re.compile(r"tools/|/tests/|tests\.rs")


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


def difference_rows(text):
    """The rows of the tables of differences, each with what it says of its test."""
    for part in re.split(r"^   \* - (?=\d)", text, flags=re.MULTILINE)[1:]:
        row, *cells = re.split(r"\n     - ", part)
        yield row.strip(), cells[2] if len(cells) > 2 else ""


def test_complaint(row, test, files, rules):
    """What is wrong with the test that a difference names."""
    names = re.findall(r"``([\w/.]+\.(?:c|rs|py))``", test)
    for name in names:
        if not any(name in (file, pathlib.Path(file).name) for file in files):
            return f"``{name}`` does not name the row"
    if "omparison" in test:
        return None if row in rules else "the comparison has no rule for it"
    return None if names or test.startswith("None: ") else "it has no test"


def differences(complaints):
    """Checks the tables of differences, and the rules that go back to them."""
    text = (TREE / "differences.rst").read_text(encoding="utf-8")
    parser = configparser.ConfigParser(interpolation=None, delimiters=("=",))
    parser.read(HERE / "compare" / "differences", encoding="utf-8")
    rules = {name.split()[0] for name in parser.sections()}
    tested = tested_rows()
    rows = dict(difference_rows(text))
    for row, test in rows.items():
        complaint = test_complaint(row, test, tested.get(row, ()), rules)
        if complaint:
            complaints.append(f"differences.rst: {row}: {complaint}")
    complaints += [f"compare/differences: {row} is not in differences.rst"
                   for row in sorted(rules - set(rows))]
    print(f"differences: {len(rows)} rows, {len(parser.sections())} rules of the comparison")


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
