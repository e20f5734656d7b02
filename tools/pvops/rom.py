# SPDX-License-Identifier: GPL-2.0
"""Build the VMI-64 ROMs, the tool that checks them, and ROMs that must be refused.

The ROMs themselves need no kernel tree. vmi-romtool decodes instructions with
the kernel's decoder, so it is built from the unpacked tree.
"""

import argparse
import pathlib
import subprocess

from . import badrom, common, kernel
from .common import Failure, say

OUT = common.BUILD / "rom"
GOOD = ("hw", "allcall", "example")


def _make(*targets: pathlib.Path, tree: pathlib.Path | None = None) -> None:
    argv = ["make", "-s", "-C", common.ROOT / "vmi-rom", f"O={OUT}"]
    if tree:
        argv.append(f"KTREE={tree}")
    done = subprocess.run([*argv, *targets], env=kernel.make_environment(), text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    if done.returncode:
        print(done.stdout, end="")
        raise Failure(f"making {' '.join(common.shown(path) for path in targets)} failed")


def image(name: str) -> pathlib.Path:
    """The path of a ROM: hw, allcall, example, a bad one, bad/NAME, or of another version, other/NAME."""
    kind, _, bad = name.partition("/")
    with common.lock("rom"):
        if not bad and kind in GOOD:
            path = OUT / f"vmi-{name}.rom"
            _make(path)
            return path
        if kind == "bad" and bad in badrom.RUNNING:
            path = OUT / f"vmi-breaks-{badrom.RUNNING[bad]}.rom"
            _make(path)
            return path
        if kind == "bad" and bad in badrom.IMAGES:
            good = OUT / "vmi-allcall.rom"
            _make(good)
            return badrom.write(bad, good, OUT / "bad")
        if kind == "other" and bad in badrom.VERSIONS:
            good = OUT / "vmi-hw.rom"
            _make(good)
            return badrom.write(bad, good, OUT / "other")
    raise Failure(f"no ROM {name}; there are: {' '.join(names())}")


def names() -> list[str]:
    """The names of all ROMs."""
    return [*GOOD, *(f"other/{name}" for name in badrom.VERSIONS),
            *(f"bad/{name}" for name in [*badrom.IMAGES, *badrom.RUNNING])]


def _with_tree(path: pathlib.Path) -> pathlib.Path:
    tree = common.BUILD / "linux"
    # The tree appears as a whole, so no lock is needed. A kernel build holds it for long.
    if not (tree / "Makefile").exists():
        with common.lock("tree-linux"):
            tree = kernel.unpacked("linux")
    with common.lock("rom"):
        _make(path, tree=tree)
    return path


def tool() -> pathlib.Path:
    """vmi-romtool."""
    return _with_tree(OUT / "vmi-romtool")


def fuzzer(name: str) -> pathlib.Path:
    """Build a harness for libFuzzer: image or places."""
    return _with_tree(OUT / f"fuzz-{name}")


def check(*paths: pathlib.Path, options: tuple[str, ...] = ("--quiet",)) -> tuple[int, str]:
    """The exit status and the output of vmi-romtool."""
    done = subprocess.run([tool(), *options, *paths], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(prog="tools.pvops.rom", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", nargs="*", help="ROMs to build (default: the good ones, and the tool)")
    parser.add_argument("--list", action="store_true", help="list the ROMs")
    parser.add_argument("--bad", action="store_true", help="build every bad ROM too")
    args = parser.parse_args()
    if args.list:
        for name in names():
            print(f"{name}: {badrom.about(name)}" if "/" in name else name)
        return 0
    wanted = list(dict.fromkeys(args.name or (names() if args.bad else GOOD)))
    paths = [image(name) for name in wanted]
    for path in paths:
        say(f"{common.shown(path)}: {path.stat().st_size} bytes")
    good = [path for name, path in zip(wanted, paths) if "/" not in name]
    if not good:
        return 0
    status, said = check(*good)
    print(said, end="")
    return status


if __name__ == "__main__":
    common.command(main)
