# SPDX-License-Identifier: GPL-2.0
"""Build the files of the guest jobs: programs, scripts, libraries.

    python3 -m tools.pvops.jobfiles DIR     fill a directory, to look at

Each fill function fills a directory for one initramfs image. Running jobs and
judging them is tools.pvops.jobs.
"""

import argparse
import os
import pathlib
import re
import shutil
import subprocess

from . import common, kernel
from .common import Failure

GUEST = common.ROOT / "tests" / "guest"
# Jobs that need the devices of a world of the kind xen-domu.
DOMAIN = GUEST / "domain"
# The kernel's selftests that are not those of x86.
GENERIC = GUEST / "kselftests"
TARGETS = ("mm", "futex", "timers", "vDSO", "seccomp", "ptrace", "rseq", "membarrier", "proc",
           "mincore", "memfd", "clone3", "pidfd")
LIB = "usr/lib/pvops"
BENCH = common.ROOT / "bench"
CFLAGS = ("-O2", "-Wall", "-Wextra", "-Werror", "-static", "-pthread")
# Programs with other flags. tiny has no C library, because the instructions of
# the library at the start of a program are not those of the kernel.
OTHER_CFLAGS = {
    "tiny": ("-O2", "-Wall", "-Wextra", "-Werror", "-static", "-nostdlib", "-ffreestanding",
             "-fno-stack-protector", "-fno-pie", "-no-pie", "-Wl,--build-id=none"),
    "nohuge.so": ("-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC"),
}
# Where Debian's loaders look, 32-bit ones included.
LIBRARY_PATH = {"32": ("/lib32", "/usr/lib32", "/lib/i386-linux-gnu"),
                "64": ("/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu")}


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
    """A 6.12 tree with the selftests, which are the same in the patched and unpatched tree."""
    for name in ("linux", "linux-vanilla"):
        tree = common.BUILD / name
        if (tree / "tools/testing/selftests/x86/Makefile").exists():
            return tree
    return kernel.vanilla_tree()


def _build_selftests(targets: tuple[str, ...], all_of_them: bool) -> pathlib.Path:
    """Build the kernel's selftests by their own Makefiles; returns the directory."""
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
    """Copy programs without debugging information."""
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

    The build goes on if a program does not compile. Therefore each program of the
    list must be there afterwards, and each program that was built must be listed.
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


def _needs(program: pathlib.Path) -> tuple[str, list[str], list[str]]:
    """A program's class (32 or 64), its loader, and the libraries it names.

    readelf is used instead of ldd. ldd runs the program's loader, and the kernel of
    this machine may not be able to run 32-bit programs.
    """
    listing = subprocess.run(["readelf", "-hldW", program], capture_output=True, text=True,
                             check=True, env=dict(os.environ, LC_ALL="C")).stdout
    bits = re.search(r"Class: +ELF(32|64)", listing)
    if not bits:
        raise Failure(f"{program}: not a program")
    return (bits[1], re.findall(r"interpreter: (/[^]]+)\]", listing),
            re.findall(r"\(NEEDED\) .*\[([^]]+)\]", listing))


def _libraries(out: pathlib.Path, programs: list[pathlib.Path]) -> None:
    """Copy loaders and libraries to where the programs' loaders look for them."""
    wanted: set[str] = set()
    beside = {program.name for program in programs if ".so" in program.name}
    todo = list(programs)
    while todo:
        bits, loader, names = _needs(todo.pop())
        # pthread_exit() opens libgcc_s when it is called, so a program does not list it
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
    """Compile programs from their sources, and copy a directory of jobs that use them."""
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
    """The same for the jobs of a domain with devices, which are an image of their own."""
    _fill(out, {"survive": [DOMAIN / "survive.c"]}, DOMAIN / "jobs")


def fill_generic(out: pathlib.Path) -> None:
    """The same for the kernel's selftests that are not x86's own, which are many MiB."""
    _fill(out, {}, GENERIC / "jobs")
    _script(GUEST / "selftest.sh", out / LIB / "selftest.sh")
    _generic_selftests(out)


def fill_bench(out: pathlib.Path) -> None:
    """The same for the benchmarks, which are an image of their own."""
    _fill(out, {"opcost": sorted((BENCH / "guest").glob("*.c")),
                "tiny": [GUEST / "src/tiny.c"]}, BENCH / "jobs")


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="tools.pvops.jobfiles", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", type=pathlib.Path)
    fill(parser.parse_args().directory)


if __name__ == "__main__":
    common.command(main)
