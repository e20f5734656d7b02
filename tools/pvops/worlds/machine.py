# SPDX-License-Identifier: GPL-2.0
"""The base class of all kinds of machines: the outermost QEMU and its files."""

import dataclasses
import pathlib
from typing import ClassVar

from .. import userland
from ..cpio import Archive
from .description import World


def disk(path: str) -> list[str]:
    """QEMU's arguments for a disk that the machine sees as /dev/vda."""
    return ["-drive", f"file={path},if=none,id=root,format=raw", "-device", "virtio-blk-pci,drive=root"]


@dataclasses.dataclass
class Machine:
    """A machine for one run: its kernel, its initramfs, a scratch directory.

    There is a subclass for each kind of machine.
    """
    # The console of the kernel under test, and a disk there, for its command line.
    CONSOLE: ClassVar[str] = "console=ttyS0 earlyprintk=serial,ttyS0,115200"
    ROOT: ClassVar[str] = "/dev/vda"

    world: World
    kernel: pathlib.Path
    initrd: pathlib.Path
    cmdline: str
    scratch: pathlib.Path
    icount: bool
    qemu_args: list[str]
    # Further files for /guest of a host, by name: see worlds/host/kvm-init.
    host_files: dict[str, pathlib.Path]

    @classmethod
    def console(cls, world: World) -> str:
        """The console in this world, for the kernel's command line."""
        del world
        return cls.CONSOLE

    def qemu(self, *argv: object) -> list[str]:
        """The outermost QEMU, always emulation."""
        accel = "tcg" if self.icount else \
            f"tcg,thread={'single' if self.world.one_thread else 'multi'}"
        args = ["qemu-system-x86_64", "-accel", accel, "-cpu", self.world.cpu,
                "-nographic", "-nic", "none"]
        if not self.world.reboots:
            args.append("-no-reboot")
        if self.world.root_disk:
            # What is written is gone when the machine ends.
            args += [*disk(str(userland.DISKS[self.world.root_disk].path)), "-snapshot"]
        if self.icount:
            args += ["-icount", "shift=0,sleep=off"]
        return [*args, *map(str, argv), *self.world.qemu_args, *self.qemu_args]

    def host_cpus(self) -> int:
        """With -icount the host has one CPU for each CPU of the guest."""
        return self.world.cpus if self.icount else self.world.host.cpus

    def rom_args(self, paths: list[pathlib.Path], zero: pathlib.Path) -> list[object]:
        """QEMU's arguments for the ROMs; ZERO is a file of zeroes, if it is needed."""
        if self.world.rom_initrd:
            return []
        if self.world.rom_device:
            return [word for path in paths
                    for word in ("-device", f"{self.world.rom_device},romfile={path}")]
        args: list[object] = [word for path in paths for word in ("-option-rom", path)]
        if any(name.startswith("bad/") for name in self.world.roms):
            # otherwise SeaBIOS removes a ROM with a wrong checksum
            if zero.is_relative_to(self.scratch):
                zero.write_bytes(bytes(8))
            args += ["-fw_cfg", f"name=etc/optionroms-checksum,file={zero}"]
        return args

    def joined(self, bases: list[pathlib.Path], more: Archive) -> pathlib.Path:
        """Images followed by this run's files, which are compressed already."""
        path = self.scratch / "host.cpio"
        path.write_bytes(b"".join(base.read_bytes() for base in bases) + more.content(compress=False))
        return path

    def argv(self) -> list[str]:
        """The command that starts the machine."""
        raise NotImplementedError
