"""What NumPy refuses, a fake rule refuses with the same class; here it gets the operator's name."""

from __future__ import annotations

from typing import Any

import numpy as np

from gpuops.errors import GpuopsError, ShapeError, describe

__all__ = [
    "AxisError",
    "DTypeError",
    "DivisionError",
    "IndexingError",
    "LinearAlgebraError",
    "RangeError",
    "named",
]


class DTypeError(GpuopsError, TypeError):
    """An operator of the Array API does not take arrays of these dtypes, or such an argument."""


class AxisError(ShapeError, np.exceptions.AxisError):
    """An axis that the array does not have."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.axis: int | None = None
        self.ndim: int | None = None

    def __str__(self) -> str:
        return str(self.args[0])


class IndexingError(GpuopsError, IndexError):
    """An index that the array does not take."""


class RangeError(GpuopsError, OverflowError):
    """A Python number that the dtype cannot hold."""


class DivisionError(GpuopsError, ZeroDivisionError):
    """A number that something is divided by is 0."""


class LinearAlgebraError(ShapeError, np.linalg.LinAlgError):
    """Arrays that a function of linear algebra does not take."""


_KINDS: tuple[tuple[type[Exception], type[GpuopsError]], ...] = (
    (np.exceptions.AxisError, AxisError),
    (np.linalg.LinAlgError, LinearAlgebraError),
    (IndexError, IndexingError),
    (OverflowError, RangeError),
    (ZeroDivisionError, DivisionError),
    (TypeError, DTypeError),
    (ValueError, ShapeError),
)


def named(error: Exception, operator: str, args: tuple[Any, ...]) -> GpuopsError | None:
    """The error of an operator in place of one that a rule raised.

    Args:
        error: what was raised.
        operator: the operator's name.
        args: the arguments of the call.

    Returns:
        The error to raise; None for one that a rule does not raise on purpose.
    """
    for builtin, ours in _KINDS:
        if isinstance(error, builtin):
            given = ", ".join(describe(value) for value in args)
            return ours(f"{operator}: {error}. Called with ({given})")
    return None
