# SPDX-License-Identifier: GPL-2.0
"""Show that on native the read-modify-write page-table paths cost at most a no-op.

The text of a running kernel differs from that in vmlinux: alternatives, pv calls
and static branches are patched in memory. Therefore the guest job `textdump`
sends the text of the running kernel, of ours and of an unpatched build. This tool
checks

 - every site of the static branch in front of our ops (from vmlinux's jump
   table): in the running text it must be a no-op;
 - the path that native takes from there: the native instruction (xchg,
   cmpxchg, btr, a plain store) must come with no call and no jump in between;
   after it, up to where the out-of-line call would come back, there may be
   a jump only if the unpatched function has as many;
 - every function that has a site, along all paths that native can take: it
   must have no more calls than the unpatched function.

Paths are followed through the code from the function's entry. Code that only our
static branch reaches is on no path. Two builds inline differently: a function that
is out of line in one build only is counted where it is called, together with the
call. So a call that the unpatched kernel does not make is found. Jumps elsewhere
in a function depend on gcc's order of blocks; they are reported, and
tools.pvops.cost measures their cost. A difference is accepted only with a reason
in tests/textcompare.toml.
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
import tempfile
import tomllib
import zlib

from . import common, hooks, kernel, world
from .common import BUILD, LOG, REPORT, ROOT, Failure
from .elf import STT_FILE, STT_FUNC, Elf

KEY = "pvops_rmw_key"
MAX_WORD = 1700
TIMEOUT = 300
ACCEPTED = ROOT / "tests/textcompare.toml"
NOPS = (b"\x66\x90", b"\x0f\x1f\x44\x00\x00")
# Instructions that the native read-modify-write ops compile to. `lock` is printed as
# a prefix. On one CPU `lock` is patched to a prefix without effect. The plain store
# clears an entry of an address space that no CPU uses any more.
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
        """The mnemonic without prefixes that do not change the instruction."""
        words = [word for word in self.text.split() if word not in
                 ("notrack", "bnd", "lock", "rep", "repz", "data16", "cs", "ds")]
        return words[0].rstrip(",") if words else ""

    @property
    def target(self) -> int | None:
        """The target of a direct call or jump."""
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
        """An instruction after which the function does not go on.

        Behind UD2 the kernel has found a fault of its own: BUG() does not go on, and
        what WARN() goes on with is nothing that a kernel does in use.
        """
        return self.word in ("ret", "retq", "iretq", "sysretq", "ud2")


class Kernel:
    """A kernel image and, as soon as it is known, its text in a running kernel."""

    def __init__(self, vmlinux: pathlib.Path):
        self.elf = Elf(vmlinux)
        self.link = self.elf.value("_stext")
        end = self.elf.value("_etext")
        functions = [one for one in self.elf.symbols
                     if one.kind == STT_FUNC and one.size and self.link <= one.value < end]
        self.functions = {one.value: one for one in functions}
        self.by_base: dict[str, list] = collections.defaultdict(list)
        for one in functions:
            if ".cold" not in one.name:
                self.by_base[base_name(one.name)].append(one)
        # In the symbol table local symbols follow the name of their file.
        self.files: dict[int, str] = {}
        file = ""
        for one in self.elf.symbols:
            if one.kind == STT_FILE:
                file = one.name
            elif one.kind == STT_FUNC and one.bind == 0:
                self.files[one.value] = file
        self.names = {one.value: one.name for one in self.elf.symbols if one.name and one.bind != 0}
        self.names |= {one.value: one.name for one in functions}
        self.text: dict[int, bytes] = {}
        self._code: dict[int, dict[int, Instruction]] = {}

    def twin(self, function, file: str):
        """The function of this build that is the same as one of another build, or None."""
        twins = self.by_base.get(base_name(function.name), [])
        for same in (lambda one: one.name == function.name and self.files.get(one.value, "") == file,
                     lambda one: self.files.get(one.value, "") == file, lambda one: True):
            for one in twins:
                if same(one):
                    return one
        return None

    def part(self, function) -> str:
        """The argument for textdump that asks for a function."""
        return f"{function.value - self.link:x}+{function.size:x}"

    def ran(self, dump: bytes) -> None:
        """Store the text that textdump sent."""
        self.text = {self.link + offset: data for offset, data in parse_dump(dump).items()}

    def bytes_at(self, address: int, size: int) -> bytes:
        """Running text at a link address."""
        for start, data in self.text.items():
            if start <= address < start + len(data):
                return data[address - start:address - start + size]
        raise Failure(f"the running text at {address:#x} was not dumped")

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
        """The function that contains ADDRESS."""
        for one in self.functions.values():
            if one.value <= address < one.value + one.size:
                return one
        return None

    def disassemble(self, function) -> dict[int, Instruction]:
        """The running instructions of a function, by link address."""
        if function.value not in self._code:
            self._code[function.value] = self.code_of(function, self.bytes_at(function.value, function.size))
        return self._code[function.value]

    @staticmethod
    def code_of(function, raw: bytes) -> dict[int, Instruction]:
        """RAW as the instructions of a function."""
        with tempfile.NamedTemporaryFile(prefix="pvops-text.") as file:
            file.write(raw)
            file.flush()
            done = subprocess.run(["objdump", "-D", "-w", "-b", "binary", "-m", "i386:x86-64",
                                   f"--adjust-vma={function.value:#x}", file.name], capture_output=True,
                                  text=True, check=False, env={"LC_ALL": "C", "PATH": "/usr/bin:/bin"})
        if done.returncode:
            raise Failure(f"objdump failed: {done.stderr.strip()}")
        return parse_disassembly(done.stdout)

    def name_of(self, address: int | None) -> str:
        """The name of a call's target, to compare between two builds."""
        if address is None:
            return "indirect"
        return base_name(self.names.get(address, "?"))


def base_name(name: str) -> str:
    """A function's name without the suffix of the compiler."""
    return _SUFFIX.sub("", name)


def parse_dump(dump: bytes) -> dict[int, bytes]:
    """{offset from _stext: bytes} from the output of textdump."""
    found, at = {}, 0
    while at < len(dump):
        head = re.compile(rb"pvops-text ([0-9a-f]+) ([0-9a-f]+)\n").match(dump, at)
        if not head or head.end() + int(head.group(2), 16) > len(dump):
            raise Failure("the text dump is damaged: its headers do not match its length")
        at = head.end() + int(head.group(2), 16)
        found[int(head.group(1), 16)] = dump[head.end():at]
    return found


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
    """Instructions of this function that can be reached from ENTRY."""
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
    """The shortest path from ENTRY to an instruction that FOUND accepts; empty if none."""
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
    """Calls and jumps on a function's native paths."""

    calls: collections.Counter
    jumps: int
    branches: int
    size: int


def shape(kernel: Kernel, function, code: dict[int, Instruction]) -> Shape:
    """Count calls and jumps on all native paths."""
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


def callees(kernel: Kernel, function, code: dict[int, Instruction]) -> list:
    """Functions of the text that FUNCTION calls directly on native paths, once per call."""
    found = []
    for one in reachable(code, function.value).values():
        if (one.is_call or one.is_jump) and one.target in kernel.functions and one.target != function.value:
            found.append(kernel.functions[one.target])
    return found


def inlined_elsewhere(kernel: Kernel, other: Kernel, function) -> dict[int, object]:
    """Functions that FUNCTION calls, at any depth, and that the other build inlines.

    vmlinux tells them, before the kernel ran: patching changes no direct call to
    such a function, and not which functions exist.
    """
    found: dict[int, object] = {}
    work = [function]
    while work:
        one = work.pop()
        code = kernel.code_of(one, kernel.elf.read(one.value, one.size))
        for callee in callees(kernel, one, code):
            local = callee.bind == 0 and ".cold" not in callee.name
            if local and callee.value not in found and not other.by_base.get(base_name(callee.name)):
                found[callee.value] = callee
                work.append(callee)
    return found


def expanded(kernel: Kernel, function, out_of_line: dict[int, object], depth: int = 8) -> Shape:
    """A function's shape, including those of OUT_OF_LINE that it calls."""
    code = kernel.disassemble(function)
    total = shape(kernel, function, code)
    for callee in callees(kernel, function, code):
        if callee.value in out_of_line and depth:
            more = expanded(kernel, callee, out_of_line, depth - 1)
            total = Shape(total.calls + more.calls, total.jumps + more.jumps,
                          total.branches + more.branches, total.size + more.size)
    return total


@dataclasses.dataclass
class Site:
    """One static-branch site."""

    function: str
    address: int
    problem: str = ""
    native: str = ""
    jump_after: str = ""


def check_site(kernel: Kernel, function, code: dict[int, Instruction], address: int, target: int) -> Site:
    """Check that the site is a no-op and the native instruction follows without a call."""
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
    # Where the two paths meet again. They do not if the function returns from both.
    back = set(reachable(code, target))
    for one in shortest(code, way[-1].address + way[-1].size, lambda one: one.address in back)[:-1]:
        if one.is_jump:
            site.jump_after = f"{re.sub(r' +', ' ', one.text)} after {site.native}"
    return site


@dataclasses.dataclass
class Difference:
    """A function whose native paths differ from those of the unpatched kernel."""

    function: str
    text: str
    reason: str = ""


def compare(ours: Kernel, base: Kernel, functions: list, sites: list[Site]) -> tuple[list[Difference], list[str]]:
    """(differences, a line about each function that is equal)"""
    differences, equal = [], []
    for function in functions:
        name = base_name(function.name)
        twin = base.twin(function, ours.files.get(function.value, ""))
        if twin is None:
            if function.bind == 0:
                # The unpatched build inlines it: it is counted in its callers.
                equal.append(f"{name}: inlined in the unpatched kernel; counted in its callers")
            else:
                differences.append(Difference(name, "has no counterpart in the unpatched kernel"))
            continue
        mine = expanded(ours, function, inlined_elsewhere(ours, base, function))
        theirs = expanded(base, twin, inlined_elsewhere(base, ours, twin))
        calls = sum(mine.calls.values()), sum(theirs.calls.values())
        counts = (f"{calls[0]} calls, unpatched {calls[1]}; {mine.jumps} jumps, unpatched {theirs.jumps}; "
                  f"{mine.branches} branches, unpatched {theirs.branches}; "
                  f"{mine.size} instructions, unpatched {theirs.size}")
        said = []
        if calls[0] > calls[1]:
            names = ", ".join(f"{key} ×{value}" for key, value in sorted((mine.calls - theirs.calls).items()))
            said.append(f"more calls: {names}")
        after = [site.jump_after for site in sites if site.function == function.name and site.jump_after]
        if after and mine.jumps > theirs.jumps:
            said.append(f"jumps on the native path: {', '.join(after)}")
        if said:
            differences.append(Difference(name, f"{'; '.join(said)} ({counts})"))
        else:
            equal.append(f"{name}: {counts}")
    return differences, equal


def callers_of(kernel: Kernel, wanted: list) -> list:
    """Functions that call one of WANTED directly."""
    targets = {one.value for one in wanted}
    found = []
    for function in kernel.functions.values():
        raw = kernel.elf.read(function.value, function.size)
        for at in range(len(raw) - 4):
            if raw[at] in (0xe8, 0xe9):
                to = function.value + at + 5 + int.from_bytes(raw[at + 1:at + 5], "little", signed=True)
                if to in targets and function.value != to:
                    found.append(function)
                    break
    return found


def accepted(path: pathlib.Path = ACCEPTED) -> dict[tuple[str, str], str]:
    """(function, what differs) -> reason, for accepted differences."""
    if not path.exists():
        return {}
    try:
        entries = tomllib.loads(path.read_text(encoding="utf-8")).get("accept", [])
    except tomllib.TOMLDecodeError as error:
        raise Failure(f"{path}: {error}") from error
    for entry in entries:
        if set(entry) != {"function", "text", "reason"} or not all(entry.values()):
            raise Failure(f"{path}: an entry needs function, text and reason: {entry}")
    return {(entry["function"], entry["text"]): entry["reason"] for entry in entries}


def dump_of(out: pathlib.Path, name: str, parts: list[str]) -> bytes:
    """Boot the kernel in OUT, and get PARTS of its running text."""
    common.say(f"textcompare: booting {common.shown(out)} for its running text")
    wanted = f"pvops.text={','.join(parts)}"
    if len(wanted) > MAX_WORD:
        # The kernel's command line is limited to 2048 characters: ask for all of the text.
        wanted = ""
    for attempt in (1, 2):
        result = world.run("bare", ["textdump"], kernel=out / kernel.IMAGE, extra_cmdline=wanted,
                           timeout=TIMEOUT, log=LOG / f"textdump-{name}.log", check_kunit=False)
        if result.timed_out:
            break
        try:
            job = result.jobs.get("textdump")
            return unwrap(job.lines if job else [])
        except Failure:
            # A kernel message may stand in the middle of a line; twice is not likely.
            if attempt == 2:
                raise
    raise Failure(f"the guest did not send its text in {TIMEOUT} s; see build/log/textdump-{name}.log")


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(prog="pvops-textcompare", description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=pathlib.Path, default=BUILD / "out/main", help="build of our kernel")
    parser.add_argument("--base", type=pathlib.Path, default=BUILD / "out/vanilla", help="unpatched build")
    parser.add_argument("--verbose", action="store_true", help="name also what is equal")
    options = parser.parse_args()
    for place in (options.out, options.base):
        if not (place / "vmlinux").is_file():
            raise Failure(f"{common.shown(place)}/vmlinux is not there; build it first (make kernel, make vanilla)")
    ours, base = Kernel(options.out / "vmlinux"), Kernel(options.base / "vmlinux")
    pairs = ours.sites(KEY)
    if not pairs:
        raise Failure(f"{options.out}/vmlinux has no static branch on {KEY}; is CONFIG_PVOPS_RMW on?")
    own = {path.name for path in hooks.payload().values()}
    functions, wanted, outside, ourselves = {}, [], [], 0
    for address, target in pairs:
        function = ours.function_at(address)
        if function is None:
            # .init.text is freed before the text is read, and .exit.text is not part of it
            outside.append(address)
        elif ours.files.get(function.value, "") in own:
            # Reports and tests read the static key; the unpatched kernel has no such code.
            ourselves += 1
        else:
            functions[function.value] = function
            wanted.append((function, address, target))
    # A function that only our build has out of line is judged in its callers.
    alone = [one for one in functions.values()
             if one.bind == 0 and base.twin(one, ours.files.get(one.value, "")) is None]
    while alone:
        callers = [one for one in callers_of(ours, alone) if one.value not in functions]
        functions |= {one.value: one for one in callers}
        alone = [one for one in callers
                 if one.bind == 0 and base.twin(one, ours.files.get(one.value, "")) is None]
    pieces: tuple[dict, dict] = {}, {}
    for one in functions.values():
        twin = base.twin(one, ours.files.get(one.value, ""))
        for kernel_, other, function, found in ((ours, base, one, pieces[0]), (base, ours, twin, pieces[1])):
            if function:
                found |= {function.value: function} | inlined_elsewhere(kernel_, other, function)
    try:
        ours.ran(dump_of(options.out, "main", [ours.part(one) for one in pieces[0].values()]))
        base.ran(dump_of(options.base, "vanilla", [base.part(one) for one in pieces[1].values()]))
    finally:
        world.stop_all()
    sites = [check_site(ours, function, ours.disassemble(function), address, target)
             for function, address, target in wanted]
    differences, equal = compare(ours, base, [functions[key] for key in sorted(functions)], sites)
    reasons = accepted()
    for one in differences:
        one.reason = reasons.get((one.function, one.text.split(" (")[0]), "")
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
    if ourselves:
        print(f"textcompare: {ourselves} sites in our own reports and tests were left out")
    if outside:
        print(f"textcompare: {len(outside)} sites in text that is freed after boot were not checked")
    failed = len(bad_sites) + len(bad)
    print(f"{len(sites) - len(bad_sites) + len(functions) - len(bad)} passed, {failed} failed, 0 skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    common.command(main)
