"""Contexts that take calls which have no wrapper among their arguments (fakes, tracing)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gpuops
from gpuops import Array, interception

TAKEN = np.zeros(1)


class Recorder:
    """An ambient that notes the calls it gets."""

    def __init__(self, level: int, only_factories: bool = False) -> None:
        self.level = level
        self.only_factories = only_factories
        self.calls: list[tuple[str, list[Any], dict[str, Any]]] = []

    def interpret(self, operator: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        self.calls.append((operator.name, list(args), kwargs))
        return TAKEN


# U2
def test_an_ambient_takes_calls_without_wrappers(ns: str) -> None:
    @gpuops.custom_op(f"{ns}::f", mutates_args=())
    def f(x: Array, s: float = 1.0) -> Array:
        return x * s

    @gpuops.custom_op(f"{ns}::make", mutates_args=())
    def make(n: int) -> Array:
        return np.zeros(n)

    x = np.ones(2)
    everything, factories = Recorder(3), Recorder(3, only_factories=True)
    assert f(x).tolist() == [1, 1] and make(1).tolist() == [0]
    with interception.entered(everything):
        assert f(x, 2) is TAKEN and make(3) is TAKEN
        with interception.entered(factories):
            assert f(x).tolist() == [1, 1] and make(4) is TAKEN
        assert f(x) is TAKEN
    assert f(x).tolist() == [1, 1] and make(1).tolist() == [0]
    assert everything.calls == [("f", [x, 2.0], {}), ("make", [3], {}), ("f", [x, 1.0], {})]
    assert factories.calls == [("make", [4], {})]


def test_what_an_ambient_returns_may_be_wrapped(ns: str) -> None:
    """A kernel that returns a wrapper without having got one is refused; a mode is no kernel."""

    class Wrapped:
        pass

    class Wrapping(Recorder):
        def interpret(self, operator: Any, args: Any, kwargs: dict[str, Any]) -> Any:
            return Wrapped()

    @gpuops.custom_op(f"{ns}::f", mutates_args=())
    def f(x: Array) -> Array:
        return Wrapped()  # type: ignore[return-value]

    x = np.ones(2)
    with gpuops.register_wrapper(Wrapped, lambda operator, args, kwargs: TAKEN, level=1):
        with interception.entered(Wrapping(3)):
            assert type(f(x)) is Wrapped
        with pytest.raises(gpuops.ReturnError, match="one that the kernel did not get"):
            f(x)


def test_an_ambient_takes_calls_with_wrappers_of_lower_levels(ns: str) -> None:
    class Low:
        pass

    class High:
        pass

    @gpuops.custom_op(f"{ns}::f", mutates_args=())
    def f(x: Array, y: Array, s: float = 1.0) -> Array:
        return x

    def interpreter(operator: Any, args: Any, kwargs: Any) -> str:
        return "wrapper"

    with (
        gpuops.register_wrapper(Low, interpreter, level=1),
        gpuops.register_wrapper(High, interpreter, level=3),
        interception.entered(Recorder(2)),
    ):
        for s in (1.0, 1):  # by the types alone, and after converting
            assert f(Low(), Low(), s) is TAKEN
            assert f(Low(), High(), s) == "wrapper"
            assert f(np.ones(1), High(), s) == "wrapper"


def test_factories_look_whether_somebody_intercepts_them(ns: str) -> None:
    @gpuops.custom_op(f"{ns}::make", mutates_args=(), device_types="cpu")
    def make(n: int, device: gpuops.Device) -> Array:
        return np.zeros(n)

    @gpuops.custom_op(f"{ns}::make_default", mutates_args=())
    def make_default(n: int) -> Array:
        return np.zeros(n)

    cpu = gpuops.Device("cpu")
    make.operator.table.globals["slow"] = lambda *args: "slow"
    make_default.operator.table.globals["slow"] = lambda *args: "slow"
    assert make(2, cpu).tolist() == [0, 0] and make_default(1).tolist() == [0]
    interception.intercepted.append(None)
    try:
        assert make(2, cpu) == "slow" and make_default(1) == "slow"
    finally:
        interception.intercepted.pop()
    assert make(2, cpu).tolist() == [0, 0]
