# SPDX-License-Identifier: GPL-2.0
"""The instructions of one operation, by function.

The benchmark program repeats the operation. Meanwhile QEMU runs one instruction
at a time and logs its address, which is switched on over QEMU's monitor. The
log has instructions of user space, the kernel, Xen and the KVM host. Nothing is
sampled: every instruction between two calls of the operation is counted as
often as it ran. An operation that needs several CPUs has four, and their
instructions are added up. With a domU the instructions of dom0 are included;
dom0 runs the same kernel and is usually idle.

Symbols come from the kernel's System.map, from Xen itself (dom0 reads them at
/proc/xen/xensyms), from the KVM host's /proc/kallsyms, and from the ELF file
that a VMI-64 ROM is made of.

With --callers it is also counted from where a function of the kernel is entered.

The operation `boot` is one boot, from the kernel's first instruction at its own address
to the first one of a program. QEMU logs blocks of instructions then, and the code of
each when it is translated. A block that an interrupt ends early counts as a whole.
"""

import argparse
import bisect
import collections
import contextlib
import dataclasses
import os
import pathlib
import re
import socket
import subprocess
import tempfile
import threading
import time
from typing import Iterable

from . import bench, benchdata, common, jobfiles, kernel, packages, report, rom, rompack, world
from .common import Failure, say
from .monitor import Monitor

# Instructions to log; each is a line of 90 bytes.
INSTRUCTIONS = 3_000_000
# What the CPU's flags say in a log line (QEMU 7.2, target/i386/cpu.h).
CPL_MASK, IN_GUEST = 3, 1 << 21
XEN_FIRST, XEN_LAST = 0xffff82c000000000, 0xffff830000000000
KERNEL_FIRST = 0xffff800000000000
# Where the kernel puts a ROM: the end of the module space (vmi-backend/load.c;
# Documentation/arch/x86/x86_64/mm.rst has MODULES_END).
MODULES_END = 0xffffffffff000000
ROM_FIRST = MODULES_END - rompack.C["MAX_LOAD"]
SECONDS_TO_LOOP = 900
SECONDS_TO_LOG = 600
SHOWN = 40
BOOT = "boot"
# What is on the console when a boot is logged from then on, by kind of world: Xen is
# about to start dom0; the machine has been switched on.
BOOT_BEGINS = {"xen-dom0": b"Guest Loglevel", "direct": b""}
SECONDS_TO_BOOT = 1800
# Machines that wait until the log is on. Where Xen starts first, the log must be on before
# Xen starts the kernel, at this function.
PAUSED = ("direct",)
ENTRY = "startup_xen"
# What runs when a boot has been logged: the job prints Xen's symbols before.
AFTER_BOOT = "getppid"
# QEMU shows up to 8 bytes of an instruction in a line, and behind them the mnemonic.
BYTES_COLUMNS = 8 * len("00 ") + 2


class Symbols:
    """Functions by address."""

    def __init__(self, lines: list[str], start: int = 0) -> None:
        """Lines as in System.map: address, type, name, perhaps [module].

        START is added to each address: code that is linked at 0 may run elsewhere.
        """
        found = {}
        for line in lines:
            words = line.split()
            if len(words) >= 3 and words[1] in "tTwWiV":
                found.setdefault(start + int(words[0], 16), words[2])
        self.addresses = sorted(found)
        self.names = [found[address] for address in self.addresses]

    def name(self, address: int) -> str:
        """The function that an address is in."""
        at = bisect.bisect_right(self.addresses, address) - 1
        return self.names[at] if at >= 0 else f"{address:#x}"

    def spot(self, address: int) -> str:
        """The function that an address is in, and how far inside."""
        at = bisect.bisect_right(self.addresses, address) - 1
        return f"{self.names[at]}+{address - self.addresses[at]:#x}" if at >= 0 else f"{address:#x}"

    def address(self, name: str) -> int:
        """The address of a function; a Failure if there is no such function."""
        if name not in self.names:
            raise Failure(f"no function {name}")
        return self.addresses[self.names.index(name)]


@dataclasses.dataclass
class Profile:
    """Instructions by place and function, and how many operations they were."""
    places: dict[tuple[str, str], int]
    operations: int
    # Entries of one function, by the place of the instruction before.
    entries: dict[str, int] = dataclasses.field(default_factory=dict)

    def rows(self) -> list[tuple[str, str, float]]:
        """Place, function, instructions per operation; the largest first."""
        return [(place, name, number / self.operations)
                for (place, name), number in sorted(self.places.items(), key=lambda i: -i[1])]


def place(address: int, flags: int, kind: str, has_rom: bool = False) -> str:
    """Whose code is at this address with these flags, in a world of this kind."""
    ring = flags & CPL_MASK
    if kind == "kvm" and not flags & IN_GUEST:
        return "QEMU" if ring == 3 else "host"
    if kind.startswith("xen") and ring == 0 and XEN_FIRST <= address < XEN_LAST:
        return "xen"
    if has_rom and ROM_FIRST <= address < MODULES_END and ring == 0:
        return "rom"
    if address >= KERNEL_FIRST:
        return "kernel"
    # with no kernel at its own address yet, or with the kernel's code at another one
    return "user" if ring else "start"


def parse_key(key: bytes) -> tuple[int, int]:
    """Address and flags from the brackets of a log line: cs_base/pc/flags/cflags."""
    words = key.split(b"/")
    return int(words[1], 16), int(words[2], 16)


def add_up(counted: dict[bytes, int], kind: str, symbols: dict[str, Symbols],
           round_address: int | None, per_round: int) -> Profile:
    """Logged instructions by function; without the address of a round it was one."""
    places: dict[tuple[str, str], int] = collections.Counter()
    rounds = 0 if round_address is not None else 1
    for key, number in counted.items():
        address, flags = parse_key(key)
        where = place(address, flags, kind, "rom" in symbols)
        if round_address is not None and where == "user" and address == round_address:
            rounds += number
        names = symbols.get(where)
        places[(where, names.name(address) if names else "")] += number
    if not rounds:
        raise Failure("not one operation began while instructions were logged; "
                      "log more of them (--instructions)")
    return Profile(dict(places), rounds * per_round)


# ---- watching


class _Reader(threading.Thread):
    """Counts lines of the pipe; after the limit it reads on, but counts no more."""

    def __init__(self, path: pathlib.Path, limit: int, round_address: int, entered: int | None) -> None:
        super().__init__(daemon=True)
        self.path, self.limit = path, limit
        self.mark = f"/{round_address:016x}/".encode()
        self.entered = b"" if entered is None else f"/{entered:016x}/".encode()
        self.counted: dict[bytes, int] = collections.Counter()
        self.before: dict[bytes, int] = collections.Counter()
        self.lines = 0
        self.full = threading.Event()

    def run(self) -> None:
        """Whole operations only: from one beginning to the last one within the limit."""
        began, pending, before, last = False, collections.Counter(), collections.Counter(), b""
        with open(self.path, "rb") as log:
            for line in log:
                if self.full.is_set() or not line.startswith(b"Trace "):
                    continue
                start = line.find(b"[") + 1
                key = line[start:line.find(b"]", start)]
                if self.mark in key and int(key.split(b"/")[2], 16) & CPL_MASK == 3:
                    self.counted.update(pending)
                    self.before.update(before)
                    pending, before = collections.Counter(), collections.Counter()
                    began = True
                if self.entered:
                    if began and self.entered in key:
                        before[last] += 1
                    last = key
                if began:
                    pending[key] += 1
                    self.lines += 1
                    if self.lines >= self.limit:
                        self.full.set()


class _BootReader(threading.Thread):
    """Counts the instructions of a boot, from the log's executed blocks and their code.

    QEMU writes the code of a block when it translates it, before it executes it.
    """

    def __init__(self, path: pathlib.Path, kind: str) -> None:
        super().__init__(daemon=True)
        self.path, self.kind = path, kind
        self.counted: dict[bytes, int] = collections.Counter()
        self.before: dict[bytes, int] = {}
        self.full = threading.Event()
        self.first = 0              # the address of the first block of the kernel
        self.complete = False       # a program was started
        self.unknown = 0            # blocks whose code was not logged

    def run(self) -> None:
        """From the kernel's first instruction to the first one of a program."""
        with open(self.path, "rb") as log:
            self.read(log)

    def read(self, log: Iterable[bytes]) -> None:
        """The same for lines of a log."""
        blocks: dict[bytes, int] = collections.Counter()
        lengths: dict[bytes, int] = {}
        length = 0
        for line in log:
            if self.full.is_set():
                continue
            if line.startswith(b"0x"):
                # without a mnemonic: the rest of a long instruction
                length += len(line) - line.find(b":") > BYTES_COLUMNS
            elif line.startswith(b"IN:"):
                length = 0
            elif line.startswith(b"Trace "):
                start = line.find(b"[") + 1
                key = line[start:line.find(b"]", start)]
                if length:
                    lengths[key] = length
                    length = 0
                if key not in blocks:
                    address, flags = parse_key(key)
                    where = place(address, flags, self.kind)
                    if where == "kernel" and not self.first:
                        self.first = address
                    if where == "user" and self.first:
                        self.complete = True
                        self.full.set()
                        continue
                if self.first:
                    blocks[key] += 1
        self.unknown = sum(key not in lengths for key in blocks)
        for key, number in blocks.items():
            self.counted[key] = number * lengths.get(key, 1)
        self.full.set()


def _log_boot(reader: _BootReader, kind: str, console: pathlib.Path, monitor: pathlib.Path,
              runner: threading.Thread) -> None:
    """Switch the log on before the kernel starts, and off when the first program runs."""
    began, deadline = time.time(), time.monotonic() + SECONDS_TO_BOOT
    while not (monitor.exists() and console.exists() and console.stat().st_mtime >= began
               and BOOT_BEGINS[kind] in console.read_bytes()):
        if not runner.is_alive() or time.monotonic() > deadline:
            raise Failure(f"the kernel did not start; see {common.shown(console)}")
        time.sleep(0.01)
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(monitor))
        qemu = Monitor(connection)
        qemu.ask("log exec,nochain,in_asm")
        if kind in PAUSED:
            qemu.ask("cont")
        while not reader.full.wait(1):
            if not runner.is_alive() or time.monotonic() > deadline:
                break
        if not reader.complete:
            raise Failure(f"no program was started; see {common.shown(console)}")
        qemu.ask("log none")


def _log_loop(reader: _Reader, variant: bench.Variant, op: str, monitor: pathlib.Path,
              instructions: int) -> None:
    """Log instructions of an operation that runs again and again."""
    say(f"bench: {variant.label}: {op} runs; logging {instructions:,} instructions")
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(monitor))
        qemu = Monitor(connection)
        qemu.ask("singlestep on")
        qemu.ask("log exec,nochain")
        if not reader.full.wait(SECONDS_TO_LOG):
            say("bench: time limit reached; going on with the instructions logged so far")
            reader.full.set()
        with contextlib.suppress(Failure):
            qemu.ask("log none")
            qemu.ask("quit")


def watch(variant: bench.Variant, op: str, instructions: int, function: str = "", mib: int = 0) -> Profile:
    """Run an operation in a world, log what is executed, add it up. MIB: other memory."""
    description = bench.alone(world.load(variant.world))
    if mib:
        bench.check_memory(mib + bench.MEMORY_BESIDE)
        description = bench.with_memory(description, mib)
    booting = op == BOOT
    if booting and (description.kind not in BOOT_BEGINS or function):
        raise Failure("boot: a profile of bare metal or of dom0, without callers; in other worlds "
                      "another kernel runs at the same addresses")
    image = (variant.image or kernel.build(variant.flavour)).absolute()
    entered = _kernel_symbols(image).address(function) if function else None
    with tempfile.TemporaryDirectory(prefix="profile-") as name:
        scratch = pathlib.Path(name)
        program = _program(scratch)
        begins = program.address("do_round")
        pipe, monitor = scratch / "log", scratch / "monitor"
        os.mkfifo(pipe)
        reader = _BootReader(pipe, description.kind) if booting \
            else _Reader(pipe, instructions, begins, entered)
        reader.start()
        log = common.LOG / f"bench-{variant.label}-loop-1.log"
        ended: list[object] = []

        def boot() -> None:
            host_files = {}
            if description.kind in ("kvm", "xen-domu"):
                marker = scratch / "symbols"
                marker.touch()
                host_files["symbols"] = marker
            try:
                ended.append(world.run(
                    description, ["bench"], kernel=image, icount=True,
                    extra_cmdline=f"{bench.CMDLINE} {variant.cmdline} pvops.step=loop "
                                  f"pvops.words=loop={AFTER_BOOT if booting else op}/budget=1000000",
                    timeout=SECONDS_TO_BOOT + SECONDS_TO_LOOP + SECONDS_TO_LOG, log=log, check_kunit=False,
                    host_files=host_files,
                    cpus=bench.SMP_CPUS if op in bench.SMP_OPS else 1,
                    qemu_args=["-seed", "1", *(["-S"] if booting and description.kind in PAUSED else []), "-qmp", f"unix:{monitor},server=on,wait=off",
                               "-D", str(pipe)]))
            except (Failure, OSError) as error:
                ended.append(error)

        runner = threading.Thread(target=boot)
        runner.start()
        try:
            if booting:
                say(f"bench: {variant.label}: logging a boot")
                _log_boot(reader, description.kind, log, monitor, runner)
            per_round = _wait_for_loop(log, runner, AFTER_BOOT if booting else op)
            if not booting:
                _log_loop(reader, variant, op, monitor, instructions)
        finally:
            world.stop_all()
            runner.join()
            _release(pipe, reader)
        lines = report.parse(log.read_bytes())
        symbols = {"user": program, "kernel": _kernel_symbols(image)}
        if booting:
            entered_at = symbols["kernel"].name(reader.first)
            if description.kind not in PAUSED and entered_at != ENTRY:
                raise Failure(f"the log began in {entered_at}, and not with the kernel; try again")
            if reader.unknown:
                say(f"bench: {reader.unknown} blocks count as one instruction: their code was not logged")
        if description.kind.startswith("xen"):
            said = lines.host if description.kind == "xen-domu" else lines.jobs["bench"].lines
            symbols["xen"] = Symbols(bench.trace_of(said, "xensyms").decode().splitlines())
        elif description.kind == "kvm":
            symbols["host"] = Symbols(bench.trace_of(
                lines.host, "kallsyms").decode().splitlines())
        if description.roms:
            symbols["rom"] = _rom_symbols(description.roms[0])
        profile = add_up(reader.counted, description.kind, symbols,
                         None if booting else begins, 1 if booting else per_round)
        for key, number in reader.before.items():
            address, flags = parse_key(key)
            names = symbols.get(place(address, flags, description.kind, "rom" in symbols))
            profile.entries[names.spot(address) if names else f"{address:#x}"] = number
        return profile


def _release(pipe: pathlib.Path, reader: _Reader) -> None:
    """If QEMU never opened the pipe, the reader waits in open(): open the other end once."""
    reader.full.set()
    with contextlib.suppress(OSError):
        os.close(os.open(pipe, os.O_WRONLY | os.O_NONBLOCK))
    reader.join(10)


def _program(scratch: pathlib.Path) -> Symbols:
    """The functions of the benchmark program."""
    jobfiles.fill_bench(scratch)
    listing = subprocess.run(["nm", scratch / jobfiles.LIB / "opcost"], capture_output=True,
                             text=True, check=True).stdout
    return Symbols(listing.splitlines())


def _rom_symbols(name: str) -> Symbols:
    """The functions of a ROM, from its ELF file, at the address where the kernel puts it."""
    path = rom.image(name).with_suffix(".elf")
    listing = subprocess.run(["nm", path], capture_output=True, text=True, check=True).stdout
    return Symbols(listing.splitlines(), ROM_FIRST)


def _kernel_symbols(image: pathlib.Path) -> Symbols:
    """The System.map that was built with an image: .../arch/x86/boot/bzImage."""
    for path in (image.with_name("System.map"), image.parents[3] / "System.map"):
        if path.is_file():
            return Symbols(path.read_text(encoding="utf-8").splitlines())
    raise Failure(f"{common.shown(image)}: no System.map beside it or in its build directory")


def _wait_for_loop(log: pathlib.Path, runner: threading.Thread, op: str) -> int:
    """Wait until the guest repeats the operation; returns operations per round."""
    deadline = time.monotonic() + SECONDS_TO_LOOP
    began = time.time()
    while time.monotonic() < deadline:
        time.sleep(1)
        if log.exists() and log.stat().st_mtime >= began:
            match = re.search(rb"PVOPS-LOOP (\S+) per-round=(\d+)", log.read_bytes())
            if match:
                # let the first rounds pass
                time.sleep(1)
                return int(match[2])
        if not runner.is_alive():
            break
    raise Failure(f"the guest did not begin {op}; see {common.shown(log)}")


def show(profile: Profile, title: str, count: int) -> None:
    """Print sums, and the functions with the most instructions."""
    rows = profile.rows()
    total = sum(number for _, _, number in rows)
    by_place: dict[str, float] = collections.Counter()
    for where, _, number in rows:
        by_place[where] += number
    print(f"{title}: {total:,.0f} instructions per operation, {profile.operations} of them seen")
    print(report.table([["where", "instructions", "share"]] + [
        [where, f"{number:,.0f}", f"{100 * number / total:.1f} %"]
        for where, number in by_place.most_common()]))
    print()
    print(report.table([["instructions", "share", "where", "function"]] + [
        [f"{number:,.0f}", f"{100 * number / total:.1f} %", where, name or "(no symbols)"]
        for where, name, number in rows[:count]]))


def show_callers(profile: Profile, function: str) -> None:
    """Print from where a function of the kernel was entered: the call, or the jump."""
    print()
    print(report.table([["entries", f"of {function}, from"]] + [
        [f"{number / profile.operations:,.2f}", where]
        for where, number in sorted(profile.entries.items(), key=lambda i: -i[1])]))


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(prog="tools.pvops.benchprofile", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("variant", help="a label of bench/variants.toml, or LABEL=WORLD,...")
    parser.add_argument("op", help="an operation, as in bench.json, or boot")
    parser.add_argument("--instructions", type=int, default=INSTRUCTIONS, metavar="N",
                        help="instructions to log (default: %(default)s)")
    parser.add_argument("--top", type=int, default=SHOWN, metavar="N",
                        help="functions to show (default: %(default)s)")
    parser.add_argument("--callers", default="", metavar="FUNCTION",
                        help="also show from where this function of the kernel is entered")
    parser.add_argument("--memory", type=int, default=0, metavar="MIB",
                        help="memory of the kernel under test (default: the world's)")
    args = parser.parse_args()
    if args.memory < 0:
        raise Failure("--memory: a number of MiB")
    known = [*benchdata.REPEATED, BOOT]
    if args.op not in known:
        raise Failure(f"{args.op}: neither an operation that can be done again and again nor a boot; "
                      f"there are: {' '.join(known)}")
    packages.ensure()
    variant, = bench.chosen([args.variant], bench.load_variants())
    profile = watch(variant, args.op, args.instructions, args.callers, args.memory)
    show(profile, f"{variant.label}: {args.op}", args.top)
    if args.callers:
        show_callers(profile, args.callers)
    where = common.REPORT / f"profile-{variant.label}-{args.op}.json"
    report.write_json(where, {
        "variant": variant.label, "op": args.op, "operations": profile.operations,
        "unit": "instructions per operation",
        "functions": [{"where": w, "function": f, "instructions": round(n, 2)}
                      for w, f, n in profile.rows()]})
    print(f"{common.shown(where)} has all of them")
    return 0


if __name__ == "__main__":
    common.command(main)
