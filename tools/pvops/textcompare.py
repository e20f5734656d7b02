# SPDX-License-Identifier: GPL-2.0
"""Show that on native the read-modify-write page-table paths cost at most a no-op.

What runs is not what is in vmlinux: alternatives, pv calls and static branches
have been patched in memory. So the guest job `textdump` sends the running
kernel's text, of our kernel and of an unpatched build, and this tool looks at

 - every site of the static branch in front of our ops (from vmlinux's jump
   table): in the running text it must be a no-op;
 - from each site on, along the path that native takes: the native instruction
   (xchg, cmpxchg, btr, and) must come, with no call and no jump in between
   that the unpatched function would not have;
 - every function that has a site, along all paths that native can take: it
   must have no more calls and no more jumps than the unpatched function.

Paths are followed through the code from the function's entry; what only our
static branch reaches is not on any of them. Two builds of one function may
order their blocks differently; where that adds or saves an unconditional jump
or inlines a function in one build only, the difference is shown, and accepted
only with a reason in tests/textcompare.toml.
"""

import argparse
import base64
import collections
import dataclasses
import json
import pathlib
import re
import struct
import subprocess
import sys
import tempfile
import tomllib
import zlib

from . import common
from .common import BUILD, LOG, REPORT, ROOT, Failure
from .elf import STT_FILE, STT_FUNC, Elf

KEY = "pvops_rmw_key"
ACCEPTED = ROOT / "tests/textcompare.toml"
NOPS = (b"\x66\x90", b"\x0f\x1f\x44\x00\x00")
# What the native read-modify-write ops compile to. `lock` is printed as a prefix.
# On one CPU `lock` has been patched to a prefix without effect. The plain store is
# what clears an entry of an address space that nobody else can use any more.
NATIVE = re.compile(r"^((lock|ds) (cmpxchg|btr|and)[a-z]*\s.*\(|xchg[a-z]?\s.*\(|mov[a-z]?\s+\$0x0,.*\()")
_LINE = re.compile(r"^\s*([0-9a-f]+):\t((?:[0-9a-f]{2} )+)\s*(?:\t(.*))?$")
_TARGET = re.compile(r"^(?:0x)?([0-9a-f]+)\b")
_SUFFIX = re.compile(r"\.(isra|constprop|part|cold|llvm)\b.*$")


@dataclasses.dataclass(frozen=True)
class Instruction:
    """One disassembled instruction."""

    address: int
    size: int
    text: str

    @property
    def word(self) -> str:
        """The mnemonic, without prefixes that do not change what it is."""
        words = [word for word in self.text.split() if word not in
                 ("notrack", "bnd", "lock", "rep", "repz", "data16", "cs", "ds")]
        return words[0].rstrip(",") if words else ""

    @property
    def target(self) -> int | None:
        """Where a direct call or jump goes."""
        words = [word for word in self.text.split() if word not in ("notrack", "bnd", "cs", "ds")]
        if len(words) < 2 or words[1].startswith("*"):
            return None
        found = _TARGET.match(words[1])
        return int(found.group(1), 16) if found else None

    @property
    def is_call(self) -> bool:
        """Any call."""
        return self.word in ("call", "callq")

    @property
    def is_jump(self) -> bool:
        """An unconditional jump."""
        return self.word in ("jmp", "jmpq")

    @property
    def is_branch(self) -> bool:
        """A conditional jump."""
        return self.word.startswith("j") and not self.is_jump

    @property
    def ends(self) -> bool:
        """Nothing follows."""
        return self.word in ("ret", "retq", "iretq", "sysretq")


class Kernel:
    """A kernel image and what its text was while it ran."""

    def __init__(self, vmlinux: pathlib.Path, dump: bytes):
        self.elf = Elf(vmlinux)
        self.start, self.text = parse_dump(dump)
        self.link = self.elf.value("_stext")
        functions = [one for one in self.elf.symbols
                     if one.kind == STT_FUNC and one.size and self.link <= one.value < self.link + len(self.text)]
        self.functions = {one.value: one for one in functions}
        self.by_base: dict[str, list] = collections.defaultdict(list)
        for one in functions:
            if ".cold" not in one.name:
                self.by_base[base_name(one.name)].append(one)
        # Local symbols stand behind the name of the file they are from.
        self.files: dict[int, str] = {}
        file = ""
        for one in self.elf.symbols:
            if one.kind == STT_FILE:
                file = one.name
            elif one.kind == STT_FUNC and one.bind == 0:
                self.files[one.value] = file
        self._code: dict[int, dict[int, Instruction]] = {}
        self.names = {one.value: one.name for one in self.elf.symbols if one.name and one.bind != 0}
        self.names |= {one.value: one.name for one in functions}
        self._file = tempfile.NamedTemporaryFile(prefix="pvops-text.")
        self._file.write(self.text)
        self._file.flush()

    def bytes_at(self, address: int, size: int) -> bytes:
        """Running text at a link address."""
        return self.text[address - self.link:address - self.link + size]

    def sites(self, key: str) -> list[tuple[int, int]]:
        """(code, target) of every static branch on KEY."""
        at = self.elf.value("__start___jump_table")
        end = self.elf.value("__stop___jump_table")
        wanted = self.elf.value(key)
        found = []
        table = self.elf.read(at, end - at)
        for number, (code, target, which) in enumerate(struct.iter_unpack("<iiq", table)):
            place = at + 16 * number
            if (place + 8 + which) & ~3 & 0xffffffffffffffff == wanted:
                found.append((place + code, place + 4 + target))
        return found

    def function_at(self, address: int):
        """The function that has ADDRESS."""
        for one in self.functions.values():
            if one.value <= address < one.value + one.size:
                return one
        return None

    def disassemble(self, function) -> dict[int, Instruction]:
        """The running instructions of a function, by link address."""
        if function.value in self._code:
            return self._code[function.value]
        done = subprocess.run(
            ["objdump", "-D", "-w", "-b", "binary", "-m", "i386:x86-64", f"--adjust-vma={self.link:#x}",
             f"--start-address={function.value:#x}", f"--stop-address={function.value + function.size:#x}",
             self._file.name], capture_output=True, text=True, check=False, env={"LC_ALL": "C", "PATH": "/usr/bin:/bin"})
        if done.returncode:
            raise Failure(f"objdump failed: {done.stderr.strip()}")
        self._code[function.value] = parse_disassembly(done.stdout)
        return self._code[function.value]

    def name_of(self, address: int | None) -> str:
        """How a call's target is called, so that two builds compare."""
        if address is None:
            return "indirect"
        return base_name(self.names.get(address, "?"))


def base_name(name: str) -> str:
    """A function's name without what the compiler appended."""
    return _SUFFIX.sub("", name)


def parse_dump(dump: bytes) -> tuple[int, bytes]:
    """Running address and bytes from what textdump wrote."""
    head, newline, text = dump.partition(b"\n")
    found = re.fullmatch(rb"pvops-text ([0-9a-f]+) ([0-9a-f]+)", head)
    if not found or not newline or len(text) != int(found.group(2), 16):
        raise Failure("the text dump is damaged: its head does not fit its length")
    return int(found.group(1), 16), text


def unwrap(lines: list[str]) -> bytes:
    """The dump from the job's tagged lines."""
    packed = "".join(line[5:].strip() for line in lines if line.startswith("TEXT:"))
    if not packed:
        raise Failure("the guest sent no text (did the job textdump run?)")
    try:
        # 16: gzip's header and checksum
        return zlib.decompress(base64.b64decode(packed, validate=True), 16 + zlib.MAX_WBITS)
    except (ValueError, zlib.error) as error:
        raise Failure(f"the text dump is damaged on its way over the console: {error}") from error


def parse_disassembly(text: str) -> dict[int, Instruction]:
    """objdump's output, by address."""
    found = {}
    for line in text.splitlines():
        match = _LINE.match(line)
        if match:
            address = int(match.group(1), 16)
            found[address] = Instruction(address, len(match.group(2).split()), (match.group(3) or "").strip())
    return found


def reachable(code: dict[int, Instruction], entry: int) -> dict[int, Instruction]:
    """Instructions that can run once ENTRY does, inside this function."""
    seen: dict[int, Instruction] = {}
    work = [entry]
    while work:
        address = work.pop()
        while address in code and address not in seen:
            one = code[address]
            seen[address] = one
            if one.ends:
                break
            if one.is_branch and one.target is not None:
                work.append(one.target)
            if one.is_jump:
                if one.target is not None:
                    work.append(one.target)
                break
            address += one.size
    return seen


def shortest(code: dict[int, Instruction], entry: int, found) -> list[Instruction]:
    """The shortest way from ENTRY to an instruction that FOUND accepts, with it; empty if none."""
    before: dict[int, int | None] = {entry: None}
    work = collections.deque([entry])
    while work:
        address = work.popleft()
        if address not in code:
            continue
        one = code[address]
        if found(one):
            way = []
            at: int | None = address
            while at is not None:
                way.append(code[at])
                at = before[at]
            return way[::-1]
        follow = []
        if not one.ends and not one.is_jump:
            follow.append(address + one.size)
        if (one.is_jump or one.is_branch) and one.target is not None:
            follow.append(one.target)
        for following in follow:
            if following not in before:
                before[following] = address
                work.append(following)
    return []


@dataclasses.dataclass
class Shape:
    """What a function's native paths have."""

    calls: collections.Counter
    jumps: int
    branches: int
    size: int


def shape(kernel: Kernel, function, code: dict[int, Instruction]) -> Shape:
    """Count along every path native can take."""
    calls: collections.Counter = collections.Counter()
    jumps = branches = 0
    live = reachable(code, function.value)
    for one in live.values():
        inside = one.target is not None and function.value <= one.target < function.value + function.size
        if one.is_call:
            calls[kernel.name_of(one.target)] += 1
        elif one.is_jump:
            name = kernel.name_of(one.target)
            if inside:
                jumps += 1
            elif name not in ("__x86_return_thunk", "srso_return_thunk", "retbleed_return_thunk",
                              "call_depth_return_thunk", "its_return_thunk", "srso_alias_return_thunk"):
                calls[name] += 1
        elif one.is_branch:
            branches += 1
    return Shape(calls, jumps, branches, len(live))


@dataclasses.dataclass
class Site:
    """One static-branch site."""

    function: str
    address: int
    problem: str = ""
    native: str = ""


def check_site(kernel: Kernel, function, code: dict[int, Instruction], address: int, target: int) -> Site:
    """Is the site a no-op, and does the native instruction follow without a call?"""
    site = Site(function.name, address)
    there = kernel.bytes_at(address, 5)
    size = next((len(nop) for nop in NOPS if there.startswith(nop)), 0)
    if not size:
        site.problem = f"is not a no-op in the running text ({there.hex(' ')})"
        return site
    way = shortest(code, address + size, lambda one: bool(NATIVE.match(one.text)))
    if not way:
        site.problem = "no native instruction follows"
        return site
    site.native = re.sub(r"\s+", " ", way[-1].text)
    for one in way[:-1]:
        if one.is_call:
            site.problem = f"call {kernel.name_of(one.target)} between the site and {site.native}"
        elif one.is_jump:
            site.problem = f"{re.sub(r' +', ' ', one.text)} between the site and {site.native}"
        elif one.address == target:
            site.problem = "the out-of-line call is on the native path"
    return site


@dataclasses.dataclass
class Difference:
    """A function whose native paths differ from the unpatched ones."""

    function: str
    text: str
    reason: str = ""


def compare(ours: Kernel, base: Kernel, functions: list) -> tuple[list[Difference], list[str]]:
    """(differences, functions that are equal)"""
    differences, equal = [], []
    for function in functions:
        name = base_name(function.name)
        mine = shape(ours, function, ours.disassemble(function))
        twins = base.by_base.get(name, [])
        twin = next((one for one in twins if one.name == function.name), twins[0] if twins else None)
        if twin is None:
            differences.append(Difference(name, "has no counterpart in the unpatched kernel"))
            continue
        theirs = shape(base, twin, base.disassemble(twin))
        calls = sum(mine.calls.values()), sum(theirs.calls.values())
        said = []
        if calls[0] > calls[1]:
            names = ", ".join(f"{key} ×{value}" for key, value in sorted((mine.calls - theirs.calls).items()))
            said.append(f"{calls[0]} calls, unpatched {calls[1]} (more: {names})")
        if mine.jumps > theirs.jumps:
            said.append(f"{mine.jumps} jumps, unpatched {theirs.jumps}")
        if said:
            differences.append(Difference(name, "; ".join(said)))
        else:
            equal.append(f"{name}: {calls[0]} calls (unpatched {calls[1]}), "
                         f"{mine.jumps} jumps (unpatched {theirs.jumps}), "
                         f"{mine.branches} branches (unpatched {theirs.branches}), "
                         f"{mine.size} instructions (unpatched {theirs.size})")
    return differences, equal


def accepted() -> dict[str, str]:
    """Function -> reason, for differences that were looked at."""
    if not ACCEPTED.exists():
        return {}
    try:
        entries = tomllib.loads(ACCEPTED.read_text(encoding="utf-8")).get("accept", [])
        return {entry["function"]: entry["reason"] for entry in entries}
    except (tomllib.TOMLDecodeError, KeyError) as error:
        raise Failure(f"{ACCEPTED}: {error}") from error


def dump_of(out: pathlib.Path, name: str, saved: pathlib.Path | None) -> bytes:
    """The running text of the kernel in OUT: from a file, or by booting it."""
    if saved:
        try:
            raw = saved.read_bytes()
        except OSError as error:
            raise Failure(f"{saved}: {error.strerror}") from error
        return raw if raw.startswith(b"pvops-text ") else unwrap(raw.decode(errors="replace").splitlines())
    from . import world
    common.say(f"textcompare: booting {common.shown(out)} for its running text")
    try:
        for attempt in (1, 2):
            result = world.run("bare", ["textdump"], kernel=out / "arch/x86/boot/bzImage",
                               log=LOG / f"textdump-{name}.log", check_kunit=False)
            try:
                job = result.jobs.get("textdump")
                dump = unwrap(job.lines if job else [])
                (BUILD / f"textdump-{name}.bin").write_bytes(dump)
                return dump
            except Failure:
                # A kernel message in the middle of a line is possible, twice it is not.
                if attempt == 2:
                    raise
    finally:
        world.stop_all()
    raise Failure("not reached")


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(prog="pvops-textcompare", description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=pathlib.Path, default=BUILD / "out/main", help="build of our kernel")
    parser.add_argument("--base", type=pathlib.Path, default=BUILD / "out/vanilla", help="unpatched build")
    parser.add_argument("--dump", type=pathlib.Path, help="saved text of our kernel, instead of booting it")
    parser.add_argument("--base-dump", type=pathlib.Path, help="saved text of the unpatched kernel")
    parser.add_argument("--verbose", action="store_true", help="name also what is equal")
    options = parser.parse_args()
    for place in (options.out, options.base):
        if not (place / "vmlinux").is_file():
            raise Failure(f"{common.shown(place)}/vmlinux is not there; build it first (make kernel, make vanilla)")
    ours = Kernel(options.out / "vmlinux", dump_of(options.out, "main", options.dump))
    base = Kernel(options.base / "vmlinux", dump_of(options.base, "vanilla", options.base_dump))
    pairs = ours.sites(KEY)
    if not pairs:
        raise Failure(f"{options.out}/vmlinux has no static branch on {KEY}; is CONFIG_PVOPS_RMW on?")
    functions, sites, outside, tests = {}, [], [], 0
    for address, target in pairs:
        function = ours.function_at(address)
        if function is None:
            # .init.text is freed by the time the text is read, .exit.text is not in it
            outside.append(address)
            continue
        if ours.files.get(function.value, "").endswith("_test.c"):
            # KUnit tests flip the switch and call the ops; nothing like them is unpatched.
            tests += 1
            continue
        functions[function.value] = function
        sites.append(check_site(ours, function, ours.disassemble(function), address, target))
    differences, equal = compare(ours, base, [functions[key] for key in sorted(functions)])
    reasons = accepted()
    for one in differences:
        one.reason = reasons.get(one.function, "")
    bad_sites = [one for one in sites if one.problem]
    bad = [one for one in differences if not one.reason]
    for one in sites:
        if one.problem:
            print(f"not ok {one.function} site {one.address:#x} - {one.problem}")
        elif options.verbose:
            print(f"ok {one.function} site {one.address:#x}: no-op, then {one.native}")
    for one in differences:
        print(f"{'ok' if one.reason else 'not ok'} {one.function} - {one.text}"
              + (f" (accepted: {one.reason})" if one.reason else ""))
    if options.verbose:
        for text in equal:
            print(f"ok {text}")
    REPORT.mkdir(parents=True, exist_ok=True)
    (REPORT / "textcompare.json").write_text(json.dumps({
        "sites": [dataclasses.asdict(one) for one in sites], "outside_text": len(outside),
        "differences": [dataclasses.asdict(one) for one in differences], "equal": equal}, indent=1) + "\n")
    print(f"textcompare: {len(sites)} sites in {len(functions)} functions are no-ops"
          if not bad_sites else f"textcompare: {len(bad_sites)} of {len(sites)} sites are bad")
    if tests:
        print(f"textcompare: {tests} sites in KUnit tests were left out")
    if outside:
        print(f"textcompare: {len(outside)} sites in text that is freed after boot were not looked at")
    failed = len(bad_sites) + len(bad)
    print(f"{len(sites) - len(bad_sites) + len(functions) - len(bad)} passed, {failed} failed, 0 skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    common.command(main)
