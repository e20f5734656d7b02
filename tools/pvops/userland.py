# SPDX-License-Identifier: GPL-2.0
"""The root file system of the worlds debian-*: Debian 12 with systemd, on a disk.

mmdebstrap makes the system from the package registry, once. What it has is in
worlds/userland. The machine that uses it gets a disk that forgets what is written,
so one image serves all worlds.
"""

import argparse
import os
import pathlib
import shutil
import subprocess

from . import common, packages
from .common import Failure, say

OUT = common.BUILD / "userland"
IMAGE = OUT / "debian.ext4"
STAMP = OUT / "debian.inputs"
SOURCE = common.ROOT / "worlds/userland"
SUITE = "bookworm"
# MiB: the system, and room for a package
SIZE = 640
# For packages that write the date into files.
EPOCH = "1767225600"
UUID = "70766f70-7364-6562-6961-6e0000000012"
PASSWORD = "pvops"
# installed by the checks and removed again; no other package needs it
SPARE = "hello"


def _bootstrap(root: pathlib.Path) -> None:
    """Debian in a directory. Its mounts and processes are in namespaces of their own and vanish with them."""
    without = [f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in ("doc", "man", "locale", "info")]
    common.run_logged(
        ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc",
         "mmdebstrap", "--mode=root", "--variant=minbase", "--format=directory",
         f"--include={','.join(common.names_in(SOURCE / 'packages.txt'))}", '--aptopt=Acquire::Languages "none"', *without,
         # while apt still has its lists
         f'--customize-hook=chroot "$1" sh -c "cd /root && apt-get -q download {SPARE}"',
         SUITE, root],
        common.LOG / "userland.log", what="making Debian's root file system",
        env=dict(os.environ, SOURCE_DATE_EPOCH=EPOCH, DEBIAN_FRONTEND="noninteractive"))


def _configure(root: pathlib.Path) -> None:
    """What an installer would ask for, and the checks."""
    (root / "etc/hostname").write_text("debian\n")
    (root / "etc/fstab").write_text("# the kernel's command line names the root file system\n")
    subprocess.run(["chroot", root, "chpasswd"], input=f"root:{PASSWORD}\n", text=True, check=True)
    # a pager would wait for a key
    (root / "etc/profile.d/pvops.sh").write_text("export SYSTEMD_PAGER=cat\n")
    # what a person types at the console, for the check of a login
    (root / "root/login").write_text("cat /proc/self/cgroup\nexit\n")
    shutil.copy(SOURCE / "pvops-check", root / "usr/local/sbin/pvops-check")
    (root / "usr/local/sbin/pvops-check").chmod(0o755)
    shutil.copy(SOURCE / "pvops-check.service", root / "etc/systemd/system/pvops-check.service")
    subprocess.run(["chroot", root, "systemctl", "-q", "enable", "pvops-check.service"], check=True)


def _wanted() -> str:
    """What the disk is made of, in a few letters."""
    return common.digest_of([SOURCE, pathlib.Path(__file__)])


def _made_of(want: str) -> bool:
    """Is the disk there, and made of this?"""
    return IMAGE.exists() and STAMP.exists() and STAMP.read_text() == want


def possible() -> bool:
    """Can this user have the disk?"""
    return not os.geteuid() or _made_of(_wanted())


def image() -> pathlib.Path:
    """The disk; it is made again if its description has changed."""
    want = _wanted()
    if _made_of(want):
        return IMAGE
    if os.geteuid():
        raise Failure("Debian's root file system is made by root only; once it is there, anyone can use it")
    with common.lock("userland"):
        if _made_of(want):
            return IMAGE
        packages.ensure()
        common.need_space(OUT, 3 * SIZE, "making Debian's root file system")
        say(f"making Debian's root file system in {common.shown(OUT)}")
        root, partial = OUT / "root.partial", OUT / "debian.partial"
        try:
            shutil.rmtree(root, ignore_errors=True)
            _bootstrap(root)
            _configure(root)
            partial.unlink(missing_ok=True)
            common.run_logged(
                ["mkfs.ext4", "-q", "-F", "-U", UUID, "-E", f"hash_seed={UUID},root_owner=0:0", "-d", root,
                 partial, f"{SIZE}m"],
                common.LOG / "userland-mkfs.log", what="making the disk",
                env=dict(os.environ, PATH=f"{os.environ.get('PATH', '')}:/sbin:/usr/sbin",
                         SOURCE_DATE_EPOCH=EPOCH, E2FSPROGS_FAKE_TIME=EPOCH))
            partial.replace(IMAGE)
            STAMP.write_text(want)
        except subprocess.CalledProcessError as error:
            raise Failure(f"making Debian's root file system: {error}") from None
        finally:
            shutil.rmtree(root, ignore_errors=True)
            partial.unlink(missing_ok=True)
    return IMAGE


def main() -> None:
    """Command line."""
    argparse.ArgumentParser(prog="tools.pvops.userland", description=__doc__,
                            formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    path = image()
    say(f"{common.shown(path)}: {path.stat().st_size >> 20} MiB, {path.stat().st_blocks >> 11} of them used")


if __name__ == "__main__":
    common.command(main)
