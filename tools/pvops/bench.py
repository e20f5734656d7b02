# SPDX-License-Identifier: GPL-2.0
"""make bench: what every operation costs, in every world, against bare metal.

The benchmark program (bench/guest) runs in the world of each variant of
bench/variants.toml, in steps. Each step is a boot of its own:

    measure     instructions per operation and per phase of booting
    smp         the same for operations that need several CPUs, on four CPUs
    count       crossings into the hypervisor, by kind; bare metal has none: there
                calls of pv ops are counted, if each is a call of a ROM
    count-smp   the same for operations that need several CPUs, on four CPUs
    loads       instructions of real loads
    memory      instructions of a boot for each further GiB of memory: a machine with
                1 GiB and one with 16 GiB boot; only if --steps names it
    services    the same of servers, compilers and languages of Debian 12, per request
                or job (bench/services.toml); only if --steps names it
    time        time per operation, as a multiple of a loop in the same run

All steps but `time` run under -icount, where a TSC tick is one instruction.
The instructions of a hypervisor are included. Nothing is randomized (no KASLR,
fixed seeds). The boots of a step differ in the emulator's seed only; their
spread is reported.

The report (build/report/bench.json and .csv) is written after each boot.
Therefore a run that Ctrl-C ends early keeps what it has measured.
"""

import argparse
import base64
import binascii
import collections
import dataclasses
import functools
import gzip
import pathlib
import re
import tomllib
from typing import Iterable

from . import benchcompare, benchdata, benchplot, benchservices, bootstamp, common, initramfs, kernel, packages, \
    report, userland, world, xentrace
from .benchdata import Row
from .common import Failure, say

BENCH = common.ROOT / "bench"
VARIANTS = BENCH / "variants.toml"
STEPS = ("measure", "smp", "count", "count-smp", "loads", "services", "memory", "time")
# Without --steps. The services need a disk that only root can make, and half an hour
# more. A large memory needs as much of this machine.
DEFAULT_STEPS = tuple(step for step in STEPS if step not in ("services", "memory"))
# GiB of the small and of the large machine of the step `memory`. The emulator and Xen
# need the second number of MiB beside them.
MEMORY_GIB, MEMORY_BESIDE = (1, 16), 2048
# Nothing is randomized. Nothing is printed, because printing costs instructions.
# KUnit is off, because the kernels have different suites.
CMDLINE = ("nokaslr norandmaps randomize_kstack_offset=off random.trust_cpu=on "
           "kunit.enable=0 quiet printk.ignore_loglevel=0")
# Pages of xentrace's buffer for each CPU, which Xen allocates when it starts.
TRACE_PAGES = 4096
TRACE_MASK = 0x0020f000         # all events of TRC_PV
SMP_CPUS = 4
# Steps that run on so many CPUs, and steps that count crossings.
WITH_CPUS, COUNTING = ("smp", "count-smp"), ("count", "count-smp")
# Steps that a kind of world does not have. Bare metal has no hypervisor to cross
# into, but calls may be counted there. The records of xentrace do not name the
# domain. Therefore crossings are counted only if dom0 is the only domain. The disk
# with services is dom0's.
NOT_IN = {**dict.fromkeys(COUNTING, ("direct", "xen-domu")), "services": ("xen-domu",)}
# Millions of instructions to spend on one operation, roughly. A slow world takes
# the smallest number of samples.
BUDGET, BUDGET_SHORT, BUDGET_COUNT = 40, 10, 10
# Seconds for one step, so that a machine that hangs is ended.
LIMIT, LIMIT_NESTED = 400, 900
# Of the step `services`, whose loads have limits of their own (bench/jobs/services).
LIMIT_SERVICES = 1800
# Operations of the short form: quick ones, one of each kind.
SHORT_OPS = ("nothing", "reference", "getppid", "clock-gettime", "pipe-ping-pong", "mmap-1",
             "mmap-256", "mprotect-256", "mprotect-256-u2", "fault-anonymous", "fault-cow", "fork-exit",
             "vfork-exec")
# SVM exit codes, AMD APM volume 2, appendix C.
SVM_EXITS = {0x4e: "page fault", 0x60: "interrupt", 0x61: "NMI", 0x64: "interrupt window",
             0x65: "CR0 write, selective", 0x6e: "RDTSC", 0x6f: "RDPMC", 0x72: "CPUID",
             0x74: "IRET", 0x76: "INVD", 0x77: "PAUSE", 0x78: "HLT", 0x79: "INVLPG",
             0x7b: "I/O port", 0x7c: "MSR", 0x7f: "shutdown", 0x81: "VMMCALL",
             0x89: "WBINVD", 0x8d: "XSETBV", 0x400: "nested page fault",
             0x401: "AVIC incomplete IPI"}
MARK_EXIT = 0x7c        # the exit of the mark that ends a stretch
# bench/host/kvm-count: not exits, but what KVM did in some of them
EMULATED = {1000001: "emulated instruction (of these)",
            1000002: "emulated page-table write (of these)",
            1000003: "emulated memory-mapped I/O (of these)"}


@dataclasses.dataclass
class Variant:
    """A world and the kernel and options that it is booted with."""
    label: str
    world: str
    about: str = ""
    flavour: str = "main"
    cmdline: str = ""
    needs: str = ""
    calls: bool = False
    short: bool = False
    services: bool = False
    image: pathlib.Path | None = None   # instead of the flavour's

    @functools.cached_property
    def kind(self) -> str:
        """The world's."""
        return world.load(self.world).kind

    def has(self, step: str) -> bool:
        """Is there such a step in this variant's kind of world?"""
        return self.kind not in NOT_IN.get(step, ()) or step in COUNTING and self.calls


def load_variants(path: pathlib.Path = VARIANTS) -> list[Variant]:
    """Read the list and check each entry; entries of unknown worlds are left out."""
    try:
        entries = tomllib.loads(path.read_text(encoding="utf-8")).get("variant", [])
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise Failure(f"{common.shown(path)}: {error}") from None
    known = {field.name for field in dataclasses.fields(Variant)} - {"image"}
    found: list[Variant] = []
    for number, entry in enumerate(entries, 1):
        where = f"{common.shown(path)}: variant {number}"
        if not {"label", "world"} <= set(entry):
            raise Failure(f"{where}: needs a label and a world")
        if strange := set(entry) - known:
            raise Failure(f"{where}: {strange.pop()}: no such setting; "
                          f"there are: {' '.join(sorted(known))}")
        one = Variant(**entry)
        if not re.fullmatch(r"[\w.+-]+", one.label):
            raise Failure(f"{where}: label {one.label!r}: letters, digits, . + - and _ only")
        if one.flavour not in kernel.FLAVOURS:
            raise Failure(f"{where}: no kernel flavour {one.flavour}")
        if any(one.label == other.label for other in found):
            raise Failure(f"{where}: {one.label} is there already")
        if one.world in world.names() and (common.ROOT / one.needs).exists():
            found.append(one)
    return found


def chosen(words: list[str], everything: list[Variant]) -> list[Variant]:
    """Variants by label; LABEL=WORLD[,IMAGE][,WORD...] makes one that is not in the list."""
    picked = []
    for word in words:
        if "=" in word and not any(word == one.label for one in everything):
            label, rest = word.split("=", 1)
            name, *more = rest.split(",")
            image = next((pathlib.Path(w) for w in more if pathlib.Path(w).is_file()), None)
            cmdline = " ".join(w for w in more if image is None or w != str(image))
            world.load(name)
            picked.append(Variant(label, name, cmdline=cmdline, image=image))
            continue
        found = [one for one in everything if one.label == word]
        if not found:
            raise Failure(f"no variant {word}; there are: "
                          f"{' '.join(one.label for one in everything)}")
        picked += found
    return picked


# ---- one boot


@dataclasses.dataclass
class Plan:
    """What to do in each world."""
    steps: list[str]
    boots: int
    ops: list[str]                      # empty: all
    budget: int
    loads: list[str]
    services: list[benchservices.Load] = dataclasses.field(default_factory=list)
    services_boots: int = 1

    def boots_of(self, step: str) -> int:
        """How often the machine boots for a step."""
        return {"time": 1, "services": self.services_boots}.get(step, self.boots)


def _words(plan: Plan, step: str) -> str:
    if step == "memory":
        return "boot/ops=nothing"
    words = [f"budget={BUDGET_COUNT if step in COUNTING else plan.budget}"]
    # The first answer of bench/host/kvm-count is for the boot, so the program has to ask for it.
    if step in ("measure", *COUNTING):
        words.append("boot")
    if step == "time":
        words.append("time")
    if plan.ops or step == "count-smp":
        wanted = [op for op in plan.ops or SMP_OPS if (op in SMP_OPS) == (step in WITH_CPUS)]
        if step in COUNTING:
            wanted = ["nothing", *wanted]
        words.append(f"ops={','.join(dict.fromkeys(wanted))}")
    return "/".join(words)


LOADS = ("hackbench", "shell", "tar", "stress-vm", "stress-fork")
SMP_OPS = ("ipi-2", "ipi-4", "tlb-2", "tlb-4", "wake-2", "futex-2", "pipe-2", "fault-4", "mmap-4", "fork-4")


def alone(description: world.World) -> world.World:
    """A domU without devices and with a TSC that does not trap; other worlds unchanged.

    Xen emulates the TSC of a domain that may be migrated, so that each read traps.
    """
    if description.kind != "xen-domu":
        return description
    return dataclasses.replace(description, disk=0, network=False, jobs=[], steps=[],
                               domu_config=[*description.domu_config, 'tsc_mode = "native"'])


def with_memory(description: world.World, mib: int) -> world.World:
    """The world with so much memory for the kernel under test, and as much more for its host."""
    more = mib - description.memory
    return dataclasses.replace(description, memory=mib, host=dataclasses.replace(
        description.host, memory=description.host.memory + max(more, 0)))


def with_services(description: world.World) -> world.World:
    """The world with the disk, the memory for it, and a CPU that is the same in all variants.

    The C library and others choose their code by what CPUID says. A KVM guest has no
    XSAVE here (worlds/kvm-npt.toml), so no guest has it, and all run the same code.
    """
    if description.userland:
        raise Failure(f"{description.name}: this world has Debian's root file system in the place of the disk "
                      "with services")
    cpu = description.cpu if "-xsave" in description.cpu else f"{description.cpu},-xsave"
    description = with_memory(description, benchservices.MEMORY)
    return dataclasses.replace(
        description, services=True, cpu=cpu,
        host=dataclasses.replace(description.host, memory=max(description.host.memory,
                                                              benchservices.MEMORY + benchservices.HOST_MEMORY)))


def check_memory(mib: int) -> None:
    """A Failure if this machine has not so much memory left."""
    line, = re.findall(r"^MemAvailable:\s+(\d+) kB$", pathlib.Path("/proc/meminfo").read_text(encoding="ascii"),
                       re.MULTILINE)
    if int(line) // 1024 < mib:
        raise Failure(f"a machine with so much memory needs {mib} MiB, and {int(line) // 1024} MiB are available")


def boot(variant: Variant, step: str, seed: int, words: str, image: pathlib.Path,
         extra: str = "", limit: float | None = None, mib: int = 0) -> world.Result:
    """One step in one world; a Failure if it did not come to its end. MIB: other memory."""
    description = world.load(variant.world)
    if mib:
        description = with_memory(description, mib)
    nested = description.kind != "direct"
    cpios, host_files = [], {}
    job_step = {"smp": "measure", "time": "measure", "memory": "measure", "count-smp": "count"}.get(step, step)
    cpus = SMP_CPUS if step in WITH_CPUS else 1
    if step in COUNTING:
        if variant.calls:
            extra += " pv_counters"
        elif description.kind == "kvm":
            host_files["count"] = BENCH / "host/kvm-count"
        else:
            cpios.append(initramfs.image("bench-xen"))
            description.host.cmdline += f" tbuf_size={TRACE_PAGES} tevt_mask={TRACE_MASK:#x}"
            description.host.memory += cpus * TRACE_PAGES // 256 + 128
            description.memory += 128
    if step == "loads":
        cpios.append(initramfs.image("bench-loads"))
    if step == "services":
        description = with_services(description)
        cpios.append(benchservices.image(initramfs.OUT / "bench-services.cpio.gz", benchservices.load_list()))
        limit = LIMIT_SERVICES
    if description.kind in ("direct", "kvm") and "boot" in words.split("/"):
        image = bootstamp.image_of(image)
    description = alone(description)
    log = common.LOG / f"bench-{variant.label}-{step}{mib or ''}-{seed}.log"
    result = world.run(
        description, ["bench"], kernel=image, icount=step != "time",
        extra_cmdline=f"{CMDLINE} {variant.cmdline} pvops.step={job_step} "
                      f"pvops.words={words} {extra}".strip(),
        cpus=cpus, cpios=cpios, check_kunit=False,
        timeout=limit or (LIMIT_NESTED if nested else LIMIT), log=log, host_files=host_files,
        qemu_args=["-seed", str(seed), "-rtc", "base=2026-01-01T00:00:00,clock=vm"])
    job = result.jobs.get("bench")
    # The kernel does not print here what worlds expect in its log. xl must say
    # that it has read tsc_mode.
    problems = [p for p in result.problems
                if not re.match(r"backend |KUnit|(?:no|\d+) lines? like |host: xl: got a tsc mode", p)]
    if problems or job is None or job.rc is None:
        raise Failure(f"{variant.label}: {step}: "
                      f"{problems[0] if problems else 'the job did not end'}; "
                      f"see {common.shown(result.log)}")
    if job_step == "measure" and step != "time" and not any(
            check.name == "counting" and check.state == "ok" for check in job.checks):
        raise Failure(f"{variant.label}: the loop of known length has a wrong count; "
                      f"see {common.shown(result.log)}")
    return result


# ---- crossings


_STRETCH = re.compile(r"cross (\S+) index=(\d+) brackets=(\d+) ops=(\d+) ?(.*)")


def _stretches(lines: Iterable[str]) -> dict[str, tuple[int, int, int, dict[int, int]]]:
    """The guest's `cross` lines: index, brackets, operations, and the host's counts."""
    found = {}
    for line in lines:
        if match := _STRETCH.fullmatch(line):
            counts = {int(a): int(b) for a, b in re.findall(r"(\d+)=(\d+)", match[5])}
            found[match[1]] = (int(match[2]), int(match[3]), int(match[4]), counts)
    return found


def _per_op(counts: dict[str, float], brackets: int, ops: int,
            per_bracket: dict[str, float]) -> dict[str, float]:
    """Counts for one operation, without those that the marks cause themselves."""
    found = {}
    for kind, number in counts.items():
        left = number - brackets * per_bracket.get(kind, 0.0)
        if left > 0:
            found[kind] = left / ops
    return found


def exit_name(code: int) -> str:
    """An SVM exit code in words."""
    if code in SVM_EXITS:
        return SVM_EXITS[code]
    if code in EMULATED:
        return EMULATED[code]
    for first, name in ((0x00, "CR{} read"), (0x10, "CR{} write"), (0x20, "DR{} read"),
                        (0x30, "DR{} write")):
        if first <= code < first + 16:
            return name.format(code - first)
    if 0x40 <= code < 0x60:
        return f"exception {code - 0x40}"
    return f"exit {code:#x}"


def _named_exits(counts: Iterable[tuple[int, int]]) -> dict[str, float]:
    named: dict[str, float] = collections.Counter()
    for code, number in counts:
        named[exit_name(code)] += number
    return named


def kvm_boot_crossings(lines: Iterable[str], booted: benchdata.Boot) -> dict[str, dict[str, float]]:
    """Exits of each phase of booting: PHASE:REASON=COUNT; phase 0 is before the kernel."""
    names = ["", "boot-entry" if booted.entry_ticks else "", *(f"boot-{name}" for name in booted.phases)]
    by_phase: dict[str, list[tuple[int, int]]] = collections.defaultdict(list)
    for line in lines:
        if (match := _STRETCH.fullmatch(line)) and match[1] == "boot":
            for phase, code, number in re.findall(r"(\d+):(\d+)=(\d+)", match[5]):
                if int(phase) < len(names):
                    by_phase[names[int(phase)]].append((int(code), int(number)))
    found = {name: dict(_named_exits(by_phase[name])) for name in names if name}
    found["boot"] = dict(_named_exits(pair for name, pairs in by_phase.items()
                                      if name not in ("", "boot-entry") for pair in pairs))
    return found


def kvm_crossings(lines: list[str], booted: benchdata.Boot | None) -> dict[str, dict[str, float]]:
    """Exits per operation: of the marks only the last one's exit is inside of a bracket."""
    found = {}
    for name, (_, brackets, ops, counts) in _stretches(lines).items():
        if name != "boot":
            found[name] = _per_op(_named_exits(counts.items()), brackets, ops, {exit_name(MARK_EXIT): 1})
    return found | (kvm_boot_crossings(lines, booted) if booted else {})


def op_calls(lines: Iterable[str]) -> dict[str, dict[str, float]]:
    """Calls of pv ops per operation, without those that reading the counters makes."""
    stretches = {}
    for line in lines:
        if match := _STRETCH.fullmatch(line):
            counts = {name: float(number) for name, number in re.findall(r"([a-z][\w.]*)=(\d+)", match[5])}
            stretches[match[1]] = (int(match[3]), int(match[4]), counts)
    if "nothing" not in stretches:
        raise Failure("the operation `nothing` was not counted: what the marks cost is not known")
    brackets, _, counts = stretches["nothing"]
    marks = {op: number / brackets for op, number in counts.items()}
    return {name: _per_op(counts, brackets, ops, marks)
            for name, (brackets, ops, counts) in stretches.items() if name != "nothing"}


def trace_of(lines: Iterable[str], prefix: str = "trace") -> bytes:
    """A file that a guest printed, packed and as text."""
    packed = "".join(line[len(prefix) + 1:] for line in lines if line.startswith(f"{prefix} "))
    try:
        return gzip.decompress(base64.b64decode(packed, validate=True))
    except (binascii.Error, EOFError, OSError) as error:
        raise Failure(f"what the guest printed as {prefix} is damaged: {error}") from None


def xen_crossings(lines: list[str], booted: benchdata.Boot | None
                  ) -> dict[str, dict[str, float]]:
    """Crossings per operation and per phase of booting, from the trace.

    A PV kernel has no setup code that could record when the kernel began. Its
    first hypercall is taken for that moment, and BOOTED gets the time.
    """
    counted = xentrace.count(trace_of(lines))
    stretches = _stretches(lines)
    if "nothing" not in stretches:
        raise Failure("the operation `nothing` was not counted: what the marks cost is not known")
    index, brackets, _, _ = stretches["nothing"]
    marks = {kind: number / brackets
             for kind, number in counted.stretches.get(index, {}).items()}
    found = {name: _per_op(counted.stretches.get(index, {}), brackets, ops, marks)
             for name, (index, brackets, ops, _) in stretches.items() if name != "boot"}
    if booted:
        booted.entry_ticks = counted.boot[0][0]
        before = booted.tsc_of(0)
        found["boot-entry"] = dict(collections.Counter(kind for at, kind in counted.boot if at < before))
        for name, usec in booted.phases.items():
            after = booted.tsc_of(usec)
            found[f"boot-{name}"] = dict(collections.Counter(
                kind for at, kind in counted.boot if before <= at < after))
            before = after
        found["boot"] = dict(collections.Counter(
            kind for at, kind in counted.boot if booted.tsc_of(0) <= at < before))
    return found


# ---- a whole run


class Measurement:
    """Everything measured so far, and the report that is written of it."""

    def __init__(self, plan: Plan, where: pathlib.Path, everything: list[Variant]) -> None:
        self.plan, self.where, self.everything = plan, where, everything
        self.rows: dict[tuple[str, str], Row] = {}
        self.kernels: dict[str, dict[str, str]] = {}
        self.failures: list[str] = []

    def row(self, variant: Variant, backend: str, op: str) -> Row:
        """The row of an operation, made when it is first needed."""
        row = self.rows.setdefault((variant.label, op),
                                   Row(variant.world, variant.label, backend, op))
        row.backend = backend or row.backend
        return row

    def run(self, variant: Variant) -> None:
        """All steps in one world."""
        image = (variant.image or kernel.build(variant.flavour)).absolute()
        for step in self.plan.steps:
            if not variant.has(step):
                continue
            if step in WITH_CPUS and self.plan.ops and not set(self.plan.ops) & set(SMP_OPS):
                continue
            try:
                self.step(variant, step, image)
            except Failure as failure:
                # a world that fails does not end the run
                self.failures.append(str(failure))
                say(f"bench: FAILED {failure}")
            self.save(False)

    def step(self, variant: Variant, step: str, image: pathlib.Path) -> None:
        """The boots of one step."""
        boots = self.plan.boots_of(step)
        costs: dict[str, list[benchdata.Sampled]] = collections.defaultdict(list)
        crossed: dict[str, list[dict[str, float]]] = collections.defaultdict(list)
        for seed in range(1, boots + 1):
            say(f"bench: {variant.label}: {step}, boot {seed} of {boots}")
            if step == "memory":
                self.memory(variant, seed, image, costs)
                self.save(False)
                continue
            loads = {"loads": self.plan.loads, "services": [load.name for load in self.plan.services]}.get(step)
            extra = f"pvops.loads={','.join(loads)} pvops.times=2" if loads else ""
            result = self.booted(variant, step, seed, image, extra)
            lines = result.jobs["bench"].lines
            backend = self.remember(variant, image, result)
            if step in COUNTING and variant.calls:
                for op, calls in op_calls(lines).items():
                    self.row(variant, backend, op).calls = {
                        name: round(number, 4) for name, number in calls.items()}
                continue
            if step in COUNTING:
                booted = benchdata.parse_boot(lines) if step == "count" else None
                if variant.kind == "kvm":
                    found = kvm_crossings(lines, booted)
                else:
                    found = xen_crossings(lines, booted)
                    if booted:
                        # only here: the trace knows when Xen started the kernel
                        length = booted.lengths()["boot-entry"]
                        costs["boot-entry"].append(benchdata.Sampled(length, length, length))
                        self.combine(variant, backend, costs)
                for op, crossings in found.items():
                    if op == "nothing":
                        continue
                    crossed[op].append(crossings)
                    row = self.row(variant, backend, op)
                    mean, spread = benchdata.combine_crossings(crossed[op])
                    row.crossings = {name: round(number, 4) for name, number in mean.items()}
                    row.crossings_spread = round(spread, 2)
                self.save(False)
                continue
            if step == "services":
                self.services(variant, backend, lines, costs)
                self.save(False)
                continue
            if step == "time":
                for op, (time, spread) in benchdata.parse_times(lines).items():
                    row = self.row(variant, backend, op)
                    row.time, row.time_spread = round(time, 6), round(spread, 2)
                continue
            for op, sampled in (benchdata.parse_costs(lines) | load_costs(lines)).items():
                costs[op].append(sampled)
            if step == "measure" and (booted := benchdata.parse_boot(lines)):
                for op, length in booted.lengths().items():
                    costs[op].append(benchdata.Sampled(length, length, length))
            self.check_nothing(variant, costs)
            self.combine(variant, backend, costs)
            self.save(False)

    def remember(self, variant: Variant, image: pathlib.Path, result: world.Result) -> str:
        """Note for the report which kernel it was, and return its backend."""
        backend = result.report.get("backend", "none")
        self.kernels[variant.label] = {
            "world": variant.world, "about": variant.about, "backend": backend,
            "release": result.report.get("release", ""), "kernel": common.shown(image),
            "cmdline": variant.cmdline}
        return backend

    def memory(self, variant: Variant, seed: int, image: pathlib.Path,
               costs: dict[str, list[benchdata.Sampled]]) -> None:
        """What a boot costs more, for each further GiB of memory."""
        small, large = MEMORY_GIB
        check_memory(large * 1024 + MEMORY_BESIDE)
        lengths, backend = {}, ""
        for gib in MEMORY_GIB:
            result = self.booted(variant, "memory", seed, image, "", gib * 1024)
            backend = self.remember(variant, image, result)
            booted = benchdata.parse_boot(result.jobs["bench"].lines)
            if not booted:
                raise Failure(f"{variant.label}: memory: the boot was not measured; see {common.shown(result.log)}")
            lengths[gib] = booted.lengths()
        for op, length in benchdata.per_unit(lengths[small], lengths[large], large - small).items():
            costs[op].append(benchdata.Sampled(length, length, length))
        self.combine(variant, backend, costs)

    def services(self, variant: Variant, backend: str, lines: list[str],
                 costs: dict[str, list[benchdata.Sampled]]) -> None:
        """The loads of one more boot; one that failed has no figure."""
        found = benchservices.parse(lines, self.plan.services)
        for load in self.plan.services:
            if load.name not in found.costs:
                continue
            op = f"{benchdata.SERVICE}{load.name}"
            costs[op].append(found.costs[load.name])
            row = self.row(variant, backend, op)
            total, spread = benchdata.combine(costs[op])
            row.instructions, row.spread, row.boots = round(total / load.count, 1), round(spread, 3), len(costs[op])
            row.about, row.unit = load.about, load.unit
            # of the boot with most of it
            row.idle = max(row.idle, round(found.idle[load.name], 2))
        for failure in found.failures:
            self.failures.append(f"{variant.label}: services: {failure}")
            say(f"bench: FAILED {self.failures[-1]}")

    def booted(self, variant: Variant, step: str, seed: int, image: pathlib.Path,
               extra: str, mib: int = 0) -> world.Result:
        """One boot; under KVM up to three more, with other seeds, if it fails.

        QEMU 7.2's nested SVM sometimes loses an interrupt of an idle guest, or
        delivers an interrupt to a CPU that has disabled interrupts. The guest then
        dies in its entry code.
        """
        seeds = [seed, *(range(seed + 100, seed + 400, 100)
                         if variant.kind == "kvm" else ())]
        while True:
            this = seeds.pop(0)
            try:
                return boot(variant, step, this, _words(self.plan, step), image, extra, mib=mib)
            except Failure as failure:
                if not seeds:
                    raise
                say(f"bench: once more with another seed, because {failure}")

    def combine(self, variant: Variant, backend: str,
                costs: dict[str, list[benchdata.Sampled]]) -> None:
        """The rows' instructions, from all boots so far."""
        for op, sampled in costs.items():
            if op in ("nothing", "reference"):
                continue
            row = self.row(variant, backend, op)
            row.instructions, row.spread = benchdata.combine(sampled)
            row.spread, row.boots = round(row.spread, 3), len(sampled)

    @staticmethod
    def check_nothing(variant: Variant, costs: dict[str, list[benchdata.Sampled]]) -> None:
        """The operation `nothing` must cost a call only, or the other figures are wrong."""
        for one in costs.get("nothing", []):
            if one.median > 10:
                raise Failure(f"{variant.label}: the operation `nothing` costs {one.median} ticks: "
                              "the cost of reading the clock was not subtracted")

    def about(self) -> dict[str, object]:
        """What the report says about itself."""
        return {"unit": "instructions (TSC ticks under -icount shift=0)",
                "steps": self.plan.steps, "boots": self.plan.boots,
                "command_line": CMDLINE, "variants": self.kernels,
                "failures": self.failures}

    def sorted_rows(self) -> list[Row]:
        """Sort the rows: variants in the order of the list, operations in the order of ABOUT."""
        rows = list(self.rows.values())
        order = {op: i for i, op in enumerate(benchdata.ordered_ops(rows))}
        labels = {one.label: i for i, one in enumerate(self.everything)}
        return sorted(rows, key=lambda r: (labels.get(r.variant, len(labels)), order[r.op]))

    def save(self, complete: bool) -> None:
        """Write the report with all figures so far."""
        benchdata.save(self.where, self.sorted_rows(), {"complete": complete, **self.about()})

    def show(self) -> None:
        """The tables."""
        rows = self.sorted_rows()
        for text in (benchdata.instruction_table(rows),
                     *(benchdata.crossing_table(rows, label)
                       for label in benchdata.variants(rows)),
                     *(benchdata.call_table(rows, label)
                       for label in benchdata.variants(rows)),
                     benchdata.time_table(rows)):
            if text:
                print(f"\n{text}")
        if dear := benchservices.not_below(rows):
            print("\n" + "\n".join(dear))


def load_costs(lines: Iterable[str]) -> dict[str, benchdata.Sampled]:
    """The `load` lines: each load runs a few times, and every run counts."""
    found = {}
    for line in lines:
        if match := re.fullmatch(r"load (\S+) ticks=([\d,]+)", line):
            ticks = sorted(map(int, match[2].split(",")))
            found[f"load-{match[1]}"] = benchdata.Sampled(ticks[len(ticks) // 2], ticks[0], ticks[-1])
    return found


def run(variants: list[Variant], plan: Plan, where: pathlib.Path) -> Measurement:
    """Measure everything; the report has each figure as soon as it is measured."""
    measured = Measurement(plan, where, variants)
    try:
        for variant in variants:
            measured.run(variant)
    except KeyboardInterrupt:
        world.stop_all()
        say(f"bench: ended early; {common.shown(where)} has the figures so far")
        measured.save(False)
        measured.show()
        raise
    measured.save(not measured.failures)
    return measured


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(prog="tools.pvops.bench", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("variants", nargs="*",
                        help="labels of bench/variants.toml, or LABEL=WORLD[,BZIMAGE][,WORD]...")
    parser.add_argument("--list", action="store_true", help="list the variants")
    parser.add_argument("--steps", default=",".join(DEFAULT_STEPS), metavar="A,B",
                        help=f"of {' '.join(STEPS)} (default: %(default)s)")
    parser.add_argument("--loads", default="", metavar="A,B", help="only these loads of the step services")
    parser.add_argument("--ops", default="", metavar="A,B", help="only these operations")
    parser.add_argument("--boots", type=int,
                        help="boots of each step that measures instructions (default: 2, of the step services 1)")
    parser.add_argument("--budget", type=int, default=BUDGET, metavar="N",
                        help="millions of instructions for one operation (default: %(default)s)")
    parser.add_argument("--short", action="store_true", help="a short form: some variants, "
                        "some operations, one boot")
    parser.add_argument("--bounds", type=pathlib.Path, nargs="?", const=benchcompare.BOUNDS,
                        metavar="FILE", help="judge by these bounds (default: bench/bounds.toml)")
    parser.add_argument("--write-bounds", action="store_true",
                        help="write the measured figures as the new bounds")
    parser.add_argument("--report", type=pathlib.Path, default=common.REPORT / "bench.json",
                        help="where the JSON goes (default: build/report/bench.json)")
    args = parser.parse_args()
    everything = load_variants()
    if args.list:
        print(report.table([["variant", "world", "what it is"]]
                           + [[v.label, v.world, v.about] for v in everything]))
        return 0
    steps = [step for step in args.steps.split(",") if step]
    for step in steps:
        if step not in STEPS:
            raise Failure(f"no step {step}; there are: {' '.join(STEPS)}")
    ops = [op for op in args.ops.split(",") if op]
    for op in ops:
        if op not in benchdata.ABOUT and op not in ("nothing", "reference"):
            raise Failure(f"no operation {op}; there are: {' '.join(benchdata.ABOUT)}")
    services = benchservices.chosen([load for load in args.loads.split(",") if load], benchservices.load_list())
    if args.loads and "services" not in steps:
        raise Failure("--loads is for the step services: add --steps services")
    boots = 2 if args.boots is None else args.boots
    if boots < 1 or args.budget < 1:
        raise Failure("--boots and --budget: at least 1")
    picked = chosen(args.variants or [v.label for v in everything if (v.short or not args.short)
                                      and (v.services or steps != ["services"])], everything)
    plan = Plan(steps, boots, ops, args.budget, list(LOADS), services, args.boots or 1)
    if args.short:
        plan = Plan([s for s in steps if s in ("measure", "count")], 1, ops or list(SHORT_OPS),
                    min(args.budget, BUDGET_SHORT), list(LOADS))
    if not any(variant.has(step) for variant in picked for step in plan.steps):
        raise Failure(f"nothing to measure: {' '.join(variant.label for variant in picked)}: no step of "
                      f"{','.join(steps)}{' with --short' if args.short else ''}; see Documentation/benchmarks.rst")
    packages.ensure()
    if "services" in plan.steps:
        userland.image("services")
    try:
        measured = run(picked, plan, args.report.absolute())
    finally:
        world.stop_all()
    measured.show()
    print(f"\n{common.shown(args.report)} has the same for scripts, .csv beside it for tables")
    page = benchplot.draw_report(args.report.absolute())
    print(f"{common.shown(page)} has tables and pictures")
    for failure in measured.failures:
        print(f"FAILED {failure}")
    failed = len(measured.failures)
    if args.write_bounds:
        benchcompare.write_bounds(measured.sorted_rows(), args.bounds or benchcompare.BOUNDS)
    elif args.bounds:
        verdicts = benchcompare.judge(measured.sorted_rows(), args.bounds)
        print("\n".join(verdicts))
        bad = sum(line.startswith("not ok") for line in verdicts) + failed
        print(f"bench: {len(verdicts) + failed - bad} passed, {bad} failed, 0 skipped")
        return 1 if bad else 0
    return 1 if failed else 0


if __name__ == "__main__":
    common.command(main)
