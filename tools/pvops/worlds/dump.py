# SPDX-License-Identifier: GPL-2.0
"""The memory of a machine in a file, as an ELF core."""

import os
import pathlib
import socket
import subprocess
import time

from .. import common, monitor
from ..common import Failure
from ..monitor import Monitor
from .machine import Machine
from .shell import SHELL_READY

# What the shell prints after a command; the command line itself has it in two words.
_RAN = b"PVOPS-RAN"


def take(machine: Machine, path: pathlib.Path, run: str, limit: float) -> None:
    """Boot to the shell, run a command there, write the memory to PATH, end the machine.

    The command need not end: after LIMIT seconds the memory is written all the same
    if the shell was reached.
    """
    partial = path.with_name(f"{path.name}.partial")
    ours, theirs = socket.socketpair()
    with ours:
        with theirs:
            child = common.start([*machine.argv(), *monitor.arguments(theirs)],
                                 stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                 pass_fds=(theirs.fileno(),))
        try:
            os.set_blocking(child.stdout.fileno(), False)
            deadline = time.monotonic() + limit
            said = _until(child, SHELL_READY, deadline)
            if SHELL_READY not in said:
                raise Failure(f"{machine.world.name}: no shell after {limit:.0f} s; the last it said: "
                              + said.decode(errors="replace").strip().split("\n")[-1].strip())
            if run:
                child.stdin.write(f"{run}\necho PVOPS''-RAN\n".encode())
                child.stdin.flush()
                said = _until(child, _RAN, deadline)
            # -p: the segments have the kernel's virtual addresses, which gdb asks for
            answer = Monitor(ours).ask(f"dump-guest-memory -p {partial}")
            if answer.strip() or not partial.exists():
                raise Failure(f"QEMU wrote no dump: {answer.strip()}")
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
            common.stop(child)
            child.stdin.close()
            child.stdout.close()


def _until(child: subprocess.Popen, word: bytes, deadline: float) -> bytes:
    """What the machine prints until it prints WORD, ends, or the time is over."""
    said = b""
    while word not in said and time.monotonic() < deadline:
        data = child.stdout.read()
        if data:
            said += data
        elif data == b"":
            break
        else:
            time.sleep(0.1)
    return said
