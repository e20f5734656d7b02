# SPDX-License-Identifier: GPL-2.0
"""Modules from outside of the kernel tree, for the kernel that a world boots.

They are built as a user of the kernel's headers builds a module, from
tests/guest/modules.
"""

import pathlib
import shutil

from . import common
from . import kernel as kernel_builder

SOURCE = common.ROOT / "tests/guest/modules"


def modules(image: pathlib.Path) -> list[pathlib.Path]:
    """The modules for an image; none if the image is not in one of our builds."""
    out = kernel_builder.build_of(image)
    # Symbols of a kernel that was built with modules, or of an image alone; make knows the former.
    alone = out and not (out / "Module.symvers").exists()
    if out is None or alone and not (out / "vmlinux.symvers").exists():
        return []
    symbols = [f"KBUILD_EXTRA_SYMBOLS={out / 'vmlinux.symvers'}"] if alone else []
    where = out / "outside"
    stamp = where / ".pvops-inputs"
    want = common.digest_of([SOURCE], f"{image.stat().st_mtime_ns}")
    with common.lock(f"outside-{out.name}"):
        if not stamp.exists() or stamp.read_text() != want:
            shutil.rmtree(where, ignore_errors=True)
            shutil.copytree(SOURCE, where)
            make = ["make", "-C", str(out), *kernel_builder.compiler_of(out)]
            log = common.LOG / f"outside-{out.name}.log"
            env = kernel_builder.make_environment()
            common.run_logged([*make, "modules_prepare"], log, what="preparing for modules", env=env)
            common.run_logged([*make, f"M={where}", *symbols, "modules"],
                              log, what="building modules outside of the tree", env=env)
            stamp.write_text(want)
    return sorted(where.glob("*.ko"))
