"""Sections F and G of the behaviours: binding and converting arguments, converting results."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pytest

import gpuops
from gpuops import Array, Device, DType, Scalar, custom_op, define, impl


class Recorder:
    """A kernel that remembers what it was given."""

    def __init__(self) -> None:
        self.seen: list[Any] = []

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self.seen = [*args, *kwargs.values()]
        return np.zeros(1)

    @property
    def last(self) -> Any:
        return self.seen[-1]


def declared(ns: str, parameters: str, returns: str = "Array") -> tuple[Any, Recorder]:
    kernel = Recorder()
    define(f"{ns}::f", f"({parameters}) -> {returns}")
    impl(f"{ns}::f", None, kernel)
    return gpuops.operators(ns)[0].call, kernel


@pytest.fixture(autouse=True)
def _undo_definitions(ns: str) -> Iterator[None]:
    yield
    from gpuops.registry import registry

    for operator in gpuops.operators(ns):
        registry._remove(operator)


X = np.ones(2)


# F1
def test_positional_and_keyword_arguments_mix(ns: str) -> None:
    f, kernel = declared(ns, "Array x, int n, *, float s=1, str mode")
    for call in (
        lambda: f(X, 3, mode="a"),
        lambda: f(X, n=3, mode="a"),
        lambda: f(mode="a", n=3, x=X),
        lambda: f(X, 3, s=1.0, mode="a"),
    ):
        call()
        assert kernel.seen[0] is X
        assert kernel.seen[1:] == [3, 1.0, "a"]


# F1
@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda f: f(X, 3, 1.0, mode="a"), "positional arguments"),
        (lambda f: f(X, mode="a"), "missing 1 required positional argument: 'n'"),
        (lambda f: f(X, 3), "missing 1 required keyword-only argument: 'mode'"),
        (lambda f: f(X, 3, mode="a", q=1), "unexpected keyword argument 'q'"),
        (lambda f: f(X, 3, x=X, mode="a"), "multiple values for argument 'x'"),
    ],
)
def test_binding_errors_name_operator_argument_and_declaration(
    ns: str, call: Callable[..., Any], message: str
) -> None:
    f, kernel = declared(ns, "Array x, int n, *, float s=1, str mode")
    with pytest.raises(TypeError, match=message) as caught:
        call(f)
    text = str(caught.value)
    assert f"operator {ns}::f, declared (Array x, int n, *, float s=1" in text
    assert kernel.seen == []


# F2
@pytest.mark.parametrize(
    ("type_", "value", "expected"),
    [
        ("float", 3, 3.0),
        ("float", True, 1.0),
        ("float", np.float32(0.5), 0.5),
        ("float", np.int8(2), 2.0),
        ("float", np.longdouble(1.5), 1.5),
        ("float", np.array(2.5), 2.5),
        ("float", np.array(2), 2.0),
        ("int", True, 1),
        ("int", np.int64(7), 7),
        ("int", np.uint8(7), 7),
        ("int", np.bool_(True), 1),
        ("int", np.array(7), 7),
        ("int", 2**80, 2**80),
        ("bool", np.bool_(False), False),
        ("bool", np.array(True), True),
        ("complex", 1, 1 + 0j),
        ("complex", 1.5, 1.5 + 0j),
        ("complex", np.complex64(1j), 1j),
        ("Scalar", np.float16(1), 1.0),
        ("Scalar", 3, 3),
        ("Scalar", True, True),
        ("Scalar", 1j, 1j),
        ("Scalar", np.array(3), 3),
        ("str", np.str_("a"), "a"),
        ("dtype", np.float32, np.dtype("float32")),
        ("dtype", "int8", np.dtype("int8")),
        ("dtype", float, np.dtype("float64")),
        ("device", "cuda:1", Device("cuda:1")),
        ("order", "F", "F"),
        ("int?", None, None),
        ("Array?", None, None),
    ],
)
def test_values_are_converted(ns: str, type_: str, value: Any, expected: Any) -> None:
    f, kernel = declared(ns, f"Array x, {type_} a")
    f(X, value)
    assert kernel.last == expected
    assert type(kernel.last) is type(expected)


# F2, F3, F4, F6
@pytest.mark.parametrize(
    ("type_", "value", "got"),
    [
        ("int", 1.0, "float 1.0"),
        ("int", np.float64(1.0), "float 1.0"),
        ("int", np.array(1.0), "float 1.0"),
        ("int", np.array([1]), "int64.1.; only a 0-d array can stand for a number"),
        ("int", "1", "str '1'"),
        ("int", None, "None"),
        ("int", 1j, "complex 1j"),
        ("float", "1", "str '1'"),
        ("float", 1j, "complex 1j"),
        ("float", None, "None"),
        ("float", 10**400, "too large for a float"),
        ("bool", 1, "int 1"),
        ("bool", "x", "str 'x'"),
        ("str", 3, "int 3"),
        ("complex", "1", "str '1'"),
        ("Scalar", "1", "str '1'"),
        ("dtype", "nonsense", "names no dtype"),
        ("dtype", None, "None"),
        ("dtype", Recorder, "type"),
        ("device", "tpu", "Expected one of cpu, cuda"),
        ("device", 0, "int 0"),
        ("order", "Z", "not one of C, F, A, K"),
        ("Array", [1.0], "list of length 1"),
        ("Array", 1.0, "float 1.0"),
        ("Array", np.float64(1), "float"),
        ("Array", None, "None"),
        ("Array", object(), "an object of type object"),
        ("Array", memoryview(b"a"), "memoryview"),
        ("Array", np.ma.masked_array([1.0]), "subclass"),
        ("Array[]", X, "write \\[x\\] for a list of one"),
        ("Array[]", [X, None], "its item 1 must be an array"),
        ("Array[]", [1.0], "its item 0 must be an array"),
        ("Array[]", None, "None"),
        ("int[]", [1, 2.0], "its item 1 must be an int"),
        ("int[]", 3, "int 3"),
        ("int[]", "12", "str '12'"),
        ("int[]", {1, 2}, "set of length 2"),
        ("int[]", {1: 2}, "dict of length 1"),
        ("int[]", np.ones((2, 2), int), "2 dimensions, not 1"),
        ("int[]", np.ones(2), "its item 0 must be an int"),
        ("int[2]", [1], "got 1 items"),
        ("int[2]", 1.5, "float 1.5"),
        ("float[]", [1.0, "a"], "its item 1 must be a float"),
    ],
)
def test_values_that_cannot_be_converted(ns: str, type_: str, value: Any, got: str) -> None:
    f, kernel = declared(ns, f"Array x, {type_} arg")
    with pytest.raises(TypeError, match=got) as caught:
        f(X, value)
    text = str(caught.value)
    assert text.startswith(f"{ns}::f: argument 'arg' (position 1) must be ")
    assert f"Declared as {ns}::f(Array x, {type_} arg) -> Array (registered at {__file__}:" in text
    assert kernel.seen == []


def test_keyword_only_arguments_are_named_in_errors(ns: str) -> None:
    f, _ = declared(ns, "Array x, *, float s")
    with pytest.raises(TypeError, match=r"argument 's' \(keyword-only\) must be a float; got str"):
        f(X, s="a")


# F5
def test_any_sequence_reaches_the_kernel_as_a_list(ns: str) -> None:
    class Custom(Sequence[int]):
        def __len__(self) -> int:
            return 2

        def __getitem__(self, index: Any) -> Any:
            return [4, 5][index]

    f, kernel = declared(ns, "Array x, int[] a")
    for value, expected in (
        ([4, 5], [4, 5]),
        ((4, 5), [4, 5]),
        (range(4, 6), [4, 5]),
        (Custom(), [4, 5]),
        ((n for n in (4, 5)), [4, 5]),
        (np.array([4, 5]), [4, 5]),
        (np.array([4, 5], np.uint8), [4, 5]),
        (np.zeros((4, 5)).shape, [4, 5]),
        ([], []),
        ([True, np.int8(5)], [1, 5]),
    ):
        f(X, value)
        assert kernel.last == expected
        assert type(kernel.last) is list
        assert all(type(item) is int for item in kernel.last)


# F5: whatever a kernel does to its list, the caller's stays as it was.
def test_a_kernel_gets_a_list_of_its_own(ns: str) -> None:
    f, kernel = declared(ns, "Array[] xs, int[] a=[1, 2], int[]? b=None")
    xs, b = [X], [3]
    f(xs, b=b)
    assert kernel.seen == [xs, [1, 2], [3]]
    for value in kernel.seen:
        value.append(None)
    f(xs)
    assert kernel.seen == [[X], [1, 2], None]
    assert xs == [X] and b == [3]


# F6
def test_items_are_converted(ns: str) -> None:
    f, kernel = declared(ns, "Array x, float[] a")
    f(X, [1, True, 2.5, np.float32(0.5)])
    assert kernel.last == [1.0, 1.0, 2.5, 0.5]
    assert all(type(item) is float for item in kernel.last)


# E3
def test_one_number_stands_for_a_list_of_known_length(ns: str) -> None:
    f, kernel = declared(ns, "Array x, int[2] a, float[3] b=1")
    f(X, 4)
    assert kernel.seen[1:] == [[4, 4], [1.0, 1.0, 1.0]]
    f(X, [1, 2], [1, 2, 3])
    assert kernel.seen[1:] == [[1, 2], [1.0, 2.0, 3.0]]


# F7
def test_lists_of_optional_arrays_keep_none_in_place(ns: str) -> None:
    f, kernel = declared(ns, "Array?[] xs")
    f([None, X, None])
    assert kernel.last[0] is None and kernel.last[1] is X and kernel.last[2] is None


# F8
def test_a_value_equal_to_the_schemas_default_still_reaches_the_kernel(ns: str) -> None:
    seen = []

    def kernel(x: Array, n: int = 99, *, s: float = 77.0) -> Array:
        seen.append((n, s))
        return x.copy()

    define(f"{ns}::f", "(Array x, int n=1, *, float s=2) -> Array")
    impl(f"{ns}::f", "cpu", kernel)
    f = gpuops.operators(ns)[0].call
    f(X)
    f(X, 1, s=2.0)
    f(X, 1, s=2)
    assert seen == [(1, 2.0)] * 3


# F9
def test_positional_names_of_a_kernel_do_not_matter(ns: str) -> None:
    define(f"{ns}::f", "(Array x, int n, *, float s) -> Array")
    impl(f"{ns}::f", "cpu", lambda a, b, *, s: a * b * s)
    assert gpuops.operators(ns)[0].call(X, 2, s=3).tolist() == [6, 6]


# F9
@pytest.mark.parametrize(
    "kernel",
    [
        lambda a: a,
        lambda a, b, c, *, s: a,
        lambda a, b, *, t: a,
        lambda a, b: a,
        lambda a, b, *, s, t: a,
        lambda *, x, n, s: x,
    ],
)
def test_a_kernel_that_cannot_take_the_arguments_is_refused(
    ns: str, kernel: Callable[..., Any]
) -> None:
    define(f"{ns}::f", "(Array x, int n, *, float s) -> Array")
    with pytest.raises(RuntimeError, match="cannot take the arguments of") as caught:
        impl(f"{ns}::f", "cpu", kernel)
    assert f"{ns}::f(Array x, int n, *, float s) -> Array" in str(caught.value)
    assert "2 by position and s by name" in str(caught.value)
    assert re.search(rf"{re.escape(__file__)}:\d+", str(caught.value))
    assert gpuops.operators(ns)[0].kernel_table() == {}


# F9
@pytest.mark.parametrize(
    ("schema", "function", "message"),
    [
        ("(Array x, Array y) -> Array", lambda x, z: x, r"positional arguments \(x, z\)"),
        ("(Array x, Array y) -> Array", lambda y, x: x, r"positional arguments \(y, x\)"),
        ("(Array x, Array y) -> Array", lambda x: x, r"the schema \(x, y\)"),
        ("(Array x, *, int y) -> Array", lambda x, y: x, "positional arguments"),
        ("(Array x, int y) -> Array", lambda x, *, y: x, "positional arguments"),
        ("(Array x, *, int y) -> Array", lambda x, *, z: x, r"keyword-only arguments \['z'\]"),
        ("(Array x, *, int y) -> Array", lambda x, *, y, z: x, "keyword-only arguments"),
        ("(Array x, int y=1) -> Array", lambda x, y=2: x, "default 2 in the function and 1"),
        ("(Array x, int y) -> Array", lambda x, y=2: x, "default 2 in the function and none"),
        ("(Array x) -> Array", lambda *xs: xs[0], "no schema can describe"),
        ("(Array x) -> Array", lambda x, **kw: x, "no schema can describe"),
    ],
)
def test_a_written_schema_must_match_its_function(
    ns: str, schema: str, function: Callable[..., Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        custom_op(f"{ns}::f", function, mutates_args=(), schema=schema)
    assert f"{ns}::f" in str(caught.value)
    assert not gpuops.operators(ns)


def test_a_written_schema_needs_no_annotations(ns: str) -> None:
    op = custom_op(
        f"{ns}::f", lambda x, s=2: x * s, mutates_args=(), schema="(Array x, float s=2) -> Array"
    )
    assert op(X).tolist() == [2, 2]


# F10
def test_exceptions_of_a_kernel_pass_through(ns: str) -> None:
    class Special(Exception):
        pass

    def kernel(x: Array) -> Array:
        raise Special("as it was")

    op = custom_op(f"{ns}::f", kernel, mutates_args=())
    with pytest.raises(Special, match="^as it was$"):
        op(X)


# F10
def test_an_operator_may_call_operators(ns: str) -> None:
    @custom_op(f"{ns}::inner", mutates_args=())
    def inner(x: Array) -> Array:
        return x + 1

    @custom_op(f"{ns}::outer", mutates_args=())
    def outer(x: Array) -> Array:
        return inner(inner(x))

    assert outer(X).tolist() == [3, 3]


# F10
@pytest.mark.parametrize(
    "array",
    [
        np.zeros((0, 3)),
        np.zeros(()),
        np.ones((4, 4)).T[::2],
        np.ones(3)[::-1],
        np.ones(3, np.complex64),
        np.broadcast_to(np.ones(1), (3,)),
        np.array(["a"], object),
    ],
)
def test_arrays_are_passed_as_they_are(ns: str, array: np.ndarray[Any, Any]) -> None:
    f, kernel = declared(ns, "Array x")
    f(array)
    assert kernel.last is array


def test_memory_maps_are_passed_as_plain_arrays(ns: str, tmp_path: Any) -> None:
    mapped = np.memmap(tmp_path / "data", np.float32, "w+", shape=(3,))
    f, kernel = declared(ns, "Array(a!) x", "()")
    impl(f"{ns}::f", None, lambda x: x.fill(2))
    f(mapped)
    assert mapped.tolist() == [2, 2, 2]
    impl(f"{ns}::f", None, lambda x: (kernel(x) and None) or None)
    f(mapped[:0])
    assert type(kernel.last) is np.ndarray


# -- results ---------------------------------------------------------------------------------------


def returning(ns: str, returns: str, value: Any) -> Any:
    define(f"{ns}::f", f"(Array x) -> {returns}")
    impl(f"{ns}::f", None, lambda x: value)
    return gpuops.operators(ns)[0].call


# G1
@pytest.mark.parametrize(
    ("returns", "value", "expected"),
    [
        ("(Array, Array)", [X, X[:1]], (X, X[:1])),
        ("(int, float)", (True, 1), (1, 1.0)),
        ("Array[]", (X,), [X]),
        ("Array[]", [], []),
        ("Array[]", (), []),
        ("int", True, 1),
        ("float", 1, 1.0),
        ("bool", 1, True),
        ("bool", 0, False),
        ("int", np.int64(3), 3),
        ("float", np.float32(0.5), 0.5),
        ("float", np.array(0.5), 0.5),
        ("Scalar", np.float64(2), 2.0),
        ("complex", 1, 1 + 0j),
        ("Array?", None, None),
        ("Array?", X, X),
        ("(Array?, int)", (None, 1), (None, 1)),
        ("Array?[]", [None, X], [None, X]),
        ("()", None, None),
        ("dtype", np.float32, np.dtype("float32")),
        ("str", "a", "a"),
        ("(Array)", (X,), (X,)),
        ("(Array)", [X], (X,)),
    ],
)
def test_results_are_converted(ns: str, returns: str, value: Any, expected: Any) -> None:
    out = returning(ns, returns, value)(np.zeros(1))
    assert type(out) is type(expected)
    assert repr(out) == repr(expected)


# G1, G2, G3, G4, G5
@pytest.mark.parametrize(
    ("returns", "value", "message"),
    [
        ("int", 1.5, "declared as int, .* float 1.5"),
        ("int", "1", "str '1'"),
        ("float", "1", "str '1'"),
        ("bool", 1.5, "float 1.5"),
        ("()", 3, "to return None but it returned something else: int 3"),
        ("()", X, "to return None but it returned something else: numpy.ndarray"),
        ("Array", 3, "declared as Array, .* int 3"),
        ("Array", [X], "list of length 1"),
        ("Array", (X,), "tuple of length 1"),
        ("Array", np.float64(1), "numpy.float64"),
        ("Array", memoryview(b"ab"), "memoryview"),
        ("Array", None, "got None"),
        ("(Array, Array)", (X, X, X), "return 2 values but its kernel returned 3"),
        ("(Array, Array)", (X,), "return 2 values but its kernel returned 1"),
        ("(Array, Array)", X, "tuple of 2 but its kernel returned numpy.ndarray"),
        ("(Array, Array)", (X, None), "output 1 is declared as Array, .* got None"),
        ("(Array, int)", (X, 1.5), "output 1 is declared as int"),
        ("(Array)", X, "tuple of 1 but its kernel returned numpy.ndarray"),
        ("(Array)", (X, X), "return 1 values but its kernel returned 2"),
        ("(Array, Array)", None, "tuple of 2 but its kernel returned None"),
        ("Array[]", X, "declared as Array"),
        ("Array[]", [X, 1], "item 1: got int 1"),
        ("Array[]", None, "got None"),
        ("Array?", 1, "int 1"),
    ],
)
def test_wrong_results_are_refused(ns: str, returns: str, value: Any, message: str) -> None:
    f = returning(ns, returns, value)
    with pytest.raises(TypeError, match=message) as caught:
        f(np.zeros(1))
    text = str(caught.value)
    assert text.startswith(f"{ns}::f")
    assert f"{ns}::f(Array x) -> {returns} (registered at {__file__}:" in text
    assert f"The kernel is {__name__}:returning.<locals>.<lambda>" in text


def test_a_result_on_the_wrong_device_is_refused(ns: str) -> None:
    from gpuops.convert import convert_outputs

    f = returning(ns, "Array", X)
    with pytest.raises(TypeError, match="on 'cpu', expected an array on 'cuda'"):
        convert_outputs(f.operator, X, "cuda", (X,))


def test_all_the_types_a_kernel_can_be_annotated_with(ns: str) -> None:
    @custom_op(f"{ns}::g", mutates_args=())
    def g(
        x: Array,
        ys: list[Array] | None,
        n: int,
        s: Scalar,
        d: DType,
        v: Device,
        flag: bool,
        *,
        z: complex = 1j,
        w: Array | None = None,
    ) -> tuple[Array, list[Array], int, Array | None]:
        return x + n, list(ys or []), n, w

    out = g(X, [np.zeros(1)], 1, 2.5, np.float32, "cpu", True, w=np.ones(1))  # type: ignore[arg-type]
    assert out[0].tolist() == [2, 2] and len(out[1]) == 1 and out[2] == 1 and out[3].tolist() == [1]
    assert g(X, None, 1, 2, np.dtype("int8"), Device("cpu"), False)[3] is None


# F2, F6
def test_an_object_that_cannot_say_its_index_is_refused(ns: str) -> None:
    class Broken:
        def __index__(self) -> int:
            raise TypeError("no index today")

    f, _ = declared(ns, "Array x, int a")
    with pytest.raises(gpuops.ArgumentError, match=r"'a' .* \(no index today\)"):
        f(X, Broken())
    with pytest.raises(gpuops.ArgumentError, match="MaskedArray"):
        f(X, np.ma.masked_array([1]))


# F9
@pytest.mark.parametrize(
    ("parameter", "default"),
    [
        ('device d="cuda:1"', "cuda:1"),
        ('device d="cuda:1"', Device("cuda", 1)),
        ("dtype d=float32", np.float32),
        ("dtype d=float32", np.dtype("float32")),
        ("int[] d=[1, 2]", (1, 2)),
        ("int[2] d=3", 3),
        ("float[] d=[nan]", [float("nan")]),
        ("float d=nan", np.float32("nan")),
        ("float d=2", 2),
        ("Array? d=None", None),
    ],
)
def test_a_default_may_be_written_in_another_way_than_in_the_schema(
    ns: str, parameter: str, default: Any
) -> None:
    op = custom_op(
        f"{ns}::f",
        lambda x, d=default: x + 1,
        mutates_args=(),
        schema=f"(Array x, {parameter})->Array",
    )
    assert op(X).tolist() == [2, 2]
    with pytest.raises(ValueError, match="'d' has the default 'other' in the function"):
        custom_op(
            f"{ns}::f",
            lambda x, d="other": x,
            mutates_args=(),
            schema=f"(Array x, {parameter}) -> ()",
        )


# F8, F9
def test_a_signature_shows_the_defaults_that_only_the_schema_has(ns: str) -> None:
    import inspect

    op = custom_op(
        f"{ns}::f", lambda x, n, *, s: x * n * s, mutates_args=(),
        schema="(Array x, int n=2, *, float s=3) -> Array",
    )  # fmt: skip
    assert str(inspect.signature(op)) == "(x, n=2, *, s=3.0)"
    assert op(X).tolist() == [6, 6]


def test_a_partial_gives_its_functions_name_and_documentation(ns: str) -> None:
    import functools

    def scaled(x: Array, s: float) -> Array:
        """Scale."""
        return x * s

    op = custom_op(f"{ns}::f", functools.partial(scaled, s=2.0), mutates_args=())
    assert (op.__name__, op.__doc__) == ("scaled", "Scale.")
    assert op(X).tolist() == [2, 2] and op(X, s=3).tolist() == [3, 3]


# G3
def test_a_numpy_scalar_for_an_array_says_what_to_do(ns: str) -> None:
    f = returning(ns, "Array", np.float64(1))
    with pytest.raises(TypeError, match="got numpy.float64 .*; make an array of it first"):
        f(X)


# F3
def test_an_object_that_raises_when_it_is_looked_at_is_refused_all_the_same(ns: str) -> None:
    class Touchy:
        @property
        def shape(self) -> tuple[int, ...]:
            raise RuntimeError("do not look")

    f, _ = declared(ns, "Array x, int a")
    with pytest.raises(gpuops.ArgumentError, match="'x' .* got an object of type .*Touchy"):
        f(Touchy(), 1)
    with pytest.raises(gpuops.ArgumentError, match="'a' .* got an object of type .*Touchy"):
        f(X, Touchy())
