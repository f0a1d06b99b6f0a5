"""Whether a gradient is registered where it belongs: beside the kernel, and not within it."""

from __future__ import annotations

from typing import Any

import numpy as np

from gpuops.entries import Entry
from gpuops.opchecks.report import difference, leaves
from gpuops.opchecks.subject import REFUSALS, Subject, copied
from gpuops.registry import Operator, registry
from gpuops.transforms.autograd import vjp

__all__ = ["check_between", "check_call"]


def check_call(subject: Subject) -> None:
    """Call the operator; what is registered for it has to stay.

    Raises:
        Failure: the call registers something, or takes it back.
    """
    before = _registered(subject.operator)
    try:
        with np.errstate(all="ignore"):
            subject.call(copied(subject.values))
    except REFUSALS:
        return  # another check's business
    after = _registered(subject.operator)
    for what in before.keys() | after.keys():
        entry = after.get(what)
        if entry is not before.get(what):
            done = "undoes" if entry is None else "registers"
            place = f", at {entry.location}" if entry is not None else ""
            raise subject.fail(
                f"the operator is incorrectly registered: a call {done} its {what}{place}. "
                "Register it once, beside the operator"
            )


def _registered(operator: Operator) -> dict[str, Entry]:
    """What is in force for an operator, by what it is called in messages."""
    found = {f"{key or 'default'} kernel": stack[-1] for key, stack in operator.kernels.items()}
    return {**found, **{f"{token} rule": entry for token, entry in registry.rules(operator)}}


def check_between(subject: Subject, entry: Entry, values: list[Any]) -> None:
    """Compare the gradient of a call with what it is when the operator is called in between.

    A kernel that keeps something for the formula, in a global variable or an object, keeps it of
    the last call only.

    Args:
        subject: the operator.
        entry: its gradient formula.
        values: a call that can be differentiated.

    Raises:
        Failure: they differ.
    """
    inputs = [array for array in subject.arrays(values) if array.dtype.kind in "fc"]
    other = [_other(array) for array in inputs]
    with np.errstate(all="ignore"):
        try:
            subject.call(_with(values, inputs, other))
            expected, again = (_gradients(subject, values, inputs) for _ in range(2))
            got = _gradients(subject, values, inputs, between=other)
        except Exception:
            return  # the other call is refused, or the formula fails, which its own check says
    if any(difference(*pair) for pair in zip(expected, again, strict=True)):
        return  # it is another one each time, whatever is called in between
    for number, (left, right) in enumerate(zip(expected, got, strict=True)):
        if problem := difference(left, right, rtol=subject.rtol, atol=subject.atol):
            place = getattr(entry.value, "location", None) or entry.location
            raise subject.fail(
                f"the gradient is incorrectly registered: of floating-point input {number}, it is "
                f"another one if the operator is called once more before the reverse pass: "
                f"{problem}. What the formula needs of a call, setup_context has to keep in ctx, "
                f"and not the kernel. The formula was registered at {place}",
                values,
            )


def _other(array: Any) -> Any:
    """Other values of the same signs."""
    return np.asarray(1.25 * np.flip(array), array.dtype)


def _gradients(
    subject: Subject, values: list[Any], inputs: list[Any], between: list[Any] | None = None
) -> list[Any]:
    """The gradients of the outputs' sum, with a call in between or none."""

    def call(*arrays: Any) -> tuple[Any, ...]:
        result = subject.call(_with(values, inputs, list(arrays)))
        floats = (value for _, value in leaves(subject.operator, result))
        return tuple(x for x in floats if getattr(getattr(x, "dtype", None), "kind", "") in "fc")

    outputs, backward = vjp(call, *map(np.array, inputs))
    if between is not None:
        subject.call(_with(values, inputs, between))
    return [np.array(x) for x in backward(tuple(np.ones_like(output) for output in outputs))]


def _with(values: list[Any], old: list[Any], new: list[Any]) -> list[Any]:
    """Values with arrays exchanged; found by identity. Objects are copies for each call."""
    table = {id(array): other for array, other in zip(old, new, strict=True)}

    def one(value: Any) -> Any:
        if isinstance(value, list):
            return [one(item) for item in value]
        return table[id(value)] if id(value) in table else copied([value])[0]

    return [one(value) for value in values]
