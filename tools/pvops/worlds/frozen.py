# SPDX-License-Identifier: GPL-2.0
"""A machine that is written down instead of run: its command, and a bundle of its files."""

import pathlib
import re
import shlex
import shutil
import tarfile

from .. import common
from .. import kernel as kernel_builder
from .machine import Machine

# Options of QEMU whose value is a file, and those that name one in a list of properties.
_FILES = ("-kernel", "-initrd", "-option-rom")
_PROPERTIES = ("-device", "-drive", "-fw_cfg")
_FILE = re.compile(r"\b(?:rom)?file=([^,]+)")

SCRIPT = """\
#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Boots the world {world} of pvops on any machine with QEMU for x86-64 (7.2 or
# later). Everything is emulated. Arguments are added to QEMU's.

cd "$(dirname "$0")" || exit
command -v {qemu} >/dev/null || {{ echo "{qemu} is not installed" >&2; exit 127; }}
exec {command} "$@"
"""


def command(machine: Machine) -> str:
    """The command that starts the machine, for a shell."""
    return shlex.join(machine.argv())


def bundle(machine: Machine, directory: pathlib.Path) -> pathlib.Path:
    """Write a directory with all files of a machine and a script that boots it.

    The machine's scratch directory is DIRECTORY. Returns a tar archive of it.
    """
    argv = machine.argv()
    taken: dict[str, str] = {}

    def local(path: str) -> str:
        source = pathlib.Path(path)
        if path not in taken:
            name = re.sub(r"[^A-Za-z0-9._-]", "_", source.name)
            while name in taken.values() or source.parent != directory and (directory / name).exists():
                name = f"x{name}"
            if source != directory / name:
                shutil.copyfile(source, directory / name)
            taken[path] = name
        return taken[path]

    def localized(option: str, value: str) -> str:
        if option in _PROPERTIES:
            return _FILE.sub(lambda match: match[0].replace(match[1], local(match[1])), value)
        if option not in _FILES:
            return value
        if pathlib.Path(value).is_file():
            return local(value)
        # Xen's modules: a kernel with its command line, and an initramfs
        for path in (machine.kernel, kernel_builder.dom0(machine.kernel), machine.initrd, directory / "host.cpio"):
            value = value.replace(str(path).replace(",", ",,"), local(str(path))) if path.is_file() else value
        return value

    words = [localized(option, value) for option, value in zip(["", *argv], argv)]
    script = directory / "boot.sh"
    script.write_text(SCRIPT.format(world=machine.world.name, qemu=argv[0], command=shlex.join(words)),
                      encoding="utf-8")
    script.chmod(0o755)
    for left in directory.iterdir():
        if left.name not in (*taken.values(), script.name):
            shutil.rmtree(left) if left.is_dir() else left.unlink()
    archive = directory.with_name(f"{directory.name}.tar.gz")
    with common.whole(archive, common.BUILD / f"{archive.name}.partial") as partial, \
            tarfile.open(partial, "w:gz", compresslevel=1) as tar:
        tar.add(directory, directory.name)
    return archive
