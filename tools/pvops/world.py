# SPDX-License-Identifier: GPL-2.0
"""Boot one world, from its description in worlds/NAME.toml.

A world says on which machine (`kind`) and with which options the kernel under
test runs, and what must be true there. The kinds of machines are code, in
tools/pvops/worlds/:

    direct     QEMU's own emulation
    kvm        QEMU/KVM, inside an emulated machine with SVM
    xen-dom0   Xen in an emulated machine, the kernel is dom0
    xen-domu   the same, the kernel is in a domain made by xl

Everything is emulated: /dev/kvm of this machine is never used.
"""

import argparse
import dataclasses
import pathlib
import shutil
import time
from typing import Iterable

from . import common, packages, report
from . import kernel as kernel_builder
from .common import Failure, say
from .report import Console, Job, Suite
from .worlds import kinds, running
from .worlds.description import World, load, names
from .worlds.judge import has_pvops, host_jobs, judge
from .worlds.running import stop_all

# The names that other tools use from this module.
__all__ = ["Result", "World", "default_kernel", "has_pvops", "host_jobs", "load",
           "names", "run", "stop_all"]


@dataclasses.dataclass
class Result:
    """The result of one boot."""
    world: World
    log: pathlib.Path
    seconds: float
    timed_out: bool
    status: int | None                  # QEMU's exit status
    console: Console
    problems: list[str]

    @property
    def ok(self) -> bool:
        """Whether there is no problem."""
        return not self.problems

    @property
    def report(self) -> dict[str, str]:
        """The `key: value` lines of the guest's report."""
        return self.console.report

    @property
    def jobs(self) -> dict[str, Job]:
        """The jobs that started, by name."""
        return self.console.jobs

    @property
    def suites(self) -> dict[str, Suite]:
        """The KUnit suites that started, by name."""
        return self.console.suites


def default_kernel() -> pathlib.Path:
    """The image for all worlds, which tools.pvops.kernel builds."""
    path = kernel_builder.OUT / "main" / kernel_builder.IMAGE
    if not path.exists():
        raise Failure(f"{common.shown(path)}: not built yet; "
                      "run python3 -m tools.pvops.kernel")
    return path


def run(world_name: str | World, jobs: Iterable[str] = (), *,
        kernel: pathlib.Path | str | None = None, extra_cmdline: str = "",
        cpios: Iterable[pathlib.Path] = (), timeout: float | None = None,
        cpus: int | None = None, memory: int | None = None,
        icount: bool = False, qemu_args: Iterable[str] = (),
        host_files: dict[str, pathlib.Path] | None = None,
        log: pathlib.Path | None = None, check_kunit: bool | None = None,
        need_pvops: bool | None = None, scale: int = 1,
        lacks: Iterable[str] = ()) -> Result:
    """Boot a world; returns the result.

    jobs           names under /jobs in the jobs image, run in that order after
                   the report (the world's own `jobs` come first)
    kernel         a bzImage; default: build/out/main
    need_pvops     a kernel that reports no backend is a failure. Without this,
                   backend and KUnit of such a kernel are not checked. Default:
                   only for the default kernel
    extra_cmdline  added for the kernel under test
    cpios          further initramfs images to put behind the guest's
    timeout        seconds; default: the world's
    cpus, memory   of the kernel under test, instead of the world's
    icount         one TSC tick per instruction, for exact costs; one CPU unless
                   `cpus` says how many
    qemu_args      added to the outermost QEMU
    host_files     more files for the /guest of a KVM host or of a dom0 that makes
                   a domU, see worlds/host/kvm-init and worlds/host/xen-init
    log            default: build/log/NAME.log
    check_kunit    the suites of kunit/suites.txt must have run; default: the world's
    scale          a factor for the time limit and the memory, for slow kernels
    lacks          KUnit suites of kunit/suites.txt that the kernel does not have

    If something went wrong and the emulator is at fault (report.emulator_fault), the
    machine is booted once more, and a line says so. The first log is NAME.emulator.log.
    """
    world = load(world_name) if isinstance(world_name, str) else world_name
    if icount:
        cpus = cpus or 1
    world = dataclasses.replace(
        world, cpus=cpus or world.cpus, memory=(memory or world.memory) * scale,
        timeout=world.timeout * scale,
        host=dataclasses.replace(world.host, memory=world.host.memory * scale,
                                 dom0_memory=world.host.dom0_memory * scale))
    if need_pvops is None:
        need_pvops = kernel is None
    jobs = [*world.jobs, *jobs]
    limit = timeout or world.timeout
    image = pathlib.Path(kernel) if kernel else default_kernel()

    path = log or common.LOG / f"{world.name}.log"
    slower = scale * world.turns
    if slower > 1:
        # The kernel hands what it does not know to init as its environment, and from
        # there it comes to the jobs.
        extra_cmdline = f"{extra_cmdline} PVOPS_SCALE={slower}".strip()

    began = time.monotonic()

    def boot() -> Result:
        with kinds.machine(world, jobs, image, extra_cmdline, cpios, icount,
                      list(qemu_args), host_files) as machine:
            trouble, status, log = running.boot(machine, path, limit)
        console = report.parse(log.read_bytes())
        problems = [trouble] if trouble else []
        if status and not trouble:
            problems.append(f"QEMU ended with status {status}")
        problems += judge(world, console, jobs, plain_allowed=not need_pvops,
                          check_kunit=world.kunit if check_kunit is None else check_kunit,
                          lacks=lacks)
        return Result(world, log, time.monotonic() - began, running.TOO_LONG in trouble, status,
                      console, problems)

    result = boot()
    if result.problems and (what := report.emulator_fault(result.console.text)):
        kept = result.log.with_suffix(".emulator.log")
        shutil.copyfile(result.log, kept)
        say(f"{world.name}: {what}; booting once more (log: {common.shown(kept)})")
        result = boot()
    return result


def main() -> int:
    """Command line: boot one world and print a summary of its console."""
    parser = argparse.ArgumentParser(prog="tools.pvops.world", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("world", help="a name under worlds/")
    parser.add_argument("--build", action="store_true",
                        help="install and build what is missing first")
    parser.add_argument("--jobs", default="", metavar="A,B", help="jobs to run")
    parser.add_argument("--kernel", type=pathlib.Path, help="a bzImage (default: ours)")
    parser.add_argument("--cmdline", default="", help="added to the kernel's command line")
    parser.add_argument("--timeout", type=float, help="seconds")
    parser.add_argument("--cpus", type=int, help="of the kernel under test")
    parser.add_argument("--icount", action="store_true",
                        help="one CPU, one TSC tick per instruction")
    args = parser.parse_args()
    if args.build:
        load(args.world)        # check the name before a kernel is built
        packages.ensure()
        if args.kernel is None:
            kernel_builder.build()
    jobs = [job for job in args.jobs.split(",") if job]
    try:
        result = run(args.world, jobs, kernel=args.kernel, extra_cmdline=args.cmdline,
                     timeout=args.timeout, cpus=args.cpus, icount=args.icount)
    finally:
        stop_all()
    for key, value in result.report.items():
        print(f"{key}: {value}")
    for job in result.jobs.values():
        print(f"job {job.name}: rc={job.rc}")
        for line in job.lines:
            print(f"    {line}")
    for problem in result.problems:
        print(f"problem: {problem}")
    print(f"{'ok' if result.ok else 'FAILED'} in {result.seconds:.1f} s, "
          f"log {common.shown(result.log)}")
    return 0 if result.ok else 1


if __name__ == "__main__":
    common.command(main)
