# SPDX-License-Identifier: GPL-2.0
"""The kind kvm: QEMU/KVM, inside an emulated machine with SVM."""

import pathlib
import shlex

from .. import initramfs, packages, rom
from ..cpio import Archive
from .machine import Machine, disk


class Kvm(Machine):
    """A host kernel whose initramfs starts QEMU on the kernel under test."""

    def argv(self) -> list[str]:
        host = self.world.host
        guest = Archive()
        roms = []
        for number, name in enumerate(self.world.roms):
            roms.append(pathlib.Path(f"/guest/{number}.rom"))
            guest.copy(f"guest/{number}.rom", rom.image(name))
        inner = ["qemu-system-x86_64", "-accel", "kvm", "-cpu", "host",
                 "-smp", self.world.cpus, "-m", self.world.memory,
                 "-nographic", "-no-reboot", "-nodefaults", "-serial", "stdio",
                 "-kernel", "/guest/kernel", "-initrd", "/guest/initrd",
                 "-append", self.cmdline, *self.rom_args(roms, pathlib.Path("/guest/zero")),
                 *self.world.guest_qemu_args]
        if self.world.root_disk:
            inner += disk("/dev/vda")
        if "count" in self.host_files:
            inner += ["-chardev", "pipe,id=count,path=/tmp/count",
                      "-device", "isa-serial,chardev=count"]
        load_modules = "\n".join([
            "insmod /modules/irqbypass.ko", "insmod /modules/kvm.ko",
            f"insmod /modules/kvm-amd.ko {host.module_args}",
            *(["insmod /modules/virtio_blk.ko"] if self.world.root_disk else [])]) + "\n"
        guest.copy("guest/kernel", self.kernel)
        guest.copy("guest/initrd", self.initrd)
        guest.file("guest/zero", bytes(8))
        guest.file("guest/load", load_modules.encode())
        guest.file("guest/run", f"exec {shlex.join(map(str, inner))}\n".encode())
        if not self.icount:
            # With -icount QEMU has one thread and loses no interrupt.
            guest.file("guest/second-clock", b"")
        for name, source in self.host_files.items():
            guest.copy(f"guest/{name}", source)
        return self.qemu("-smp", self.host_cpus(), "-m", host.memory,
                         "-kernel", packages.unpacked("boot/vmlinuz-6.12.*-cloud-amd64"),
                         "-initrd", self.joined([initramfs.image("host-kvm")], guest),
                         "-append", f"console=ttyS0 panic=-1 quiet {host.cmdline}")
