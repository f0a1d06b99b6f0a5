"""Timing kernels beside their references."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Iterator
from time import perf_counter
from typing import Any

import numpy as np

import gpuops
from gpuops.cases import BenchShape, arguments_on, load_cases
from gpuops.cli.arrays import arrays_in, synchronise
from gpuops.errors import GpuopsError
from gpuops.registry import Operator

__all__ = ["TimingError", "count", "measure"]

# One timing has to last this long: the clock and the loop then cost nothing beside it.
_SPAN_S = 2e-3


class TimingError(GpuopsError, RuntimeError):
    """What was to be timed failed."""


def count(operators: Iterable[Operator], devices: Iterable[str]) -> int:
    """How many rows `measure` will give."""
    shapes = sum(len(load_cases(operator).bench) for operator in operators)
    return shapes * len(list(devices))


def measure(
    operators: Iterable[Operator], devices: Iterable[str], *, rounds: int, seed: int = 0
) -> Iterator[dict[str, Any]]:
    """Time every operator on its bench shapes, one row each, as soon as it is there.

    The operator (not the bare kernel) and the NumPy reference take turns, so that a spell in which
    the machine is slow hits both; on "cuda" the reference runs on the CPU all the same, and a
    timing ends when the device is done.

    Yields:
        Rows with ``operator``, ``shape``, ``device``, ``bytes`` (inputs and outputs),
        ``reference_ms`` and ``kernel_ms`` (the least of the rounds), ``kernel_median_ms``,
        ``gb_per_s`` (10^9 bytes) and ``speedup``.

    Raises:
        TimingError: an operator, its reference or what builds its inputs failed.
    """
    for operator in operators:
        for shape in load_cases(operator).bench:
            for device in devices:
                try:
                    row = _measure(operator, shape, device, rounds, seed)
                except Exception as error:  # the pack's code can raise anything
                    raise TimingError(
                        f"{operator.qualname} on {device}, input {shape.id}, cannot be timed: "
                        f"{type(error).__name__}: {error}"
                    ) from error
                yield row


def _measure(
    operator: Operator, shape: BenchShape, device: str, rounds: int, seed: int
) -> dict[str, Any]:
    args, kwargs = shape.build(np.random.default_rng(seed))
    again = shape.build(np.random.default_rng(seed))
    on_device, by_name = arguments_on(operator, again, device)
    call = operator.call
    reference = gpuops.get_kernel(operator).function

    def run() -> Any:
        return call(*on_device, **by_name)

    # The first call compiles.
    moved = sum(array.nbytes for array in arrays_in([run(), *args, *kwargs.values()]))
    timers = (
        _timer(run, device),
        _timer(lambda: reference(*args, **kwargs), "cpu"),
    )
    times = [[timer() for timer in timers] for _ in range(rounds)]
    kernel, expected = zip(*times, strict=True)
    return {
        "operator": operator.qualname,
        "shape": shape.id,
        "device": device,
        "bytes": moved,
        "reference_ms": 1e3 * min(expected),
        "kernel_ms": 1e3 * min(kernel),
        "kernel_median_ms": 1e3 * statistics.median(kernel),
        "gb_per_s": moved / min(kernel) / 1e9,
        "speedup": min(expected) / min(kernel),
    }


def _timer(run: Callable[[], Any], device: str) -> Callable[[], float]:
    """A function that returns the seconds one call of `run` takes."""

    def take(loops: int) -> float:
        synchronise(device)
        start = perf_counter()
        for _ in range(loops):
            run()
        synchronise(device)
        return (perf_counter() - start) / loops

    take(1)  # warm caches
    loops = max(1, round(_SPAN_S / take(1)))
    return lambda: take(loops)
