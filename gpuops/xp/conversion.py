"""Arrays like others, and conversion: of dtypes, and of layouts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gpuops.devices import Device
from gpuops.symbols import is_symbolic
from gpuops.xp._meta import Meta, Size, View, fresh, is_dense, like
from gpuops.xp._row import row

__all__: list[str] = []


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


_LIKE = "(Array x, dtype? dtype=None, *, device? device=None, SymInt[]? shape=None) -> Array"


def _empty_like(
    x: Any, dtype: Any = None, *, device: Any = None, shape: Sequence[Size] | None = None
) -> Meta:
    same_device(x, device, "empty_like")
    if shape is not None and any(type(size) is int and size < 0 for size in shape):
        raise ValueError("negative dimensions are not allowed")
    return like(x, dtype or x.dtype, None if shape is None else tuple(shape))


def _shape_option(shape: Sequence[Size] | None) -> dict[str, Any]:
    return {} if shape is None else {"shape": tuple(shape)}


@row(f"empty_like{_LIKE}", fake=_empty_like)
def empty_like(xp: Any, x: Any, dtype: Any = None, *, device: Any = None, shape: Any = None) -> Any:
    """A new array of the shape of another one, whose elements are not set.

    Args:
        x: the other one; its axes' order in memory is kept.
        dtype: the dtype; that of `x` by default.
        device: the device of `x`.
        shape: another shape.

    Raises:
        ValueError: another device.
    """
    same_device(x, device, "empty_like")
    return xp.empty_like(x, dtype=dtype, **_shape_option(shape))


@row(f"zeros_like{_LIKE}", fake=_empty_like)
def zeros_like(xp: Any, x: Any, dtype: Any = None, *, device: Any = None, shape: Any = None) -> Any:
    """Zeros in the shape of another array.

    Args:
        x: the other one; its axes' order in memory is kept.
        dtype: the dtype; that of `x` by default.
        device: the device of `x`.
        shape: another shape.

    Raises:
        ValueError: another device.

    >>> import numpy as np
    >>> from gpuops import xp
    >>> xp.zeros_like(np.ones(2))
    array([0., 0.])
    """
    same_device(x, device, "zeros_like")
    return xp.zeros_like(x, dtype=dtype, **_shape_option(shape))


@row(f"ones_like{_LIKE}", fake=_empty_like)
def ones_like(xp: Any, x: Any, dtype: Any = None, *, device: Any = None, shape: Any = None) -> Any:
    """Ones in the shape of another array.

    Args:
        x: the other one; its axes' order in memory is kept.
        dtype: the dtype; that of `x` by default.
        device: the device of `x`.
        shape: another shape.

    Raises:
        ValueError: another device.

    >>> import numpy as np
    >>> from gpuops import xp
    >>> xp.ones_like(np.zeros(2))
    array([1., 1.])
    """
    same_device(x, device, "ones_like")
    return xp.ones_like(x, dtype=dtype, **_shape_option(shape))


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


# -- layouts ---------------------------------------------------------------------------------------


def _contiguous(order: str) -> Any:
    def rule(x: Any) -> Meta:
        if not x.shape:
            return View((1,), x.dtype, (x.dtype.itemsize,))
        if is_dense(x, order):
            return View(x.shape, x.dtype, x.strides)
        return fresh(x.shape, x.dtype, order)

    rule.__name__ = f"_contiguous_{order}"
    return rule


@row("ascontiguousarray(Array(a) x) -> Array(a)", fake=_contiguous("C"))
def ascontiguousarray(xp: Any, x: Any) -> Any:
    """The array with its elements side by side, the last axis the densest.

    Args:
        x: an array.

    Returns:
        `x` itself if it is so, else a copy; of a 0-d array, one of one axis.
    """
    return xp.ascontiguousarray(x)


@row("asfortranarray(Array(a) x) -> Array(a)", fake=_contiguous("F"))
def asfortranarray(xp: Any, x: Any) -> Any:
    """The array with its elements side by side, the first axis the densest.

    Args:
        x: an array.

    Returns:
        `x` itself if it is so, else a copy; of a 0-d array, one of one axis.
    """
    return xp.asfortranarray(x)
