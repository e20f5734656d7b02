# SPDX-License-Identifier: GPL-2.0
"""Our real series on the real 6.12 tree: in, again, out, by mail, in parts, and half of it."""

import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest

from tests.host import test_parts, trees
from tools.pvops import common, hooks, integrate, kernel, mailseries, parts


def make(*arguments):
    """Our make, as a user calls it."""
    return subprocess.run(["make", "-s", "--no-print-directory", *arguments], cwd=common.ROOT,
                          env=trees.make_environment(), capture_output=True, text=True, check=False)


class Tree(unittest.TestCase):
    """In a hard-linked copy, because integration replaces files and never writes into one."""

    @classmethod
    def setUpClass(cls):
        vanilla = kernel.vanilla_tree()
        cls.vanilla = vanilla
        scratch = tempfile.TemporaryDirectory(prefix="pvops-tree.", dir=common.BUILD)
        cls.addClassCleanup(scratch.cleanup)
        cls.scratch = pathlib.Path(scratch.name)
        cls.kdir = cls.scratch / "linux"
        subprocess.run(["cp", "-al", vanilla, cls.kdir], check=True)

    def same_as_vanilla(self):
        done = subprocess.run(["diff", "-rq", self.kdir, self.vanilla], capture_output=True, text=True, check=False)
        self.assertEqual((0, ""), (done.returncode, done.stdout))

    def parts(self, top):
        """A copy of just the files that hooks touch, and what says it is a 6.12 tree."""
        for name in ["Makefile", "arch/x86/Kconfig", *hooks.hooked_files(hooks.read_series())]:
            if (self.vanilla / name).exists():
                (top / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(self.vanilla / name, top / name)
        return top

    def test_in_again_and_out(self):
        """Integrated, integrated again and taken out, the tree is as before."""
        done = make("integrate", f"KDIR={self.kdir}")
        self.assertEqual((0, ""), (done.returncode, done.stderr))
        self.assertIn(": integrated into Linux 6.12.", done.stdout)
        for path, source in hooks.payload().items():
            self.assertEqual(source.read_bytes(), (self.kdir / path).read_bytes())
        for path in hooks.hooked_files(hooks.read_series()):
            made = (self.kdir / path).read_bytes()
            if (self.vanilla / path).exists():
                self.assertNotEqual((self.vanilla / path).read_bytes(), made)
        done = make("integrate", f"KDIR={self.kdir}")
        self.assertEqual(0, done.returncode)
        self.assertIn("already integrated", done.stdout)
        done = make("deintegrate", f"KDIR={self.kdir}")
        self.assertEqual((0, ""), (done.returncode, done.stderr))
        self.same_as_vanilla()

    def test_every_half_is_refused(self):
        """A tree with only some of the hooks is refused, for each number of them."""
        patches = hooks.read_series()
        for count in range(1, len(patches) + 1):
            top = self.parts(self.scratch / f"half{count}")
            for patch in patches[:count]:
                subprocess.run(["patch", "-s", "-p1", "-d", top], input=patch.text.encode(), check=True)
            before = trees.snapshot(top)
            done = make("integrate", f"KDIR={top}")
            self.assertNotEqual(0, done.returncode)
            self.assertRegex(done.stderr, rf"half-patched: it has {count} of {len(patches)} hooks")
            self.assertEqual(before, trees.snapshot(top))

    def test_each_hook_that_does_not_apply_is_named(self):
        """Each hook that does not apply is named with its file, and nothing is changed."""
        for number, patch in enumerate(hooks.read_series()):
            with self.subTest(patch=patch.name):
                top = self.parts(self.scratch / f"bad{number}")
                # A patch that only adds files does not apply where one of them is.
                victim = next((path for path in patch.files() if (top / path).exists()), patch.files()[0])
                (top / victim).parent.mkdir(parents=True, exist_ok=True)
                (top / victim).write_text("nothing a hook could hold on to\n")
                before = trees.snapshot(top)
                done = make("integrate", f"KDIR={top}")
                self.assertNotEqual(0, done.returncode)
                # An earlier hook may touch the same file and be the one that is named.
                self.assertIn("does not apply to", done.stderr)
                self.assertIn(victim, done.stderr)
                self.assertEqual(before, trees.snapshot(top))

    def test_git_am_gives_what_integrate_gives(self):
        """git am of the series gives the tree that integration gives."""
        mbox = self.scratch / "series.mbox"
        done = make("patch", f"OUT={mbox}")
        self.assertEqual((0, ""), (done.returncode, done.stderr))
        top = self.parts(self.scratch / "git")
        git = ["git", "-C", top, "-c", "user.name=T", "-c", "user.email=t@example.org"]
        for arguments in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "6.12"], ["am", "-q", mbox]):
            done = subprocess.run([*git, *arguments], capture_output=True, text=True, check=False)
            self.assertEqual(0, done.returncode, done.stdout + done.stderr)
        done = subprocess.run([*git, "log", "--format=%s"], capture_output=True, text=True, check=True)
        self.assertEqual(len(hooks.read_series()) + 2, len(done.stdout.splitlines()))
        other = self.parts(self.scratch / "other")
        integrate.integrate(other)
        want = trees.snapshot(other)
        want.pop(integrate.RECORD)
        self.assertEqual(want, trees.snapshot(top))

    def test_debian_source_package(self):
        """dpkg-source takes the quilt form, and unpacks what integration gives."""
        top = self.parts(self.scratch / "deb" / "linux-6.12")
        subprocess.run(["tar", "-C", top.parent, "-cJf", top.parent / "linux_6.12.orig.tar.xz", top.name], check=True)
        debian = top / "debian"
        (debian / "source").mkdir(parents=True)
        (debian / "source/format").write_text("3.0 (quilt)\n")
        (debian / "control").write_text("Source: linux\nMaintainer: T <t@example.org>\n\n"
                                        "Package: linux\nArchitecture: any\nDescription: test\n")
        (debian / "changelog").write_text("linux (6.12-1) unstable; urgency=low\n\n  * Test.\n\n"
                                          " -- T <t@example.org>  Thu, 01 Jan 2026 00:00:00 +0000\n")
        done = make("patch", "FORMAT=quilt", f"OUT={debian / 'patches'}")
        self.assertEqual((0, ""), (done.returncode, done.stderr))
        environment = dict(os.environ, LC_ALL="C")
        for arguments in (["-b", top], ["--no-check", "-x", top.parent / "linux_6.12-1.dsc", self.scratch / "unpacked"]):
            done = subprocess.run(["dpkg-source", *arguments], cwd=top.parent, env=environment,
                                  capture_output=True, text=True, check=False)
            self.assertEqual(0, done.returncode, done.stdout + done.stderr)
            self.assertNotIn("fuzz", done.stdout + done.stderr)
        got = trees.snapshot(self.scratch / "unpacked")
        other = self.parts(self.scratch / "integrated")
        integrate.integrate(other)
        want = trees.snapshot(other)
        want.pop(integrate.RECORD)
        self.assertEqual(want, {path: value for path, value in got.items() if path.split("/")[0] not in ("debian", ".pc")})

    def test_user_errors_are_one_line(self):
        """Each mistake on the command line is one line."""
        for arguments, said in ((["integrate"], "which tree"), (["integrate", "KDIR=/nowhere"], "no such directory"),
                                (["integrate", f"KDIR={common.ROOT / 'worlds'}"], "not a kernel source tree"),
                                (["patch", "OUT=/proc/x/y"], "pvops: patch: /proc/x")):
            with self.subTest(arguments=arguments):
                done = make(*arguments)
                self.assertNotEqual(0, done.returncode)
                ours = [line for line in done.stderr.splitlines() if line.startswith("pvops: ")]
                self.assertEqual(1, len(ours))
                self.assertIn(said, ours[0])
                self.assertNotIn("Traceback", done.stderr)


class Parts(unittest.TestCase):
    """Each part by mail, on the files that the series touches."""

    @classmethod
    def setUpClass(cls):
        scratch = tempfile.TemporaryDirectory(prefix="pvops-parts.", dir=common.BUILD)
        cls.addClassCleanup(scratch.cleanup)
        cls.scratch = pathlib.Path(scratch.name)
        cls.listed = parts.read()
        cls.vanilla = hooks.read_tree(kernel.vanilla_tree(), hooks.hooked_files(hooks.read_series()))

    def repository(self, name):
        top = self.scratch / name
        for path, content in self.vanilla.items():
            if content is not None:
                (top / path).parent.mkdir(parents=True, exist_ok=True)
                (top / path).write_bytes(content)
        for arguments in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "6.12"]):
            test_parts.git(top, *arguments)
        return top

    def am(self, top, mboxes):
        for name, text in mboxes.items():
            (self.scratch / name).write_text(text)
            test_parts.git(top, "am", "-q", "--empty=drop", self.scratch / name)

    def test_each_part_with_what_it_needs(self):
        """Each part applies to 6.12 with what it needs, and each of its mails leaves a whole tree."""
        for part in self.listed:
            with self.subTest(part=part.letter):
                top = self.repository(f"only-{part.letter}")
                chosen = [one.letter for one in parts.closure(self.listed, part.letter)]
                self.am(top, mailseries.part_mboxes(letter=part.letter))
                made = parts.apply(self.vanilla, common.ROOT, self.listed, chosen)
                self.assertEqual({path: content for path, content in made.items() if content is not None},
                                 {path: content for path, (kind, content) in trees.snapshot(top).items() if kind == "file"})
                for commit in test_parts.git(top, "log", "--format=%h").split():
                    test_parts.git(top, "checkout", "-q", commit)
                    self.assertEqual([], test_parts.named_and_absent(top))

    def test_all_parts_are_the_whole(self):
        """All parts one after another give the same tree as the whole series."""
        sum_of_parts, whole = self.repository("sum"), self.repository("whole")
        self.am(sum_of_parts, mailseries.part_mboxes())
        self.am(whole, {"whole.mbox": mailseries.series()})
        self.assertEqual(trees.snapshot(whole), trees.snapshot(sum_of_parts))

    def test_patches_that_stand_alone(self):
        """Each patch that stands alone applies to 6.12 by itself."""
        alone = [patch for patch in hooks.read_series() if patch.stands_alone]
        for patch in alone:
            with self.subTest(patch=patch.name):
                hooks.apply(self.vanilla, patch)
        hooks.apply_all(self.vanilla, alone)


if __name__ == "__main__":
    unittest.main()
