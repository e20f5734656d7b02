# SPDX-License-Identifier: GPL-2.0
"""The guest jobs: run them in a world and judge their results.

    jobs run --world V,W [--jobs A,B]   boot these worlds and judge

A failed or skipped check may be expected. Some of the kernel's selftests fail or
skip on an unmodified kernel in some world. tests/guest/expected.toml lists them
with the reason. A failure or skip that is not listed fails the run.
"""

import argparse
import dataclasses
import fnmatch
import pathlib
import tomllib

from . import common, junit, outside, report, world
from . import kernel as kernel_builder
from .common import Failure, say
from .jobfiles import DOMAIN, GENERIC, GUEST

EXPECTED = GUEST / "expected.toml"
# The jobs that run if --jobs does not say which.
JOBS = ("clock", "timer", "hotplug", "container", "mmstress", "swap", "modules", "selftests")
# Seconds that a job may take on the emulated machine itself; a nested machine has
# twice the time. No job is that slow: the limit ends a job that hangs. swap has its
# MORE_SECONDS in addition.
SECONDS = {"selftests": 600, "mmstress": 120, "swap": 150, "hostile": 300, "kselftests-few": 400,
           "kselftests-more": 1200, "tracers": 600}
SECONDS_OTHER = 60
# The job skips a check that would crash the machine.
STATES = {"fail": "not ok", "skip": "skip", "crash": "skip"}


# ---- what is expected


@dataclasses.dataclass
class Expectation:
    """One check that is known not to pass on an unmodified kernel."""
    job: str
    check: str
    worlds: list[str]
    state: str                  # as the job prints it
    crash: bool                 # the job must skip it
    reason: str

    def applies(self, world: str, job: str) -> bool:
        """Whether the entry is for this world and this job."""
        return job == self.job and any(fnmatch.fnmatchcase(world, w) for w in self.worlds)


def _entries(path: pathlib.Path, table: str, keys: set[str],
             one_of: tuple[str, ...] = ()) -> list[dict]:
    """The entries of one table, each complete and with a reason."""
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise Failure(f"{common.shown(path)}: {error}") from None
    if unknown := set(data) - {"expect", "machine"}:
        raise Failure(f"{common.shown(path)}: {unknown.pop()}: no such table")
    for number, entry in enumerate(data.get(table, []), 1):
        where = f"{common.shown(path)}: {table} {number}"
        if set(entry) - set(one_of) != keys or one_of and len(entry) != len(keys) + 1:
            more = f"and one of {', '.join(one_of)}" if one_of else "and no more"
            raise Failure(f"{where}: must have {', '.join(sorted(keys))} {more}")
        if not entry["reason"].strip():
            raise Failure(f"{where}: no reason given")
        if entry.get("state", "fail") not in STATES:
            raise Failure(f"{where}: state is {' or '.join(STATES)}")
        entry["reason"] = " ".join(entry["reason"].split())
    return data.get(table, [])


def load_expected(path: pathlib.Path = EXPECTED) -> list[Expectation]:
    """Read the list; each entry has a job, its checks, worlds, a state and a reason."""
    entries = _entries(path, "expect", {"job", "checks", "worlds", "state", "reason"})
    return [Expectation(entry["job"], check, entry["worlds"], STATES[entry["state"]],
                        entry["state"] == "crash", entry["reason"])
            for entry in entries for check in entry["checks"]]


def _machines(jobs: list[str], path: pathlib.Path) -> list[dict]:
    """The entries about the emulated machine for these jobs."""
    entries = _entries(path, "machine", {"job", "reason"}, ("cpu_without", "one_thread"))
    return [entry for entry in entries if entry["job"] in jobs]


def cpu_without(jobs: list[str], path: pathlib.Path = EXPECTED) -> list[str]:
    """CPU features that the emulated machine must not have for these jobs."""
    return sorted({feature for entry in _machines(jobs, path)
                   for feature in entry.get("cpu_without", [])})


def one_thread(jobs: list[str], path: pathlib.Path = EXPECTED) -> bool:
    """Whether these jobs need an emulator that runs all CPUs in one thread."""
    return any(entry.get("one_thread") for entry in _machines(jobs, path))


@dataclasses.dataclass
class Verdict:
    """The result of a job in a world, compared with the list."""
    job: str
    passed: list[str] = dataclasses.field(default_factory=list)
    expected: list[tuple[str, str, str]] = dataclasses.field(default_factory=list)
    skipped: int = 0
    failures: list[str] = dataclasses.field(default_factory=list)
    notes: list[str] = dataclasses.field(default_factory=list)


def judge(world: str, job: str, rc: int | None, checks: list,
          expected: list[Expectation]) -> Verdict:
    """Compare a job's checks with the list.

    A job ends with status 1 if a check failed. That is no failure if each failed
    check is expected.
    """
    verdict = Verdict(job)
    known = {e.check: e for e in expected if e.applies(world, job)}
    for check in checks:
        entry = known.pop(check.name, None)
        because = f" - {check.reason}" if check.reason else ""
        if check.state == "ok":
            verdict.passed.append(check.name)
            if entry:
                verdict.notes.append(f"{check.name} passed, listed as {entry.state!r} "
                                     f"({entry.reason})")
        elif entry and entry.state == check.state:
            verdict.expected.append((check.name, check.state, entry.reason))
            verdict.skipped += check.state == "skip"
        else:
            verdict.failures.append(f"{check.state} {check.name}{because}")
    verdict.notes += [f"{name} is listed and did not run" for name in known]
    if not checks:
        verdict.failures.append("no check was made")
    failed = [check for check in checks if check.state == "not ok"]
    if rc is None:
        verdict.failures.append("did not come to its end")
    elif rc and not failed:
        verdict.failures.append(f"ended with {rc}, and no check says why")
    elif rc > 1:
        verdict.failures.append(f"ended with {rc}")
    return verdict


# ---- running


def run(world_name: str, jobs: list[str], *, kernel: pathlib.Path | None,
        flavour: str, extra: str, cpus: int | None, timeout: float | None) -> list[int]:
    """Boot the world with the jobs, print, and write the report.

    Returns how many checks passed, failed, and did not pass as expected.
    """
    if flavour not in kernel_builder.FLAVOURS:
        raise Failure(f"no kernel {flavour}; there are: {' '.join(kernel_builder.FLAVOURS)}")
    made = kernel_builder.FLAVOURS[flavour]
    image = kernel or (kernel_builder.build(flavour) if flavour != "main" else None)
    extra = f"{made.cmdline} {extra}".strip()
    expected = load_expected()
    places = (GUEST / "jobs", DOMAIN / "jobs", GENERIC / "jobs")
    for job in jobs:
        if not any((place / job).exists() for place in places):
            names = " ".join(sorted(p.name for place in places for p in place.iterdir()))
            raise Failure(f"no job {job}; there are: {names}")
    if crash := [e.check for e in expected
                 if e.crash and any(e.applies(world_name, job) for job in jobs)]:
        extra = f"{extra} pvops.skip={','.join(crash)}".strip()
    description = world.load(world_name)
    asked = [job for job in jobs if job not in description.jobs]
    jobs = [*description.jobs, *asked]
    for feature in cpu_without(jobs):
        if f"-{feature}" not in description.cpu.split(","):
            say(f"{world_name}: without {feature}, as {common.shown(EXPECTED)} says")
            description.cpu += f",-{feature}"
    if one_thread(jobs):
        say(f"{world_name}: all CPUs in one thread, as {common.shown(EXPECTED)} says")
        description.one_thread = True
    if timeout is None:
        nested = description.kind != "direct"
        seconds = sum(SECONDS.get(job, SECONDS_OTHER) for job in jobs)
        timeout = (description.timeout + seconds * (2 if nested else 1)) * made.scale * description.turns
    # Another kernel than ours must not overwrite the logs of ours.
    which = "-other" if kernel else f"-{flavour}" if flavour != "main" else ""
    log = common.LOG / f"jobs-{world_name}{which}.log"
    say(f"{world_name}: {', '.join(jobs)} (at most {timeout:.0f} s)")
    result = world.run(description, asked, kernel=image, extra_cmdline=extra,
                       cpus=cpus, timeout=timeout, log=log, scale=made.scale,
                       need_pvops=kernel is None and made.patched, lacks=made.lacks)

    verdicts = []
    for job in [*jobs, *world.host_jobs(description)]:
        seen = result.jobs.get(job)
        verdicts.append(judge(world_name, job, seen.rc if seen else None,
                              seen.checks if seen else [], expected))
    # Failed checks of a job are judged above, by the list.
    problems = [p for p in result.problems if not p.startswith("job ")]
    failed = sum(len(v.failures) for v in verdicts) + len(problems)

    for verdict in verdicts:
        state = "FAILED" if verdict.failures else "ok"
        print(f"{world_name}: {verdict.job}: {state}: {len(verdict.passed)} passed, "
              f"{len(verdict.expected)} not passing as expected, "
              f"{len(verdict.failures)} failures")
        for text in verdict.failures:
            print(f"    FAILED {text}")
        by_reason: dict[tuple[str, str], list[str]] = {}
        for name, how, reason in verdict.expected:
            by_reason.setdefault((how, reason), []).append(name)
        for (how, reason), names in by_reason.items():
            print(f"    expected {how}: {', '.join(names)}: {reason}")
        for text in verdict.notes:
            print(f"    note: {text}")
    for text in problems:
        print(f"{world_name}: FAILED {text}")
    for line in common.last_lines(result.log, 8) if problems else ():
        print(f"    {line}")
    named = "" if kernel else which
    report.write_json(common.REPORT / f"jobs-{world_name}{named}.json", {
        "world": world_name, "ok": not failed, "seconds": round(result.seconds, 1),
        "backend": result.report.get("backend"), "log": common.shown(result.log),
        "kernel": str(image) if image else "default",
        "release": result.report.get("release"), "problems": problems,
        "jobs": [{
            "job": v.job, "ok": not v.failures, "passed": v.passed,
            "expected": [{"check": n, "state": s, "reason": r} for n, s, r in v.expected],
            "failures": v.failures, "notes": v.notes} for v in verdicts]})
    junit.write(common.REPORT / f"jobs-{world_name}{named}.json", _cases(world_name, verdicts, problems))
    passed = sum(len(v.passed) for v in verdicts)
    aside = sum(len(v.expected) for v in verdicts)
    if failed:
        print(f"log: {common.shown(result.log)}")
    print(f"{world_name}: {passed} passed, {failed} failed, {aside} skipped")
    return [passed, failed, aside]


def _cases(world_name: str, verdicts: list[Verdict], problems: list[str]) -> list[junit.Case]:
    """Each check of each job, and the world itself."""
    cases = [junit.Case("worlds", world_name, "\n".join(problems))]
    for verdict in verdicts:
        suite = f"{world_name}.{verdict.job}"
        cases += [junit.Case(suite, check) for check in verdict.passed]
        cases += [junit.Case(suite, check, skipped=f"{state}: {reason}") for check, state, reason in verdict.expected]
        cases += [junit.Case(suite, text.split(":")[0], text) for text in verdict.failures]
    return cases


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(prog="tools.pvops.jobs", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", choices=["run"])
    parser.add_argument("--world", default="bare", metavar="V,W",
                        help="where to run, one after the other (default: bare)")
    parser.add_argument("--jobs", default=",".join(JOBS), metavar="A,B",
                        help="default: %(default)s")
    parser.add_argument("--also", default="", metavar="A,B", help="jobs besides those")
    parser.add_argument("--kernel", type=pathlib.Path, help="a bzImage (default: ours)")
    parser.add_argument("--flavour", default="main",
                        help="which of our kernels to build and boot (default: main)")
    parser.add_argument("--cpus", type=int, help="of the kernel under test")
    parser.add_argument("--cmdline", default="", help="added to the kernel's command line")
    parser.add_argument("--timeout", type=float, help="seconds")
    args = parser.parse_args()
    worlds = args.world.split(",")
    if args.kernel and args.jobs == ",".join(JOBS) and not outside.modules(args.kernel.resolve()):
        say("without the job modules: they can only be built for a kernel in build/out")
        args.jobs = ",".join(job for job in JOBS if job != "modules")
    try:
        counts = [run(name, [job for job in f"{args.jobs},{args.also}".split(",") if job],
                      kernel=args.kernel, flavour=args.flavour, extra=args.cmdline,
                      cpus=args.cpus, timeout=args.timeout) for name in worlds]
    finally:
        world.stop_all()
    passed, failed, aside = (sum(column) for column in zip(*counts))
    if len(worlds) > 1:
        print(f"{args.world}: {passed} passed, {failed} failed, {aside} skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    common.command(main)
