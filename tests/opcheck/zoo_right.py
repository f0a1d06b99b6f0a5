"""Right operators, odd ones among them: `opcheck` has to pass every one."""

from __future__ import annotations

from typing import Any

import numpy as np
from zoo import Animal, like, matrix, two, vector

from gpuops import get_ctx


def _write(x: Any, value: Any) -> None:
    x[...] = value


def _optional(x: Any, log: Any) -> Any:
    if log is not None:
        log += 1
    return _c(x * 2)


def _list_add(xs: Any) -> None:
    for x in xs:
        x += 1


def _nonzero_fake(x: Any) -> Any:
    return x.new_empty((get_ctx().new_dynamic_size(), x.ndim), np.int64)


def _nms(boxes: Any, scores: Any) -> Any:
    if boxes.ndim != 2 or boxes.shape[1] != 4 or scores.shape != boxes.shape[:1]:
        raise ValueError("boxes must be (n, 4) and scores (n,)")
    kept: list[int] = []
    for i in np.argsort(-scores, kind="stable"):
        low = np.maximum(boxes[kept, :2], boxes[i, :2])
        high = np.minimum(boxes[kept, 2:], boxes[i, 2:])
        if not (np.prod(np.clip(high - low, 0, None), axis=1) > 0.5).any():
            kept.append(int(i))
    return np.array(kept, np.int64)


def _nms_fake(boxes: Any, scores: Any) -> Any:
    if boxes.ndim != 2 or boxes.shape[1] != 4 or scores.ndim != 1:
        raise ValueError("boxes must be (n, 4) and scores (n,)")
    return scores.new_empty((get_ctx().new_dynamic_size(),), np.int64)


def _split(x: Any, sections: Any) -> Any:
    return [np.array(part) for part in np.split(x, sections)]


def _split_fake(x: Any, sections: Any) -> Any:
    first = min(sections[0], x.shape[0])
    return [x.new_empty((size, *x.shape[1:])) for size in (first, x.shape[0] - first)]


def _minmax(x: Any) -> Any:
    if not x.size:
        raise ValueError("minmax of no elements")
    return np.array(x.min()), np.array(x.max())


def _sorted(x: Any, dim: int) -> Any:
    return np.array(np.sort(x, axis=dim), order="C"), np.array(
        np.argsort(x, axis=dim, kind="stable"), order="C"
    )


def _c(x: Any) -> Any:
    return np.array(x, order="C")


def _matmul(x: Any, y: Any) -> Any:
    if x.ndim != 2 or y.ndim != 2:
        raise ValueError("x and y must be matrices")
    return _c(x @ y)


ONE = "(Array x) -> Array"
TWO = "(Array x, Array y) -> Array"


def _same(x: Any, y: Any) -> None:
    if x.shape != y.shape or x.dtype != y.dtype:
        raise ValueError("x and y must be alike")


def _binary(f: Any) -> Any:
    def kernel(x: Any, y: Any) -> Any:
        _same(x, y)
        return _c(f(x, y))

    return kernel


def _unary(f: Any) -> Any:
    return lambda x: _c(f(x))


def _rule(f: Any) -> Any:
    """The batching rule of an elementwise function of one array."""
    return lambda info, in_dims, x: (f(x), in_dims[0])


RIGHT = [
    Animal(
        "cube",
        ONE,
        _unary(lambda x: x**3),
        like,
        matrix,
        backward=lambda ctx, g: 3 * ctx.saved_arrays[0] ** 2 * g,
        vmap=_rule(lambda x: x**3),
    ),
    Animal(
        "cube_two",
        "(Array x) -> (Array, Array)",
        lambda x: (_c(x**3), _c(3 * x**2)),
        lambda x: (like(x), like(x)),
        matrix,
        backward=lambda ctx, g, h: 3 * ctx.saved_arrays[0] ** 2 * g + 6 * ctx.saved_arrays[0] * h,
    ),
    Animal(
        "mul",
        TWO,
        _binary(np.multiply),
        like,
        two,
        backward=lambda ctx, g: (g * ctx.saved_arrays[1], g * ctx.saved_arrays[0]),
    ),
    Animal("add", TWO, _binary(np.add), like, two, backward=lambda ctx, g: (g, g)),
    Animal(
        "mul_scalar",
        "(Array x, *, float scalar) -> Array",
        lambda x, *, scalar: _c(x * scalar),
        like,
        matrix,
        kwargs={"scalar": 2.5},
    ),
    Animal(
        "sort",
        "(Array x, int dim) -> (Array, Array)",
        _sorted,
        lambda x, dim: (like(x), x.new_empty(x.shape, np.int64)),
        lambda: (*matrix(), 1),
    ),
    Animal(
        "take",
        "(Array x, Array index) -> Array",
        lambda x, index: _c(np.take(x, index, axis=0)),
        lambda x, index: x.new_empty((*index.shape, *x.shape[1:])),
        lambda: (*matrix(), np.array([2, 0])),
    ),
    Animal(
        "nonzero",
        ONE,
        lambda x: np.array(np.argwhere(x), order="C"),
        _nonzero_fake,
        lambda: (np.array([[0.0, 1.0], [2.0, 0.0]]),),
    ),
    Animal(
        "view_copy",
        "(Array x, int[] shape) -> Array",
        lambda x, shape: np.array(x.reshape(shape), order="C"),
        lambda x, shape: x.new_empty(x.reshape(shape).shape),
        lambda: (*matrix(), [4, 3]),
    ),
    Animal(
        "cat",
        "(Array[] xs) -> Array",
        lambda xs: np.concatenate(xs),
        lambda xs: xs[0].new_empty((sum(x.shape[0] for x in xs), *xs[0].shape[1:])),
        lambda: ([np.ones((2, 3)), np.zeros((1, 3))],),
    ),
    Animal(
        "split_copy",
        "(Array x, int[] sections) -> Array[]",
        _split,
        _split_fake,
        lambda: (np.arange(10.0).reshape(5, 2), [2]),
    ),
    Animal(
        "split_with_int",
        "(Array x) -> (Array[], int)",
        lambda x: ([_c(x), _c(x)], 2),
        lambda x: ([like(x), like(x)], 2),
        matrix,
    ),
    Animal(
        "nms",
        "(Array boxes, Array scores) -> Array",
        _nms,
        _nms_fake,
        lambda: (np.array([[0.0, 0, 2, 2], [0, 0, 2, 2], [5, 5, 7, 7]]), np.array([0.5, 0.9, 0.3])),
    ),
    Animal(
        "fill_noise", "(Array(a!) x, float value) -> ()", _write, None, lambda: (*matrix(), 2.0)
    ),
    Animal(
        "optional_log",
        "(Array x, Array(a!)? log=None) -> Array",
        _optional,
        lambda x, log: like(x),
        lambda: (np.ones(3), np.zeros(3)),
    ),
    Animal(
        "optional_none",
        "(Array x, Array(a!)? log=None) -> Array",
        _optional,
        lambda x, log: like(x),
        lambda: (np.ones(3), None),
    ),
    Animal(
        "list_mutated",
        "(Array(a!)[] xs) -> ()",
        _list_add,
        None,
        lambda: ([np.ones(3), np.zeros(2)],),
    ),
    Animal(
        "empty_list",
        "(Array[] xs, Array x) -> Array",
        lambda xs, x: _c(x),
        lambda xs, x: like(x),
        lambda: ([], *matrix()),
    ),
    Animal(
        "optional_absent",
        "(Array x, Array? y=None) -> Array",
        lambda x, y: _c(x) if y is None else _c(x + y),
        like,
        matrix,
    ),
    Animal(
        "complex_square", ONE, _unary(lambda x: x * x), like, lambda: (np.array([1 + 2j, 3 - 1j]),)
    ),
    Animal(
        "logical_not",
        ONE,
        _unary(np.logical_not),
        lambda x: x.new_empty(x.shape, np.bool_),
        lambda: (np.array([True, False, True]),),
    ),
    Animal("zero_size", ONE, _unary(np.negative), like, lambda: (np.ones((0, 3)),)),
    Animal("zero_d", ONE, _unary(np.negative), like, lambda: (np.array(2.0),)),
    Animal(
        "transpose_copy",
        ONE,
        lambda x: np.array(x.T, order="C"),
        lambda x: x.new_empty(x.shape[::-1]),
        matrix,
    ),
    Animal(
        "fortran_out",
        ONE,
        lambda x: np.array(x, order="F"),
        lambda x: x.new_empty(x.shape[::-1]).T,
        matrix,
    ),
    Animal("scalar_return", "(Array x) -> int", lambda x: x.ndim, lambda x: x.ndim, matrix),
    Animal("nothing", "(Array x) -> ()", lambda x: None, lambda x: None, matrix),
    Animal(
        "tuple_of_one", "(Array x) -> (Array)", lambda x: (_c(x),), lambda x: (like(x),), matrix
    ),
    Animal(
        "minmax",
        "(Array x) -> (Array, Array)",
        _minmax,
        lambda x: (x.new_empty(()), x.new_empty(())),
        vector,
    ),
    Animal(
        "row_sum",
        ONE,
        lambda x: np.asarray(x.sum(axis=-1)),
        lambda x: x.new_empty(x.shape[:-1]),
        matrix,
    ),
    Animal(
        "relu",
        ONE,
        _unary(lambda x: np.maximum(x, 0)),
        like,
        matrix,
        backward=lambda ctx, g: g * (ctx.saved_arrays[0] > 0),
    ),
    Animal("round_half", ONE, _unary(np.round), like, matrix),
    Animal(
        "argmax", ONE, lambda x: np.array(x.argmax()), lambda x: x.new_empty((), np.int64), vector
    ),
    Animal(
        "matmul",
        TWO,
        _matmul,
        lambda x, y: x.new_empty((x.shape[0], y.shape[1])),
        lambda: (np.arange(6.0).reshape(2, 3), np.arange(12.0).reshape(3, 4)),
    ),
    Animal(
        "widen",
        ONE,
        lambda x: np.array(x, np.float64, order="C"),
        lambda x: x.new_empty(x.shape, np.float64),
        lambda: (np.ones((2, 3), np.float32),),
    ),
    Animal("nan_kept", ONE, _unary(np.abs), like, lambda: (np.array([np.nan, -1.0, np.inf]),)),
    Animal(
        "in_place_relu",
        "(Array(a!) x) -> ()",
        lambda x: _write(x, np.maximum(x, 0)),
        None,
        lambda: (np.ones(4),),
    ),
    Animal(
        "text",
        "(Array x, str mode) -> Array",
        lambda x, mode: _c(x),
        like,
        lambda: (*matrix(), "nearest"),
    ),
    Animal("empty_then_filled", ONE, lambda x: _filled(x), like, matrix),
    Animal(
        "two_scalars",
        "(Array x, float a, int n=2) -> Array",
        lambda x, a, n: _c(a * x**n),
        like,
        lambda: (*matrix(), 0.5),
    ),
    Animal("overlapping_inputs", TWO, _binary(np.subtract), like, lambda: _overlapping()),
]


def _filled(x: Any) -> Any:
    out = np.empty(x.shape, x.dtype)
    out[...] = x + 1
    return out


def _overlapping() -> tuple[Any, Any]:
    x = np.arange(6.0)
    return x[:4], x[2:]
