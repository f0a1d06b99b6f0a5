"""Recording profiles, and checking calls against recorded ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from dataclasses import replace
from threading import Lock
from typing import Any

from gpuops.observers import observed
from gpuops.profiles.errors import MissingOpProfile
from gpuops.profiles.model import (
    ArrayMetadata,
    ListProfile,
    OpProfile,
    checked_profiles,
    differences,
    note_profile,
    ordered,
    profile_of_call,
    profile_of_output,
    render,
)
from gpuops.registry import Operator

__all__ = ["check_against", "missing_profile", "record_op_profiles"]


@contextmanager
def record_op_profiles() -> Iterator[dict[str, set[OpProfile]]]:
    """Record what operators are called with and return, in the block.

    Calls of all threads of the process are recorded, of real kernels and of fake ones, traced
    calls and calls that kernels make among them. A call that fails is not. While somebody records,
    no call is quick; at other times recording costs nothing.

    Yields:
        What was recorded, by qualified name; it fills while operators run.

    >>> import numpy as np, gpuops
    >>> @gpuops.custom_op("demo_record::double", mutates_args=())
    ... def double(x: gpuops.Array, times: int = 1) -> gpuops.Array:
    ...     return x * 2**times
    >>> with record_op_profiles() as profiles:
    ...     _ = double(np.ones(3))
    >>> for profile in profiles["demo_record::double"]:
    ...     print(profile)
    (float64 rank 1 order C on cpu, -) -> float64 rank 1 order C on cpu
    >>> double.undo()
    """
    profiles: dict[str, set[OpProfile]] = {}
    lock = Lock()

    def observe(operator: Operator, values: Sequence[Any]) -> Callable[[Any], None]:
        args = profile_of_call(values)

        def end(out: Any) -> None:
            profile = OpProfile(args, profile_of_output(out))
            with lock:
                note_profile(profiles.setdefault(operator.qualname, set()), profile)

        return end

    with observed(observe):
        yield profiles


@contextmanager
def check_against(profiles: Mapping[str, Set[OpProfile]]) -> Iterator[None]:
    """Let an operator that does what was never recorded of it raise an error, in the block.

    Operators that `profiles` does not name are not checked. Calls of all threads are checked.

    Args:
        profiles: as `record_op_profiles` gives them.

    Raises:
        ProfileError: malformed profiles.
        MissingOpProfile (a call): no profile of the operator is of its arguments, or those that
            are have another output.
    """
    known = checked_profiles(profiles)

    def observe(operator: Operator, values: Sequence[Any]) -> Callable[[Any], None]:
        recorded = known.get(operator.qualname)
        if recorded is None:
            return lambda out: None
        matching = [p for p in recorded if not differences(operator, p, values)]
        if not matching:
            raise missing_profile(operator, recorded, values)
        args = profile_of_call(values)

        def end(out: Any) -> None:
            got = profile_of_output(out)
            if not any(_is_of(profile.out_profile, got) for profile in matching):
                raise MissingOpProfile(
                    f"{operator.qualname} returned {render(got)} for {render(args)}, which was "
                    f"never recorded: expected {render(matching[0].out_profile)}. "
                    f"Declared as {operator.declaration}"
                )

        return end

    with observed(observe):
        yield


def _is_of(recorded: Any, got: Any) -> bool:
    if isinstance(recorded, ListProfile) and isinstance(got, ListProfile):
        return _is_of(recorded.items, got.items)
    if isinstance(recorded, tuple) and isinstance(got, tuple):
        return len(recorded) == len(got) and all(map(_is_of, recorded, got))
    if isinstance(recorded, ArrayMetadata) and isinstance(got, ArrayMetadata):
        order = got.order if recorded.order == "any" else recorded.order
        return replace(recorded, order=order) == got
    return bool(recorded == got)


def missing_profile(
    operator: Operator, profiles: Sequence[OpProfile], values: Sequence[Any]
) -> MissingOpProfile:
    """The error for a call that no profile is of."""
    args = profile_of_call(values)
    names = [parameter.name for parameter in operator.schema.parameters]
    listed = ", ".join(
        f"{name}: {'no array' if entry is None else entry}"
        for name, entry in zip(names, args, strict=True)
    )
    message = f"{operator.qualname}: no recorded profile is of a call with ({listed})"
    # The fewest differences; among equals, the first in the fixed order.
    options = [(differences(operator, profile, values), profile) for profile in ordered(profiles)]
    if options:
        marked, nearest = min(options, key=lambda option: len(option[0]))
        message += f". The nearest of {len(options)} is {nearest}: {'; '.join(marked)}"
    else:
        message += "; none was recorded at all"
    return MissingOpProfile(f"{message}. Declared as {operator.declaration}")
