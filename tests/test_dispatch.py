"""Section K of the behaviours: which kernel a call runs, and on which device."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from typing import Any

import numpy as np
import pytest

import gpuops
from gpuops import Array, Library, custom_op, ops
from tests.standin_cupy import StandIn

X = np.ones(2)


# -- K: devices and kernels ------------------------------------------------------------------------


# K1
def test_a_device_kernel_wins_on_its_device(ns: str, cupy: StandIn) -> None:
    calls: list[str] = []

    @custom_op(f"{ns}::f", mutates_args=())
    def f(x: Array) -> Array:
        calls.append("default")
        return x.copy()

    f(X), f(cupy.ones(2))
    assert calls == ["default", "default"]

    @f.register_kernel("cpu")
    def _(x: np.ndarray) -> np.ndarray:
        calls.append("cpu")
        return x.copy()

    f(X), f(cupy.ones(2))
    assert calls[2:] == ["cpu", "default"]

    @f.register_kernel("cuda")
    def _(x: Any) -> Any:
        calls.append("cuda")
        return x.copy()

    f(X), f(cupy.ones(2))
    assert calls[4:] == ["cpu", "cuda"]


# K2
def test_each_array_runs_the_kernel_of_its_device(ns: str, cupy: StandIn) -> None:
    count: Counter[str] = Counter()

    @custom_op(f"{ns}::f", mutates_args=(), device_types="cpu")
    def f(x: Array) -> Array:
        count["cpu"] += 1
        return x.copy()

    @f.register_kernel("cuda")
    def _(x: Any) -> Any:
        count["cuda"] += 1
        return x.copy()

    for _ in range(3):
        assert type(f(X)) is np.ndarray
        assert type(f(cupy.ones(2))) is cupy.ndarray
    assert count == {"cpu": 3, "cuda": 3}


# K3
@pytest.mark.parametrize("device_types", [("cpu", "cuda"), ["cuda", "cpu"]])
def test_one_function_for_two_devices(ns: str, cupy: StandIn, device_types: Any) -> None:
    count: Counter[str] = Counter()

    @custom_op(f"{ns}::f", mutates_args=(), device_types=device_types)
    def f(x: Array) -> Array:
        count["both"] += 1
        return x.copy()

    f(X), f(cupy.ones(2))
    assert count == {"both": 2}

    @f.register_kernel("cpu")
    def _(x: np.ndarray) -> np.ndarray:
        count["cpu"] += 1
        return x.copy()

    f(X), f(cupy.ones(2))
    assert count == {"both": 3, "cpu": 1}


def returns(value: float) -> Any:
    return lambda x: np.full(1, value)


# K4
@pytest.mark.parametrize("device", ["cpu", None, ["cpu"], ["cpu", "cuda"], ("cuda", "cpu")])
@pytest.mark.parametrize("declared", ["custom_op", "define"])
@pytest.mark.parametrize("by", ["object", "qualname", "overload", "operator"])
def test_register_kernel(ns: str, device: Any, declared: str, by: str) -> None:
    if declared == "custom_op":
        custom_op(f"{ns}::f", returns(0), mutates_args=(), schema="(Array x) -> Array")
        handle = None
    else:
        handle = gpuops.define(f"{ns}::f", "(Array x) -> Array")
    namespace = getattr(ops, ns)
    op = {
        "object": namespace.f,
        "qualname": f"{ns}::f",
        "overload": namespace.f.default,
        "operator": namespace.f.operator,
    }[by]

    @gpuops.register_kernel(op, device)
    def kernel(x: np.ndarray) -> np.ndarray:
        return np.full(1, 1.0)

    assert kernel(X).tolist() == [1.0], "the decorator must return the function"
    assert namespace.f(X).tolist() == [1.0]
    with gpuops.register_kernel(op, device, returns(2.0)) as registration:
        assert registration.active and namespace.f(X).tolist() == [2.0]
    assert namespace.f(X).tolist() == [1.0]
    if handle is not None:
        handle.undo()


# K4
def test_kernels_of_one_overload(ns: str) -> None:
    with Library(ns, "DEF") as lib:
        lib.define("f(Array x) -> Array")
        lib.define("f.two(Array x, Array y) -> Array")
        gpuops.register_kernel(f"{ns}::f.two", "cpu", lambda x, y: x + y)
        gpuops.register_kernel(f"{ns}::f", "cpu", lambda x: -x)
        f = getattr(ops, ns).f
        assert f(X).tolist() == [-1, -1] and f(X, X).tolist() == [2, 2]
        assert f.two(X, X).tolist() == [2, 2] and f.default(X).tolist() == [-1, -1]


# K5
@pytest.mark.parametrize("types", ["default", None, "cpu", ["cpu"], ["cpu", "cuda"]])
def test_impl(ns: str, types: Any) -> None:
    with gpuops.define(f"{ns}::f", "(Array x) -> Array"):
        f = getattr(ops, ns).f

        @gpuops.impl(f"{ns}::f", types)
        def kernel(x: np.ndarray) -> np.ndarray:
            return x + 1

        assert f(X).tolist() == [2, 2] and callable(kernel)
        gpuops.impl(f"{ns}::f", types, lambda x: x + 2)
        assert f(X).tolist() == [3, 3]


# K5
def test_the_older_forms_of_define_and_impl(ns: str) -> None:
    with Library(ns, "FRAGMENT") as lib:

        @gpuops.define(lib, "f(Array x) -> Array")
        def f(x: np.ndarray) -> np.ndarray:
            return x + 1

        assert getattr(ops, ns).f(X).tolist() == [2, 2]

        @gpuops.impl(lib, "f", "cpu")
        def f_cpu(x: np.ndarray) -> np.ndarray:
            return x + 2

        assert getattr(ops, ns).f(X).tolist() == [3, 3]
        assert f(X).tolist() == [2, 2] and f_cpu(X).tolist() == [3, 3]


# K6
@pytest.mark.parametrize("device", ["tpu", "CPU", "cpu:0", "", ["cpu", "gpu"], ["cpu", 3]])
def test_an_invalid_device_is_refused_at_registration(ns: str, device: Any) -> None:
    custom_op(f"{ns}::f", returns(0), mutates_args=(), schema="(Array x) -> Array")
    for attempt in (
        lambda: gpuops.register_kernel(f"{ns}::f", device, returns(1)),
        lambda: gpuops.impl(f"{ns}::f", device, returns(1)),
        lambda: gpuops.register_kernel(f"{ns}::f", device),
        lambda: custom_op(
            f"{ns}::g", returns(0), mutates_args=(), device_types=device, schema="(Array x)->Array"
        ),
    ):
        with pytest.raises(ValueError, match="Expected one of cpu, cuda"):
            attempt()
    assert getattr(ops, ns).f(X).tolist() == [0]
    assert [op.name for op in gpuops.operators(ns)] == ["f"]


# K6
@pytest.mark.parametrize("device", [3, 1.5, X])
def test_a_device_of_another_type_is_refused(ns: str, device: Any) -> None:
    custom_op(f"{ns}::f", returns(0), mutates_args=(), schema="(Array x) -> Array")
    with pytest.raises((TypeError, ValueError), match="device type"):
        gpuops.register_kernel(f"{ns}::f", device, returns(1))
    with pytest.raises(ValueError, match="must not be empty"):
        gpuops.register_kernel(f"{ns}::f", [], returns(1))


# K7
def test_no_kernel_for_the_device(ns: str, cupy: StandIn) -> None:
    f = custom_op(
        f"{ns}::f", returns(0), mutates_args=(), device_types="cpu", schema="(Array x) -> Array"
    )
    with pytest.raises(NotImplementedError) as caught:
        f(cupy.ones(1))
    text = str(caught.value)
    assert text.startswith(
        f"{ns}::f does not have a kernel registered for cuda; it has kernels for cpu."
    )
    assert "register_kernel('cuda')" in text
    assert f"{ns}::f(Array x) -> Array (registered at {__file__}:" in text


# K7
def test_no_kernel_at_all(ns: str) -> None:
    with gpuops.define(f"{ns}::f", "(Array x) -> Array"):
        with pytest.raises(NotImplementedError, match="registered for cpu; it has kernels for no"):
            getattr(ops, ns).f(X)
    with gpuops.define(f"{ns}::g", "(int n) -> int"):
        with pytest.raises(NotImplementedError, match=f"{ns}::g has no kernel"):
            getattr(ops, ns).g(1)


# K8
def test_no_array_to_choose_a_device_by(ns: str) -> None:
    for schema, args in (
        ("(Array[] xs) -> int", ([],)),
        ("(Array? x, Array? y) -> int", (None, None)),
        ("(Array?[] xs) -> int", ([None, None],)),
        ("(Array? x=None, Array[] ys=[]) -> int", ()),
    ):
        with gpuops.define(f"{ns}::f", schema):
            f = getattr(ops, ns).f
            gpuops.register_kernel(f, "cpu", lambda *args: len(args))
            with pytest.raises(NotImplementedError, match="no array arguments") as caught:
                f(*args)
            assert f"{ns}::f" in str(caught.value) and "it has kernels for cpu" in str(caught.value)
            gpuops.register_kernel(f, None, lambda *args: -1)
            assert f(*args) == -1


# K8
def test_one_array_among_many_is_enough(ns: str, cupy: StandIn) -> None:
    with gpuops.define(f"{ns}::f", "(Array? x, Array?[] ys) -> str"):
        f = getattr(ops, ns).f
        gpuops.register_kernel(f, "cpu", lambda x, ys: "cpu")
        gpuops.register_kernel(f, "cuda", lambda x, ys: "cuda")
        assert [f(X, []), f(None, [None, X]), f(None, [cupy.ones(1)])] == ["cpu", "cpu", "cuda"]


# K9
@pytest.mark.parametrize(
    "attempt",
    [
        lambda name: gpuops.register_kernel(name, "cpu", returns(0)),
        lambda name: gpuops.register_kernel(name, "cpu"),
        lambda name: gpuops.impl(name, "cpu", returns(0)),
        lambda name: gpuops.register_fake(name, returns(0)),
        lambda name: gpuops.register_fake(name),
        lambda name: gpuops.get_kernel(name, "cpu"),
        lambda name: gpuops.set_kernel_enabled(name, "cpu", False),
    ],
)
def test_an_unknown_operator_fails_at_once(ns: str, attempt: Any) -> None:
    custom_op(f"{ns}::scale", returns(0), mutates_args=(), schema="(Array x) -> Array")
    with pytest.raises(
        AttributeError, match=f"operator {ns}::scael does not exist. Did you mean 'scale'"
    ):
        attempt(f"{ns}::scael")
    with pytest.raises(AttributeError, match="has no overload 'out'; it has default"):
        attempt(f"{ns}::scale.out")
    with pytest.raises(TypeError, match="expected an operator"):
        attempt(returns)


# -- GPUs ------------------------------------------------------------------------------------------


def on_current(cupy: StandIn) -> Any:
    """A kernel that returns the device it ran on."""
    return lambda x, *rest: cupy.current


def test_a_kernel_runs_on_the_arrays_own_device(ns: str, two_gpus: StandIn) -> None:
    with gpuops.define(f"{ns}::f", "(Array x, Array? y, Array[] zs) -> int"):
        f = getattr(ops, ns).f
        gpuops.register_kernel(f, "cuda", on_current(two_gpus))
        for _ in range(3):  # the first call learns the array type, the others are quick
            for device in (0, 1):
                array = two_gpus.ones(2, device=device)
                assert f(array, None, []) == device
                assert f(array, array, [array]) == device
        assert two_gpus.current == 0
        two_gpus.current = 1
        assert f(two_gpus.ones(2, device=0), None, []) == 0
        assert two_gpus.current == 1


def test_the_guard_is_left_after_an_exception(ns: str, two_gpus: StandIn) -> None:
    def kernel(x: Any) -> Any:
        raise ValueError("from the kernel")

    f = custom_op(f"{ns}::f", kernel, mutates_args=(), schema="(Array x) -> Array")
    with pytest.raises(ValueError, match="from the kernel"):
        f(two_gpus.ones(1, device=1))
    assert two_gpus.entered == [1] and two_gpus.current == 0


def test_one_gpu_needs_no_guard_after_the_first_call(ns: str, cupy: StandIn) -> None:
    f = custom_op(f"{ns}::f", lambda x: x.copy(), mutates_args=(), schema="(Array x) -> Array")
    for _ in range(4):
        f(cupy.ones(1))
    assert len(cupy.entered) <= 1


@pytest.mark.parametrize("warm", [False, True])
def test_mixed_devices_are_refused(ns: str, two_gpus: StandIn, warm: bool) -> None:
    f = custom_op(
        f"{ns}::f", lambda x, ys: 1, mutates_args=(), schema="(Array x, Array[] ys) -> int"
    )
    here, there = two_gpus.ones(1, device=0), two_gpus.ones(1, device=1)
    if warm:
        assert f(here, [here]) == f(there, [there]) == 1
    for args, first, second in (
        ((X, [here]), "'x' is on cpu", "is on cuda:0"),
        ((here, [here, X]), "'x' is on cuda:0", "is on cpu"),
        ((here, [there]), "'x' is on cuda:0", "is on cuda:1"),
        ((there, [there, here]), "'x' is on cuda:1", "is on cuda:0"),
    ):
        with pytest.raises(gpuops.DeviceError, match="to be on the same device") as caught:
            f(*args)
        text = str(caught.value)
        assert text.startswith(f"{ns}::f") and first in text and second in text


def test_an_output_on_another_device_is_refused(ns: str, cupy: StandIn) -> None:
    f = custom_op(f"{ns}::f", lambda x: np.ones(1), mutates_args=(), schema="(Array x) -> Array")
    for _ in range(2):
        with pytest.raises(TypeError, match="on 'cpu', expected an array on 'cuda'"):
            f(cupy.ones(1))
    assert f(X).tolist() == [1]


def test_cupy_is_never_imported_first() -> None:
    code = (
        "import sys, numpy as np, gpuops\n"
        "f = gpuops.custom_op('m::f', lambda x: x.copy(), mutates_args=(), "
        "schema='(Array x)->Array')\n"
        "f(np.ones(2))\n"
        "try: f([1, 2])\n"
        "except TypeError: pass\n"
        "try: f(object())\n"
        "except TypeError: pass\n"
        "assert 'cupy' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_half_imported_cupy_is_no_cupy(ns: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import types

    monkeypatch.setitem(sys.modules, "cupy", types.ModuleType("cupy"))
    f = custom_op(f"{ns}::f", lambda x: x.copy(), mutates_args=(), schema="(Array x) -> Array")
    with pytest.raises(TypeError, match="must be an array"):
        f(object())
    assert f(X).tolist() == [1, 1]
