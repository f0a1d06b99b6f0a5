"""NumPy's functions that are made of operators: they work on all arrays that these work on."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from gpuops.errors import ShapeError
from gpuops.xp import _row
from gpuops.xp.functions import asarray
from gpuops.xp.indexing import getitem_key

__all__ = ["COMPOSITES"]


def _call(name: str) -> Any:
    return _row.ROWS[name].function


def _as_array(x: Any) -> Any:
    return x if hasattr(x, "shape") and hasattr(x, "dtype") else asarray(x)


def _at_least(x: Any, ndim: int) -> Any:
    x = _as_array(x)
    if len(x.shape) >= ndim:
        return x
    if ndim == 1:
        return _call("reshape")(x, (1,))
    if ndim == 2:
        return getitem_key(x, (None,) * (2 - len(x.shape)) + (...,))
    # NumPy puts a vector's and a matrix's axes first.
    keys: list[Any] = [(None, None, None), (None, slice(None), None), (slice(None),) * 2 + (None,)]
    return getitem_key(x, keys[len(x.shape)])


def _each(arrays: tuple[Any, ...], ndim: int) -> Any:
    grown = tuple(_at_least(x, ndim) for x in arrays)
    return grown[0] if len(grown) == 1 else grown


def atleast_1d(*arrays: Any) -> Any:
    """The array, with an axis if it has none.

    Args:
        arrays: an array or a number; for several, the result is a tuple.
    """
    return _each(arrays, 1)


def atleast_2d(*arrays: Any) -> Any:
    """The array, with axes of size 1 in front if it has fewer than two.

    Args:
        arrays: an array or a number; for several, the result is a tuple.
    """
    return _each(arrays, 2)


def atleast_3d(*arrays: Any) -> Any:
    """The array, with axes of size 1 around its own if it has fewer than three.

    Args:
        arrays: an array or a number; for several, the result is a tuple.
    """
    return _each(arrays, 3)


def hstack(arrays: Sequence[Any]) -> Any:
    """Arrays joined along their second axis; along the only one of vectors.

    Args:
        arrays: the arrays.

    Raises:
        ValueError: the shapes do not go together.

    >>> import numpy as np
    >>> from gpuops import xp
    >>> xp.hstack([np.zeros((2, 1)), np.ones((2, 2))]).shape
    (2, 3)
    """
    grown = [_at_least(x, 1) for x in arrays]
    return _call("concat")(grown, 0 if grown and len(grown[0].shape) == 1 else 1)


def vstack(arrays: Sequence[Any]) -> Any:
    """Arrays joined along their first axis; vectors are rows.

    Args:
        arrays: the arrays.

    Raises:
        ValueError: the shapes do not go together.

    >>> import numpy as np
    >>> from gpuops import xp
    >>> xp.vstack([np.zeros(2), np.ones(2)]).shape
    (2, 2)
    """
    return _call("concat")([_at_least(x, 2) for x in arrays], 0)


def dstack(arrays: Sequence[Any]) -> Any:
    """Arrays joined along their third axis.

    Args:
        arrays: the arrays.

    Raises:
        ValueError: the shapes do not go together.
    """
    return _call("concat")([_at_least(x, 3) for x in arrays], 2)


def column_stack(arrays: Sequence[Any]) -> Any:
    """Arrays joined along their second axis; vectors are columns.

    Args:
        arrays: the arrays.

    Raises:
        ValueError: the shapes do not go together.
    """
    columns = []
    for x in map(_as_array, arrays):
        flat = _at_least(x, 2)
        columns.append(_call("matrix_transpose")(flat) if len(x.shape) < 2 else flat)
    return _call("concat")(columns, 1)


def array_split(x: Any, indices_or_sections: Any, axis: int = 0) -> list[Any]:
    """Parts of an array along an axis, as views, of sizes that differ by at most 1.

    Args:
        x: an array.
        indices_or_sections: how many parts, or the places at which to cut.
        axis: the axis.

    Raises:
        ValueError: no part.
    """
    size = x.shape[axis]
    if isinstance(indices_or_sections, int):
        count = indices_or_sections
        if count <= 0:
            raise ShapeError("number sections must be larger than 0.")
        short, longer = divmod(size, count)
        cuts = [0]
        for index in range(count):
            cuts.append(cuts[-1] + short + (1 if index < longer else 0))
    else:
        cuts = [0, *indices_or_sections, size]
    prefix = (slice(None),) * (axis % len(x.shape))
    return [getitem_key(x, (*prefix, slice(start, stop))) for start, stop in pairwise(cuts)]


def split(x: Any, indices_or_sections: Any, axis: int = 0) -> list[Any]:
    """Parts of an array along an axis, as views, of equal sizes.

    Args:
        x: an array.
        indices_or_sections: how many parts, or the places at which to cut.
        axis: the axis.

    Raises:
        ValueError: the axis cannot be cut into so many equal parts.

    >>> import numpy as np
    >>> from gpuops import xp
    >>> xp.split(np.arange(4), 2)
    [array([0, 1]), array([2, 3])]
    """
    count = indices_or_sections if isinstance(indices_or_sections, int) else 0
    if count > 0 and x.shape[axis] % count:
        raise ShapeError("array split does not result in an equal division")
    return array_split(x, indices_or_sections, axis)


def ptp(x: Any, axis: Any = None, *, keepdims: bool = False) -> Any:
    """The difference of the greatest and the least element along axes.

    Args:
        x: an array of numbers.
        axis: the axes; None for all.
        keepdims: leave the axes in the result with size 1.
    """
    greatest = _call("max")(x, axis, keepdims=keepdims)
    return _call("subtract")(greatest, _call("min")(x, axis, keepdims=keepdims))


def flipud(x: Any) -> Any:
    """A view with the first axis reversed.

    Args:
        x: an array of at least one axis.
    """
    return _call("flip")(x, 0)


def fliplr(x: Any) -> Any:
    """A view with the second axis reversed.

    Args:
        x: an array of at least two axes.
    """
    return _call("flip")(x, 1)


def flatnonzero(x: Any) -> Any:
    """The places of the elements that are not zero in the flattened array.

    Args:
        x: an array.
    """
    return _call("nonzero")(_call("ravel")(x))[0]


def argwhere(x: Any) -> Any:
    """The places of the elements that are not zero, a row for each.

    Args:
        x: an array of at least one axis.

    Returns:
        Ints, of shape (count, axes of `x`).
    """
    return _call("stack")(list(_call("nonzero")(x)), 1)


COMPOSITES: dict[str, Any] = {
    function.__name__: function
    for function in (
        argwhere,
        array_split,
        atleast_1d,
        atleast_2d,
        atleast_3d,
        column_stack,
        dstack,
        flatnonzero,
        fliplr,
        flipud,
        hstack,
        ptp,
        split,
        vstack,
    )
}
"""By name."""
