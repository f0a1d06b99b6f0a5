"""Section M of the behaviours: operators without arrays, dispatched on a device argument."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gpuops
from gpuops import Array, Device, Library, custom_op
from tests.standin_cupy import StandIn

X = np.ones(2)


def no_device(n: int) -> Array:
    return np.zeros(n)


# M1
def test_a_factory_needs_a_device_argument(ns: str) -> None:
    message = "required to have a `device: gpuops.Device` argument"
    with pytest.raises(ValueError, match=message):
        custom_op(f"{ns}::f", no_device, mutates_args=(), device_types="cpu")
    f = custom_op(f"{ns}::f", no_device, mutates_args=())
    with pytest.raises(ValueError, match=f"^{ns}::f takes no arrays, .*{message}"):
        f.register_kernel("cpu", no_device)
    with pytest.raises(ValueError, match=f"^{ns}::f takes no arrays, .*{message}"):
        f.register_kernel("cpu")
    with Library(ns, "FRAGMENT") as lib:
        for parameter in ("device dev", "str device", "device[] device", "int device"):
            lib.define(f"g(int n, {parameter}) -> Array")
            with pytest.raises(ValueError, match=message):
                lib.impl("g", lambda n, device: np.zeros(n), "cuda")
            gpuops.operators(ns)[-1].call.operator.check_alive()
            lib._handles.popitem()[0].undo()
    # M3
    assert f(2).tolist() == [0, 0]


@pytest.fixture
def factory(ns: str) -> Any:
    @custom_op(f"{ns}::f", mutates_args=(), device_types="cpu")
    def f(n: int, device: Device) -> Array:
        assert device is Device("cpu")
        return np.zeros(n)

    return f


# M2
def test_a_factory_dispatches_on_its_device(factory: Any, cupy: StandIn, ns: str) -> None:
    assert factory(1, "cpu") == factory(1, device="cpu") == factory(1, Device("cpu")) == 0
    with pytest.raises(
        NotImplementedError, match=f"{ns}::f does not have a kernel registered for cuda"
    ):
        factory(1, "cuda")
    factory.register_kernel("cuda", lambda n, device: cupy.ones(n, device=device.index or 0))
    assert type(factory(1, "cuda:0")) is cupy.ndarray
    assert type(factory(1, "cpu")) is np.ndarray


def test_a_factory_makes_its_device_current(factory: Any, two_gpus: StandIn) -> None:
    seen = []

    def kernel(n: int, device: Device) -> Any:
        seen.append(two_gpus.current)
        return two_gpus.ones(n, device=two_gpus.current)

    factory.register_kernel("cuda", kernel)
    factory(1, "cuda:1")
    two_gpus.current = 1
    factory(1, "cuda")
    factory(1, "cuda:0")
    assert seen == [1, 1, 0] and two_gpus.current == 1


def test_a_factory_that_returns_on_another_device_is_refused(factory: Any, cupy: StandIn) -> None:
    factory.register_kernel("cuda", lambda n, device: np.zeros(n))
    with pytest.raises(TypeError, match="on 'cpu', expected an array on 'cuda'"):
        factory(1, "cuda")


# M4
def test_a_keyword_only_device_and_an_optional_one(ns: str) -> None:
    @custom_op(f"{ns}::f", mutates_args=(), device_types="cpu")
    def f(n: int, *, device: Device) -> Array:
        return np.zeros(n)

    @custom_op(f"{ns}::g", mutates_args=(), device_types="cpu")
    def g(n: int, *, device: Device | None = None) -> Array:
        return np.zeros(n)

    assert f(1, device="cpu") == 0
    assert g(1) == g(1, device=None) == g(1, device="cpu") == 0
    for op in (f, g):
        with pytest.raises(
            NotImplementedError, match="registered for cuda; it has kernels for cpu"
        ):
            op(1, device="cuda:1")
        with pytest.raises(TypeError, match="'device'"):
            op(1, device=3)


# M2
def test_an_array_decides_before_a_device_argument(ns: str, cupy: StandIn) -> None:
    @custom_op(f"{ns}::f", mutates_args=())
    def f(x: Array, device: Device) -> tuple[bool, int]:
        return False, device.index or 0

    f.register_kernel("cuda", lambda x, device: (True, device.index or 0))
    assert f(cupy.ones(1), "cpu") == (True, 0)
    assert f(X, "cuda:1") == (False, 1)
