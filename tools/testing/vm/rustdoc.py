#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""rustdoc.py BUILD MODULES OUT [SINCE]: documents every crate that was built in MODULES.

With SINCE those that were built after that file. MODULES may be a directory of BUILD.

The options come from the command that kbuild kept next to each object, so that
the documentation is made for the very same crate.
"""

import glob
import os
import re
import shlex
import subprocess
import sys

# Options of rustc with a value that rustdoc knows as well.
KEPT = ("-L", "--extern", "--cfg", "--check-cfg", "--edition", "--crate-name", "--target", "-A", "-W", "-D")
ATTACHED = ("-L", "-A", "-W", "-D", "-Zcrate-attr", "-Zallow-features", "-Zunstable-options",
            "--cfg=", "--check-cfg=", "--edition=", "--extern=", "--target=", "@")


def crate_arguments(command):
    """What rustdoc needs of a rustc command."""
    words = shlex.split(command)
    kept = []
    position = 0
    while position < len(words):
        word = words[position]
        if word in KEPT and position + 1 < len(words):
            kept += [word, words[position + 1]]
            position += 1
        elif word.startswith(ATTACHED) or word.endswith(".rs"):
            kept.append(word)
        position += 1
    return kept


def commands(modules, since):
    """The crates' names and rustc commands."""
    for path in sorted(glob.glob(f"{modules}/**/.*.o.cmd", recursive=True)):
        if since and os.path.getmtime(path) < os.path.getmtime(since):
            continue
        with open(path, encoding="utf-8") as file:
            match = re.match(r"savedcmd_\S+ := (.*)", file.readline())
        if match and "--crate-type rlib" in match[1] or match and "RUST_MODFILE" in match[1]:
            # Before the compiler: environment; after it: what is done with the object.
            command = re.split(r"\brustc\b|\bclippy-driver\b", match[1], maxsplit=1)[1].split(";")[0]
            yield os.path.basename(path)[1:-len(".o.cmd")], command.replace("$(pound)", "#")


def main():
    build, modules, out = sys.argv[1:4]
    since = sys.argv[4] if len(sys.argv) > 4 else None
    failed = False
    found = False
    for name, command in commands(modules, since):
        found = True
        # What Kbuild exports to the compiler.
        environment = dict(os.environ, OBJTREE=build, RUST_MODFILE=f"{modules}/{name}",
                           RUSTC_BOOTSTRAP="1",
                           VFIO_RUST_BINDINGS=f"{modules}/abstractions/bindings_generated.rs")
        arguments = ["rustdoc", "-Zunstable-options", "--sysroot=/dev/null", "--output", out,
                     # For those who work on the driver: nothing in it is for others.
                     "--document-private-items", "-Dwarnings", *crate_arguments(command)]
        # The one that make was in.
        directory = build if modules.startswith(f"{build}/") else modules
        done = subprocess.run(arguments, cwd=directory, env=environment, check=False)
        failed = failed or done.returncode != 0
        print(f"{name}: {'failed' if done.returncode else 'ok'}")
    if not found and not since:
        print("no crate was built")
        failed = True
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
