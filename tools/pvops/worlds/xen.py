# SPDX-License-Identifier: GPL-2.0
"""The kinds xen-dom0 and xen-domu: Xen in an emulated machine."""

import gzip
import hashlib
import json
import os
import pathlib
import random

from .. import common, initramfs, packages, rom
from .. import kernel as kernel_builder
from ..cpio import Archive
from .description import World, times
from .machine import Machine


class _Xen(Machine):
    """Xen, and a kernel that is its dom0."""
    CONSOLE = "console=hvc0 earlyprintk=xen"

    def _xen(self, kernel: pathlib.Path, vcpus: int, memory: int, cmdline: str,
             initrd: pathlib.Path) -> list[str]:
        hypervisor = self.scratch / "xen.elf"
        packed = packages.unpacked("boot/xen-*-amd64.gz")
        hypervisor.write_bytes(gzip.decompress(packed.read_bytes()))
        host = self.world.host
        # QEMU splits the list of multiboot modules at commas
        modules = ",".join(str(module).replace(",", ",,")
                           for module in (f"{kernel} {cmdline}", initrd))
        return self.qemu("-smp", self.host_cpus(), "-m", host.memory,
                         "-kernel", hypervisor, "-initrd", modules, "-append",
                         "com1=115200,8n1 console=com1 noreboot loglvl=all "
                         f"guest_loglvl=all dom0_mem={memory}M "
                         f"dom0_max_vcpus={vcpus} {host.cmdline}")


class Dom0(_Xen):
    """The kernel under test as dom0."""

    def argv(self) -> list[str]:
        return self._xen(self.kernel, self.world.cpus, self.world.memory, self.cmdline, self.initrd)


class DomU(_Xen):
    """The kernel under test as a quiet dom0 if it can be one, and again in a domain."""
    ROOT = "/dev/xvda"

    @classmethod
    def console(cls, world: World) -> str:
        # A PC with a serial port.
        return Machine.CONSOLE if world.domu_type == "hvm" else cls.CONSOLE

    def argv(self) -> list[str]:
        steps = [one for step in self.world.steps for one in times(step)]
        config = [
            'name = "guest"', f'type = "{self.world.domu_type}"',
            'kernel = "/guest/kernel"', 'ramdisk = "/guest/initrd"',
            f"memory = {self.world.memory}", f"vcpus = {self.world.cpus}",
            f"extra = '{self.cmdline}'",
            'on_poweroff = "destroy"', 'on_crash = "destroy"',
            f'on_reboot = "{"restart" if "reboot:1" in steps else "destroy"}"',
            *self.world.domu_config]
        guest = Archive()
        images = [initramfs.image("host-xen")]
        if self.world.domu_type == "hvm":
            images.append(initramfs.image("host-xen-hvm"))
            config += self._hvm(guest)
        if self.world.disk:
            config.append('disk = ["phy:/dev/loop0,xvda,w"]')
            guest.copy("guest/disk", self._disk())
        if self.world.userland:
            config.append('disk = ["phy:/dev/vda,xvda,w"]')
        if self.world.network:
            config.append('vif = ["bridge=xenbr0,mac=00:16:3e:70:76:01"]')
            guest.file("guest/network", b"")
        if steps:
            guest.file("guest/steps", (" ".join(steps) + "\n").encode())
        if self.world.save_at:
            guest.file("guest/save-at", (self.world.save_at + "\n").encode())
        guest.copy("guest/kernel", self.kernel)
        guest.copy("guest/initrd", self.initrd)
        for name, source in self.host_files.items():
            guest.copy(f"guest/{name}", source)
        guest.file("guest/domu.cfg", ("\n".join(config) + "\n").encode())
        host = self.world.host
        return self._xen(kernel_builder.dom0(self.kernel), host.dom0_cpus, host.dom0_memory,
                         "console=hvc0 panic=-1 loglevel=5 kunit.enable=0 "
                         + host.dom0_cmdline,
                         self.joined(images, guest))

    def _hvm(self, guest: Archive) -> list[str]:
        """Settings for a PC with a serial port and no display, and with ROMs on PCI devices."""
        roms = [] if self.world.rom_initrd else self.world.roms
        devices = []
        for number, name in enumerate(roms):
            guest.copy(f"guest/{number}.rom", rom.image(name))
            devices += ["-device", f"{self.world.rom_device},romfile=/guest/{number}.rom"]
        return ['serial = "pty"', 'vga = "none"', "nographic = 1", "vnc = 0",
                f"device_model_args = {json.dumps(devices)}"]

    def _disk(self) -> pathlib.Path:
        """A file system with files, and their checksums in FILES.sha256."""
        content = self.scratch / "disk"
        make = random.Random(self.world.name)
        sums = []
        for number, size in enumerate((1, 4095, 4097, 100_000, 3 << 20)):
            path = content / f"files/{number}" / str(size)
            path.parent.mkdir(parents=True)
            path.write_bytes(make.randbytes(size))
            sums.append(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  "
                        f"{path.relative_to(content)}\n")
        (content / "FILES.sha256").write_text("".join(sums), encoding="utf-8")
        (content / "remove-me").write_bytes(make.randbytes(50_000))
        image = self.scratch / "disk.ext4"
        # mkfs.ext4 is in sbin, which may not be in PATH
        env = dict(os.environ, PATH=f"{os.environ.get('PATH', '')}:/sbin:/usr/sbin")
        common.run_logged(["mkfs.ext4", "-q", "-d", content, image, f"{self.world.disk}m"],
                          self.scratch / "mkfs.log", what="making the domain's disk", env=env)
        return image
