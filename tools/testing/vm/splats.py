#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Finds in a guest's kernel log what must never be there."""

import re
import sys

# A processor that does not get on.
STALL = r"self-detected stall|detected stalls|soft lockup|hard LOCKUP"
PATTERN = re.compile("|".join((
    r"WARNING:",
    r"\bBUG:",
    r"kernel BUG at",
    r"\bKASAN:",
    r"\bUBSAN:",
    r"unreferenced object",
    r"suspicious RCU",
    r"possible (circular locking|recursive locking|irq lock inversion)",
    r"inconsistent lock state",
    r"bad unlock balance",
    r"held lock freed",
    r"\bOops\b",
    r"general protection fault",
    r"refcount_t:",
    r"sleeping function called",
    r"scheduling while atomic",
    r"blocked for more than \d+ seconds",
    STALL,
    r"list_(add|del) corruption",
    r"rust_kernel.*panicked",
    r"Kernel panic",
    r"Disabling lock debugging due to kernel taint",
)))
# Lines that match and are harmless.
HARMLESS = re.compile("|".join((
    # Modules outside the kernel's tree taint it; that is how they are tested.
    r"loading out-of-tree module taints kernel",
)))
CONTEXT = 60
MOST = 5


def scan(path, size=None):
    """The texts of the splats in the log at path, or the first bytes of it, each with what
    follows."""
    with open(path, "rb") as log:
        lines = [line.rstrip() for line in log.read(size).decode("utf-8", "replace").split("\n")]
    texts = []
    number = 0
    while number < len(lines):
        line = lines[number]
        if PATTERN.search(line) and not HARMLESS.search(line):
            texts.append("\n".join("    " + text for text in lines[number:number + CONTEXT]))
            number += CONTEXT
        else:
            number += 1
    if len(texts) > MOST:
        texts = texts[:MOST] + [f"    ({len(texts) - MOST} more)"]
    return texts


if __name__ == "__main__":
    found = scan(sys.argv[1])
    print("\n".join(found))
    sys.exit(1 if found else 0)
