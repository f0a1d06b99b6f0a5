"""What debug mode checks on every call: undeclared mutation, aliasing, outputs on another device.

The contract is `gpuops.memory.shares_memory`'s: an output is fresh, sharing its allocation neither
with an input nor with another output, except where the schema's alias annotations say so; and an
argument that is not declared as mutated keeps every bit.
"""

from __future__ import annotations

import os
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from gpuops.convert import Arguments, Found
from gpuops.devices import array_kind, device_of
from gpuops.errors import AliasError, MutationError, ReturnError, describe
from gpuops.memory import byte_range, shares_memory
from gpuops.registry import Operator
from gpuops.schema import Alias

__all__ = ["Inspection", "check_aliases", "check_devices", "enabled", "state"]

_FROM_ENVIRONMENT = os.environ.get("GPUOPS_DEBUG", "").strip().lower() not in (
    "",
    "0",
    "false",
    "no",
    "off",
)

enabled: ContextVar[bool] = ContextVar("gpuops_debug", default=_FROM_ENVIRONMENT)
"""Whether calls of this context are checked."""


class _State:
    """How many contexts check calls; while there are any, no call takes the quick path."""

    contexts = int(_FROM_ENVIRONMENT)


state = _State()


@dataclass(frozen=True, slots=True)
class _Snapshot:
    """What an array looked like before the kernel ran."""

    found: Found
    data: bytes
    layout: tuple[Any, ...]

    @staticmethod
    def of(found: Found) -> _Snapshot:
        return _Snapshot(found, found.array.tobytes(), _layout(found.array))

    def check(self, operator: Operator, kernel: str) -> None:
        array = self.found.array
        # The layout first: bytes of an array that was resized in place mean nothing.
        if self.layout != _layout(array):
            how = f"its shape, strides, dtype or memory changed; it is now {describe(array)}"
        elif self.data != array.tobytes():
            how = "its data changed"
        else:
            return
        raise MutationError(
            f"{operator.qualname}: Argument {self.found.name} is not defined as mutable but was "
            f"mutated ({how}) by kernel {kernel}. Name it in mutates_args, or copy it first. "
            f"Declared as {operator.declaration}"
        )


def _layout(array: Any) -> tuple[Any, ...]:
    return (array.shape, array.strides, array.dtype, byte_range(array)[0])


class Inspection:
    """One call in debug mode: made before the kernel runs, finished after it."""

    def __init__(self, operator: Operator, arguments: Arguments, kernel: str) -> None:
        self.operator = operator
        self.kernel = kernel
        self.arrays = [found for found in arguments.arrays if found.kind is not None]
        mutated = [found.array for found in self.arrays if found.parameter.is_mutated]
        # An argument that overlaps one which may be written to may change with it: that is what
        # the caller asked for.
        self.snapshots = [
            _Snapshot.of(found)
            for found in self.arrays
            if not found.parameter.is_mutated
            and not any(shares_memory(found.array, other) for other in mutated)
        ]

    def finish(self, outputs: Any) -> None:
        """Check the arguments and the operator's converted result.

        Raises:
            MutationError: an argument changed that is not declared as mutated.
            AliasError: an output shares memory with an argument or another output.
            ReturnError: an output is on another device than the arguments.
        """
        for snapshot in self.snapshots:
            snapshot.check(self.operator, self.kernel)
        check_devices(self.operator, self.arrays, outputs, self.kernel)
        check_aliases(self.operator, self.arrays, outputs, self.kernel)


@dataclass(frozen=True, slots=True)
class _Output:
    name: str
    index: int
    array: Any
    alias: Alias | None


def check_devices(operator: Operator, arrays: list[Found], outputs: Any, kernel: str) -> None:
    """Check that outputs are on the device of the arguments, the index included.

    Raises:
        ReturnError: naming the output, both devices, the operator and the kernel.
    """
    if not arrays:
        return
    expected = device_of(arrays[0].array)
    for output in _outputs(operator, outputs):
        device = device_of(output.array)
        if device is not expected:
            raise ReturnError(
                f"{operator.qualname}: {output.name} is on {device}, but {arrays[0].name!r} and "
                f"with it the call are on {expected}. Kernel {kernel}. "
                f"Declared as {operator.declaration}"
            )


def check_aliases(operator: Operator, arrays: list[Found], outputs: Any, kernel: str) -> None:
    """Check that outputs share memory only where the schema says so.

    Raises:
        AliasError: naming the output, what it shares memory with, the operator and the kernel.
    """
    listed = list(_outputs(operator, outputs))
    for output in listed:
        for found in arrays:
            if _declared(output.alias, found.parameter.alias):
                continue
            if shares_memory(output.array, found.array):
                raise AliasError(
                    f"{operator.qualname}: {output.name} may not alias any argument, but it shares "
                    f"memory with {found.name!r} ({describe(found.array)}). Return a copy from "
                    f"kernel {kernel}. Declared as {operator.declaration}"
                )
    for position, output in enumerate(listed):
        for other in listed[:position]:
            if _declared(output.alias, other.alias):
                continue
            if shares_memory(output.array, other.array):
                raise AliasError(
                    f"{operator.qualname}: {other.name} and {output.name} may not alias each "
                    f"other, but they share memory. Return copies from kernel {kernel}. "
                    f"Declared as {operator.declaration}"
                )


def _declared(left: Alias | None, right: Alias | None) -> bool:
    return left is not None and right is not None and not set(left.sets).isdisjoint(right.sets)


def _outputs(operator: Operator, outputs: Any) -> list[_Output]:
    schema = operator.schema
    values = list(outputs) if schema.returns_tuple else [outputs]
    found = []
    for index, (declared, value) in enumerate(zip(schema.returns, values, strict=False)):
        name = f"output {index}" if len(schema.returns) > 1 else "the output"
        items = value if isinstance(value, list) else [value]
        for position, item in enumerate(items):
            if array_kind(type(item)) is not None:
                label = f"{name}[{position}]" if isinstance(value, list) else name
                found.append(_Output(label, index, item, declared.alias))
    return found
