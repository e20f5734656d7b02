# SPDX-License-Identifier: GPL-2.0
"""Build single kernel objects in a scratch O= directory and read their warnings.

lint, kconfig-matrix and objcompare need a few objects in many configurations.
The output directory of the kernel that is booted is never used.
"""

import collections
import dataclasses
import os
import pathlib
import re
import subprocess

from typing import Iterable

from . import common, kernel
from .common import Failure

_WARNING = re.compile(r"^(?P<file>[^\s:][^:]*):(?P<line>\d+)(?::\d+)?: "
                      r"(?P<kind>warning|error|fatal error): (?P<text>.*)$")
_OBJTOOL = re.compile(r"^(?P<file>\S+): (?P<kind>warning|error): objtool: (?P<text>.*)$")
_MODPOST = re.compile(r"^(?P<kind>WARNING|ERROR): modpost: (?P<text>.*)$")


@dataclasses.dataclass(frozen=True)
class Warning:
    """One diagnostic. Two of them are equal if they differ in the line only."""

    file: str
    kind: str
    text: str
    line: int = dataclasses.field(default=0, compare=False)

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return f"{place}: {self.kind}: {self.text}"


def warnings(log: str, tree: pathlib.Path) -> list[Warning]:
    """Every compiler, sparse, objtool and modpost diagnostic in a build log."""
    found = []
    prefixes = (f"{tree}/", f"{tree.resolve()}/", "../")
    for line in log.splitlines():
        match = _OBJTOOL.match(line) or _WARNING.match(line) or _MODPOST.match(line)
        if not match:
            continue
        parts = match.groupdict()
        name = parts.get("file") or "modpost"
        changed = True
        while changed:
            changed = False
            for prefix in prefixes:
                if name.startswith(prefix):
                    name, changed = name[len(prefix):], True
        name = re.sub(r"^.*/(?=(arch|mm|kernel|include|drivers|fs|lib|init|block|net)/)", "", name) \
            if name.startswith("/") else name
        text = re.sub(r"\+0x[0-9a-f]+", "+0x…", parts["text"])
        text = re.sub(r"\b\d+:\d+\b|\bat \S+:\d+", "…", text)
        found.append(Warning(name, parts["kind"], text, int(parts.get("line") or 0)))
    return found


def new_warnings(ours: Iterable[Warning], base: Iterable[Warning]) -> list[Warning]:
    """Warnings of OURS that BASE does not have as often.

    sparse reports a context imbalance at the last inlined line of the function,
    which may be in a header of ours. Therefore such warnings are compared by the
    name of the function.
    """
    def what(one: Warning) -> tuple[str, ...]:
        return ("", one.kind, one.text) if "context imbalance" in one.text else (one.file, one.kind, one.text)

    left = collections.Counter(what(one) for one in base)
    found = []
    for one in ours:
        if left[what(one)]:
            left[what(one)] -= 1
        else:
            found.append(one)
    return found


class Objects:
    """An O= directory of a kernel tree, for single objects."""

    def __init__(self, tree: pathlib.Path, out: pathlib.Path, what: str,
                 environment: dict[str, str] | None = None):
        self.tree = tree
        self.environment = kernel.make_environment() if environment is None else environment
        self.out = out
        self.what = what
        if not (tree / "Makefile").is_file():
            raise Failure(f"{tree} is not there; 'make kernel' unpacks it")

    def make(self, *arguments: str, limit: float = 3600) -> tuple[int, str]:
        """Run make; (status, output)."""
        command = ["make", "-C", str(self.tree), f"O={self.out}", "CC=ccache gcc",
                   f"-j{os.cpu_count()}", "-k", *arguments]
        child = common.start(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT, env=self.environment)
        try:
            said, _ = child.communicate(timeout=limit)
        except subprocess.TimeoutExpired as error:
            raise Failure(f"{self.what}: make {' '.join(arguments)[:60]} took more than {limit:.0f} s") from error
        finally:
            common.stop(child)
        return child.returncode, said.decode(errors="replace")

    def configure(self, config: str) -> None:
        """Write .config, if it differs, and complete it."""
        self.out.mkdir(parents=True, exist_ok=True)
        asked = self.out / ".pvops-asked"
        if not (asked.exists() and asked.read_text() == config and (self.out / ".config").exists()):
            (self.out / ".config").write_text(config)
            self._good("olddefconfig")
            asked.write_text(config)
        self._good("prepare")

    def _good(self, target: str) -> None:
        status, said = self.make(target)
        if status:
            lines = [line for line in said.splitlines() if line.strip()]
            raise Failure(f"{self.what}: make {target} failed: {lines[-1] if lines else 'no output'}")

    def config(self) -> dict[str, str]:
        """The completed configuration."""
        return parse_config((self.out / ".config").read_text())

    def enabled(self, sources: Iterable[str]) -> list[str]:
        """The objects (relative paths) of those SOURCES that this configuration builds."""
        found = []
        known: dict[str, set[str]] = {}
        for source in sources:
            if not source.endswith((".c", ".S")) or not (self.tree / source).is_file():
                continue
            path = pathlib.PurePosixPath(source)
            place = path.parent.as_posix()
            if place not in known:
                known[place] = self._listed(place) if self._reached(path.parent) else set()
            if f"{path.stem}.o" in known[place]:
                found.append(f"{place}/{path.stem}.o")
        return found

    def _reached(self, place: pathlib.PurePosixPath) -> bool:
        """Whether the build descends into PLACE (used below arch/x86 only)."""
        parts = place.parts
        for depth in range(2, len(parts)):
            if parts[:2] != ("arch", "x86"):
                break
            parent = "/".join(parts[:depth])
            listed = self._listed(parent)
            below = ["/".join(parts[depth:end]) + "/" for end in range(depth + 1, len(parts) + 1)]
            if listed and not any(name in listed for name in below) and depth == 2:
                return False
        return True

    def _listed(self, place: str) -> set[str]:
        """The objects that the Kbuild file of a directory lists in this configuration."""
        directory = self.tree / place
        kbuild = next((directory / name for name in ("Kbuild", "Makefile") if (directory / name).is_file()), None)
        if kbuild is None:
            return set()
        text = (f"srctree := {self.tree}\nobjtree := {self.out}\nsrc := {directory}\nobj := {place}\n"
                f"SRCARCH := x86\nBITS := 64\n-include {self.out}/include/config/auto.conf\ninclude {kbuild}\n"
                "names := $(obj-y) $(obj-m) $(lib-y) $(extra-y)\n"
                "parts := $(foreach n,$(names:.o=),$($(n)-y) $($(n)-m) $($(n)-objs))\n"
                ".PHONY: pvops-print\npvops-print:\n\t@echo PVOPS $(names) $(parts)\n")
        done = subprocess.run(["make", "-s", "-C", str(self.out), "-f", "-", "pvops-print"], input=text,
                              capture_output=True, text=True, check=False, env=kernel.make_environment())
        match = re.search(r"^PVOPS (.*)$", done.stdout, re.M)
        if not match:
            lines = (done.stderr or done.stdout).strip().splitlines()
            raise Failure(f"{self.what}: what {kbuild} lists could not be read: {lines[-1] if lines else ''}")
        return set(match.group(1).split())


def parse_config(text: str) -> dict[str, str]:
    """CONFIG_ names without the prefix, and values; options that are not set are absent."""
    return dict(re.findall(r"^CONFIG_(\w+)=(.*)$", text, re.M))


def change_config(text: str, changes: dict[str, str]) -> str:
    """A .config with some symbols set to other values ('n': not set)."""
    for name, value in changes.items():
        text = re.sub(rf"^(# )?CONFIG_{name}[ =].*\n", "", text, flags=re.M)
        text += f"# CONFIG_{name} is not set\n" if value == "n" else f"CONFIG_{name}={value}\n"
    return text
