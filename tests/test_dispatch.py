"""Sections K, L and M of the behaviours: which kernel a call runs."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import gpuops
from gpuops import Array, Device, Library, custom_op, ops
from tests import standin_cupy
from tests.standin_cupy import StandIn


@pytest.fixture
def cupy() -> Iterator[StandIn]:
    with standin_cupy.loaded() as module:
        yield module


@pytest.fixture
def two_gpus() -> Iterator[StandIn]:
    with standin_cupy.loaded(devices=2) as module:
        yield module


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


# -- wrapper types ---------------------------------------------------------------------------------


class Low:
    """A wrapper of an array."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner


class High(Low):
    """Another, with a level of its own."""


def unwrap(value: Any, cls: type) -> Any:
    if isinstance(value, list):
        return [unwrap(item, cls) for item in value]
    return value.inner if type(value) is cls else value


@pytest.fixture
def trail() -> Iterator[list[Any]]:
    """Both wrappers registered; what their interpreters saw."""
    seen: list[Any] = []

    def interpreter(cls: type) -> Any:
        def run(operator: gpuops.Operator, args: list[Any], kwargs: dict[str, Any]) -> Any:
            seen.append((cls.__name__, operator.name, len(args), sorted(kwargs)))
            inner = operator.call(
                *(unwrap(value, cls) for value in args),
                **{name: unwrap(value, cls) for name, value in kwargs.items()},
            )
            return cls(inner)

        return run

    low = gpuops.register_wrapper(Low, interpreter(Low), level=1)
    high = gpuops.register_wrapper(High, interpreter(High), level=2)
    yield seen
    low.undo()
    high.undo()


def test_the_highest_wrapper_takes_the_call(ns: str, trail: list[Any]) -> None:
    f = custom_op(
        f"{ns}::f",
        lambda x, y, *, s, zs=None: (x + y) * s,
        mutates_args=(),
        schema="(Array x, Array y, *, float s=2.0, Array[]? zs=None) -> Array",
    )
    assert f(X, X).tolist() == [4, 4] and trail == []
    out = f(Low(X), X, s=1)
    assert type(out) is Low and out.inner.tolist() == [2, 2]
    out = f(Low(X), High(X), zs=[Low(X), X])
    assert type(out) is High and type(out.inner) is Low
    assert out.inner.inner.tolist() == [4, 4]
    assert trail == [
        ("Low", "f", 2, ["s", "zs"]),
        ("High", "f", 2, ["s", "zs"]),
        ("Low", "f", 2, ["s", "zs"]),
    ]


def test_wrappers_are_recognised_by_exact_type(ns: str, trail: list[Any]) -> None:
    class Derived(High):
        pass

    f = custom_op(f"{ns}::f", lambda x: x.copy(), mutates_args=(), schema="(Array x) -> Array")
    with pytest.raises(TypeError, match="Derived"):
        f(Derived(X))
    with gpuops.register_wrapper(Derived, lambda operator, args, kwargs: "mine", level=0):
        assert f(Derived(X)) == "mine"
    with pytest.raises(TypeError, match="Derived"):
        f(Derived(X))


# -- lazy kernels ----------------------------------------------------------------------------------


LAZY = """
import numpy as np
from gpuops import Array, custom_op

@custom_op("{ns}::f", mutates_args=())
def f(x: Array) -> Array:
    return x + 1

f.register_kernel("cpu", ".cpu:run")
f.register_kernel("cuda", ".{other}:run")
"""


@pytest.fixture
def package(ns: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    folder = tmp_path / f"pack_{ns}"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "op.py").write_text(LAZY.format(ns=ns, other="missing"))
    monkeypatch.syspath_prepend(str(tmp_path))
    yield folder
    for name in [name for name in sys.modules if name.startswith(folder.name)]:
        del sys.modules[name]


def test_a_lazy_kernel_is_imported_at_the_first_call(ns: str, package: Any) -> None:
    import importlib

    (package / "cpu.py").write_text("def run(x):\n    return x + 10\n")
    f = importlib.import_module(f"{package.name}.op").f
    assert f"{package.name}.cpu" not in sys.modules
    assert f.operator.kernel_table()["cpu"].startswith(f"{package.name}.cpu:run (registered at ")
    assert f(X).tolist() == f(X).tolist() == [11, 11]
    assert f"{package.name}.cpu" in sys.modules
    assert gpuops.get_kernel(f, "cpu")(X).tolist() == [11, 11]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (None, "No module named"),
        ("walk = 3", "no attribute 'run'"),
        ("run = 3", "not a function"),
        ("def run(x, y): return x", "cannot take the arguments"),
    ],
)
def test_what_a_lazy_kernel_can_lack(ns: str, package: Any, text: str | None, problem: str) -> None:
    import importlib

    if text is not None:
        (package / "cpu.py").write_text(text)
    f = importlib.import_module(f"{package.name}.op").f
    with pytest.raises(RuntimeError, match=problem) as caught:
        f(X)
    assert f"{ns}::f" in str(caught.value) and str(package / "op.py") in str(caught.value)


def test_a_lazy_kernel_for_another_device_stays_unimported(
    ns: str, package: Any, cupy: StandIn
) -> None:
    import importlib

    (package / "cpu.py").write_text("def run(x):\n    return x + 10\n")
    f = importlib.import_module(f"{package.name}.op").f
    assert f(X).tolist() == [11, 11]
    with pytest.raises(RuntimeError, match=r"cuda kernel .*missing:run.* cannot be imported"):
        f(cupy.ones(1))


def test_malformed_lazy_strings(ns: str) -> None:
    f = custom_op(f"{ns}::f", returns(0), mutates_args=(), schema="(Array x) -> Array")
    for text in ("", "module", "module:", ":run", "a b:run", "module:1", "..:run", "m:run:twice"):
        with pytest.raises(ValueError, match="must look like 'package.module:name'"):
            f.register_kernel("cpu", text)
    assert f.operator.kernel_table().keys() == {"default"}


# -- L: set_kernel_enabled -------------------------------------------------------------------------


@pytest.fixture
def switchable(ns: str) -> Any:
    """An operator that returns 0 from its default kernel and 1 from the one for the CPU."""
    f = custom_op(f"{ns}::f", returns(0.0), mutates_args=(), schema="(Array x) -> Array")
    f.register_kernel("cpu", returns(1.0))
    return f


# L1
def test_a_disabled_kernel_falls_back_to_the_default(switchable: Any) -> None:
    with switchable.set_kernel_enabled("cpu", False):
        assert switchable(X) == 0
        with switchable.set_kernel_enabled("cpu", True):
            assert switchable(X) == 1
        assert switchable(X) == 0
    assert switchable(X) == 1
    with pytest.raises(KeyError), switchable.set_kernel_enabled("cpu", False):
        raise KeyError
    assert switchable(X) == 1


# L1
def test_with_no_default_kernel_there_is_nothing_to_fall_back_to(ns: str) -> None:
    with gpuops.define(f"{ns}::f", "(Array x) -> Array"):
        f = getattr(ops, ns).f
        gpuops.register_kernel(f, "cpu", returns(1))
        with gpuops.set_kernel_enabled(f"{ns}::f", "cpu", False):
            with pytest.raises(NotImplementedError, match="cpu switched off by set_kernel_enabled"):
                f(X)
        assert f(X) == 1


# L2
def test_switching_what_is_not_there_is_logged(
    switchable: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, logger="gpuops"):
        with switchable.set_kernel_enabled("cuda", False):
            assert switchable(X) == 1
        assert "no kernel was registered for this device type" in caplog.text
        caplog.clear()
        with switchable.set_kernel_enabled("cpu", True):
            assert switchable(X) == 1
        assert "already enabled" in caplog.text
        assert switchable(X) == 1
        caplog.clear()
        with switchable.set_kernel_enabled("cpu", False):
            with switchable.set_kernel_enabled("cpu", False):
                assert switchable(X) == 0
            assert "already disabled" in caplog.text
            assert switchable(X) == 0
    assert switchable(X) == 1


# L3
def test_not_entering_the_context_changes_nothing(switchable: Any) -> None:
    context = switchable.set_kernel_enabled("cpu", False)
    assert switchable(X) == 1
    with context:
        assert switchable(X) == 0
        switchable.register_kernel("cpu", returns(2.0))
        assert switchable(X) == 0
    assert switchable(X) == 2


# L4
def test_kernels_registered_for_a_list_are_switched_one_by_one(ns: str, cupy: StandIn) -> None:
    f = custom_op(f"{ns}::f", lambda x: 0, mutates_args=(), schema="(Array x) -> int")
    f.register_kernel(["cpu", "cuda"], lambda x: 1)
    with f.set_kernel_enabled("cpu", False):
        assert (f(X), f(cupy.ones(1))) == (0, 1)
    with f.set_kernel_enabled("cuda", False):
        assert (f(X), f(cupy.ones(1))) == (1, 0)
    assert (f(X), f(cupy.ones(1))) == (1, 1)


# L5
def test_switching_is_local_to_the_thread_and_to_the_task(switchable: Any) -> None:
    seen = []

    def other() -> None:
        seen.append(float(switchable(X)[0]))

    with switchable.set_kernel_enabled("cpu", False):
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
        assert switchable(X) == 0
    assert seen == [1.0]

    async def switched(inside: asyncio.Event, done: asyncio.Event) -> float:
        with switchable.set_kernel_enabled("cpu", False):
            inside.set()
            await done.wait()
            return float(switchable(X)[0])

    async def main() -> tuple[float, float]:
        inside, done = asyncio.Event(), asyncio.Event()
        task = asyncio.create_task(switched(inside, done))
        await inside.wait()
        here = float(switchable(X)[0])
        done.set()
        return here, await task

    assert asyncio.run(main()) == (1.0, 0.0)


def test_after_all_contexts_calls_are_quick_again(switchable: Any) -> None:
    with switchable.set_kernel_enabled("cpu", False):
        pass
    table = switchable.operator.table
    assert table.globals[table.name("cpu")] is gpuops.get_kernel(switchable, "cpu").function


# -- M: factories ----------------------------------------------------------------------------------


def no_device(n: int) -> Array:
    return np.zeros(n)


# M1
def test_a_factory_needs_a_device_argument(ns: str) -> None:
    message = "required to have a `device: gpuops.Device` argument"
    with pytest.raises(ValueError, match=message):
        custom_op(f"{ns}::f", no_device, mutates_args=(), device_types="cpu")
    f = custom_op(f"{ns}::f", no_device, mutates_args=())
    with pytest.raises(ValueError, match=message):
        f.register_kernel("cpu", no_device)
    with pytest.raises(ValueError, match=message):
        f.register_kernel("cpu")
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


# L1, L5
def test_contexts_may_be_left_in_any_order(ns: str) -> None:
    f = custom_op(f"{ns}::f", returns(0), mutates_args=(), schema="(Array x) -> Array")
    f.register_kernel("cpu", returns(1))
    off, default_off = f.set_kernel_enabled("cpu", False), f.set_kernel_enabled(None, False)
    off.__enter__(), default_off.__enter__()
    with pytest.raises(NotImplementedError, match="cpu, default switched off"):
        f(X)
    off.__exit__(None, None, None)
    assert f(X) == 1
    default_off.__exit__(None, None, None)
    with f.set_kernel_enabled("cpu", False):
        assert f(X) == 0, "what was left in another order than it was entered is still off"
    assert f(X) == 1


# L2
def test_what_set_kernel_enabled_and_get_kernel_refuse(switchable: Any) -> None:
    for device in (["cpu", "cuda"], ("cpu",), 3):
        with pytest.raises(TypeError, match="the device type must be one string or None, got"):
            switchable.set_kernel_enabled(device, False)
        with pytest.raises(TypeError, match="the device type must be one string or None, got"):
            gpuops.get_kernel(switchable, device)
    with pytest.raises(ValueError, match="Expected one of cpu, cuda"):
        switchable.set_kernel_enabled("tpu", False)
    with pytest.raises(TypeError, match="enabled must be True or False, got str 'no'"):
        switchable.set_kernel_enabled("cpu", "no")


def test_wrapper_registrations_are_undone_in_any_order(ns: str) -> None:
    class Wrapped:
        pass

    f = custom_op(f"{ns}::f", returns(0), mutates_args=(), schema="(Array x) -> Array")
    first = gpuops.register_wrapper(Wrapped, lambda operator, args, kwargs: "first", 1)
    second = gpuops.register_wrapper(Wrapped, lambda operator, args, kwargs: "second", 1)
    assert f(Wrapped()) == "second"
    first.undo()
    assert f(Wrapped()) == "second"
    second.undo()
    with pytest.raises(TypeError, match="Wrapped"):
        f(Wrapped())


@pytest.mark.parametrize(
    ("cls", "interpreter", "level", "error", "message"),
    [
        (3, print, 1, TypeError, "register_wrapper takes a class, got int 3"),
        (Low, 3, 1, TypeError, r"register_wrapper\(Low\): an interpreter is required to be a call"),
        (Low, print, "1", TypeError, r"register_wrapper\(Low\): the level must be an int, got str"),
        (np.ndarray, print, 1, RuntimeError, "these are arrays of 'cpu' kernels, and no wrapper"),
    ],
)
def test_what_can_be_no_wrapper(
    cls: Any, interpreter: Any, level: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message) as caught:
        gpuops.register_wrapper(cls, interpreter, level)
    assert isinstance(caught.value, gpuops.GpuopsError)
