# SPDX-License-Identifier: GPL-2.0
"""Build every combination of our options, also with other options off.

The options are read from Kconfig. In the base configuration these sets are
built: all options, all but each one, each alone with what it needs, and none. In
each variant another option of the kernel is off, and all of our options, the
first alone and none are built. With --exhaustive every set is built in the base
configuration, and each option alone in the variants.

A build compiles our directory, the hooked objects and users of hooked headers,
with W=1, sparse and objtool. A warning that the build without our options does
not have is a failure, and so is a symbol of ours that no object defines. Some
combinations are linked to a whole vmlinux.

The whole takes long. Good results are saved at once. A run that was ended early
continues there if sources, configuration and tools are the same.
"""

import argparse
import dataclasses
import itertools
import json
import pathlib
import re
import subprocess
import time

from . import common, hooks, kernel, lint, objects, report
from .common import BUILD, REPORT, Failure, say

MASTER = "PVOPS"
# The option that is off in a variant. All others are as the worlds need them.
VARIANTS: dict[str, dict[str, str]] = {
    "base": {},
    "XEN_PV=n": {"XEN_PV": "n"},
    "KVM_GUEST=n": {"KVM_GUEST": "n"},
    "SMP=n": {"SMP": "n"},
    "MODULES=n": {"MODULES": "n"},
    "JUMP_LABEL=n": {"JUMP_LABEL": "n"},
    "DEBUG_FS=n": {"DEBUG_FS": "n"},
    "KUNIT=n": {"KUNIT": "n"},
}
# Whole kernels: (variant, which combination).
LINKED = (("base", "alone"), ("XEN_PV=n", "all"), ("SMP=n", "all"))
DONE = BUILD / "kconfig-done.json"
_TERM = re.compile(r"^(!?)(\w+)(?:=([ynm]))?$")


@dataclasses.dataclass(frozen=True)
class Option:
    """A config entry of our Kconfig."""

    name: str
    depends: tuple[str, ...]


def parse_kconfig(text: str) -> list[Option]:
    """The options of a Kconfig file, with their `depends on` split at &&."""
    found: list[Option] = []
    enclosing: list[str] = []
    name, depends = "", []

    def finish() -> None:
        if name:
            found.append(Option(name, tuple(dict.fromkeys([*enclosing_then, *depends]))))

    enclosing_then: list[str] = []
    for line in text.splitlines():
        if match := re.match(r"(?:menu)?config\s+(\w+)$", line):
            finish()
            name, depends, enclosing_then = match.group(1), [], list(enclosing)
        elif match := re.match(r"if\s+(.+)$", line):
            finish()
            name = ""
            enclosing.append(match.group(1).strip())
        elif line.startswith("endif"):
            finish()
            name = ""
            enclosing.pop()
        elif name and (match := re.match(r"\s+depends on\s+(.+)$", line)):
            depends += [term.strip() for term in match.group(1).split("&&")]
    finish()
    for option in found:
        for term in option.depends:
            if not _TERM.match(term):
                raise Failure(f"Kconfig: {option.name}: cannot judge 'depends on {term}' "
                              "(only SYMBOL, SYMBOL=y and !SYMBOL, joined by &&)")
    return found


def possible(option: Option, chosen: frozenset[str], ours: set[str], config: dict[str, str]) -> bool:
    """Are OPTION's needs met by CHOSEN (our options) and CONFIG (the others)?"""
    for term in option.depends:
        negated, name, value = _TERM.match(term).groups()
        if name in ours:
            have = name in chosen
        else:
            have = config.get(name, "n") == value if value else config.get(name, "n") in ("y", "m")
        if have == bool(negated):
            return False
    return True


def closed(options: list[Option], chosen: frozenset[str], config: dict[str, str]) -> bool:
    """Can exactly CHOSEN be on?"""
    ours = {option.name for option in options}
    return all(possible(option, chosen, ours, config) for option in options if option.name in chosen)


def needs(options: list[Option], name: str) -> frozenset[str]:
    """An option with everything of ours that it depends on."""
    by_name = {option.name: option for option in options}
    wanted, work = set(), [name]
    while work:
        one = work.pop()
        if one in wanted:
            continue
        wanted.add(one)
        for term in by_name[one].depends:
            negated, other, _ = _TERM.match(term).groups()
            if other in by_name and not negated:
                work.append(other)
    return frozenset(wanted)


def dependents(options: list[Option], name: str) -> frozenset[str]:
    """An option with everything of ours that depends on it."""
    return frozenset(option.name for option in options if name in needs(options, option.name))


def plan(options: list[Option], variant: str, config: dict[str, str],
         exhaustive: bool = False) -> list[frozenset[str]]:
    """The sets of options to build in a variant; the empty one first."""
    names = [option.name for option in options]
    if variant == "base" and exhaustive:
        sets = [frozenset(chosen) for count in range(len(names) + 1)
                for chosen in itertools.combinations(names, count)]
    else:
        # As many options as can be on together, and each alone.
        most: frozenset[str] = frozenset()
        for name in names:
            if closed(options, most | needs(options, name), config):
                most |= needs(options, name)
        alone = [needs(options, name) for name in names]
        sets = [frozenset(), *(alone if variant == "base" or exhaustive else alone[:1]), most]
        if variant == "base":
            sets += [most - dependents(options, name) for name in names]
    return [chosen for chosen in dict.fromkeys(sets) if closed(options, chosen, config)]


def label(options: list[Option], chosen: frozenset[str]) -> str:
    """A set's name in the table."""
    if not chosen:
        return "none"
    if len(chosen) == len(options):
        return "all"
    return "+".join(option.name.removeprefix("PVOPS_") for option in options if option.name in chosen)


@dataclasses.dataclass
class Result:
    """One combination."""

    variant: str
    options: str
    linked: bool
    seconds: float
    objects: int
    problems: list[str]


def undefined(build: objects.Objects, targets: list[str]) -> list[str]:
    """Symbols of ours that some object needs and no object defines."""
    files = []
    for target in targets:
        place = build.out / target
        files += [str(path) for path in place.rglob("*.o")] if target.endswith("/") else [str(place)]
    files = [name for name in files if pathlib.Path(name).exists()]
    done = subprocess.run(["nm", *files], capture_output=True, text=True, check=False)
    want, have = set(), set()
    for line in done.stdout.splitlines():
        if match := re.match(r"^[0-9a-f ]{16} (\w) (\S+)$", line):
            (want if match.group(1) == "U" else have).add(match.group(2))
    return sorted(name for name in want - have
                  if re.search(r"pvops_|^pv_rmw|^native_rmw|_native_rmw", name))


def news(warned: list[objects.Warning], quiet: list[objects.Warning]) -> list[objects.Warning]:
    """Warnings of a combination that the one without our options does not have.

    sparse stops at an error, before it checks locks (mm/memory.c without
    PARAVIRT_XXL, in any kernel). If it stopped in the build without our options,
    its warnings about locks in the kernel's functions are unknown there. Therefore
    such warnings of the combination are not counted.
    """
    blind = any(one.kind == "error" for one in quiet)
    return [one for one in objects.new_warnings(warned, quiet)
            if not (blind and "context imbalance" in one.text and hooks.TARGET not in one.file)]


def build_one(build: objects.Objects, options: list[Option], base: str, chosen: frozenset[str],
              link: bool, sources: list[str]) -> tuple[list[objects.Warning], list[str], int]:
    """(warnings, problems, number of objects) of one combination."""
    changes = {option.name: "y" if option.name in chosen else "n" for option in options}
    build.configure(objects.change_config(base, changes))
    have = {option.name for option in options if build.config().get(option.name) == "y"}
    if have != chosen:
        return [], [f"asked for {sorted(chosen)}, Kconfig made {sorted(have)} of it"], 0
    targets = ([f"{hooks.TARGET}/"] if chosen else []) + build.enabled(sources)
    good, warned = lint.compile_objects(build, targets)
    problems = [] if good else [str(one) for one in warned if "error" in one.kind]
    problems += [f"{name} is used but not defined" for name in undefined(build, targets)]
    if link and not problems:
        status, said = build.make("vmlinux")
        if status:
            lines = [line for line in said.splitlines() if "undefined" in line or "error" in line.lower()]
            problems.append(f"vmlinux does not link: {(lines or said.splitlines()[-1:])[0]}")
        problems += [str(one) for one in objects.warnings(said, build.tree)]
    count = sum(len(list((build.out / target).rglob("*.o"))) if target.endswith("/") else 1 for target in targets)
    return warned, problems, count


class Done:
    """Results of earlier runs with the same sources, configuration and tools."""

    def __init__(self, path: pathlib.Path, key: str):
        self.path = path
        self.key = key
        self.entries: dict[str, dict] = {}
        try:
            kept = json.loads(path.read_text(encoding="utf-8"))
            if kept["key"] == key:
                self.entries = dict(kept["entries"])
        except (OSError, ValueError, KeyError, TypeError):
            pass                # a damaged file counts as none: everything is built

    def get(self, result: Result) -> tuple[Result, list[objects.Warning]] | None:
        """The saved result of a combination and its warnings."""
        try:
            entry = self.entries[self._name(result)]
            return (Result(**entry["result"]), [objects.Warning(**one) for one in entry["warned"]])
        except (KeyError, TypeError):
            return None

    def put(self, result: Result, warned: list[objects.Warning]) -> None:
        """Save a good result; only the combination to compare with needs its warnings."""
        self.entries[self._name(result)] = {
            "result": dataclasses.asdict(result),
            "warned": [dataclasses.asdict(one) for one in warned] if result.options == "none" else []}
        with common.whole(self.path) as partial:
            partial.write_text(json.dumps({"key": self.key, "entries": self.entries}) + "\n", encoding="utf-8")

    @staticmethod
    def _name(result: Result) -> str:
        return f"{result.variant} {result.options}{' linked' if result.linked else ''}"


def inputs(config: str) -> str:
    """A hash over all inputs of a combination's build."""
    tools = [pathlib.Path(module.__file__) for module in (hooks, kernel, lint, objects)]
    versions = [subprocess.run([tool, "--version"], capture_output=True, text=True, check=False).stdout
                for tool in ("gcc", "ld", "sparse")]
    code = [hooks.ROOT / name for name in hooks.CODE]
    return common.digest_of([*code, hooks.ROOT / "patches", hooks.ROOT / "tests/lint.toml",
                             pathlib.Path(__file__), *tools], config, *versions)


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(prog="pvops-kconfig-matrix", description=__doc__.splitlines()[0])
    parser.add_argument("--variant", action="append", choices=VARIANTS, help="only this variant")
    parser.add_argument("--exhaustive", action="store_true",
                        help="every set of options in the base configuration, each alone in the others")
    parser.add_argument("--no-link", action="store_true", help="do not link whole kernels")
    parser.add_argument("--list", action="store_true", help="show what would be built")
    parser.add_argument("--again", action="store_true", help="build all again, also what was good in an earlier run")
    options_ = parser.parse_args()
    options = parse_kconfig((hooks.ROOT / "Kconfig").read_text(encoding="utf-8"))
    if not any(option.name == MASTER for option in options):
        raise Failure(f"Kconfig has no {MASTER}")
    config_path = BUILD / "out/main/.config"
    if not config_path.is_file():
        raise Failure(f"{common.shown(config_path)} is not there; 'make kernel' makes it")
    main_config = lint.lint_config(config_path.read_text())
    sources = list(dict.fromkeys([*hooks.hooked_files(hooks.read_series()), *lint.WITNESSES]))
    done = Done(DONE, inputs(main_config))
    if options_.again:
        done.entries.clear()
    results: list[Result] = []
    for variant, off in VARIANTS.items():
        if options_.variant and variant not in options_.variant:
            continue
        text = objects.change_config(main_config, off)
        build = objects.Objects(BUILD / "linux", BUILD / "out" / f"matrix-{variant.replace('=', '-')}",
                                f"matrix {variant}")
        build.configure(objects.change_config(text, {option.name: "n" for option in options}))
        others = build.config()
        for name in off:
            if others.get(name, "n") != "n":
                raise Failure(f"{variant}: {name} is still {others[name]}; something selects it")
        quiet: list[objects.Warning] = []
        planned = plan(options, variant, others, options_.exhaustive)
        for chosen in planned:
            name = label(options, chosen)
            # "All" are those that can be on: without XEN_PV some cannot.
            kind = "alone" if chosen == frozenset({MASTER}) else "all" if chosen == max(planned, key=len) else name
            link = (variant, kind) in LINKED and not options_.no_link
            if options_.list:
                print(f"{variant:14} {name}{' (vmlinux)' if link else ''}")
                continue
            if before := done.get(Result(variant, name, link, 0, 0, [])):
                results.append(before[0])
                if not chosen:
                    quiet = before[1]
                say(f"kconfig: {variant}: {name}: ok before, nothing changed since")
                continue
            began = time.monotonic()
            warned, problems, count = build_one(build, options, text, chosen, link, sources)
            if not chosen:
                quiet = warned
                # Warnings of the build without our options count in our own files only.
                problems += [str(one) for one in warned if "pvops" in one.file]
            else:
                problems += [str(one) for one in news(warned, quiet)
                             if not lint.permitted(lint.allowed(), "compile", one.file, one.text)
                             and str(one) not in problems]
            results.append(Result(variant, name, link, round(time.monotonic() - began, 1), count, problems))
            say(f"kconfig: {variant}: {name}: {'ok' if not problems else 'FAILED'} "
                f"({count} objects, {results[-1].seconds:.0f} s)")
            # Print it now: the table comes after the last build, hours later.
            for problem in problems:
                say(f"kconfig: {variant}: {name}: {problem}")
            if not problems:
                done.put(results[-1], warned)
    if options_.list:
        return 0
    print(report.table([["variant", "options", "objects", "vmlinux", "seconds", "result"],
                        *[[one.variant, one.options, str(one.objects), "linked" if one.linked else "",
                           f"{one.seconds:.0f}", "ok" if not one.problems else f"{len(one.problems)} problems"]
                          for one in results]]))
    for one in results:
        for problem in one.problems:
            print(f"not ok {one.variant} {one.options} - {problem}")
    REPORT.mkdir(parents=True, exist_ok=True)
    (REPORT / "kconfig.json").write_text(
        json.dumps([dataclasses.asdict(one) for one in results], indent=1) + "\n")
    failed = sum(bool(one.problems) for one in results)
    print(f"{len(results) - failed} passed, {failed} failed, 0 skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    common.command(main)
