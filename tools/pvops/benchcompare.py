# SPDX-License-Identifier: GPL-2.0
"""What changed between two benchmark reports, or against bounds.

    make bench-compare A=old.json B=new.json

The table has each figure that differs by more than its spread. The exit status
is 1 if a figure got worse by more than the bound and the spread together.

Bounds (bench/bounds.toml) are figures that were measured once, and a margin.
Only instructions and crossings have bounds: times under emulation on different
machines cannot be compared.
"""

import argparse
import pathlib
import tomllib

from . import benchdata, common, report
from .benchdata import Change, Row
from .common import Failure

BOUND = 2.0             # percent
BOUNDS = common.ROOT / "bench/bounds.toml"
MEASURES = ("instructions", "crossings")


def show(changes: list[Change], alone: list[str], everything: bool) -> None:
    """A table of what changed."""
    lines = [["variant", "operation", "measure", "A", "B", "difference", "spread", "verdict"]]
    for change in changes:
        if not everything and change.verdict == "same":
            continue
        d = change.difference
        lines.append([change.variant, benchdata.ABOUT.get(change.op, change.op), change.what,
                      f"{d.a:,.1f}".removesuffix(".0"), f"{d.b:,.1f}".removesuffix(".0"),
                      f"{d.percent:+.2f} %" if d.real else "none", f"{d.spread:.2f} %",
                      change.verdict])
    if len(lines) > 1:
        print(report.table(lines))
    for text in alone:
        print(text)


def compare(a: pathlib.Path, b: pathlib.Path, bound: float, everything: bool) -> int:
    """Compare two files; returns the exit status."""
    rows_a, _ = benchdata.load(a)
    rows_b, _ = benchdata.load(b)
    changes, alone = benchdata.compare(rows_a, rows_b, bound)
    if not changes:
        raise Failure(f"{common.shown(a)} and {common.shown(b)} have no figure in common")
    show(changes, alone, everything)
    worse = sum(change.verdict == "worse" for change in changes)
    better = sum(change.verdict == "better" for change in changes)
    print(f"{len(changes)} figures: {worse} worse, {better} better, "
          f"{len(changes) - worse - better} the same (bound: +{bound} %)")
    return 1 if worse else 0


def load_bounds(path: pathlib.Path) -> tuple[dict[str, float], dict[tuple[str, str, str], float]]:
    """The margins by measure, and the figures by variant, operation and measure."""
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise Failure(f"{common.shown(path)}: no such bounds") from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise Failure(f"{common.shown(path)}: {error}") from None
    margins = data.get("margin_percent", {})
    if set(margins) != set(MEASURES):
        raise Failure(f"{common.shown(path)}: margin_percent must have {' and '.join(MEASURES)}")
    figures = {}
    for variant, ops in data.get("bound", {}).items():
        for op, entry in ops.items():
            for measure, figure in entry.items():
                if measure not in MEASURES or not isinstance(figure, (int, float)):
                    raise Failure(f"{common.shown(path)}: bound.{variant}.{op}: {measure} = "
                                  f"{figure!r} is no bound")
                figures[(variant, op, measure)] = float(figure)
    if not figures:
        raise Failure(f"{common.shown(path)}: no bounds in it")
    return margins, figures


def judge(rows: list[Row], path: pathlib.Path) -> list[str]:
    """One line for each bound: `ok ...` or `not ok ...`."""
    margins, figures = load_bounds(path)
    by_key = {(row.variant, row.op): row for row in rows}
    lines = []
    for (variant, op, measure), figure in figures.items():
        row = by_key.get((variant, op))
        got = None if row is None else row.instructions if measure == "instructions" else row.total
        limit = figure * (1 + margins[measure] / 100)
        if measure == "crossings":
            limit = max(limit, figure + benchdata.grain(figure))
        name = f"{variant} {op} {measure}"
        if got is None:
            lines.append(f"not ok {name} - was not measured")
        elif got > limit:
            lines.append(f"not ok {name} - {got:,.1f} instead of {figure:,.1f} "
                         f"(at most {limit:,.1f})")
        else:
            lines.append(f"ok {name} - {got:,.1f}, at most {limit:,.1f}")
    return lines


def write_bounds(rows: list[Row], path: pathlib.Path) -> None:
    """Write the measured figures as the new bounds."""
    margins, _ = load_bounds(path)
    head = path.read_text(encoding="utf-8").split("\n[bound")[0].rstrip()
    lines = [head, ""]
    for variant in benchdata.variants(rows):
        lines.append(f"[bound.{variant}]")
        for row in rows:
            if row.variant != variant or row.op.startswith(("boot-", "gib")):
                continue
            cells = []
            if row.instructions is not None:
                cells.append(f"instructions = {row.instructions:.0f}")
            if row.total is not None:
                cells.append(f"crossings = {row.total:.2f}")
            if cells:
                lines.append(f"{row.op} = {{ {', '.join(cells)} }}")
        lines.append("")
    assert margins
    path.write_text("\n".join(lines), encoding="utf-8")


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(prog="tools.pvops.benchcompare", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("a", type=pathlib.Path, metavar="A", help="the report before")
    parser.add_argument("b", type=pathlib.Path, metavar="B", help="the report after")
    parser.add_argument("--bound", type=float, default=BOUND, metavar="PERCENT",
                        help="percent by which a figure may get worse (default: %(default)s)")
    parser.add_argument("--all", action="store_true", help="also show figures that did not change")
    args = parser.parse_args()
    return compare(args.a, args.b, args.bound, args.all)


if __name__ == "__main__":
    common.command(main)
