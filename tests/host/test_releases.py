# SPDX-License-Identifier: GPL-2.0
"""Trying the series on other releases: the files come out of the package, a misfit is named."""

import contextlib
import io
import pathlib
import subprocess
import sys
import tempfile
import unittest
from unittest import mock

from tools.pvops import common, hooks, releases

MADISON = """linux-source-6.12 | 6.12.3-1 | http://x.example bookworm/main amd64 Packages
linux-source-6.12 | 6.12.1-1 | http://x.example bookworm/main amd64 Packages
linux-source-6.12 | 6.12.1-1 | http://y.example bookworm/main amd64 Packages
"""


class Releases(unittest.TestCase):
    """A package with a small tarball, made here."""

    def setUp(self):
        scratch = tempfile.TemporaryDirectory(prefix="pvops-releases.")
        self.addCleanup(scratch.cleanup)
        self.scratch = pathlib.Path(scratch.name)
        build = mock.patch.object(common, "BUILD", self.scratch)
        build.start()
        self.addCleanup(build.stop)

    def package(self, **files):
        top = self.scratch / "package"
        tree = self.scratch / releases.TREE
        for name, text in files.items():
            path = tree / name.replace("__", "/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        (top / "usr/src").mkdir(parents=True)
        (top / "DEBIAN").mkdir()
        (top / "DEBIAN/control").write_text("Package: x\nVersion: 1\nArchitecture: all\nMaintainer: T <t@example.org>\n"
                                            "Description: test\n")
        subprocess.run(["tar", "-C", self.scratch, "-cJf", top / "usr/src" / releases.TARBALL, releases.TREE], check=True)
        deb = self.scratch / "x.deb"
        subprocess.run(["dpkg-deb", "-b", top, deb], check=True, capture_output=True)
        return deb

    def test_files_of_a_package(self):
        """Wanted files have their content, absent ones have none, others are not read."""
        deb = self.package(Makefile="VERSION = 6\n", mm__x="x\n", mm__y="y\n")
        self.assertEqual({"Makefile": b"VERSION = 6\n", "mm/x": b"x\n", "mm/z": None},
                         releases.files_of(deb, {"Makefile", "mm/x", "mm/z"}))

    def test_not_a_kernel(self):
        """A package without a kernel's Makefile is named."""
        with self.assertRaisesRegex(common.Failure, "there is no linux-source-6.12/Makefile"):
            releases.files_of(self.package(mm__x="x\n"), {"Makefile"})

    def test_versions(self):
        """Each version is tried once, the oldest first; none at all is an error."""
        with mock.patch.object(subprocess, "run", return_value=mock.Mock(stdout=MADISON)):
            self.assertEqual(["6.12.1-1", "6.12.3-1"], releases.versions())
        with mock.patch.object(subprocess, "run", return_value=mock.Mock(stdout="")):
            self.assertRaisesRegex(common.Failure, "apt knows no package", releases.versions)

    def test_what_cannot_be_read_is_one_line(self):
        """A broken package and one that cannot be fetched fail in one line each, and the others are tried."""
        broken = self.scratch / "broken.deb"
        broken.write_bytes(b"!<arch>\nno package")

        def fetched(version):
            if version == "2":
                raise common.Failure("apt fetched no linux-source-6.12 2")
            return broken if version == "1" else self.package(Makefile="VERSION = 6\n")
        output = io.StringIO()
        with mock.patch.object(hooks, "read_series", return_value=[]), mock.patch.object(releases, "fetched", side_effect=fetched), \
                contextlib.redirect_stdout(output), mock.patch.object(sys, "argv", ["releases", "1", "2", "3"]):
            self.assertEqual(1, releases.main())
        self.assertRegex(output.getvalue(), r"(?m)^1: cannot be tried: unpacking .* is damaged: remove it and try again\n(?:pvops: .*\n)?"
                         r"2: cannot be tried: apt fetched no .*\n")
        self.assertIn("\n3: ok: 0 patches apply\n1 passed, 2 failed, 0 skipped\n", output.getvalue())

    def test_misfit_is_named(self):
        """A release to which a patch does not apply fails and is named, and the others are tried."""
        patch = hooks.Patch("1.patch", "From: a <a@b>\nSubject: x\n\nx\n---\n--- a/mm/x\n+++ b/mm/x\n@@ -1 +1 @@\n-x\n+y\n")
        deb = {"1": {"Makefile": b"", "mm/x": b"z\n"}, "2": {"Makefile": b"", "mm/x": b"x\n"}}
        with mock.patch.object(hooks, "read_series", return_value=[patch]), \
                mock.patch.object(releases, "fetched", side_effect=lambda version: version), \
                mock.patch.object(releases, "files_of", side_effect=lambda version, _: deb[version]):
            output = io.StringIO()
            with contextlib.redirect_stdout(output), mock.patch.object(sys, "argv", ["releases", "1", "2"]):
                status = releases.main()
        said = output.getvalue()
        self.assertEqual(1, status)
        self.assertRegex(said, r"(?m)^1: 1\.patch does not apply to mm/x")
        self.assertIn("\n2: ok: 1 patches apply\n1 passed, 1 failed, 0 skipped\n", said)


if __name__ == "__main__":
    unittest.main()
