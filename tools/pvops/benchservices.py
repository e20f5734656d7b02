# SPDX-License-Identifier: GPL-2.0
"""The loads of `make bench STEPS=services`: servers, compilers and languages of Debian 12.

bench/services.toml describes them. The guest mounts the disk of worlds/services and
runs them there (bench/jobs/services). Each answer is checked; a wrong one is a failure
and has no figure.
"""

import dataclasses
import pathlib
import re
import statistics
import tomllib
from typing import Iterable

from . import common
from .benchdata import SERVICE, Row, Sampled, percent
from .common import Failure
from .cpio import Archive

LOADS = common.ROOT / "bench/services.toml"
# what the scripts of the loads use
FILES = common.ROOT / "bench/services"
# what the load `gcc` compiles
SOURCE = (common.ROOT / "bench/guest", common.ROOT / "tests/guest/src/check.h")
SCRIPTS = ("before", "command", "check", "after")
UNITS = ("request", "job")
# What a load's machine needs, MiB. The disk's files stay in memory after the first run.
MEMORY, HOST_MEMORY = 1024, 768
# Ticks of the hundredths of a second in which the guest counts its idle time.
TICKS = 10_000_000
# An idle CPU's clock runs, too. More than this share of a figure would be no work.
IDLE_MAX = 5.0


@dataclasses.dataclass(frozen=True)
class Load:
    """One entry of the list."""
    name: str
    about: str
    unit: str
    count: int
    command: str
    check: str
    before: str = ""
    after: str = ""


def load_list(path: pathlib.Path = LOADS) -> list[Load]:
    """Read the list and check each entry."""
    try:
        entries = tomllib.loads(path.read_text(encoding="utf-8")).get("load", [])
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise Failure(f"{common.shown(path)}: {error}") from None
    fields = {field.name: field for field in dataclasses.fields(Load)}
    needed = {name for name, field in fields.items() if field.default is dataclasses.MISSING}
    found: dict[str, Load] = {}
    for number, entry in enumerate(entries, 1):
        where = f"{common.shown(path)}: load {number}"
        if lacking := needed - set(entry):
            raise Failure(f"{where}: needs {' '.join(sorted(lacking))}")
        for key, value in entry.items():
            if key not in fields:
                raise Failure(f"{where}: {key}: no such setting; there are: {' '.join(fields)}")
            if type(value) is not fields[key].type:
                raise Failure(f"{where}: {key}: must be {fields[key].type.__name__}, is {value!r}")
        one = Load(**entry)
        if not re.fullmatch(r"[a-z][a-z0-9-]*", one.name):
            raise Failure(f"{where}: name {one.name!r}: small letters, digits and - only")
        if one.name in found:
            raise Failure(f"{where}: {one.name} is there already")
        if one.unit not in UNITS:
            raise Failure(f"{where}: unit {one.unit!r}: one of {' '.join(UNITS)}")
        if one.count < 1:
            raise Failure(f"{where}: count: at least 1")
        found[one.name] = one
    if not found:
        raise Failure(f"{common.shown(path)}: no loads")
    return list(found.values())


def chosen(names: Iterable[str], loads: list[Load]) -> list[Load]:
    """Loads by name, in the order of the list; all of them if there is no name."""
    wanted = list(names)
    known = [load.name for load in loads]
    for name in wanted:
        if name not in known:
            raise Failure(f"no load {name}; there are: {' '.join(known)}")
    return [load for load in loads if load.name in wanted] if wanted else loads


def image(path: pathlib.Path, loads: list[Load]) -> pathlib.Path:
    """The scripts of the loads and what they use, as an initramfs image."""
    archive = Archive()
    archive.tree(FILES, "services")
    for source in SOURCE:
        if source.is_dir():
            archive.tree(source, "services/source")
        else:
            archive.copy(f"services/source/{source.name}", source)
    for load in loads:
        archive.file(f"services/{load.name}/count", f"{load.count}\n".encode())
        for script in SCRIPTS:
            text = getattr(load, script)
            if script != "command":
                text = f". ../functions\n{text}"
            archive.file(f"services/{load.name}/{script}", f"{text.strip()}\n".encode())
    path.parent.mkdir(parents=True, exist_ok=True)
    archive.write(path)
    return path


@dataclasses.dataclass
class Found:
    """What a guest said about its loads."""
    costs: dict[str, Sampled]           # ticks of all requests together
    idle: dict[str, float]              # percent of these
    failures: list[str]


def parse(lines: Iterable[str], loads: list[Load]) -> Found:
    """The lines of bench/jobs/services; a load that does not appear has failed."""
    ticks: dict[str, list[int]] = {load.name: [] for load in loads}
    idle: dict[str, int] = dict.fromkeys(ticks, 0)
    failed: dict[str, str] = {}
    for line in lines:
        if (match := re.fullmatch(r"load (\S+) ticks=(\d+)", line)) and match[1] in ticks:
            ticks[match[1]].append(int(match[2]))
        elif (match := re.fullmatch(r"idle (\S+) (\d+)", line)) and match[1] in ticks:
            idle[match[1]] += int(match[2])
        elif match := re.fullmatch(r"failed (\S+) (.*)", line):
            failed.setdefault(match[1], match[2].strip())
    found = Found({}, {}, [])
    for name, one in ticks.items():
        if name not in failed and not one:
            failed[name] = "it was not run"
        if name in failed:
            found.failures.append(f"{name}: {failed[name]}")
            continue
        found.costs[name] = Sampled(int(statistics.median(one)), min(one), max(one))
        found.idle[name] = percent(idle[name] * TICKS, sum(one))
        if found.idle[name] > IDLE_MAX:
            found.failures.append(f"{name}: the CPU was idle for {found.idle[name]:.0f} % of the count")
            del found.costs[name]
    return found


def not_below(rows: list[Row], label: str = "hypercall", others: tuple[str, ...] = ("xen", "kvm-shadow")) -> list[str]:
    """A line for each load that is not cheaper in one variant than in the others."""
    figures = {(row.variant, row.op): row for row in rows
               if row.op.startswith(SERVICE) and row.instructions is not None}
    lines = []
    for (variant, op), mine in figures.items():
        if variant != label:
            continue
        for other in others:
            theirs = figures.get((other, op))
            if theirs is None or not mine.instructions or not theirs.instructions:
                continue
            ratio = mine.instructions / theirs.instructions
            if 100 * (1 - ratio) <= mine.spread + theirs.spread:
                lines.append(f"{op.removeprefix(SERVICE)}: {label} is not below {other}: x {ratio:.3f} of it, "
                             f"spread ±{mine.spread + theirs.spread:.1f} %")
    return lines
