# SPDX-License-Identifier: GPL-2.0
"""Run the stages of tests/stages.toml in order and say how many checks passed.

A stage is any command. Its checks are counted from the end of its output: a line
`N passed, N failed, N skipped`, or unittest's summary. A stage that prints
neither is one check. A stage passes if its exit status and its counts are good.
A stage whose `needs` failed is not run and counts as failed.
"""

import argparse
import dataclasses
import json
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import time
import tomllib

from . import common, junit
from .common import LOG, REPORT, ROOT, Failure

STAGES = ROOT / "tests/stages.toml"
# A machine that hangs is ended this many seconds before its stage, and examined.
LAST_WORDS = 30
HEARTBEAT = 30.0
_COUNTS = re.compile(r"^(?:.*: )?(\d+) passed, (\d+) failed, (\d+) skipped\s*$", re.M)
_FAILING = re.compile(r"\bFAILED\b(?! \()|^\s*not ok\b|^(?:FAIL|ERROR): |^make: \*\*\*")
_UNITTEST = re.compile(r"^Ran (\d+) tests? in .*\n\n(OK|FAILED|NO TESTS RAN)(?: \((.*)\))?\s*\Z", re.M)


@dataclasses.dataclass
class Stage:
    """One entry of the data file."""

    name: str
    command: str
    limit: float
    suites: list[str]
    needs: list[str]
    about: str = ""         # what it shows, in one sentence
    takes: float = 0        # seconds that it took on two CPUs; 0 if nobody has measured it


@dataclasses.dataclass
class Result:
    """The result of a stage."""

    name: str
    command: str
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    seconds: float = 0.0
    status: int | None = None
    log: str = ""
    why: str = ""

    @property
    def ok(self) -> bool:
        """Whether no check failed."""
        return not self.failed


def load(path: pathlib.Path) -> tuple[list[Stage], dict[str, float]]:
    """Stages and the limit of each suite; a Failure names the bad entry."""
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise Failure(f"{path}: {error.strerror}") from error
    except tomllib.TOMLDecodeError as error:
        raise Failure(f"{path}: {error}") from error
    limits = {name: float(entry["limit"]) for name, entry in data.get("suite", {}).items()}
    stages: list[Stage] = []
    for entry in data.get("stage", []):
        name = entry.get("name", "?")
        strange = set(entry) - {"name", "command", "limit", "in", "needs", "about", "takes"}
        missing = {"name", "command", "limit", "in"} - set(entry)
        if strange or missing:
            raise Failure(f"{path}: stage {name}: " + ", ".join(
                [f"no {key}" for key in sorted(missing)] + [f"unknown {key}" for key in sorted(strange)]))
        known = [stage.name for stage in stages]
        for need in entry.get("needs", []):
            if need not in known:
                raise Failure(f"{path}: stage {name} needs {need}, which is not an earlier stage")
        for suite in entry["in"]:
            if suite not in limits:
                raise Failure(f"{path}: stage {name} is in {suite}, which is not a suite")
        if name in known:
            raise Failure(f"{path}: two stages are called {name}")
        stages.append(Stage(name, entry["command"], float(entry["limit"]), entry["in"],
                            entry.get("needs", []), entry.get("about", ""), float(entry.get("takes", 0))))
    return stages, limits


def count(text: str, status: int) -> tuple[int, int, int]:
    """(passed, failed, skipped) from a stage's output."""
    lines = _COUNTS.findall(text)
    unit = _UNITTEST.search(text)
    if unit:
        more = {key: int(value) for key, value in re.findall(r"([a-z ]+)=(\d+)", unit.group(3) or "")}
        more = {key.strip(): value for key, value in more.items()}
        failed = more.get("failures", 0) + more.get("errors", 0) + more.get("unexpected successes", 0)
        skipped = more.get("skipped", 0)
        passed = max(0, int(unit.group(1)) - failed - skipped)
        if unit.group(2) == "NO TESTS RAN":
            failed += 1
    elif lines:
        passed, failed, skipped = (int(number) for number in lines[-1])
    else:
        passed, failed, skipped = (0, 1, 0) if status else (1, 0, 0)
    if status and not failed:
        failed = 1
    if not status and not passed + failed + skipped:
        failed = 1
    return passed, failed, skipped


def clock(seconds: float) -> str:
    """m:ss"""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


def expected(stages: list[Stage], limit: float) -> str:
    """How long these stages will take, as far as it is known."""
    known = [stage.takes for stage in stages if stage.takes]
    unknown = len(stages) - len(known)
    text = f"{len(stages)} stages"
    if known:
        text += f", about {sum(known) / 60:.0f} minutes on two CPUs"
    if known and unknown:
        text += f" and {unknown} of unknown duration"
    if unknown:
        text += f", at most {clock(min(limit, sum(stage.limit for stage in stages)))}"
    return text


def _last_line(log: pathlib.Path) -> str:
    try:
        with open(log, "rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - 600))
            lines = file.read().decode(errors="replace").split("\n")
    except OSError:
        return ""
    lines = [line.strip() for line in re.split(r"[\r\n]+", "\n".join(lines)) if line.strip()]
    return re.sub(r"[^\x20-\x7e]", "", lines[-1])[:90] if lines else ""


def run_stage(stage: Stage, began: float, budget: float, logs: pathlib.Path = LOG) -> Result:
    """Run one stage, limited by its own time and by what is left of the suite's."""
    result = Result(stage.name, stage.command)
    logs.mkdir(parents=True, exist_ok=True)
    log = logs / f"test-{stage.name}.log"
    result.log = str(log.relative_to(ROOT)) if log.is_relative_to(ROOT) else str(log)
    limit = min(stage.limit, budget)
    start = time.monotonic()
    beat = start
    print(f"[{clock(start - began)}] {stage.name}: {stage.command}", flush=True)
    with open(log, "wb") as output:
        process = common.start(shlex.split(stage.command), cwd=ROOT, stdin=subprocess.DEVNULL,
                               stdout=output, stderr=subprocess.STDOUT,
                               env=dict(os.environ, **{
                                   common.DEADLINE: str(time.time() + limit - LAST_WORDS)}))
        try:
            while True:
                try:
                    result.status = process.wait(1.0)
                    break
                except subprocess.TimeoutExpired:
                    now = time.monotonic()
                    if now - start > limit:
                        result.why = f"not finished within {clock(limit)}"
                        break
                    if now - beat >= HEARTBEAT:
                        beat = now
                        print(f"[{clock(now - began)}] {stage.name}: {clock(now - start)} so far: "
                              f"{_last_line(log)}", flush=True)
        finally:
            common.stop(process)
    result.seconds = round(time.monotonic() - start, 1)
    status = result.status if result.status is not None else 1
    result.passed, result.failed, result.skipped = count(log.read_text(errors="replace"), status)
    if result.failed and not result.why:
        result.why = f"exit status {status}" if status else "failed checks"
    return result


def run(suite: str, only: list[str], stages: list[Stage], limit: float) -> list[Result]:
    """Run a suite."""
    began = time.monotonic()
    results: list[Result] = []
    for stage in stages:
        if suite not in stage.suites or (only and stage.name not in only):
            continue
        broken = [done.name for done in results if done.name in stage.needs and not done.ok]
        left = limit - (time.monotonic() - began)
        program = shlex.split(stage.command)[0]
        why = ""
        if broken:
            why = f"not run: {', '.join(broken)} failed"
        elif left <= 0:
            why = f"not run: the suite's {clock(limit)} were used up"
        elif not shutil.which(program):
            why = f"not run: {program}: no such program"
        results.append(Result(stage.name, stage.command, failed=1, why=why) if why
                       else run_stage(stage, began, left))
        done = results[-1]
        print(f"[{clock(time.monotonic() - began)}] {done.name}: {'ok' if done.ok else 'FAILED'}: "
              f"{done.passed} passed, {done.failed} failed, {done.skipped} skipped"
              + (f" ({done.why})" if done.why else ""), flush=True)
        if not done.ok and done.log:
            _show_end(ROOT / done.log)
    return results


def _printable(line: str) -> str:
    return re.sub(r"[^\x20-\x7e\t]", "", line)


def _show_end(log: pathlib.Path) -> None:
    lines = log.read_text(errors="replace").splitlines()[-20:]
    for line in lines:
        print("    | " + _printable(line)[:160])
    print(f"    all of it: {log}", flush=True)


def reasons(text: str, most: int = 12) -> list[str]:
    """The lines of a stage's output that say what failed, the newest last.

    These are lines about a failure, and indented lines below each of them, which
    explain it. If there are none, the last lines of the output are returned.
    """
    found: list[str] = []
    below = 0
    lines = [_printable(line).rstrip()[:150] for line in text.splitlines()]
    for line in lines:
        if _FAILING.search(line):
            found.append(line.strip())
            below = 8
        elif below and line.startswith((" ", "\t")) and "the last lines of" not in line:
            found.append(line.strip())
            below -= 1
        else:
            below = 0
    found = list(dict.fromkeys(found)) or [line.strip() for line in lines if line][-3:]
    return found[-most:]


def _cases(results: list[Result]) -> list[junit.Case]:
    """A case for each stage; a failed one has the lines that say why."""
    cases = []
    for done in results:
        said = []
        if not done.ok and done.log:
            said = reasons((ROOT / done.log).read_text(errors="replace"))
        cases.append(junit.Case("stages", done.name, "" if done.ok else "\n".join([done.why or "failed", *said]),
                                seconds=done.seconds))
    return cases


def summary(suite: str, results: list[Result], seconds: float) -> dict:
    """The contents of the JSON report."""
    return {"suite": suite, "seconds": round(seconds, 1),
            "passed": sum(done.passed for done in results),
            "failed": sum(done.failed for done in results),
            "skipped": sum(done.skipped for done in results),
            "stages": [{**dataclasses.asdict(done), "ok": done.ok} for done in results]}


def main(arguments: list[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(prog="pvops-suite", description=__doc__.splitlines()[0])
    parser.add_argument("suite", help="test or test-all")
    parser.add_argument("--only", action="append", default=[], metavar="STAGE",
                        help="run only this stage (may be repeated)")
    parser.add_argument("--list", action="store_true", help="list the stages and run nothing")
    parser.add_argument("--stages", type=pathlib.Path, default=STAGES, help="stage data")
    parser.add_argument("--report", type=pathlib.Path, default=REPORT / "test.json")
    options = parser.parse_args(arguments)
    only = [name for entry in options.only for name in entry.replace(",", " ").split()]
    try:
        stages, limits = load(options.stages)
        if options.suite not in limits:
            raise Failure(f"no suite {options.suite}; there are {', '.join(limits)}")
        names = [stage.name for stage in stages if options.suite in stage.suites]
        for name in only:
            if name not in names:
                raise Failure(f"{options.suite} has no stage {name}; it has {', '.join(names)}")
        width = max(map(len, ["stage", *names]))
        if options.list:
            for stage in stages:
                if options.suite in stage.suites:
                    took = clock(stage.takes) if stage.takes else "?"
                    print(f"{stage.name:{width}} {took:>6} {clock(stage.limit):>7}  {stage.command}")
            return 0
        print(expected([stage for stage in stages if options.suite in stage.suites and (not only or stage.name in only)],
                       limits[options.suite]), flush=True)
        start = time.monotonic()
        results = run(options.suite, only, stages, limits[options.suite])
        report = summary(options.suite, results, time.monotonic() - start)
        options.report.parent.mkdir(parents=True, exist_ok=True)
        options.report.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
        junit.write(options.report, _cases(results))
    except Failure as failure:
        print(f"pvops: {options.suite}: {failure}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"pvops: {options.suite}: {error.filename}: {error.strerror}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"pvops: {options.suite}: interrupted", file=sys.stderr)
        return 130
    print(f"\n{'stage':{width}} {'time':>6} {'passed':>7} {'failed':>7} {'skipped':>8}")
    for done in results:
        print(f"{done.name:{width}} {clock(done.seconds):>6} {done.passed:7} {done.failed:7} {done.skipped:8}"
              + (f"  {done.why}" if done.why else ""))
    for done in results:
        if done.failed and done.log:
            for line in reasons((ROOT / done.log).read_text(errors="replace")):
                print(f"{done.name}: {line}")
    print(f"took {clock(report['seconds'])}; report in {options.report}")
    print(f"{report['passed']} passed, {report['failed']} failed, {report['skipped']} skipped")
    return 1 if report["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
