# SPDX-License-Identifier: GPL-2.0
"""The process that is a machine: start it, wait for it, end it."""

import fcntl
import os
import pathlib
import re
import socket
import subprocess
import threading
import time
from typing import BinaryIO

from .. import common, monitor
from ..common import Failure
from ..monitor import Monitor
from .machine import Machine

# Xen's last line after a crash. Xen then waits forever, and the machine does not end.
DEAD = (b"(XEN) Hardware Dom0 crashed", b"(XEN) Panic on CPU")
# After PVOPS-DONE the power must go off in this many seconds.
POWER_OFF_GRACE = 60
# What boot() returns for a machine that does not end.
TOO_LONG = "not done after"

_children: set[subprocess.Popen] = set()
_children_lock = threading.Lock()
_stopping = threading.Event()


def stop_all() -> None:
    """End all machines that this process has started, and start no more."""
    _stopping.set()
    with _children_lock:
        for child in list(_children):
            common.stop(child)


def _own_log(path: pathlib.Path) -> BinaryIO:
    """Open and empty the log; another name if another run is writing it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    for name in (path, path.with_stem(f"{path.stem}-{os.getpid()}")):
        output = open(name, "ab")   # pylint: disable=consider-using-with
        try:
            fcntl.flock(output, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            output.close()
            continue
        output.truncate(0)
        return output
    raise Failure(f"{common.shown(path)}: in use by another run")


def _wait(child: subprocess.Popen, log: pathlib.Path, limit: float) -> str:
    """Wait until a machine has powered off; returns what went wrong, or an empty text."""
    limit = common.time_left(limit)
    deadline = time.monotonic() + limit
    done_at = None
    while True:
        try:
            child.wait(0.3)
            return ""
        except subprocess.TimeoutExpired:
            pass
        now = time.monotonic()
        if _stopping.is_set():
            return "stopped"
        said = log.read_bytes()
        if done_at is None and b"PVOPS-DONE" in said:
            done_at = now
        if dead := next((line for line in DEAD if line in said), None):
            return dead.decode()
        if done_at and now - done_at > POWER_OFF_GRACE:
            return f"did not power off within {POWER_OFF_GRACE} s"
        if now > deadline:
            return f"{TOO_LONG} {limit:.0f} s"


def boot(machine: Machine, path: pathlib.Path, limit: float) -> tuple[str, int | None, pathlib.Path]:
    """Run a machine to its end; returns what went wrong, QEMU's status, the log."""
    # This makes files, and nobody must wait for the lock meanwhile.
    argv = machine.argv()
    ours, theirs = socket.socketpair()
    with ours, _own_log(path) as output:
        with _children_lock:
            if _stopping.is_set():
                raise KeyboardInterrupt
            with theirs:
                child = common.start(
                    [*argv, *monitor.arguments(theirs)],
                    stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
                    pass_fds=(theirs.fileno(),))
            _children.add(child)
        log = pathlib.Path(output.name)
        try:
            trouble = _wait(child, log, limit)
            if TOO_LONG in trouble:
                trouble += _note_cpus(Monitor(ours), log.with_suffix(".cpus"))
        finally:
            common.stop(child)
            with _children_lock:
                _children.discard(child)
    return trouble, child.returncode, log


def _note_cpus(asked: Monitor, path: pathlib.Path) -> str:
    """Write the state of the CPUs of a machine that does not end; returns a summary."""
    try:
        said = asked.cpus()
    except Failure as error:
        return f" ({error})"
    path.write_text(said)
    where = " ".join(re.findall(r"RIP=\S+", said))
    return f" ({where}; its CPUs: {common.shown(path)})"
