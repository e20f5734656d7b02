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


# Mounts and processes of their own vanish with them.
NAMESPACES = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]


def _bootstrap(disk: Disk, root: pathlib.Path) -> None:
    """Debian in a directory."""
    excluded = [f"/usr/share/{name}/*" for name in ("doc", "man", "locale", "info")]
    prepare = disk.source / "prepare"
    common.run_logged(
        [*NAMESPACES, "mmdebstrap", "--mode=root", "--variant=minbase", "--format=directory",
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
    # Without reserved memory for a crash kernel the service would fail.
    kdump = root / "etc/systemd/system/kdump-tools.service.d"
    kdump.mkdir()
    (kdump / "pvops.conf").write_text("[Unit]\nConditionKernelCommandLine=crashkernel\n")
    # a pager would wait for a key
    (root / "etc/profile.d/pvops.sh").write_text("export SYSTEMD_PAGER=cat\n")
    # what a person types at the console, for the check of a login
    (root / "root/login").write_text("cat /proc/self/cgroup\nexit\n")
    shutil.copy(disk.source / "pvops-check", root / "usr/local/sbin/pvops-check")
    (root / "usr/local/sbin/pvops-check").chmod(0o755)
    shutil.copy(disk.source / "pvops-check.service", root / "etc/systemd/system/pvops-check.service")
    script = f"echo root:{PASSWORD} | chpasswd && systemctl -q enable pvops-check.service"
    common.run_logged(["chroot", root, "sh", "-c", script],
                      common.LOG / f"userland-{disk.name}-configure.log", what=f"configuring {disk.about}")


def obstacle(name: str = "debian") -> str:
    """Why this user cannot have the disk here: what goes on after its name. Empty if there is no reason.

    Neither a loop device nor a user namespace is needed. Root in a container may lack
    what namespaces and mounts need (CAP_SYS_ADMIN), and a limit of 0 namespaces is
    reported as ENOSPC, as if a disk were full.
    """
    if DISKS[name].made_of(DISKS[name].wanted()):
        return ""
    if os.geteuid():
        return "is made by root only"
    tried = subprocess.run([*NAMESPACES, "true"], capture_output=True, text=True, check=False)
    return f"needs mounts of its own and a PID namespace, and this machine refuses: {tried.stderr.strip()}" \
        if tried.returncode else ""


def image(name: str = "debian") -> pathlib.Path:
    """The disk; it is made again if its description has changed."""
    disk = DISKS[name]
    want = disk.wanted()
    if disk.made_of(want):
        return disk.path
    if why_not := obstacle(name):
        raise Failure(f"{disk.about} {why_not}; once it is there, anyone can use it")
    with common.lock("userland"):
        if disk.made_of(want):
            return disk.path
        packages.ensure()
        common.need_space(OUT, 3 * disk.size, f"making {disk.about}")
        say(f"making {disk.about} in {common.shown(OUT)}")
        with common.whole(disk.stamp) as stamp, common.whole(disk.path) as partial, \
                common.scratch(OUT / "root.partial") as root:
            stamp.write_text(want)
            _bootstrap(disk, root)
            _configure(disk, root)
            common.run_logged(
                ["mkfs.ext4", "-q", "-F", "-U", disk.uuid, "-E", f"hash_seed={disk.uuid},root_owner=0:0", "-d", root,
                 partial, f"{disk.size}m"],
                common.LOG / f"userland-{name}-mkfs.log", what="making the disk",
                env=dict(os.environ, PATH=f"{os.environ.get('PATH', '')}:/sbin:/usr/sbin",
                         SOURCE_DATE_EPOCH=EPOCH, E2FSPROGS_FAKE_TIME=EPOCH))
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
