"""Arguments and return values against their declared types, off the fast path.

`Arguments` converts what a caller passed to what a kernel gets and gathers the arrays on the way;
`convert_outputs` does the same for what a kernel returned. Each conversion that fails names the
operator, the argument, what was expected and what came.
"""

from __future__ import annotations

import operator as operators
from collections.abc import Callable, Iterable, Mapping, Set
from dataclasses import dataclass
from typing import Any

import numpy as np

from gpuops import opaque
from gpuops.conventions import returned_arguments
from gpuops.devices import ArrayKind, Device, array_kind
from gpuops.errors import AliasError, ArgumentError, DeviceError, ReturnError, describe
from gpuops.registry import Operator
from gpuops.schema import NUMBERS, ORDERS, Parameter, Type
from gpuops.symbols import SymComplex, SymFlag, SymFloat, SymInt, SymNumber
from gpuops.tags import Tag

__all__ = ["Arguments", "Found", "convert_outputs", "is_exact", "wrapper_types"]

wrapper_types: dict[type, tuple[Any, ...]] = {}
"""Exact type -> what dispatch knows of it, the one in force last, for types with interpreters."""


class Mismatch(Exception):
    """A value does not fit a type; the text says what was expected."""


@dataclass(frozen=True, slots=True)
class Found:
    """An array among the arguments.

    Attributes:
        name: the argument, with the index if it is in a list.
        array: the array or wrapper.
        kind: its `ArrayKind`; None for a wrapper.
        parameter: the parameter it was passed for.
    """

    name: str
    array: Any
    kind: ArrayKind | None
    parameter: Parameter


class Arguments:
    """One call's arguments, converted in schema order.

    Args:
        operator: the operator that is called.
        values: one value per parameter, in schema order (keyword-only ones last).

    Attributes:
        values: the converted values.
        arrays: the arrays among them.

    Raises:
        ArgumentError: a value does not fit its declared type.
    """

    __slots__ = ("arrays", "operator", "values")

    def __init__(self, operator: Operator, values: tuple[Any, ...]) -> None:
        self.operator = operator
        self.arrays: list[Found] = []
        self.values: list[Any] = [
            self._convert(parameter, index, value)
            for index, (parameter, value) in enumerate(
                zip(operator.schema.parameters, values, strict=True)
            )
        ]

    @property
    def positional(self) -> list[Any]:
        """The values to pass by position."""
        return self.values[: len(self.values) - len(self.operator.keyword_names)]

    @property
    def keywords(self) -> dict[str, Any]:
        """The values to pass by name."""
        names = self.operator.keyword_names
        return dict(zip(names, self.values[len(self.values) - len(names) :], strict=True))

    def _convert(self, parameter: Parameter, index: int, value: Any) -> Any:
        try:
            return self._value(parameter, parameter.type, value, parameter.name)
        except Mismatch as mismatch:
            where = "keyword-only" if parameter.kwarg_only else f"position {index}"
            raise ArgumentError(
                f"{self.operator.qualname}: argument {parameter.name!r} ({where}) must be "
                f"{_article(parameter.type)}; {mismatch}. "
                f"Declared as {self.operator.declaration}"
            ) from None

    def _value(self, parameter: Parameter, type_: Type, value: Any, name: str) -> Any:
        if value is None:
            if type_.optional:
                return None
            raise Mismatch("got None")
        if type_.is_list:
            return self._list(parameter, value)
        if type_.is_array:
            return self._array(parameter, value, name)
        return convert_number(type_.base, value)

    def _list(self, parameter: Parameter, value: Any) -> list[Any]:
        type_ = parameter.type
        if type_.size is not None and type_.is_number and _is_number(value):
            return [convert_number(type_.base, value)] * type_.size
        items = _items(type_, value)
        if type_.size is not None and len(items) != type_.size:
            raise Mismatch(f"got {len(items)} items")
        converted = []
        for index, item in enumerate(items):
            try:
                name = f"{parameter.name}[{index}]"
                converted.append(self._value(parameter, type_.item, item, name))
            except Mismatch as mismatch:
                raise Mismatch(
                    f"its item {index} must be {_article(type_.item)}; {mismatch}"
                ) from None
        return converted

    def _array(self, parameter: Parameter, value: Any, name: str) -> Any:
        cls = type(value)
        kind = array_kind(cls)
        if kind is None and cls not in wrapper_types:
            # A memory map is an ndarray whose class adds nothing to the data: kernels get the view.
            if cls is np.memmap:
                value = value.view(np.ndarray)
                kind = array_kind(np.ndarray)
            else:
                raise Mismatch(f"got {describe(value)}{_array_hint(value)}")
        self.arrays.append(Found(name, value, kind, parameter))
        return value


_EXACT: dict[str, frozenset[type]] = {
    "int": frozenset({int, SymInt}),
    "SymInt": frozenset({int, SymInt}),
    "float": frozenset({float, SymFloat}),
    "complex": frozenset({complex, SymComplex}),
    "bool": frozenset({bool, SymFlag}),
    "str": frozenset({str}),
    "Scalar": frozenset({int, float, bool, complex, SymInt, SymFloat, SymComplex, SymFlag}),
    "device": frozenset({Device}),
    "order": frozenset(),
}


def is_exact(type_: Type, cls: type) -> bool:
    """Whether converting any value of exactly type `cls` to `type_` would change nothing."""
    if type_.optional and cls is type(None):
        return True
    if type_.is_list:
        return False
    if type_.is_array:
        return cls in wrapper_types or array_kind(cls) is not None
    if type_.base == "dtype":
        return issubclass(cls, np.dtype)
    exact = _EXACT.get(type_.base)
    if exact is None:
        opaque_class = opaque.opaque_class(type_.base)
        return opaque_class is not None and issubclass(cls, opaque_class)
    return cls in exact


def _items(type_: Type, value: Any) -> list[Any]:
    if isinstance(value, (str, bytes, Mapping, Set)) or not isinstance(value, Iterable):
        raise Mismatch(f"got {describe(value)}")
    array: Any = value
    if array_kind(type(array)) is not None or isinstance(array, np.ndarray):
        # The rows of an array are a list of arrays only to somebody who forgot the brackets.
        if type_.is_array:
            raise Mismatch(f"got one array, {describe(value)}; write [x] for a list of one")
        if array.ndim != 1:
            raise Mismatch(f"got {describe(array)}, which has {array.ndim} dimensions, not 1")
        items: list[Any] = array.tolist()
        return items
    if type(value) in wrapper_types:
        raise Mismatch(f"got {describe(value)}")
    return list(value)


def _array_hint(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"; {type(value).__name__} is a subclass: pass x.view(numpy.ndarray)"
    if isinstance(value, (list, tuple, int, float, bool, complex, np.generic)):
        return "; make an array of it first, as with numpy.asarray"
    return "; known are NumPy's and CuPy's own arrays"


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float, complex, np.generic, SymInt, SymNumber)) or (
        isinstance(value, np.ndarray) and value.ndim == 0
    )


# -- numbers and other plain values ----------------------------------------------------------------


def convert_number(base: str, value: Any) -> Any:
    """A value that is no array, as the Python object that a kernel gets.

    Raises:
        Mismatch: it does not fit.
    """
    converter = _CONVERTERS.get(base)
    if converter is None:
        return _to_opaque(base, value)
    if base not in NUMBERS:
        return converter(value)
    if array_kind(type(value)) is not None:
        if value.ndim != 0:
            raise Mismatch(f"got {describe(value)}; only a 0-d array can stand for a number")
        value = value.item()
    elif isinstance(value, np.generic):
        value = value.item()
    return converter(value)


def _to_int(value: Any) -> int | SymInt:
    if type(value) in (int, bool):
        return int(value)
    if type(value) is SymInt:
        return value
    # An array of another class has `__index__` too, for what it would say if it held one integer.
    if isinstance(value, (float, complex, str, np.ndarray)) or not hasattr(value, "__index__"):
        raise Mismatch(f"got {describe(value)}")
    try:
        return operators.index(value)
    except TypeError as error:
        raise Mismatch(f"got {describe(value)} ({error})") from None


def _to_float(value: Any) -> float | SymFloat:
    if type(value) is SymFloat:
        return value
    if isinstance(value, (float, int)):
        try:
            return float(value)
        except OverflowError:
            raise Mismatch(f"got an int too large for a float, {describe(value)}") from None
    # What `numpy.longdouble` gives for .item() is no Python float.
    if isinstance(value, np.floating):
        return float(value)
    raise Mismatch(f"got {describe(value)}")


def _to_complex(value: Any) -> complex | SymNumber:
    if type(value) in (SymComplex, SymFloat):
        found: SymNumber = value
        return found
    if isinstance(value, complex):
        return complex(value)
    if isinstance(value, np.complexfloating):
        return complex(value)
    return complex(_to_float(value))


def _to_bool(value: Any) -> bool | SymFlag:
    if type(value) is bool or type(value) is SymFlag:
        return value
    raise Mismatch(f"got {describe(value)}")


def _to_scalar(value: Any) -> int | float | complex | SymInt | SymNumber:
    if isinstance(value, (bool, SymInt, SymNumber)):
        return value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, (float, np.floating)):
        return float(value)
    if isinstance(value, (complex, np.complexfloating)):
        return complex(value)
    raise Mismatch(f"got {describe(value)}")


def _to_str(value: Any) -> str:
    if isinstance(value, str):
        return str(value)
    raise Mismatch(f"got {describe(value)}")


def _to_dtype(value: Any) -> np.dtype[Any]:
    if isinstance(value, (np.dtype, str, type)):
        try:
            dtype: np.dtype[Any] = np.dtype(value)
        except TypeError:
            raise Mismatch(f"got {value!r}, which names no dtype") from None
        # NumPy takes any class for a dtype of Python objects; nobody means that.
        if dtype.kind != "O" or value is object or not isinstance(value, type):
            return dtype
    raise Mismatch(f"got {describe(value)}")


def _to_device(value: Any) -> Device:
    if isinstance(value, Device):
        return value
    if isinstance(value, str):
        try:
            return Device(value)
        except DeviceError as error:
            raise Mismatch(f"got {value!r} ({error})") from None
    cls = type(value)
    if cls.__module__.startswith("cupy") and cls.__name__ == "Device":
        return Device("cuda", int(value.id))
    raise Mismatch(f"got {describe(value)}")


def _to_order(value: Any) -> str:
    if isinstance(value, str) and value in ORDERS:
        return str(value)
    raise Mismatch(f"got {describe(value)}, not one of {', '.join(ORDERS)}")


def _to_opaque(base: str, value: Any) -> Any:
    cls = opaque.opaque_class(base)
    if cls is None:
        raise Mismatch(f"but the class registered as {base!r} no longer exists")
    if not isinstance(value, cls):
        raise Mismatch(f"got {describe(value)}")
    return value


_CONVERTERS: dict[str, Callable[[Any], Any]] = {
    "int": _to_int,
    "SymInt": _to_int,
    "float": _to_float,
    "complex": _to_complex,
    "bool": _to_bool,
    "Scalar": _to_scalar,
    "str": _to_str,
    "dtype": _to_dtype,
    "device": _to_device,
    "order": _to_order,
}

_WORDS = {
    "SymInt": "an int",
    "int": "an int",
    "Array": "an array (type Array)",
    "Scalar": "a number (type Scalar)",
    "order": "a memory order (type order)",
}


def _article(type_: Type) -> str:
    """A type in words: what the argument must be."""
    if type_.is_list:
        length = "" if type_.size is None else f"{type_.size} "
        text = f"a list of {length}{type_.base} (type {type_})"
    else:
        text = _WORDS.get(type_.base, f"a {type_.base}")
    return f"{text} or None" if type_.optional else text


# -- return values ---------------------------------------------------------------------------------


def convert_outputs(
    operator: Operator, value: Any, device_type: str | None, arguments: tuple[Any, ...]
) -> Any:
    """What a kernel returned, converted to what the operator declares.

    Args:
        operator: the operator.
        value: the kernel's result.
        device_type: the device type whose arrays it must have returned; None for any.
        arguments: the call's values in schema order, for operators that return an argument.

    Raises:
        ReturnError: the number or the type of the values is wrong.
        AliasError: an in-place or out operator returned something else than its argument.
    """
    schema = operator.schema
    returns = schema.returns
    if not returns:
        if value is not None:
            raise ReturnError(
                f"{operator.qualname} is declared to return None but it returned something else: "
                f"{describe(value)}. {_culprit(operator, device_type)}"
            )
        return None
    if not schema.returns_tuple:
        values = [value]
    else:
        if not isinstance(value, (tuple, list)):
            raise ReturnError(
                f"{operator.qualname} is declared to return a tuple of {len(returns)} "
                f"but its kernel returned {describe(value)}. {_culprit(operator, device_type)}"
            )
        if len(value) != len(returns):
            raise ReturnError(
                f"{operator.qualname} is declared to return {len(returns)} values but its kernel "
                f"returned {len(value)}. {_culprit(operator, device_type)}"
            )
        values = list(value)
    converted = []
    for index, (output, item) in enumerate(zip(returns, values, strict=True)):
        try:
            converted.append(_output(output.type, item, device_type))
            _check_origin(converted[-1], arguments)
        except Mismatch as mismatch:
            which = f"output {index}" if len(returns) > 1 else "its output"
            raise ReturnError(
                f"{operator.qualname}: {which} is declared as {output.type}, but its kernel "
                f"returned something else: {mismatch}. {_culprit(operator, device_type)}"
            ) from None
    _check_returned_arguments(operator, converted, device_type, arguments)
    return tuple(converted) if schema.returns_tuple else converted[0]


def _culprit(operator: Operator, device_type: str | None) -> str:
    """The kernel and the declaration that disagree, each with its place."""
    kernel = operator.effective_kernel(device_type)
    ran = f"The kernel is {kernel}. " if kernel is not None else ""
    return f"{ran}Declared as {operator.declaration}"


def _output(type_: Type, value: Any, device_type: str | None) -> Any:
    if value is None:
        if type_.optional:
            return None
        raise Mismatch("got None")
    if type_.is_list:
        if not isinstance(value, (list, tuple)):
            raise Mismatch(f"got {describe(value)}")
        if type_.size is not None and len(value) != type_.size:
            raise Mismatch(f"got {len(value)} items")
        items = []
        for index, item in enumerate(value):
            try:
                items.append(_output(type_.item, item, device_type))
            except Mismatch as mismatch:
                raise Mismatch(f"item {index}: {mismatch}") from None
        return items
    if not type_.is_array:
        if type_.base == "bool" and isinstance(value, (int, np.integer)):
            return bool(value)
        return convert_number(type_.base, value)
    kind = array_kind(type(value))
    if kind is None:
        if type(value) in wrapper_types:
            return value  # of a call that an interpreter took, or see `_check_origin`
        raise Mismatch(f"got {describe(value)}{_array_hint(value)}")
    if device_type is not None and kind.device_type != device_type:
        raise Mismatch(
            f"got {describe(value)} on {kind.device_type!r}, expected an array on {device_type!r}"
        )
    return value


def _check_origin(output: Any, arguments: tuple[Any, ...]) -> None:
    """Refuse what a kernel made of wrappers that it did not get.

    A call with arrays, none of them wrapped, has run a kernel on plain arrays. What it returns is
    wrapped only if the kernel has a wrapped array from elsewhere, a closure or a global variable,
    and then transforms do not see that the call depends on it.
    """
    items = output if type(output) is list else [output]
    wrapped = next((item for item in items if type(item) in wrapper_types), None)
    if wrapped is None:
        return
    given = [x for value in arguments for x in (value if type(value) is list else [value])]
    if any(type(x) in wrapper_types for x in given) or not any(array_kind(type(x)) for x in given):
        return
    raise Mismatch(
        f"got {describe(wrapped)}, made of one that the kernel did not get as an argument. "
        "What is differentiated, batched or traced within a kernel is incorrectly registered: pass "
        "that array as an argument, and register a gradient (register_autograd) or a batching rule"
    )


def _check_returned_arguments(
    operator: Operator,
    outputs: list[Any],
    device_type: str | None,
    arguments: tuple[Any, ...],
) -> None:
    expected = returned_arguments(operator.schema, operator.tags)
    if not expected:
        return
    names = [parameter.name for parameter in operator.schema.parameters]
    for index, (parameter, output) in enumerate(zip(expected, outputs, strict=True)):
        if output is not arguments[names.index(parameter.name)]:
            what = (
                f"must return its first argument {parameter.name!r} itself"
                if Tag.inplace in operator.tags
                else "must return its mutable keyword-only arguments themselves, in order: "
                f"output {index} must be {parameter.name!r}"
            )
            raise AliasError(
                f"{operator.qualname} {what}, but its kernel returned another array, "
                f"{describe(output)}. {_culprit(operator, device_type)}"
            )
