# SPDX-License-Identifier: GPL-2.0
"""The console of a world against its description."""

import re
from typing import Iterable

from .. import report
from ..report import Console
from .description import Expect, World


def host_jobs(world: World) -> list[str]:
    """The job of dom0's own checks, if dom0 makes any in this world."""
    return [report.HOST_JOB] if world.disk or world.network or world.save_at else []


def has_pvops(console: Console) -> bool:
    """Whether the kernel that booted reports a backend at all."""
    return "backend" in console.report


def judge(world: World, console: Console, jobs: list[str], *,
          plain_allowed: bool, check_kunit: bool, lacks: Iterable[str] = ()) -> list[str]:
    """All differences between a console and the description of its world."""
    expect, got = world.expect, console.report
    plain = plain_allowed and not has_pvops(console)
    problems = []
    if not got:
        problems.append("no report: user space was not reached")
    if not console.done:
        problems.append("the guest did not come to its end (no PVOPS-DONE)")
    problems += [f"host: {line}" for line in console.host
                 if line.startswith(("failed", "dmesg:", "qemu:", "xl:"))]
    if world.userland:
        problems += _judge_boots(console, world.cmdline.split())
    if got and got.get("cpus") != str(world.cpus):
        problems.append(f"{got.get('cpus')} CPUs instead of {world.cpus}")
    if got and not plain:
        problems += _judge_pvops(expect, got, console)
    if got and check_kunit and not plain:
        wanted = [name for name in report.wanted_suites() if name not in set(lacks)]
        problems += report.kunit_problems(console.suites, wanted)
    problems += [f"splat: {line}" for line in console.splats(expect.allow_lines)[:5]]
    for name in [*jobs, *host_jobs(world)]:
        job = console.jobs.get(name)
        if name == "shell":
            continue
        if job is None or job.rc is None:
            problems.append(f"job {name} did not {'start' if job is None else 'end'}")
            continue
        problems += [f"job {name}: {check.name}: {check.reason or 'not ok'}"
                     for check in job.failed]
        if job.rc and not job.failed:
            problems.append(f"job {name} ended with status {job.rc}")
    return problems


def _judge_boots(console: Console, words: list[str]) -> list[str]:
    """A machine that may reboot, and was reset instead, would seem to have passed."""
    problems = []
    crashes = words.count("pvops.kdump")
    boots = 1 + crashes + words.count("pvops.reboot")
    # the crash kernel reports, and runs no job
    for line, wanted in (("PVOPS-BEGIN report", boots + crashes), ("PVOPS-BEGIN job userland", boots),
                         ("PVOPS-END job userland", boots)):
        seen = sum(one.startswith(line) for one in console.user)
        if seen != wanted:
            problems.append(f"{line}: {seen} times instead of {wanted}")
    return problems


def _judge_pvops(expect: Expect, got: dict[str, str],
                 console: Console) -> list[str]:
    """Differences in what the socket decided and logged."""
    problems = []
    lines = console.kernel
    if expect.backend and got.get("backend") != expect.backend:
        problems.append(f"backend {got.get('backend', 'not reported')} "
                        f"instead of {expect.backend}")
    for key, pattern in expect.report.items():
        if key not in got:
            problems.append(f"{key} is not reported")
        elif not re.search(pattern, got[key]):
            problems.append(f"{key} is {got[key]!r}, not like {pattern!r}")
    for pattern in expect.expect_lines:
        if not any(re.search(pattern, line) for line in lines):
            problems.append(f"no line like {pattern!r}")
    for pattern in expect.once_lines:
        count = sum(bool(re.search(pattern, line)) for line in lines)
        if count != 1:
            problems.append(f"{count} lines like {pattern!r} instead of one")
    for pattern in expect.forbid_lines:
        problems += [f"forbidden line: {line}" for line in lines
                     if re.search(pattern, line)][:1]
    return problems
