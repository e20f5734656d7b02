# SPDX-License-Identifier: GPL-2.0
"""All checks of the sources that need no boot.

 files       SPDX line in every file, Python compiles, shell scripts parse
 patches     every patch has a subject and a reason, checkpatch finds nothing
 checkpatch  the kernel's own checkpatch.pl --strict on our C, headers, Kconfig
 kerneldoc   scripts/kernel-doc -none -Werror on headers and sources
 compile     gcc W=1, sparse and objtool on our directory, without a warning; on
             hooked files and on users of hooked headers, without a new one
 names       static functions and variables have the prefix of their directory
 floors      in the objects of the built kernel no two files use each other
 objtool     vmlinux.o is checked again (noinstr, IBT, ORC) with the command of
             the build: no warning

tests/lint.toml lists the accepted exceptions, each with its reason.
"""

import argparse
import pathlib
import re
import shlex
import shutil
import subprocess
import tempfile
import tomllib

from . import common, csource, elf, floors, hooks, kernel, mailseries, objects
from .common import BUILD, ROOT, Failure, say

ALLOWED = ROOT / "tests/lint.toml"
SOURCES = (".c", ".h", ".S")
# Files that include the headers we patch: a warning in a header appears here.
WITNESSES = ("mm/memory.c", "mm/mprotect.c", "mm/mremap.c", "mm/rmap.c", "mm/huge_memory.c",
             "mm/pgtable-generic.c", "mm/hugetlb.c", "arch/x86/mm/pgtable.c", "arch/x86/mm/tlb.c",
             "arch/x86/xen/mmu_pv.c", "arch/x86/kernel/kvm.c", "kernel/fork.c", "fs/proc/task_mmu.c")
NOT_OURS = re.compile(r"^(build|\.git|tests/fuzz/corpus)/")


class Results:
    """Counts of passed and failed checks, which are printed as ok and not ok lines."""

    def __init__(self) -> None:
        self.passed = self.failed = self.skipped = 0

    def check(self, name: str, problems: list[str]) -> None:
        """One check: ok if there is no problem."""
        if problems:
            self.failed += 1
            for problem in problems:
                print(f"not ok {name} - {problem}", flush=True)
        else:
            self.passed += 1
            print(f"ok {name}", flush=True)


def allowed(path: pathlib.Path = ALLOWED) -> list[dict[str, str]]:
    """Entries {check, file, text, reason}; a reason is not optional."""
    if not path.exists():
        return []
    try:
        entries = tomllib.loads(path.read_text(encoding="utf-8")).get("allow", [])
    except tomllib.TOMLDecodeError as error:
        raise Failure(f"{path}: {error}") from error
    for entry in entries:
        if set(entry) != {"check", "file", "text", "reason"} or not all(entry.values()):
            raise Failure(f"{path}: an entry needs check, file, text and reason: {entry}")
    return entries


def ignored_types(name: str, path: pathlib.Path = ALLOWED) -> list[str]:
    """checkpatch types that do not apply in the directory of NAME, from tests/lint.toml."""
    if not path.exists():
        return []
    found = []
    for entry in tomllib.loads(path.read_text(encoding="utf-8")).get("ignore", []):
        if set(entry) != {"below", "type", "reason"} or not all(entry.values()):
            raise Failure(f"{path}: an ignore entry needs below, type and reason: {entry}")
        if name.startswith(entry["below"]):
            found.append(entry["type"])
    return ["--ignore", ",".join(found)] if found else []


def permitted(entries: list[dict[str, str]], check: str, file: str, text: str) -> bool:
    """Whether an entry allows this."""
    return any(entry["check"] == check and entry["file"] == file and entry["text"] in text
               for entry in entries)


def tracked(root: pathlib.Path = ROOT) -> list[str]:
    """The files of the tree: those of git, or without git all but build products."""
    done = subprocess.run(["git", "-C", str(root), "ls-files", "-co", "--exclude-standard", "-z"],
                          capture_output=True, text=True, check=False) if (root / ".git").exists() else None
    if done and done.returncode == 0:
        names = [name for name in done.stdout.split("\0") if name]
    else:
        names = [path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()]
    return sorted(name for name in names if not NOT_OURS.match(name) and (root / name).is_file()
                  and "__pycache__" not in name)


def check_spdx(name: str, content: bytes) -> str:
    """The problem with a file's licence line, or nothing."""
    head = b"\n".join(content.split(b"\n")[:4])
    found = re.search(rb"SPDX-License-Identifier: ([^\n*]+)", head)
    if not found:
        return f"{name}: no SPDX-License-Identifier in its first lines"
    licence = found.group(1).strip().decode(errors="replace").removesuffix("-->").strip()
    if not re.fullmatch(r"GPL-2\.0(-only|-or-later)?( WITH Linux-syscall-note)?( OR \S+)?", licence):
        return f"{name}: licence {licence}"
    return ""


def check_files(results: Results, root: pathlib.Path = ROOT) -> None:
    """SPDX, Python, shell."""
    spdx, python, shell = [], [], []
    entries = allowed()
    for name in tracked(root):
        content = (root / name).read_bytes()
        problem = check_spdx(name, content)
        if problem and not permitted(entries, "spdx", name, problem):
            spdx.append(problem)
        first = content.split(b"\n")[0]
        if name.endswith(".py") or first.startswith(b"#!/usr/bin/env python3"):
            try:
                compile(content, name, "exec")
            except (SyntaxError, ValueError) as error:
                python.append(f"{name}: {error}")
        elif re.match(rb"#! ?/.*\b(ba)?sh\b", first):
            program = "bash" if b"bash" in first else "sh"
            done = subprocess.run([program, "-n", str(root / name)], capture_output=True, text=True, check=False)
            if done.returncode:
                shell.append(done.stderr.strip().replace("\n", "; "))
    results.check("every file has an SPDX line", spdx)
    results.check("Python compiles", python)
    results.check("shell scripts parse", shell)


def _checkpatch(tree: pathlib.Path, arguments: list[str], top: pathlib.Path, name: str, shown: str,
                entries: list[dict[str, str]]) -> list[str]:
    done = subprocess.run(["perl", str(tree / "scripts/checkpatch.pl"), "--strict", "--no-tree", "--no-summary",
                           "--terse", "--show-types", "--color=never", *arguments, name],
                          cwd=top, capture_output=True, text=True, check=False)
    said = [line.replace(name, shown) for line in (done.stdout + done.stderr).splitlines() if line.strip()]
    problems = [line for line in said if re.search(r": (ERROR|WARNING|CHECK):", line)]
    if done.returncode and not problems:
        problems = said[:1] or [f"{shown}: checkpatch.pl ended with {done.returncode}"]
    return [line for line in problems if not permitted(entries, "checkpatch", shown, line)]


def kernel_sources(root: pathlib.Path = ROOT) -> list[str]:
    """Our C, headers and assembly that become part of the kernel."""
    return sorted(path.relative_to(root).as_posix() for path in hooks.payload(root).values()
                  if path.suffix in SOURCES)


def check_patches(results: Results, tree: pathlib.Path) -> None:
    """Descriptions, and checkpatch on each."""
    entries = allowed()
    listed = hooks.read_series()
    place = pathlib.PurePosixPath(hooks.SERIES).parent
    described, complaints = [], []
    with tempfile.TemporaryDirectory(prefix="pvops-lint.") as scratch:
        for patch in listed:
            subject, body = patch.message()
            if not subject or not body:
                described.append(f"{patch.name}: no description (a subject, an empty line, a reason)")
                continue
            if len(subject) > 75:
                described.append(f"{patch.name}: its subject has {len(subject)} characters")
            # Check the patch as it is mailed, as a reviewer's checkpatch would see it.
            text = mailseries.mail(1, 1, patch.author or mailseries.AUTHOR, "Thu, 01 Jan 1970 00:00:00 -0000",
                                   subject, body, patch.diff)
            (pathlib.Path(scratch) / patch.name).write_text(text, encoding="utf-8")
            complaints += _checkpatch(tree, [], pathlib.Path(scratch), patch.name, f"{place}/{patch.name}", entries)
    stray = sorted({path.name for path in (ROOT / place).glob("*.patch")} - {patch.name for patch in listed})
    described += [f"{name} is not in the series" for name in stray]
    results.check("every patch has a description", described)
    results.check("checkpatch on patches", complaints)


def check_checkpatch(results: Results, tree: pathlib.Path) -> None:
    """checkpatch on our sources."""
    entries = allowed()
    # checkpatch's checks depend on the path of a file in the kernel tree.
    names = {path: source.relative_to(ROOT).as_posix() for path, source in hooks.payload().items()
             if source.suffix in SOURCES or source.name == "Kconfig"}
    names |= {name: name for name in tracked()
              if name.startswith(("tests/guest/", "bench/guest/", "vmi-rom/")) and name.endswith(SOURCES)}
    problems = []
    with tempfile.TemporaryDirectory(prefix="pvops-lint.") as scratch:
        top = pathlib.Path(scratch)
        for path, name in names.items():
            (top / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, top / path)
        for path, name in names.items():
            problems += _checkpatch(tree, ["-f", *ignored_types(name)], top, path, name, entries)
    results.check(f"checkpatch on {len(names)} sources", problems)


def check_kerneldoc(results: Results, tree: pathlib.Path) -> None:
    """kernel-doc comments parse and describe every parameter."""
    problems = []
    names = [name for name in kernel_sources() if not name.endswith(".S")]
    for name in names:
        done = subprocess.run(["perl", str(tree / "scripts/kernel-doc"), "-none", "-Werror", name], cwd=ROOT,
                              capture_output=True, text=True, check=False)
        said = [line for line in done.stderr.splitlines() if "warning:" in line or "error:" in line]
        problems += said or ([f"{name}: kernel-doc ended with {done.returncode}"] if done.returncode else [])
    results.check(f"kernel-doc on {len(names)} sources", problems)


def compile_objects(build: objects.Objects, targets: list[str]) -> tuple[bool, list[objects.Warning]]:
    """Did TARGETS compile, and what did gcc W=1, sparse and objtool say?

    All of them are compiled again. An error of sparse does not stop the build.
    """
    for target in targets:
        place = build.out / target
        for path in place.rglob("*.o") if target.endswith("/") else [place]:
            path.unlink(missing_ok=True)
    status, said = build.make("W=1", "C=2", "CHECK=sparse", *targets)
    found = objects.warnings(said, build.tree)
    if status and not any("error" in one.kind for one in found):
        lines = [line for line in said.splitlines() if "***" in line]
        raise Failure(f"{build.what}: {lines[0] if lines else 'make failed'}")
    return not status, found


def unprefixed(directory: str, prefix: str, root: pathlib.Path = ROOT) -> list[str]:
    """Static functions and variables in a directory whose names lack its prefix."""
    names = [path.relative_to(root).as_posix() for path in sorted((root / directory).iterdir())
             if path.suffix in (".c", ".h")]
    found = []
    for name, source in csource.read(names, root).items():
        for kind, symbols in (("function", source.static_functions),
                              ("variable", source.static_variables)):
            found += [f"{name}: static {kind} {symbol}: its name must begin with {prefix}"
                      for symbol in sorted(symbols)
                      if not symbol.lstrip("_").startswith(prefix)]
    return found


def check_names(results: Results) -> None:
    """The prefix of each directory."""
    results.check("static functions and variables have their directory's prefix",
                  [problem for directory, prefix in floors.KERNEL_DIRECTORIES.items()
                   for problem in unprefixed(directory, prefix)])


def check_floors(results: Results, out: pathlib.Path = BUILD / "out/main") -> None:
    """The objects of the kernel; tests/host looks at the sources."""
    problems = floors.kernel_problems(floors.of_objects(floors.kernel_objects(out)))
    results.check("files use only files below them", problems)


def readers_of_the_mask(obj: elf.Elf) -> list[str]:
    """Functions that a kprobe may be in, and that use the event mask of Xen (see hc_begin())."""
    found = set()
    for section in obj.sections:
        if not section.flags & elf.SHF_EXECINSTR or section.name in (".kprobes.text", ".noinstr.text", ".init.text"):
            continue
        functions = [one for one in obj.symbols if one.kind == elf.STT_FUNC and one.section == section.index]
        for relocation in obj.relocations(section):
            if relocation.symbol == "xen_vcpu_info":
                found.update(one.name for one in functions
                             if one.value <= relocation.offset < one.value + one.size)
    return sorted(found)


def check_probes(results: Results, out: pathlib.Path = BUILD / "out/main") -> None:
    """Each function of the backend hypercall that uses the event mask is out of reach for kprobes."""
    objs = sorted((out / floors.BUILT / "hypercall-backend").glob("*.o"))
    if not objs:
        raise Failure(f"{common.shown(out)} has no objects of hypercall-backend; 'make kernel' makes them")
    results.check("no kprobe where the event mask is read or written",
                  [f"{obj.name}: {function} is not __no_kprobe"
                   for obj in objs for function in readers_of_the_mask(elf.Elf(obj))])


def lint_config(text: str) -> str:
    """Switch IBT off: with IBT objtool runs on vmlinux.o only, and not on each object."""
    return objects.change_config(text, {"X86_KERNEL_IBT": "n"})


def check_compile(results: Results) -> None:
    """gcc W=1, sparse, objtool per object: ours clean, hooked files nothing new."""
    entries = allowed()
    config_path = BUILD / "out/main/.config"
    if not config_path.is_file():
        raise Failure(f"{common.shown(config_path)} is not there; 'make kernel' makes it")
    config = lint_config(config_path.read_text())
    sources = [*hooks.hooked_files(hooks.read_series()), *WITNESSES]
    ours = objects.Objects(BUILD / "linux", BUILD / "out/lint", "lint")
    base = objects.Objects(kernel.vanilla_tree(), BUILD / "out/lint-vanilla", "lint-vanilla")
    found: list[list[objects.Warning]] = []
    for build, more in ((ours, [f"{hooks.TARGET}/"]), (base, [])):
        build.configure(config)
        targets = more + list(dict.fromkeys(build.enabled(sources)))
        say(f"lint: compiling {len(targets)} targets with W=1 and sparse in {common.shown(build.out)}")
        good, warned = compile_objects(build, targets)
        if not good:
            results.check(f"{build.what} compiles", [str(one) for one in warned if "error" in one.kind])
        found.append(warned)
    new = [str(one) for one in objects.new_warnings(*found)
           if not permitted(entries, "compile", one.file, one.text)]
    in_ours = [text for text in new if text.startswith(hooks.TARGET)]
    results.check("W=1, sparse and objtool on our directory", in_ours)
    results.check("no new warning in hooked files and users of hooked headers",
                  [text for text in new if text not in in_ours])


def check_objtool(results: Results, out: pathlib.Path = BUILD / "out/main") -> None:
    """Link and check vmlinux.o again as the build did, into another file, and read warnings."""
    record = out / ".vmlinux.o.cmd"
    if not record.is_file() or not (out / "vmlinux.a").is_file():
        raise Failure(f"{common.shown(out)} has no vmlinux.o; 'make kernel' makes it")
    match = re.search(r"^savedcmd_vmlinux\.o := (.*)$", record.read_text(), re.M)
    if not match or "objtool" not in match.group(1):
        results.check("objtool on vmlinux.o", ["the build does not run objtool on vmlinux.o; "
                                               "is CONFIG_NOINSTR_VALIDATION or IBT off?"])
        return
    copy = ".pvops-lint.o"
    command = re.sub(r"\bvmlinux\.o\b", copy, match.group(1))
    say("lint: objtool on vmlinux.o")
    try:
        done = subprocess.run(["sh", "-c", command], cwd=out, capture_output=True, text=True, check=False)
    finally:
        (out / copy).unlink(missing_ok=True)
    said = done.stdout + done.stderr
    problems = [line for line in said.splitlines() if "objtool:" in line]
    if done.returncode and not problems:
        raise Failure(f"objtool failed: {said.strip().splitlines()[-1:]} ({shlex.quote(command)[:80]})")
    entries = allowed()
    results.check("objtool on vmlinux.o", [line for line in problems
                                           if not permitted(entries, "objtool", "vmlinux.o", line)])


CHECKS = ("files", "patches", "checkpatch", "kerneldoc", "names", "floors", "probes", "compile", "objtool")


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(prog="pvops-lint", description=__doc__.splitlines()[0])
    parser.add_argument("checks", nargs="*", default=[], metavar="CHECK",
                        help=f"some of: {' '.join(CHECKS)} (default: all)")
    options = parser.parse_args()
    chosen = options.checks or list(CHECKS)
    for name in chosen:
        if name not in CHECKS:
            raise Failure(f"lint: no check {name}; there are {', '.join(CHECKS)}")
    results = Results()
    tree = kernel.vanilla_tree()
    if "files" in chosen:
        check_files(results)
    if "patches" in chosen:
        check_patches(results, tree)
    if "checkpatch" in chosen:
        check_checkpatch(results, tree)
    if "kerneldoc" in chosen:
        check_kerneldoc(results, tree)
    if "names" in chosen:
        check_names(results)
    if "floors" in chosen:
        check_floors(results)
    if "probes" in chosen:
        check_probes(results)
    if "compile" in chosen:
        check_compile(results)
    if "objtool" in chosen:
        check_objtool(results)
    print(f"{results.passed} passed, {results.failed} failed, {results.skipped} skipped")
    return 1 if results.failed else 0


if __name__ == "__main__":
    common.command(main)
