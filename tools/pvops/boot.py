# SPDX-License-Identifier: GPL-2.0
"""make boot: boot one kernel image in every world, and show a table of the results.

Installs and builds what is missing or changed, and boots the worlds, as many at
once as this machine has CPUs for. The table, the exit status and
build/report/boot.json say whether each world is as its description demands.
"""

import argparse
import concurrent.futures
import fnmatch
import os
import pathlib
import sys
import time

from . import common, initramfs, junit, kernel, packages, report, userland, world
from .common import Failure, say

HEARTBEAT = 15.0
HEADING = ["world", "backend", "signature", "CPUs", "KUnit", "userland", "total", "verdict"]


def chosen(words: list[str]) -> list[world.World]:
    """Worlds from names, patterns (`bare*`) and sets (`default`, `input`, `all`)."""
    known = [world.load(name) for name in world.names()]
    picked: dict[str, world.World] = {}
    for word in " ".join(words).split():
        found = [w for w in known if word == "all" or word in w.sets
                 or fnmatch.fnmatchcase(w.name, word)]
        if not found:
            sets = sorted({s for w in known for s in w.sets})
            raise Failure(f"no world or set {word}; worlds: "
                          f"{' '.join(w.name for w in known)}; sets: all {' '.join(sets)}")
        picked.update((w.name, w) for w in found)
    return list(picked.values())


def boot_all(worlds: list[world.World], jobs: list[str], cpus: int,
             **settings) -> list[world.Result]:
    """Boot worlds, as many at once as there are CPUs for; results in the same order.

    `settings` are arguments of world.run().
    """
    waiting = sorted(worlds, key=lambda w: -w.weight)
    running: dict[concurrent.futures.Future, tuple[world.World, float]] = {}
    results: dict[str, world.Result] = {}
    beat = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(max_workers=len(worlds)) as pool:
        try:
            while waiting or running:
                busy = sum(min(w.weight, cpus) for w, _ in running.values())
                for one in list(waiting):
                    if min(one.weight, cpus) <= cpus - busy:
                        waiting.remove(one)
                        busy += min(one.weight, cpus)
                        say(f"{one.name}: {one.about}")
                        task = pool.submit(world.run, one, jobs, **settings)
                        running[task] = (one, time.monotonic())
                        beat = time.monotonic()
                done, _ = concurrent.futures.wait(
                    running, timeout=1, return_when=concurrent.futures.FIRST_COMPLETED)
                for task in done:
                    one, _ = running.pop(task)
                    results[one.name] = result = task.result()
                    say(f"{one.name}: {'ok' if result.ok else 'FAILED'}"
                        f" after {result.seconds:.1f} s")
                now = time.monotonic()
                if running and now - beat > HEARTBEAT:
                    beat = now
                    say("booting: " + ", ".join(f"{w.name} {now - at:.0f} s"
                                                for w, at in running.values()))
        finally:
            # also after Ctrl-C or an exception: no machine must stay behind
            if waiting or running:
                world.stop_all()
    return [results[w.name] for w in worlds]


def _row(result: world.Result) -> list[str]:
    got, suites = result.report, result.suites.values()
    passed = sum(len(s.passed) for s in suites)
    failed = sum(len(s.failed) for s in suites)
    uptime = got.get("uptime_ms")
    return [result.world.name, got.get("backend", "-"), got.get("signature", "-") or "-",
            got.get("cpus", "-"),
            f"{passed}/{passed + failed}" if passed + failed else "-",
            f"{uptime} ms" if uptime else "-", f"{result.seconds:.1f} s",
            "ok" if result.ok else "FAILED"]


def _record(result: world.Result) -> dict[str, object]:
    got, suites = result.report, result.suites.values()
    number = {key: int(got[key]) if got.get(key, "").isdigit() else None
              for key in ("cpus", "uptime_ms")}
    return {"world": result.world.name, "expected": result.world.expect.backend,
            "backend": got.get("backend"), "why": got.get("why"),
            "signature": got.get("signature"), "ok": result.ok, "cpus": number["cpus"],
            "kunit_passed": sum(len(s.passed) for s in suites),
            "kunit_failed": sum(len(s.failed) for s in suites),
            "uptime_ms": number["uptime_ms"], "seconds": round(result.seconds, 1),
            "problems": result.problems, "log": common.shown(result.log)}


def _cases(result: world.Result) -> list[junit.Case]:
    """The world, and each KUnit case that ran in it."""
    name = result.world.name
    cases = [junit.Case("worlds", name, "\n".join(result.problems), seconds=result.seconds)]
    for suite in result.suites.values():
        cases += [junit.Case(f"{name}.{suite.name}", case, failure, skipped)
                  for members, failure, skipped in ((suite.passed, "", ""), (suite.failed, "failed", ""),
                                                    (suite.skipped, "", "skipped"))
                  for case in members]
    return cases


def show_failure(result: world.Result) -> None:
    """Print the problems, the last lines of the console, and the name of the log."""
    print(f"\n{result.world.name}: FAILED", file=sys.stderr)
    for problem in result.problems:
        print(f"  {problem}", file=sys.stderr)
    print(f"  the last lines of {common.shown(result.log)}:", file=sys.stderr)
    for line in common.last_lines(result.log):
        print(f"    {line}", file=sys.stderr)


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(prog="tools.pvops.boot", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("worlds", nargs="*", default=["default"],
                        help="worlds, patterns or sets (default: the set `default`)")
    parser.add_argument("--list", action="store_true", help="list the worlds")
    parser.add_argument("--setup", action="store_true",
                        help="install and build everything, boot nothing")
    parser.add_argument("--kernel", type=pathlib.Path,
                        help="boot this bzImage instead of building ours; "
                             "it may be one without pvops")
    parser.add_argument("--kdir", type=pathlib.Path,
                        help="boot the kernel that was built in this integrated tree")
    parser.add_argument("--flavour", default="main", choices=kernel.FLAVOURS,
                        help="which of our kernels to build and boot")
    parser.add_argument("--jobs", default="", metavar="A,B",
                        help="guest jobs to run in each world")
    parser.add_argument("--cmdline", default="", help="added to the kernel's command line")
    parser.add_argument("--cpus", type=int, default=os.cpu_count() or 1, metavar="N",
                        help="CPUs of this machine to keep busy")
    parser.add_argument("--report", type=pathlib.Path,
                        default=common.REPORT / "boot.json", help="where the JSON goes")
    args = parser.parse_args()
    if args.list:
        rows = [["world", "sets", "what it is"]]
        rows += [[w.name, " ".join(w.sets), w.about] for w in chosen(["all"])]
        print(report.table(rows))
        return 0

    worlds = chosen(args.worlds)
    flavour = kernel.FLAVOURS[args.flavour]
    named, has_suites = kernel.given(args.kernel, args.kdir)
    packages.ensure()
    image = named or kernel.build(args.flavour)
    for name in initramfs.IMAGES:
        initramfs.image(name)
    if any(one.kind == "xen-domu" for one in worlds):
        kernel.dom0(image.resolve())
    # before the boots: it takes minutes, and is said to be what it is if it fails
    obstacle = userland.obstacle() if args.setup else ""
    if any(one.userland for one in worlds) or args.setup and not obstacle:
        userland.image()
    elif args.setup:
        common.say(f"without the disk of the worlds debian-*, which {obstacle}; all else is there")
    if args.setup:
        return 0

    results = boot_all(worlds, [j for j in args.jobs.split(",") if j], max(1, args.cpus),
                       kernel=image, extra_cmdline=f"{flavour.cmdline} {args.cmdline}".strip(),
                       need_pvops=args.kernel is None and flavour.patched,
                       scale=flavour.scale, lacks=flavour.lacks if has_suites else report.wanted_suites())
    report.write_json(args.report, [_record(result) for result in results])
    junit.write(args.report, [case for result in results for case in _cases(result)])
    for result in results:
        if not result.ok:
            show_failure(result)
    failed = sum(not result.ok for result in results)
    print()
    print(report.table([HEADING] + [_row(result) for result in results]))
    print(f"\n{common.shown(args.report)} has the same for scripts")
    print(f"worlds: {len(results) - failed} passed, {failed} failed, 0 skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    common.command(main)
