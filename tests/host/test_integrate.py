# SPDX-License-Identifier: GPL-2.0
"""Integration into a kernel tree, and out of it: changes, refusals, failures."""

import errno
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import unittest

from unittest import mock

from tests.host import trees
from tools.pvops import hooks, integrate, mailseries

NOBODY = 65534


class Base(unittest.TestCase):
    """A fresh kernel tree and a fresh pvops tree."""

    def setUp(self):
        scratch = tempfile.TemporaryDirectory(prefix="pvops-test.")
        self.addCleanup(scratch.cleanup)
        self.scratch = pathlib.Path(scratch.name)
        self.kdir = trees.kernel(self.scratch / "linux")
        self.root = trees.pvops(self.scratch / "pvops")
        self.before = trees.snapshot(self.kdir)

    def integrate(self, **more):
        return integrate.integrate(self.kdir, root=self.root, **more)

    def series(self, *names):
        (self.root / hooks.SERIES).write_text("\n".join(names) + "\n")

    def memory(self):
        return (self.kdir / "mm/memory.c").read_text()

    def refused(self, pattern, call=None, same=True):
        """CALL (integrate) raises a one-line Problem and leaves the tree alone."""
        before = trees.snapshot(self.kdir)
        with self.assertRaisesRegex(hooks.Problem, pattern) as caught:
            (call or self.integrate)()
        self.assertNotIn("\n", str(caught.exception))
        if same:
            self.assertEqual(before, trees.snapshot(self.kdir))


class Good(Base):
    """What works."""

    def test_files_and_hooks(self):
        """Integration adds our files, applies the hooks and changes nothing else."""
        self.assertIn("3 hooks in 2 files", self.integrate())
        now = {name: content.decode() for name, (kind, content) in trees.snapshot(self.kdir).items()
               if kind == "file" and name != integrate.RECORD}
        want = {"Makefile": self.before["Makefile"][1].decode(), **trees.hooked(),
                "arch/x86/include/asm/pvops.h": "/* header */\n"}
        for name in ("Kbuild", "Kconfig", "arch-x86-paravirt/select.c", "include/shared.h",
                     "kunit/empty.c", "Documentation/größe.rst"):
            want[f"arch/x86/pvops/{name}"] = (self.root / name).read_text()
        self.assertEqual(want, now)

    def test_second_run_changes_nothing(self):
        """A second integration touches no file."""
        self.integrate()
        stamps = {path: path.stat().st_mtime_ns for path in self.kdir.rglob("*") if path.is_file()}
        self.assertIn("already integrated", self.integrate())
        self.assertEqual(stamps, {path: path.stat().st_mtime_ns for path in stamps})

    def test_refresh_touches_only_what_changed(self):
        """Integration after a change of one file rewrites that file only."""
        self.integrate()
        stamps = {path: path.stat().st_mtime_ns for path in self.kdir.rglob("*") if path.is_file()}
        (self.root / "arch-x86-paravirt/select.c").write_text("int other;\n")
        self.assertIn("refreshed, 1 file changed", self.integrate())
        changed = {path.relative_to(self.kdir).as_posix() for path, stamp in stamps.items()
                   if path.stat().st_mtime_ns != stamp}
        self.assertEqual({"arch/x86/pvops/arch-x86-paravirt/select.c", integrate.RECORD}, changed)

    def test_refresh_of_hooks_and_files(self):
        """Integration after a change of the series takes old hooks and files out."""
        self.integrate()
        self.series("memory-1.patch")
        (self.root / "arch-x86-paravirt/select.c").unlink()
        (self.root / "arch-x86-paravirt/commit.c").write_text("int commit;\n")
        self.integrate()
        self.assertIn("hook_50;", self.memory())
        self.assertNotIn("hook_50b;", self.memory())
        self.assertEqual(trees.KERNEL["arch/x86/Kbuild"], (self.kdir / "arch/x86/Kbuild").read_text())
        ours = self.kdir / "arch/x86/pvops/arch-x86-paravirt"
        self.assertEqual(["commit.c"], [path.name for path in ours.iterdir()])
        integrate.deintegrate(self.kdir)
        self.assertEqual(self.before, trees.snapshot(self.kdir))

    def test_deintegrate_is_exact(self):
        """Taken out again, the tree is byte by byte what it was."""
        self.integrate()
        self.assertIn("taken out", integrate.deintegrate(self.kdir))
        self.assertEqual(self.before, trees.snapshot(self.kdir))
        self.assertIn("nothing to do", integrate.deintegrate(self.kdir))

    def test_deintegrate_uses_the_patches_that_were_applied(self):
        """Patches that are gone from our tree meanwhile are taken out, too."""
        self.integrate()
        self.series("kbuild.patch")
        (self.root / "patches/6.12/memory-1.patch").unlink()
        integrate.deintegrate(self.kdir)
        self.assertEqual(self.before, trees.snapshot(self.kdir))

    def test_deintegrate_after_a_build_in_the_tree(self):
        """What a build left in our directory is removed with it."""
        self.integrate()
        trees.write(self.kdir / hooks.TARGET, {"kunit/a.o": "", "kunit/.a.o.cmd": "", "built-in.a": ""})
        integrate.deintegrate(self.kdir)
        self.assertEqual(self.before, trees.snapshot(self.kdir))

    def test_hooked_file_keeps_its_mode_and_gets_a_new_time(self):
        """A hooked file keeps its mode, and make sees that it changed."""
        path = self.kdir / "mm/memory.c"
        path.chmod(0o640)
        os.utime(path, (1, 1))
        self.integrate()
        self.assertEqual(0o640, path.stat().st_mode & 0o777)
        self.assertGreater(path.stat().st_mtime, 1)
        integrate.deintegrate(self.kdir)
        self.assertEqual(0o640, path.stat().st_mode & 0o777)
        # With the old time make would not rebuild the object.
        self.assertGreater(path.stat().st_mtime, 1)

    def test_hard_linked_trees_are_not_changed_together(self):
        """A tree that shares its files by hard links is left alone."""
        twin = self.scratch / "twin"
        subprocess.run(["cp", "-al", self.kdir, twin], check=True)
        self.integrate()
        self.assertEqual(self.before, trees.snapshot(twin))

    def test_link(self):
        """With LINK=1 the files are symbolic links to ours."""
        self.integrate(link=True)
        path = self.kdir / "arch/x86/pvops/arch-x86-paravirt/select.c"
        self.assertEqual(str(self.root / "arch-x86-paravirt/select.c"), os.readlink(path))
        (self.root / "arch-x86-paravirt/select.c").write_text("int other;\n")
        self.assertIn("already integrated", self.integrate(link=True))
        self.integrate(link=False)
        self.assertFalse(path.is_symlink())
        integrate.deintegrate(self.kdir)
        self.assertEqual(self.before, trees.snapshot(self.kdir))
        self.assertEqual("int other;\n", (self.root / "arch-x86-paravirt/select.c").read_text())

    def test_offset_is_fine(self):
        """A hook applies at another line than it was made for."""
        path = self.kdir / "mm/memory.c"
        path.write_text("/* three\n * more\n * lines */\n" + path.read_text())
        before = path.read_text()
        self.integrate()
        self.assertIn("int memory_50;\nint hook_50;\nint hook_50b;\n", self.memory())
        integrate.deintegrate(self.kdir)
        self.assertEqual(before, path.read_text())

    def test_users_own_change_elsewhere_in_a_hooked_file_is_kept(self):
        """A change of the user in a hooked file stays."""
        self.integrate()
        path = self.kdir / "mm/memory.c"
        path.write_text(path.read_text().replace("int memory_150;", "long memory_150;"))
        self.assertIn("refreshed", self.integrate())
        self.assertIn("already", self.integrate())
        said = integrate.deintegrate(self.kdir)
        self.assertIn("taken out", said)
        self.assertEqual(trees.KERNEL["mm/memory.c"].replace("int memory_150;", "long memory_150;"),
                         path.read_text())

    def test_foreign_file_in_our_directory_is_left_and_named(self):
        """A file that is not ours is left where it is, and named."""
        self.integrate()
        (self.kdir / hooks.TARGET / "notes.txt").write_text("mine\n")
        self.assertIn("left alone: arch/x86/pvops/notes.txt", integrate.deintegrate(self.kdir))
        self.assertEqual("mine\n", (self.kdir / hooks.TARGET / "notes.txt").read_text())


class Refused(Base):
    """What is refused in one line, with nothing changed."""

    def test_not_6_12(self):
        """A tree of another version is refused."""
        trees.kernel(self.kdir, 6, 13)
        self.refused(r"is Linux 6\.13\.117; these hooks are for 6\.12\.x")

    def test_not_a_kernel(self):
        """A directory that is no kernel tree is refused."""
        (self.kdir / "Makefile").write_text("all:\n\ttrue\n")
        self.refused("is not a kernel source tree")
        (self.kdir / "Makefile").unlink()
        self.refused("is not a kernel source tree")

    def test_no_such_directory(self):
        """A directory that does not exist is refused."""
        self.kdir = self.scratch / "nowhere"
        with self.assertRaisesRegex(hooks.Problem, "no such directory"):
            self.integrate()

    def test_hook_does_not_apply(self):
        """A hook that does not apply is named with its file and line."""
        path = self.kdir / "mm/memory.c"
        path.write_text(path.read_text().replace("int memory_51;", "int other_51;"))
        self.refused(r"memory-1\.patch does not apply to mm/memory\.c \(hunk 1 near line 4\d\)")

    def test_fuzz_is_not_accepted(self):
        """A hook whose context differs is refused."""
        path = self.kdir / "mm/memory.c"
        # The outermost context line: patch(1) would take this with its usual fuzz of 2.
        path.write_text(path.read_text().replace("int memory_48;", "int other_48;"))
        self.refused(r"memory-1\.patch does not apply to mm/memory\.c")

    def test_hooked_file_missing(self):
        """A tree without a file that is hooked is refused."""
        (self.kdir / "mm/memory.c").unlink()
        self.refused(r"memory-1\.patch does not apply to mm/memory\.c")

    def test_half_patched_without_record(self):
        """A tree with some hooks that we did not apply is refused."""
        for count in (1, 2, 3):
            with self.subTest(count=count):
                trees.kernel(self.kdir)
                names = ["kbuild.patch", "memory-1.patch", "memory-2.patch"][:count]
                for name in names:
                    subprocess.run(["patch", "-s", "-p1", "-d", self.kdir, "-i",
                                    self.root / "patches/6.12" / name], check=True)
                self.refused(rf"half-patched: it has {count} of 3 hooks \({', '.join(names)}\)")

    def test_half_patched_with_record(self):
        """A tree that lost some of our hooks is refused, and can be cleaned."""
        self.integrate()
        trees.write(self.kdir, {"mm/memory.c": trees.KERNEL["mm/memory.c"]})
        self.refused(r"half-patched: mm/memory\.c lost its hooks since; run 'make deintegrate KDIR=")
        integrate.deintegrate(self.kdir)
        self.assertEqual(self.before, trees.snapshot(self.kdir))

    def test_directory_without_record(self):
        """Our directory without the record of an integration is refused."""
        trees.write(self.kdir, {"arch/x86/pvops/Kbuild": "\n"})
        self.refused(r"has arch/x86/pvops but no arch/x86/pvops/\.pvops-integrated")
        self.refused("not put there by this tool", lambda: integrate.deintegrate(self.kdir))

    def test_header_in_the_way(self):
        """A header of our name that is not ours is refused."""
        trees.write(self.kdir, {"arch/x86/include/asm/pvops.h": "/* theirs */\n"})
        self.refused(r"already has arch/x86/include/asm/pvops\.h")

    def test_damaged_record(self):
        """A damaged record is refused."""
        self.integrate()
        path = self.kdir / integrate.RECORD
        good = path.read_bytes()
        for bad in (b"", b"{}", good[:100], good.replace(b'"busy": false', b'"busy": true '),
                    good[:-200] + b"\n"):
            with self.subTest(bad=bad[-20:]):
                path.write_bytes(bad)
                self.refused("is damaged")
                self.refused("is damaged", lambda: integrate.deintegrate(self.kdir))

    def test_changed_added_file(self):
        """An added file that the user changed is refused, until ours has the change."""
        self.integrate()
        trees.write(self.kdir, {"arch/x86/pvops/arch-x86-paravirt/select.c": "int mine;\n"})
        pattern = r"changed since the integration: arch/x86/pvops/arch-x86-paravirt/select\.c"
        self.refused(pattern)
        self.refused(pattern, lambda: integrate.deintegrate(self.kdir))
        # With the same change in the pvops tree there is no conflict.
        (self.root / "arch-x86-paravirt/select.c").write_text("int mine;\n")
        self.integrate()
        integrate.deintegrate(self.kdir)
        self.assertEqual(self.before, trees.snapshot(self.kdir))

    def test_hook_changed_by_the_user(self):
        """A hook that the user changed is not taken out."""
        self.integrate()
        path = self.kdir / "mm/memory.c"
        path.write_text(path.read_text().replace("int hook_50;", "int my_50;"))
        self.refused(r"mm/memory\.c changed since the integration, so that memory-[12]\.patch cannot be",
                     lambda: integrate.deintegrate(self.kdir))

    def test_symbolic_link(self):
        """A hooked file that is a symbolic link is refused."""
        path = self.kdir / "mm/memory.c"
        path.rename(self.kdir / "mm/real.c")
        path.symlink_to("real.c")
        self.refused(r"mm/memory\.c is a symbolic link")

    def test_two_at_once(self):
        """Of two integrations at once the second is refused."""
        with integrate._locked(self.kdir):
            self.refused("another integration is under way")

    def test_incomplete_pvops_tree(self):
        """A pvops tree without its Kconfig is refused."""
        (self.root / "Kconfig").unlink()
        self.refused("Kconfig is missing")

    def test_series_names_a_missing_patch(self):
        """A series that names a missing patch is refused."""
        self.series("gone.patch")
        self.refused("gone.patch")

    def test_patch_outside_the_tree(self):
        """A patch to a file outside of the tree is refused."""
        (self.root / "patches/6.12/memory-1.patch").write_text("x\n\n--- a/../x\n+++ b/../x\n@@ -1 +1 @@\n-a\n+b\n")
        self.refused("outside the kernel tree")


class Faults(Base):
    """A full disk, a file that cannot be written, a signal."""

    def every_step(self, name, call):
        """Let the nth use of os.NAME fail, for every n, and look at the tree each time."""
        real = getattr(os, name)
        before = trees.snapshot(self.kdir)
        failures = 0
        for fail_at in range(1, 100):
            count = 0

            def sometimes(*arguments, **more):
                nonlocal count
                count += 1
                if count == fail_at:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(arguments[-1]))
                return real(*arguments, **more)

            with mock.patch.object(os, name, sometimes):
                try:
                    call()
                    break
                except hooks.Problem as problem:
                    self.assertIn("No space left on device; nothing was changed", str(problem))
            failures += 1
            self.assertEqual(before, trees.snapshot(self.kdir), f"{name} call {fail_at}")
        self.assertGreater(failures, 2)
        self.assertNotEqual(before, trees.snapshot(self.kdir))

    def test_integrate_rolls_back_wherever_it_fails(self):
        """Wherever an integration fails, the tree is as before."""
        for name in ("replace", "link", "fsync"):
            with self.subTest(name=name):
                self.every_step(name, self.integrate)
                integrate.deintegrate(self.kdir)
                self.assertEqual(self.before, trees.snapshot(self.kdir))

    def test_refresh_rolls_back_wherever_it_fails(self):
        """Wherever a second integration fails, the tree is as before."""
        self.integrate()
        self.series("memory-1.patch")
        (self.root / "arch-x86-paravirt/select.c").write_text("int other;\n")
        self.every_step("replace", self.integrate)

    def test_deintegrate_rolls_back_wherever_it_fails(self):
        """Wherever taking out fails, the tree is as before."""
        self.integrate()
        self.every_step("link", lambda: integrate.deintegrate(self.kdir))
        self.assertEqual(self.before, trees.snapshot(self.kdir))

    def test_no_space_is_seen_before_anything_is_written(self):
        """Too little disk space is noticed before anything is written."""
        state = os.statvfs(self.kdir)
        full = mock.Mock(f_flag=state.f_flag, f_bavail=1, f_frsize=4096)
        with mock.patch.object(os, "statvfs", return_value=full):
            self.refused(r"no disk space \(\d+ KiB needed, 4 KiB free\); nothing was changed")

    def test_really_full_disk(self):
        """On a disk that is full the tree is as before."""
        small = self.scratch / "small"
        small.mkdir()
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=128k", "none", small],
                                 capture_output=True, check=False)
        if mounted.returncode:
            self.skipTest("may not mount a tmpfs here")
        self.addCleanup(subprocess.run, ["umount", small], check=True)
        self.kdir = trees.kernel(small / "linux")
        with open(small / "filler", "wb", buffering=0) as filler:
            try:
                while True:
                    filler.write(b"x" * 512)
            except OSError:
                pass
        self.refused("no disk space")
        # Without the check write(2) fails.
        blind = mock.Mock(f_flag=0, f_bavail=1 << 30, f_frsize=4096)
        with mock.patch.object(os, "statvfs", return_value=blind):
            self.refused("No space left on device; nothing was changed")

    def test_read_only_tree(self):
        """In a tree that cannot be written nothing is changed."""
        if os.geteuid():
            self.skipTest("needs root to become another user")
        self.scratch.chmod(0o755)
        for place in [self.kdir, *self.kdir.rglob("*")]:
            place.chmod(0o555 if place.is_dir() else 0o444)
        before = trees.snapshot(self.kdir)
        # Run from a copy that the other user may read.
        done = subprocess.run(
            [sys.executable, "-B", "-c", "import os, sys\n"
             "from tools.pvops import integrate\n"
             f"os.setgid({NOBODY}); os.setuid({NOBODY})\n"
             f"sys.exit(integrate.main(['integrate', '--root', {str(self.root)!r}, {str(self.kdir)!r}]))"],
            cwd=trees.ROOT, capture_output=True, text=True, check=False)
        self.assertEqual(1, done.returncode, done.stderr)
        self.assertRegex(done.stderr, r"\Apvops: integrate: cannot write in .*; nothing was changed\n\Z")
        self.assertEqual(before, trees.snapshot(self.kdir))

    def test_killed_in_the_middle(self):
        """After SIGKILL the next run says how to clean up, and that works."""
        # After SIGKILL between two renames only the record can help.
        for survive in (1, 2, 4, 6):
            with self.subTest(survive=survive):
                child = os.fork()
                if not child:
                    real, count = os.replace, 0

                    def deadly(*arguments):
                        nonlocal count
                        if count == survive:
                            os.kill(os.getpid(), signal.SIGKILL)
                        count += 1
                        real(*arguments)

                    os.replace = deadly
                    self.integrate()
                    os._exit(0)
                self.assertEqual(signal.SIGKILL, os.WTERMSIG(os.waitpid(child, 0)[1]))
                with self.assertRaisesRegex(hooks.Problem, "interrupted here; run 'make deintegrate"):
                    self.integrate()
                integrate.deintegrate(self.kdir)
                self.assertEqual(self.before, trees.snapshot(self.kdir))

    def test_interrupt_rolls_back(self):
        """After Ctrl-C the tree is as before."""
        real, count = os.replace, 0

        def interrupted(*arguments):
            nonlocal count
            count += 1
            if count == 3:
                raise KeyboardInterrupt
            real(*arguments)

        with mock.patch.object(os, "replace", interrupted), self.assertRaises(KeyboardInterrupt):
            self.integrate()
        self.assertEqual(self.before, trees.snapshot(self.kdir))


class CommandLine(Base):
    """Exit status and messages of the commands."""

    def test_good(self):
        """Both commands say in one line what they did."""
        done = trees.run("integrate", "integrate", "--root", str(self.root), str(self.kdir))
        self.assertEqual((0, ""), (done.returncode, done.stderr))
        self.assertRegex(done.stdout, r"\Apvops: .*: integrated into Linux 6\.12\.117: 3 hooks")
        done = trees.run("integrate", "deintegrate", str(self.kdir))
        self.assertEqual((0, ""), (done.returncode, done.stderr))
        self.assertEqual(self.before, trees.snapshot(self.kdir))

    def test_bad(self):
        """An error is one line and an exit status."""
        for tree, said in (("", "which tree"), ("/nonexistent", "no such directory")):
            done = trees.run("integrate", "integrate", tree)
            self.assertEqual(1, done.returncode)
            self.assertEqual("", done.stdout)
            self.assertRegex(done.stderr, rf"\Apvops: integrate: .*{said}.*\n\Z")


class Mail(Base):
    """The git am series."""

    def git(self, *arguments, cwd=None):
        done = subprocess.run(["git", "-c", "user.name=T", "-c", "user.email=t@example.org", *arguments],
                              cwd=cwd or self.kdir, capture_output=True, text=True, check=False)
        self.assertEqual(0, done.returncode, done.stdout + done.stderr)
        return done.stdout

    def test_git_am_equals_integrate(self):
        """git am of the series gives the tree that integration gives."""
        mbox = self.scratch / "series.mbox"
        done = trees.run("mailseries", "--root", str(self.root), "--out", str(mbox))
        self.assertEqual(0, done.returncode, done.stderr)
        self.assertIn("4 mails", done.stdout)
        self.git("init", "-q")
        self.git("add", "-A")
        self.git("commit", "-qm", "base")
        self.git("am", "-q", str(mbox))
        self.assertEqual(
            ["mm: Second, größer", "mm: First", "x86: Build pvops",
             "x86/pvops: Add the paravirt backend directory", "base"],
            self.git("log", "--format=%s").splitlines())
        self.assertIn("Nobody builds the directory", self.git("log", "-1", "--format=%b"))
        got = trees.snapshot(self.kdir)
        other = trees.kernel(self.scratch / "other")
        integrate.integrate(other, root=self.root)
        want = trees.snapshot(other)
        want.pop(integrate.RECORD)
        self.assertEqual(want, got)

    def test_same_input_same_output(self):
        """The series is the same whenever it is made."""
        self.assertEqual(mailseries.series(self.root, 1.0), mailseries.series(self.root, 1.0))

    def test_no_description(self):
        """A patch without a description is refused."""
        path = self.root / "patches/6.12/kbuild.patch"
        path.write_text(hooks.Patch("x", path.read_text()).diff)
        with self.assertRaisesRegex(hooks.Problem, r"kbuild\.patch has no description"):
            mailseries.series(self.root)

    def test_description_that_mail_tools_would_misread(self):
        """A description with a line that begins with From is refused."""
        path = self.root / "patches/6.12/kbuild.patch"
        path.write_text("x86: Subject\n\nFrom here on it breaks.\n\n" + hooks.Patch("x", path.read_text()).diff)
        with self.assertRaisesRegex(hooks.Problem, "starts with 'From'"):
            mailseries.series(self.root)

    def test_unwritable_output(self):
        """An output file that cannot be written is one line."""
        done = trees.run("mailseries", "--root", str(self.root), "--out", "/proc/nowhere/x.mbox")
        self.assertEqual(1, done.returncode)
        self.assertRegex(done.stderr, r"\Apvops: patch: .*\n\Z")


if __name__ == "__main__":
    unittest.main()
