# SPDX-License-Identifier: GPL-2.0
"""How guest jobs are judged, and when more instructions count as worse."""

import pathlib
import tempfile
import unittest

from tools.pvops import common, cost, jobfiles, jobs, report

LIST = """
[[machine]]
job = "selftests"
cpu_without = ["smap"]
reason = "because"

[[machine]]
job = "poke"
one_thread = true
reason = "because"

[[expect]]
job = "selftests"
checks = ["a_32", "b_64"]
worlds = ["kvm-*"]
state = "fail"
reason = \"\"\"
it lacks
something
\"\"\"

[[expect]]
job = "selftests"
checks = ["c_64"]
worlds = ["*"]
state = "crash"
reason = "it dies"
"""


class WithList(unittest.TestCase):
    """A list of expectations in a file."""

    def setUp(self) -> None:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.path = pathlib.Path(directory.name) / "expected.toml"

    def load(self, text: str = LIST) -> list[jobs.Expectation]:
        """Read it as the tool does."""
        self.path.write_text(text, encoding="utf-8")
        return jobs.load_expected(self.path)


class TestList(WithList):
    """Reading tests/guest/expected.toml."""

    def test_entries(self) -> None:
        """Each check of an entry becomes an expectation with its worlds and its state."""
        entries = self.load()
        self.assertEqual([e.check for e in entries], ["a_32", "b_64", "c_64"])
        self.assertEqual(entries[0].reason, "it lacks something")
        self.assertTrue(entries[0].applies("kvm-shadow", "selftests"))
        self.assertFalse(entries[0].applies("bare", "selftests"))
        self.assertFalse(entries[0].applies("kvm-shadow", "clock"))
        self.assertEqual([e.crash for e in entries], [False, False, True])

    def test_machine(self) -> None:
        """What a job needs of the emulated CPU is for that job only."""
        self.load()
        self.assertEqual(jobs.cpu_without(["clock", "selftests"], self.path), ["smap"])
        self.assertEqual(jobs.cpu_without(["clock", "poke"], self.path), [])
        self.assertTrue(jobs.one_thread(["clock", "poke"], self.path))
        self.assertFalse(jobs.one_thread(["clock", "selftests"], self.path))

    def test_refused(self) -> None:
        """An entry without a reason, of an unknown state or with a wrong key is refused."""
        for bad in (LIST.replace('"because"', '" "'), LIST.replace('"fail"', '"maybe"'),
                    LIST.replace("one_thread = true\n", ""),
                    LIST.replace("one_thread = true\n", 'one_thread = true\ncpu_without = []\n'),
                    LIST.replace('job = "selftests"\nchecks', "checks"), "[[other]]\n",
                    "[[expect"):
            with self.subTest(bad[-40:]), self.assertRaises(common.Failure):
                self.load(bad)
                jobs.cpu_without([], self.path)

    def test_the_real_list(self) -> None:
        """tests/guest/expected.toml loads, and names jobs that exist."""
        entries = jobs.load_expected()
        self.assertTrue(entries)
        there = {path.name for place in (jobfiles.GUEST, jobfiles.GENERIC)
                 for path in (place / "jobs").iterdir()}
        self.assertLessEqual({*jobs.JOBS, *(e.job for e in entries)}, there)


class TestPrograms(unittest.TestCase):
    """The list of the kernel's selftests that are not x86's own."""

    def load(self, text: str) -> tuple[dict[str, set[str]], dict[str, set[str]]]:
        """Read a list of this text."""
        with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
            file.write(text)
            file.flush()
            return jobfiles.generic_programs(pathlib.Path(file.name))

    def test_names_and_commands(self) -> None:
        """The programs of a line are those that its command starts."""
        run, left = self.load("# no\nfew  mm 60 a_test\nmore mm 9 b-x exec ./b -t 5\n"
                              "few fs 5 m mkdir mnt; ./m1 ./mnt && ./m2\nout  mm c why not\n")
        self.assertEqual(run, {"mm": {"a_test", "b"}, "fs": {"m1", "m2"}})
        self.assertEqual(left, {"mm": {"c"}})

    def test_refused(self) -> None:
        """A line of another form and a program that is listed twice are refused."""
        for bad in ("few mm a\n", "some mm 60 a\n", "out mm a\n", "few mm 60 a,b\n",
                    "few mm 60 a\nmore mm 5 a\n"):
            with self.subTest(bad), self.assertRaises(common.Failure):
                self.load(bad)

    def test_the_real_list(self) -> None:
        """programs.txt loads, and no program is both run and left out."""
        run, left = jobfiles.generic_programs()
        self.assertEqual({target.split("/")[0] for target in run}, set(jobfiles.TARGETS))
        self.assertIn("mremap_test", run["mm"])
        for target, names in left.items():
            self.assertFalse(names & run[target])


class TestJudge(WithList):
    """Judging a job's checks by the list."""

    def judge(self, world: str, *checks: tuple[str, str], rc: int | None = 0) -> jobs.Verdict:
        """Judge a job of the given (state, name) checks."""
        return jobs.judge(world, "selftests", rc,
                          [report.Check(state, name) for state, name in checks], self.load())

    def test_all_as_expected(self) -> None:
        """Listed failures and skips are expected, and do not fail the job."""
        verdict = self.judge("kvm-npt", ("not ok", "a_32"), ("not ok", "b_64"),
                             ("skip", "c_64"), ("ok", "d_64"), rc=1)
        self.assertEqual(verdict.failures, [])
        self.assertEqual(verdict.notes, [])
        self.assertEqual(verdict.passed, ["d_64"])
        self.assertEqual(len(verdict.expected), 3)

    def test_unlisted_failure_and_skip(self) -> None:
        """A failure and a skip that are not listed for this world each fail the job."""
        verdict = self.judge("bare", ("not ok", "a_32"), ("skip", "d_64"), ("ok", "e"))
        self.assertEqual(len(verdict.failures), 2)

    def test_a_skip_is_not_the_listed_failure(self) -> None:
        """A skip of a check that is listed as failing fails the job."""
        verdict = self.judge("kvm-npt", ("skip", "a_32"))
        self.assertEqual(verdict.failures, ["skip a_32"])

    def test_listed_and_passed_is_a_note(self) -> None:
        """A listed check that passes is noted, and does not fail the job."""
        verdict = self.judge("kvm-npt", ("ok", "a_32"), ("not ok", "b_64"), ("skip", "c_64"))
        self.assertEqual(verdict.failures, [])
        self.assertEqual(len(verdict.notes), 1)

    def test_no_end_no_check_bad_end(self) -> None:
        """No end, no check, and a bad exit status without a failed check fail the job."""
        self.assertTrue(self.judge("bare", ("ok", "d"), rc=None).failures)
        self.assertTrue(self.judge("bare").failures)
        self.assertTrue(self.judge("bare", ("ok", "d"), rc=1).failures)
        self.assertTrue(self.judge("bare", ("ok", "d"), rc=139).failures)


def figures(a: list[int], b: list[int]) -> dict[str, cost.Comparison]:
    """One set of boots."""
    return {"fixed": cost.Comparison(cost.Figure(a, min(a), 0), cost.Figure(b, min(b), 0))}


class TestCost(unittest.TestCase):
    """What a boot printed, and when it counts as worse."""

    def test_bound(self) -> None:
        """More instructions than the bound are worse, fewer are not."""
        self.assertFalse(cost.is_worse(figures([1000] * 3, [1005] * 3), 0.5))
        self.assertTrue(cost.is_worse(figures([1000] * 3, [1006] * 3), 0.5))
        self.assertFalse(cost.is_worse(figures([1000] * 3, [900] * 3), 0.5))

    def test_spread_is_not_held_against(self) -> None:
        """A difference within the spread of the boots is not worse."""
        self.assertFalse(cost.is_worse(figures([1000, 990, 1010], [1010] * 3), 0.5))
        self.assertTrue(cost.is_worse(figures([1000, 999, 1001], [1010] * 3), 0.5))

    def test_a_random_layout_is_not_judged(self) -> None:
        """Boots with a random layout of the kernel are not judged."""
        sets = figures([1000] * 3, [1000] * 3)
        sets[cost.RANDOM] = figures([1000] * 3, [1030] * 3)["fixed"]
        self.assertFalse(cost.is_worse(sets, 0.5))

    def test_staggered_is_judged_by_its_mean(self) -> None:
        """Boots with staggered layouts are judged by their mean."""
        a, b = [1000, 1004, 1008, 1004], [1004, 1000, 1008, 1008]
        pair = cost.Staggered(cost.Figure(a, 0, 0), cost.Figure(b, 0, 0))
        self.assertAlmostEqual(pair.difference, 100 * 1 / 1004)
        self.assertGreater(pair.spread, 0.3)
        self.assertFalse(cost.is_worse({"staggered": pair}, 0.5))
        pair.b = cost.Figure([n + 20 for n in b], 0, 0)
        self.assertTrue(cost.is_worse({"staggered": pair}, 0.5))

    def test_nothing_missing(self) -> None:
        """A console in which the line of one operation is missing is refused."""
        log = pathlib.Path("log")
        wanted = ["nothing", *cost.ABOUT, cost.BOOT, cost.BEFORE]
        lines = [f"cost {name} min=90 median=100 max=110 all=120 batches=9 of=5"
                 for name in cost.ABOUT]
        lines += ["cost nothing min=2 median=2 max=2 all=2 batches=9 of=5",
                  "boot reset-ticks=5000000 clock-us=3000 mark-ticks=1000"]
        found = cost.parse(lines, log, wanted)
        self.assertEqual(found[cost.BOOT][0], 5000000)
        self.assertEqual(found[cost.BEFORE][0], 2001000)
        self.assertEqual(found["getppid"], (100, 90, 20.0))
        for index in range(len(lines)):
            with self.subTest(lines[index]), self.assertRaises(common.Failure):
                cost.parse(lines[:index] + lines[index + 1:], log, wanted)


if __name__ == "__main__":
    unittest.main()
