"""`register_autocast` and the region `autocast`: section T."""

from __future__ import annotations

import doctest
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gpuops
from gpuops import Array, Library, autocast, register_autocast

PAGE = Path(__file__).resolve().parents[1] / "docs" / "autocast.md"
ONE = np.ones(2, np.float32)


@pytest.fixture
def seen() -> list[Any]:
    return []


@pytest.fixture
def double(seen: list[Any]) -> Iterator[Any]:
    @gpuops.custom_op("cast_test::double", mutates_args=())
    def double(x: Array) -> Array:
        seen.append(x.dtype.name)
        return x + x

    yield double
    double.undo()


# T1
@pytest.mark.parametrize("by", ["object", "name", "overload", "method", "library", "lib="])
def test_arrays_are_cast_in_the_region_only(double: Any, seen: list[Any], by: str) -> None:
    library = Library("cast_test", "FRAGMENT")
    if by == "method":
        double.register_autocast("cpu", np.float16)
    elif by == "library":
        library.register_autocast("double", "cpu", np.float16)
    else:
        overload = gpuops.ops.cast_test.double.default
        target = {"name": "cast_test::double", "overload": overload}.get(by, double)
        handle = register_autocast(target, "cpu", "float16", lib=library if by == "lib=" else None)
        assert isinstance(handle, gpuops.Registration)
    assert double(ONE).dtype == np.float32
    with autocast("cpu"):
        assert double(ONE).dtype == np.float16
    assert double(ONE).dtype == np.float32
    assert seen == ["float32", "float16", "float32"]
    library.destroy()
    if by in ("library", "lib="):
        with autocast("cpu"):
            assert double(ONE).dtype == np.float32


# T1, T5
def test_lists_optional_and_keyword_arrays_are_cast() -> None:
    @gpuops.custom_op("cast_test::many", mutates_args=())
    def many(xs: list[Array], y: Array | None, s: float, *, z: Array) -> list[Array]:
        return [x.copy() for x in (*xs, z)]

    register_autocast(many, "cpu", np.float16)
    with autocast("cpu"):
        out = many([ONE, ONE.astype("f8")], None, 2.0, z=ONE)
    assert [x.dtype.name for x in out] == ["float16", "float64", "float16"]
    many.undo()


# T2
def test_registering_twice_is_no_error_and_the_second_dtype_wins(double: Any) -> None:
    register_autocast(double, "cpu", np.float16)
    second = register_autocast(double, "cpu", np.float32)
    with autocast("cpu"):
        assert double(ONE.astype("f2")).dtype == np.float32
        second.undo()
        assert double(ONE).dtype == np.float16


# T3
def test_a_dtype_for_each_device_type(double: Any, simulated_cuda: Any) -> None:
    register_autocast(double, "cpu", np.float16)
    register_autocast(double, "cuda", np.float32)
    half = gpuops.asarray(ONE.astype("f2"), device="cuda")
    with autocast("cpu"):
        assert double(ONE).dtype == np.float16
        assert double(half).dtype == np.float16
        with autocast("cuda"):
            assert double(ONE).dtype == np.float16
            assert double(half).dtype == np.float32
    assert double(half).dtype == np.float16


# T3
def test_nested_regions_do_not_recurse(double: Any) -> None:
    @gpuops.custom_op("cast_test::outer", mutates_args=())
    def outer(x: Array) -> Array:
        # Not cast once more: the kernel is outside of all regions.
        return double(x.astype(np.float32))

    register_autocast(double, "cpu", np.float16)
    register_autocast(outer, "cpu", np.float16)
    with autocast("cpu"), autocast("cpu"):
        assert outer(ONE).dtype == np.float32
        assert double(ONE).dtype == np.float16
    outer.undo()


# T4
def test_doubles_and_integers_are_untouched_and_a_kernel_may_upcast(seen: list[Any]) -> None:
    @gpuops.custom_op("cast_test::up", mutates_args=())
    def up(x: Array) -> Array:
        seen.append(x.dtype.name)
        return np.zeros(x.shape, np.float64)

    register_autocast(up, "cpu", np.float16)
    with autocast("cpu"):
        for dtype in ("f8", "i4", "?", "c8"):
            up(ONE.astype(dtype))
        assert up(ONE).dtype == np.float64
    assert seen == ["float64", "int32", "bool", "complex64", "float16"]
    up.undo()


# T5
@pytest.mark.parametrize("function", [lambda device: autocast(device).__enter__(), None])
@pytest.mark.parametrize("device", [3, None, "xpu", ["cpu"]])
def test_a_wrong_device_is_a_value_error(double: Any, function: Any, device: Any) -> None:
    where = "autocast" if function else r"register_autocast\(cast_test::double\)"
    with pytest.raises(ValueError, match=f"{where}: Expected one of cpu, cuda as a device type"):
        (function or (lambda d: register_autocast(double, d, np.float16)))(device)


def test_a_wrong_dtype_is_refused(double: Any) -> None:
    for dtype in (np.int32, None, "nothing", 3):
        with pytest.raises(TypeError, match="expected a floating-point dtype, got"):
            register_autocast(double, "cpu", dtype)
    with pytest.raises(TypeError, match="autocast: expected a floating-point dtype, got"):
        autocast("cpu", np.int32).__enter__()


def test_an_operator_that_writes_is_refused() -> None:
    @gpuops.custom_op("cast_test::fill", mutates_args={"x"})
    def fill(x: Array) -> None:
        x[...] = 1

    with pytest.raises(RuntimeError, match="the operator writes to 'x', and would write to a copy"):
        register_autocast(fill, "cpu", np.float16)
    fill.undo()


def test_the_regions_dtype_comes_before_the_registered_one(double: Any) -> None:
    register_autocast(double, "cpu", np.float16)
    with autocast("cpu", np.float32):
        assert double(ONE.astype("f2")).dtype == np.float32


def test_operators_that_are_not_registered_run_as_ever(double: Any, seen: list[Any]) -> None:
    with autocast("cpu"):
        assert double(ONE).dtype == np.float32
        assert gpuops.xp.sum(gpuops.xp.zeros(3)) == 0


def test_the_region_is_its_threads_and_ends_with_an_error(double: Any) -> None:
    register_autocast(double, "cpu", np.float16)
    found = []
    thread = threading.Thread(target=lambda: found.append(double(ONE).dtype))
    with autocast("cpu"):
        thread.start()
        thread.join()
    assert found == [np.float32]

    def fail() -> None:
        with autocast("cpu"):
            raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        fail()
    assert double(ONE).dtype == np.float32


def test_casts_are_batched_differentiated_traced_and_faked(double: Any) -> None:
    register_autocast(double, "cpu", np.float16)
    double.register_vmap(lambda info, in_dims, x: (double(x), in_dims[0]))
    double.register_autograd(lambda ctx, g: g * 2)
    double.register_fake(lambda x: x.new_empty(x.shape))

    def function(x: Any) -> Any:
        with autocast("cpu"):
            return double(x)

    x = np.ones((3, 2), np.float32)
    assert gpuops.vmap(function)(x).dtype == np.float16
    with autocast("cpu"):
        assert gpuops.vmap(double)(x).dtype == np.float16
        assert gpuops.vmap(lambda e: e + double(ONE))(x).dtype == np.float32
    gradient = gpuops.grad(lambda e: function(e).sum())(x)
    assert gradient.dtype == np.float32
    assert np.array_equal(gradient, np.full((3, 2), 2.0))
    graph = gpuops.trace(function)(x)
    assert [node.operator.name for node in graph.nodes] == ["astype", "double"]
    assert graph(x).dtype == np.float16
    assert function(gpuops.FakeArray((2,), "float32")).dtype == np.float16


def test_the_examples_of_the_page_run() -> None:
    done = doctest.testfile(str(PAGE), module_relative=False)
    gpuops.ops.docs_autocast.square.undo()
    assert done.attempted > 5
    assert not done.failed
