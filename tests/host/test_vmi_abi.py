# SPDX-License-Identifier: GPL-2.0
"""The VMI-64 interface: the header compiles, its layout is stable, the page agrees."""

import pathlib
import re
import subprocess
import tempfile
import unittest

from tools.pvops import common

HEADER = common.ROOT / "include/vmi/vmi64.h"
PAGE = common.ROOT / "Documentation/vmi64-abi.rst"
CFLAGS = ["-std=gnu11", "-ffreestanding", "-Wall", "-Wextra", "-Werror", f"-I{common.ROOT / 'include'}"]

# Existing ROMs rely on these offsets. Fields may be added; these must not change.
LAYOUT = {
    "vmi64_rom": (32, "signature 0, blocks 2, entry 3, vmi_signature 8, api_minor 12, api_major 13, reserved0 14, "
                      "header_off 16, reserved1 20, pcir_off 24, pnp_off 26, reserved2 28"),
    "vmi64_header": (96, "magic 0, header_size 4, api_minor 6, api_major 7, image_size 8, flags 12, load_size 16, "
                         "rom_version 20, licence_off 24, vendor_off 28, product_off 32, init_entry 36, "
                         "reloc_entry 40, section_off 44, nr_sections 48, call_off 52, nr_calls 56, fixup_off 60, "
                         "nr_fixups 64, variant_off 68, nr_variants 72, reserved 76"),
    "vmi64_section": (32, "type 0, flags 4, image_off 8, image_size 12, load_off 16, load_size 20, reserved 24"),
    "vmi64_call": (16, "call 0, type 2, variant 3, entry 4, length 8, reserved 12"),
    "vmi64_variant": (32, "variant 0, name 1"),
    "vmi64_fixup": (16, "place 0, kind 4, symbol 5, reserved0 6, addend 8, reserved1 12"),
    "vmi64_init": (176, "size 0, api_minor 4, api_major 5, ring 6, levels 7, flags 8, nr_cpus 12, load_virt 16, "
                        "load_phys 24, percpu 32, percpu_offset 40, apic_virt 48, options 56, saved_dirty_bit 64, "
                        "host 68, reserved 72, variant 80, why 112"),
    "vmi64_cpu": (40, "size 0, cpu 4, apic_id 8, flags 12, percpu_virt 16, percpu_phys 24, tsc_khz 32, reserved 36"),
    "vmi64_time": (32, "size 0, flags 4, tsc_khz 8, apic_khz 12, user_clock 16, tsc_page 20, reserved 24"),
    "vmi64_tsc_page": (24, "sequence 0, reserved 4, scale 8, offset 16"),
    "vmi64_flush": (32, "start 0, end 8, top_pfn 16, stride_shift 24, flags 28"),
}
SIZES = {"ROM": "vmi64_rom", "HEADER": "vmi64_header", "SECTION": "vmi64_section", "CALL": "vmi64_call",
         "FIXUP": "vmi64_fixup", "VARIANT": "vmi64_variant", "INIT": "vmi64_init", "CPU": "vmi64_cpu", "TIME": "vmi64_time",
         "FLUSH": "vmi64_flush"}

# Numbers that are the same operation in VMI 3.0, with the names of VMI 3.0.
VMI_3_0 = {0: "CPUID", 1: "WRMSR", 2: "RDMSR", 3: "SET_GDT", 4: "SET_IDT", 5: "SET_LDT", 6: "SET_TR", 10: "GET_TR",
           11: "WRITE_GDT_ENTRY", 12: "WRITE_IDT_ENTRY", 13: "WRITE_LDT_ENTRY", 14: "SET_KERNEL_STACK",
           15: "SET_CR0", 16: "SET_CR2", 17: "SET_CR3", 18: "SET_CR4", 19: "GET_CR0", 20: "GET_CR2", 21: "GET_CR3",
           23: "WBINVD", 24: "SET_DR", 25: "GET_DR", 26: "RDPMC", 29: "ENABLE_INTERRUPTS",
           30: "DISABLE_INTERRUPTS", 31: "GET_INTERRUPT_MASK", 35: "HALT", 36: "REBOOT",
           37: "SHUTDOWN", 39: "SET_PTE", 44: "ALLOCATE_PAGE", 45: "RELEASE_PAGE", 46: "INVAL_PAGE",
           47: "FLUSH_TLB", 48: "SET_LINEAR_MAPPING", 63: "APIC_WRITE",
           64: "APIC_READ", 65: "IO_DELAY", 66: "GET_CYCLE_FREQUENCY", 67: "GET_CYCLE_COUNTER", 68: "SET_ALARM",
           69: "CANCEL_ALARM", 70: "GET_WALLCLOCK_TIME", 73: "SET_LAZY_MODE"}


def compile_text(text: str, *arguments: str) -> str:
    """What gcc has to say about TEXT, which includes the header; nothing if all is well."""
    done = subprocess.run(["gcc", *CFLAGS, *arguments, "-c", "-o", "/dev/null", "-"],
                          input="#include <vmi/vmi64.h>\n" + text, capture_output=True, text=True, check=False)
    return done.stderr


def calls() -> dict[str, tuple[int, str, tuple[str, ...]]]:
    """NAME -> number, class, flags, as the compiler sees the list."""
    program = """
#include <stdio.h>
static const char *const words[] = { "MANDATORY", "NMI", "IRQOFF", "READY", "NOP", "INLINE" };
static const unsigned int bits[] = { VMI64_F_MANDATORY, VMI64_F_NMI, VMI64_F_IRQOFF,
                                     VMI64_F_READY, VMI64_F_NOP, VMI64_F_INLINE };
static void show(int number, const char *name, const char *class, unsigned int flags)
{
    printf("%d %s %s", number, name, class);
    for (unsigned int i = 0; i < sizeof(bits) / sizeof(bits[0]); i++)
        if (flags & bits[i])
            printf(" %s", words[i]);
    puts("");
}
#define ROW(number, name, class, flags) show(number, #name, VMI64_CLASS_##class ? "PRESERVE" : "SYSV", flags);
int main(void)
{
    VMI64_CALLS(ROW)
    return 0;
}
"""
    found = {}
    with tempfile.TemporaryDirectory(prefix="pvops-vmi.") as scratch:
        binary = pathlib.Path(scratch) / "calls"
        subprocess.run(["gcc", f"-I{common.ROOT / 'include'}", "-x", "c", "-o", binary, "-"],
                       input="#include <vmi/vmi64.h>\n" + program, text=True, check=True)
        for line in subprocess.run([binary], capture_output=True, text=True, check=True).stdout.splitlines():
            number, name, kind, *flags = line.split()
            found[name] = (int(number), kind, tuple(sorted(flags)))
    return found


def constant(name: str) -> int:
    """The value of a #define of the header."""
    found = re.search(rf"^#define {name}\s+(\w+)", HEADER.read_text(encoding="utf-8"), re.M)
    if not found:
        raise AssertionError(f"no {name}")
    return int(found.group(1), 0)


class Compiles(unittest.TestCase):
    """The header compiles for each of its users."""

    def test_freestanding_c(self):
        """The header compiles in freestanding C."""
        self.assertEqual("", compile_text("", "-x", "c"))

    def test_as_a_kernel_sees_it(self):
        """The header compiles with the kernel's types, to the same sizes."""
        with tempfile.TemporaryDirectory(prefix="pvops-vmi.") as scratch:
            place = pathlib.Path(scratch) / "linux"
            place.mkdir()
            (place / "types.h").write_text(
                "typedef unsigned char __u8; typedef unsigned short __u16; typedef unsigned int __u32;\n"
                "typedef unsigned long long __u64; typedef int __s32; typedef long long __s64;\n", encoding="utf-8")
            checks = "".join(f"_Static_assert(sizeof(struct {name}) == {size}, \"\");\n"
                             for name, (size, _) in LAYOUT.items())
            self.assertEqual("", compile_text(checks, "-x", "c", "-nostdinc", "-D__KERNEL__", f"-I{scratch}"))

    def test_assembler(self):
        """The header can be included in assembly."""
        text = ".if VMI64_CALL_SET_PTE != 39\n.error \"SET_PTE\"\n.endif\n.long VMI64_MAGIC, VMI64_ENDBR64\n"
        self.assertEqual("", compile_text(text, "-x", "assembler-with-cpp"))
        self.assertEqual("", compile_text(text, "-x", "assembler-with-cpp", "-D__ASSEMBLY__"))
        self.assertIn("SET_PTE", compile_text(text.replace("39", "38"), "-x", "assembler-with-cpp"))

    def test_licence(self):
        """The header is GPL-2.0 OR MIT."""
        self.assertTrue(HEADER.read_text(encoding="utf-8").startswith(
            "/* SPDX-License-Identifier: GPL-2.0 OR MIT */\n"))


class Layout(unittest.TestCase):
    """Layout of structures, which ROM and kernel share."""

    def test_sizes_and_offsets(self):
        """Structures have the sizes and offsets that a ROM relies on."""
        lines = ["#include <stddef.h>"]
        for name, (size, fields) in LAYOUT.items():
            lines.append(f'_Static_assert(sizeof(struct {name}) == {size}, "{name}");')
            for field in fields.split(", "):
                member, offset = field.split()
                lines.append(f'_Static_assert(offsetof(struct {name}, {member}) == {offset}, "{name}.{member}");')
        lines += [f'_Static_assert(VMI64_{word}_SIZE == sizeof(struct {name}), "{word}");'
                  for word, name in SIZES.items()]
        self.assertEqual("", compile_text("\n".join(lines) + "\n", "-x", "c"))

    def test_every_structure_and_field_is_held(self):
        """Each structure and field of the header is in the table of this test."""
        text = re.sub(r"/\*.*?\*/", "", HEADER.read_text(encoding="utf-8"), flags=re.S)
        found = dict(re.findall(r"^struct (\w+) \{\n(.*?)^\};", text, re.M | re.S))
        self.assertEqual(set(LAYOUT), set(found))
        for name, body in found.items():
            fields = re.findall(r"\s(\w+)(?:\[\d+\])?;", body)
            self.assertEqual([field.split()[0] for field in LAYOUT[name][1].split(", ")], fields)

    def test_signatures_are_text(self):
        """Magic numbers are the bytes that the page says."""
        self.assertEqual(b"cVmi", constant("VMI64_SIGNATURE").to_bytes(4, "little"))
        self.assertEqual(b"VM64", constant("VMI64_MAGIC").to_bytes(4, "little"))
        self.assertEqual(b"\xf3\x0f\x1e\xfa", constant("VMI64_ENDBR64").to_bytes(4, "little"))
        self.assertEqual(b"\x55\xaa", constant("VMI64_ROM_SIGNATURE").to_bytes(2, "little"))


class Calls(unittest.TestCase):
    """The list of calls, and the page."""

    def setUp(self):
        self.calls = calls()
        self.page = PAGE.read_text(encoding="utf-8")

    def test_numbers(self):
        """Numbers of calls are unique, in order, and those of VMI 3.0 are its own."""
        numbers = [number for number, _, _ in self.calls.values()]
        self.assertEqual(sorted(set(numbers)), numbers)
        self.assertEqual(max(numbers) + 1, constant("VMI64_CALL_END"))
        old = {number: name for name, (number, _, _) in self.calls.items() if number < 80}
        self.assertEqual(VMI_3_0, old)

    def test_page_describes_each_call_and_no_other(self):
        """The page has each call with its number, class and flags."""
        found = {}
        for number, name, kind, flags in re.findall(r"^``(\d+) (\w+)`` \((\w+)(?:: ([\w, ]+))?\)\n\t\S", self.page, re.M):
            self.assertNotIn(name, found)
            found[name] = (int(number), kind, tuple(sorted(flags.split(", ") if flags else [])))
        self.assertEqual(self.calls, found)

    def test_page_names_holes_below_eighty(self):
        """The page names the numbers of VMI 3.0 that are not used."""
        text = " ".join(re.search(r"VMI 3\.0's numbers that are not used.*?\n\n", self.page, re.S)[0].split())
        said = {int(number) for number in re.findall(r"\b(\d+)\b(?!-bit)", text.replace("VMI 3.0", "")
                                                     .replace("7 to 9", "7 8 9"))}
        used = {number for number, _, _ in self.calls.values()}
        self.assertFalse(said & used)
        known = set(range(0, 49)) | set(range(61, 72)) | {73}
        self.assertEqual(known - used, said)

    def test_pairs_name_calls(self):
        """Each pair of calls names calls that exist."""
        pairs = re.search(r"#define VMI64_PAIRS\(X\).*?\n\n", HEADER.read_text(encoding="utf-8"), re.S)[0]
        found = re.findall(r"X\((\w+), (\w+)\)", pairs)
        self.assertGreater(len(found), 5)
        for pair in found:
            self.assertLessEqual(set(pair), set(self.calls))

    def test_every_op_has_calls_or_a_reason(self):
        """The page says for each pv op which calls it makes, or why none."""
        listed = (common.ROOT / "include/pvops/pv-ops.h").read_text(encoding="utf-8")
        ops = {f"{group}.{op}" for group, op in re.findall(r"^PVOPS_OP\((\w+), ([\w.]+)\)", listed, re.M)}
        self.assertGreater(len(ops), 90)
        table = self.page[self.page.index("What has no call"):self.page.index("Calls that no op of")]
        rows = re.findall(r"^``([\w.]+)``\s+(.*(?:\n {20,}\S.*)*)", table, re.M)
        self.assertEqual(ops, {name for name, _ in rows})
        for name, said in rows:
            with self.subTest(op=name):
                named = set(re.findall(r"\b[A-Z][A-Z0-9_]{2,}\b", said)) & set(self.calls)
                self.assertTrue(named or said.startswith("none: "))


class Rules(unittest.TestCase):
    """The rules by which a ROM is refused."""

    def test_page_and_header_agree(self):
        """The page has each rule with its name and message."""
        text = HEADER.read_text(encoding="utf-8")
        block = text[text.index("#define VMI64_RULES(X)"):]
        block = block[:block.index("\n\n")]
        listed = re.findall(r'X\((\d+), (\w+), "([^"]+)"\)', block)
        self.assertEqual([str(number) for number in range(1, len(listed) + 1)], [number for number, _, _ in listed])
        said = re.findall(r"^V(\d+) ``(\w+)`` -- (.*)\n\t\S", PAGE.read_text(encoding="utf-8"), re.M)
        self.assertEqual(listed, said)

    def test_page_cites_rules_that_exist(self):
        """Each rule that the page cites exists."""
        page = PAGE.read_text(encoding="utf-8")
        rules = {int(number) for number in re.findall(r"^V(\d+) ``", page, re.M)}
        cited = {int(number) for number in re.findall(r"\bV(\d+)\b", page)}
        self.assertEqual(rules, cited)


if __name__ == "__main__":
    unittest.main()
