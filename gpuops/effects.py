"""Effects: which operator calls a graph may leave out, merge or reorder."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any

from gpuops.errors import EffectError, describe
from gpuops.opaque import opaque_kind
from gpuops.registry import Operator, Registration, as_operator, registry

if TYPE_CHECKING:
    from gpuops.library import Library

__all__ = ["BY_INDEX", "CONSTRUCTS", "EFFECT", "EffectType", "effect_of", "register_effect"]

EFFECT = "effect"
"""The rule token of effects."""


CONSTRUCTS = "constructs"
"""The rule token of operators that are called when an object was made, with what makes another."""


BY_INDEX = "by index"
"""The rule token of operators whose arguments are indices of the table of external objects."""


class EffectType(Enum):
    """What a call does besides returning something."""

    ORDERED = "ordered"
    """A graph keeps every call, and keeps it before and after the other ordered calls around it."""


def register_effect(
    op: Any, effect: EffectType | None, *, lib: Library | None = None
) -> Registration:
    """Say whether calls of an operator have an effect besides what the schema says.

    By default those of an operator that takes an object of a reference type have, and those of one
    that neither returns anything nor writes to an array: what else would it be called for?

    Args:
        op: the operator, one of its overloads, or its name.
        effect: `EffectType.ORDERED`, or None for a call that a graph may leave out if nothing uses
            its results. Arrays that the schema says are written to count all the same.
        lib: the library that the registration lives in.

    Returns:
        A handle that undoes it.

    Raises:
        EffectError: `op` is neither an operator nor a name, or `effect` is none.
        OperatorNotFoundError: there is no operator of that name.

    >>> import gpuops
    >>> @gpuops.custom_op("demo_effect::log", mutates_args=())
    ... def log(x: gpuops.Array) -> gpuops.Array:
    ...     print("called")
    ...     return x.copy()
    >>> handle = register_effect("demo_effect::log", EffectType.ORDERED)
    >>> effect_of(log.operator)
    <EffectType.ORDERED: 'ordered'>
    >>> log.undo()
    """
    if effect is not None and not isinstance(effect, EffectType):
        raise EffectError(
            f"register_effect({op}): the effect must be EffectType.ORDERED or None, "
            f"got {describe(effect)}"
        )
    try:
        operator = as_operator(op)
    except TypeError as error:
        raise EffectError(f"register_effect: {error}") from None
    handle = registry.add_rule(operator, EFFECT, effect)
    return handle if lib is None else lib.own(handle)


def effect_of(operator: Operator) -> EffectType | None:
    """The effect of an operator's calls: the registered one, or else the default."""
    entry = registry.rule(operator, EFFECT)
    if entry is not None:
        effect: EffectType | None = entry.value
        return effect
    schema = operator.schema
    takes_reference = any(
        p.type.is_opaque and opaque_kind(p.type.base) == "reference" for p in schema.parameters
    )
    does_nothing_else = not schema.returns and not schema.mutated
    return EffectType.ORDERED if takes_reference or does_nothing_else else None
