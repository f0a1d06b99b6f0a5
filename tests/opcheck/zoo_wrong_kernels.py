"""Wrong kernels that look right in a quiet moment: adversaries of the checks of kernels."""

from __future__ import annotations

import random
import threading
import time
from typing import Any

import numpy as np
from zoo import like, two, vector
from zoo import planted as _w

ONE = "(Array x) -> Array"
TWO = "(Array x, Array y) -> Array"
PAIR = "(Array x) -> (Array, Array)"


def _c(x: Any) -> Any:
    return np.array(x, order="C")


# -- what it does to memory ------------------------------------------------------------------------


def _flips_zero(x: Any) -> Any:
    before = _c(x)
    if x.size and x.dtype.kind == "f":
        x[x == 0] = 0.0
    return before


def _payload(x: Any) -> Any:
    """Changes the payload of a NaN: no comparison of numbers sees it."""
    before = _c(x)
    if x.size and x.dtype == np.float64 and x.flags.c_contiguous:
        bits = x.reshape(-1).view(np.uint64)
        bits[np.isnan(x.reshape(-1))] ^= 1
    return before


def _scale_back(x: Any) -> Any:
    x *= 2
    out = _c(x)
    x /= 2
    return out


def _sorts_and_restores(x: Any) -> Any:
    kept = x.copy()
    x.sort(axis=-1)
    out = _c(x)
    x[...] = kept
    return out


_reference: list[Any] = []


def _later(x: Any) -> Any:
    """Writes to the array of the call before."""
    if _reference:
        earlier = _reference.pop()
        if earlier.size and earlier.flags.writeable:
            earlier[...] = 0
    _reference.append(x)
    return _c(x)


_given_out: list[Any] = []


def _updates_output(x: Any) -> Any:
    """Writes to the output of the call before."""
    if _given_out:
        _given_out.pop()[...] = 1
    out = _c(x)
    _given_out.append(out)
    return out


_ring: dict[Any, list[Any]] = {}


def _in_turns(x: Any) -> Any:
    """Two buffers for each shape, in turns."""
    buffers = _ring.setdefault((x.shape, x.dtype), [np.zeros(x.shape, x.dtype) for _ in range(2)])
    buffers.reverse()
    buffers[0][...] = x
    return buffers[0]


_earlier: list[Any] = []


def _returns_earlier(x: Any) -> Any:
    if not _earlier:
        _earlier.append(x)
    kept = _earlier[0]
    return kept if kept.shape == x.shape and kept is not x and kept.dtype == x.dtype else _c(x)


def _beyond_end(x: Any) -> Any:
    if x.size and x.flags.c_contiguous:
        np.lib.stride_tricks.as_strided(x.reshape(-1), (x.size + 1,))[-1] = 0
    return _c(x)


def _between(x: Any) -> Any:
    """Writes to what lies between the elements of a strided argument."""
    if x.ndim == 1 and x.size > 1 and x.strides[0] > x.itemsize:
        as_strided = np.lib.stride_tricks.as_strided
        as_strided(x, (2 * x.size - 1,), (x.strides[0] // 2,))[1::2] = 0
    return _c(x)


def _owner_of_it(x: Any) -> Any:
    """Another part of the memory that an argument is a view of."""
    import ctypes

    if not x.size or not x.flags.c_contiguous:
        return _c(x)
    buffer = (ctypes.c_uint8 * x.nbytes).from_address(x.ctypes.data + x.nbytes)
    return np.frombuffer(buffer, x.dtype).reshape(x.shape)


def _half() -> Any:
    room = np.arange(8.0)
    return (room[:4],)


def _strided_alias(x: Any) -> Any:
    if not x.size:
        return _c(x)
    view = np.lib.stride_tricks.as_strided(x, x.shape, x.strides)
    return np.ndarray(
        x.shape, x.dtype, memoryview(view).cast("B") if x.flags.c_contiguous else _c(x)
    )


def _count_when_empty(x: Any) -> Any:
    return (_c(x),) if not x.size else (_c(x), _c(x))


# -- hidden state ----------------------------------------------------------------------------------

_previous = [0.0]


def _momentum(x: Any) -> Any:
    found = x + 0.1 * _previous[0]
    _previous[0] = float(x.sum()) if x.size else 0.0
    return _c(found)


_by_id: dict[int, Any] = {}


def _cached_by_id(x: Any) -> Any:
    found = _by_id.get(id(x))
    if found is None or found.shape != x.shape:
        found = _by_id[id(x)] = _c(x * 2)
    return found.copy()


_by_address: dict[Any, Any] = {}


def _cached_by_address(x: Any) -> Any:
    key = x.ctypes.data, x.shape, x.strides, x.dtype
    if key not in _by_address:
        _by_address[key] = _c(np.sin(x))
    return _by_address[key].copy()


def _seeds(x: Any) -> Any:
    np.random.seed(0)
    return _c(x + np.random.random(x.shape))


def _seeds_python(x: Any) -> Any:
    random.seed(1)
    return _c(x * random.random())


def _address(x: Any) -> Any:
    return _c(x + (id(object()) % 4096) + (x.ctypes.data % 4096))


_calls = [0]


def _third_call(x: Any) -> Any:
    _calls[0] += 1
    return _c(x + (_calls[0] % 3 == 0))


_global_draw = np.random.RandomState(3)


# -- layouts ---------------------------------------------------------------------------------------


def _by_pointer(x: Any) -> Any:
    """Reads as many elements from the first on, whatever the strides."""
    import ctypes

    if not x.size:
        return _c(x)
    low = x.ctypes.data
    buffer = (ctypes.c_uint8 * x.nbytes).from_address(low)
    return np.frombuffer(buffer, x.dtype).reshape(x.shape).copy()


def _memory_order(x: Any) -> Any:
    return np.array(x.ravel(order="K").reshape(x.shape), order="C")


def _base(x: Any) -> Any:
    whole = x.base if x.base is not None and x.base.dtype == x.dtype else x
    return np.array(np.resize(whole, x.shape), order="C")


def _second_assumed(x: Any, y: Any) -> Any:
    """Looks at the strides of its first argument only."""
    if x.shape != y.shape or x.dtype != y.dtype:
        raise ValueError("x and y must be alike")
    if x.flags.c_contiguous:
        return np.array(x + y.ravel(order="K").reshape(y.shape), order="C")
    return _c(x + y)


def _refuses_unclearly(x: Any) -> Any:
    assert x.flags.c_contiguous
    return _c(x)


def _mean(x: Any) -> Any:
    return _c(x * (1 / len(x.reshape(-1)))) if x.size else _c(x * (1 / x.size))


def _bad_scalar(x: Any) -> Any:
    if not x.ndim:
        raise KeyError("ndim")
    return _c(x)


def _writes_rows(x: Any) -> None:
    """In place, as if rows lay side by side."""
    if x.size:
        flat = np.lib.stride_tricks.as_strided(x, (x.size,), (x.itemsize,))
        flat[...] = 1


def _unlocks(x: Any) -> Any:
    """Makes a read-only argument writeable for a while."""
    out = _c(x)
    if not x.flags.writeable and x.base is None:
        x.flags.writeable = True
        x[...] = 0
        x.flags.writeable = False
    return out


def _strided_in_place(x: Any) -> Any:
    out = _c(x)
    if x.size and x.flags.writeable and not x.flags.c_contiguous:
        x[...] = 0
    return out


# -- memory that nobody wrote ----------------------------------------------------------------------


def _rounded_down(x: Any) -> Any:
    """Four at a time, and no rest."""
    out = np.empty(x.shape, x.dtype)
    full = x.size - x.size % 4 if x.size > 4 else x.size
    out.reshape(-1)[:full] = x.reshape(-1)[:full]
    return out


def _masked_add(x: Any) -> Any:
    out = np.ndarray(x.shape, x.dtype)
    np.add(x, 1, out=out, where=x > 0)
    return out


def _constructed(x: Any) -> Any:
    out = np.ndarray(x.shape, x.dtype)
    out[x != x.max(initial=0)] = 0 if not x.size else x[x != x.max(initial=0)]
    return out


def _times_zero(x: Any) -> Any:
    """NaN or not, by what lies in the room."""
    room = np.empty(x.shape, x.dtype)
    return np.array(x + room * 0, order="C")


def _reads_index(x: Any) -> Any:
    table = np.empty(4, np.int64)
    table[:3] = 0
    return np.array(x + np.arange(3.0)[5 if table[3] == -1 else 0], order="C")


# -- threads ---------------------------------------------------------------------------------------

_scratch: dict[Any, Any] = {}


def _one_scratch(x: Any) -> Any:
    room = _scratch.setdefault((x.shape, x.dtype), np.zeros(x.shape, x.dtype))
    room[...] = x
    room *= 2
    room += 1
    return room.copy()


_tables: dict[Any, Any] = {}


def _lazy_table(x: Any) -> Any:
    """Prepared at the first call of a shape, and visible before it is ready."""
    if x.shape not in _tables:
        _tables[x.shape] = np.zeros(x.shape)
        time.sleep(0.001)
        _tables[x.shape] += 1
    return _c(x + _tables[x.shape])


_settings = {"scale": 1.0}


def _global_setting(x: Any) -> Any:
    _settings["scale"] = float(np.abs(x).max(initial=0.0))
    out = x / (1 + _settings["scale"])
    return _c(out * (1 + _settings["scale"]) / (1 + _settings["scale"]))


_attribute = threading.local()


class _Accumulator:
    total = 0.0

    def __call__(self, x: Any) -> Any:
        self.total = 0.0
        for row in x.reshape(-1):
            self.total = self.total + float(row)
        return np.array(self.total)


WRONG_KERNELS = [
    # -- undeclared mutation -----------------------------------------------------------------------
    _w("zero_sign", "schema", "was mutated", _flips_zero, sample=lambda: (np.array([-0.0, 1.0]),)),
    _w(
        "nan_payload",
        "schema",
        "was mutated",
        _payload,
        sample=lambda: (np.array([1.0, np.nan, 2.0]),),
    ),
    _w("scales_back", "schema", "if only for the time of the call", _scale_back),
    _w("sorts_and_restores", "schema", "for the time of the call", _sorts_and_restores),
    _w("writes_later", "schema", "a later call writes to it", _later),
    _w("updates_output", "schema", "a later call writes to it", _updates_output),
    _w("beyond_the_end", "schema", "beside the elements of 'x'", _beyond_end, sample=vector),
    _w(
        "between_elements",
        "schema",
        "beside the elements of 'x'",
        _between,
        sample=lambda: (np.arange(10.0)[::2],),
    ),
    _w(
        "half_of_a_mutation",
        "schema",
        "Argument y is declared as mutated",
        lambda x, y: np.add(x, 0.5, out=x) * 0 if x.ndim else _c(x),
        like,
        "(Array(a!) x, Array(b!) y) -> Array",
        two,
    ),
    # -- outputs -----------------------------------------------------------------------------------
    _w("two_in_turns", "schema", "shares memory with an output of the next", _in_turns),
    _w("returns_earlier", "schema", "of an earlier call", _returns_earlier),
    _w("beside_the_argument", "schema", "is a view of", _owner_of_it, sample=_half),
    _w("strided_alias", "schema", "may not alias any argument", _strided_alias, sample=vector),
    _w(
        "input_in_list",
        "schema",
        "may not alias any argument",
        lambda xs: [_c(xs[0]), xs[-1]],
        lambda xs: [xs[0].new_empty(xs[0].shape), xs[-1].new_empty(xs[-1].shape)],
        "(Array[] xs) -> Array[]",
        lambda: ([np.ones(3), np.zeros(3)],),
    ),
    _w(
        "one_fewer_when_empty",
        "schema",
        "return",
        _count_when_empty,
        lambda x: (like(x), like(x)),
        PAIR,
    ),
    _w(
        "none_when_negative",
        "schema",
        "None",
        lambda x: None if x.size and x.max() < 0 else _c(x),
        sample=lambda: (np.ones(3),),
    ),
    # -- hidden state ------------------------------------------------------------------------------
    _w("momentum", "trace", "hidden state", _momentum),
    _w("kept_by_identity", "trace", "differs", _cached_by_id),
    _w("kept_by_address", "trace", "a result was kept for it", _cached_by_address),
    _w("seeds_numpy", "trace", "it seeds numpy.random", _seeds),
    _w("seeds_python", "trace", "it seeds the module random", _seeds_python),
    _w("third_call", "trace", "Absolute difference:", _third_call),
    _w(
        "own_generator",
        "trace",
        "Absolute difference:",
        lambda x: _c(x + _global_draw.random_sample(x.shape)),
    ),
    _w(
        "counts_in_an_int",
        "trace",
        "hidden state",
        lambda x: _calls.append(1) or len(_calls),
        lambda x: x.ndim,
        "(Array x) -> int",
    ),
    # -- layouts -----------------------------------------------------------------------------------
    _w("by_pointer", "layouts", "depends on the layout", _by_pointer),
    _w("in_memory_order", "layouts", "depends on the layout", _memory_order),
    _w("by_base", "layouts", "depends on the layout", _base),
    _w(
        "constant_sample",
        "layouts",
        "depends on the layout",
        _memory_order,
        sample=lambda: (np.ones((3, 4)),),
    ),
    _w("one_dimension", "layouts", "depends on the layout", _by_pointer, sample=vector),
    _w("second_assumed", "layouts", "of array 1 alone", _second_assumed, schema=TWO, sample=two),
    _w("asserts_contiguous", "layouts", "AssertionError", _refuses_unclearly),
    _w("empty_divides", "layouts", "ZeroDivisionError", _mean),
    _w("no_axes_key", "layouts", "KeyError", _bad_scalar),
    _w("writes_rows", "layouts", "layout", _writes_rows, None, "(Array(a!) x) -> ()"),
    _w("unlocks", "layouts", "was mutated", _unlocks),
    _w("strided_in_place", "layouts", "was mutated", _strided_in_place),
    _w(
        "alias_of_fortran",
        "layouts",
        "may not alias any argument",
        lambda x: x if x.flags.f_contiguous and not x.flags.c_contiguous else _c(x),
    ),
    # -- unwritten ---------------------------------------------------------------------------------
    _w(
        "four_at_a_time", "initialised", "never writes", _rounded_down, sample=lambda: (np.ones(8),)
    ),
    _w("where_positive", "initialised", "never writes", _masked_add),
    _w("constructed", "initialised", "never writes", _constructed),
    _w("times_zero", "initialised", "never writes", _times_zero),
    _w("reads_index", "initialised", "memory that nobody wrote", _reads_index),
    # -- threads -----------------------------------------------------------------------------------
    _w("one_scratch", "threads", "while other threads", _one_scratch),
    _w("lazy_table", "threads", "while other threads", _lazy_table),
    _w("global_setting", "threads", "while other threads", _global_setting),
    _w(
        "accumulator",
        "threads",
        "while other threads",
        _Accumulator(),
        lambda x: x.new_empty(()),
    ),
]
