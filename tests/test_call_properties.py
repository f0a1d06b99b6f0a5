"""Random calls against an oracle: what a kernel gets, what a caller gets, and what is refused.

The oracle says the rules once more, from what is promised and not from the code: a number fits a
wider kind of number (bool, int, float, complex in this order; only a bool is a bool), NumPy scalars
and 0-d arrays of numbers stand for their number, any sequence but a string stands for a list.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import gpuops
from gpuops import Device
from gpuops.errors import Location
from gpuops.registry import Operator, registry
from gpuops.schema import MISSING, ORDERS, Parameter, Return, Schema, Type

X, Y = np.ones(2), np.zeros((2, 3), np.int8)


class Refused(Exception):
    """The oracle's answer to what does not fit."""


def number(value: Any) -> Any:
    """The Python number that a value stands for."""
    if isinstance(value, np.generic) or (type(value) is np.ndarray and value.ndim == 0):
        value = value.item()
    if type(value) in (bool, int, float, complex):
        return value
    raise Refused


KINDS = {"bool": (bool,), "int": (bool, int), "float": (bool, int, float)}
KINDS["SymInt"] = KINDS["int"]
KINDS["complex"] = KINDS["Scalar"] = (bool, int, float, complex)  # type: ignore[assignment]
MAKE = {"bool": bool, "int": int, "SymInt": int, "float": float, "complex": complex}


def item(base: str, value: Any) -> Any:
    """What a kernel gets for one value that is no list and not None."""
    if base == "Array":
        if type(value) is np.ndarray:
            return value
        raise Refused
    if base in KINDS:
        found = number(value)
        if type(found) not in KINDS[base]:
            raise Refused
        try:
            return MAKE.get(base, lambda same: same)(found)
        except OverflowError:
            raise Refused from None
    if base == "dtype":
        if isinstance(value, np.dtype):
            return value
        if isinstance(value, str) and value in ("int8", "float32", ">f8"):
            return np.dtype(value)
        if isinstance(value, type) and issubclass(value, (np.generic, int, float)):
            return np.dtype(value)
        raise Refused
    if base == "device" and isinstance(value, Device):
        return value
    if not isinstance(value, str):
        raise Refused
    value = str(value)
    if base == "str" or (base == "order" and value in ORDERS):
        return value
    if base == "device" and value in ("cpu", "cuda", "cuda:1"):
        return Device(value)
    raise Refused


def converted(type_: Type, value: Any) -> Any:
    """What a kernel gets for an argument."""
    if value is None:
        if type_.optional:
            return None
        raise Refused
    if not type_.is_list:
        return item(type_.base, value)
    one_number = isinstance(value, (int, float, complex, np.generic)) or (
        type(value) is np.ndarray and value.ndim == 0
    )
    if type_.size is not None and type_.base in KINDS and one_number:
        return [item(type_.base, value)] * type_.size
    if isinstance(value, np.ndarray) and type_.base != "Array" and value.ndim == 1:
        value = value.tolist()
    if type(value) not in (list, tuple, range):
        raise Refused
    if type_.size is not None and len(value) != type_.size:
        raise Refused
    return [
        None if part is None and type_.item_optional else item(type_.base, part)
        for part in ((Refused if part is None and not type_.item_optional else part)
                     for part in value)
    ]  # fmt: skip


def same(left: Any, right: Any) -> bool:
    """Equal, of the same types all the way down, arrays by identity."""
    if type(left) is not type(right):
        return False
    if isinstance(left, (list, tuple)):
        return len(left) == len(right) and all(map(same, left, right))
    return left is right if isinstance(left, np.ndarray) else repr(left) == repr(right)


# -- what is passed --------------------------------------------------------------------------------


SCALARS = (
    st.booleans()
    | st.integers(-3, 3)
    | st.just(10**400)
    | st.floats()
    | st.complex_numbers(max_magnitude=9)
    | st.sampled_from(
        [np.bool_(True), np.int8(3), np.uint64(7), np.float16(0.5), np.float64(1), np.complex64(1j)]
    )
    | st.sampled_from([np.array(True), np.array(3), np.array(2.5), np.array(1j), np.array("a")])
)
OTHERS = st.sampled_from(
    [X, Y, np.array([1, 2]), np.array([0.5]), np.ma.masked_array([1.0]), "a", "", "C", "cpu",
     "int8", "cuda:1", np.str_("F"), b"a", Device("cpu"), Device("cuda", 1), np.dtype(">f8"),
     np.float32, int, object(), {1}, {1: 2}, range(2), dict]
)  # fmt: skip
VALUES = st.none() | SCALARS | OTHERS
SEQUENCES = st.lists(VALUES, max_size=3) | st.lists(SCALARS, max_size=2).map(tuple)
LIKELY = {
    "Array": st.sampled_from([X, Y]),
    "dtype": st.sampled_from([np.float32, "int8", np.dtype(">f8")]),
    "device": st.sampled_from(["cpu", "cuda:1", Device("cuda")]),
    "str": st.sampled_from(["a", np.str_("b")]),
    "order": st.sampled_from(ORDERS),
}
BASES = ["Array", "SymInt", "int", "float", "bool", "complex", "str", "Scalar", "dtype", "device",
         "order"]  # fmt: skip


@st.composite
def types(draw: st.DrawFn) -> Type:
    is_list = draw(st.booleans())
    return Type(
        draw(st.sampled_from(BASES)),
        item_optional=is_list and draw(st.booleans()),
        is_list=is_list,
        size=draw(st.none() | st.integers(0, 3)) if is_list else None,
        optional=draw(st.booleans()),
    )


def passed(type_: Type) -> st.SearchStrategy[Any]:
    """Values for a type: half of them meant to fit."""
    fitting = LIKELY.get(type_.base, SCALARS)
    if type_.is_list:
        fitting = st.lists(fitting | st.none() if type_.item_optional else fitting, max_size=3)
    return fitting | VALUES | SEQUENCES


@st.composite
def calls(draw: st.DrawFn) -> tuple[list[Parameter], list[Any], dict[str, Any]]:
    """Parameters, and arguments for them by position and by name, in any order."""
    declared = draw(st.lists(types(), min_size=1, max_size=4))
    split = draw(st.integers(0, len(declared)))
    parameters = [
        Parameter(f"p{i}", type_, i >= split, None if type_.optional else MISSING)
        for i, type_ in enumerate(declared)
        if i >= split or not type_.optional or all(t.optional for t in declared[i:split])
    ]
    values = {p.name: draw(passed(p.type)) for p in parameters}
    positional = [p.name for p in parameters if not p.kwarg_only]
    by_position = positional[: draw(st.integers(0, len(positional)))]
    named = draw(st.permutations([p.name for p in parameters if p.name not in by_position]))
    left_out = {p.name for p in parameters if p.has_default and draw(st.booleans())}
    args = [values[name] for name in by_position]
    return parameters, args, {name: values[name] for name in named if name not in left_out}


@given(calls())
def test_a_kernel_gets_what_the_rules_say_or_is_not_called(
    call: tuple[list[Parameter], list[Any], dict[str, Any]],
) -> None:
    parameters, args, kwargs = call
    given_ = dict(zip((p.name for p in parameters), args, strict=False)) | kwargs
    expected, wrong = [], None
    for parameter in parameters:
        try:
            expected.append(converted(parameter.type, given_.get(parameter.name)))
        except Refused:
            wrong = wrong or parameter.name
    seen: list[Any] = []

    def kernel(*args: Any, **kwargs: Any) -> int:
        seen.append([*args, *(kwargs[p.name] for p in parameters if p.kwarg_only)])
        return 0

    schema = Schema("", "", tuple(parameters), (Return(Type("int")),))
    with gpuops.define("test_call_properties::f", str(schema)):
        f = gpuops.ops.test_call_properties.f
        gpuops.register_kernel(f, None, kernel)
        if wrong is None:
            assert f(*args, **kwargs) == 0
            assert len(seen) == 1 and same(seen[0], expected)
        else:
            message = rf"test_call_properties::f: argument '{wrong}' \("
            with pytest.raises(gpuops.ArgumentError, match=message):
                f(*args, **kwargs)
            assert seen == []


# -- what comes back -------------------------------------------------------------------------------


def output(type_: Type, value: Any) -> Any:
    """What a caller gets for one value that a kernel returned."""
    if value is None:
        if type_.optional:
            return None
        raise Refused
    if type_.is_list:
        if type(value) not in (list, tuple):
            raise Refused
        if type_.size is not None and len(value) != type_.size:
            raise Refused
        return [output(type_.item, part) for part in value]
    if type_.base == "bool":
        found = number(value)
        if type(found) not in (bool, int):
            raise Refused
        # A 0-d array that is no bool stands for another number.
        if type(found) is int and type(value) is np.ndarray:
            raise Refused
        return bool(found)
    return item(type_.base, value)


@given(
    st.lists(types(), max_size=3).flatmap(
        lambda declared: st.tuples(
            st.just(declared), st.tuples(*(passed(type_) for type_ in declared))
        )
    ),
    st.booleans(),
    st.sampled_from([tuple, list]),
    st.integers(-1, 1),
)
def test_a_caller_gets_what_is_declared_or_an_error(
    pair: tuple[list[Type], tuple[Any, ...]], as_tuple: bool, container: type, extra: int
) -> None:
    declared, values = pair
    schema = Schema("test_call_properties::g", "", (Parameter("x", Type("Array")),),
                    tuple(Return(type_) for type_ in declared), as_tuple)  # fmt: skip
    returned: Any = container(values)
    if schema.returns_tuple and extra:
        returned = container([*values, X] if extra > 0 else values[:-1])
    if not schema.returns_tuple:
        returned = values[0] if values else (None if extra else 3)
    try:
        expected: Any = None
        if schema.returns_tuple:
            if len(returned) != len(declared):
                raise Refused
            expected = tuple(map(output, declared, returned))
        elif declared:
            expected = output(declared[0], returned)
        elif returned is not None:
            raise Refused
        refused = False
    except Refused:
        refused = True
    operator = Operator(schema, tags=[], location=Location(__file__, 1), kind="define")
    handle = registry.add(operator)
    try:
        gpuops.register_kernel(operator, "cpu", lambda x: returned)
        if refused:
            with pytest.raises(gpuops.ReturnError, match="^test_call_properties::g"):
                operator(np.ones(1))
        else:
            assert same(operator(np.ones(1)), expected)
    finally:
        handle.undo()
