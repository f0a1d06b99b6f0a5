"""Data types, and functions of them: they look at no element and run no operator."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

__all__ = [
    "DTYPES",
    "FloatLimits",
    "IntLimits",
    "can_cast",
    "finfo",
    "iinfo",
    "isdtype",
    "result_type",
]

DTYPES = {
    "bool": np.bool_,
    "int8": np.int8,
    "int16": np.int16,
    "int32": np.int32,
    "int64": np.int64,
    "uint8": np.uint8,
    "uint16": np.uint16,
    "uint32": np.uint32,
    "uint64": np.uint64,
    "float32": np.float32,
    "float64": np.float64,
    "complex64": np.complex64,
    "complex128": np.complex128,
}
"""The standard's dtypes by name."""


def _dtype(value: Any) -> Any:
    """The dtype of an array; a dtype as it is."""
    is_array = hasattr(value, "dtype") and hasattr(value, "shape")
    return value.dtype if is_array and not isinstance(value, type) else value


def result_type(*arrays_and_dtypes: Any) -> np.dtype[Any]:
    """The dtype of arrays, dtypes and Python numbers together.

    Args:
        arrays_and_dtypes: arrays of any kind (fakes too), dtypes, and numbers, whose dtype gives
            way to the others'.

    Raises:
        TypeError: they have none together.

    >>> from gpuops import xp
    >>> xp.result_type(xp.float32, xp.zeros(2, dtype="int16"), 1.0)
    dtype('float32')
    """
    return np.result_type(*map(_dtype, arrays_and_dtypes))


def can_cast(from_: Any, to: Any, casting: Any = "safe") -> bool:
    """Whether values of one dtype can be had as another one.

    Args:
        from_: a dtype or an array.
        to: a dtype.
        casting: which casts are allowed, as in NumPy.

    >>> from gpuops import xp
    >>> xp.can_cast(xp.int8, xp.int16), xp.can_cast(xp.float32, xp.int8)
    (True, False)
    """
    return np.can_cast(_dtype(from_), to, casting)


class FloatLimits(NamedTuple):
    """What `finfo` tells, in Python's numbers."""

    bits: int
    eps: float
    max: float
    min: float
    smallest_normal: float
    dtype: np.dtype[Any]


class IntLimits(NamedTuple):
    """What `iinfo` tells, in Python's numbers."""

    bits: int
    max: int
    min: int
    dtype: np.dtype[Any]


def finfo(type: Any, /) -> FloatLimits:
    """The limits of a floating-point dtype; of a complex one, those of its parts.

    Args:
        type: a dtype or an array.

    Raises:
        ValueError: no floating-point dtype.

    >>> from gpuops import xp
    >>> xp.finfo(xp.float32).max
    3.4028234663852886e+38
    """
    found = np.finfo(_dtype(type))
    return FloatLimits(
        int(found.bits),
        float(found.eps),
        float(found.max),
        float(found.min),
        float(found.smallest_normal),
        np.dtype(found.dtype),
    )


def iinfo(type: Any, /) -> IntLimits:
    """The limits of an integer dtype.

    Args:
        type: a dtype or an array.

    Raises:
        ValueError: no integer dtype.

    >>> from gpuops import xp
    >>> xp.iinfo(xp.uint8).max
    255
    """
    found = np.iinfo(_dtype(type))
    return IntLimits(int(found.bits), int(found.max), int(found.min), np.dtype(found.dtype))


def isdtype(dtype: Any, kind: Any) -> bool:
    """Whether a dtype is of a kind.

    Args:
        dtype: the dtype.
        kind: a dtype, one of the standard's kinds (``"integral"``, ``"real floating"``, ...), or a
            tuple of these.

    Raises:
        ValueError: an unknown kind.

    >>> from gpuops import xp
    >>> xp.isdtype(xp.int8, "integral")
    True
    """
    return np.isdtype(dtype, kind)
