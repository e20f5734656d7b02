# SPDX-License-Identifier: GPL-2.0
"""Show that a patched tree with CONFIG_PVOPS off builds the unpatched tree's objects.

The unpatched tree has those of our patches that stand alone: they change Linux with
our options or without. Both trees are built with one configuration.
Every section of every object that ends up in memory is compared: name, flags,
size, bytes and relocations with the names of their symbols. A hook that adds
source lines changes line numbers, and no code. Therefore these are normalised:

 - the line field (a u16 at offset 8) of each 12-byte entry of __bug_table;
 - numbers that the compiler or a macro made part of a local name from
   __COUNTER__ or __LINE__ (`foo.12`, `__UNIQUE_ID_x123`, `__initcall__…__3_4_`);
 - immediates loaded from __LINE__ are NOT normalised: the configuration for
   this comparison has the debug options off that pass __LINE__ to functions.

Debug information, comments and notes are not compared.
"""

import argparse
import dataclasses
import json
import pathlib
import re
from collections.abc import Iterable

from . import common, hooks, kernel, objects
from .common import BUILD, REPORT, Failure
from .elf import SHF_ALLOC, Elf, Section

# Directories in which most files include the headers we patch.
TARGETS = ("mm/", "arch/x86/mm/", "arch/x86/kernel/", "arch/x86/xen/", "arch/x86/hyperv/",
           "arch/x86/entry/", "kernel/fork.o", "kernel/events/", "kernel/exit.o", "fs/exec.o",
           "fs/proc/task_mmu.o", "drivers/xen/")
# Options that pass __LINE__ to functions, or add debugging data.
QUIET = {name: "n" for name in ("DEBUG_ATOMIC_SLEEP", "PROVE_LOCKING", "LOCKDEP", "DEBUG_INFO_DWARF5",
                                "DEBUG_INFO_DWARF4", "DEBUG_INFO_DWARF_TOOLCHAIN_DEFAULT",
                                "DEBUG_INFO_BTF", "KASAN", "UBSAN")}
BUG_ENTRY = 12
_COUNTED = re.compile(r"(?<=[A-Za-z_.])\d+")


@dataclasses.dataclass
class Difference:
    """One difference between two objects."""

    name: str
    section: str
    text: str


def plain_name(name: str) -> str:
    """A symbol's name without the numbers of __COUNTER__, __LINE__ or gcc."""
    if re.match(r"__(UNIQUE_ID|initcall|addressable|already_done|func__|key|warned|ksymtab|export)", name) \
            or re.search(r"\.\d+$", name):
        return _COUNTED.sub("N", name)
    return name


def content(section: Section) -> bytes:
    """The bytes of a section, normalised."""
    if section.name == "__bug_table":
        data = bytearray(section.data)
        for start in range(0, len(data) - BUG_ENTRY + 1, BUG_ENTRY):
            data[start + 8:start + 10] = b"\0\0"
        return bytes(data)
    return section.data


def alloc(elf: Elf) -> list[Section]:
    """Sections that end up in memory."""
    return [section for section in elf.sections
            if section.flags & SHF_ALLOC and not section.name.startswith((".note", ".discard"))]


def compare(name: str, ours: Elf, base: Elf) -> list[Difference]:
    """The differences between two objects."""
    left, right = alloc(ours), alloc(base)
    names = [plain_name(section.name) for section in left], [plain_name(section.name) for section in right]
    if names[0] != names[1]:
        return [Difference(name, "sections", f"{' '.join(names[0])}; unpatched {' '.join(names[1])}")]
    found = []
    for mine, theirs in zip(left, right):
        if (mine.flags, mine.size) != (theirs.flags, theirs.size):
            found.append(Difference(name, mine.name, f"size {mine.size}, unpatched {theirs.size}"))
            continue
        if content(mine) != content(theirs):
            at = next(number for number, pair in enumerate(zip(content(mine), content(theirs)))
                      if pair[0] != pair[1])
            found.append(Difference(name, mine.name, f"bytes differ, first at {at:#x}"))
        mine_relocated = [(one.offset, one.kind, plain_name(one.symbol), one.addend)
                          for one in ours.relocations(mine)]
        theirs_relocated = [(one.offset, one.kind, plain_name(one.symbol), one.addend)
                            for one in base.relocations(theirs)]
        if mine_relocated != theirs_relocated:
            pair = next((pair for pair in zip(mine_relocated, theirs_relocated) if pair[0] != pair[1]),
                        (len(mine_relocated), len(theirs_relocated)))
            found.append(Difference(name, mine.name, f"relocations differ: {pair[0]}, unpatched {pair[1]}"))
    return found


def built(out: pathlib.Path, targets: list[str]) -> dict[str, pathlib.Path]:
    """Objects below TARGETS that are made from one source each.

    Composite objects contain the same code again. Objects of the 32-bit vDSO are
    compared as the kernel contains them, in vdso-image-32.o.
    """
    found = {}
    for path in out.rglob("*.o"):
        name = path.relative_to(out).as_posix()
        command = path.with_name(f".{path.name}.cmd")
        if not command.exists() or "/vdso32/" in name or not any(name.startswith(target) for target in targets):
            continue
        if "\nsource_" in command.read_text(errors="replace") and not name.startswith("arch/x86/boot/"):
            found[name] = path
    return found


def outermost(targets: Iterable[str]) -> list[str]:
    """The targets without those inside of a directory that is a target, too.

    Otherwise make would build that directory twice at the same time, and one of the
    two builds would read files that the other one is writing.
    """
    every = list(dict.fromkeys(targets))
    return [name for name in every
            if not any(name != top and top.endswith("/") and name.startswith(top) for top in every)]


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(prog="pvops-objcompare", description=__doc__.splitlines()[0])
    parser.add_argument("--config", type=pathlib.Path, default=BUILD / "out/main/.config")
    parser.add_argument("--tree", type=pathlib.Path, default=BUILD / "linux", help="patched source")
    parser.add_argument("--vanilla", type=pathlib.Path, help="unpatched source (default: Debian's, with the patches that stand alone)")
    parser.add_argument("targets", nargs="*", help="instead of the usual directories; hooked files are compared in any case")
    options = parser.parse_args()
    if not options.config.is_file():
        raise Failure(f"{options.config} is not there; 'make kernel' makes it")
    config = objects.change_config(options.config.read_text(), {**QUIET, "PVOPS": "n"})
    sources = hooks.hooked_files(hooks.read_series())
    # With CCACHE_BASEDIR ccache makes paths relative. They end up in __FILE__, and differ
    # between the trees. Of absolute paths -fmacro-prefix-map removes the tree's name.
    environment = {key: value for key, value in kernel.make_environment().items() if key != "CCACHE_BASEDIR"}
    pair = []
    for tree, name in ((options.tree, "objcompare-off"), (options.vanilla or kernel.fixed_tree(), "objcompare-vanilla")):
        build = objects.Objects(tree.resolve(), BUILD / "out" / name, name, environment)
        build.configure(config)
        pair.append(build)
    ours, base = pair
    if "PVOPS" in ours.config():
        raise Failure("CONFIG_PVOPS is still on; something selects it")
    differ = {name for name in set(ours.config()) ^ set(base.config()) if "PVOPS" not in name}
    if differ:
        raise Failure(f"the two configurations differ in {', '.join(sorted(differ))}")
    hooked = base.enabled(sources)
    targets = outermost([*(options.targets or TARGETS), *hooked])
    for build in pair:
        common.say(f"objcompare: building {len(targets)} directories and objects in {build.what}")
        status, said = build.make(*targets)
        if status:
            lines = said.splitlines()
            first = next((n for n, line in enumerate(lines) if "error" in line or "***" in line), len(lines) - 1)
            # the message of a command that failed is before make's own line
            raise Failure(f"{build.what} does not build: {' / '.join(lines[max(first - 1, 0):first + 1])}")
    left, right = built(ours.out, targets), built(base.out, targets)
    differences = [Difference(name, "", "only in the patched tree" if name in left else "only in the unpatched tree")
                   for name in sorted(set(left) ^ set(right))]
    for name in sorted(set(left) & set(right)):
        differences += compare(name, Elf(left[name]), Elf(right[name]))
    missing = [name for name in hooked if name not in left]
    differences += [Difference(name, "", "hooked, but was not built") for name in missing]
    bad = {one.name for one in differences}
    for one in differences:
        print(f"not ok {one.name} - {one.section} {one.text}")
    total = sorted(set(left) | set(right) | set(missing))
    for name in hooked:
        if name not in bad:
            print(f"ok {name} (hooked)")
    REPORT.mkdir(parents=True, exist_ok=True)
    (REPORT / "objcompare.json").write_text(json.dumps({
        "objects": total, "hooked": hooked,
        "differences": [dataclasses.asdict(one) for one in differences]}, indent=1) + "\n")
    print(f"objcompare: {len(total)} objects, {len(hooked)} of them hooked")
    print(f"{len(total) - len(bad)} passed, {len(bad)} failed, 0 skipped")
    return 1 if bad else 0


if __name__ == "__main__":
    common.command(main)
