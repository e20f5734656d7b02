# SPDX-License-Identifier: GPL-2.0
"""Begin a new world, KUnit suite or backend.

    skeleton world NAME --like OTHER    worlds/NAME.toml
    skeleton test NAME                  kunit/NAME_test.c, the suite pvops_NAME
    skeleton backend NAME               NAME-backend/, with its test and its world

A backend is the example of Documentation/kernel-developers.rst under another
name: the code is read out of that page, so that page and skeleton are the same.
It compiles, passes its test and is chosen in its world. Nothing is written if a
name is bad or a file is there already.
"""

import argparse
import pathlib
import re

from . import common
from .common import ROOT, Failure, say

PAGE = "Documentation/kernel-developers.rst"
SECTION = "Adding a backend"
# What the page's example is called.
EXAMPLE, SIGNATURE = "example", "ExampleHyper"
# As long as the name of a hypervisor in CPUID can be.
SIGNATURE_LENGTH = 12

WORLD = """\
# SPDX-License-Identifier: GPL-2.0
about = "like {like}, and what is different here"
like = "{like}"
sets = ["extra"]

# What must be true in it. What is not said here is as in {like}.
[expect]
"""

TEST = """\
// SPDX-License-Identifier: GPL-2.0
/* What the suite tests, in one sentence. */
#include <kunit/test.h>

/* What must be true, in one sentence. Otherwise: what goes wrong for a user. */
static void {name}_is_true(struct kunit *test)
{{
	KUNIT_EXPECT_TRUE(test, true);
}}

static struct kunit_case {name}_cases[] = {{
	KUNIT_CASE({name}_is_true),
	{{}}
}};

static struct kunit_suite {name}_suite = {{
	.name = "pvops_{name}",
	.test_cases = {name}_cases,
}};

kunit_test_suite({name}_suite);
"""


class Changes:
    """Files to write, all or none."""

    def __init__(self, root: pathlib.Path) -> None:
        self.root = root
        self.texts: dict[str, str] = {}

    def new(self, name: str, text: str) -> None:
        """A file that must not be there."""
        if (self.root / name).exists():
            raise Failure(f"{name}: is there already")
        self.texts[name] = text

    def _text(self, name: str) -> str:
        if name not in self.texts:
            self.texts[name] = (self.root / name).read_text(encoding="utf-8")
        return self.texts[name]

    def append(self, name: str, line: str) -> None:
        """A line at the end of a file."""
        self.texts[name] = f"{self._text(name).rstrip()}\n{line.rstrip()}\n"

    def insert(self, name: str, pattern: str, text: str, before: bool = False) -> None:
        """Text behind what matches a pattern, or before it."""
        old = self._text(name)
        found = re.search(pattern, old, re.M)
        if not found:
            raise Failure(f"{name}: no line like {pattern!r}, which shows where to insert")
        at = found.start() if before else found.end()
        self.texts[name] = old[:at] + text + old[at:]

    def add_object(self, name: str, line: str) -> None:
        """A line behind the last object of a Kbuild."""
        last = re.findall(r"^obj-.*\n", self._text(name), re.M)[-1]
        self.insert(name, rf"^{re.escape(last)}", line)

    def write(self) -> list[str]:
        """Write all; which files these are."""
        for name, text in self.texts.items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        return list(self.texts)


def checked(name: str, pattern: str, what: str) -> str:
    """A name, if it is a good one."""
    if not re.fullmatch(pattern, name):
        raise Failure(f"{name!r} is no name for a {what}: it must be like {pattern}")
    return name


def world(root: pathlib.Path, name: str, like: str) -> Changes:
    """A world that is like another one."""
    changes = Changes(root)
    checked(name, "[A-Za-z][A-Za-z0-9-]*", "world")
    if not (root / "worlds" / f"{like}.toml").is_file():
        known = sorted(path.stem for path in (root / "worlds").glob("*.toml"))
        raise Failure(f"no world {like}; there are: {' '.join(known)}")
    changes.new(f"worlds/{name}.toml", WORLD.format(like=like))
    return changes


def test(root: pathlib.Path, name: str) -> Changes:
    """A KUnit suite with one case."""
    changes = Changes(root)
    checked(name, "[a-z][a-z0-9_]*", "suite")
    suites = (root / "kunit/suites.txt").read_text(encoding="utf-8").split()
    if f"pvops_{name}" in suites:
        raise Failure(f"kunit/suites.txt: the suite pvops_{name} is there already")
    changes.new(f"kunit/{name}_test.c", TEST.format(name=name))
    changes.add_object("kunit/Kbuild", f"obj-y += {name}_test.o\n")
    changes.append("kunit/suites.txt", f"pvops_{name}")
    return changes


def example(root: pathlib.Path = ROOT) -> dict[str, str]:
    """The blocks of code in the page's example, by the file that each is for."""
    text = (root / PAGE).read_text(encoding="utf-8")
    found = re.search(rf"^{SECTION}\n=+\n(.*?)(?=^\S[^\n]*\n=+\n)", text, re.M | re.S)
    if not found:
        raise Failure(f"{PAGE}: no section {SECTION!r}")
    blocks: dict[str, str] = {}
    for before, block in re.findall(r"((?:^\S[^\n]*\n)*^\S[^\n]*::\n)\n((?:^\t[^\n]*\n|^\n)+)",
                                    found[1], re.M):
        for name in re.findall(r"``([\w./-]+)``", before):
            if "/" in name.strip("/") or name in ("Kbuild", "Kconfig"):
                blocks[name] = re.sub(r"^\t", "", block, flags=re.M).rstrip() + "\n"
                break
    return blocks


def renamed(text: str, name: str, signature: str) -> str:
    """The example under another name, with its continuation lines aligned anew."""
    lines: list[str] = []
    # Of each parenthesis that is open: its column in the example, and here.
    opened: list[tuple[int, int]] = []
    for old in text.splitlines():
        new = old.replace(SIGNATURE, signature).replace(EXAMPLE, name)
        new = new.replace(EXAMPLE.upper(), name.upper())
        new = new.replace(f"has {SIGNATURE_LENGTH} ch", f"has at most {SIGNATURE_LENGTH} ch")
        width = len(old.expandtabs()) - len(old.lstrip().expandtabs())
        for before, after in opened:
            if width == before + 1:
                new = "\t" * ((after + 1) // 8) + " " * ((after + 1) % 8) + new.lstrip()
        columns = [[number for number, char in enumerate(line.expandtabs()) if char in "()"]
                   for line in (old, new)]
        for before, after in zip(*columns):
            if old.expandtabs()[before] == "(":
                opened.append((before, after))
            elif opened:
                opened.pop()
        lines.append(new)
    return "\n".join(lines) + "\n"


def backend(root: pathlib.Path, name: str, signature: str = "") -> Changes:
    """A backend, registered, with its option, its test and its world."""
    changes = Changes(root)
    checked(name, "[a-z][a-z0-9]{1,15}", "backend")
    if re.search(rf"^(?:menu)?config PVOPS_{name.upper()}$", (root / "Kconfig").read_text(encoding="utf-8"), re.M):
        raise Failure(f"Kconfig has an option PVOPS_{name.upper()}; take another name")
    intree = root / "arch-x86-paravirt/intree.c"
    if intree.exists() and f'"{name}"' in intree.read_text(encoding="utf-8"):
        raise Failure(f"{name} is the name of guest code of Linux; take another name")
    signature = signature or f"{name.capitalize()}Hyper"[:SIGNATURE_LENGTH]
    checked(signature, "[A-Za-z0-9 .-]{4,%d}" % SIGNATURE_LENGTH, "hypervisor in CPUID")
    blocks = {where.replace(EXAMPLE, name): renamed(text, name, signature)
              for where, text in example(root).items()}

    def take(where: str) -> str:
        if where not in blocks:
            raise Failure(f"{PAGE}: no block of code for {where.replace(name, EXAMPLE)}")
        return blocks[where]

    for where in (f"{name}-backend/Kbuild", f"{name}-backend/backend.c",
                  f"kunit/{name}_test.c", f"worlds/{name}.toml"):
        changes.new(where, take(where))
    directory = f"{name}-backend"
    changes.insert("Kbuild", r"^obj-y \+= native-backend/.*\n", take("Kbuild"))
    changes.insert("Kconfig", r"^config PVOPS_KUNIT_TEST$", take("Kconfig") + "\n", before=True)
    changes.insert("include/pvops/backend.h", r"^extern [^\n]*pvops_backend_native;\n",
                   "\n" + take("include/pvops/backend.h"))
    changes.insert("arch-x86-paravirt/registry.c", r"pvops_registry\[\] __refconst = \{\n",
                   take("arch-x86-paravirt/registry.c"))
    changes.append("worlds/kernel/pvops.config", take("worlds/kernel/pvops.config"))
    changes.add_object("kunit/Kbuild", take("kunit/Kbuild"))
    changes.append("kunit/suites.txt", take("kunit/suites.txt"))
    changes.insert("tools/pvops/hooks.py", r'^PAYLOAD = \([^)]*"native-backend",',
                   f' "{directory}",')
    changes.insert("tools/pvops/floors.py", r'^    "native-backend": [^\n]*\n',
                   f'    "{directory}": "{name}_",\n')
    return changes


# What a page must say of each; tests/host/test_docs.py checks it.
NEXT = {
    "world": "say what it is (about), what must be true in it ([expect]), and describe it in "
             "Documentation/worlds.rst",
    "test": "write its cases, and describe the suite in Documentation/testing.rst",
    "backend": "describe the option in Documentation/distribution-builders.rst, the name in "
               "Documentation/kernel-parameters.rst and in patches/6.12/0007-*, the suite in "
               "Documentation/testing.rst, the world in Documentation/worlds.rst",
}


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="tools.pvops.skeleton", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=NEXT)
    parser.add_argument("name")
    parser.add_argument("--like", default="bare", help="a world to start from (default: bare)")
    parser.add_argument("--signature", default="",
                        help="what the hypervisor calls itself in CPUID, up to 12 characters")
    parser.add_argument("--root", type=pathlib.Path, default=ROOT, help="another copy of this tree")
    args = parser.parse_args()
    if args.what == "world":
        changes = world(args.root, args.name, args.like)
    elif args.what == "test":
        changes = test(args.root, args.name)
    else:
        changes = backend(args.root, args.name, args.signature)
    for name in changes.write():
        say(f"wrote {name}")
    say(f"next: {NEXT[args.what]}")


if __name__ == "__main__":
    common.command(main)
