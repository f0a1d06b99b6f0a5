"""Functions made of operators: values, shapes, dtypes, strides and refusals are NumPy's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import gpuops
from gpuops import FakeArray, xp
from tests.xp.common import agree, arrays, axes, outcome, quick

REAL = ["float32", "float64", "int8", "int64", "float16"]
NUMBERS = [*REAL, "complex64", "bool"]


def faked(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return FakeArray(value.shape, value.dtype, strides=value.strides)
    return [faked(item) for item in value] if isinstance(value, list) else value


def compare(function: Callable[[Any], Callable[..., Any]], *args: Any, **kwargs: Any) -> None:
    """Let a function of NumPy, of gpuops.xp, and of fakes give the same, or refuse alike."""
    kind, expected = outcome(function(np), args, kwargs)
    for given_args in (args, tuple(map(faked, args))):
        is_fake = given_args is not args and any(map(holds_fake, given_args))
        found_kind, found = outcome(function(xp), given_args, kwargs)
        assert found_kind == kind, (expected, found)
        if kind == "error":
            assert isinstance(found, type(expected)) or isinstance(expected, type(found))
            continue
        several = isinstance(expected, (tuple, list))
        assert isinstance(found, (tuple, list)) == several
        for one, other in zip(
            *((expected, found) if several else ([expected], [found])), strict=True
        ):
            one = np.asarray(one)
            assert (other.shape, other.dtype) == (one.shape, one.dtype)
            assert other.strides == one.strides or not one.size
            if not is_fake:
                close = {"rtol": 1e-2 if one.dtype == np.float16 else 1e-4, "atol": 1e-4}
                assert np.allclose(other, one, equal_nan=True, **close)


def holds_fake(value: Any) -> bool:
    return isinstance(value, FakeArray) or (isinstance(value, list) and any(map(holds_fake, value)))


@pytest.mark.parametrize("name", ["isposinf", "isneginf", "isreal", "ediff1d"])
@quick
@given(arrays(dtypes=NUMBERS))
def test_elements(name: str, x: np.ndarray) -> None:
    compare(lambda n: getattr(n, name), x)


@quick
@given(arrays(dtypes=REAL), st.one_of(st.none(), axes), st.sampled_from([1, 2]), st.data())
def test_gradient(x: np.ndarray, axis: Any, edge_order: int, data: Any) -> None:
    options = {"axis": axis, "edge_order": edge_order}
    compare(lambda n: n.gradient, x, **options)
    compare(lambda n: n.gradient, x, 0.5, **options)
    compare(lambda n: n.gradient, x, 0.5, 2, 1, axis=axis)
    place = 0 if axis is None else axis
    if -x.ndim <= place < x.ndim and x.shape[place] > edge_order:
        places = np.cumsum(1 + np.arange(x.shape[place]) % 3) / 2
        compare(lambda n: n.gradient, x, places, axis=place, edge_order=edge_order)


@quick
@given(arrays(), arrays(dtypes=["float64", "float32"], max_dims=2), axes, st.integers(0, 3))
def test_gradient_along(x: np.ndarray, spacing: np.ndarray, axis: int, edge_order: int) -> None:
    agree("gradient_along", x, 2.0, axis, edge_order, overload="scalar_spacing")
    agree("gradient_along", x, spacing + 0.5, axis, edge_order)


@quick
@given(arrays(dtypes=REAL, min_dims=1), axes, st.sampled_from([1.0, 0.5]), st.booleans())
def test_trapezoid(y: np.ndarray, axis: int, dx: float, with_x: bool) -> None:
    compare(lambda n: n.trapezoid, y, dx=dx, axis=axis)
    if with_x and -y.ndim <= axis < y.ndim:
        compare(
            lambda n: lambda y, x: n.trapezoid(y, x, axis=axis), y, np.arange(y.shape[axis]) / 2
        )
        compare(lambda n: lambda y, x: n.trapezoid(y, x, axis=axis), y, y[::-1])


@quick
@given(
    arrays(dtypes=[*REAL, "complex64"], min_dims=1, max_dims=3),
    st.booleans(),
    st.booleans(),
    st.sampled_from([None, 0, 1]),
)
def test_cov(x: np.ndarray, rowvar: bool, bias: bool, ddof: Any) -> None:
    compare(lambda n: n.cov, x, rowvar=rowvar, bias=bias, ddof=ddof)
    compare(lambda n: n.cov, x, x, rowvar=rowvar)


@quick
@given(arrays(dtypes=[*REAL, "complex64"], min_dims=1, max_dims=2), st.booleans())
def test_corrcoef(x: np.ndarray, rowvar: bool) -> None:
    compare(lambda n: n.corrcoef, x, rowvar=rowvar)


@quick
@given(arrays(dtypes=REAL, min_dims=1, max_dims=1), arrays(dtypes=[*REAL, "complex64"]))
def test_polyval(p: np.ndarray, x: np.ndarray) -> None:
    compare(lambda n: n.polyval, p, x)


@quick
@given(arrays(max_dims=4), st.sampled_from(["C", "F", "A", "K", "Z"]))
def test_orders(x: np.ndarray, order: str) -> None:
    compare(lambda n: n.ravel, x, order)
    compare(lambda n: lambda x: x.ravel(order), x)
    compare(lambda n: lambda x: x.flatten(order), x)
    compare(lambda n: lambda x: x.copy(order), x)
    compare(lambda n: lambda x: x.reshape(-1, 1, order=order), x)
    real, fake = outcome(np.ravel, (x,), {"order": order}), faked(x)
    assert outcome(np.ravel, (fake,), {"order": order})[0] == real[0]
    if real[0] == "value":
        assert np.shares_memory(xp.ravel(x, order), x) == np.shares_memory(real[1], x)
        assert (np.ravel(fake, order=order).base is fake) == np.shares_memory(
            real[1], x
        ) or not x.size


def test_the_gradient_of_an_order_that_depends_on_the_layout_is_refused() -> None:
    x = np.ones((2, 3))
    assert gpuops.grad(lambda x: xp.sum(xp.reshape(x, (3, 2), "F")))(x).shape == (2, 3)
    with pytest.raises(gpuops.NoGradientError, match="none for 'A'"):
        gpuops.grad(lambda x: xp.sum(xp.reshape(x, (3, 2), "A")))(x)


def test_the_gradient_of_other_quantiles_is_refused() -> None:
    with pytest.raises(gpuops.NoGradientError, match="none for 'lower'"):
        gpuops.grad(lambda x: xp.quantile(x, 0.5, method="lower"))(np.ones(3))


@quick
@given(arrays(dtypes=["float32", "float64"]), st.integers(0, 1))
def test_degrees_of_freedom_have_two_names(x: np.ndarray, ddof: int) -> None:
    for name in ("nanvar", "nanstd"):
        compare(lambda n, name=name: getattr(n, name), x, ddof=ddof)
        compare(lambda n, name=name: getattr(n, name), x, correction=ddof)


@quick
@given(arrays(), axes, st.integers(-4, 4), st.integers(-2, 2))
def test_axes(x: np.ndarray, axis: int, start: int, k: int) -> None:
    compare(lambda n: n.rollaxis, x, axis, start)
    compare(lambda n: n.diagflat, x, k)
    compare(lambda n: n.dsplit, x, 2)


@quick
@given(
    arrays(dtypes=["float32", "float64", "int64"]),
    st.one_of(st.none(), axes),
    st.sampled_from([0.25, [0.25, 0.5], 1]),
    st.booleans(),
)
def test_quantiles(x: np.ndarray, axis: Any, q: Any, keepdims: bool) -> None:
    # A list is numbers here, not fakes of them.
    for name, scale in (("quantile", 1), ("percentile", 100)):
        share = [scale * item for item in q] if isinstance(q, list) else scale * q
        compare(
            lambda n, name=name, share=share: (
                lambda x: getattr(n, name)(x, share, axis=axis, keepdims=keepdims)
            ),
            x,
        )


@quick
@given(
    arrays(dtypes=["bool"], max_dims=2),
    arrays(dtypes=REAL, max_dims=2),
    arrays(dtypes=REAL, max_dims=1),
)
def test_select_takes_zero_by_default(c: np.ndarray, x: np.ndarray, y: np.ndarray) -> None:
    compare(lambda n: n.select, [c], [x])
    compare(lambda n: n.select, [c, ~c], [x, y], 1.5)


@quick
@given(arrays(dtypes=["int64", "float32"]), arrays(dtypes=["int64"]))
def test_union(x: np.ndarray, y: np.ndarray) -> None:
    assert np.array_equal(xp.union1d(x, y), np.union1d(x, y))
