"""Frozen schemas: what an operator takes and returns, and how that is printed.

`gpuops.schema_parser.parse_schema` reads what ``str(schema)`` prints.
"""

from __future__ import annotations

import keyword
import re
from dataclasses import dataclass, replace
from typing import Any, Final

from gpuops.defaults import MISSING, check_default, render_default
from gpuops.errors import SchemaError, UsageError, describe
from gpuops.schema_types import BASE_TYPES, NUMBERS, ORDERS, Alias, Type

__all__ = [
    "BASE_TYPES",
    "MISSING",
    "NUMBERS",
    "ORDERS",
    "Alias",
    "Parameter",
    "Return",
    "Schema",
    "Type",
    "check_default",
    "parse_qualname",
]

# "_" stands for all namespaces where fallbacks are registered.
RESERVED_NAMESPACES: Final = ("prim", "_")


class _Anything:
    """Has what every object has, in this version of Python."""


# As attributes of `ops.<ns>` they would hide the operator.
RESERVED_NAMES: Final = frozenset(dir(_Anything)) | {"__copy__", "__deepcopy__", "__getattr__"}
# What `ops.<ns>.<name>` has as methods when there are several overloads.
RESERVED_OVERLOADS: Final = ("operator", "overloads")

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of an operator.

    Attributes:
        name: an identifier, no Python keyword.
        type: its `Type`.
        kwarg_only: whether it can only be passed by name.
        default: its default, or `MISSING`.
        alias: its alias annotation, if there is one; ``alias.is_write`` marks a mutated argument.
    """

    name: str
    type: Type
    kwarg_only: bool = False
    default: Any = MISSING
    alias: Alias | None = None

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Parameter):
            return NotImplemented
        # Tuples, which compare by identity first: NaN is the same default as NaN. From Python 3.13
        # on, the comparison that dataclasses generate would say that it is another.
        mine = (self.name, self.type, self.kwarg_only, self.default, self.alias)
        return mine == (other.name, other.type, other.kwarg_only, other.default, other.alias)

    def __hash__(self) -> int:
        # Without the default, which may be a list.
        return hash((self.name, self.type, self.kwarg_only, self.alias))

    @property
    def has_default(self) -> bool:
        """Whether the argument may be left out."""
        return self.default is not MISSING

    @property
    def is_mutated(self) -> bool:
        """Whether the operator writes to the argument."""
        return self.alias is not None and self.alias.is_write

    def __str__(self) -> str:
        text = f"{self.type.render(self.alias)} {self.name}"
        return f"{text}={render_default(self.default)}" if self.has_default else text


@dataclass(frozen=True, slots=True)
class Return:
    """One value that an operator returns, with an optional name and alias annotation."""

    type: Type
    name: str = ""
    alias: Alias | None = None

    def __str__(self) -> str:
        text = self.type.render(self.alias)
        return f"{text} {self.name}" if self.name else text


@dataclass(frozen=True, slots=True)
class Schema:
    """What an operator takes and returns.

    Attributes:
        name: ``"namespace::name"``, or empty for a nameless schema.
        overload: the overload name; empty for the default overload.
        parameters: positional ones first, keyword-only ones after them.
        returns: what comes back, in order; empty for an operator that returns None.
        returns_tuple: whether a tuple comes back. It matters for one value: ``-> Array`` returns
            the array, ``-> (Array)`` a tuple of one.

    Raises:
        SchemaError: a bad or repeated name, a default of the wrong type or in the wrong place,
            an alias annotation on something that is no array.

    >>> from gpuops.schema_parser import parse_schema
    >>> schema = parse_schema("my::scale(Array x, *, float s=2.0) -> Array")
    >>> [parameter.name for parameter in schema.parameters]
    ['x', 's']
    >>> print(schema)
    my::scale(Array x, *, float s=2.0) -> Array
    """

    name: str
    overload: str
    parameters: tuple[Parameter, ...]
    returns: tuple[Return, ...]
    returns_tuple: bool = False

    def __post_init__(self) -> None:
        checked: list[Parameter] = []
        for parameter in self.parameters:
            try:
                checked.append(_checked(parameter, checked))
            except SchemaError as error:
                error.parameter = len(checked)
                raise
        for index, output in enumerate(self.returns):
            _check_alias(output.alias, output.type, f"return {index}")
        object.__setattr__(self, "parameters", tuple(checked))
        # One value is a tuple only where the declaration says so; several always are.
        object.__setattr__(
            self,
            "returns_tuple",
            len(self.returns) > 1 or (self.returns_tuple and bool(self.returns)),
        )

    def __reduce__(self) -> tuple[Any, ...]:
        # Made anew, so that its defaults are converted again: only the one NaN equals itself.
        values = (self.name, self.overload, self.parameters, self.returns, self.returns_tuple)
        return Schema, values

    @property
    def qualname(self) -> str:
        """``"namespace::name"`` or ``"namespace::name.overload"``."""
        return f"{self.name}.{self.overload}" if self.overload else self.name

    @property
    def positional(self) -> tuple[Parameter, ...]:
        """The parameters that may be passed by position."""
        return tuple(p for p in self.parameters if not p.kwarg_only)

    @property
    def keyword_only(self) -> tuple[Parameter, ...]:
        """The parameters that are passed by name only."""
        return tuple(p for p in self.parameters if p.kwarg_only)

    @property
    def array_parameters(self) -> tuple[Parameter, ...]:
        """The parameters that hold arrays, lists of them included."""
        return tuple(p for p in self.parameters if p.type.is_array)

    @property
    def mutated(self) -> tuple[str, ...]:
        """The names of the parameters that the operator writes to."""
        return tuple(p.name for p in self.parameters if p.is_mutated)

    @property
    def is_functional(self) -> bool:
        """Whether it writes to nothing, aliases nothing, and returns something.

        An input that is merely named by an alias set which no output is in stays functional.
        """
        if not self.returns or self.mutated:
            return False
        inputs = {name for p in self.parameters if p.alias for name in p.alias.sets}
        outputs = {name for r in self.returns if r.alias for name in r.alias.sets}
        return not (inputs & outputs)

    def with_name(self, name: str, overload: str = "") -> Schema:
        """The same schema under another name."""
        return replace(self, name=name, overload=overload)

    def __str__(self) -> str:
        parts: list[str] = []
        star = False
        for parameter in self.parameters:
            if parameter.kwarg_only and not star:
                parts.append("*")
                star = True
            parts.append(str(parameter))
        returns = ", ".join(map(str, self.returns))
        if len(self.returns) != 1 or self.returns_tuple:
            returns = f"({returns})"
        return f"{self.qualname}({', '.join(parts)}) -> {returns}"


def parse_qualname(qualname: object) -> tuple[str, str, str]:
    """Split ``"namespace::name"`` or ``"namespace::name.overload"`` into its three parts.

    Raises:
        UsageError: `qualname` is no string.
        SchemaError: it is malformed, or the namespace is reserved.

    >>> parse_qualname("my::scale.out")
    ('my', 'scale', 'out')
    """
    form = 'expected "namespace::name" or "namespace::name.overload", each part an identifier'
    if not isinstance(qualname, str):
        got = f"{type(qualname).__name__} {qualname!r}"
        raise UsageError(f"an operator's name must be a string: {form}; got {got}")
    namespace, separator, rest = qualname.partition("::")
    name, dot, overload = rest.partition(".")
    parts = [namespace, name, overload] if dot else [namespace, name]
    if not separator or not all(_IDENTIFIER.match(part) for part in parts):
        raise SchemaError(f"{qualname!r} is not a name for an operator: {form}")
    check_namespace(namespace)
    if name in RESERVED_NAMES:
        raise SchemaError(f"{qualname!r}: {name!r} is a reserved operator name: choose another")
    if overload in RESERVED_OVERLOADS or overload.startswith("__"):
        raise SchemaError(f"{qualname!r}: {overload!r} is a reserved overload name: choose another")
    return namespace, name, "" if overload == "default" else overload


def check_namespace(namespace: object) -> str:
    """Return `namespace` if operators may be defined in it.

    Raises:
        UsageError: it is no string.
        SchemaError: it is no identifier, or it is reserved.
    """
    if not isinstance(namespace, str):
        raise UsageError(f"a namespace must be a string, got {describe(namespace)}")
    if not _IDENTIFIER.match(namespace):
        raise SchemaError(f"{namespace!r} is not a namespace: expected an identifier")
    if namespace in RESERVED_NAMESPACES or namespace.startswith("__"):
        raise SchemaError(f"{namespace!r} is a reserved namespace: choose another")
    return namespace


def _checked(parameter: Parameter, before: list[Parameter]) -> Parameter:
    """A parameter with its default converted, if it may follow those before it."""
    name = parameter.name
    _check_parameter_name(name)
    if any(name == earlier.name for earlier in before):
        raise SchemaError(f"parameter {name!r} appears twice in the schema")
    _check_alias(parameter.alias, parameter.type, f"parameter {name!r}")
    if not parameter.kwarg_only:
        for earlier in before:
            if earlier.kwarg_only:
                raise SchemaError(
                    f"positional parameter {name!r} follows keyword-only parameter {earlier.name!r}"
                )
            if earlier.has_default and not parameter.has_default:
                raise SchemaError(
                    f"parameter {name!r} without a default follows {earlier.name!r}, which has one"
                )
    if not parameter.has_default:
        return parameter
    return replace(parameter, default=check_default(parameter.type, parameter.default, name))


def _check_parameter_name(name: str) -> None:
    if not _IDENTIFIER.match(name):
        raise SchemaError(f"{name!r} is not a parameter name: expected an identifier")
    # Python lets nobody bind `__debug__` either.
    if keyword.iskeyword(name) or name == "__debug__":
        raise SchemaError(
            f"{name!r} cannot be a parameter name: it is a keyword of Python, "
            "so nobody could pass it by name"
        )


def _check_alias(alias: Alias | None, type_: Type, where: str) -> None:
    if alias is not None and not type_.is_array:
        raise SchemaError(f"{where} is annotated {alias}, but only arrays can alias, not {type_}")
