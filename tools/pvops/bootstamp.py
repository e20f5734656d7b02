# SPDX-License-Identifier: GPL-2.0
"""A bzImage that records when its first instruction was executed.

The boot protocol lets a boot loader insert code between the setup code and the
kernel: the setup code jumps to hdr.code32_start, with the address of
boot_params in ESI (Documentation/arch/x86/boot.rst). The inserted code stores
the TSC in boot_params.hd0_info, which kernels no longer use, and jumps to the
kernel. User space reads the value from /sys/kernel/boot_params/data.
"""

import pathlib
import struct

from . import common
from .common import Failure

SETUP_SECTS, SYSSIZE, MAGIC, VERSION, CODE32_START = 0x1f1, 0x1f4, 0x202, 0x206, 0x214
HD0_INFO = 0x80         # in boot_params
LOADED_AT = 0x100000


def code(target: int) -> bytes:
    """rdtsc; mov %eax, HD0_INFO(%esi); mov %edx, HD0_INFO + 4(%esi); mov $target, %eax; jmp *%eax"""
    return (b"\x0f\x31" + b"\x89\x86" + struct.pack("<I", HD0_INFO) + b"\x89\x96" + struct.pack("<I", HD0_INFO + 4)
            + b"\xb8" + struct.pack("<I", target) + b"\xff\xe0")


def stamped(image: bytes) -> bytes:
    """The image with the code appended; a Failure if the image has another format."""
    if image[MAGIC:MAGIC + 4] != b"HdrS" or struct.unpack_from("<H", image, VERSION)[0] < 0x202:
        raise Failure("not a bzImage")
    target, = struct.unpack_from("<I", image, CODE32_START)
    if target != LOADED_AT:
        raise Failure(f"a bzImage whose code is loaded at {target:#x} instead of {LOADED_AT:#x}")
    begins = ((image[SETUP_SECTS] or 4) + 1) * 512
    made = bytearray(image)
    made += bytes(-(len(made) - begins) % 16)
    where = LOADED_AT + len(made) - begins
    made += code(target)
    made += bytes(-(len(made) - begins) % 16)
    struct.pack_into("<I", made, SYSSIZE, (len(made) - begins) // 16)
    struct.pack_into("<I", made, CODE32_START, where)
    return bytes(made)


def image_of(image: pathlib.Path) -> pathlib.Path:
    """The stamped copy of an image, made anew if the image is newer."""
    copy = common.BUILD / "run" / f"stamped-{image.parents[3].name if len(image.parents) > 3 else 'image'}"
    try:
        content = stamped(image.read_bytes())
    except Failure as failure:
        raise Failure(f"{common.shown(image)}: {failure}") from None
    if not copy.exists() or copy.read_bytes() != content:
        copy.parent.mkdir(parents=True, exist_ok=True)
        with common.whole(copy) as partial:
            partial.write_bytes(content)
    return copy
