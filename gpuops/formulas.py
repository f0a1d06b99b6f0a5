"""Gradient formulas, and reasons for having none: what is checked and put into the rule table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from gpuops.errors import Location, RegistrationError, UsageError, caller_location, describe
from gpuops.errors import location_of as location_of_function
from gpuops.infer import signature_of
from gpuops.registry import Operator, Registration, registry
from gpuops.tags import Tag

__all__ = ["AUTOGRAD", "NO_GRADIENT", "Formula", "register_autograd", "register_no_gradient"]

AUTOGRAD = "autograd"
"""The rule token of gradients."""

NO_GRADIENT = "no_gradient"
"""The token of the reason why an operator has no gradient; a formula in force goes before it."""


@dataclass(frozen=True, slots=True)
class Formula:
    """A gradient as users write it.

    Attributes:
        backward: takes ``ctx`` and a gradient per output, returns one per input.
        setup_context: keeps in ``ctx`` what `backward` needs; None if it needs nothing.
        location: where `backward` was written.
        forward: called in the operator's place where a gradient is computed; None for the operator.
    """

    backward: Callable[..., Any]
    setup_context: Callable[..., Any] | None
    location: Location
    forward: Callable[..., Any] | None = None


def register_autograd(
    operator: Operator,
    backward: Callable[..., Any],
    *,
    setup_context: Callable[..., Any] | None = None,
    forward: Callable[..., Any] | None = None,
) -> Registration:
    """Register the gradient formula of an operator; see `gpuops.register_autograd`.

    Raises:
        UsageError: `backward`, `setup_context` or `forward` is not callable, or there is a
            `forward` and no `setup_context`.
        RegistrationError: the operator mutates, or returns a view or nothing; or a function does
            not take what it will be given.
    """
    where = f"register_autograd({operator.qualname})"
    _check_functional(operator)
    if not callable(backward):
        raise UsageError(
            f"{where}: backward is required to be a callable, got {describe(backward)}"
        )
    if setup_context is not None and not callable(setup_context):
        raise UsageError(
            f"{where}: setup_context is required to be a callable, got {describe(setup_context)}"
        )
    if forward is not None:
        _check_forward(where, operator, forward, setup_context)
    gradients = [f"grad_{index}" for index in range(len(operator.schema.returns))]
    _check_takes(where, "backward", backward, ["ctx", *gradients], [])
    if setup_context is not None:
        names = ["ctx", "inputs", "output"]
        if operator.schema.keyword_only:
            names.insert(2, "keyword_only_inputs")
        if forward is not None:
            names.append("residuals")
        _check_takes(where, "setup_context", setup_context, [], names)
    location = location_of_function(backward) or caller_location()
    return registry.add_rule(
        operator, AUTOGRAD, Formula(backward, setup_context, location, forward)
    )


def _check_forward(
    where: str, operator: Operator, forward: Any, setup_context: Callable[..., Any] | None
) -> None:
    if not callable(forward):
        raise UsageError(f"{where}: forward is required to be a callable, got {describe(forward)}")
    if setup_context is None:
        raise UsageError(
            f"{where}: forward takes a setup_context, which is given what forward returns besides "
            "the operator's output; without one that would be lost"
        )
    schema = operator.schema
    by_position = [parameter.name for parameter in schema.positional]
    by_name = [parameter.name for parameter in schema.keyword_only]
    _check_takes(where, "forward", forward, by_position, by_name)


def register_no_gradient(operator: Operator, reason: str) -> Registration:
    """Say why an operator has no gradient; see `gpuops.register_no_gradient`.

    Raises:
        UsageError: `reason` is no text, or an empty one.
        RegistrationError: the operator has a gradient formula.
    """
    where = f"register_no_gradient({operator.qualname})"
    if not isinstance(reason, str):
        raise UsageError(f"{where}: reason is required to be a str, got {describe(reason)}")
    if not reason.strip():
        raise UsageError(f"{where}: reason is required to say why, got {reason!r}")
    formula = registry.rule(operator, AUTOGRAD)
    if formula is not None:
        raise RegistrationError(
            f"{where}: the operator has a gradient formula, registered at {formula.location}; "
            "undo that first"
        )
    return registry.add_rule(operator, NO_GRADIENT, reason)


def _check_functional(operator: Operator) -> None:
    if Tag.out in operator.tags:
        raise RegistrationError(
            f"Out variants do not support autograd: {operator.qualname} writes its result to an "
            f"argument. Declared as {operator.declaration}"
        )
    if operator.schema.is_functional:
        return
    if operator.schema.mutated:
        why = f"it mutates {', '.join(map(repr, operator.schema.mutated))}"
    elif not operator.schema.returns:
        why = "it returns nothing"
    else:
        why = "it returns a view of an argument"
    raise RegistrationError(
        f"Cannot register autograd formula for non-functional operator {operator.qualname}: {why}. "
        f"Declared as {operator.declaration}"
    )


def _check_takes(
    where: str, what: str, function: Callable[..., Any], by_position: list[str], by_name: list[str]
) -> None:
    try:
        signature = signature_of(function)
    except ValueError:
        # Compiled functions need not tell their signature; the first call will.
        return
    try:
        signature.bind(*by_position, **dict.fromkeys(by_name))
    except TypeError as error:
        ways = [("by position", by_position), ("by name", by_name)]
        taken = " and ".join(f"({', '.join(names)}) passed {how}" for how, names in ways if names)
        place = location_of_function(function) or caller_location()
        raise RegistrationError(
            f"{where}: {what}{signature} at {place} cannot take its arguments, {taken}: {error}"
        ) from None
