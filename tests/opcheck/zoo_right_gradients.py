"""Right gradient formulas that a checker may stumble over."""

from __future__ import annotations

from typing import Any

import numpy as np
from zoo import Animal, like, matrix, two

from gpuops import xp

ONE = "(Array x) -> Array"
TWO = "(Array x, Array y) -> Array"
PAIR = "(Array x) -> (Array, Array)"


def _c(x: Any) -> Any:
    return np.array(x, order="C")


def _r(
    name: str,
    kernel: Any,
    backward: Any,
    fake: Any = like,
    schema: str = ONE,
    sample: Any = matrix,
    **more: Any,
) -> Animal:
    return Animal(name, schema, kernel, fake, sample, backward=backward, **more)


def _x(ctx: Any) -> Any:
    return ctx.saved_arrays[0]


def _single(x: Any) -> Any:
    """Computed in float32, whatever is given."""
    return np.asarray(np.asarray(x, np.float32) ** 3, x.dtype, order="C")


def _only_float32(x: Any) -> Any:
    if x.dtype != np.float32:
        raise TypeError(f"x must be float32, got {x.dtype}")
    return _c(x**3)


def _only_float16(x: Any) -> Any:
    if x.dtype != np.float16:
        raise TypeError(f"x must be float16, got {x.dtype}")
    return _c(np.asarray(x * x, np.float16))


def _iterated_root(x: Any) -> Any:
    """The square root of 1 + x**2 by Newton's method, to three digits and a few more."""
    target = np.asarray(1 + x * x, np.float32)
    root = np.ones_like(target)
    for _ in range(60):
        new = (root + target / root) / 2
        if np.all(np.abs(new - root) <= 1e-3 * new):
            break
        root = new
    return np.asarray(new, x.dtype, order="C") if x.size else _c(x)


def _greatest(x: Any) -> Any:
    if not x.ndim or not x.shape[-1]:
        raise ValueError("x must have a last axis with elements")
    return np.array(x.max(axis=-1))


def _greatest_setup(ctx: Any, inputs: Any, output: Any) -> None:
    ctx.save_for_backward(inputs[0], output)


def _greatest_gradient(ctx: Any, g: Any) -> Any:
    x, out = ctx.saved_arrays
    first = (x == out[..., None]) & (np.cumsum(x == out[..., None], axis=-1) == 1)
    return g[..., None] * first


def _constant_second(ctx: Any, inputs: Any, output: Any) -> None:
    ctx.save_for_backward(inputs[0])
    ctx.mark_non_differentiable(output[1])


def _unmaterialised(ctx: Any, inputs: Any, output: Any) -> None:
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(inputs[0])


def _nones(ctx: Any, g: Any, h: Any) -> Any:
    x = _x(ctx)
    first = None if g is None else 3 * x**2 * g
    second = None if h is None else 2 * x * h
    if first is None or second is None:
        return second if first is None else first
    return first + second


def _list_setup(ctx: Any, inputs: Any, output: Any) -> None:
    ctx.save_for_backward(*inputs[0])


def _product_of_list(xs: Any) -> Any:
    out = xs[0].copy(order="C")
    for x in xs[1:]:
        if x.shape != out.shape:
            raise ValueError("the arrays must have one shape")
        out *= x
    return out


def _others(ctx: Any, g: Any) -> Any:
    arrays = ctx.saved_arrays
    found = []
    for i in range(len(arrays)):
        one = g
        for j, other in enumerate(arrays):
            if j != i:
                one = one * other
        found.append(one)
    return found


def _complex_sample() -> Any:
    random = np.random.default_rng(3)
    return (random.standard_normal(4) + 1j * random.standard_normal(4),)


def _broadcast_fake(x: Any, y: Any) -> Any:
    return x.new_empty(np.broadcast_shapes(x.shape, y.shape))


RIGHT_GRADIENTS = [
    _r("single_inside", _single, lambda ctx, g: 3 * _x(ctx) ** 2 * g),
    _r(
        "float32_only",
        _only_float32,
        lambda ctx, g: 3 * _x(ctx) ** 2 * g,
        sample=lambda: (np.linspace(-1, 1, 6, dtype=np.float32),),
    ),
    _r(
        "float16_only",
        _only_float16,
        lambda ctx, g: 2 * _x(ctx) * g,
        sample=lambda: (np.linspace(-1, 1, 6, dtype=np.float16),),
    ),
    _r(
        "iterated",
        _iterated_root,
        lambda ctx, g: g * _x(ctx) / np.sqrt(1 + _x(ctx) ** 2),
        sample=lambda: (np.linspace(-1, 1, 12, dtype=np.float32).reshape(3, 4),),
    ),
    _r(
        "tied_maximum",
        _greatest,
        _greatest_gradient,
        lambda x: x.new_empty(x.shape[:-1]),
        sample=lambda: (np.ones((3, 4)),),
        setup=_greatest_setup,
    ),
    _r(
        "absolute",
        lambda x: _c(np.abs(x)),
        lambda ctx, g: np.sign(_x(ctx)) * g,
        sample=lambda: (np.zeros(5),),
    ),
    _r(
        "clipped",
        lambda x: _c(np.clip(x, -1, 1)),
        lambda ctx, g: g * (np.abs(_x(ctx)) <= 1),
        sample=lambda: (np.array([-1.0, 1.0, 0.5, 2.0]),),
    ),
    _r("steps", lambda x: _c(np.floor(x)), lambda ctx, g: g * 0.0),
    _r("constant", lambda x: np.full(x.shape, 2, x.dtype), lambda ctx, g: None),
    _r(
        "tiny_values",
        lambda x: _c(x * x),
        lambda ctx, g: 2 * _x(ctx) * g,
        sample=lambda: (np.array([1e-20, 3e-20, -2e-20]),),
    ),
    _r(
        "huge_values",
        lambda x: _c(x * 1e10),
        lambda ctx, g: g * 1e10,
        sample=lambda: (np.array([1e20, 3e21, -2e20]),),
    ),
    _r(
        "mixed_scales",
        lambda x: _c(x**3),
        lambda ctx, g: 3 * _x(ctx) ** 2 * g,
        sample=lambda: (np.array([1e-8, 1.0, -1e6, 0.0]),),
    ),
    _r(
        "one_gradient_twice",
        lambda x, y: _c(x + y),
        lambda ctx, g: (g, g),
        _broadcast_fake,
        TWO,
        two,
    ),
    _r(
        "broadcasting_product",
        lambda x, y: _c(x * y),
        lambda ctx, g: (g * ctx.saved_arrays[1], g * ctx.saved_arrays[0]),
        _broadcast_fake,
        TWO,
        lambda: (two()[0], two()[1][:1]),
    ),
    _r(
        "constant_output",
        lambda x: (_c(x**3), _c(x**2)),
        lambda ctx, g, h: 3 * _x(ctx) ** 2 * g,
        lambda x: (like(x), like(x)),
        PAIR,
        setup=_constant_second,
    ),
    _r(
        "gradients_left_out",
        lambda x: (_c(x**3), _c(x**2)),
        _nones,
        lambda x: (like(x), like(x)),
        PAIR,
        setup=_unmaterialised,
    ),
    _r(
        "integer_beside",
        lambda x: (_c(x**2), np.array(np.sign(x), np.int64, order="C")),
        lambda ctx, g, h: 2 * _x(ctx) * g,
        lambda x: (like(x), x.new_empty(x.shape, np.int64)),
        PAIR,
    ),
    _r(
        "list_product",
        _product_of_list,
        _others,
        lambda xs: xs[0].new_empty(xs[0].shape),
        "(Array[] xs) -> Array",
        lambda: ([two()[0], two()[1], two()[0] + 1],),
        setup=_list_setup,
    ),
    _r(
        "complex_square_of",
        lambda x: _c(x * x),
        lambda ctx, g: 2 * xp.conj(_x(ctx)) * g,
        sample=_complex_sample,
    ),
    _r(
        "complex_magnitude",
        lambda x: np.array(np.abs(x) ** 2, np.float64, order="C"),
        lambda ctx, g: 2 * _x(ctx) * g,
        lambda x: x.new_empty(x.shape, np.float64),
        sample=_complex_sample,
    ),
    _r(
        "large",
        lambda x: _c(np.sin(x)),
        lambda ctx, g: g * np.cos(_x(ctx)),
        sample=lambda: (np.random.default_rng(1).standard_normal((300, 200)),),
    ),
    _r(
        "total",
        lambda x: np.array(x.sum()),
        lambda ctx, g: g * np.ones_like(_x(ctx)),
        lambda x: x.new_empty(()),
    ),
    _r(
        "logarithm",
        lambda x: _c(np.log(x)),
        lambda ctx, g: g / _x(ctx),
        sample=lambda: (np.array([1e-3, 0.5, 2.0]),),
    ),
    _r(
        "needs_checked",
        lambda x, y: _c(x * y),
        lambda ctx, g: (
            g * ctx.saved_arrays[1] if ctx.needs_input_grad[0] else None,
            g * ctx.saved_arrays[0] if ctx.needs_input_grad[1] else None,
        ),
        _broadcast_fake,
        TWO,
        two,
    ),
    _r(
        "sum_of_products",
        lambda x, y: np.asarray((x * y).sum()),
        lambda ctx, g: (g * ctx.saved_arrays[1], g * ctx.saved_arrays[0]),
        lambda x, y: x.new_empty(()),
        TWO,
        two,
    ),
]
