"""What ``gpuops.ops.<namespace>.<name>`` finds.

A namespace that has no operators yet is looked for among the installed packs (entry-point group
``gpuops.ops``) when something is first looked up in it.

`gpuops.ops` itself is a module with no names of its own, since any name in it would hide the
namespace of that name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pickle import UnpicklingError
from typing import Any

from gpuops.errors import (
    OperatorNotFoundError,
    OverloadError,
    SchemaError,
    StaleOperatorError,
    closest,
    describe,
)
from gpuops.registry import Operator, registry
from gpuops.schema import check_namespace

__all__ = ["Namespace", "Packet", "call_name", "listed", "look_up"]

# What `call_name` starts with, so that a pickled call is found again.
_CALL_NAME = re.compile(r"operator (\w+)::(\w+)(?:\[(\w+)\])?, declared ")
# A dot in a function's qualified name would make pickle look up attributes. It is replaced by
# U+2024 ONE DOT LEADER, which looks the same.
_DOT_LEADER = "\u2024"


def call_name(operator: Operator) -> str:
    """The ``__qualname__`` of an operator's call.

    Python itself reports a wrong number of arguments, or an unknown one, with the function's
    qualified name in front. So that such an error names the operator and its declaration, at no
    cost to calls that are right, this is that name.
    """
    overload = f"[{operator.overload}]" if operator.overload else ""
    declared = str(operator.schema.with_name("")).replace(".", _DOT_LEADER)
    return f"operator {operator.namespace}::{operator.name}{overload}, declared {declared}: " + (
        operator.name
    )


class Packet:
    """The overloads of one operator name; calling it picks the first that takes the arguments."""

    def __init__(self, namespace: str, name: str) -> None:
        self.__namespace = namespace
        self.__name = name

    def overloads(self) -> list[str]:
        """The names of the overloads, ``"default"`` for the one without a name."""
        return [name or "default" for name in registry.overloads(self.__namespace, self.__name)]

    def __present(self) -> dict[str, Operator]:
        found = registry.overloads(self.__namespace, self.__name)
        if not found:
            raise StaleOperatorError(
                f"these overloads are stale: {self.__namespace}::{self.__name} was removed"
            )
        return found

    @property
    def operator(self) -> Operator:
        """The overload to use where one operator is wanted.

        Raises:
            OverloadError: there are several.
            StaleOperatorError: there are none any more.
        """
        found = self.__present()
        if len(found) == 1:
            return next(iter(found.values()))
        raise OverloadError(
            f"{self.__namespace}::{self.__name} has several overloads "
            f"({', '.join(self.overloads())}): name one, as in "
            f"ops.{self.__namespace}.{self.__name}.{self.overloads()[0]}"
        )

    def __getattr__(self, name: str) -> Operator:
        found = registry.overloads(self.__namespace, self.__name)
        overload = "" if name == "default" else name
        if overload in found:
            return found[overload]
        known = self.overloads()
        raise OperatorNotFoundError(
            f"operator {self.__namespace}::{self.__name} has no overload {name!r}; it has "
            f"{', '.join(known) or 'none: it was removed'}{closest(name, known)}"
        )

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        # An iterator can be looked at once, and several overloads may have to.
        args = tuple(_kept(value) for value in args)
        kwargs = {name: _kept(value) for name, value in kwargs.items()}
        reasons = []
        for operator in self.__present().values():
            refusal = Operator.refusal(operator, args, kwargs)
            if refusal is None:
                return operator.call(*args, **kwargs)
            reasons.append(f"  {operator.schema}: {refusal}")
        given = [describe(value) for value in args]
        given += [f"{name}={describe(value)}" for name, value in kwargs.items()]
        raise OverloadError(
            f"the call {self.__namespace}::{self.__name}({', '.join(given)}) failed to match any "
            f"schema:\n" + "\n".join(reasons)
        )

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self.overloads()]

    def __str__(self) -> str:
        return f"{self.__namespace}.{self.__name}"

    def __repr__(self) -> str:
        return f"<Packet({self.__namespace}::{self.__name}, overloads={self.overloads()})>"

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str, str]]:
        return _find, (self.__namespace, self.__name)

    def __deepcopy__(self, memo: object) -> Packet:
        return self


def _kept(value: Any) -> Any:
    return list(value) if isinstance(value, Iterator) else value


class Namespace:
    """The operators of one namespace, as attributes.

    An operator with one overload, the default one, is the function that calls it; one with
    several is a `Packet`.
    """

    def __init__(self, name: str) -> None:
        self.__name = name

    def __getattr__(self, name: str) -> Any:
        namespace = self.__name
        found = registry.overloads(namespace, name)
        if not found and name.startswith("__") and name.endswith("__"):
            # Python and its tools ask every object for such names.
            raise AttributeError(name)
        if not found:
            registry.on_unknown_namespace(namespace)
            found = registry.overloads(namespace, name)
        if not found:
            names = registry.names(namespace)
            hint = closest(name, names) or (
                "" if names else "; nothing is defined in that namespace"
            )
            raise OperatorNotFoundError(
                f"gpuops.ops.{namespace} has no operator {name!r} "
                f"(operator {namespace}::{name} does not exist){hint}"
            )
        with registry.lock:
            # Cached as an ordinary attribute until the overloads change; looked up again under
            # the lock, so that a definition in between is not missed.
            found = registry.overloads(namespace, name)
            value: Any = Packet(namespace, name)
            if list(found) == [""]:
                value = found[""].call
            if found:
                self.__dict__[name] = value
        return value

    def __dir__(self) -> list[str]:
        return registry.names(self.__name)

    def __repr__(self) -> str:
        return f"<gpuops.ops.{self.__name}: {', '.join(dir(self)) or 'empty'}>"

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str]]:
        return look_up, (self.__name,)

    def __copy__(self) -> Namespace:
        return self

    def __deepcopy__(self, memo: object) -> Namespace:
        return self


_namespaces: dict[str, Namespace] = {}


def _find(namespace: str, name: str) -> Any:
    return getattr(look_up(namespace), name)


def look_up(name: str) -> Any:
    """The attribute `name` of `gpuops.ops`: a namespace, or the call that was pickled under it.

    Raises:
        OperatorNotFoundError: no namespace can have that name.
    """
    pickled = _CALL_NAME.match(name)
    if pickled:
        return _unpickled(*pickled.groups())
    if name.startswith("__") and name.endswith("__"):
        raise AttributeError(f"module 'gpuops.ops' has no attribute {name!r}")
    try:
        check_namespace(name)
    except SchemaError as error:
        raise OperatorNotFoundError(f"gpuops.ops has no namespace {name!r}: {error}") from None
    # Any identifier is a namespace; an empty one only fails when something is looked up in it.
    return _namespaces.setdefault(name, Namespace(name))


def _unpickled(namespace: str, name: str, overload: str | None) -> Callable[..., Any]:
    qualname = f"{namespace}::{name}" + (f".{overload}" if overload else "")
    try:
        return registry.find(qualname).call
    except OperatorNotFoundError as error:
        # Not an AttributeError: pickle would put a message of its own in the place of this.
        raise UnpicklingError(
            f"{error}; import the module that declares it before unpickling its calls"
        ) from None


def listed() -> list[str]:
    """The namespaces that have operators."""
    return sorted({operator.namespace for operator in registry.operators()})


def _overloads_changed(namespace: str, name: str) -> None:
    known = _namespaces.get(namespace)
    if known is not None:
        known.__dict__.pop(name, None)
    overloads = registry.overloads(namespace, name)
    default = overloads.get("")
    if default is None or not default.is_built:
        return
    # The default overload's call may have been looked up, or declared, before the others were:
    # they are its attributes, as they are the packet's.
    attributes = default.call.__dict__
    for overload, value in list(attributes.items()):
        if isinstance(value, Operator) and value.overload and value.gone:
            del attributes[overload]
    for overload, operator in overloads.items():
        if overload:
            attributes.setdefault(overload, operator)


registry.on_change = _overloads_changed
