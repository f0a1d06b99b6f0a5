"""Searching functions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gpuops.symbols import product, require_equal
from gpuops.xp._axes import axis_of, result_dtype
from gpuops.xp._meta import (
    Meta,
    broadcast,
    fresh,
    like,
    minor_first,
    operand_strides,
    sorted_strides,
)
from gpuops.xp._reduce import reduced
from gpuops.xp._releases import WHERE_LOOKS_AT_NUMBERS_FIRST
from gpuops.xp._row import row
from gpuops.xp._sizes import dynamic_size
from gpuops.xp._ufuncs import elementwise_result_dtype

__all__: list[str] = []

_INTP = np.dtype(np.intp)


# -- places ----------------------------------------------------------------------------------------


def _argument(name: str) -> Any:
    def rule(x: Any, axis: int | None = None, *, keepdims: bool = False) -> Meta:
        ndim = len(x.shape)
        if axis is None:
            gone = frozenset(range(ndim))
        else:
            # An array without axes counts as one with one.
            place = axis_of(axis, ndim or 1)
            gone = frozenset({place} if ndim else ())
        if x.dtype.kind not in "?biufcmMSUO":
            raise TypeError(f"{name} is not defined for {x.dtype}")
        if any(type(x.shape[a]) is int and x.shape[a] == 0 for a in gone):
            raise ValueError(f"attempt to get {name} of an empty sequence")
        if keepdims:
            return fresh(tuple(1 if a in gone else n for a, n in enumerate(x.shape)), _INTP)
        return fresh(tuple(n for a, n in enumerate(x.shape) if a not in gone), _INTP)

    rule.__name__ = f"_{name}"
    return rule


@row("argmax(Array x, int? axis=None, *, bool keepdims=False) -> Array", fake=_argument("argmax"))
def argmax(xp: Any, x: Any, axis: int | None = None, *, keepdims: bool = False) -> Any:
    """The place of the greatest element along an axis; the first of several.

    Args:
        x: an array of numbers.
        axis: the axis; None for the place in the flattened array.
        keepdims: leave the axis in the result with size 1.

    Returns:
        Ints of NumPy's index dtype.

    Raises:
        AxisError: there is no such axis.
        ValueError: there is no element to choose from.

    >>> import numpy as np
    >>> from gpuops import xp
    >>> xp.argmax(np.asarray([3, 9, 9]))
    array(1)
    """
    return xp.argmax(x, axis=axis, keepdims=keepdims)


@row("argmin(Array x, int? axis=None, *, bool keepdims=False) -> Array", fake=_argument("argmin"))
def argmin(xp: Any, x: Any, axis: int | None = None, *, keepdims: bool = False) -> Any:
    """The place of the least element along an axis; the first of several.

    Args:
        x: an array of numbers.
        axis: the axis; None for the place in the flattened array.
        keepdims: leave the axis in the result with size 1.

    Returns:
        Ints of NumPy's index dtype.

    Raises:
        AxisError: there is no such axis.
        ValueError: there is no element to choose from.

    >>> import numpy as np
    >>> from gpuops import xp
    >>> xp.argmin(np.asarray([[3, 1], [0, 2]]), axis=1)
    array([1, 0])
    """
    return xp.argmin(x, axis=axis, keepdims=keepdims)


def _count_nonzero(x: Any, axis: Sequence[int] | None = None, *, keepdims: bool = False) -> Meta:
    # What is counted are bools; others than bools are made bools first.
    bools = x if x.dtype == np.dtype(bool) else like(x, np.dtype(bool))
    return reduced(bools, axis, keepdims, _INTP)


@row(
    "count_nonzero(Array x, int[]? axis=None, *, bool keepdims=False) -> Array",
    fake=_count_nonzero,
)
def count_nonzero(xp: Any, x: Any, axis: Any = None, *, keepdims: bool = False) -> Any:
    """How many elements along axes are not zero.

    Args:
        x: an array.
        axis: the axes; None for all.
        keepdims: leave the axes in the result with size 1.

    Returns:
        Ints of NumPy's index dtype.

    Raises:
        AxisError: there is no such axis.

    >>> import numpy as np
    >>> from gpuops import xp
    >>> xp.count_nonzero(np.asarray([0, 3, 4]))
    array(2)
    """
    axes = None if axis is None else tuple(axis)
    out = (
        xp.count_nonzero(x, axis=axes, keepdims=keepdims)
        if xp is np
        else ((x != 0).sum(axis=axes, keepdims=keepdims, dtype=np.intp))
    )
    return np.asarray(out, dtype=np.intp) if isinstance(out, int) else out


def _nonzero(x: Any) -> list[Meta]:
    _check_axes(x)
    count = dynamic_size(0, product(x.shape))
    ndim = len(x.shape)
    # The places are the columns of one array.
    stride = _INTP.itemsize * ndim
    return [Meta((count,), _INTP, (stride,)) for _ in range(ndim)]


@row("nonzero(Array x) -> Array(a)[]", fake=_nonzero)
def nonzero(xp: Any, x: Any) -> Any:
    """The places of the elements that are not zero.

    Args:
        x: an array of at least one axis.

    Returns:
        For each axis an array of ints, all of one size that depends on the data.

    Raises:
        ValueError: `x` has no axes.

    >>> import numpy as np
    >>> from gpuops import xp
    >>> xp.nonzero(np.asarray([0, 5, 6]))
    (array([1, 2]),)
    """
    _check_axes(x)
    return list(xp.nonzero(x))


def _check_axes(x: Any) -> None:
    # NumPy 2.0 only warns, CuPy takes them.
    if not x.shape:
        raise ValueError(
            "Calling nonzero on 0d arrays is not allowed. Use np.atleast_1d(scalar).nonzero() "
            "instead. If the context of this error is of the form `arr[nonzero(cond)]`, just use "
            "`arr[cond]`."
        )


def _searchsorted(x1: Any, x2: Any, side: str = "left", sorter: Any | None = None) -> Meta:
    dtype = result_dtype(x1, x2)
    if len(x1.shape) != 1:
        raise ValueError(
            "object too deep for desired array"
            if len(x1.shape) > 1
            else "object of too small depth for desired array"
        )
    if side not in ("left", "right"):
        raise ValueError(f"search side must be one of 'left' or 'right' (got {side!r})")
    if sorter is not None:
        _check_sorter(x1, sorter)
    del dtype
    return fresh(x2.shape, _INTP)


def _check_sorter(x1: Any, sorter: Any) -> None:
    if sorter.dtype.kind not in "iub":
        raise TypeError("sorter must only contain integers")
    if len(sorter.shape) != 1:
        raise ValueError("object too deep for desired array")
    require_equal(sorter.shape[0], x1.shape[0], "sorter.size must equal a.size")


@row(
    'searchsorted(Array x1, Array x2, str side="left", Array? sorter=None) -> Array',
    fake=_searchsorted,
)
def searchsorted(xp: Any, x1: Any, x2: Any, side: str = "left", sorter: Any = None) -> Any:
    """Where elements would have to be put in for a sorted array to stay sorted.

    Args:
        x1: a sorted array of one axis.
        x2: the elements.
        side: ``"left"`` for the first such place, ``"right"`` for the last.
        sorter: the order in which `x1` is sorted, as `argsort` gives it.

    Returns:
        Ints of NumPy's index dtype, of the shape of `x2`.

    Raises:
        ValueError: `x1` does not have one axis, or an unknown side.

    >>> import numpy as np
    >>> from gpuops import xp
    >>> xp.searchsorted(np.asarray([1, 3, 5]), np.asarray([3, 4]))
    array([1, 2])
    """
    return xp.searchsorted(x1, x2, side=side, sorter=sorter)


# -- choosing --------------------------------------------------------------------------------------


def _chosen_dtype(x1: Any, x2: Any) -> np.dtype[Any]:
    for x in (x1, x2):
        if type(x) is int and not 0 <= x < 128:
            # A large number may not fit, which NumPy has rules of its own for.
            prototypes = [np.empty((0,), v.dtype) if hasattr(v, "dtype") else v for v in (x1, x2)]
            return np.where(np.empty((0,), bool), *prototypes).dtype
    return elementwise_result_dtype(x1, x2)


def _where(condition: Any, x1: Any, x2: Any) -> Meta:
    arrays = [x for x in (condition, x1, x2) if hasattr(x, "dtype")]
    if WHERE_LOOKS_AT_NUMBERS_FIRST:
        dtype, shape = _chosen_dtype(x1, x2), broadcast(*arrays)
    else:
        shape, dtype = broadcast(*arrays), _chosen_dtype(x1, x2)
    columns = list(zip(*(operand_strides(x, shape) for x in arrays), strict=True))
    return Meta(shape, dtype, sorted_strides(shape, dtype.itemsize, minor_first(columns)))


@row("where(Array condition, Array x1, Array x2) -> Array", fake=_where, scalars=("x1", "x2"))
def where(xp: Any, condition: Any, x1: Any, x2: Any) -> Any:
    """Elements of one array where a condition holds, of another one elsewhere.

    Args:
        condition: an array; what is not zero is true.
        x1: an array or a number, whose dtype gives way to that of `x2`.
        x2: an array or a number.

    Returns:
        A new array of the broadcast shape.

    Raises:
        ValueError: the shapes cannot be broadcast together.

    >>> import numpy as np
    >>> from gpuops import xp
    >>> xp.where(np.asarray([True, False]), np.asarray([1, 2]), 0)
    array([1, 0])
    """
    return xp.where(condition, x1, x2)
