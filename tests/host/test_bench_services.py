# SPDX-License-Identifier: GPL-2.0
"""The step services of the benchmarks: the list of loads, what a guest says, the verdict."""

import collections
import errno
import gzip
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest
from unittest import mock

from tools.pvops import bench, benchdata, benchplot, benchservices, common, userland, world
from tools.pvops.benchdata import Row
from tools.pvops.common import Failure

ENTRY = 'name = "x"\nabout = "a"\nunit = "job"\ncount = 2\ncommand = "c"\ncheck = "d"\n'
LOAD = benchservices.Load("x", "a", "request", 10, "c", "d")


def row(variant: str, op: str, instructions: float, spread: float = 0.0) -> Row:
    """A row of a load."""
    return Row("w", variant, "b", f"{benchdata.SERVICE}{op}", instructions, spread, 1, about=f"about {op}",
               unit="request")


class List(unittest.TestCase):
    """bench/services.toml and mistakes in such a file."""

    def read(self, text: str) -> list[benchservices.Load]:
        """A list with this text."""
        with tempfile.NamedTemporaryFile("w", suffix=".toml") as file:
            file.write(text)
            file.flush()
            return benchservices.load_list(pathlib.Path(file.name))

    def test_ours(self):
        """The list is right, and shell can read each script."""
        loads = benchservices.load_list()
        self.assertGreater(len(loads), 10)
        for load in loads:
            for script in benchservices.SCRIPTS:
                done = subprocess.run(["sh", "-n"], input=getattr(load, script), text=True, capture_output=True,
                                      check=False)
                self.assertEqual(0, done.returncode, f"{load.name} {script}: {done.stderr}")

    def test_mistakes(self):
        """A mistake is one line that says where it is."""
        self.assertEqual(2, self.read(f"[[load]]\n{ENTRY}")[0].count)
        for text, why in (("", "no loads"), ("[[load", "toml"), ("[[load]]\nname = 'x'\n", "load 1: needs about check"),
                          (f"[[load]]\n{ENTRY}color = 1\n", "color: no such setting; there are: name"),
                          (f"[[load]]\n{ENTRY}".replace("2", "'2'"), "count: must be int, is '2'"),
                          (f"[[load]]\n{ENTRY}".replace("2", "0"), "count: at least 1"),
                          (f"[[load]]\n{ENTRY}".replace('"x"', '"../x"'), "name '../x'"),
                          (f"[[load]]\n{ENTRY}".replace("job", "hour"), "unit 'hour': one of request job"),
                          (f"[[load]]\n{ENTRY}" * 2, "load 2: x is there already")):
            with self.subTest(why), self.assertRaisesRegex(Failure, re.escape(why)):
                self.read(text)
        with self.assertRaisesRegex(Failure, "No such file"):
            benchservices.load_list(pathlib.Path("/nothing/there"))

    def test_by_name(self):
        """Loads are chosen by name and run in the order of the list."""
        loads = benchservices.load_list()
        self.assertEqual(loads, benchservices.chosen([], loads))
        self.assertEqual(["redis-get", "gcc"], [one.name for one in benchservices.chosen(["gcc", "redis-get"], loads)])
        with self.assertRaisesRegex(Failure, "no load mysql; there are: postgres-select "):
            benchservices.chosen(["mysql"], loads)

    def test_image(self):
        """The image has the scripts, and all but the command have the functions."""
        with tempfile.TemporaryDirectory() as directory:
            path = benchservices.image(pathlib.Path(directory) / "x", benchservices.load_list())
            content = gzip.decompress(path.read_bytes())
        for name in (b"services/postgres-mix/before", b"services/apt/after", b"services/source/opcost.c",
                     b"services/source/check.h", b"services/Words.java"):
            self.assertIn(name, content)
        self.assertIn(b". ../functions\nstop_postgres\n", content)


class Guest(unittest.TestCase):
    """What bench/jobs/services prints."""

    def test_figures(self):
        """The figure is the median of the counted runs."""
        found = benchservices.parse(["load x ticks=300", "idle x 0", "load x ticks=100", "idle x 0", "load y ticks=1"],
                                    [LOAD])
        self.assertEqual({"x": benchdata.Sampled(200, 100, 300)}, found.costs)
        self.assertEqual([], found.failures)

    def test_failures(self):
        """A wrong answer, a load that did not run, and an idle CPU are failures without a figure."""
        for lines, why in ((["load x ticks=5", "failed x check: cmp: differ"], "x: check: cmp: differ"),
                           ([], "x: it was not run"),
                           (["load x ticks=100000000", "idle x 1"], "x: the CPU was idle for 10 % of the count")):
            found = benchservices.parse(lines, [LOAD])
            self.assertEqual(({}, [why]), (found.costs, found.failures))

    def test_rows(self):
        """A row has the cost of one request, and a failure is one of the run."""
        other = benchservices.Load("y", "b", "job", 1, "c", "d")
        plan = bench.Plan(["services"], 2, [], 1, [], [LOAD, other])
        measured = bench.Measurement(plan, pathlib.Path("/nothing"), [])
        costs: dict[str, list[benchdata.Sampled]] = collections.defaultdict(list)
        with mock.patch.object(bench, "say"):
            for ticks, idle in ((10**9, 4), (12 * 10**8, 0)):
                measured.services(bench.Variant("native", "bare"), "native",
                                  [f"load x ticks={ticks}", f"idle x {idle}", "failed y command: no"], costs)
        one, = measured.rows.values()
        self.assertEqual(("service-x", 11e7, "request", 2, 4.0),
                         (one.op, one.instructions, one.unit, one.boots, one.idle))
        self.assertAlmostEqual(200 / 11, one.spread, delta=0.01)
        self.assertEqual(["native: services: y: command: no"] * 2, measured.failures)
        self.assertEqual((2, 1), (plan.boots_of("measure"), plan.boots_of("services")))


class Shown(unittest.TestCase):
    """Tables, the page, and where hypercall is not the cheapest."""

    def test_not_below(self):
        """A load for which hypercall is not cheaper by more than the spread has a line."""
        rows = [row("xen", "a", 100, 1), row("hypercall", "a", 98.5, 1), row("kvm-shadow", "a", 200),
                row("xen", "b", 100), row("hypercall", "b", 50), row("kvm-shadow", "b", 40), row("hypercall", "c", 1)]
        self.assertEqual(["a: hypercall is not below xen: x 0.985 of it, spread ±2.0 %",
                          "b: hypercall is not below kvm-shadow: x 1.250 of it, spread ±0.0 %"],
                         benchservices.not_below(rows))

    def test_table_and_page(self):
        """The report keeps what a load is, and the table and the page show it."""
        rows = [row("native", "a", 100), row("xen", "a", 100), row("hypercall", "a", 150)]
        self.assertIn("about a; a request", benchdata.instruction_table(rows))
        with tempfile.TemporaryDirectory() as directory:
            path = pathlib.Path(directory) / "bench.json"
            benchdata.save(path, rows, {"complete": True})
            self.assertEqual("about a", benchdata.load(path)[0][0].about)
            page = benchplot.draw_report(path)
            text = page.read_text()
            self.assertTrue((path.parent / "bench-services.svg").exists())
        self.assertIn("a: hypercall is not below xen: x 1.500 of it", text)


class Machine(unittest.TestCase):
    """The machine that runs the loads."""

    def test_world(self):
        """It has the disk, enough memory and a CPU without XSAVE, in each kind of world."""
        for variant in bench.load_variants():
            if variant.services:
                one = bench.with_services(world.load(variant.world))
                self.assertEqual("services", one.root_disk)
                self.assertEqual(1, one.cpu.count("-xsave"))
                self.assertEqual(benchservices.MEMORY, one.memory)
                self.assertGreaterEqual(one.host.memory, one.memory + 512)
        with self.assertRaisesRegex(Failure, "debian-bare: this world has Debian's root file system"):
            bench.with_services(world.load("debian-bare"))
        self.assertEqual("debian", world.load("debian-bare").root_disk)
        self.assertEqual("", world.load("bare").root_disk)

    def test_disks(self):
        """Each disk has a description, and the two differ."""
        self.assertEqual(len({disk.uuid for disk in userland.DISKS.values()}), len(userland.DISKS))
        for disk in userland.DISKS.values():
            self.assertTrue((disk.source / "packages.txt").exists())

    def test_no_root_and_no_space(self):
        """Without the disk, a user who is not root gets one line, and so does a full disk."""
        with tempfile.TemporaryDirectory() as directory, \
                mock.patch.object(userland, "OUT", pathlib.Path(directory)):
            with mock.patch("os.geteuid", return_value=1000), \
                    self.assertRaisesRegex(Failure, "the disk with services is made by root only"):
                userland.image("services")
            self.assertFalse(userland.DISKS["services"].made_of("x"))
            with mock.patch.object(userland, "obstacle", return_value=""), \
                    mock.patch.object(userland.packages, "ensure"), \
                    mock.patch.object(userland.common, "BUILD", pathlib.Path(directory)), \
                    mock.patch("shutil.disk_usage", return_value=mock.Mock(free=1 << 20)), \
                    self.assertRaisesRegex(Failure, "1 MiB free, making the disk with services needs"):
                userland.image("services")

    def test_nothing_half_made(self):
        """Whatever ends the making of a disk, no part of it stays, and an older one is not touched."""
        def half(disk: userland.Disk, root: pathlib.Path) -> None:
            (root / "etc").mkdir(parents=True)
            disk.path.with_suffix(".ext4.partial").write_text("half")

        for ends in (Failure("no network"), OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()):
            with self.subTest(repr(ends)), tempfile.TemporaryDirectory() as directory, \
                    mock.patch.object(userland, "OUT", pathlib.Path(directory)), \
                    mock.patch.object(userland, "obstacle", return_value=""), \
                    mock.patch.object(userland.packages, "ensure"), \
                    mock.patch.object(userland.common, "BUILD", pathlib.Path(directory)), \
                    mock.patch.object(userland.common, "need_space"), mock.patch.object(userland, "say"), \
                    mock.patch.object(userland, "_bootstrap", half), \
                    mock.patch.object(userland, "_configure", side_effect=ends):
                old = userland.DISKS["services"]
                old.path.write_text("old")
                old.stamp.write_text("of something else")
                with self.assertRaises(type(ends)):
                    userland.image("services")
                self.assertEqual({"services.ext4", "services.inputs", ".userland.lock"},
                                 {path.name for path in pathlib.Path(directory).iterdir()})
                self.assertFalse(old.made_of(old.wanted()))

    def test_second_run(self):
        """The run after one that failed makes the disk, and no part of either stays."""
        def whole(_disk: userland.Disk, root: pathlib.Path) -> None:
            (root / "etc").mkdir(parents=True)

        full = OSError(errno.ENOSPC, "No space left on device")
        with tempfile.TemporaryDirectory() as directory, \
                mock.patch.object(userland, "OUT", pathlib.Path(directory)), \
                mock.patch.object(userland, "obstacle", return_value=""), \
                mock.patch.object(userland.packages, "ensure"), \
                mock.patch.object(userland.common, "BUILD", pathlib.Path(directory)), \
                mock.patch.object(userland.common, "LOG", pathlib.Path(directory) / "log"), \
                mock.patch.object(userland.common, "need_space"), mock.patch.object(userland, "say"), \
                mock.patch.object(userland, "_bootstrap", whole), \
                mock.patch.object(userland, "_configure", side_effect=(full, None)):
            with self.assertRaises(OSError):
                userland.image()
            disk = userland.DISKS["debian"]
            self.assertFalse(disk.made_of(disk.wanted()))
            self.assertEqual(disk.path, userland.image())
            self.assertTrue(disk.made_of(disk.wanted()))
            self.assertEqual({"debian.ext4", "debian.inputs", "log", ".userland.lock"}, set(os.listdir(directory)))

    def test_no_namespaces(self):
        """A machine that lets root make no mounts or namespaces gets one line. It must not be "a disk is full"."""
        refuses = "unshare: unshare failed: No space left on device"
        with tempfile.TemporaryDirectory() as directory, mock.patch("os.geteuid", return_value=0), \
                mock.patch.object(userland, "OUT", pathlib.Path(directory)), \
                mock.patch.object(userland, "NAMESPACES", ["sh", "-c", f"echo '{refuses}' >&2; exit 1"]):
            with self.assertRaisesRegex(Failure, "^Debian's root file system needs mounts of its own and a PID "
                                                 f"namespace, and this machine refuses: {refuses}; once it is there"):
                userland.image()
            # who has the disk needs none of this
            disk = userland.DISKS["debian"]
            disk.path.touch()
            disk.stamp.write_text(disk.wanted())
            self.assertEqual("", userland.obstacle())
            self.assertEqual(disk.path, userland.image())

    def test_bad_words(self):
        """What does not exist and what has nothing to run is one line each, before anything is made."""
        for words, why in ((["--steps", "services", "--loads", "oracle"], "no load oracle; there are: postgres-select"),
                           (["--loads", "gcc"], "--loads is for the step services"),
                           (["--steps", "services", "oracle"], "no variant oracle; there are: native"),
                           (["--steps", "services", "xen-domU"], "nothing to measure: xen-domU: no step of services"),
                           (["--steps", "services", "--short"], "no step of services with --short")):
            done = subprocess.run([sys.executable, "-m", "tools.pvops.bench", *words], cwd=common.ROOT,
                                  capture_output=True, text=True, check=False, timeout=60)
            self.assertEqual(1, done.returncode)
            self.assertIn(why, done.stderr)
            self.assertEqual(1, done.stderr.count("\n"))


if __name__ == "__main__":
    unittest.main()
