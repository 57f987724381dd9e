#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Counts tests.

Every step of a check adds lines to one file, the tally: status, stack, suite
and name, and the machine if it is not the usual one, with tabs between them.
"guest" adds what a run of the guest gave, "cargo" what cargo test printed;
"report" prints the end of the check.

A program that runs on both stacks can say where they differ, in a line
"# difference: WHAT: HOW"; the report has both answers side by side. Of a test that
failed it has the first lines of the program that the harness said were wrong.
"""

import argparse
import collections
import json
import re
import sys

PLAN = re.compile(r"1\.\.(\d+)(?:\s*# SKIP\s*(.*))?$")
CASE = re.compile(r"(not )?ok\s+\d*\s*-?\s*(.*?)(?:\s*# (SKIP|XFAIL|TODO)\b\s*(.*))?$")
KTAP = re.compile(r"(?:\[ *[\d.]+\] )?(?:\[ *[TC]\d+\] )?( *)(.*)")
DIFFERENCE = re.compile(r"# difference: (.*): (.*)$")
# How the harness of kselftests tells which line of a test failed, or that it took too long.
REASON = re.compile(r"# (\S+\.[ch]:\d+:\S.*|\S+: Test terminated .*)$")
CARGO = re.compile(r"test (\S.*?)(?: - should panic)? \.\.\. (ok|FAILED|ignored)\b")
SKIPPED = 4  # KSFT_SKIP
# The status of a row that is no test: what differs, and how it is on this stack.
DIFFERS = "differs"
# Another such status: QEMU failed the guest in a program, which ran again in another boot.
LOST = "lost"
# Another such status: a line that a test printed which failed, in the column of the machine.
WHY = "why"
# What the names of machines begin with on which clients run; the kind of IOMMU follows.
CLIENT = "client-"
# The stacks, and how the tables call them. The third one is C's vfio-pci on our core.
STACKS = {"c": "on C", "rust": "on ours", "mixed": "on mixed"}
WIDTH = 22
# So many lines of a test that failed are shown.
REASONS = 3


Row = collections.namedtuple("Row", "status stack suite name machine", defaults=("",))


class Tally:
    """The file that the steps add to."""

    def __init__(self, path):
        self.path = path

    def add(self, status, stack, suite, name, machine=""):
        """One test."""
        columns = [status, stack, suite, name.strip() or "(unnamed)"]
        columns += [machine] if machine else []
        with open(self.path, "a", encoding="utf-8") as file:
            file.write("\t".join(columns) + "\n")

    def rows(self):
        """All tests so far."""
        with open(self.path, encoding="utf-8") as file:
            return [Row(*line.rstrip("\n").split("\t")) for line in file]


def read(path):
    """The lines of a log."""
    with open(path, encoding="utf-8", errors="replace") as file:
        return [line.rstrip("\r\n") for line in file]


def case_status(match):
    """pass, fail or skip for a line of TAP."""
    if match[3] == "SKIP":
        return "skip"
    return "fail" if match[1] else "pass"


class Program:
    """The output of one test program."""

    def __init__(self, name):
        self.name = name
        self.plan = None
        self.cases = []
        self.differences = []
        self.reasons = {}
        self.status = None
        self.printed = []

    def line(self, text):
        """Takes one line of the output."""
        match = DIFFERENCE.match(text)
        if match:
            self.differences.append(match.groups())
            return
        match = PLAN.match(text)
        if match:
            self.plan = int(match[1])
            if match[2] is not None:
                self.cases.append(("skip", match[2]))
            return
        match = REASON.match(text)
        if match:
            self.printed.append(match[1])
            return
        match = CASE.match(text)
        if match:
            name = match[2] + (f" ({match[4]})" if match[4] else "")
            self.cases.append((case_status(match), name))
            if match[1]:
                self.reasons[name] = self.printed
            self.printed = []

    def results(self):
        """All cases, with a failed one for everything that is missing."""
        results = list(self.cases)
        if self.plan is None:
            results.append(("fail", "printed no plan"))
        else:
            for number in range(len(results), self.plan):
                results.append(("fail", f"case {number + 1} of {self.plan} did not report"))
        failed = any(status == "fail" for status, _ in results)
        if self.status is None:
            results.append(("fail", "did not end"))
        elif self.status not in (0, SKIPPED) and not failed:
            results.append(("fail", f"ended with status {self.status}"))
        return results


def programs(lines):
    """Splits the results of a guest into its programs."""
    found = []
    current = None
    for text in lines:
        words = text.split()
        if text.startswith("vm: program "):
            current = Program(words[2])
            found.append(current)
        elif text.startswith("vm: exit ") and current:
            current.status = int(words[3])
            current = None
        elif current:
            current.line(text)
    return found


def kunit(lines):
    """KUnit cases that ran when the stack was loaded: (status, suite, name)."""
    cases = []
    suite = ""
    inside = False
    for text in lines:
        indent, text = KTAP.match(text).groups()
        if text.startswith("vm: loading stack"):
            inside = True
        elif text.startswith("vm: stack "):
            inside = False
        if not inside:
            continue
        if text.startswith("# Subtest: "):
            suite = text.split(": ", 1)[1]
        match = CASE.match(text)
        if match and len(indent) == 4:
            cases.append((case_status(match), suite, match[2]))
        elif match and not indent and match[1]:
            cases.append(("fail", match[2], "the suite"))
    return cases


def guest(options, tally):
    """Adds what one run of the guest gave."""
    stack = options.stack
    with open(f"{options.run}/verdict.json", encoding="ascii") as file:
        verdict = json.load(file)
    where = f"{stack} stack, {options.kernel} kernel, {options.part}"
    seen = set()
    for program in programs(read(f"{options.run}/results.log")):
        if program.name == options.lost:
            break
        seen.add(program.name)
        for status, name in program.results():
            tally.add(status, stack, program.name, name, options.machine)
        for name, lines in program.reasons.items():
            for line in lines[:REASONS]:
                tally.add(WHY, stack, program.name, name, line.replace("\t", " "))
        for what, how in dict.fromkeys(program.differences):
            tally.add(DIFFERS, stack, what, how)
    for name in options.expect:
        if name not in seen and not options.lost:
            tally.add("fail", stack, name, "was not reached", options.machine)
    if options.kunit:
        cases = kunit(read(f"{options.run}/console.log"))
        for status, suite, name in cases:
            tally.add(status, "-", "KUnit", f"{suite}: {name}")
        if not cases:
            tally.add("fail", "-", "KUnit", "no suite ran when the modules were loaded")
    if options.lost:
        tally.add(LOST, stack, options.lost, where)
        if verdict["splats"]:
            tally.add("fail", "-", "guest", f"no splat before QEMU lost a write ({where})")
        return
    ended = verdict["ended"] == 0 and not verdict["hung"]
    tally.add("pass" if ended else "fail", "-", "guest", f"ran to the end ({where})")
    tally.add("pass" if not verdict["splats"] else "fail", "-", "guest",
              f"no splat, no leak in the kernel log ({where})")
    tally.add("pass" if verdict["unloaded"] else "fail", "-", "guest",
              f"modules unload ({where})")


def cargo(options, tally):
    """Adds what cargo test printed."""
    found = 0
    for text in read(options.log):
        match = CARGO.match(text)
        if match:
            found += 1
            status = {"ok": "pass", "FAILED": "fail", "ignored": "skip"}[match[2]]
            tally.add(status, "-", "cargo test", match[1])
    if not found:
        tally.add("fail", "-", "cargo test", "no test ran")


def share(counts):
    """"passed of all" for the table."""
    if not counts:
        return "-"
    ran = counts["pass"] + counts["fail"]
    text = f"{counts['pass']} of {ran}"
    if counts["skip"]:
        text += f", {counts['skip']} skipped"
    return text


def columns_of(rows):
    """The stacks that a table of these rows has: C's and ours, and others that there are."""
    found = {row.stack for row in rows}
    return [stack for stack in STACKS if stack in found or stack in ("c", "rust")]


def table_line(first, cells):
    """One line of a table, whose first cell is as wide as it is."""
    return (first + "".join(cell.ljust(WIDTH - 1) + " " for cell in cells)).rstrip()


def print_machines(title, rows):
    """What ran on machines that have a name; title is the second column's."""
    stacks = columns_of(rows)
    table = collections.OrderedDict()
    for row in rows:
        columns = table.setdefault((row.machine, row.suite), {})
        columns.setdefault(row.stack, collections.Counter())[row.status] += 1
    if table:
        print("\n" + table_line(f"IOMMU          {title:21}", map(STACKS.get, stacks)))
    for (machine, suite), columns in table.items():
        print(table_line(f"  {machine:13}{suite:21}",
                         (share(columns.get(stack)) for stack in stacks)))


def print_differences(rows):
    """What the programs found to differ between the stacks."""
    stacks = columns_of(rows)
    table = collections.OrderedDict()
    for row in rows:
        table.setdefault(row.suite, {}).setdefault(row.stack, []).append(row.name)
    if table:
        width = max(len(what) for what in table) + 2
        print("\n" + table_line("Differences".ljust(width + 2), map(STACKS.get, stacks)))
    for what, columns in table.items():
        print(table_line("  " + what.ljust(width),
                         (", ".join(dict.fromkeys(columns.get(stack, ["-"]))) for stack in stacks)))


def report(options, tally):
    """Prints the end of a check; returns its exit status."""
    everything = tally.rows()
    rows = [row for row in everything if row.status not in (DIFFERS, LOST, WHY)]
    reasons = collections.defaultdict(list)
    for row in everything:
        if row.status == WHY:
            reasons[row[1:4]].append(row.machine)
    table = collections.OrderedDict()
    for row in rows:
        columns = table.setdefault(row.suite, {})
        columns.setdefault(row.stack, collections.Counter())[row.status] += 1
    stacks = columns_of(rows)
    print("\n" + table_line("Tests".ljust(36), map(STACKS.get, stacks)))
    for suite, columns in table.items():
        cells = (share(columns.get(stack)) for stack in stacks)
        if "-" in columns:
            cells = ("", share(columns["-"]))
        print(table_line(f"  {suite:34}", cells))
    print_differences([row for row in everything if row.status == DIFFERS])
    machines = [row for row in rows if row.machine]
    # Most of the others differ from the usual one in the IOMMU.
    print_machines("suite", [row for row in machines if not row.machine.startswith(CLIENT)])
    print_machines("client", [row._replace(machine=row.machine.removeprefix(CLIENT))
                              for row in machines if row.machine.startswith(CLIENT)])
    if options.times:
        print("\nTimes")
        for line in read(options.times):
            print("  " + line)
    count = collections.Counter(row.status for row in rows)
    for status, title in (("skip", "Skipped"), ("fail", "Failed")):
        if count[status]:
            print(f"\n{title}")
            for row in rows:
                if row.status == status:
                    stack = f"{row.stack}: " if row.stack != "-" else ""
                    where = f" ({row.machine})" if row.machine else ""
                    print(f"  {stack}{row.suite}: {row.name}{where}")
                    for reason in reasons[row[1:4]] if status == "fail" else ():
                        print(f"    {reason}")
    lost = [row for row in everything if row.status == LOST]
    if lost:
        print("\nQEMU lost a write to the IOMMU in these; they ran again, in another boot")
        for row in lost:
            print(f"  {row.suite} ({row.name})")
    print(f"\n{count['skip']} skipped")
    print(f"{count['pass']} passed, {count['fail']} failed")
    return 1 if count["fail"] or not count["pass"] else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tally")
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("guest")
    command.add_argument("stack")
    command.add_argument("kernel")
    command.add_argument("run")
    command.add_argument("--kunit", action="store_true")
    command.add_argument("--part", default="1/1")
    command.add_argument("--machine", default="", help="its name, if it is not the usual one")
    command.add_argument("--lost", default="", help="where QEMU failed the guest, if it did")
    command.add_argument("--expect", nargs="*", default=[])
    command = commands.add_parser("cargo")
    command.add_argument("log")
    command = commands.add_parser("report")
    command.add_argument("--times")
    options = parser.parse_args()
    tally = Tally(options.tally)
    action = {"guest": guest, "cargo": cargo, "report": report}[options.command]
    sys.exit(action(options, tally) or 0)


if __name__ == "__main__":
    main()
