# SPDX-License-Identifier: GPL-2.0
"""Benchmarks: statistics, reports, comparison, bounds, what xentrace records."""

import base64
import contextlib
import gzip
import io
import json
import pathlib
import re
import struct
import subprocess
import tempfile
import unittest

from tools.pvops import bench, benchcompare, benchdata, benchplot, benchprofile, benchproject, bootstamp, jobfiles, \
    world, xentrace
from tools.pvops.benchdata import Row, Sampled
from tools.pvops.common import Failure

# Cut from a trace of the world xen-dom0: the last records of booting, and the
# stretches of `nothing`, `getppid` and `mmap-1`, 50 rounds each.
TRACE = gzip.decompress(base64.b64decode(
    "H4sIAAAAAAACA4XZe1BUZRjH8WUlvBWComiKs6AlqCN7v7C77I0QTMwLlaIFGkZUKJqYwCRQIFhoZEKgKDteMaHCRC1FHVxMQ25R"
    "KgZKARbeotTECWdDFsvfPDPve2b2j+9h99nPYdg957y4uIusyxvPnXUSCAT7vYVp9t7tKTdRzufnHfvG9D4e9qkmRw/o77daHD28"
    "9+HSO+OJ23SG8W+cseA+zkh+gDPCh9aQGR+71sCMYvcamJEw0tGe/T3lGexROuzR87BPvondmYY9sQDbrwx7+1ns9Cbss63Ylrs1"
    "cMzFE2vJMbdNqoVj7plcC8c83r8WZizW0xmFRpxRbsEZr0zHGfcW0RnSKJzx/Gs4Iy4GZwQn0Blpa3DGlmScEZNSC7+fuk+hrXEF"
    "jvYSuAnsdkHkw33NZ+r+29e7vdr391ldB6/74QI8p+91Xuvr/9vn1P865+x6eH/5J9hRedjZW7GPWLHbd2O77cfWfYX9Rjn25m+x"
    "T57AvmHDHv09dlAddvyP2IVN2GcuY99pwxZ1Ys+8hb3mNvaubuz6B9g9wgZo30HY4U9hpw7HLvHEvjgO29kHWzwJe9FU7CwJ9kEl"
    "dqsW+0kTtjoYO/p57JzZ2MdexP49AtsjCtu4FPvtN7Hzl2PbVmF3JWKPS8EOScdetR7buhHaqtnc8PhnqO9zZfXwr360b1D/5yrT"
    "07Hv0ZyKyf+3s7uoftQ0R+9TGwV9W6r9nj2l93uk/31SZzt+7iQwPnyfvhnVL/0/Y6i7qHXSCkc/2k7a6wSpWXb7xgNjH33/WK8l"
    "Op7z9GNzwj5AW0oe2i4WsG3mY9S2oRJtnc18W0kHtQ37A20/CcVgm+YiZtryfcXE1jZNDDZDqJhrE84VE9vShWKwfbYMbV0r2LaI"
    "zdS2ewvanMr5NlsFtU36Dm0LLqHtQAvbNk4gIbYYFwnYTokkXNs6PwmxdUolYBsbLAHbqlAJ03b5LWrzW4m2jGy+LSSX2vZvR1tL"
    "GdqU5Wyb9QK1XW9B2/Ruvm2Ik5TY4oZIwVbkJQVbt0jKtC2xSImtNFQKtm3RUq4tKo7aTq1G2931aJu1gW078iW1DTiEtsh6vs2n"
    "idoyfkXb4btoc7vPtiWNlRFblbcMbN46GdfWHiQjtlmzZGDzWCIDW9xSGdN2IZPafDaibW0x32Yqo7Zd36LtfA3a/BvYtoLb1NZ+"
    "H21GDznXNsBLTmyvPysHW75GDrY/dXKmbWGknNj2LJWDTZjKt1VlUZvvJrRF7Ebb18Vsm1c1tb3RgDbbdb4t8w61XXuAtnHuCrAl"
    "eCiYtitKBbFN1ivAtu5lBdcWGqUgtpJYBdhWvoe26lS2TbGT2lL3oa35FN9WdI7ahOfRJu9E24YbbNs9VyWxmUcqwbbdX8m1LVYr"
    "ic1mUoLt73Al2F6Yr2TavkmiNuc0tEVt5dsm7KK2daVoO3ISbe42ti35KrWdvoE2n4Eqrq1jmIrYQsaowJY0VQW2Rn8V06afqyK2"
    "rPkqsLWv5NtOJ1ObXwbaFuaj7eBWtm38cWqLtaGt6jLflvUbtV3vQpuXsxpsqweqmbZWPzWxTRGrwZY5Q821zZinJrbSRWqwXVmO"
    "NvU7bNuOXGq7uRVtoYf4thEnqG31GbTNb0FbWSvbNnaAhtheH6wBW+UEDdeWMVVDbL8rNGD7IlQDtoFhGqZtxXJqO5aAttE5fNvP"
    "+dQWuANt8eVoO3uEbZP9TG1rf0HbpX/4tm3OAcQmcA0Am9Q7AGwfTQxg2u4GBxCbMSwAbIUxAVxbZDy1VSai7U422sJy2LbDB6hN"
    "+A3aXm3k27ybqS29A22HutE2rIdtSxyvJTbbRC3YRAYt19Y2XUtswXO0YFsTrQVbQ4yWadN+SG3rctC2ej/fpjlIbYUVaFvSgLaj"
    "P7Jtz9yjtvgHaDvnqePaPhbpiO0vPx2e6/U6PNebdOxz/Ws6eq6P1eG5Pp1v68imtpA8tCXtQ1tjCdumr6O2rJ/Q1v4H37a3m9qG"
    "CPVg043Ugy13tJ5pswfoiW2GSQ+2PQv1XFtstJ7YzsWhbVMa2q6ns20v7qU2aynaer7j207UU5vPJbSF30RbaRfb5jkikNiWjAnE"
    "ayRZIP8aSRdIr5GeC8RrpAWBeI20KJB9jbSW2qZkoC2ziG+bUUxtpWVou2JDm/oM27bjGrXd7ELbNlcDfx3J00DXkUQGXEeSGXAd"
    "SWVgryMtMNB1pCgDriMl8W0+H1BbRjbaDhehzW0n25ZURW1V1Wjzvsq3td+itundaEscagTbD65Gpk0nMRJbpsoItrY5Rq5tT4SR"
    "2AZHG8FW9y7afJPZtk3bqK1lJ9o0x/m2ntPUFlmPtk/a0HbtKtsWPthEbEXDTGD7x8/EtR2XmojNW2cC27wXTGArmWti2kYlUNvi"
    "ZLRV5PJtqduprW0v2kYeRduy42zbxVZqm/Ab2lKczFybeYiZ2HaPMIPtwrNmsIknm5m2LTPNxNYx1wy23Hi+bX4itf3yPtpG5KHt"
    "7QK27fxRavOuRNt7zXybsYPadt5CW6zQArbKJyxM21RfC7G9O80CtsYQC9eWN8dCbPcjLGCbsgxt6SvYtlufUptxC9oKD/JtkRXU"
    "VnkabXea0BbWwrYdtlOb0CUI77NEQfz7LL8gep8lDXrcZvVSBz3+v+nIfwFQAVrN8CQAAA=="))
TRACED = ["cross nothing index=0 brackets=1 ops=50 ", "cross getppid index=1 brackets=1 ops=50 ",
          "cross mmap-1 index=8 brackets=1 ops=50 "]


def record(event: int, *extra: int, tsc: int | None = None) -> bytes:
    """One record as xentrace writes it."""
    header = event | len(extra) << 28 | (tsc is not None) << 31
    return struct.pack("<I", header) + (struct.pack("<Q", tsc) if tsc is not None else b"") \
        + struct.pack(f"<{len(extra)}I", *extra)


def call(number: int, *extra: int, tsc: int | None = 1) -> bytes:
    """A hypercall."""
    return record(0x0020110d, number, *extra, tsc=tsc)


def mark(begin: bool, index: int, tsc: int = 1) -> bytes:
    """One of our marks."""
    return call(xentrace.SCHED_OP | 1 << 20,
                (xentrace.MARK_BEGIN if begin else xentrace.MARK_END) | index, tsc=tsc)


def printed(trace: bytes) -> list[str]:
    """A trace as the guest prints it."""
    return [f"trace {base64.b64encode(gzip.compress(trace)).decode()}"]


class Trace(unittest.TestCase):
    """Decoding a trace of xentrace."""

    def test_recorded_trace(self):
        """A recorded trace gives the crossings per operation that Xen traced."""
        found = bench.xen_crossings(TRACED + printed(TRACE), None)
        self.assertEqual(["iret"], list(found["getppid"]))
        self.assertAlmostEqual(1, found["getppid"]["iret"], delta=0.05)
        for kind, number in {"page fault": 1, "mmu_update": 1, "iret": 3, "mmuext_op": 1,
                             "emulated page-table write": 1}.items():
            self.assertAlmostEqual(number, found["mmap-1"][kind], delta=0.05, msg=kind)
        self.assertGreater(len(xentrace.count(TRACE).boot), 10)

    def test_kinds(self):
        """Each kind of record has its name."""
        for extra, event, name in (((1,), 0x20110d, "mmu_update"), ((23,), 0x20110d, "iret"),
                                   ((14,), 0x20210e, "update_va_mapping (multicall)"),
                                   ((99,), 0x20110d, "hypercall 99"),
                                   ((0, 0), 0x201103, "trap"), ((), 0x201106, "emulated instruction"),
                                   ((), 0x20110b, "emulated page-table write"),
                                   ((), 0x201104, "page fault"), ((1,), 0x0001f003, None)):
            got, = xentrace.records(record(event, *extra))
            self.assertEqual(name, xentrace.kind(got))

    def test_only_what_is_between_marks(self):
        """Records between two marks count, records outside of them do not."""
        data = call(1) + mark(True, 4) + call(1) + call(23) + mark(False, 4) + call(23) + \
            mark(True, 4) + call(1) + mark(False, 4)
        counted = xentrace.count(data)
        self.assertEqual({4: {"mmu_update": 2, "iret": 1}}, counted.stretches)
        self.assertEqual([(1, "mmu_update")], counted.boot)

    def test_cpus_are_put_in_order(self):
        """Records of several CPUs are sorted by time."""
        on = [record(0x0001f003, cpu, 0) for cpu in (0, 1)]
        data = on[0] + mark(True, 1, tsc=10) + mark(False, 1, tsc=30) \
            + on[1] + call(1, tsc=5) + call(23, tsc=20) + call(23, tsc=40)
        self.assertEqual({1: {"iret": 1}}, xentrace.count(data).stretches)

    def test_damaged(self):
        """A trace that is cut off, or whose marks do not match, is refused."""
        for data, why in ((TRACE[:-2], "cut off|after the last"), (b"abc", "after the last record"),
                          (mark(True, 1), "ends inside"), (mark(True, 1) * 2, "begins inside"),
                          (mark(True, 1) + mark(False, 2), "ends inside"),
                          (record(0x0001f001, 5), "lost")):
            with self.subTest(why=why), self.assertRaisesRegex(Failure, why):
                xentrace.count(data)
        with self.assertRaisesRegex(Failure, "damaged"):
            bench.trace_of(["trace !!!"])
        with self.assertRaisesRegex(Failure, "what the marks cost is not known"):
            bench.xen_crossings(TRACED[1:] + printed(TRACE), None)


class Exits(unittest.TestCase):
    """Reading the exits that the KVM host counted."""

    def test_the_mark_is_taken_off(self):
        """The exit that a mark itself causes is not counted."""
        found = bench.kvm_crossings(["cross mmap-1 index=8 brackets=1 ops=50 78=150 124=1 1024=5 "], None)
        self.assertEqual({"exception 14": 3.0, "nested page fault": 0.1}
                         if 78 not in bench.SVM_EXITS else
                         {"page fault": 3.0, "nested page fault": 0.1}, found["mmap-1"])

    def test_phases_of_booting(self):
        """Exits of a boot are counted for each phase of it."""
        line = "cross boot index=65535 brackets=1 ops=1 0:123=900 1:114=3 2:1024=5 2:123=2 3:114=1 4:114=70 "
        booted = benchdata.Boot({"core": 10, "init": 20}, 30, 500000, 1000, 400000)
        found = bench.kvm_crossings([line], booted)
        self.assertEqual({"boot-entry": {"CPUID": 3}, "boot-core": {"nested page fault": 5, "I/O port": 2},
                          "boot-init": {"CPUID": 1}, "boot": {"nested page fault": 5, "I/O port": 2, "CPUID": 1}},
                         found)
        # Without the time of the first instruction, exits of the firmware are not counted.
        booted.entry_ticks = 0
        self.assertNotIn("boot-entry", bench.kvm_crossings([line], booted))
        self.assertEqual({}, bench.kvm_crossings([line], None))

    def test_names(self):
        """Each exit code of SVM has its name."""
        for code, name in ((0x13, "CR3 write"), (0x00, "CR0 read"), (0x4d, "exception 13"),
                           (0x7b, "I/O port"), (1000002, "emulated page-table write (of these)"), (0x400, "nested page fault"), (0x999, "exit 0x999")):
            self.assertEqual(name, bench.exit_name(code))


class Stamped(unittest.TestCase):
    """The image that records when its first instruction ran."""

    @staticmethod
    def image(target=0x100000, magic=b"HdrS"):
        made = bytearray(3 * 512 + 20)
        made[bootstamp.SETUP_SECTS] = 1
        made[bootstamp.MAGIC:bootstamp.MAGIC + 4] = magic
        struct.pack_into("<H", made, bootstamp.VERSION, 0x20f)
        struct.pack_into("<I", made, bootstamp.CODE32_START, target)
        return bytes(made)

    def test_where_it_goes(self):
        """The code is put behind the kernel's own, and the header says so."""
        made = bootstamp.stamped(self.image())
        # 20 bytes behind 512 of code are filled up to 32
        self.assertEqual(0x100000 + 512 + 32, struct.unpack_from("<I", made, bootstamp.CODE32_START)[0])
        self.assertEqual(bootstamp.code(0x100000), made[3 * 512 + 32:][:len(bootstamp.code(0))])
        self.assertEqual(len(made) - 2 * 512, 16 * struct.unpack_from("<I", made, bootstamp.SYSSIZE)[0])
        self.assertEqual(self.image()[2 * 512:], made[2 * 512:3 * 512 + 20])

    def test_the_code(self):
        """The code writes the TSC into the zero page and jumps to the kernel."""
        with tempfile.TemporaryDirectory(prefix="pvops-test.") as scratch:
            path = pathlib.Path(scratch) / "code"
            path.write_bytes(bootstamp.code(0x100000))
            said = subprocess.run(["objdump", "-D", "-b", "binary", "-m", "i386", path], capture_output=True,
                                  text=True, check=True).stdout
        self.assertEqual(["rdtsc", "mov %eax,0x80(%esi)", "mov %edx,0x84(%esi)", "mov $0x100000,%eax", "jmp *%eax"],
                         [re.sub(r"\s+", " ", line.split("\t")[2]).strip() for line in said.splitlines()
                          if line.count("\t") == 2])

    def test_others_are_refused(self):
        """A file that is no bzImage, and one with another load address, are refused."""
        for image, why in ((self.image(magic=b"none"), "not a bzImage"), (self.image(target=0x1000), "loaded at 0x1000")):
            with self.assertRaisesRegex(Failure, why):
                bootstamp.stamped(image)


class Statistics(unittest.TestCase):
    """Figures and spreads."""

    def test_combine(self):
        """Several boots give their median, and the spread between them."""
        value, spread = benchdata.combine([Sampled(100, 99, 100), Sampled(110, 110, 112),
                                           Sampled(104, 104, 104)])
        self.assertEqual(104, value)
        self.assertAlmostEqual(100 * 10 / 104, spread)
        # one boot: the quartiles
        self.assertEqual((200, 5.0), benchdata.combine([Sampled(200, 195, 205)]))
        self.assertEqual((0, 0.0), benchdata.combine([Sampled(0, 0, 0)]))

    def test_inside_the_spread_is_no_difference(self):
        """A difference within the spread of both is shown as none."""
        a = Row("w", "a", "", "x", instructions=1000, spread=1.0)
        for value, real in ((1000, False), (1019, False), (1021, True), (981, False), (979, True)):
            b = Row("w", "b", "", "x", instructions=value, spread=1.0)
            self.assertEqual(real, benchdata.instructions(a, b).real, value)
        table = benchdata.instruction_table([a, Row("w", "b", "", "x", 1019, 1.0),
                                             Row("w", "c", "", "x", 2000, 1.0)])
        self.assertRegex(table, r"x +1,000 +±1.0 % +1,019 += +2,000 +x 2.00")

    def test_parse(self):
        """The lines of the guest are read, and a torn line is left out."""
        line = "cost fork-exit min=1 median=5 max=9 all=5 batches=3 of=5 q1=4 q3=6"
        self.assertEqual({"fork-exit": Sampled(5, 4, 6)}, benchdata.parse_costs([line, "cost torn m"]))
        reference = "cost reference min=9 median=10 max=9 all=5 batches=3 of=5 q1=10 q3=10"
        self.assertEqual({"fork-exit": (0.5, 40.0)}, benchdata.parse_times([line, reference, line]))
        boot = benchdata.parse_boot(["phase core us=10", "phase init us=25",
                                     "boot reset-ticks=500000 clock-us=40 mark-ticks=1000"])
        self.assertEqual({"boot-core": 10000, "boot-init": 15000, "boot": 25000}, boot.lengths())
        self.assertEqual(501000 - 15000, boot.tsc_of(25))
        entered = benchdata.parse_boot(["phase core us=10", "boot reset-ticks=500000 clock-us=40 mark-ticks=1000 "
                                        "entry-ticks=400000"])
        self.assertEqual({"boot-entry": 501000 - 40000 - 400000, "boot-core": 10000, "boot": 10000},
                         entered.lengths())
        self.assertIsNone(benchdata.parse_boot(["nothing"]))
        self.assertEqual({"load-tar": Sampled(7, 5, 9)}, bench.load_costs(["load tar ticks=9,5,7"]))

    def test_memory(self):
        """What a boot costs more by GiB. The phases whose length does not depend on it have no figure."""
        self.assertEqual({"gib-core": 200, "gib": 300}, benchdata.per_unit(
            {"boot-entry": 7, "boot-core": 1000, "boot-init": 5, "boot": 2000},
            {"boot-entry": 9, "boot-core": 4000, "boot-init": 7, "boot": 6500}, 15))
        small, large = (bench.with_memory(world.load("xen-dom0"), mib) for mib in (256, 4096))
        self.assertEqual((256, 1024, 4096, 1024 + 4096 - 512),
                         (small.memory, small.host.memory, large.memory, large.host.memory))
        bench.check_memory(1)
        with self.assertRaisesRegex(Failure, "needs 99999999 MiB, and .* are available"):
            bench.check_memory(99999999)

    def test_combine_crossings(self):
        """Crossings of several boots give their mean, and a bound that allows for rounding."""
        mean, spread = benchdata.combine_crossings([{"iret": 3, "x (multicall)": 8}, {"iret": 4, "trap": 1}])
        self.assertEqual({"iret": 3.5, "trap": 0.5, "x (multicall)": 4}, mean)
        self.assertEqual(50.0, spread)
        self.assertEqual(({"iret": 2}, 0.0), benchdata.combine_crossings([{"iret": 2}]))
        self.assertEqual(({}, 0.0), benchdata.combine_crossings([{}]))
        a = Row("w", "v", "", "x", crossings={"iret": 100}, crossings_spread=4.0)
        for number, verdict in ((107, "same"), (113, "worse"), (87, "better")):
            b = Row("w", "v", "", "x", crossings={"iret": number}, crossings_spread=4.0)
            self.assertEqual(verdict, benchdata.compare([a], [b], 2.0)[0][0].verdict, number)

    def test_calls_in_a_multicall_are_no_crossings(self):
        """Calls inside of a multicall are not added to the crossings."""
        row = Row("w", "v", "", "x", crossings={"multicall": 2, "mmuext_op (multicall)": 9, "iret": 1})
        self.assertEqual(3, row.total)
        row = Row("w", "v", "", "x", crossings=bench.kvm_crossings(
            ["cross x index=8 brackets=1 ops=10 78=50 124=1 1000002=20 1000001=10 "], None)["x"])
        self.assertEqual((5, 2, 1), (row.total, row.crossings["emulated page-table write (of these)"],
                                     row.crossings["emulated instruction (of these)"]))


    def test_calls_of_ops(self):
        """Calls of pv ops are counted per operation, without those of the empty operation."""
        lines = ["cross nothing index=0 brackets=2 ops=200 mmu.pte_val=20 irq.save_fl=4 ",
                 "cross x index=8 brackets=1 ops=10 mmu.pte_val=60 mmu.set_pte=30 irq.save_fl=1 "]
        calls = bench.op_calls(lines)
        self.assertEqual({"x": {"mmu.pte_val": 5.0, "mmu.set_pte": 3.0}}, calls)
        with self.assertRaises(Failure):
            bench.op_calls(lines[1:])
        rows = [Row("bare", "native", "", "x", 1000), Row("w", "rom", "", "x", 1160, calls=calls["x"])]
        line = benchdata.call_table(rows, "rom").splitlines()[-1].split()
        self.assertEqual(["x", "8", "160", "20.0", "5", "mmu.pte_val,", "3", "mmu.set_pte"], line)
        self.assertEqual("", benchdata.call_table(rows, "native"))


class Files(unittest.TestCase):
    """Report files: good, absent, damaged."""

    def setUp(self):
        scratch = tempfile.TemporaryDirectory(prefix="pvops-test.")
        self.addCleanup(scratch.cleanup)
        self.scratch = pathlib.Path(scratch.name)

    def report(self, name="a.json", factor=1.0, crossings=7.0):
        rows = [Row("bare", "native", "native", "getppid", 228, 0.1, 2),
                Row("bare", "native", "native", "fork-exit", 347186, 0.4, 2),
                Row("xen-dom0", "xen", "xen", "getppid", 892, 0.0, 2, {"iret": 1.0}),
                Row("xen-dom0", "xen", "xen", "fork-exit", 1124638 * factor, 0.1, 2,
                    {"iret": 19.2, "mmu_update": crossings})]
        path = self.scratch / name
        benchdata.save(path, rows, {"complete": True, "variants": {}})
        return path, rows

    def test_saved_is_loaded(self):
        """A report that was saved is loaded unchanged, and has a CSV file beside it."""
        path, rows = self.report()
        got, about = benchdata.load(path)
        self.assertEqual(rows, got)
        self.assertTrue(about["complete"])
        lines = path.with_suffix(".csv").read_text().splitlines()
        self.assertEqual(1 + len(rows), len(lines))
        self.assertTrue(lines[0].startswith("world,variant,backend,op,instructions,"))

    def test_absent_and_damaged(self):
        """A report that is absent, damaged or of another version is one line."""
        path, _ = self.report()
        whole = path.read_text()
        self.assertRaisesRegex(Failure, "no such report", benchdata.load, self.scratch / "none")
        for text, why in ((whole[:200], "damaged"), ("", "damaged"), ("[]", "no results"),
                          ('{"results": []}', "version"),
                          (whole.replace('"version": 1', '"version": 9'), "version 9"),
                          (whole.replace('"op"', '"what"', 1), "result 1 has no op"),
                          (whole.replace("228", '"228"'), "no number"),
                          (json.dumps({"version": 1, "results": [3]}), "has no keys")):
            path.write_text(text)
            with self.subTest(why=why), self.assertRaisesRegex(Failure, why) as caught:
                benchdata.load(path)
            self.assertNotIn("\n", str(caught.exception))

    def compare(self, a, b):
        with contextlib.redirect_stdout(io.StringIO()) as said:
            return benchcompare.compare(a, b, 2.0, False), said.getvalue()

    def test_compare(self):
        """Comparing two reports fails if an operation got dearer, and only then."""
        a, _ = self.report("a.json")
        self.assertEqual(0, self.compare(a, a)[0])
        self.assertEqual(0, self.compare(a, self.report("b.json", 1.015)[0])[0])
        self.assertEqual(0, self.compare(a, self.report("b.json", 0.5)[0])[0])
        status, said = self.compare(a, self.report("b.json", 1.03)[0])
        self.assertEqual(1, status)
        self.assertIn("+3.00 %", said)
        self.assertEqual(1, self.compare(a, self.report("b.json", 1.0, 12.0)[0])[0])
        # a tick more or less
        self.assertEqual(0, self.compare(a, self.report("b.json", 1.0, 8.0)[0])[0])
        other = self.scratch / "c.json"
        benchdata.save(other, [Row("bare", "else", "", "getppid", 1)], {})
        with self.assertRaisesRegex(Failure, "no figure in common"):
            self.compare(a, other)

    def test_bounds(self):
        """Figures above bench/bounds.toml fail, and bounds that were written pass."""
        path = self.scratch / "bounds.toml"
        head = "margin_percent = { instructions = 2, crossings = 5 }\n"
        path.write_text(head + "[bound.xen]\nfork-exit = { instructions = 1, crossings = 1 }\n")
        _, rows = self.report()
        self.assertEqual(2, sum(line.startswith("not ok") for line in benchcompare.judge(rows, path)))
        benchcompare.write_bounds(rows, path)
        self.assertEqual(6, len(benchcompare.judge(rows, path)))
        self.assertTrue(all(line.startswith("ok") for line in benchcompare.judge(rows, path)))
        _, dearer = self.report(factor=1.03)
        self.assertEqual(["not ok xen fork-exit instructions"],
                         [line.split(" - ")[0] for line in benchcompare.judge(dearer, path)
                          if not line.startswith("ok")])
        self.assertIn("was not measured", " ".join(benchcompare.judge(rows[:-1], path)))
        for text, why in (("", "margin_percent"), (head, "no bounds"), ("x = ", "x|Invalid"),
                          (head + "[bound.v]\nop = { time = 3 }\n", "is no bound")):
            path.write_text(text)
            with self.subTest(why=why), self.assertRaisesRegex(Failure, why):
                benchcompare.judge(rows, path)

    def test_pictures(self):
        """The pictures and the page are drawn from a report."""
        path, _ = self.report()
        page = benchplot.draw_report(path)
        self.assertIn("<svg", page.read_text())
        for name in ("bench-instructions", "bench-crossings-xen"):
            self.assertGreater((self.scratch / f"{name}.png").stat().st_size, 5000)
            self.assertIn("per operation", (self.scratch / f"{name}.svg").read_text())
        path.write_text("{")
        self.assertRaisesRegex(Failure, "damaged", benchplot.draw_report, path)


class Lists(unittest.TestCase):
    """Variants, operations, the program."""

    def test_variants(self):
        """bench/variants.toml loads, and a wrong entry is refused."""
        labels = [one.label for one in bench.load_variants()]
        self.assertEqual("native", labels[0])
        self.assertIn("xen", labels)
        with tempfile.TemporaryDirectory() as scratch:
            path = pathlib.Path(scratch, "v.toml")
            for text, why in (('[[variant]]\nlabel = "a"', "needs a label and a world"),
                              ('[[variant]]\nlabel = "a b"\nworld = "bare"', "letters"),
                              ('[[variant]]\nlabel = "a"\nworld = "bare"\nx = 1', "no such setting"),
                              ('[[variant]]\nlabel = "a"\nworld = "bare"\nflavour = "x"', "flavour")):
                path.write_text(text)
                with self.subTest(why=why), self.assertRaisesRegex(Failure, why):
                    bench.load_variants(path)
            path.write_text('[[variant]]\nlabel = "a"\nworld = "no-such-world"')
            self.assertEqual([], bench.load_variants(path))
        self.assertRaisesRegex(Failure, "no variant", bench.chosen, ["nosuch"], [])
        one, = bench.chosen(["mine=bare,pv_counters,quiet"], [])
        self.assertEqual(("mine", "bare", "pv_counters quiet"), (one.label, one.world, one.cmdline))

    def test_the_program_runs_and_knows_every_operation(self):
        """Here without -icount: a tick is no instruction, but all of it must work."""
        with tempfile.TemporaryDirectory() as scratch:
            jobfiles.fill_bench(pathlib.Path(scratch))
            programs = pathlib.Path(scratch, jobfiles.LIB)
            ops = [op for op in benchdata.REPEATED if op not in bench.SMP_OPS]
            done = subprocess.run([programs / "opcost", "budget=1", f"ops={','.join(ops)}",
                                   programs / "tiny"], capture_output=True, text=True,
                                  timeout=120, check=False)
            self.assertEqual(set(ops), set(benchdata.parse_costs(done.stdout.splitlines())))
            for op in (*bench.SMP_OPS, *(op.removesuffix(benchdata.TWO_THREADS) for op in ops)):
                self.assertIn(f'.name = "{op}"', "".join(
                    path.read_text() for path in (bench.BENCH / "guest").glob("ops_*.c")))
            done = subprocess.run([programs / "opcost", "run", "x", "2", "false"],
                                  capture_output=True, text=True, check=False)
            self.assertEqual(1, done.returncode)
            self.assertIn("not ok", done.stdout)


class Profiles(unittest.TestCase):
    """Instructions by function."""

    SYMBOLS = {"user": benchprofile.Symbols(["0000000000401000 T do_round"]),
               "kernel": benchprofile.Symbols(["ffffffff81000000 T first", "ffffffff81000100 t second"]),
               "xen": benchprofile.Symbols(["ffff82d040200000 t traps.c#pv"])}

    @staticmethod
    def key(address, flags):
        return f"00000000/{address:016x}/{flags:08x}/ff000201".encode()

    def test_adding_up(self):
        """Instructions are summed up by function, per operation."""
        counted = {self.key(0x401000, 3): 2, self.key(0xffffffff81000104, 3): 6,
                   self.key(0xffff82d040200010, 0): 4, self.key(0xffffffff810000ff, 3): 2}
        profile = benchprofile.add_up(counted, "xen-dom0", self.SYMBOLS, 0x401000, 1)
        self.assertEqual([("kernel", "second", 3.0), ("xen", "traps.c#pv", 2.0)], profile.rows()[:2])
        with self.assertRaisesRegex(Failure, "not one operation"):
            benchprofile.add_up({self.key(0xffffffff81000104, 0): 1}, "direct", self.SYMBOLS, 0x401000, 1)

    def boot_log(self, *parts):
        """A log of blocks: (address, flags), before the first time their code, if there is any."""
        known, lines = {}, []
        for address, flags, code in parts:
            if (address, flags) not in known:
                known[address, flags] = True
                lines += [b"----------------\n", b"IN: \n"] if code else []
                lines += [f"0x{address:016x}:  {line}\n".encode() for line in code]
                lines += [b"\n"] if code else []
            lines.append(b"Trace 0: 0x7f10 [" + self.key(address, flags) + b"] second\n")
        return lines

    def test_boot(self):
        """A boot begins in the kernel, ends in a program, and each block counts as often as it is long."""
        one = f"{'90':24} nop"
        long = [f"{'c7 05 c8 61 0f 00 01 00':24} movl     $1, 0xf61c8", "00 00"]
        first, xen, user = 0xffffffff81000000, 0xffff82d040200010, 0x401000
        reader = benchprofile._BootReader(pathlib.Path("none"), "xen-dom0")
        reader.read(self.boot_log((xen, 0, [one] * 9), (0x7c00, 0, [one]), (first, 3, [one, *long, one]),
                                  (xen, 0, []), (first, 3, []), (first + 0x104, 3, [one]), (user, 3, [one] * 5),
                                  (first, 3, [])))
        self.assertTrue(reader.full.is_set())
        profile = benchprofile.add_up(reader.counted, "xen-dom0", self.SYMBOLS, None, 1)
        self.assertEqual([("xen", "traps.c#pv", 9.0), ("kernel", "first", 6.0), ("kernel", "second", 1.0)],
                         profile.rows())
        self.assertEqual((1, True, first, 0),
                         (profile.operations, reader.complete, reader.first, reader.unknown))
        reader = benchprofile._BootReader(pathlib.Path("none"), "direct")
        reader.read(self.boot_log((0x7c00, 0, [one]), (first, 0, []), (0x100000, 0, [one])))
        self.assertEqual((False, first, 1), (reader.complete, reader.first, reader.unknown))
        profile = benchprofile.add_up(reader.counted, "direct", self.SYMBOLS, None, 1)
        self.assertEqual([("kernel", "first", 1.0), ("start", "", 1.0)], profile.rows())

    def test_boot_elsewhere(self):
        """No profile of a boot where another kernel has the same addresses."""
        for word in ("other=xen-domU", "other=kvm-npt"):
            variant, = bench.chosen([word], [])
            with self.assertRaisesRegex(Failure, "bare metal or of dom0"):
                benchprofile.watch(variant, "boot", 1)

    def test_places(self):
        """An address belongs to the host, the kernel, Xen or user space by its value and CPL."""
        guest = benchprofile.IN_GUEST
        for address, flags, kind, where in (
                (0xffffffff81000000, 0, "kvm", "host"), (0xffffffff81000000, guest, "kvm", "kernel"),
                (0x401000, guest | 3, "kvm", "user"), (0x401000, 3, "kvm", "QEMU"), (0x401000, 0, "direct", "start"),
                (0xffffffff81000000, 3, "xen-dom0", "kernel"), (0x401000, 3, "direct", "user"),
                (0xffff82d040200000, 0, "xen-dom0", "xen")):
            self.assertEqual(where, benchprofile.place(address, flags, kind))

    def test_rom(self):
        """Addresses in the load area of a ROM belong to the ROM's functions."""
        first = benchprofile.ROM_FIRST
        self.assertEqual(0xfffffffffefc0000, first)
        rom = benchprofile.Symbols(["0000000000000000 a VMI64_CALL_CPUID", "0000000000000000 t init_cpu",
                                    "0000000000000100 T pte_encode"], first)
        for address, flags, where in ((first, 0, "rom"), (first - 1, 0, "kernel"), (first, 3, "kernel"),
                                      (benchprofile.MODULES_END, 0, "kernel")):
            self.assertEqual(where, benchprofile.place(address, flags, "direct", True))
        self.assertEqual("kernel", benchprofile.place(first, 0, "direct"))
        counted = {self.key(0x401000, 3): 1, self.key(first + 0x104, 0): 5, self.key(first, 0): 2}
        profile = benchprofile.add_up(counted, "direct", self.SYMBOLS | {"rom": rom}, 0x401000, 1)
        self.assertEqual([("rom", "pte_encode", 5.0), ("rom", "init_cpu", 2.0)], profile.rows()[:2])


class Projections(unittest.TestCase):
    """Cycles, with a price for each crossing."""

    def setUp(self):
        self.prices, self.of = benchproject.load()
        self.rows = [Row("bare", "native", "native", "fork-exit", 1000.0),
                     Row("xen-dom0", "hypercall", "hypercall", "fork-exit", 3000.0,
                         crossings={"iret": 8.0, "multicall": 2.0, "mmu_update (multicall)": 5.0}),
                     Row("kvm-shadow", "kvm-shadow", "kvm", "fork-exit", 2000.0, crossings={"page fault": 4.0})]

    def test_prices_have_sources(self):
        """Each price says what it is and where it is published; each variant with a price is one of ours."""
        for price in self.prices.values():
            self.assertTrue(price.cycles > 0 and price.about and price.source)
        self.assertLessEqual(set(self.of), {one.label for one in bench.load_variants()})

    def test_price_decides(self):
        """The one with fewer instructions wins as long as its crossings are cheap."""
        benchproject.change(self.prices, self.of, ["pv=100", "exit=400"])
        projected, equal = benchproject.tables(self.rows, self.prices, self.of, 1.0)
        # calls inside a multicall are no crossings: 3,000 + 10 * 100, and 2,000 + 4 * 400
        self.assertRegex(projected, r"fork, exit.* 1,000 < +4,000 +3,600")
        # 2,000 + 4 * 500
        self.assertRegex(equal, r"crossings of hypercall cost 100 +kvm-shadow as dear at")
        self.assertRegex(equal, r"fork, exit.* 500")
        benchproject.change(self.prices, self.of, ["pv=0", "kvm-shadow=nested"])
        self.assertRegex(benchproject.tables(self.rows, self.prices, self.of, 2.0)[0], r"2,000 < +6,000 +154,932")

    def test_what_is_not_known(self):
        """Without crossings there is no figure for a variant that has a price."""
        self.rows[2].crossings = None
        projected, equal = benchproject.tables(self.rows, self.prices, self.of, 1.0)
        self.assertRegex(projected, r"4,500 +-")
        self.assertRegex(equal, r"fork, exit.* -")
        with self.assertRaisesRegex(Failure, "STEPS=measure,count"):
            benchproject.tables(self.rows[:1] + [Row("x", "hypercall", "", "fork-exit", 1.0, crossings={})],
                                self.prices, self.of, 1.0)
        with self.assertRaisesRegex(Failure, "no variant of the report has a price: native"):
            benchproject.tables(self.rows[:1], self.prices, self.of, 1.0)

    def test_bad_prices(self):
        """A bad price is refused in one line."""
        for word, line in (("exit", "give PRICE=CYCLES"), ("exit=", "nothing is no number"),
                           ("exit=-1", "-1 is no number"), ("exit=nan", "nan is no number"),
                           ("xen=cheap", "the prices are pv, pv-xpti, exit, nested")):
            with self.assertRaisesRegex(Failure, line):
                benchproject.change(self.prices, self.of, [word])
        with tempfile.TemporaryDirectory() as name:
            path = pathlib.Path(name) / "prices.toml"
            whole = "[price.a]\ncycles = 1\nabout = 'x'\nsource = 'y'\n[of]\nxen = 'b'\n"
            for text, line in (("[of]\n", "price"), ("[price.a]\ncycles = 1\n[of]\n", "about"),
                               ("=", "prices.toml"), (whole, "xen has the price b")):
                path.write_text(text)
                with self.assertRaisesRegex(Failure, line):
                    benchproject.load(path)
            with self.assertRaisesRegex(Failure, "No such file"):
                benchproject.load(path.with_name("none"))


if __name__ == "__main__":
    unittest.main()
