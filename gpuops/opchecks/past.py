"""The arrays of the calls so far: a later call may neither write to them nor return them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gpuops.convert import Arguments
from gpuops.devices import array_kind
from gpuops.memory import byte_range, owner
from gpuops.opchecks.report import host, leaves
from gpuops.opchecks.subject import Subject

__all__ = ["Past", "arrays_of_result"]

# Arrays of earlier calls are kept, in all, up to as many bytes.
_KEPT_BYTES = 1 << 26


def arrays_of_result(subject: Subject, result: Any) -> list[tuple[str, Any]]:
    """The arrays that a call returned, with their names."""
    return [
        (name, value)
        for name, value in leaves(subject.operator, result)
        if array_kind(type(value)) is not None
    ]


@dataclass(slots=True)
class _Kept:
    """An array, where it lies and what was in it.

    The place is asked for once: each later output is compared with each of these.
    """

    name: str
    array: Any
    bits: bytes
    owner: Any
    low: int
    high: int

    @classmethod
    def of(cls, name: str, array: Any) -> _Kept:
        return cls(name, array, host(array).tobytes(), owner(array), *byte_range(array))

    def overlaps(self, other: _Kept) -> bool:
        """As `gpuops.memory.shares_memory` says; an empty array shares nothing with another."""
        if self.array is other.array:
            return True
        if self.low == self.high or type(self.array) is not type(other.array):
            return False
        return self.owner is other.owner or max(self.low, other.low) < min(self.high, other.high)


class Past:
    """The arrays of the calls so far.

    Attributes:
        aliases_declared: whether an output may be an argument.
    """

    def __init__(self, subject: Subject) -> None:
        self.subject = subject
        returns = subject.operator.schema.returns
        self.aliases_declared = any(output.alias is not None for output in returns)
        self._calls: list[tuple[list[Any], list[_Kept]]] = []
        self._bytes = 0

    def add(self, before: list[Any], after: list[Any], result: Any) -> None:
        """Note a call, and check its outputs against those before.

        Raises:
            Failure: an output lies where an array of an earlier call does.
        """
        listed = [] if self.aliases_declared else arrays_of_result(self.subject, result)
        arrays = [_Kept.of(name, output) for name, output in listed]
        for output in arrays:
            for _, old in self._calls:
                for kept in old:
                    # In line, for there are many of them; hardly any comes as far as the method.
                    near = kept.low < output.high and output.low < kept.high
                    if (near or kept.owner is output.owner) and output.overlaps(kept):
                        self._fail(output.name, kept.name, before)
        for found in Arguments(self.subject.operator, tuple(after)).arrays:
            if found.kind is not None:
                arrays.append(_Kept.of(f"argument {found.name!r}", found.array))
        self._calls.append((before, arrays))
        self._bytes += sum(len(kept.bits) for kept in arrays)
        while self._bytes > _KEPT_BYTES and len(self._calls) > 1:
            _, gone = self._calls.pop(0)
            self._bytes -= sum(len(kept.bits) for kept in gone)

    def check_unchanged(self) -> None:
        """Check that no array has changed since its call was over.

        Raises:
            Failure: one has.
        """
        for values, arrays in self._calls:
            for kept in arrays:
                if host(kept.array).tobytes() != kept.bits:
                    raise self.subject.fail(
                        f"{kept.name} of a call changes after it: the kernel keeps the array, and "
                        "a later call writes to it",
                        values,
                    )

    def _fail(self, name: str, kept: str, values: list[Any]) -> None:
        if kept.startswith("argument"):
            raise self.subject.fail(
                f"{name} shares memory with {kept} of an earlier call: the kernel keeps the array "
                "and returns it. Return a new array each time",
                values,
            )
        raise self.subject.fail(
            f"{kept} of one call shares memory with an output of the next: the kernel "
            "keeps an array and returns it again. Return a new array each time",
            values,
        )
