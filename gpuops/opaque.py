"""Opaque types: classes whose instances travel through operators untouched.

A *reference* type has identity and state (a generator, a handle): graphs take its objects as
inputs. A *value* type is a constant that compares by equality (an enumeration, a configuration):
graphs have its objects written into them. The registry holds the classes weakly: a class that
nobody uses any more disappears from it.
"""

from __future__ import annotations

import importlib
import re
import sys
import threading
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from types import MappingProxyType
from typing import Any, Final, Literal

import numpy as np

from gpuops.devices import Device, array_kind
from gpuops.errors import Location, OpaqueTypeError, SchemaError, caller_location, describe
from gpuops.locks import fork_safe
from gpuops.snapshots import snapshot_of

__all__ = [
    "MemberType",
    "OpaqueBase",
    "OpaqueInfo",
    "guard_values",
    "is_opaque_type",
    "opaque_class",
    "opaque_info",
    "opaque_kind",
    "opaque_name",
    "register_built_in",
    "register_opaque_type",
]

# What graphs look inside of: their items are arguments of their own.
_CONTAINERS = (list, tuple, dict, set, frozenset)
_ARRAYS = (np.ndarray, np.generic, np.dtype, Device)
# The words of the schema language; `gpuops.schema` is a user of this module.
_RESERVED = frozenset(
    {"Array", "Tensor", "SymInt", "Scalar", "int", "float", "bool", "complex", "str", "dtype"}
    | {"device", "order", "ScalarType", "Device", "Layout", "MemoryFormat", "None", "True", "False"}
    | {"Generator", "OpaqueObject"}
)
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*\Z")
_ATTRIBUTE: Final = "__gpuops_opaque__"


class OpaqueBase:
    """The base class of reference types.

    It makes sure that objects can be referred to weakly, which graphs do with their inputs, also
    where a class has ``__slots__``.

    >>> class Handle(OpaqueBase):
    ...     pass
    >>> register_opaque_type(Handle, "demo.Handle", typ="reference")
    """

    __slots__ = ("__weakref__",)


class MemberType(Enum):
    """What a fake kernel or a traced function may do with a member of an opaque object."""

    USE_REAL = "use_real"
    """It gets the real object's value, which becomes a constant of the graph."""
    INLINED = "inlined"
    """A method or property runs on the fake, and so may use declared members only. An attribute
    that is itself an opaque object is seen as a fake."""


@dataclass(frozen=True, slots=True, weakref_slot=True)
class OpaqueInfo:
    """What is registered for an opaque class.

    Attributes:
        name: the type's name in schema strings.
        kind: ``"reference"`` or ``"value"``.
        guard_fn: gives the values that a graph of an object depends on; None for none.
        members: what fakes give away, by name.
        location: where the class was registered.
    """

    name: str
    kind: Literal["reference", "value"]
    guard_fn: Callable[[Any], Any] | None = None
    members: Mapping[str, MemberType] = field(default_factory=dict)
    location: Location | None = None


_lock = fork_safe(threading.Lock())
_classes: weakref.WeakValueDictionary[str, type] = weakref.WeakValueDictionary()
# Classes written in C, which live for ever. Any other class has its entry as an attribute, so that
# a `guard_fn` that refers to its class does not keep it alive.
_immutable: dict[type, OpaqueInfo] = {}


def register_opaque_type(
    cls: type,
    name: str | None = None,
    *,
    typ: Literal["reference", "value"],
    guard_fn: Callable[[Any], Any] | None = None,
    members: Mapping[str, MemberType | str] | None = None,
) -> None:
    """Let operators take instances of `cls`, in type hints and, by `name`, in schema strings.

    Args:
        cls: a class of yours; a reference type derives from `OpaqueBase`. Subclasses are accepted
            wherever it is.
        name: the name in schema strings; by default ``module.qualname`` with ``<locals>`` cut out.
        typ: ``"reference"`` for objects with identity and state, which are inputs of graphs;
            ``"value"`` for constants that compare by ``==``, which are written into graphs.
        guard_fn: of a reference type: takes an object and returns a list of the values that a
            graph made with it holds for. A value that is an opaque object of such a type counts
            with its own values.
        members: name of an attribute, property or method -> `MemberType` (or its value as a
            string): all that a fake of an object gives away. Without it, fakes give away nothing.

    Raises:
        OpaqueTypeError: `cls` is no class, is one that schemas or graphs know already (a built-in
            type, a container, an array), or is registered already; `typ` is unknown; a reference
            type that does not derive from `OpaqueBase`; a value type without ``__eq__`` and
            ``__hash__`` of its own, without a repr that can be evaluated (``__fx_repr__``, or else
            ``__repr__``), or with a `guard_fn`; `guard_fn` or `members` are malformed.
        SchemaError: the name is malformed or taken by another class.

    >>> class Cache(OpaqueBase):
    ...     capacity = 8
    >>> register_opaque_type(Cache, "demo.Cache", typ="reference", members={"capacity": "use_real"})
    >>> is_opaque_type(Cache), is_opaque_type("demo.Cache"), is_opaque_type(Cache())
    (True, True, False)
    """
    _check_class(cls)
    if typ not in ("reference", "value"):
        raise OpaqueTypeError(f"typ= must be 'reference' or 'value', got {typ!r}")
    if typ == "value":
        _check_value_type(cls, guard_fn)
    elif not issubclass(cls, OpaqueBase):
        raise OpaqueTypeError(
            f"reference type {cls.__qualname__} must derive from gpuops.OpaqueBase, which lets "
            "graphs refer to its objects weakly"
        )
    if guard_fn is not None and not callable(guard_fn):
        raise OpaqueTypeError(
            f"guard_fn of {cls.__qualname__} must be a callable, got {describe(guard_fn)}"
        )
    checked = MappingProxyType(_checked_members(cls, members))
    name = _default_name(cls) if name is None else name
    _check_name(name)
    if name in _RESERVED:
        raise SchemaError(f"{name!r} cannot name an opaque type: it is a word of schema strings")
    _register(cls, OpaqueInfo(name, typ, guard_fn, checked, caller_location()))


def _check_class(cls: Any) -> None:
    if cls is None or not isinstance(cls, type):
        raise OpaqueTypeError(f"register_opaque_type takes a class, got {describe(cls)}")
    known = None
    if cls.__module__ == "builtins" or issubclass(cls, (int, float, complex, str, bytes)):
        known = "schemas have it as a type already"
    elif issubclass(cls, _CONTAINERS):
        known = "it is a container, and graphs look inside of it"
    elif _is_pytree(cls):
        known = "optree has it as a pytree node, and gradients and batches look inside of it"
    elif issubclass(cls, _ARRAYS) or array_kind(cls) is not None or _is_array_type(cls):
        known = "operators know it already, as an array, a dtype or a device"
    if known is not None and not issubclass(cls, Enum):
        raise OpaqueTypeError(
            f"{cls.__qualname__} cannot be an opaque type: {known}. Wrap it in a class of your own"
        )


def _is_array_type(cls: type) -> bool:
    # The type hint, fakes, symbolic sizes and the wrappers of transforms.
    return cls.__module__.partition(".")[0] == "gpuops" and (
        hasattr(cls, "__array_namespace__") or cls.__name__ in ("Array", "SymInt", "SymBool")
    )


def _is_pytree(cls: type) -> bool:
    """Whether a class is a container for who differentiates and batches."""
    optree = sys.modules.get("optree")
    return optree is not None and optree.register_pytree_node.get(cls) is not None


def _check_value_type(cls: type, guard_fn: Any) -> None:
    name = cls.__qualname__
    if guard_fn is not None:
        raise OpaqueTypeError(
            f"value type {name} needs no guard_fn: a graph compares its objects with =="
        )
    # Members of an enumeration are equal if they are the same object, which is as good.
    if issubclass(cls, Enum):
        return
    # `vars` would miss inherited methods, and a class with __eq__ alone has the hash None.
    own_eq = getattr(cls, "__eq__", None) is not getattr(object, "__eq__", None)
    own_hash = getattr(cls, "__hash__", None) not in (None, getattr(object, "__hash__", None))
    if not (own_eq and own_hash):
        missing = " and ".join(
            text for text, own in (("__eq__", own_eq), ("__hash__", own_hash)) if not own
        )
        raise OpaqueTypeError(
            f"value type {name} needs its own __eq__ and __hash__ and lacks {missing}: "
            "a graph compares its constants"
        )
    if not hasattr(cls, "__fx_repr__") and cls.__repr__ is object.__repr__:
        raise OpaqueTypeError(
            f"value type {name} needs a __fx_repr__ method that returns (text, names): a Python "
            "expression for the object and what its names stand for, which graphs are written "
            "with; or a __repr__ that can be evaluated where only the class is known"
        )


def _checked_members(cls: type, members: Any) -> dict[str, MemberType]:
    if members is None:
        return {}
    if not isinstance(members, Mapping):
        raise OpaqueTypeError(
            f"members of {cls.__qualname__} must map names to MemberType, got {describe(members)}"
        )
    checked = {}
    for name, value in members.items():
        if not isinstance(name, str) or not name.isidentifier():
            raise OpaqueTypeError(
                f"members of {cls.__qualname__}: {name!r} is not the name of an attribute"
            )
        try:
            checked[name] = MemberType(value)
        except ValueError:
            raise OpaqueTypeError(
                f"members of {cls.__qualname__}: {name!r} must be MemberType.USE_REAL or "
                f"MemberType.INLINED, got {value!r}"
            ) from None
    return checked


def _check_name(name: Any) -> None:
    if not isinstance(name, str) or not _NAME.match(name):
        raise SchemaError(f"{name!r} is not a type name: expected identifiers joined by dots")


def _register(cls: type, info: OpaqueInfo) -> None:
    with _lock:
        own = _own_info(cls)
        if own is not None:
            raise OpaqueTypeError(
                f"{cls.__qualname__} is registered already, as {own.name!r} at {own.location}"
            )
        known = _classes.get(info.name)
        if known is not None and not _is_reload(cls, info, known):
            raise SchemaError(
                f"the type name {info.name!r} is taken by {known!r}, registered at "
                f"{_info_of(known).location}"
            )
        # Every enumeration would inherit what `Enum` has, and is a type of its own.
        if cls.__module__ == "enum" or not _set_own(cls, info):
            _immutable[cls] = info
        _classes[info.name] = cls


def _set_own(cls: type, info: OpaqueInfo) -> bool:
    """Put what is registered on the class itself; whether it can have attributes."""
    try:
        type.__setattr__(cls, _ATTRIBUTE, info)
    except TypeError:
        return False
    return True


def _is_reload(cls: type, info: OpaqueInfo, known: type) -> bool:
    """Whether a class comes from the same statement as the one that has its name, run again."""
    earlier = _info_of(known).location
    return (
        cls.__module__ == known.__module__
        and cls.__qualname__ == known.__qualname__
        and info.location is not None
        and earlier is not None
        and info.location.is_reload_of(earlier)
    )


def _own_info(cls: type) -> OpaqueInfo | None:
    found: OpaqueInfo | None = vars(cls).get(_ATTRIBUTE) or _immutable.get(cls)
    return found


def _info_of(cls: type) -> OpaqueInfo:
    found = _own_info(cls)
    assert found is not None, cls
    return found


def _default_name(cls: type) -> str:
    return f"{cls.__module__}.{cls.__qualname__}".replace("<locals>.", "")


# -- looking up ------------------------------------------------------------------------------------


def opaque_info(cls: Any) -> OpaqueInfo | None:
    """What is registered for a class or the nearest of its bases; None for any other object.

    Enumerations and `numpy.random.Generator` need no registration.
    """
    if not isinstance(cls, type):
        return None
    found: OpaqueInfo | None = getattr(cls, _ATTRIBUTE, None)
    if found is not None:
        return found
    if issubclass(cls, Enum):
        return register_built_in(cls, _default_name(cls), "value")
    if _immutable:
        for base in cls.__mro__:
            found = _immutable.get(base)
            if found is not None:
                return found
    # NumPy's generator, if numpy.random is loaded: only then can a hint name it.
    generator = getattr(sys.modules.get("numpy.random"), "Generator", None)
    if generator is not None and issubclass(cls, generator):
        return register_built_in(generator, "Generator", "reference")
    return None


def register_built_in(cls: type, name: str, kind: Literal["reference", "value"]) -> OpaqueInfo:
    """Register a class that needs no registration by its user, under a name nobody has."""
    candidate, number = name, 1
    while True:
        known = _own_info(cls)
        if known is not None:
            return known
        try:
            _register(cls, OpaqueInfo(candidate, kind))
        except SchemaError:
            # Two live classes can share a qualified name (a class statement run twice).
            number += 1
            candidate = f"{name}_{number}"


def opaque_name(cls: Any) -> str | None:
    """The schema type name of a class, or None; a subclass has its base's name.

    >>> from enum import Enum
    >>> class Mode(Enum):
    ...     FAST = 1
    >>> opaque_name(Mode), opaque_name(int)
    ('gpuops.opaque.Mode', None)
    """
    info = opaque_info(cls)
    return None if info is None else info.name


def opaque_class(name: str) -> type | None:
    """The class registered under a schema type name, or None."""
    found = _classes.get(name)
    if found is None and name == "Generator":
        # Only here: NumPy itself does not load its random numbers before they are asked for.
        opaque_name(importlib.import_module("numpy.random").Generator)
        found = _classes.get(name)
    return found


def is_opaque_type(cls: Any) -> bool:
    """Whether `cls` is a registered class (or a subclass of one) or the name of one."""
    if isinstance(cls, str):
        return opaque_class(cls) is not None
    return opaque_info(cls) is not None


def opaque_kind(name: str) -> str | None:
    """``"reference"`` or ``"value"`` for a registered type name, None for anything else."""
    info = opaque_info(opaque_class(name))
    return None if info is None else info.kind


def guard_values(value: Any) -> tuple[Any, ...]:
    """The values that a graph made with an opaque object holds for.

    Those of opaque objects among them, in containers too, are put in their place; an opaque
    object without a ``guard_fn`` counts as itself.

    Raises:
        OpaqueTypeError: the object's ``guard_fn`` did not return a list or tuple.
    """
    return tuple(_guards(value, ()))


def _guards(value: Any, around: tuple[int, ...]) -> list[Any]:
    info = opaque_info(type(value))
    if info is None or info.guard_fn is None:
        return []
    if id(value) in around:
        return [...]  # it is among its own values
    found = info.guard_fn(value)
    if not isinstance(found, (list, tuple)):
        raise OpaqueTypeError(
            f"the guard_fn of {info.name} must return a list of values, got {describe(found)}"
        )
    inside = (*around, id(value))
    return [_guard(item, inside) for item in found]


def _guard(item: Any, around: tuple[int, ...]) -> Any:
    if isinstance(item, (list, tuple)):
        return tuple(_guard(part, around) for part in item)
    if isinstance(item, dict):
        return tuple((key, _guard(part, around)) for key, part in item.items())
    info = opaque_info(type(item))
    if info is None or info.kind == "value":
        # A copy of what may change: it has to be compared with what is there later.
        return snapshot_of(item)
    if info.guard_fn is None:
        return _Identity(item)
    # Another object will do if it has the same values: a graph finds it where this one was.
    return (info.name, *_guards(item, around))


class _Identity:
    """Stands for one object, which it does not keep alive; equal to what stands for the same."""

    __slots__ = ("_find", "_hash")

    def __init__(self, value: Any) -> None:
        try:
            self._find: Callable[[], Any] = weakref.ref(value)
        except TypeError:  # NumPy's generators
            self._find = lambda: value
        self._hash = id(value)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, _Identity):
            return False
        found = self._find()
        return found is not None and found is other._find()

    def __hash__(self) -> int:
        return self._hash
