"""Operators of the namespace on fakes: wiring, symbolic sizes, errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given

import gpuops
from gpuops import FakeArray, FakeMode, xp
from tests.xp.common import arrays, quick


@pytest.fixture
def unknown() -> tuple[FakeMode, Any]:
    """A mode, and a size that nobody may look at."""
    mode = FakeMode()
    size = xp.nonzero(mode.from_array(np.ones((8, 3))))[0].shape[0]
    return mode, size


def same(fake: Any, real: np.ndarray) -> bool:
    return (fake.shape, fake.dtype, fake.strides) == (real.shape, real.dtype, real.strides)


@quick
@given(arrays(max_dims=3, dtypes=["float32", "int8", "float64"]))
def test_a_fake_has_the_layout_of_the_real_result(x: np.ndarray) -> None:
    fake = FakeMode().from_array(x)
    for function in (
        lambda x: x + x,
        lambda x: x * 2.0,
        lambda x: 1 - x,
        lambda x: x.sum(axis=0) if x.ndim else x.sum(),
        lambda x: x.T,
        lambda x: x[None, ..., None],
        lambda x: np.exp(x),
        lambda x: np.where(x > 0, x, 0),
        lambda x: np.expand_dims(x, 0),
        lambda x: np.concatenate([x, x]) if x.ndim else x.reshape(1),
        lambda x: x.reshape(-1),
        lambda x: np.hypot(x, x.T) if len(set(x.shape)) < 2 else np.tan(x),
    ):
        assert same(function(fake), np.asarray(function(x)))
        # Twice: what is remembered of the first call has to be right for the second.
        assert same(function(fake), np.asarray(function(x)))


@quick
@given(arrays(max_dims=3), arrays(max_dims=3))
def test_what_is_remembered_is_of_the_same_layout(x: np.ndarray, y: np.ndarray) -> None:
    mode = FakeMode()
    for a, b in ((x, y), (x, x), (y, y)):
        try:
            expected = np.asarray(np.equal(a, b))
        except ValueError:
            with pytest.raises(ValueError, match="xp::equal"):
                xp.equal(mode.from_array(a), mode.from_array(b))
        else:
            assert same(xp.equal(mode.from_array(a), mode.from_array(b)), expected)


def test_views_know_their_base() -> None:
    x = FakeArray((4, 3), "float32")
    assert x.T.base is x
    assert x[1:].base is x
    assert x.reshape(12).base is x
    assert x[[0, 1]].base is None
    assert (x + 1).base is None
    assert xp.broadcast_to(x, (2, 4, 3)).flags.writeable is False
    assert [part.base is x for part in xp.unstack(x)] == [True] * 4


def test_the_modes_of_arguments() -> None:
    mode = FakeMode()
    mine, free = mode.from_array(np.ones(2)), FakeArray((2,))
    for result in (free + mine, mine + free, xp.concat([free, mine]), xp.matmul(free, mine)):
        assert result.fake_mode is mode


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda x: x + FakeArray((5,)), ValueError, "xp::add: shapes cannot be broadcast"),
        (lambda x: x.sum(axis=7), np.exceptions.AxisError, "xp::sum: .*axis 7 is out of bounds"),
        (lambda x: x.reshape(5, 5), ValueError, "xp::reshape: cannot reshape array of size 12"),
        (
            lambda x: x[5],
            IndexError,
            "xp::getitem: index 5 is out of bounds for axis 0 with size 4",
        ),
        (lambda x: x[0, 0, 0], IndexError, "xp::getitem: too many indices for array"),
        (lambda x: x & x, TypeError, "xp::bitwise_and: ufunc 'bitwise_and' not supported"),
        (lambda x: x @ x, ValueError, "xp::matmul: .*mismatch in the core dimension: 3 and 4"),
        (lambda x: xp.linalg.inv(x), np.linalg.LinAlgError, "xp::linalg_inv: Last 2 dimensions"),
        (lambda x: xp.arange(1, 2, 0), ZeroDivisionError, "xp::arange: division by zero"),
        (lambda x: xp.einsum("ij,jk", x), ValueError, "xp::einsum: einstein sum subscripts"),
        (lambda x: x.max(axis=0)[None][:0].max(axis=0), ValueError, "xp::max: zero-size array"),
    ],
)
def test_refusals_name_the_operator(call: Any, error: type[Exception], text: str) -> None:
    with FakeMode(), pytest.raises(error, match=text) as caught:
        call(FakeArray((4, 3)))
    assert isinstance(caught.value, gpuops.GpuopsError)
    assert "Called with (" in str(caught.value)


def test_unknown_sizes(unknown: tuple[FakeMode, Any]) -> None:
    mode, n = unknown
    with mode:
        x, y = FakeArray((n, 4), "float32"), FakeArray((4, n), "float32")
        assert (x + 1).shape == (n, 4)
        assert (x + FakeArray((1, 4))).shape == (n, 4)
        assert (x @ y).shape == (n, n)
        assert (x @ y).strides == (4 * n, 4)
        assert (y @ x).shape == (4, 4)
        assert x.reshape(-1).shape == (4 * n,)
        assert x.reshape(2, -1).shape == (2, 2 * n)
        assert x.reshape(n, 2, 2).strides == (16, 8, 4)
        assert y.T.reshape(-1, 2).shape == (2 * n, 2)
        assert xp.concat([x, x, FakeArray((2, 4))]).shape == (2 * n + 2, 4)
        assert xp.stack([x, x]).shape == (2, n, 4)
        assert xp.stack([x, x]).strides == (16 * n, 16, 4)
        assert x[::-1].strides == (-16, 4)
        assert x[::2].strides == (32, 4)
        assert x[0].shape == (4,)
        assert (x - x.mean(axis=1, keepdims=True)).shape == (n, 4)
        assert x.sum(axis=0).shape == (4,)
        assert xp.tile(x, (2, 1)).shape == (2 * n, 4)
        assert xp.repeat(x, 2, axis=0).shape == (2 * n, 4)
        assert xp.zeros((n, 2)).shape == (n, 2)
        assert xp.arange(n).shape == (n,)
        assert xp.eye(n).shape == (n, n)
        assert xp.broadcast_to(x, (3, n, 4)).strides == (0, 16, 4)
        assert xp.einsum("ij,jk->ik", x, y).shape == (n, n)
        assert xp.pad(x, 1).shape == (n + 2, 6)
        assert xp.take(x, FakeArray((n,), "int64"), axis=0).shape == (n, 4)
        assert xp.linalg.svd(x).Vh.shape == (4, 4)
        assert (x + n).dtype == np.float32


def test_unknown_sizes_that_have_to_be_equal(unknown: tuple[FakeMode, Any]) -> None:
    mode, n = unknown
    with mode:
        total = FakeArray((n,)) + FakeArray((5,))
    assert total.shape == (5,)  # a condition is recorded, and the size known from then on
    assert n == 5


def test_data_dependent_sizes() -> None:
    mode = FakeMode()
    x = mode.from_array(np.ones((4, 3)))
    picked = x[x > 0]
    assert picked.ndim == 1 and picked.shape[0] <= 12
    values, indices, inverse, counts = xp.unique_all(x)
    assert values.shape == indices.shape == counts.shape
    assert inverse.shape == (4, 3)
    assert (values.shape[0] >= 1) is True
    rows, columns = xp.nonzero(x)
    assert rows.shape == columns.shape
    assert xp.repeat(x, mode.from_array(np.array([1, 2, 0, 1])), axis=0).shape[1] == 3
    assert xp.repeat(FakeArray((3,)), [1, 2, 0]).shape == (3,)
    with pytest.raises(gpuops.DynamicShapeError, match="xp::nonzero has a data-dependent shape"):
        xp.nonzero(FakeArray((2,)))


def test_writing() -> None:
    x = FakeArray((4, 3), "float32")
    x[1:] = 0.5
    x[0] = FakeArray((3,), "float64")
    x += FakeArray((3,), "float32")
    with pytest.raises(ValueError, match="could not broadcast input array from shape"):
        x[1:] = FakeArray((2,))
    with pytest.raises(TypeError, match="xp::copyto: Cannot cast array data from dtype"):
        x += FakeArray((3,), "complex64")
    with pytest.raises(ValueError, match="read-only"):
        xp.broadcast_to(x, (2, 4, 3))[0] = 1.0


def test_a_list_as_an_index() -> None:
    assert FakeArray((4, 3))[[0, 2]].shape == (2, 3)
    assert FakeArray((4, 3))[:, [0, 2, 2]].shape == (4, 3)


@pytest.mark.parametrize("mode", ["real", "fake", "symbolic"])
def test_tracing_goes_through_the_operators(mode: str) -> None:
    def layer(x: Any, w: Any) -> Any:
        h = xp.matmul(x, w)
        e = np.exp(h - h.max(axis=-1, keepdims=True))
        y = e / e.sum(axis=1)[:, None]
        return xp.concat([y, y[1:] * 2.0], axis=0).reshape(-1)

    x, w = np.linspace(0, 1, 20).reshape(5, 4), np.linspace(-1, 1, 12).reshape(4, 3)
    graph = gpuops.trace(layer, tracing_mode=mode)(x, w)
    assert np.array_equal(graph(x, w), layer(x, w))
    if mode == "symbolic":
        longer = np.linspace(0, 1, 28).reshape(7, 4)
        assert np.array_equal(graph(longer, w), layer(longer, w))


def test_debug_mode_has_nothing_to_say() -> None:
    x = np.arange(12.0).reshape(3, 4)
    with gpuops.debug():
        for result in (
            xp.reshape(x, (4, 3)),
            xp.permute_dims(x, (1, 0)),
            xp.getitem(x, slice(1)),
            xp.broadcast_arrays(x, x[0])[1],
            xp.unstack(x)[0],
            xp.nonzero(x)[0],
            xp.real(x),
            xp.astype(x, np.float64, copy=False),
            xp.asarray(x),
            xp.einsum("ij->ji", x),
            xp.linalg.diagonal(x),
            xp.linalg.matrix_power(x[:3, :3], 1),
            xp.unique_all(x).values,
            xp.atleast_2d(x[0]),
        ):
            assert type(result) is np.ndarray
        xp.setitem(x, 0, 1.0)
    assert x[0].tolist() == [1.0] * 4
