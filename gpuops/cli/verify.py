"""Running operators on their cases and comparing with the reference."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

import gpuops
from gpuops.annotations import Array
from gpuops.cases import Case, arguments_on, load_cases
from gpuops.cli.arrays import arrays_in, to_host
from gpuops.registry import Operator

__all__ = ["Outcome", "count", "verify"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """One case on one device: `problem` is None if the result matched."""

    operator: str
    case: str
    device: str
    problem: str | None


def count(operators: Iterable[Operator], devices: Iterable[str]) -> int:
    """How many outcomes `verify` will give."""
    return sum(len(load_cases(operator).cases) for operator in operators) * len(list(devices))


def verify(
    operators: Iterable[Operator], devices: Iterable[str], *, seed: int = 0
) -> Iterator[Outcome]:
    """Call every operator on every case and compare with the reference, one outcome each.

    A case that fails, whatever the reason, is an outcome with a problem and never an exception.
    """
    for operator in operators:
        for case in load_cases(operator).cases:
            for device in devices:
                try:
                    problem = _compare(operator, case, device, seed)
                except Exception as error:  # the next cases still have to run
                    problem = f"{type(error).__name__}: {error}"
                yield Outcome(operator.qualname, case.id, device, problem)


def _compare(operator: Operator, case: Case, device: str, seed: int) -> str | None:
    # Anew for each call: the first may change what it is given, as a random state.
    args, kwargs = case.build(np.random.default_rng(seed))
    reference = case.reference or gpuops.get_kernel(operator).function
    expected = reference(*args, **kwargs)
    args, kwargs = arguments_on(operator, case.build(np.random.default_rng(seed)), device)
    result = to_host(operator.call(*args, **kwargs))
    for wanted, got in zip(arrays_in(expected), arrays_in(result), strict=True):
        if (got.shape, got.dtype) != (wanted.shape, wanted.dtype):
            return (
                f"expected {wanted.dtype} of shape {wanted.shape}, "
                f"got {got.dtype} of shape {got.shape}"
            )
        rtol, atol = case.tolerances(wanted.dtype)
        close = np.isclose(got, wanted, rtol=rtol, atol=atol, equal_nan=True)
        if not close.all():
            return _difference(got, wanted, close)
    return None


def _difference(got: Array, wanted: Array, close: Array) -> str:
    where = tuple(int(index) for index in np.argwhere(~close)[0])
    wrong = close.size - np.count_nonzero(close)
    return (
        f"{wrong} of {close.size} elements differ, the first at {where}: "
        f"expected {wanted[where]}, got {got[where]}"
    )
