# SPDX-License-Identifier: GPL-2.0
"""Unpack, integrate, configure and build the kernels.

    build/linux           Debian's 6.12 with pvops         main, debug, checks, rt,
                                                           lockdown, hardened,
                                                           debian-*, clang*
    build/linux-vanilla   the unpatched tree, to compare   vanilla, vanilla-debug,
                                                           noparavirt, clang-vanilla
    build/linux-fixed     the unpatched tree with those patches that stand alone
    build/linux-part-X    the unpatched tree with one part of the series
    build/out/NAME        output directories (O=)

A kernel is built again only if its inputs have changed. A hash over the inputs
is kept beside the image.
"""

import argparse
import dataclasses
import lzma
import os
import pathlib
import re
import subprocess
from typing import Mapping

from . import common, hooks, integrate, packages, parts
from .common import Failure, say

TARBALL = pathlib.Path("/usr/src/linux-source-6.12.tar.xz")
FRAGMENTS = common.ROOT / "worlds" / "kernel"
OUT = common.BUILD / "out"
IMAGE = "arch/x86/boot/bzImage"
# The package linux-config-6.12
DEBIAN_CONFIGS = packages.DEB_ROOT / "usr/src/linux-config-6.12"


@dataclasses.dataclass(frozen=True)
class Flavour:
    """A kernel that the tools can build."""
    tree: str
    fragments: tuple[str, ...]
    patched: bool
    # the configuration below the fragments: tinyconfig, or one of Debian's
    base: str = "tinyconfig"
    # the version of LLVM that builds it, instead of gcc
    llvm: str = ""
    # packages that its build needs beside those of any kernel
    packages: tuple[str, ...] = dataclasses.field(default=(), repr=False)
    # How it is booted. Not in repr(), which decides whether to build again.
    cmdline: str = dataclasses.field(default="", repr=False)
    # a factor for a world's time limit and memory
    scale: int = dataclasses.field(default=1, repr=False)
    # KUnit suites of kunit/suites.txt that it does not have
    lacks: tuple[str, ...] = dataclasses.field(default=(), repr=False)


# A kernel with all debugging options needs so many times the time and memory.
DEBUG_SCALE = 3

FLAVOURS = {
    "main": Flavour("linux", ("main", "pvops"), True),
    "debug": Flavour("linux", ("main", "pvops", "debug"), True, scale=DEBUG_SCALE),
    "debug-pv": Flavour("linux", ("main", "pvops", "debug", "debug-pv"), True,
                        scale=DEBUG_SCALE),
    "checks": Flavour("linux", ("main", "pvops", "checks"), True, scale=DEBUG_SCALE,
                      cmdline="preempt=full numa=fake=2"),
    "lockdown": Flavour("linux", ("main", "pvops", "lockdown"), True),
    "rt": Flavour("linux", ("main", "pvops", "rt"), True, lacks=("pvops_hypercall",)),
    "nosuites": Flavour("linux", ("main", "pvops", "nosuites"), True),
    "noguests": Flavour("linux", ("main", "pvops", "noguests"), True,
                        lacks=("pvops_hypercall",)),
    "debian-amd64": Flavour("linux", ("debian", "debian-modular", "pvops"), True,
                            base="amd64_none_amd64", scale=2),
    "debian-cloud": Flavour("linux", ("debian", "pvops"), True,
                            base="amd64_none_cloud-amd64", scale=2),
    "debian-rt": Flavour("linux", ("debian", "debian-modular", "pvops", "debian-rt"), True,
                         base="amd64_rt_amd64", scale=2, lacks=("pvops_hypercall",)),
    "hardened": Flavour("linux", ("main", "pvops", "hardened"), True,
                        packages=("gcc-12-plugin-dev",)),
    "clang": Flavour("linux", ("main", "pvops"), True, llvm="19"),
    "clang-nosuites": Flavour("linux", ("main", "pvops", "nosuites"), True, llvm="19"),
    "clang-lto": Flavour("linux", ("main", "pvops", "clang-lto"), True, llvm="19"),
    "clang-kcfi": Flavour("linux", ("main", "pvops", "clang-kcfi"), True, llvm="19"),
    "vanilla": Flavour("linux-vanilla", ("main",), False),
    "clang-vanilla": Flavour("linux-vanilla", ("main",), False, llvm="19"),
    "noparavirt": Flavour("linux-vanilla", ("main", "noguests", "noparavirt"), False),
    "vanilla-debug": Flavour("linux-vanilla", ("main", "debug"), False, scale=DEBUG_SCALE),
}


def make_environment() -> dict[str, str]:
    """The environment for the kernel's make.

    User, place and time of a build must not change a byte. So ccache hits, and two
    builds can be compared. Variables of our own make are not passed to the
    kernel's make.
    """
    env = {key: value for key, value in os.environ.items()
           if key not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES", "ARCH",
                          "CROSS_COMPILE", "KBUILD_OUTPUT", "KDIR", "O", "W", "C", "V")}
    env.update(LC_ALL="C", KBUILD_BUILD_TIMESTAMP="Thu Jan  1 00:00:00 UTC 1970",
               KBUILD_BUILD_USER="pvops", KBUILD_BUILD_HOST="pvops",
               KBUILD_BUILD_VERSION="1", CCACHE_BASEDIR=str(common.BUILD),
               CCACHE_NOHASHDIR="1")
    return env


def unpacked(name: str) -> pathlib.Path:
    """A tree under build/, unpacked from Debian's tarball if need be."""
    tree = common.BUILD / name
    if (tree / "Makefile").exists():
        return tree
    if not TARBALL.exists():
        raise Failure(f"{TARBALL}: not there; install linux-source-6.12 "
                      "(python3 -m tools.pvops.packages)")
    if tree.exists():
        raise Failure(f"{common.shown(tree)}: not a kernel tree; remove it")
    common.need_space(common.BUILD, 2000, "unpacking the kernel")
    say(f"unpacking {TARBALL.name} into {common.shown(tree)}")
    with common.whole(tree) as partial:
        partial.mkdir()
        common.run_logged(["tar", "-xf", TARBALL, "-C", partial, "--strip-components=1"],
                          common.LOG / f"unpack-{name}.log", what="unpacking the kernel")
    return tree


def vanilla_tree() -> pathlib.Path:
    """The unpatched tree."""
    with common.lock("tree-linux-vanilla"):
        return unpacked("linux-vanilla")


def fixed_tree() -> pathlib.Path:
    """The unpatched tree with those of our patches that stand alone.

    These patches change Linux with our options on or off. Therefore a tree with our
    options off must be compared with this tree.
    """
    fixes = [patch for patch in hooks.read_series() if patch.stands_alone]
    files = hooks.read_tree(vanilla_tree(), hooks.hooked_files(fixes))
    return changed_tree("linux-fixed", hooks.apply_all(files, fixes))


def part_tree(letter: str) -> pathlib.Path:
    """The unpatched tree with one part of the series and the parts that it needs.

    All parts use the same path, one after the other: ccache finds an object of another
    part only if the paths in the preprocessed source are the same.
    """
    listed = parts.read()
    letters = [part.letter for part in parts.closure(listed, letter)]
    files = hooks.read_tree(vanilla_tree(), hooks.hooked_files(hooks.read_series()))
    changed = parts.apply(files, common.ROOT, listed, letters)
    return changed_tree("linux-part",
                        {path: content for path, content in changed.items()
                         if path not in files or content != files[path]})


def changed_tree(name: str, files: Mapping[str, bytes | None]) -> pathlib.Path:
    """The unpatched tree with FILES (None: without that file), below build/."""
    vanilla, tree = vanilla_tree(), common.BUILD / name
    stamp = common.BUILD / f"{name}.stamp"
    wanted = common.digest_of([], *(f"{path} {content!r}" for path, content in sorted(files.items())),
                              str((vanilla / "Makefile").stat().st_mtime_ns))
    with common.lock(f"tree-{name}"):
        if tree.exists() and stamp.exists() and stamp.read_text() == wanted:
            return tree
        stamp.unlink(missing_ok=True)
        subprocess.run(["rm", "-rf", tree], check=True)
        # Hard links instead of copies: a changed file is replaced, and never written into.
        with common.whole(tree) as partial:
            common.run_logged(["cp", "-al", vanilla, partial], common.LOG / f"unpack-{name}.log",
                              what=f"copying {common.shown(vanilla)}")
            for path, content in files.items():
                (partial / path).unlink(missing_ok=True)
                if content is not None:
                    (partial / path).parent.mkdir(parents=True, exist_ok=True)
                    (partial / path).write_bytes(content)
        stamp.write_text(wanted)
    return tree


def fragment_paths(names: tuple[str, ...]) -> list[pathlib.Path]:
    """Configuration fragments by their short names."""
    return [FRAGMENTS / f"{name}.config" for name in names]


def _wanted_symbols(fragments: list[pathlib.Path]) -> dict[str, tuple[str, str]]:
    """Symbol -> (value, fragment); a later fragment overrides, as when merging."""
    wanted = {}
    for path in fragments:
        for line in path.read_text(encoding="utf-8").splitlines():
            if match := re.fullmatch(r"(CONFIG_\w+)=(.*)", line):
                wanted[match[1]] = (match[2], path.name)
            elif match := re.fullmatch(r"# (CONFIG_\w+) is not set", line):
                wanted[match[1]] = ("n", path.name)
    return wanted


def lost_symbols(config: pathlib.Path, fragments: list[pathlib.Path]) -> list[str]:
    """Options of the fragments that the final configuration does not have."""
    have = {}
    for line in config.read_text(encoding="utf-8").splitlines():
        if match := re.fullmatch(r"(CONFIG_\w+)=(.*)", line):
            have[match[1]] = match[2]
    return [f"{symbol}={value} ({where}) became {have.get(symbol, 'n')}"
            for symbol, (value, where) in _wanted_symbols(fragments).items()
            if have.get(symbol, "n") != value]


def compiler(llvm: str = "") -> list[str]:
    """Arguments of the kernel's make that choose a compiler."""
    return [f"LLVM=-{llvm}", f"CC=ccache clang-{llvm}"] if llvm else ["CC=ccache gcc"]


def need_compiler(flavour: Flavour) -> None:
    """Install the compiler of a flavour. The tools need gcc in any case."""
    needed = [f"{tool}-{flavour.llvm}" for tool in ("clang", "lld", "llvm") if flavour.llvm]
    needed += flavour.packages
    if needed:
        packages.install(needed)


def _start_config(base: str, config: pathlib.Path) -> None:
    """Write the configuration of a kernel of Debian's."""
    source = DEBIAN_CONFIGS / f"config.{base}.xz"
    if not source.exists():
        raise Failure(f"{common.shown(source)}: not there; python3 -m tools.pvops.packages "
                      "unpacks linux-config-6.12")
    config.write_bytes(lzma.decompress(source.read_bytes()))


def configure(tree: pathlib.Path, out: pathlib.Path, fragments: list[pathlib.Path],
              check: bool = True, base: str = "tinyconfig", llvm: str = "") -> None:
    """Merge a base and fragments; a Failure if Kconfig dropped an option.

    The worlds need the options of a fragment. Without one of them the kernel would
    build, and fail much later in a guest.
    """
    out.mkdir(parents=True, exist_ok=True)
    env = make_environment()
    log = common.LOG / f"config-{out.name}.log"
    make = ["make", "-C", str(tree), f"O={out}", *compiler(llvm)]
    config = out / ".config"
    before = config.read_bytes() if config.exists() else b""
    if base == "tinyconfig":
        common.run_logged([*make, base], log, what=f"configuring {out.name}", env=env)
    else:
        _start_config(base, config)
    merge = [str(tree / "scripts/kconfig/merge_config.sh"), "-m", "-O", str(out),
             str(config), *map(str, fragments)]
    common.run_logged(merge, log, what=f"configuring {out.name}", env=env, cwd=tree)
    common.run_logged([*make, "olddefconfig"], log, what=f"configuring {out.name}", env=env)
    if check and (lost := lost_symbols(config, fragments)):
        raise Failure(f"{common.shown(config)}: Kconfig dropped symbols: {'; '.join(lost)}")
    if config.read_bytes() == before:
        say(f"{out.name}: configuration unchanged")


def compile_image(tree: pathlib.Path, out: pathlib.Path, targets: tuple[str, ...] = ("bzImage",),
                  llvm: str = "") -> None:
    """Run make, and print progress."""
    jobs = os.cpu_count() or 1
    common.run_logged(["make", "-C", str(tree), f"O={out}", f"-j{jobs}", *compiler(llvm),
                       *targets],
                      common.LOG / f"kernel-{out.name}.log", what=f"building {out.name}",
                      count=("CC ", "AS "), env=make_environment())


def _has_modules(flavour: Flavour) -> bool:
    """Whether any part of it is a module that a world needs.

    Debian's configurations have thousands of modules. The worlds need none of them:
    a fragment builds into the image what they need.
    """
    return any(value == "m" for value, _ in
               _wanted_symbols(fragment_paths(flavour.fragments)).values())


def compiler_of(out: pathlib.Path) -> list[str]:
    """Arguments of the kernel's make for the build directory of a flavour."""
    return compiler(FLAVOURS[out.name].llvm if out.name in FLAVOURS else "")


def build_of(image: pathlib.Path) -> pathlib.Path | None:
    """The build directory of an image; None if the image is not in one."""
    if not image.as_posix().endswith(f"/{IMAGE}"):
        return None
    return image.parents[len(pathlib.PurePath(IMAGE).parts) - 1]


def _config_of(image: pathlib.Path) -> str | None:
    """The configuration of an image: in its build, or beside an installed one. None if there is none."""
    out, installed = build_of(image), image.resolve()
    config = out / ".config" if out else installed.with_name(installed.name.replace("vmlinuz", "config", 1))
    return config.read_text(encoding="utf-8") if config != installed and config.is_file() else None


def _may_have(image: pathlib.Path, symbol: str) -> bool:
    """Whether an image has an option; true if nobody knows."""
    config = _config_of(image)
    return config is None or f"CONFIG_{symbol}=y\n" in config


def can_be_dom0(image: pathlib.Path) -> bool:
    """Whether Xen can start an image as dom0; true if nobody knows."""
    return _may_have(image, "XEN_DOM0")


def dom0(image: pathlib.Path) -> pathlib.Path:
    """The kernel for the dom0 of a domain with an image: that image, or the kernel main.

    Debian's configuration for clouds is one for domains only.
    """
    return image if can_be_dom0(image) else build("main")


def of_tree(kdir: pathlib.Path) -> tuple[pathlib.Path, bool]:
    """The image that was built in an integrated tree, and whether it has our KUnit suites."""
    version = hooks.check_kernel(kdir)
    if not (kdir / integrate.RECORD).exists():
        raise Failure(f"{kdir}: this Linux {version} is not integrated; first: make integrate KDIR={kdir}")
    image, config = kdir / IMAGE, kdir / ".config"
    if not image.exists() or not config.exists():
        raise Failure(f"{kdir}: there is no {IMAGE}; it is built there with: make -C {kdir} bzImage")
    if lost := lost_symbols(config, fragment_paths(("main", "pvops"))):
        say(f"{kdir}: its configuration lacks what some worlds need: {'; '.join(lost[:4])}"
            + (f"; and {len(lost) - 4} more" if len(lost) > 4 else ""))
    return image, "CONFIG_PVOPS_KUNIT_TEST=y\n" in config.read_text(encoding="utf-8")


def given(image: pathlib.Path | None, kdir: pathlib.Path | None) -> tuple[pathlib.Path | None, bool]:
    """The kernel that a user named, by an image or by a tree, and whether it has our KUnit suites if it has pvops."""
    if kdir is None:
        return image, image is None or _may_have(image, "PVOPS_KUNIT_TEST")
    if image:
        raise Failure(f"the kernel is to be {image} and the one in {kdir}: give KERNEL= or KDIR=")
    return of_tree(kdir)


def symbols(image: pathlib.Path) -> pathlib.Path:
    """The vmlinux of an image."""
    out = build_of(image)
    if out is None or not (out / "vmlinux").exists():
        raise Failure(f"{common.shown(image)}: there is no vmlinux of this image")
    return out / "vmlinux"


def modules(image: pathlib.Path) -> list[pathlib.Path]:
    """The modules that were built with an image; none if the image is not in a build."""
    out = build_of(image)
    order = out / "modules.order" if out else None
    if order is None or not order.exists():
        return []
    return [(out / line).with_suffix(".ko")
            for line in order.read_text(encoding="utf-8").splitlines()]


def _inputs(flavour: Flavour) -> str:
    """A hash over all inputs of the image."""
    paths = fragment_paths(flavour.fragments)
    if flavour.patched:
        paths += [common.ROOT / name for name in hooks.CODE]
        paths.append(common.ROOT / "patches")
    tarball = TARBALL.stat() if TARBALL.exists() else None
    name = f"clang-{flavour.llvm}" if flavour.llvm else "gcc"
    version = subprocess.run([name, "--version"], capture_output=True, text=True,
                             check=False).stdout.split("\n")[0]
    if flavour.base != "tinyconfig":
        paths.append(DEBIAN_CONFIGS / f"config.{flavour.base}.xz")
    return common.digest_of(paths, repr(flavour), version,
                            f"{tarball.st_size}" if tarball else "")


def build(name: str = "main", force: bool = False) -> pathlib.Path:
    """The image of a flavour; it is built again if its inputs have changed."""
    if name not in FLAVOURS:
        raise Failure(f"no kernel {name}; there are: {' '.join(FLAVOURS)}")
    flavour = FLAVOURS[name]
    out = OUT / name
    image, stamp = out / IMAGE, out / ".pvops-inputs"

    def current() -> bool:
        return (not force and image.exists() and stamp.exists()
                and stamp.read_text() == _inputs(flavour))

    need_compiler(flavour)
    # The first check needs no lock: a build of another flavour may hold it for long.
    if current():
        return image
    with common.lock(f"tree-{flavour.tree}"):
        if current():
            return image
        inputs = _inputs(flavour)
        tree = unpacked(flavour.tree)
        if flavour.patched:
            say(integrate.integrate(tree))
        common.need_space(common.BUILD, 1500, f"building the {name} kernel")
        stamp.unlink(missing_ok=True)
        say(f"building the {name} kernel in {common.shown(out)}")
        configure(tree, out, fragment_paths(flavour.fragments), base=flavour.base,
                  llvm=flavour.llvm)
        compile_image(tree, out, ("bzImage", "modules") if _has_modules(flavour)
                      else ("bzImage",), llvm=flavour.llvm)
        stamp.write_text(inputs)
    say(f"{common.shown(image)}: {image.stat().st_size >> 10} KiB")
    return image


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="tools.pvops.kernel", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", nargs="?", default="main", choices=FLAVOURS)
    parser.add_argument("--force", action="store_true",
                        help="run make even if nothing seems to have changed")
    parser.add_argument("--config-only", action="store_true",
                        help="stop before compiling")
    args = parser.parse_args()
    if args.config_only:
        flavour = FLAVOURS[args.name]
        need_compiler(flavour)
        with common.lock(f"tree-{flavour.tree}"):
            tree = unpacked(flavour.tree)
            if flavour.patched:
                say(integrate.integrate(tree))
            configure(tree, OUT / args.name, fragment_paths(flavour.fragments),
                      base=flavour.base, llvm=flavour.llvm)
        return
    build(args.name, args.force)


if __name__ == "__main__":
    common.command(main)
