# SPDX-License-Identifier: GPL-2.0
"""The Debian packages that tools/packages.txt names: install or unpack them."""

import argparse
import os
import pathlib
import re
import shutil
import subprocess
import tempfile

from . import common
from .common import Failure, say

LIST = common.ROOT / "tools" / "packages.txt"
DEB = common.BUILD / "deb"
DEB_ROOT = DEB / "root"


def listed() -> dict[str, list[str]]:
    """The names under each verb of the list."""
    names: dict[str, list[str]] = {"install": [], "unpack": []}
    for number, line in enumerate(LIST.read_text(encoding="utf-8").splitlines(), 1):
        words = line.split("#")[0].split()
        if not words:
            continue
        if len(words) != 2 or words[0] not in names:
            raise Failure(f"{LIST.name}:{number}: not `install NAME` or `unpack NAME`")
        names[words[0]].append(words[1])
    return names


def missing(names: list[str]) -> list[str]:
    """The packages that are not installed, according to dpkg."""
    try:
        query = subprocess.run(
            ["dpkg-query", "-W", "-f", "${Package} ${db:Status-Status}\\n", *names],
            capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise Failure("dpkg-query not found: the tools need a Debian 12 system") from None
    installed = {line.split()[0] for line in query.stdout.splitlines()
                 if line.endswith(" installed")}
    return [name for name in names if name not in installed]


def install(names: list[str]) -> None:
    """Install missing packages; without root, a Failure with the command to type."""
    absent = missing(names)
    if not absent:
        return
    argv = ["apt-get", "install", "-y", "--no-install-recommends", *absent]
    if os.geteuid():
        raise Failure(f"missing packages: {' '.join(absent)}; "
                      f"as root: apt-get install {' '.join(absent)}")
    say(f"installing {' '.join(absent)}")
    log = common.LOG / "packages.log"
    env = dict(os.environ, DEBIAN_FRONTEND="noninteractive")
    try:
        common.run_logged(argv, log, what="apt-get install", env=env)
    except Failure:
        # A new system has no package lists, and those of an old system may be outdated.
        # One list that cannot be fetched need not matter, and is in the log if it does.
        common.run_logged(["sh", "-c", 'apt-get update && exec "$@"', "sh", *argv], log,
                          what="apt-get install", env=env)


def _newest(pattern: str) -> str:
    """The newest package whose name matches `*` in a pattern."""
    listing = subprocess.run(["apt-cache", "pkgnames", pattern.split("*")[0]],
                             capture_output=True, text=True, check=False)
    wanted = re.compile(re.escape(pattern).replace(r"\*", "[0-9.-]*"))
    found = [name for name in listing.stdout.split() if wanted.fullmatch(name)]
    if not found:
        raise Failure(f"apt knows no package {pattern}; run apt-get update as root")
    return max(found, key=lambda name: [int(n) for n in re.findall(r"\d+", name)])


def download(names: list[str], cache: pathlib.Path, log: pathlib.Path, what: str) -> None:
    """Put packages (NAME or NAME=VERSION) into a directory, all of them or none."""
    cache.mkdir(parents=True, exist_ok=True)
    # apt gives an unfinished file its last name
    with tempfile.TemporaryDirectory(prefix="pvops-download.", dir=cache) as scratch:
        # apt of root changes to a user that may not write here
        common.run_logged(["apt-get", "-o", "APT::Sandbox::User=root", "download", *names], log,
                          what=what, cwd=pathlib.Path(scratch))
        for deb in pathlib.Path(scratch).glob("*.deb"):
            deb.replace(cache / deb.name)


def extract(deb: pathlib.Path, where: pathlib.Path, log: pathlib.Path) -> None:
    """Unpack a package without installing it."""
    try:
        common.run_logged(["dpkg", "-x", deb, where], log, what=f"unpacking {deb.name}")
    except Failure as failure:
        read = subprocess.run(["dpkg-deb", "--fsys-tarfile", deb], stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL, check=False)
        if not read.returncode:
            raise
        raise Failure(f"{failure}; {common.shown(deb)} is damaged: remove it and try again") from None


def unpack(patterns: list[str]) -> None:
    """Download and unpack under build/deb, without installing."""
    stamp = DEB / "unpacked"
    want = "\n".join(patterns) + "\n"
    if stamp.exists() and stamp.read_text(encoding="utf-8") == want:
        return
    common.need_space(DEB, 600, "unpacking Xen and a host kernel")
    names = [_newest(p) if "*" in p else p for p in patterns]
    cache, log = DEB / "cache", common.LOG / "packages.log"
    fetch = [name for name in names if not list(cache.glob(f"{name}_*.deb"))]
    if fetch:
        say(f"downloading {len(fetch)} packages for the guests")
        download(fetch, cache, log, "apt-get download")
    with common.whole(DEB_ROOT) as partial:
        for name in names:
            for deb in cache.glob(f"{name}_*.deb"):
                extract(deb, partial, log)
        shutil.rmtree(DEB_ROOT, ignore_errors=True)
    stamp.write_text(want, encoding="utf-8")


def unpacked(pattern: str) -> pathlib.Path:
    """The one unpacked file that matches, newest by name."""
    found = sorted(DEB_ROOT.glob(pattern))
    if not found:
        raise Failure(f"{common.shown(DEB_ROOT)}/{pattern}: not there; "
                      f"remove {common.shown(DEB)} and try again")
    return found[-1]


def ensure() -> None:
    """Install or unpack all packages of tools/packages.txt."""
    names = listed()
    install(names["install"])
    with common.lock("deb"):
        unpack(names["unpack"])


def main() -> None:
    """Command line."""
    argparse.ArgumentParser(prog="tools.pvops.packages", description=__doc__).parse_args()
    ensure()


if __name__ == "__main__":
    common.command(main)
