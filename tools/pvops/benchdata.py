# SPDX-License-Identifier: GPL-2.0
"""Figures of the benchmarks: statistics, the report file, tables, comparison.

There are three measures, which are never mixed. Instructions are TSC ticks
under -icount. Crossings are counted by the hypervisor's own tracing. Time is a
multiple of the time of a loop of known length in the same run. Each figure has
a spread. A difference counts only if it is larger than both spreads together.
"""

import csv
import dataclasses
import json
import pathlib
import re
import statistics
from typing import Iterable

from . import common, report
from .common import Failure

VERSION = 1
_ABOUT = {
    "getppid": "getppid()",
    "clock-gettime": "clock_gettime(), by the vDSO",
    "signal": "a signal to itself, with a handler",
    "pipe-ping-pong": "a byte to another process and back",
    "futex-ping-pong": "wake another process and be woken",
    "timer-fire": "arm a timer, take its interrupt and signal",
    "idle-wake": "from a timer's expiry, idle, to user space",
    "mmap-1": "mmap, touch, munmap 1 page",
    "mmap-256": "mmap, touch, munmap 256 pages",
    "mremap-256": "mmap, touch, mremap, munmap 256 pages",
    "mprotect-1": "mprotect 1 page to R, then RW",
    "mprotect-256": "mprotect 256 pages to R, then RW",
    "fault-anonymous": "page fault, new anonymous page",
    "fault-cow": "page fault, copy on write",
    "fault-file": "page fault, shared file (16 pages mapped)",
    "shared-256": "shared file: mmap, write, munmap 256 pages",
    "thread-create": "create a thread, join it",
    "fork-exit": "fork, exit, wait; 300 pages populated",
    "fork-write": "fork, child writes 256 pages, exit, wait",
    "fork-exec": "fork, exec, exit, wait; 300 pages populated",
    "vfork-exec": "vfork, exec, exit, wait",
    "fork-many": "fork, exit, wait; 3300 pages populated",
    "ipi-2": "membarrier: IPI to 1 other CPU",
    "ipi-4": "membarrier: IPI to 3 other CPUs",
    "tlb-2": "TLB shootdown (mprotect 1 page), 2 CPUs",
    "tlb-4": "TLB shootdown (mprotect 1 page), 4 CPUs",
    "wake-2": "wake a thread on an idle CPU",
    "futex-2": "a futex to a thread on another CPU and back",
    "pipe-2": "a byte to a thread on another CPU and back",
    "fault-4": "4 threads, 4 CPUs: 64 page faults each",
    "mmap-4": "4 threads, 4 CPUs: mmap, touch, munmap 16 pages each",
    "fork-4": "fork, exit, wait; 256 pages; threads on 3 other CPUs",
    "boot-entry": "boot: from the first instruction to the kernel's clock",
    "boot-core": "boot: to alternatives patched",
    "boot-smp": "boot: to all CPUs up",
    "boot-initcalls": "boot: drivers and file systems",
    "boot-init": "boot: to init",
    "boot": "boot: all of it",
    "gib-core": "boot, a further GiB: to alternatives patched",
    "gib-initcalls": "boot, a further GiB: drivers and file systems",
    "gib": "boot, a further GiB: all of it",
    "load-hackbench": "hackbench",
    "load-shell": "a shell script of many small processes",
    "load-tar": "tar and compress a tree",
    "load-stress-vm": "stress-ng, vm stressors",
    "load-stress-fork": "stress-ng, fork stressors",
}
# What the name of an operation begins with that is a load of bench/services.toml.
SERVICE = "service-"
# Operations that are measured once more with a second, sleeping thread in the process.
TWO_THREADS = "-u2"
_U2 = ("mmap-1", "mmap-256", "mremap-256", "mprotect-1", "mprotect-256", "fault-anonymous", "fault-cow",
       "shared-256", "fork-exit", "fork-write", "fork-exec")
# Operations in the order of the tables.
ABOUT: dict[str, str] = {}
for _op, _text in _ABOUT.items():
    ABOUT[_op] = _text
    if _op in _U2:
        ABOUT[_op + TWO_THREADS] = f"{_text}; U2"
# What the name of a row about a whole boot begins with.
OF_BOOTS = ("boot", "gib")
# Operations that the benchmark program can do again and again.
REPEATED = [op for op in ABOUT if not op.startswith((*OF_BOOTS, "load-"))]
# In a table: kinds with fewer crossings per operation than this are left out, as
# a timer tick caused them; and the largest number of kinds.
CROSSINGS_MIN = 0.05
CALLS_MIN = 0.5
KINDS_SHOWN = 12
# Operations without a time: what is subtracted from them is known in instructions only.
UNTIMED = ("nothing", "timer-fire", "idle-wake")
# Keys that each result in a report file must have.
ROW_KEYS = {"world", "variant", "op", "instructions", "spread", "crossings"}


def total_of(crossings: dict[str, float]) -> float:
    """Crossings of all kinds.

    Calls inside of a multicall are no crossings: the multicall is one hypercall.
    Neither is an instruction that KVM emulates: its exit is counted already.
    """
    return sum(n for kind, n in crossings.items() if not kind.endswith(("(multicall)", "(of these)")))


@dataclasses.dataclass
class Row:
    """One operation in one variant. None: not measured."""
    world: str
    variant: str
    backend: str
    op: str
    instructions: float | None = None
    spread: float = 0.0                 # percent
    boots: int = 0
    crossings: dict[str, float] | None = None       # kind -> per operation
    crossings_spread: float = 0.0       # percent of all kinds together
    calls: dict[str, float] | None = None           # pv op -> calls per operation
    time: float | None = None           # multiples of 100,000 instructions' loop
    time_spread: float = 0.0            # percent
    about: str = ""                     # of a load that is not in ABOUT
    unit: str = ""                      # of such a load: request or job
    idle: float = 0.0                   # percent of its ticks in which the CPU was idle

    @property
    def total(self) -> float | None:
        """Crossings of all kinds; calls inside of a multicall are none."""
        return None if self.crossings is None else total_of(self.crossings)


@dataclasses.dataclass
class Sampled:
    """One operation in one boot, as the guest printed it."""
    median: int
    q1: int
    q3: int


def percent(part: float, whole: float) -> float:
    """Percent of a whole; 0 if the whole is 0."""
    return 100.0 * part / whole if whole else 0.0


def combine(boots: list[Sampled]) -> tuple[float, float]:
    """Figure and spread in percent over the boots of one kernel.

    The spread is the larger one of two: the range of the boots, and the range of
    the middle half of the batches of one boot.
    """
    value = statistics.median(one.median for one in boots)
    between = max(one.median for one in boots) - min(one.median for one in boots)
    within = max(one.q3 - one.q1 for one in boots)
    return value, percent(max(between, within), value)


def combine_crossings(boots: list[dict[str, float]]) -> tuple[dict[str, float], float]:
    """Mean crossings by kind over the boots, and the range of their sums in percent."""
    kinds = sorted({kind for one in boots for kind in one})
    mean = {kind: sum(one.get(kind, 0.0) for one in boots) / len(boots) for kind in kinds}
    totals = [total_of(one) for one in boots]
    return mean, percent(max(totals) - min(totals), statistics.mean(totals))


def parse_costs(lines: Iterable[str]) -> dict[str, Sampled]:
    """The `cost` lines of a guest."""
    found = {}
    for line in lines:
        if match := re.fullmatch(r"cost (\S+) min=\d+ median=(\d+) .* q1=(\d+) q3=(\d+)", line):
            found[match[1]] = Sampled(*map(int, match.groups()[1:]))
    return found


def parse_times(lines: Iterable[str]) -> dict[str, tuple[float, float]]:
    """With `time`: each operation as a multiple of the loop before it, and its spread."""
    found, reference = {}, None
    for line in lines:
        for name, one in parse_costs([line]).items():
            if name == "reference":
                reference = one
            elif reference and reference.median and name not in UNTIMED:
                spread = percent(one.q3 - one.q1, one.median) \
                    + percent(reference.q3 - reference.q1, reference.median)
                found[name] = (one.median / reference.median, spread)
    return found


@dataclasses.dataclass
class Boot:
    """What a guest printed about its boot; ticks are instructions."""
    phases: dict[str, int]              # phase -> kernel clock at its end, in us
    clock_us: int                       # when the mark was written
    reset_ticks: int                    # of the program's start, since reset
    mark_ticks: int                     # of the mark, since the program's start
    entry_ticks: int = 0                # of the kernel's first instruction; 0: not known

    def tsc_of(self, usec: int) -> int:
        """The time stamp counter when the kernel's clock showed this."""
        return self.reset_ticks + self.mark_ticks - (self.clock_us - usec) * 1000

    def lengths(self) -> dict[str, int]:
        """Instructions of each phase, and of all from the start of the kernel's clock."""
        found, before = {}, 0
        if self.entry_ticks:
            found["boot-entry"] = self.tsc_of(0) - self.entry_ticks
        for name, usec in self.phases.items():
            found[f"boot-{name}"] = (usec - before) * 1000
            before = usec
        return found | {"boot": before * 1000}


def per_unit(small: dict[str, int], large: dict[str, int], units: int) -> dict[str, int]:
    """The phases of two boots, whose machines differ by so many units: what one unit costs."""
    return {f"gib{name.removeprefix('boot')}": (large[name] - small[name]) // units
            for name in small if name in large and f"gib{name.removeprefix('boot')}" in ABOUT}


BOOT_LINE = re.compile(r"boot reset-ticks=(\d+) clock-us=(\d+) mark-ticks=(\d+)(?: entry-ticks=(\d+))?")


def parse_boot(lines: Iterable[str]) -> Boot | None:
    """The `phase` and `boot` lines of a guest; None if there are none."""
    phases: dict[str, int] = {}
    for line in lines:
        if match := re.fullmatch(r"phase (\S+) us=(\d+)", line):
            phases[match[1]] = int(match[2])
        elif match := BOOT_LINE.fullmatch(line):
            return Boot(phases, int(match[2]), int(match[1]), int(match[3]),
                        int(match[4] or 0)) if phases else None
    return None


# ---- the report file


def save(path: pathlib.Path, rows: list[Row], about: dict[str, object]) -> None:
    """Write JSON, and the same figures as CSV beside it."""
    report.write_json(path, {"version": VERSION, **about,
                             "results": [dataclasses.asdict(row) for row in rows]})
    kinds = sorted({kind for row in rows for kind in row.crossings or {}})
    with common.whole(path.with_suffix(".csv")) as partial, \
            open(partial, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["world", "variant", "backend", "op", "instructions",
                         "spread_percent", "boots", "crossings", "crossings_spread_percent",
                         "time", "time_spread_percent", *kinds])
        for row in rows:
            cells = [row.instructions, row.spread, row.boots, row.total, row.crossings_spread,
                     row.time, row.time_spread]
            writer.writerow([row.world, row.variant, row.backend, row.op,
                             *("" if cell is None else round(cell, 4) for cell in cells),
                             *(round(row.crossings[kind], 4)
                               if row.crossings and kind in row.crossings else ""
                               for kind in kinds)])


def load(path: pathlib.Path) -> tuple[list[Row], dict[str, object]]:
    """Rows of a report and its header; a Failure says what is wrong with the file."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise Failure(f"{common.shown(path)}: no such report; make bench writes one") from None
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise Failure(f"{common.shown(path)}: damaged, not JSON ({error}); "
                      "measure again with make bench") from None
    if not isinstance(content, dict) or not isinstance(content.get("results"), list):
        raise Failure(f"{common.shown(path)}: not a report of make bench: it has no results")
    if content.get("version") != VERSION:
        raise Failure(f"{common.shown(path)}: a report of version {content.get('version')!r}, "
                      f"this tool reads {VERSION}; measure again")
    known = {field.name for field in dataclasses.fields(Row)}
    rows = []
    for number, entry in enumerate(content["results"], 1):
        if not isinstance(entry, dict) or (lacking := ROW_KEYS - set(entry)):
            raise Failure(f"{common.shown(path)}: damaged: result {number} has no "
                          f"{', '.join(sorted(lacking)) if isinstance(entry, dict) else 'keys'}")
        row = Row(**{"backend": ""} | {key: entry[key] for key in entry if key in known})
        numbers = [row.instructions, row.spread, row.time, *(row.crossings or {}).values()] \
            if isinstance(row.crossings, (dict, type(None))) else [""]
        if not all(one is None or isinstance(one, (int, float)) for one in numbers):
            raise Failure(f"{common.shown(path)}: damaged: result {number} "
                          f"({row.variant}, {row.op}) has something that is no number")
        rows.append(row)
    return rows, {key: value for key, value in content.items() if key != "results"}


# ---- tables


@dataclasses.dataclass
class Difference:
    """Two figures, the second against the first."""
    a: float
    b: float
    spread: float                       # percent, of both together

    @property
    def percent(self) -> float:
        """Percent by which the second is more."""
        return percent(self.b - self.a, self.a)

    @property
    def real(self) -> bool:
        """Whether it is larger than both spreads together."""
        return self.a != self.b and abs(self.percent) > self.spread


def instructions(a: Row, b: Row) -> Difference:
    """The instructions of two rows that have them."""
    assert a.instructions is not None and b.instructions is not None
    return Difference(a.instructions, b.instructions, a.spread + b.spread)


def ordered_ops(rows: Iterable[Row]) -> list[str]:
    """The operations that occur: those of ABOUT in its order, then others."""
    there = dict.fromkeys(row.op for row in rows)
    return [op for op in ABOUT if op in there] + [op for op in there if op not in ABOUT]


def described(op: str, rows: Iterable[Row]) -> str:
    """An operation in words: of ABOUT, or those of a load of the step services."""
    load = next((row for row in rows if row.op == op and row.about), None)
    return f"{load.about}; a {load.unit}" if load else ABOUT.get(op, op)


def variants(rows: Iterable[Row]) -> list[str]:
    """The labels that occur, in order."""
    return list(dict.fromkeys(row.variant for row in rows))


def _cell(row: Row | None, base: Row | None) -> list[str]:
    if row is None or row.instructions is None:
        return ["-", ""]
    text = f"{row.instructions:,.0f}"
    if base is None or base is row or not base.instructions:
        return [text, f"±{row.spread:.1f} %"]
    if not instructions(base, row).real:
        return [text, "="]
    return [text, f"x {row.instructions / base.instructions:.2f}"]


def instruction_table(rows: list[Row]) -> str:
    """Instructions per operation, a pair of columns for each variant."""
    labels = variants(rows)
    by_key = {(row.variant, row.op): row for row in rows}
    lines = [["instructions per operation"] + [cell for label in labels for cell in (label, "")]]
    for op in ordered_ops(rows):
        found = [by_key.get((label, op)) for label in labels]
        if any(row and row.instructions is not None for row in found):
            lines.append([described(op, rows)] + [
                cell for row in found for cell in _cell(row, found[0])])
    return _right(lines) if len(lines) > 1 else ""


def crossing_table(rows: list[Row], variant: str) -> str:
    """Crossings per operation in one variant, the most frequent kinds first."""
    mine = {row.op: row for row in rows if row.variant == variant and row.crossings is not None}
    if not mine:
        return ""
    lines = [[f"{variant}: crossings per operation", "all", "of what kind"]]
    for op in ordered_ops(mine.values()):
        kinds = sorted((mine[op].crossings or {}).items(), key=lambda item: -item[1])
        shown = [f"{_count(number)} {kind}" for kind, number in kinds if number >= CROSSINGS_MIN]
        more = [f"and {len(shown) - KINDS_SHOWN} kinds more"] if len(shown) > KINDS_SHOWN else []
        spread = f" ±{mine[op].crossings_spread:.1f} %" if mine[op].crossings_spread >= 0.05 else ""
        lines.append([ABOUT.get(op, op), _count(mine[op].total or 0) + spread,
                      ", ".join(shown[:KINDS_SHOWN] + more)])
    return report.table(lines)


def call_table(rows: list[Row], variant: str) -> str:
    """What a call costs: the instructions beyond those of the first variant, per call."""
    first = variants(rows)[0]
    base = {row.op: row for row in rows if row.variant == first}
    lines = [[f"{variant}: calls of ops", "calls", f"more than {first}", "each", "", "most of them"]]
    for row in rows:
        if row.variant != variant or not row.calls or row.instructions is None:
            continue
        number, other = sum(row.calls.values()), base.get(row.op)
        if number < CALLS_MIN or other is None or other is row or other.instructions is None:
            continue
        more = instructions(other, row)
        kinds = sorted(row.calls.items(), key=lambda item: -item[1])[:KINDS_SHOWN // 2]
        lines.append([ABOUT.get(row.op, row.op), _count(number), f"{more.b - more.a:,.0f}",
                      f"{(more.b - more.a) / number:.1f}", "" if more.real else "=",
                      ", ".join(f"{_count(calls)} {op}" for op, calls in kinds if calls >= CALLS_MIN)])
    return report.table(lines) if len(lines) > 1 else ""


def time_table(rows: list[Row]) -> str:
    """Times, in multiples of a loop of 100,000 instructions in the same run."""
    timed = [row for row in rows if row.time is not None]
    if not timed:
        return ""
    labels = variants(timed)
    lines = [["time, in loops of 100,000 instructions"] + labels]
    for op in ordered_ops(timed):
        cells = []
        for label in labels:
            row = next((row for row in timed if row.op == op and row.variant == label), None)
            cells.append(f"{row.time:.3g} ±{row.time_spread:.0f} %" if row else "-")
        lines.append([ABOUT.get(op, op), *cells])
    return _right(lines)


def _count(number: float) -> str:
    return f"{number:,.0f}" if number >= 100 or number == round(number) else f"{number:.1f}"


def _right(rows: list[list[str]]) -> str:
    """A table whose figures are flush right."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return report.table([[row[0]] + [cell.rjust(width) for cell, width in zip(row[1:], widths[1:])]
                         for row in rows])


# ---- one report against another


@dataclasses.dataclass
class Change:
    """How one figure changed."""
    variant: str
    op: str
    what: str                           # "instructions" or "crossings"
    difference: Difference
    bound: float                        # percent

    @property
    def verdict(self) -> str:
        """worse: beyond spread and bound; better: likewise; else same."""
        margin = self.bound + self.difference.spread
        if self.difference.a == 0 and self.difference.b > 0.5:
            return "worse"
        if self.difference.percent > margin:
            return "worse"
        return "better" if self.difference.percent < -margin else "same"


def grain(total: float) -> float:
    """By how much two counts of crossings may differ by chance, per operation.

    One timer interrupt more or less makes some ten crossings. They are divided by
    the number of rounds, which is larger for a cheaper operation: 50, or 5 at least.
    """
    return min(0.5 + 0.1 * total, 2.5)


def compare(a: list[Row], b: list[Row], bound: float) -> tuple[list[Change], list[str]]:
    """Changes of the figures that both reports have, and the rows that only one has."""
    first = {(row.variant, row.op): row for row in a}
    second = {(row.variant, row.op): row for row in b}
    changes = []
    for key, old in first.items():
        new = second.get(key)
        if new is None:
            continue
        if old.instructions is not None and new.instructions is not None:
            changes.append(Change(*key, "instructions", instructions(old, new), bound))
        if old.total is not None and new.total is not None:
            spread = max(percent(grain(old.total), old.total), old.crossings_spread + new.crossings_spread)
            changes.append(Change(*key, "crossings", Difference(old.total, new.total, spread), bound))
    alone = [f"only in {name}: {', '.join(f'{v} {op}' for v, op in sorted(keys)[:8])}"
             + (f" and {len(keys) - 8} more" if len(keys) > 8 else "")
             for name, keys in (("A", first.keys() - second.keys()),
                                ("B", second.keys() - first.keys())) if keys]
    return changes, alone
