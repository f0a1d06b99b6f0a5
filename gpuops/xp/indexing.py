"""Indexing: keys in brackets, `take`, and writing to parts of an array."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gpuops.symbols import known_equal, product
from gpuops.transforms.fake import FakeArray
from gpuops.transforms.levels import nested_types
from gpuops.xp._axes import axis_of
from gpuops.xp._index import along_axis, decode, encode, index_meta
from gpuops.xp._meta import Meta, fresh
from gpuops.xp._releases import TAKE_CASTING
from gpuops.xp._row import row
from gpuops.xp.manipulation import broadcast_to_meta, ravelled

__all__ = ["array_beside", "getitem_key", "setitem_key"]


# -- keys ------------------------------------------------------------------------------------------


@row(
    "getitem(Array(a) x, str layout, SymInt?[] numbers, Array[] arrays) -> Array(a)",
    fake=index_meta,
)
def getitem(xp: Any, x: Any, layout: str, numbers: Any, arrays: Any) -> Any:
    """What ``x[key]`` gives: a view for ints and slices, a copy where arrays are among them.

    The operator's key is taken apart: a letter for each item (``i`` int, ``s`` slice, ``n`` new
    axis, ``e`` ellipsis, ``a`` array), the ints of ints and slices, and the arrays. What
    `gpuops.xp.getitem` takes is the key itself.

    Args:
        x: an array.
        layout: the letters.
        numbers: one for each int, three for each slice.
        arrays: the index arrays, of ints or bools.

    Raises:
        IndexError: an index that `x` does not take.
    """
    return x[decode(layout, numbers, arrays)]


_getitem = getitem.operator.call


def _setitem(
    x: Any, layout: str, numbers: Sequence[Any], arrays: Sequence[Any], value: Any
) -> None:
    _check_writeable(x)
    target = index_meta(x, layout, numbers, arrays)
    if hasattr(value, "dtype"):
        _check_assignable(value, target)


@row(
    "setitem(Array(a!) x, str layout, SymInt?[] numbers, Array[] arrays, Array value) -> ()",
    fake=_setitem,
    scalars=("value",),
)
def setitem(xp: Any, x: Any, layout: str, numbers: Any, arrays: Any, value: Any) -> None:
    """Write to what ``x[key]`` picks; the key is taken apart as for ``xp::getitem``.

    Args:
        x: the array that is written to.
        layout: the letters.
        numbers: one for each int, three for each slice.
        arrays: the index arrays.
        value: an array that can be broadcast to the shape of what is picked, or a number.

    Raises:
        IndexError: an index that `x` does not take.
        ValueError: the shapes do not go together, or `x` is read-only.
    """
    key = decode(layout, numbers, arrays)
    # With an ellipsis, a single element is written to as an array of one is.
    x[key if "e" in layout or arrays else (*key, ...)] = value


def _check_writeable(x: Any) -> None:
    flags = getattr(x, "flags", None)
    if flags is not None and not flags.writeable:
        raise ValueError("assignment destination is read-only")


def _check_assignable(value: Any, target: Meta) -> None:
    # Axes of one element in front do not count.
    shape = value.shape
    while len(shape) > len(target.shape) and known_equal(shape[0], 1):
        shape = shape[1:]
    try:
        broadcast_to_meta(Meta(shape, value.dtype, (0,) * len(shape)), target.shape)
    except ValueError:
        raise ValueError(
            f"could not broadcast input array from shape {value.shape} into shape {target.shape}"
        ) from None


def _put_at(
    x: Any, shape: Sequence[Any], layout: str, numbers: Sequence[Any], arrays: Sequence[Any]
) -> Meta:
    result = fresh(tuple(shape), x.dtype)
    _check_assignable(x, index_meta(result, layout, numbers, arrays))
    return result


@row(
    "put_at(Array x, SymInt[] shape, str layout, SymInt?[] numbers, Array[] arrays) -> Array",
    fake=_put_at,
)
def put_at(xp: Any, x: Any, shape: Any, layout: str, numbers: Any, arrays: Any) -> Any:
    """Zeros of a shape, with an array added to what a key picks; the adjoint of ``xp::getitem``.

    Args:
        x: what is added; it can be broadcast to the shape of what the key picks. Elements that
            the key picks several times are added to several times.
        shape: of the result.
        layout: of the key, taken apart as for ``xp::getitem``.
        numbers: one for each int, three for each slice.
        arrays: the index arrays.

    Raises:
        IndexError: an index that the shape does not take.
        ValueError: the shapes do not go together.

    >>> import numpy as np
    >>> from gpuops import ops
    >>> ops.xp.put_at(np.ones(3), [4], "a", [], [np.asarray([0, 2, 2])])
    array([1., 0., 2., 0.])
    """
    out = xp.zeros(tuple(shape), dtype=x.dtype)
    key = decode(layout, numbers, arrays)
    if any(array.dtype.kind != "b" for array in arrays):
        xp.add.at(out, key, x)
    else:
        out[key if "e" in layout or arrays else (*key, ...)] = x
    return out


def getitem_key(x: Any, key: Any) -> Any:
    """What ``x[key]`` gives, as a call of the operator ``xp::getitem``.

    Args:
        x: an array.
        key: as NumPy takes it: ints, slices, None, Ellipsis, arrays of ints or bools, lists.

    Raises:
        IndexError: an index that `x` does not take.

    >>> import numpy as np
    >>> from gpuops import xp
    >>> xp.getitem(np.arange(6), slice(1, 3))
    array([1, 2])
    """
    x = np.asarray(x) if isinstance(x, np.generic) else x
    return _getitem(x, *encode(key, lambda array: array_beside(x)(array)))


def setitem_key(x: Any, key: Any, value: Any) -> None:
    """``x[key] = value``, as a call of the operator ``xp::setitem``.

    Args:
        x: the array that is written to.
        key: as NumPy takes it.
        value: an array or a number.

    Raises:
        IndexError: an index that `x` does not take.
        ValueError: the shapes do not go together, or `x` is read-only.

    >>> import numpy as np
    >>> from gpuops import xp
    >>> x = np.zeros(3)
    >>> xp.setitem(x, slice(1, None), 1.0)
    >>> x
    array([0., 1., 1.])
    """
    beside = array_beside(x)
    if isinstance(value, (list, tuple, np.generic)):
        value = beside(np.asarray(value))
    layout, numbers, arrays = encode(key, beside)
    setitem.function(x, layout, numbers, arrays, value)


def array_beside(x: Any) -> Any:
    """Makes an array that can stand beside `x` of a NumPy one."""
    while type(x) in nested_types and not hasattr(x, "tracer"):
        x = x.value  # of the batch, or of what is differentiated
    if type(x) is FakeArray:
        return lambda array: x.new_empty(array.shape, array.dtype)
    namespace = np if isinstance(x, np.ndarray) or not hasattr(x, "get") else _cupy(x)
    return namespace.asarray


def _cupy(x: Any) -> Any:
    import sys

    return sys.modules.get(type(x).__module__.partition(".")[0], np)


# -- copies and picks ------------------------------------------------------------------------------


def _copyto(dst: Any, src: Any, casting: str = "same_kind") -> None:
    _check_writeable(dst)
    if hasattr(src, "dtype"):
        if not np.can_cast(src.dtype, dst.dtype, casting):  # type: ignore[arg-type]
            raise TypeError(
                f"Cannot cast array data from {src.dtype!r} to {dst.dtype!r} according to the "
                f"rule {casting!r}"
            )
        _check_assignable(src, dst)


@row(
    'copyto(Array(a!) dst, Array src, str casting="same_kind") -> ()',
    fake=_copyto,
    scalars=("src",),
)
def copyto(xp: Any, dst: Any, src: Any, casting: str = "same_kind") -> None:
    """Write the elements of an array to another one.

    Args:
        dst: the array that is written to.
        src: an array that can be broadcast to its shape, or a number.
        casting: which casts are allowed, as for ``numpy.can_cast``.

    Raises:
        TypeError: the dtype cannot be cast so.
        ValueError: the shapes do not go together, or `dst` is read-only.

    >>> import numpy as np
    >>> from gpuops import xp
    >>> x = np.zeros(2)
    >>> xp.copyto(x, 3.0)
    >>> x
    array([3., 3.])
    """
    xp.copyto(dst, src, casting=casting)


def _take(x: Any, indices: Any, axis: int | None = None, mode: str = "raise") -> Meta:
    dtype = getattr(indices, "dtype", np.dtype(np.intp))
    picked = getattr(indices, "shape", ())
    if axis is None:
        x = ravelled(x)
        axis = 0
    shape = x.shape or (1,)
    axis = axis_of(axis, len(shape))
    if not np.can_cast(dtype, np.intp, TAKE_CASTING):
        raise TypeError(
            f"Cannot cast array data from {dtype!r} to {np.dtype(np.intp)!r} according to the "
            f"rule {TAKE_CASTING!r}"
        )
    if mode not in ("raise", "wrap", "clip"):
        raise ValueError(f"clipmode must be one of 'clip', 'raise', or 'wrap' (got {mode!r})")
    result = (*shape[:axis], *picked, *shape[axis + 1 :])
    if known_equal(shape[axis], 0) and not known_equal(product(result), 0):
        raise IndexError("cannot do a non-empty take from an empty axes.")
    return fresh(result, x.dtype if result else x.dtype.newbyteorder("="))


@row(
    'take(Array x, Array indices, int? axis=None, str mode="raise") -> Array',
    fake=_take,
    scalars=("indices",),
)
def take(xp: Any, x: Any, indices: Any, axis: int | None = None, mode: str = "raise") -> Any:
    """Elements, or slices along an axis, by number.

    Args:
        x: an array.
        indices: the numbers; their shape takes the place of the axis.
        axis: the axis; None takes from the flattened array.
        mode: what to do with numbers out of bounds: ``"raise"``, ``"wrap"`` or ``"clip"``.

    Raises:
        AxisError: there is no such axis.
        IndexError: a number is out of bounds.
        TypeError: `indices` are no ints.

    >>> import numpy as np
    >>> from gpuops import xp
    >>> xp.take(np.asarray([5, 6, 7]), np.asarray([2, 0]))
    array([7, 5])
    """
    modes = {} if xp is not np and mode == "raise" else {"mode": mode}
    return xp.take(x, indices, axis, **modes)


def _take_along_axis(x: Any, indices: Any, axis: int | None = -1) -> Meta:
    if axis is None:
        if len(indices.shape) != 1:
            raise ValueError("when axis=None, `indices` must have a single dimension.")
        return along_axis(ravelled(x), indices, 0)
    return along_axis(x, indices, axis_of(axis, len(x.shape)))


@row("take_along_axis(Array x, Array indices, int? axis=-1) -> Array", fake=_take_along_axis)
def take_along_axis(xp: Any, x: Any, indices: Any, axis: int | None = -1) -> Any:
    """For each 1-d slice along an axis, elements by their own numbers.

    Args:
        x: an array.
        indices: ints, with as many axes as `x` and the same sizes beside the axis (or 1).
        axis: the axis; None takes from the flattened array.

    Raises:
        AxisError: there is no such axis.
        IndexError: a number is out of bounds, or `indices` are no ints.
        ValueError: `indices` has another number of axes.

    >>> import numpy as np
    >>> from gpuops import xp
    >>> x = np.asarray([[3, 1], [2, 4]])
    >>> xp.take_along_axis(x, xp.argsort(x, axis=1), axis=1)
    array([[1, 3],
           [2, 4]])
    """
    return xp.take_along_axis(x, indices, axis)
