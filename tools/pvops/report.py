# SPDX-License-Identifier: GPL-2.0
"""Read a world's console: markers, KTAP, splats. Write the table and boot.json.

The protocol of the guest (worlds/guest/init), on one console:

    PVOPS-BEGIN report          lines `key: value`
    PVOPS-END report
    PVOPS-BEGIN job NAME        `ok CHECK`, `not ok CHECK - why`, `skip CHECK - why`
    PVOPS-END job NAME rc=N
    PVOPS-DONE                  all is done, the guest powers off

A guest that reboots prints all of it again. The lines of a job in the second boot
are added to those of the first.

The outer init of a nested world prints `PVOPS-HOST ...`. Lines before
`PVOPS-HOST guest begins` are not from the kernel under test. The outer init may
make checks of its own: it prints `PVOPS-HOST check ok CHECK` and so on, and
`PVOPS-HOST checks end rc=N`. They become a job named dom0.
"""

import dataclasses
import json
import pathlib
import re

from . import common

SUITES = common.ROOT / "kunit" / "suites.txt"
GUEST_BEGINS = "PVOPS-HOST guest begins"
GUEST_ENDED = "PVOPS-HOST guest ended"
HOST_JOB = "dom0"

# The kernel and Xen write a record at once, but possibly in the middle of a line
# that user space is printing. (dN) marks what a domain prints through Xen before it
# has a console.
_RECORD = re.compile(r"(?:\[ *\d+\.\d{6}\] |\(XEN\) |\(d\d+\) )[^\n]*(?:\n|$)")
_STAMP = re.compile(r"^(?:\(d\d+\) )?(?:\[ *\d+\.\d{6}\] )?")
# Terminal control sequences, which firmware prints.
_ESCAPES = re.compile(r"\x1b(?:\[[0-9;?=]*[A-Za-z]|c)")
# Complaints that no world may print.
SPLATS = (r"WARNING: ", r"BUG: ", r"Call Trace", r"unchecked MSR access", r"\bOops\b",
          r"Kernel panic", r"INFO: task .* blocked", r"possible .* detected",
          r"(?i)suspicious RCU usage", r"UBSAN:", r"general protection fault,")


# Complaints of Xen about a domain: they name a virtual CPU of the domain (d1v0), or a
# file and line of Xen. No world may have such a line, unless its allow_lines permit it.
# What Xen says of an HVM domain that is made, and of a kernel that asks for events, is no complaint.
XEN_COMPLAINTS = (r"^\(XEN\) (?!HVM d\d+v\d+ save: |d\d+v\d+: upcall vector ).*\bd(?:\d+|\[[^]]*\])v\d+",
                  r"^\(XEN\) [\w/]+\.c:\d+:",
                  r"^\(XEN\) .*(?:Bad type|Error getting mfn|Bad L\d flags|domain_crash)",
                  r"^\(XEN\) Domain \d+ .*crashed", r"^\(XEN\) .*(?:Xen BUG|Assertion|WARN)")


@dataclasses.dataclass
class Check:
    """One line of a job."""
    state: str                     # "ok", "not ok" or "skip"
    name: str
    reason: str = ""


@dataclasses.dataclass
class Job:
    """The lines that a job printed, and its exit status: None if it did not end."""
    name: str
    lines: list[str] = dataclasses.field(default_factory=list)
    rc: int | None = None

    @property
    def checks(self) -> list[Check]:
        """The lines that are checks, in order."""
        found = []
        for line in self.lines:
            match = re.match(r"(ok|not ok|skip) (.+?)(?: - (.*))?$", line)
            if match:
                found.append(Check(match[1], match[2], match[3] or ""))
        return found

    @property
    def failed(self) -> list[Check]:
        """The checks that are `not ok`."""
        return [check for check in self.checks if check.state == "not ok"]


@dataclasses.dataclass
class Suite:
    """A KUnit suite as it ran at boot."""
    name: str
    ok: bool | None = None         # None: it started and did not end
    passed: list[str] = dataclasses.field(default_factory=list)
    failed: list[str] = dataclasses.field(default_factory=list)
    skipped: list[str] = dataclasses.field(default_factory=list)


@dataclasses.dataclass
class Console:
    """A parsed console."""
    text: str                      # everything, without \r and escape sequences
    kernel: list[str]              # records of the kernel under test, without time stamps
    user: list[str]                # lines of its user space
    host: list[str]                # PVOPS-HOST lines
    report: dict[str, str]
    jobs: dict[str, Job]
    suites: dict[str, Suite]
    done: bool

    def splats(self, allowed: list[str]) -> list[str]:
        """Complaints that no world may print, of any kernel on this console."""
        bad = []
        for line in self.text.split("\n"):
            if any(re.search(a, line) for a in allowed):
                continue
            patterns = XEN_COMPLAINTS if line.startswith("(XEN)") else SPLATS
            if any(re.search(pattern, line) for pattern in patterns):
                bad.append(line.strip())
        return bad


_CODE = re.compile(r"Code: [0-9a-f ]*?([0-9a-f]{2}) <[0-9a-f]{2}>")


def stale_breakpoint(text: str) -> str:
    """The address at which a kernel died of a stale breakpoint; empty if it did not.

    A kernel that changes its text at run time first replaces the instruction by
    INT3. QEMU 7.2 with a thread for each CPU may translate the INT3 while it is
    replaced again, and keep the translation. Later a CPU executes an INT3 that is no
    longer in memory, and the kernel dies. This happens to any kernel;
    tests/guest/src/poke.c provokes it.
    """
    _, died, after = text.partition("Oops: int3: ")
    # The lines may be mixed: two CPUs may die and print at the same time.
    before = _CODE.search(after)
    where = re.search(r"RIP: \S*?:(\S+)", after)
    return where[1] if died and before and where and before[1] != "cc" else ""


def wrong_tsc(text: str) -> bool:
    """Did the kernel measure the frequency of the TSC wrong, by a factor of 2 or more, or not at all?

    The kernel measures it against two timers of the board, and says if they disagree. If
    the machine of the emulator is busy, the emulator's CPU may stand still between the
    start of a timer and the first look at the TSC. A frequency that is too low makes the
    clock run fast, and watchdogs complain of CPUs that did nothing for long. A machine
    with one timer has no clock if that measurement fails.
    """
    if "tsc: No reference (HPET/PMTIMER) available" in text:
        return True
    found = re.search(r"tsc: PIT calibration deviates from \w+: (\d+) (\d+)", text)
    return bool(found) and not 0.5 < int(found[1]) / max(int(found[2]), 1) < 2


def emulator_fault(text: str) -> str:
    """What the emulator did wrong in this boot; empty if nothing is known."""
    if where := stale_breakpoint(text):
        return f"QEMU executed a stale breakpoint at {where}"
    if wrong_tsc(text):
        return "QEMU's CPU stood still while the kernel measured the TSC"
    return ""


def parse(raw: bytes) -> Console:
    """Parse a console."""
    text = _ESCAPES.sub("", raw.decode(errors="replace").replace("\r", ""))
    # earlyprintk=xen prints this before each part of a line
    text = text.replace("(early) ", "")
    host = [line[len("PVOPS-HOST "):] for line in text.split("\n")
            if line.startswith("PVOPS-HOST ")]
    inner = text
    if GUEST_BEGINS in inner:
        inner = inner.rsplit(GUEST_BEGINS, 1)[1].split("\n", 1)[-1]
    inner = inner.split(GUEST_ENDED)[0]
    kernel = [_STAMP.sub("", match[0]).rstrip("\n") for match in _RECORD.finditer(inner)
              if not match[0].startswith("(XEN)")]
    user = _RECORD.sub("", inner).split("\n")
    report, jobs, done = _markers([line for line in user
                                   if not line.startswith("PVOPS-HOST ")])
    if checks := _host_checks(host):
        jobs[HOST_JOB] = checks
    return Console(text, kernel, user, host, report, jobs, _ktap(kernel), done)


def _host_checks(host: list[str]) -> Job | None:
    """The checks of the outer init as a job; None if it makes no checks."""
    job = Job(HOST_JOB)
    for line in host:
        if line.startswith("check "):
            job.lines.append(line[len("check "):])
        elif match := re.fullmatch(r"checks end rc=(\d+)", line):
            job.rc = int(match[1])
    return job if job.lines or job.rc is not None else None


def _markers(lines: list[str]) -> tuple[dict[str, str], dict[str, Job], bool]:
    """The report, the jobs and whether the guest came to its end."""
    report: dict[str, str] = {}
    jobs: dict[str, Job] = {}
    inside: Job | str | None = None
    before: dict[str, int] = {}    # the status of a job that ended in the boot before, for jobs that run again
    for line in lines:
        if line == "PVOPS-DONE":
            return report, jobs, True
        if line == "PVOPS-BEGIN report":
            inside = "report"
        elif match := re.fullmatch(r"PVOPS-BEGIN job (\S+)", line):
            inside = jobs.setdefault(match[1], Job(match[1]))
            before[match[1]] = inside.rc or 0
            inside.rc = None
        elif match := re.fullmatch(r"PVOPS-END (?:report|job (\S+) rc=(\d+))", line):
            if match[1] in jobs:
                jobs[match[1]].rc = max(before[match[1]], int(match[2]))
            inside = None
        elif isinstance(inside, Job):
            if line:
                inside.lines.append(line)
        elif inside == "report" and ": " in line:
            key, value = line.split(": ", 1)
            report[key.strip()] = value.strip()
    return report, jobs, False


def _ktap(records: list[str]) -> dict[str, Suite]:
    """The KUnit suites in the kernel's log: cases are indented by four."""
    suites: dict[str, Suite] = {}
    now: Suite | None = None
    for line in records:
        if match := re.fullmatch(r"    # Subtest: (\S+)", line):
            now = suites.setdefault(match[1], Suite(match[1]))
        elif now is None:
            continue
        elif match := re.fullmatch(r"    (ok|not ok) \d+ (\S+)(.*)", line):
            kind = now.skipped if "# SKIP" in match[3] else \
                now.passed if match[1] == "ok" else now.failed
            kind.append(match[2])
        elif match := re.fullmatch(r"(ok|not ok) \d+ (\S+)(.*)", line):
            if match[2] in suites:
                suites[match[2]].ok = match[1] == "ok"
            now = None
    return suites


def wanted_suites() -> list[str]:
    """The suites that must have run, from kunit/suites.txt."""
    return common.names_in(SUITES) if SUITES.exists() else []


def kunit_problems(suites: dict[str, Suite], wanted: list[str]) -> list[str]:
    """Problems: a suite that failed, and one that should have run and did not."""
    found = []
    for name in wanted:
        suite = suites.get(name)
        if suite is None:
            found.append(f"KUnit suite {name} did not run")
        elif suite.ok is None:
            found.append(f"KUnit suite {name} started and did not end")
        elif not suite.ok and not suite.failed:
            found.append(f"KUnit suite {name} failed")
        elif suite.ok and not suite.passed:
            found.append(f"KUnit suite {name} passed no test")
    for suite in suites.values():
        found += [f"KUnit {suite.name}: {case} failed" for case in suite.failed]
    return found


def table(rows: list[list[str]]) -> str:
    """Columns as wide as their widest cell; the first row is the heading."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip()
             for row in rows]
    lines.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(lines)


def write_json(path: pathlib.Path, content: object) -> None:
    """Write a report for scripts; the file appears complete or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with common.whole(path) as partial:
        partial.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
