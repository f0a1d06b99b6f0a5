"""What a draft tracing found."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from gpuops.errors import Location
from gpuops.profiles.model import OpProfile
from gpuops.symbols.env import line_text

__all__ = ["DraftReport", "Failure", "FailureKind"]


class FailureKind(StrEnum):
    """What a draft found."""

    MISSING_FAKE_KERNEL = "missing fake kernel"
    MISMATCHED_FAKE_KERNEL = "mismatched fake kernel"
    DATA_DEPENDENT_ERROR = "data-dependent error"
    GUARD_ADDED = "guard added"


@dataclass(frozen=True, slots=True)
class Failure:
    """One thing that a draft found.

    Attributes:
        kind: its `FailureKind`.
        operator: the operator's qualified name, or None.
        reason: both values, or the condition, or what was asked of the data.
        location: the line of the traced function.
        fake_location: the line of the operator's fake kernel, where that is what asked.
    """

    kind: FailureKind
    operator: str | None
    reason: str
    location: Location
    fake_location: Location | None = None

    def __str__(self) -> str:
        line = line_text(self.location)
        if self.fake_location is not None:
            return (
                f"{self.kind}: {self.reason} in the fake of {self.operator} "
                f"({self.fake_location}), called at {self.location}{line}"
            )
        who = "" if self.operator is None else f" {self.operator}:"
        return f"{self.kind}:{who} {self.reason} at {self.location}{line}"


@dataclass(slots=True)
class DraftReport:
    """What a draft found.

    Attributes:
        failures: each once: missing fakes by operator, wrong ones by operator and reason, the rest
            by line; of a line in a fake kernel, by the line that calls the operator too.
        op_profiles: of the operators whose fake is missing or wrong, for
            `gpuops.profiles.unsafe_generate_fake_kernels`.
        unrestored: what operators changed of opaque objects, and nothing could put back.
    """

    failures: list[Failure] = field(default_factory=list)
    op_profiles: dict[str, set[OpProfile]] = field(default_factory=dict)
    unrestored: list[str] = field(default_factory=list)
    _seen: set[Hashable] = field(default_factory=set, repr=False)

    @property
    def ok(self) -> bool:
        """Whether nothing was found but conditions."""
        return all(failure.kind is FailureKind.GUARD_ADDED for failure in self.failures)

    def of_kind(self, kind: FailureKind) -> list[Failure]:
        """The failures of one kind."""
        return [failure for failure in self.failures if failure.kind is kind]

    def add(self, failure: Failure, what: str = "") -> None:
        """Note a failure, unless it is known.

        Args:
            failure: what was found.
            what: what is wrong in a word or two, without the values: the same is wrong with the
                next call on the line.
        """
        keys = self._keys(failure, what)
        if self._seen.isdisjoint(keys):
            self.failures.append(failure)
        self._seen.update(keys)

    def undoable(self) -> Callable[[], None]:
        """What takes back all that is noted from now on."""
        length, seen = len(self.failures), set(self._seen)

        def undo() -> None:
            del self.failures[length:]
            self._seen = seen

        return undo

    def _keys(self, failure: Failure, what: str) -> list[Hashable]:
        kind, operator = failure.kind, failure.operator
        place: Any = (failure.location.file, failure.location.line)
        if kind is FailureKind.MISSING_FAKE_KERNEL:
            return [(kind, operator)]
        if kind is FailureKind.MISMATCHED_FAKE_KERNEL:
            return [
                (kind, operator, failure.reason),
                (kind, operator, what or failure.reason, place),
            ]
        inner = failure.fake_location
        return [(kind, place, None if inner is None else (inner.file, inner.line))]

    def __str__(self) -> str:
        lines = list(map(str, self.failures))
        lines += [f"not as it was before: {what}" for what in self.unrestored]
        return "\n".join(lines) or "nothing to report"
