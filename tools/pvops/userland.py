# SPDX-License-Identifier: GPL-2.0
"""Disks with Debian 12 for worlds and benchmarks.

mmdebstrap makes a system from the package registry, once. The machine that uses a disk
forgets what is written there, so one image serves all.

    debian      with systemd, for the worlds debian-* (worlds/userland)
    services    servers, compilers and languages, for `make bench STEPS=services`
                (worlds/services)
"""

import argparse
import dataclasses
import os
import pathlib
import shutil
import subprocess

from . import common, packages
from .common import Failure, say

OUT = common.BUILD / "userland"
SUITE = "bookworm"
# For packages that write the date into files.
EPOCH = "1767225600"
PASSWORD = "pvops"
# installed by the checks and removed again; no other package needs it
SPARE = "hello"


@dataclasses.dataclass(frozen=True)
class Disk:
    """A disk and what it is made of."""
    name: str
    about: str                          # in messages
    source: pathlib.Path
    size: int                           # MiB: the system, and room for a package
    uuid: str
    without: tuple[str, ...] = ()       # files that no guest reads

    @property
    def path(self) -> pathlib.Path:
        """The image."""
        return OUT / f"{self.name}.ext4"

    @property
    def stamp(self) -> pathlib.Path:
        """What the image was made of, in a few letters."""
        return OUT / f"{self.name}.inputs"

    def wanted(self) -> str:
        """What the image should be made of, in a few letters."""
        return common.digest_of([self.source, pathlib.Path(__file__)])

    def made_of(self, want: str) -> bool:
        """Is the image there, and made of this?"""
        return self.path.exists() and self.stamp.exists() and self.stamp.read_text() == want


DISKS = {disk.name: disk for disk in (
    Disk("debian", "Debian's root file system", common.ROOT / "worlds/userland", 640,
         "70766f70-7364-6562-6961-6e0000000012"),
    Disk("services", "the disk with services", common.ROOT / "worlds/services", 2048,
         "70766f70-7364-6562-6961-6e0000000013", ("/usr/lib/jvm/*/jmods/*",)))}


def _bootstrap(disk: Disk, root: pathlib.Path) -> None:
    """Debian in a directory. Its mounts and processes are in namespaces of their own and vanish with them."""
    excluded = [f"/usr/share/{name}/*" for name in ("doc", "man", "locale", "info")]
    prepare = disk.source / "prepare"
    common.run_logged(
        ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc",
         "mmdebstrap", "--mode=root", "--variant=minbase", "--format=directory",
         f"--include={','.join(common.names_in(disk.source / 'packages.txt'))}",
         '--aptopt=Acquire::Languages "none"',
         *(f"--dpkgopt=path-exclude={name}" for name in (*excluded, *disk.without)),
         # a package of OpenJDK puts links there, and its installation ends if it cannot
         '--essential-hook=mkdir -p "$1/usr/share/man/man1"',
         # while apt still has its lists
         f'--customize-hook=chroot "$1" sh -c "cd /root && apt-get -q download {SPARE}"',
         *([f'--customize-hook=chroot "$1" sh -s <"{prepare}"'] if prepare.exists() else []),
         SUITE, root],
        common.LOG / f"userland-{disk.name}.log", what=f"making {disk.about}",
        env=dict(os.environ, SOURCE_DATE_EPOCH=EPOCH, DEBIAN_FRONTEND="noninteractive"))


def _configure(disk: Disk, root: pathlib.Path) -> None:
    """What an installer would ask for, and the checks of a system with systemd."""
    (root / "etc/hostname").write_text("debian\n")
    (root / "etc/fstab").write_text("# the kernel's command line names the root file system\n")
    if not (disk.source / "pvops-check").exists():
        return
    subprocess.run(["chroot", root, "chpasswd"], input=f"root:{PASSWORD}\n", text=True, check=True)
    # a pager would wait for a key
    (root / "etc/profile.d/pvops.sh").write_text("export SYSTEMD_PAGER=cat\n")
    # what a person types at the console, for the check of a login
    (root / "root/login").write_text("cat /proc/self/cgroup\nexit\n")
    shutil.copy(disk.source / "pvops-check", root / "usr/local/sbin/pvops-check")
    (root / "usr/local/sbin/pvops-check").chmod(0o755)
    shutil.copy(disk.source / "pvops-check.service", root / "etc/systemd/system/pvops-check.service")
    subprocess.run(["chroot", root, "systemctl", "-q", "enable", "pvops-check.service"], check=True)


def possible(name: str = "debian") -> bool:
    """Can this user have the disk?"""
    return not os.geteuid() or DISKS[name].made_of(DISKS[name].wanted())


def image(name: str = "debian") -> pathlib.Path:
    """The disk; it is made again if its description has changed."""
    disk = DISKS[name]
    want = disk.wanted()
    if disk.made_of(want):
        return disk.path
    if os.geteuid():
        raise Failure(f"{disk.about} is made by root only; once it is there, anyone can use it")
    with common.lock("userland"):
        if disk.made_of(want):
            return disk.path
        packages.ensure()
        common.need_space(OUT, 3 * disk.size, f"making {disk.about}")
        say(f"making {disk.about} in {common.shown(OUT)}")
        root, partial = OUT / "root.partial", OUT / f"{name}.partial"
        try:
            shutil.rmtree(root, ignore_errors=True)
            _bootstrap(disk, root)
            _configure(disk, root)
            partial.unlink(missing_ok=True)
            common.run_logged(
                ["mkfs.ext4", "-q", "-F", "-U", disk.uuid, "-E", f"hash_seed={disk.uuid},root_owner=0:0", "-d", root,
                 partial, f"{disk.size}m"],
                common.LOG / f"userland-{name}-mkfs.log", what="making the disk",
                env=dict(os.environ, PATH=f"{os.environ.get('PATH', '')}:/sbin:/usr/sbin",
                         SOURCE_DATE_EPOCH=EPOCH, E2FSPROGS_FAKE_TIME=EPOCH))
            partial.replace(disk.path)
            disk.stamp.write_text(want)
        except subprocess.CalledProcessError as error:
            raise Failure(f"making {disk.about}: {error}") from None
        finally:
            shutil.rmtree(root, ignore_errors=True)
            partial.unlink(missing_ok=True)
    return disk.path


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="tools.pvops.userland", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("disk", nargs="?", default="debian", choices=DISKS, help="default: %(default)s")
    path = image(parser.parse_args().disk)
    say(f"{common.shown(path)}: {path.stat().st_size >> 20} MiB, {path.stat().st_blocks >> 11} of them used")


if __name__ == "__main__":
    common.command(main)
