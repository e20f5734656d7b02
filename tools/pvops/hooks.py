# SPDX-License-Identifier: GPL-2.0
"""The hooks: the quilt series in patches/6.12/, read and applied to files in memory.

All tools that need to know which kernel files we change (integration, the mail
series, lint, object comparison) use this module. A new hook needs no other list.
"""

import dataclasses
import pathlib
import re
import subprocess
import tempfile

from typing import Iterable, Mapping

from .common import ROOT, Failure as Problem

SERIES = "patches/6.12/series"

# Parts of this tree that become arch/x86/pvops; include/asm goes to the kernel's asm.
PAYLOAD = ("Kbuild", "Kconfig", "arch-x86-paravirt", "native-backend",
           "vmi-backend", "hypercall-backend", "include", "kunit",
           "Documentation")
# Those that a compiler reads.
CODE = tuple(name for name in PAYLOAD if name != "Documentation")
TARGET = "arch/x86/pvops"
ASM_SOURCE = "include/asm"
ASM_TARGET = "arch/x86/include/asm"

# Left by editors, version control and builds: never part of the kernel tree.
_SKIP = re.compile(r"(^\.(?!kunitconfig$))|(~$)|(\.(orig|rej|swp|o|a|ko|mod|pyc|cmd|d)$)|(^__pycache__$)")


class DoesNotApply(Problem):
    """A hook that does not apply to the tree."""

    def __init__(self, patch: "Patch", files: list[str], detail: str):
        self.patch = patch
        self.files = files
        super().__init__(f"{patch.name} does not apply to {', '.join(files)}{detail}")


@dataclasses.dataclass(frozen=True)
class Patch:
    """One patch of the series: its description and its changes."""

    name: str
    text: str

    @property
    def header(self) -> str:
        """The description: everything before the first diff."""
        return self._split()[0]

    @property
    def diff(self) -> str:
        """The change itself."""
        return self._split()[1]

    @property
    def stands_alone(self) -> bool:
        """Whether it changes Linux and does not need this tree."""
        return "pvops" not in self.diff.lower()

    def _split(self) -> tuple[str, str]:
        lines = self.text.splitlines(keepends=True)
        for number, line in enumerate(lines):
            follows = lines[number + 1] if number + 1 < len(lines) else ""
            if (line.startswith(("diff --git ", "Index: "))
                    or (line.startswith("--- ") and follows.startswith("+++ "))):
                return "".join(lines[:number]), "".join(lines[number:])
        return self.text, ""

    @property
    def subject(self) -> str:
        """First line of the description."""
        return self.message()[0]

    @property
    def author(self) -> str | None:
        """From: line of the header, if it has one."""
        found = re.search(r"^From: (.+)$", self.header, re.M)
        return found.group(1).strip() if found else None

    def message(self) -> tuple[str, str]:
        """Subject and body, whether the header is mail-like or plain text."""
        lines = []
        for line in self.header.splitlines():
            if "SPDX-License-Identifier:" in line or line.startswith(("From: ", "Date: ")):
                continue
            if re.fullmatch(r"-{3,}|={3,}", line.strip()):
                break
            lines.append(re.sub(r"^(Subject|Description):\s*(\[[^]]*\]\s*)?", "", line).rstrip())
        while lines and not lines[0]:
            lines.pop(0)
        while lines and not lines[-1]:
            lines.pop()
        if not lines:
            return "", ""
        subject, *rest = lines
        # A long Subject: may be folded, mail style.
        while rest and rest[0].startswith(" ") and rest[0].strip():
            subject += " " + rest.pop(0).strip()
        return subject.strip(), "\n".join(rest).strip("\n")

    def files(self) -> list[str]:
        """Paths the patch changes, creates or removes, in order."""
        found: list[str] = []
        lines = self.diff.splitlines()
        for number, line in enumerate(lines[:-1]):
            if line.startswith("--- ") and lines[number + 1].startswith("+++ "):
                names = [entry[4:].split("\t")[0].strip() for entry in (line, lines[number + 1])]
                real = [name.split("/", 1)[-1] for name in names if name != "/dev/null"]
                if not real:
                    raise Problem(f"{self.name}: a diff from /dev/null to /dev/null")
                for path in real:
                    if path.startswith("/") or ".." in path.split("/"):
                        raise Problem(f"{self.name}: {path} is outside the kernel tree")
                # quilt writes a.orig/ or b/ in front: -p1 is all that counts.
                if real[-1] not in found:
                    found.append(real[-1])
        return found


def read_series(root: pathlib.Path = ROOT) -> list[Patch]:
    """The patches named in the series file, in order."""
    series = root / SERIES
    try:
        listed = series.read_text(encoding="utf-8")
    except OSError as error:
        raise Problem(f"{series}: {error.strerror}") from error
    patches = []
    for line in listed.splitlines():
        words = line.split("#")[0].split()
        if not words:
            continue
        if words[1:] not in ([], ["-p1"]):
            raise Problem(f"{series}: {words[0]}: only -p1 is understood, not {' '.join(words[1:])}")
        path = series.parent / words[0]
        try:
            patch = Patch(words[0], path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            raise Problem(f"{path}: {error}") from error
        if not patch.files():
            raise Problem(f"{path}: changes no file")
        patches.append(patch)
    return patches


def hooked_files(patches: Iterable[Patch]) -> list[str]:
    """The paths of the kernel's own files that the patches change, once each, in order."""
    found: dict[str, None] = {}
    for patch in patches:
        found.update(dict.fromkeys(patch.files()))
    return list(found)


def _skipped(path: pathlib.Path, top: pathlib.Path) -> bool:
    return any(_SKIP.search(part) for part in path.relative_to(top).parts)


def payload(root: pathlib.Path = ROOT) -> dict[str, pathlib.Path]:
    """Path in the kernel tree -> our file, for everything that is added."""
    found: dict[str, pathlib.Path] = {}
    asm = root / ASM_SOURCE
    for name in PAYLOAD:
        top = root / name
        files = [top] if top.is_file() else sorted(top.rglob("*"))
        for path in files:
            if not path.is_file() or _skipped(path, root) or asm in path.parents:
                continue
            found[f"{TARGET}/{path.relative_to(root).as_posix()}"] = path
    for path in sorted(asm.rglob("*.h")):
        if path.is_file() and not _skipped(path, root):
            found[f"{ASM_TARGET}/{path.relative_to(asm).as_posix()}"] = path
    for needed in ("Kbuild", "Kconfig"):
        if f"{TARGET}/{needed}" not in found:
            raise Problem(f"{root}/{needed} is missing: this is not a complete pvops tree")
    return found


def apply(files: Mapping[str, bytes | None], patch: Patch, reverse: bool = False
          ) -> dict[str, bytes | None]:
    """FILES with PATCH applied (None: no such file). Exact context, offsets allowed."""
    touched = patch.files()
    with tempfile.TemporaryDirectory(prefix="pvops-hook.") as scratch:
        top = pathlib.Path(scratch)
        for path in touched:
            content = files.get(path)
            if content is not None:
                (top / path).parent.mkdir(parents=True, exist_ok=True)
                (top / path).write_bytes(content)
        # --force: patch(1) must not assume that a patch is reversed.
        command = ["patch", "-p1", "--fuzz=0", "--force", "--no-backup-if-mismatch",
                   "--reject-file=-", "--directory", scratch]
        if reverse:
            command.append("--reverse")
        try:
            done = subprocess.run(command, input=patch.diff.encode(), capture_output=True, check=False)
        except FileNotFoundError as error:
            raise Problem("the program 'patch' is not installed (Debian package: patch)") from error
        if done.returncode:
            said = done.stdout.decode(errors="replace") + done.stderr.decode(errors="replace")
            raise DoesNotApply(patch, _failed(said, touched, files), _hunks(said))
        result = dict(files)
        for path in touched:
            result[path] = (top / path).read_bytes() if (top / path).is_file() else None
    return result


def _failed(said: str, touched: list[str], files: Mapping[str, bytes | None]) -> list[str]:
    """The files that patch(1) named in an error; all of them if it named none."""
    bad, current = [], None
    for line in said.splitlines():
        found = re.match(r"(?:patching|checking) file '?([^']+?)'?(?: \(.*\))?$", line)
        if found:
            current = found.group(1)
        elif current and ("FAILED" in line or "previously applied" in line or "ignored" in line) \
                and current not in bad:
            bad.append(current)
    bad += [path for path in touched if files.get(path) is None and path not in bad
            and f"+++ b/{path}" in said]
    return bad or touched


def _hunks(said: str) -> str:
    failed = re.findall(r"Hunk #(\d+) FAILED at (\d+)", said)
    return " (" + ", ".join(f"hunk {hunk} near line {line}" for hunk, line in failed) + ")" if failed else ""


def apply_all(files: Mapping[str, bytes | None], patches: Iterable[Patch]) -> dict[str, bytes | None]:
    """FILES with the whole series applied, one patch after the other."""
    result = dict(files)
    for patch in patches:
        result = apply(result, patch)
    return result


def applied(files: Mapping[str, bytes | None], patches: Iterable[Patch]) -> list[Patch]:
    """Which patches FILES have already: those that can be reversed exactly.

    If hooks change the same lines, only the last one can be reversed. Therefore
    they are tried from the last to the first, and each reversal is kept.
    """
    current, found = dict(files), []
    for patch in reversed(list(patches)):
        try:
            current = apply(current, patch, reverse=True)
        except DoesNotApply:
            continue
        found.append(patch)
    return list(reversed(found))


def read_tree(kdir: pathlib.Path, paths: Iterable[str]) -> dict[str, bytes | None]:
    """Current content of PATHS in a kernel tree (None: absent)."""
    content: dict[str, bytes | None] = {}
    for path in paths:
        try:
            content[path] = (kdir / path).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            content[path] = None
        except OSError as error:
            raise Problem(f"{kdir / path}: {error.strerror}") from error
    return content


def kernel_version(kdir: pathlib.Path) -> tuple[int, int, int]:
    """VERSION, PATCHLEVEL and SUBLEVEL of a kernel tree."""
    try:
        head = (kdir / "Makefile").read_text(encoding="utf-8", errors="replace")[:2000]
    except OSError as error:
        raise Problem(f"{kdir} is not a kernel source tree (no readable Makefile)") from error
    numbers = []
    for key in ("VERSION", "PATCHLEVEL", "SUBLEVEL"):
        found = re.search(rf"^{key} = (\d+)$", head, re.M)
        if not found:
            raise Problem(f"{kdir} is not a kernel source tree (its Makefile has no {key})")
        numbers.append(int(found.group(1)))
    return numbers[0], numbers[1], numbers[2]


def check_kernel(kdir: pathlib.Path) -> str:
    """Version string of KDIR; a Problem if it is not a 6.12 tree with x86."""
    if not kdir.is_dir():
        raise Problem(f"{kdir}: no such directory")
    version, patchlevel, sublevel = kernel_version(kdir)
    if (version, patchlevel) != (6, 12):
        raise Problem(f"{kdir} is Linux {version}.{patchlevel}.{sublevel}; these hooks are for 6.12.x")
    if not (kdir / "arch/x86/Kconfig").is_file():
        raise Problem(f"{kdir} has no arch/x86: it is not a complete 6.12 source tree")
    return f"{version}.{patchlevel}.{sublevel}"
