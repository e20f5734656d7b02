# SPDX-License-Identifier: GPL-2.0
"""The test runner: a failure never becomes a pass."""

import json
import os
import pathlib
import re
import tempfile
import time
import unittest
import xml.etree.ElementTree as xml
from unittest import mock

from tests.host import trees
from tools.pvops import common, suite

HEAD = "[suite.test]\nlimit = 60\n"


class Count(unittest.TestCase):
    """Counting checks in a stage's output."""

    def test_counts(self):
        """Checks are counted from each form of output, and a bad status is never a pass."""
        good = "noise\n12 passed, 0 failed, 3 skipped\n"
        for text, status, want in (
                ("", 0, (1, 0, 0)), ("", 1, (0, 1, 0)), ("anything\n", 124, (0, 1, 0)),
                (good, 0, (12, 0, 3)), (good, 1, (12, 1, 3)),
                ("1 passed, 0 failed, 0 skipped\nlint: 5 passed, 2 failed, 0 skipped\n", 0, (5, 2, 0)),
                ("0 passed, 0 failed, 0 skipped\n", 0, (0, 1, 0)),
                ("Ran 5 tests in 0.1s\n\nOK\n", 0, (5, 0, 0)),
                ("Ran 1 test in 0.1s\n\nOK (skipped=1)\n", 0, (0, 0, 1)),
                ("Ran 9 tests in 0.1s\n\nFAILED (failures=1, errors=2, skipped=1)\n", 1, (5, 3, 1)),
                ("Ran 2 tests in 0.1s\n\nFAILED (unexpected successes=1)\n", 1, (1, 1, 0)),
                ("Ran 0 tests in 0.0s\n\nOK\n", 0, (0, 1, 0)),
                ("Ran 0 tests in 0.0s\n\nNO TESTS RAN\n", 5, (0, 1, 0))):
            with self.subTest(text=text, status=status):
                self.assertEqual(want, suite.count(text, status))


class Reasons(unittest.TestCase):
    """The end of a run says what failed."""

    def test_reasons(self):
        """The lines that say what failed are shown, the newest last."""
        boot = ("pvops: tcg: ok after 3 s\npvops: bare: FAILED after 9 s\nworld verdict\n"
                "bare  FAILED\n\nbare: FAILED\n  no userland\n  kernel: BUG\n  host: dead\n  the last lines of x:\n    noise\n"
                "worlds: 1 passed, 1 failed, 0 skipped\n")
        unit = "FAIL: test_a (x.Y)\n-----\nFAILED (failures=1)\n"
        for text, want in (
                (boot, ["pvops: bare: FAILED after 9 s", "bare  FAILED", "bare: FAILED", "no userland",
                        "kernel: BUG", "host: dead"]),
                (unit, ["FAIL: test_a (x.Y)"]), ("a\nb\n\nc\nd\n", ["b", "c", "d"]), ("", []),
                ("".join(f"x{n}: FAILED\n" for n in range(15)), [f"x{n}: FAILED" for n in range(3, 15)])):
            with self.subTest(text=text):
                self.assertEqual(want, suite.reasons(text))


class Runs(unittest.TestCase):
    """Runs of small stages."""

    def setUp(self):
        scratch = tempfile.TemporaryDirectory(prefix="pvops-test.")
        self.addCleanup(scratch.cleanup)
        self.scratch = pathlib.Path(scratch.name)

    def run_suite(self, stages, *more):
        path = self.scratch / "stages.toml"
        path.write_text(stages if "[suite" in stages else HEAD + stages)
        report = self.scratch / "test.json"
        done = trees.run("suite", "test", "--stages", str(path), "--report", str(report), *more)
        return done, json.loads(report.read_text()) if report.exists() else None

    @staticmethod
    def stage(name, command, limit=20, more=""):
        return f"[[stage]]\nname = '{name}'\ncommand = '''{command}'''\nlimit = {limit}\nin = ['test']\n{more}\n"

    def test_good(self):
        """Stages that pass are added up in the last line and in the report."""
        done, report = self.run_suite(self.stage("host-a", "echo '3 passed, 0 failed, 1 skipped'")
                                      + self.stage("host-b", "true"))
        self.assertEqual(0, done.returncode, done.stderr)
        self.assertEqual("4 passed, 0 failed, 1 skipped", done.stdout.splitlines()[-1])
        self.assertEqual((4, 0, 1), (report["passed"], report["failed"], report["skipped"]))
        self.assertEqual(["host-a", "host-b"], [entry["name"] for entry in report["stages"]])

    def test_failure_needs_and_missing_program(self):
        """A failed stage, one that needs it and one without its program fail."""
        done, report = self.run_suite(
            self.stage("host-a", "sh -c 'echo broken here; exit 3'")
            + self.stage("host-b", "true", more="needs = ['host-a']")
            + self.stage("host-c", "/nonexistent/program") + self.stage("host-d", "true"))
        self.assertEqual(1, done.returncode)
        self.assertEqual("1 passed, 3 failed, 0 skipped", done.stdout.splitlines()[-1])
        self.assertIn("| broken here", done.stdout)
        self.assertIn("\nhost-a: broken here\ntook ", done.stdout)
        self.assertEqual(["exit status 3", "not run: host-a failed", "not run: /nonexistent/program: no such program", ""],
                         [entry["why"] for entry in report["stages"]])

    def test_time_limit_ends_the_whole_group(self):
        """At its time limit a stage ends with all its children."""
        mark = self.scratch / "still-here"
        start = time.monotonic()
        done, report = self.run_suite(
            self.stage("host-a", f"sh -c '(sleep 6; touch {mark}) & echo started; wait'", limit=1))
        self.assertLess(time.monotonic() - start, 5.5)
        self.assertEqual(1, done.returncode)
        self.assertEqual("not finished within 0:01", report["stages"][0]["why"])
        time.sleep(6.5 - (time.monotonic() - start) if time.monotonic() - start < 6.5 else 0)
        self.assertFalse(mark.exists())

    def test_stage_is_told_when_it_ends(self):
        """A stage knows when it is ended, and a machine in it ends before."""
        done, _ = self.run_suite("[suite.test]\nlimit = 300\n" + self.stage(
            "host-a", "sh -c 'echo ends at $PVOPS_DEADLINE; exit 1'", limit=200))
        said = float(re.search(r"\| ends at ([\d.]+)", done.stdout).group(1))
        self.assertTrue(100 < said - time.time() < 200 - suite.LAST_WORDS)
        with mock.patch.dict(os.environ, {common.DEADLINE: str(said)}):
            self.assertLess(common.time_left(1350), 200)
            self.assertEqual(5, common.time_left(5))
        with mock.patch.dict(os.environ, {common.DEADLINE: "soon"}):
            self.assertEqual(1350, common.time_left(1350))

    def test_suite_limit(self):
        """A stage after the limit of all stages is not run and fails."""
        done, report = self.run_suite("[suite.test]\nlimit = 2\n" + self.stage("host-a", "sleep 30")
                                      + self.stage("host-b", "true"))
        self.assertEqual(1, done.returncode)
        self.assertEqual("not run: the suite's 0:02 were used up", report["stages"][1]["why"])

    def test_only(self):
        """--only runs some stages, and an unknown one is one line."""
        stages = self.stage("host-a", "false") + self.stage("host-b", "true")
        self.assertEqual(0, self.run_suite(stages, "--only", "host-b")[0].returncode)
        done = self.run_suite(stages, "--only", "host-x")[0]
        self.assertEqual((2, "pvops: test: test has no stage host-x; it has host-a, host-b\n"),
                         (done.returncode, done.stderr))

    def test_says_how_long_it_will_take(self):
        """The first line says how many stages there are and how long they take."""
        known = self.stage("host-a", "true", more="takes = 90") + self.stage("host-b", "true", more="takes = 30")
        first = self.run_suite(known)[0].stdout.splitlines()[0]
        self.assertEqual("2 stages, about 2 minutes on two CPUs", first)
        first = self.run_suite(known + self.stage("host-c", "true"))[0].stdout.splitlines()[0]
        self.assertEqual("3 stages, about 2 minutes on two CPUs and 1 of unknown duration, at most 1:00", first)
        first = self.run_suite(known + self.stage("host-c", "true", limit=1000))[0].stdout.splitlines()[0]
        self.assertTrue(first.endswith(", at most 1:00"), first)
        first = self.run_suite(known, "--only", "host-b")[0].stdout.splitlines()[0]
        self.assertEqual("1 stages, about 0 minutes on two CPUs", first)

    def test_junit(self):
        """The XML beside the report has a case for each stage, and says why one failed."""
        self.run_suite(self.stage("host-a", "sh -c 'printf \"not ok a <b> & \\001c\"; exit 3'") + self.stage("host-b", "true"))
        top = xml.parse(self.scratch / "test.xml").getroot()
        self.assertEqual([("host-a", "failure"), ("host-b", None)],
                         [(case.get("name"), next((child.tag for child in case), None)) for case in top.iter("testcase")])
        self.assertEqual({"tests": "2", "failures": "1", "skipped": "0"},
                         {key: top[0].get(key) for key in ("tests", "failures", "skipped")})
        failure = next(top.iter("failure"))
        self.assertEqual("exit status 3", failure.get("message"))
        self.assertIn("not ok a <b> &", failure.text)

    def test_bad_data(self):
        """A wrong entry of the stages is one line that names it."""
        for text, said in (("[[stage]]\nname = 'a'\n", "stage a: no command, no in, no limit"),
                           (self.stage("a", "true", more="typo = 1"), "stage a: unknown typo"),
                           (self.stage("a", "true", more="needs = ['b']"), "needs b, which is not an earlier"),
                           (self.stage("a", "true") * 2, "two stages are called a"),
                           ("[suite\n", "stages.toml: ")):
            with self.subTest(said=said):
                done, report = self.run_suite(text)
                self.assertEqual(2, done.returncode)
                self.assertIn(said, done.stderr)
                self.assertEqual(1, done.stderr.count("\n"))
                self.assertIsNone(report)

    def test_our_own_data_is_good(self):
        """tests/stages.toml loads, and make test stays within 80 minutes."""
        stages, limits = suite.load(suite.STAGES)
        self.assertEqual({"test", "test-all"}, set(limits))
        self.assertLessEqual(limits["test"], 4800)
        self.assertIn("host", [stage.name for stage in stages])


if __name__ == "__main__":
    unittest.main()
