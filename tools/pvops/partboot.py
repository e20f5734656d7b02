# SPDX-License-Identifier: GPL-2.0
"""Build and boot each part of the series with only the parts that it needs.

A part that can be sent alone must build and run alone. patches/6.12/parts.toml
names the worlds in which a part is booted. The report of the guest comes with
part h; without it the backend is taken from the kernel log, and the KUnit suites
that the part has must pass.
"""

import argparse
import os
import pathlib
import shutil

from . import boot, common, initramfs, kernel, packages, parts, report, world
from .common import say


def configuration(tree: pathlib.Path, target: pathlib.Path) -> pathlib.Path:
    """A fragment with those options of ours that a tree has; the fragment is TARGET."""
    kconfig = tree / "arch/x86/pvops/Kconfig"
    offered = parts.entries(kconfig.read_text(encoding="utf-8")) if kconfig.exists() else []
    lines = (kernel.FRAGMENTS / "pvops.config").read_text(encoding="utf-8").splitlines()
    kept = [line for line in lines
            if not line.startswith("CONFIG_") or line[len("CONFIG_"):].partition("=")[0] in offered]
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text("\n".join(kept) + "\n")
    return target


def suites(tree: pathlib.Path) -> list[str]:
    """KUnit suites of ours that a tree has."""
    text = "".join(path.read_text(encoding="utf-8")
                   for path in sorted((tree / "arch/x86/pvops/kunit").glob("*.c")))
    return [name for name in report.wanted_suites() if f'"{name}"' in text]


def build(letter: str) -> tuple[list[str], pathlib.Path]:
    """KUnit suites and image of one part. The tree is that of another part afterwards."""
    with common.lock("parts"):
        tree, out = kernel.part_tree(letter), kernel.OUT / f"part-{letter}"
        stamp = out / ".pvops-tree"
        content = tree.with_name(f"{tree.name}.stamp").read_text()
        if not stamp.exists() or stamp.read_text() != content:
            # A file that is as in Linux again is older than what was built of it.
            shutil.rmtree(out, ignore_errors=True)
        fragment = configuration(tree, common.BUILD / f"part-{letter}.config")
        common.need_space(common.BUILD, 1500, f"building part {letter}")
        out.mkdir(parents=True, exist_ok=True)
        stamp.write_text(content)
        kernel.configure(tree, out, [*kernel.fragment_paths(("main",)), fragment])
        kernel.compile_image(tree, out)
        return suites(tree), out / kernel.IMAGE


def problems(result: world.Result, wanted: list[str]) -> list[str]:
    """What is wrong with a boot of a kernel that has the KUnit suites WANTED."""
    if not wanted:
        return result.problems
    lines = result.console.kernel
    backend = result.world.expect.backend
    found = result.problems + report.kunit_problems(result.suites, wanted)
    if not any(line.startswith(f"pvops: backend {backend}:") for line in lines):
        found.append(f"no line says that the backend is {backend}")
    return list(dict.fromkeys(found))


def check(part: parts.Part) -> list[str]:
    """Build one part and boot it in its worlds; returns the results, a line for each."""
    say(f"part {part.letter}: {part.title}")
    wanted, image = build(part.letter)
    lacks = [name for name in report.wanted_suites() if name not in wanted]
    booted = boot.boot_all([world.load(name) for name in part.worlds], [], os.cpu_count() or 1,
                           kernel=image, need_pvops=False, lacks=lacks)
    lines = [f"ok part {part.letter} builds"]
    for result in booted:
        result.problems = problems(result, wanted)
        passed = sum(len(suite.passed) for suite in result.suites.values())
        name = f"part {part.letter} in {result.world.name}"
        lines.append(f"ok {name}, {passed} KUnit cases" if result.ok else
                     f"not ok {name} - {result.problems[0]}")
        if not result.ok:
            boot.show_failure(result)
    return lines


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(prog="tools.pvops.partboot", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("letters", nargs="*", metavar="LETTER", help="parts (default: all)")
    args = parser.parse_args()
    listed = parts.read()
    for letter in args.letters:
        parts.closure(listed, letter)   # a Failure if there is no such part
    packages.ensure()
    for name in initramfs.IMAGES:
        initramfs.image(name)
    lines = []
    for part in listed:
        if not args.letters or part.letter in args.letters:
            found = check(part)
            print("\n".join(found))
            lines += found
    failed = sum(line.startswith("not ok") for line in lines)
    print(f"parts: {len(lines) - failed} passed, {failed} failed, 0 skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    common.command(main)
