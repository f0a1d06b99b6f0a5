"""Section J of the behaviours: in-place and out operators.

J6 and J9, what they do under gradients, are tested with the gradients, and the fakes of J1 and J7
with the fakes.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gpuops
from gpuops import Array, Library, Tag, custom_op, debug, register_fake


# J1
def test_inplace_returns_the_same_object(ns: str) -> None:
    @custom_op(f"{ns}::add_", mutates_args={"x"}, tags=Tag.inplace)
    def add_(x: Array, y: Array) -> Array:
        x += y
        return x

    assert str(add_.schema) == f"{ns}::add_(Array(a0!) x, Array y) -> Array(a0!)"
    x = np.ones(2)
    assert add_(x, np.ones(2)) is x and x.tolist() == [2, 2]
    with debug():
        assert add_(x, np.ones(2)) is x


# J2
def test_inplace_must_return_its_first_argument(ns: str) -> None:
    @custom_op(f"{ns}::f", mutates_args={"x"}, tags=Tag.inplace)
    def f(x: Array) -> Array:
        return x.copy()

    with pytest.raises(RuntimeError, match="must return its first argument 'x'") as caught:
        f(np.ones(1))
    assert f"{ns}::f" in str(caught.value) and __file__ in str(caught.value)


def no_positional(*, x: Array) -> Array: ...
def no_arguments() -> Array: ...
def first_is_no_array(n: int, x: Array) -> Array: ...
def first_is_a_list(x: list[Array]) -> Array: ...
def two_arrays(x: Array, y: Array) -> Array: ...
def returns_none(x: Array) -> None: ...
def returns_two(x: Array) -> tuple[Array, Array]: ...
def returns_a_tuple(x: Array) -> tuple[Array]: ...
def returns_a_number(x: Array) -> float: ...


# J3
@pytest.mark.parametrize(
    ("function", "mutates", "message"),
    [
        (no_positional, {"x"}, "must have a positional argument"),
        (no_arguments, (), "must have a positional argument"),
        (first_is_no_array, {"x"}, "first argument 'n' must be an Array, not SymInt"),
        (first_is_a_list, {"x"}, r"first argument 'x' must be an Array, not Array\[\]"),
        (two_arrays, {"y"}, "must mutate its first argument 'x' and no other; it mutates 'y'"),
        (two_arrays, {"x", "y"}, "it mutates 'x', 'y'"),
        (two_arrays, (), "it mutates nothing"),
        (returns_none, {"x"}, "must return exactly one value"),
        (returns_two, {"x"}, "must return exactly one value"),
        (returns_a_tuple, {"x"}, "not a tuple of it"),
        (returns_a_number, {"x"}, "must be an Array, not float"),
    ],
)
def test_inplace_definition_errors(
    ns: str, function: Callable[..., Any], mutates: Any, message: str
) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        custom_op(f"{ns}::f", function, mutates_args=mutates, tags=Tag.inplace)
    assert f"{ns}::f has Tag.inplace" in str(caught.value)
    assert not gpuops.operators(ns)


# J4
def test_inplace_with_a_written_schema(ns: str) -> None:
    def f(x: Array) -> Array:
        return x

    good = custom_op(
        f"{ns}::f", f, mutates_args={"x"}, tags=Tag.inplace, schema="(Array(a!) x) -> Array(a!)"
    )
    x = np.ones(1)
    assert good(x) is x
    for schema in ("(Array(a!) x) -> Array", "(Array(a!) x) -> Array(b!)"):
        with pytest.raises(ValueError, match="return 0 must alias the argument 'x'"):
            custom_op(f"{ns}::g", f, mutates_args={"x"}, tags=Tag.inplace, schema=schema)


# J5
def test_a_fake_for_a_tagged_operator_warns_and_overrides(ns: str) -> None:
    @custom_op(f"{ns}::add_", mutates_args={"x"}, tags=Tag.inplace)
    def add_(x: Array) -> Array:
        return x

    @custom_op(f"{ns}::into", mutates_args={"out"}, tags=Tag.out)
    def into(x: Array, *, out: Array) -> Array:
        return out

    for op, tag in ((add_, "Tag.inplace"), (into, "Tag.out")):
        with pytest.warns(UserWarning, match=tag) as caught:
            op.register_fake(lambda x, **kwargs: x)
        assert caught[0].filename == __file__

    @custom_op(f"{ns}::plain", mutates_args=())
    def plain(x: Array) -> Array:
        return x.copy()

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plain.register_fake(lambda x: x)


# J7
def test_out_arguments_are_returned(ns: str) -> None:
    @custom_op(f"{ns}::add", mutates_args={"out"}, tags=Tag.out)
    def add(x: Array, y: Array, *, out: Array) -> Array:
        return np.add(x, y, out=out)

    assert str(add.schema) == f"{ns}::add(Array x, Array y, *, Array(a2!) out) -> Array(a2!)"
    out = np.zeros(2)
    assert add(np.ones(2), np.ones(2), out=out) is out and out.tolist() == [2, 2]


# J7
def test_several_out_arguments_come_back_in_order(ns: str) -> None:
    @custom_op(f"{ns}::divmod", mutates_args={"q", "r"}, tags=Tag.out)
    def divide(x: Array, *, n: int, q: Array, r: Array) -> tuple[Array, Array]:
        np.divmod(x, n, out=(q, r))
        return q, r

    q, r = np.zeros(1, int), np.zeros(1, int)
    with debug():
        result = divide(np.array([7]), n=2, q=q, r=r)
    assert result[0] is q and result[1] is r and (q[0], r[0]) == (3, 1)


# J7
@pytest.mark.parametrize("returned", [lambda q, r: (r, q), lambda q, r: (q, r.copy())])
def test_returning_something_else_than_the_out_arguments(
    ns: str, returned: Callable[[Any, Any], Any]
) -> None:
    @custom_op(f"{ns}::f", mutates_args={"q", "r"}, tags=Tag.out)
    def f(x: Array, *, q: Array, r: Array) -> tuple[Array, Array]:
        return returned(q, r)  # type: ignore[no-any-return]

    with pytest.raises(RuntimeError, match="must return its mutable keyword-only arguments"):
        f(np.ones(1), q=np.ones(1), r=np.ones(1))


def out_positional(x: Array, out: Array) -> Array: ...
def out_fine(x: Array, *, out: Array) -> Array: ...
def out_optional(x: Array, *, out: Array | None) -> Array: ...
def out_list(x: Array, *, out: list[Array]) -> Array: ...
def out_none(x: Array, *, out: Array) -> None: ...
def out_two(x: Array, *, out: Array) -> tuple[Array, Array]: ...
def out_tuple(x: Array, *, out: Array) -> tuple[Array]: ...
def two_outs_one_return(x: Array, *, a: Array, b: Array) -> Array: ...


# J8
@pytest.mark.parametrize(
    ("function", "mutates", "message"),
    [
        (out_positional, {"out"}, "'out' that it mutates must be keyword-only"),
        (out_fine, (), "must have mutable keyword-only arguments"),
        (out_optional, {"out"}, r"'out' must be an Array, not Array\?"),
        (out_list, {"out"}, r"'out' must be an Array, not Array\[\]"),
        (out_none, {"out"}, "must return exactly one value"),
        (out_two, {"out"}, "must return exactly one value"),
        (out_tuple, {"out"}, "not a tuple of it"),
        (two_outs_one_return, {"a", "b"}, "must return exactly 2 values"),
    ],
)
def test_out_definition_errors(
    ns: str, function: Callable[..., Any], mutates: Any, message: str
) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        custom_op(f"{ns}::f", function, mutates_args=mutates, tags=Tag.out)
    assert f"{ns}::f has Tag.out" in str(caught.value)


# J8
def test_out_with_a_written_schema(ns: str) -> None:
    def f(x: Array, *, out: Array) -> Array:
        return out

    def g(x: Array, *, out: int) -> Array: ...

    with Library(ns, "FRAGMENT") as lib:
        lib.define("ok(Array x, *, Array(a!) out) -> Array(a!)", tags=Tag.out)
        for schema, message in (
            ("bad(Array x, *, Array(a!) out) -> Array", "must alias the argument 'out'"),
            ("bad(Array x, *, Array(a!)? out) -> Array(a!)", "must be an Array"),
            ("bad(Array x, *, Array(a!)[] out) -> Array(a!)", "must be an Array"),
            ("bad(Array x, *, int out) -> Array", "must have mutable keyword-only"),
        ):
            with pytest.raises(ValueError, match=message):
                lib.define(schema, tags=Tag.out)


# J10
def test_inplace_and_out_are_mutually_exclusive(ns: str) -> None:
    with pytest.raises(ValueError, match="mutually exclusive"):
        custom_op(f"{ns}::f", out_fine, mutates_args={"out"}, tags=[Tag.inplace, Tag.out])


def test_fakes_are_checked_like_kernels(ns: str) -> None:
    op = custom_op(f"{ns}::f", two_arrays, mutates_args=())
    with pytest.raises(TypeError, match="the fake of .* is required to be a callable"):
        register_fake(op, 3)
    with pytest.raises(RuntimeError, match="cannot take the arguments"):
        register_fake(op, lambda x: x)
