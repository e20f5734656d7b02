# SPDX-License-Identifier: GPL-2.0
"""Make the image of a VMI-64 ROM from its linked ELF file.

The file is linked at address 0 of its load area with --emit-relocs
(vmi-rom/rom.lds). Sections, call table and fixups are made from its contents. A
relocation that no fixup of the ABI can express is refused with its place in the
code. Documentation/vmi64-abi.rst describes each part of the image.
"""

import argparse
import dataclasses
import pathlib
import re
import struct

from . import common, elf
from .common import Failure
from .cpio import Archive

HEADER = common.ROOT / "include/vmi/vmi64.h"
BLOCK, PAGE = 512, 4096
# R_X86_64_*
R_64, R_PC32, R_PLT32, R_32, R_32S = 1, 2, 4, 10, 11
PERCPU_BASE = 0x10000000
RECORD = "<QHBBI"                       # struct record of vmi-rom/base.h
SERVICES = {"vmi_log": "LOG", "vmi_rdmsr": "RDMSR", "vmi_wrmsr": "WRMSR",
            "vmi_load_gs_index": "LOAD_GS_INDEX", "__x86_return_thunk": "RETURN_THUNK"}
TYPES = {".text": "TEXT", ".rodata": "RODATA", ".data": "DATA", ".bss": "DATA",
         ".shared": "SHARED", ".percpu": "PERCPU"}


def constants() -> dict[str, int]:
    """The numbers that the ABI's header defines."""
    text = HEADER.read_text(encoding="utf-8")
    return {name: int(value, 0) for name, value in
            re.findall(r"^#define VMI64_(\w+)\s+(0x[0-9a-f]+|\d+)\b(?! *\*)", text, re.M)}


C = constants()


def archive(image: bytes) -> bytes:
    """A cpio archive with a ROM, to be put in front of an initrd."""
    name, = re.findall(r'^#define VMI64_INITRD_FILE\s+"(.+)"$', HEADER.read_text(encoding="utf-8"), re.M)
    packed = Archive()
    packed.file(name, image)
    return packed.content(compress=False)


@dataclasses.dataclass
class Part:
    """A section of the image."""
    kind: str
    content: bytes
    load_off: int
    load_size: int


class Packer:
    """The parts of an image, made from one ELF file."""

    def __init__(self, path: pathlib.Path):
        self.elf = elf.Elf(path)
        self.path = path
        self.sections = {section.name: section for section in self.elf.sections
                         if section.flags & elf.SHF_ALLOC and section.size}
        if strange := set(self.sections) - set(TYPES):
            raise Failure(f"{path}: no place in a ROM for {' '.join(sorted(strange))}")
        if ".text" not in self.sections:
            raise Failure(f"{path}: no code")
        # of each relocation, its symbol's own entry
        self.calls, self.records = self._calls()
        self.fixups = self._fixups()

    def _calls(self) -> tuple[list[tuple[int, int, int, int, int]], range]:
        """(call, variant, type, entry, length), in order, and where they are."""
        start, end = self.elf.value("vmi_calls"), self.elf.value("vmi_calls_end")
        sizes = {symbol.value: symbol.size for symbol in self.elf.symbols
                 if symbol.kind == elf.STT_FUNC and symbol.size}
        found = []
        for entry, call, kind, variant, length in struct.iter_unpack(
                RECORD, self.elf.read(start, end - start)):
            length = length or sizes.get(entry, 0)
            if not length:
                raise Failure(f"{self.path}: call {call} variant {variant}: "
                              f"no function of known size at {entry:#x}")
            found.append((call, variant, kind, entry, length))
        found.sort()
        for one, two in zip(found, found[1:]):
            if one[:2] == two[:2]:
                raise Failure(f"{self.path}: call {one[0]} variant {one[1]} is there twice")
        return found, range(start, end)

    def _fixups(self) -> list[tuple[int, int, int, int]]:
        """(place, kind, symbol, addend), in order."""
        found = []
        symbols = self.elf.symbols
        for section in self.sections.values():
            for table in self.elf.sections:
                if table.kind != elf.SHT_RELA or table.info != section.index:
                    continue
                for offset, info, addend in struct.iter_unpack("<QQq", table.data):
                    if offset in self.records:
                        continue        # the entries of the call table are offsets already
                    fixup = self._fixup(section.name, offset, info & 0xffffffff,
                                        symbols[info >> 32], addend)
                    if fixup:
                        found.append(fixup)
        return sorted(found)

    def _fixup(self, where: str, place: int, kind: int, symbol: elf.Symbol,
               addend: int) -> tuple[int, int, int, int] | None:
        name = symbol.name or self.elf.sections[symbol.section].name
        if service := SERVICES.get(name):
            if kind in (R_PC32, R_PLT32):
                return place, C["FIX_PC32"], C[f"SYM_{service}"], addend
        elif symbol.value >= PERCPU_BASE:
            if kind in (R_32, R_32S) and where == ".text":
                return (place, C["FIX_PERCPU32"], C["SYM_PERCPU"],
                        symbol.value + addend - PERCPU_BASE)
        elif kind in (R_PC32, R_PLT32):
            return None                 # a distance inside of the load area never changes
        elif kind == R_64 and where != ".text":
            return place, C["FIX_ABS64"], C["SYM_LOAD"], symbol.value + addend
        raise Failure(f"{self.path}: {where} at {place:#x}: relocation of type {kind} "
                      f"for {name}, which no fixup of the ABI can express")

    def parts(self) -> list[Part]:
        """The sections of the image."""
        found: dict[str, Part] = {}
        for name in TYPES:
            section = self.sections.get(name)
            if section is None:
                continue
            content = section.data if section.kind != elf.SHT_NOBITS else b""
            if name == ".rodata":
                content = self._with_calls(section)
            kind, at = TYPES[name], section.address
            if kind == "PERCPU":
                at -= PERCPU_BASE
            before = found.get(kind)
            if before is None:
                found[kind] = Part(kind, content, at, section.size)
            else:                       # .bss follows .data
                before.load_size = at + section.size - before.load_off
        for part in found.values():
            # zeroes at the end are left out, since the kernel adds them; not those of code
            if part.kind != "TEXT":
                part.content = part.content.rstrip(b"\0")
                if part.kind != "PERCPU":
                    last = max((place + 8 - part.load_off for place, *_ in self.fixups
                                if part.load_off <= place < part.load_off + part.load_size),
                               default=0)
                    part.content = part.content.ljust(last, b"\0")
        return list(found.values())

    def _with_calls(self, section: elf.Section) -> bytes:
        content = bytearray(section.data)
        table = self.call_table()
        start = self.records.start - section.address
        if self.records and not 0 <= start <= len(content) - len(table):
            raise Failure(f"{self.path}: vmi_calls is not in .rodata")
        content[start:start + len(table)] = table
        return bytes(content)

    def call_table(self) -> bytes:
        """struct vmi64_call[]."""
        return b"".join(struct.pack("<HBBIII", call, kind, variant, entry, length, 0)
                        for call, variant, kind, entry, length in self.calls)

    def variant_table(self) -> bytes:
        """struct vmi64_variant[]."""
        start, end = self.elf.value("vmi_variants"), self.elf.value("vmi_variants_end")
        size = C["VARIANT_SIZE"]
        found = self.elf.read(start, end - start)
        if len(found) % size:
            raise Failure(f"{self.path}: .vmi.variants has {len(found)} bytes; each name has {size}")
        return b"".join(sorted(found[at:at + size] for at in range(0, len(found), size)))

    def fixup_table(self) -> bytes:
        """struct vmi64_fixup[]."""
        return b"".join(struct.pack("<IBBHiI", place, kind, symbol, 0, addend, 0)
                        for place, kind, symbol, addend in self.fixups)


def _aligned(image: bytearray, to: int) -> int:
    image.extend(bytes(-len(image) % to))
    return len(image)


def pci_data(vendor: int, device: int, blocks: int) -> bytes:
    """A PCI data structure: PCI Firmware Specification 3.3, 5.1.2. Not a class of device."""
    return struct.pack("<4sHHHHB3sHHBBH", b"PCIR", vendor, device, 0, 24, 0, b"\0\0\xff",
                       blocks, 0, 0, 0x80, 0)


def finish(image: bytearray) -> bytes:
    """Fill up to whole blocks, and make the checksum right by the last byte."""
    image[-1] = 0
    image[-1] = -sum(image) & 0xff
    return bytes(image)


def pack(path: pathlib.Path, version: int = 1, vendor: int = 0xffff,
         device: int = 0xffff) -> bytes:
    """The image of a linked ROM."""
    packer = Packer(path)
    value = packer.elf.value
    image = bytearray(C["ROM_SIZE"])
    pcir = _aligned(image, 8)
    image += bytes(24)
    header = _aligned(image, 8)
    image += bytes(C["HEADER_SIZE"])
    parts = packer.parts()
    sections = _aligned(image, 8)
    image += bytes(C["SECTION_SIZE"] * len(parts))
    calls = _aligned(image, 8)
    image += packer.call_table()
    fixups = _aligned(image, 8) if packer.fixups else 0
    image += packer.fixup_table()
    names = packer.variant_table()
    variants = _aligned(image, 8) if names else 0
    image += names
    places: dict[str, tuple[int, Part]] = {}
    table = b""
    for part in parts:
        at = _aligned(image, 16) if part.content else 0
        image += part.content
        places[part.kind] = at, part
        table += struct.pack("<IIIIIIII", C[f"SEC_{part.kind}"], 0, at, len(part.content),
                             part.load_off, part.load_size, 0, 0)
    image[sections:sections + len(table)] = table
    strings = []
    for name in ("vmi_licence", "vmi_vendor", "vmi_product"):
        at, part = places["RODATA"]
        strings.append(at + value(name) - part.load_off)
    image.append(0)                     # the checksum
    size = _aligned(image, BLOCK)
    blocks = size // BLOCK
    if blocks > 255:
        raise Failure(f"{path}: image of {size} bytes, {255 * BLOCK} is the limit")
    flags = C["ROM_RING0"]
    struct.pack_into("<IHBBIIIIIIIIIIIIIIIII", image, header,
                     C["MAGIC"], C["HEADER_SIZE"], C["API_MINOR"], C["API_MAJOR"], size, flags,
                     value("vmi_load_size"), version, *strings, value("vmi_init"),
                     value("vmi_get_relocation_info"), sections, len(parts), calls,
                     len(packer.calls), fixups, len(packer.fixups),
                     variants, len(names) // C["VARIANT_SIZE"])
    # the BIOS calls offset 3: a far return
    struct.pack_into("<HB5sIBBHIIHHI", image, 0, C["ROM_SIGNATURE"], blocks, b"\xcb\0\0\0\0",
                     C["SIGNATURE"], C["API_MINOR"], C["API_MAJOR"], 0, header, 0, pcir, 0, 0)
    image[pcir:pcir + 24] = pci_data(vendor, device, blocks)
    return finish(image)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="tools.pvops.rompack", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("elf", type=pathlib.Path, help="the linked ROM; with --initrd, the image")
    parser.add_argument("rom", type=pathlib.Path, help="the image to write; with --initrd, the archive")
    parser.add_argument("--initrd", action="store_true",
                        help="write an archive with the image, to be put in front of an initrd")
    parser.add_argument("--rom-version", type=int, default=1, help="the vendor's")
    parser.add_argument("--pci-id", default="ffff:ffff", metavar="VENDOR:DEVICE",
                        help="PCI ID of the device whose expansion ROM it is, in hex; the BIOS puts "
                             "the ROM of a device that matches into its window")
    args = parser.parse_args()
    if args.initrd:
        content = args.elf.read_bytes()
        if int.from_bytes(content[:2], "little") != C["ROM_SIGNATURE"]:
            raise Failure(f"{args.elf}: no ROM: an image begins with 55 AA; nothing written")
        args.rom.write_bytes(archive(content))
        return
    try:
        vendor, device = (int(word, 16) for word in args.pci_id.split(":"))
    except ValueError:
        raise Failure(f"--pci-id {args.pci_id}: not like 1234:5678") from None
    args.rom.write_bytes(pack(args.elf, args.rom_version, vendor, device))


if __name__ == "__main__":
    common.command(main)
