# SPDX-License-Identifier: GPL-2.0
"""The initramfs images: of the guest, of the guest jobs, and of the nested hosts."""

import argparse
import lzma
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
from typing import Callable

from . import common, jobfiles, packages
from .common import Failure
from .cpio import Archive

OUT = common.BUILD / "initramfs"
WORLDS = common.ROOT / "worlds"
HOST_LIBRARIES = "lib/host"
# What the load `tar` packs: text that changes rarely.
LOAD_SOURCE = ("patches", "kunit", "arch-x86-paravirt", "include")
XEN_TOOLS = ("xl", "xenstored", "xen-init-dom0", "xenconsoled", "xenconsole",
             "libxl-save-helper", "xentrace")
# Files that QEMU opens for a PC with a serial port and no display.
FIRMWARE = {
    "/usr/share/seabios/bios-256k.bin": "usr/share/seabios/bios-256k.bin",
    "/usr/share/seabios/vgabios-stdvga.bin": "usr/share/seabios/vgabios-stdvga.bin",
    "/usr/share/qemu/kvmvapic.bin": "usr/share/qemu/kvmvapic.bin",
    "/usr/share/qemu/linuxboot.bin": "usr/share/qemu/linuxboot.bin",
    "/usr/share/qemu/linuxboot_dma.bin": "usr/share/qemu/linuxboot_dma.bin",
}


def _tool(name: str) -> pathlib.Path:
    found = shutil.which(name)
    if not found:
        raise Failure(f"{name} not found; run python3 -m tools.pvops.packages")
    return pathlib.Path(found)


def _busybox(archive: Archive) -> None:
    """busybox, all its names, and the mount points an init needs."""
    busybox = _tool("busybox")
    archive.copy("bin/busybox", busybox)
    names = subprocess.run([busybox, "--list"], capture_output=True, text=True,
                           check=True).stdout.split()
    for name in names:
        archive.link(f"bin/{name}", "busybox")
    for name in ("proc", "sys", "dev", "tmp", "run", "root", "var", "etc", "sbin",
                 "usr/bin", "usr/sbin"):
        archive.directory(name)
    # the kernel opens it for /init, before any file system is mounted
    archive.device("dev/console", 5, 1)
    archive.file("etc/passwd", b"root:x:0:0:root:/root:/bin/sh\n"
                               b"nobody:x:65534:65534:nobody:/:/bin/false\n")
    archive.file("etc/group", b"root:x:0:\nnogroup:x:65534:\n")


def _libraries(archive: Archive, programs: list[pathlib.Path],
               extra: tuple[str, ...] = ()) -> None:
    """The shared libraries that ldd names, and the dynamic loader."""
    where = packages.DEB_ROOT / "usr/lib/x86_64-linux-gnu"
    env = dict(os.environ, LC_ALL="C", LD_LIBRARY_PATH=str(where))
    todo, seen = list(programs), set()
    for name in extra:
        todo.append(pathlib.Path(f"/lib/x86_64-linux-gnu/{name}"))
        archive.copy(f"{HOST_LIBRARIES}/{name}", todo[-1])
    for program in todo:
        listing = subprocess.run(["ldd", program], capture_output=True, text=True,
                                 env=env, check=False).stdout
        for line in listing.splitlines():
            if "not found" in line:
                raise Failure(f"{program.name} needs {line.split()[0]}: name its "
                              f"package in {common.shown(packages.LIST)}")
            match = re.search(r"(?:(\S+) => )?(/\S+) \(0x", line)
            if not match or match[2] in seen:
                continue
            seen.add(match[2])
            if match[1]:
                archive.copy(f"{HOST_LIBRARIES}/{match[1]}", pathlib.Path(match[2]))
            else:
                archive.copy(match[2], pathlib.Path(match[2]), 0o755)


def _guest(archive: Archive) -> None:
    _busybox(archive)
    archive.copy("init", WORLDS / "guest/init", 0o755)
    # the kernel runs these when a toolstack asks it to power off or reboot
    for name in ("poweroff", "reboot"):
        archive.copy(f"sbin/{name}", WORLDS / "guest/stop", 0o755)


def _firmware(archive: Archive) -> None:
    for source, name in FIRMWARE.items():
        if not os.path.exists(source):
            raise Failure(f"{source}: not there; is qemu-system-x86 installed?")
        archive.copy(name, pathlib.Path(source))


def _host_kvm(archive: Archive) -> None:
    _busybox(archive)
    archive.copy("init", WORLDS / "host/kvm-init", 0o755)
    qemu = _tool("qemu-system-x86_64")
    archive.copy("usr/bin/qemu-system-x86_64", qemu)
    _libraries(archive, [qemu])
    _firmware(archive)
    for module in ("virt/lib/irqbypass", "arch/x86/kvm/kvm", "arch/x86/kvm/kvm-amd",
                   "drivers/block/virtio_blk"):
        # busybox's insmod cannot decompress
        source = packages.unpacked(f"lib/modules/6.12.*/kernel/{module}.ko.xz")
        archive.file(f"modules/{source.stem}", lzma.decompress(source.read_bytes()))


def _host_xen(archive: Archive) -> None:
    _busybox(archive)
    archive.copy("init", WORLDS / "host/xen-init", 0o755)
    tools = packages.DEB_ROOT / "usr/lib/xen-4.17/bin"
    programs = []
    for name in XEN_TOOLS:
        programs.append(tools / name)
        if not programs[-1].exists():
            raise Failure(f"{common.shown(programs[-1])}: not there; "
                          f"remove {common.shown(packages.DEB)} and try again")
        archive.copy(f"bin/{name}", programs[-1], 0o755)
        # libxl looks for its helpers where Debian installs them
        archive.link(f"usr/lib/xen-4.17/bin/{name}", f"/bin/{name}")
    # libxl runs these scripts for a domain's devices
    for name in ("block", "vif-bridge"):
        archive.copy(f"etc/xen/scripts/{name}", WORLDS / "host/xen-device", 0o755)
    archive.copy("xen-steps", WORLDS / "host/xen-steps")
    for name in ("xenstore-read", "xenstore-write"):
        programs.append(packages.DEB_ROOT / "usr/bin" / name)
        archive.copy(f"bin/{name}", programs[-1], 0o755)
    programs.append(_tool("e2fsck"))
    archive.copy("bin/e2fsck", programs[-1], 0o755)
    # pthread_cancel() opens libgcc_s when it is called, so ldd does not show it
    _libraries(archive, programs, ("libgcc_s.so.1",))


def _host_xen_hvm(archive: Archive) -> None:
    """What an HVM domain needs in dom0: firmware and a device model, where libxl looks for them."""
    name = "usr/libexec/xen-qemu-system-i386"
    qemu = packages.DEB_ROOT / name
    archive.copy(name, qemu, 0o755)
    _libraries(archive, [qemu])
    loader = "usr/lib/xen-4.17/boot/hvmloader"
    archive.copy(loader, packages.DEB_ROOT / loader)
    _firmware(archive)
    # libxl always passes -vnc
    keys = "usr/share/qemu/keymaps/en-us"
    archive.copy(keys, pathlib.Path("/", keys))


def _domain(archive: Archive) -> None:
    """The jobs of a domain with devices."""
    with tempfile.TemporaryDirectory() as directory:
        jobfiles.fill_domain(pathlib.Path(directory))
        archive.tree(pathlib.Path(directory))


def _kselftests(archive: Archive) -> None:
    """The kernel's selftests that are not x86's own: only for the worlds that run them."""
    with tempfile.TemporaryDirectory() as directory:
        jobfiles.fill_generic(pathlib.Path(directory))
        archive.tree(pathlib.Path(directory))


def _bench(archive: Archive) -> None:
    """The benchmark program, what it executes, and the job that runs it."""
    with tempfile.TemporaryDirectory() as directory:
        jobfiles.fill_bench(pathlib.Path(directory))
        archive.tree(pathlib.Path(directory))


def _bench_xen(archive: Archive) -> None:
    """The tool that records the crossings of a dom0."""
    tracer = packages.DEB_ROOT / "usr/lib/xen-4.17/bin/xentrace"
    archive.copy("bin/xentrace", tracer, 0o755)
    _libraries(archive, [tracer], ("libgcc_s.so.1",))


def _bench_loads(archive: Archive) -> None:
    """Programs for real loads, and parts of this tree as sources to pack."""
    programs = {"hackbench": packages.DEB_ROOT / "usr/bin/hackbench",
                "stress-ng": _tool("stress-ng")}
    for name, program in programs.items():
        archive.copy(f"bin/{name}", program, 0o755)
    _libraries(archive, list(programs.values()), ("libgcc_s.so.1",))
    for name in LOAD_SOURCE:
        archive.tree(common.ROOT / name, f"src/{name}")


IMAGES: dict[str, tuple[Callable[[Archive], None], tuple[str, ...]]] = {
    "guest": (_guest, ("worlds/guest",)),
    "host-kvm": (_host_kvm, ("worlds/host/kvm-init",)),
    "host-xen": (_host_xen, ("worlds/host/xen-init", "worlds/host/xen-device",
                             "worlds/host/xen-steps")),
    "host-xen-hvm": (_host_xen_hvm, ()),
    "domain": (_domain, ("tests/guest/domain", "tests/guest/src/check.h",
                         "tests/guest/src/memory.h", "tools/pvops/jobfiles.py")),
    "kselftests": (_kselftests, ("tests/guest/kselftests", "tests/guest/selftest.sh",
                                 "tools/pvops/jobfiles.py")),
    "bench": (_bench, ("bench/guest", "bench/jobs", "tests/guest/src/check.h",
                       "tests/guest/src/tiny.c", "tools/pvops/jobfiles.py")),
    "bench-xen": (_bench_xen, ()),
    "bench-loads": (_bench_loads, LOAD_SOURCE),
}


def _versions() -> str:
    """A text that changes with the programs that go into images."""
    stamps = [packages.DEB / "unpacked"]
    stamps += [pathlib.Path(p) for n in ("busybox", "qemu-system-x86_64")
               if (p := shutil.which(n))]
    return " ".join(f"{p}:{p.stat().st_size}:{p.stat().st_mtime_ns}"
                    for p in stamps if p.exists())


def _current(path: pathlib.Path, stamp: pathlib.Path, want: str) -> bool:
    return path.exists() and stamp.exists() and stamp.read_text() == want


def image(name: str) -> pathlib.Path:
    """The path of an image; it is made again if its inputs have changed."""
    fill, inputs = IMAGES[name]
    path = OUT / f"{name}.cpio.gz"
    stamp = OUT / f"{name}.inputs"
    want = common.digest_of([common.ROOT / i for i in inputs]
                            + [pathlib.Path(__file__)], _versions())
    if _current(path, stamp, want):
        return path
    with common.lock(f"initramfs-{name}"):
        if _current(path, stamp, want):
            return path
        archive = Archive()
        fill(archive)
        archive.write(path)
        stamp.write_text(want)
    return path


def job_images(names: list[str]) -> list[pathlib.Path]:
    """The images that contain these jobs; the guest's own image has the shell."""
    found = []
    wanted = {name for name in names if name != "shell"}
    for name, place in (("bench", "bench/jobs"), ("domain", "tests/guest/domain/jobs"),
                        ("kselftests", "tests/guest/kselftests/jobs")):
        here = {job for job in wanted if (common.ROOT / place / job).exists()}
        wanted -= here
        found += [image(name)] if here else []
    return ([jobs_image()] if wanted else []) + found


def jobs_image() -> pathlib.Path:
    """The image of the jobs and their programs."""
    path = OUT / "jobs.cpio.gz"
    stamp = OUT / "jobs.inputs"
    want = common.digest_of([*(common.ROOT / "tests/guest" / part
                               for part in ("src", "jobs", "selftest.sh")),
                             common.ROOT / "tools/pvops/jobfiles.py"])
    if _current(path, stamp, want):
        return path
    with common.lock("initramfs-jobs"):
        if _current(path, stamp, want):
            return path
        archive = Archive()
        with tempfile.TemporaryDirectory() as directory:
            jobfiles.fill(pathlib.Path(directory))
            archive.tree(pathlib.Path(directory))
        archive.write(path)
        stamp.write_text(want)
    return path


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="tools.pvops.initramfs", description=__doc__)
    parser.add_argument("name", nargs="*", choices=[*IMAGES, "jobs", []],
                        help="images to make (default: all but jobs)")
    for name in parser.parse_args().name or IMAGES:
        path = jobs_image() if name == "jobs" else image(name)
        print(f"{common.shown(path)} {path.stat().st_size >> 10} KiB")


if __name__ == "__main__":
    common.command(main)
