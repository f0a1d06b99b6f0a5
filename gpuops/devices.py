"""Devices, and which array library an array belongs to.

An array library is recognised by the *exact* type of its arrays, and only once somebody else has
imported it: gpuops never is the first to import CuPy.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from gpuops.errors import DeviceError

__all__ = [
    "ArrayKind",
    "Device",
    "array_kind",
    "check_device_type",
    "device_of",
    "forget_array_kind",
    "kind_for",
    "known_device_types",
    "register_array_kind",
    "simulated_kind",
]

_DEVICE_TYPES = ("cpu", "cuda")


def known_device_types() -> tuple[str, ...]:
    """The device types that kernels can be registered for."""
    return _DEVICE_TYPES


def check_device_type(text: object, *, where: str = "") -> str:
    """Return `text` if it names a device type, else say which ones there are.

    Raises:
        DeviceError: `text` is no string or names no known device type.
    """
    if isinstance(text, str) and text in _DEVICE_TYPES:
        return text
    prefix = f"{where}: " if where else ""
    expected = ", ".join(_DEVICE_TYPES)
    got = repr(text) if isinstance(text, str) else f"{type(text).__name__} {text!r}"
    raise DeviceError(f"{prefix}Expected one of {expected} as a device type, got {got}")


class Device:
    """A device: a type ("cpu" or "cuda") and, where there can be several, an index.

    Devices are interned: equal devices are the same object, so ``is`` compares them. A device also
    equals the string that it is written as.

    Args:
        device: ``"cpu"``, ``"cuda"``, ``"cuda:1"``, or a `Device`.
        index: the index, where `device` does not hold one.

    Raises:
        DeviceError: an unknown device type or a malformed index.

    >>> Device("cuda:1")
    Device('cuda:1')
    >>> Device("cuda", 1) is Device("cuda:1")
    True
    >>> Device("cuda:1").type, Device("cuda:1").index
    ('cuda', 1)
    >>> Device("tpu")
    Traceback (most recent call last):
    ...
    gpuops.errors.DeviceError: Device('tpu'): Expected one of cpu, cuda as a device type, got 'tpu'
    """

    __slots__ = ("index", "type")

    type: str
    index: int | None

    _interned: ClassVar[dict[tuple[str, int | None], Device]] = {}

    def __new__(cls, device: str | Device, index: int | None = None) -> Device:
        if isinstance(device, Device):
            if index is not None and index != device.index:
                raise DeviceError(f"{device!r} has its own index; got index {index} beside it")
            return device
        if not isinstance(device, str):
            raise DeviceError(f"a device is a string such as 'cuda:1', got {device!r}")
        kind, colon, number = device.partition(":")
        check_device_type(kind, where=f"Device({device!r})")
        if colon:
            if not (number.isascii() and number.isdigit() and len(number) < 10):
                raise DeviceError(
                    f"Device({device!r}): the index after ':' must be a whole number, "
                    f"got {number!r}"
                )
            if index is not None and index != int(number):
                raise DeviceError(f"Device({device!r}) has an index; got index {index} beside it")
            index = int(number)
        if index is not None:
            if isinstance(index, bool) or not isinstance(index, (int, np.integer)) or index < 0:
                raise DeviceError(
                    f"Device({device!r}): the index must be a whole number from 0 on, got {index!r}"
                )
            index = int(index)
        key = (kind, index)
        found = cls._interned.get(key)
        if found is None:
            created = super().__new__(cls)
            object.__setattr__(created, "type", kind)
            object.__setattr__(created, "index", index)
            # setdefault is atomic: of two threads that get here, both return the same object.
            found = cls._interned.setdefault(key, created)
        return found

    def __eq__(self, other: object) -> bool:
        # NumPy's `x.device` is a string; code for both compares with one.
        return self is other or (isinstance(other, str) and str(self) == other)

    def __hash__(self) -> int:
        return hash(str(self))

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a Device cannot be changed (tried to set {name!r})")

    def __str__(self) -> str:
        return self.type if self.index is None else f"{self.type}:{self.index}"

    def __repr__(self) -> str:
        return f"Device({str(self)!r})"

    def __reduce__(self) -> tuple[Callable[[str], Device], tuple[str]]:
        return Device, (str(self),)

    def __copy__(self) -> Device:
        return self

    def __deepcopy__(self, memo: object) -> Device:
        return self


@dataclass(frozen=True, slots=True)
class ArrayKind:
    """What dispatch needs to know of one exact array type.

    Attributes:
        cls: the exact type of the arrays.
        device_type: the device type whose kernels take such arrays.
        device_of: the `Device` of one such array.
        guard: a context in which that device is the current one.
        current: the index of the current device.
        single_device: whether all arrays of the kind are on one device for certain.
    """

    cls: type
    device_type: str
    device_of: Callable[[Any], Device]
    guard: Callable[[Device], AbstractContextManager[Any]]
    current: Callable[[], int | None]
    single_device: bool


_CPU = Device("cpu")
_NUMPY = ArrayKind(
    np.ndarray,
    "cpu",
    device_of=lambda array: _CPU,
    guard=lambda device: nullcontext(),
    current=lambda: None,
    single_device=True,
)
_kinds: dict[type, ArrayKind] = {np.ndarray: _NUMPY}


def register_array_kind(kind: ArrayKind) -> None:
    """Make arrays of the exact type ``kind.cls`` dispatch to ``kind.device_type``."""
    check_device_type(kind.device_type, where=f"arrays of type {kind.cls.__name__}")
    _kinds[kind.cls] = kind


def forget_array_kind(cls: type) -> None:
    """Undo `register_array_kind`; unknown types are ignored."""
    _kinds.pop(cls, None)


def array_kind(cls: type) -> ArrayKind | None:
    """The kind of arrays whose exact type is `cls`; None for anything else."""
    kind = _kinds.get(cls)
    if kind is None:
        # `sys.modules`, not an import: a type can only be CuPy's if CuPy is loaded.
        cupy = sys.modules.get("cupy")
        if cupy is not None and getattr(cupy, "ndarray", None) is cls:
            kind = _kinds.setdefault(cls, _cupy_kind(cupy))
    return kind


# The kind of array that "cuda" stands for in this context, where it is not CuPy's.
simulated_kind: ContextVar[ArrayKind | None] = ContextVar("gpuops_simulated_kind", default=None)


def kind_for(device_type: str) -> ArrayKind | None:
    """The kind of arrays that live on a device type, once a library with such arrays is loaded."""
    simulated = simulated_kind.get()
    if simulated is not None and simulated.device_type == device_type:
        return simulated
    cls = getattr(sys.modules.get("cupy"), "ndarray", None)
    if device_type == "cuda" and cls is not None:
        return array_kind(cls)
    return next((kind for kind in _kinds.values() if kind.device_type == device_type), None)


def device_of(array: Any) -> Device | None:
    """The device of an array of a known library; None for anything else.

    >>> import numpy as np
    >>> device_of(np.zeros(3))
    Device('cpu')
    """
    kind = array_kind(type(array))
    return None if kind is None else kind.device_of(array)


def _cupy_kind(cupy: Any) -> ArrayKind:
    def device_of_array(array: Any) -> Device:
        return Device("cuda", int(array.device.id))

    def guard(device: Device) -> AbstractContextManager[Any]:
        context: AbstractContextManager[Any] = cupy.cuda.Device(device.index)
        return context

    return ArrayKind(
        cupy.ndarray,
        "cuda",
        device_of_array,
        guard,
        current=cupy.cuda.runtime.getDevice,
        single_device=cupy.cuda.runtime.getDeviceCount() == 1,
    )
