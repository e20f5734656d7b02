# SPDX-License-Identifier: GPL-2.0
"""A machine that is written down instead of run: its command, and a bundle of its files."""

import pathlib
import re
import shlex
import shutil
import tarfile

from .. import common
from .machine import Machine

# Options of QEMU whose values name files.
_FILES = ("-kernel", "-initrd", "-option-rom", "-device", "-drive", "-fw_cfg", "-bios")
_PATH = re.compile(r"/[^\s,]+")

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

    def local(match: re.Match) -> str:
        source = pathlib.Path(match[0])
        if not source.is_file():
            return match[0]
        if match[0] not in taken:
            name = source.name
            while name in taken.values() or source.parent != directory and (directory / name).exists():
                name = f"x{name}"
            if source.parent != directory:
                shutil.copyfile(source, directory / name)
            taken[match[0]] = name
        return taken[match[0]]

    words = [_PATH.sub(local, word) if before in _FILES else word
             for before, word in zip(["", *argv], argv)]
    script = directory / "boot.sh"
    script.write_text(SCRIPT.format(world=machine.world.name, qemu=argv[0], command=shlex.join(words)),
                      encoding="utf-8")
    script.chmod(0o755)
    for left in directory.iterdir():
        if left.name not in (*taken.values(), script.name):
            shutil.rmtree(left) if left.is_dir() else left.unlink()
    archive = directory.with_name(f"{directory.name}.tar.gz")
    partial = common.BUILD / f"{archive.name}.partial"
    with tarfile.open(partial, "w:gz", compresslevel=1) as tar:
        tar.add(directory, directory.name)
    partial.replace(archive)
    return archive
