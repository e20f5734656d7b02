# SPDX-License-Identifier: GPL-2.0
"""A shell with a debugger and a shared directory, a bundle, a dump: on real machines."""

import os
import pathlib
import re
import select
import shutil
import subprocess
import tempfile
import time
import unittest

from tests.host import trees
from tools.pvops import common, kernel, report, world

LIMIT = 150
PORT = 7123


def make(*arguments, text="", limit=LIMIT):
    """Our make, as a user calls it."""
    argv = ["make", "-s", "--no-print-directory", *arguments]
    child = common.start(argv, cwd=common.ROOT, env=trees.make_environment(), text=True, stdin=subprocess.PIPE,
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        said, errors = child.communicate(text, timeout=limit)
    finally:
        common.stop(child)
    return subprocess.CompletedProcess(argv, child.returncode, said, errors)


class Use(unittest.TestCase):
    """What `make run`, `make bundle` and `make dump` promise."""

    def setUp(self):
        scratch = tempfile.TemporaryDirectory(prefix="pvops-use.")
        self.addCleanup(scratch.cleanup)
        self.scratch = pathlib.Path(scratch.name)

    def test_shared_directory(self):
        """A guest has a copy of the directory: files, modes, links, in each kind of world."""
        share = self.scratch / "a user's share"
        (share / "below").mkdir(parents=True)
        (share / "below/file").write_text("as it was\n")
        (share / "link").symlink_to("below/file")
        (share / "program").write_text("#!/bin/sh\necho ran: $((40 + 2))\n")
        (share / "program").chmod(0o755)
        for name in ("bare", "kvm-npt", "xen-domU"):
            with self.subTest(world=name):
                done = make("run", f"WORLD={name}", f"SHARE={share}", text="cat /share/link; /share/program; exit\n",
                            limit=2 * LIMIT)
                self.assertEqual(0, done.returncode, done.stderr)
                self.assertIn("as it was", done.stdout)
                self.assertIn("ran: 42", done.stdout)

    def test_login(self):
        """Debian's console asks for a name and a password, and then there is a shell."""
        for name, backend in (("debian-bare", "native"), ("debian-domU", "hypercall")):
            with self.subTest(world=name):
                done = make("run", f"WORLD={name}", limit=4 * LIMIT,
                            text="sed -n 's/^backend: /has /p' /sys/kernel/debug/pvops/backend; systemctl is-system-running --wait; "
                                 "systemctl poweroff\n")
                self.assertEqual(0, done.returncode, done.stderr)
                # bash switches the terminal's bracketed paste before it runs a command
                said = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\r", "", done.stdout)
                self.assertRegex(said, rf"\nhas {backend}\nrunning\n")

    def test_command(self):
        """The printed command boots the world."""
        done = make("run", "WORLD=bare", "DRYRUN=1")
        self.assertEqual(0, done.returncode, done.stderr)
        command = done.stdout.splitlines()[-1]
        self.assertTrue(command.startswith("qemu-system-x86_64 "))
        status, lines = self.booted(["sh", "-c", command])
        self.assertEqual(0, status, lines[-1])
        self.assertIn("backend: native", lines)

    def booted(self, command):
        """The exit status and the lines of a console; once more if the emulator has crashed the guest.

        A shell, if there is one, is left.
        """
        for _ in range(2):
            child = common.start(["timeout", str(LIMIT), *command], stdin=subprocess.PIPE, cwd="/",
                                 stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            try:
                said = self.until(child, b"PVOPS-SHELL")
                if b"PVOPS-SHELL" in said:
                    child.stdin.write(b"exit\n")
                    child.stdin.flush()
                said += self.until(child, None)
                status = child.wait(LIMIT)
            finally:
                common.stop(child)
                child.stdin.close()
                child.stdout.close()
            text = said.decode(errors="replace").replace("\r", "")
            if not report.stale_breakpoint(text):
                break
        return status, text.splitlines()

    def test_bundle(self):
        """A bundle has all that it needs: it boots where nothing else of this tree is."""
        for name, said in (("vmi", "backend: vmi"), ("vmi-pci", "backend: vmi"), ("xen-dom0", "backend: hypercall"), ("uefi", "backend: native")):
            with self.subTest(world=name):
                done = make("bundle", f"WORLD={name}")
                self.assertEqual(0, done.returncode, done.stderr)
                subprocess.run(["tar", "-xf", common.BUILD / "bundle" / f"{name}.tar.gz", "-C", self.scratch], check=True)
                shutil.rmtree(common.BUILD / "bundle" / name)
                script = self.scratch / name / "boot.sh"
                self.assertNotIn(str(common.ROOT), script.read_text())
                status, lines = self.booted([script])
                self.assertEqual(0, status, lines[-1])
                self.assertIn(said, lines)

    def test_dump(self):
        """A dump has the memory of a machine that came to its shell and ran the command."""
        done = make("dump", "WORLD=bare", "RUN=echo lo''ok-for-'this' >/tmp/x; sync")
        self.assertEqual(0, done.returncode, done.stderr)
        image = kernel.symbols(world.default_kernel())
        dump = common.BUILD / "dump/bare.elf"
        # Values that only a kernel has that ran: vmlinux itself has others.
        asked = ("-ex", "printf \"jiffies %lx\\n\", *(unsigned long *)&jiffies_64",
                 "-ex", "printf \"line %s\\n\", *(char **)&saved_command_line")
        core = self.gdb("-c", str(dump), *asked, str(image))
        self.assertRegex(core, r"line .*\bnokaslr\b")
        jiffies = re.compile(r"jiffies (\w+)")
        self.assertNotEqual(jiffies.search(self.gdb(*asked, str(image)))[1], jiffies.search(core)[1])
        with open(dump, "rb") as file:
            self.assertIn(b"look-for-this\n", file.read())

    @staticmethod
    def gdb(*arguments):
        return subprocess.run(["gdb", "-nx", "-batch", *arguments], capture_output=True, text=True, check=False,
                              timeout=LIMIT).stdout

    def test_debugger(self):
        """The machine waits, gdb stops it at a function, and then it goes on."""
        for name, function in (("bare", "start_kernel"), ("xen-dom0", "xen_start_kernel")):
            with self.subTest(world=name):
                child = common.start(["make", "-s", "run", f"WORLD={name}", f"GDB={PORT}"], cwd=common.ROOT,
                                     stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
                try:
                    said = self.until(child, b"target remote")
                    self.assertIn(f"target remote :{PORT}".encode(), said)
                    self.assertNotIn(b"Linux version", said)
                    time.sleep(2)
                    stopped = self.gdb("-ex", f"target remote :{PORT}", "-ex", f"hbreak {function}", "-ex", "continue",
                                       "-ex", "backtrace 1", "-ex", "detach", str(kernel.symbols(world.default_kernel())))
                    self.assertRegex(stopped, rf"#0 .*\b{function} ?\(")
                    said = self.until(child, b"PVOPS-SHELL")
                    self.assertIn(b"PVOPS-SHELL", said)
                    child.stdin.write(b"exit\n")
                    child.stdin.close()
                    child.wait(LIMIT)
                finally:
                    common.stop(child)
                    child.stdout.close()

    @staticmethod
    def until(child, word):
        """What a child prints up to a word, or to its end."""
        said, deadline = b"", time.monotonic() + LIMIT
        while (word is None or word not in said) and time.monotonic() < deadline:
            if select.select([child.stdout], [], [], 1)[0]:
                data = os.read(child.stdout.fileno(), 4096)
                if not data:
                    break
                said += data
        return said

    def test_refusals_are_one_line(self):
        """Each wrong request is one line, and nothing is started."""
        big = self.scratch / "big"
        big.mkdir()
        with open(big / "file", "wb") as file:
            file.truncate(65 << 20)
        for arguments, said in ((["run", "WORLD=nowhere"], "nowhere"),
                                (["run", "WORLD=bare", "SHARE=/nonexistent"], "no such directory"),
                                (["run", "WORLD=bare", f"SHARE={big}"], "a guest takes at most 64"),
                                (["run", "WORLD=kvm-npt", "GDB=1"], "gdb would see its host"),
                                (["run", "WORLD=bare", "KERNEL=/nonexistent", "GDB=1"], "no vmlinux"),
                                (["bundle", "WORLD=bare", "KERNEL=/nonexistent"], "no such kernel image"),
                                (["run", "WORLD=bare", "GDB=99999"], "from 1 to 65535"),
                                (["run", "WORLD=bare; echo no"], "bare; echo no"),
                                (["dump", "WORLD=debian-bare"], "take bare"),
                                (["dump", "WORLD=xen-dom0"], "a world without one")):
            with self.subTest(arguments=arguments):
                done = make(*arguments)
                self.assertNotEqual(0, done.returncode)
                ours = [line for line in done.stderr.splitlines() if line.startswith("pvops: ")]
                self.assertEqual(1, len(ours), done.stderr)
                self.assertIn(said, ours[0])


if __name__ == "__main__":
    unittest.main()
