"""Frozen schemas: what an operator takes and returns, and how that is printed.

`gpuops.schema_parser.parse_schema` reads what ``str(schema)`` prints.
"""

from __future__ import annotations

import json
import keyword
import re
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any, Final, final

import numpy as np

from gpuops import opaque
from gpuops.devices import Device
from gpuops.errors import DeviceError, SchemaError, UsageError, describe

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

BASE_TYPES: Final = (
    "Array",
    "SymInt",
    "int",
    "float",
    "bool",
    "complex",
    "str",
    "Scalar",
    "dtype",
    "device",
    "order",
)
"""The types that schema strings know besides the registered opaque classes.

``int`` and ``SymInt`` mean the same: a size may be symbolic in both. ``order`` is a memory order
as NumPy spells it: one of `ORDERS`.
"""

ORDERS: Final = ("C", "F", "A", "K")

NUMBERS: Final = frozenset({"int", "SymInt", "float", "bool", "complex", "Scalar"})
"""The base types that a NumPy scalar or a 0-d array is converted for."""

# "_" stands for all namespaces where fallbacks are registered.
RESERVED_NAMESPACES: Final = ("prim", "_")
# What `ops.<ns>.<name>` has as methods when there are several overloads.
RESERVED_OVERLOADS: Final = ("operator", "overloads")

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_SURROGATE = re.compile("[\ud800-\udfff]")


@final
class _Missing:
    """The type of `MISSING`; a class of its own so that its repr is readable."""

    def __repr__(self) -> str:
        return "MISSING"

    def __copy__(self) -> _Missing:
        return self

    def __deepcopy__(self, memo: object) -> _Missing:
        return self

    def __reduce__(self) -> str:
        return "MISSING"


MISSING: Final = _Missing()
"""The default of a parameter that has none (None is a default like any other)."""


@dataclass(frozen=True, slots=True)
class Type:
    """A schema type: a base type, optionally in a list, each level optionally None.

    Attributes:
        base: one of `BASE_TYPES`, or the name of a registered opaque class.
        item_optional: the list's items may be None (``Array?[]``).
        is_list: a list of `base` (``Array[]``).
        size: the exact length of the list (``int[2]``), or None for any.
        optional: None is allowed in place of the whole value (``Array?``, ``Array[]?``).

    >>> str(Type("Array", item_optional=True, is_list=True, optional=True))
    'Array?[]?'
    """

    base: str
    item_optional: bool = False
    is_list: bool = False
    size: int | None = None
    optional: bool = False

    @property
    def is_array(self) -> bool:
        """Whether values of the type hold arrays."""
        return self.base == "Array"

    @property
    def is_plain_array(self) -> bool:
        """Whether the type is exactly ``Array``."""
        return self.base == "Array" and not (self.is_list or self.optional)

    @property
    def is_int(self) -> bool:
        """Whether the base is ``int`` or ``SymInt``."""
        return self.base in ("int", "SymInt")

    @property
    def is_number(self) -> bool:
        """Whether the base is a number; one stands for a list of known length (``int[2]``)."""
        return self.base in NUMBERS

    @property
    def is_opaque(self) -> bool:
        """Whether the base is a registered opaque class."""
        return self.base not in BASE_TYPES

    @property
    def item(self) -> Type:
        """The type of one item of a list type."""
        return Type(self.base, optional=self.item_optional)

    def render(self, alias: Alias | None = None) -> str:
        """The type as schema strings spell it, with the alias annotation behind the base."""
        text = self.base + ("" if alias is None else str(alias))
        if self.item_optional:
            text += "?"
        if self.is_list:
            text += "[]" if self.size is None else f"[{self.size}]"
        if self.optional:
            text += "?"
        return text

    def __str__(self) -> str:
        return self.render()


@dataclass(frozen=True, slots=True)
class Alias:
    """An alias annotation: the sets an array belongs to, and whether it is written.

    >>> str(Alias(("a",), is_write=True))
    '(a!)'
    """

    sets: tuple[str, ...]
    is_write: bool = False

    def __str__(self) -> str:
        return f"({'|'.join(self.sets)}{'!' if self.is_write else ''})"


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
        seen: set[str] = set()
        default_from: str | None = None
        keyword_only_from: str | None = None
        checked = []
        for parameter in self.parameters:
            name = parameter.name
            _check_parameter_name(name)
            if name in seen:
                raise SchemaError(f"parameter {name!r} appears twice in the schema")
            seen.add(name)
            _check_alias(parameter.alias, parameter.type, f"parameter {name!r}")
            if parameter.kwarg_only:
                keyword_only_from = keyword_only_from or name
            elif keyword_only_from is not None:
                raise SchemaError(
                    f"positional parameter {name!r} follows keyword-only parameter "
                    f"{keyword_only_from!r}"
                )
            elif parameter.has_default:
                default_from = default_from or name
            elif default_from is not None:
                raise SchemaError(
                    f"parameter {name!r} without a default follows {default_from!r}, which has one"
                )
            if parameter.has_default:
                default = check_default(parameter.type, parameter.default, name)
                parameter = replace(parameter, default=default)
            checked.append(parameter)
        for index, output in enumerate(self.returns):
            _check_alias(output.alias, output.type, f"return {index}")
        object.__setattr__(self, "parameters", tuple(checked))
        # One value is a tuple only where the declaration says so; several always are.
        object.__setattr__(
            self,
            "returns_tuple",
            len(self.returns) > 1 or (self.returns_tuple and bool(self.returns)),
        )

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


# -- defaults --------------------------------------------------------------------------------------


def check_default(type_: Type, value: Any, name: str) -> Any:
    """The default of parameter `name`, converted to what a kernel would receive.

    NumPy scalars become Python numbers, an int for a float becomes a float, a list is copied.

    Raises:
        SchemaError: the default does not fit the declared type.

    >>> check_default(Type("float"), 1, "eps")
    1.0
    >>> check_default(Type("int"), "x", "n")
    Traceback (most recent call last):
    ...
    gpuops.errors.SchemaError: parameter 'n' has default str 'x', which is no int
    """
    if value is None:
        if type_.optional:
            return None
        raise SchemaError(
            f"parameter {name!r} has default None, which is no {type_}: declare it optional"
        )
    if type_.is_list:
        if isinstance(value, (list, tuple)):
            if type_.size is not None and len(value) != type_.size:
                raise SchemaError(
                    f"parameter {name!r} has a default of length {len(value)}, "
                    f"but {type_} has length {type_.size}"
                )
            return [_check_item(type_.item, item, name) for item in value]
        if type_.size is not None and type_.is_number:
            return [_check_item(type_.item, value, name)] * type_.size
    return _check_item(type_, value, name)


def _check_item(type_: Type, value: Any, name: str) -> Any:
    if value is None and type_.optional:
        return None
    if isinstance(value, np.generic):
        # What `numpy.longdouble` gives for .item() is no Python number.
        value = float(value) if isinstance(value, np.longdouble) else value.item()
    try:
        converted = MISSING if type_.is_list else _convert_default(type_.base, value)
    except OverflowError:
        raise SchemaError(
            f"parameter {name!r} has a default that is too large for a {type_.base}"
        ) from None
    if converted is MISSING:
        raise SchemaError(f"parameter {name!r} has default {describe(value)}, which is no {type_}")
    if not _has_spelling(converted):
        raise SchemaError(
            f"parameter {name!r} has default {value!r}, which a schema string cannot spell"
        )
    return converted


def _convert_default(base: str, value: Any) -> Any:
    cls = type(value)
    if base in ("int", "SymInt"):
        return int(value) if cls in (int, bool) else MISSING
    if base == "float":
        return _canonical_nan(float(value)) if cls in (float, int, bool) else MISSING
    if base == "complex":
        return _canonical_nan(complex(value)) if cls in (complex, float, int, bool) else MISSING
    if base == "bool":
        return value if cls is bool else MISSING
    if base == "Scalar":
        return _canonical_nan(value) if cls in (int, bool, float, complex) else MISSING
    if base == "str":
        return str(value) if isinstance(value, str) else MISSING
    if base == "order":
        return value if value in ORDERS else MISSING
    if base == "dtype":
        if isinstance(value, np.dtype):
            return value
        is_scalar_type = isinstance(value, type) and issubclass(value, np.generic)
        return np.dtype(value) if is_scalar_type else MISSING
    if base == "device":
        return _device_default(value)
    cls_of_base = opaque.opaque_class(base)
    return value if cls_of_base is not None and isinstance(value, cls_of_base) else MISSING


def _device_default(value: Any) -> Any:
    if isinstance(value, (Device, str)):
        try:
            return Device(value)
        except DeviceError as error:
            raise SchemaError(str(error)) from error
    return MISSING


_nans: dict[str, Any] = {}


def _canonical_nan(value: Any) -> Any:
    # One object for each NaN: tuples compare by identity first, so equal schemas stay equal.
    return value if value == value else _nans.setdefault(repr(value), value)


def _has_spelling(value: Any) -> bool:
    """Whether a default that is printed can be read again.

    Not so for combined flags, which are no member of their enumeration, and for dtypes with fields
    or parameters. Objects of opaque classes are printed for people only.
    """
    if isinstance(value, Enum):
        return value.name in type(value).__members__
    return not isinstance(value, np.dtype) or _dtype_spelling(value) is not None


def _dtype_spelling(dtype: np.dtype[Any]) -> str | None:
    """What `numpy.dtype` reads as `dtype`: a plain word if there is one; None if there is none."""
    for text in (str(dtype), dtype.str):
        try:
            if np.dtype(text) == dtype:
                return text
        except (TypeError, ValueError, SyntaxError):
            continue
    return None


def _quoted(text: str) -> str:
    # JSON's escapes are among those that the parser reads. Half a surrogate pair is written as an
    # escape, since no stream could encode it.
    return _SURROGATE.sub(lambda m: f"\\u{ord(m[0]):04x}", json.dumps(text, ensure_ascii=False))


def render_default(value: Any) -> str:
    """A default as schema strings spell it.

    >>> [render_default(v) for v in (None, 3.14, "a\\"b", np.dtype("float32"), Device("cpu:0"))]
    ['None', '3.14', '"a\\\\"b"', 'float32', '"cpu:0"']
    """
    if isinstance(value, Enum):
        return value.name
    if value is None or isinstance(value, (bool, int, float, complex)):
        return repr(value)
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(render_default(item) for item in value)}]"
    if isinstance(value, np.dtype):
        text = _dtype_spelling(value) or str(value)
        return text if _IDENTIFIER.match(text) else _quoted(text)
    if isinstance(value, (Device, str)):
        return _quoted(str(value))
    return f"<{type(value).__name__}>"
