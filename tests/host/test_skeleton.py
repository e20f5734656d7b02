# SPDX-License-Identifier: GPL-2.0
"""The files that `make new-world`, `new-test` and `new-backend` write."""

import pathlib
import shutil
import subprocess
import tempfile
import unittest
from unittest import mock

from tests.host import trees
from tools.pvops import common, csource, floors, lint, skeleton, testindex
from tools.pvops.worlds import description

PARTS = ("Kbuild", "Kconfig", "Makefile", "Documentation/kernel-developers.rst",
         "arch-x86-paravirt", "native-backend", "include", "kunit", "tools", "worlds")


class Copy(unittest.TestCase):
    """A copy of the files that the commands read and write."""

    def setUp(self):
        scratch = tempfile.TemporaryDirectory(prefix="pvops-test.")
        self.addCleanup(scratch.cleanup)
        self.root = pathlib.Path(scratch.name)
        for part in PARTS:
            (self.root / part).parent.mkdir(parents=True, exist_ok=True)
            if (common.ROOT / part).is_dir():
                shutil.copytree(common.ROOT / part, self.root / part,
                                ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copyfile(common.ROOT / part, self.root / part)

    def make(self, *arguments):
        """The command, as make calls it; what it printed, or the one line of an error."""
        return subprocess.run(["make", "-s", *arguments], cwd=self.root, capture_output=True,
                              text=True, check=False)

    def wrote(self, *arguments):
        """The files that a command says it wrote."""
        done = self.make(*arguments)
        self.assertEqual(("", 0), (done.stderr, done.returncode))
        self.assertIn("pvops: next: ", done.stdout.splitlines()[-1])
        return [line.removeprefix("pvops: wrote ") for line in done.stdout.splitlines()[:-1]]

    def text(self, name):
        """A file of the copy."""
        return (self.root / name).read_text(encoding="utf-8")

    def load(self, name):
        """A world of the copy."""
        with mock.patch.object(description, "WORLDS", self.root / "worlds"):
            return description.load(name)

    def suite(self, name):
        """A suite of the copy."""
        return next(group for group in testindex.kunit(self.root) if group.title == name)


class Written(Copy):
    """The files are consistent with the tree."""

    def test_world(self):
        """A new world is like the one it was made from, and in no set that is booted by default."""
        self.assertEqual(["worlds/moon.toml"], self.wrote("new-world", "NAME=moon", "LIKE=kvm-npt"))
        one, like = self.load("moon"), self.load("kvm-npt")
        self.assertEqual((like.kind, like.expect, like.host, ["extra"]),
                         (one.kind, one.expect, one.host, one.sets))
        self.assertIn("kvm-npt", one.about)

    def test_suite(self):
        """A new suite is built, must run, and its case and file have descriptions."""
        self.assertEqual(["kunit/moon_test.c", "kunit/Kbuild", "kunit/suites.txt"],
                         self.wrote("new-test", "NAME=moon"))
        self.assertIn("\nobj-y += moon_test.o\n", self.text("kunit/Kbuild"))
        self.assertEqual("pvops_moon", self.text("kunit/suites.txt").split()[-1])
        suite = self.suite("pvops_moon")
        self.assertEqual(["moon_is_true"], [test.name for test in suite.tests])
        self.assertEqual([], testindex.undescribed([suite], True))
        source = csource.read(["kunit/moon_test.c"], self.root)["kunit/moon_test.c"]
        self.assertEqual({"moon_cases", "moon_suite"}, source.static_variables)

    def test_backend(self):
        """A new backend is built, registered, part of a kernel tree, and has a world."""
        wrote = self.wrote("new-backend", "NAME=moon", "SIGNATURE=MoonMoon")
        self.assertIn("moon-backend/backend.c", wrote)
        for name, line in (("Kbuild", "obj-$(CONFIG_PVOPS_MOON) += moon-backend/"),
                           ("Kconfig", "config PVOPS_MOON"),
                           ("include/pvops/backend.h",
                            "extern const struct pvops_backend pvops_backend_moon;"),
                           ("arch-x86-paravirt/registry.c",
                            "#ifdef CONFIG_PVOPS_MOON\n\t&pvops_backend_moon,\n#endif"),
                           ("kunit/Kbuild", "obj-$(CONFIG_PVOPS_MOON) += moon_test.o"),
                           ("kunit/suites.txt", "pvops_moon"),
                           ("worlds/kernel/pvops.config", "CONFIG_PVOPS_MOON=y")):
            with self.subTest(name):
                self.assertEqual(1, self.text(name).count(f"\n{line}\n"))
        everything = "".join(map(self.text, wrote))
        before = "".join(self.text(name) for name in wrote if (common.ROOT / name).exists())
        self.assertNotIn("ExampleHyper", everything.replace(before, ""))
        self.assertEqual([], lint.unprefixed("moon-backend", "moon_", self.root))
        uses = floors.of_sources(["arch-x86-paravirt", "native-backend", "moon-backend"], self.root)
        self.assertEqual({"pvops_backend_moon"},
                         uses["arch-x86-paravirt/registry.c"]["moon-backend/backend.c"])
        self.assertEqual([], floors.kbuild_problems("moon-backend", uses, self.root))
        self.assertEqual([], testindex.undescribed([self.suite("pvops_moon")], False)[2:])
        one = self.load("moon")
        self.assertEqual(("kvm", "moon"), (one.kind, one.expect.backend))
        self.assertIn("MoonMoon", one.expect.report["signature"])
        done = subprocess.run(["python3", "-c", "from tools.pvops import floors, hooks\n"
                               "print(floors.KERNEL_DIRECTORIES['moon-backend'],\n"
                               "      hooks.TARGET + '/moon-backend/backend.c' in hooks.payload())"],
                              cwd=self.root, capture_output=True, text=True, check=False)
        self.assertEqual("moon_ True\n", done.stdout, done.stderr)

    def test_refused(self):
        """A bad name, a file that is there and an unknown world are one line, and write nothing."""
        before = trees.snapshot(self.root)
        for arguments, said in ((("new-world",), "'' is no name for a world"),
                                (("new-world", "NAME=a/b"), "'a/b' is no name for a world"),
                                (("new-world", "NAME=bare"), "worlds/bare.toml: is there already"),
                                (("new-world", "NAME=x", "LIKE=y"), "no world y; there are: bare "),
                                (("new-test", "NAME=A"), "'A' is no name for a suite"),
                                (("new-test", "NAME=choose"), "the suite pvops_choose is there already"),
                                (("new-backend", "NAME=a-b"), "'a-b' is no name for a backend"),
                                (("new-backend", "NAME=native"), "native-backend/Kbuild: is there already"),
                                (("new-backend", "NAME=debugfs"), "Kconfig has an option PVOPS_DEBUGFS"),
                                (("new-backend", "NAME=kvm"), "kvm is the name of guest code of Linux"),
                                (("new-backend", "NAME=moon", "SIGNATURE=MoonMoonMoonMoon"),
                                 "'MoonMoonMoonMoon' is no name for a hypervisor in CPUID")):
            with self.subTest(arguments=arguments):
                done = self.make(*arguments)
                ours = [line for line in done.stderr.splitlines() if line.startswith("pvops: ")]
                self.assertEqual(("", 1), (done.stdout, len(ours)), done.stderr)
                self.assertIn(said, ours[0])
                self.assertNotEqual(0, done.returncode)
        self.assertEqual(before, trees.snapshot(self.root))


class Page(unittest.TestCase):
    """The example in Documentation/kernel-developers.rst."""

    def test_every_part_is_on_the_page(self):
        """Each file that a backend needs has its block of code on the page."""
        self.assertLessEqual({"example-backend/Kbuild", "example-backend/backend.c", "Kbuild",
                              "Kconfig", "include/pvops/backend.h", "kunit/example_test.c",
                              "arch-x86-paravirt/registry.c", "worlds/kernel/pvops.config",
                              "kunit/Kbuild", "kunit/suites.txt", "worlds/example.toml"},
                             set(skeleton.example()))

    def test_its_own_name_changes_nothing(self):
        """Under its own name the example is what is on the page."""
        for name, block in skeleton.example().items():
            if name != "worlds/example.toml":
                self.assertEqual(block, skeleton.renamed(block, "example", "ExampleHyper"))

    def test_another_name_moves_continuation_lines(self):
        """What is aligned to a parenthesis stays so under a longer or shorter name."""
        for name in ("moon", "averylongname"):
            want = f"static int {name}_f(int a,\n"
            indent = want.index("(") + 1
            want += "\t" * (indent // 8) + " " * (indent % 8) + "int b)\n{\n\tg(a,\n\t  b);\n}\n"
            block = "static int example_f(int a,\n\t\t     int b)\n{\n\tg(a,\n\t  b);\n}\n"
            self.assertEqual(want, skeleton.renamed(block, name, "x"))


if __name__ == "__main__":
    unittest.main()
