"""Payload objects: opaque objects that need no class of their own."""

from __future__ import annotations

import copy
from typing import Any

from gpuops import opaque
from gpuops.errors import UsageError, describe
from gpuops.opaque import OpaqueBase
from gpuops.snapshots import is_unchanged

__all__ = ["OpaqueObject", "get_payload", "make_opaque", "set_payload"]


class OpaqueObject(OpaqueBase):
    """Any Python object, its *payload*, as an argument of operators.

    It is a reference type, ``OpaqueObject`` in type hints and schema strings. Two of them are equal
    if their payloads are, so it has no hash; a deep copy has a deep copy of the payload. Make them
    with `make_opaque`.
    """

    __slots__ = ("_payload",)

    def __init__(self, payload: Any = None) -> None:
        self._payload = payload

    def __eq__(self, other: object) -> bool:
        if type(other) is not OpaqueObject:
            return NotImplemented
        if self is other:
            return True
        try:
            return bool(self._payload == other._payload)
        except ValueError:  # NumPy says neither true nor false of arrays, also in containers
            return is_unchanged(self._payload, other._payload)

    # The payload may change, and equality with it.
    __hash__ = None  # type: ignore[assignment]

    def __copy__(self) -> OpaqueObject:
        return OpaqueObject(self._payload)

    def __deepcopy__(self, memo: dict[int, Any]) -> OpaqueObject:
        copied = OpaqueObject()
        # First: the payload may refer to the object that holds it.
        memo[id(self)] = copied
        copied._payload = copy.deepcopy(self._payload, memo)
        return copied

    def __reduce__(self) -> tuple[Any, ...]:
        return OpaqueObject, (), (None, {"_payload": self._payload})

    def __repr__(self) -> str:
        return f"OpaqueObject({describe(self._payload)})"


def make_opaque(payload: Any = None) -> OpaqueObject:
    """An opaque object with a payload.

    Args:
        payload: any object; it is kept, not copied. None until `set_payload` gives another.

    >>> queue = make_opaque([1, 2])
    >>> get_payload(queue).append(3)
    >>> queue == make_opaque([1, 2, 3])
    True
    """
    return OpaqueObject(payload)


def get_payload(opaque_object: OpaqueObject) -> Any:
    """The payload of an opaque object: the same object that was put there.

    Raises:
        UsageError: `opaque_object` is not an `OpaqueObject`.
        OpaqueAccessError: it is a fake, whose payload a fake kernel may not look at.
    """
    _check(opaque_object, "get_payload")
    return opaque_object._payload


def set_payload(opaque_object: OpaqueObject, payload: Any) -> None:
    """Give an opaque object another payload.

    Raises:
        UsageError: `opaque_object` is not an `OpaqueObject`.
        OpaqueAccessError: it is a fake, whose payload a fake kernel may not look at.
    """
    _check(opaque_object, "set_payload")
    opaque_object._payload = payload


def _check(value: Any, function: str) -> None:
    # A fake says that it is an OpaqueObject, and refuses to give its payload by itself.
    if not isinstance(value, OpaqueObject):
        raise UsageError(
            f"{function} takes an OpaqueObject, as make_opaque returns, got {describe(value)}"
        )


opaque.register_built_in(OpaqueObject, "OpaqueObject", "reference")
