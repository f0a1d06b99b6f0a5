"""Sections B to E of the behaviours: what `infer_schema` accepts and refuses.

The hints of this module are ordinary objects; `hints_as_strings.py` beside it has the same under
``from __future__ import annotations``.
"""

import functools
import inspect
import sys
import typing
from collections import namedtuple
from collections.abc import Callable, Sequence
from enum import Enum
from numbers import Number
from typing import (  # noqa: UP035
    Annotated,
    Any,
    List,
    Literal,
    Optional,
    Tuple,
    TypeVar,
    Union,
    get_type_hints,
)

import numpy as np
import numpy.typing as npt
import pytest

import gpuops
from gpuops import Array, Device, DType, Scalar, custom_op, infer_schema
from gpuops.infer import tuple_to_list

T = TypeVar("T")
Point = namedtuple("Point", "x y")
MyArray = Array


class Color(Enum):
    RED = 1
    BLUE = 2


def with_hint(hint: object, default: object = ...) -> Callable[..., Any]:
    def f(x):  # type: ignore[no-untyped-def]
        return x

    f.__annotations__ = {"x": hint, "return": Array}
    if default is not ...:
        f.__defaults__ = (default,)
    return f


def with_return(hint: object) -> Callable[..., Any]:
    def f(x):  # type: ignore[no-untyped-def]
        return x

    f.__annotations__ = {"x": Array, "return": hint}
    return f


def inferred(hint: object) -> str:
    text = infer_schema(with_hint(hint), mutates_args=())
    assert text.startswith("(") and text.endswith(" x) -> Array"), text
    return text[1 : -len(" x) -> Array")]


# B1
@pytest.mark.parametrize(
    ("hint", "expected"),
    [
        (Array, "Array"),
        (np.ndarray, "Array"),
        (npt.NDArray[np.float32], "Array"),
        (Optional[Array], "Array?"),
        (Array | None, "Array?"),
        (None | Array, "Array?"),
        (Sequence[Array], "Array[]"),
        (typing.Sequence[Array], "Array[]"),
        (List[Array], "Array[]"),
        (list[Array], "Array[]"),
        (List[Optional[Array]], "Array?[]"),
        (Sequence[Array | None], "Array?[]"),
        (list[Array] | None, "Array[]?"),
        (Optional[Sequence[Optional[Array]]], "Array?[]?"),
    ],
)
def test_array_hints(hint: object, expected: str) -> None:
    assert inferred(hint) == expected


# B2
@pytest.mark.parametrize(
    ("hint", "expected"),
    [
        (int, "SymInt"),
        (int | None, "SymInt?"),
        (list[int], "SymInt[]"),
        (Sequence[int] | None, "SymInt[]?"),
        (float, "float"),
        (float | None, "float?"),
        (List[float], "float[]"),
        (Optional[List[float]], "float[]?"),
        (bool, "bool"),
        (bool | None, "bool?"),
        (list[bool], "bool[]"),
        (list[bool] | None, "bool[]?"),
        (str, "str"),
        (str | None, "str?"),
        (complex, "complex"),
        (complex | None, "complex?"),
        (DType, "dtype"),
        (np.dtype, "dtype"),
        (np.dtype[Any], "dtype"),
        (DType | None, "dtype?"),
        (Device, "device"),
        (Device | None, "device?"),
        (Scalar, "Scalar"),
        (Number, "Scalar"),
        (Number | None, "Scalar?"),
        (Optional[List[Number]], "Scalar[]?"),
        (Union[int, float, bool], "Scalar"),
        (int | float | bool | None, "Scalar?"),
        (list[Scalar], "Scalar[]"),
        (list[int | float | bool] | None, "Scalar[]?"),
    ],
)
def test_other_hints(hint: object, expected: str) -> None:
    assert inferred(hint) == expected


# B3
def test_keyword_only_and_names() -> None:
    def f(x: Array, *, y: int, z: float) -> Array: ...
    def g(*, y: Array) -> Array: ...
    def h() -> Array: ...

    assert infer_schema(f, mutates_args=()) == "(Array x, *, SymInt y, float z) -> Array"
    assert infer_schema(g, mutates_args=()) == "(*, Array y) -> Array"
    assert infer_schema(h, mutates_args=()) == "() -> Array"
    assert infer_schema(h, mutates_args=(), op_name="myop") == "myop() -> Array"
    assert infer_schema(h, mutates_args=(), op_name="a::b.c") == "a::b.c() -> Array"
    for name in ("a b", "a::b::c", "", "1a", "a.", 3):
        with pytest.raises(ValueError, match="op_name must be an operator's name"):
            infer_schema(h, mutates_args=(), op_name=name)  # type: ignore[arg-type]


# B4
def test_string_hints_resolve_in_the_functions_own_module() -> None:
    def f(x: "MyArray", ys: list["MyArray"], z: 'Optional["MyArray"]') -> "list[MyArray]": ...

    assert infer_schema(f, mutates_args=()) == "(Array x, Array[] ys, Array? z) -> Array[]"

    def g(x: "Schema") -> Array: ...  # type: ignore[name-defined]  # noqa: F821

    # `Schema` is a name in gpuops' modules, not in this one.
    with pytest.raises(ValueError, match="It is not a type"):
        infer_schema(g, mutates_args=())


def test_future_annotations() -> None:
    from tests.hints_as_strings import Model, plain, with_everything

    assert infer_schema(plain, mutates_args=()) == "(Array x, float s=2.0) -> Array"
    assert infer_schema(with_everything, mutates_args={"out"}) == (
        "(Array x, Array?[] xs, Array[]? ys, *, SymInt n=3, Scalar s=1, dtype d=float32, "
        "Array(a6!) out) -> (Array, Array[])"
    )
    assert infer_schema(Model().method, mutates_args=()) == "(Array x, float s=1.0) -> ()"


# B5
def test_mutates_args_by_position() -> None:
    def f(x: Array, y: list[Array], z: list[Array], w: list[Array | None], n: int) -> None: ...

    assert infer_schema(f, mutates_args={"x", "z", "w"}) == (
        "(Array(a0!) x, Array[] y, Array(a2!)[] z, Array(a3!)?[] w, SymInt n) -> ()"
    )
    assert infer_schema(f, mutates_args="unknown") == (
        "(Array(a0!) x, Array(a1!)[] y, Array(a2!)[] z, Array(a3!)?[] w, SymInt n) -> ()"
    )


# B5
@pytest.mark.parametrize(
    "names",
    [{"x"}, ["x"], ("x",), {"x": 1}, (name for name in "x"), ["x", "x"], iter(["x"])],
)
def test_mutates_args_is_any_iterable(ns: str, names: Any) -> None:
    def f(x: Array) -> None: ...

    op = custom_op(f"{ns}::f", f, mutates_args=names)
    assert op.schema.mutated == ("x",)


# B6
def test_anything_callable_with_hints() -> None:
    numba = pytest.importorskip("numba", reason="numba is not installed")

    class Model:
        def method(self, x: Array, s: float = 1) -> Array: ...

        def __call__(self, x: Array) -> None: ...

        @staticmethod
        def static(x: Array) -> Array: ...

        @classmethod
        def klass(cls, x: Array) -> Array: ...

    def f(x: Array, y: Array, n: int = 2) -> Array: ...

    @functools.wraps(f)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return f(*args, **kwargs)

    @numba.njit
    def jitted(x: Array, n: int) -> Array:
        return x

    assert infer_schema(Model().method, mutates_args=()) == "(Array x, float s=1.0) -> Array"
    assert infer_schema(Model(), mutates_args=()) == "(Array x) -> ()"
    assert infer_schema(Model.static, mutates_args=()) == "(Array x) -> Array"
    assert infer_schema(Model.klass, mutates_args=()) == "(Array x) -> Array"
    assert infer_schema(wrapper, mutates_args=()) == "(Array x, Array y, SymInt n=2) -> Array"
    assert infer_schema(functools.partial(f, n=3), mutates_args=()) == (
        "(Array x, Array y, *, SymInt n=3) -> Array"
    )
    assert infer_schema(functools.partial(f, np.ones(1)), mutates_args=()) == (
        "(Array y, SymInt n=2) -> Array"
    )
    assert infer_schema(jitted, mutates_args=()) == "(Array x, SymInt n) -> Array"


# B6
def test_operators_of_anything_callable_run(ns: str) -> None:
    numba = pytest.importorskip("numba", reason="numba is not installed")

    @numba.njit
    def double(x: np.ndarray, n: int) -> np.ndarray:  # type: ignore[type-arg]
        return x * n

    class Model:
        scale = 3.0

        def method(self, x: Array) -> Array:
            return x * self.scale

        def __call__(self, x: Array) -> Array:
            return x + self.scale

    model = Model()
    x = np.arange(3.0)
    assert custom_op(f"{ns}::jit", double, mutates_args=())(x, 2).tolist() == [0, 2, 4]
    assert custom_op(f"{ns}::method", model.method, mutates_args=())(x).tolist() == [0, 3, 6]
    assert custom_op(f"{ns}::object", model, mutates_args=())(x).tolist() == [3, 4, 5]


# B7
def test_opaque_enum_and_generator_hints() -> None:
    class Handle(gpuops.OpaqueBase):
        pass

    class SubHandle(Handle):
        pass

    gpuops.register_opaque_type(Handle, "test_infer.Handle", typ="reference")
    assert inferred(Handle) == "test_infer.Handle"
    assert inferred(SubHandle) == "test_infer.Handle"
    assert inferred(Handle | None) == "test_infer.Handle?"
    assert inferred(list[Handle]) == "test_infer.Handle[]"
    assert inferred(Color) == f"{__name__}.Color"
    assert inferred(np.random.Generator) == "Generator"
    text = infer_schema(with_hint(Color, Color.BLUE), mutates_args=())
    assert text == f"({__name__}.Color x=BLUE) -> Array"
    assert gpuops.parse_schema(text).parameters[0].default is Color.BLUE
    assert gpuops.is_opaque_type(Handle) and gpuops.is_opaque_type("test_infer.Handle")
    assert not gpuops.is_opaque_type(Handle()) and not gpuops.is_opaque_type(int)


# C1
def test_parameter_kinds_that_are_refused() -> None:
    def positional_only(x: Array, /) -> Array: ...
    def varargs(*xs: Array) -> Array: ...
    def varkwargs(**xs: Array) -> Array: ...

    for function in (positional_only, varargs, varkwargs):
        with pytest.raises(
            ValueError, match="We do not support positional-only args, varargs, or varkwargs"
        ) as caught:
            infer_schema(function, mutates_args=())
        ends_with_signature(caught.value, function)


def ends_with_signature(error: BaseException, function: Callable[..., Any]) -> None:
    import inspect

    assert str(error).endswith(f"with signature {inspect.signature(function)}"), str(error)


# C2
def test_missing_annotations() -> None:
    def no_parameter(x) -> Array: ...  # type: ignore[no-untyped-def]
    def no_return(x: Array): ...  # type: ignore[no-untyped-def]

    with pytest.raises(ValueError, match="Parameter x must have a type annotation") as caught:
        infer_schema(no_parameter, mutates_args=())
    ends_with_signature(caught.value, no_parameter)
    with pytest.raises(
        ValueError, match="No return type annotation was provided. Please add one."
    ) as caught:
        infer_schema(no_return, mutates_args=())
    ends_with_signature(caught.value, no_return)


# C3
def test_tuples_suggest_lists() -> None:
    with pytest.raises(ValueError, match=r"do not support Tuple inputs.*For example, list\[int\]"):
        inferred(Tuple[int, int])
    with pytest.raises(ValueError, match="do not support Tuple inputs") as caught:
        inferred(tuple[int, float])
    assert "For example" not in str(caught.value)


# C4
def test_tuple_to_list() -> None:
    assert tuple_to_list(Tuple) is list and tuple_to_list(tuple) is list
    for item in (int, float, bool, str, Array):
        assert tuple_to_list(tuple[item, item]) == list[item]
        assert tuple_to_list(Tuple[item]) == list[item]
        assert tuple_to_list(tuple[item, ...]) == list[item]
        assert tuple_to_list(tuple[item, item | None]) == list[item | None]
        assert tuple_to_list(Tuple[item, Optional[item]]) == list[Optional[item]]
    assert tuple_to_list(tuple[int, float]) == list[int | float]
    assert tuple_to_list(tuple[int, float, None]) == list[int | float | None]


# C5: NumPy arrays are arrays here, so `np.ndarray` is a valid hint, and complex scalars are wanted.
@pytest.mark.parametrize(
    "hint",
    [
        Callable,
        Callable[[int], int],
        Point,
        dict,
        dict[str, int],
        Any,
        bytes,
        set,
        set[int],
        range,
        Literal[1],
        list,
        List,
        list[list[int]],
        list[list[Array]],
        T,
        list[T],
        Annotated[int, "meta"],
        None,
        object,
        type,
        int | str,
        int | float,
        Array | int,
        np.float32,
        [int],
        3,
    ],
)
def test_unsupported_hints_list_the_valid_ones(hint: object) -> None:
    function = with_hint(hint)
    with pytest.raises(ValueError, match="Parameter x has unsupported type") as caught:
        infer_schema(function, mutates_args=())
    assert "The valid types are: Array, int, float" in str(caught.value)
    ends_with_signature(caught.value, function)


# C6: a list that may be None is supported here.
@pytest.mark.parametrize("hint", [list[int | None], list[str], list[DType], list[Device]])
def test_unsupported_lists(hint: object) -> None:
    with pytest.raises(ValueError, match="unsupported type"):
        inferred(hint)
    assert inferred(Optional[List[Array]]) == "Array[]?"


# C7
def test_only_arrays_can_be_mutated() -> None:
    def f(x: Array, y: int) -> Array: ...

    with pytest.raises(
        ValueError,
        match="Parameter y is in mutable_args but only Arrays or collections of Arrays can be "
        "mutated",
    ) as caught:
        infer_schema(f, mutates_args={"y"})
    ends_with_signature(caught.value, f)


# C8
def test_unknown_name_in_mutates_args() -> None:
    def f(x: Array) -> Array: ...

    with pytest.raises(ValueError, match=r"\{'y'\} in mutates_args were not found"):
        infer_schema(f, mutates_args={"y"})
    with pytest.raises(ValueError, match="'y', 'z'"):
        infer_schema(f, mutates_args=["z", "y", "x"])


# C9
def test_mutates_args_of_the_wrong_kind(ns: str) -> None:
    def f(x: Array) -> Array: ...

    expected = (
        "must either be a sequence of the names of the arguments that the operator writes to, or "
        "the string 'unknown'"
    )
    with pytest.raises(ValueError, match=f"{expected}; got the string 'x'"):
        infer_schema(f, mutates_args="x")
    with pytest.raises(TypeError, match=f"{expected}; got None"):
        infer_schema(f, mutates_args=None)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="it holds int 3"):
        infer_schema(f, mutates_args=[3])  # type: ignore[list-item]
    with pytest.raises(TypeError, match="mutates_args"):
        infer_schema(f)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="mutates_args"):
        custom_op(f"{ns}::f", f)  # type: ignore[call-overload]


# C10
def test_names_that_cannot_be_resolved() -> None:
    class Local:
        pass

    def f(x: "Local") -> Array: ...
    def g(x: "Nonexistent") -> Array: ...  # type: ignore[name-defined]  # noqa: F821
    def h(x: "3 +") -> Array: ...  # type: ignore[syntax]  # noqa: F722

    for function, name in ((f, "Local"), (g, "Nonexistent"), (h, "3 +")):
        with pytest.raises(
            ValueError, match="Unsupported type annotation .* It is not a type"
        ) as caught:
            infer_schema(function, mutates_args=())
        assert name in str(caught.value)
        assert "from __future__ import annotations" in str(caught.value)
        ends_with_signature(caught.value, function)


def test_errors_of_custom_op_name_the_operator(ns: str) -> None:
    with pytest.raises(ValueError, match=rf"custom_op\({ns}::f\): .*unsupported type dict"):
        custom_op(f"{ns}::f", with_hint(dict), mutates_args=())
    assert not gpuops.operators(ns)


# D1
@pytest.mark.parametrize(
    ("hint", "expected"),
    [
        (Array, "Array"),
        (List[Array], "Array[]"),
        (list[Array], "Array[]"),
        (int, "SymInt"),
        (float, "float"),
        (bool, "bool"),
        (complex, "complex"),
        (Number, "Scalar"),
        (Scalar, "Scalar"),
        (None, "()"),
        (Array | None, "Array?"),
        (float | None, "float?"),
        (Optional[List[Array]], "Array[]?"),
        (list[Array | None], "Array?[]"),
    ],
)
def test_single_returns(hint: object, expected: str) -> None:
    assert infer_schema(with_return(hint), mutates_args=()) == f"(Array x) -> {expected}"


# D1
@pytest.mark.parametrize(
    ("hint", "value"),
    [(Array, np.ones(2)), (list[Array], [np.ones(1)]), (int, 3), (float, 2.5), (bool, True),
     (Scalar, 4), (complex, 1j), (None, None), (Array | None, None), (float | None, None),
     (float | None, 1.5), (list[Array] | None, None), (list[Array | None], [None, np.ones(1)])],
)  # fmt: skip
def test_single_returns_come_back(ns: str, hint: object, value: object) -> None:
    def f(x):  # type: ignore[no-untyped-def]
        return value

    f.__annotations__ = {"x": Array, "return": hint}
    out = custom_op(f"{ns}::f", f, mutates_args=())(np.zeros(1))
    assert out is value or out == value
    assert type(out) is type(value)


# D2
def test_tuple_returns() -> None:
    for hint, text in (
        (Array, "Array"), (int, "SymInt"), (float, "float"), (bool, "bool"), (Scalar, "Scalar"),
        (complex, "complex"), (Array | None, "Array?"), (list[Array], "Array[]"),
    ):  # fmt: skip
        found = infer_schema(with_return(tuple[hint, hint]), mutates_args=())
        assert found == f"(Array x) -> ({text}, {text})"
        assert str(gpuops.parse_schema(found)) == found
    found = infer_schema(with_return(Tuple[List[Array], Array]), mutates_args=())
    assert found == "(Array x) -> (Array[], Array)"
    found = infer_schema(with_return(tuple[Array, int, float, bool]), mutates_args=())
    assert found == "(Array x) -> (Array, SymInt, float, bool)"


# D3
def test_a_tuple_of_one_stays_a_tuple(ns: str) -> None:
    def f(x: Array) -> tuple[Array]:
        return (x.copy(),)

    op = custom_op(f"{ns}::f", f, mutates_args=())
    out = op(np.ones(2))
    assert type(out) is tuple and len(out) == 1
    assert gpuops.parse_schema(str(op.schema)) == op.schema


# D4: an optional value may be returned here, which torch's users ask for.
@pytest.mark.parametrize(
    "hint",
    [str, DType, Device, Sequence[Array], tuple[Array, ...], tuple[Array, None], list[int], tuple,
     Tuple, dict, Any, Color, Optional[str], list[int] | None, Sequence[Array] | None, tuple[()],
     list],
)  # fmt: skip
def test_unsupported_returns(hint: object) -> None:
    function = with_return(hint)
    with pytest.raises(ValueError, match="Return has unsupported type") as caught:
        infer_schema(function, mutates_args=())
    ends_with_signature(caught.value, function)


# D4
def test_an_opaque_value_cannot_be_returned() -> None:
    class Pair:
        def __eq__(self, other: object) -> bool:
            return isinstance(other, Pair)

        def __hash__(self) -> int:
            return 0

        def __fx_repr__(self) -> tuple[str, dict[str, object]]:
            return "Pair()", {"Pair": Pair}

    gpuops.register_opaque_type(Pair, "test_infer.Pair", typ="value")
    assert inferred(Pair) == "test_infer.Pair"
    for hint in (Pair, Pair | None, tuple[Array, Pair], list[Pair]):
        with pytest.raises(ValueError, match="Return has unsupported type"):
            infer_schema(with_return(hint), mutates_args=())


# E1
@pytest.mark.parametrize(
    ("hint", "default", "text"),
    [
        (Array | None, None, "=None"),
        (int, 3, "=3"),
        (float, 3.14, "=3.14"),
        (bool, True, "=True"),
        (str, "foo", '="foo"'),
        (DType, np.float32, "=float32"),
        (DType, np.dtype("int8"), "=int8"),
        (Device, Device("cpu", 0), '="cpu:0"'),
        (Device, "cpu:0", '="cpu:0"'),
        (float, 1, "=1.0"),
        (int, True, "=1"),
        (complex, 1j, "=1j"),
        (Scalar, 2, "=2"),
        (list[int] | None, None, "=None"),
    ],
)
def test_defaults(hint: object, default: object, text: str) -> None:
    schema = infer_schema(with_hint(hint, default), mutates_args=())
    assert f" x{text}) -> " in schema
    assert str(gpuops.parse_schema(schema)) == schema


# E2
def test_omitted_arguments_reach_the_kernel_with_their_defaults(ns: str) -> None:
    seen: list[object] = []

    def f(
        x: Array,
        n: int = 3,
        s: float = 1,
        d: DType = np.float32,  # type: ignore[assignment]
        v: Device = "cpu:0",  # type: ignore[assignment]
        *,
        name: str = "a",
        y: Array | None = None,
    ) -> Array:
        seen.extend([n, s, d, v, name, y])
        return x.copy()

    op = custom_op(f"{ns}::f", f, mutates_args=())
    op(np.ones(1))
    assert seen == [3, 1.0, np.dtype("float32"), Device("cpu:0"), "a", None]
    assert type(seen[1]) is float
    assert [p.default for p in op.schema.parameters[1:]] == seen


# E4
@pytest.mark.parametrize("default", [[1, 2], (1, 2), [], {}])
def test_mutable_defaults_are_refused(default: object) -> None:
    with pytest.raises(ValueError, match="Parameter x has an unsupported default value type"):
        infer_schema(with_hint(list[int], default), mutates_args=())


# E4
@pytest.mark.parametrize(
    ("hint", "default", "text"),
    [
        (float, np.float64(0.5), "=0.5"),
        (float, np.float32(0.5), "=0.5"),
        (int, np.int64(3), "=3"),
        (bool, np.bool_(True), "=True"),
        (Scalar, np.int8(2), "=2"),
    ],
)
def test_numpy_scalar_defaults(hint: object, default: object, text: str) -> None:
    assert f"x{text})" in infer_schema(with_hint(hint, default), mutates_args=())


# E5
@pytest.mark.parametrize("default", [float("inf"), float("-inf"), float("nan"), 1e-320, -0.0])
def test_unusual_floats_are_defaults_like_any_other(ns: str, default: float) -> None:
    seen = []

    def f(x: Array, s: float = default) -> Array:
        seen.append(s)
        return x.copy()

    op = custom_op(f"{ns}::f", f, mutates_args=())
    assert gpuops.parse_schema(str(op.schema)) == op.schema
    op(np.ones(1))
    assert repr(seen) == repr([default])


# E5
@pytest.mark.parametrize("default", ['a"b', "a'b", "a\\b", "a\nb", "ü", ""])
def test_strings_with_quotes_are_defaults_like_any_other(default: str) -> None:
    schema = infer_schema(with_hint(str, default), mutates_args=())
    assert gpuops.parse_schema(schema).parameters[0].default == default


# E5, E6
@pytest.mark.parametrize(
    ("hint", "default"),
    [
        (int, "x"),
        (int, 1.5),
        (float, "x"),
        (float, 1j),
        (bool, 1),
        (str, 3),
        (DType, "float32"),
        (DType, float),
        (DType, np.number),
        (DType, np.generic),
        (Device, "tpu"),
        (Device, 0),
        (Array, None),
        (list[int], None),
        (Array | None, 3),
        (int | None, "x"),
    ],
)
def test_defaults_of_the_wrong_type_name_the_argument(hint: object, default: object) -> None:
    function = with_hint(hint, default)
    with pytest.raises(ValueError, match="parameter 'x' has default|Expected one of cpu") as caught:
        infer_schema(function, mutates_args=())
    ends_with_signature(caught.value, function)


# B4
@pytest.mark.skipif(sys.version_info < (3, 12), reason="the `type` statement is Python 3.12's")
def test_type_statements() -> None:
    scope: dict[str, Any] = {"Array": Array}
    text = """
type Plain = Array
type Maybe[T] = T | None
type Same[T] = T
type Many[T] = list[T]
type Later = "Plain"
def f(
    a: Plain, b: Maybe[Array], c: Same[int], d: list[Plain], e: Many[Plain], g: Later,
    h: "Maybe[Plain]", *, n: Maybe[float] = None,
) -> tuple[Plain, Maybe[Same[Array]]]: ...
"""
    exec(text, scope)
    assert infer_schema(scope["f"], mutates_args=()) == (
        "(Array a, Array? b, SymInt c, Array[] d, Array[] e, Array g, Array? h, *, float? n=None) "
        "-> (Array, Array?)"
    )


# B4
def test_the_hints_of_a_call_mean_what_they_mean_in_its_module(ns: str) -> None:
    """The call's own globals are its kernels: nothing could be looked up there later."""
    from tests.hints_as_strings import plain, with_everything

    assert get_type_hints(custom_op(f"{ns}::f", plain, mutates_args=())) == get_type_hints(plain)
    call = custom_op(f"{ns}::g", with_everything, mutates_args={"out"})
    assert get_type_hints(call) == get_type_hints(with_everything)
    assert inspect.signature(call) == inspect.signature(with_everything)

    # A hint that cannot be evaluated is kept as it is written; a schema makes up for it.
    def local(x: "Nowhere") -> "Array":  # type: ignore[name-defined]  # noqa: F821
        return x.copy()

    call = custom_op(f"{ns}::h", local, mutates_args=(), schema="(Array x) -> Array")
    assert call.__annotations__ == {"x": "Nowhere", "return": Array}


# B4, B6
def test_an_operators_call_can_be_declared_under_another_name(ns: str) -> None:
    from tests.hints_as_strings import plain

    first = custom_op(f"{ns}::f", plain, mutates_args=())
    second = custom_op(f"{ns}::g", first, mutates_args=())
    assert second.schema.parameters == first.schema.parameters
    assert second(np.ones(1)) == 2 and second.__doc__ == first.__doc__
