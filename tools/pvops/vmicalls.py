# SPDX-License-Identifier: GPL-2.0
"""Check that every call that VMI-64 defines for ring 0 was made.

The ROM all-call counts its calls. It prints the counts when the machine powers
off, reboots or starts another kernel. The counts in the logs of some boots are
added up and compared with the list of calls in include/vmi/vmi64.h. A call that
was never made is a failure, because no test would notice if its op were connected
to another call.
"""

import argparse
import pathlib
import re

from . import common, report, rompack
from .common import Failure

# Logs of the guest jobs, of a boot that ends in a reboot, and of one that suspends
# and then starts another kernel by kexec.
LOGS = (common.LOG / "jobs-vmi-allcall.log", common.LOG / "vmi-allcall-reboot.log",
        common.LOG / "vmi-allcall-down.log")
_CALL = re.compile(r"^\tX\((\d+), ([A-Z0-9_]+), (\w+), ([^)]*)\)", re.M)
_MADE = re.compile(r"^pvops: vmi: ROM: calls made:((?: [A-Z0-9_]+=\d+)+)$")


def defined(header: str) -> list[str]:
    """The calls, from the text of the header."""
    match = re.search(r"^#define VMI64_CALLS\(X\)(.*?\n)(?!\t)", header, re.M | re.S)
    calls = _CALL.findall(match[1]) if match else []
    if not calls or len(calls) != len(re.findall(r"\bX\(", match[1])):
        raise Failure(f"{common.shown(rompack.HEADER)}: cannot read VMI64_CALLS")
    return [name for _, name, _, _ in calls]


def made(lines: list[str]) -> dict[str, int]:
    """The counts of a ROM in the kernel's log; each boot in the log prints its own."""
    counts: dict[str, int] = {}
    for line in lines:
        if match := _MADE.match(line):
            for name, number in re.findall(r"(\w+)=(\d+)", match[1]):
                counts[name] = counts.get(name, 0) + int(number)
    return counts


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(prog="tools.pvops.vmicalls", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("logs", nargs="*", type=pathlib.Path, default=list(LOGS), metavar="LOG",
                        help=f"default: {' '.join(common.shown(log) for log in LOGS)}")
    parser.add_argument("--report", type=pathlib.Path, default=common.REPORT / "vmi-calls.json")
    args = parser.parse_args()
    calls = defined(rompack.HEADER.read_text(encoding="utf-8"))
    total: dict[str, int] = {}
    for log in args.logs:
        try:
            counts = made(report.parse(log.read_bytes()).kernel)
        except OSError as error:
            raise Failure(f"{common.shown(log)}: {error.strerror}") from None
        if not counts:
            raise Failure(f"{common.shown(log)}: no ROM printed there which calls were made")
        for name, number in counts.items():
            total[name] = total.get(name, 0) + number
    missing = [name for name in calls if not total.get(name)]
    print(report.table([["call", "made"], *[[name, f"{total.get(name, 0):,}"] for name in calls]]))
    report.write_json(args.report, {"logs": [common.shown(log) for log in args.logs], "missing": missing,
                                    "made": {name: total.get(name, 0) for name in calls}})
    for name in missing:
        print(f"FAILED {name} was never made")
    print(f"calls: {len(calls) - len(missing)} passed, {len(missing)} failed, 0 skipped")
    return 1 if missing else 0


if __name__ == "__main__":
    common.command(main)
