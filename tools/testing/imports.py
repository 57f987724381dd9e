#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Tells which source file of a crate imports which, and whether there are floors.

A file uses what is below it: files that import each other in a circle have no floors.
Every circle is an error, but for those that the file "circles" lists with a reason, and
so is an entry there of what is none. Code that only tests is not asked: it is above what
it tests.

The exit status is 0 if nothing is wrong.
"""

import argparse
import collections
import pathlib
import re
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOTS = (
    "vfio_main.rs",
    "type1/vfio_iommu_type1_main.rs",
    "pci/vfio_pci_core_main.rs",
    "pci/vfio_pci_main.rs",
)
# What is no code: comments, strings, and what only tests see.
NOISE = re.compile(
    r"//[^\n]*|/\*.*?\*/|b?r(#*)\".*?\"\1|b?c?\"(?:\\.|[^\"\\])*\"|b?'(?:\\.|[^'\\])'", re.DOTALL)
TEST = re.compile(r"#\[(?:cfg\([^]]*(?:\btest\b|KUNIT)[^]]*\)|kunit_tests\([^]]*\))\]")
ITEM = re.compile(r"[;{]")
PATH_OF = re.compile(r'#\[path = "([^"]+)"\]')
MODULE = re.compile(r"\bmod\s+(\w+)\s*;")
USE = re.compile(r"\buse\s+([^;]+);")
TREE = re.compile(r"\w+|::|[{},*]")
PATH = re.compile(r"(?<![\w:])(?:\$?crate|super|self|[a-z_]\w*)(?:\s*::\s*\w+)+")
MACRO = re.compile(r"#\[macro_export\]\s*(?:#\[[^]]*\]\s*)*macro_rules!\s+(\w+)")


def end_of_block(text, start):
    """Where the block ends that opens at `start`."""
    depth = 0
    for place in range(start, len(text)):
        depth += {"{": 1, "}": -1}.get(text[place], 0)
        if not depth:
            return place + 1
    return len(text)


def without_tests(text):
    """Cuts out items that only tests have."""
    while match := TEST.search(text):
        item = ITEM.search(text, match.end())
        if not item:
            return text[:match.start()]
        end = item.end() if item.group() == ";" else end_of_block(text, item.start())
        text = text[:match.start()] + text[end:]
    return text


def use_paths(tokens, prefix=()):
    """All paths of a use declaration."""
    path = prefix
    while tokens:
        token = tokens.pop(0)
        if token == "{":
            yield from use_paths(tokens, path)
            path = None
        elif token in "},":
            if path is not None and path != prefix:
                yield path
            path = prefix
            if token == "}":
                return
        elif token == "as":
            tokens.pop(0)
        elif token != "::" and path is not None:
            path += (token,)
    if path is not None and path != prefix:
        yield path


class Crate:
    """The modules of a crate, and who imports whom."""

    def __init__(self, tree, root):
        self.tree = tree
        self.files = {}     # path of a module, as a tuple -> its file
        self.texts = {}     # the same -> its code
        self.macros = {}    # name of a macro -> the module that has it
        self.add((), tree / root, (tree / root).parent)
        self.imports = collections.defaultdict(set)
        for module in self.files:
            for path in self.paths(module):
                target = self.resolve(module, path)
                if target is not None and self.files[target] != self.files[module]:
                    self.imports[self.name(module)].add(self.name(target))

    def name(self, module):
        """A module's file, as one calls it."""
        return str(self.files[module].relative_to(self.tree))

    def add(self, module, file, folder):
        """Reads a module and those it declares."""
        source = file.read_text(encoding="utf-8")
        marked = NOISE.sub(
            lambda match: match.group() if source[:match.start()].endswith("path = ") else '""',
            source)
        text = without_tests(marked)
        self.files[module] = file
        self.texts[module] = NOISE.sub('""', text)
        for macro in MACRO.findall(text):
            self.macros[macro] = module
        start = 0
        for match in MODULE.finditer(text):
            path = PATH_OF.search(text, max(start, text.rfind(";", 0, match.start())), match.start())
            start = match.end()
            child = self.child(folder, match.group(1), path, file)
            if child.exists():
                name = match.group(1)
                below = child.parent if path else folder / name
                self.add(module + (name,), child, below)

    @staticmethod
    def child(folder, name, path, file):
        """The file of a module that another declares."""
        if path:
            return (file.parent / path.group(1)).resolve()
        return folder / f"{name}.rs"

    def paths(self, module):
        """All paths in the code of a module that may lead to another."""
        text = self.texts[module]
        for match in USE.finditer(text):
            yield from use_paths(TREE.findall(match.group(1)))
        for match in PATH.finditer(USE.sub("", text)):
            yield tuple(part.strip() for part in match.group().lstrip("$").split("::"))

    def resolve(self, module, path):
        """The module that a path leads to; None if it is not of this crate."""
        first, *rest = path
        if first == "crate":
            if rest and rest[0] in self.macros:
                return self.macros[rest[0]]
            place = ()
        elif first in ("self", "super"):
            place = module
            rest = list(path)
            while rest and rest[0] in ("self", "super"):
                place = place[:-1] if rest.pop(0) == "super" else place
        elif module + (first,) in self.files:
            place, rest = module + (first,), rest
        else:
            return None
        for part in rest:
            if place + (part,) not in self.files:
                break
            place += (part,)
        return place


def circles(graph):
    """The strongly connected components of more than one node (Tarjan)."""
    index, low, stack, found = {}, {}, [], []

    def visit(node):
        index[node] = low[node] = len(index)
        stack.append(node)
        for other in sorted(graph.get(node, ())):
            if other not in index:
                visit(other)
                low[node] = min(low[node], low[other])
            elif other in stack:
                low[node] = min(low[node], index[other])
        if low[node] == index[node]:
            place = stack.index(node)
            if len(stack) - place > 1:
                found.append(sorted(stack[place:]))
            del stack[place:]

    for node in sorted(graph):
        if node not in index:
            visit(node)
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-l", "--list", action="store_true", help="which file imports which")
    parser.add_argument("tree", nargs="?", type=pathlib.Path, default=HERE.parent.parent)
    options = parser.parse_args()
    tree = options.tree.resolve()
    for root in ROOTS:
        crate = Crate(tree, root)
        print(root, len(crate.files), len(set(crate.files.values())))
        if options.list:
            for f in sorted(crate.imports):
                print("  ", f, "->", *sorted(crate.imports[f]))
        for c in circles(crate.imports):
            print(" circle", len(c))
            for f in c:
                print("     ", f, "->", *sorted(set(crate.imports[f]) & set(c)))


if __name__ == "__main__":
    main()
