# SPDX-License-Identifier: GPL-2.0
"""KUnit with the kernel's own kunit.py.

 parse  run `kunit.py parse` on every console in boot.json; its counts must be
        those of our own parser
 run    `kunit.py run` builds its own small kernel from kunit/.kunitconfig and
        boots it in QEMU, as a kernel developer would
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile

from . import common, hooks, integrate, kernel, report
from .common import BUILD, LOG, REPORT, Failure, say

CONFIG = hooks.ROOT / "kunit/.kunitconfig"


def counts(group: dict, depth: int = 0) -> dict[str, list[str]]:
    """{"PASS": [case, ...], "FAIL": ..., "SKIP": ...} of kunit.py's JSON.

    A group below a suite is one case with parameters. It counts as one case, as in
    the kernel's last line about the suite.
    """
    found: dict[str, list[str]] = {}
    for case in group.get("test_cases", []):
        found.setdefault(case["status"], []).append(f"{group['name']}.{case['name']}")
    for below in group.get("sub_groups", []):
        cases = counts(below, depth + 1)
        if depth:
            status = next((one for one in ("ERROR", "FAIL", "PASS") if cases.get(one)), "SKIP")
            cases = {status: [f"{group['name']}.{below['name']}"]}
        for status, names in cases.items():
            found.setdefault(status, []).extend(names)
    return found


def parsed(tree: pathlib.Path, lines: list[str]) -> dict[str, list[str]]:
    """The counts of kunit.py for a kernel log."""
    with tempfile.TemporaryDirectory(prefix="pvops-kunit.") as scratch:
        log, out = pathlib.Path(scratch) / "log", pathlib.Path(scratch) / "json"
        log.write_text("\n".join(lines) + "\n")
        done = subprocess.run([sys.executable, "-B", str(tree / "tools/testing/kunit/kunit.py"), "parse",
                               f"--json={out}", str(log)], cwd=tree, capture_output=True, text=True, check=False)
        if not out.exists():
            raise Failure(f"kunit.py parse ended with {done.returncode} and no result: "
                          f"{(done.stderr or done.stdout).strip().splitlines()[-1:]}")
        return counts(json.loads(out.read_text()))


def parse() -> int:
    """Compare the counts in boot.json with those of kunit.py."""
    path = REPORT / "boot.json"
    try:
        worlds = json.loads(path.read_text())
    except (OSError, json.JSONDecodeError) as error:
        raise Failure(f"{common.shown(path)}: {error}; run make boot first") from error
    tree = kernel.vanilla_tree()
    passed = failed = skipped = 0
    for world in worlds:
        name, ours = world["world"], (world["kunit_passed"], world["kunit_failed"])
        if not any(ours):
            skipped += 1
            print(f"skip {name} - no KUnit results in boot.json")
            continue
        console = report.parse((hooks.ROOT / world["log"]).read_bytes())
        theirs = parsed(tree, console.kernel)
        got = (len(theirs.get("PASS", [])), len(theirs.get("FAIL", [])) + len(theirs.get("ERROR", [])))
        if got == ours:
            passed += 1
            print(f"ok {name}: {got[0]} passed, {got[1]} failed, by both parsers")
        else:
            failed += 1
            print(f"not ok {name} - kunit.py counts {got[0]} passed and {got[1]} failed, "
                  f"boot.json {ours[0]} and {ours[1]}")
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed or not passed else 0


def run() -> int:
    """kunit.py run on the integrated tree."""
    if not CONFIG.is_file():
        raise Failure(f"{common.shown(CONFIG)} is not there")
    tree = kernel.unpacked("linux")
    say(integrate.integrate(tree))
    out, result = BUILD / "out/kunit", BUILD / "out/kunit.json"
    out.mkdir(parents=True, exist_ok=True)
    result.unlink(missing_ok=True)
    # kunit.py refuses a source tree with objects in it; ours has none.
    common.run_logged([sys.executable, "-B", "tools/testing/kunit/kunit.py", "run", "--arch=x86_64",
                       f"--build_dir={out}", f"--kunitconfig={CONFIG}", "--make_options=CC=ccache gcc",
                       f"--jobs={os.cpu_count()}", "--timeout=300", "--qemu_args=-smp 2 -accel tcg",
                       f"--json={result}"], LOG / "kunit-run.log", what="kunit.py run",
                      cwd=tree, env=kernel.make_environment())
    if not result.exists():
        raise Failure("kunit.py run left no result; see build/log/kunit-run.log")
    group = json.loads(result.read_text())
    found = counts(group)
    suites = {below["name"] for below in group.get("sub_groups", [])}
    missing = [name for name in report.wanted_suites() if name not in suites]
    for name in missing:
        print(f"not ok {name} - the suite did not run")
    bad = found.get("FAIL", []) + found.get("ERROR", [])
    for name in bad:
        print(f"not ok {name}")
    print(f"{len(found.get('PASS', []))} passed, {len(bad) + len(missing)} failed, {len(found.get('SKIP', []))} skipped")
    return 1 if bad or missing or not found.get("PASS") else 0


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(prog="pvops-kunit", description=__doc__.splitlines()[0])
    parser.add_argument("action", choices=("parse", "run"))
    return parse() if parser.parse_args().action == "parse" else run()


if __name__ == "__main__":
    common.command(main)
