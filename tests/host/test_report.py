# SPDX-License-Identifier: GPL-2.0
"""Reading a console, also one that is damaged or cut off."""

import pathlib
import tempfile
import unittest
import xml.etree.ElementTree as xml

from unittest import mock

from tools.pvops import boot, common, jobs, junit, packages, report, world


def stamped(lines, start=1.0):
    """Lines as the kernel prints them."""
    return "".join(f"[{start + number / 1000:12.6f}] {line}\n" for number, line in enumerate(lines))


KTAP = ["KTAP version 1", "1..2",
        "    KTAP version 1", "    # Subtest: pvops_choose", "    1..3", "    ok 1 first", "    ok 2 second # SKIP why",
        "    ok 3 third", "# pvops_choose: pass:2 fail:0 skip:1 total:3", "ok 1 pvops_choose",
        "    KTAP version 1", "    # Subtest: pvops_audit", "    1..1", "    ok 1 sites", "ok 2 pvops_audit"]
GUEST = """PVOPS-BEGIN report
backend: native
why: nothing else: found
cpus: 2
PVOPS-END report
PVOPS-BEGIN job clock
# a comment
ok monotonic
not ok steady - went back by 5 ns
skip far - no second node
PVOPS-END job clock rc=1
PVOPS-DONE
"""


def console(kernel=None, guest=GUEST):
    """A whole parsed console."""
    return report.parse((stamped(KTAP if kernel is None else kernel) + guest).encode())


class Good(unittest.TestCase):
    """A console as it should be."""

    def test_report(self):
        """The report's keys and values are read."""
        self.assertEqual({"backend": "native", "why": "nothing else: found", "cpus": "2"}, console().report)
        self.assertTrue(console().done)

    def test_job(self):
        """A job's checks, their reasons and its status are read."""
        job = console().jobs["clock"]
        self.assertEqual([("ok", "monotonic", ""), ("not ok", "steady", "went back by 5 ns"),
                          ("skip", "far", "no second node")],
                         [(check.state, check.name, check.reason) for check in job.checks])
        self.assertEqual((1, ["steady"]), (job.rc, [check.name for check in job.failed]))

    def test_suites(self):
        """KUnit suites and their cases are read."""
        suites = console().suites
        self.assertEqual(["pvops_choose", "pvops_audit"], list(suites))
        self.assertEqual((True, ["first", "third"], ["second"]),
                         (suites["pvops_choose"].ok, suites["pvops_choose"].passed, suites["pvops_choose"].skipped))
        self.assertEqual([], report.kunit_problems(suites, ["pvops_choose", "pvops_audit"]))

    def test_carriage_returns_and_escapes(self):
        """Carriage returns and escape sequences do not matter."""
        raw = ("\x1b[2J" + stamped(KTAP) + GUEST).replace("\n", "\r\n").encode()
        self.assertEqual(console().report, report.parse(raw).report)
        self.assertEqual(set(console().suites), set(report.parse(raw).suites))

    def test_nested(self):
        """Of a nested machine only the guest's report and suites count."""
        # The host's own kernel has suites and reports, too. They are not those of the guest.
        outer = stamped(["KTAP version 1", "    # Subtest: other", "    not ok 1 x", "not ok 1 other"])
        raw = outer + "PVOPS-HOST starting\n" + report.GUEST_BEGINS + "\n" + stamped(KTAP) + GUEST + \
            report.GUEST_ENDED + " rc=0\nPVOPS-BEGIN report\nbackend: wrong\nPVOPS-END report\n"
        got = report.parse(raw.encode())
        self.assertEqual("native", got.report["backend"])
        self.assertEqual(["pvops_choose", "pvops_audit"], list(got.suites))
        self.assertIn("starting", got.host)


class Damaged(unittest.TestCase):
    """Damaged consoles, which must not count as good."""

    def test_empty_and_garbage(self):
        """Nothing is found in an empty console or garbage."""
        for raw in (b"", b"\xff\xfe\x00" * 100, b"\n" * 50):
            got = report.parse(raw)
            self.assertEqual(({}, {}, {}, False), (got.report, got.jobs, got.suites, got.done))
            self.assertEqual(["KUnit suite a did not run"], report.kunit_problems(got.suites, ["a"]))

    def test_every_truncation_is_noticed(self):
        """A console that is cut off anywhere is not done."""
        whole = (stamped(KTAP) + GUEST).encode()
        for cut in range(len(whole) - 1):
            got = report.parse(whole[:cut])
            self.assertFalse(got.done, f"cut at {cut}")

    def test_job_that_did_not_end(self):
        """A job without its end has no status."""
        got = console(guest=GUEST.split("PVOPS-END job")[0])
        self.assertIsNone(got.jobs["clock"].rc)

    def test_truncated_ktap(self):
        """A suite that is cut off did not end, the next did not run."""
        # Cut inside the first suite, and inside the second.
        got = console(kernel=KTAP[:6])
        self.assertEqual(["KUnit suite pvops_choose started and did not end", "KUnit suite pvops_audit did not run"],
                         report.kunit_problems(got.suites, ["pvops_choose", "pvops_audit"]))
        got = console(kernel=KTAP[:-1])
        self.assertEqual(["KUnit suite pvops_audit started and did not end"],
                         report.kunit_problems(got.suites, ["pvops_choose", "pvops_audit"]))

    def test_failed_case(self):
        """A failed case is a problem."""
        lines = [line.replace("    ok 3 third", "    not ok 3 third").replace("ok 1 pvops_choose", "not ok 1 pvops_choose")
                 for line in KTAP]
        self.assertEqual(["KUnit pvops_choose: third failed"],
                         report.kunit_problems(console(kernel=lines).suites, ["pvops_choose", "pvops_audit"]))

    def test_failed_suite_without_a_failed_case(self):
        """A failed suite is a problem, also without a failed case."""
        lines = [line.replace("ok 2 pvops_audit", "not ok 2 pvops_audit") for line in KTAP]
        self.assertEqual(["KUnit suite pvops_audit failed"],
                         report.kunit_problems(console(kernel=lines).suites, ["pvops_audit"]))

    def test_suite_in_which_all_was_skipped(self):
        """A suite that skipped every case is a problem."""
        lines = [line.replace("    ok 1 sites", "    ok 1 sites # SKIP none") for line in KTAP]
        self.assertEqual(["KUnit suite pvops_audit passed no test"],
                         report.kunit_problems(console(kernel=lines).suites, ["pvops_audit"]))

    def test_failure_outside_the_list_counts(self):
        """A failed suite that is not in suites.txt is a problem."""
        lines = [*KTAP, "    # Subtest: foreign", "    not ok 1 x", "not ok 3 foreign"]
        self.assertEqual(["KUnit foreign: x failed"], report.kunit_problems(console(kernel=lines).suites, []))

    def test_kernel_message_inside_a_job_line(self):
        """A kernel message in the middle of a job's line is taken out."""
        guest = GUEST.replace("ok monotonic\n", "ok mono" + stamped(["hrtimer: interrupt took 1 ns"]) + "tonic\n")
        self.assertEqual("monotonic", console(guest=guest).jobs["clock"].checks[0].name)

    def test_splats(self):
        """Each kind of complaint of the kernel is found, unless it is allowed."""
        for line in ("WARNING: CPU: 0 PID: 1 at kernel/x.c:1", "BUG: unable to handle page fault",
                     "Kernel panic - not syncing: x", "Call Trace:", "Oops: 0000 [#1]",
                     "general protection fault, maybe for address 0x0"):
            with self.subTest(line=line):
                self.assertEqual(1, len(console(kernel=[*KTAP, line]).splats([])))
        self.assertEqual([], console().splats([]))
        self.assertEqual([], console(kernel=["WARNING: known"]).splats(["WARNING: known"]))


class WrongTsc(unittest.TestCase):
    """Telling a TSC that was measured wrong from one that is a little off."""

    LINE = "[    0.032000] tsc: PIT calibration deviates from HPET: {} {}\n"

    def test_by_the_two_timers(self):
        """Twice as fast is wrong. A tenth may be a fault of the kernel."""
        for pit, hpet, wrong in ((108786, 2594233, True), (5194233, 2594233, True), (2854233, 2594233, False)):
            with self.subTest(pit=pit):
                self.assertEqual(wrong, report.wrong_tsc(self.LINE.format(pit, hpet)))
                self.assertEqual(wrong, bool(report.emulator_fault(self.LINE.format(pit, hpet))))
        self.assertFalse(report.wrong_tsc("clocksource: Marking clocksource 'tsc' as unstable\n"))

    def test_by_the_only_timer(self):
        """Without a second timer the kernel gives up."""
        self.assertTrue(report.wrong_tsc("[    0.000000] tsc: Unable to calibrate against PIT\n"
                                         "[    0.000000] tsc: No reference (HPET/PMTIMER) available\n"))


class Breakpoint(unittest.TestCase):
    """Telling a stale breakpoint of the emulator from a real one."""

    OOPS = ("[    3.423776] Oops: int3: 0000 [#1] SMP NOPTI\n[    3.429491] RIP: 0010:vmi_set_next_event+0x2f/0x40\n"
            "[    3.429233] Code: 48 8d 3c 18 5b {} <ad> cf f8 4c\n[    3.42] RIP: 0010:other+0x1/0x2\n"
            "[    3.431110] Code: 90 e9 <c3> cc cc\n")

    def test_gone_or_there(self):
        """A breakpoint trap where no breakpoint is, is the emulator's flaw."""
        for byte, where in (("e9", "vmi_set_next_event+0x2f/0x40"), ("66", "vmi_set_next_event+0x2f/0x40"), ("cc", "")):
            self.assertEqual(where, report.stale_breakpoint(self.OOPS.format(byte)))

    def test_two_at_once(self):
        """Two CPUs that die at once are understood in either order."""
        one, two = "[ 1.0] Oops: int3: 0000 [#1] SMP\n", "[ 1.0] RIP: 0010:f+0x2/0x4 [kvm]\n"
        code = "[ 1.0] Code: 00 0f <1f> 44\n"
        for text in (one + one + code + two + code + two, one + code + one + two + two):
            self.assertEqual("f+0x2/0x4", report.stale_breakpoint(text))

    def test_other_trouble(self):
        """Another oops is not taken for the emulator's flaw."""
        for text in ("", "Oops: int3: 0000 [#1]\nRIP: 0010:f+0x2/0x4\nCode: Unable to access opcode bytes\n",
                     self.OOPS.format("e9").replace("int3", "general protection fault")):
            self.assertEqual("", report.stale_breakpoint(text))


class Data(unittest.TestCase):
    """Worlds and suites of this tree."""

    def test_every_world_loads(self):
        """Each world loads and has a time limit and a description."""
        names = world.names()
        for needed in ("bare", "tcg", "uefi", "kvm-npt", "kvm-shadow", "xen-dom0", "xen-domU"):
            self.assertIn(needed, names)
        loaded = [world.load(name) for name in names]
        self.assertTrue(any(one.cpus >= 4 for one in loaded if "default" in one.sets))
        for one in loaded:
            self.assertTrue(one.timeout > 0 and one.about, one.name)

    def test_suites_that_must_run(self):
        """Each suite of suites.txt is in a source."""
        wanted = report.wanted_suites()
        self.assertTrue(wanted)
        sources = "".join(path.read_text() for path in (common.ROOT / "kunit").glob("*.c"))
        for name in wanted:
            self.assertIn(f'"{name}"', sources)


class Packages(unittest.TestCase):
    """Missing packages, with root and without."""

    def test_without_root_it_is_one_line(self):
        """Without root the missing packages are one line with the command to type."""
        with mock.patch.object(packages.os, "geteuid", return_value=1000), \
                mock.patch.object(packages, "missing", return_value=["flex", "bison"]), \
                self.assertRaisesRegex(common.Failure, "flex bison; as root: apt-get install flex bison") as caught:
            packages.install(["flex", "bison"])
        self.assertNotIn("\n", str(caught.exception))

    def test_nothing_missing_runs_nothing(self):
        """If no package is missing, nothing is run."""
        with mock.patch.object(packages, "missing", return_value=[]), \
                mock.patch.object(packages.common, "run_logged") as run:
            packages.install(["flex"])
        run.assert_not_called()

    def test_what_dpkg_does_not_know_is_missing(self):
        """A package that dpkg does not know is missing."""
        self.assertEqual(["no-such-package-pvops"], packages.missing(["dpkg", "no-such-package-pvops"]))

    def test_no_space(self):
        """Too little disk space is one line."""
        with tempfile.TemporaryDirectory() as scratch, self.assertRaisesRegex(
                common.Failure, r"MiB free, unpacking needs 1000000000 MiB; free some disk space"):
            common.need_space(pathlib.Path(scratch), 1_000_000_000, "unpacking")


class JUnit(unittest.TestCase):
    """Results for CI systems."""

    def test_document(self):
        """Cases are counted by suite; a failure wins over a skip; what XML has no form for is replaced."""
        text = junit.document([junit.Case("a", "one", seconds=1.25), junit.Case("a", "t\x00wo", "broken: \x1b[1m<&>\nmore"),
                               junit.Case("b", "three", skipped="why"), junit.Case("b", "four", "bad", "why")])
        top = xml.fromstring(text.encode())
        self.assertEqual([("a", "2", "1", "0", "1.2"), ("b", "2", "1", "1", "0.0")],
                         [tuple(suite.get(key) for key in ("name", "tests", "failures", "skipped", "time")) for suite in top])
        self.assertEqual(["one", "t?wo", "three", "four"], [case.get("name") for case in top.iter("testcase")])
        failure = next(top.iter("failure"))
        self.assertEqual(("broken: ?[1m<&>", "broken: ?[1m<&>\nmore"), (failure.get("message"), failure.text))
        self.assertEqual(["why"], [skip.get("message") for skip in top.iter("skipped")])

    def test_world_and_its_cases(self):
        """A world is a case, and so is each KUnit case that ran in it."""
        suite = report.Suite("s", False, ["p"], ["f"], ["k"])
        result = mock.Mock(world=mock.Mock(), problems=["no backend"], seconds=2.0, suites={"s": suite})
        result.world.name = "bare"
        self.assertEqual([("worlds", "bare", "no backend", ""), ("bare.s", "p", "", ""), ("bare.s", "f", "failed", ""),
                          ("bare.s", "k", "", "skipped")],
                         [(case.suite, case.name, case.failure, case.skipped) for case in boot._cases(result)])

    def test_jobs(self):
        """Each check of a job is a case; one that is expected not to pass is a skip with the reason."""
        verdict = jobs.Verdict("clock", ["a"], [("b", "skip", "no TSC")], 0, ["c: went back"])
        self.assertEqual([("worlds", "bare", "", ""), ("bare.clock", "a", "", ""), ("bare.clock", "b", "", "skip: no TSC"),
                          ("bare.clock", "c", "c: went back", "")],
                         [(case.suite, case.name, case.failure, case.skipped)
                          for case in jobs._cases("bare", [verdict], [])])


if __name__ == "__main__":
    unittest.main()
