"""Opaque types: classes whose instances travel through operators untouched.

A *reference* type has identity and state (a generator, a handle); a *value* type is a constant
that compares by equality (an enumeration). The registry holds the classes weakly: a class that
nobody uses any more disappears from it.
"""

from __future__ import annotations

import importlib
import sys
import threading
import weakref
from enum import Enum
from typing import Any, Literal

from gpuops.errors import SchemaError, UsageError, describe
from gpuops.locks import fork_safe

__all__ = ["is_opaque_type", "opaque_class", "opaque_name", "register_opaque_type"]

_REFUSED = (int, str, bool, float, complex, list, tuple, dict, set, frozenset, bytes, type(None))

_lock = fork_safe(threading.Lock())
_classes: weakref.WeakValueDictionary[str, type] = weakref.WeakValueDictionary()
_names: weakref.WeakKeyDictionary[type, str] = weakref.WeakKeyDictionary()
_kinds: weakref.WeakKeyDictionary[type, str] = weakref.WeakKeyDictionary()


def register_opaque_type(
    cls: type, name: str | None = None, *, typ: Literal["reference", "value"]
) -> None:
    """Let operators take instances of `cls`, in type hints and, by `name`, in schema strings.

    Args:
        cls: a class of yours. Subclasses are accepted wherever it is.
        name: the name in schema strings; by default ``module.qualname`` with ``<locals>`` cut out.
        typ: ``"reference"`` for objects with identity, ``"value"`` for constants that compare
            by ``==`` and have a hash.

    Raises:
        UsageError: `cls` is no class, is a built-in type that schemas know already, or `typ` is
            missing or unknown; a value type without ``__eq__`` and ``__hash__`` of its own.
        SchemaError: the name is malformed or taken by another class, or `cls` has one already.

    >>> class Workspace: ...
    >>> register_opaque_type(Workspace, "demo.Workspace", typ="reference")
    >>> is_opaque_type(Workspace), is_opaque_type("demo.Workspace"), is_opaque_type(Workspace())
    (True, True, False)
    """
    if not isinstance(cls, type):
        raise UsageError(f"register_opaque_type takes a class, got {describe(cls)}")
    if cls in _REFUSED:
        raise UsageError(
            f"{cls.__name__} cannot be an opaque type: schemas have it as a type already"
        )
    if typ not in ("reference", "value"):
        raise UsageError(f"typ= must be 'reference' or 'value', got {typ!r}")
    # `vars` would miss inherited methods, and a dataclass without a hash has the hash None.
    own_eq = getattr(cls, "__eq__", None) is not getattr(object, "__eq__", None)
    own_hash = getattr(cls, "__hash__", None) not in (None, getattr(object, "__hash__", None))
    # Members of an enumeration are equal if they are the same object, which is as good.
    if typ == "value" and not (own_eq and own_hash) and not issubclass(cls, Enum):
        raise UsageError(
            f"value type {cls.__qualname__} needs its own __eq__ and __hash__: "
            "a graph compares its constants"
        )
    _register(cls, _default_name(cls) if name is None else name, typ)


def _register(cls: type, name: str, typ: str) -> None:
    if not all(part.isidentifier() for part in name.split(".")):
        raise SchemaError(f"{name!r} is not a type name: expected identifiers joined by dots")
    with _lock:
        if cls in _names:
            raise SchemaError(f"{cls.__qualname__} is registered already, as {_names[cls]!r}")
        if name in _classes:
            raise SchemaError(f"the type name {name!r} is taken by {_classes[name]!r}")
        _classes[name] = cls
        _names[cls] = name
        _kinds[cls] = typ


def _default_name(cls: type) -> str:
    return f"{cls.__module__}.{cls.__qualname__}".replace("<locals>.", "")


def opaque_name(cls: Any) -> str | None:
    """The schema type name of a class, or None.

    A subclass of a registered class has its base's name. Enumerations and NumPy's
    `numpy.random.Generator` need no registration.
    """
    if not isinstance(cls, type):
        return None
    for base in cls.__mro__:
        name = _names.get(base)
        if name is not None:
            return name
    if issubclass(cls, Enum):
        return _register_built_in(cls, _default_name(cls), "value")
    # NumPy's generator, if numpy.random is loaded: only then can a hint name it.
    generator = getattr(sys.modules.get("numpy.random"), "Generator", None)
    if generator is not None and issubclass(cls, generator):
        return _register_built_in(generator, "Generator", "reference")
    return None


def _register_built_in(cls: type, name: str, typ: str) -> str:
    """Register a class that needs no registration by its user, under a name nobody has."""
    candidate, number = name, 1
    while True:
        known = _names.get(cls)
        if known is not None:
            return known
        try:
            _register(cls, candidate, typ)
        except SchemaError:
            # Two live classes can share a qualified name (a class statement run twice).
            number += 1
            candidate = f"{name}_{number}"


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
    return opaque_name(cls) is not None


def opaque_kind(name: str) -> str | None:
    """``"reference"`` or ``"value"`` for a registered type name, None for anything else."""
    cls = opaque_class(name)
    return None if cls is None else _kinds.get(cls)
