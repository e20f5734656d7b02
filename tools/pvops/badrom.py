# SPDX-License-Identifier: GPL-2.0
"""Images of VMI-64 ROMs that must be refused, each made from a good one.

Each image breaks one rule of Documentation/vmi64-abi.rst and is right otherwise,
its checksum included. Therefore the check must name exactly that rule.
"""

import pathlib
import struct
from typing import Callable

from . import rompack
from .rompack import C

# Field -> offset and size, as the ABI's header has them.
ROM = {"signature": (0, 2), "blocks": (2, 1), "vmi_signature": (8, 4), "api_minor": (12, 1),
       "api_major": (13, 1), "reserved0": (14, 2), "header_off": (16, 4), "reserved1": (20, 4),
       "reserved2": (28, 4), "pcir_off": (24, 2)}
HEADER = {"magic": (0, 4), "header_size": (4, 2), "api_minor": (6, 1), "api_major": (7, 1),
          "image_size": (8, 4), "flags": (12, 4), "load_size": (16, 4), "rom_version": (20, 4),
          "licence_off": (24, 4), "vendor_off": (28, 4), "product_off": (32, 4),
          "init_entry": (36, 4), "reloc_entry": (40, 4), "section_off": (44, 4),
          "nr_sections": (48, 4), "call_off": (52, 4), "nr_calls": (56, 4), "fixup_off": (60, 4),
          "nr_fixups": (64, 4), "variant_off": (68, 4), "nr_variants": (72, 4), "reserved": (76, 4)}
SECTION = {"type": (0, 4), "flags": (4, 4), "image_off": (8, 4), "image_size": (12, 4),
           "load_off": (16, 4), "load_size": (20, 4), "reserved": (24, 4)}
CALL = {"call": (0, 2), "type": (2, 1), "variant": (3, 1), "entry": (4, 4), "length": (8, 4),
        "reserved": (12, 4)}
FIXUP = {"place": (0, 4), "kind": (4, 1), "symbol": (5, 1), "reserved0": (6, 2), "addend": (8, 4),
         "reserved1": (12, 4)}
# The header's X(number, NAME, class, flags).
EOI, SET_PTE, INIT_CPU, EXIT_CPU = 88, 39, 80, 81


class Record:
    """One structure in an image, its fields by name."""

    def __init__(self, image: bytearray, at: int, fields: dict[str, tuple[int, int]]):
        self._image, self.at, self._fields = image, at, fields

    def __getitem__(self, name: str) -> int:
        offset, size = self._fields[name]
        return int.from_bytes(self._image[self.at + offset:self.at + offset + size], "little")

    def __setitem__(self, name: str, value: int) -> None:
        offset, size = self._fields[name]
        self._image[self.at + offset:self.at + offset + size] = (
            value % (1 << 8 * size)).to_bytes(size, "little")


class Image:
    """A good image, which is then changed to break a rule."""

    def __init__(self, content: bytes):
        self.bytes = bytearray(content)
        self.rom = Record(self.bytes, 0, ROM)
        self.header = Record(self.bytes, self.rom["header_off"], HEADER)

    def _table(self, name: str, size: int, fields: dict) -> list[Record]:
        start, count = self.header[f"{name}_off"], self.header[f"nr_{name}s"]
        return [Record(self.bytes, start + number * size, fields) for number in range(count)]

    @property
    def sections(self) -> list[Record]:
        """The section table."""
        return self._table("section", 32, SECTION)

    @property
    def calls(self) -> list[Record]:
        """The call table."""
        return self._table("call", 16, CALL)

    @property
    def fixups(self) -> list[Record]:
        """The fixup table."""
        return self._table("fixup", 16, FIXUP)

    def section(self, kind: str) -> Record:
        """The section of a type."""
        return next(one for one in self.sections if one["type"] == C[f"SEC_{kind}"])

    def call(self, number: int, kind: str = "CALL") -> Record:
        """An entry of a call."""
        return next(one for one in self.calls
                    if one["call"] == number and one["type"] == C[f"RELOC_{kind}"])

    def fixup(self, symbol: str) -> Record:
        """The first fixup with a symbol."""
        return next(one for one in self.fixups if one["symbol"] == C[f"SYM_{symbol}"])

    def code(self, entry: int) -> int:
        """Where code of the load area is in the image."""
        text = self.section("TEXT")
        return text["image_off"] + entry - text["load_off"]

    def drop_call(self, number: int) -> None:
        """Take all entries of a call out of the table."""
        kept = b"".join(bytes(self.bytes[one.at:one.at + 16]) for one in self.calls
                        if one["call"] != number)
        start = self.header["call_off"]
        self.bytes[start:start + len(kept)] = kept
        self.header["nr_calls"] = len(kept) // 16


Spoil = Callable[[Image], None]


def _rom(**fields: int) -> Spoil:
    def spoil(image: Image) -> None:
        for name, value in fields.items():
            image.rom[name] = value
    return spoil


def _header(**fields: int) -> Spoil:
    def spoil(image: Image) -> None:
        for name, value in fields.items():
            image.header[name] = value
    return spoil


def _section(kind: str, **fields: int) -> Spoil:
    def spoil(image: Image) -> None:
        section = image.section(kind)
        for name, value in fields.items():
            section[name] = value
    return spoil


def _call(number: int, which: str = "CALL", **fields: int) -> Spoil:
    def spoil(image: Image) -> None:
        call = image.call(number, which)
        for name, value in fields.items():
            call[name] = value
    return spoil


def _fixup(which: str, **fields: int) -> Spoil:
    def spoil(image: Image) -> None:
        fixup = image.fixup(which)
        for name, value in fields.items():
            fixup[name] = value
    return spoil


def _major(image: Image) -> None:
    image.rom["api_major"] = image.header["api_major"] = 5


def _vmi3(image: Image) -> None:
    """The begin of a 32-bit ROM of 2007: a version, and no offset of a header after it."""
    image.rom["api_major"], image.rom["api_minor"] = 3, 0
    image.rom["header_off"] = 0x90900020


def _pci_length(image: Image) -> None:
    """One block less than the length byte says."""
    image.bytes[image.rom["pcir_off"] + 16] -= 1


def _licence(image: Image) -> None:
    at = image.header["licence_off"]
    image.bytes[at:at + 4] = b"BSD\0"


def _unprintable(image: Image) -> None:
    image.bytes[image.header["product_off"]] = 0x1b


def _overlap_load(image: Image) -> None:
    image.section("DATA")["load_off"] = image.section("RODATA")["load_off"]


def _overlap_image(image: Image) -> None:
    """Let the call table overlap the end of the section table."""
    image.header["call_off"] = image.header["section_off"] + 16


def _two_texts(image: Image) -> None:
    image.section("RODATA")["type"] = C["SEC_TEXT"]


def _unsorted(image: Image) -> None:
    one, two = image.call(INIT_CPU), image.call(EXIT_CPU)
    one["call"], two["call"] = two["call"], one["call"]


def _no_endbr(image: Image) -> None:
    at = image.code(image.call(EOI)["entry"])
    image.bytes[at:at + 4] = b"\x90\x90\x90\x90"


def _inline_jump(image: Image) -> None:
    """A jump in the place of MOV, which has 3 bytes, and one byte that it jumps over."""
    at = image.code(image.call(SET_PTE, "INLINE")["entry"]) + 4
    image.bytes[at:at + 3] = b"\xeb\x00\x90"


def _inline_rex2(image: Image) -> None:
    """A REX2 prefix that makes SYSCALL of one more byte, in the place of MOV."""
    at = image.code(image.call(SET_PTE, "INLINE")["entry"]) + 4
    image.bytes[at:at + 3] = b"\xd5\x80\x05"


def _minor(image: Image, minor: int) -> None:
    """Another minor version, in both places."""
    image.rom["api_minor"] = image.header["api_minor"] = minor
    if not minor:                       # names of variants came with 4.1
        image.header["variant_off"] = image.header["nr_variants"] = 0


def _ring3_call(image: Image) -> None:
    """Use 33, IRET in VMI 3.0: between its neighbours it keeps the order."""
    entry = next(one for one in image.calls if one["call"] == 31)
    entry["call"] = 33


def _fixup_opcode(image: Image) -> None:
    """NOP in the place of the opcode of CALL."""
    image.bytes[image.code(image.fixup("LOG")["place"]) - 1] = 0x90


def _truncated(image: Image) -> None:
    del image.bytes[len(image.bytes) // 2 // 512 * 512:]


# name -> the rule that refuses it, what is wrong, how it is made
IMAGES: dict[str, tuple[int, str, Spoil]] = {
    "signature": (1, "the VMI signature is not there", _rom(vmi_signature=0)),
    "length-zero": (2, "length 0", _rom(blocks=0)),
    "truncated": (2, "the second half is missing", _truncated),
    "checksum": (3, "one bit is another", lambda image: None),
    "vmi3": (4, "a 32-bit ROM of VMI 3.0", _vmi3),
    "major": (4, "made for API major 5", _major),
    "header-offset": (5, "the header is behind the end", _rom(header_off=0x7ffffff8)),
    "magic": (6, "no magic number", _header(magic=0)),
    "header-size": (7, "a header of a later version in this one", _header(header_size=104)),
    "versions": (8, "two versions", _header(api_minor=0)),
    "image-size": (9, "the header has another length", _header(image_size=512)),
    "pci-length": (9, "the PCI data structure has another length", _pci_length),
    "flags": (10, "a flag that nobody knows", _header(flags=0x9)),
    "reserved": (10, "a reserved field is set", _header(reserved=1)),
    "ring3": (10, "for a kernel in ring 3", _header(flags=0x3)),
    "ring": (11, "not for a kernel in ring 0", _header(flags=0)),
    "indirect": (12, "says that it has indirect branches", _header(flags=0x5)),
    "string": (13, "a control character in its name", _unprintable),
    "string-offset": (13, "its vendor's name is behind the end", _header(vendor_off=0xfffffff0)),
    "licence": (14, "its licence is not compatible with the GPL", _licence),
    "section-table": (15, "section table behind the end", _header(section_off=0xfffffff8)),
    "section-type": (16, "a type of section that nobody knows", _section("RODATA", type=9)),
    "two-texts": (16, "two sections of code", _two_texts),
    "section-offset": (17, "contents of a section behind the end",
                       _section("RODATA", image_off=0xfffff000)),
    "load-size": (18, "a load area of 16 MiB", _header(load_size=0x1000000)),
    "section-load": (19, "a section outside of the load area", _section("DATA", load_off=0x3f000)),
    "section-overlap": (19, "two sections in one place", _overlap_load),
    "percpu-size": (19, "per-CPU area of two pages", _section("PERCPU", load_size=0x2000)),
    "call-table": (20, "more calls than there can be", _header(nr_calls=0x10000000)),
    "fixup-table": (21, "fixup table behind the end", _header(fixup_off=0xfffffff0)),
    "overlap": (22, "tables on top of each other", _overlap_image),
    "init-entry": (23, "VMI_Init behind the end of the code", _header(init_entry=0x30000)),
    "call-number": (24, "a call that nobody knows", _call(INIT_CPU, call=79)),
    "call-ring3": (24, "a call that only VMI 3.0 has", _ring3_call),
    "call-order": (25, "call table not in order", _unsorted),
    "call-entry": (26, "a call behind the end of the code", _call(EOI, entry=0xfffffff0)),
    "call-length": (26, "a call longer than the code", _call(EOI, length=0xfffffff0)),
    "endbr": (26, "an entry without ENDBR64", _no_endbr),
    "inline": (27, "a jump in an inline body", _inline_jump),
    "inline-rex2": (27, "SYSCALL with a REX2 prefix in an inline body", _inline_rex2),
    "mandatory": (28, "no INIT_CPU", lambda image: image.drop_call(INIT_CPU)),
    "fixup-kind": (29, "a kind of fixup that nobody knows", _fixup("LOG", kind=9)),
    "fixup-opcode": (29, "a fixup that is not behind a call", _fixup_opcode),
    "fixup-place": (30, "a fixup behind the end", _fixup("LOG", place=0xfffffff0)),
    "fixup-order": (30, "two fixups in one place",
                    lambda image: _copy_place(image.fixups[0], image.fixups[1])),
    "fixup-addend": (31, "a call to the middle of a kernel function", _fixup("LOG", addend=4)),
    "percpu-addend": (31, "per-CPU data beyond the area", _fixup("PERCPU", addend=0x1000)),
}

# Good ROMs for another minor version: name -> what it is, how it is made
VERSIONS: dict[str, tuple[str, Spoil]] = {
    "4.0": ("made for API 4.0", lambda image: _minor(image, 0)),
    "newer": ("made for the next minor version", lambda image: _minor(image, image.rom["api_minor"] + 1)),
}

# ROMs whose code does something wrong when it runs, by rule: built from the source.
RUNNING = {"init": 35, "answer": 36, "answer-entry": 37, "answer-type": 38, "answer-pair": 39}
_RUNNING_ABOUT = {
    "init": "VMI_Init fails", "answer": "an answer of an unknown type",
    "answer-entry": "an answer that names an entry that is not there",
    "answer-type": "an answer of a type that the call cannot have",
    "answer-pair": "one call of a pair without the other"}


def _copy_place(one: Record, two: Record) -> None:
    """Make the first fixup a copy of the second one, of whatever kind."""
    for name in FIXUP:
        one[name] = two[name]


def about(name: str) -> str:
    """What is wrong with a bad ROM, "bad/NAME", or what an "other/NAME" is."""
    if name.startswith("other/"):
        return VERSIONS[name.removeprefix("other/")][0]
    name = name.removeprefix("bad/")
    return IMAGES[name][1] if name in IMAGES else _RUNNING_ABOUT[name]


def make(name: str, good: bytes) -> bytes:
    """One bad image, or one for another version, from a good one."""
    image = Image(good)
    (VERSIONS[name][1] if name in VERSIONS else IMAGES[name][2])(image)
    if name == "truncated":
        return bytes(image.bytes)
    content = bytearray(rompack.finish(image.bytes))
    if name == "checksum":
        content[-1] ^= 1
    elif image.rom["blocks"]:
        struct.pack_into("B", content, 2, len(content) // 512)
        content = bytearray(rompack.finish(content))
    return bytes(content)


def write(name: str, good: pathlib.Path, where: pathlib.Path) -> pathlib.Path:
    """One bad image in a file below WHERE."""
    where.mkdir(parents=True, exist_ok=True)
    path = where / f"{name}.rom"
    content = make(name, good.read_bytes())
    if not path.exists() or path.read_bytes() != content:
        path.write_bytes(content)
    return path
