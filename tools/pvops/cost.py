# SPDX-License-Identifier: GPL-2.0
"""What our options cost on bare metal: instructions per operation, A against B.

A is a kernel without our patches, B one with them. Their configurations differ
in our options only. Both boot on one emulated CPU under -icount, where a TSC
tick is one instruction. init is bench/guest/opcost.c, so no other program runs.

The figure of an operation in one boot is the median of the smallest samples of
its batches (see bench/guest/sample.c). The figure over the boots is the median
again. There are two sets of boots, each with the emulator's random seed as 1,
2, 3, ... for both kernels:

    fixed    nothing is randomized: these figures are judged
    random   the kernel's layout (KASLR) and that of programs are random. These
             figures show whether a difference comes from one layout only. They
             are not judged, because a fork varies by some percent between boots

`spread` is the range of the boots of one kernel in a set. A difference that is
not larger than the spread means nothing.

Booting is measured in another way. A boot sometimes waits for the timer, and
the work in that time depends on the phase of the ticks. In a third set,
`staggered`, each boot has some more words on the command line than the one
before, and the kernel parses them several times. So each boot meets the ticks
in another phase, and the mean is judged. `spread` is then twice the standard
error of the mean difference. The same number is subtracted from the ticks since
reset of both kernels: what firmware and unpacking took, as far as the kernel's
own clock knows. So more instructions for unpacking are part of the difference.
"""

import argparse
import dataclasses
import pathlib
import re
import shutil
import statistics
import tempfile

from . import benchdata, common, initramfs, kernel, report, world
from .common import Failure, say

WORLD = "bare"
BOUND = 0.5             # percent that B may cost more than A
TIMEOUT = 400
PROGRAM = "/usr/lib/pvops/opcost"
# No console output, because it costs instructions, and no KUnit suites, because
# the kernels have different ones. The early console cannot be switched off; its
# cost is the same in both kernels.
CMDLINE = ("random.trust_cpu=on kunit.enable=0 quiet printk.ignore_loglevel=0 "
           f"rdinit={PROGRAM}")
FIXED, RANDOM, STAGGERED = "fixed", "random", "staggered"
LAYOUTS = {FIXED: "nokaslr norandmaps randomize_kstack_offset=off", RANDOM: ""}
STAGGER_WORDS = 10
TICKS_PER_US = 1000     # -icount shift=0: one instruction is one nanosecond
ABOUT = {
    "getppid": "getppid()",
    "pipe-ping-pong": "a byte to another process and back",
    "mmap-1": "mmap, touch, munmap 1 page",
    "mmap-256": "mmap, touch, munmap 256 pages",
    "mprotect-256": "mprotect 256 pages to R, then RW",
    "fault-anonymous": "page fault, new anonymous page",
    "fault-cow": "page fault, copy on write",
    "fault-file": "page fault, shared file (16 pages mapped)",
    "fork-exit": "fork, exit, wait; 300 pages populated",
    "fork-exec": "fork, exec, exit, wait; 300 pages populated",
    "fork-many": "fork, exit, wait; 3300 pages populated",
}
ARGUMENTS = f"-- ops=nothing,{','.join(ABOUT)} /usr/lib/pvops/tiny"
BOOT = "boot"
BEFORE = "before"       # the time before the kernel's clock started
ABOUT_BOOT = {BOOT: "boot, kernel to user space"}


@dataclasses.dataclass
class Figure:
    """One operation on one kernel, over its boots."""
    boots: list[int]            # per boot: median of the batches' minima
    minimum: int                # smallest sample ever
    within: float               # percent: largest spread inside one boot

    @property
    def value(self) -> int:
        """The figure that is compared."""
        return round(statistics.median(self.boots))

    @property
    def spread(self) -> float:
        """Percent by which the boots of this kernel differ."""
        return percent(max(self.boots) - min(self.boots), self.value)


def percent(part: float, whole: float) -> float:
    """Percent of a whole; 0 if the whole is 0."""
    return 100.0 * part / whole if whole else 0.0


def parse(lines: list[str], log: pathlib.Path, wanted: list[str]) -> dict[str, tuple[int, int, float]]:
    """One boot's operations: figure, minimum, spread of its batches."""
    found: dict[str, tuple[int, int, float]] = {}
    for line in lines:
        if match := re.fullmatch(r"cost (\S+) min=(\d+) median=(\d+) max=(\d+) .*", line):
            low, middle, high = map(int, match.groups()[1:])
            found[match[1]] = (middle, low, percent(high - low, middle))
        elif match := benchdata.BOOT_LINE.fullmatch(line):
            reset, clock, mark = map(int, match.groups()[:3])
            before = reset + mark - clock * TICKS_PER_US
            found[BOOT] = (reset, reset, 0.0)
            found[BEFORE] = (before, before, 0.0)
    if missing := [name for name in wanted if name not in found]:
        raise Failure(f"no figure for {', '.join(missing)}; see {common.shown(log)}")
    # a call and a return, and the loop around them
    if found.get("nothing", (0,))[0] > 10:
        raise Failure(f"the operation `nothing` costs {found['nothing'][0]} ticks: the cost of "
                      f"reading the clock was not subtracted; see {common.shown(log)}")
    return found


def _boot(image: pathlib.Path, label: str, layout: str,
          seed: int) -> dict[str, tuple[int, int, float]]:
    log = common.LOG / f"cost-{label}-{layout}-{seed}.log"
    if layout == STAGGERED:
        # the kernel takes a word with a dot for a module's and does not pass it to init
        words = [f"stagger.{n}=1" for n in range(STAGGER_WORDS * seed)]
        cmdline = " ".join([CMDLINE, LAYOUTS[FIXED], *words])
        wanted = [BOOT, BEFORE]
    else:
        cmdline = f"{CMDLINE} {LAYOUTS[layout]} {ARGUMENTS}"
        wanted = ["nothing", *ABOUT]
    result = world.run(WORLD, kernel=image, extra_cmdline=cmdline, icount=True,
                       cpios=[initramfs.image("bench")], timeout=TIMEOUT, log=log,
                       check_kunit=False,
                       qemu_args=["-seed", str(seed),
                                  "-rtc", "base=2026-01-01T00:00:00,clock=vm"])
    job = result.jobs.get("opcost")
    problems = [p for p in result.problems if not p.startswith("job ")]
    if problems or job is None or job.rc is None:
        raise Failure(f"{label}: {problems[0] if problems else 'opcost did not end'}; "
                      f"see {common.shown(log)}")
    if layout != STAGGERED and not any(check.name == "counting" and check.state == "ok"
                                       for check in job.checks):
        raise Failure(f"{label}: the loop of known length has a wrong count; "
                      f"see {common.shown(log)}")
    if job.rc:
        raise Failure(f"{label}: opcost failed; see {common.shown(log)}")
    return parse(job.lines, log, wanted)


def measure(image: pathlib.Path, label: str, layout: str,
            count: int) -> dict[str, Figure]:
    """Boot a kernel several times; the figures by operation."""
    boots = []
    for seed in range(1, count + 1):
        say(f"cost: {label} kernel, {layout} layout, boot {seed} of {count}")
        boots.append(_boot(image, label, layout, seed))
    return {name: Figure([boot[name][0] for boot in boots],
                         min(boot[name][1] for boot in boots),
                         max(boot[name][2] for boot in boots))
            for name in ([BOOT, BEFORE] if layout == STAGGERED else ABOUT)}


@dataclasses.dataclass
class Comparison:
    """One operation on both kernels, in one set of boots."""
    a: Figure
    b: Figure

    @property
    def difference(self) -> float:
        """Percent that B costs more."""
        return percent(self.b.value - self.a.value, self.a.value)

    @property
    def spread(self) -> float:
        """The larger one of the two."""
        return max(self.a.spread, self.b.spread)

    def record(self) -> dict[str, object]:
        """For the report."""
        return {"difference_percent": round(self.difference, 3),
                "spread_percent": round(self.spread, 3)} | {
            label: {"instructions": figure.value, "minimum": figure.minimum,
                    "boots": figure.boots,
                    "spread_percent": round(figure.spread, 3),
                    "spread_within_a_boot_percent": round(figure.within, 3)}
            for label, figure in (("unpatched", self.a), ("patched", self.b))}


class Staggered(Comparison):
    """Boots that meet the ticks in different phases; means of pairs are compared."""

    @property
    def difference(self) -> float:
        """Percent that B costs more, by the means."""
        return percent(statistics.fmean(self._pairs()), statistics.fmean(self.a.boots))

    @property
    def spread(self) -> float:
        """Twice the standard error of that, in percent."""
        pairs = self._pairs()
        if len(pairs) < 2:
            return 0.0
        error = statistics.stdev(pairs) / len(pairs) ** 0.5
        return percent(2 * error, statistics.fmean(self.a.boots))

    def _pairs(self) -> list[int]:
        return [b - a for a, b in zip(self.a.boots, self.b.boots)]


def _take_off_firmware(a: dict[str, Figure], b: dict[str, Figure]) -> None:
    """One number for all boots, since the start of the clock is known to a tick only."""
    before = round(statistics.median(a.pop(BEFORE).boots + b.pop(BEFORE).boots))
    for figures in (a, b):
        figures[BOOT].boots = [ticks - before for ticks in figures[BOOT].boots]
        figures[BOOT].minimum -= before


def is_worse(sets: dict[str, Comparison], bound: float) -> bool:
    """Whether B costs more than the bound and the spread together."""
    return any(c.difference > bound + c.spread
               for layout, c in sets.items() if layout != RANDOM)


def config_differences(a: pathlib.Path, b: pathlib.Path) -> list[str] | None:
    """Options that differ between two build directories; None if unknown."""
    lines = []
    for image in (a, b):
        # .../arch/x86/boot/bzImage; the path of a copied image may be shorter
        config = image.parent / "../../../.config"
        if not config.exists():
            return None
        lines.append({line for line in config.read_text(encoding="utf-8").splitlines()
                      if "CONFIG_" in line})
    return sorted(set(re.findall(r"CONFIG_\w+", " ".join(lines[0] ^ lines[1]))))


def compare(a_path: pathlib.Path, b_path: pathlib.Path, boots: int, staggered: int,
            bound: float) -> int:
    """Measure both, print the table, write the report."""
    differing = config_differences(a_path, b_path)
    other = [name for name in differing or [] if not name.startswith("CONFIG_PVOPS")]
    if other:
        raise Failure(f"the kernels differ in {' '.join(other[:5])}, not only in our "
                      "options; build both from the same config")
    figures: dict[str, dict[str, Comparison]] = {}
    (common.BUILD / "run").mkdir(parents=True, exist_ok=True)
    # Boot copies, because another command may build a new kernel meanwhile.
    with tempfile.TemporaryDirectory(prefix="cost-", dir=common.BUILD / "run") as scratch:
        a_copy, b_copy = pathlib.Path(scratch, "unpatched"), pathlib.Path(scratch, "patched")
        shutil.copyfile(a_path, a_copy)
        shutil.copyfile(b_path, b_copy)
        for layout, count in [*((name, boots) for name in LAYOUTS), (STAGGERED, staggered)]:
            kind = Staggered if layout == STAGGERED else Comparison
            a = measure(a_copy, "unpatched", layout, count)
            b = measure(b_copy, "patched", layout, count)
            if layout == STAGGERED:
                _take_off_firmware(a, b)
            for name in a:
                figures.setdefault(name, {})[layout] = kind(a[name], b[name])
    rows = [["operation", "unpatched", "patched", "difference", "spread",
             "random layout", "spread", "verdict"]]
    records, worse = [], 0
    for name, about in (ABOUT | ABOUT_BOOT).items():
        sets = figures[name]
        bad = is_worse(sets, bound)
        worse += bad
        main_set = sets.get(FIXED) or sets[STAGGERED]
        cells = [about, f"{main_set.a.value:,.0f}", f"{main_set.b.value:,.0f}"]
        for one in (main_set, sets.get(RANDOM)):
            cells += [f"{one.difference:+.2f} %", f"{one.spread:.2f} %"] if one else ["", ""]
        rows.append([*cells, "WORSE" if bad else "ok"])
        records.append({"op": name, "about": about, "ok": not bad}
                       | {layout: c.record() for layout, c in sets.items()})
    print(report.table(rows))
    print(f"Instructions (TSC ticks under -icount shift=0); {boots} boots of each kernel "
          f"a layout, {staggered} for booting; bound: +{bound} %")
    report.write_json(common.REPORT / "cost.json", {
        "unit": "instructions", "world": WORLD, "bound_percent": bound, "ok": not worse,
        "kernels": {"unpatched": common.shown(a_path), "patched": common.shown(b_path)},
        "config_differences": differing, "boots": boots, "staggered_boots": staggered,
        "command_line": CMDLINE, "layouts": LAYOUTS, "operations": records})
    print(f"cost: {len(figures) - worse} passed, {worse} failed, 0 skipped")
    return 1 if worse else 0


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(prog="tools.pvops.cost", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--a", type=pathlib.Path, metavar="BZIMAGE",
                        help="the unpatched kernel (default: built here)")
    parser.add_argument("--b", type=pathlib.Path, metavar="BZIMAGE",
                        help="the patched kernel (default: built here)")
    parser.add_argument("--boots", type=int, default=3,
                        help="boots of each kernel, per layout (default: %(default)s)")
    parser.add_argument("--staggered", type=int, default=8,
                        help="boots of each for the cost of booting (default: %(default)s)")
    parser.add_argument("--bound", type=float, default=BOUND, metavar="PERCENT",
                        help="percent that B may cost more (default: %(default)s)")
    args = parser.parse_args()
    if args.boots < 1 or args.staggered < 2:
        raise Failure("--boots: at least one; --staggered: at least two")
    for path in (args.a, args.b):
        if path and not path.is_file():
            raise Failure(f"{path}: no such kernel image")
    a = args.a or kernel.build("vanilla")
    b = args.b or kernel.build("nosuites")
    try:
        return compare(a.absolute(), b.absolute(), args.boots, args.staggered, args.bound)
    finally:
        world.stop_all()


if __name__ == "__main__":
    common.command(main)
