#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Compares what two VFIO stacks answered to the same operations.

Takes pairs of directories with a log per device, that of the C core first. A line
is "SESSION.NUMBER OPERATION = RESULT"; what is before the first " = " has to be
the same in both. A difference of results is explained if a rule of the file
"differences" matches it; nothing else explains one. The first difference of a
session that is not explained is shown with what was done before it.

The exit status is 0 if there is no unexplained difference.
"""

import argparse
import collections
import configparser
import itertools
import os
import re
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
SHOWN = 10
SECTION = re.compile(r"(\d+-\d+)\b")
CONFIG = re.compile(r"(config readv?|hardware) (?:read )?(?:0x)?([0-9a-f]+)")
RESULT = re.compile(r"(?:(\d+) )?([0-9a-f]*)(?: suspended| active)?")


class Line:
    """One operation with its result."""

    def __init__(self, text):
        self.text = text
        self.place, _, rest = text.partition(" ")
        self.operation, _, self.result = rest.partition(" = ")
        self.session = self.place.partition(".")[0]


class Layout:
    """Where a device has its capabilities, as the first line of its log says."""

    def __init__(self, text):
        self.offsets = {}
        for word in text.split()[1:]:
            identity, _, offset = word.partition(":")
            self.offsets.setdefault(identity, int(offset, 16))

    def field(self, name):
        """The offset of a field "CAPABILITY+OFFSET" or "OFFSET", or None."""
        identity, plus, offset = name.rpartition("+")
        if not plus:
            return int(offset, 16)
        base = self.offsets.get(identity)
        return None if base is None else base + int(offset, 16)


class Rule:
    """One entry of the file: which difference is known, and by which row."""

    def __init__(self, name, entry):
        self.name = name
        self.row = SECTION.match(name)[1]
        self.operation = re.compile(entry["operation"])
        self.theirs = re.compile(entry.get("c", ".*"))
        self.ours = re.compile(entry.get("ours", ".*"))
        self.devices = entry.get("devices", "").split()
        # Only these bits of a read of config space may differ.
        self.bits = [word.split(":") for word in entry.get("bits", "").split()]
        # Something before it in the session has to be this, and nothing after that this.
        self.after = entry.get("after")
        self.until = entry.get("until", "")

    def matches(self, device, layout, before, theirs, ours):
        """Whether this is the rule for two lines that follow others."""
        operation = self.operation.fullmatch(theirs.operation)
        return bool(operation
                    and (not self.devices or device in self.devices)
                    and self.theirs.fullmatch(theirs.result)
                    and self.ours.fullmatch(ours.result)
                    and (not self.bits or self.covers(layout, theirs, ours))
                    and (not self.after or self.follows(before, operation.groupdict())))

    def follows(self, before, names):
        """Whether what has to be before it is there, and still explains anything."""
        texts = [f"{line.operation} = {line.result}" for line in before]
        after = re.compile(self.after % names)
        for number, text in enumerate(texts):
            match = after.fullmatch(text)
            if match:
                until = re.compile(self.until % {**names, **match.groupdict()})
                if not any(map(until.fullmatch, texts[number + 1:])):
                    return True
        return False

    def allowed(self, layout):
        """Which bits may differ: a mask for each byte of config space."""
        masks = collections.Counter()
        for name, mask in self.bits:
            start = layout.field(name)
            for number, byte in enumerate(bytes.fromhex(mask)):
                if start is not None:
                    masks[start + number] |= byte
        return masks

    def covers(self, layout, theirs, ours):
        """Whether two reads of config space differ in the rule's bits only."""
        if theirs.operation == "hardware after the session":
            return self.covers_left(layout, theirs, ours)
        match = CONFIG.match(theirs.operation)
        values = [RESULT.fullmatch(line.result) for line in (theirs, ours)]
        if not match or not all(values) or values[0][1] != values[1][1]:
            return False
        one, other = (bytes.fromhex(value[2]) for value in values)
        if match[1] == "hardware":
            one, other = one[::-1], other[::-1]
        masks = self.allowed(layout)
        start = int(match[2], 16)
        return len(one) == len(other) and all(
            not (a ^ b) & ~masks[start + number]
            for number, (a, b) in enumerate(zip(one, other)))

    def covers_left(self, layout, theirs, ours):
        """Whether what is left in config space differs in the rule's bits only. A double word that
        is missing is as it was before the session, whatever that is."""
        one, other = (dict(word.split(":") for word in line.result.split())
                      for line in (theirs, ours))
        masks = self.allowed(layout)
        for place in {place for place, _ in one.items() ^ other.items()}:
            start = int(place, 16)
            mask = sum(masks[start + number] << 8 * number for number in range(4))
            if not mask or (place in one and place in other and
                            (int(one[place], 16) ^ int(other[place], 16)) & ~mask):
                return False
        return True


class Comparison:
    """What was found so far."""

    def __init__(self, rules, most, names):
        self.rules = rules
        self.names = names
        self.most = most
        self.layout = None
        self.operations = 0
        self.skipped = 0
        self.sessions = 0
        self.unexplained = 0
        self.known = collections.Counter()

    def rule(self, device, before, theirs, ours):
        """The first rule that explains a difference, or None."""
        for rule in self.rules:
            if rule.matches(device, self.layout, before, theirs, ours):
                return rule
        return None

    def directories(self, theirs, ours):
        """Compares two directories of logs."""
        for name in sorted(set(os.listdir(theirs)) | set(os.listdir(ours))):
            paths = [os.path.join(side, name) for side in (theirs, ours)]
            device = name.removesuffix(".log")
            if all(map(os.path.exists, paths)):
                self.device(device, *paths)
            else:
                self.report(device, [], "the whole log",
                            *("there" if os.path.exists(path) else "missing" for path in paths))

    def device(self, device, theirs, ours):
        """Compares the logs of one device."""
        with open(theirs, encoding="utf-8") as file:
            self.layout = Layout(file.readline())
            theirs = itertools.groupby(map(Line, file.read().splitlines()), lambda x: x.session)
        with open(ours, encoding="utf-8") as file:
            file.readline()
            ours = {session: list(lines) for session, lines in itertools.groupby(
                map(Line, file.read().splitlines()), lambda x: x.session)}
        for session, lines in theirs:
            self.session(device, list(lines), ours.pop(session, []))
        for session in ours:
            self.report(device, [], f"session {session}", "nothing", "operations")

    def session(self, device, theirs, ours):
        """Compares two logs of one session, to its first unexplained difference."""
        self.sessions += 1
        for number, (one, other) in enumerate(itertools.zip_longest(theirs, ours)):
            if one and other and one.text == other.text:
                self.operations += 1
                continue
            before = theirs[:number]
            if not one or not other or one.operation != other.operation:
                self.report(device, before, "OUT OF STEP",
                            one.text if one else "nothing", other.text if other else "nothing")
                return
            self.operations += 1
            rule = self.rule(device, before, one, other)
            if not rule:
                self.report(device, before, f"{one.place} {one.operation}",
                            one.result, other.result)
                self.skipped += len(theirs) - number - 1
                return
            self.known[rule.name] += 1

    def report(self, device, before, what, theirs, ours):
        """Shows a difference that nothing explains."""
        self.unexplained += 1
        if self.unexplained > self.most:
            return
        print(f"\n{device}: a difference that is not known")
        for line in before[-SHOWN:]:
            print(f"      {line.text}")
        print(f"  --> {what}")
        width = max(map(len, self.names)) + 1
        for name, result in zip(self.names, (theirs, ours)):
            print(f"      {name + ':':{width}} {result}")

    def summary(self):
        """Prints the counts."""
        print(f"\n{self.operations} operations in {self.sessions} sessions compared, "
              f"{self.skipped} left out behind a difference")
        for name, count in sorted(self.known.items()):
            print(f"  {count:6} known differences: {name}")
        print(f"  {self.unexplained:6} differences that are not known")


def rules_read(path):
    """The rules of the file at path."""
    parser = configparser.ConfigParser(interpolation=None, delimiters=("=",))
    with open(path, encoding="utf-8") as file:
        parser.read_file(file)
    return [Rule(name, parser[name]) for name in parser.sections()]


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("logs", nargs="+", metavar="THEIRS OURS",
                        help="directories with logs, in pairs")
    parser.add_argument("-m", "--most", type=int, default=20, help="differences to show")
    parser.add_argument("--names", nargs=2, default=("C", "ours"), help="what the two are called")
    parser.add_argument("-r", "--rules", default=os.path.join(HERE, "differences"))
    parser.add_argument("-n", "--no-rules", action="store_true",
                        help="know no difference, as for two runs of the same modules")
    options = parser.parse_args()
    rules = [] if options.no_rules else rules_read(options.rules)
    comparison = Comparison(rules, options.most, options.names)
    for theirs, ours in zip(options.logs[::2], options.logs[1::2]):
        comparison.directories(theirs, ours)
    comparison.summary()
    sys.exit(1 if comparison.unexplained or not comparison.operations else 0)


if __name__ == "__main__":
    main()
