"""Wrong gradient formulas: each is right somewhere, and most are right nearly everywhere."""

from __future__ import annotations

from typing import Any

import numpy as np
from zoo import Animal, like, matrix, two, vector

from gpuops import stop_gradient, xp

ONE = "(Array x) -> Array"
TWO = "(Array x, Array y) -> Array"
PAIR = "(Array x) -> (Array, Array)"


def _c(x: Any) -> Any:
    return np.array(x, order="C")


def _cube(x: Any) -> Any:
    return _c(x**3)


def _x(ctx: Any) -> Any:
    return ctx.saved_arrays[0]


def _slope(ctx: Any) -> Any:
    """Of the cube."""
    return 3 * _x(ctx) ** 2


def _product_fake(x: Any, y: Any) -> Any:
    return x.new_empty(np.broadcast_shapes(x.shape, y.shape))


def _product(x: Any, y: Any) -> Any:
    return _c(x * y)


def _g(
    name: str,
    message: str,
    backward: Any,
    kernel: Any = _cube,
    fake: Any = like,
    schema: str = ONE,
    sample: Any = matrix,
    **more: Any,
) -> Animal:
    return Animal(
        name, schema, kernel, fake, sample, "test_autograd", message, backward=backward, **more
    )


# -- where it is wrong -----------------------------------------------------------------------------


def _broadcast(ctx: Any, g: Any) -> Any:
    x, y = ctx.saved_arrays
    return g * y, (g * x if x.shape == y.shape else g * x / 2)


def _swapped_if_broadcast(ctx: Any, g: Any) -> Any:
    x, y = ctx.saved_arrays
    return (g * y, g * x) if x.ndim == y.ndim else (g * x, g * y)


def _one_element(factor: float) -> Any:
    def backward(ctx: Any, g: Any) -> Any:
        found = np.array(_slope(ctx) * g)
        found[..., -1] *= factor
        return found

    return backward


def _when(test: Any, factor: float = 2.0) -> Any:
    def backward(ctx: Any, g: Any) -> Any:
        return _slope(ctx) * g * (factor if test(_x(ctx), g) else 1.0)

    return backward


# -- what it relies on -----------------------------------------------------------------------------


def _partial(ctx: Any, g: Any) -> Any:
    x, y = ctx.saved_arrays
    if all(ctx.needs_input_grad):
        return g * y, g * x
    return g * x, g * y


def _partial_none(ctx: Any, g: Any) -> Any:
    x, y = ctx.saved_arrays
    return g * y, (g * x if ctx.needs_input_grad[0] else None)


def _into_cotangent(ctx: Any, g: Any) -> Any:
    found = _slope(ctx) * g
    g[...] = 0
    return found


def _scale_in_place(ctx: Any, g: Any) -> Any:
    g *= 3
    return _x(ctx) ** 2 * g


def _writes_input(ctx: Any, inputs: Any, output: Any) -> None:
    ctx.save_for_backward(inputs[0].copy())
    inputs[0][...] = 0


def _writes_output(ctx: Any, inputs: Any, output: Any) -> None:
    ctx.save_for_backward(inputs[0])
    output[...] += 1e-3


def _writes_saved(ctx: Any, g: Any) -> Any:
    x = _x(ctx)
    found = 3 * x**2 * g
    x[...] = 0
    return found


_buffers: dict[Any, Any] = {}


def _scratch(ctx: Any, g: Any) -> Any:
    buffer = _buffers.setdefault(g.shape, np.zeros(g.shape))
    buffer[...] = _slope(ctx) * g
    return buffer


def _both_scratch(ctx: Any, g: Any) -> Any:
    x, y = ctx.saved_arrays
    buffer = np.empty(g.shape)
    np.multiply(g, y, out=buffer)
    first = buffer
    np.multiply(g, x, out=buffer)
    return first, buffer


_passes = [0]


def _every_second(ctx: Any, g: Any) -> Any:
    _passes[0] += 1
    return _slope(ctx) * g * (1 + 1e-6 * (_passes[0] % 2))


def _memory_order(ctx: Any, g: Any) -> Any:
    return _slope(ctx) * np.asarray(g).ravel(order="K").reshape(g.shape)


# -- several outputs and inputs --------------------------------------------------------------------


def _unmaterialised(ctx: Any, inputs: Any, output: Any) -> None:
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(inputs[0])


def _none_is_one(ctx: Any, g: Any, h: Any) -> Any:
    g = np.ones_like(h) if g is None else g
    h = np.zeros_like(g) if h is None else h
    return 3 * _x(ctx) ** 2 * g + 2 * _x(ctx) * h


def _list_setup(ctx: Any, inputs: Any, output: Any) -> None:
    ctx.save_for_backward(*inputs[0])


def _list_swapped(ctx: Any, g: Any) -> Any:
    first, second = ctx.saved_arrays
    return [g * first, g * second]


def _optional_setup(ctx: Any, inputs: Any, output: Any) -> None:
    ctx.save_for_backward(*inputs)


def _only_float32(x: Any) -> Any:
    if x.dtype != np.float32:
        raise TypeError(f"x must be float32, got {x.dtype}")
    return _cube(x)


def _complex_sample() -> Any:
    random = np.random.default_rng(3)
    return (random.standard_normal(4) + 1j * random.standard_normal(4),)


def _large() -> Any:
    return (np.random.default_rng(3).standard_normal((60, 50)),)


WRONG_GRADIENTS = [
    # -- where it is wrong -------------------------------------------------------------------------
    _g("broadcast_only", "analytical", _broadcast, _product, _product_fake, TWO, two),
    _g("broadcast_swapped", "gradient", _swapped_if_broadcast, _product, _product_fake, TWO, two),
    _g(
        "second_argument_factor",
        "with respect to 'y'",
        lambda ctx, g: (g * ctx.saved_arrays[1], 1.01 * g * ctx.saved_arrays[0]),
        _product,
        _product_fake,
        TWO,
        two,
    ),
    _g("one_element", "at element", _one_element(1.001)),
    _g("one_of_three_thousand", "at element", _one_element(1.5), sample=_large),
    _g("off_by_a_thousandth", "numerical", lambda ctx, g: 1.001 * _slope(ctx) * g),
    _g("large_sample", "numerical", lambda ctx, g: -_slope(ctx) * g, sample=_large),
    _g("negative_only", "numerical", lambda ctx, g: 3 * _x(ctx) * abs(_x(ctx)) * g),
    _g("rank_three_only", "numerical", _when(lambda x, g: x.ndim == 3)),
    _g("scalar_only", "numerical", _when(lambda x, g: x.ndim == 0), sample=vector),
    _g("larger_only", "numerical", _when(lambda x, g: x.shape[-1:] > (5,)), sample=vector),
    _g("fails_when_empty", "IndexError", lambda ctx, g: _slope(ctx) * g + 0 * g.reshape(-1)[0]),
    _g(
        "not_conjugated",
        "numerical",
        lambda ctx, g: 2 * _x(ctx) * g,
        lambda x: _c(x**2),
        sample=_complex_sample,
    ),
    _g(
        "float32_only",
        "numerical",
        lambda ctx, g: 1.2 * _slope(ctx) * g,
        _only_float32,
        sample=lambda: (np.linspace(-1, 1, 6, dtype=np.float32),),
    ),
    # -- what it gives -----------------------------------------------------------------------------
    _g("less_precise", "float32", lambda ctx, g: np.asarray(_slope(ctx) * g, np.float32)),
    _g("rounded_inside", "not linear", lambda ctx, g: _slope(ctx) * np.asarray(g, np.float32)),
    _g("whole_numbers", "numerical", lambda ctx, g: (_slope(ctx) * g).astype(np.int64)),
    _g("transposed", "gradient", lambda ctx, g: (_slope(ctx) * g).T),
    _g("summed", "invalid gradient", lambda ctx, g: (_slope(ctx) * g).sum(axis=0)),
    # -- what it relies on -------------------------------------------------------------------------
    _g("partial", "with only", _partial, _product, _product_fake, TWO, two),
    _g("partial_none", "with only 'y' to diff", _partial_none, _product, _product_fake, TWO, two),
    _g("writes_to_cotangent", "writes to the gradient of an output", _into_cotangent),
    _g("scales_cotangent", "writes to the gradient of an output", _scale_in_place),
    _g("setup_writes_input", "gradient", lambda ctx, g: _slope(ctx) * g, setup=_writes_input),
    _g(
        "setup_writes_output",
        "where a gradient is needed",
        lambda ctx, g: _slope(ctx) * g,
        setup=_writes_output,
    ),
    _g("writes_saved", "gradient", _writes_saved),
    _g("keeps_its_gradient", "returns it again", _scratch),
    _g("one_buffer_for_two", "with respect to 'x'", _both_scratch, _product, like, TWO, two),
    _g("squares_cotangent", "numerical", lambda ctx, g: _slope(ctx) * g * abs(g)),
    _g("clips_cotangent", "not linear", lambda ctx, g: _slope(ctx) * np.clip(g, -100, 100)),
    _g("shifts_cotangent", "not linear", lambda ctx, g: _slope(ctx) * (g + 1e-7 * (g == 0))),
    _g("ones_only", "numerical", lambda ctx, g: _slope(ctx) * g * (g == 1)),
    _g("every_second_pass", "not reproducible", _every_second),
    _g(
        "random_gradient",
        "gradient",
        lambda ctx, g: _slope(ctx) * g * (1 + 1e-4 * np.random.default_rng().random()),
    ),
    _g("memory_order", "in Fortran order", _memory_order),
    _g(
        "writes_where_read_only",
        "read-only",
        lambda ctx, g: np.multiply(g, 1, out=g) * _slope(ctx),
    ),
    # -- several outputs and inputs ----------------------------------------------------------------
    _g(
        "second_output_ignored",
        "numerical",
        lambda ctx, g, h: 3 * _x(ctx) ** 2 * g,
        lambda x: (_cube(x), _c(x**2)),
        lambda x: (like(x), like(x)),
        PAIR,
    ),
    _g(
        "none_taken_for_one",
        "with only floating-point output 1 used",
        _none_is_one,
        lambda x: (_cube(x), _c(x**2)),
        lambda x: (like(x), like(x)),
        PAIR,
        setup=_unmaterialised,
    ),
    _g(
        "list_swapped",
        "numerical",
        _list_swapped,
        lambda xs: _c(xs[0] * xs[1]),
        lambda xs: xs[0].new_empty(xs[0].shape),
        "(Array[] xs) -> Array",
        lambda: (list(two()),),
        setup=_list_setup,
    ),
    _g(
        "optional_wrong",
        "with respect to 'y'",
        lambda ctx, g: (g, None if ctx.saved_arrays[1] is None else -g),
        lambda x, y: _c(x) if y is None else _product(x, np.ones(y.shape)) + y,
        like,
        "(Array x, Array? y=None) -> Array",
        two,
        setup=_optional_setup,
    ),
    _g(
        "traced_only",
        "traced gradient",
        lambda ctx, g: (2 if ".trace" in type(g).__module__ else 3) * _x(ctx) ** 2 * g,
    ),
    _g(
        "reads_data",
        "cannot be traced",
        lambda ctx, g: g * (float(xp.sum(0 * _x(ctx))) - 1.0),
        lambda x: _c(-x),
    ),
    _g(
        "branches_on_data",
        "cannot be traced",
        lambda ctx, g: _slope(ctx) * g if bool(xp.any(g != 0)) else g,
    ),
    _g(
        "ignores_a_number",
        "numerical",
        lambda ctx, g: (g, None),
        lambda x, s: _c(x * s),
        lambda x, s: like(x),
        "(Array x, float s) -> Array",
        lambda: (*matrix(), 1.0),
    ),
    _g(
        "ignores_a_keyword",
        "numerical",
        lambda ctx, g: 2.0 * g,
        lambda x, *, s: _c(x * s),
        lambda x, *, s: like(x),
        "(Array x, *, float s=2.0) -> Array",
        setup=lambda ctx, inputs, keyword_only_inputs, output: None,
    ),
    # -- second gradients --------------------------------------------------------------------------
    _g(
        "second_without_x",
        "second gradient",
        lambda ctx, g: xp.multiply(3 * stop_gradient(_x(ctx)) ** 2, g),
    ),
    _g(
        "second_without_cotangent",
        "second gradient",
        lambda ctx, g: 3 * _x(ctx) ** 2 * stop_gradient(g),
    ),
    _g(
        "second_of_product",
        "second gradient",
        lambda ctx, g: (g * stop_gradient(ctx.saved_arrays[1]), g * ctx.saved_arrays[0]),
        _product,
        like,
        TWO,
        two,
    ),
]
