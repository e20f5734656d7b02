# SPDX-License-Identifier: GPL-2.0
"""Use a world by hand: a shell, a debugger, its command, a bundle, its memory.

    shell     a shell on the world's console
    command   print the command that would boot the world; its files stay in
              build/dryrun
    bundle    all files of the world and a script that boots them anywhere, in
              build/bundle: for a bug report
    dump      boot to the shell and write the machine's memory to build/dump
"""

import argparse
import contextlib
import dataclasses
import pathlib
import socket
import tempfile
from typing import Iterator

from . import common, initramfs, packages, userland, world
from . import kernel as kernel_builder
from .common import Failure, say
from .cpio import Archive
from .worlds import dump as dumped
from .worlds import frozen, kinds, shell
from .worlds.machine import Machine

# More would not fit beside the kernel in a guest's memory.
SHARE_LIMIT = 64 << 20


def _share(directory: pathlib.Path, where: pathlib.Path) -> pathlib.Path:
    """An initramfs image with a copy of DIRECTORY as /share."""
    if not directory.is_dir():
        raise Failure(f"{directory}: no such directory")
    size = sum(path.stat().st_size for path in directory.rglob("*") if path.is_file() and not path.is_symlink())
    if size > SHARE_LIMIT:
        raise Failure(f"{directory}: {size >> 20} MiB; a guest takes at most {SHARE_LIMIT >> 20}")
    archive = Archive()
    archive.directory("share")
    archive.tree(directory, "share")
    return archive.write(where)


def _gdb(description: world.World, image: pathlib.Path, port: int) -> list[str]:
    """QEMU's arguments for a debugger; prints what to type."""
    _outermost(description, "gdb would see its host")
    if not 0 < port < 65536:
        raise Failure(f"port {port} for gdb: a port is a number from 1 to 65535")
    with socket.socket() as probe:
        # as QEMU does: an old connection may still be in TIME_WAIT
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise Failure(f"port {port} for gdb: {error.strerror}; GDB=PORT names another") from None
    say(f"the machine will wait; in another terminal: gdb {common.shown(kernel_builder.symbols(image))} "
        f"-ex 'target remote :{port}'")
    return ["-gdb", f"tcp:127.0.0.1:{port}", "-S"]


def _outermost(description: world.World, otherwise: str) -> None:
    if description.kind not in ("direct", "xen-dom0"):
        raise Failure(f"{description.name}: the kernel under test runs in a guest of the emulated machine; "
                      f"{otherwise}")


@dataclasses.dataclass
class Request:
    """What a user wants with a world."""
    name: str
    kernel: pathlib.Path | None = None
    cmdline: str = ""
    jobs: list[str] = dataclasses.field(default_factory=list)
    jobs_image: bool = False            # the jobs are there, in /jobs
    share: pathlib.Path | None = None   # a directory that the guest has a copy of
    gdb: int = 0                        # a port for the debugger

    @contextlib.contextmanager
    def machine(self, keep: pathlib.Path | None = None) -> Iterator[Machine]:
        """The machine; its files are in KEEP, if that is given."""
        description, image = world.load(self.name), (self.kernel or world.default_kernel()).resolve()
        cmdline, arguments = self.cmdline, []
        if self.gdb:
            arguments = _gdb(description, image, self.gdb)
            # gdb knows the addresses of vmlinux only.
            cmdline = f"{cmdline} nokaslr".strip()
        cpios = [initramfs.jobs_image()] if self.jobs_image else []
        with tempfile.TemporaryDirectory(prefix="pvops-share.", dir=common.BUILD) as scratch:
            if self.share:
                cpios.append(_share(self.share, pathlib.Path(scratch) / "share.cpio"))
            with kinds.machine(description, self.jobs, image, cmdline, cpios, False,
                               arguments, keep=keep) as made:
                yield made


def enter(request: Request) -> int:
    """An interactive shell in a world; its console is this terminal or pipe."""
    request.jobs = ["shell"]
    with request.machine() as made:
        return shell.attend(made)


def write_down(request: Request, as_bundle: bool) -> None:
    """Print the command that would boot the world, or make a bundle that does."""
    directory = common.BUILD / ("bundle" if as_bundle else "dryrun") / request.name
    directory.parent.mkdir(parents=True, exist_ok=True)
    description = world.load(request.name)
    # A bundle is the world as `make boot` boots it, a command what `make run` starts.
    request.jobs = [*description.jobs, *request.jobs] if as_bundle else ["shell"]
    if as_bundle and description.root_disk:
        disk = userland.DISKS[description.root_disk]
        common.need_space(directory.parent, 3 * disk.size, f"a bundle with {disk.about}")
    with request.machine(keep=directory) as made:
        if as_bundle:
            archive = frozen.bundle(made, directory)
            say(f"{common.shown(archive)}: unpack it anywhere and run {directory.name}/boot.sh")
        else:
            print(frozen.command(made))


def dump(request: Request, run_first: str) -> None:
    """Write the memory of a world that has come to its shell."""
    description = world.load(request.name)
    if description.kind != "direct":
        raise Failure(f"{request.name}: the dump would be one of the hypervisor; "
                      "take a world without one, such as bare")
    if description.userland:
        raise Failure(f"{request.name}: a dump is taken from the initramfs's shell, which this world "
                      f"leaves; take {description.name.replace('debian-', '')}")
    request.jobs, request.cmdline = ["shell"], f"{request.cmdline} nokaslr".strip()
    path = common.BUILD / "dump" / f"{request.name}.elf"
    path.parent.mkdir(parents=True, exist_ok=True)
    common.need_space(path.parent, description.memory + 100, "a dump")
    with request.machine() as made:
        dumped.take(made, path, run_first, description.timeout)
    said = f"{common.shown(path)}: an ELF core"
    with contextlib.suppress(Failure):
        image = (request.kernel or world.default_kernel()).resolve()
        said += f"; for instance: gdb -c {common.shown(path)} {common.shown(kernel_builder.symbols(image))}"
    say(said)


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(prog="tools.pvops.use", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("world", help="a name under worlds/")
    parser.add_argument("what", choices=("shell", "command", "bundle", "dump"))
    parser.add_argument("--kernel", type=pathlib.Path, help="a bzImage (default: ours)")
    parser.add_argument("--kdir", type=pathlib.Path, help="the kernel that was built in this integrated tree")
    parser.add_argument("--cmdline", default="", help="added to the kernel's command line")
    parser.add_argument("--jobs", default="", metavar="A,B", help="bundle: jobs to run besides the world's own")
    parser.add_argument("--with-jobs", action="store_true", help="the guest jobs are there, in /jobs")
    parser.add_argument("--share", type=pathlib.Path, metavar="DIR",
                        help="a copy of that directory is in the guest, as /share")
    parser.add_argument("--gdb", type=int, nargs="?", const=1234, default=0, metavar="PORT",
                        help="wait for a debugger at that port (default: %(const)s)")
    parser.add_argument("--run", default="", metavar="COMMAND", help="dump: a command for the shell before that")
    args = parser.parse_args()
    world.load(args.world)          # check the name before a kernel is built
    args.kernel, _ = kernel_builder.given(args.kernel, args.kdir)
    packages.ensure()
    if args.kernel is None:
        kernel_builder.build()
    request = Request(args.world, args.kernel, args.cmdline, [job for job in args.jobs.split(",") if job],
                      args.with_jobs, args.share, args.gdb)
    if args.what == "shell":
        return enter(request)
    if args.what == "dump":
        dump(request, args.run)
    else:
        write_down(request, args.what == "bundle")
    return 0


if __name__ == "__main__":
    common.command(main)
