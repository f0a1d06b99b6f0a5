"""Elements picked from several arrays, by conditions or by number."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gpuops.xp._axes import result_dtype
from gpuops.xp._meta import Meta, broadcast, fresh
from gpuops.xp._row import row
from gpuops.xp._ufuncs import elementwise_result_dtype

__all__: list[str] = []


def _select(conditions: Sequence[Any], choices: Sequence[Any], default: Any = 0) -> Meta:
    if len(conditions) != len(choices):
        raise ValueError("list of cases must be same length as list of conditions")
    if not conditions:
        raise ValueError("select with an empty condition list is not possible")
    dtype = elementwise_result_dtype(*choices, default)
    shape = broadcast(*conditions)
    picked = broadcast(*choices, *([default] if hasattr(default, "dtype") else []))
    if any(condition.dtype != np.dtype(bool) for condition in conditions):
        raise TypeError("select takes conditions that are arrays of bools")
    return fresh(broadcast(Meta(shape, dtype, ()), Meta(picked, dtype, ())), dtype)


@row(
    "select(Array[] conditions, Array[] choices, Array default) -> Array",
    fake=_select,
    scalars=("default",),
)
def select(xp: Any, conditions: Any, choices: Any, default: Any = 0) -> Any:
    """The elements of the first array whose condition holds.

    Args:
        conditions: arrays of bools.
        choices: for each of them an array; all shapes go together.
        default: an array or a number, for where no condition holds; `gpuops.xp.select` takes 0.

    Raises:
        ValueError: other numbers of arrays, none, or shapes that do not go together.
        TypeError: conditions that are no bools.

    >>> import numpy as np
    >>> from gpuops import xp
    >>> x = np.arange(4)
    >>> xp.select([x < 1, x < 3], [x + 10, x * 10], -1)
    array([10, 10, 20, -1])
    """
    return xp.select(list(conditions), list(choices), default)


def _choose(x: Any, choices: Sequence[Any], mode: str = "raise") -> Meta:
    if not choices:
        raise ValueError("choose needs at least one array to choose from")
    if mode not in ("raise", "wrap", "clip"):
        raise ValueError(f"clipmode must be one of 'clip', 'raise', or 'wrap' (got {mode!r})")
    if not np.can_cast(x.dtype, np.intp, "safe"):
        raise TypeError(
            f"Cannot cast array data from {x.dtype!r} to {np.dtype(np.intp)!r} according to the "
            "rule 'safe'"
        )
    shape = broadcast(x, *choices)
    dtype = result_dtype(*choices).newbyteorder("=")
    return fresh(shape, dtype)


@row('choose(Array x, Array[] choices, str mode="raise") -> Array', fake=_choose)
def choose(xp: Any, x: Any, choices: Any, mode: str = "raise") -> Any:
    """Each element from the array whose number stands at its place.

    Args:
        x: the numbers, ints.
        choices: the arrays; all shapes go together.
        mode: what to do with numbers out of bounds: ``"raise"``, ``"wrap"`` or ``"clip"``.

    Raises:
        ValueError: no array, shapes that do not go together, or a number out of bounds.
        TypeError: `x` holds no ints.

    >>> import numpy as np
    >>> from gpuops import xp
    >>> xp.choose(np.asarray([0, 1, 0]), [np.asarray([1, 2, 3]), np.asarray([10, 20, 30])])
    array([ 1, 20,  3])
    """
    if not choices:
        raise ValueError("choose needs at least one array to choose from")
    return xp.choose(x, list(choices), mode=mode)
