"""What an operator call costs beside calling its kernel by hand, measured on this machine.

Three ways to reach the same kernel are timed in turns: the kernel itself, a hand-written function
that only forwards its arguments, and the operator. The kernel does nothing, so that the times are
those of the calls. The forwarding function is the yardstick: no layer between a caller and a
kernel can cost less than one Python frame.
"""

from __future__ import annotations

import timeit
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from gpuops.annotations import Array
from gpuops.op import custom_op

__all__ = ["Overhead", "as_rows", "measure"]

NAMESPACE = "gpuops_overhead"

# A constant, so that no allocation is timed. It is never an argument, so no output is aliased.
_RESULT = np.empty(1)


@dataclass(frozen=True, slots=True)
class Overhead:
    """The price of one form of call, in nanoseconds, the least of all rounds.

    Attributes:
        call: what was called, such as ``"2 arrays, 1 float"``.
        direct_ns: calling the kernel.
        wrapper_ns: calling a function that forwards to the kernel.
        operator_ns: calling the operator.
    """

    call: str
    direct_ns: float
    wrapper_ns: float
    operator_ns: float

    @property
    def added_ns(self) -> float:
        """What the operator adds to calling the kernel."""
        return self.operator_ns - self.direct_ns

    @property
    def ratio(self) -> float:
        """What the operator adds, in units of what the forwarding function adds.

        >>> Overhead("1 array", 50.0, 90.0, 150.0).ratio
        2.5
        """
        return self.added_ns / max(self.wrapper_ns - self.direct_ns, 1e-3)


def measure(*, rounds: int = 25, loops: int = 10_000) -> list[Overhead]:
    """Time the calls; takes about a second with the default numbers.

    Args:
        rounds: how often each way to call is timed; the least counts, since everything that
            disturbs a measurement makes it longer.
        loops: calls in one timing.

    Raises:
        ValueError: `rounds` or `loops` is less than 1.
    """
    for name, value in (("rounds", rounds), ("loops", loops)):
        if value < 1:
            raise ValueError(f"overhead.measure: {name} must be 1 or more, got {value}")
    return [
        _measure(call, arguments, kernel, wrapper, rounds, loops)
        for call, arguments, kernel, wrapper in _FORMS
    ]


def as_rows(measured: list[Overhead]) -> list[dict[str, str | float]]:
    """The measurements as dictionaries, for JSON.

    >>> as_rows([Overhead("1 array", 50.0, 90.0, 150.0)])[0]["ratio"]
    2.5
    """
    return [{**asdict(row), "added_ns": row.added_ns, "ratio": row.ratio} for row in measured]


def _measure(
    call: str,
    arguments: str,
    kernel: Callable[..., Any],
    wrapper: Callable[..., Any],
    rounds: int,
    loops: int,
) -> Overhead:
    operator = custom_op(f"{NAMESPACE}::f", kernel, mutates_args=())
    try:
        names = {"x": np.ones(8), "y": np.ones(8), "s": 2.0}
        timers = [
            timeit.Timer(f"f({arguments})", globals={**names, "f": function})
            for function in (kernel, wrapper, operator)
        ]
        # In turns: a spell in which the machine is slow hits all three.
        times = [[timer.timeit(loops) for timer in timers] for _ in range(rounds)]
    finally:
        operator.undo()
    direct, forwarded, operated = (1e9 * min(column) / loops for column in zip(*times, strict=True))
    return Overhead(call, direct, forwarded, operated)


def _one(x: Array) -> Array:
    return _RESULT


def _forward_one(x: Array) -> Array:
    return _one(x)


def _two(x: Array, y: Array, s: float) -> Array:
    return _RESULT


def _forward_two(x: Array, y: Array, s: float) -> Array:
    return _two(x, y, s)


def _ten(
    a: Array,
    b: Array,
    c: Array,
    d: Array,
    e: Array,
    f: Array,
    g: Array,
    h: Array,
    i: Array,
    j: Array,
) -> Array:
    return _RESULT


def _forward_ten(
    a: Array,
    b: Array,
    c: Array,
    d: Array,
    e: Array,
    f: Array,
    g: Array,
    h: Array,
    i: Array,
    j: Array,
) -> Array:
    return _ten(a, b, c, d, e, f, g, h, i, j)


# Name, arguments as they are written in the call, kernel, forwarding function.
_FORMS: tuple[tuple[str, str, Callable[..., Any], Callable[..., Any]], ...] = (
    ("1 array", "x", _one, _forward_one),
    ("2 arrays, 1 float", "x, y, s", _two, _forward_two),
    ("2 arrays, 1 float by name", "x, y, s=s", _two, _forward_two),
    ("10 arrays", ", ".join("xy" * 5), _ten, _forward_ten),
)
