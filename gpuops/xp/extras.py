"""NumPy's functions beyond the standard that fake kernels use."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gpuops.symbols import known_equal, product, require_equal
from gpuops.xp._axes import axis_of
from gpuops.xp._einsum import einsum_meta
from gpuops.xp._meta import Meta, Size, fresh, is_dense, like
from gpuops.xp._row import row
from gpuops.xp._shapes import reshaped
from gpuops.xp._sizes import dynamic_size
from gpuops.xp._ufuncs import ufunc_metas

__all__: list[str] = []

_INTP = np.dtype(np.intp)
_FLOAT = np.dtype(np.float64)


# -- einsum ----------------------------------------------------------------------------------------


@row("einsum(str subscripts, Array(a)[] operands) -> Array(a)", fake=einsum_meta)
def einsum(xp: Any, subscripts: str, operands: Any) -> Any:
    """Sums of products by index letters.

    Args:
        subscripts: such as ``"ij,jk->ik"``.
        operands: the arrays; `gpuops.xp.einsum` takes them one by one.

    Returns:
        A new array; of one operand whose letters are all in the output, a view.

    Raises:
        ValueError: subscripts that do not go with the operands.
    """
    return xp.einsum(subscripts, *operands)


# -- repetition and padding ------------------------------------------------------------------------


def _repeat_each(x: Any, repeats: Any, axis: int | None = None) -> Meta:
    if len(repeats.shape) > 1:
        raise ValueError("object too deep for desired array")
    if not np.can_cast(repeats.dtype, _INTP, "safe"):
        raise TypeError(
            f"Cannot cast array data from {repeats.dtype!r} to {_INTP!r} according to the rule "
            "'safe'"
        )
    shape = list(x.shape or (1,)) if axis is not None else [product(x.shape)]
    place = axis_of(axis or 0, len(shape))
    given = repeats.shape[0] if repeats.shape else 1
    if not known_equal(given, 1):
        require_equal(given, shape[place], "operands could not be broadcast together with shapes")
    shape[place] = dynamic_size(0, None)
    return fresh(shape, x.dtype)


@row("repeat_each(Array x, Array repeats, int? axis=None) -> Array", fake=_repeat_each)
def repeat_each(xp: Any, x: Any, repeats: Any, axis: int | None = None) -> Any:
    """Each element repeated as often as an array says; see `repeat`.

    Args:
        x: an array.
        repeats: a number for each element along the axis, or one for all.
        axis: the axis; None repeats the flattened array's elements.

    Returns:
        An array whose size along the axis depends on data.

    Raises:
        ValueError: another number of numbers, or a negative one.
        AxisError: there is no such axis.
    """
    return xp.repeat(x, repeats, axis)


_PAD_MODES = frozenset(
    {
        "constant",
        "edge",
        "linear_ramp",
        "maximum",
        "mean",
        "median",
        "minimum",
        "reflect",
        "symmetric",
        "wrap",
        "empty",
    }
)


def _pad(
    x: Any, widths: Sequence[Size], mode: str = "constant", *, constant_values: Any = 0
) -> Meta:
    if mode not in _PAD_MODES:
        raise ValueError(f"mode '{mode}' is not supported")
    if any(type(width) is int and width < 0 for width in widths):
        raise ValueError("index can't contain negative values")
    if len(widths) != 2 * len(x.shape):
        raise ValueError(
            f"pad takes two widths an axis: {2 * len(x.shape)} for {len(x.shape)} axes, "
            f"got {len(widths)}"
        )
    before, after = widths[::2], widths[1::2]
    if mode not in ("constant", "empty"):
        for axis, size in enumerate(x.shape):
            padded = before[axis] + after[axis]
            if known_equal(size, 0) and not known_equal(padded, 0):
                raise ValueError(
                    f"can't extend empty axis {axis} using modes other than 'constant' or 'empty'"
                )
    shape = tuple(b + n + a for b, n, a in zip(before, x.shape, after, strict=True))
    return fresh(shape, x.dtype, "F" if is_dense(x, "F") and not is_dense(x) else "C")


@row(
    'pad(Array x, SymInt[] widths, str mode="constant", *, Scalar constant_values=0) -> Array',
    fake=_pad,
)
def pad(xp: Any, x: Any, widths: Any, mode: str = "constant", *, constant_values: Any = 0) -> Any:
    """An array with elements put around it.

    What `gpuops.xp.pad` takes for the widths is ``pad_width``: one number, a pair, or a pair for
    each axis.

    Args:
        x: an array.
        widths: two for each axis: how many before it, and how many behind.
        mode: what the elements are, as in NumPy: ``"constant"``, ``"edge"``, ``"reflect"``, ...
        constant_values: the elements of the mode ``"constant"``.

    Raises:
        ValueError: an unknown mode, or a negative width.
    """
    if len(widths) != 2 * x.ndim:
        raise ValueError(f"pad takes {2 * x.ndim} widths for {x.ndim} axes, got {len(widths)}")
    pairs = list(zip(widths[::2], widths[1::2], strict=True))
    options = {"constant_values": constant_values} if mode == "constant" else {}
    if mode not in _PAD_MODES:
        raise ValueError(f"mode '{mode}' is not supported")
    if not pairs:
        return x.copy()
    return xp.pad(x, pairs, mode, **options)


# -- counting --------------------------------------------------------------------------------------


def _histogram(
    x: Any,
    bins: Size = 10,
    low: float | None = None,
    high: float | None = None,
    *,
    density: bool = False,
) -> tuple[Meta, Meta]:
    if x.dtype.kind == "c":
        raise TypeError("histogram needs numbers that have an order")
    if type(bins) is int and bins < 1:
        raise ValueError("`bins` must be positive, when an integer")
    if low is not None and high is not None and low > high:
        raise ValueError("max must be larger than min in range parameter.")
    edges = np.result_type(x.dtype, _FLOAT if low is not None and x.dtype.kind != "f" else x.dtype)
    if edges.kind in "iub":
        edges = _FLOAT
    counts = _FLOAT if density else np.dtype(np.int64)
    return fresh((bins,), counts), fresh((bins + 1,), edges)


@row(
    "histogram(Array x, SymInt bins=10, float? low=None, float? high=None, *, "
    "bool density=False) -> (Array, Array)",
    fake=_histogram,
)
def histogram(
    xp: Any,
    x: Any,
    bins: int = 10,
    low: float | None = None,
    high: float | None = None,
    *,
    density: bool = False,
) -> Any:
    """How many elements fall into bins of equal width.

    What `gpuops.xp.histogram` takes for `low` and `high` is ``range``, a pair.

    Args:
        x: an array of real numbers.
        bins: the number of bins.
        low: where the first one starts; by default the least element.
        high: where the last one ends; by default the greatest.
        density: give the share of elements by width in place of their number.

    Returns:
        The counts, of shape (bins,), and the edges, of shape (bins + 1,).

    Raises:
        ValueError: fewer than 1 bin, or `low` above `high`.
    """
    if x.dtype.kind == "c":
        raise TypeError("histogram needs numbers that have an order")
    bounds = None if low is None or high is None else (low, high)
    return tuple(xp.histogram(x, bins, bounds, density=density))


def _bincount(x: Any, weights: Any | None = None, minlength: int = 0) -> Meta:
    if len(x.shape) != 1:
        raise ValueError(
            "object too deep for desired array"
            if len(x.shape) > 1
            else "object of too small depth for desired array"
        )
    if not np.can_cast(x.dtype, _INTP, "safe"):
        raise TypeError(
            f"Cannot cast array data from {x.dtype!r} to {_INTP!r} according to the rule 'safe'"
        )
    if minlength < 0:
        raise ValueError("'minlength' must not be negative")
    if weights is not None:
        require_equal(
            weights.shape[0], x.shape[0], "The weights and list don't have the same length"
        )
    if known_equal(x.shape[0], 0):
        return fresh((minlength,), _INTP)
    count = dynamic_size(minlength, None)
    return fresh((count,), _INTP if weights is None else _FLOAT)


@row("bincount(Array x, Array? weights=None, int minlength=0) -> Array", fake=_bincount)
def bincount(xp: Any, x: Any, weights: Any = None, minlength: int = 0) -> Any:
    """How often each number from 0 on occurs.

    Args:
        x: non-negative ints, of one axis.
        weights: numbers to add up in place of ones.
        minlength: the least size of the result.

    Returns:
        An array whose size depends on data: the greatest number and one more.

    Raises:
        ValueError: another number of axes, or a negative number.
        TypeError: no ints.
    """
    return xp.bincount(x, weights, minlength)


# -- elements --------------------------------------------------------------------------------------


def _nan_to_num(x: Any, *, nan: float = 0.0, posinf: Any = None, neginf: Any = None) -> Meta:
    return like(x, x.dtype if x.shape else x.dtype.newbyteorder("="))


@row(
    "nan_to_num(Array x, *, float nan=0.0, float? posinf=None, float? neginf=None) -> Array",
    fake=_nan_to_num,
)
def nan_to_num(xp: Any, x: Any, *, nan: float = 0.0, posinf: Any = None, neginf: Any = None) -> Any:
    """A copy in which numbers stand for NaN and the infinities.

    Args:
        x: an array of numbers.
        nan: what stands for NaN.
        posinf: what stands for infinity; by default the greatest number of the dtype.
        neginf: what stands for minus infinity; by default the least number of the dtype.
    """
    return xp.nan_to_num(x, nan=nan, posinf=posinf, neginf=neginf)


def _isin(x: Any, elements: Any, *, invert: bool = False) -> Meta:
    return Meta(*reshaped(fresh((product(x.shape),), np.dtype(bool)), x.shape)[0])


@row("isin(Array x, Array elements, *, bool invert=False) -> Array", fake=_isin)
def isin(xp: Any, x: Any, elements: Any, *, invert: bool = False) -> Any:
    """Whether each element of one array is in another.

    Args:
        x: an array.
        elements: the elements to look for.
        invert: whether it is not.

    Returns:
        Bools, of the shape of `x`.
    """
    return xp.isin(x, elements, invert=invert).reshape(x.shape)


def _isclose(
    x1: Any, x2: Any, rtol: float = 1e-05, atol: float = 1e-08, *, equal_nan: bool = False
) -> Meta:
    result: Meta = ufunc_metas(np.equal, [x1, x2])[0]
    return fresh(result.shape, result.dtype)


@row(
    "isclose(Array x1, Array x2, float rtol=1e-05, float atol=1e-08, *, bool equal_nan=False) "
    "-> Array",
    fake=_isclose,
)
def isclose(
    xp: Any,
    x1: Any,
    x2: Any,
    rtol: float = 1e-05,
    atol: float = 1e-08,
    *,
    equal_nan: bool = False,
) -> Any:
    """Whether elements are equal up to tolerances: ``abs(x1 - x2) <= atol + rtol * abs(x2)``.

    Args:
        x1: an array.
        x2: an array whose shape goes with that of `x1`.
        rtol: the relative tolerance.
        atol: the absolute tolerance.
        equal_nan: whether NaNs are equal to each other.

    Returns:
        Bools, of the broadcast shape, C-contiguous.

    Raises:
        ValueError: the shapes cannot be broadcast together.
    """
    out = xp.isclose(x1, x2, rtol, atol, equal_nan=equal_nan)
    return out if out.ndim == 0 else xp.ascontiguousarray(out)
