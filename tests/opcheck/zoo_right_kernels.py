"""Right kernels, fakes and batching rules that a checker may stumble over."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
from zoo import Animal, like, matrix, two, vector

from gpuops import get_ctx, xp
from gpuops.random import RNGState

ONE = "(Array x) -> Array"
TWO = "(Array x, Array y) -> Array"
PAIR = "(Array x) -> (Array, Array)"


def _c(x: Any) -> Any:
    return np.array(x, order="C")


def _r(
    name: str,
    kernel: Any,
    fake: Any = like,
    schema: str = ONE,
    sample: Any = matrix,
    **more: Any,
) -> Animal:
    return Animal(name, schema, kernel, fake, sample, **more)


# -- values that compare badly ---------------------------------------------------------------------


def _quotient(x: Any) -> Any:
    with np.errstate(all="ignore"):
        return _c(x / (x - x))


def _only_half(x: Any) -> Any:
    if x.dtype != np.float16:
        raise TypeError(f"x must be float16, got {x.dtype}")
    return _c(np.asarray(np.tanh(x), np.float16))


# -- state that is none ----------------------------------------------------------------------------

_tables: dict[Any, Any] = {}
_lock = threading.Lock()


def _table(x: Any) -> Any:
    """Constants that are made once for a size, under a lock, and never written to again."""
    if not x.ndim:
        raise ValueError("x must have an axis")
    n = x.shape[-1]
    with _lock:
        found = _tables.get(n)
        if found is None:
            found = np.arange(float(n))
            found.flags.writeable = False
            _tables[n] = found
    return np.array(x + found.astype(x.dtype), order="C")


_local = threading.local()


def _scratch_per_thread(x: Any) -> Any:
    """A buffer that is kept from call to call, one for each thread, and never returned."""
    rooms = _local.__dict__.setdefault("rooms", {})
    room = rooms.setdefault((x.shape, x.dtype), np.zeros(x.shape, x.dtype))
    room[...] = x
    room += 1
    return room.copy()


_statistics = {"calls": 0}


def _counted(x: Any) -> Any:
    """Statistics that no result depends on."""
    _statistics["calls"] += 1
    return _c(x)


def _drawn(x: Any, rng: Any) -> Any:
    """Adds noise from the state that it is given, and moves the state on."""
    offset = int(rng.offset[0])
    noise = np.random.Generator(np.random.Philox(key=int(rng.key[0]), counter=offset))
    out = np.array(x + noise.random(x.shape), x.dtype, order="C")
    rng.offset[0] += x.size
    return out


# -- refusals --------------------------------------------------------------------------------------


def _particular(x: Any) -> Any:
    """Takes float64 matrices in C order that are aligned and writeable, and says so."""
    if x.dtype != np.float64 or x.ndim != 2:
        raise TypeError(f"x must be a float64 matrix, got {x.dtype} with {x.ndim} axes")
    if not (x.flags.c_contiguous and x.flags.aligned and x.flags.writeable):
        raise ValueError("x must be C-contiguous, aligned and writeable")
    if not x.size:
        raise ValueError("x must have elements")
    return x + 1.0


def _even(x: Any) -> Any:
    if not x.ndim or x.shape[-1] % 2:
        raise ValueError("the last axis of x must be even")
    return _c(x[..., ::2] + x[..., 1::2])


def _even_fake(x: Any) -> Any:
    if not x.ndim or x.shape[-1] % 2:
        raise ValueError("the last axis of x must be even")
    return x.new_empty((*x.shape[:-1], x.shape[-1] // 2))


def _not_implemented(x: Any) -> Any:
    if x.ndim > 2:
        raise NotImplementedError("more than two axes")
    return _c(x)


# -- mutation --------------------------------------------------------------------------------------


def _clip_in_place(x: Any) -> None:
    np.clip(x, 0, 100, out=x)


def _maybe(x: Any, do: bool) -> None:
    if do:
        x += 1


def _scale_by(x: Any, s: float) -> None:
    x *= s


def _write_both(x: Any, y: Any) -> None:
    """The second only where the first is negative."""
    if x.shape != y.shape or x.dtype != y.dtype:
        raise ValueError("x and y must be alike")
    y[x < 0] = 7
    x += 1


def _accumulate(total: Any, x: Any) -> Any:
    if total.shape != x.shape or total.dtype != x.dtype:
        raise ValueError("total and x must be alike")
    total += x
    return _c(total)


def _negate(x: Any) -> None:
    x *= -1


def _sort_rows(x: Any) -> None:
    if not x.ndim:
        raise ValueError("x must have an axis")
    x.sort(axis=-1)


# -- outputs ---------------------------------------------------------------------------------------


def _large_allocation(x: Any) -> Any:
    """Returns a part of what it allocated."""
    room = np.zeros(x.size + 16, x.dtype)
    room[: x.size] = x.reshape(-1)
    return room[: x.size].reshape(x.shape)


def _lists(x: Any) -> Any:
    if not x.ndim:
        raise ValueError("x must have an axis")
    return [_c(row) for row in x]


def _lists_fake(x: Any) -> Any:
    if not x.ndim:
        raise ValueError("x must have an axis")
    return [x.new_empty(x.shape[1:]) for _ in range(x.shape[0])]


def _unique(x: Any) -> Any:
    values, counts = np.unique(x, return_counts=True)
    return values, counts.astype(np.int64)


def _unique_fake(x: Any) -> Any:
    n = get_ctx().new_dynamic_size(min=0, max=x.size)
    return x.new_empty((n,)), x.new_empty((n,), np.int64)


def _with_one_more(x: Any) -> Any:
    found = np.array(x[x > 0])
    return found, np.zeros(found.size + 1, np.int64)


def _with_one_more_fake(x: Any) -> Any:
    n = get_ctx().new_dynamic_size(min=0, max=x.size)
    return x.new_empty((n,)), x.new_empty((n + 1,), np.int64)


# -- batching rules --------------------------------------------------------------------------------


def _front(x: Any, axis: Any) -> Any:
    return x[None] if axis is None else xp.moveaxis(x, axis, 0)


def _add_rule(info: Any, in_dims: Any, x: Any, y: Any) -> Any:
    if in_dims[0] is None and in_dims[1] is None:
        raise AssertionError("nothing is batched")
    return _front(x, in_dims[0]) + _front(y, in_dims[1]), 0


def _add(x: Any, y: Any) -> Any:
    if x.shape != y.shape or x.dtype != y.dtype:
        raise ValueError("x and y must be alike")
    return _c(x + y)


def _list_rule(info: Any, in_dims: Any, xs: Any) -> Any:
    total = 0
    for x, axis in zip(xs, in_dims[0], strict=True):
        total = total + _front(x, axis)
    return total, 0


def _list_sum(xs: Any) -> Any:
    if not xs or len({(x.shape, x.dtype) for x in xs}) > 1:
        raise ValueError("xs must be arrays that are alike")
    total = _c(xs[0])
    for x in xs[1:]:
        total = _c(total + x)
    return total


def _in_place_rule(info: Any, in_dims: Any, x: Any, y: Any) -> Any:
    x = xp.moveaxis(x, in_dims[0], 0)
    x += _front(y, in_dims[1])
    return None, None


def _add_in_place(x: Any, y: Any) -> None:
    if x.shape != y.shape or x.dtype != y.dtype:
        raise ValueError("x and y must be alike")
    x += y


RIGHT_KERNELS = [
    # -- values ------------------------------------------------------------------------------------
    _r("always_nan", _quotient),
    _r("infinite", lambda x: np.full(x.shape, np.inf, x.dtype)),
    _r("half_precision", _only_half, sample=lambda: (np.linspace(-2, 2, 8, dtype=np.float16),)),
    _r(
        "sum_of_single",
        lambda x: np.array(x.sum(dtype=np.float64), np.float32),
        lambda x: x.new_empty((), np.float32),
        sample=lambda: (np.linspace(-1, 1, 1000, dtype=np.float32),),
    ),
    _r(
        "big_integers",
        lambda x: np.array(x // 3, order="C"),
        sample=lambda: (np.array([2**62, -(2**62), 5]),),
    ),
    _r(
        "bytes_of",
        lambda x: np.array(np.ascontiguousarray(x).view(np.uint8).reshape(-1)),
        lambda x: x.new_empty((x.size * x.dtype.itemsize,), np.uint8),
        sample=vector,
    ),
    _r(
        "complex_parts",
        lambda x: (np.array(x.real, order="C"), np.array(x.imag, order="C")),
        lambda x: (
            x.new_empty(x.shape, np.zeros(0, x.dtype).real.dtype),
            x.new_empty(x.shape, np.zeros(0, x.dtype).real.dtype),
        ),
        PAIR,
        lambda: (np.array([1 + 2j, 3 - 1j]),),
    ),
    _r(
        "all_true",
        lambda x: bool(np.all(x)),
        lambda x: True,
        "(Array x) -> bool",
        lambda: (np.array([True, False]),),
    ),
    _r(
        "mean_number",
        lambda x: float(x.mean()) if x.size else 0.0,
        lambda x: 0.0,
        "(Array x) -> float",
    ),
    _r(
        "count_positive",
        lambda x: int((x > 0).sum()),
        lambda x: get_ctx().new_dynamic_size(min=0, max=x.size),
        "(Array x) -> int",
    ),
    # -- state -------------------------------------------------------------------------------------
    _r("constant_table", _table),
    _r("scratch_per_thread", _scratch_per_thread),
    _r("counted", _counted),
    _r(
        "noise_from_state",
        _drawn,
        lambda x, rng: like(x),
        "(Array x, RNGState rng) -> Array",
        lambda: (*matrix(), RNGState(3)),
    ),
    # -- refusals ----------------------------------------------------------------------------------
    _r("particular", _particular),
    _r("even_only", _even, _even_fake),
    _r("two_axes_at_most", _not_implemented),
    # -- mutation ----------------------------------------------------------------------------------
    _r("clips_positive", _clip_in_place, None, "(Array(a!) x) -> ()", lambda: (np.arange(4),)),
    _r("sorted_already", _sort_rows, None, "(Array(a!) x) -> ()", lambda: (np.arange(4.0),)),
    _r("not_told_to", _maybe, None, "(Array(a!) x, bool do) -> ()", lambda: (np.ones(3), False)),
    _r("scale_by_one", _scale_by, None, "(Array(a!) x, float s) -> ()", lambda: (np.ones(3), 1.0)),
    _r(
        "rarely_the_second",
        _write_both,
        None,
        "(Array(a!) x, Array(b!) y) -> ()",
        lambda: (np.ones(3), np.zeros(3)),
    ),
    _r(
        "accumulates",
        _accumulate,
        lambda total, x: like(total),
        "(Array(a!) total, Array x) -> Array",
        two,
    ),
    _r("mutates_strided", _negate, None, "(Array(a!) x) -> ()", lambda: (np.arange(10.0)[::2],)),
    # -- outputs -----------------------------------------------------------------------------------
    _r("part_of_allocation", _large_allocation),
    _r("rows_as_list", _lists, _lists_fake, "(Array x) -> Array[]"),
    _r("no_arrays_in_list", lambda x: [], lambda x: [], "(Array x) -> Array[]"),
    _r("unique_counts", _unique, _unique_fake, PAIR, lambda: (np.array([3.0, 1.0, 3.0]),)),
    _r("one_more", _with_one_more, _with_one_more_fake, PAIR, vector),
    _r("keeps_order", lambda x: x * 2),
    _r(
        "keeps_order_exactly",
        lambda x: np.array(x, order="K"),
        lambda x: (
            x.new_empty(x.shape[::-1]).T
            if x.flags.f_contiguous and not x.flags.c_contiguous
            else like(x)
        ),
        sample=lambda: (np.asfortranarray(matrix()[0]),),
    ),
    # -- batching ----------------------------------------------------------------------------------
    _r("vmap_add", _add, like, TWO, two, vmap=_add_rule),
    _r(
        "vmap_list_sum",
        _list_sum,
        lambda xs: xs[0].new_empty(xs[0].shape),
        "(Array[] xs) -> Array",
        lambda: (list(two()),),
        vmap=_list_rule,
    ),
    _r(
        "vmap_in_place",
        _add_in_place,
        None,
        "(Array(a!) x, Array y) -> ()",
        two,
        vmap=_in_place_rule,
    ),
    _r(
        "vmap_constant",
        lambda x: np.arange(3.0),
        lambda x: x.new_empty((3,), np.float64),
        vmap=lambda info, in_dims, x: (np.arange(3.0), None),
    ),
    _r(
        "vmap_negative_out",
        lambda x: _c(2 * x),
        vmap=lambda info, in_dims, x: (2 * xp.moveaxis(x, in_dims[0], -1), -1),
    ),
    _r(
        "vmap_of_two",
        lambda x: (_c(x + 1), np.array(x.sum())),
        lambda x: (like(x), x.new_empty(())),
        PAIR,
        vmap=lambda info, in_dims, x: (
            (
                xp.moveaxis(x, in_dims[0], 0) + 1,
                xp.sum(xp.reshape(xp.moveaxis(x, in_dims[0], 0), (info.batch_size, -1)), axis=1)
                if x.size
                else xp.zeros((info.batch_size,), dtype=x.dtype),
            ),
            (0, 0),
        ),
    ),
    # -- as people write them --------------------------------------------------------------------
    _r("layout_of_numpy", lambda x: np.maximum(x, 0), lambda x: xp.empty_like(x)),
    _r(
        "scalar_for_one_axis", lambda x: x.argmax(-1), lambda x: x.new_empty(x.shape[:-1], np.int64)
    ),
    _r(
        "rows_by_index",
        lambda x, i: x[i],
        lambda x, i: x.new_empty((*i.shape, *x.shape[1:])),
        "(Array x, Array i) -> Array",
        lambda: (*matrix(), np.array([0, 2, 1])),
    ),
    _r(
        "norm_with_weight",
        lambda x, w: x / np.sqrt((x * x).mean(-1, keepdims=True) + 1e-6) * w,
        lambda x, w: x.new_empty(x.shape),
        "(Array x, Array w) -> Array",
        lambda: (np.linspace(-1, 1, 32).reshape(4, 8), np.linspace(1, 2, 8)),
    ),
]
