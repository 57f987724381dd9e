# SPDX-License-Identifier: GPL-2.0
"""Files that list others, while only some of those are there.

The root of a crate, a file that only declares modules, Kbuild and Kconfig grow with the patches
of a series: each has what there is so far, so that every patch builds what it adds. Nothing
here knows such a file by its name.
"""

import pathlib
import posixpath
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "testing"))

# pylint: disable=wrong-import-position
import imports  # noqa: E402

ROOT = re.compile(r'#!\[crate_name = "(\w+)"\]')
ATTRIBUTE = re.compile(r"#!?\[[^]]*\]")
DECLARATION = re.compile(r"(\s*)(?:pub(?:\([^)]*\))? )?mod (\w+)\s*([;{])")
# What stands in front of a module, and goes with it.
BEFORE = re.compile(r"\s*(?:#\[|///)")
PATH = re.compile(r'#\[path = "([^"]+)"\]')
INCLUDE = re.compile(r'(?m)^#include [<"]([^">]+)[">]')
OBJECT = re.compile(r"(?:\b[A-Z]+FLAGS_|\$\(obj\)/|(?<![\w/]))([a-z][\w/-]*)\.o\b")
OBJECTS = re.compile(r"(?:obj-\S+|[\w-]+-y) *[:+]?= *(?=\S+\.o\b)")
OPTION = re.compile(r"\bCONFIG_(\w+)")
# What a module says of itself, which that of a single driver says with it.
METADATA = re.compile(r"(?ms)^(?:module!|\w+::module_driver!\([^{]*) ?\{\n    type: [\w:]+,\n(.*?)^\}")

STUB = """use kernel::prelude::*;

/// The module: all it does so far is to be there.
struct Module;

impl kernel::Module for Module {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        Ok(Self)
    }
}

module! {
    type: Module,
"""
UNUSED = """// What uses the rest, and some of what comments lead to, comes with patches that follow.
#![allow(
    dead_code,
    rustdoc::broken_intra_doc_links,
    unreachable_pub,
    unused_imports
)]
"""


def is_root(text):
    """Whether this is the root of a crate."""
    return bool(ROOT.search(text))


def is_list(text):
    """Whether a Rust file is a crate's root, or does little but declare modules."""
    code = ATTRIBUTE.sub("", imports.COMMENT.sub("", text))
    rest = re.sub(r"(?:pub(?:\([^)]*\))? )?mod \w+\s*[;{]", "", code)
    # It may offer modules of another crate as well.
    others = re.sub(r"pub(?:\([^)]*\))? use \w+(?:::\w+)*;", "", rest)
    return is_root(text) or rest != code and not others.replace("}", "").strip()


class Modules:
    """The module declarations of a file, as far as the modules are there."""

    def __init__(self, place, present):
        self.place = place
        self.present = present
        self.missing = False

    def chunks(self, lines, folder):
        """The lines that are left, each declaration with what belongs to it; and if it is one."""
        before, lines = [], iter(lines)
        for line in lines:
            match = DECLARATION.match(line)
            if BEFORE.match(line):
                before.append(line)
                continue
            if not match:
                yield False, before + [line]
            elif match[3] == ";":
                if self.has(before, folder / f"{match[2]}.rs"):
                    yield True, before + [line]
            else:
                inner = []
                while (one := next(lines)) != match[1] + "}":
                    inner.append(one)
                inner = list(self.chunks(inner, folder / match[2]))
                if any(is_module for is_module, _ in inner):
                    yield True, before + [line, *joined(inner), match[1] + "}"]
            before = []
        yield False, before

    def has(self, before, file):
        """Whether the file of a declaration is there."""
        paths = [found[1] for found in map(PATH.search, before) if found]
        if paths:
            file = self.place / paths[0]
        there = posixpath.normpath(file) in self.present
        self.missing = self.missing or not there
        return there


def joined(chunks):
    """The lines of some chunks."""
    return [line for _, lines in chunks for line in lines]


def rust(text, place, folder, present):
    """A list with the modules that are there, or a root; None if there are none.

    The rest of a root, which brings its modules together, comes with the last of them.
    """
    modules = Modules(place, present)
    chunks = list(modules.chunks(text.splitlines(), folder))
    declarations = joined(chunk for chunk in chunks if chunk[0])
    if not modules.missing:
        return text
    if not declarations:
        return None
    if not is_root(text):
        return "\n".join(joined(chunks)) + "\n"
    title, rest = text.split("\n\n#![", 1)
    title = title.split("\n//!\n")[0]
    attributes = "#![" + rest.split("\n\n")[0]
    metadata = METADATA.search(text)[1]
    return f"{title}\n\n{attributes}\n{UNUSED}\n" + "\n".join(declarations) + \
        f"\n\n{STUB}{metadata}}}\n"


def source_of(name, present):
    """Whether there is what an object is made of."""
    return f"{name}.c" in present or f"{name}.rs" in present


def kbuild(text, present):
    """Kbuild as far as there is what it names.

    Of lines with objects the objects that can be made are left. Other paragraphs are there if all
    objects are that they name.
    """
    composite = {}
    for name, objects in re.findall(r"(?m)^([\w-]+)-y := ((?:.*\\\n)*.*)", text):
        composite[name] = any(source_of(one, present) for one in OBJECT.findall(objects))

    def is_there(name):
        return composite[name] if name in composite else source_of(name, present)

    left = []
    for paragraph in re.split(r"\n{2,}", text.rstrip("\n")):
        lines, whole = [], True
        for line in re.findall(r"(?:.*\\\n)*.+", paragraph):
            match = OBJECTS.match(line)
            if match:
                words = line[match.end():].replace("\\\n", " ").split()
                kept = [word for word in words if is_there(word.removesuffix(".o"))]
                if kept == words:
                    lines.append(line)
                elif kept:
                    lines.append(line[:match.end()] + " ".join(kept))
            else:
                whole = whole and (line.startswith("#") or all(map(is_there, OBJECT.findall(line))))
                lines.append(line)
        if whole and any(not line.startswith("#") for line in lines) or paragraph.startswith("# SPDX"):
            left.append("\n".join(lines))
    return "\n\n".join(left) + "\n"


def options_in(texts):
    """The options that these sources ask for."""
    return {name for text in texts for name in OPTION.findall(text)}


class Options:
    """The options of a Kconfig file; all but the first are those of a menu."""

    def __init__(self, text):
        self.head, body = re.fullmatch(r"(?s)(.*?\nif \w+\n)\n(.*)\n\nendif\n", text).groups()
        self.parts = {}
        comment = ""
        for part in re.split(r"(?m)^(?=config )|(?<=\n\n)(?=#)", body):
            name = re.match(r"config (\w+)", part)
            if name:
                self.parts[name[1]] = comment + part.rstrip("\n")
            comment = "" if name else part

    def needs(self, name):
        """Which others an option cannot be without."""
        conditions = re.findall(r"(?m)^\t(?:depends on|def_(?:bool|tristate)) (.*)", self.parts[name])
        return set(re.findall(r"\w+", " ".join(conditions))) & set(self.parts)

    def wanted(self, asked, ever):
        """Those that sources ask for, and of those that no source ever does what depends on them."""
        found, more = set(), True
        while more:
            more = {name for name in self.parts if name not in found and self.needs(name) <= found
                    and (name in asked or name not in ever and self.needs(name))}
            found |= more
        return found

    def text(self, wanted):
        """Kconfig with these."""
        parts = [self.head, *(part for name, part in self.parts.items() if name in wanted)]
        text = "\n\n".join(part.rstrip("\n") for part in parts + ["endif"]) + "\n"
        for name in set(self.parts) - wanted:
            text = re.sub(rf"\tselect {name}\b.*\n", "", text)
        return text
