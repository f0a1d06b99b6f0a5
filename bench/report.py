"""Report what bench/bench_call.py measured: a table, a picture, and whether the limits are kept.

    python -m bench.report bench-out/calls.json

The picture is written beside the JSON file. The exit status is 1 if a limit is missed, and 2 if
there is nothing to report on.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench import bench_import
from bench.bars import Bar, call_bars, import_bar
from bench.figures import Calls, read
from bench.forms import BAR_FORM
from bench.peers import DIRECT, FORWARDING, GPUOPS
from bench.picture import draw

__all__ = ["main", "table"]


def table(calls: Calls) -> Table:
    """All peers for all forms of call."""
    shown = Table(
        title=f"What a call costs: Python {calls.python}, {calls.processor}",
        caption=f"over direct: what is added to the {DIRECT} of a kernel that does nothing",
    )
    shown.add_column("call", no_wrap=True)
    shown.add_column("through", no_wrap=True)
    for heading in ("ns per call", "over direct", "/ forwarding's", "/ gpuops'"):
        shown.add_column(heading, justify="right")
    for form in calls.forms:
        label = form
        for peer in calls.peers(form):
            cells = [label, peer, _number(calls.ns[form, peer])]
            if peer != DIRECT:
                cells.append(_number(calls.overhead(form, peer)))
                for yardstick in (FORWARDING, GPUOPS):
                    cells.append(f"{calls.relative(form, peer, yardstick):,.1f}x")
            shown.add_row(*cells, style="bold" if peer == GPUOPS else None)
            label = ""
        shown.add_section()
    return shown


def _number(ns: float) -> str:
    return f"{ns:,.1f}" if abs(ns) < 1000 else f"{ns:,.0f}"


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench.report", description=__doc__.splitlines()[0])
    parser.add_argument("results", type=Path, help="what --benchmark-json wrote")
    parser.add_argument(
        "--import-rounds", type=int, default=15, help="how often the import is timed"
    )
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    """Print and draw; the exit status."""
    options = _parse(arguments)
    try:
        calls = read(options.results)
    except (OSError, ValueError) as error:
        print(f"bench.report: {error}", file=sys.stderr)
        return 2
    # Not narrower than the table where the output is a file or a pipe.
    screen = Console() if sys.stdout.isatty() else Console(width=116)
    screen.print(table(calls))
    picture = options.results.with_suffix(".png")
    draw(picture, calls, str(BAR_FORM))
    screen.print(f"written: {picture}", highlight=False, markup=False)
    added_ms = float(bench_import.measure(options.import_rounds)[-1]["min_ms"])
    return judge([*call_bars(calls), import_bar(added_ms)])


def judge(bars: list[Bar]) -> int:
    """Print each limit with its figure; 1 if one is missed."""
    for bar in bars:
        print(f"{'kept' if bar.kept else 'MISSED'}: {bar.line}")
    return int(not all(bar.kept for bar in bars))


if __name__ == "__main__":
    sys.exit(main())
