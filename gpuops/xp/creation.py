"""Creation functions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from gpuops.devices import Device
from gpuops.symbols import is_symbolic
from gpuops.xp._meta import Meta, Size, View, fresh, is_dense, like
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
    if dtype is None:
        dtype = np.dtype(np.int64) if is_symbolic(fill_value) else np.asarray(fill_value).dtype
    elif not is_symbolic(fill_value):
        np.full((), fill_value, dtype)
    return fresh(_checked(shape), dtype, _order(order))


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
    found = dtype or np.result_type(*(np.asarray(_plain(v)).dtype for v in (start, stop, step)))
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


# -- like another array ----------------------------------------------------------------------------


def same_device(x: Any, device: Device | None, name: str) -> None:
    """Refuse a device that `x` is not on: an operator's arrays are all on one.

    Raises:
        ValueError: it says what to call instead.
    """
    if device is None:
        return
    own = getattr(x, "device", "cpu")
    type_, _, index = str(own).partition(":")
    if not isinstance(own, (str, Device)):
        type_, index = "cuda", str(own.id)
    other_index = device.index is not None and index and int(index) != device.index
    if type_ != device.type or other_index:
        raise ValueError(
            f"{name}: the array is on {own}, device={str(device)!r} was asked for; move it there "
            "first with xp.to_device"
        )


def _empty_like(x: Any, dtype: Any = None, *, device: Any = None) -> Meta:
    same_device(x, device, "empty_like")
    return like(x, dtype or x.dtype)


@row("empty_like(Array x, dtype? dtype=None, *, device? device=None) -> Array", fake=_empty_like)
def empty_like(xp: Any, x: Any, dtype: Any = None, *, device: Any = None) -> Any:
    """A new array of the shape of another one, whose elements are not set.

    Args:
        x: the other one; its axes' order in memory is kept.
        dtype: the dtype; that of `x` by default.
        device: the device of `x`.

    Raises:
        ValueError: another device.
    """
    same_device(x, device, "empty_like")
    return xp.empty_like(x, dtype=dtype)


@row("zeros_like(Array x, dtype? dtype=None, *, device? device=None) -> Array", fake=_empty_like)
def zeros_like(xp: Any, x: Any, dtype: Any = None, *, device: Any = None) -> Any:
    """Zeros in the shape of another array.

    Args:
        x: the other one; its axes' order in memory is kept.
        dtype: the dtype; that of `x` by default.
        device: the device of `x`.

    Raises:
        ValueError: another device.

    >>> import numpy as np
    >>> from gpuops import xp
    >>> xp.zeros_like(np.ones(2))
    array([0., 0.])
    """
    same_device(x, device, "zeros_like")
    return xp.zeros_like(x, dtype=dtype)


@row("ones_like(Array x, dtype? dtype=None, *, device? device=None) -> Array", fake=_empty_like)
def ones_like(xp: Any, x: Any, dtype: Any = None, *, device: Any = None) -> Any:
    """Ones in the shape of another array.

    Args:
        x: the other one; its axes' order in memory is kept.
        dtype: the dtype; that of `x` by default.
        device: the device of `x`.

    Raises:
        ValueError: another device.

    >>> import numpy as np
    >>> from gpuops import xp
    >>> xp.ones_like(np.zeros(2))
    array([1., 1.])
    """
    same_device(x, device, "ones_like")
    return xp.ones_like(x, dtype=dtype)


def _full_like(x: Any, fill_value: Any, dtype: Any = None, *, device: Any = None) -> Meta:
    found = dtype or x.dtype
    if not is_symbolic(fill_value):
        np.full((), fill_value, found)
    return _empty_like(x, found, device=device)


@row(
    "full_like(Array x, Scalar fill_value, dtype? dtype=None, *, device? device=None) -> Array",
    fake=_full_like,
)
def full_like(xp: Any, x: Any, fill_value: Any, dtype: Any = None, *, device: Any = None) -> Any:
    """One number in the shape of another array.

    Args:
        x: the other one; its axes' order in memory is kept.
        fill_value: the number.
        dtype: the dtype; that of `x` by default.
        device: the device of `x`.

    Raises:
        ValueError: another device.
        OverflowError: the dtype does not hold the number.

    >>> import numpy as np
    >>> from gpuops import xp
    >>> xp.full_like(np.zeros(2), 3)
    array([3., 3.])
    """
    same_device(x, device, "full_like")
    return xp.full_like(x, fill_value, dtype=dtype)


# -- from arrays -----------------------------------------------------------------------------------


def _astype(x: Any, dtype: Any, *, copy: bool = True, device: Any = None) -> Meta:
    same_device(x, device, "astype")
    if not copy and x.dtype == dtype:
        return View(x.shape, x.dtype, x.strides)
    return like(x, dtype)


@row(
    "astype(Array(a) x, dtype dtype, *, bool copy=True, device? device=None) -> Array(a)",
    fake=_astype,
)
def astype(xp: Any, x: Any, dtype: Any, *, copy: bool = True, device: Any = None) -> Any:
    """The elements as another dtype.

    Args:
        x: an array.
        dtype: the dtype.
        copy: False gives `x` itself where it has the dtype already.
        device: the device of `x`.

    Raises:
        ValueError: another device.

    >>> import numpy as np
    >>> from gpuops import xp
    >>> xp.astype(np.asarray([1.5, 2.5]), np.int64)
    array([1, 2])
    """
    same_device(x, device, "astype")
    return x.astype(dtype, copy=copy)


def _asarray(x: Any, dtype: Any = None, *, device: Any = None, copy: bool | None = None) -> Meta:
    same_device(x, device, "asarray")
    if dtype is None or x.dtype == dtype:
        return like(x, x.dtype) if copy else View(x.shape, x.dtype, x.strides)
    if copy is False:
        raise ValueError("Unable to avoid copy while creating an array as requested.")
    return like(x, dtype)


@row(
    "asarray(Array(a) x, dtype? dtype=None, *, device? device=None, bool? copy=None) -> Array(a)",
    fake=_asarray,
)
def asarray(
    xp: Any, x: Any, dtype: Any = None, *, device: Any = None, copy: bool | None = None
) -> Any:
    """An array as an array: of another dtype, or a copy, if that is asked for.

    Args:
        x: an array; `gpuops.xp.asarray` makes one of numbers and sequences of them too.
        dtype: the dtype; that of `x` by default.
        device: the device of `x`.
        copy: True copies, False refuses to, None copies where it has to.

    Raises:
        ValueError: another device, or a copy is needed and `copy` is False.
    """
    same_device(x, device, "asarray")
    if copy is False and dtype is not None and x.dtype != dtype:
        raise ValueError("Unable to avoid copy while creating an array as requested.")
    return (
        xp.array(x, dtype=dtype, copy=bool(copy))
        if xp is not np or copy
        else (np.asarray(x, dtype=dtype))
    )


def _copy(x: Any, order: str = "K") -> Meta:
    if order not in ("K", "C", "F", "A"):
        raise ValueError(f"order must be one of 'C', 'F', 'A', or 'K' (got {order!r})")
    if order == "K":
        return like(x, x.dtype)
    fortran = order == "F" or (order == "A" and is_dense(x, "F") and not is_dense(x))
    return fresh(x.shape, x.dtype, "F" if fortran else "C")


@row('copy(Array x, str order="K") -> Array', fake=_copy)
def copy(xp: Any, x: Any, order: str = "K") -> Any:
    """A copy.

    Args:
        x: an array.
        order: ``"K"`` keeps the order of axes in memory; ``"C"``, ``"F"`` and ``"A"`` as in NumPy.

    Raises:
        ValueError: an unknown order.
    """
    return x.copy(order=order)


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
