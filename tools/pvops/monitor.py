# SPDX-License-Identifier: GPL-2.0
"""QEMU's monitor: commands to a running machine, and the state of its CPUs.

Commands of the human monitor are sent by QMP. Their answers are text.
"""

import json
import re
import socket
import time

from .common import Failure

PATIENCE = 60
SAMPLES = 3
# Registers that show where a CPU is and whether it takes interrupts.
SHOWN = re.compile(r"CPU#|R..? ?=|CS |GS |CR0|EFER|IDT")


def arguments(connection: socket.socket) -> list[str]:
    """QEMU's arguments for a monitor at the other end of a connection, which it inherits."""
    return ["-chardev", f"socket,id=qmp,fd={connection.fileno()}", "-mon", "chardev=qmp,mode=control"]


class Monitor:
    """The monitor of a machine, over a connection with no other reader."""

    def __init__(self, connection: socket.socket) -> None:
        connection.settimeout(PATIENCE)
        self._connection = connection
        self._lines = connection.makefile("rb")
        self._ready = False

    def ask(self, command: str) -> str:
        """The answer of the human monitor to a command."""
        if not self._ready:
            self._execute("qmp_capabilities")
            self._ready = True
        return self._execute("human-monitor-command", **{"command-line": command})

    def _execute(self, name: str, **arguments: str) -> str:
        message = {"execute": name, "arguments": arguments}
        try:
            self._connection.sendall(json.dumps(message).encode() + b"\n")
            # other lines are the greeting and events
            for line in self._lines:
                answer = json.loads(line)
                if "error" in answer:
                    raise Failure(f"QEMU's monitor: {name}: {answer['error']['desc']}")
                if "return" in answer:
                    return answer["return"]
        except (OSError, ValueError) as error:
            raise Failure(f"QEMU's monitor: {name}: {error}") from None
        raise Failure(f"QEMU's monitor: {name}: no answer, QEMU has ended")

    def cpus(self) -> str:
        """Registers and local APIC of each CPU, several times, a second apart.

        Values that change show a CPU that works.
        """
        said = []
        for sample in range(SAMPLES):
            if sample:
                time.sleep(1)
            said.append(f"---- {sample} s")
            registers = self.ask("info registers -a")
            said += [line for line in registers.splitlines() if SHOWN.match(line)]
            for cpu in range(registers.count("CPU#")):
                said += [line for line in self.ask(f"info lapic {cpu}").splitlines() if line]
        return "\n".join(said) + "\n"
