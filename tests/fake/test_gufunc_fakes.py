"""The fakes that gufunc signatures give, against NumPy's own gufuncs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import gpuops
from gpuops import Array, FakeArray, FakeMode, ShapeError, custom_op

SIZES = st.integers(0, 3)
DTYPES = st.sampled_from(["int8", "float32", "float64", "complex64"])


def shapes(core: int) -> st.SearchStrategy[tuple[int, ...]]:
    return st.lists(SIZES, min_size=core, max_size=core + 2).map(tuple)


@pytest.fixture(scope="module")
def matmul() -> Any:
    signature = "(m?,k),(k,n?)->(m?,n?)"

    @custom_op("test_gufunc::matmul", mutates_args=(), signature=signature)
    def matmul(x: Array, y: Array) -> Array:
        return np.asarray(np.matmul(x, y))

    yield matmul
    matmul.undo()


@given(shapes(1), shapes(1), DTYPES, DTYPES)
def test_matmul_has_numpys_shapes_and_dtypes(
    matmul: Any, left: tuple[int, ...], right: tuple[int, ...], x: str, y: str
) -> None:
    fakes = FakeArray(left, x), FakeArray(right, y)
    try:
        real = np.matmul(np.zeros(left, x), np.zeros(right, y))
    except ValueError:
        with pytest.raises(ShapeError, match=r"test_gufunc::matmul: .*dimension"):
            matmul(*fakes)
        return
    for _ in range(2):  # the second time from memory
        out = matmul(*fakes)
        assert (out.shape, out.dtype) == (real.shape, real.dtype)
        assert out.flags.c_contiguous and out.base is None


def test_errors_name_the_dimension_and_the_arguments(ns: str) -> None:
    @custom_op(f"{ns}::mm", mutates_args=(), signature="(m,k),(k,n)->(m,n)")
    def mm(x: Array, y: Array) -> Array:
        return x @ y

    with pytest.raises(ShapeError) as caught:
        mm(FakeArray((2, 3)), FakeArray((4, 5)))
    expected = f"{ns}::mm: dimension 'k' of (m,k),(k,n)->(m,n) differs between 'x' and 'y': 3 and 4"
    assert str(caught.value) == expected
    with pytest.raises(ShapeError, match=r"'x' must have at least 2 axes, \(m,k\)"):
        mm(FakeArray((2,)), FakeArray((4, 5)))
    with pytest.raises(ShapeError, match=r"loop dimensions of 'x', 'y' .* \(7\) \(8\)"):
        mm(FakeArray((7, 2, 3)), FakeArray((8, 3, 4)))


def test_fixed_sizes_several_outputs_and_devices(ns: str) -> None:
    @custom_op(f"{ns}::cross", mutates_args=(), signature="(3),(3)->(3),()")
    def cross(x: Array, y: Array, *, scale: float = 1.0) -> tuple[Array, Array]:
        return np.cross(x, y), np.vecdot(x, y)

    x = FakeArray((5, 1, 3), "float32", "cuda:3")
    vector, number = cross(x, FakeArray((2, 3), "float64", "cuda:3"), scale=2.0)
    assert (vector.shape, number.shape) == ((5, 2, 3), (5, 2))
    assert vector.dtype == np.float64 and vector.device == number.device == "cuda:3"
    with pytest.raises(ShapeError, match="dimension '3' .* must be its number in 'y': 4 and 3"):
        cross(x, FakeArray((4,), device="cuda:3"))


def test_a_registered_fake_overrides_the_signatures(ns: str) -> None:
    @custom_op(f"{ns}::norm", mutates_args=(), signature="(n)->()")
    def norm(x: Array) -> Array:
        return np.asarray(np.linalg.norm(x, axis=-1))

    assert norm(FakeArray((4, 3), "complex64")).dtype == np.complex64
    with gpuops.register_fake(norm, lambda x: x.new_empty(x.shape[:-1], "float32")):
        assert norm(FakeArray((4, 3), "complex64")).dtype == np.float32


def test_symbolic_sizes_become_conditions(ns: str) -> None:
    @custom_op(f"{ns}::mm", mutates_args=(), signature="(m,k),(k,n)->(m,n)")
    def mm(x: Array, y: Array) -> Array:
        return x @ y

    mode = FakeMode()
    env = mode.shape_env
    assert env is not None
    m, k = env.new_dynamic(), env.new_dynamic()
    with mode:
        out = mm(FakeArray((m, k)), FakeArray((4, 5)))
    assert str(out.shape) == "(u0, 5)"
    assert [str(condition) for condition in env.conditions] == ["u1 == 4"]
