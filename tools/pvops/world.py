# SPDX-License-Identifier: GPL-2.0
"""Boot one world, from its description in worlds/NAME.toml.

A world says where the kernel under test runs (`kind`), with what, and what
must be true in it. The kinds, and how their machines are put together, are
the only things here that are code:

    direct     QEMU's own emulation
    kvm        QEMU/KVM, inside an emulated machine with SVM
    xen-dom0   Xen in an emulated machine, the kernel is dom0
    xen-domu   the same, the kernel is in a domain made by xl

Everything is emulated: /dev/kvm of this machine is never used.
"""

import argparse
import contextlib
import dataclasses
import fcntl
import gzip
import hashlib
import os
import pathlib
import random
import re
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
import termios
import threading
import time
import tomllib
from typing import BinaryIO, Iterable

from . import common, initramfs, packages, report, rom
from . import kernel as kernel_builder
from .common import Failure
from .cpio import Archive
from .monitor import Monitor
from .report import Console, Job, Suite

WORLDS = common.ROOT / "worlds"
KINDS = ("direct", "kvm", "xen-dom0", "xen-domu")
# What worlds/host/xen-steps knows to do to a domain.
STEPS = ("save", "checkpoint", "migrate", "memory", "cpus", "save-unplugged", "grow",
         "reboot", "shutdown")
# Jobs that start the kernel once more from inside: it is in the guest, with all that
# the guest has, under /boot.
BOOTING_JOBS = ("kexec", "kdump")
# Jobs that load modules: those of the kernel are in the guest, under /lib/modules.
MODULE_JOBS = ("tracers",)
# What a guest prints when it takes input, see worlds/guest/init.
SHELL_READY = b"PVOPS-SHELL"
# What Xen says last: it keeps the console for us, and does nothing any more.
DEAD = (b"(XEN) Hardware Dom0 crashed", b"(XEN) Panic on CPU")
# After PVOPS-DONE the power must go off in this many seconds.
POWER_OFF_GRACE = 60


@dataclasses.dataclass
class Host:
    """The machine around a nested guest."""
    cpus: int = 2
    memory: int = 1024                  # MiB
    cmdline: str = ""                   # Xen's, or the KVM host kernel's
    module_args: str = ""               # kvm-amd's
    dom0_memory: int = 512              # MiB, of a dom0 that only starts a domU
    dom0_cpus: int = 1                  # of the same
    dom0_cmdline: str = ""              # added for its kernel


@dataclasses.dataclass
class Expect:
    """What must be true in a world."""
    backend: str = ""                   # debugfs pvops/backend
    # key of the guest's report -> regex, searched in the value
    report: dict[str, str] = dataclasses.field(default_factory=dict)
    # regexes, searched in each line of the kernel's log: in at least one, in
    # exactly one, in none
    expect_lines: list[str] = dataclasses.field(default_factory=list)
    once_lines: list[str] = dataclasses.field(default_factory=list)
    forbid_lines: list[str] = dataclasses.field(default_factory=list)
    # lines that look like a splat (report.SPLATS) and are none
    allow_lines: list[str] = dataclasses.field(default_factory=list)


@dataclasses.dataclass
class World:
    """A description from worlds/NAME.toml."""
    name: str
    about: str = ""
    kind: str = "direct"
    sets: list[str] = dataclasses.field(default_factory=list)   # `make boot` boots "default"
    kunit: bool = True                  # suites of kunit/suites.txt must run
    cpus: int = 2                       # of the kernel under test
    memory: int = 512                   # MiB, of the kernel under test
    timeout: int = 120                  # seconds
    weight: int = 1                     # CPUs of this machine it keeps busy
    cpu: str = "max"                    # QEMU's -cpu for the outermost machine
    one_thread: bool = False            # of QEMU's, for all CPUs of that machine
    cmdline: str = ""                   # added for the kernel under test
    qemu_args: list[str] = dataclasses.field(default_factory=list)
    guest_qemu_args: list[str] = dataclasses.field(default_factory=list)
    domu_type: str = "pv"               # xl's: pv or pvh
    domu_config: list[str] = dataclasses.field(default_factory=list)
    disk: int = 0                       # MiB of the domain's virtual disk, ext4
    network: bool = False               # it has an interface, and dom0 the other end
    # what dom0 does to it while it runs the job `toolstack`, each perhaps several
    # times ("cpus*3"); the last one must be "shutdown"
    steps: list[str] = dataclasses.field(default_factory=list)
    uefi: bool = False                  # OVMF instead of SeaBIOS
    # VMI-64 ROMs (tools.pvops.rom --list) of the machine under test, in the
    # BIOS's window; or, with rom_device, as expansion ROMs of such PCI devices
    roms: list[str] = dataclasses.field(default_factory=list)
    rom_device: str = ""
    jobs: list[str] = dataclasses.field(default_factory=list)
    host: Host = dataclasses.field(default_factory=Host)
    expect: Expect = dataclasses.field(default_factory=Expect)


@dataclasses.dataclass
class Result:
    """What came of one boot. `ok` says whether all of it is as it must be."""
    world: World
    log: pathlib.Path
    seconds: float
    timed_out: bool
    status: int | None                  # QEMU's exit status
    console: Console
    problems: list[str]

    @property
    def ok(self) -> bool:
        """Whether nothing at all is wrong."""
        return not self.problems

    @property
    def report(self) -> dict[str, str]:
        """The `key: value` lines of the guest's report."""
        return self.console.report

    @property
    def jobs(self) -> dict[str, Job]:
        """The jobs that started, by name."""
        return self.console.jobs

    @property
    def suites(self) -> dict[str, Suite]:
        """The KUnit suites that started, by name."""
        return self.console.suites


def names() -> list[str]:
    """Every world there is."""
    return sorted(path.stem for path in WORLDS.glob("*.toml"))


def load(name: str) -> World:
    """Read a description; `like` takes another one as the starting point."""
    return _build(name, _read(name, ()))


def _read(name: str, chain: tuple[str, ...]) -> dict:
    path = WORLDS / f"{name}.toml"
    if not path.exists():
        raise Failure(f"no world {name}; there are: {' '.join(names())}")
    if name in chain:
        raise Failure(f"{common.shown(path)}: `like` goes in a circle")
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise Failure(f"{common.shown(path)}: {error}") from None
    like = data.pop("like", None)
    if like is None:
        return data
    base = _read(like, (*chain, name))
    # Which sets a world is part of is its own.
    base.pop("sets", None)
    return _over(base, data)


def _over(base: dict, data: dict) -> dict:
    """Settings over others, table by table."""
    merged = {**base, **data}
    for key, value in data.items():
        if isinstance(value, dict) and isinstance(base.get(key), dict):
            merged[key] = _over(base[key], value)
    return merged


def _build(name: str, data: dict) -> World:
    def fill(cls, values: dict, where: str):
        known = {field.name: field for field in dataclasses.fields(cls)}
        for key, value in values.items():
            default = getattr(cls(name="") if cls is World else cls(), key, None)
            if key not in known or key == "name":
                raise Failure(f"worlds/{name}.toml: {where}{key}: no such setting; "
                              f"there are: {' '.join(known)}")
            if not isinstance(value, type(default)):
                raise Failure(f"worlds/{name}.toml: {where}{key}: must be "
                              f"{type(default).__name__}, is {value!r}")
        return values

    data = dict(data)
    host = Host(**fill(Host, data.pop("host", {}), "host."))
    expect = Expect(**fill(Expect, data.pop("expect", {}), "expect."))
    world = World(name=name, host=host, expect=expect, **fill(World, data, ""))
    if world.kind not in KINDS:
        raise Failure(f"worlds/{name}.toml: kind: {world.kind!r} is not one of "
                      f"{' '.join(KINDS)}")
    if strange := set(world.roms) - set(rom.names()):
        raise Failure(f"worlds/{name}.toml: roms: no ROM {' '.join(sorted(strange))}; "
                      "python3 -m tools.pvops.rom --list")
    if world.roms and world.kind not in ("direct", "kvm"):
        raise Failure(f"worlds/{name}.toml: roms: only for the kinds direct and kvm")
    if world.kind != "xen-domu" and (world.disk or world.network or world.steps):
        raise Failure(f"worlds/{name}.toml: disk, network and steps: only for the kind "
                      "xen-domu")
    if strange := {step for step in world.steps if not _times(step)}:
        raise Failure(f"worlds/{name}.toml: steps: no step {' '.join(sorted(strange))}; "
                      f"there are: {' '.join(STEPS)}, each perhaps with *NUMBER")
    if world.steps and (world.steps[-1] != "shutdown" or not world.disk
                        or not world.network or "toolstack" not in world.jobs):
        raise Failure(f"worlds/{name}.toml: steps: they end with shutdown, and need disk, "
                      "network and the job toolstack")
    return world


def _times(step: str) -> list[str]:
    """A step as dom0 gets it, once for each time: NAME:1, NAME:2... Empty if wrong."""
    match = re.fullmatch(r"([a-z-]+)(?:\*([1-9]\d?))?", step)
    if not match or match[1] not in STEPS:
        return []
    return [f"{match[1]}:{turn + 1}" for turn in range(int(match[2] or 1))]


# ---- putting a machine together


@dataclasses.dataclass
class _Machine:
    """One run's kernel, initramfs and directory for what is made for it."""
    world: World
    kernel: pathlib.Path
    initrd: pathlib.Path
    cmdline: str
    scratch: pathlib.Path
    icount: bool
    qemu_args: list[str]
    # For a KVM host, by their names there: see worlds/host/kvm-init.
    host_files: dict[str, pathlib.Path]

    def qemu(self, *argv: object) -> list[str]:
        """The outermost QEMU, always emulation."""
        accel = "tcg" if self.icount else \
            f"tcg,thread={'single' if self.world.one_thread else 'multi'}"
        args = ["qemu-system-x86_64", "-accel", accel, "-cpu", self.world.cpu,
                "-nographic", "-no-reboot", "-nic", "none"]
        if self.icount:
            args += ["-icount", "shift=0,sleep=off"]
        return [*args, *map(str, argv), *self.world.qemu_args, *self.qemu_args]

    def _host_cpus(self) -> int:
        """For exact costs each of the guest's CPUs has one, and there are no more."""
        return self.world.cpus if self.icount else self.world.host.cpus

    def direct(self) -> list[str]:
        """The kernel under test on the emulated machine itself."""
        firmware: list[object] = []
        if self.world.uefi:
            # its variables are written to: a copy
            store = self.scratch / "vars.fd"
            shutil.copyfile("/usr/share/OVMF/OVMF_VARS_4M.fd", store)
            firmware = ["-drive", "if=pflash,format=raw,readonly=on,"
                                  "file=/usr/share/OVMF/OVMF_CODE_4M.fd",
                        "-drive", f"if=pflash,format=raw,file={store}"]
        return self.qemu("-smp", self.world.cpus, "-m", self.world.memory, *firmware,
                         *self._roms([rom.image(name) for name in self.world.roms],
                                     self.scratch / "zero"),
                         "-kernel", self.kernel, "-initrd", self.initrd,
                         "-append", self.cmdline)

    def _roms(self, paths: list[pathlib.Path], zero: pathlib.Path) -> list[object]:
        """QEMU's arguments for the ROMs; ZERO is a file of zeroes, if it is needed."""
        if self.world.rom_device:
            return [word for path in paths
                    for word in ("-device", f"{self.world.rom_device},romfile={path}")]
        args: list[object] = [word for path in paths for word in ("-option-rom", path)]
        if any(name.startswith("bad/") for name in self.world.roms):
            # SeaBIOS would not leave one with a wrong checksum in its place
            if zero.is_relative_to(self.scratch):
                zero.write_bytes(bytes(8))
            args += ["-fw_cfg", f"name=etc/optionroms-checksum,file={zero}"]
        return args

    def kvm(self) -> list[str]:
        """A host kernel whose initramfs starts QEMU on the kernel under test."""
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
                 "-append", self.cmdline, *self._roms(roms, pathlib.Path("/guest/zero")),
                 *self.world.guest_qemu_args]
        if "count" in self.host_files:
            inner += ["-chardev", "pipe,id=count,path=/tmp/count",
                      "-device", "isa-serial,chardev=count"]
        load_modules = "\n".join([
            "insmod /modules/irqbypass.ko", "insmod /modules/kvm.ko",
            f"insmod /modules/kvm-amd.ko {host.module_args}"]) + "\n"
        guest.copy("guest/kernel", self.kernel)
        guest.copy("guest/initrd", self.initrd)
        guest.file("guest/zero", bytes(8))
        guest.file("guest/load", load_modules.encode())
        guest.file("guest/run", f"exec {shlex.join(map(str, inner))}\n".encode())
        if not self.icount:
            # With exact costs QEMU has one thread, and loses no interrupt.
            guest.file("guest/second-clock", b"")
        for name, source in self.host_files.items():
            guest.copy(f"guest/{name}", source)
        return self.qemu("-smp", self._host_cpus(), "-m", host.memory,
                         "-kernel", packages.unpacked("boot/vmlinuz-6.12.*-cloud-amd64"),
                         "-initrd", self._joined(initramfs.image("host-kvm"), guest),
                         "-append", f"console=ttyS0 panic=-1 quiet {host.cmdline}")

    def xen_dom0(self) -> list[str]:
        """The kernel under test as dom0."""
        return self._xen(self.world.cpus, self.world.memory, self.cmdline, self.initrd)

    def xen_domu(self) -> list[str]:
        """The kernel under test as dom0, quiet, and once more in a domain."""
        steps = [one for step in self.world.steps for one in _times(step)]
        config = [
            'name = "guest"', f'type = "{self.world.domu_type}"',
            'kernel = "/guest/kernel"', 'ramdisk = "/guest/initrd"',
            f"memory = {self.world.memory}", f"vcpus = {self.world.cpus}",
            f"extra = '{self.cmdline}'",
            'on_poweroff = "destroy"', 'on_crash = "destroy"',
            f'on_reboot = "{"restart" if "reboot:1" in steps else "destroy"}"',
            *self.world.domu_config]
        guest = Archive()
        if self.world.disk:
            config.append('disk = ["phy:/dev/loop0,xvda,w"]')
            guest.copy("guest/disk", self._disk())
        if self.world.network:
            config.append('vif = ["bridge=xenbr0,mac=00:16:3e:70:76:01"]')
            guest.file("guest/network", b"")
        if steps:
            guest.file("guest/steps", (" ".join(steps) + "\n").encode())
        guest.copy("guest/kernel", self.kernel)
        guest.copy("guest/initrd", self.initrd)
        for name, source in self.host_files.items():
            guest.copy(f"guest/{name}", source)
        guest.file("guest/domu.cfg", ("\n".join(config) + "\n").encode())
        host = self.world.host
        return self._xen(host.dom0_cpus, host.dom0_memory,
                         "console=hvc0 panic=-1 loglevel=5 kunit.enable=0 "
                         + host.dom0_cmdline,
                         self._joined(initramfs.image("host-xen"), guest))

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
        # in sbin, where not everybody looks
        env = dict(os.environ, PATH=f"{os.environ.get('PATH', '')}:/sbin:/usr/sbin")
        common.run_logged(["mkfs.ext4", "-q", "-d", content, image, f"{self.world.disk}m"],
                          self.scratch / "mkfs.log", what="making the domain's disk", env=env)
        return image

    def _xen(self, vcpus: int, memory: int, cmdline: str,
             initrd: pathlib.Path) -> list[str]:
        hypervisor = self.scratch / "xen.elf"
        packed = packages.unpacked("boot/xen-*-amd64.gz")
        hypervisor.write_bytes(gzip.decompress(packed.read_bytes()))
        host = self.world.host
        # QEMU cuts the list of multiboot modules at commas
        modules = ",".join(str(module).replace(",", ",,")
                           for module in (f"{self.kernel} {cmdline}", initrd))
        return self.qemu("-smp", self._host_cpus(), "-m", host.memory,
                         "-kernel", hypervisor, "-initrd", modules, "-append",
                         "com1=115200,8n1 console=com1 noreboot loglvl=all "
                         f"guest_loglvl=all dom0_mem={memory}M "
                         f"dom0_max_vcpus={vcpus} {host.cmdline}")

    def _joined(self, base: pathlib.Path, more: Archive) -> pathlib.Path:
        """An image with this run's files after it (packed already: no gzip)."""
        path = self.scratch / "host.cpio"
        path.write_bytes(base.read_bytes() + more.content(compress=False))
        return path

    def argv(self) -> list[str]:
        """The command that starts it all."""
        return {"direct": self.direct, "kvm": self.kvm, "xen-dom0": self.xen_dom0,
                "xen-domu": self.xen_domu}[self.world.kind]()


def _cmdline(world: World, jobs: list[str], extra: str) -> str:
    console = {"direct": "console=ttyS0 earlyprintk=serial,ttyS0,115200",
               "kvm": "console=ttyS0 earlyprintk=serial,ttyS0,115200",
               "xen-dom0": "console=hvc0 earlyprintk=xen",
               "xen-domu": "console=hvc0 earlyprintk=xen"}[world.kind]
    words = [console, "panic=-1 ignore_loglevel", world.cmdline, extra]
    if jobs:
        words.append(f"pvops.jobs={','.join(jobs)}")
    return " ".join(word for word in words if word)


@contextlib.contextmanager
def _machine(world: World, jobs: list[str], kernel: pathlib.Path, extra: str,
             cpios: Iterable[pathlib.Path], icount: bool, qemu_args: list[str],
             host_files: dict[str, pathlib.Path] | None = None):
    """A machine ready to start, its scratch directory gone afterwards."""
    if not kernel.is_file():
        raise Failure(f"{common.shown(kernel)}: no such kernel image")
    scratch_root = common.BUILD / "run"
    common.need_space(scratch_root, 300, f"booting {world.name}")
    _remove_stale(scratch_root)
    with tempfile.TemporaryDirectory(prefix=f"{world.name}.{os.getpid()}.",
                                     dir=scratch_root) as name:
        scratch = pathlib.Path(name)
        parts = [initramfs.image("guest"), *cpios]
        parts += initramfs.job_images(jobs)
        initrd = scratch / "initrd"
        content = [part.read_bytes() for part in parts]
        if set(BOOTING_JOBS) & set(jobs):
            second = Archive()
            second.copy("boot/kernel", kernel)
            second.file("boot/initrd", b"".join(content))
            content.append(second.content(compress=False))
        if set(MODULE_JOBS) & set(jobs):
            loadable = Archive()
            for module in kernel_builder.modules(kernel.resolve()):
                loadable.copy(f"lib/modules/{module.name}", module)
            content.append(loadable.content(compress=False))
        if world.kind == "xen-domu":
            # libxl unpacks a ramdisk itself, and only a single gzip stream
            content = [_unzipped(part) for part in content]
        initrd.write_bytes(b"".join(content))
        yield _Machine(world, kernel.resolve(), initrd, _cmdline(world, jobs, extra),
                       scratch, icount, qemu_args, host_files or {})


def _remove_stale(scratch_root: pathlib.Path) -> None:
    """What a run left that was killed outright: its pid is in the name."""
    for path in scratch_root.glob("*.*.*"):
        pid = path.name.split(".")[1]
        if pid.isdigit() and not os.path.exists(f"/proc/{pid}"):
            shutil.rmtree(path, ignore_errors=True)


def _unzipped(packed: bytes) -> bytes:
    return gzip.decompress(packed) if packed.startswith(b"\x1f\x8b") else packed


# ---- running it


# What _wait() says of a machine that does not end.
TOO_LONG = "not done after"

_children: set[subprocess.Popen] = set()
_children_lock = threading.Lock()
_stopping = threading.Event()


def stop_all() -> None:
    """End every machine that this process started; none will start again."""
    _stopping.set()
    with _children_lock:
        for child in list(_children):
            common.stop(child)


def _own_log(path: pathlib.Path) -> BinaryIO:
    """The log, empty; another name if a run that is under way has it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    for name in (path, path.with_stem(f"{path.stem}-{os.getpid()}")):
        output = open(name, "ab")   # pylint: disable=consider-using-with
        try:
            fcntl.flock(output, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            output.close()
            continue
        output.truncate(0)
        return output
    raise Failure(f"{common.shown(path)}: in use by another run")


def _wait(child: subprocess.Popen, log: pathlib.Path, limit: float) -> str:
    """Wait for a machine to power off; returns what went wrong, or nothing."""
    deadline = time.monotonic() + limit
    done_at = None
    while True:
        try:
            child.wait(0.3)
            return ""
        except subprocess.TimeoutExpired:
            pass
        now = time.monotonic()
        if _stopping.is_set():
            return "stopped"
        said = log.read_bytes()
        if done_at is None and b"PVOPS-DONE" in said:
            done_at = now
        if dead := next((line for line in DEAD if line in said), None):
            return dead.decode()
        if done_at and now - done_at > POWER_OFF_GRACE:
            return f"did not power off within {POWER_OFF_GRACE} s"
        if now > deadline:
            return f"{TOO_LONG} {limit:.0f} s"


def run(world_name: str | World, jobs: Iterable[str] = (), *,
        kernel: pathlib.Path | str | None = None, extra_cmdline: str = "",
        cpios: Iterable[pathlib.Path] = (), timeout: float | None = None,
        cpus: int | None = None, memory: int | None = None,
        icount: bool = False, qemu_args: Iterable[str] = (),
        host_files: dict[str, pathlib.Path] | None = None,
        log: pathlib.Path | None = None, check_kunit: bool | None = None,
        need_pvops: bool | None = None, scale: int = 1,
        lacks: Iterable[str] = ()) -> Result:
    """Boot a world and say what came of it.

    jobs           names under /jobs in the jobs image, run in that order after
                   the report (the world's own `jobs` come first)
    kernel         a bzImage; default: build/out/main
    need_pvops     a kernel that reports no backend is a failure; otherwise
                   backend and KUnit are not looked at in such a one. Default:
                   only for the default kernel
    extra_cmdline  added for the kernel under test
    cpios          further initramfs images to put behind the guest's
    timeout        seconds; default: the world's
    cpus, memory   of the kernel under test, instead of the world's
    icount         one TSC tick per instruction, for exact costs; one CPU unless
                   `cpus` says how many
    qemu_args      added to the outermost QEMU
    host_files     more files for the /guest of a KVM host or of a dom0 that makes
                   a domU, see worlds/host/kvm-init and worlds/host/xen-init
    log            default: build/log/NAME.log
    check_kunit    the suites of kunit/suites.txt must have run; default: the world's
    scale          so many times the time limit and the memory, for slow kernels
    lacks          KUnit suites of kunit/suites.txt that the kernel has not

    A machine that the emulator itself has brought down (report.stale_breakpoint)
    is booted once more, and that is said; its log is kept as NAME.emulator.log.
    """
    world = load(world_name) if isinstance(world_name, str) else world_name
    if icount:
        cpus = cpus or 1
    world = dataclasses.replace(
        world, cpus=cpus or world.cpus, memory=(memory or world.memory) * scale,
        timeout=world.timeout * scale,
        host=dataclasses.replace(world.host, memory=world.host.memory * scale,
                                 dom0_memory=world.host.dom0_memory * scale))
    if need_pvops is None:
        need_pvops = kernel is None
    jobs = [*world.jobs, *jobs]
    limit = timeout or world.timeout
    image = pathlib.Path(kernel) if kernel else default_kernel()

    path = log or common.LOG / f"{world.name}.log"

    def boot() -> tuple[str, int | None, pathlib.Path, Console]:
        with _machine(world, jobs, image, extra_cmdline, cpios, icount,
                      list(qemu_args), host_files) as machine:
            trouble, status, log = _boot(machine, path, limit)
        return trouble, status, log, report.parse(log.read_bytes())

    began = time.monotonic()
    trouble, status, log, console = boot()
    if where := report.stale_breakpoint(console.text):
        kept = log.with_suffix(".emulator.log")
        shutil.copyfile(log, kept)
        common.say(f"{world.name}: QEMU ran a breakpoint at {where} that is no longer there; "
                   f"once more ({common.shown(kept)})")
        trouble, status, log, console = boot()
    seconds = time.monotonic() - began

    problems = [trouble] if trouble else []
    if status and not trouble:
        problems.append(f"QEMU ended with status {status}")
    problems += _judge(world, console, jobs, plain_allowed=not need_pvops,
                       check_kunit=world.kunit if check_kunit is None else check_kunit,
                       lacks=lacks)
    return Result(world, log, seconds, TOO_LONG in trouble, status,
                  console, problems)


def _boot(machine: _Machine, path: pathlib.Path, limit: float) -> tuple[str, int | None, pathlib.Path]:
    """Run a machine to its end: what went wrong or nothing, QEMU's status, the log."""
    ours, theirs = socket.socketpair()
    with ours, _own_log(path) as output:
        with _children_lock:
            if _stopping.is_set():
                raise KeyboardInterrupt
            with theirs:
                child = common.start(
                    [*machine.argv(), "-chardev", f"socket,id=qmp,fd={theirs.fileno()}",
                     "-mon", "chardev=qmp,mode=control"],
                    stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
                    pass_fds=(theirs.fileno(),))
            _children.add(child)
        log = pathlib.Path(output.name)
        try:
            trouble = _wait(child, log, limit)
            if TOO_LONG in trouble:
                trouble += _note_cpus(Monitor(ours), log.with_suffix(".cpus"))
        finally:
            common.stop(child)
            with _children_lock:
                _children.discard(child)
    return trouble, child.returncode, log


def _note_cpus(monitor: Monitor, path: pathlib.Path) -> str:
    """Keep where the CPUs of a machine are that does not end; says where that is."""
    try:
        path.write_text(monitor.cpus())
    except Failure as error:
        return f" ({error})"
    return f" (its CPUs: {common.shown(path)})"


def default_kernel() -> pathlib.Path:
    """The one image for all worlds, as tools.pvops.kernel leaves it."""
    path = kernel_builder.OUT / "main" / kernel_builder.IMAGE
    if not path.exists():
        raise Failure(f"{common.shown(path)}: not built yet; "
                      "run python3 -m tools.pvops.kernel")
    return path


def host_jobs(world: World) -> list[str]:
    """The job that dom0 makes of its own checks, if this world has any."""
    return [report.HOST_JOB] if world.disk or world.network else []


def has_pvops(console: Console) -> bool:
    """Whether the kernel that booted reports a backend at all."""
    return "backend" in console.report


def _judge(world: World, console: Console, jobs: list[str], *,
           plain_allowed: bool, check_kunit: bool, lacks: Iterable[str] = ()) -> list[str]:
    """Everything in which a console differs from what its world must be."""
    expect, got = world.expect, console.report
    plain = plain_allowed and not has_pvops(console)
    problems = []
    if not got:
        problems.append("no report: user space was not reached")
    if not console.done:
        problems.append("the guest did not come to its end (no PVOPS-DONE)")
    problems += [f"host: {line}" for line in console.host
                 if line.startswith(("failed", "dmesg:", "qemu:", "xl:"))]
    if got and got.get("cpus") != str(world.cpus):
        problems.append(f"{got.get('cpus')} CPUs instead of {world.cpus}")
    if got and not plain:
        problems += _judge_pvops(expect, got, console)
    if got and check_kunit and not plain:
        wanted = [name for name in report.wanted_suites() if name not in set(lacks)]
        problems += report.kunit_problems(console.suites, wanted)
    problems += [f"splat: {line}" for line in console.splats(expect.allow_lines)[:5]]
    for name in [*jobs, *host_jobs(world)]:
        job = console.jobs.get(name)
        if name == "shell":
            continue
        if job is None or job.rc is None:
            problems.append(f"job {name} did not {'start' if job is None else 'end'}")
            continue
        problems += [f"job {name}: {check.name}: {check.reason or 'not ok'}"
                     for check in job.failed]
        if job.rc and not job.failed:
            problems.append(f"job {name} ended with status {job.rc}")
    return problems


def _judge_pvops(expect: Expect, got: dict[str, str],
                 console: Console) -> list[str]:
    """What the socket must have decided and said."""

    problems = []
    lines = console.kernel
    if expect.backend and got.get("backend") != expect.backend:
        problems.append(f"backend {got.get('backend', 'not reported')} "
                        f"instead of {expect.backend}")
    for key, pattern in expect.report.items():
        if key not in got:
            problems.append(f"{key} is not reported")
        elif not re.search(pattern, got[key]):
            problems.append(f"{key} is {got[key]!r}, not like {pattern!r}")
    for pattern in expect.expect_lines:
        if not any(re.search(pattern, line) for line in lines):
            problems.append(f"no line like {pattern!r}")
    for pattern in expect.once_lines:
        count = sum(bool(re.search(pattern, line)) for line in lines)
        if count != 1:
            problems.append(f"{count} lines like {pattern!r} instead of one")
    for pattern in expect.forbid_lines:
        problems += [f"forbidden line: {line}" for line in lines
                     if re.search(pattern, line)][:1]
    return problems


# ---- a shell


def shell(world_name: str, *, kernel: pathlib.Path | None = None,
          extra_cmdline: str = "", jobs_image: bool = False) -> int:
    """An interactive shell in a world; its console is this terminal.

    On a terminal QEMU gets it as it is: Ctrl-C goes to the guest, Ctrl-A X
    ends QEMU. From a pipe, input is held back until the shell is there, and
    the world's time limit holds.
    """
    world = load(world_name)
    cpios = [initramfs.jobs_image()] if jobs_image else []
    with _machine(world, ["shell"], kernel or default_kernel(), extra_cmdline, cpios,
                  False, []) as machine:
        argv = machine.argv()
        if sys.stdin.isatty():
            return _shell_on_terminal(argv)
        return _shell_from_pipe(argv, world.timeout)


def _shell_on_terminal(argv: list[str]) -> int:

    saved = termios.tcgetattr(sys.stdin)
    child = common.start(argv, own_group=False)
    try:
        return child.wait()
    finally:
        common.stop(child, own_group=False)
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, saved)


def _shell_from_pipe(argv: list[str], limit: float) -> int:
    child = common.start(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    # A timer, because reading the console blocks.
    late = threading.Timer(limit, common.stop, (child,))
    late.start()

    def feed() -> None:
        with contextlib.suppress(BrokenPipeError, ValueError):
            for line in sys.stdin.buffer:
                child.stdin.write(line)
                child.stdin.flush()

    try:
        seen, feeding = b"", False
        while data := os.read(child.stdout.fileno(), 4096):
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()
            seen = (seen + data)[-8192:]
            if not feeding and SHELL_READY in seen:
                feeding = True
                threading.Thread(target=feed, daemon=True).start()
        status = child.wait()
        if not late.is_alive():
            raise Failure(f"the shell was not left within {limit:.0f} s")
        return status
    finally:
        late.cancel()
        common.stop(child)


def main() -> int:
    """Command line: one world, its console summed up."""
    parser = argparse.ArgumentParser(prog="tools.pvops.world", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("world", help="a name under worlds/")
    parser.add_argument("--shell", action="store_true", help="an interactive shell")
    parser.add_argument("--with-jobs", action="store_true",
                        help="with --shell: put the jobs into the guest, in /jobs")
    parser.add_argument("--build", action="store_true",
                        help="install and build what is missing first")
    parser.add_argument("--jobs", default="", metavar="A,B", help="jobs to run")
    parser.add_argument("--kernel", type=pathlib.Path, help="a bzImage (default: ours)")
    parser.add_argument("--cmdline", default="", help="added to the kernel's command line")
    parser.add_argument("--timeout", type=float, help="seconds")
    parser.add_argument("--cpus", type=int, help="of the kernel under test")
    parser.add_argument("--icount", action="store_true",
                        help="one CPU, one TSC tick per instruction")
    args = parser.parse_args()
    if args.build:
        load(args.world)        # a wrong name should not cost a kernel build
        packages.ensure()
        if args.kernel is None:
            kernel_builder.build()
    if args.shell:
        return shell(args.world, kernel=args.kernel, extra_cmdline=args.cmdline,
                     jobs_image=args.with_jobs)
    jobs = [job for job in args.jobs.split(",") if job]
    try:
        result = run(args.world, jobs, kernel=args.kernel, extra_cmdline=args.cmdline,
                     timeout=args.timeout, cpus=args.cpus, icount=args.icount)
    finally:
        stop_all()
    for key, value in result.report.items():
        print(f"{key}: {value}")
    for job in result.jobs.values():
        print(f"job {job.name}: rc={job.rc}")
        for line in job.lines:
            print(f"    {line}")
    for problem in result.problems:
        print(f"problem: {problem}")
    print(f"{'ok' if result.ok else 'FAILED'} in {result.seconds:.1f} s, "
          f"log {common.shown(result.log)}")
    return 0 if result.ok else 1


if __name__ == "__main__":
    common.command(main)
