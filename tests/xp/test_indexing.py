"""Indexing: shape, dtype, strides and refusals are NumPy's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuops.xp import _index
from gpuops.xp._index import decode, encode
from tests.xp.common import agree, arrays, axes, laid_out, quick, shapes

small = st.one_of(st.none(), st.integers(-4, 4))


@st.composite
def keys(draw: Any, shape: tuple[int, ...]) -> tuple[Any, ...]:
    """A key, right for the shape most of the time."""
    items: list[Any] = []
    axis = 0
    fancy_shape = draw(st.sampled_from([(2,), (3, 2), (1,), (2, 3), (0,), (2, 1)]))
    while axis < len(shape) + (draw(st.integers(0, 15)) == 0):
        kind = draw(st.sampled_from("isssaaambnnx"))
        size = shape[axis] if axis < len(shape) else 2
        if kind == "i":
            out = draw(st.integers(0, 12)) == 0
            items.append(draw(st.integers(-size - out, size - 1 + out)) if size else 0)
        elif kind == "s":
            items.append(slice(draw(small), draw(small), draw(st.sampled_from([None, 1, 2, -1]))))
        elif kind == "n":
            items.append(None)
            continue
        elif kind == "a":
            chosen = fancy_shape[draw(st.integers(0, len(fancy_shape))) :]
            chosen = tuple(1 if draw(st.integers(0, 4)) == 0 else n for n in chosen)
            values = laid_out(chosen, draw(st.sampled_from(["int64", "int8"])), draw)
            # Whether a number is in bounds is a matter of data, which a fake does not have.
            items.append(values * 0)
        elif kind == "m":
            size = draw(st.sampled_from([*[size] * 8, size + 1, 0]))
            items.append(
                np.asarray(draw(st.lists(st.booleans(), min_size=size, max_size=size)), dtype=bool)
            )
        elif kind == "b" and axis + 1 < len(shape):
            mask = np.arange(shape[axis] * shape[axis + 1]).reshape(shape[axis : axis + 2]) % 3 == 1
            items.append(mask)
            axis += 1
        else:
            break
        axis += 1
    if draw(st.booleans()):
        place = draw(st.integers(0, len(items)))
        items[place:place] = [Ellipsis]
    if draw(st.integers(0, 20)) == 0:
        items.append(draw(st.sampled_from([True, False, Ellipsis, 1.5, [0, 0], np.array(0)])))
    return tuple(items)


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The sizes that depend on data, as they will be asked for."""
    waiting: list[int] = []
    monkeypatch.setattr(_index, "dynamic_size", lambda low, high: waiting.pop(0))
    return waiting


@quick
@given(arrays(max_dims=4, dtypes=["float64", "int16"]), st.data())
def test_keys(x: np.ndarray, data: Any) -> None:
    key = data.draw(keys(x.shape))
    try:
        layout, numbers, chosen = encode(key, np.asarray)
    except (IndexError, TypeError):
        with pytest.raises((IndexError, TypeError)):
            x[key]
        return
    sizes = [int(np.count_nonzero(item)) for item in chosen if item.dtype == bool]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_index, "dynamic_size", lambda low, high: sizes.pop(0))
        agree("getitem", x, layout, numbers, chosen)


@given(st.data())
@quick
def test_a_key_survives_the_way_through_the_schema(data: Any) -> None:
    key = data.draw(keys((3, 4)))
    try:
        parts = encode(key, np.asarray)
    except (IndexError, TypeError):
        return
    again = decode(*parts)
    assert len(again) == len(key)
    for before, after in zip(key, again, strict=True):
        if isinstance(before, (np.ndarray, list, bool)):
            assert np.array_equal(before, after)
        else:
            assert before == after


@quick
@given(
    arrays(),
    arrays(dtypes=["int64", "int8", "uint64", "float32", "bool"]),
    st.one_of(st.none(), axes),
    st.sampled_from(["wrap", "clip"]),
)
def test_take(x: np.ndarray, indices: np.ndarray, axis, mode: str) -> None:
    agree("take", x, indices, axis, mode)


@quick
@given(arrays(), st.data(), axes)
def test_take_along_axis(x: np.ndarray, data: Any, axis: int) -> None:
    shape = list(x.shape)
    if -x.ndim <= axis < x.ndim:
        shape[axis] = data.draw(st.integers(0, 3))
    if shape and data.draw(st.booleans()):
        shape[data.draw(st.integers(0, len(shape) - 1))] = 1
    indices = laid_out(shape, data.draw(st.sampled_from(["int64", "int8", "float32"])), data.draw)
    agree("take_along_axis", x, indices * 0, axis)


@quick
@given(arrays(max_dims=2), arrays(max_dims=3), st.sampled_from(["same_kind", "unsafe", "safe"]))
def test_copyto(x: np.ndarray, y: np.ndarray, casting: str) -> None:
    agree("copyto", x, y, casting)


@quick
@given(arrays(max_dims=2), arrays(max_dims=3), st.data())
def test_setitem(x: np.ndarray, y: np.ndarray, data: Any) -> None:
    key = data.draw(st.one_of(shapes(0, 2, st.integers(-2, 2)), st.just(()), st.just((None, ...))))
    agree("setitem", x, *encode(key, np.asarray), y)
