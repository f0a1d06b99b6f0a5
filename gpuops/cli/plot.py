"""The picture that `gpuops demo` and `gpuops bench` leave."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gpuops.overhead import Overhead

__all__ = ["draw"]


def draw(
    path: Path, throughput: Sequence[Mapping[str, Any]], calls: Sequence[Overhead], where: str
) -> str | None:
    """Write a PNG: the kernels beside NumPy, and what a call costs.

    Args:
        path: the file to write.
        throughput: rows of `gpuops.cli.throughput.measure`.
        calls: rows of `gpuops.overhead.measure`.
        where: the machine, for the title.

    Returns:
        None, or why there is no picture.
    """
    try:
        # Not pyplot: a figure of one's own needs no display and leaves no global state.
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        return f"no plot: {error.name} is missing (pip install 'gpuops[plots]')"
    figure = Figure(figsize=(13, 0.42 * max(len(throughput), 6) + 1.6), layout="constrained")
    figure.suptitle(f"gpuops on {where}")
    left, right = figure.subplots(1, 2)
    _draw_throughput(left, throughput)
    _draw_calls(right, calls)
    figure.savefig(path)
    return None


def _draw_throughput(axes: Any, rows: Sequence[Mapping[str, Any]]) -> None:
    labels = [
        f"{row['operator'].partition('::')[2]} {row['shape']} ({row['device']})" for row in rows
    ]
    reference = [row["bytes"] / row["reference_ms"] / 1e6 for row in rows]
    kernel = [row["gb_per_s"] for row in rows]
    places = range(len(rows))
    height = 0.4
    axes.barh([p - height / 2 for p in places], reference, height, label="NumPy reference")
    bars = axes.barh([p + height / 2 for p in places], kernel, height, label="kernel")
    axes.bar_label(bars, [f"{row['speedup']:.1f}x" for row in rows], padding=3, fontsize=8)
    axes.set_yticks(list(places), labels, fontsize=8)
    axes.invert_yaxis()
    axes.margins(x=0.12)
    axes.set_xlabel("GB/s, inputs and outputs")
    axes.set_title("Throughput (longer is better)", fontsize=10)
    axes.legend(fontsize=8)


def _draw_calls(axes: Any, rows: Sequence[Overhead]) -> None:
    series = {
        "kernel by hand": [row.direct_ns for row in rows],
        "forwarding function": [row.wrapper_ns for row in rows],
        "operator": [row.operator_ns for row in rows],
    }
    height = 0.8 / len(series)
    for index, (label, values) in enumerate(series.items()):
        places = [p + (index - 1) * height for p in range(len(rows))]
        axes.barh(places, values, height, label=label)
    axes.set_yticks(range(len(rows)), [row.call for row in rows], fontsize=8)
    axes.invert_yaxis()
    axes.set_xlabel("ns per call of a kernel that does nothing")
    axes.set_title("The price of a call (shorter is better)", fontsize=10)
    axes.legend(fontsize=8)
