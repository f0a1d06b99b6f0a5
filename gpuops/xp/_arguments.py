"""What callers of `gpuops.xp` may pass, turned into what operators take.

Operators have typed schemas: an axis is a list of ints, an array is an array. NumPy's users write
``axis=0`` and pass what indexing an array gave them, which may be a NumPy scalar.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

import numpy as np

__all__ = ["NORMALISERS", "weak_types"]

weak_types: Final[set[type]] = {bool, int, float, complex}
"""Python's numbers, whose dtype gives way to an array's (and the symbolic int, once there is one).

``uint8 + 1`` is uint8 and ``float32 + 1.0`` float32, but ``float32 + numpy.float64(1)`` is float64:
a NumPy scalar is a 0-d array. NumPy's float64 is a subclass of float, hence exact types.
"""


def array(x: Any) -> Any:
    """A NumPy scalar as a 0-d array; everything else as it is."""
    if isinstance(x, np.generic):
        return np.asarray(x)
    if type(x) in weak_types or not isinstance(x, (int, float, complex)):
        return x
    # A subclass of Python's numbers (an IntEnum, say) is as weak as its base.
    base: Any = next(kind for kind in (bool, int, float, complex) if isinstance(x, kind))
    return base(x)


def arrays(items: Any) -> Any:
    """A sequence of arrays as a list of them; an array is the sequence of its rows."""
    if items is None:
        return None
    if isinstance(items, np.ndarray) and items.ndim:
        return list(items)
    if isinstance(items, (list, tuple)):
        return [array(item) for item in items]
    return items


def ints(value: Any) -> Any:
    """One int, or several, as a list; None stays None."""
    kind = type(value)
    if value is None or kind is list:
        return value
    # Nearly all are these, and looking whether something is iterable takes long.
    if kind is tuple:
        return [*value]
    if kind is int:
        return [value]
    if isinstance(value, Iterable) and not isinstance(value, (str, bytes)):
        if isinstance(value, np.ndarray) and value.ndim == 0:
            return [value]
        return list(value)
    return [value]


def numbers(value: Any) -> Any:
    """A sequence of numbers as a list; None stays None."""
    return list(value) if isinstance(value, tuple) else value


def dtype(value: Any) -> Any:
    """The dtype of a name such as ``"float32"``, or of a type of NumPy's; all else as it is.

    The dispatcher understands names too, and says what names none, but takes long over them.
    """
    if type(value) is not str and not (type(value) is type and issubclass(value, np.generic)):
        return value
    try:
        return np.dtype(value)
    except TypeError:
        return value


NORMALISERS: Final[dict[str, Callable[[Any], Any]]] = {
    "Array": array,
    "Array[]": arrays,
    "int[]": ints,
    "SymInt[]": ints,
    "float[]": numbers,
    "Scalar[]": numbers,
    "dtype": dtype,
}
"""By the type of a parameter, without its optional marks."""
