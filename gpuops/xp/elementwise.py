"""Elementwise functions: the standard's, and NumPy's other universal functions."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from gpuops.errors import NoKernelError
from gpuops.xp._meta import (
    Meta,
    View,
    broadcast,
    elementwise_strides,
    fresh,
    is_dense,
    like,
)
from gpuops.xp._releases import CLIP_NEEDS_NO_BOUND, ROUND_KEEPS_ORDER_OF_COMPLEX
from gpuops.xp._row import Row, row
from gpuops.xp._ufuncs import ufunc_metas, ufunc_rule

__all__ = ["UNARY", "BINARY", "MANY", "ufunc_row"]

# Operator -> (NumPy's ufunc, what it computes, what an example shows).
UNARY: Final[dict[str, tuple[str, str]]] = {
    "abs": ("absolute", "The absolute value (of complex numbers, the magnitude)."),
    "acos": ("arccos", "The inverse cosine, in radians."),
    "acosh": ("arccosh", "The inverse hyperbolic cosine."),
    "asin": ("arcsin", "The inverse sine, in radians."),
    "asinh": ("arcsinh", "The inverse hyperbolic sine."),
    "atan": ("arctan", "The inverse tangent, in radians."),
    "atanh": ("arctanh", "The inverse hyperbolic tangent."),
    "bitwise_count": ("bitwise_count", "The number of bits set in the absolute value."),
    "bitwise_invert": ("invert", "Every bit inverted; of bools the negation."),
    "cbrt": ("cbrt", "The cube root."),
    "ceil": ("ceil", "The least integer that is not less."),
    "conj": ("conjugate", "The complex conjugate."),
    "cos": ("cos", "The cosine of angles in radians."),
    "cosh": ("cosh", "The hyperbolic cosine."),
    "deg2rad": ("deg2rad", "Degrees in radians."),
    "exp": ("exp", "The exponential function."),
    "exp2": ("exp2", "Two to the power of each element."),
    "expm1": ("expm1", "``exp(x) - 1``, exact for small x too."),
    "fabs": ("fabs", "The absolute value as a floating-point number."),
    "floor": ("floor", "The greatest integer that is not greater."),
    "isfinite": ("isfinite", "Whether an element is neither infinite nor NaN."),
    "isinf": ("isinf", "Whether an element is infinite."),
    "isnan": ("isnan", "Whether an element is NaN."),
    "isnat": ("isnat", "Whether a date or a duration is not a time."),
    "log": ("log", "The natural logarithm."),
    "log10": ("log10", "The logarithm to base 10."),
    "log1p": ("log1p", "``log(1 + x)``, exact for small x too."),
    "log2": ("log2", "The logarithm to base 2."),
    "logical_not": ("logical_not", "Whether an element is zero or false."),
    "negative": ("negative", "Each element with its sign changed."),
    "positive": ("positive", "A copy of each element."),
    "rad2deg": ("rad2deg", "Radians in degrees."),
    "reciprocal": ("reciprocal", "One over each element."),
    "rint": ("rint", "The nearest integer; halves go to the even one."),
    "sign": ("sign", "-1, 0 or 1; of complex numbers ``x / abs(x)``."),
    "signbit": ("signbit", "Whether the sign bit is set."),
    "sin": ("sin", "The sine of angles in radians."),
    "sinh": ("sinh", "The hyperbolic sine."),
    "spacing": ("spacing", "The distance to the nearest other number."),
    "sqrt": ("sqrt", "The non-negative square root."),
    "square": ("square", "Each element times itself."),
    "tan": ("tan", "The tangent of angles in radians."),
    "tanh": ("tanh", "The hyperbolic tangent."),
    "trunc": ("trunc", "The integer part: rounded towards zero."),
}

BINARY: Final[dict[str, tuple[str, str]]] = {
    "add": ("add", "The sum."),
    "atan2": ("arctan2", "The angle of the point (x2, x1) in radians, in all four quadrants."),
    "bitwise_and": ("bitwise_and", "The bits that are set in both."),
    "bitwise_left_shift": ("left_shift", "The bits of x1 moved to the left by x2."),
    "bitwise_or": ("bitwise_or", "The bits that are set in one or both."),
    "bitwise_right_shift": ("right_shift", "The bits of x1 moved to the right by x2."),
    "bitwise_xor": ("bitwise_xor", "The bits that are set in exactly one."),
    "copysign": ("copysign", "The magnitude of x1 with the sign of x2."),
    "divide": ("divide", "The quotient."),
    "equal": ("equal", "Whether both are equal."),
    "float_power": ("float_power", "x1 to the power of x2, in double precision."),
    "floor_divide": ("floor_divide", "The greatest integer that is not above the quotient."),
    "fmax": ("fmax", "The greater one; where one is NaN, the other."),
    "fmin": ("fmin", "The lesser one; where one is NaN, the other."),
    "fmod": ("fmod", "The remainder of the division, with the sign of x1."),
    "gcd": ("gcd", "The greatest common divisor."),
    "greater": ("greater", "Whether x1 is greater than x2."),
    "greater_equal": ("greater_equal", "Whether x1 is at least x2."),
    "heaviside": ("heaviside", "The step function of x1, which is x2 at 0."),
    "hypot": ("hypot", "``sqrt(x1**2 + x2**2)`` without overflow on the way."),
    "lcm": ("lcm", "The least common multiple."),
    "ldexp": ("ldexp", "``x1 * 2**x2``."),
    "less": ("less", "Whether x1 is less than x2."),
    "less_equal": ("less_equal", "Whether x1 is at most x2."),
    "logaddexp": ("logaddexp", "``log(exp(x1) + exp(x2))`` without overflow on the way."),
    "logaddexp2": ("logaddexp2", "``log2(2**x1 + 2**x2)`` without overflow on the way."),
    "logical_and": ("logical_and", "Whether both are true."),
    "logical_or": ("logical_or", "Whether one or both are true."),
    "logical_xor": ("logical_xor", "Whether exactly one is true."),
    "maximum": ("maximum", "The greater one; NaN where one is NaN."),
    "minimum": ("minimum", "The lesser one; NaN where one is NaN."),
    "multiply": ("multiply", "The product."),
    "nextafter": ("nextafter", "The next number after x1 in the direction of x2."),
    "not_equal": ("not_equal", "Whether they differ."),
    "pow": ("power", "x1 to the power of x2."),
    "remainder": ("remainder", "The remainder of the floor division, with the sign of x2."),
    "subtract": ("subtract", "The difference."),
}

MANY: Final[dict[str, tuple[str, str]]] = {
    "divmod": ("divmod", "The quotient rounded down, and the remainder."),
    "frexp": ("frexp", "Mantissa and exponent: ``x = mantissa * 2**exponent``."),
    "modf": ("modf", "The fractional and the integral part."),
}

_NOTES = {
    1: """

    Args:
        x: an array of any shape.

    Returns:
        A new array of the same shape. Dtype and strides are those of ``numpy.{ufunc}``.

    Raises:
        TypeError: the function is not defined for the dtype.
    """,
    2: """

    Args:
        x1: an array, or a Python number, whose dtype gives way to that of `x2`.
        x2: an array whose shape goes with that of `x1`, or a Python number.

    Returns:
        A new array of the broadcast shape. Dtype and strides are those of ``numpy.{ufunc}``.

    Raises:
        TypeError: the function is not defined for the dtypes.
        ValueError: the shapes cannot be broadcast together.
        OverflowError: a Python int does not fit the other argument's dtype.
    """,
}


def ufunc_row(name: str, ufunc_name: str, summary: str) -> Row:
    """The row of a ufunc.

    Args:
        name: the operator's name.
        ufunc_name: NumPy's and CuPy's.
        summary: the first line of the documentation.
    """
    ufunc = getattr(np, ufunc_name)

    def kernel(xp: Any, *operands: Any) -> Any:
        if xp is np:
            return ufunc(*operands)
        function = getattr(xp, ufunc_name, None)
        if function is None:
            raise NoKernelError(f"xp::{name}: {xp.__name__} has no function {ufunc_name!r}")
        return function(*operands)

    kernel.__name__ = kernel.__qualname__ = name
    kernel.__doc__ = summary + _NOTES[ufunc.nin].format(ufunc=ufunc_name)
    names = ("x",) if ufunc.nin == 1 else ("x1", "x2")
    parameters = ", ".join(f"Array {parameter}" for parameter in names)
    returns = ", ".join(["Array"] * ufunc.nout)
    schema = f"{name}({parameters}) -> {returns if ufunc.nout == 1 else f'({returns})'}"
    scalars = () if ufunc.nin == 1 else names
    return row(schema, fake=ufunc_rule(ufunc), scalars=scalars)(kernel)


for _name, (_ufunc, _summary) in {**UNARY, **BINARY, **MANY}.items():
    ufunc_row(_name, _ufunc, _summary)


# -- elementwise functions that are no ufuncs ------------------------------------------------------


def _round(x: Any, decimals: int = 0) -> Meta:
    kind = x.dtype.kind
    if kind == "b":
        if decimals:
            raise TypeError("booleans have no decimals to round to")
        return ufunc_metas(np.rint, [x])[0]
    if (decimals and kind == "f") or (decimals < 0 and kind in "iu"):
        # Scaled, rounded and scaled back, in memory allocated for it.
        dtype = x.dtype if x.shape else x.dtype.newbyteorder("=")
        return fresh(x.shape, dtype, "F" if is_dense(x, "F") and not is_dense(x) else "C")
    if kind == "c" and not ROUND_KEEPS_ORDER_OF_COMPLEX:
        return fresh(x.shape, x.dtype)
    return like(x, x.dtype) if kind in "iuc" else ufunc_metas(np.positive, [x])[0]


@row("round(Array x, int decimals=0) -> Array", fake=_round)
def round(xp: Any, x: Any, decimals: int = 0) -> Any:
    """Each element rounded to a number of decimals; halves go to the even neighbour.

    Args:
        x: an array of numbers.
        decimals: digits after the point; negative ones are before it.

    >>> import numpy as np
    >>> from gpuops import xp
    >>> xp.round(np.asarray([0.5, 1.5, 2.25]), 1)
    array([0.5, 1.5, 2.2])
    """
    out = xp.round(x, decimals)
    # An operator gives new arrays, whatever the library does where there is nothing to round.
    return xp.copy(x, order="K") if out is x else out


def _real(x: Any) -> Meta:
    if x.dtype.kind != "c":
        return View(x.shape, x.dtype, x.strides)
    return View(x.shape, _part(x.dtype), x.strides)


def _part(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The dtype of the parts of complex numbers."""
    return np.empty((0,), dtype).real.dtype


@row("real(Array(a) x) -> Array(a)", fake=_real)
def real(xp: Any, x: Any) -> Any:
    """The real parts, as a view; of real numbers, the array itself.

    Args:
        x: an array of numbers.

    >>> import numpy as np
    >>> from gpuops import xp
    >>> xp.real(np.asarray([1 + 2j]))
    array([1.])
    """
    return x.real


def _imag(x: Any) -> Meta:
    if x.dtype.kind == "c":
        return View(x.shape, _part(x.dtype), x.strides)
    return fresh(x.shape, x.dtype, "F" if is_dense(x, "F") and not is_dense(x) else "C")


@row("imag(Array(a) x) -> Array(a)", fake=_imag)
def imag(xp: Any, x: Any) -> Any:
    """The imaginary parts, as a view; of real numbers, new zeros.

    Args:
        x: an array of numbers.

    >>> import numpy as np
    >>> from gpuops import xp
    >>> xp.imag(np.asarray([1 + 2j]))
    array([2.])
    """
    return x.imag


def _clip(x: Any, min: Any = None, max: Any = None) -> Meta:
    bounds = [bound for bound in (min, max) if bound is not None]
    if not bounds:
        return ufunc_metas(np.positive, [x])[0]
    prototypes = [
        np.empty((0,), value.dtype) if hasattr(value, "dtype") else value for value in (x, min, max)
    ]
    dtype = np.clip(*prototypes).dtype
    arrays = [x, *(bound for bound in bounds if hasattr(bound, "dtype"))]
    shape = broadcast(*arrays)
    uncast = [array.dtype == dtype for array in arrays]
    return Meta(shape, dtype, elementwise_strides(shape, dtype.itemsize, arrays, uncast))


@row("clip(Array x, Array? min=None, Array? max=None) -> Array", fake=_clip, scalars=("min", "max"))
def clip(xp: Any, x: Any, min: Any = None, max: Any = None) -> Any:
    """Each element, or the bound that it is beyond.

    Args:
        x: an array of real numbers.
        min: the lower bounds: an array, a number, or None for none.
        max: the upper bounds.

    Raises:
        ValueError: the shapes cannot be broadcast together.
        OverflowError: a Python int does not fit the dtype of `x`.

    >>> import numpy as np
    >>> from gpuops import xp
    >>> xp.clip(np.asarray([1, 5, 9]), 2, 6)
    array([2, 5, 6])
    """
    if min is None and max is None and not CLIP_NEEDS_NO_BOUND:
        return xp.positive(x)
    return xp.clip(x, min, max)
