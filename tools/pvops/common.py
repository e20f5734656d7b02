# SPDX-License-Identifier: GPL-2.0
"""What every tool here shares: paths, one-line errors, child processes."""

import contextlib
import errno
import fcntl
import hashlib
import os
import pathlib
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from typing import Callable, Iterable, Iterator

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = ROOT / "build"
LOG = BUILD / "log"
REPORT = BUILD / "report"


class Failure(Exception):
    """An error that a user can understand and correct; it is printed as one line."""


# what the kernel says when a disk has no room, for anyone or for this user
FULL = (errno.ENOSPC, errno.EDQUOT)


def say(text: str) -> None:
    """Print progress, and flush: stdout may be a pipe."""
    print(f"pvops: {text}", flush=True)


def command(main: Callable[[], int | None]) -> None:
    """Run a tool's main(); a Failure is one line without a traceback.

    SIGTERM becomes an exception. So `finally` blocks run, and no QEMU stays behind
    when a CI runner ends a job.
    """
    def terminated(_signal, _frame):
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, terminated)
    try:
        status = main() or 0
    except Failure as failure:
        print(f"pvops: {failure}", file=sys.stderr)
        status = 1
    except KeyboardInterrupt:
        print("pvops: interrupted", file=sys.stderr)
        status = 130
    except BrokenPipeError:
        status = 141
    except shutil.Error as error:
        # of copytree(): a list with an entry for each file
        failed = error.args[0] if isinstance(error.args[0], list) else [("", "", error.args[0])]
        more = f"; and {len(failed) - 1} more files" if len(failed) > 1 else ""
        again = "; free some space and try again" if _says_full(str(failed[0][2])) else ""
        print(f"pvops: cannot copy: {failed[0][2]}{more}{again}", file=sys.stderr)
        status = 1
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        again = "; free some space and try again" if error.errno in FULL else ""
        print(f"pvops: {where}{error.strerror or error}{again}", file=sys.stderr)
        status = 1
    except subprocess.CalledProcessError as error:
        # what it wrote is above this line, unless it was read here
        why = _why(error.returncode, str(error.stderr or ""), BUILD)
        print(f"pvops: {shlex.join(map(str, error.cmd))} failed ({why})", file=sys.stderr)
        status = 1
    sys.exit(status)


def need_space(where: pathlib.Path, mib: int, what: str) -> None:
    """Fail if there is too little disk space, before anything is written."""
    where.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(where).free >> 20
    if free < mib:
        raise Failure(f"{where}: {free} MiB free, {what} needs {mib} MiB; "
                      "free some disk space")


def _says_full(text: str) -> bool:
    """Does what a program wrote say that a disk is full?"""
    return any(os.strerror(number) in text for number in FULL)


def _is_full(where: pathlib.Path) -> bool:
    """Has the disk of a directory no room for another 1 MiB?"""
    try:
        with tempfile.TemporaryFile(dir=where) as probe:
            os.posix_fallocate(probe.fileno(), 0, 1 << 20)
    except OSError as error:
        return error.errno in FULL
    return False


def _why(status: int, text: str, where: pathlib.Path) -> str:
    """Why a program failed that wrote this, as far as it can be known, and what to do.

    WHERE is a directory that it wrote to. A log on a full disk ends before it says so.
    """
    if _says_full(text) or _is_full(where):
        return "a disk is full; free some space and try again"
    if fetch := re.search(r"(?m)^[EW]: Failed to fetch \S+ +(.+?)(?: \[IP: .*)?$", text):
        then = "as root: apt-get update" if fetch[1].startswith("404") else "look at the network"
        return f"apt cannot fetch packages: {fetch[1]}; {then}, and try again"
    if status in (126, 127) and (program := re.search(r"failed to execute (\S+): (.*)", text)):
        return f"cannot run {program[1]}: {program[2]}"
    return f"status {status}"


@contextlib.contextmanager
def scratch(path: pathlib.Path) -> Iterator[pathlib.Path]:
    """A path where a file or a directory can be made that goes with the block. Nothing is there before."""
    def remove() -> None:
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)

    remove()
    try:
        yield path
    finally:
        remove()


@contextlib.contextmanager
def whole(path: pathlib.Path, partial: pathlib.Path | None = None) -> Iterator[pathlib.Path]:
    """Where to make a file or a directory that must be there as a whole or not at all.

    It becomes PATH if the block ends without an exception, and goes if not. PARTIAL is
    for what may be made twice at once.
    """
    with scratch(partial or path.with_name(f"{path.name}.partial")) as unfinished:
        yield unfinished
        unfinished.replace(path)


def shown(path: pathlib.Path) -> str:
    """A path as a user would type it from the root of the tree."""
    with contextlib.suppress(ValueError):
        return str(path.relative_to(ROOT))
    return str(path)


def digest_of(paths: Iterable[pathlib.Path], *extra: str) -> str:
    """One hash over files and directories, by name and content."""
    total = hashlib.sha256()
    for text in extra:
        total.update(f"{text}\0".encode())
    for path in paths:
        if path.is_dir():
            files = sorted(p for p in path.rglob("*")
                           if p.is_file() and "__pycache__" not in p.parts)
        else:
            files = [path] if path.exists() else []
        for file in files:
            total.update(f"{shown(file)}\0".encode())
            total.update(hashlib.sha256(file.read_bytes()).digest())
    return total.hexdigest()


@contextlib.contextmanager
def lock(name: str) -> Iterator[None]:
    """Hold a lock, so that two commands do not build the same thing at once."""
    BUILD.mkdir(exist_ok=True)
    with open(BUILD / f".{name}.lock", "w", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"waiting for another run that holds {shown(pathlib.Path(file.name))}")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def start(argv: list[str], *, own_group: bool = True, **kwargs) -> subprocess.Popen:
    """Start a child that is killed when this process ends, even by SIGKILL.

    setpriv (util-linux) sets the parent death signal and calls exec, so the pid is
    the child's own. If the child has its own process group, Ctrl-C reaches this
    process only, and stop() can end the whole group.
    """
    return subprocess.Popen(["setpriv", "--pdeathsig", "KILL", "--", *map(str, argv)],
                            start_new_session=own_group, **kwargs)


def stop(child: subprocess.Popen, own_group: bool = True) -> None:
    """End a child and its group: SIGTERM, and after a while SIGKILL."""
    if child.poll() is not None:
        return
    send = os.killpg if own_group else os.kill
    for number, patience in ((signal.SIGTERM, 2), (signal.SIGKILL, 10)):
        with contextlib.suppress(ProcessLookupError):
            send(child.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(patience)
            return


# Seconds since 1970 at which a stage of the test suite is ended (tools.pvops.suite).
DEADLINE = "PVOPS_DEADLINE"


def time_left(limit: float) -> float:
    """How many of these seconds there are before the stage that this runs in is ended.

    A machine that is ended a little earlier can still be asked where its CPUs are.
    """
    with contextlib.suppress(KeyError, ValueError):
        return max(0.0, min(limit, float(os.environ[DEADLINE]) - time.time()))
    return limit


def names_in(path: pathlib.Path) -> list[str]:
    """A file with a name on each line; # begins a comment."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return [name for line in lines if (name := line.split("#")[0].strip())]


def last_lines(path: pathlib.Path, count: int = 25) -> list[str]:
    """The last lines of a log, to show when something failed."""
    if not path.exists():
        return []
    text = path.read_bytes()[-65536:].decode(errors="replace")
    lines = [line.rstrip() for line in text.replace("\r", "").split("\n")]
    return [line for line in lines if line][-count:]


def run_logged(argv: list[str], log: pathlib.Path, *, what: str,
               count: tuple[str, ...] = (), cwd: pathlib.Path | None = None,
               env: dict[str, str] | None = None, every: float = 20) -> None:
    """Run a long command with its output in a log file, and print progress.

    `count`: lines that start with one of these (after blanks) are counted
    and shown, "CC " for a kernel build.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    began = shown_at = time.monotonic()
    with open(log, "wb") as output:
        child = start(argv, cwd=cwd, env=env, stdout=output,
                      stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
        try:
            while child.poll() is None:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    child.wait(0.5)
                now = time.monotonic()
                if child.returncode is None and now - shown_at >= every:
                    shown_at = now
                    done = ""
                    if count:
                        seen = sum(line.strip().startswith(count) for line in
                                   log.read_text(errors="replace").splitlines())
                        done = f", {seen} objects"
                    say(f"{what}: {now - began:.0f} s{done}")
        finally:
            stop(child)
    if child.returncode:
        # with -j the error may be far above the end of the log
        text = log.read_text(errors="replace")
        errors = [line for line in text.splitlines() if re.search(r"(?i)\berror: ", line)]
        for line in [*errors[:10], "", *last_lines(log)]:
            print(f"    {line}", file=sys.stderr)
        raise Failure(f"{what} failed ({_why(child.returncode, text, log.parent)}); see {shown(log)}")
