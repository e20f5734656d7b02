# SPDX-License-Identifier: GPL-2.0
"""The kind direct: the kernel under test on the emulated machine itself."""

import shutil

from .. import rom
from .machine import Machine


class Direct(Machine):
    """QEMU's own emulation, without a hypervisor."""

    def argv(self) -> list[str]:
        firmware: list[object] = []
        if self.world.uefi:
            # a copy, because the firmware writes to its variables
            store = self.scratch / "vars.fd"
            shutil.copyfile("/usr/share/OVMF/OVMF_VARS_4M.fd", store)
            firmware = ["-drive", "if=pflash,format=raw,readonly=on,"
                                  "file=/usr/share/OVMF/OVMF_CODE_4M.fd",
                        "-drive", f"if=pflash,format=raw,file={store}"]
        return self.qemu("-smp", self.world.cpus, "-m", self.world.memory, *firmware,
                         *self.rom_args([rom.image(name) for name in self.world.roms],
                                        self.scratch / "zero"),
                         "-kernel", self.kernel, "-initrd", self.initrd,
                         "-append", self.cmdline)
