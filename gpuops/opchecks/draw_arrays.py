"""What arrays are drawn: other elements, dtypes and shapes, made from those of a sample."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

__all__ = [
    "DTYPES",
    "EXTREMES",
    "KINKS",
    "LARGEST",
    "ORDINARY",
    "SPECIAL",
    "cast",
    "reshaped",
    "resized",
]

LARGEST = 1 << 14
"""How many elements the arrays of a drawn call have at most, together."""

DTYPES: dict[str, tuple[str, ...]] = {
    "f": ("float64", "float32", "float16"),
    "c": ("complex128", "complex64"),
    "i": ("int64", "int32", "int16", "int8"),
    "u": ("uint64", "uint32", "uint16", "uint8"),
    "b": ("bool",),
}
"""The dtypes of each kind (NumPy's letter), the plainest first."""

Fill = Callable[[Any, np.random.Generator], Any]


def reshaped(arrays: Sequence[Any], shapes: Sequence[tuple[int, ...]]) -> list[Any] | None:
    """The arrays in other shapes, with elements like theirs; None if that is too much.

    What has to lie in a range, such as an index or a probability, goes on lying there, what is
    sorted is sorted, and floats that differ go on differing: neither ties nor a matrix without an
    inverse come about by themselves.
    """
    if sum(math.prod(shape) for shape in shapes) > LARGEST:
        return None
    return [
        array if array.shape == shape else resized(array, shape)
        for array, shape in zip(arrays, shapes, strict=True)
    ]


def resized(array: Any, shape: tuple[int, ...]) -> Any:
    """One array in another shape, as `reshaped` makes it.

    >>> resized(np.array([1.0, 2.0, 4.0]), (2,))
    array([1., 2.])
    >>> resized(np.array([7, 9]), (3,))
    array([7, 9, 7])
    """
    size = math.prod(shape)
    if not array.size:
        return cast(np.linspace(-1, 2, max(size, 1))[:size].reshape(shape), array.dtype)
    made = np.resize(array, shape)
    if array.dtype.kind not in "fc" or size <= array.size:
        return made
    # Repeated elements become smaller, each by another share.
    shares = np.arange(size) * 0.6180339887498949 % 1
    shares[: array.size] = 0
    with np.errstate(all="ignore"):
        made = (made * (1 - 0.4 * shares.reshape(shape))).astype(array.dtype)
        if array.ndim == made.ndim == 1 and array.size > 1 and (np.diff(array.real) > 0).all():
            made = np.sort(made)
    return made


def cast(array: Any, dtype: Any) -> Any:
    """The array in another dtype, its values brought into that dtype's range.

    >>> cast(np.array([-1.5, 0.0, 300.0]), np.int8)
    array([ -6,   0, 127], dtype=int8)
    """
    dtype = np.dtype(dtype)
    with np.errstate(all="ignore"):
        if dtype.kind == "b":
            return np.asarray(array != 0)
        real = array.real if array.dtype.kind == "c" and dtype.kind != "c" else array
        if dtype.kind in "iu":
            if real.dtype.kind == "f":
                real = np.nan_to_num(np.round(real.astype(np.float64) * 4), posinf=9, neginf=-9)
            if dtype.kind == "u" and real.dtype.kind != "b":
                real = np.abs(real)
            limits = np.iinfo(dtype)
            if real.dtype.kind != "b":
                real = np.clip(real, max(limits.min, -(2**62)), min(limits.max, 2**62))
        return real.astype(dtype)


# -- elements --------------------------------------------------------------------------------------


def _one(value: float) -> Fill:
    """One element in the middle is `value`."""

    def fill(array: Any, random: np.random.Generator) -> Any:
        made = array.copy()
        if made.size:
            made.reshape(-1)[made.size // 2] = value
        return made

    return fill


def _all(value: float) -> Fill:
    return lambda array, random: np.full(array.shape, value, array.dtype)


def _cycle(*values: float) -> Fill:
    return lambda array, random: np.resize(np.array(values), array.shape).astype(array.dtype)


def _normal(array: Any, random: np.random.Generator) -> Any:
    real = random.standard_normal(array.shape)
    if array.dtype.kind == "c":
        return (real + 1j * random.standard_normal(array.shape)).astype(array.dtype)
    return real.astype(array.dtype)


def _subnormal(array: Any, random: np.random.Generator) -> Any:
    tiny = np.finfo(array.dtype).smallest_subnormal
    return np.resize(np.array([tiny, -tiny, 3 * tiny]), array.shape).astype(array.dtype)


def _small(array: Any, random: np.random.Generator) -> Any:
    low = -3 if array.dtype.kind == "i" else 0
    return random.integers(low, 4, array.shape).astype(array.dtype)


def _permuted(array: Any, random: np.random.Generator) -> Any:
    return random.permutation(array.reshape(-1)).reshape(array.shape)


_FLOATS: dict[str, Fill] = {
    "normal": _normal,
    "zeros": _all(0),
    "ones": _all(1),
    "negated": lambda array, random: -array,
    "ties": _small,
}
_INTEGERS: dict[str, Fill] = {
    "permuted": _permuted,
    "zeros": _all(0),
    "ones": _all(1),
    "small": _small,
}
ORDINARY: dict[str, dict[str, Fill]] = {
    "f": _FLOATS,
    "c": {name: fill for name, fill in _FLOATS.items() if name != "ties"},
    "i": {**_INTEGERS, "minus ones": _all(-1)},
    "u": _INTEGERS,
    "b": {
        "permuted": _permuted,
        "all true": _all(True),
        "all false": _all(False),
        "inverted": lambda array, random: ~array,
    },
}
"""Elements that any operator may meet, by kind of dtype and name."""

KINKS = frozenset({"zeros", "ones", "ties"})
"""Those at which functions have kinks and jumps more often than elsewhere."""

_FLOAT_SPECIALS: dict[str, Fill] = {
    "one NaN": _one(math.nan),
    "all NaN": _all(math.nan),
    "one inf": _one(math.inf),
    "one -inf": _one(-math.inf),
    "mixed": _cycle(math.nan, math.inf, -math.inf, -0.0, 0.0, 1.0),
    "-0.0": _all(-0.0),
}
SPECIAL: dict[str, dict[str, Fill]] = {
    "f": {**_FLOAT_SPECIALS, "subnormal": _subnormal},
    "c": _FLOAT_SPECIALS,
}
"""Elements that are no numbers, or hardly any."""


def _limit(name: str) -> Callable[[Any], int]:
    return lambda array: int(getattr(np.iinfo(array.dtype), name))


EXTREMES: dict[str, Fill] = {
    "smallest integers": lambda array, random: _all(_limit("min")(array))(array, random),
    "largest integers": lambda array, random: _all(_limit("max")(array))(array, random),
    "one smallest integer": lambda array, random: _one(_limit("min")(array))(array, random),
    "one largest integer": lambda array, random: _one(_limit("max")(array))(array, random),
}
"""The ends of an integer dtype's range."""
