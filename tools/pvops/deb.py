# SPDX-License-Identifier: GPL-2.0
"""Debian packages of one of our kernels, by the kernel's own bindeb-pkg.

linux-image and linux-headers of a flavour come to build/packages/FLAVOUR. They are
those of a kernel that is shipped: without the KUnit suites, with all modules.
"""

import argparse
import os
import pathlib
import shutil

from . import common, hooks, integrate, kernel, packages
from .common import Failure, say

OUT = common.BUILD / "packages"
# part of the release, so that a machine may have Debian's kernel beside this one
LOCALVERSION = "-pvops"
REVISION = "1"
# MiB for a build with all of Debian's modules, and for one of the worlds' kernels
SPACE_DEBIAN, SPACE = 12000, 2500


def _begin(name: str, out: pathlib.Path) -> None:
    """Start from what was built of the flavour already: most objects are the same."""
    source = kernel.OUT / name
    if out.exists() or not (source / ".pvops-inputs").exists():
        return
    say(f"starting from {common.shown(source)}")
    with common.whole(out) as partial:
        shutil.copytree(source, partial, symlinks=True)


def build(name: str) -> list[pathlib.Path]:
    """The packages of a flavour. A build that was interrupted goes on where it was."""
    flavour = kernel.FLAVOURS[name]
    if not flavour.patched:
        raise Failure(f"{name} is a kernel without pvops; there are packages of the others")
    packages.ensure()
    packages.install(["debhelper"])
    kernel.need_compiler(flavour)
    where = OUT / name
    out = where / "build"
    common.need_space(where, SPACE if flavour.base == "tinyconfig" else SPACE_DEBIAN, "building packages")
    with common.lock(f"tree-{flavour.tree}"):
        tree = kernel.unpacked(flavour.tree)
        say(integrate.integrate(tree))
        _begin(name, out)
        for old in where.glob("*.deb"):
            old.unlink()
        kernel.configure(tree, out, kernel.fragment_paths((*flavour.fragments, "nosuites")),
                         base=flavour.base, llvm=flavour.llvm)
        version = ".".join(map(str, hooks.kernel_version(tree)))
        environment = dict(kernel.make_environment(), DEBFULLNAME="pvops developers", DEBEMAIL="pvops@localhost",
                           DPKG_FLAGS="-d")
        common.run_logged(
            ["make", "-C", str(tree), f"O={out}", f"-j{os.cpu_count() or 1}", *kernel.compiler(flavour.llvm),
             f"LOCALVERSION={LOCALVERSION}", f"KDEB_PKGVERSION={version}-{REVISION}", "KDEB_SOURCENAME=linux-pvops",
             "KDEB_CHANGELOG_DIST=bookworm", "bindeb-pkg"],
            common.LOG / f"deb-{name}.log", what=f"building packages of {name}", count=("CC ", "AS ", "CC [M]"),
            env=environment)
    found = sorted(where.glob("linux-image-*.deb")) + sorted(where.glob("linux-headers-*.deb"))
    if len(found) < 2:
        raise Failure(f"{common.shown(where)}: linux-image or linux-headers is missing; "
                      f"see {common.shown(common.LOG)}/deb-{name}.log")
    return found


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="tools.pvops.deb", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", nargs="?", default="debian-cloud", choices=kernel.FLAVOURS)
    for path in build(parser.parse_args().name):
        say(f"{common.shown(path)}: {path.stat().st_size >> 10} KiB")
    say("install both with: apt-get install ./linux-image-... ./linux-headers-...")


if __name__ == "__main__":
    common.command(main)
