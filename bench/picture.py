"""The picture of what a call costs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bench.figures import Calls
from bench.forms import FORMS
from bench.peers import DIRECT, GPUOPS

__all__ = ["draw"]

_MARKERS = {
    "none": ("o", "arrays only"),
    "position": ("s", "and a float"),
    "name": ("^", "and a float by name"),
}


def draw(path: Path, calls: Calls, bar_form: str) -> None:
    """Write a PNG: what each peer adds to a direct call, one panel per number of arrays.

    Args:
        path: the file to write.
        calls: what was measured.
        bar_form: the form of call that the peers are sorted by.
    """
    # Not pyplot: a figure of one's own needs no display and leaves no global state.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    panels = list(dict.fromkeys(form.arrays for form in FORMS if str(form) in calls.forms))
    peers = _peers(calls, bar_form)
    figure = Figure(figsize=(4.2 * len(panels) + 2, 0.34 * len(peers) + 2), layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(
        f"What a call adds to calling a kernel that does nothing: Python {calls.python}, "
        f"{calls.processor}",
        fontsize=10,
    )
    all_axes = figure.subplots(1, len(panels), sharex=True, squeeze=False)[0]
    for axes, arrays in zip(all_axes, panels, strict=True):
        _panel(axes, calls, arrays, peers)
        axes.tick_params(labelleft=axes is all_axes[0])
    handles, labels = all_axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, fontsize=8)
    figure.savefig(path, dpi=120)


def _peers(calls: Calls, bar_form: str) -> list[str]:
    """The peers that were timed, the cheapest first: by the bar's form, or else their cheapest."""
    cost: dict[str, float] = {}
    for form in calls.forms:
        for peer in calls.peers(form):
            added = calls.overhead(form, peer)
            cost[peer] = min(cost.get(peer, added), added)
    cost.update((peer, calls.overhead(bar_form, peer)) for peer in calls.peers(bar_form))
    del cost[DIRECT]
    return sorted(cost, key=cost.__getitem__)


def _panel(axes: Any, calls: Calls, arrays: int, peers: list[str]) -> None:
    for form in (form for form in FORMS if form.arrays == arrays):
        marker, label = _MARKERS[form.scalar]
        timed = [row for row, peer in enumerate(peers) if (str(form), peer) in calls.ns]
        added = [calls.overhead(str(form), peers[row]) for row in timed]
        axes.plot(added, timed, marker, label=label, markersize=5, alpha=0.8)
    axes.set_xscale("log")
    axes.set_yticks(range(len(peers)), peers, fontsize=8)
    for tick, peer in zip(axes.get_yticklabels(), peers, strict=True):
        tick.set_fontweight("bold" if peer == GPUOPS else "normal")
    axes.set_ylim(len(peers) - 0.5, -0.5)
    axes.grid(axis="x", which="both", alpha=0.25)
    axes.set_xlabel("ns over a direct call", fontsize=9)
    axes.set_title(f"{arrays} array{'s' if arrays > 1 else ''}", fontsize=10)
