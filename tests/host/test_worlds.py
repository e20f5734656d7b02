# SPDX-License-Identifier: GPL-2.0
"""Reading consoles, world descriptions and configuration fragments."""

import contextlib
import dataclasses
import errno
import gzip
import io
import lzma
import os
import pathlib
import subprocess
import tempfile
import unittest
from unittest import mock

from tools.pvops import boot, common, cpio, deb, integrate, kernel, packages, report, world
from tools.pvops.worlds import description, judge, kinds

CONSOLE = b"""\
SeaBIOS\r
[    0.000000] Linux version 6.12.117\r
[    0.100000] pvops: backend native: it always works\r
[    0.500000] KTAP version 1\r
[    0.500001] 1..2\r
[    0.500002]     KTAP version 1\r
[    0.500003]     # Subtest: pvops_one\r
[    0.500004]     1..3\r
[    0.500005]     ok 1 first\r
[    0.500006]     not ok 2 second\r
[    0.500007]     ok 3 third # SKIP not here\r
[    0.500008] # pvops_one: pass:1 fail:1 skip:1 total:3\r
[    0.500009] not ok 1 pvops_one\r
[    0.500010]     KTAP version 1\r
[    0.500011]     # Subtest: pvops_two\r
[    0.500012]     1..1\r
[    0.500013]     ok 1 only\r
[    0.500014] ok 2 pvops_two\r
PVOPS-BEGIN report\r
backend: na[    1.000000] clocksource: Switched to clocksource tsc\r
tive\r
cpus: 2\r
PVOPS-END report\r
PVOPS-BEGIN job clock\r
# a comment\r
ok monotonic\r
not ok timer - late by 3 ms\r
skip hotplug - one CPU\r
PVOPS-END job clock rc=1\r
PVOPS-BEGIN job hang\r
ok start\r
PVOPS-DONE\r
[    2.000000] reboot: Power down\r
"""

NESTED = b"""\
[    0.900000]     # Subtest: pvops_outer\r
PVOPS-HOST guest begins\r
(d1) [    0.200000] pvops: backend xen: entered by the PV entry point\r
(XEN) something\r
PVOPS-BEGIN report\r
backend: xen\r
PVOPS-END report\r
PVOPS-DONE\r
PVOPS-HOST guest ended rc=0\r
[    9.000000] reboot: Power down\r
"""


class Console(unittest.TestCase):
    """report.parse() on real consoles."""

    def setUp(self):
        self.console = report.parse(CONSOLE)

    def test_report_survives_a_kernel_record_in_the_middle_of_a_line(self):
        """A kernel record in the middle of a report's line is taken out."""
        self.assertEqual(self.console.report, {"backend": "native", "cpus": "2"})

    def test_kernel_records_lose_their_stamp(self):
        """Lines of the kernel's log have no time stamp."""
        self.assertIn("pvops: backend native: it always works", self.console.kernel)
        self.assertIn("clocksource: Switched to clocksource tsc", self.console.kernel)

    def test_job_checks(self):
        """A job's checks are read with state, name and reason."""
        job = self.console.jobs["clock"]
        self.assertEqual(job.rc, 1)
        self.assertEqual([(c.state, c.name, c.reason) for c in job.checks],
                         [("ok", "monotonic", ""), ("not ok", "timer", "late by 3 ms"),
                          ("skip", "hotplug", "one CPU")])

    def test_job_without_end_has_no_status(self):
        """A job that did not end has no status."""
        self.assertIsNone(self.console.jobs["hang"].rc)

    def test_suites(self):
        """Passed, failed and skipped cases are read."""
        one = self.console.suites["pvops_one"]
        self.assertEqual((one.ok, one.passed, one.failed, one.skipped),
                         (False, ["first"], ["second"], ["third"]))
        self.assertTrue(self.console.suites["pvops_two"].ok)

    def test_a_suite_that_did_not_run_is_a_problem(self):
        """A suite that did not run is a problem, and so is a failed case."""
        found = report.kunit_problems(self.console.suites, ["pvops_two", "pvops_three"])
        self.assertEqual(found, ["KUnit suite pvops_three did not run",
                                 "KUnit pvops_one: second failed"])

    def test_cut_off_console_is_not_done(self):
        """A console that is cut off is not done."""
        cut = report.parse(CONSOLE[:CONSOLE.index(b"PVOPS-DONE")])
        self.assertTrue(self.console.done)
        self.assertFalse(cut.done)

    def test_nested_guest_only(self):
        """In a nested machine the guest's lines are told from the host's."""
        nested = report.parse(NESTED)
        self.assertEqual(nested.report, {"backend": "xen"})
        self.assertEqual(nested.suites, {})
        self.assertEqual(nested.kernel,
                         ["pvops: backend xen: entered by the PV entry point"])
        self.assertEqual(nested.host, ["guest begins", "guest ended rc=0"])

    def test_splats_in_any_kernel(self):
        """A complaint of the guest's or the host's kernel is found."""
        for line in (b"[    1.000000] WARNING: CPU: 0 PID: 0 at x.c:1\n",
                     b"[    1.000000] BUG: unable to handle page fault\n",
                     b"[    1.000000] unchecked MSR access error: WRMSR\n",
                     b"[    1.000000] Call Trace:\n"):
            self.assertEqual(len(report.parse(line + NESTED).splats([])), 1, line)
            self.assertEqual(report.parse(line + NESTED).splats(["\\] "]), [])
        self.assertEqual(self.console.splats([]), [])


class Judging(unittest.TestCase):
    """Judging a console by a description."""

    def judge(self, raw, jobs=(), **changes):
        expect = description.Expect(**changes)
        one = world.World("test", expect=expect, kunit=False)
        return judge.judge(one, report.parse(raw), list(jobs), plain_allowed=False,
                            check_kunit=False)

    def test_good(self):
        """A console that is as expected has no problem."""
        self.assertEqual(self.judge(CONSOLE, backend="native", report={"cpus": "^2$"},
                                    once_lines=["^pvops: backend"]), [])

    def test_each_difference_is_a_problem(self):
        """Each expectation that does not hold is one problem."""
        for changes in ({"backend": "xen"}, {"report": {"cpus": "^4$"}},
                        {"report": {"audit": "ok"}}, {"expect_lines": ["nothing like it"]},
                        {"once_lines": ["^KTAP version", "Subtest"]},
                        {"forbid_lines": ["^pvops:"]}):
            self.assertEqual(len(self.judge(CONSOLE, **changes)), 1, changes)

    def test_jobs(self):
        """A failed check, a job without end and one that did not start are problems."""
        found = self.judge(CONSOLE, ["clock", "hang", "absent"])
        self.assertEqual(found, ["job clock: timer: late by 3 ms", "job hang did not end",
                                 "job absent did not start"])

    def test_nothing_at_all(self):
        """An empty console is two problems."""
        self.assertEqual(self.judge(b"", backend="native"),
                         ["no report: user space was not reached",
                          "the guest did not come to its end (no PVOPS-DONE)"])


class Dom0(unittest.TestCase):
    """Checks of dom0, and a guest that boots twice."""

    CONSOLE = """PVOPS-HOST guest begins
PVOPS-BEGIN job toolstack
ok work
PVOPS-HOST check ok dom0-save
PVOPS-HOST check not ok dom0-alive - net stands still
PVOPS-END job toolstack rc=%d
PVOPS-BEGIN job toolstack
ok work
PVOPS-END job toolstack rc=%d
PVOPS-DONE
PVOPS-HOST guest ended rc=1
PVOPS-HOST check ok dom0-disk
"""

    def test_checks_are_a_job_of_their_own(self):
        """The checks of dom0 are a job, told from the guest's."""
        read = report.parse((self.CONSOLE % (0, 0)).encode() + b"PVOPS-HOST checks end rc=1\n")
        self.assertEqual(read.jobs["dom0"].rc, 1)
        self.assertEqual([(c.state, c.name) for c in read.jobs["dom0"].checks],
                         [("ok", "dom0-save"), ("not ok", "dom0-alive"), ("ok", "dom0-disk")])
        self.assertEqual(read.jobs["toolstack"].lines, ["ok work", "ok work"])

    def test_no_end_is_no_end(self):
        """Checks of dom0 without an end have no status."""
        self.assertIsNone(report.parse((self.CONSOLE % (0, 0)).encode()).jobs["dom0"].rc)
        self.assertNotIn("dom0", report.parse(b"PVOPS-HOST guest begins\n").jobs)

    def test_a_reboot_hides_no_failure(self):
        """Of a guest that boots twice a failure in either boot counts."""
        for first, second in ((1, 0), (0, 1)):
            read = report.parse((self.CONSOLE % (first, second)).encode())
            self.assertEqual(read.jobs["toolstack"].rc, 1)
        begun = self.CONSOLE.split("PVOPS-END job toolstack rc=%d\nPVOPS-DONE")[0] % 0
        self.assertIsNone(report.parse(begun.encode()).jobs["toolstack"].rc)

    def test_the_worlds_with_devices_must_have_it(self):
        """A world with disk or network must have the checks of dom0."""
        self.assertEqual(world.host_jobs(world.load("xen-domU")), ["dom0"])
        self.assertEqual(world.host_jobs(world.load("vmi-xen-hvm-save")), ["dom0"])
        self.assertEqual(world.host_jobs(world.load("xen-dom0")), [])

    def test_xen_complains(self):
        """Complaints of Xen are found, unless they are allowed."""
        for line in ("(XEN) d1v0 Bad L1 flags 800000", "(XEN) mm.c:123:d0v1 something",
                     "(XEN) arch/x86/mm.c:2141:d[IDLE]v0 something",
                     "(XEN) Domain 1 (vcpu#0) crashed on cpu#1:"):
            read = report.parse((line + "\n").encode())
            self.assertEqual(read.splats([]), [line])
            self.assertEqual(read.splats(["d1v0|mm.c|crashed"]), [])
        for line in (b"(XEN) d0 has maximum 232 PIRQs\n", b"(XEN) HVM d1v0 save: LAPIC\n",
                     b"(XEN) d1v1: upcall vector f3\n"):
            self.assertEqual(report.parse(line).splats([]), [])


class Descriptions(unittest.TestCase):
    """Reading worlds/*.toml."""

    def test_every_world_loads_and_says_what_it_is(self):
        """Each world has a description, a set and a backend to expect."""
        for name in world.names():
            one = world.load(name)
            self.assertTrue(one.about, name)
            self.assertTrue(one.sets, name)
            self.assertTrue(one.expect.backend, name)

    def test_every_kind_has_a_machine(self):
        """Each kind of machine that a world may have is there."""
        self.assertEqual(set(description.KINDS), set(kinds.KINDS))

    def test_a_set_has_no_worlds_name(self):
        """Whoever names a world gets that world and no other."""
        sets = {name for one in boot.chosen(["all"]) for name in one.sets}
        self.assertFalse(sets & {*world.names(), "all"})
        self.assertEqual(["vmi"], [one.name for one in boot.chosen(["vmi"])])

    def test_a_kernel_that_cannot_be_dom0(self):
        """The dom0 of a domain has the domain's kernel if that can be dom0, and else the kernel main."""
        with tempfile.TemporaryDirectory() as directory:
            image = pathlib.Path(directory) / "out" / kernel.IMAGE
            image.parent.mkdir(parents=True)
            image.touch()
            config = pathlib.Path(directory) / "out/.config"
            self.assertTrue(kernel.can_be_dom0(image))      # nobody knows
            config.write_text("CONFIG_XEN_PV=y\n# CONFIG_XEN_DOM0 is not set\n")
            self.assertFalse(kernel.can_be_dom0(image))
            with mock.patch.object(kernel, "build", return_value=pathlib.Path("/main")):
                self.assertEqual(pathlib.Path("/main"), kernel.dom0(image))
            config.write_text("CONFIG_XEN_DOM0=y\n")
            self.assertEqual(image, kernel.dom0(image))
            self.assertTrue(kernel.can_be_dom0(pathlib.Path("/boot/vmlinuz")))

    def test_default_set(self):
        """The set `default` has the worlds that make boot promises."""
        self.assertEqual({w.name for w in boot.chosen(["default"])},
                         {"bare", "tcg", "uefi", "kvm-npt", "kvm-shadow", "xen-dom0",
                          "xen-dom0-intree", "xen-domU", "vmi", "vmi-allcall",
                          "vmi-kvm-npt", "vmi-initrd"})

    def test_bad_descriptions_are_one_line(self):
        """Each mistake in a description is refused in one line."""
        domu = "kind = 'xen-domu'\ndisk = 9\nnetwork = true\njobs = ['toolstack']\n"
        for text in ("disk = 9", "network = true", "steps = ['shutdown']",
                     f"{domu}steps = ['nosuch', 'shutdown']", f"{domu}steps = ['save']",
                     f"{domu}steps = ['save*0', 'shutdown']",
                     f"{domu}steps = ['save*', 'shutdown']",
                     f"{domu}steps = ['shutdown*2']",
                     f"{domu.replace('disk = 9', '')}steps = ['shutdown']",
                     f"{domu.replace('toolstack', 'net')}steps = ['shutdown']",
                     "userland = true\njobs = ['clock']", "kind = 'xen-domu'\nroms = ['hw']",
                     "kind = 'xen-dom0'\nroms = ['hw']\nrom_initrd = true",
                     "kind = 'xen-domu'\ndomu_type = 'hvm'\nroms = ['hw']",
                     "kind = 'xen-domu'\nroms = ['hw']\nrom_device = 'pci-testdev'",
                     "save_at = 'a line'", "kind = 'xen-domu'\nsave_at = 'a line'",
                     f"{domu}domu_type = 'hvm'\nsteps = ['save', 'shutdown']\nsave_at = 'a line'",
                     "kind = 'xen-domu'\nuserland = true\ndisk = 9",
                     "kind = 'xen-domu'\nservices = true", "services = true\nuserland = true\njobs = ['userland']",
                     "cpus = 'two'", "nosuch = 1", "kind = 'moon'", "like = 'it'",
                     "like = 'absent'", "[expect]\nbackend = 1", "not toml"):
            with tempfile.TemporaryDirectory() as directory:
                path = pathlib.Path(directory)
                (path / "it.toml").write_text(text, encoding="utf-8")
                with mock.patch.object(description, "WORLDS", path), \
                        self.assertRaises(common.Failure, msg=text) as caught:
                    world.load("it")
                self.assertNotIn("\n", str(caught.exception))

    def test_debian_on_a_disk(self):
        """Each such world has the disk where its kernel looks for it, and a login only in a shell."""
        for name in [w.name for w in boot.chosen(["debian"])]:
            one = world.load(name)
            with self.subTest(world=name):
                kind = kinds.KINDS[one.kind]
                root = "/dev/xvda" if one.kind == "xen-domu" else "/dev/vda"
                line = kinds._cmdline(kind, one, ["userland"], "").split()
                self.assertIn(f"pvops.root={root}", line)
                self.assertIn("pvops.jobs=userland", line)
                self.assertIn("systemd.mask=serial-getty@hvc0.service", line)
                shell = kinds._cmdline(kind, one, ["shell"], "").split()
                self.assertIn(f"pvops.root={root}", shell)
                self.assertFalse([word for word in shell if word.startswith(("pvops.jobs", "systemd.mask"))])
        self.assertIn("pvops.jobs=shell", kinds._cmdline(kinds.KINDS["direct"], world.load("bare"), ["shell"], "").split())

    def test_no_second_cpu_beside_one_that_enters_guests(self):
        """A machine whose CPU enters guests by VMRUN has no other one, or one thread for all."""
        for name in world.names():
            one = world.load(name)
            if one.kind == "kvm" or one.kind == "xen-domu" and one.domu_type != "pv":
                self.assertTrue(one.one_thread or one.host.cpus == 1, name)

    def test_a_reset_is_no_reboot(self):
        """A machine of Debian's that was reset, or did not come back, has not passed."""
        one = "PVOPS-BEGIN report\nPVOPS-END report\nPVOPS-BEGIN job userland\nok a\nPVOPS-END job userland rc=0\n"
        cut = "PVOPS-BEGIN report\nPVOPS-END report\nPVOPS-BEGIN job userland\nok a\n"
        second = "PVOPS-BEGIN report\nPVOPS-END report\n"
        for text, words, good in ((one, [], True), (one * 2, ["pvops.reboot"], True), (one, ["pvops.reboot"], False),
                                  (cut + one * 2, ["pvops.reboot"], False), (one + cut + one, ["pvops.reboot"], False),
                                  (one * 2, [], False), (one + second + one, ["pvops.kdump"], True),
                                  (one * 2, ["pvops.kdump"], False), (one + second, ["pvops.kdump"], False)):
            read = report.parse((text + "PVOPS-DONE\n").encode())
            self.assertEqual(good, not judge._judge_boots(read, words), text)

    def test_like_merges_tables(self):
        """`like` takes settings over one by one, but not the sets."""
        one = world.load("bare-absent")
        self.assertEqual(one.cpu, world.load("bare").cpu)
        self.assertEqual(one.expect.report["audit"], "^ok$")
        self.assertEqual(one.expect.report["requested"], "^kvm$")
        self.assertEqual(one.sets, ["input"])

    def test_unknown_world(self):
        """An unknown world is one line."""
        with self.assertRaisesRegex(common.Failure, "no world or set nosuch"):
            boot.chosen(["nosuch"])


class Fragments(unittest.TestCase):
    """The check that configuration symbols survive."""

    def test_lost_and_overridden(self):
        """Options of a fragment that the configuration lost are named."""
        with tempfile.TemporaryDirectory() as directory:
            path = pathlib.Path(directory)
            first, second, config = path / "a.config", path / "b.config", path / ".config"
            first.write_text("CONFIG_A=y\nCONFIG_B=1\n# CONFIG_C is not set\nCONFIG_D=y\n")
            second.write_text("CONFIG_B=2\n")
            config.write_text("CONFIG_B=2\nCONFIG_C=y\nCONFIG_D=m\n")
            self.assertEqual(kernel.lost_symbols(config, [first, second]),
                             ["CONFIG_A=y (a.config) became n",
                              "CONFIG_C=n (a.config) became y",
                              "CONFIG_D=y (a.config) became m"])


class Flavours(unittest.TestCase):
    """The kernels that the tools build."""

    def test_how_it_is_booted_does_not_make_it_another_kernel(self):
        """How a kernel is booted does not make it build anew."""
        one = kernel.FLAVOURS["main"]
        self.assertEqual(repr(one), repr(dataclasses.replace(
            one, cmdline="preempt=full", scale=3, lacks=("pvops_hypercall",))))

    def test_what_it_is_built_from_makes_it_another_kernel(self):
        """Another configuration below the fragments, or another compiler, is another kernel."""
        one = kernel.FLAVOURS["main"]
        for change in ({"base": "amd64_none_amd64"}, {"llvm": "19"}):
            with self.subTest(change):
                self.assertNotEqual(repr(one), repr(dataclasses.replace(one, **change)))

    def test_llvm_is_chosen_for_all_tools(self):
        """Compiler, linker and binutils are of one version of LLVM."""
        self.assertEqual(kernel.compiler(), ["CC=ccache gcc"])
        self.assertEqual(kernel.compiler("19"), ["LLVM=-19", "CC=ccache clang-19"])

    def test_a_configuration_of_debian_that_is_not_there_is_named(self):
        """A configuration of Debian's that is not there is named, with the way to get it."""
        with tempfile.TemporaryDirectory() as directory, \
                mock.patch.object(kernel, "DEBIAN_CONFIGS", pathlib.Path(directory)):
            config = pathlib.Path(directory) / ".config"
            with self.assertRaisesRegex(common.Failure, "config.amd64_rt_amd64.xz: not there; "
                                        ".*tools.pvops.packages"):
                kernel.configure(pathlib.Path("/nowhere"), pathlib.Path(directory), [],
                                 base="amd64_rt_amd64")
            self.assertFalse(config.exists())

    def test_a_configuration_of_debian_is_taken_whole(self):
        """The configuration below the fragments is Debian's, unpacked."""
        with tempfile.TemporaryDirectory() as directory, \
                mock.patch.object(kernel, "DEBIAN_CONFIGS", pathlib.Path(directory)), \
                mock.patch.object(common, "run_logged"):
            path = pathlib.Path(directory)
            (path / "config.x.xz").write_bytes(lzma.compress(b"CONFIG_A=m\n"))
            kernel.configure(path, path / "out", [], base="x")
            self.assertEqual((path / "out/.config").read_text(), "CONFIG_A=m\n")

    def test_what_a_kernel_lacks_is_a_suite(self):
        """What a kernel is said to lack are KUnit suites."""
        for name, one in kernel.FLAVOURS.items():
            with self.subTest(name):
                self.assertLessEqual(set(one.lacks), set(report.wanted_suites()))

    def test_a_suite_that_a_kernel_lacks_need_not_run(self):
        """A suite that a kernel lacks need not run."""
        suites = [f"[    0.500000]     # Subtest: {name}\n[    0.500001]     ok 1 it\n"
                  f"[    0.500002] ok 1 {name}\n" for name in report.wanted_suites()
                  if name != "pvops_hypercall"]
        raw = "".join(suites).encode() + CONSOLE[CONSOLE.index(b"PVOPS-BEGIN report"):]
        one = world.World("test")
        for lacks, problems in (((), ["KUnit suite pvops_hypercall did not run"]),
                                (("pvops_hypercall",), [])):
            self.assertEqual(judge.judge(one, report.parse(raw), [], plain_allowed=False,
                                         check_kunit=True, lacks=lacks), problems)

    def test_modules_are_those_that_were_built_with_the_image(self):
        """The modules of a kernel are those of its build directory."""
        with tempfile.TemporaryDirectory() as directory:
            out = pathlib.Path(directory)
            self.assertEqual(kernel.modules(out / kernel.IMAGE), [])
            (out / "modules.order").write_text("lib/test_bpf.o\n")
            self.assertEqual(kernel.modules(out / kernel.IMAGE), [out / "lib/test_bpf.ko"])
            self.assertEqual(kernel.modules(out / "bzImage"), [])


class Archives(unittest.TestCase):
    """cpio.Archive against the real cpio."""

    def test_list_and_content(self):
        """cpio unpacks what we packed, and the same input gives the same bytes."""
        archive = cpio.Archive()
        archive.file("a/b/c", b"hello\n", 0o755)
        archive.link("a/l", "b/c")
        archive.device("dev/console", 5, 1)
        data = archive.content()
        self.assertEqual(data, archive.content(), "the same input, the same bytes")
        self.assertEqual(len(data) % 4, 0)
        with tempfile.TemporaryDirectory() as directory:
            subprocess.run(["cpio", "-idm", "--quiet", "a*"], cwd=directory, check=True,
                           input=gzip.decompress(data))
            path = pathlib.Path(directory) / "a/l"
            self.assertTrue(path.is_symlink())
            self.assertEqual(path.read_text(), "hello\n")
        listing = subprocess.run(["cpio", "-itv", "--quiet"], check=True,
                                 capture_output=True, text=True,
                                 input=gzip.decompress(data).decode("latin-1")).stdout
        self.assertRegex(listing, r"crw-------.* 5, +1 .*dev/console")


class Conditions(unittest.TestCase):
    """Errors of a user are one line that says what to do."""

    def test_missing_package_without_root(self):
        """A missing package without root is one line with the command to type."""
        with mock.patch("os.geteuid", return_value=1000), \
                self.assertRaises(common.Failure) as caught:
            packages.install(["no-such-package-at-all"])
        self.assertEqual(str(caught.exception),
                         "missing packages: no-such-package-at-all; as root: "
                         "apt-get install no-such-package-at-all")

    def test_no_disk_space(self):
        """Too little disk space is one line."""
        with tempfile.TemporaryDirectory() as directory, \
                self.assertRaisesRegex(common.Failure, r"MiB free, .* free some"):
            common.need_space(pathlib.Path(directory), 1 << 40, "it")

    def failing(self, directory, script, why):
        """Run a script that fails. Returns its log."""
        log = pathlib.Path(directory) / "it.log"
        with mock.patch("sys.stderr"), self.assertRaisesRegex(
                common.Failure, rf"it failed \({why}\); see .*it.log"):
            common.run_logged(["sh", "-c", script], log, what="it")
        return log.read_text()

    def test_failing_command_names_its_log(self):
        """A command that fails is one line with its status and log."""
        with tempfile.TemporaryDirectory() as directory:
            self.assertEqual("said\n", self.failing(directory, "echo said; exit 3", "status 3"))

    def test_disk_that_fills_up(self):
        """A disk that is full in the middle of a build or of a copy is one line, and no half of a copy stays."""
        with tempfile.TemporaryDirectory() as directory:
            self.failing(directory, "echo 'write: No space left on device'; exit 1",
                         "a disk is full; free some space and try again")
            source = pathlib.Path(directory) / "source/main"
            source.mkdir(parents=True)
            for name in (".pvops-inputs", "one", "two"):
                (source / name).touch()
            full = OSError(errno.ENOSPC, "No space left on device")
            said = io.StringIO()
            with mock.patch.object(kernel, "OUT", source.parent), mock.patch.object(deb, "say"), \
                    mock.patch("shutil.copystat"), mock.patch("shutil.copyfile", side_effect=full), \
                    contextlib.redirect_stderr(said), self.assertRaises(SystemExit):
                common.command(lambda: deb._begin("main", pathlib.Path(directory) / "build"))
            self.assertRegex(said.getvalue(), r"^pvops: cannot copy: .*No space left on device; and 2 more files; "
                                              r"free some space and try again\n$")
            self.assertEqual(["it.log", "source"], sorted(os.listdir(directory)))

    def test_full_disk_that_the_log_does_not_name(self):
        """A log on a full disk ends before it says so, and then the disk is asked; a quota is a limit, too."""
        again = "a disk is full; free some space and try again"
        with tempfile.TemporaryDirectory() as directory:
            for number in (errno.ENOSPC, errno.EDQUOT):
                self.failing(directory, f"echo 'write: {os.strerror(number)}'; exit 1", again)
                with mock.patch("os.posix_fallocate", side_effect=OSError(number, "")):
                    self.failing(directory, "exit 3", again)
            with mock.patch("os.posix_fallocate", side_effect=OSError(errno.EOPNOTSUPP, "")):
                self.failing(directory, "exit 3", "status 3")

    def said(self, call):
        """The line that a command ends with when this goes wrong in it."""
        said = io.StringIO()
        with contextlib.redirect_stderr(said), self.assertRaises(SystemExit) as ended:
            common.command(call)
        self.assertEqual(1, ended.exception.code)
        return said.getvalue()

    def test_errors_of_files_and_programs(self):
        """A file that cannot be written and a program that fails are one line, and a full disk is named."""
        def write():
            with open("/dev/full", "w", encoding="utf-8") as full:
                full.write("x")

        self.assertEqual("pvops: No space left on device; free some space and try again\n", self.said(write))
        self.assertEqual("pvops: /nonexistent: No such file or directory\n", self.said(lambda: open("/nonexistent")))
        self.assertEqual("pvops: sh -c 'exit 4' failed (status 4)\n",
                         self.said(lambda: subprocess.run(["sh", "-c", "exit 4"], check=True)))

    def test_no_network(self):
        """What apt could not fetch is named with its reason; a program that is missing is named."""
        with tempfile.TemporaryDirectory() as directory:
            cannot = "apt cannot fetch packages: "
            self.failing(directory, "echo \"E: Failed to fetch http://a/b  Temporary failure resolving 'a'\"; exit 100",
                         f"{cannot}Temporary failure resolving 'a'; look at the network, and try again")
            # an outdated list of packages, and Debian's server answers
            self.failing(directory, "echo 'E: Failed to fetch http://a/b  404  Not Found [IP: 192.0.2.1 80]'; exit 100",
                         f"{cannot}404  Not Found; as root: apt-get update, and try again")
            with mock.patch("sys.stderr"), self.assertRaisesRegex(
                    common.Failure, r"it failed \(cannot run no-such-program: No such file or directory\); see "):
                common.run_logged(["no-such-program"], pathlib.Path(directory) / "it.log", what="it")

    def test_whole_or_not_at_all(self):
        """A file or a directory takes its place when it is done. Nothing is left of one that was not."""
        with tempfile.TemporaryDirectory() as directory:
            path = pathlib.Path(directory) / "it"
            (path.parent / "it.partial").mkdir()
            for ends in (None, OSError(errno.ENOSPC, ""), KeyboardInterrupt()):
                with contextlib.suppress(OSError, KeyboardInterrupt), common.whole(path) as partial:
                    self.assertFalse(partial.exists())
                    partial.write_text(repr(ends))
                    if ends:
                        raise ends
                self.assertEqual(["it"], os.listdir(directory))
                self.assertEqual("None", path.read_text())
            path.unlink()
            for ends in (OSError(errno.ENOSPC, ""), None):
                with contextlib.suppress(OSError), common.whole(path) as partial:
                    partial.mkdir()
                    (partial / "inside").touch()
                    if ends:
                        raise ends
                self.assertEqual([] if ends else ["it"], os.listdir(directory))
            self.assertTrue((path / "inside").exists())

    def test_unfinished_package(self):
        """apt gives an unfinished package its last name; the next run fetches it again."""
        with tempfile.TemporaryDirectory() as directory:
            where = pathlib.Path(directory)
            apt = where / "bin/apt-get"
            apt.parent.mkdir()
            path = mock.patch.dict(os.environ, PATH=f"{apt.parent}:{os.environ['PATH']}")
            for status, wanted in ((100, []), (0, ["a_1_all.deb", "b_1_all.deb"])):
                apt.write_text(f"#!/bin/sh\n>a_1_all.deb; >b_1_all.deb; exit {status}\n")
                apt.chmod(0o755)
                with path, mock.patch("sys.stderr"), \
                        self.assertRaises(common.Failure) if status else contextlib.nullcontext():
                    packages.download(["a", "b"], where / "cache", where / "it.log", "it")
                self.assertEqual(wanted, sorted(os.listdir(where / "cache")), "no part of a run that failed")

    def test_damaged_package(self):
        """A package that is not whole is named with what to do."""
        with tempfile.TemporaryDirectory() as directory, mock.patch("sys.stderr"), \
                self.assertRaisesRegex(common.Failure, r"unpacking a.deb failed .*a.deb is damaged: remove it and try"):
            deb = pathlib.Path(directory) / "a.deb"
            deb.touch()
            packages.extract(deb, pathlib.Path(directory) / "root", pathlib.Path(directory) / "it.log")

    def test_missing_kernel(self):
        """A kernel image that does not exist is one line."""
        with self.assertRaisesRegex(common.Failure, "no such kernel image"):
            world.run("bare", kernel="/nonexistent")


class Given(unittest.TestCase):
    """A kernel that the user names."""

    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.tree = pathlib.Path(scratch.name)

    def refused(self, line, image=None):
        with self.assertRaisesRegex(common.Failure, line):
            kernel.given(image, self.tree)

    def test_tree(self):
        """The image of a tree is taken only if it is 6.12, integrated and built; and its options are looked at."""
        self.refused("not a kernel source tree|Makefile")
        (self.tree / "Makefile").write_text("VERSION = 6\nPATCHLEVEL = 12\nSUBLEVEL = 117\n")
        (self.tree / "arch/x86").mkdir(parents=True)
        (self.tree / "arch/x86/Kconfig").touch()
        self.refused("6.12.117 is not integrated; first: make integrate KDIR=")
        record = self.tree / integrate.RECORD
        record.parent.mkdir(parents=True)
        record.touch()
        self.refused("no arch/x86/boot/bzImage; it is built there with: make -C")
        image = self.tree / kernel.IMAGE
        image.parent.mkdir(parents=True)
        image.touch()
        self.refused("give KERNEL= or KDIR=", image=image)
        for suites in (False, True):
            (self.tree / ".config").write_text("CONFIG_PVOPS=y\n" + "CONFIG_PVOPS_KUNIT_TEST=y\n" * suites)
            with mock.patch.object(kernel, "say") as said:
                self.assertEqual((image, suites), kernel.given(None, self.tree))
            self.assertIn("its configuration lacks", said.call_args[0][0])

    def test_image(self):
        """Our own kernel has the suites, and an image unless the configuration beside it says otherwise."""
        self.assertEqual((None, True), kernel.given(None, None))
        image = self.tree / "vmlinuz-6.12.117"
        self.assertEqual((image, True), kernel.given(image, None))
        self.assertTrue(kernel.can_be_dom0(image))
        for suites in (False, True):
            (self.tree / "config-6.12.117").write_text("CONFIG_PVOPS_KUNIT_TEST=y\n" * suites)
            self.assertEqual((image, suites), kernel.given(image, None))
        self.assertFalse(kernel.can_be_dom0(image))


if __name__ == "__main__":
    unittest.main()
