# SPDX-License-Identifier: GPL-2.0
"""The comparisons find each real difference, and no other."""

import base64
import dataclasses
import gzip
import pathlib
import subprocess
import tempfile
import types
import unittest

from tools.pvops import common, elf, kconfig_matrix, lint, objcompare, objects, textcompare

C = """
extern int other(int);
extern int table[];
static const int local = 7;
int function(int x)
{{
	asm volatile("1: ud2\\n"
		     ".pushsection __bug_table, \\"aw\\"\\n"
		     ".long 1b - .\\n .long 0\\n .word {line}\\n .word 1\\n"
		     ".popsection");
	return other(x) {more} + table[x] + local;
}}
"""


class Objects(unittest.TestCase):
    """objcompare on objects made here."""

    def setUp(self):
        scratch = tempfile.TemporaryDirectory(prefix="pvops-test.")
        self.addCleanup(scratch.cleanup)
        self.scratch = pathlib.Path(scratch.name)

    def build(self, name, line=10, more="", flags=()):
        path = self.scratch / f"{name}.c"
        path.write_text(C.format(line=line, more=more))
        out = self.scratch / f"{name}.o"
        subprocess.run(["gcc", "-O2", "-fno-pic", "-mcmodel=kernel", "-c", *flags, "-o", out, path], check=True)
        return elf.Elf(out)

    def test_no_target_inside_another(self):
        """A target inside of another one is left out."""
        self.assertEqual(["mm/", "kernel/fork.o", "arch/x86/mm/"],
                         objcompare.outermost(["mm/", "kernel/fork.o", "mm/mprotect.o", "arch/x86/mm/", "mm/",
                                               "arch/x86/mm/tlb.o", "kernel/fork.o"]))

    def test_equal(self):
        """Two objects from the same source are equal."""
        self.assertEqual([], objcompare.compare("x", self.build("a"), self.build("b")))

    def test_a_moved_line_is_no_difference(self):
        """Line numbers in BUG() tables are not compared."""
        one, two = self.build("a", line=10), self.build("b", line=4711)
        raw = [next(section.data for section in each.sections if section.name == "__bug_table")
               for each in (one, two)]
        self.assertNotEqual(*raw)
        self.assertEqual([], objcompare.compare("x", one, two))

    def test_code_of_equal_size(self):
        """Other code of equal size is a difference."""
        said = objcompare.compare("x", self.build("a", more="* 3"), self.build("b", more="* 5"))
        self.assertEqual([".text"], [one.section for one in said])
        self.assertIn("bytes differ", said[0].text)

    def test_size(self):
        """Another size is a difference."""
        said = objcompare.compare("x", self.build("a", more="+ other(1)"), self.build("b"))
        self.assertIn("size", said[0].text)

    def test_only_a_relocation_differs(self):
        """A relocation against another symbol is a difference."""
        other = self.build("a", flags=["-Dother=othex"])
        said = objcompare.compare("x", other, self.build("b"))
        self.assertTrue(any("relocations differ" in one.text and "othex" in one.text for one in said), said)

    def test_new_section(self):
        """A section that only one object has is a difference."""
        said = objcompare.compare("x", self.build("a", flags=["-ffunction-sections"]), self.build("b"))
        self.assertEqual("sections", said[0].section)

    def test_names(self):
        """Numbers that the compiler puts into names of local symbols are not compared."""
        for name, want in (("foo.12", "foo.N"), ("__UNIQUE_ID_alias123", "__UNIQUE_ID_aliasN"),
                           ("pte_offset_map2", "pte_offset_map2"), ("vcpu4", "vcpu4"),
                           ("__initcall__kmod_kvm__305_1042_init6", "__initcall__kmod_kvm__N_N_initN")):
            self.assertEqual(want, objcompare.plain_name(name))

    def test_not_elf(self):
        """A file that is not ELF is refused in one line."""
        (self.scratch / "a.o").write_bytes(b"no")
        with self.assertRaisesRegex(common.Failure, "is not a 64-bit ELF file"):
            elf.Elf(self.scratch / "a.o")


class Warnings(unittest.TestCase):
    """Reading build logs."""

    LOG = """\
  CC      mm/memory.o
../../linux/mm/memory.c:10:5: warning: no previous prototype for 'x' [-Wmissing-prototypes]
/tmp/k/mm/memory.c:12:5: warning: context imbalance in 'y' - unexpected unlock
  CC      arch/x86/pvops/native-backend/rmw.o
arch/x86/pvops/native-backend/rmw.o: warning: objtool: f+0x12: call to g() leaves .noinstr.text section
vmlinux.o: warning: objtool: h+0x1: missing int3 after ret
WARNING: modpost: vmlinux: section mismatch in reference: a+0x4 (section: .text) -> b
../arch/x86/kernel/x.c:1:1: error: unknown type name 'foo'
"""

    def test_all_kinds_are_seen(self):
        """Warnings of gcc, sparse, objtool and modpost are found in a build log."""
        found = objects.warnings(self.LOG, pathlib.Path("/tmp/k"))
        self.assertEqual(
            ["mm/memory.c", "mm/memory.c", "arch/x86/pvops/native-backend/rmw.o", "vmlinux.o", "modpost",
             "arch/x86/kernel/x.c"], [one.file.removeprefix("linux/") for one in found])
        self.assertEqual("error", found[-1].kind)

    def test_new_ones(self):
        """A warning is new if the other build has it less often; its line does not matter."""
        one = objects.Warning("a.c", "warning", "x", 1)
        moved = objects.Warning("a.c", "warning", "x", 99)
        other = objects.Warning("a.c", "warning", "y", 1)
        self.assertEqual([], objects.new_warnings([one], [moved]))
        self.assertEqual([one], objects.new_warnings([one, moved], [moved]))
        self.assertEqual([other], objects.new_warnings([one, other], [moved]))
        here = objects.Warning("a.h", "warning", "context imbalance in 'f' - unexpected unlock", 1)
        there = objects.Warning("b.c", "warning", "context imbalance in 'f' - unexpected unlock", 1)
        self.assertEqual([], objects.new_warnings([here], [there]))

    def test_change_config(self):
        """Options are changed in a configuration, others are kept."""
        text = "CONFIG_A=y\n# CONFIG_B is not set\nCONFIG_AB=m\n"
        self.assertEqual({"AB": "m", "B": "y"}, objects.parse_config(objects.change_config(text, {"A": "n", "B": "y"})))


class Lint(unittest.TestCase):
    """The SPDX check, tests/lint.toml, and who uses Xen's event mask."""

    def test_who_uses_the_event_mask(self):
        """A function that uses it is named, unless kprobes refuses it."""
        source = """
extern char xen_vcpu_info[64];
extern char other;
static __attribute__((noinline)) char inner(void) { return xen_vcpu_info[1]; }
char outer(void) { return inner() + other; }
char written(void) { xen_vcpu_info[1] = 1; return other; }
__attribute__((section(".kprobes.text"))) char refused(void) { return xen_vcpu_info[1]; }
__attribute__((section(".noinstr.text"))) char entry(void) { return xen_vcpu_info[1]; }
__attribute__((section(".init.text"))) char init(void) { return xen_vcpu_info[1]; }
"""
        with tempfile.TemporaryDirectory(prefix="pvops-test.") as scratch:
            out = pathlib.Path(scratch) / "x.o"
            subprocess.run(["gcc", "-O2", "-fno-pic", "-mcmodel=kernel", "-x", "c", "-c", "-o", out, "-"],
                           input=source, text=True, check=True)
            self.assertEqual(["inner", "written"], lint.readers_of_the_mask(elf.Elf(out)))

    def test_spdx(self):
        """A file needs an SPDX line with our licence in its first lines."""
        for text, good in (("// SPDX-License-Identifier: GPL-2.0\nint x;\n", True),
                           ("#!/bin/sh\n# SPDX-License-Identifier: GPL-2.0\n", True),
                           ("/* SPDX-License-Identifier: GPL-2.0 */\n", True),
                           (".. SPDX-License-Identifier: GPL-2.0\n", True),
                           ("int x;\n", False), ("\n" * 8 + "// SPDX-License-Identifier: GPL-2.0\n", False),
                           ("// SPDX-License-Identifier: Proprietary\n", False), ("", False)):
            with self.subTest(text=text):
                self.assertEqual(good, not lint.check_spdx("x", text.encode()))

    def test_allowing_needs_a_reason(self):
        """An entry of tests/lint.toml without a reason is refused."""
        with tempfile.NamedTemporaryFile("w", suffix=".toml") as file:
            file.write('[[allow]]\ncheck = "spdx"\nfile = "a"\ntext = "b"\n')
            file.flush()
            with self.assertRaisesRegex(common.Failure, "needs check, file, text and reason"):
                lint.allowed(pathlib.Path(file.name))

    def test_permitted_is_exact_about_check_and_file(self):
        """An entry of tests/lint.toml allows one check of one file."""
        entries = [{"check": "spdx", "file": "a", "text": "b", "reason": "c"}]
        self.assertTrue(lint.permitted(entries, "spdx", "a", "xbx"))
        self.assertFalse(lint.permitted(entries, "spdx", "aa", "xbx"))
        self.assertFalse(lint.permitted(entries, "compile", "a", "xbx"))
        self.assertFalse(lint.permitted(entries, "spdx", "a", "x"))


KCONFIG = """
menuconfig PVOPS
	bool "x"
	depends on X86_64 && HAVE_IT
	select OTHER
	help
	  config NOT_ONE
if PVOPS
config PVOPS_A
	bool "a"
	depends on JUMP_LABEL
config PVOPS_B
	bool "b"
config PVOPS_C
	bool "c" if !TESTS
	depends on PVOPS_B
	depends on KUNIT=y
endif # PVOPS
config OUTSIDE
	bool
"""


class Kconfig(unittest.TestCase):
    """Which combinations of options are built."""

    def setUp(self):
        self.options = kconfig_matrix.parse_kconfig(KCONFIG)
        self.config = {"X86_64": "y", "HAVE_IT": "y", "JUMP_LABEL": "y", "KUNIT": "y"}

    def names(self, variant, config, exhaustive=False):
        return {"+".join(sorted(chosen))
                for chosen in kconfig_matrix.plan(self.options, variant, config, exhaustive)}

    def test_parse(self):
        """Options and what they depend on are read from Kconfig."""
        self.assertEqual({"PVOPS": ("X86_64", "HAVE_IT"), "PVOPS_A": ("PVOPS", "JUMP_LABEL"), "PVOPS_B": ("PVOPS",),
                          "PVOPS_C": ("PVOPS", "PVOPS_B", "KUNIT=y"), "OUTSIDE": ()},
                         {option.name: option.depends for option in self.options})

    def test_every_closed_set(self):
        """With --exhaustive each set of options that Kconfig allows is built."""
        self.options.pop()
        want = {"", "PVOPS", "PVOPS+PVOPS_A", "PVOPS+PVOPS_B", "PVOPS+PVOPS_A+PVOPS_B", "PVOPS+PVOPS_B+PVOPS_C",
                "PVOPS+PVOPS_A+PVOPS_B+PVOPS_C"}
        self.assertEqual(want, self.names("base", self.config, True))
        del self.config["JUMP_LABEL"]
        self.assertEqual({name for name in want if "_A" not in name}, self.names("base", self.config, True))
        self.config["KUNIT"] = "m"
        self.assertEqual({"", "PVOPS", "PVOPS+PVOPS_B"}, self.names("base", self.config, True))

    def test_all_but_each(self):
        """Without --exhaustive all options, all but each and each alone are built."""
        self.options.pop()
        self.assertEqual({"", "PVOPS", "PVOPS+PVOPS_A", "PVOPS+PVOPS_B", "PVOPS+PVOPS_B+PVOPS_C",
                          "PVOPS+PVOPS_A+PVOPS_B", "PVOPS+PVOPS_A+PVOPS_B+PVOPS_C"},
                         self.names("base", self.config))

    def test_variant(self):
        """With another option of the kernel off, few sets of our options are built."""
        self.options.pop()
        few = {"", "PVOPS", "PVOPS+PVOPS_A+PVOPS_B+PVOPS_C"}
        self.assertEqual(few, self.names("SMP=n", self.config))
        self.assertEqual(few | {"PVOPS+PVOPS_A", "PVOPS+PVOPS_B", "PVOPS+PVOPS_B+PVOPS_C"},
                         self.names("SMP=n", self.config, True))

    def test_sparse_that_stopped_at_an_error_hides_no_news(self):
        """If sparse stopped at an error in the unpatched file, its other complaints are no news."""
        lock = objects.Warning("mm/memory.c", "warning", "context imbalance in 'copy_pte_range' - unexpected unlock")
        ours = objects.Warning("arch/x86/pvops/a.c", "warning", "context imbalance in 'f' - unexpected unlock")
        other = objects.Warning("mm/memory.c", "warning", "incorrect type in argument 1")
        stopped = objects.Warning("mm/memory.c", "error", "incompatible types in conditional expression")
        self.assertEqual([lock, ours, other], kconfig_matrix.news([lock, ours, other], []))
        self.assertEqual([ours, other], kconfig_matrix.news([lock, ours, other], [stopped]))

    def test_done_is_for_the_same_inputs_only(self):
        """A result is used again only for the same sources and configuration."""
        warned = [objects.Warning("mm/memory.c", "error", "x", 7)]
        with tempfile.TemporaryDirectory(prefix="pvops-test.") as scratch:
            path = pathlib.Path(scratch) / "done.json"
            for name, kept in (("none", warned), ("all", [])):
                result = kconfig_matrix.Result("base", name, False, 1.5, 3, [])
                kconfig_matrix.Done(path, "key").put(result, warned)
                asked = dataclasses.replace(result, seconds=0, objects=0)
                self.assertEqual((result, kept), kconfig_matrix.Done(path, "key").get(asked))
                self.assertIsNone(kconfig_matrix.Done(path, "other").get(asked))
                self.assertIsNone(kconfig_matrix.Done(path, "key").get(dataclasses.replace(asked, linked=True)))
            self.assertEqual(2, len(kconfig_matrix.Done(path, "key").entries))
            for damage in ("", "[]", "{", '{"key": "key"}', '{"key": "key", "entries": {"base all": {}}}'):
                path.write_text(damage)
                self.assertIsNone(kconfig_matrix.Done(path, "key").get(asked))

    def test_what_it_cannot_judge_is_said(self):
        """A dependency that the tool does not understand is refused."""
        with self.assertRaisesRegex(common.Failure, r"cannot judge 'depends on A \|\| B'"):
            kconfig_matrix.parse_kconfig("config X\n\tbool\n\tdepends on A || B\n")

    def test_our_own_file(self):
        """Our own Kconfig is understood."""
        text = (common.ROOT / "Kconfig").read_text()
        options = {option.name for option in kconfig_matrix.parse_kconfig(text)}
        self.assertIn("PVOPS", options)
        self.assertEqual(options, {line.split()[1] for line in text.splitlines()
                                   if line.startswith(("config ", "menuconfig "))})


# A function with one site at 4, native on the fall-through, a pv call out of line.
#  0: push   4: nop5   9: xchg   c: pop   d: ret   e: call   13: jmp c
GOOD = {0: (4, "sub $0x8,%rsp"), 4: (5, "nopl 0x0(%rax,%rax,1)"), 9: (3, "xchg %rax,(%rdi)"),
        0xc: (1, "pop %rax"), 0xd: (1, "ret"), 0xe: (5, "call 0x100"), 0x13: (2, "jmp 0xc")}


def code(table):
    """Instructions by address."""
    return {at: textcompare.Instruction(at, size, text) for at, (size, text) in table.items()}


class FakeKernel:
    """Names and bytes for the checks; no ELF file."""

    def __init__(self, table, there=b"\x0f\x1f\x44\x00\x00"):
        self.code, self.there = code(table), there
        function = types.SimpleNamespace(name="f", value=0, size=0x30, bind=1)
        self.by_base = {"f": [function]}
        self.functions = {0: function}
        self.elf = types.SimpleNamespace(read=lambda _at, size: bytes(size))
        self.files = {}

    def bytes_at(self, _address, size):
        return self.there[:size]

    def name_of(self, target):
        return {0x100: "pv_op", 0x200: "helper", None: "indirect"}.get(target, "?")

    def disassemble(self, _function):
        return self.code

    def code_of(self, _function, _raw):
        return self.code

    def twin(self, function, _file):
        return self.by_base[function.name][0]

    @property
    def function(self):
        return self.by_base["f"][0]


class Text(unittest.TestCase):
    """textcompare on small pieces of code."""

    def site(self, table, there=b"\x0f\x1f\x44\x00\x00"):
        kernel = FakeKernel(table, there)
        return textcompare.check_site(kernel, kernel.function, kernel.code, 4, 0xe)

    def test_good_site(self):
        """A site with a no-op and the native instruction behind it is good."""
        site = self.site(GOOD)
        self.assertEqual(("", "xchg %rax,(%rdi)"), (site.problem, site.native))

    def test_site_that_jumps(self):
        """A site that is no no-op is a problem."""
        site = self.site({**GOOD, 4: (5, "jmp 0xe")}, b"\xe9\x05\x00\x00\x00")
        self.assertIn("is not a no-op", site.problem)

    def test_call_before_the_native_instruction(self):
        """A call between the site and the native instruction is a problem."""
        table = {**GOOD, 9: (5, "call 0x200"), 0xe: (3, "xchg %rax,(%rdi)"), 0x11: (1, "ret")}
        del table[0xc], table[0xd], table[0x13]
        self.assertIn("call helper between", self.site(table).problem)

    def test_jump_before_the_native_instruction(self):
        """A jump between the site and the native instruction is a problem."""
        table = {**GOOD, 9: (2, "jmp 0x20"), 0x20: (3, "lock cmpxchg %rdx,(%rdi)"), 0x23: (1, "ret")}
        self.assertIn("jmp 0x20 between", self.site(table).problem)

    def test_a_condition_on_the_way_is_the_native_one(self):
        """A condition that the unpatched function has, too, is no jump of ours."""
        # "if young": gcc puts the instruction out of line. The jump to it is not ours.
        table = {**GOOD, 9: (2, "jne 0x20"), 0xb: (1, "nop"), 0x20: (5, "lock btrq $0x5,(%rdi)"), 0x25: (1, "ret")}
        site = self.site(table)
        self.assertEqual(("", "lock btrq $0x5,(%rdi)"), (site.problem, site.native))

    def test_what_is_a_native_instruction(self):
        """Instructions that change an entry in memory are native ones."""
        for text, good in (("xchg   %rax,(%rdx)", True), ("xchg   %ax,%ax", False), ("lock cmpxchg %rcx,(%rdi)", True),
                           ("lock btrq $0x5,(%rdx)", True), ("movq   $0x0,(%rdx)", True), ("movq   $0x0,%rax", False),
                           ("and    (%rdx),%rax", False), ("mov    %rax,(%rdi)", False), ("ds cmpxchg %rcx,(%rdi)", True)):
            with self.subTest(text=text):
                self.assertEqual(good, bool(textcompare.NATIVE.match(text)))

    def test_no_native_instruction(self):
        """A site without a native instruction behind it is a problem."""
        self.assertIn("no native instruction", self.site({**GOOD, 9: (3, "mov %rax,(%rdi)")}).problem)

    def compare(self, ours, base):
        mine = FakeKernel(ours)
        sites = [textcompare.check_site(mine, mine.function, mine.code, 4, 0xe)]
        return textcompare.compare(mine, FakeKernel(base), [mine.function], sites)

    def test_out_of_line_call_is_not_counted(self):
        """The call of the pv op out of line is not counted."""
        base = {0: (9, "sub $0x8,%rsp"), 9: (3, "xchg %rax,(%rdi)"), 0xc: (1, "pop %rax"), 0xd: (1, "ret")}
        differences, equal = self.compare(GOOD, base)
        self.assertEqual(([], 1), (differences, len(equal)))

    def test_call_and_jump_on_the_path_are(self):
        """A call or jump on the native path that the unpatched function lacks is a difference."""
        base = {0: (9, "sub $0x8,%rsp"), 9: (3, "xchg %rax,(%rdi)"), 0xc: (1, "pop %rax"), 0xd: (1, "ret")}
        differences, _ = self.compare({**GOOD, 4: (5, "call 0x200")}, base)
        self.assertIn("more calls: helper ×1 (1 calls, unpatched 0", differences[0].text)
        # After the native instruction, before the out-of-line call comes back.
        table = {**GOOD, 0xc: (2, "jmp 0x20"), 0x20: (1, "pop %rax"), 0x21: (1, "ret"), 0x13: (2, "jmp 0x20")}
        del table[0xd]
        differences, _ = self.compare(table, base)
        self.assertIn("jumps on the native path: jmp 0x20 after xchg", differences[0].text)
        # A tail call is a call.
        differences, _ = self.compare({**GOOD, 0xd: (1, "jmp 0x200")}, base)
        self.assertIn("more calls: helper ×1 (1 calls, unpatched 0", differences[0].text)

    def test_nothing_follows_bug(self):
        """Code behind UD2 is not on the path of BUG(): clang puts the call of the pv op there."""
        base = {0: (4, "je 0xd"), 4: (5, "nop"), 9: (3, "xchg %rax,(%rdi)"), 0xc: (1, "ret"), 0xd: (1, "ud2")}
        ours = {**base, 4: GOOD[4], 0xe: GOOD[0xe], 0x13: GOOD[0x13]}
        differences, equal = self.compare(ours, base)
        self.assertEqual(([], 1), (differences, len(equal)))

    def test_accepting_names_the_difference_and_the_reason(self):
        """An entry of textcompare.toml names function, difference and reason."""
        with tempfile.NamedTemporaryFile("w", suffix=".toml") as file:
            path = pathlib.Path(file.name)
            path.write_text('[[accept]]\nfunction = "f"\ntext = "more calls: x ×1"\nreason = "why"\n')
            self.assertEqual({("f", "more calls: x ×1"): "why"}, textcompare.accepted(path))
            path.write_text('[[accept]]\nfunction = "f"\nreason = "why"\n')
            with self.assertRaisesRegex(common.Failure, "needs function, text and reason"):
                textcompare.accepted(path)
        self.assertTrue(all(textcompare.accepted().values()))

    def test_indirect_call(self):
        """An indirect call more is a difference."""
        differences, _ = self.compare({**GOOD, 0: (4, "call *0x10(%rax)")}, GOOD)
        self.assertIn("more calls: indirect ×1", differences[0].text)

    def test_conditional_paths_are_followed(self):
        """Calls behind a conditional jump are counted."""
        table = {**GOOD, 0: (4, "je 0xe")}
        differences, _ = self.compare(table, GOOD)
        self.assertIn("pv_op ×1", differences[0].text)

    def test_disassembly(self):
        """objdump's lines are read: calls, targets, sizes."""
        text = ("ffffffff81000000:\tf0 48 0f b1 0f       \tlock cmpxchg %rcx,(%rdi)\n"
                "ffffffff81000005:\t2e e8 00 01 00 00    \tcs call 0xffffffff8100010b\n"
                "ffffffff8100000b:\tff 15 00 00 00 00    \tcall *0x0(%rip)        # 0xffffffff81000011\n")
        one, two, three = textcompare.parse_disassembly(text).values()
        self.assertTrue(textcompare.NATIVE.match(one.text))
        self.assertEqual((True, 0xffffffff8100010b, 6), (two.is_call, two.target, two.size))
        self.assertEqual((True, None), (three.is_call, three.target))

    def test_dump(self):
        """The guest's dump of its text is unpacked, and a damaged one refused."""
        raw = b"pvops-text 10 4\nabcdpvops-text 2f 2\nxy"
        lines = ["TEXT:" + line for line in base64.encodebytes(gzip.compress(raw)).decode().splitlines()]
        self.assertEqual({0x10: b"abcd", 0x2f: b"xy"},
                         textcompare.parse_dump(textcompare.unwrap(["noise", *lines, "ok textdump"])))
        for bad, said in (([], "sent no text"), ([lines[0][:-8]], "damaged"), (["TEXT:@@@@"], "damaged")):
            with self.subTest(said=said), self.assertRaisesRegex(common.Failure, said):
                textcompare.unwrap(bad)
        for bad in (raw[:-1], raw[1:], raw + b"z"):
            with self.subTest(bad=bad), self.assertRaisesRegex(common.Failure, "damaged"):
                textcompare.parse_dump(bad)


if __name__ == "__main__":
    unittest.main()
