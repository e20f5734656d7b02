# SPDX-License-Identifier: GPL-2.0
"""A page that lists every test with one sentence about it.

    python3 -m tools.pvops.testindex            write build/test-index.rst
    python3 -m tools.pvops.testindex --print    print it

The sentences are read from the tests: the comment above a KUnit case and at the
top of a file with cases, the comment at the top of a guest job, `about` of a
world and of a stage, the docstrings of host tests. tests/host fails if one of
them is missing.
"""

import argparse
import ast
import dataclasses
import pathlib
import re
from typing import Iterator

from . import common, suite, world
from .common import ROOT, Failure, say

PAGE = common.BUILD / "test-index.rst"
# Where guest jobs are: in every world, in domains with devices, the kernel's own
# selftests, benchmarks.
JOB_PLACES = ("tests/guest/jobs", "tests/guest/domain/jobs", "tests/guest/kselftests/jobs",
              "bench/jobs")
# Where Python tests are, each a stage of `make test`.
PYTHON_PLACES = ("tests/host", "tests/tree")


@dataclasses.dataclass
class Test:
    """One line of the page."""
    name: str
    about: str          # one sentence; empty if the test has none


@dataclasses.dataclass
class Group:
    """Tests under one heading."""
    title: str
    about: str
    tests: list[Test]


def sentence(text: str) -> str:
    """The first sentence of a comment, on one line, without the name of a file."""
    words = re.split(r"(?<=[.!?])(?<!\.\.\.)(?<!e\.g\.)(?<!i\.e\.)\s", " ".join(text.split()))[0]
    words = re.sub(r"\s*\([\w.*-]+/[\w/.*-]+\)(?=[.:]?$)", "", words)
    return words.rstrip(".:").strip()


def _comment(text: str) -> str:
    """What a C comment says, without its stars."""
    return " ".join(line.strip().removeprefix("/*").removesuffix("*/").lstrip("* ").strip()
                    for line in text.splitlines()).strip()


# ---- KUnit


def kunit(root: pathlib.Path = ROOT) -> list[Group]:
    """The suites, with the cases in the order in which they run."""
    texts = {path: path.read_text(encoding="utf-8")
             for path in sorted((root / "kunit").glob("*.[ch]"))}
    everything = "\n".join(texts.values())
    prefixes = {macro: prefix for macro, prefix in re.findall(
        r"#define (\w+)\(\w+\)\s+\w+CASE\w*\((\w+),", everything)}
    groups = []
    for path, text in texts.items():
        head = re.search(r"\A// SPDX.*\n(/\*(?:[^*]|\*(?!/))*\*/)", text)
        for body in re.findall(r"struct kunit_suite \w+ = \{(.*?)\n\};", text, re.S):
            name = re.search(r'\.name = "(\w+)"', body)
            cases = re.search(r"\.test_cases = (\w+)", body)
            if not name or not cases:
                raise Failure(f"{path.name}: a suite without name or cases")
            listed = re.search(rf"struct kunit_case \S*\s?{cases[1]}\[\] = \{{(.*?)\n\}};",
                               text, re.S)
            if not listed:
                raise Failure(f"{path.name}: no array {cases[1]} of cases")
            tests = [Test(case, _above(prefixes.get(macro, "") + case, everything))
                     for macro, case in re.findall(r"\b(\w*CASE\w*)\((\w+)", listed[1])]
            groups.append(Group(name[1], sentence(_comment(head[1])) if head else "", tests))
    return groups


def _above(function: str, text: str) -> str:
    """What the comment above the definition of a function says, in one sentence."""
    found = re.search(rf"(/\*(?:[^*]|\*(?!/))*\*/)\n[^\n/*;{{}}]*\b{function}\(struct kunit", text)
    return sentence(_comment(found[1])) if found else ""


# ---- everything else


def jobs(root: pathlib.Path = ROOT) -> list[Group]:
    """The guest jobs, by where they are."""
    groups = []
    for place in JOB_PLACES:
        tests = []
        for path in sorted((root / place).iterdir()):
            lines = path.read_text(encoding="utf-8").splitlines()
            text = []
            for line in lines[1:]:
                if not line.startswith("#") or (line == "#" and text):
                    break
                if "SPDX-License-Identifier" not in line and line != "#":
                    text.append(line.lstrip("# \t"))
            about = sentence("\n".join(text)).removeprefix(f"{path.name}: ")
            tests.append(Test(path.name, about))
        groups.append(Group(place, "", tests))
    return groups


def worlds() -> Group:
    """The machines to boot in."""
    loaded = [world.load(name) for name in world.names()]
    return Group("worlds/", "", [Test(one.name, sentence(one.about)) for one in loaded])


def stages(path: pathlib.Path = suite.STAGES) -> Group:
    """What `make test` and `make test-all` run."""
    return Group(common.shown(path), "", [Test(stage.name, sentence(stage.about))
                                          for stage in suite.load(path)[0]])


def python(root: pathlib.Path = ROOT) -> list[Group]:
    """The host tests: a group for each class."""
    groups = []
    for place in PYTHON_PLACES:
        for path in sorted((root / place).glob("test_*.py")):
            for node in ast.parse(path.read_text(encoding="utf-8")).body:
                if not isinstance(node, ast.ClassDef):
                    continue
                tests = [Test(part.name, sentence(ast.get_docstring(part) or ""))
                         for part in node.body if isinstance(part, ast.FunctionDef)
                         and part.name.startswith("test_")]
                if tests:
                    name = f"{place}/{path.name}: {node.name}"
                    groups.append(Group(name, sentence(ast.get_docstring(node) or ""), tests))
    return groups


def sections() -> Iterator[tuple[str, list[Group]]]:
    """All of the page: headings and what is below each."""
    yield "Stages of make test and make test-all", [stages()]
    yield "Worlds", [worlds()]
    yield "KUnit suites", kunit()
    yield "Guest jobs", jobs()
    yield "Tests of the tools", python()


def undescribed(groups: list[Group], need_groups: bool) -> list[str]:
    """Tests that say nothing about themselves; with NEED_GROUPS groups, too."""
    found = [f"{group.title}: no description" for group in groups
             if need_groups and not group.about]
    return found + [f"{group.title}: {test.name}: no description"
                    for group in groups for test in group.tests if not test.about]


def page() -> str:
    """The page, in reStructuredText."""
    lines = [".. SPDX-License-Identifier: GPL-2.0", "", ".. Made by `make test-index`.", "",
             "=============", "List of tests", "=============", ""]
    for title, groups in sections():
        count = sum(len(group.tests) for group in groups)
        lines += ["", f"{title} ({count})", "=" * len(f"{title} ({count})"), ""]
        for group in groups:
            if len(groups) > 1:
                lines += [f"{group.title}", "-" * len(group.title), ""]
            if group.about:
                lines += [f"{_plain(group.about)}.", ""]
            for test in group.tests:
                lines += [f"``{test.name}``", f"\t{_plain(test.about) or '(no description)'}", ""]
    return "\n".join(lines)


def _plain(text: str) -> str:
    """Text in which nothing is markup but what stands in `backquotes`."""
    parts = re.split(r"`([^`]+)`", text)
    parts[::2] = [re.sub(r"([\\*_|`])", r"\\\1", part) for part in parts[::2]]
    parts[1::2] = [f"``{part}``" for part in parts[1::2]]
    return "".join(parts)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="tools.pvops.testindex", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--print", action="store_true", help="print the page")
    if parser.parse_args().print:
        print(page())
        return
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    PAGE.write_text(page(), encoding="utf-8")
    say(f"{common.shown(PAGE)} lists "
        f"{sum(len(group.tests) for _, groups in sections() for group in groups)} tests")


if __name__ == "__main__":
    common.command(main)
