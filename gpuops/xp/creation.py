"""Creation functions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from gpuops.symbols import is_symbolic
from gpuops.xp._meta import Meta, Size, fresh
from gpuops.xp._row import row
from gpuops.xp.searching import where

__all__: list[str] = []

_FLOAT = np.dtype(np.float64)


def _checked(shape: Sequence[Size]) -> tuple[Size, ...]:
    for size in shape:
        if type(size) is int and size < 0:
            raise ValueError("negative dimensions are not allowed")
    return tuple(shape)


def _order(order: str) -> str:
    if order not in ("C", "F"):
        raise ValueError(f"order must be 'C' or 'F', got {order!r}")
    return order


# -- by shape --------------------------------------------------------------------------------------


def _empty(
    shape: Sequence[Size], dtype: Any = None, order: str = "C", *, device: Any = None
) -> Meta:
    return fresh(_checked(shape), dtype or _FLOAT, _order(order))


_BY_SHAPE = '(SymInt[] shape, dtype? dtype=None, str order="C", *, device? device=None) -> Array'


@row(f"empty{_BY_SHAPE}", fake=_empty)
def empty(xp: Any, shape: Any, dtype: Any = None, order: str = "C", *, device: Any = None) -> Any:
    """A new array whose elements are not set.

    Args:
        shape: its shape.
        dtype: its dtype; float64 by default.
        order: ``"C"`` or ``"F"``: which axis is the densest in memory, the last or the first.
        device: such as ``"cuda:0"``; the host by default.

    Raises:
        ValueError: a negative size.

    >>> from gpuops import xp
    >>> xp.empty((2, 0)).shape
    (2, 0)
    """
    return xp.empty(tuple(shape), dtype=dtype or float, order=_order(order))


@row(f"zeros{_BY_SHAPE}", fake=_empty)
def zeros(xp: Any, shape: Any, dtype: Any = None, order: str = "C", *, device: Any = None) -> Any:
    """A new array of zeros.

    Args:
        shape: its shape.
        dtype: its dtype; float64 by default.
        order: ``"C"`` or ``"F"``: which axis is the densest in memory, the last or the first.
        device: such as ``"cuda:0"``; the host by default.

    Raises:
        ValueError: a negative size.

    >>> from gpuops import xp
    >>> xp.zeros(2)
    array([0., 0.])
    """
    return xp.zeros(tuple(shape), dtype=dtype or float, order=_order(order))


@row(f"ones{_BY_SHAPE}", fake=_empty)
def ones(xp: Any, shape: Any, dtype: Any = None, order: str = "C", *, device: Any = None) -> Any:
    """A new array of ones.

    Args:
        shape: its shape.
        dtype: its dtype; float64 by default.
        order: ``"C"`` or ``"F"``: which axis is the densest in memory, the last or the first.
        device: such as ``"cuda:0"``; the host by default.

    Raises:
        ValueError: a negative size.

    >>> from gpuops import xp
    >>> xp.ones((1, 2), dtype="int8")
    array([[1, 1]], dtype=int8)
    """
    return xp.ones(tuple(shape), dtype=dtype or float, order=_order(order))


def _full(
    shape: Sequence[Size],
    fill_value: Any,
    dtype: Any = None,
    order: str = "C",
    *,
    device: Any = None,
) -> Meta:
    sizes = _checked(shape)
    _order(order)
    if dtype is None:
        dtype = np.dtype(np.int64) if is_symbolic(fill_value) else np.asarray(fill_value).dtype
    elif not is_symbolic(fill_value):
        np.full((), fill_value, dtype)
    return fresh(sizes, dtype, order)


@row(
    'full(SymInt[] shape, Scalar fill_value, dtype? dtype=None, str order="C", *, '
    "device? device=None) -> Array",
    fake=_full,
)
def full(
    xp: Any,
    shape: Any,
    fill_value: Any,
    dtype: Any = None,
    order: str = "C",
    *,
    device: Any = None,
) -> Any:
    """A new array of one number.

    Args:
        shape: its shape.
        fill_value: the number.
        dtype: its dtype; by default that of the number.
        order: ``"C"`` or ``"F"``: which axis is the densest in memory, the last or the first.
        device: such as ``"cuda:0"``; the host by default.

    Raises:
        ValueError: a negative size.
        OverflowError: the dtype does not hold the number.

    >>> from gpuops import xp
    >>> xp.full(2, 7)
    array([7, 7])
    """
    return xp.full(tuple(shape), fill_value, dtype=dtype, order=_order(order))


def _eye(
    n_rows: Size, n_cols: Size | None = None, k: int = 0, dtype: Any = None, *, device: Any = None
) -> Meta:
    return fresh(_checked((n_rows, n_rows if n_cols is None else n_cols)), dtype or _FLOAT)


@row(
    "eye(SymInt n_rows, SymInt? n_cols=None, int k=0, dtype? dtype=None, *, "
    "device? device=None) -> Array",
    fake=_eye,
)
def eye(
    xp: Any,
    n_rows: int,
    n_cols: int | None = None,
    k: int = 0,
    dtype: Any = None,
    *,
    device: Any = None,
) -> Any:
    """A matrix with ones on a diagonal and zeros elsewhere.

    Args:
        n_rows: the number of rows.
        n_cols: the number of columns; as many by default.
        k: which diagonal; 0 is the main one, positive ones are above it.
        dtype: the dtype; float64 by default.
        device: such as ``"cuda:0"``; the host by default.

    Raises:
        ValueError: a negative size.

    >>> from gpuops import xp
    >>> xp.eye(2)
    array([[1., 0.],
           [0., 1.]])
    """
    return xp.eye(n_rows, n_cols, k, dtype=dtype or float)


# -- ranges ----------------------------------------------------------------------------------------


def _arange(
    start: Any, stop: Any = None, step: Any = 1, *, dtype: Any = None, device: Any = None
) -> Meta:
    if stop is None:
        start, stop = 0, start
    found = dtype or np.result_type(
        np.int_, *(np.asarray(_plain(value)).dtype for value in (start, stop, step))
    )
    if any(is_symbolic(value) for value in (start, stop, step)):
        span = stop - start
        count = -(-span // step)
        from gpuops.symbols import sym_max

        return fresh((sym_max(count, 0),), found)
    if step == 0:
        raise ZeroDivisionError("division by zero")
    length = (stop - start) / step
    if isinstance(length, complex):
        raise TypeError("arange has no order for complex numbers")
    if math.isnan(length):
        raise ValueError("arange: cannot compute length")
    if abs(length) > 2**63:
        raise ValueError("Maximum allowed size exceeded")
    count = max(math.ceil(length), 0)
    if found.kind == "b" and count > 2:
        raise TypeError(
            "arange() is only supported for booleans when the result has at most length 2."
        )
    return fresh((count,), found)


def _plain(value: Any) -> Any:
    return 0 if is_symbolic(value) else value


@row(
    "arange(Scalar start, Scalar? stop=None, Scalar step=1, *, dtype? dtype=None, "
    "device? device=None) -> Array",
    fake=_arange,
)
def arange(
    xp: Any, start: Any, stop: Any = None, step: Any = 1, *, dtype: Any = None, device: Any = None
) -> Any:
    """Numbers at equal distances, the end left out.

    Args:
        start: the first number; with `stop` left out, the end, and 0 is the first.
        stop: the end.
        step: the distance.
        dtype: the dtype; by default that of the arguments together.
        device: such as ``"cuda:0"``; the host by default.

    Raises:
        ZeroDivisionError: a step of 0.

    >>> from gpuops import xp
    >>> xp.arange(1, 7, 2)
    array([1, 3, 5])
    """
    return xp.arange(start, stop, step, dtype=dtype)


def _linspace(
    start: Any,
    stop: Any,
    num: Size = 50,
    *,
    endpoint: bool = True,
    dtype: Any = None,
    device: Any = None,
) -> Meta:
    if type(num) is int and num < 0:
        raise ValueError(f"Number of samples, {num}, must be non-negative.")
    found = np.result_type(*(np.asarray(_plain(v)).dtype for v in (start, stop)), _FLOAT)
    if dtype is not None and dtype.kind in "iu" and found.kind == "c":
        raise TypeError(f"linspace: complex numbers cannot be rounded to {dtype}")
    return fresh((num,), dtype or found)


@row(
    "linspace(Scalar start, Scalar stop, SymInt num=50, *, bool endpoint=True, "
    "dtype? dtype=None, device? device=None) -> Array",
    fake=_linspace,
)
def linspace(
    xp: Any,
    start: Any,
    stop: Any,
    num: int = 50,
    *,
    endpoint: bool = True,
    dtype: Any = None,
    device: Any = None,
) -> Any:
    """A number of numbers at equal distances.

    Args:
        start: the first.
        stop: the last, or the one after the last if `endpoint` is False.
        num: how many.
        endpoint: whether `stop` is among them.
        dtype: the dtype; floating-point by default.
        device: such as ``"cuda:0"``; the host by default.

    Raises:
        ValueError: a negative number of them.

    >>> from gpuops import xp
    >>> xp.linspace(0, 1, 3)
    array([0. , 0.5, 1. ])
    """
    return xp.linspace(start, stop, num, endpoint=endpoint, dtype=dtype)


# -- of arrays -------------------------------------------------------------------------------------


def _meshgrid(arrays: Sequence[Any], *, indexing: str = "xy") -> list[Meta]:
    if indexing not in ("xy", "ij"):
        raise ValueError("Valid values for `indexing` are 'xy' and 'ij'.")
    count = len(arrays)
    from gpuops.symbols import product

    sizes = [product(x.shape) for x in arrays]
    if indexing == "xy" and count > 1:
        sizes[0], sizes[1] = sizes[1], sizes[0]
    return [fresh(sizes, x.dtype) for x in arrays]


@row('meshgrid(Array[] arrays, *, str indexing="xy") -> Array[]', fake=_meshgrid)
def meshgrid(xp: Any, arrays: Any, *, indexing: str = "xy") -> Any:
    """The coordinates of all points of a grid.

    Args:
        arrays: the coordinates along each axis; `gpuops.xp.meshgrid` takes them one by one.
        indexing: ``"ij"`` gives the axes in this order, ``"xy"`` exchanges the first two.

    Raises:
        ValueError: an unknown way of indexing.
    """
    return list(xp.meshgrid(*arrays, indexing=indexing))


def _triangle(x: Any, k: int = 0) -> Meta:
    if not x.shape:
        raise TypeError("a triangle needs at least one axis")
    rows = x.shape[-2] if len(x.shape) > 1 else x.shape[-1]
    mask = fresh((rows, x.shape[-1]), np.dtype(bool))
    result: Meta = where.fake(mask, x, fresh((1,), x.dtype))
    return result


@row("tril(Array x, int k=0) -> Array", fake=_triangle)
def tril(xp: Any, x: Any, k: int = 0) -> Any:
    """The lower triangles of matrices, zeros elsewhere.

    Args:
        x: an array of at least two axes.
        k: up to which diagonal; 0 is the main one.

    >>> import numpy as np
    >>> from gpuops import xp
    >>> xp.tril(np.ones((2, 2)))
    array([[1., 0.],
           [1., 1.]])
    """
    return xp.tril(x, k)


@row("triu(Array x, int k=0) -> Array", fake=_triangle)
def triu(xp: Any, x: Any, k: int = 0) -> Any:
    """The upper triangles of matrices, zeros elsewhere.

    Args:
        x: an array of at least two axes.
        k: from which diagonal; 0 is the main one.

    >>> import numpy as np
    >>> from gpuops import xp
    >>> xp.triu(np.ones((2, 2)))
    array([[1., 1.],
           [0., 1.]])
    """
    return xp.triu(x, k)
