"""From which size on a second thread pays, for each CPU kernel of the pack.

    python bench/bench_threads.py

Each kernel runs on float32 arrays of growing size, on one thread and on two; the least time of many
rounds counts. What a kernel calls its `_LEAST` is the number of elements from which on it uses more
threads; it is set to where one thread takes about four times what handing work over costs.
"""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Callable, Iterator
from time import perf_counter
from types import ModuleType
from typing import Any
from unittest import mock

import numpy as np

import gpuops_kernels as pack
from gpuops.random import RNGState

ROUNDS, LOOPS = 60, 10
NEVER = 2**62


def kernels(x: np.ndarray) -> dict[str, Callable[[], Any]]:
    """By operator, a call on an array of float32."""
    half = np.where(x > 0, x, 0)
    rng = RNGState(1)
    return {
        "rms_norm": lambda: pack.rms_norm(x, x[0]),
        "softmax": lambda: pack.softmax(x),
        "silu_mul": lambda: pack.silu_mul(x, x),
        "nonzero": lambda: pack.nonzero(half),
        "random_bits": lambda: pack.random_bits(x.shape, rng),
        "uniform": lambda: pack.uniform(x.shape, rng),
        "normal": lambda: pack.normal(x.shape, rng),
        "dropout_apply": lambda: pack.dropout_apply(x, 0.1, rng.key, rng.offset),
    }


def least_us(run: Callable[[], Any]) -> float:
    """The least microseconds of a call."""
    run()
    best = float("inf")
    for _ in range(ROUNDS):
        start = perf_counter()
        for _ in range(LOOPS):
            run()
        best = min(best, (perf_counter() - start) / LOOPS)
    return 1e6 * best


def measure(exponent: int) -> Iterator[tuple[str, float, float]]:
    """Operator, and microseconds on one thread and on two, for 2**exponent elements."""
    x = np.random.default_rng(0).standard_normal((2 ** (exponent - 8), 256)).astype(np.float32)
    for name, run in kernels(x).items():
        module: ModuleType = importlib.import_module(f"gpuops_kernels.{name}.cpu")
        with mock.patch.object(module, "_LEAST", NEVER):
            one = least_us(run)
        with mock.patch.object(module, "_LEAST", x.size):
            two = least_us(run)
        yield name, one, two


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--exponents", type=int, nargs=2, default=(14, 21), metavar=("FROM", "TO"))
    options = parser.parse_args()
    print(f"{'elements':>10}  {'operator':14}{'one thread, us':>16}{'two, us':>10}")
    for exponent in range(options.exponents[0], options.exponents[1] + 1):
        for name, one, two in measure(exponent):
            print(f"{2**exponent:>10}  {name:14}{one:>16.1f}{two:>10.1f}")


if __name__ == "__main__":
    main()
