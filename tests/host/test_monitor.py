# SPDX-License-Identifier: GPL-2.0
"""Commands to QEMU's monitor and its answers."""

import json
import socket
import threading
import unittest
from unittest import mock

from tools.pvops import monitor
from tools.pvops.common import Failure

GREETING = {"QMP": {"version": {}, "capabilities": []}}
REGISTERS = ("\r\nCPU#0\r\nRAX=0 RBX=1\r\nR8 =2 R9 =3\r\nRIP=ffffffff81000000 HLT=0\r\n"
             "ES =0000\r\nCS =0010\r\nFCW=037f\r\n"
             "CPU#1\r\nRIP=ffffffff81000010 HLT=1\r\nXMM00=0\r\n")


class Asking(unittest.TestCase):
    """A monitor with made-up answers."""

    def machine(self, answers: list[list[dict]]) -> list[dict]:
        """A monitor to ask, and what comes to be asked of it."""
        ours, theirs = socket.socketpair()
        asked = []

        def serve() -> None:
            with theirs, theirs.makefile("rwb") as lines:
                for batch in answers:
                    request = lines.readline()
                    if not request:
                        return
                    asked.append(json.loads(request))
                    for answer in batch:
                        lines.write(json.dumps(answer).encode() + b"\r\n")
                    lines.flush()

        thread = threading.Thread(target=serve)
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(ours.close)
        self.monitor = monitor.Monitor(ours)
        return asked

    def test_greeting_and_events_are_no_answers(self):
        """The greeting and events are not taken for answers."""
        asked = self.machine([[GREETING, {"return": {}}],
                              [{"event": "RTC_CHANGE"}, {"return": "text"}],
                              [{"return": "more"}]])
        self.assertEqual(self.monitor.ask("info lapic"), "text")
        self.assertEqual(self.monitor.ask("log none"), "more")
        self.assertEqual([request["execute"] for request in asked],
                         ["qmp_capabilities"] + ["human-monitor-command"] * 2)
        self.assertEqual(asked[1]["arguments"], {"command-line": "info lapic"})

    def test_refusal_is_said(self):
        """An error that QEMU answers is told."""
        self.machine([[GREETING, {"return": {}}],
                      [{"error": {"class": "GenericError", "desc": "no such thing"}}]])
        with self.assertRaisesRegex(Failure, "no such thing"):
            self.monitor.ask("info x")

    def test_end_is_said(self):
        """A QEMU that has ended is told."""
        self.machine([[GREETING, {"return": {}}]])
        with self.assertRaisesRegex(Failure, "QEMU has ended|Broken pipe|reset"):
            self.monitor.ask("quit")

    def test_silence_is_said(self):
        """A QEMU that does not answer is told."""
        ours, theirs = socket.socketpair()
        with ours, theirs, mock.patch.object(monitor, "PATIENCE", 0.05):
            with self.assertRaisesRegex(Failure, "timed out"):
                monitor.Monitor(ours).ask("info lapic")

    def test_cpus_are_shown_without_what_says_nothing(self):
        """Registers and local APIC of each CPU are shown, without floating point."""
        lapic = {"return": "dumping\r\n\r\nIRR\t (none)\r\n"}
        sample = [[{"return": REGISTERS}], [lapic], [lapic]]
        asked = self.machine([[GREETING, {"return": {}}]] + sample * monitor.SAMPLES)
        with mock.patch.object(monitor.time, "sleep"):
            said = self.monitor.cpus().splitlines()
        self.assertEqual(said[:8], ["---- 0 s", "CPU#0", "RAX=0 RBX=1", "R8 =2 R9 =3",
                                    "RIP=ffffffff81000000 HLT=0", "CS =0010", "CPU#1",
                                    "RIP=ffffffff81000010 HLT=1"])
        self.assertEqual(said.count("IRR\t (none)"), 2 * monitor.SAMPLES)
        self.assertEqual([request["arguments"].get("command-line") for request in asked[1:4]],
                         ["info registers -a", "info lapic 0", "info lapic 1"])


if __name__ == "__main__":
    unittest.main()
