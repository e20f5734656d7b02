# SPDX-License-Identifier: GPL-2.0
"""What reads a ROM that may be malicious, under libFuzzer, for a bounded time.

image: the check of an image, and vmi-romtool. It starts from tests/fuzz/corpus and
every bad ROM. places: the search for images in the option-ROM window, in the
expansion ROM of a device and in the initrd.

The harnesses are in tests/fuzz, linked with the kernel's own source. An input that
makes one fail is kept in build/fuzz, and the command that repeats the failure is
printed.
"""

import argparse
import re
import shutil
import struct
import subprocess

from . import badrom, common, rom, rompack
from .common import Failure, say

OUT = common.BUILD / "fuzz"
# an input; a seed that is longer would be cut
LONGEST = 40960
CORPUS = common.ROOT / "tests/fuzz/corpus"
# the first byte of an input: what it is, a kernel with retpolines, for long ones zeroes behind it, and
# whether there is memory for copies
IMAGE, WINDOW, LONG_WINDOW, EXPANSION = b"\x02", b"\x04", b"\x0c", b"\x05"
INITRD, LONG_INITRD, LONGER_INITRD = b"\x06", b"\x0e", b"\x0f"
WINDOW_UNCOPIED, EXPANSION_UNCOPIED, INITRD_UNCOPIED = b"\x14", b"\x15", b"\x16"


def _image_seeds() -> dict[str, bytes]:
    names = [*rom.GOOD, *(f"bad/{name}" for name in badrom.IMAGES)]
    return {name.replace("/", "-"): IMAGE + rom.image(name).read_bytes() for name in names}


def _expansion(image: bytes) -> bytes:
    """An image of another kind, and behind it the ROM."""
    other = bytearray(512)
    other[:2], other[0x18:0x1a] = b"\x55\xaa", struct.pack("<H", 0x40)
    other[0x40:0x44], other[0x50:0x52] = b"PCIR", struct.pack("<H", 1)
    return bytes(other) + image


def _place_seeds() -> dict[str, bytes]:
    image = rom.image("example").read_bytes()
    archive = rompack.archive(image)
    return {"window": WINDOW + bytes(2048) + image, "two": WINDOW + image + bytes(-len(image) % 2048) + image,
            "long": LONG_WINDOW + bytes(2048) + image,
            "expansion": EXPANSION + _expansion(image), "initrd": INITRD + archive,
            "twice": INITRD + archive + archive, "cut": INITRD + archive[:len(archive) // 2],
            "long-cut": LONG_INITRD + archive[:len(archive) // 2],
            "longer-cut": LONGER_INITRD + archive[:len(archive) // 2],
            "window-uncopied": WINDOW_UNCOPIED + image, "expansion-uncopied": EXPANSION_UNCOPIED + _expansion(image),
            "initrd-uncopied": INITRD_UNCOPIED + archive,
            "cut-uncopied": INITRD_UNCOPIED + archive[:len(archive) // 2],
            "empty": INITRD + rompack.archive(b"")}


HARNESSES = {"image": (_image_seeds, [CORPUS]), "places": (_place_seeds, [])}


def fuzz(name: str, seconds: int) -> int:
    """One harness. Returns the number of inputs that were tried."""
    make_seeds, corpora = HARNESSES[name]
    out = OUT / name
    found, seeds = out / "found", out / "seeds"
    for directory in (found, seeds):
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(parents=True)
    for seed, data in make_seeds().items():
        assert len(data) <= LONGEST, seed
        (seeds / seed).write_bytes(data)
    binary = rom.fuzzer(name)
    say(f"fuzzing {name} for {seconds} s")
    done = subprocess.run([binary, f"-max_total_time={seconds}", f"-max_len={LONGEST}", "-timeout=10",
                           f"-artifact_prefix={out}/", "-print_final_stats=1", found, *corpora, seeds],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    text = done.stdout.decode(errors="replace")
    (out / "log").write_text(text, encoding="utf-8")
    if done.returncode:
        reason = re.search(r"^.*(?:ERROR|SUMMARY|runtime error): .*$", text, re.M)
        kept = re.search(r"Test unit written to (\S+)", text)
        raise Failure(f"{reason[0] if reason else 'the fuzzer failed'}; "
                      f"{common.shown(binary)} {kept[1] if kept else ''} shows it; "
                      f"log {common.shown(out / 'log')}")
    runs = re.search(r"stat::number_of_executed_units:\s*(\d+)", text)
    if not runs or int(runs[1]) < 1000:
        raise Failure(f"the fuzzer of {name} tried too few inputs; see {common.shown(out / 'log')}")
    return int(runs[1])


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="tools.pvops.fuzz", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=60, help="how long, each")
    parser.add_argument("name", nargs="*", help=f"which (default: all): {' '.join(HARNESSES)}")
    args = parser.parse_args()
    unknown = [name for name in args.name if name not in HARNESSES]
    if unknown:
        raise Failure(f"no fuzzer {' '.join(unknown)}; there are: {' '.join(HARNESSES)}")
    wanted = args.name or list(HARNESSES)
    for name in wanted:
        print(f"{name}: {fuzz(name, args.seconds)} inputs tried without a finding")
    print(f"{len(wanted)} passed, 0 failed, 0 skipped")


if __name__ == "__main__":
    common.command(main)
