# SPDX-License-Identifier: GPL-2.0
"""What a world's console says: markers, KTAP, splats; the table and boot.json.

The guest protocol (worlds/guest/init), all on one console:

    PVOPS-BEGIN report          lines `key: value`
    PVOPS-END report
    PVOPS-BEGIN job NAME        `ok CHECK`, `not ok CHECK - why`, `skip CHECK - why`
    PVOPS-END job NAME rc=N
    PVOPS-DONE                  all was done, power is going off

A guest that is rebooted does all of it again; what its jobs say then comes
behind what they said before.

The outer init of a nested world prints `PVOPS-HOST ...`; what stands before
`PVOPS-HOST guest begins` is not the kernel under test. It may have checks of its
own, `PVOPS-HOST check ok CHECK` and so on, and `PVOPS-HOST checks end rc=N`: they
make a job named dom0.
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

# A kernel or Xen record is written in one go, but anywhere: also into the
# middle of a line that user space is just printing. (dN) is what a domain says
# through Xen before it has a console.
_RECORD = re.compile(r"(?:\[ *\d+\.\d{6}\] |\(XEN\) |\(d\d+\) )[^\n]*(?:\n|$)")
_STAMP = re.compile(r"^(?:\(d\d+\) )?(?:\[ *\d+\.\d{6}\] )?")
# Terminal control, as firmware and UEFI print it.
_ESCAPES = re.compile(r"\x1b(?:\[[0-9;?=]*[A-Za-z]|c)")
# No world may print any of these, whatever it is testing.
SPLATS = (r"WARNING: ", r"BUG: ", r"Call Trace", r"unchecked MSR access", r"\bOops\b",
          r"Kernel panic", r"INFO: task .* blocked", r"possible .* detected",
          r"(?i)suspicious RCU usage", r"UBSAN:", r"general protection fault,")


# What Xen says of a domain in a complaint: which function of which file, or
# which of its CPUs. No world may make Xen say it, but as allow_lines has it.
XEN_COMPLAINTS = (r"^\(XEN\) .*\bd(?:\d+|\[[^]]*\])v\d+", r"^\(XEN\) [\w/]+\.c:\d+:",
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
    """What a job printed, and how it ended: rc is None if it did not."""
    name: str
    lines: list[str] = dataclasses.field(default_factory=list)
    rc: int | None = None

    @property
    def checks(self) -> list[Check]:
        """The lines that are verdicts, in order."""
        found = []
        for line in self.lines:
            match = re.match(r"(ok|not ok|skip) (.+?)(?: - (.*))?$", line)
            if match:
                found.append(Check(match[1], match[2], match[3] or ""))
        return found

    @property
    def failed(self) -> list[Check]:
        """The checks that say `not ok`."""
        return [check for check in self.checks if check.state == "not ok"]


@dataclasses.dataclass
class Suite:
    """A KUnit suite as it ran at boot."""
    name: str
    ok: bool | None = None         # None: it started and never ended
    passed: list[str] = dataclasses.field(default_factory=list)
    failed: list[str] = dataclasses.field(default_factory=list)
    skipped: list[str] = dataclasses.field(default_factory=list)


@dataclasses.dataclass
class Console:
    """A parsed console."""
    text: str                      # everything, cleaned of \r and escapes
    kernel: list[str]              # records of the kernel under test, no stamps
    user: list[str]                # what its user space printed
    host: list[str]                # PVOPS-HOST lines
    report: dict[str, str]
    jobs: dict[str, Job]
    suites: dict[str, Suite]
    done: bool

    def splats(self, allowed: list[str]) -> list[str]:
        """Lines that no world may print, in any kernel of this console."""
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
    """Where a kernel died of a breakpoint that is not there; empty if it did not.

    A kernel that changes its text under way puts an INT3 over it for the time
    being. QEMU 7.2 with a thread for each CPU may translate that while it is
    replaced, and keep the translation: a CPU then takes a breakpoint that is
    nobody's. Any kernel dies of it, tests/guest/src/poke.c makes one do it at once.
    """
    _, died, after = text.partition("Oops: int3: ")
    # Not in one piece: two CPUs may take it at once, and speak at once.
    before = _CODE.search(after)
    where = re.search(r"RIP: \S*?:(\S+)", after)
    return where[1] if died and before and where and before[1] != "cc" else ""


def parse(raw: bytes) -> Console:
    """Take a console apart."""
    text = _ESCAPES.sub("", raw.decode(errors="replace").replace("\r", ""))
    # earlyprintk=xen puts this before every piece it prints
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
    """What the outer init checked; None if it checks nothing."""
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
    before: dict[str, int] = {}    # how a job ended, which a reboot starts again
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
    if not SUITES.exists():
        return []
    lines = SUITES.read_text(encoding="utf-8").splitlines()
    return [name for line in lines if (name := line.split("#")[0].strip())]


def kunit_problems(suites: dict[str, Suite], wanted: list[str]) -> list[str]:
    """A suite that failed, and one that did not run, are both failures."""
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
    """A report for scripts, complete or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    partial.replace(path)
