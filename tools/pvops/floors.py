# SPDX-License-Identifier: GPL-2.0
"""Files as floors: each uses only files below it.

    python3 -m tools.pvops.floors            what the sources say
    python3 -m tools.pvops.floors --objects  what the objects of build/out/main say

A file uses another one if it needs a symbol that the other defines (C), if it
includes it (headers), or if it imports it (Python). Where files use each other
in a circle, none of them can be read, tested or changed alone. In a directory
of the kernel, Kbuild lists the files in reading order, one on a line: each
uses only those listed before it.
"""

import argparse
import ast
import pathlib
import re
import subprocess
import tempfile
from typing import Iterable, Mapping

from . import common, csource, jobfiles, kernel
from .common import ROOT, Failure

# Directories whose Kbuild lists files in reading order, and what begins the names
# of static functions and variables there: a backtrace shows names and no directories.
KERNEL_DIRECTORIES = {
    "arch-x86-paravirt": "pvops_",
    "native-backend": "pvops_",
    "hypercall-backend": "hc_",
    "vmi-backend": "vmi_",
}
# Where headers of ours are.
HEADER_DIRECTORIES = (*KERNEL_DIRECTORIES, "include", "kunit", "vmi-rom", "bench/guest",
                      "tests/guest/src")
# Where the objects of a kernel are, below its output directory.
BUILT = "arch/x86/pvops"

# user -> file that it uses -> why: symbols, or nothing where that is clear
Uses = dict[str, dict[str, set[str]]]


def circles(uses: Uses) -> list[list[str]]:
    """Files that use each other, directly or not: each such group, sorted."""
    reach: dict[str, set[str]] = {}
    for start in uses:
        seen: set[str] = set()
        todo = list(uses[start])
        while todo:
            name = todo.pop()
            if name not in seen:
                seen.add(name)
                todo += uses.get(name, {})
        reach[start] = seen
    groups = {tuple(sorted(other for other in reach[name] if name in reach.get(other, ())))
              for name in uses if name in reach[name]}
    return [list(group) for group in sorted(groups)]


def described(group: list[str], uses: Uses) -> list[str]:
    """A circle, file by file, with what makes it."""
    lines = [f"{len(group)} files use each other in a circle: {' '.join(group)}"]
    for name in group:
        for other in group:
            if other in uses[name] and other != name:
                why = " ".join(sorted(uses[name][other]))
                lines.append(f"    {name} uses {other}{': ' if why else ''}{why}")
    return lines


def problems(uses: Uses) -> list[str]:
    """Each circle as one text of several lines."""
    return ["\n".join(described(group, uses)) for group in circles(uses)]


# ---- who uses whom


def of_symbols(defined: Mapping[str, set[str]], used: Mapping[str, set[str]]) -> Uses:
    """Who uses whom, from the names that each file defines and uses."""
    where = {symbol: name for name, symbols in defined.items() for symbol in symbols}
    uses: Uses = {name: {} for name in defined}
    for name, symbols in used.items():
        for symbol in symbols - defined[name]:
            if symbol in where:
                uses[name].setdefault(where[symbol], set()).add(symbol)
    return uses


def sources_of(directory: str, root: pathlib.Path = ROOT) -> list[str]:
    """The C and assembly files of a directory, from the root of the tree."""
    return sorted(path.relative_to(root).as_posix() for path in (root / directory).iterdir()
                  if path.suffix in (".c", ".S"))


def of_sources(directories: Iterable[str], root: pathlib.Path = ROOT) -> Uses:
    """Who uses whom in directories of the kernel, from the sources."""
    read = csource.read([name for directory in directories
                         for name in sources_of(directory, root)], root)
    return of_symbols({name: source.globals for name, source in read.items()},
                      {name: source.uses for name, source in read.items()})


def of_objects(objects: Mapping[str, pathlib.Path]) -> Uses:
    """The same from objects, by the names to show for them."""
    defined: dict[str, set[str]] = {}
    used: dict[str, set[str]] = {}
    for name, path in objects.items():
        done = subprocess.run(["nm", "-g", "-f", "posix", path], capture_output=True, text=True,
                              check=True)
        defined[name], used[name] = set(), set()
        for line in done.stdout.splitlines():
            symbol, kind = line.split()[:2]
            (used if kind in "Uw" else defined)[name].add(csource.plain(symbol))
    return of_symbols(defined, used)


def of_headers(directories: Iterable[str], root: pathlib.Path = ROOT) -> Uses:
    """Which headers of ours include which."""
    headers = [path for directory in directories
               for path in sorted((root / directory).rglob("*.h"))]
    return {path.relative_to(root).as_posix():
            {other.relative_to(root).as_posix(): set() for other in csource.includes(path, root)}
            for path in headers}


def of_python(package: pathlib.Path = pathlib.Path(__file__).parent) -> Uses:
    """Which modules of a package import which, also from inside of functions."""
    modules = {".".join(path.relative_to(package).with_suffix("").parts): path
               for path in sorted(package.rglob("*.py"))}
    modules = {name.removesuffix("__init__").rstrip("."): path for name, path in modules.items()}
    uses: Uses = {}
    for name, path in modules.items():
        here = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
        found = uses.setdefault(name or "__init__", {})
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.ImportFrom) or not node.level:
                continue
            place = here[:len(here) - (node.level - 1)]
            place = [part for part in place if part] + (node.module or "").split(".")
            base = ".".join(part for part in place if part)
            for alias in node.names:
                inner = f"{base}.{alias.name}".lstrip(".")
                target = inner if inner in modules else base
                if target in modules and target not in ("", name):
                    found.setdefault(target, set())
    return uses


# ---- Kbuild


def kbuild_order(directory: str, root: pathlib.Path = ROOT) -> tuple[list[str], list[str]]:
    """The objects of a Kbuild in its order, and the lines that list more than one."""
    text = (root / directory / "Kbuild").read_text(encoding="utf-8").replace("\\\n", " ")
    order: list[str] = []
    crowded: list[str] = []
    for line in text.splitlines():
        if match := re.match(r"obj-\S+\s*[+:]?=\s*([^#]*)", line):
            listed = [word for word in match[1].split() if word.endswith(".o")]
            order += listed
            if len(listed) > 1:
                crowded.append(match[0].strip())
    return order, crowded


def kbuild_problems(directory: str, uses: Uses, root: pathlib.Path = ROOT) -> list[str]:
    """Where a Kbuild is no list of floors, bottom first."""
    order, crowded = kbuild_order(directory, root)
    found = [f"{directory}/Kbuild: more than one object on a line: {line}" for line in crowded]
    floor = {f"{directory}/{name.removesuffix('.o')}": number
             for number, name in enumerate(order)}
    for name in sources_of(directory, root):
        if name.rsplit(".", 1)[0] not in floor:
            found.append(f"{directory}/Kbuild: {name} is not listed")
    for name, used in sorted(uses.items()):
        for other, symbols in sorted(used.items()):
            mine, its = floor.get(name.rsplit(".", 1)[0]), floor.get(other.rsplit(".", 1)[0])
            if mine is not None and its is not None and its > mine:
                found.append(f"{directory}/Kbuild: {name} uses {other}, which is listed "
                             f"after it: {' '.join(sorted(symbols))}")
    return found


def kernel_problems(uses: Uses, root: pathlib.Path = ROOT) -> list[str]:
    """Circles in the kernel's directories, and Kbuilds in another order."""
    return problems(uses) + [problem for directory in KERNEL_DIRECTORIES
                             for problem in kbuild_problems(directory, uses, root)]


# ---- objects


def kernel_objects(out: pathlib.Path) -> dict[str, pathlib.Path]:
    """The objects that a kernel was built with, by the names of their sources."""
    found = {}
    for directory in KERNEL_DIRECTORIES:
        for name in sources_of(directory):
            path = out / BUILT / directory / f"{pathlib.PurePosixPath(name).stem}.o"
            if path.is_file():
                found[name] = path
    if not found:
        raise Failure(f"{common.shown(out)}: no objects of ours; 'make kernel' makes them")
    return found


def program_directories(root: pathlib.Path = ROOT) -> list[str]:
    """Directories of programs of several files, whose objects take seconds to make."""
    parts = sorted(path.relative_to(root).as_posix()
                   for path in (root / "tests/guest/src").iterdir() if path.is_dir())
    return ["bench/guest", "vmi-rom", *parts]


def program_objects(directory: str, scratch: pathlib.Path) -> dict[str, pathlib.Path]:
    """The objects of a directory of programs, compiled into a directory."""
    if directory == "vmi-rom":
        roms = ["vmi-allcall", "vmi-example"]
        command = ["make", "-s", "-C", ROOT / directory, f"O={scratch}",
                   *(scratch / f"{name}.elf" for name in roms)]
        made = {f"{directory}/{path.name}": scratch / roms[path.stem == "example"] / f"{path.stem}.o"
                for path in sorted((ROOT / directory).glob("*.[cS]")) if path.stem != "romtool"}
    else:
        sources = sorted((ROOT / directory).glob("*.c"))
        command = ["sh", "-c", 'cd "$1"; shift; exec gcc "$@"', "sh", scratch, "-c",
                   *jobfiles.CFLAGS, "-I", jobfiles.GUEST / "src", *sources]
        made = {f"{directory}/{path.name}": scratch / f"{path.stem}.o" for path in sources}
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise Failure(f"{directory} does not compile:\n{done.stderr.rstrip()}")
    return made


def everything(out: pathlib.Path | None = None) -> list[str]:
    """All problems; of the kernel's directories by the objects in OUT, if given."""
    found = problems(of_python()) + problems(of_headers(HEADER_DIRECTORIES))
    found += kernel_problems(of_objects(kernel_objects(out)) if out
                             else of_sources(KERNEL_DIRECTORIES))
    for directory in program_directories():
        with tempfile.TemporaryDirectory(prefix="pvops-floors.") as scratch:
            found += problems(of_objects(program_objects(directory, pathlib.Path(scratch))))
    return found


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(prog="tools.pvops.floors", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--objects", nargs="?", type=pathlib.Path, const=kernel.OUT / "main",
                        metavar="OUT", help="look at the objects of a build, not at sources")
    found = everything(parser.parse_args().objects)
    print("\n".join(found) or "every file uses only files below it")
    return 1 if found else 0


if __name__ == "__main__":
    common.command(main)
