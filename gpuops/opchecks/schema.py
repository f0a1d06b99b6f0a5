"""`test_schema`: the kernel writes where the schema says, and returns fresh arrays."""

from __future__ import annotations

from typing import Any

from gpuops.debug import debug
from gpuops.devices import array_kind
from gpuops.memory import byte_range, shares_memory
from gpuops.opchecks.inputs import accepted
from gpuops.opchecks.report import host, leaves
from gpuops.opchecks.subject import Subject, copied

__all__ = ["check"]


def check(subject: Subject) -> None:
    """Look for undeclared mutation, mutation that never happens, aliases, wrong results.

    Raises:
        MutationError, AliasError, ReturnError: as in debug mode.
        Failure: a declared mutation that happens on no input; memory that two calls share.
    """
    written: dict[str, bool] = {}
    with debug():
        for before, after, result in accepted(subject):
            _note_mutation(subject, before, after, written)
            _check_kept_memory(subject, before, result)
    for name, happened in written.items():
        if not happened:
            raise subject.fail(
                f"Argument {name} is declared as mutated, but no input that was tried changes it: "
                "take it out of mutates_args"
            )


def _bits(value: Any) -> list[bytes]:
    items = value if isinstance(value, list) else [value]
    return [host(item).tobytes() for item in items if array_kind(type(item)) is not None]


def _note_mutation(
    subject: Subject, before: list[Any], after: list[Any], written: dict[str, bool]
) -> None:
    for parameter, old, new in zip(subject.operator.schema.parameters, before, after, strict=True):
        if not parameter.is_mutated:
            continue
        bits = _bits(old)
        # An argument that was left out, or has no elements, says nothing.
        if any(bits):
            written[parameter.name] = written.get(parameter.name, False) or bits != _bits(new)


def _check_kept_memory(subject: Subject, before: list[Any], result: Any) -> None:
    """A second call's outputs may not lie where the first one's do: the kernel keeps them."""
    declared = [output.alias for output in subject.operator.schema.returns]
    if any(alias is not None for alias in declared):
        return
    first = [(n, v) for n, v in leaves(subject.operator, result) if array_kind(type(v))]
    if not first:
        return
    again = subject.call(copied(before))
    second = [v for _, v in leaves(subject.operator, again) if array_kind(type(v))]
    for name, left in first:
        low, high = byte_range(left)
        for right in second:
            if left is right or (low < high and shares_memory(left, right)):
                raise subject.fail(
                    f"{name} of one call shares memory with an output of the next: the kernel "
                    "keeps an array and returns it again. Return a new array each time",
                    before,
                )
