# SPDX-License-Identifier: GPL-2.0
"""Read ELF64 (little endian), as far as comparing kernel objects needs."""

import dataclasses
import functools
import pathlib
import struct

from .common import Failure

SHT_SYMTAB, SHT_RELA, SHT_NOBITS = 2, 4, 8
SHF_ALLOC, SHF_EXECINSTR = 2, 4
STT_FUNC, STT_SECTION, STT_FILE = 2, 3, 4


@dataclasses.dataclass(frozen=True)
class Section:
    """A section header and its content."""

    index: int
    name: str
    kind: int
    flags: int
    address: int
    size: int
    link: int
    info: int
    data: bytes


@dataclasses.dataclass(frozen=True)
class Symbol:
    """One entry of the symbol table."""

    name: str
    value: int
    size: int
    kind: int
    bind: int
    section: int


@dataclasses.dataclass(frozen=True)
class Relocation:
    """One relocation, its symbol by name (a section symbol by its section)."""

    offset: int
    kind: int
    symbol: str
    addend: int


class Elf:
    """An ELF file."""

    def __init__(self, path: pathlib.Path):
        self.path = path
        try:
            self.raw = path.read_bytes()
        except OSError as error:
            raise Failure(f"{path}: {error.strerror}") from error
        if self.raw[:6] != b"\x7fELF\x02\x01" or len(self.raw) < 64:
            raise Failure(f"{path} is not a 64-bit ELF file")
        (table,) = struct.unpack_from("<Q", self.raw, 0x28)
        size, count, names = struct.unpack_from("<HHH", self.raw, 0x3a)
        heads = [struct.unpack_from("<IIQQQQIIQQ", self.raw, table + size * number)
                 for number in range(count)]
        if not heads:
            raise Failure(f"{path} has no sections")
        strings = self._content(heads[names])
        self.sections = [Section(number, _string(strings, head[0]), head[1], head[2], head[3], head[5],
                                 head[6], head[7], self._content(head))
                         for number, head in enumerate(heads)]

    def _content(self, head: tuple) -> bytes:
        return b"" if head[1] == SHT_NOBITS else self.raw[head[4]:head[4] + head[5]]

    @functools.cached_property
    def symbols(self) -> list[Symbol]:
        """The symbol table, in order."""
        for section in self.sections:
            if section.kind == SHT_SYMTAB:
                strings = self.sections[section.link].data
                return [Symbol(_string(strings, name), value, size, info & 15, info >> 4, where)
                        for name, info, _, where, value, size
                        in struct.iter_unpack("<IBBHQQ", section.data)]
        return []

    @functools.cached_property
    def by_name(self) -> dict[str, Symbol]:
        """Symbols by name; of several local symbols with one name, the first."""
        found: dict[str, Symbol] = {}
        for symbol in self.symbols:
            if symbol.name:
                found.setdefault(symbol.name, symbol)
        return found

    def relocations(self, section: Section) -> list[Relocation]:
        """The relocations of SECTION, by offset."""
        found = []
        for table in self.sections:
            if table.kind != SHT_RELA or table.info != section.index:
                continue
            for offset, info, addend in struct.iter_unpack("<QQq", table.data):
                symbol = self.symbols[info >> 32]
                name = symbol.name
                if symbol.kind == STT_SECTION:
                    name = self.sections[symbol.section].name
                found.append(Relocation(offset, info & 0xffffffff, name, addend))
        return sorted(found, key=lambda one: one.offset)

    def read(self, address: int, size: int) -> bytes:
        """Bytes at a virtual address of a linked file."""
        for section in self.sections:
            if (section.flags & SHF_ALLOC and section.kind != SHT_NOBITS
                    and section.address <= address and address + size <= section.address + section.size):
                start = address - section.address
                return section.data[start:start + size]
        raise Failure(f"{self.path}: nothing at {address:#x}")

    def value(self, name: str) -> int:
        """Address of a symbol."""
        if name not in self.by_name:
            raise Failure(f"{self.path} has no symbol {name}")
        return self.by_name[name].value


def _string(table: bytes, offset: int) -> str:
    return table[offset:table.index(b"\0", offset)].decode(errors="replace")
