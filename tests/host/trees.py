# SPDX-License-Identifier: GPL-2.0
"""A small kernel tree and a small pvops tree to try the integration on."""

import difflib
import os
import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]

MAKEFILE = """# SPDX-License-Identifier: GPL-2.0
VERSION = {version}
PATCHLEVEL = {patchlevel}
SUBLEVEL = 117
EXTRAVERSION =
"""

KERNEL = {
    "arch/x86/Kconfig": "menu \"x86\"\n\nsource \"kernel/Kconfig.hz\"\n\nendmenu\n",
    "arch/x86/Kbuild": "obj-y += entry/\n\nobj-y += mm/\n\nobj-y += virt/\n",
    "arch/x86/include/asm/paravirt.h": "".join(f"/* line {n} */\n" for n in range(60)),
    "mm/memory.c": "".join(f"int memory_{n};\n" for n in range(200)),
}

DESCRIPTION = """{subject}

Nobody builds the directory, so
nothing in it is used. Say why.

Signed-off-by: A Tester <tester@example.org>
---
"""


def make_environment() -> dict[str, str]:
    """For a make that is none of the make that runs the tests."""
    return {key: value for key, value in os.environ.items() if key not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")}


def write(top: pathlib.Path, files: dict[str, str]) -> None:
    """Create FILES under TOP."""
    for name, text in files.items():
        path = top / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def kernel(top: pathlib.Path, version: int = 6, patchlevel: int = 12) -> pathlib.Path:
    """A kernel tree of a few files."""
    write(top, {"Makefile": MAKEFILE.format(version=version, patchlevel=patchlevel), **KERNEL})
    return top


def diff(path: str, old: str, new: str) -> str:
    """A -p1 unified diff."""
    lines = difflib.unified_diff(old.splitlines(True), new.splitlines(True), f"a/{path}", f"b/{path}")
    return "".join(lines)


def patch(path: str, old: str, new: str, subject: str) -> str:
    """A patch with a description, quilt style."""
    return DESCRIPTION.format(subject=subject) + diff(path, old, new)


def hooked() -> dict[str, str]:
    """KERNEL with every hook of pvops() in."""
    memory = KERNEL["mm/memory.c"].replace("int memory_50;\n", "int memory_50;\nint hook_50;\n")
    return {**KERNEL,
            "arch/x86/Kbuild": KERNEL["arch/x86/Kbuild"].replace("obj-y += mm/\n",
                                                                 "obj-y += mm/\nobj-y += pvops/\n"),
            "mm/memory.c": memory.replace("int hook_50;\n", "int hook_50;\nint hook_50b;\n")}


def pvops(top: pathlib.Path) -> pathlib.Path:
    """A pvops tree: three hooks, two of them on top of each other, and some files."""
    memory = KERNEL["mm/memory.c"]
    middle = memory.replace("int memory_50;\n", "int memory_50;\nint hook_50;\n")
    write(top, {
        "Kbuild": "# SPDX-License-Identifier: GPL-2.0\nobj-y += arch-x86-paravirt/\n",
        "Kconfig": "# SPDX-License-Identifier: GPL-2.0\nconfig PVOPS\n\tbool \"pvops\"\n",
        "arch-x86-paravirt/select.c": "int select;\n",
        "arch-x86-paravirt/select.o": "never copied",
        "arch-x86-paravirt/.hidden": "never copied",
        "include/asm/pvops.h": "/* header */\n",
        "include/shared.h": "/* no newline at the end */",
        "kunit/empty.c": "",
        "Documentation/größe.rst": "Größe\n",
        "worlds/bare.toml": "never copied",
        "patches/6.12/series": "# comment\nkbuild.patch\nmemory-1.patch\nmemory-2.patch -p1\n",
        "patches/6.12/kbuild.patch": patch("arch/x86/Kbuild", KERNEL["arch/x86/Kbuild"],
                                           hooked()["arch/x86/Kbuild"], "x86: Build pvops"),
        "patches/6.12/memory-1.patch": patch("mm/memory.c", memory, middle, "mm: First"),
        "patches/6.12/memory-2.patch": patch("mm/memory.c", middle, hooked()["mm/memory.c"],
                                             "mm: Second, größer"),
    })
    return top


def snapshot(top: pathlib.Path) -> dict[str, tuple[str, bytes]]:
    """Everything under TOP: kind and content of each path."""
    found = {}
    for path in sorted(top.rglob("*")):
        name = path.relative_to(top).as_posix()
        if name.split("/")[0] == ".git":
            continue
        if path.is_symlink():
            found[name] = ("link", os.readlink(path).encode())
        elif path.is_dir():
            found[name] = ("directory", b"")
        else:
            found[name] = ("file", path.read_bytes())
    return found


def run(module: str, *arguments: str, **more) -> subprocess.CompletedProcess:
    """One of our tools as a user runs it."""
    return subprocess.run(["python3", "-m", f"tools.pvops.{module}", *arguments], cwd=ROOT,
                          capture_output=True, text=True, check=False, **more)
