# SPDX-License-Identifier: GPL-2.0
"""A machine of the right kind, ready to start: its initramfs, command line, scratch."""

import contextlib
import gzip
import os
import pathlib
import shutil
import tempfile
from typing import Iterable, Iterator

from .. import common, initramfs, outside, rom, rompack, userland
from .. import kernel as kernel_builder
from ..common import Failure
from ..cpio import Archive
from .description import World
from .direct import Direct
from .kvm import Kvm
from .machine import Machine
from .xen import Dom0, DomU

# By the names in description.KINDS.
KINDS: dict[str, type[Machine]] = {"direct": Direct, "kvm": Kvm, "xen-dom0": Dom0,
                                   "xen-domu": DomU}
# Jobs that start the kernel again from the guest: for them the kernel and the guest's
# initramfs are in the guest, under /boot. On a disk with Debian the job is a word.
BOOTING_JOBS = ("kexec", "kdump", "pvops.kdump")
# Jobs that load modules: for them modules are in the guest, under /lib/modules.
# These are the kernel's own, or those from outside of its tree.
MODULE_JOBS = {"tracers": kernel_builder.modules, "modules": outside.modules}


def _cmdline(kind: type[Machine], world: World, jobs: list[str], extra: str) -> str:
    words = [kind.console(world), "panic=-1 ignore_loglevel", world.cmdline, extra]
    login = world.userland and jobs == ["shell"]
    if jobs and not login:
        words.append(f"pvops.jobs={','.join(jobs)}")
    if world.userland:
        words.append(f"pvops.root={kind.ROOT}")
    if world.userland and not login:
        # A getty hangs the console up, and what the checks print would be lost.
        words += [f"systemd.mask=serial-getty@{tty}.service" for tty in ("ttyS0", "hvc0")]
    return " ".join(word for word in words if word)


@contextlib.contextmanager
def machine(world: World, jobs: list[str], kernel: pathlib.Path, extra: str,
            cpios: Iterable[pathlib.Path], icount: bool, qemu_args: list[str],
            host_files: dict[str, pathlib.Path] | None = None,
            keep: pathlib.Path | None = None) -> Iterator[Machine]:
    """A machine that is ready to start; its scratch directory is removed afterwards.

    With KEEP that directory is used as scratch directory, and stays.
    """
    if not kernel.is_file():
        raise Failure(f"{common.shown(kernel)}: no such kernel image")
    if world.root_disk:
        userland.image(world.root_disk)
    with _scratch(world.name, keep) as scratch:
        parts = [initramfs.image("guest"), *cpios]
        parts += initramfs.job_images(jobs)
        initrd = scratch / "initrd"
        content = [part.read_bytes() for part in parts]
        if world.rom_initrd:
            content[:0] = [rompack.archive(rom.image(name).read_bytes()) for name in world.roms]
        if set(BOOTING_JOBS) & {*jobs, *world.cmdline.split()}:
            second = Archive()
            second.copy("boot/kernel", kernel)
            second.file("boot/initrd", b"".join(content))
            content.append(second.content(compress=False))
        if wanted := set(MODULE_JOBS) & set(jobs):
            loadable = Archive()
            for job in sorted(wanted):
                for module in MODULE_JOBS[job](kernel.resolve()):
                    loadable.copy(f"lib/modules/{module.name}", module)
            content.append(loadable.content(compress=False))
        if world.kind == "xen-domu":
            # libxl decompresses a ramdisk itself, and only a single gzip stream
            content = [_unzipped(part) for part in content]
        initrd.write_bytes(b"".join(content))
        kind = KINDS[world.kind]
        yield kind(world, kernel.resolve(), initrd, _cmdline(kind, world, jobs, extra),
                   scratch, icount, qemu_args, host_files or {})


@contextlib.contextmanager
def _scratch(name: str, keep: pathlib.Path | None) -> Iterator[pathlib.Path]:
    root = keep or common.BUILD / "run"
    common.need_space(root, 300, f"booting {name}")
    if keep:
        shutil.rmtree(keep)
        keep.mkdir()
        yield keep
        return
    _remove_stale(root)
    with tempfile.TemporaryDirectory(prefix=f"{name}.{os.getpid()}.", dir=root) as scratch:
        yield pathlib.Path(scratch)


def _remove_stale(scratch_root: pathlib.Path) -> None:
    """Remove directories of runs that were killed; their names have the pid."""
    for path in scratch_root.glob("*.*.*"):
        pid = path.name.split(".")[1]
        if pid.isdigit() and not os.path.exists(f"/proc/{pid}"):
            shutil.rmtree(path, ignore_errors=True)


def _unzipped(packed: bytes) -> bytes:
    return gzip.decompress(packed) if packed.startswith(b"\x1f\x8b") else packed
