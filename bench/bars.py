"""The limits that a call and an import have to keep."""

from __future__ import annotations

from dataclasses import dataclass

from bench.bench_import import LIMIT_MS
from bench.figures import Calls
from bench.forms import BAR_FORM
from bench.peers import FORWARDING, GPUOPS, TORCH

__all__ = ["Bar", "call_bars", "import_bar"]

MOST_FORWARDINGS = 4.0
LEAST_BELOW_TORCH = 100.0


@dataclass(frozen=True, slots=True)
class Bar:
    """A limit: whether it is kept, and the figure, in a line."""

    kept: bool
    line: str


def call_bars(calls: Calls) -> list[Bar]:
    """The limits on a call with two arrays and a float."""
    return [
        _bar(
            calls,
            f"{GPUOPS} adds at most {MOST_FORWARDINGS:g}x what a {FORWARDING} adds",
            numerator=GPUOPS,
            denominator=FORWARDING,
            most=MOST_FORWARDINGS,
        ),
        _bar(
            calls,
            f"{TORCH} adds at least {LEAST_BELOW_TORCH:g}x what a {GPUOPS} adds",
            numerator=TORCH,
            denominator=GPUOPS,
            least=LEAST_BELOW_TORCH,
        ),
    ]


def _bar(
    calls: Calls,
    text: str,
    *,
    numerator: str,
    denominator: str,
    most: float = float("inf"),
    least: float = 0.0,
) -> Bar:
    form = str(BAR_FORM)
    text = f"{text} ({form}; Python {calls.python})"
    for peer in (numerator, denominator):
        # A limit that was not looked at is not kept.
        if (form, peer) not in calls.ns:
            return Bar(False, f"{text}: not measured, {peer} was not timed")
    ratio = calls.relative(form, numerator, denominator)
    figures = " / ".join(f"{calls.overhead(form, p):,.1f} ns" for p in (numerator, denominator))
    return Bar(least <= ratio <= most, f"{text}: {ratio:.2f}x ({figures})")


def import_bar(added_ms: float) -> Bar:
    """The limit on what ``import gpuops`` adds to ``import numpy``."""
    return Bar(
        added_ms <= LIMIT_MS,
        f"import gpuops adds at most {LIMIT_MS:g} ms to import numpy: {added_ms:.1f} ms",
    )
