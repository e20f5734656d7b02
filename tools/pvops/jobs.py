# SPDX-License-Identifier: GPL-2.0
"""The guest jobs: build them, run them in a world, judge what they say.

    jobs --out DIR                      fill a directory for the initramfs
    jobs run --world V,W [--jobs A,B]   boot these worlds and judge

A job's own verdict is not the last word. Some of the kernel's selftests fail
or skip on an unmodified kernel in some world; tests/guest/expected.toml lists
them with the reason, so that a new failure and a new skip both stand out.
"""

import argparse
import dataclasses
import fnmatch
import os
import pathlib
import re
import shutil
import subprocess
import tomllib

from . import common
from .common import Failure, say

GUEST = common.ROOT / "tests" / "guest"
EXPECTED = GUEST / "expected.toml"
# Jobs that need what only the worlds of the kind xen-domu have.
DOMAIN = GUEST / "domain"
# The kernel's selftests beside those of x86: which, and how they are run.
GENERIC = GUEST / "kselftests"
TARGETS = ("mm", "futex", "timers", "vDSO", "seccomp", "ptrace", "rseq", "membarrier", "proc",
           "mincore", "memfd", "clone3", "pidfd")
LIB = "usr/lib/pvops"
BENCH = common.ROOT / "bench"
# What a world is put through when nobody says otherwise.
JOBS = ("clock", "timer", "hotplug", "container", "mmstress", "swap", "selftests")
# How long they may take on the emulated machine itself; nested ones have twice
# that. For when something hangs: nothing is as slow as this. swap has its
# MORE_SECONDS on top.
SECONDS = {"selftests": 600, "mmstress": 120, "swap": 150, "hostile": 300, "kselftests-few": 400,
           "kselftests-more": 1200, "tracers": 600}
SECONDS_OTHER = 60
CFLAGS = ("-O2", "-Wall", "-Wextra", "-Werror", "-static", "-pthread")
# Those that need other flags. tiny has no C library: what that would do at start
# is not the kernel's.
OTHER_CFLAGS = {
    "tiny": ("-O2", "-Wall", "-Wextra", "-Werror", "-static", "-nostdlib", "-ffreestanding",
             "-fno-stack-protector", "-fno-pie", "-no-pie", "-Wl,--build-id=none"),
    "nohuge.so": ("-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC"),
}
# A check that would take the machine down is not made: the job skips it.
STATES = {"fail": "not ok", "skip": "skip", "crash": "skip"}


# ---- building


def _compile(target: pathlib.Path, *sources: pathlib.Path) -> None:
    flags = OTHER_CFLAGS.get(target.name, CFLAGS)
    done = subprocess.run(["gcc", *flags, "-I", GUEST / "src", "-o", target, *sources],
                          capture_output=True, text=True, check=False)
    if done.returncode:
        raise Failure(f"{common.shown(sources[0])} does not compile:\n{done.stderr.rstrip()}")


def _script(source: pathlib.Path, target: pathlib.Path) -> None:
    check = subprocess.run(["sh", "-n", source], capture_output=True, text=True,
                           check=False)
    if check.returncode:
        raise Failure(f"{common.shown(source)}: {check.stderr.strip()}")
    shutil.copyfile(source, target)
    target.chmod(0o755)


def _source_tree() -> pathlib.Path:
    """A 6.12 tree to take the selftests from: they are the same in both."""
    for name in ("linux", "linux-vanilla"):
        tree = common.BUILD / name
        if (tree / "tools/testing/selftests/x86/Makefile").exists():
            return tree
    from . import kernel    # only a tree that is not there yet needs it
    return kernel.vanilla_tree()


def _build_selftests(targets: tuple[str, ...], all_of_them: bool) -> pathlib.Path:
    """The kernel's selftests by their own Makefiles; where they are then."""
    tree = _source_tree()
    objects = common.BUILD / "selftests"
    name = targets[0] if len(targets) == 1 else "generic"
    log = common.LOG / f"selftests-{name}-build.log"
    common.need_space(objects, 200, "building the kernel's selftests")
    env = {k: v for k, v in os.environ.items()
           if k not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS", "O", "KBUILD_OUTPUT")}
    with common.lock("selftests"):
        common.run_logged(["make", "-s", "-C", tree, f"O={objects}", "headers"], log,
                          what="kernel headers for the selftests", env=env)
        common.run_logged(["make", "-s", "-C", tree / "tools/testing/selftests",
                           f"TARGETS={' '.join(targets)}", f"O={objects}",
                           *(["FORCE_TARGETS=1"] if all_of_them else ["-k"]), "all"],
                          log, what=f"the kernel's {name} selftests", env=env)
    return objects / "kselftest"


def _install(programs: list[pathlib.Path], target: pathlib.Path) -> None:
    """Programs without what only a debugger wants."""
    target.mkdir(parents=True)
    for program in programs:
        subprocess.run(["strip", "--strip-debug", "-o", target / program.name, program],
                       check=True)


def _selftests(out: pathlib.Path) -> None:
    """The x86 selftests, with the libraries they need."""
    built = _build_selftests(("x86",), True)
    programs = sorted(path for path in (built / "x86").iterdir()
                      if path.is_file() and re.search(r"_(32|64)$", path.name))
    for bits in ("32", "64"):
        if not any(path.name.endswith(bits) for path in programs):
            raise Failure(f"no {bits}-bit selftest was built (gcc-multilib and "
                          f"libc6-dev-i386 installed?); see {common.shown(common.LOG)}")
    _install(programs, out / LIB / "selftests")
    _libraries(out, programs)


def generic_programs(path: pathlib.Path = GENERIC / "programs.txt"
                     ) -> tuple[dict[str, set[str]], dict[str, set[str]]]:
    """Programs by target: those that are run, and those that are left out."""
    run: dict[str, set[str]] = {}
    left: dict[str, set[str]] = {}
    names = set()
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not line or line.startswith("#"):
            continue
        where = f"{common.shown(path)}:{number}"
        if match := re.fullmatch(r"out +(\S+) (\S+) \S.*", line):
            left.setdefault(match[1], set()).add(match[2])
        elif match := re.fullmatch(r"(?:few|more) +(\S+) \d+ ([^\s,]+)(?: (.+))?", line):
            if (match[1], match[2]) in names:
                raise Failure(f"{where}: {match[1]}/{match[2]} is there twice")
            names.add((match[1], match[2]))
            run.setdefault(match[1], set()).update(
                re.findall(r"\./(\w[\w-]*)", match[3].replace("./mnt", ""))
                if match[3] else [match[2]])
        else:
            raise Failure(f"{where}: not `few|more TARGET SECONDS NAME [COMMAND]` or "
                          "`out TARGET PROGRAM REASON`")
    return run, left


def _generic_selftests(out: pathlib.Path) -> None:
    """The selftests that are not x86's own.

    One that does not compile must not take the others with it, so each that the
    list wants is looked for, and each that was built must be in the list.
    """
    wanted, left = generic_programs()
    built = _build_selftests(TARGETS, False)
    top = out / LIB / "selftests-generic"
    programs = []
    for target in sorted(wanted):
        here = {path.name: path for path in (built / target).iterdir()
                if path.is_file() and path.read_bytes()[:4] == b"\x7fELF"}
        libraries = {name for name in here if ".so" in name}
        if missing := wanted[target] - set(here):
            raise Failure(f"{target}: {', '.join(sorted(missing))}: not built; see "
                          f"{common.shown(common.LOG / 'selftests-generic-build.log')}")
        if strange := set(here) - wanted[target] - left.get(target, set()) - libraries:
            raise Failure(f"{target}: {', '.join(sorted(strange))}: built, and not in "
                          f"{common.shown(GENERIC / 'programs.txt')}")
        chosen = [here[name] for name in sorted(wanted[target] | libraries)]
        _install(chosen, top / target)
        programs += chosen
    _compile(top / "nohuge.so", GENERIC / "nohuge.c")
    for name in ("run", "programs.txt"):
        shutil.copy(GENERIC / name, top / name)
    _libraries(out, programs)


# Where Debian's loaders look, 32-bit ones included.
LIBRARY_PATH = {"32": ("/lib32", "/usr/lib32", "/lib/i386-linux-gnu"),
                "64": ("/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu")}


def _needs(program: pathlib.Path) -> tuple[str, list[str], list[str]]:
    """A program's class (32 or 64), its loader, and the libraries it names.

    Read and not asked of ldd, which runs the program's loader: the kernel of
    this machine need not be able to run 32-bit programs.
    """
    listing = subprocess.run(["readelf", "-hldW", program], capture_output=True, text=True,
                             check=True, env=dict(os.environ, LC_ALL="C")).stdout
    bits = re.search(r"Class: +ELF(32|64)", listing)
    if not bits:
        raise Failure(f"{program}: not a program")
    return (bits[1], re.findall(r"interpreter: (/[^]]+)\]", listing),
            re.findall(r"\(NEEDED\) .*\[([^]]+)\]", listing))


def _libraries(out: pathlib.Path, programs: list[pathlib.Path]) -> None:
    """Loaders and libraries where the programs' loaders look for them."""
    wanted: set[str] = set()
    beside = {program.name for program in programs if ".so" in program.name}
    todo = list(programs)
    while todo:
        bits, loader, names = _needs(todo.pop())
        # pthread_exit() opens it only when it happens
        if any(name.startswith("libc.so") for name in names):
            names.append("libgcc_s.so.1")
        found = list(loader)
        for name in names:
            if name in beside:
                continue
            paths = [f"{place}/{name}" for place in LIBRARY_PATH[bits]
                     if os.path.exists(f"{place}/{name}")]
            if not paths and name not in map(os.path.basename, loader):
                raise Failure(f"the selftests need {name} ({bits}-bit), which is not in "
                              f"{' '.join(LIBRARY_PATH[bits])}")
            found += paths[:1]
        todo += [pathlib.Path(path) for path in found if path not in wanted]
        wanted |= set(found)
    for path in sorted(wanted):
        target = out / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
        target.chmod(0o755)


def _fill(out: pathlib.Path, programs: dict[str, list[pathlib.Path]],
          scripts: pathlib.Path) -> None:
    """Programs, each from its sources, and a directory of jobs that use them."""
    (out / LIB).mkdir(parents=True, exist_ok=True)
    (out / "jobs").mkdir(exist_ok=True)
    for name, sources in programs.items():
        _compile(out / LIB / name, *sources)
    for script in sorted(scripts.iterdir()):
        _script(script, out / "jobs" / script.name)


def fill(out: pathlib.Path) -> None:
    """Put everything the jobs need under a directory: DIR/jobs, DIR/usr, ..."""
    _fill(out, {source.stem: sorted(source.glob("*.c")) or [source]
                for source in sorted((GUEST / "src").iterdir()) if source.suffix in (".c", "")},
          GUEST / "jobs")
    _script(GUEST / "selftest.sh", out / LIB / "selftest.sh")
    _selftests(out)


def fill_domain(out: pathlib.Path) -> None:
    """The same for the jobs of a domain with devices: a small image."""
    _fill(out, {"survive": [DOMAIN / "survive.c"]}, DOMAIN / "jobs")


def fill_generic(out: pathlib.Path) -> None:
    """The same for the kernel's selftests that are not x86's own: many MiB."""
    _fill(out, {}, GENERIC / "jobs")
    _script(GUEST / "selftest.sh", out / LIB / "selftest.sh")
    _generic_selftests(out)


def fill_bench(out: pathlib.Path) -> None:
    """The same for the benchmarks, which are an image of their own: it is small."""
    _fill(out, {"opcost": sorted((BENCH / "guest").glob("*.c")),
                "tiny": [GUEST / "src/tiny.c"]}, BENCH / "jobs")


# ---- what is expected


@dataclasses.dataclass
class Expectation:
    """One check that is known not to pass on an unmodified kernel."""
    job: str
    check: str
    worlds: list[str]
    state: str                  # as the job says it
    crash: bool                 # not to be tried
    reason: str

    def applies(self, world: str, job: str) -> bool:
        """Whether it is about this world and this job."""
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
    """Read the list; every entry says what, where, and why."""
    entries = _entries(path, "expect", {"job", "checks", "worlds", "state", "reason"})
    return [Expectation(entry["job"], check, entry["worlds"], STATES[entry["state"]],
                        entry["state"] == "crash", entry["reason"])
            for entry in entries for check in entry["checks"]]


def _machines(jobs: list[str], path: pathlib.Path) -> list[dict]:
    """What the list says of the emulated machine for these jobs."""
    entries = _entries(path, "machine", {"job", "reason"}, ("cpu_without", "one_thread"))
    return [entry for entry in entries if entry["job"] in jobs]


def cpu_without(jobs: list[str], path: pathlib.Path = EXPECTED) -> list[str]:
    """CPU features that these jobs cannot be run with on the emulated machine."""
    return sorted({feature for entry in _machines(jobs, path)
                   for feature in entry.get("cpu_without", [])})


def one_thread(jobs: list[str], path: pathlib.Path = EXPECTED) -> bool:
    """Whether these jobs need an emulator that runs all CPUs in one thread."""
    return any(entry.get("one_thread") for entry in _machines(jobs, path))


@dataclasses.dataclass
class Verdict:
    """How a job went in a world, against what was expected."""
    job: str
    passed: list[str] = dataclasses.field(default_factory=list)
    expected: list[tuple[str, str, str]] = dataclasses.field(default_factory=list)
    skipped: int = 0
    failures: list[str] = dataclasses.field(default_factory=list)
    notes: list[str] = dataclasses.field(default_factory=list)


def judge(world: str, job: str, rc: int | None, checks: list,
          expected: list[Expectation]) -> Verdict:
    """Compare a job's checks with the list.

    A job ends with 1 if one of its checks failed. That alone is not held
    against it when each failed check was expected.
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
    # --out must work while they change
    from . import kernel as builder, report, world

    if flavour not in builder.FLAVOURS:
        raise Failure(f"no kernel {flavour}; there are: {' '.join(builder.FLAVOURS)}")
    made = builder.FLAVOURS[flavour]
    image = kernel or (builder.build(flavour) if flavour != "main" else None)
    # The kernel hands what it does not know to init as its environment, and from
    # there it comes to the jobs.
    slow = f"PVOPS_SCALE={made.scale}" if made.scale > 1 else ""
    extra = " ".join(f"{made.cmdline} {slow} {extra}".split())
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
        timeout = (description.timeout + seconds * (2 if nested else 1)) * made.scale
    # A kernel of one's own must not overwrite what `make boot` logged.
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
    # A job's failed checks are judged above, with what is expected in mind.
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
    passed = sum(len(v.passed) for v in verdicts)
    aside = sum(len(v.expected) for v in verdicts)
    if failed:
        print(f"log: {common.shown(result.log)}")
    print(f"{world_name}: {passed} passed, {failed} failed, {aside} skipped")
    return [passed, failed, aside]


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(prog="tools.pvops.jobs", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=pathlib.Path, help="fill this directory, and no more")
    parser.add_argument("action", nargs="?", choices=["run"])
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
    if args.out:
        fill(args.out)
        return 0
    if args.action != "run":
        parser.error("nothing to do: --out DIR, or run")
    from . import world     # --out must work while it changes
    worlds = args.world.split(",")
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
