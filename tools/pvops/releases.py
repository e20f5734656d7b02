# SPDX-License-Identifier: GPL-2.0
"""Try the series on every 6.12 that the package registry has.

The kernel's stable releases change files that the series changes, too. This says
to which of them it applies, so that a packager need not try.
"""

import argparse
import contextlib
import lzma
import pathlib
import subprocess
import tarfile
import tempfile

from . import common, hooks, packages
from .common import Failure, say

PACKAGE = "linux-source-6.12"
# in the package, below usr/src
TARBALL = "linux-source-6.12.tar.xz"
TREE = "linux-source-6.12"


def versions() -> list[str]:
    """The package's versions that apt can fetch, oldest first."""
    done = subprocess.run(["apt-cache", "madison", PACKAGE], capture_output=True, text=True, check=False)
    found = [line.split("|")[1].strip() for line in done.stdout.splitlines() if line.count("|") == 2]
    if not found:
        raise Failure(f"apt knows no package {PACKAGE}; run apt-get update as root")
    return list(reversed(dict.fromkeys(found)))


def fetched(version: str) -> pathlib.Path:
    """The .deb of a version, under build/deb/cache."""
    cache = common.BUILD / "deb/cache"
    pattern = f"{PACKAGE}_{version.replace(':', '%3a')}_*.deb"
    if not list(cache.glob(pattern)):
        common.need_space(cache, 300, f"fetching {PACKAGE} {version}")
        packages.download([f"{PACKAGE}={version}"], cache, common.LOG / "releases.log", f"fetching {version}")
    found = list(cache.glob(pattern))
    if not found:
        raise Failure(f"apt fetched no {PACKAGE} {version}")
    return found[0]


def files_of(deb: pathlib.Path, wanted: set[str]) -> dict[str, bytes | None]:
    """Some files of the kernel tree in a package."""
    files: dict[str, bytes | None] = dict.fromkeys(wanted)
    common.need_space(common.BUILD, 300, f"unpacking {deb.name}")
    with tempfile.TemporaryDirectory(prefix="pvops-release.", dir=common.BUILD) as name:
        scratch = pathlib.Path(name)
        packages.extract(deb, scratch, common.LOG / "releases.log")
        with tarfile.open(scratch / "usr/src" / TARBALL) as tree:
            for member in tree:
                path = member.name.removeprefix("./").removeprefix(f"{TREE}/")
                if path in wanted and member.isfile():
                    with contextlib.closing(tree.extractfile(member)) as content:
                        files[path] = content.read()
    if files.get("Makefile") is None:
        raise Failure(f"{common.shown(deb)}: there is no {TREE}/Makefile in {TARBALL}")
    return files


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(prog="tools.pvops.releases", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("version", nargs="*", help="as apt names it (default: each that there is)")
    args = parser.parse_args()
    patches = hooks.read_series()
    wanted = {"Makefile", *hooks.hooked_files(patches)}
    failed = 0
    chosen = args.version or versions()
    for version in chosen:
        say(f"{PACKAGE} {version}")
        try:
            files = files_of(fetched(version), wanted)
            hooks.apply_all({path: files[path] for path in wanted - {"Makefile"}}, patches)
        except hooks.DoesNotApply as why:
            failed += 1
            print(f"{version}: {why}")
        except (Failure, OSError, EOFError, lzma.LZMAError, tarfile.TarError) as error:
            failed += 1
            print(f"{version}: cannot be tried: {error}")
        else:
            print(f"{version}: ok: {len(patches)} patches apply")
    print(f"{len(chosen) - failed} passed, {failed} failed, 0 skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    common.command(main)
