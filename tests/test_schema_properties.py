"""Properties of schemas: whatever can be declared is printed, read again and means the same."""

from __future__ import annotations

import keyword
from enum import Enum, Flag
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import gpuops
from gpuops import Device, parse_schema
from gpuops.schema import (
    BASE_TYPES,
    MISSING,
    ORDERS,
    Alias,
    Parameter,
    Return,
    Schema,
    Type,
    check_default,
)


class Shade(Enum):
    """Members named like literals of other types."""

    red = 1
    inf = 2
    nan = 3


class Mode(Flag):
    a = 1
    b = 2


gpuops.register_opaque_type(Shade, "test_schema_properties.Shade", typ="value")
gpuops.register_opaque_type(Mode, "test_schema_properties.Mode", typ="value")
SHADE, MODE = "test_schema_properties.Shade", "test_schema_properties.Mode"

_DTYPES = [
    "float32",
    "int8",
    "complex128",
    "bool",
    "object",
    ">f4",
    "<U5",
    "M8[ns]",
    "m8[3s]",
    "V3",
]
_names = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,6}", fullmatch=True).filter(
    lambda name: not keyword.iskeyword(name) and name != "__debug__"
)
# Half a surrogate pair is a string too.
_strings = st.text(st.characters(codec=None), max_size=8)
_VALUES: dict[str, st.SearchStrategy[Any]] = {
    "SymInt": st.integers(),
    "int": st.integers() | st.booleans() | st.integers(-9, 9).map(np.int16),
    "float": st.floats() | st.integers(-9, 9) | st.floats(width=32).map(np.float32),
    "bool": st.booleans() | st.booleans().map(np.bool_),
    "complex": st.complex_numbers() | st.floats() | st.integers(-9, 9),
    "str": _strings | st.sampled_from(["None", "True", "inf", "\\", '"', "'", "\n", "\r\n"]),
    "Scalar": st.booleans() | st.integers() | st.floats() | st.complex_numbers(),
    "dtype": st.sampled_from(_DTYPES).map(np.dtype) | st.sampled_from([np.float16, np.uint8]),
    "device": st.sampled_from(["cpu", "cuda", "cuda:3", Device("cpu", 0)]),
    "order": st.sampled_from(ORDERS),
    SHADE: st.sampled_from(Shade),
}


@st.composite
def types(draw: st.DrawFn) -> Type:
    is_list = draw(st.booleans())
    return Type(
        draw(st.sampled_from([*BASE_TYPES, SHADE])),
        item_optional=is_list and draw(st.booleans()),
        is_list=is_list,
        size=draw(st.none() | st.integers(0, 4)) if is_list else None,
        optional=draw(st.booleans()),
    )


def defaults(type_: Type) -> st.SearchStrategy[Any]:
    """Values that are a default of the type, MISSING among them."""
    if type_.is_array:
        return st.just(MISSING) | st.just(None if type_.optional else MISSING)
    values = _VALUES[type_.base]
    if type_.is_list:
        items = values | st.none() if type_.item_optional else values
        size = type_.size
        bounds = {"max_size": 3} if size is None else {"min_size": size, "max_size": size}
        values = st.lists(items, **bounds)
        if size is not None and type_.is_number:
            values |= items.filter(lambda value: value is not None)
    if type_.optional:
        values |= st.none()
    return values | st.just(MISSING)


@st.composite
def schemas(draw: st.DrawFn) -> Schema:
    names = draw(st.lists(_names, max_size=6, unique=True))
    split = draw(st.integers(0, len(names)))
    sets = st.lists(st.sampled_from("abc"), min_size=1, max_size=2, unique=True).map(tuple)
    aliases = st.none() | st.builds(Alias, sets, st.booleans())
    parameters = []
    needs_default = False
    for index, name in enumerate(names):
        type_ = draw(types())
        default = draw(defaults(type_))
        if index < split and needs_default and default is MISSING:
            break
        needs_default |= default is not MISSING
        alias = draw(aliases) if type_.is_array else None
        parameters.append(Parameter(name, type_, index >= split, default, alias))
    returns = []
    for type_ in draw(st.lists(types(), max_size=3)):
        alias = draw(aliases) if type_.is_array else None
        returns.append(Return(type_, draw(st.just("") | _names), alias))
    overload = draw(
        st.just("") | _names.filter(lambda name: name != "default" and not name.startswith("__"))
    )
    return Schema(
        draw(st.sampled_from(["", "f", "ns::f"])) or ("ns::f" if overload else ""),
        overload,
        tuple(parameters),
        tuple(returns),
        draw(st.booleans()),
    )


@given(schemas())
def test_every_schema_round_trips(schema: Schema) -> None:
    text = str(schema)
    again = parse_schema(text)
    assert again == schema and hash(again) == hash(schema)
    assert str(again) == text
    for left, right in zip(schema.parameters, again.parameters, strict=True):
        # Equality is not enough: True == 1 == 1.0, and -0.0 == 0.0.
        assert repr(left.default) == repr(right.default)


@given(schemas())
def test_every_schema_can_be_called(schema: Schema) -> None:
    """The generated function compiles, and has the schema's names, kinds and defaults."""
    import inspect

    from gpuops import codegen
    from gpuops.errors import Location
    from gpuops.registry import Operator

    named = schema.with_name("ns::f", schema.overload)
    operator = Operator(named, tags=[], location=Location("x.py", 1), kind="define")
    call, _ = codegen.build(operator)
    signature = inspect.signature(call)
    assert list(signature.parameters) == [parameter.name for parameter in schema.parameters]
    for parameter in schema.parameters:
        found = signature.parameters[parameter.name]
        assert (found.kind is inspect.Parameter.KEYWORD_ONLY) == parameter.kwarg_only
        if parameter.has_default:
            assert repr(found.default) == repr(parameter.default)
        else:
            assert found.default is inspect.Parameter.empty


@given(types().flatmap(lambda type_: st.tuples(st.just(type_), defaults(type_))))
def test_a_checked_default_stays_as_it_is(pair: tuple[Type, Any]) -> None:
    type_, value = pair
    if value is not MISSING:
        once = check_default(type_, value, "x")
        assert repr(check_default(type_, once, "x")) == repr(once)


@given(st.text(max_size=40) | st.text("()[]->ArrayintxX*,=?!. :|\"'\\1e\n", max_size=40))
def test_any_text_parses_or_fails_with_a_schema_error(text: str) -> None:
    try:
        schema = parse_schema(text)
    except gpuops.SchemaError:
        return
    assert parse_schema(str(schema)) == schema


@given(schemas(), st.data())
def test_a_damaged_schema_parses_or_fails_with_a_caret(schema: Schema, data: st.DataObject) -> None:
    text = str(schema)
    at = data.draw(st.integers(0, len(text)))
    damaged = (
        text[:at] + data.draw(st.sampled_from(["", "(", ",", "->", "?", "$"])) + text[at + 1 :]
    )
    problem = ""
    try:
        again = parse_schema(damaged)
    except gpuops.SchemaError as error:
        problem = str(error)
    else:
        assert parse_schema(str(again)) == again
    assert not problem or "\n    " in problem


# E5, E6
@pytest.mark.parametrize(
    ("type_", "value", "problem"),
    [
        (Type("float"), 10**400, "too large for a float"),
        (Type("complex"), 10**400, "too large for a complex"),
        (Type("dtype"), np.dtype([("a", "i4")]), "which a schema string cannot spell"),
        (Type("dtype"), np.dtypes.StringDType(), "which a schema string cannot spell"),
        (Type(MODE), Mode.a | Mode.b, "which a schema string cannot spell"),
        (Type(MODE), Mode(0), "which a schema string cannot spell"),
        (Type("int", is_list=True), [1, 2.0], "which is no int"),
        (Type("int", is_list=True, size=2), None, "declare it optional"),
    ],
)
def test_defaults_that_cannot_be_declared(type_: Type, value: Any, problem: str) -> None:
    with pytest.raises(gpuops.SchemaError, match=f"parameter 'x' has .*{problem}"):
        check_default(type_, value, "x")


# E5
def test_a_long_double_is_a_default_like_any_other_numpy_scalar() -> None:
    assert check_default(Type("float"), np.longdouble("0.5"), "x") == 0.5


# A6
@pytest.mark.parametrize(
    ("text", "position", "message"),
    [
        (r'(str s="a\d") -> ()', 9, r"unknown escape sequence '\\\\d'"),
        (r'(str s="\x1") -> ()', 8, "unknown escape sequence"),
        ("(int x=٣) -> ()", 7, "unexpected character"),
        ("(int[1234567890] x) -> ()", 5, "9 digits or fewer"),
        ("(int x=01) -> ()", 7, "'01' is not a number"),
    ],
)
def test_literals_that_are_none(text: str, position: int, message: str) -> None:
    with pytest.raises(gpuops.SchemaError, match=message) as caught:
        parse_schema(text)
    assert str(caught.value).split("\n")[2].index("^") - 4 == position
