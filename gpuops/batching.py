"""Batching rules: what `register_vmap` checks and registers, and what a rule is told.

A rule computes an operator for a whole batch. `gpuops.vmap` calls it, and lives a few layers above.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from gpuops.errors import RegistrationError, UsageError, caller_location, describe, location_of
from gpuops.infer import signature_of
from gpuops.registry import Operator, Registration, registry

__all__ = ["VMAP", "VmapInfo", "register_vmap"]

VMAP = "vmap"
"""The token of batching rules."""


_NONE: Mapping[str, Any] = MappingProxyType({})


class VmapInfo(NamedTuple):
    """What a batching rule is told besides the arguments.

    Attributes:
        batch_size: the size of the batch axis.
        randomness: what `gpuops.vmap` was called with: ``"error"``, ``"different"`` or ``"same"``.
        keyword_in_dims: where the batch axis of each keyword-only argument is; empty if none of
            them has one.
    """

    batch_size: int
    randomness: str
    keyword_in_dims: Mapping[str, Any] = _NONE


def register_vmap(operator: Operator, function: Callable[..., Any]) -> Registration:
    """Register the batching rule of an operator; a second one replaces the first.

    Raises:
        UsageError: `function` is not callable.
        RegistrationError: it cannot take the operator's arguments behind ``info`` and ``in_dims``.
    """
    if not callable(function):
        raise UsageError(
            f"the batching rule of {operator.qualname} is required to be a callable, got "
            f"{describe(function)}"
        )
    _check_signature(operator, function)
    return registry.add_rule(operator, VMAP, function)


def _check_signature(operator: Operator, function: Callable[..., Any]) -> None:
    try:
        signature = signature_of(function)
    except ValueError:
        # Compiled functions need not tell their signature; the first call will.
        return
    schema = operator.schema
    positional = ["info", "in_dims", *(parameter.name for parameter in schema.positional)]
    named = {parameter.name: None for parameter in schema.keyword_only}
    try:
        signature.bind(*positional, **named)
    except TypeError as error:
        name = getattr(function, "__name__", type(function).__name__)
        by_name = f", and {', '.join(named)} by name" if named else ""
        raise RegistrationError(
            f"the batching rule {name}{signature} at {location_of(function) or caller_location()} "
            f"cannot take what it is called with, ({', '.join(positional)}){by_name}: {error}. "
            f"Declared as {operator.declaration}"
        ) from None
