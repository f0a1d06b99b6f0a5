"""NumPy's statistics, calculus and tests that are made of operators, or take what no schema says.

They work on all arrays that the operators work on, and have gradients where these have.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gpuops.errors import ArgumentError, ShapeError
from gpuops.symbols import is_symbolic
from gpuops.xp import _row
from gpuops.xp._axes import axes_of, axis_of
from gpuops.xp._errors import DTypeError
from gpuops.xp._meta import by_stride
from gpuops.xp._releases import COV_TRANSPOSES_A_ROW
from gpuops.xp.composites import split
from gpuops.xp.functions import asarray
from gpuops.xp.indexing import array_beside, getitem_key

__all__ = ["DERIVED"]


def _call(name: str) -> Any:
    return _row.ROWS[name].function


def _beside(x: Any, value: Any) -> Any:
    """A list of numbers as an array that can stand beside `x`."""
    return array_beside(x)(asarray(value)) if isinstance(value, (list, tuple)) else value


# -- order statistics ------------------------------------------------------------------------------


def quantile(
    x: Any, q: Any, axis: Any = None, *, method: str = "linear", keepdims: bool = False
) -> Any:
    """The elements along axes that shares of all are less than or equal to.

    Args:
        x: an array of real numbers.
        q: the shares, from 0 to 1: a number, a list of them, or an array of at most two axes.
        axis: the axes; None for all.
        method: what is taken where a quantile lies between elements, as in NumPy.
        keepdims: leave the axes in the result with size 1.

    Raises:
        AxisError: there is no such axis.
        ValueError: a share that is none, or an unknown method.
        IndexError: there is no element.
        TypeError: complex numbers or bools.

    >>> import numpy as np
    >>> from gpuops import xp
    >>> xp.quantile(np.asarray([1.0, 2.0, 4.0]), [0.5, 0.75])
    array([2., 3.])
    """
    return _call("quantile")(x, _beside(x, q), axis, keepdims=keepdims, method=method)


def percentile(
    x: Any, q: Any, axis: Any = None, *, method: str = "linear", keepdims: bool = False
) -> Any:
    """`quantile` of shares from 0 to 100.

    Args:
        x: an array of real numbers.
        q: the shares, from 0 to 100.
        axis: the axes; None for all.
        method: as for `quantile`.
        keepdims: leave the axes in the result with size 1.

    >>> import numpy as np
    >>> from gpuops import xp
    >>> xp.percentile(np.asarray([1.0, 2.0, 4.0]), 75)
    array(3.)
    """
    q = _beside(x, q)
    share = _call("divide")(q, 100) if hasattr(q, "dtype") else q / 100
    return quantile(x, share, axis, method=method, keepdims=keepdims)


# -- choosing --------------------------------------------------------------------------------------


def select(condlist: Sequence[Any], choicelist: Sequence[Any], default: Any = 0) -> Any:
    """The elements of the first array whose condition holds.

    Args:
        condlist: arrays of bools.
        choicelist: for each of them an array; all shapes go together.
        default: an array or a number, for where no condition holds.

    Raises:
        ValueError: other numbers of arrays, none, or shapes that do not go together.
        TypeError: conditions that are no bools.

    >>> import numpy as np
    >>> from gpuops import xp
    >>> x = np.arange(4)
    >>> xp.select([x < 1, x < 3], [x + 10, x * 10], -1)
    array([10, 10, 20, -1])
    """
    return _call("select")(list(condlist), list(choicelist), default)


# -- calculus --------------------------------------------------------------------------------------


def gradient(x: Any, *varargs: Any, axis: Any = None, edge_order: int = 1) -> Any:
    """The derivatives of a sampled function along axes, by central differences.

    Args:
        x: the function's values.
        varargs: nothing, for distances of 1; one distance for all axes; or for each of them its
            distance, or the coordinates of all places along it.
        axis: the axes; None for all.
        edge_order: 1 or 2, the order of the one-sided differences at both ends.

    Returns:
        An array for one axis, a tuple of arrays for several.

    Raises:
        AxisError: there is no such axis.
        ValueError: too few elements along one, or another number of coordinates.
        TypeError: another number of distances, or bools.

    >>> import numpy as np
    >>> from gpuops import xp
    >>> xp.gradient(np.asarray([0.0, 1.0, 4.0, 9.0]), 2.0)
    array([0.5, 1. , 2. , 2.5])
    """
    ndim = len(x.shape)
    axes = axes_of([axis] if isinstance(axis, int) else axis, ndim)
    spacings = [_beside(x, spacing) for spacing in varargs] or [1.0]
    if len(spacings) == 1 and not getattr(spacings[0], "shape", ()):
        spacings *= len(axes)
    if len(spacings) != len(axes):
        raise ArgumentError(
            f"gradient takes a distance for all axes, or one for each of {len(axes)}; "
            f"got {len(spacings)}"
        )
    found = tuple(
        _call("gradient_along")(x, spacing, place, edge_order)
        for place, spacing in zip(axes, spacings, strict=True)
    )
    return found[0] if len(found) == 1 else found


def trapezoid(y: Any, x: Any = None, dx: Any = 1.0, axis: int = -1) -> Any:
    """The integral of a sampled function along an axis, by straight lines between the samples.

    Args:
        y: the function's values.
        x: where they are: of the shape of `y`, or one for each place along the axis.
        dx: the distance of neighbours, where there is no `x`.
        axis: the axis.

    >>> import numpy as np
    >>> from gpuops import xp
    >>> xp.trapezoid(np.asarray([1.0, 2.0, 3.0]))
    array(4.)
    """
    ndim = len(y.shape)
    place = axis_of(axis, ndim)
    if x is None:
        steps = dx
    elif len(x.shape) == 1:
        shape = [1] * ndim
        steps = _call("diff")(x)
        shape[place] = steps.shape[0]
        steps = _call("reshape")(steps, shape)
    else:
        steps = _call("diff")(x, axis=place)
    head, tail = ([slice(None)] * ndim for _ in range(2))
    head[place], tail[place] = slice(1, None), slice(None, -1)
    pairs = _call("add")(getitem_key(y, tuple(head)), getitem_key(y, tuple(tail)))
    areas = _call("divide")(_call("multiply")(steps, pairs), 2.0)
    return _call("sum")(areas, place)


def ediff1d(x: Any) -> Any:
    """The differences of neighbours in the flattened array.

    Args:
        x: an array of numbers.
    """
    flat = _call("ravel")(x)
    return _call("subtract")(getitem_key(flat, slice(1, None)), getitem_key(flat, slice(None, -1)))


def polyval(p: Any, x: Any) -> Any:
    """The values of a polynomial.

    Args:
        p: its coefficients, of shape (N,), that of the highest power first.
        x: where the values are wanted.

    >>> import numpy as np
    >>> from gpuops import xp
    >>> xp.polyval(np.asarray([1, 0, 2]), np.asarray([3, 4]))
    array([11, 18])
    """
    y = _call("zeros_like")(x)
    for index in range(p.shape[0]):
        y = _call("add")(_call("multiply")(y, x), getitem_key(p, index))
    return y


# -- covariances -----------------------------------------------------------------------------------


def cov(
    m: Any, y: Any = None, rowvar: bool = True, bias: bool = False, ddof: int | None = None
) -> Any:
    """The covariances of variables.

    Args:
        m: a variable in each row, or of shape (N,) one variable; an observation in each column.
        y: further variables, of the same form.
        rowvar: whether rows are the variables, and not columns.
        bias: divide by the number of observations N, and not by N - 1.
        ddof: divide by N - `ddof`.

    Returns:
        The matrix of covariances; of one variable, its variance as a 0-d array.

    Raises:
        ValueError: more than two axes.

    >>> import numpy as np
    >>> from gpuops import xp
    >>> xp.cov(np.asarray([[0.0, 1.0, 2.0], [2.0, 1.0, 0.0]]))
    array([[ 1., -1.],
           [-1.,  1.]])
    """
    for array in (m, y):
        if array is not None and len(array.shape) > 2:
            raise ShapeError(f"cov: an array has {len(array.shape)} axes, at most 2 are expected")
    rows = _variables(m, rowvar, COV_TRANSPOSES_A_ROW)
    if y is not None:
        rows = _call("concat")([rows, _variables(y, rowvar, False)], 0)
    computed = np.result_type(rows.dtype, np.float64)
    rows = rows if rows.dtype == computed else _call("astype")(rows, computed)
    less = ddof if ddof is not None else 0 if bias else 1
    rows = _call("subtract")(rows, _call("mean")(rows, [1], keepdims=True))
    turned = _call("matrix_transpose")(rows)
    if rows.dtype.kind == "c":
        turned = _call("conj")(turned)
    count = rows.shape[1] - less
    return _squeezed(_call("divide")(_call("matmul")(rows, turned), _at_least_zero(count)))


def _variables(x: Any, rowvar: bool, transposes_row: bool) -> Any:
    if len(x.shape) < 2:
        return _call("reshape")(x, (1, -1))
    is_row = not is_symbolic(x.shape[0]) and x.shape[0] == 1
    if rowvar or (is_row and not transposes_row):
        return x
    return _call("matrix_transpose")(x)


def _at_least_zero(count: Any) -> Any:
    return count if is_symbolic(count) else max(count, 0)


def _squeezed(x: Any) -> Any:
    ones = [a for a, size in enumerate(x.shape) if not is_symbolic(size) and size == 1]
    return _call("squeeze")(x, ones) if ones else x


def corrcoef(x: Any, y: Any = None, rowvar: bool = True) -> Any:
    """The correlation coefficients of variables.

    Args:
        x: a variable in each row; see `cov`.
        y: further variables.
        rowvar: whether rows are the variables, and not columns.

    Returns:
        The matrix of coefficients; of one variable, a 0-d array.
    """
    c = cov(x, y, rowvar)
    if not c.shape:
        return _call("divide")(c, c)
    deviations = _call("sqrt")(_call("real")(_call("diagonal")(c)))
    c = _call("divide")(c, getitem_key(deviations, (slice(None), None)))
    c = _call("divide")(c, getitem_key(deviations, (None, slice(None))))
    if c.dtype.kind == "c":
        return c
    return _call("clip")(c, -1.0, 1.0)


# -- tests of elements -----------------------------------------------------------------------------


def isposinf(x: Any) -> Any:
    """Whether each element is infinity.

    Args:
        x: an array of real numbers.

    Raises:
        TypeError: complex numbers.
    """
    _refuse_complex(x, "isposinf")
    positive = _call("logical_not")(_call("signbit")(x))
    return _call("logical_and")(_call("isinf")(x), positive)


def isneginf(x: Any) -> Any:
    """Whether each element is minus infinity.

    Args:
        x: an array of real numbers.

    Raises:
        TypeError: complex numbers.
    """
    _refuse_complex(x, "isneginf")
    return _call("logical_and")(_call("isinf")(x), _call("signbit")(x))


def _refuse_complex(x: Any, name: str) -> None:
    if x.dtype.kind == "c":
        raise DTypeError(f"{name}: the sign of complex numbers is ambiguous, got {x.dtype}")


def isreal(x: Any) -> Any:
    """Whether the imaginary part of each element is 0.

    Args:
        x: an array of numbers.
    """
    return _call("equal")(_call("imag")(x), 0)


# -- spreads without NaN ---------------------------------------------------------------------------


def nanvar(
    x: Any, axis: Any = None, *, ddof: float = 0.0, correction: float = 0.0, keepdims: bool = False
) -> Any:
    """The variance of the elements along axes that are not NaN.

    Args:
        x: an array of numbers.
        axis: the axes; None for all.
        ddof: NumPy's other name for `correction`.
        correction: what is subtracted from the number of elements in the divisor.
        keepdims: leave the axes in the result with size 1.

    Raises:
        AxisError: there is no such axis.

    >>> import numpy as np
    >>> from gpuops import xp
    >>> xp.nanvar(np.asarray([1.0, np.nan, 3.0]))
    array(1.)
    """
    return _call("nanvar")(x, axis, correction=ddof or correction, keepdims=keepdims)


def nanstd(
    x: Any, axis: Any = None, *, ddof: float = 0.0, correction: float = 0.0, keepdims: bool = False
) -> Any:
    """The standard deviation of the elements along axes that are not NaN; see `nanvar`.

    Args:
        x: an array of numbers.
        axis: the axes; None for all.
        ddof: NumPy's other name for `correction`.
        correction: what is subtracted from the number of elements in the divisor.
        keepdims: leave the axes in the result with size 1.

    Raises:
        AxisError: there is no such axis.
    """
    return _call("nanstd")(x, axis, correction=ddof or correction, keepdims=keepdims)


# -- axes and parts --------------------------------------------------------------------------------


def ravel(x: Any, order: str = "C") -> Any:
    """All elements in one axis; a view where the layout allows.

    Args:
        x: an array.
        order: ``"C"``: the last axis changes fastest; ``"F"``: the first; ``"A"``: the first if
            that is how they lie in memory; ``"K"``: as they lie in memory.

    Raises:
        ValueError: an unknown order, or ``"A"`` or ``"K"`` for an array whose layout is not known.

    >>> import numpy as np
    >>> from gpuops import xp
    >>> xp.ravel(np.asarray([[1, 2], [3, 4]]), "F")
    array([1, 3, 2, 4])
    """
    if order not in ("C", "F", "A", "K"):
        raise ShapeError(f"ravel: order must be one of 'C', 'F', 'A' and 'K', got {order!r}")
    if order in ("A", "K"):
        strides, flags = getattr(x, "strides", None), getattr(x, "flags", None)
        if strides is None or flags is None:
            raise ShapeError(f"ravel: order={order!r} needs an array whose layout is known")
        if order == "K":
            x = _call("permute_dims")(x, by_stride(strides)[::-1])
        elif flags.f_contiguous and not flags.c_contiguous:
            order = "F"
    return _call("ravel")(_call("transpose")(x) if order == "F" else x)


def rollaxis(x: Any, axis: int, start: int = 0) -> Any:
    """A view with one axis before another; `moveaxis` is easier to understand.

    Args:
        x: an array.
        axis: the axis to move.
        start: the axis before which it is put.

    Raises:
        AxisError: there is no such axis.
    """
    ndim = len(x.shape)
    place = axis_of(axis, ndim)
    before = axis_of(start, ndim + 1) if start >= 0 else axis_of(start, ndim)
    order = [a for a in range(ndim) if a != place]
    order.insert(before - 1 if place < before else before, place)
    return _call("permute_dims")(x, order)


def dsplit(x: Any, indices_or_sections: Any) -> list[Any]:
    """Parts of an array along the third axis, as views.

    Args:
        x: an array of at least three axes.
        indices_or_sections: how many parts, or the places at which to cut.

    Raises:
        ValueError: fewer axes, or no equal parts.
    """
    if len(x.shape) < 3:
        raise ShapeError("dsplit only works on arrays of 3 or more dimensions")
    return split(x, indices_or_sections, 2)


def diagflat(x: Any, k: int = 0) -> Any:
    """A matrix with the elements of an array on a diagonal and zeros elsewhere.

    Args:
        x: an array.
        k: which diagonal; 0 is the main one, positive ones are above it.
    """
    return _call("diag_of")(_call("ravel")(x), k)


def union1d(x1: Any, x2: Any) -> Any:
    """The sorted distinct elements of two arrays.

    Args:
        x1: an array.
        x2: an array.
    """
    flat = [_call("ravel")(x1), _call("ravel")(x2)]
    return _call("unique_values")(_call("concat")(flat, 0))


DERIVED: dict[str, Any] = {
    function.__name__: function
    for function in (
        corrcoef,
        cov,
        diagflat,
        dsplit,
        ediff1d,
        gradient,
        isneginf,
        isposinf,
        isreal,
        nanstd,
        nanvar,
        percentile,
        polyval,
        quantile,
        ravel,
        rollaxis,
        select,
        trapezoid,
        union1d,
    )
}
"""By name."""
