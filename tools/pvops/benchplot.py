# SPDX-License-Identifier: GPL-2.0
"""Pictures of a benchmark report: SVG and PNG, and one HTML page with all of them.

    bench-instructions   each operation against the first variant
    bench-services       the same of the loads of the step services
    bench-crossings-V    crossings into the hypervisor, by kind
    bench-boot           phases of booting
"""

import argparse
import html
import importlib.util
import os
import pathlib
import subprocess
import sys

from . import benchdata, benchservices, common
from .benchdata import Row
from .common import Failure

# Colours that also differ in brightness (Okabe and Ito's set).
COLOURS = ("#000000", "#0072b2", "#56b4e9", "#009e73", "#e69f00", "#d55e00", "#cc79a7",
           "#f0e442")
DEBIAN_PYTHON = "/usr/bin/python3"
KINDS_MAX = 14
PHASES = ("boot-entry", "boot-core", "boot-smp", "boot-initcalls", "boot-init")


def _pyplot():
    import matplotlib
    matplotlib.use("Agg")
    # The same figures give the same bytes, and text in a picture can be searched.
    matplotlib.rcParams.update({"svg.hashsalt": "pvops", "svg.fonttype": "none",
                                "font.size": 9, "axes.axisbelow": True})
    from matplotlib import pyplot
    return pyplot


def _save(figure, where: pathlib.Path, name: str) -> str:
    figure.savefig(where / f"{name}.svg", bbox_inches="tight", metadata={"Date": None})
    figure.savefig(where / f"{name}.png", bbox_inches="tight", dpi=130)
    _pyplot().close(figure)
    return name


def _title(rows: list[Row], label: str) -> str:
    backend = next((row.backend for row in rows if row.variant == label and row.backend), "")
    return f"{label} (backend {backend})" if backend not in ("", "none", label) else label


def instructions(rows: list[Row], where: pathlib.Path, services: bool = False) -> str | None:
    """Bars of instructions per operation or load, as multiples of the first variant's."""
    labels = benchdata.variants(rows)
    found = {(row.variant, row.op): row for row in rows if row.instructions}
    ops = [op for op in benchdata.ordered_ops(rows)
           if (labels[0], op) in found and not op.startswith(benchdata.OF_BOOTS)
           and op.startswith(benchdata.SERVICE) == services]
    if not ops:
        return None
    pyplot = _pyplot()
    others = labels[1:] or labels
    thick = 0.8 / len(others)
    figure, axes = pyplot.subplots(figsize=(9, 1.5 + len(ops) * (0.2 + 0.14 * len(others))))
    for number, label in enumerate(others):
        at, ratio, error = [], [], []
        for line, op in enumerate(ops):
            row, base = found.get((label, op)), found[(labels[0], op)]
            if row:
                at.append(line + (number - (len(others) - 1) / 2) * thick)
                ratio.append(row.instructions / base.instructions)
                error.append(ratio[-1] * (row.spread + base.spread) / 100)
        bars = axes.barh(at, ratio, thick * 0.9, xerr=error, label=_title(rows, label),
                         color=COLOURS[(number + 1) % len(COLOURS)],
                         error_kw={"elinewidth": 0.7, "ecolor": "#444444"})
        axes.bar_label(bars, [f"{one:.2f}" for one in ratio], padding=2, fontsize=6.5)
    axes.axvline(1, color="black", linewidth=1)
    axes.set_xscale("log")
    top = max(row.instructions / found[(labels[0], row.op)].instructions
              for row in rows if row.instructions and row.op in ops)
    axes.set_xlim(0.5, max(2.0, top * 1.6))
    ticks = [n for n in (0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000) if n <= top * 1.6]
    axes.set_xticks(ticks, [f"{n:g}" for n in ticks])
    axes.minorticks_off()
    axes.set_yticks(range(len(ops)), [
        f"{benchdata.described(op, rows)}\n{found[(labels[0], op)].instructions:,.0f}"
        f" instructions on {labels[0]}" for op in ops], fontsize=7)
    axes.set_ylim(len(ops) - 0.4, -0.6)
    axes.grid(axis="x", color="#dddddd")
    axes.set_xlabel(f"instructions per operation, hypervisor included, as a multiple of "
                    f"{_title(rows, labels[0])}\n(1 = the same; logarithmic; lines: spread)")
    axes.set_title("What a load costs, per request or job" if services else "What an operation costs")
    axes.legend(loc="upper center", bbox_to_anchor=(0.3, -0.9 / len(ops) - 0.03), fontsize=8, ncols=3)
    return _save(figure, where, "bench-services" if services else "bench-instructions")


def crossings(rows: list[Row], label: str, where: pathlib.Path) -> str | None:
    """A grid of operations and kinds of crossings, with the numbers in it."""
    mine = {row.op: row for row in rows
            if row.variant == label and row.crossings and not row.op.startswith("boot")}
    weight: dict[str, float] = {}
    for row in mine.values():
        for kind, number in row.crossings.items():
            weight[kind] = max(weight.get(kind, 0), number)
    kinds = sorted((k for k in weight if weight[k] >= 0.05), key=lambda k: -weight[k])[:KINDS_MAX]
    ops = [op for op in benchdata.ordered_ops(mine.values()) if mine[op].total]
    if not ops or not kinds:
        return None
    pyplot = _pyplot()
    from matplotlib.colors import LogNorm
    grid = [[max(mine[op].crossings.get(kind, 0), 0) for kind in kinds] for op in ops]
    figure, axes = pyplot.subplots(figsize=(3.5 + 0.62 * len(kinds), 2 + 0.3 * len(ops)))
    shown = [[number if number >= 0.05 else float("nan") for number in line] for line in grid]
    picture = axes.imshow(shown, aspect="auto", cmap="YlOrRd", norm=LogNorm(0.05, max(map(max, grid)) * 3))
    for y, line in enumerate(grid):
        for x, number in enumerate(line):
            if number >= 0.05:
                axes.text(x, y, f"{number:.0f}" if number >= 10 else f"{number:.1f}",
                          ha="center", va="center", fontsize=7)
    axes.set_xticks(range(len(kinds)), kinds, rotation=45, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(ops)), [benchdata.ABOUT.get(op, op) for op in ops])
    axes.set_xlabel("kind of crossing into the hypervisor")
    axes.set_title(f"{_title(rows, label)}: crossings per operation")
    figure.colorbar(picture, label="crossings per operation (logarithmic)", pad=0.02)
    return _save(figure, where, f"bench-crossings-{label}")


def booting(rows: list[Row], where: pathlib.Path) -> str | None:
    """Phases of booting, one bar a variant."""
    found = {(row.variant, row.op): row for row in rows if row.instructions}
    labels = [label for label in benchdata.variants(rows) if (label, "boot") in found]
    if not labels:
        return None
    pyplot = _pyplot()
    figure, axes = pyplot.subplots(figsize=(9, 1.6 + 0.45 * len(labels)))
    left = [0.0] * len(labels)
    for number, phase in enumerate(PHASES):
        width = [found[(label, phase)].instructions / 1e6 if (label, phase) in found else 0
                 for label in labels]
        axes.barh(range(len(labels)), width, 0.7, left=left, color=COLOURS[1 + number],
                  label=benchdata.ABOUT[phase].removeprefix("boot: "))
        left = [a + b for a, b in zip(left, width)]
    for line, total in enumerate(left):
        axes.text(total, line, f" {total:,.0f}", va="center")
    axes.set_yticks(range(len(labels)), [_title(rows, label) for label in labels])
    axes.invert_yaxis()
    axes.set_xlim(0, max(left) * 1.12)
    axes.set_xlabel("million instructions from the start of the kernel's clock to init, "
                    "hypervisor included")
    axes.set_title("Booting, on one CPU")
    axes.legend(loc="upper center", bbox_to_anchor=(0.4, -0.22 - 0.5 / len(labels)), ncols=3, fontsize=8)
    return _save(figure, where, "bench-boot")


def draw_report(path: pathlib.Path) -> pathlib.Path:
    """The pictures and the page of a report file; returns the page.

    This runs in a process of its own with Debian's Python, since matplotlib is
    Debian's.
    """
    done = subprocess.run([DEBIAN_PYTHON, "-m", "tools.pvops.benchplot", "--report", path],
                          cwd=common.ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Failure(f"drawing {common.shown(path)}: "
                      f"{(done.stderr.strip().splitlines() or ['no reason given'])[-1]}")
    return path.parent / "bench.html"


def draw(rows: list[Row], about: dict[str, object], where: pathlib.Path) -> pathlib.Path:
    """All pictures that the rows have figures for, and the page; returns the page."""
    where.mkdir(parents=True, exist_ok=True)
    names = [instructions(rows, where), instructions(rows, where, services=True), booting(rows, where)]
    names += [crossings(rows, label, where) for label in benchdata.variants(rows)]
    parts = [_table(text) for text in (
        benchdata.instruction_table(rows),
        *(benchdata.crossing_table(rows, label) for label in benchdata.variants(rows)),
        benchdata.time_table(rows)) if text]
    pictures = []
    for name in filter(None, names):
        svg = (where / f"{name}.svg").read_text(encoding="utf-8")
        pictures.append(f"<figure>{svg[svg.index('<svg'):]}</figure>")
    kernels = about.get("variants")
    lines = [f"<li><b>{html.escape(label)}</b>: {html.escape(str(one.get('about', '')))}; world "
             f"{html.escape(str(one.get('world')))}, backend {html.escape(str(one.get('backend')))}"
             f", {html.escape(str(one.get('cmdline') or 'no special command line'))}</li>"
             for label, one in kernels.items()] if isinstance(kernels, dict) else []
    incomplete = "" if about.get("complete", True) else \
        "<p><b>Not complete: the run was cut short, or something failed.</b></p>"
    dear = "".join(f"<li>{html.escape(line)}</li>" for line in benchservices.not_below(rows))
    dear = f"<h2>Loads for which hypercall is not the cheapest</h2><ul>{dear}</ul>" if dear else ""
    page = where / "bench.html"
    text = f"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>pvops benchmarks</title>
<style>body {{ font-family: sans-serif; max-width: 75em; margin: 1em auto }}
pre {{ background: #f4f4f4; padding: 1em; overflow-x: auto }}
svg {{ max-width: 100%; height: auto }} figure {{ margin: 2em 0 }}</style></head><body>
<h1>pvops benchmarks</h1>{incomplete}
<p>Instructions are counted under -icount, hypervisor included, and are no cycles: a trap
costs a CPU far more than the instruction that took it. x N: so many times the first
column's; = : no difference beyond the spread. Crossings are what the hypervisor's own
tracing counted.</p>
<ul>{"".join(lines)}</ul>
{dear}{"".join(pictures)}{"".join(parts)}</body></html>
"""
    with common.whole(page) as partial:
        partial.write_text(text, encoding="utf-8")
    return page


def _table(text: str) -> str:
    return f"<pre>{html.escape(text)}</pre>"


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(prog="tools.pvops.benchplot", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--report", type=pathlib.Path, default=common.REPORT / "bench.json")
    args = parser.parse_args()
    if not importlib.util.find_spec("matplotlib"):
        if os.path.realpath(sys.executable) == os.path.realpath(DEBIAN_PYTHON):
            raise Failure("python3-matplotlib is not installed; "
                          "run python3 -m tools.pvops.packages")
        os.execv(DEBIAN_PYTHON, [DEBIAN_PYTHON, "-m", "tools.pvops.benchplot", *sys.argv[1:]])
    rows, about = benchdata.load(args.report)
    print(common.shown(draw(rows, about, args.report.absolute().parent)))
    return 0


if __name__ == "__main__":
    common.command(main)
