# SPDX-License-Identifier: GPL-2.0
"""The list of all tests; each test has a description."""

import pathlib
import subprocess
import tempfile
import unittest

from tools.pvops import common, testindex

SUITE = """// SPDX-License-Identifier: GPL-2.0
/*
 * The queue: what is issued, and when. It stands on a stub.
 */
#include <kunit/test.h>

#define Q_CASE(case)	PVOPS_KUNIT_CASE(q_test_, case)

/* The first. Otherwise all is lost. */
static void first(struct kunit *test)
{
}

/*
 * The second, which
 * has parameters.
 */
static void __init second(struct kunit *test)
{
}

static void third(struct kunit *test)
{
}

static struct kunit_case __refdata some_cases[] = {
	KUNIT_CASE(first),
	KUNIT_CASE_PARAM(second, gen),
	KUNIT_CASE(third),
	Q_CASE(fourth),
	{}
};

static struct kunit_suite some_suite = {
	.name = "some",
	.test_cases = some_cases,
};
"""


class Reading(unittest.TestCase):
    """Reading descriptions from the tests."""

    def test_first_sentence(self):
        """The first sentence ends at a period, and loses the name of the source."""
        for text, want in (("One. two.", "One"), ("One\n  line (a/b.c).\n", "One line"),
                           ("x NAME... TIMES: real", "x NAME... TIMES: real"), ("", ""),
                           ("With e.g. this in it. And", "With e.g. this in it"),
                           ("In (a/b.c) it is.", "In (a/b.c) it is")):
            with self.subTest(text=text):
                self.assertEqual(want, testindex.sentence(text))

    def test_kunit(self):
        """Suites, cases and their comments are found, also through a macro and in other files."""
        with tempfile.TemporaryDirectory() as scratch:
            root = pathlib.Path(scratch)
            (root / "kunit").mkdir()
            (root / "kunit/some_test.c").write_text(SUITE)
            (root / "kunit/other_test.c").write_text(
                "/* Elsewhere. */\nvoid q_test_fourth(struct kunit *test)\n{\n}\n")
            group, = testindex.kunit(root)
        self.assertEqual(("some", "The queue: what is issued, and when"),
                         (group.title, group.about))
        self.assertEqual([("first", "The first"), ("second", "The second, which has parameters"),
                          ("third", ""), ("fourth", "Elsewhere")],
                         [(test.name, test.about) for test in group.tests])
        self.assertEqual(["some: third: no description"], testindex.undescribed([group], True))

    def test_page_parses(self):
        """The page is reStructuredText without a warning, and has every stage."""
        with tempfile.NamedTemporaryFile("w", suffix=".rst") as file:
            file.write(testindex.page())
            file.flush()
            done = subprocess.run(["/usr/bin/rst2html", "--report=1", "--halt=5", file.name,
                                   "/dev/null"], capture_output=True, text=True, check=False)
        self.assertEqual("", done.stderr)
        self.assertIn("\n``kunit-parse``\n", testindex.page())

    def test_markup(self):
        """What looks like markup in a description is none."""
        self.assertEqual(r"a\_b ``c_d`` \*", testindex._plain("a_b `c_d` *"))


class Described(unittest.TestCase):
    """Each test has a description."""

    def none(self, groups, need_groups=False):
        """Each is described, and there are some."""
        self.assertTrue(groups and all(group.tests for group in groups))
        found = testindex.undescribed(groups, need_groups)
        if found:
            self.fail("\n" + "\n".join(found))

    def test_stages(self):
        """Each stage of tests/stages.toml has `about`."""
        self.none([testindex.stages()])

    def test_worlds(self):
        """Each world has `about`."""
        self.none([testindex.worlds()])

    def test_jobs(self):
        """Each guest job begins with a comment."""
        self.none(testindex.jobs())

    def test_python(self):
        """Each test of the tools and its class have a docstring."""
        self.none(testindex.python(), True)

    def test_kunit(self):
        """Each KUnit case has a comment above it, and its file one at its top."""
        groups = testindex.kunit()
        self.none(groups, True)
        suites = (common.ROOT / "kunit/suites.txt").read_text(encoding="utf-8").splitlines()
        self.assertEqual({name for name in suites if name and not name.startswith("#")},
                         {group.title for group in groups})


if __name__ == "__main__":
    unittest.main()
