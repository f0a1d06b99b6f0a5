"""Wrong fakes and batching rules, most of them right for the sample as it is."""

from __future__ import annotations

from typing import Any

import numpy as np
from zoo import Animal, like, matrix, two, vector

from gpuops import get_ctx, xp

ONE = "(Array x) -> Array"
TWO = "(Array x, Array y) -> Array"
PAIR = "(Array x) -> (Array, Array)"


def _c(x: Any) -> Any:
    return np.array(x, order="C")


def _fake(
    name: str,
    message: str,
    fake: Any,
    kernel: Any = _c,
    schema: str = ONE,
    sample: Any = matrix,
    **more: Any,
) -> Animal:
    return Animal(name, schema, kernel, fake, sample, "test_fake", message, **more)


def _batch(
    name: str,
    message: str,
    vmap: Any,
    kernel: Any = lambda x: _c(2 * x),
    fake: Any = like,
    schema: str = ONE,
    sample: Any = matrix,
    **more: Any,
) -> Animal:
    return Animal(name, schema, kernel, fake, sample, "test_vmap", message, vmap=vmap, **more)


# -- fakes -----------------------------------------------------------------------------------------

_calls = [0]


def _counts(x: Any) -> Any:
    _calls[0] += 1
    return x.new_empty((*x.shape[:-1], x.shape[-1])) if _calls[0] < 4 or not x.ndim else x.T


_last: list[Any] = [()]


def _tells(x: Any) -> Any:
    _last[0] = x.shape
    return _c(x)


def _remembers(x: Any) -> Any:
    """What the kernel saw last."""
    return x.new_empty(_last[0])


def _interface(x: Any) -> Any:
    return x.new_empty((x.__array_interface__["data"][0] % 2 + 3, 4))


def _half_of_second(x: Any) -> Any:
    """Halves the second axis, where the kernel halves the last."""
    return x.new_empty((*x.shape[:1], *(n // 2 for n in x.shape[1:2]), *x.shape[2:]))


def _half_of_last(x: Any) -> Any:
    if not x.ndim:
        raise ValueError("x must have a last axis")
    return _c(x[..., : x.shape[-1] // 2])


def _two_sizes(x: Any) -> Any:
    n = get_ctx().new_dynamic_size()
    return x.new_empty((n,)), x.new_empty((n + 1,))


def _positive_twice(x: Any) -> Any:
    found = np.array(x[x > 0])
    return found, np.array(np.concatenate([found, found[:2]]))


def _bounded(x: Any) -> Any:
    """At most half of the elements, says the fake."""
    return x.new_empty((get_ctx().new_dynamic_size(min=0, max=max(2, x.size // 2)),))


def _pair_if_wide(x: Any) -> Any:
    return [like(x)] * 1 if x.ndim == 2 and x.shape[1] > 6 else [like(x), like(x)]


# -- batching --------------------------------------------------------------------------------------


def _front(x: Any, axis: Any) -> Any:
    return x if axis is None else xp.moveaxis(x, axis, 0)


def _only_axis_zero(info: Any, in_dims: Any, x: Any) -> Any:
    return _c(2 * x[0:]), 0


def _row_sums(x: Any) -> Any:
    if not x.ndim:
        raise ValueError("x must have a last axis")
    return np.array(x.sum(axis=-1))


def _sums_last(info: Any, in_dims: Any, x: Any) -> Any:
    """Sums the last axis, which may be the batch's."""
    return x.sum(axis=-1), 0


def _both(kernel: Any) -> Any:
    def rule(info: Any, in_dims: Any, x: Any, y: Any) -> Any:
        return kernel(_front(x, in_dims[0]), _front(y, in_dims[1])), 0

    return rule


def _add(x: Any, y: Any) -> Any:
    if x.shape != y.shape or x.dtype != y.dtype:
        raise ValueError("x and y must be alike")
    return _c(x + y)


def _second_batched(info: Any, in_dims: Any, x: Any, y: Any) -> Any:
    """Takes for granted that the second argument has the batch too."""
    if in_dims[1] is None:
        y = xp.stack([y * 0] * info.batch_size)
    return _front(x, in_dims[0]) + _front(y, in_dims[1]), 0


def _first_for_all(info: Any, in_dims: Any, x: Any, y: Any) -> Any:
    x, y = _front(x, in_dims[0]), _front(y, in_dims[1])
    return (x + y if in_dims[0] is not None else x[None] + y[:1] * np.ones_like(y)), 0


def _three(info: Any, in_dims: Any, x: Any) -> Any:
    x = xp.moveaxis(x, in_dims[0], 0)
    return xp.reshape(2 * x[:3], (3, *x.shape[1:])), 0


def _in_place(info: Any, in_dims: Any, x: Any) -> Any:
    x *= 2
    return x + 0, in_dims[0]


def _alias(info: Any, in_dims: Any, x: Any) -> Any:
    return x, in_dims[0]


def _lower(info: Any, in_dims: Any, x: Any) -> Any:
    return np.asarray(2 * x, np.float32), in_dims[0]


def _mixed(info: Any, in_dims: Any, x: Any) -> Any:
    x = xp.moveaxis(x, in_dims[0], 0)
    return 2 * (x - xp.mean(x, axis=0) * 1e-3), 0


def _list_rule(info: Any, in_dims: Any, xs: Any) -> Any:
    """Adds up a list, the batched ones only."""
    arrays = [xp.moveaxis(x, d, 0) for x, d in zip(xs, in_dims[0], strict=True) if d is not None]
    total = arrays[0]
    for array in arrays[1:]:
        total = total + array
    return total + 0, 0


def _list_sum(xs: Any) -> Any:
    if len({x.shape for x in xs}) > 1:
        raise ValueError("the arrays must have one shape")
    return _c(sum(xs))


def _write(x: Any) -> None:
    x *= 2


def _write_first(info: Any, in_dims: Any, x: Any) -> Any:
    xp.moveaxis(x, in_dims[0], 0)[:1] *= 2
    return None, None


def _pair_swapped(info: Any, in_dims: Any, x: Any) -> Any:
    return (x + 1, x * 2), (in_dims[0], in_dims[0])


WRONG_RULES = [
    # -- fakes -------------------------------------------------------------------------------------
    _fake("fake_halves_second", "the shape of the output is", _half_of_second, _half_of_last),
    _fake("fake_counts", "the shape of the output is", _counts),
    _fake("fake_remembers", "called again", _remembers, _tells),
    _fake("fake_interface", "fails on", _interface),
    _fake(
        "fake_float64_only",
        "the dtype of the output is",
        lambda x: x.new_empty(x.shape, np.float32) if x.dtype == np.float32 else like(x),
        lambda x: np.array(x, np.float64, order="C"),
        sample=lambda: (np.ones((2, 3), np.float32),),
    ),
    _fake(
        "fake_wide_for_narrow",
        "the dtype of the output is",
        lambda x: x.new_empty(x.shape, np.float64),
    ),
    _fake(
        "fake_keeps_order",
        "the strides of the output are",
        lambda x: x.new_empty(x.shape[::-1]).T if not x.flags.c_contiguous else like(x),
    ),
    _fake(
        "fortran_sample",
        "the strides of the output are",
        like,
        lambda x: np.array(x, order="K"),
        sample=lambda: (np.asfortranarray(matrix()[0]),),
    ),
    _fake("fake_on_cpu", "for arrays on cuda:0", lambda x: x.new_empty(x.shape, device="cpu")),
    _fake(
        "fake_on_first_device",
        "for arrays on cuda:1",
        lambda x: x.new_empty(x.shape, device="cuda:0" if x.device.type == "cuda" else "cpu"),
    ),
    _fake(
        "fake_one_more",
        "elsewhere",
        _two_sizes,
        _positive_twice,
        PAIR,
        sample=lambda: (np.ones(5),),
    ),
    _fake(
        "fake_bounds_of_half",
        "outside the bounds",
        _bounded,
        lambda x: np.array(x[x > 0]),
        sample=lambda: (np.array([1.0, 1.0, -1.0, -1.0]),),
    ),
    _fake(
        "fake_other_int",
        "is 2, but the fake's is 3",
        lambda x: x.ndim + 1,
        lambda x: x.ndim,
        "(Array x) -> int",
    ),
    _fake(
        "fake_int_bounds",
        "outside the bounds",
        lambda x: get_ctx().new_dynamic_size(min=100),
        lambda x: int((x > 0).sum()),
        "(Array x) -> int",
    ),
    _fake(
        "fake_list_of_one",
        "arrays, the fake 1",
        _pair_if_wide,
        lambda x: [_c(x), _c(x)],
        "(Array x) -> Array[]",
    ),
    _fake(
        "fake_empty_is_special",
        "the shape of the output is",
        lambda x: x.new_empty((0,)) if not x.size else like(x),
    ),
    _fake(
        "fake_scalars_get_an_axis",
        "the shape of the output is",
        lambda x: x.new_empty(x.shape or (1,)),
        sample=vector,
    ),
    _fake(
        "fake_squeezes",
        "the shape of the output is",
        lambda x: x.new_empty(tuple(n for n in x.shape if n != 1)),
    ),
    _fake(
        "fake_second_argument",
        "the shape of the output is",
        lambda x, y: y.new_empty(y.shape),
        lambda x, y: _c(np.broadcast_to(x, x.shape) + np.zeros(x.shape)),
        TWO,
        two,
    ),
    # -- batching rules ----------------------------------------------------------------------------
    _batch("vmap_axis_zero", "in_dims", _only_axis_zero),
    _batch("vmap_last_axis", "in_dims", _sums_last, _row_sums, lambda x: x.new_empty(x.shape[:-1])),
    _batch("vmap_first_alone", "fails with", _both(lambda x, y: x + y[:2]), _add, like, TWO, two),
    _batch("vmap_second_zero", "not what a loop gives", _second_batched, _add, like, TWO, two),
    _batch("vmap_first_element", "not what a loop gives", _first_for_all, _add, like, TWO, two),
    _batch("vmap_of_three", "a batch of", _three),
    _batch("vmap_writes", "writes to 'x'", _in_place),
    _batch("vmap_alias", "shares memory with 'x'", _alias, _c),
    _batch("vmap_precision", "float32", _lower),
    _batch("vmap_mixes_elements", "not what a loop gives", _mixed),
    _batch(
        "vmap_constant_sample",
        "not what a loop gives",
        lambda info, in_dims, x: (2 * xp.flip(x, axis=in_dims[0]), in_dims[0]),
        sample=lambda: (np.ones((3, 4)),),
    ),
    _batch(
        "vmap_out_axis",
        "batching rule",
        lambda info, in_dims, x: (2 * xp.moveaxis(x, in_dims[0], 0), 1),
        sample=lambda: (np.arange(9.0).reshape(3, 3),),
    ),
    _batch(
        "vmap_negative_axis",
        "batching rule",
        lambda info, in_dims, x: (2 * x, -1 if in_dims[0] else 0),
    ),
    _batch(
        "vmap_list",
        "not what a loop gives",
        _list_rule,
        _list_sum,
        lambda xs: xs[0].new_empty(xs[0].shape),
        "(Array[] xs) -> Array",
        lambda: (list(two()),),
    ),
    _batch(
        "vmap_mutates_first",
        "what is written to 'x'",
        _write_first,
        _write,
        None,
        "(Array(a!) x) -> ()",
    ),
    _batch(
        "vmap_outputs_swapped",
        "output 0",
        _pair_swapped,
        lambda x: (_c(x * 2), _c(x + 1)),
        lambda x: (like(x), like(x)),
        PAIR,
    ),
]
