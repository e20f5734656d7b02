# SPDX-License-Identifier: GPL-2.0
"""A projection of cycles from counted instructions and counted crossings.

    make bench-project REPORT=build/report/bench.json PRICE="exit=1300 pv=350"

An instruction count hides what a crossing into the hypervisor costs beside its
instructions. Here each instruction costs one cycle (CPI= says otherwise), and
each crossing the price of its kind (bench/prices.toml, or PRICE=). This is no
measurement: caches, TLBs and the width of the CPU are left out.

The last table says at which price of its own crossings a variant costs as much as
`hypercall`: above it `hypercall` is cheaper.
"""

import argparse
import dataclasses
import pathlib
import tomllib

from . import benchdata, common, report
from .benchdata import Row
from .common import Failure

PRICES = common.ROOT / "bench/prices.toml"


@dataclasses.dataclass(frozen=True)
class Price:
    """What a crossing costs beside its instructions."""
    cycles: float
    about: str
    source: str


def load(path: pathlib.Path = PRICES) -> tuple[dict[str, Price], dict[str, str]]:
    """The prices by name, and the name of the price for each variant."""
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
        prices = {name: Price(**entry) for name, entry in content["price"].items()}
        of = dict(content["of"])
    except OSError as error:
        raise Failure(f"{common.shown(path)}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, KeyError, TypeError, AttributeError) as error:
        raise Failure(f"{common.shown(path)}: {error}") from error
    for variant, name in of.items():
        if name not in prices:
            raise Failure(f"{common.shown(path)}: {variant} has the price {name}; "
                          f"there are {', '.join(prices)}")
    return prices, of


def change(prices: dict[str, Price], of: dict[str, str], words: list[str]) -> None:
    """Changes that a user asks for: PRICE=CYCLES, or VARIANT=PRICE."""
    for word in words:
        name, equals, value = word.partition("=")
        if name in prices and equals:
            try:
                cycles = float(value)
            except ValueError:
                cycles = -1
            if not 0 <= cycles < float("inf"):
                raise Failure(f"{word}: {value or 'nothing'} is no number of cycles")
            prices[name] = dataclasses.replace(prices[name], cycles=cycles, source="the command line")
        elif equals and value in prices:
            of[name] = value
        else:
            raise Failure(f"{word}: give PRICE=CYCLES or VARIANT=PRICE; the prices are {', '.join(prices)}")


def cycles(row: Row, price: float, cpi: float) -> float | None:
    """The projection for one operation; None without what it needs."""
    if row.instructions is None or (row.crossings is None and price):
        return None
    return row.instructions * cpi + (row.total or 0) * price


def even(reference: float, row: Row, cpi: float) -> float | None:
    """The price of ROW's crossings at which it costs as much as REFERENCE; None if there is none."""
    if row.instructions is None or not row.total:
        return None
    return (reference - row.instructions * cpi) / row.total


def _even_cell(price: float | None) -> str:
    if price is None:
        return "-"
    return "any" if price <= 0 else f"{price:,.0f}"


def tables(rows: list[Row], prices: dict[str, Price], of: dict[str, str], cpi: float) -> list[str]:
    """The projection, and the prices at which variants cost the same."""
    labels = benchdata.variants(rows)
    by_key = {(row.variant, row.op): row for row in rows}
    priced = [label for label in labels if label in of]
    if not priced:
        raise Failure(f"no variant of the report has a price: {', '.join(labels)}")
    first = "hypercall" if "hypercall" in priced else priced[0]
    found = {(label, op): cycles(row, prices[of[label]].cycles if label in of else 0.0, cpi)
             for (label, op), row in by_key.items()}
    projected = [["projected cycles per operation", *labels]]
    others = [label for label in priced if of[label] != of[first]]
    equal = [[f"crossings of {first} cost {prices[of[first]].cycles:,.0f}",
              *(f"{label} as dear at" for label in others)]]
    for op in benchdata.ordered_ops(rows):
        if not any(by_key[key].total for key in by_key if key[1] == op):
            continue
        values = {label: found.get((label, op)) for label in labels}
        present = [value for value in values.values() if value is not None]
        least = min(present) if len(present) > 1 else None
        projected.append([benchdata.ABOUT.get(op, op)] + [
            "-" if value is None else f"{value:,.0f}{' <' if value == least else ''}"
            for value in values.values()])
        reference = values[first]
        if reference is not None:
            equal.append([benchdata.ABOUT.get(op, op)] + [
                _even_cell(even(reference, by_key[label, op], cpi) if (label, op) in by_key else None)
                for label in others])
    if len(projected) == 1:
        raise Failure("the report has no crossings; make bench STEPS=measure,count counts them")
    return [report.table(lines) for lines in (projected, equal) if len(lines) > 1 and len(lines[0]) > 1]


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="tools.pvops.benchproject", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("report", nargs="?", type=pathlib.Path, default=common.REPORT / "bench.json")
    parser.add_argument("--price", action="append", default=[], metavar="NAME=VALUE",
                        help="PRICE=CYCLES, or VARIANT=PRICE")
    parser.add_argument("--cpi", type=float, default=1.0, help="cycles of an instruction (default: 1)")
    args = parser.parse_args()
    if not 0 < args.cpi < 1000:
        raise Failure(f"--cpi {args.cpi}: cycles of an instruction are a number above 0")
    prices, of = load()
    change(prices, of, args.price)
    rows, _ = benchdata.load(args.report)
    print("A PROJECTION, not measured. What a crossing costs beside its instructions:")
    used = {of[label] for label in benchdata.variants(rows) if label in of}
    print(report.table([["price", "cycles", "what it is", "source"]] + [
        [name, f"{price.cycles:,.0f}", price.about, price.source]
        for name, price in prices.items() if name in used]))
    for table in tables(rows, prices, of, args.cpi):
        print(f"\n{table}")


if __name__ == "__main__":
    common.command(main)
