# SPDX-License-Identifier: GPL-2.0
"""The check of a ROM's image under libFuzzer, for a bounded time.

The harness is tests/fuzz/image.c, linked with the kernel's own source of the
check. It starts from tests/fuzz/corpus and every bad ROM. An input that makes
the check fail is kept in build/fuzz, and the command that repeats the failure is
printed.
"""

import argparse
import re
import shutil
import subprocess

from . import badrom, common, rom
from .common import Failure, say

OUT = common.BUILD / "fuzz"
CORPUS = common.ROOT / "tests/fuzz/corpus"
RETPOLINES = b"\x02"            # first byte of an input for the harness: a kernel with retpolines


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="tools.pvops.fuzz", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=60, help="how long")
    seconds = parser.parse_args().seconds
    found, seeds = OUT / "found", OUT / "seeds"
    for directory in (found, seeds):
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(parents=True)
    for name in badrom.IMAGES:
        (seeds / name).write_bytes(RETPOLINES + rom.image(f"bad/{name}").read_bytes())
    binary = rom.fuzzer()
    say(f"fuzzing the check of images for {seconds} s")
    done = subprocess.run([binary, f"-max_total_time={seconds}", "-max_len=24576", "-timeout=10",
                           f"-artifact_prefix={OUT}/", "-print_final_stats=1", found, CORPUS, seeds],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    text = done.stdout.decode(errors="replace")
    (OUT / "log").write_text(text, encoding="utf-8")
    if done.returncode:
        reason = re.search(r"^.*(?:ERROR|SUMMARY|runtime error): .*$", text, re.M)
        kept = re.search(r"Test unit written to (\S+)", text)
        raise Failure(f"{reason[0] if reason else 'the fuzzer failed'}; "
                      f"{common.shown(binary)} {kept[1] if kept else ''} shows it; "
                      f"log {common.shown(OUT / 'log')}")
    runs = re.search(r"stat::number_of_executed_units:\s*(\d+)", text)
    if not runs or int(runs[1]) < 1000:
        raise Failure(f"the fuzzer checked too few images; see {common.shown(OUT / 'log')}")
    print(f"{runs[1]} images checked without a finding")
    print("1 passed, 0 failed, 0 skipped")


if __name__ == "__main__":
    common.command(main)
