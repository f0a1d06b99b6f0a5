"""Elementwise functions."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final

from gpuops import xp
from gpuops.xp.gradients._rules import conjugate, dividing, gradients, masked

__all__: list[str] = []

_LN2: Final = math.log(2)
_LN10: Final = math.log(10)

# -- one array: by the derivative, a function of the input or of the result ------------------------

_OF_INPUT: Final[dict[str, Callable[[Any], Any]]] = {
    "acos": lambda x: -1 / xp.sqrt(1 - x * x),
    # Two roots: of complex numbers, the root of the product lies on another branch.
    "acosh": lambda x: 1 / (xp.sqrt(x - 1) * xp.sqrt(x + 1)),
    "asin": lambda x: 1 / xp.sqrt(1 - x * x),
    "asinh": lambda x: 1 / xp.sqrt(x * x + 1),
    "atan": lambda x: 1 / (x * x + 1),
    "atanh": lambda x: 1 / (1 - x * x),
    "cos": lambda x: -xp.sin(x),
    "cosh": lambda x: xp.sinh(x),
    "deg2rad": lambda x: math.pi / 180,
    "fabs": lambda x: xp.sign(x),
    "log": lambda x: 1 / x,
    "log10": lambda x: 1 / (x * _LN10),
    "log1p": lambda x: 1 / (x + 1),
    "log2": lambda x: 1 / (x * _LN2),
    "rad2deg": lambda x: 180 / math.pi,
    "sin": lambda x: xp.cos(x),
    "sinh": lambda x: xp.cosh(x),
    "square": lambda x: 2 * x,
}

_OF_RESULT: Final[dict[str, Callable[[Any], Any]]] = {
    "cbrt": lambda out: 1 / (3 * out * out),
    "exp": lambda out: out,
    "exp2": lambda out: out * _LN2,
    "expm1": lambda out: out + 1,
    "reciprocal": lambda out: -out * out,
    "sqrt": lambda out: 0.5 / out,
    "tan": lambda out: 1 + out * out,
    "tanh": lambda out: 1 - out * out,
}


def _of_input(derivative: Callable[[Any], Any]) -> Callable[..., Any]:
    return lambda g, x: g * conjugate(derivative(x))


def _of_result(derivative: Callable[[Any], Any]) -> Callable[..., Any]:
    return lambda g, out: g * conjugate(derivative(out))


for _name, _derivative in _OF_INPUT.items():
    gradients(_name, x=_of_input(_derivative))
for _name, _derivative in _OF_RESULT.items():
    gradients(_name, x=_of_result(_derivative))

gradients("abs", x=lambda g, x: g * xp.sign(x))
gradients("conj", x=lambda g: conjugate(g))
gradients("negative", x=lambda g: -g)
gradients("positive", x=lambda g: g)
gradients("real", x=lambda g: g)
gradients("imag", x=lambda g, x_dtype: g * 1j if x_dtype.kind == "c" else None)

for _name in ("ceil", "floor", "rint", "trunc", "round"):
    gradients(_name, x=None)


def _sign(g: Any, x: Any, out: Any) -> Any:
    """Of complex numbers, ``x / abs(x)``: only what is across the direction of x changes it."""
    if x.dtype.kind != "c":
        return None
    along = out * xp.real(xp.conj(out) * g)
    return (g - along) / dividing(xp.abs(x))


gradients("sign", x=_sign)

# -- two arrays ------------------------------------------------------------------------------------

gradients("add", x1=lambda g: g, x2=lambda g: g)
gradients("subtract", x1=lambda g: g, x2=lambda g: -g)
gradients("multiply", x1=lambda g, x2: g * conjugate(x2), x2=lambda g, x1: g * conjugate(x1))
gradients(
    "divide",
    x1=lambda g, x2: g / conjugate(x2),
    x2=lambda g, x2, out: -g * conjugate(out / x2),
)
gradients("floor_divide", x1=None, x2=None)
gradients("fmod", x1=lambda g: g, x2=lambda g, x1, x2: -g * xp.trunc(xp.divide(x1, x2)))
gradients("remainder", x1=lambda g: g, x2=lambda g, x1, x2: -g * xp.floor_divide(x1, x2))
gradients(
    "divmod",
    x1=lambda g: g[1],
    x2=lambda g, out: None if g[1] is None else -g[1] * out[0],
)
gradients(
    "atan2",
    x1=lambda g, x1, x2: g * x2 / (x1 * x1 + x2 * x2),
    x2=lambda g, x1, x2: -g * x1 / (x1 * x1 + x2 * x2),
)


def _copysign(g: Any, x1: Any, out: Any) -> Any:
    return g * (xp.sign(x1) * xp.sign(out))


gradients("copysign", x1=lambda g, x1, out: _copysign(g, x1, out), x2=None)
gradients(
    "hypot",
    x1=lambda g, x1, out: g * x1 / dividing(out),
    x2=lambda g, x2, out: g * x2 / dividing(out),
)
gradients("heaviside", x1=None, x2=lambda g, x1, x2: masked(xp.equal(x1, 0 * x2), g))
gradients("ldexp", x1=lambda g, x2: xp.ldexp(g, x2))
gradients(
    "logaddexp",
    x1=lambda g, x1, out: g * xp.exp(x1 - out),
    x2=lambda g, x2, out: g * xp.exp(x2 - out),
)
gradients(
    "logaddexp2",
    x1=lambda g, x1, out: g * xp.exp2(x1 - out),
    x2=lambda g, x2, out: g * xp.exp2(x2 - out),
)


def _power_of_base(g: Any, x1: Any, x2: Any) -> Any:
    if not hasattr(x2, "dtype"):
        if x2 == 0:
            return None
        return g * conjugate(x2 * x1) if x2 == 2 else g * conjugate(x2 * x1 ** (x2 - 1))
    # At x2 = 0 the factor x2 makes it zero, also where 0**-1 would be infinite.
    zero = xp.equal(x2, 0)
    return g * conjugate(masked(~zero, x2 * xp.pow(x1, xp.where(zero, 1, x2 - 1))))


def _power_of_exponent(g: Any, x1: Any, out: Any) -> Any:
    # Where the base is 0 the power is 0 (or 1), for exponents around as well.
    if not hasattr(x1, "dtype"):
        return None if x1 == 0 else g * conjugate(out * math.log(x1))
    zero = xp.equal(x1, 0)
    return g * conjugate(masked(~zero, out * xp.log(xp.where(zero, 1, x1))))


gradients("pow", x1=_power_of_base, x2=_power_of_exponent)
gradients("float_power", x1=_power_of_base, x2=_power_of_exponent)


def _is_nan(x: Any) -> Any:
    return xp.isnan(x) if hasattr(x, "dtype") else math.isnan(x)


def _chosen(wins: Callable[[Any, Any], Any]) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Rules of a choice between two: each gets half of the gradient where they are equal."""

    def first(g: Any, x1: Any, x2: Any) -> Any:
        return xp.where(xp.equal(x1, x2), g / 2, masked(wins(x1, x2), g))

    def second(g: Any, x1: Any, x2: Any) -> Any:
        return xp.where(xp.equal(x1, x2), g / 2, masked(wins(x2, x1), g))

    return first, second


# NaN is the result of either, and so is its gradient; `fmax` and `fmin` take the other one.
for _name, _wins in {
    "maximum": lambda x, y: ~xp.less(x, y),
    "minimum": lambda x, y: ~xp.greater(x, y),
    "fmax": lambda x, y: xp.greater(x, y) | _is_nan(y),
    "fmin": lambda x, y: xp.less(x, y) | _is_nan(y),
}.items():
    _first, _second = _chosen(_wins)
    gradients(_name, x1=_first, x2=_second)

# -- others ----------------------------------------------------------------------------------------


def _frexp(g: Any, out: Any) -> Any:
    return None if g[0] is None else xp.ldexp(g[0], -out[1])


gradients("frexp", x=_frexp)
gradients("modf", x=lambda g: g[0])


def _clip(g: Any, x: Any, min: Any, max: Any) -> Any:
    if min is not None:
        g = masked(xp.greater_equal(x, min), g)
    return g if max is None else masked(xp.less_equal(x, max), g)


def _clip_min(g: Any, x: Any, min: Any, max: Any) -> Any:
    below = xp.less(x, min)
    return masked(below if max is None else below & xp.less(min, max), g)


def _clip_max(g: Any, x: Any, min: Any, max: Any) -> Any:
    above = xp.greater(x, max)
    return masked(above if min is None else above | xp.less(max, min), g)


gradients("clip", x=_clip, min=_clip_min, max=_clip_max)
gradients(
    "where",
    x1=lambda g, condition: masked(condition, g),
    x2=lambda g, condition: masked(xp.logical_not(condition), g),
)
