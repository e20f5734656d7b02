# SPDX-License-Identifier: GPL-2.0
"""Was every call that VMI-64 defines for ring 0 really made?

    vmicalls [WORLD[:JOB,JOB...]]...

The worlds are booted, with jobs in them. The ROM all-call counts its calls and
says the counts when the machine is told to go; they are added up over all boots
and held against the list of calls in include/vmi/vmi64.h. A call that was never
made is a failure: nothing would show it if its wiring were wrong.
"""

import argparse
import pathlib
import re

from . import common, initramfs, kernel, packages, report, world
from .common import Failure, say

ABI = common.ROOT / "include/vmi/vmi64.h"
# Where and how, when nobody says otherwise.
RUNS = ("vmi-allcall:hotplug,mmstress,selftests", "vmi-allcall-reboot")
_CALL = re.compile(r"^\tX\((\d+), ([A-Z0-9_]+), (\w+), ([^)]*)\)", re.M)
_MADE = re.compile(r"^pvops: vmi: ROM: calls made:((?: [A-Z0-9_]+=\d+)+)$")


def defined(header: str) -> list[str]:
    """The calls of a kernel in ring 0, by the header's text."""
    match = re.search(r"^#define VMI64_CALLS\(X\)(.*?\n)(?!\t)", header, re.M | re.S)
    calls = _CALL.findall(match[1]) if match else []
    if not calls or len(calls) != len(re.findall(r"\bX\(", match[1])):
        raise Failure(f"{common.shown(ABI)}: cannot read VMI64_CALLS")
    return [name for _, name, _, flags in calls if "VMI64_F_RING3" not in flags]


def made(lines: list[str]) -> dict[str, int]:
    """What a ROM counted, by the kernel's log; each life of the machine says it anew."""
    counts: dict[str, int] = {}
    for line in lines:
        if match := _MADE.match(line):
            for name, number in re.findall(r"(\w+)=(\d+)", match[1]):
                counts[name] = counts.get(name, 0) + int(number)
    return counts


def run(which: str) -> tuple[dict[str, int], list[str]]:
    """Boot a world with its jobs: the counts, and what went wrong."""
    name, _, words = which.partition(":")
    jobs = [word for word in words.split(",") if word]
    description = world.load(name)
    say(f"{name}: {', '.join(jobs) or 'booting'}")
    result = world.run(description, jobs, cpios=[initramfs.image("jobs")] if jobs else [],
                       log=common.LOG / f"calls-{name}.log", timeout=description.timeout + 600 * bool(jobs))
    # The jobs' checks are judged where they are the subject (tools.pvops.jobs).
    problems = [one for one in result.problems if not one.startswith("job ")]
    counts = made(result.console.kernel)
    if not counts:
        problems.append("the ROM did not say what was called")
    return counts, [f"{name}: {one}; see {common.shown(result.log)}" for one in problems]


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(prog="tools.pvops.vmicalls", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="*", default=list(RUNS), metavar="WORLD[:JOB,JOB...]",
                        help=f"default: {' '.join(RUNS)}")
    parser.add_argument("--report", type=pathlib.Path, default=common.REPORT / "vmi-calls.json")
    args = parser.parse_args()
    calls = defined(ABI.read_text(encoding="utf-8"))
    packages.ensure()
    kernel.build("main")
    initramfs.image("guest")
    total: dict[str, int] = {}
    problems: list[str] = []
    try:
        for which in args.runs:
            counts, wrong = run(which)
            problems += wrong
            for name, number in counts.items():
                total[name] = total.get(name, 0) + number
    finally:
        world.stop_all()
    missing = [name for name in calls if not total.get(name)]
    print(report.table([["call", "made"], *[[name, f"{total.get(name, 0):,}"] for name in calls]]))
    report.write_json(args.report, {"runs": args.runs, "made": {name: total.get(name, 0) for name in calls},
                                    "missing": missing, "problems": problems})
    for one in problems:
        print(f"FAILED {one}")
    for name in missing:
        print(f"FAILED {name} was never made")
    print(f"calls: {len(calls) - len(missing)} passed, {len(missing) + len(problems)} failed, 0 skipped")
    return 1 if missing or problems else 0


if __name__ == "__main__":
    common.command(main)
