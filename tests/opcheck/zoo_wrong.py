"""Wrong operators: `opcheck` has to refuse each, with the check and the message named here."""

from __future__ import annotations

import threading
import time
import warnings
from typing import Any

import numpy as np
from zoo import Animal, like, two, vector
from zoo import planted as _w

from gpuops import get_ctx

ONE = "(Array x) -> Array"
TWO = "(Array x, Array y) -> Array"
PAIR = "(Array x) -> (Array, Array)"


def _c(x: Any) -> Any:
    return np.array(x, order="C")


def _changing(change: Any) -> Any:
    """A kernel that changes its first argument and returns a copy."""

    def kernel(x: Any, *rest: Any) -> Any:
        before = np.array(x, order="C")
        if x.size:
            change(x)
        return before

    return kernel


def _last_bit(x: Any) -> None:
    x.reshape(-1)[:1].view(np.uint8)[0] ^= 1


def _other_nan(x: Any) -> None:
    x[np.isnan(x)] = -np.float64("nan")


def _reverse_shape(x: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # NumPy 2.5 warns of it
        x.shape = x.shape[::-1]


def _set(key: Any, value: Any) -> Any:
    def change(x: Any) -> None:
        x[key] = value

    return change


_kept: dict[Any, Any] = {}


def _cached(x: Any) -> Any:
    return _kept.setdefault((x.shape, x.strides), np.zeros(x.shape))


def _listed(xs: Any) -> Any:
    xs[-1][...] = 7
    return np.zeros(3)


def _optional(x: Any, y: Any) -> Any:
    y[...] = 7
    return _c(x)


_counter = [0.0]


def _counts(x: Any) -> Any:
    _counter[0] += 1
    return _c(x + _counter[0])


def _unwritten(key: Any) -> Any:
    def kernel(x: Any) -> Any:
        out = np.empty(x.shape, x.dtype)
        if x.ndim:
            out[key] = x[key]
        else:
            out[...] = x
        return out

    return kernel


def _unwritten_like(x: Any) -> Any:
    out = np.empty_like(x, order="C")
    out[x > 0] = x[x > 0]
    return out


def _uninitialised_sum(x: Any) -> Any:
    room = np.empty(x.shape[0] + 1, x.dtype)
    room[:-1] = x.reshape(x.shape[0], -1).sum(axis=1)
    return np.array(room.sum())


_shared = {"value": 0.0}


def _racing(x: Any) -> Any:
    _shared["value"] = float(threading.get_ident())
    mine = _shared["value"]
    time.sleep(0.002)
    return _c(x + (0.0 if _shared["value"] == mine else 1.0))


_inside = [0]


def _not_reentrant(x: Any) -> Any:
    _inside[0] += 1
    try:
        if _inside[0] > 1:
            raise RuntimeError("already running")
        time.sleep(0.002)
        return _c(x)
    finally:
        _inside[0] -= 1


def _raw(x: Any) -> Any:
    """The memory from the first element on, whatever the strides."""
    if x.flags.c_contiguous:
        return _c(x)
    whole = x if x.base is None else x.base
    if whole.dtype != x.dtype:
        return _c(x)
    return np.resize(whole.ravel(order="K"), x.shape)


def _when(test: Any) -> Any:
    return lambda x: _c(x) + 1 if x.size and test(x) else _c(x)


def _crashing(x: Any) -> Any:
    if not x.flags.c_contiguous:
        raise RuntimeError("segmentation fault, nearly")
    return _c(x)


def _dynamic(low: int, high: int | None) -> Any:
    return lambda x: x.new_empty((get_ctx().new_dynamic_size(min=low, max=high), x.ndim), np.int64)


def _argwhere(x: Any) -> Any:
    return np.array(np.argwhere(x), order="C")


def _mutates(name: str, change: Any, **more: Any) -> Animal:
    return _w(name, "schema", "not defined as mutable but was mutated", _changing(change), **more)


def _fakes(name: str, message: str, fake: Any, kernel: Any = _c, **more: Any) -> Animal:
    return _w(name, "fake", message, kernel, fake, **more)


def _gradient(
    name: str, message: str, backward: Any, kernel: Any = lambda x: _c(x**3), **more: Any
) -> Animal:
    return _w(name, "autograd", message, kernel, backward=backward, **more)


def _batches(
    name: str, message: str, vmap: Any, kernel: Any = lambda x: _c(x * 2), **more: Any
) -> Animal:
    return _w(name, "vmap", message, kernel, vmap=vmap, **more)


def _x(ctx: Any) -> Any:
    return ctx.saved_arrays[0]


def _nan_sample() -> Any:
    return (np.array([1.0, np.nan]),)


MUTATED = "is declared as mutated, but no input"
SHAPE, DTYPE, STRIDES = (
    "the shape of the output is",
    "the dtype of the output is",
    "the strides of the output are",
)

WRONG = [
    # -- what the kernel does to its arguments -----------------------------------------------------
    _mutates("whole", _set(..., 0)),
    _mutates("one_bit", _last_bit, sample=vector),
    _mutates("tiny", lambda x: np.add(x, 1e-9, out=x)),
    _mutates("nan_only", _other_nan, sample=_nan_sample),
    _mutates("negative_zero", _set(0, -0.0), sample=lambda: (np.zeros(2),)),
    _mutates("restrided", _reverse_shape),
    _mutates("integers", _set(..., 5), sample=lambda: (np.arange(4),)),
    _mutates("bools", _set(0, False), sample=lambda: (np.ones(3, bool),)),
    _w(
        "in_list",
        "schema",
        "was mutated",
        _listed,
        lambda xs: xs[0].new_empty((3,)),
        "(Array[] xs) -> Array",
        lambda: ([np.ones(3), np.ones(2)],),
    ),
    _w(
        "in_optional",
        "schema",
        "Argument y is not defined as mutable",
        _optional,
        like,
        "(Array x, Array? y=None) -> Array",
        two,
    ),
    _w(
        "second_argument",
        "schema",
        "Argument y is not defined as mutable",
        _optional,
        like,
        TWO,
        two,
    ),
    _w("unused_mutation", "schema", MUTATED, lambda x: _c(x), like, "(Array(a!) x) -> Array"),
    _w(
        "unused_list_mutation",
        "schema",
        MUTATED,
        lambda xs: None,
        None,
        "(Array(a!)[] xs) -> ()",
        lambda: ([np.ones(3)],),
    ),
    _w(
        "unused_second_mutation",
        "schema",
        "Argument y is declared as mutated",
        lambda x, y: x.fill(3),
        None,
        "(Array(a!) x, Array(b!) y) -> ()",
        two,
    ),
    # -- what it returns ---------------------------------------------------------------------------
    _w("returns_input", "schema", "may not alias any argument", lambda x: x),
    _w("returns_view", "schema", "may not alias any argument", lambda x: x[:]),
    _w("returns_transposed", "schema", "may not alias any argument", lambda x: x.T),
    _w(
        "returns_empty_view",
        "schema",
        "may not alias any argument",
        lambda x: x[:0] if x.ndim else _c(x),
    ),
    _w(
        "hidden_alias",
        "schema",
        "may not alias any argument",
        lambda x: np.frombuffer(memoryview(x), x.dtype).reshape(x.shape) if x.size else _c(x),
        sample=vector,
    ),
    _w(
        "alias_in_list",
        "schema",
        "may not alias any argument",
        lambda x: [_c(x), x],
        None,
        "(Array x) -> Array[]",
    ),
    _w(
        "outputs_alias", "schema", "may not alias each other", lambda x: (y := _c(x), y), None, PAIR
    ),
    _w(
        "outputs_overlap",
        "schema",
        "may not alias each other",
        lambda x: (y := np.zeros(6), y[2:]),
        None,
        PAIR,
    ),
    _w("kept_output", "schema", "shares memory with an output of the next", _cached),
    _w("too_many", "schema", "return", lambda x: (_c(x), _c(x), _c(x)), None, PAIR),
    _w("too_few", "schema", "return", lambda x: (_c(x),), None, PAIR),
    _w("returns_none", "schema", "None", lambda x: None),
    _w("returns_scalar", "schema", "numpy.float64", lambda x: x.sum()),
    _w("returns_list", "schema", "list", lambda x: [1.0, 2.0]),
    _w(
        "returns_something",
        "schema",
        "declared to return None",
        lambda x: _c(x),
        None,
        "(Array x) -> ()",
    ),
    _w("wrong_number", "schema", "three", lambda x: "three", None, "(Array x) -> int"),
    # -- fakes -------------------------------------------------------------------------------------
    _fakes("no_fake", "No fake kernel is registered", None),
    _fakes("fake_shape", SHAPE, lambda x: x.new_empty((7,))),
    _fakes("fake_rank", SHAPE, lambda x: x.new_empty((*x.shape, 1))),
    _fakes("fake_transposed", SHAPE, lambda x: x.new_empty(x.shape[::-1])),
    _fakes("fake_sample_shape", SHAPE, lambda x: x.new_empty((3, 4))),
    _fakes("fake_one_rank", "fake", lambda x: x.new_empty((x.shape[0], x.shape[1]))),
    _fakes(
        "fake_not_empty",
        "fails on",
        lambda x: (
            x.new_empty((x.size // x.shape[0], 4)) if x.ndim == 2 and x.shape[0] == 0 else like(x)
        ),
    ),
    _fakes("fake_dtype", DTYPE, lambda x: x.new_empty(x.shape, np.float32)),
    _fakes(
        "fake_promotion",
        DTYPE,
        like,
        lambda x: np.array(x, np.float64, order="C"),
        sample=lambda: (np.ones((2, 2), np.float32),),
    ),
    _fakes("fake_strides", STRIDES, lambda x: x.new_empty(x.shape[::-1]).T),
    _fakes("fortran_kernel", STRIDES, like, lambda x: np.array(x, order="F")),
    _fakes(
        "fake_device",
        "the device of the output is",
        lambda x: x.new_empty(x.shape, device="cuda:0"),
    ),
    _fakes("fake_count", "fails on", lambda x: (like(x),), lambda x: (_c(x), _c(x)), schema=PAIR),
    _fakes(
        "fake_list_length",
        "the kernel returns 2 arrays, the fake 3",
        lambda x: [like(x)] * 3,
        lambda x: [_c(x), _c(x)],
        schema="(Array x) -> Array[]",
    ),
    _fakes("fake_alias", "fails on", lambda x: x),
    _fakes(
        "fake_outputs_alias",
        "the fake returns one array as",
        lambda x: (y := like(x), y),
        lambda x: (_c(x), _c(x)),
        schema=PAIR,
    ),
    _fakes("fake_reads_data", "needs data", lambda x: x.new_empty((int(x.sum()),))),
    _fakes("fake_branches_on_data", "data", lambda x: like(x) if (x > 0).all() else None),
    _fakes("fake_real_array", "real array", lambda x: np.zeros(x.shape)),
    _fakes("fake_none", "returned None", lambda x: None),
    _fakes("fake_raises", "ZeroDivisionError", lambda x: 1 / 0),
    _fakes("fake_low_bound", "outside the bounds", _dynamic(50, None), _argwhere),
    _fakes("fake_high_bound", "outside the bounds", _dynamic(0, 1), _argwhere),
    _fakes(
        "fake_one_size",
        "elsewhere",
        lambda x: (lambda n: x.new_empty((n, n), np.int64))(get_ctx().new_dynamic_size()),
        _argwhere,
    ),
    _fakes("fake_fixed_dynamic", SHAPE, lambda x: x.new_empty((12, x.ndim), np.int64), _argwhere),
    # -- hidden state ------------------------------------------------------------------------------
    _w("counter", "trace", "Absolute difference:", _counts),
    _w(
        "random",
        "trace",
        "Absolute difference:",
        lambda x: _c(x + np.random.default_rng().random()),
    ),
    _w("clock", "trace", "Absolute difference:", lambda x: _c(x + time.perf_counter())),
    # -- gradients ---------------------------------------------------------------------------------
    _gradient("gradient_factor", "gradient", lambda ctx, g: 2 * _x(ctx) ** 2 * g),
    _gradient("gradient_sign", "gradient", lambda ctx, g: -3 * _x(ctx) ** 2 * g),
    _gradient("gradient_zero", "gradient", lambda ctx, g: g * 0),
    _gradient("gradient_ignored", "gradient", lambda ctx, g: 3 * _x(ctx) ** 2),
    _gradient("gradient_none", "gradient", lambda ctx, g: None),
    _gradient("gradient_shape", "gradient", lambda ctx, g: (3 * _x(ctx) ** 2 * g).sum()),
    _gradient("gradient_count", "gradient", lambda ctx, g: (g, g, g)),
    _gradient("gradient_raises", "ZeroDivisionError", lambda ctx, g: 1 / 0),
    _gradient(
        "gradient_swapped",
        "gradient",
        lambda ctx, g: (g * ctx.saved_arrays[0], g * ctx.saved_arrays[1]),
        lambda x, y: _c(np.multiply(x, y)) if x.shape == y.shape else 1 / 0,
        schema=TWO,
        sample=two,
    ),
    # -- batching ----------------------------------------------------------------------------------
    _batches("vmap_values", "not what a loop gives", lambda info, dims, x: (x * 3, dims[0])),
    _batches("vmap_axis", "in_dims", lambda info, dims, x: (x * 2, 0)),
    _batches(
        "vmap_reversed", "not what a loop gives", lambda info, dims, x: (x[::-1] * 2, dims[0])
    ),
    _batches("vmap_raises", "ZeroDivisionError", lambda info, dims, x: 1 / 0),
    _batches("vmap_unbatched", "in_dims", lambda info, dims, x: (x * 2, None)),
    # -- layouts -----------------------------------------------------------------------------------
    _w("ignores_strides", "layouts", "depends on the layout", _raw),
    _w("fails_on_strides", "layouts", "segmentation fault, nearly", _crashing),
    _w(
        "odd_on_fortran",
        "layouts",
        "Fortran order",
        _when(lambda x: x.ndim > 1 and x.flags.f_contiguous and not x.flags.c_contiguous),
    ),
    _w(
        "odd_on_negative",
        "layouts",
        "negative strides",
        _when(lambda x: min(x.strides, default=0) < 0),
    ),
    _w("odd_on_unaligned", "layouts", "unaligned", _when(lambda x: not x.flags.aligned)),
    _w(
        "odd_on_read_only",
        "layouts",
        "read-only",
        _when(lambda x: not x.flags.writeable and x.flags.c_contiguous),
    ),
    _w("odd_on_repeated", "layouts", "stride zero", _when(lambda x: 0 in x.strides)),
    # -- memory and threads ------------------------------------------------------------------------
    _w("never_written", "initialised", "never writes", lambda x: np.empty(x.shape, x.dtype)),
    _w("first_unwritten", "initialised", "never writes", _unwritten(slice(1, None))),
    _w("last_unwritten", "initialised", "never writes", _unwritten(slice(None, -1))),
    _w("masked_unwritten", "initialised", "never writes", _unwritten_like),
    _w(
        "computed_from_unwritten",
        "initialised",
        "never writes",
        _uninitialised_sum,
        lambda x: x.new_empty(()),
        sample=vector,
    ),
    _w("shared_state", "threads", "while other threads", _racing),
    _w("not_reentrant", "threads", "already running", _not_reentrant),
]
