"""The operator that is checked, with its sample: bound once, copied for each call."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from gpuops.convert import Arguments
from gpuops.debug import debug
from gpuops.opchecks.copies import copied
from gpuops.opchecks.report import Failure, difference, summary
from gpuops.registry import Operator

__all__ = ["REFUSALS", "REFUSED", "Subject", "copied"]

# With these an operator may refuse an input that it cannot take. Others (an IndexError out of the
# middle of a kernel, a MemoryError) are not meant for the caller.
REFUSALS = (ValueError, TypeError, NotImplementedError, IndexError)

REFUSED: Any = object()
"""What `Subject.attempt` gives where the operator does not take the arguments."""


@dataclass(frozen=True, slots=True)
class Subject:
    """An operator and one call of it.

    Attributes:
        operator: the operator.
        values: the sample's arguments in schema order, converted; never handed to a kernel.
        rtol: the relative tolerance for values, or None for that of the dtype.
        atol: likewise the absolute one.
        seed: for what is drawn.
        unchecked: what the running check left out, and why.
        further: what else the running check may call the operator with, for a check that has to
            see several inputs; the others are run once for each.
        trail: the last input that the operator was called with, for the report of a failure.
        is_drawn: whether the values are no sample but made from one, one of many: a check then
            keeps to them, and does not vary them itself.
        lenient: what a fake need not get right for this input: "strides", "dtype".
    """

    operator: Operator
    values: list[Any]
    rtol: float | None = None
    atol: float | None = None
    seed: int = 0
    unchecked: list[str] = field(default_factory=list)
    further: Iterable[Any] = ()
    trail: list[Any] = field(default_factory=list)
    is_drawn: bool = False
    lenient: frozenset[str] = frozenset()

    def with_further(self, draws: Iterable[Any]) -> Subject:
        """The same, for a check that has to see several inputs."""
        return replace(self, further=draws)

    def alone(self, values: list[Any]) -> Subject:
        """The operator with other values, checked as these are, and no further ones."""
        return replace(self, values=values, unchecked=[], further=(), trail=[])

    def at(self, values: list[Any], *, lenient: frozenset[str] = frozenset()) -> Subject:
        """The operator with another call of it, alone."""
        return replace(
            self,
            values=values,
            unchecked=[],
            further=(),
            trail=[],
            is_drawn=True,
            lenient=lenient,
        )

    def leave_unchecked(self, why: str) -> None:
        """Note that the check does not look at something, so that a pass says so."""
        if why not in self.unchecked:
            self.unchecked.append(why)

    def attempt(self, values: list[Any]) -> Any:
        """What the operator gives for copies of values, or `REFUSED` if it does not take them."""
        try:
            with np.errstate(all="ignore"):
                return self.call(copied(values))
        except Exception:
            return REFUSED

    def call(self, values: list[Any]) -> Any:
        """Call the operator with values in schema order."""
        number = len(self.operator.schema.positional)
        names = [parameter.name for parameter in self.operator.schema.keyword_only]
        return self.operator.call(
            *values[:number], **dict(zip(names, values[number:], strict=True))
        )

    def checked_call(self, values: list[Any]) -> Any:
        """Call it with debug mode's checks of mutation, aliasing and devices."""
        with debug():
            return self.call(values)

    def arrays(self, values: list[Any]) -> list[Any]:
        """The arrays among values, those in lists included."""
        return [found.array for found in Arguments(self.operator, tuple(values)).arrays]

    def map(self, values: list[Any], function: Callable[[Any, Any], Any]) -> list[Any]:
        """Values with each NumPy array replaced by ``function(parameter, array)``."""

        def one(parameter: Any, value: Any) -> Any:
            if isinstance(value, list):
                return [one(parameter, item) for item in value]
            return function(parameter, value) if isinstance(value, np.ndarray) else value

        pairs = zip(self.operator.schema.parameters, values, strict=True)
        return [one(parameter, value) for parameter, value in pairs]

    def difference(self, expected: Any, got: Any, values: list[Any] | None = None) -> str | None:
        """How two results of a call with values differ, or None.

        See `gpuops.opchecks.report.difference`; the values are the sample's if not given.
        """
        arrays = self.arrays(self.values if values is None else values)
        return difference(expected, got, rtol=self.rtol, atol=self.atol, inputs=arrays)

    def fail(self, problem: str, values: list[Any] | None = None) -> Failure:
        """The error that says what is wrong, with the call and the registration."""
        shown = summary(self.operator, self.values if values is None else values)
        return Failure(
            f"{self.operator.qualname}: {problem}. The call: {shown}. "
            f"Declared as {self.operator.declaration}"
        )
