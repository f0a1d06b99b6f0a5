"""For every differentiable operator of ``xp::``, functions of arrays to check its gradients on.

A sample is built from a generator and a shape: ``build(rng, shape) -> (function, arrays)``. The
function calls the operator; the arrays keep away from kinks and poles.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gpuops import xp

Sample = tuple[Callable[..., Any], tuple[Any, ...]]
Build = Callable[[np.random.Generator, tuple[int, ...]], Sample]

SAMPLES: dict[str, list[Build]] = {}


def sample(name: str) -> Callable[[Build], Build]:
    def add(build: Build) -> Build:
        SAMPLES.setdefault(name, []).append(build)
        return build

    return add


def numbers(
    rng: np.random.Generator, shape: tuple[int, ...], low: float = -2, high: float = 2
) -> np.ndarray:
    """Numbers in a range, at least 0.02 away from every whole number and half."""
    steps = rng.integers(0, 2 * int(high - low), shape)
    return low + steps / 2 + rng.uniform(0.05, 0.45, shape)


def distinct(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Numbers of which no two are closer than 0.1."""
    size = int(np.prod(shape))
    return np.asarray((rng.permutation(size) - size / 2) * 0.2 + 0.05).reshape(shape)


def complex_numbers(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return np.asarray(numbers(rng, shape) + 1j * numbers(rng, shape))


def row_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    return shape if shape else (3,)


# -- elementwise -----------------------------------------------------------------------------------

RANGES = {
    "acos": (-0.9, 0.9), "acosh": (1.1, 3), "asin": (-0.9, 0.9), "atanh": (-0.9, 0.9),
    "log": (0.1, 3), "log10": (0.1, 3), "log1p": (-0.9, 3), "log2": (0.1, 3), "sqrt": (0.1, 3),
    "reciprocal": (0.3, 3), "cbrt": (0.2, 3),
}  # fmt: skip
UNARY = [
    "abs",
    "acos",
    "acosh",
    "asin",
    "asinh",
    "atan",
    "atanh",
    "cbrt",
    "ceil",
    "conj",
    "cos",
    "cosh",
    "deg2rad",
    "exp",
    "exp2",
    "expm1",
    "fabs",
    "floor",
    "log",
    "log10",
    "log1p",
    "log2",
    "negative",
    "positive",
    "rad2deg",
    "real",
    "reciprocal",
    "rint",
    "sign",
    "sin",
    "sinh",
    "sqrt",
    "square",
    "tan",
    "tanh",
    "trunc",
    "imag",
    "round",
]
HOLOMORPHIC = [
    "acos",
    "acosh",
    "asin",
    "asinh",
    "atan",
    "atanh",
    "cos",
    "cosh",
    "exp",
    "exp2",
    "expm1",
    "log",
    "log10",
    "log1p",
    "log2",
    "negative",
    "positive",
    "reciprocal",
    "sin",
    "sinh",
    "sqrt",
    "square",
    "tan",
    "tanh",
    "abs",
    "conj",
    "real",
    "imag",
    "sign",
]

for _name in UNARY:

    def _unary(rng: np.random.Generator, shape: tuple[int, ...], name: str = _name) -> Sample:
        if name in RANGES:
            low, high = RANGES[name]
            x = rng.uniform(low, high, shape)
        else:
            x = numbers(rng, shape) if name != "tan" else rng.uniform(-1.2, 1.2, shape)
        return getattr(xp, name), (np.asarray(x),)

    sample(_name)(_unary)

for _name in HOLOMORPHIC:

    def _complex(rng: np.random.Generator, shape: tuple[int, ...], name: str = _name) -> Sample:
        return getattr(xp, name), (complex_numbers(rng, shape) * 0.7,)

    sample(_name)(_complex)

BINARY = [
    "add",
    "atan2",
    "copysign",
    "divide",
    "floor_divide",
    "fmax",
    "fmin",
    "fmod",
    "hypot",
    "logaddexp",
    "logaddexp2",
    "maximum",
    "minimum",
    "multiply",
    "remainder",
    "subtract",
    "heaviside",
]

for _name in BINARY:

    def _broadcast(rng: np.random.Generator, shape: tuple[int, ...], name: str = _name) -> Sample:
        x = distinct(rng, (2, *shape)) * 0.7
        second = x[1, ..., :1] if shape else x[1]
        return getattr(xp, name), (x[0], second + 0.33)

    def _number(rng: np.random.Generator, shape: tuple[int, ...], name: str = _name) -> Sample:
        function = getattr(xp, name)
        return lambda x: (function(x, 1.37), function(1.37, x)), (numbers(rng, shape),)

    sample(_name)(_broadcast)
    sample(_name)(_number)

for _name in ("add", "divide", "multiply", "subtract", "pow"):

    def _two_complex(rng: np.random.Generator, shape: tuple[int, ...], name: str = _name) -> Sample:
        return getattr(xp, name), (complex_numbers(rng, shape), complex_numbers(rng, shape))

    def _mixed(rng: np.random.Generator, shape: tuple[int, ...], name: str = _name) -> Sample:
        return getattr(xp, name), (complex_numbers(rng, shape), rng.uniform(0.5, 2, shape))

    sample(_name)(_two_complex)
    sample(_name)(_mixed)


@sample("pow")
def _pow(rng: np.random.Generator, shape: tuple[int, ...]) -> Sample:
    return xp.pow, (rng.uniform(0.3, 2, shape), numbers(rng, shape))


@sample("pow")
def _pow_of_numbers(rng: np.random.Generator, shape: tuple[int, ...]) -> Sample:
    def powers(x: Any) -> Any:
        return x**2, x**3, x**0, x**-1, 2.0**x

    return powers, (numbers(rng, shape),)


@sample("pow")
def _pow_at_zero(rng: np.random.Generator, shape: tuple[int, ...]) -> Sample:
    def powers(x: Any) -> Any:
        return x**2, x**3, x**1, x**0, xp.pow(x, np.asarray([0.0, 1.0, 2.0, 3.0]))

    return powers, (np.zeros((*shape, 4)),)


@sample("float_power")
def _float_power(rng: np.random.Generator, shape: tuple[int, ...]) -> Sample:
    return xp.float_power, (rng.uniform(0.3, 2, shape), numbers(rng, shape))


@sample("divmod")
def _divmod(rng: np.random.Generator, shape: tuple[int, ...]) -> Sample:
    return xp.divmod, (numbers(rng, shape), rng.uniform(1.51, 1.7, shape))


@sample("ldexp")
def _ldexp(rng: np.random.Generator, shape: tuple[int, ...]) -> Sample:
    exponents = rng.integers(-3, 3, shape)
    return lambda x: xp.ldexp(x, exponents), (numbers(rng, shape),)


@sample("frexp")
def _frexp(rng: np.random.Generator, shape: tuple[int, ...]) -> Sample:
    return lambda x: xp.frexp(x)[0], (rng.uniform(1.1, 1.9, shape),)


@sample("modf")
def _modf(rng: np.random.Generator, shape: tuple[int, ...]) -> Sample:
    return xp.modf, (numbers(rng, shape),)


@sample("clip")
def _clip(rng: np.random.Generator, shape: tuple[int, ...]) -> Sample:
    x = distinct(rng, (3, *shape))
    return xp.clip, (x[0], x[1], x[2])


@sample("clip")
def _clip_numbers(rng: np.random.Generator, shape: tuple[int, ...]) -> Sample:
    return lambda x: (xp.clip(x, -1, 1), xp.clip(x, min=0), xp.clip(x, max=1)), (
        numbers(rng, shape),
    )


@sample("where")
def _where(rng: np.random.Generator, shape: tuple[int, ...]) -> Sample:
    condition = rng.random(shape) < 0.5

    def choose(x: Any, y: Any) -> Any:
        return xp.where(condition, x, y), xp.where(condition, x, 3.0), xp.where(condition, 3.0, y)

    return choose, (numbers(rng, shape), numbers(rng, shape[-1:]))


# -- creation and conversion -----------------------------------------------------------------------


@sample("astype")
def _astype(rng: np.random.Generator, shape: tuple[int, ...]) -> Sample:
    return lambda x: xp.astype(x, np.complex128), (numbers(rng, shape),)


@sample("asarray")
def _asarray(rng: np.random.Generator, shape: tuple[int, ...]) -> Sample:
    return lambda x: xp.asarray(x, copy=True), (numbers(rng, shape),)


@sample("copy")
def _copy(rng: np.random.Generator, shape: tuple[int, ...]) -> Sample:
    return xp.copy, (numbers(rng, shape),)


@sample("meshgrid")
def _meshgrid(rng: np.random.Generator, shape: tuple[int, ...]) -> Sample:
    def grids(x: Any, y: Any, z: Any) -> Any:
        return xp.meshgrid(x, y, z), xp.meshgrid(x, y, indexing="ij"), xp.meshgrid(x)

    return grids, tuple(numbers(rng, (size,)) for size in (2, 3, 2))


@sample("tril")
def _tril(rng: np.random.Generator, shape: tuple[int, ...]) -> Sample:
    return lambda x: xp.tril(x, k=-1), (numbers(rng, (*shape, 3, 4)),)


@sample("triu")
def _triu(rng: np.random.Generator, shape: tuple[int, ...]) -> Sample:
    return lambda x: xp.triu(x, k=1), (numbers(rng, (*shape, 3, 4)),)


for _name in ("empty_like", "zeros_like", "ones_like", "full_like"):

    def _like(rng: np.random.Generator, shape: tuple[int, ...], name: str = _name) -> Sample:
        more = (1.5,) if name == "full_like" else ()

        def function(x: Any) -> Any:
            return getattr(xp, name)(x, *more) * 0 + x

        return function, (numbers(rng, shape),)

    sample(_name)(_like)

# -- manipulation ----------------------------------------------------------------------------------

_MOVES: dict[str, Callable[[Any], Any]] = {
    "broadcast_to": lambda x: xp.broadcast_to(x, (2, *x.shape)),
    "broadcast_arrays": lambda x: xp.broadcast_arrays(x, x[..., :1]),
    "expand_dims": lambda x: xp.expand_dims(x, axis=(0, -1)),
    "squeeze": lambda x: xp.squeeze(x[None], 0),
    "permute_dims": lambda x: xp.permute_dims(x, (*range(1, x.ndim), 0)),
    "transpose": lambda x: (xp.transpose(x), xp.transpose(x, tuple(range(x.ndim))[::-1])),
    "moveaxis": lambda x: xp.moveaxis(x, 0, -1),
    "swapaxes": lambda x: xp.swapaxes(x, 0, -1),
    "flip": lambda x: (xp.flip(x), xp.flip(x, axis=-1)),
    "reshape": lambda x: xp.reshape(x, (-1, 1)),
    "ravel": lambda x: xp.ravel(x),
    "roll": lambda x: (xp.roll(x, 1), xp.roll(x, (1, -2), (0, -1))),
    "tile": lambda x: (xp.tile(x, (2,)), xp.tile(x, (2, 1, 3, 1))),
    "repeat": lambda x: (xp.repeat(x, 2), xp.repeat(x, 3, axis=-1), xp.repeat(x, 2, axis=0)),
    "unstack": lambda x: xp.unstack(x, axis=-1)[:1],
    "concat": lambda x: (xp.concat([x, x * x], axis=-1), xp.concat([x, x], axis=None)),
    "stack": lambda x: xp.stack([x, x * x], axis=1),
    "diff": lambda x: (
        xp.diff(x), xp.diff(x, n=2, axis=0), xp.diff(x, prepend=x[..., :2], append=x[..., :1] * 2)
    ),
    "repeat_each": lambda x: xp.repeat(x, np.arange(x.shape[-1]), axis=-1),
    "pad": lambda x: (
        xp.pad(x, 1), xp.pad(x, ((1, 2),) * x.ndim, constant_values=3.0),
        xp.pad(x, (2, 1), mode="edge"),
    ),
    "nan_to_num": lambda x: xp.nan_to_num(x),
}  # fmt: skip

for _name, _function in _MOVES.items():

    def _move(
        rng: np.random.Generator, shape: tuple[int, ...], f: Callable[[Any], Any] = _function
    ) -> Sample:
        return f, (numbers(rng, row_shape(shape)),)

    sample(_name)(_move)


@sample("matrix_transpose")
def _matrix_transpose(rng: np.random.Generator, shape: tuple[int, ...]) -> Sample:
    return xp.matrix_transpose, (numbers(rng, (*shape, 2, 3)),)


@sample("reshape")
def _reshape_f(rng: np.random.Generator, shape: tuple[int, ...]) -> Sample:
    return lambda x: xp.reshape(x, (3, 2), order="F"), (numbers(rng, (2, 3)),)


# -- reductions ------------------------------------------------------------------------------------


def _every_axis(function: Callable[..., Any], **more: Any) -> Callable[[Any], Any]:
    def call(x: Any) -> Any:
        return (
            function(x, **more),
            function(x, axis=-1, **more),
            function(x, axis=(0,), keepdims=True, **more),
            function(x, axis=tuple(range(x.ndim)), **more),
        )

    return call


for _name in ("sum", "mean", "prod", "max", "min", "var", "std"):

    def _reduction(rng: np.random.Generator, shape: tuple[int, ...], name: str = _name) -> Sample:
        return _every_axis(getattr(xp, name)), (distinct(rng, row_shape(shape)),)

    sample(_name)(_reduction)

for _name in ("var", "std"):

    def _corrected(rng: np.random.Generator, shape: tuple[int, ...], name: str = _name) -> Sample:
        x = distinct(rng, (*shape, 3))
        return lambda x: getattr(xp, name)(x, axis=-1, correction=1.0), (x,)

    sample(_name)(_corrected)

for _name in ("sum", "mean", "prod", "cumulative_sum", "cumulative_prod"):

    def _complex_reduction(
        rng: np.random.Generator, shape: tuple[int, ...], name: str = _name
    ) -> Sample:
        return lambda x: getattr(xp, name)(x, axis=-1), (complex_numbers(rng, row_shape(shape)),)

    sample(_name)(_complex_reduction)


@sample("var")
def _complex_var(rng: np.random.Generator, shape: tuple[int, ...]) -> Sample:
    return lambda x: xp.var(x, axis=-1), (complex_numbers(rng, row_shape(shape)),)


@sample("prod")
def _prod_of_zeros(rng: np.random.Generator, shape: tuple[int, ...]) -> Sample:
    x = numbers(rng, (*shape, 3))
    x[..., 1] = 0
    return lambda x: xp.prod(x, axis=-1), (x,)


def _with_zeros(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    x = numbers(rng, (*shape, 4))
    x[..., 1] = 0
    return x


@sample("cumulative_sum")
def _cumulative_sum(rng: np.random.Generator, shape: tuple[int, ...]) -> Sample:
    def sums(x: Any) -> Any:
        return xp.cumulative_sum(x, axis=0), xp.cumulative_sum(x, axis=-1, include_initial=True)

    return sums, (numbers(rng, row_shape(shape)),)


@sample("cumulative_prod")
def _cumulative_prod(rng: np.random.Generator, shape: tuple[int, ...]) -> Sample:
    def products(x: Any) -> Any:
        return xp.cumulative_prod(x, axis=0), xp.cumulative_prod(x, axis=-1, include_initial=True)

    return products, (_with_zeros(rng, shape),)


@sample("cumsum")
def _cumsum(rng: np.random.Generator, shape: tuple[int, ...]) -> Sample:
    return lambda x: (xp.cumsum(x), xp.cumsum(x, axis=-1)), (numbers(rng, row_shape(shape)),)


@sample("cumprod")
def _cumprod(rng: np.random.Generator, shape: tuple[int, ...]) -> Sample:
    return lambda x: (xp.cumprod(x), xp.cumprod(x, axis=-1)), (_with_zeros(rng, shape),)


@sample("sort")
def _sort(rng: np.random.Generator, shape: tuple[int, ...]) -> Sample:
    def sorts(x: Any) -> Any:
        return xp.sort(x), xp.sort(x, axis=0, descending=True), xp.sort(x, axis=None)

    return sorts, (distinct(rng, row_shape(shape)),)


for _name in ("nansum", "nanmean", "nanprod", "nanmax", "nanmin"):

    def _without_nan(rng: np.random.Generator, shape: tuple[int, ...], name: str = _name) -> Sample:
        function = getattr(xp, name)
        missing = np.zeros((*shape, 3), bool)
        missing[..., 1] = True

        def reductions(x: Any) -> Any:
            x = xp.where(missing, float("nan"), x)
            return function(x), function(x, axis=-1, keepdims=True)

        return reductions, (distinct(rng, (*shape, 3)),)

    sample(_name)(_without_nan)


for _name in ("nanvar", "nanstd", "nancumsum", "nancumprod"):

    def _spread(rng: np.random.Generator, shape: tuple[int, ...], name: str = _name) -> Sample:
        function = getattr(xp, name)
        missing = np.zeros((*shape, 4), bool)
        missing[..., 1] = True

        def along(x: Any) -> Any:
            x = xp.where(missing, float("nan"), x)
            return function(x), function(x, axis=[-1] if "cum" not in name else -1)

        return along, (distinct(rng, (*shape, 4)),)

    sample(_name)(_spread)


@sample("median")
def _median(rng: np.random.Generator, shape: tuple[int, ...]) -> Sample:
    def medians(x: Any) -> Any:
        return xp.median(x), xp.median(x, axis=-1, keepdims=True), xp.median(x, axis=(0, -1))

    return medians, (distinct(rng, (2, *shape, 3)),)


@sample("quantile")
def _quantile(rng: np.random.Generator, shape: tuple[int, ...]) -> Sample:
    def quantiles(x: Any, q: Any) -> Any:
        return xp.quantile(x, q), xp.quantile(x, q, axis=-1, keepdims=True), xp.quantile(x, 0.3)

    return quantiles, (distinct(rng, (*shape, 4)), rng.uniform(0.38, 0.6, 2))


@sample("select")
def _select(rng: np.random.Generator, shape: tuple[int, ...]) -> Sample:
    conditions = [rng.uniform(size=(*shape, 4)) < 0.4 for _ in range(2)]

    def selected(x: Any, y: Any, default: Any) -> Any:
        return xp.select(conditions, [x, y], default), xp.select(conditions[:1], [y])

    row = (*shape, 4)
    return selected, (numbers(rng, row), numbers(rng, (4,)), numbers(rng, row))


@sample("choose")
def _choose(rng: np.random.Generator, shape: tuple[int, ...]) -> Sample:
    places = rng.integers(-1, 3, (*shape, 4))

    def chosen(x: Any, y: Any) -> Any:
        return [xp.choose(places, [x, y], mode) for mode in ("wrap", "clip")]

    return chosen, (numbers(rng, (*shape, 4)), numbers(rng, (4,)))


@sample("ascontiguousarray")
@sample("asfortranarray")
def _contiguous(rng: np.random.Generator, shape: tuple[int, ...]) -> Sample:
    def contiguous(x: Any) -> Any:
        return xp.ascontiguousarray(xp.transpose(x)), xp.asfortranarray(x)

    return contiguous, (numbers(rng, shape),)


@sample("gradient_along")
def _gradient_along(rng: np.random.Generator, shape: tuple[int, ...]) -> Sample:
    def derivatives(x: Any, spacing: Any) -> Any:
        places = xp.cumsum(spacing)
        return (
            xp.gradient(x, 0.5, axis=-1),
            xp.gradient(x, places, axis=-1),
            xp.gradient(x, spacing[0], axis=-1, edge_order=2),
            xp.gradient(x, places, axis=-1, edge_order=2),
        )

    return derivatives, (numbers(rng, (*shape, 4)), rng.uniform(0.5, 1.5, 4))


@sample("partition")
def _partition(rng: np.random.Generator, shape: tuple[int, ...]) -> Sample:
    return lambda x: xp.partition(x, 2, axis=-1), (distinct(rng, (*shape, 5)),)


@sample("interp")
def _interp(rng: np.random.Generator, shape: tuple[int, ...]) -> Sample:
    def lines(x: Any, xs: Any, ys: Any) -> Any:
        return xp.interp(x, xs, ys), xp.interp(x, xs, ys, left=-3.0, right=2.0)

    return lines, (
        numbers(rng, (*shape, 5)) * 1.3, np.asarray([-2.0, -0.5, 1.0, 2.0]), numbers(rng, (4,))
    )  # fmt: skip


@sample("bincount")
def _bincount(rng: np.random.Generator, shape: tuple[int, ...]) -> Sample:
    bins = rng.integers(0, 4, 6)
    return lambda w: xp.bincount(bins, w, minlength=5), (numbers(rng, (6,)),)


# -- indexing --------------------------------------------------------------------------------------


@sample("getitem")
def _getitem(rng: np.random.Generator, shape: tuple[int, ...]) -> Sample:
    rows = np.asarray([0, 2, 2, -1])
    mask = np.asarray([True, False, True])

    def picks(x: Any) -> Any:
        return x[1], x[:, ::-1], x[..., None, 1:], x[rows], x[:, mask], x[rows, rows - 1], x[1, 2]

    return picks, (numbers(rng, (3, 3, *shape)),)


@sample("put_at")
def _put_at(rng: np.random.Generator, shape: tuple[int, ...]) -> Sample:
    rows = np.asarray([0, 2, 2])
    operator = xp.ROWS["put_at"].operator
    return lambda x: operator.call(x, [4, *x.shape[1:]], "a", [], [rows]), (
        numbers(rng, (3, *shape)),
    )


@sample("setitem")
def _setitem(rng: np.random.Generator, shape: tuple[int, ...]) -> Sample:
    rows = np.asarray([0, 2, 0])

    def write(x: Any, y: Any) -> Any:
        first, second, third = x * 1.0, x * 1.0, x * 1.0
        first[1] = y[0]
        second[rows] = y
        third[...] = 2.0
        return first, second, first * second + third

    return write, (numbers(rng, (4, *shape)), numbers(rng, (3, *shape)))


@sample("copyto")
def _copyto(rng: np.random.Generator, shape: tuple[int, ...]) -> Sample:
    def write(x: Any, y: Any) -> Any:
        out = xp.multiply(x, 1.0)
        xp.copyto(out, y * 2)
        return out * x

    return write, (numbers(rng, shape), numbers(rng, shape))


@sample("take")
def _take(rng: np.random.Generator, shape: tuple[int, ...]) -> Sample:
    rows = np.asarray([[0, 2], [2, 5]])

    def picks(x: Any) -> Any:
        return (
            xp.take(x, rows % 3, axis=0), xp.take(x, rows, axis=-1, mode="wrap"),
            xp.take(x, rows, mode="clip"), xp.take(x, 1, axis=0),
        )  # fmt: skip

    return picks, (numbers(rng, (3, *shape, 3)),)


@sample("take_along_axis")
def _take_along_axis(rng: np.random.Generator, shape: tuple[int, ...]) -> Sample:
    x = numbers(rng, (*shape, 3))
    order = rng.integers(0, 3, (*shape, 5))
    flat = rng.integers(0, x.size, 4)

    def picks(x: Any) -> Any:
        return xp.take_along_axis(x, order, axis=-1), xp.take_along_axis(x, flat, axis=None)

    return picks, (x,)


# -- products --------------------------------------------------------------------------------------


@sample("matmul")
def _matmul(rng: np.random.Generator, shape: tuple[int, ...]) -> Sample:
    return xp.matmul, (numbers(rng, (*shape, 2, 3)), numbers(rng, (*shape[-1:], 3, 4)))


@sample("matmul")
def _matmul_vectors(rng: np.random.Generator, shape: tuple[int, ...]) -> Sample:
    def products(a: Any, v: Any, w: Any) -> Any:
        return a @ v, w @ a, v @ v, w @ a @ v

    return products, (numbers(rng, (*shape, 2, 3)), numbers(rng, (3,)), numbers(rng, (2,)))


@sample("matmul")
def _matmul_complex(rng: np.random.Generator, shape: tuple[int, ...]) -> Sample:
    return xp.matmul, (complex_numbers(rng, (*shape, 2, 3)), numbers(rng, (3, 2)))


@sample("vecdot")
def _vecdot(rng: np.random.Generator, shape: tuple[int, ...]) -> Sample:
    def products(x: Any, y: Any) -> Any:
        return xp.vecdot(x, y), xp.vecdot(x, y, axis=-2)

    return products, (complex_numbers(rng, (*shape, 2, 3)), complex_numbers(rng, (2, 3)))


@sample("tensordot")
def _tensordot(rng: np.random.Generator, shape: tuple[int, ...]) -> Sample:
    def products(x: Any, y: Any) -> Any:
        return (
            xp.tensordot(x, y, axes=((1, 2), (2, 0))), xp.tensordot(x, y, axes=1),
            xp.tensordot(x, y, axes=0),
        )  # fmt: skip

    return products, (numbers(rng, (2, 3, 2)), complex_numbers(rng, (2, 2, 3)))


@sample("dot")
def _dot(rng: np.random.Generator, shape: tuple[int, ...]) -> Sample:
    def products(x: Any, y: Any, v: Any) -> Any:
        return xp.dot(x, y), xp.dot(x, v), xp.dot(v, v), xp.dot(v[0], y)

    return products, (numbers(rng, (*shape, 3)), numbers(rng, (2, 3, 2)), numbers(rng, (3,)))


for _name in ("outer", "linalg_outer"):

    def _outer(rng: np.random.Generator, shape: tuple[int, ...], name: str = _name) -> Sample:
        return xp.ROWS[name].function, (complex_numbers(rng, (2,)), numbers(rng, (3,)))

    sample(_name)(_outer)


@sample("einsum")
def _einsum(rng: np.random.Generator, shape: tuple[int, ...]) -> Sample:
    def sums(x: Any, y: Any) -> Any:
        return (
            xp.einsum("ij,jk->ik", x, y), xp.einsum("ij,jk", x, y), xp.einsum("...ij->...ji", x),
            xp.einsum("ii->i", x), xp.einsum("ii", x), xp.einsum("ij->", x),
            xp.einsum("ij,ik,jk->", x, x, y), xp.einsum("...i,...j->...", x, y),
            xp.einsum("ij->ji", x),
        )  # fmt: skip

    return sums, (numbers(rng, (3, 3)), complex_numbers(rng, (3, 3)))


@sample("linalg_cross")
def _cross(rng: np.random.Generator, shape: tuple[int, ...]) -> Sample:
    return xp.linalg.cross, (numbers(rng, (*shape, 3)), complex_numbers(rng, (3,)))


@sample("matvec")
def _matvec(rng: np.random.Generator, shape: tuple[int, ...]) -> Sample:
    return xp.matvec, (complex_numbers(rng, (*shape, 2, 3)), complex_numbers(rng, (2, *shape, 3)))


@sample("vecmat")
def _vecmat(rng: np.random.Generator, shape: tuple[int, ...]) -> Sample:
    return xp.vecmat, (complex_numbers(rng, (2, *shape, 3)), complex_numbers(rng, (*shape, 3, 2)))


for _name in ("convolve", "correlate"):
    for _sizes in ((5, 2), (4, 3), (2, 4), (3, 5)):

        def _convolve(
            rng: np.random.Generator,
            shape: tuple[int, ...],
            name: str = _name,
            sizes: tuple[int, int] = _sizes,
        ) -> Sample:
            def products(x: Any, y: Any) -> Any:
                function = getattr(xp, name)
                return [function(x, y, mode=mode) for mode in ("full", "same", "valid")]

            return products, (complex_numbers(rng, sizes[:1]), complex_numbers(rng, sizes[1:]))

        sample(_name)(_convolve)


# -- linear algebra --------------------------------------------------------------------------------


def matrices(
    rng: np.random.Generator, shape: tuple[int, ...], rows: int, columns: int, kind: str = "f"
) -> np.ndarray:
    """Matrices with singular values of about 1, 2, 3, ..."""
    size = (*shape[-1:], rows, columns)
    x = rng.standard_normal(size) + (1j * rng.standard_normal(size) if kind == "c" else 0)
    u, _, vh = np.linalg.svd(x, full_matrices=False)
    return np.asarray((u * (1 + np.arange(min(rows, columns)))) @ vh)


def adjoint(x: Any) -> Any:
    return xp.conj(xp.matrix_transpose(x))


def hermitian(x: Any) -> Any:
    return (x + adjoint(x)) / 2


_SQUARE: dict[str, Callable[[Any], Any]] = {
    "linalg_inv": lambda x: xp.linalg.inv(x),
    "linalg_det": lambda x: xp.linalg.det(x),
    "linalg_slogdet": lambda x: tuple(xp.linalg.slogdet(x)),
    "linalg_matrix_power": lambda x: [xp.linalg.matrix_power(x, n) for n in (0, 1, 3, -2)],
    "linalg_cholesky": lambda x: (
        xp.linalg.cholesky(x @ adjoint(x)), xp.linalg.cholesky(x @ adjoint(x), upper=True)
    ),
    "linalg_eigvalsh": lambda x: xp.linalg.eigvalsh(hermitian(x)),
    # What does not change with the phase of an eigenvector.
    "linalg_eigh": lambda x: (
        xp.linalg.eigh(hermitian(x))[0], xp.abs(xp.linalg.eigh(hermitian(x))[1])
    ),
}  # fmt: skip

_ANY: dict[str, Callable[[Any], Any]] = {
    "linalg_pinv": lambda x: xp.linalg.pinv(x),
    "linalg_svdvals": lambda x: xp.linalg.svdvals(x),
    "linalg_svd": lambda x: _svd_parts(*xp.linalg.svd(x, full_matrices=False)),
}


def _svd_parts(u: Any, s: Any, vh: Any) -> Any:
    return s, xp.abs(u), xp.abs(vh), (u * xp.exp(s)[..., None, :]) @ vh


for _kind in "fc":
    for _name, _function in _SQUARE.items():

        def _square(
            rng: np.random.Generator,
            shape: tuple[int, ...],
            f: Callable[[Any], Any] = _function,
            kind: str = _kind,
        ) -> Sample:
            return f, (matrices(rng, shape, 3, 3, kind),)

        sample(_name)(_square)

    for _name, _function in _ANY.items():
        for _size in ((3, 3), (4, 2), (2, 4)):

            def _any(
                rng: np.random.Generator,
                shape: tuple[int, ...],
                f: Callable[[Any], Any] = _function,
                kind: str = _kind,
                size: tuple[int, int] = _size,
            ) -> Sample:
                return f, (matrices(rng, shape, *size, kind),)

            sample(_name)(_any)

    for _size in ((3, 3), (4, 2)):

        def _qr(
            rng: np.random.Generator,
            shape: tuple[int, ...],
            kind: str = _kind,
            size: tuple[int, int] = _size,
        ) -> Sample:
            return lambda x: tuple(xp.linalg.qr(x)), (matrices(rng, shape, *size, kind),)

        sample("linalg_qr")(_qr)

    def _solve(rng: np.random.Generator, shape: tuple[int, ...], kind: str = _kind) -> Sample:
        def solves(a: Any, b: Any, v: Any) -> Any:
            return xp.linalg.solve(a, b), xp.linalg.solve(a, v)

        b = numbers(rng, (3, 2))
        return solves, (matrices(rng, shape, 3, 3, kind), b, numbers(rng, (3,)))

    sample("linalg_solve")(_solve)

    def _vector_norm(rng: np.random.Generator, shape: tuple[int, ...], kind: str = _kind) -> Sample:
        def norms(x: Any) -> Any:
            return [
                xp.linalg.vector_norm(x, axis=axis, ord=order, keepdims=axis == 0)
                for axis in (None, -1, 0)
                for order in (0, 1, 2, 3, 0.5, float("inf"), float("-inf"))
            ]

        x = distinct(rng, row_shape(shape)) + 0.03
        return norms, (x if kind == "f" else x * (1 + 0.5j),)

    sample("linalg_vector_norm")(_vector_norm)

    def _matrix_norm(rng: np.random.Generator, shape: tuple[int, ...], kind: str = _kind) -> Sample:
        def norms(x: Any) -> Any:
            orders = ("fro", "nuc", 1, -1, 2, -2, float("inf"), float("-inf"))
            return [xp.linalg.matrix_norm(x, ord=o, keepdims=o == 1) for o in orders]

        return norms, (matrices(rng, shape, 3, 3, kind),)

    sample("linalg_matrix_norm")(_matrix_norm)


@sample("diagonal")
def _diagonal(rng: np.random.Generator, shape: tuple[int, ...]) -> Sample:
    def parts(x: Any) -> Any:
        return xp.diagonal(x), xp.diagonal(x, 1, -1, 0), xp.diagonal(x, offset=-1)

    return parts, (numbers(rng, (3, 2, *shape)),)


@sample("diag_of")
def _diag(rng: np.random.Generator, shape: tuple[int, ...]) -> Sample:
    def parts(x: Any, y: Any) -> Any:
        return xp.diag(x), xp.diag(x, 1), xp.diag(y), xp.diag(y, -1)

    return parts, (numbers(rng, (3,)), numbers(rng, (3, 4)))


@sample("trace")
def _trace(rng: np.random.Generator, shape: tuple[int, ...]) -> Sample:
    def parts(x: Any) -> Any:
        return xp.trace(x), xp.trace(x, 1, -1, 0), xp.trace(x, offset=-1), xp.trace(x, offset=7)

    return parts, (numbers(rng, (3, 2, *shape)),)


# -- Fourier transforms ----------------------------------------------------------------------------

for _name in ("fft", "ifft", "rfft", "irfft", "hfft", "ihfft"):

    def _fft(rng: np.random.Generator, shape: tuple[int, ...], name: str = _name) -> Sample:
        function = getattr(xp.fft, name)

        def transforms(x: Any) -> Any:
            return [
                function(x, n=n, axis=axis, norm=norm)
                for n, axis, norm in (
                    (None, -1, "backward"), (3, 0, "ortho"), (6, -1, "forward"), (5, -1, "backward")
                )
            ]  # fmt: skip

        make = numbers if name in ("rfft", "ihfft") else complex_numbers
        return transforms, (make(rng, (4, *shape[:1], 5)),)

    sample(f"fft_{_name}")(_fft)


CASES = [(name, index) for name, builds in SAMPLES.items() for index in range(len(builds))]
"""Every sample, as the operator and which of its samples it is."""
