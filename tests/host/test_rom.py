# SPDX-License-Identifier: GPL-2.0
"""The VMI-64 ROMs: ours follow the ABI, and bad ones are refused by the right rule."""

import json
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

from tests.host import test_vmi_abi, trees
from tools.pvops import badrom, common, elf, rom, rompack, vmicalls

RULES = {int(number): message for number, message in
         re.findall(r'X\((\d+), \w+, "([^"]+)"\)', test_vmi_abi.HEADER.read_text(encoding="utf-8"))}
C = rompack.C
CALLS = {name: number for name, (number, _, _) in test_vmi_abi.calls().items()}


def linked(name: str) -> elf.Elf:
    """The ELF file of a ROM."""
    path = rom.image(name)
    return elf.Elf(path.with_suffix(".elf"))


def disassembled(name: str) -> list[tuple[int, str]]:
    """(address, instruction) of a ROM's code."""
    path = rom.image(name).with_suffix(".elf")
    said = subprocess.run(["objdump", "-d", "--no-show-raw-insn", path], capture_output=True, text=True,
                          check=True).stdout
    return [(int(at, 16), text) for at, text in re.findall(r"^ +([0-9a-f]+):\t(.*?)\s*$", said, re.M)]


class Calls(unittest.TestCase):
    """Counting calls that were made."""

    def test_defined(self):
        """The calls are read from the header."""
        self.assertEqual(list(CALLS), vmicalls.defined(test_vmi_abi.HEADER.read_text(encoding="utf-8")))
        for text in ("", "#define VMI64_CALLS(X)\t\\\n\tX(0, CPUID, SYSV)\n\n"):
            with self.assertRaisesRegex(common.Failure, "cannot read VMI64_CALLS"):
                vmicalls.defined(text)

    def test_made(self):
        """Calls that ROMs say they made are added up."""
        said = "pvops: vmi: ROM: "
        self.assertEqual({"CPUID": 7, "SET_TR": 1}, vmicalls.made([
            f"{said}calls made: CPUID=3 SET_TR=1", f"{said}these were the calls made", f"{said}calls made: CPUID=4",
            "calls made: CPUID=9", f"{said}calls made: CPUID=x"]))

    def test_missing_calls_and_logs(self):
        """A call that was never made, and a log without calls, fail."""
        with tempfile.TemporaryDirectory(prefix="pvops-test.") as name:
            scratch = pathlib.Path(name)
            log = scratch / "log"
            for calls, status, last in ((CALLS, 0, f"calls: {len(CALLS)} passed, 0 failed, 0 skipped"),
                                        (list(CALLS)[1:], 1, f"calls: {len(CALLS) - 1} passed, 1 failed, 0 skipped")):
                log.write_text("".join(f"[    1.000000] pvops: vmi: ROM: calls made: {call}=1\n" for call in calls))
                done = trees.run("vmicalls", str(log), "--report", str(scratch / "report.json"))
                self.assertEqual((status, last), (done.returncode, done.stdout.splitlines()[-1]), done.stderr)
            self.assertIn(f"FAILED {list(CALLS)[0]} was never made", done.stdout)
            log.write_text("[    1.000000] Linux\n")
            for path, why in ((log, "no ROM printed there"), (scratch / "none", "No such file")):
                done = trees.run("vmicalls", str(path))
                self.assertEqual(1, done.returncode)
                self.assertIn(why, done.stderr)


class Good(unittest.TestCase):
    """The ROMs built from vmi-rom."""

    def test_romtool_finds_them_good(self):
        """vmi-romtool finds our ROMs good."""
        for name in rom.GOOD:
            with self.subTest(rom=name):
                status, said = rom.check(rom.image(name), options=())
                self.assertEqual(0, status, said)
                product = {"hw": "ROM (hw)", "allcall": "ROM (all-call)", "example": "example ROM"}[name]
                self.assertIn(f': good: "VMI-64 {product}", API 4.1\n', said)

    def test_other_versions_are_good(self):
        """A ROM for an older and for a newer minor version is good."""
        for name, version in (("4.0", "4.0"), ("newer", "4.2")):
            status, said = rom.check(rom.image(f"other/{name}"), options=())
            self.assertEqual(0, status, said)
            self.assertIn(f"API {version}", said)

    def test_is_an_option_rom(self):
        """Our ROMs are option ROMs with a good checksum and a PCI data structure."""
        for name in rom.GOOD:
            content = rom.image(name).read_bytes()
            self.assertEqual(b"\x55\xaa", content[:2])
            self.assertEqual(len(content), content[2] * 512)
            self.assertEqual(0xcb, content[3])
            self.assertEqual(0, sum(content) % 256)
            pcir = int.from_bytes(content[24:26], "little")
            self.assertEqual(b"PCIR", content[pcir:pcir + 4])
            self.assertEqual(content[2], int.from_bytes(content[pcir + 16:pcir + 18], "little"))
            self.assertEqual(0x80, content[pcir + 21])

    def test_is_the_same_whenever_it_is_built(self):
        """A ROM that is built again is the same byte by byte."""
        with tempfile.TemporaryDirectory(prefix="pvops-rom.") as scratch:
            path = pathlib.Path(scratch) / "vmi-hw.rom"
            subprocess.run(["make", "-s", "-C", common.ROOT / "vmi-rom", f"O={scratch}", path], check=True)
            self.assertEqual(rom.image("hw").read_bytes(), path.read_bytes())

    def test_archive_for_the_initrd(self):
        """The archive has the ROM under the ABI's name, and directories before it, so that it can be unpacked."""
        with tempfile.TemporaryDirectory(prefix="pvops-rom.") as scratch:
            path = pathlib.Path(scratch) / "vmi-hw.cpio"
            subprocess.run(["make", "-s", "-C", common.ROOT / "vmi-rom", f"O={scratch}", path], check=True)
            content = path.read_bytes()
            names = subprocess.run(["cpio", "-t", "--quiet"], input=content, capture_output=True, check=True).stdout
            subprocess.run(["cpio", "-i", "--quiet", "-d"], input=content, cwd=scratch, check=True)
            self.assertEqual(b"kernel\nkernel/x86\nkernel/x86/vmi64.rom\n", names)
            self.assertEqual(rom.image("hw").read_bytes(), (path.parent / "kernel/x86/vmi64.rom").read_bytes())
            self.assertEqual(0, len(content) % 4)

    def test_archive_of_something_else(self):
        """A linked ROM, or a file that is none, is refused in one line, and nothing is written."""
        with tempfile.TemporaryDirectory(prefix="pvops-rom.") as scratch:
            wrong, out = pathlib.Path(scratch) / "rom.elf", pathlib.Path(scratch) / "rom.cpio"
            for content in (b"\x7fELF", b"\x55", b""):
                wrong.write_bytes(content)
                done = subprocess.run([sys.executable, "-m", "tools.pvops.rompack", "--initrd", wrong, out],
                                      cwd=common.ROOT, capture_output=True, text=True)
                self.assertNotEqual(0, done.returncode)
                self.assertEqual(f"pvops: {wrong}: no ROM: an image begins with 55 AA; nothing written\n", done.stderr)
                self.assertFalse(out.exists())

    def test_all_call_has_every_call(self):
        """The all-call ROM has each call."""
        image = badrom.Image(rom.image("allcall").read_bytes())
        called = {one["call"] for one in image.calls if one["type"] == rompack.C["RELOC_CALL"]}
        self.assertEqual(set(CALLS.values()), called)

    def test_all_call_has_every_inline_body_that_there_can_be(self):
        """The all-call ROM has an inline body for each call that can have one."""
        image = badrom.Image(rom.image("allcall").read_bytes())
        inline = {one["call"] for one in image.calls if one["type"] == rompack.C["RELOC_INLINE"]}
        wanted = {number for number, _, flags in test_vmi_abi.calls().values() if "INLINE" in flags}
        self.assertEqual(wanted, inline)

    def test_inline_bodies_are_the_cpus_own(self):
        """The inline bodies of the all-call ROM are the CPU's instructions."""
        image = badrom.Image(rom.image("allcall").read_bytes())
        names = {number: name for name, number in CALLS.items()}
        found = {}
        for one in image.calls:
            if one["type"] == rompack.C["RELOC_INLINE"]:
                at = image.code(one["entry"]) + 4
                found[names[one["call"]]] = bytes(image.bytes[at:at + one["length"]]).hex(" ")
        store = dict.fromkeys(("SET_PTE", "SET_PMD", "SET_PUD", "SET_P4D", "SET_PGD"), "48 89 37")
        move = dict.fromkeys(("PTE_DECODE", "PTE_ENCODE"), "48 89 f8")
        self.assertEqual({"GET_CR0": "0f 20 c0", "GET_CR2": "0f 20 d0", "GET_CR3": "0f 20 d8", "WBINVD": "0f 09",
                          "ENABLE_INTERRUPTS": "fb", "DISABLE_INTERRUPTS": "fa", "GET_INTERRUPT_MASK": "9c 58",
                          "HALT": "fb f4", "HALT_MASKED": "f4", "INVAL_PAGE": "0f 01 3f", "IO_DELAY": "e6 80",
                          **store, **move}, found)

    def test_clocks_for_programs_have_pages_of_their_own(self):
        """What programs may map of vmi-hw.rom is two pages: KVM's clocks, and the TSC page of Hyper-V."""
        file = linked("hw")
        pages = [(file.by_name[name].value % 0x1000, file.by_name[name].size) for name in ("clocks", "tsc_page")]
        self.assertEqual([(0, 0x1000)] * 2, pages)
        shared = [one["load_size"] for one in badrom.Image(rom.image("hw").read_bytes()).sections
                  if one["type"] == rompack.C["SEC_SHARED"]]
        self.assertEqual([0x2000], shared)

    def test_hw_has_no_code_that_the_cpu_is_as_good_at(self):
        """The ROM hw has only calls that KVM or Hyper-V does better than the CPU."""
        image = badrom.Image(rom.image("hw").read_bytes())
        names = {number: name for name, number in CALLS.items()}
        self.assertEqual({"INIT_CPU", "EXIT_CPU", "GET_TIME_INFO", "GET_CYCLE_FREQUENCY", "GET_CYCLE_COUNTER",
                          "GET_WALLCLOCK_TIME", "EOI", "SEND_IPI", "FLUSH_REMOTE", "LOCK_WAIT", "LOCK_KICK",
                          "VCPU_IS_PREEMPTED",
                          "START_ALARM", "SET_ALARM", "CANCEL_ALARM",
                          "TEST_AND_CLEAR_STOPPED"}, {names[one["call"]] for one in image.calls})


class Example(unittest.TestCase):
    """The example ROM, on machines that the test makes up."""

    # A port that reads as a timer, a TSC of 2.5 GHz, and time that passes with each reading.
    MACHINE = """
#include <stdio.h>
#include <string.h>
#define memcpy rom_memcpy
#define memset rom_memset
#define cpuid rom_cpuid
#define in32 rom_in32
#define read_tsc rom_read_tsc
#include "base.h"
#undef in32
#undef read_tsc
#undef cpuid
static u32 in32(u16 port);
static u64 read_tsc(void);
void cpuid(u32 leaf, u32 subleaf, u32 regs[4]);
#include "example.c"
#define cpuid rom_cpuid
#include "base.c"
#undef cpuid

static unsigned long long ns = START, stop_at = STOP_AT, stop_for = STOP_FOR;

static void pass(unsigned int time)
{
	ns += time;
	if (stop_for && ns >= stop_at) {
		ns += stop_for;
		stop_for = 0;
	}
}

static u32 in32(u16 port)
{
	pass(700);
	return port == 0x608 ? TIMER : ~0u;
}

static u64 read_tsc(void)
{
	pass(20);
	return ns * 5 / 2;
}

void cpuid(u32 leaf, u32 subleaf, u32 regs[4])
{
	memset(regs, 0, 4 * sizeof(*regs));
	if (leaf == 1)
		regs[2] = BIT;
	else if (leaf == 0x40000000)
		memcpy(regs + 1, SIGNATURE, 12);
}

u16 piix4_pm_port(u16 offset)
{
	return PORT ? PORT + offset : 0;
}

void vmi_log(const char *line)
{
	puts(line);
}

const struct vmi64_call vmi_calls[1], vmi_calls_end[1];

int main(void)
{
	struct vmi64_init init = { .size = sizeof(init) };
	s32 err = vmi_init(&init);

	printf("%d %s\\n", err, err ? init.why : init.variant);
	printf("%llu Hz\\n", (unsigned long long)get_cycle_frequency());
	return 0;
}
"""
    TICKS = "(u32)(ns * 3579545 / 1000000000)"

    def run_on(self, **differs: str) -> list[str]:
        """What VMI_Init says and does on a machine, with what differs from a good one."""
        machine = {"BIT": "1u << 31", "SIGNATURE": '"TCGTCGTCGTCG"', "PORT": "0x600", "TIMER": f"({self.TICKS} & 0xffffff)",
                   "START": "0", "STOP_AT": "0", "STOP_FOR": "0", **differs}
        with tempfile.TemporaryDirectory(prefix="pvops-rom.") as scratch:
            binary = pathlib.Path(scratch) / "machine"
            subprocess.run(["gcc", "-std=gnu11", "-O1", "-w", f"-I{common.ROOT / 'include'}", f"-I{common.ROOT / 'vmi-rom'}",
                            *(f"-D{name}={value}" for name, value in machine.items()), "-o", binary, "-x", "c", "-"],
                           input=self.MACHINE, text=True, check=True)
            return subprocess.run([binary], capture_output=True, text=True, check=True, timeout=60).stdout.splitlines()

    def assert_measured(self, said: list[str]) -> None:
        """2.5 GHz was measured, within 20 ppm."""
        self.assertEqual("0 QEMU TCG", said[1], said)
        self.assertAlmostEqual(2_500_000_000, int(said[2].split()[0]), delta=50_000)
        self.assertEqual(f"the TSC counts at {int(said[2].split()[0]) // 1000} kHz", said[0])

    def test_measures_the_tsc(self):
        """The frequency is right, also where the timer has 32 bits, or wraps meanwhile."""
        self.assert_measured(self.run_on())
        for timer in ({}, {"TIMER": self.TICKS}):
            self.assert_measured(self.run_on(START="4680000000ull", **timer))

    def test_emulator_that_stops(self):
        """A stop of 50 us or 100 ms does not matter, and one in which the timer wraps is found out."""
        self.assert_measured(self.run_on(STOP_AT="100", STOP_FOR="50000"))
        self.assert_measured(self.run_on(STOP_AT="20000000", STOP_FOR="100000000"))
        self.assert_measured(self.run_on(STOP_AT="20000000", STOP_FOR="4800000000ull"))

    def test_wrong_machines(self):
        """On a machine for which it is not made, VMI_Init fails and says why."""
        elsewhere = "-19 made for QEMU's TCG, which is not here"
        unmeasured = "-19 the TSC cannot be measured by the ACPI PM timer"
        for differs, why in (({"BIT": "0"}, elsewhere),
                             ({"SIGNATURE": '"KVMKVMKVM\\0\\0\\0"'}, elsewhere),
                             ({"SIGNATURE": '"TCGTCGTCGTCH"'}, elsewhere),
                             ({"PORT": "0"}, "-19 no PIIX4 with an ACPI PM timer to measure the TSC"),
                             ({"TIMER": "~0u"}, unmeasured),
                             ({"TIMER": "0"}, unmeasured),
                             # a timer that runs faster and faster: no two measurements agree
                             ({"TIMER": "(u32)(ns / 1000 * (ns / 1000) / 20000)"}, unmeasured)):
            with self.subTest(**differs):
                self.assertEqual([why, "0 Hz"], self.run_on(**differs))

    def test_has_the_calls_of_a_clock_only(self):
        """The example implements the mandatory calls and those of a clock."""
        image = badrom.Image(rom.image("example").read_bytes())
        self.assertEqual({CALLS[name] for name in ("INIT_CPU", "EXIT_CPU", "GET_TIME_INFO", "GET_CYCLE_FREQUENCY",
                                                   "GET_CYCLE_COUNTER")}, {one["call"] for one in image.calls})

    def test_page_shows_what_the_source_has(self):
        """Each piece of C on the page about the example is in its source, and the call table is as shown."""
        page = (common.ROOT / "Documentation/vmi-example.rst").read_text(encoding="utf-8")
        source = re.sub(r"(?m)^\s+", "", (common.ROOT / "vmi-rom/example.c").read_text(encoding="utf-8"))
        pieces = re.findall(r"::\n\n((?:\t.*\n|\n)+)", page)
        shown = [re.sub(r"(?m)^\s+", "", piece) for piece in pieces if re.search(r"[;{]\n", piece)]
        self.assertGreater(len(shown), 5)
        for piece in shown:
            self.assertIn(piece, source)
        calls = re.findall(r"^\t( +\d+ \w+ +0 CALL .*)$", page, re.M)
        self.assertEqual(5, len(calls))
        said = rom.check(rom.image("example"), options=())[1].splitlines()
        self.assertEqual([], [line for line in calls if line[2:] not in [one.strip() and one[2:] for one in said]])


class Code(unittest.TestCase):
    """The ABI's rules for the code of a ROM."""

    def test_no_indirect_branch_and_no_plain_return(self):
        """Our ROMs have no indirect branch and no return of their own."""
        for name in rom.GOOD:
            found = disassembled(name)
            self.assertGreater(len(found), 300 if name == "example" else 500)
            self.assertEqual([], [text for _, text in found
                                  if re.match(r"(?:notrack |bnd )*(?:(?:call|jmp)\S*\s+\*|ret|iret)", text)])

    def test_no_vector_register(self):
        """Our ROMs use no vector or floating-point register."""
        for name in rom.GOOD:
            self.assertEqual([], [text for _, text in disassembled(name) if re.search(r"%([xyz]mm|mm|st|k)\d?\b", text)])

    def test_stack_stays_within_the_limit(self):
        """No function of our ROMs takes much stack."""
        for name in rom.GOOD:
            for _, text in disassembled(name):
                taken = re.match(r"sub\s+\$0x([0-9a-f]+),%rsp", text)
                # gcc adds 128 by subtracting -128, which is the shorter instruction
                if taken and int(taken[1], 16) < 1 << 63:
                    self.assertLess(int(taken[1], 16), 400)

    def test_preserving_calls_preserve(self):
        """Each register they write is RAX or was pushed before."""
        preserve = {number for number, kind, _ in test_vmi_abi.calls().values() if kind == "PRESERVE"}
        file = linked("allcall")
        image = badrom.Image(rom.image("allcall").read_bytes())
        code = disassembled("allcall")
        sizes = {symbol.value: symbol.size for symbol in file.symbols if symbol.kind == elf.STT_FUNC}
        wide = {f"%{'e' if len(word) == 2 else ''}{word}": f"%r{word}" for word in
                ("bx", "cx", "dx", "si", "di", "bp")} | {f"%r{n}d": f"%r{n}" for n in range(8, 16)}
        seen = 0
        for call in image.calls:
            if call["call"] not in preserve:
                continue
            seen += 1
            saved: set[str] = set()
            for at, text in code:
                if not call["entry"] <= at < call["entry"] + sizes[call["entry"]]:
                    continue
                if push := re.match(r"push\s+(%\w+)", text):
                    saved.add(push[1])
                    continue
                if re.match(r"pop\s+(%\w+)", text) or re.match(r"(cmp|test|jmp|j\w+|endbr|nop)", text):
                    continue
                target = re.search(r"(%\w+)$", text)
                if target and not re.search(r"\)$", text):
                    register = wide.get(target[1], target[1])
                    if register not in ("%rax", "%eax", "%ax", "%al", "%rsp", "%cr2"):
                        self.assertIn(register, saved, f"call {call['call']}: {text}")
        self.assertGreater(seen, 20)


class Packer(unittest.TestCase):
    """What rompack puts into an image, and what it refuses."""

    def link(self, text: str) -> pathlib.Path:
        """A linked ROM with TEXT in it."""
        scratch = tempfile.TemporaryDirectory(prefix="pvops-rom.")
        self.addCleanup(scratch.cleanup)
        top = pathlib.Path(scratch.name)
        start = ('.text\n.globl vmi_init\nvmi_init: endbr64\nret\n.type vmi_init, @function\n.size vmi_init, 5\n'
                 '.globl vmi_get_relocation_info\n.balign 16\nvmi_get_relocation_info: endbr64\nret\n'
                 '.section .percpu,"aw",@nobits\n.globl vmi_cpu\nvmi_cpu: .skip 64\n'
                 '.section .rodata\n.globl vmi_licence, vmi_vendor, vmi_product\n'
                 'vmi_licence: .asciz "GPL"\nvmi_vendor: .asciz "test"\nvmi_product: .asciz "test"\n.text\n')
        subprocess.run(["gcc", "-c", "-x", "assembler", "-o", top / "a.o", "-"], input=start + text, text=True,
                       check=True)
        subprocess.run(["ld", "-static", "--emit-relocs", "--no-relax", "--no-warn-rwx-segments", "-T",
                        common.ROOT / "vmi-rom/rom.lds", "-o", top / "a.elf", top / "a.o"], check=True)
        return top / "a.elf"

    def test_fixups(self):
        """Relocations of the linker become fixups of the ABI."""
        path = self.link("call vmi_log\nmov %gs:vmi_cpu+8, %rax\nlea vmi_vendor(%rip), %rax\njmp __x86_return_thunk\n"
                         ".data\n.quad vmi_product\n")
        found = rompack.Packer(path).fixups
        C = rompack.C
        self.assertEqual([("FIX_PC32", "SYM_LOG", -4), ("FIX_PERCPU32", "SYM_PERCPU", 8),
                          ("FIX_PC32", "SYM_RETURN_THUNK", -4), ("FIX_ABS64", "SYM_LOAD", None)],
                         [({C[k]: k for k in C if k.startswith("FIX_")}[kind],
                           {C[k]: k for k in C if k.startswith("SYM_") and k != "SYM_MAX"}[symbol],
                           addend if symbol != C["SYM_LOAD"] else None) for _, kind, symbol, addend in found])

    def refused(self, text: str, why: str) -> None:
        """TEXT cannot be packed, because of WHY."""
        with self.assertRaisesRegex(common.Failure, why):
            rompack.pack(self.link(text))

    def test_absolute_address_in_code(self):
        """An absolute address in code is refused."""
        self.refused("mov $vmi_vendor, %eax\n", "relocation of type 10 for")
        self.refused("movabs $vmi_vendor, %rax\n", "relocation of type 1 for")

    def test_percpu_data_relative_to_rip(self):
        """Per-CPU data relative to RIP is refused."""
        self.refused("mov %gs:vmi_cpu(%rip), %rax\n", "relocation of type 2 for")

    def test_service_by_pointer(self):
        """A pointer to a service of the kernel is refused."""
        self.refused(".data\n.quad vmi_log\n", "relocation of type 1 for vmi_log")

    def test_section_without_a_place(self):
        """A section that rom.lds does not know is refused."""
        self.refused('.section .surprise,"a"\n.long 1\n', "no place in a ROM for .surprise")

    def test_call_that_is_no_function(self):
        """A call whose entry is no function is refused."""
        self.refused('.section .vmi.calls,"a"\n.quad vmi_licence\n.short 80\n.byte 2, 0\n.long 0\n',
                     "call 80 variant 0: no function of known size")

    def test_call_twice(self):
        """A call that is there twice is refused."""
        self.refused('.section .vmi.calls,"a"\n.rept 2\n.quad vmi_init\n.short 80\n.byte 2, 0\n.long 0\n.endr\n',
                     "call 80 variant 0 is there twice")


class Bad(unittest.TestCase):
    """Each bad image is refused by its rule, and by no other."""

    def test_each_is_refused_by_its_rule(self):
        """Each bad image is refused, by the rule that it breaks."""
        for name, (rule, _, _) in badrom.IMAGES.items():
            with self.subTest(rom=name):
                status, said = rom.check(rom.image(f"bad/{name}"))
                self.assertEqual(1, status)
                self.assertIn(f": refused: V{rule}: {RULES[rule]}", said)
                self.assertEqual(1, said.count("\n"), said)

    def test_every_rule_about_an_image_has_one(self):
        """There is a bad image for each of the rules V1 to V31."""
        self.assertEqual(set(range(1, 32)), {rule for rule, _, _ in badrom.IMAGES.values()})

    def test_every_rule_about_a_running_rom_has_one(self):
        """V34 is about addresses that only a kernel knows: KUnit has it."""
        self.assertEqual(set(range(35, 40)), set(badrom.RUNNING.values()))
        for name in badrom.RUNNING:
            status, said = rom.check(rom.image(f"bad/{name}"))
            self.assertEqual(0, status, said)

    def test_each_prefix_of_a_good_one_is_refused(self):
        """A ROM that is cut off is refused."""
        content = rom.image("hw").read_bytes()
        with tempfile.TemporaryDirectory(prefix="pvops-rom.") as scratch:
            paths = []
            for size in (0, 1, 2, 3, 31, 32, 100, 511, 512, 1024, len(content) - 1):
                paths.append(pathlib.Path(scratch) / f"{size}.rom")
                paths[-1].write_bytes(content[:size])
            status, said = rom.check(*paths)
            self.assertEqual(1, status)
            self.assertEqual(len(paths), said.count(": refused: V"), said)

    def test_file_that_is_not_there(self):
        """A file that does not exist is an error of its own."""
        status, said = rom.check(pathlib.Path("/nonexistent/x.rom"))
        self.assertEqual(2, status)
        self.assertIn("No such file", said)

    def test_unknown_name(self):
        """An unknown name of a ROM is one line."""
        with self.assertRaisesRegex(common.Failure, "no ROM nosuch; there are: hw allcall example other/4.0 "):
            rom.image("nosuch")


class Options(unittest.TestCase):
    """Options of vmi-romtool."""

    def test_without_retpolines(self):
        """With --indirect a ROM with an indirect branch is good."""
        status, _ = rom.check(rom.image("bad/indirect"), options=("-q", "--indirect"))
        self.assertEqual(0, status)

    def test_json(self):
        """--json has all that the long form has, for bad images and unreadable ones as well."""
        tool, good = rom.tool(), rom.image("hw")
        done = subprocess.run([tool, "--json", good, rom.image("bad/magic"), "/nonexistent"],
                              capture_output=True, text=True, check=False)
        self.assertEqual(2, done.returncode)
        one, two, three = json.loads(done.stdout)
        image = badrom.Image(good.read_bytes())
        self.assertEqual((True, "VMI-64 ROM (hw)", [4, 1], len(good.read_bytes())),
                         (one["good"], one["product"], one["api"], one["image_size"]))
        self.assertEqual([(call["call"], call["entry"], call["length"]) for call in image.calls],
                         [(call["number"], call["entry"], call["length"]) for call in one["calls"]])
        self.assertEqual((len(image.sections), len(image.fixups)), (len(one["sections"]), len(one["fixups"])))
        self.assertEqual((False, 6), (two["good"], two["rule"]))
        self.assertIsNone(three)

    def test_offers(self):
        """Which calls there are for which hypervisor, in both forms."""
        offers = {one["on"]: one["calls"] for one in self._json(rom.image("hw"))["offers"]}
        self.assertEqual({"every machine", "KVM", "Xen", "Hyper-V"}, set(offers))
        self.assertEqual(["INIT_CPU", "EXIT_CPU"], offers["every machine"])
        self.assertIn("LOCK_KICK", offers["KVM"])
        self.assertNotIn("LOCK_KICK", offers["Xen"])
        self.assertIn("START_ALARM", offers["Hyper-V"])
        said = rom.check(rom.image("hw"), options=())[1]
        self.assertRegex(said, r"\n    on Xen \(variant 4\):\n      GET_CYCLE_FREQUENCY GET_CYCLE_COUNTER ")
        self.assertTrue(all(len(line) <= 80 for line in said.split("offered")[1].split("fixups")[0].splitlines()))
        # 4.0 has no names
        self.assertEqual({None}, {one["on"] for one in self._json(rom.image("other/4.0"))["offers"]})

    def test_bad_names_are_none(self):
        """The kernel does not read the names; the tool reads none outside of the table or of ASCII."""
        changes = {"outside": ("variant_off", 0xfffffff0), "too many": ("nr_variants", 0x7fffffff),
                   "none": ("nr_variants", 0)}
        for field, value in changes.values():
            changed = badrom.Image(rom.image("hw").read_bytes())
            changed.header[field] = value
            self.assertEqual({None}, {one["on"] for one in self._json(self._sealed(changed))["offers"]})
        for text in (b"", b"\x1b[31m\0", b"x" * 31):
            changed = badrom.Image(rom.image("hw").read_bytes())
            at = changed.header["variant_off"] + 2 * C["VARIANT_SIZE"]
            self.assertEqual(2 + 1, changed.bytes[at])
            changed.bytes[at + 1:at + 1 + max(len(text), 1)] = text or b"\0"
            self.assertEqual({None, "every machine", "KVM", "Xen"},
                             {one["on"] for one in self._json(self._sealed(changed))["offers"]})

    def _sealed(self, image):
        """A file with the image, its checksum right."""
        image.bytes[-1] = (image.bytes[-1] - sum(image.bytes)) % 256
        scratch = tempfile.TemporaryDirectory(prefix="pvops-rom.")
        self.addCleanup(scratch.cleanup)
        path = pathlib.Path(scratch.name) / "changed.rom"
        path.write_bytes(image.bytes)
        return path

    def _json(self, path):
        done = subprocess.run([rom.tool(), "--json", path], capture_output=True, text=True, check=True)
        return json.loads(done.stdout)[0]

    def test_diff(self):
        """--diff names what changed, and nothing if nothing did."""
        tool, good = rom.tool(), rom.image("allcall")

        def diff(*arguments):
            return subprocess.run([tool, "--diff", *arguments], capture_output=True, text=True, check=False)

        done = diff(good, good)
        self.assertEqual((0, 2), (done.returncode, done.stdout.count("\n")))
        changed = badrom.Image(good.read_bytes())
        changed.header["rom_version"] += 1
        at = changed.code(changed.call(CALLS["SET_PTE"], "INLINE")["entry"]) + 4
        changed.bytes[at:at + 3] = b"\x90\x90\x90"
        changed.bytes[changed.header["variant_off"] + 1] = ord("E")
        done = diff(good, self._sealed(changed))
        self.assertEqual(1, done.returncode)
        said = [line.strip() for line in done.stdout.splitlines() if line.startswith(" ")]
        self.assertEqual(3, len(said), said)
        self.assertEqual('name of variant 0: "every machine", then "Every machine"', said[2])
        self.assertRegex(said[0], "^version of the ROM: 0x")
        self.assertRegex(said[1], r"^changed: \d+ SET_PTE, variant \d+, INLINE$")
        done = diff(rom.image("hw"), good)
        self.assertIn("\n  new: 0 CPUID, variant 0, CALL\n", done.stdout)
        self.assertIn("\n  gone: 0 CPUID, variant 0, CALL\n", diff(good, rom.image("hw")).stdout)
        self.assertEqual(2, diff(good, rom.image("bad/magic")).returncode)
        self.assertEqual(2, diff(good).returncode)

    def test_wrong_ones(self):
        """A wrong option is an error of its own."""
        for options in (("--ring", "3"), ("--nosuch",)):
            self.assertEqual(2, rom.check(rom.image("hw"), options=options)[0])


if __name__ == "__main__":
    unittest.main()
