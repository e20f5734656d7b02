# SPDX-License-Identifier: GPL-2.0
"""Reading kunit.py's JSON."""

import unittest

from tools.pvops import kunit


class Counts(unittest.TestCase):
    """Counts of nested groups."""

    def test_nested(self):
        """Results are counted in nested groups; a case with parameters is one."""
        group = {"name": "top", "test_cases": [], "sub_groups": [
            {"name": "a", "test_cases": [{"name": "one", "status": "PASS"}, {"name": "two", "status": "FAIL"}],
             "sub_groups": [{"name": "p", "test_cases": [{"name": "x", "status": "ERROR"}], "sub_groups": []}]},
            {"name": "b", "test_cases": [{"name": "one", "status": "SKIP"}], "sub_groups": []}]}
        self.assertEqual({"PASS": ["a.one"], "FAIL": ["a.two"], "ERROR": ["a.p"], "SKIP": ["b.one"]},
                         kunit.counts(group))
        self.assertEqual({}, kunit.counts({"name": "empty"}))


if __name__ == "__main__":
    unittest.main()
