"""Type hints -> `Schema`. The only module that reads `typing`."""

from __future__ import annotations

import collections.abc
import contextlib
import functools
import inspect
import numbers
import re
import types
import typing
from collections.abc import Callable, Iterable
from typing import Any, NoReturn

import numpy as np

from gpuops import opaque
from gpuops.annotations import Array
from gpuops.devices import Device
from gpuops.errors import SchemaError, UsageError, closest, describe
from gpuops.schema import (
    MISSING,
    Alias,
    Parameter,
    Return,
    Schema,
    Type,
    check_default,
)
from gpuops.symbols import SymInt

__all__ = [
    "evaluated_hints",
    "infer",
    "infer_schema",
    "mutated_names",
    "signature_of",
    "tuple_to_list",
]

_OP_NAME = re.compile(r"(?:[A-Za-z_]\w*::)?[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)?\Z", re.ASCII)
_NONE = type(None)
_LISTS = (list, collections.abc.Sequence)
_SCALARS = (frozenset({int, float, bool}), frozenset({int, float, bool, complex}))
_SIMPLE: dict[Any, str] = {
    Array: "Array",
    np.ndarray: "Array",
    int: "SymInt",
    SymInt: "SymInt",
    float: "float",
    bool: "bool",
    complex: "complex",
    str: "str",
    numbers.Number: "Scalar",
    np.dtype: "dtype",
    Device: "device",
}
# Which bases may be in a list, and which may be returned.
_LISTABLE = frozenset({"Array", "SymInt", "float", "bool", "complex", "Scalar"})
_RETURNABLE = frozenset({"Array", "SymInt", "float", "bool", "complex", "Scalar"})
_VALID_PARAMETERS = (
    "Array, int, float, bool, complex, str, Scalar (int | float | bool), DType, Device, a "
    "registered opaque class, an Enum; each also X | None; list[X] or Sequence[X] of Array, "
    "Array | None, an opaque class (also | None), int, float, bool, complex or Scalar, also "
    "list[X] | None"
)
_VALID_RETURNS = (
    "Array, int, float, bool, complex, Scalar, list[Array] or list[Array | None], each also "
    "X | None; None; or a tuple of these"
)


def infer_schema(
    function: Callable[..., Any],
    /,
    *,
    mutates_args: str | Iterable[str],
    op_name: str | None = None,
) -> str:
    """The schema string that a function's type hints describe.

    Args:
        function: a function, bound method, `functools.partial`, callable object or Numba
            dispatcher whose parameters and return value all have type hints. Hints written as
            strings (also by ``from __future__ import annotations``) are looked up in the
            function's own module.
        mutates_args: the names of the arrays it writes to, or ``"unknown"`` for all of them.
        op_name: a name to put before the parameters; without it the schema is nameless.

    Raises:
        SchemaError: a parameter kind, type hint, default or name in `mutates_args` that an
            operator cannot have; the message ends with the function's signature.
        UsageError: `mutates_args` is no iterable of names, or `function` is not callable.

    >>> def scale(x: Array, *, factor: float = 2.0) -> Array: ...
    >>> infer_schema(scale, mutates_args=())
    '(Array x, *, float factor=2.0) -> Array'
    >>> infer_schema(scale, mutates_args={"x"}, op_name="scale")
    'scale(Array(a0!) x, *, float factor=2.0) -> Array'
    """
    schema = infer(function, mutates_args=mutates_args)
    if op_name is None:
        return str(schema)
    if not isinstance(op_name, str) or not _OP_NAME.match(op_name):
        raise SchemaError(
            f"infer_schema({function!r}): op_name must be an operator's name, such as 'scale', "
            f"'ns::scale' or 'ns::scale.out', got {op_name!r}"
        )
    return str(schema.with_name(op_name))


def infer(function: Callable[..., Any], *, mutates_args: str | Iterable[str]) -> Schema:
    """Like `infer_schema`, as a `Schema`."""
    hints = _Hints(function)
    mutated = mutated_names(mutates_args, hints.signature.parameters, hints.fail)
    parameters = []
    for index, parameter in enumerate(hints.signature.parameters.values()):
        type_ = hints.parameter_type(parameter)
        written = type_.is_array if mutates_args == "unknown" else parameter.name in mutated
        if written and not type_.is_array:
            hints.fail(
                f"Parameter {parameter.name} is in mutable_args but only Arrays or collections of "
                f"Arrays can be mutated, not {type_}"
            )
        alias = Alias((f"a{index}",), is_write=True) if written else None
        parameters.append(
            Parameter(
                parameter.name,
                type_,
                parameter.kind is inspect.Parameter.KEYWORD_ONLY,
                hints.default(parameter, type_),
                alias,
            )
        )
    returns, returns_tuple = hints.returns()
    try:
        return Schema("", "", tuple(parameters), returns, returns_tuple)
    except SchemaError as error:
        hints.fail(str(error))


def mutated_names(
    mutates_args: Any, known: Iterable[str], fail: Callable[[str], NoReturn]
) -> frozenset[str]:
    """The names in `mutates_args`, checked against the parameters' names.

    ``"unknown"`` gives an empty set: the caller treats it on its own.
    """
    expected = (
        "mutates_args must either be a sequence of the names of the arguments that the operator "
        "writes to, or the string 'unknown'"
    )
    if isinstance(mutates_args, str):
        if mutates_args == "unknown":
            return frozenset()
        fail(f"{expected}; got the string {mutates_args!r}")
    if not isinstance(mutates_args, collections.abc.Iterable):
        raise UsageError(f"{expected}; got {describe(mutates_args)}")
    names = list(mutates_args)
    for name in names:
        if not isinstance(name, str):
            raise UsageError(f"{expected}; it holds {describe(name)}")
    known = list(known)
    missing = sorted(set(names) - set(known))
    if missing:
        listed = ", ".join(map(repr, missing))
        fail(
            f"{{{listed}}} in mutates_args were not found in the parameters "
            f"({', '.join(known) or 'there are none'}){closest(missing[0], known)}"
        )
    return frozenset(names)


def signature_of(function: Any) -> inspect.Signature:
    """The signature of anything callable that a kernel can be.

    Raises:
        TypeError: not callable.
        ValueError: callable, but it does not tell its signature (some compiled functions).
    """
    # Numba dispatchers keep the Python function they compile, with its hints.
    return inspect.signature(getattr(function, "py_func", function))


def evaluated_hints(function: Callable[..., Any]) -> dict[str, Any]:
    """A function's annotations, those written as strings evaluated in the function's module.

    An operator's call has them: its own globals are kernels, where `typing.get_type_hints` would
    look names up in vain. What cannot be evaluated stays as it is written.
    """
    named = function.func if isinstance(function, functools.partial) else function
    try:
        found = dict(getattr(named, "__annotations__", {}))
        hints = _Hints(function)
    except NameError:  # Python 3.14 evaluates hints when they are asked for
        return {}
    except SchemaError:
        return found
    for name, hint in found.items():
        if _has_text(hint):
            with contextlib.suppress(SchemaError):
                found[name] = hints.resolve(hint, f"of {name}")
    return found


def tuple_to_list(hint: Any) -> Any:
    """The list type to suggest in place of a tuple type.

    >>> tuple_to_list(tuple[int, int]), tuple_to_list(tuple[int, ...]), tuple_to_list(tuple)
    (list[int], list[int], <class 'list'>)
    >>> tuple_to_list(tuple[int, float])
    list[int | float]
    >>> tuple_to_list(tuple[int, int | None])
    list[int | None]
    """
    arguments = [argument for argument in typing.get_args(hint) if argument is not Ellipsis]
    if not arguments:
        return list
    # `|` flattens and removes duplicates, and None is always spelled last.
    items = [a for argument in arguments for a in _union_members(argument)]
    unique = [a for a in dict.fromkeys(items) if a is not _NONE]
    if _NONE in items:
        unique.append(_NONE)
    union = functools.reduce(lambda left, right: left | right, unique)
    return list[union]  # type: ignore[valid-type]  # built at run time, for a message


def _union_members(hint: Any) -> tuple[Any, ...]:
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return typing.get_args(hint)
    return (hint,)


class _Hints:
    """The hints of one function, and the errors that name it."""

    def __init__(self, function: Any) -> None:
        if not callable(function):
            raise UsageError(f"infer_schema takes a callable, got {describe(function)}")
        self.function = function
        name = getattr(function, "__name__", None) or getattr(
            getattr(function, "func", None), "__name__", type(function).__name__
        )
        self.name = str(name)
        self.signature = inspect.Signature()
        try:
            self.signature = signature_of(function)
        except NameError as error:
            # Python 3.14 evaluates hints when they are asked for.
            self.fail(f"Unsupported type annotation: {error}. It is not a type")
        except ValueError as error:
            self.fail(f"{self.name} does not tell its signature ({error}); pass schema= instead")
        self.globals = _globals_of(function)

    def fail(self, message: str) -> NoReturn:
        raise SchemaError(
            f"infer_schema({self.name}): {message}. Got {self.name} with signature {self.signature}"
        ) from None

    # -- parameters --------------------------------------------------------------------------------

    def parameter_type(self, parameter: inspect.Parameter) -> Type:
        name = parameter.name
        if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            self.fail(
                "We do not support positional-only args, varargs, or varkwargs "
                f"(parameter {name} is {parameter.kind.description})"
            )
        if parameter.annotation is parameter.empty:
            self.fail(f"Parameter {name} must have a type annotation")
        hint = self.resolve(parameter.annotation, f"of parameter {name}")
        if hint is tuple or typing.get_origin(hint) is tuple:
            self.fail_tuple(name, hint)
        type_ = _type_of(hint)
        if type_ is None:
            self.fail(
                f"Parameter {name} has unsupported type {_spell(hint)}. "
                f"The valid types are: {_VALID_PARAMETERS}"
            )
        return type_

    def fail_tuple(self, name: str, hint: Any) -> NoReturn:
        suggestion = tuple_to_list(hint)
        example = f". For example, {_spell(suggestion)}" if _type_of(suggestion) else ""
        self.fail(
            f"Parameter {name} has unsupported type {_spell(hint)}. We do not support Tuple "
            f"inputs in a schema; use a list instead{example}"
        )

    def default(self, parameter: inspect.Parameter, type_: Type) -> Any:
        value = parameter.default
        if value is parameter.empty:
            return MISSING
        if isinstance(value, (list, tuple, dict, set)):
            self.fail(
                f"Parameter {parameter.name} has an unsupported default value type "
                f"{type(value).__name__} ({value!r}): a call would share it; default to None"
            )
        try:
            return check_default(type_, value, parameter.name)
        except SchemaError as error:
            self.fail(str(error))

    # -- returns -----------------------------------------------------------------------------------

    def returns(self) -> tuple[tuple[Return, ...], bool]:
        annotation = self.signature.return_annotation
        if annotation is inspect.Signature.empty:
            self.fail("No return type annotation was provided. Please add one")
        hint = self.resolve(annotation, "of the return value")
        if hint is None or hint is _NONE:
            return (), False
        if typing.get_origin(hint) is tuple:
            items = typing.get_args(hint)
            if not items or Ellipsis in items:
                self.fail_return(hint)
            return tuple(Return(self.return_type(item, hint)) for item in items), True
        return (Return(self.return_type(hint, hint)),), False

    def return_type(self, item: Any, whole: Any) -> Type:
        type_ = _type_of(item)
        if type_ is None or type_.base not in _RETURNABLE:
            self.fail_return(whole)
        # A kernel returns several arrays as a list. Other sequences would have to be told apart by
        # their values, and lists of numbers belong in an array.
        members = _union_members(item)
        is_sequence = any(typing.get_origin(m) is collections.abc.Sequence for m in members)
        if type_.is_list and (not type_.is_array or is_sequence):
            self.fail_return(whole)
        return type_

    def fail_return(self, hint: Any) -> NoReturn:
        self.fail(
            f"Return has unsupported type {_spell(hint)}. The valid types are: {_VALID_RETURNS}"
        )

    # -- names in hints ----------------------------------------------------------------------------

    def resolve(self, hint: Any, where: str) -> Any:
        """A hint with every string in it evaluated, and type aliases looked through."""
        if isinstance(hint, typing.ForwardRef):
            hint = hint.__forward_arg__
        if isinstance(hint, str):
            return self.resolve(self.evaluate(hint, where), where)
        if _is_alias(hint):
            return self.resolve(hint.__value__, where)
        origin = typing.get_origin(hint)
        arguments = typing.get_args(hint)
        if _is_alias(origin):
            return self.resolve(_substituted(origin, arguments), where)
        # The strings in Literal["a"] or Annotated[int, "a"] are values, not hints.
        if origin not in (*_LISTS, tuple, typing.Union, types.UnionType):
            return hint
        if not any(_is_unresolved(argument) for argument in arguments):
            return hint
        resolved = [self.resolve(argument, where) for argument in arguments]
        if origin in (typing.Union, types.UnionType):
            return typing.Union[tuple(resolved)]  # noqa: UP007  # the members are only known here
        return origin[tuple(resolved)] if origin is tuple else origin[resolved[0]]

    def evaluate(self, text: str, where: str) -> Any:
        try:
            return eval(text, self.globals)  # the hint is the author's own code, in their module
        except Exception as error:
            # `from __future__ import annotations` makes a string of every hint; names that only a
            # function's body knows are gone by the time the hint is read.
            self.fail(
                f"Unsupported type annotation {text!r} {where}. It is not a type "
                f"({type(error).__name__}: {error}). A hint that is a string, also because of "
                "`from __future__ import annotations`, can only use names of the function's module"
            )


def _is_alias(hint: Any) -> bool:
    """Whether a hint was made by a ``type`` statement (Python 3.12), which has no class here."""
    return type(hint).__name__ == "TypeAliasType" and hasattr(hint, "__value__")


def _substituted(alias: Any, arguments: tuple[Any, ...]) -> Any:
    """What a generic alias, such as ``numpy.typing.NDArray`` from NumPy 2.5 on, stands for."""
    value = alias.__value__
    if value in alias.__type_params__:
        return arguments[alias.__type_params__.index(value)]
    return value[arguments] if getattr(value, "__parameters__", ()) else value


def _has_text(hint: Any) -> bool:
    """Whether a hint is written as a string, or holds one that is."""
    if isinstance(hint, (str, typing.ForwardRef)):
        return True
    return any(_has_text(argument) for argument in typing.get_args(hint))


def _is_unresolved(hint: Any) -> bool:
    if isinstance(hint, (str, typing.ForwardRef)):
        return True
    if _is_alias(hint) or _is_alias(typing.get_origin(hint)):
        return True
    return any(_is_unresolved(argument) for argument in typing.get_args(hint))


def _globals_of(function: Any) -> dict[str, Any]:
    """The globals of the innermost Python function, whatever wraps it."""
    for _ in range(32):
        if hasattr(function, "py_func"):
            function = function.py_func
        elif callable(declared := getattr(getattr(function, "operator", None), "function", None)):
            function = declared  # an operator's call, whose own globals are its kernels
        elif isinstance(function, functools.partial):
            function = function.func
        elif isinstance(function, types.MethodType):
            function = function.__func__
        elif hasattr(function, "__wrapped__"):
            function = function.__wrapped__
        elif not hasattr(function, "__globals__") and not isinstance(function, type):
            function = type(function).__call__  # an instance: its class has the code
        else:
            break
    found = getattr(function, "__globals__", {})
    return dict(found)


def _type_of(hint: Any) -> Type | None:
    """The schema type of a resolved parameter hint; None if there is none."""
    members = _union_members(hint)
    if _NONE in members:
        rest = tuple(member for member in members if member is not _NONE)
        if not rest or len(rest) == len(members):
            return None
        inner = _type_of(rest[0]) if len(rest) == 1 else _scalar(rest)
        if inner is None or inner.optional:
            return None
        return Type(inner.base, inner.item_optional, inner.is_list, inner.size, optional=True)
    if len(members) > 1:
        return _scalar(members)
    base = _base_of(hint)
    if base is not None:
        return Type(base)
    if typing.get_origin(hint) in _LISTS:
        return _list_of(typing.get_args(hint))
    return None


def _scalar(members: tuple[Any, ...]) -> Type | None:
    return Type("Scalar") if frozenset(members) in _SCALARS else None


def _base_of(hint: Any) -> str | None:
    origin = typing.get_origin(hint)
    if origin is not None:
        # np.ndarray[...] (also as npt.NDArray[...]) and np.dtype[...]; nothing else is generic.
        return _SIMPLE[origin] if origin in (np.ndarray, np.dtype) else None
    try:
        found = _SIMPLE.get(hint)
    except TypeError:  # an unhashable hint, such as Annotated metadata
        return None
    if found is not None:
        return found
    if isinstance(hint, type) and hint.__module__.partition(".")[0] == "cupy":
        return "Array" if hint.__name__ == "ndarray" else None
    return opaque.opaque_name(hint)


def _list_of(arguments: tuple[Any, ...]) -> Type | None:
    if len(arguments) != 1:
        return None
    item = _type_of(arguments[0])
    if item is None or item.is_list:
        return None
    if not (item.base in _LISTABLE or item.is_opaque):
        return None
    if item.optional and not (item.is_array or item.is_opaque):
        return None
    return Type(item.base, item.optional, is_list=True)


def _spell(hint: Any) -> str:
    if isinstance(hint, type) and typing.get_origin(hint) is None:
        return (
            hint.__qualname__
            if hint.__module__ == "builtins"
            else f"{hint.__module__}.{hint.__qualname__}"
        )
    return str(hint).replace("typing.", "")
