"""Section U of the behaviours: arrays whose calls go to an interpreter instead of a kernel.

torch has a rule for each pair of operator and class, or mode. Here a class, or a mode (see
`test_ambient`), has one interpreter, which is told the operator: rules for single operators are a
table of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import gpuops
from gpuops import custom_op

X = np.ones(2)


def returns(value: float) -> Any:
    return lambda x: np.full(1, value)


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


# U1
def test_an_interpreter_with_a_rule_for_one_operator(ns: str) -> None:
    def kernel(x: gpuops.Array, s: float = 2.0, *, n: int = 1) -> gpuops.Array:
        return x * s + n

    f = custom_op(f"{ns}::f", kernel, mutates_args=())
    g = custom_op(f"{ns}::g", kernel, mutates_args=())
    seen: list[Any] = []

    def rule(operator: gpuops.Operator, args: list[Any], kwargs: dict[str, Any]) -> Any:
        seen.append((operator, list(args), kwargs))
        return "ruled"

    rules = {f.operator: rule}

    def interpreter(operator: gpuops.Operator, args: list[Any], kwargs: dict[str, Any]) -> Any:
        if operator in rules:
            return rules[operator](operator, args, kwargs)
        return operator.call(*(unwrap(value, Low) for value in args), **kwargs)

    x = Low(X)
    with gpuops.register_wrapper(Low, interpreter, level=1):
        assert f(x, 3, n=4) == "ruled"
        assert seen == [(f.operator, [x, 3.0], {"n": 4})]
        assert g(x, 3, n=4).tolist() == [7, 7]
        assert f(X).tolist() == [3, 3]
        assert len(seen) == 1
    for call in (f, g):
        with pytest.raises(TypeError, match="must be an array .* got an object of type .*Low"):
            call(x)


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


# U3: the later one is in force, and undoing it restores the one before, as for every registration.
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
