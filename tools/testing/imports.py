#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Tells which source files of a crate import which, and whether that makes floors.

A file uses what is below it. Files that import each other in a circle have no floors, nor
have folders. Every circle is an error, but for those that the file "circles" lists with a
reason; and so is an entry there of what is none. A file that only names what is in
others, by "pub use", does not import it. Code that only tests is not asked, as it is above
what it tests.

With -l the floors of each crate, the lowest first, and what each file imports. With -t
circles are planted in copies of the tree, each of which has to be found.

The exit status is 0 if nothing is wrong.
"""

import argparse
import collections
import pathlib
import re
import shutil
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
ROOTS = (
    "vfio_main.rs",
    "type1/vfio_iommu_type1_main.rs",
    "pci/vfio_pci_core_main.rs",
    "pci/vfio_pci_main.rs",
)
COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)
# In Rust a quote may be that of a lifetime as well.
LITERAL = re.compile(r'\b[bc]?r(#*)".*?"\1|[bc]?"(?:\\.|[^"\\])*"|b?\'(?:\\.|[^\'\\])\'', re.DOTALL)
TEST = re.compile(r"#\[(?:cfg\([^]]*(?:\btest\b|KUNIT)[^]]*\)|[\w:]*kunit_tests\([^]]*\))\]")
MODULE = re.compile(r'(?:#\[path = "([^"]+)"\]\s*)?(?:pub(?:\([^)]*\))? )?mod (\w+)\s*([;{])')
USE = re.compile(r"\b(pub(?:\([^)]*\))? )?use\s+([^;]+);")
TOKEN = re.compile(r"\w+|[{},*]")
PATH = re.compile(r"(?<![\w:])\$?[a-z_]\w*(?:\s*::\s*\w+)+")
MACRO = re.compile(r"#\[macro_export\]\s*(?:#\[[^]]*\]\s*)*macro_rules!\s+(\w+)")
# Circles to plant: a file, what is added to it, and what has to be said of it.
PLANTED = (
    ("confinement.rs", "use crate::registration::Registration;", "a circle of files: "),
    ("device/set.rs", "use super::ops::DeviceOps;", "a circle of files: "),
    ("device/set.rs", "fn hold() { crate::device::object::plant() }", "a circle of files: "),
    ("container/driver.rs", "use crate::device::set::DeviceSet;", "a circle of folders: "),
    ("pci/availability.rs", "use crate::{device::{self, CoreDevice}};", "a circle of files: "),
    ("type1/range.rs", "pub use super::backend::Type1; fn plant(_: Type1) {}",
     "a circle of files: "),
)
# What module!() makes.
OF_THE_CRATE = ("crate", "LocalModule")


def end_of_item(text, start):
    """Where the item ends that begins at `start`: at a semicolon, or with its block."""
    depth = 0
    for place in range(start, len(text)):
        char = text[place]
        depth += (char == "{") - (char == "}")
        if not depth and char in ";}":
            return place + 1
    return len(text)


def without_tests(text):
    """Cuts out the items that only tests have."""
    while match := TEST.search(text):
        text = text[:match.start()] + text[end_of_item(text, match.end()):]
    return text


def use_paths(tokens, prefix=()):
    """All paths of a use declaration, each with the name that it is given."""
    path, name = prefix, None
    while tokens:
        token = tokens.pop(0)
        if token == "{":
            yield from use_paths(tokens, path)
            path = prefix
        elif token in ",}":
            if path != prefix:
                yield path, name or path[-1]
            path, name = prefix, None
            if token == "}":
                return
        elif token == "as":
            name = tokens.pop(0)
        elif token != "self" or not path:
            path += (token,)
    if path != prefix:
        yield path, name or path[-1]


def declared(text, place, folder, prefix=()):
    """The files that the text of one at `place` declares, also in modules that it contains."""
    end = 0
    for match in MODULE.finditer(text):
        path, name, kind = match.groups()
        if match.start() < end:
            continue
        if kind == "{":
            end = end_of_item(text, match.end() - 1)
            yield from declared(text[match.end():end], place, folder / name, prefix + (name,))
        elif path:
            file = (place / path).resolve()
            yield prefix + (name,), file, file.parent
        else:
            yield prefix + (name,), folder / f"{name}.rs", folder / name


class Module:
    """A source file as a part of a crate, in one configuration."""

    def __init__(self, path, file, tests=False):
        self.path = path
        self.file = file
        raw = COMMENT.sub("", file.read_text(encoding="utf-8"))
        self.declared = raw if tests else without_tests(raw)
        self.text = LITERAL.sub('""', self.declared)
        self.macros = MACRO.findall(self.text)
        self.uses, self.names, aliases = [], {}, {}
        rest = USE.sub("", self.text)
        for public, tree in USE.findall(self.text):
            for used, name in use_paths(TOKEN.findall(tree)):
                aliases[name] = used
                if public:
                    self.names[name] = used
                if not public or re.search(rf"\b{re.escape(name)}\b", rest):
                    self.uses.append(used)
        for match in PATH.findall(rest):
            first, *others = re.findall(r"\w+", match)
            self.uses.append(aliases.get(first, (first,)) + tuple(others))

    def children(self, folder):
        """The files that this one declares: their paths in it, and the folders of their own."""
        return declared(self.declared, self.file.parent, folder)


class Crate:
    """The files of a crate, and who imports whom; with tests if they are asked for."""

    def __init__(self, tree, root, tests=False):
        self.tree = tree
        self.tests = tests
        # A path may be that of several files, of which a configuration has one.
        self.modules = collections.defaultdict(list)
        self.macros = {}
        self.add((), tree / root, (tree / root).parent)
        self.imports = {}
        for module in self.all():
            found = self.imports.setdefault(self.name(module), set())
            for path in module.uses:
                for target in self.modules[self.resolve(module, path)]:
                    found.add(self.name(target))
            found.discard(self.name(module))

    def all(self):
        """Every module."""
        return [module for found in list(self.modules.values()) for module in found]

    def name(self, module):
        """A module's file, as one calls it."""
        return str(module.file.relative_to(self.tree))

    def add(self, path, file, folder):
        """Adds a module and those below it."""
        module = Module(path, file, self.tests)
        self.modules[path].append(module)
        self.macros.update((macro, path) for macro in module.macros)
        for names, child, below in module.children(folder):
            for length in range(1, len(names)):
                self.modules.setdefault(path + names[:length], [])
            self.add(path + names, child, below)

    def resolve(self, module, path, depth=0):
        """The path of the module where what `path` names is; None if not in this crate."""
        if path[:2] == OF_THE_CRATE or depth > 8:
            return None
        place, rest = module.path, list(path)
        if rest[0] == "crate":
            if len(rest) == 2 and rest[1] in self.macros:
                return self.macros[rest[1]]
            place = ()
            rest.pop(0)
        elif rest[0] in ("self", "super"):
            while rest and rest[0] in ("self", "super"):
                place = place[:-1] if rest.pop(0) == "super" else place
            if rest == ["LocalModule"] and not place:
                return None
        elif place + (rest[0],) not in self.modules:
            return None
        while rest and place + (rest[0],) in self.modules:
            place += (rest.pop(0),)
        for found in self.modules[place] if rest else ():
            if rest[0] in found.names:
                target = found.names[rest[0]] + tuple(rest[1:])
                return self.resolve(found, target, depth + 1) or place
        return place


def circles(graph):
    """The strongly connected components of more than one node (Tarjan's), lowest first."""
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
            found.append(sorted(stack[place:]))
            del stack[place:]

    for node in sorted(graph):
        if node not in index:
            visit(node)
    return [circle for circle in found if len(circle) > 1]


def by_folder(imports, root):
    """The same imports, of the folders next to the root of a crate; "x.rs" belongs to "x/".

    Other files stay files. The folder of the abstractions is not asked: the entries from C are
    above all, and arithmetic that abstractions need is where it is tested.
    """
    base = root.rpartition("/")[0]
    base += "/" if base else ""
    folders = {name[len(base):].partition("/")[0] for name in imports
               if "/" in name[len(base):] and name.startswith(base)}

    def node(name):
        if not name.startswith(base):
            return ""
        first = name[len(base):].partition("/")[0]
        return base + (first if first in folders else name[len(base):].removesuffix(".rs"))

    graph = collections.defaultdict(set)
    for name, found in imports.items():
        for other in found:
            pair = node(name), node(other)
            if pair[0] != pair[1] and all(pair) and "abstractions" not in pair:
                graph[pair[0]].add(pair[1])
    return graph, {base + folder for folder in folders}


def floors(imports):
    """The floor of each file: one above the highest that it imports."""
    of_circle = {name: circle[0] for circle in circles(imports) for name in circle}
    known = {}

    def floor(name):
        name = of_circle.get(name, name)
        if name not in known:
            known[name] = 0
            members = [other for other, first in of_circle.items() if first == name] or [name]
            below = {of_circle.get(other, other) for member in members for other in imports[member]}
            known[name] = 1 + max((floor(other) for other in below - {name}), default=-1)
        return known[name]

    return {name: floor(name) for name in imports}


def permitted():
    """The circles that are none, as two files are one thing; each with the reason."""
    found = {}
    for line in (HERE / "circles").read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            files, _, reason = line.partition(": ")
            found[tuple(sorted(files.split()))] = reason.strip()
    return found


def check(tree, exceptions, with_list=False):
    """Prints what there is, and returns what is wrong."""
    complaints, seen = [], set()
    for root in ROOTS:
        imports = Crate(tree, root).imports
        if with_list:
            show(root, imports)
        for circle in circles(imports):
            seen.add(tuple(circle))
            if not exceptions.get(tuple(circle)):
                complaints.append("a circle of files: " + described(circle, imports))
        graph, folders = by_folder(imports, root)
        complaints += ["a circle of folders: " + described(circle, graph)
                       for circle in circles(graph) if folders & set(circle)]
        print(f"{root}: {len(imports)} files, {sum(map(len, imports.values()))} imports, "
              f"{max(floors(imports).values()) + 1} floors")
    return complaints + [f"circles: {' '.join(circle)} is none" for circle in exceptions
                         if circle not in seen]


def described(circle, graph):
    """A circle, each node with what it imports of the others."""
    return ", ".join(f"{name} ({' '.join(sorted(graph[name] & set(circle)))})" for name in circle)


def plant(tree, exceptions):
    """Plants circles, and returns those that are not found."""
    missed = []
    for name, text, expected in PLANTED:
        with tempfile.TemporaryDirectory() as copy:
            copy = pathlib.Path(copy).resolve()
            for file in tree.rglob("*.rs"):
                place = copy / file.relative_to(tree)
                if place.relative_to(copy).parts[0] != "tools":
                    place.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copy(file, place)
            with open(copy / name, "a", encoding="utf-8") as planted:
                planted.write(text + "\n")
            if not any(complaint.startswith(expected) and name.removesuffix(".rs").split("/")[0] in complaint
                       for complaint in check(copy, exceptions)):
                missed.append(f"planted and not found: {text!r} in {name}")
    return missed


def show(root, imports):
    """Prints the floors of a crate."""
    levels = floors(imports)
    for level in range(max(levels.values()) + 1):
        print(f"{root}: floor {level}")
        for name in sorted(name for name, floor in levels.items() if floor == level):
            print(f"  {name}:", *sorted(imports[name]))


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-l", "--list", action="store_true", help="show the floors")
    parser.add_argument("-t", "--try", action="store_true", dest="plant",
                        help="plant circles, which have to be found")
    parser.add_argument("tree", nargs="?", type=pathlib.Path, default=HERE.parent.parent)
    options = parser.parse_args()
    tree = options.tree.resolve()
    if options.plant:
        complaints = plant(tree, permitted())
    else:
        complaints = check(tree, permitted(), options.list)
    for complaint in complaints:
        print(f"error: {complaint}")
    sys.exit(1 if complaints else 0)


if __name__ == "__main__":
    main()
