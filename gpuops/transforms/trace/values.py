"""Objects of opaque value types as Python expressions, and as data of a saved graph."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable
from enum import Enum
from typing import Any

from gpuops.errors import GraphError
from gpuops.opaque import opaque_class, opaque_info, opaque_kind

__all__ = ["expression", "from_fields", "import_line", "is_value", "to_fields"]


def is_value(value: Any) -> bool:
    """Whether `value` is an object of an opaque value type."""
    info = opaque_info(type(value))
    return info is not None and info.kind == "value"


def expression(value: Any) -> tuple[str, dict[str, Any]]:
    """A Python expression that gives an equal object, and what the names in it stand for.

    It is what ``__fx_repr__`` returns; without one, the repr, in which the class is known.

    Raises:
        GraphError: evaluating the expression does not give an equal object.

    >>> from enum import Enum
    >>> class Mode(Enum):
    ...     FAST = 1
    >>> expression(Mode.FAST)
    ('Mode.FAST', {'Mode': <enum 'Mode'>})
    """
    cls = type(value)
    if isinstance(value, Enum):
        member = value.name in cls.__members__
        text = f"{cls.__name__}.{value.name}" if member else f"{cls.__name__}({value.value!r})"
        return text, {cls.__name__: cls}
    found = value.__fx_repr__() if hasattr(cls, "__fx_repr__") else _from_repr(value)
    if not (isinstance(found, tuple) and len(found) == 2 and isinstance(found[0], str)):
        raise GraphError(
            f"{cls.__qualname__}.__fx_repr__ must return (text, names), it returned {found!r}"
        )
    text, names = found[0], dict(found[1])
    try:
        again = eval(text, names.copy())  # the class's own words for its object
    except Exception as error:
        raise GraphError(
            f"a {cls.__qualname__} cannot be a constant of a graph: its expression {text!r} "
            f"does not evaluate where {', '.join(names)} are known "
            f"({type(error).__name__}: {error})"
        ) from None
    if type(again) is not cls or again != value:
        raise GraphError(
            f"a {cls.__qualname__} cannot be a constant of a graph: its expression {text!r} "
            "evaluates to another value"
        )
    return text, names


def _from_repr(value: Any) -> tuple[str, dict[str, Any]]:
    cls, text = type(value), repr(value)
    # Dataclasses write the qualified name, which is no expression for a class inside a function.
    if text.startswith(f"{cls.__qualname__}("):
        text = cls.__name__ + text[len(cls.__qualname__) :]
    return text, {cls.__name__: cls}


def import_line(name: str, value: Any) -> str | None:
    """The statement that gives a name its meaning in any module; None if there is none."""
    module = getattr(value, "__module__", None)
    if module is not None and getattr(sys.modules.get(module), name, None) is value:
        return f"from {module} import {name}"
    return None


def to_fields(value: Any, encode: Callable[[Any], Any]) -> Any:
    """A value as JSON: members of enumerations by name, dataclasses by their fields.

    Raises:
        GraphError: it is neither.
    """
    info = opaque_info(type(value))
    assert info is not None
    if isinstance(value, Enum) and value.name in type(value).__members__:
        return {"member": [info.name, value.name]}
    # A subclass has its base's name, so that reading would make an object of another class.
    if dataclasses.is_dataclass(value) and opaque_class(info.name) is type(value):
        fields = dataclasses.fields(value)
        if all(field.init for field in fields):
            pairs = {field.name: encode(getattr(value, field.name)) for field in fields}
            return {"fields": [info.name, pairs]}
    raise GraphError(
        f"a value of {info.name} in the graph cannot be saved as text: it is neither a member of "
        "an enumeration nor of a dataclass"
    )


def from_fields(kind: str, content: Any, decode: Callable[[Any], Any]) -> Any:
    """The value that `to_fields` wrote; only a class that is registered here is called.

    Raises:
        GraphError: its class is not registered, or has no such member or fields.
    """
    name, what = content
    cls: Any = opaque_class(name)
    if cls is None or opaque_kind(name) != "value":
        raise GraphError(f"the graph has a value of {name!r}, which is no value type here")
    try:
        if kind == "member":
            return cls[what]
        return cls(**{field: decode(item) for field, item in what.items()})
    except (KeyError, TypeError, ValueError) as error:
        raise GraphError(
            f"the graph has a value of {name!r} that this class cannot have: "
            f"{type(error).__name__}: {error}"
        ) from None
