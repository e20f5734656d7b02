# SPDX-License-Identifier: GPL-2.0
"""Read a trace of xentrace: crossings of a PV guest, by kind.

A record is a u32 header (event in bits 0-27, number of extra words in bits
28-30, bit 31: a 64-bit time stamp follows), the time stamp, and the extra
words; see xen/include/public/trace.h. The benchmark program marks begin and end
of a counted stretch by hypercalls that do not exist. They are recorded, too
(bench/guest/cross.c).
"""

import collections
import dataclasses
import re
import struct
from typing import Iterator

from .common import Failure

CLASS_PV = 0x00200000
CPU_CHANGE = 0x0001f003
LOST = 0x0001f001
# Low byte of a PV event.
TRAP, FAULT, INVALID_OP, EMULATED, FIXUP, GDT, PTWR, PTWR_PAE, CALL, SUBCALL = \
    3, 4, 5, 6, 9, 10, 11, 12, 13, 14
NAMES = {FAULT: "page fault", INVALID_OP: "forced invalid op",
         EMULATED: "emulated instruction", 7: "emulated 4 GB segment",
         8: "math state restored", FIXUP: "paging fixup", GDT: "GDT or LDT fault",
         PTWR: "emulated page-table write", PTWR_PAE: "emulated page-table write"}
# xen/include/public/xen.h
HYPERCALLS = (
    "set_trap_table mmu_update set_gdt stack_switch set_callbacks fpu_taskswitch "
    "sched_op_compat platform_op set_debugreg get_debugreg update_descriptor - memory_op "
    "multicall update_va_mapping set_timer_op event_channel_op_compat xen_version "
    "console_io physdev_op_compat grant_table_op vm_assist update_va_mapping_otherdomain "
    "iret vcpu_op set_segment_base mmuext_op xsm_op nmi_op sched_op callback_op xenoprof_op "
    "event_channel_op physdev_op hvm_op sysctl domctl kexec_op tmem_op argo_op xenpmu_op "
    "dm_op hypfs_op").split()
SCHED_OP = HYPERCALLS.index("sched_op")
# bench/guest/cross.c
MARK_BEGIN, MARK_END, MARK_INDEX = 0x5e000000, 0x5f000000, 0x00ffffff
BOOT_INDEX = 0xffff


@dataclasses.dataclass(frozen=True)
class Record:
    """One record, with the CPU of its buffer."""
    event: int
    tsc: int | None
    extra: tuple[int, ...]
    cpu: int


def records(data: bytes) -> Iterator[Record]:
    """All records of a trace, in the order of the file."""
    at, cpu = 0, 0
    while at < len(data):
        if at + 4 > len(data):
            raise Failure(f"xentrace: {len(data) - at} bytes after the last record")
        header, = struct.unpack_from("<I", data, at)
        at += 4
        stamped, words = header >> 31, header >> 28 & 7
        size = 8 * stamped + 4 * words
        if at + size > len(data):
            raise Failure("xentrace: the last record is cut off")
        tsc = struct.unpack_from("<Q", data, at)[0] if stamped else None
        extra = struct.unpack_from(f"<{words}I", data, at + 8 * stamped)
        at += size
        event = header & 0x0fffffff
        if event == CPU_CHANGE and extra:
            cpu = extra[0]
        yield Record(event, tsc, extra, cpu)


def kind(record: Record) -> str | None:
    """The name of a record; None if it is no crossing of a PV guest."""
    if not record.event & CLASS_PV:
        return None
    what = record.event & 0xff
    if what in (CALL, SUBCALL):
        number = record.extra[0] & 0xfffff if record.extra else -1
        name = HYPERCALLS[number] if 0 <= number < len(HYPERCALLS) else f"hypercall {number}"
        return name if what == CALL else f"{name} (multicall)"
    if what == TRAP:
        # rip, then number and error code in one word
        return "trap"
    return NAMES.get(what, f"event {record.event:#x}")


def _mark(record: Record) -> int | None:
    """The command of a hypercall that is one of our marks."""
    if record.event & CLASS_PV and record.event & 0xff == CALL and len(record.extra) >= 2 \
            and record.extra[0] & 0xfffff == SCHED_OP \
            and record.extra[1] & ~MARK_INDEX in (MARK_BEGIN, MARK_END):
        return record.extra[1]
    return None


@dataclasses.dataclass
class Counted:
    """The records between the marks."""
    # index of an operation -> kind -> how many
    stretches: dict[int, collections.Counter] = dataclasses.field(default_factory=dict)
    # time stamp and kind of all records before the first mark, which is the boot
    boot: list[tuple[int, str]] = dataclasses.field(default_factory=list)


def count(data: bytes) -> Counted:
    """Add up a whole trace."""
    found = Counted()
    inside: int | None = None
    booting = True
    ordered = list(records(data))
    if any(record.event == LOST for record in ordered):
        raise Failure("xentrace: records were lost; a larger buffer is needed "
                      "(TRACE_PAGES in tools/pvops/bench.py)")
    # Each CPU has its own buffer; time stamps of all CPUs can be compared.
    if len({record.cpu for record in ordered}) > 1:
        ordered.sort(key=lambda record: record.tsc or 0)
    for record in ordered:
        mark = _mark(record)
        if mark is not None:
            index = mark & MARK_INDEX
            if mark & ~MARK_INDEX == MARK_BEGIN:
                if inside is not None:
                    raise Failure(f"xentrace: stretch {index} begins inside {inside}")
                inside = index
                found.stretches.setdefault(index, collections.Counter())
            elif inside is not None and index != inside:
                raise Failure(f"xentrace: stretch {index} ends inside {inside}")
            else:
                inside = None
            booting = False
            continue
        name = kind(record)
        if name is None:
            continue
        if inside is not None:
            found.stretches[inside][name] += 1
        elif booting:
            found.boot.append((record.tsc or 0, name))
    if inside is not None:
        raise Failure(f"xentrace: the trace ends inside stretch {inside}")
    return found


def sort_key(name: str) -> tuple[int, str]:
    """Sort key: hypercalls first, then traps and emulation."""
    return (bool(re.search(r"^(page fault|trap|emulated|event|forced|math|paging|GDT)", name)),
            name)
