# SPDX-License-Identifier: GPL-2.0
"""A world with a person, or a pipe, at its console."""

import contextlib
import os
import subprocess
import sys
import termios
import threading

from .. import common, userland
from ..common import Failure
from .machine import Machine

# What a guest prints when it takes input, see worlds/guest/init.
SHELL_READY = b"PVOPS-SHELL"
# The prompts of getty, login and the shell of Debian, and the answers.
LOGIN = [(b"debian login: ", b"root\n"), (b"Password: ", userland.PASSWORD.encode() + b"\n"),
         (b"root@debian:~# ", b"")]


def attend(machine: Machine) -> int:
    """Run a machine whose console is this process's stdin and stdout.

    QEMU uses a terminal directly: Ctrl-C goes to the guest, Ctrl-A X ends QEMU.
    Input from a pipe is sent when the shell has started, and the world's time limit
    applies. A Debian system is logged in to first.
    """
    if sys.stdin.isatty():
        return _on_terminal(machine.argv())
    prompts = LOGIN if machine.world.userland else [(SHELL_READY, b"")]
    return _from_pipe(machine.argv(), machine.world.timeout, prompts)


def _on_terminal(argv: list[str]) -> int:
    saved = termios.tcgetattr(sys.stdin)
    child = common.start(argv, own_group=False)
    try:
        return child.wait()
    finally:
        common.stop(child, own_group=False)
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, saved)


def _from_pipe(argv: list[str], limit: float, prompts: list[tuple[bytes, bytes]]) -> int:
    """Answer each prompt in turn; what stdin has follows the last one."""
    child = common.start(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    # A timer, because reading the console blocks.
    late = threading.Timer(limit, common.stop, (child,))
    late.start()

    def feed() -> None:
        with contextlib.suppress(BrokenPipeError, ValueError):
            for line in sys.stdin.buffer:
                child.stdin.write(line)
                child.stdin.flush()

    try:
        seen, waiting = b"", list(prompts)
        while data := os.read(child.stdout.fileno(), 4096):
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()
            seen = (seen + data)[-8192:]
            if waiting and waiting[0][0] in seen:
                child.stdin.write(waiting.pop(0)[1])
                child.stdin.flush()
                seen = b""
                if not waiting:
                    threading.Thread(target=feed, daemon=True).start()
        status = child.wait()
        if not late.is_alive():
            raise Failure(f"the shell was not left within {limit:.0f} s")
        if waiting:
            raise Failure("the machine ended before there was a shell")
        return status
    finally:
        late.cancel()
        common.stop(child)
