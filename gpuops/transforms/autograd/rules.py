"""`Rules`: gradients as one function per input, for operators whose formula is a line or two.

A rule is a function of the output's gradient (of several outputs, of a list of them) and of what it
names among its parameters: inputs of the operator, ``out``, and of an input or of ``out`` only its
metadata, as ``x_shape``, ``x_dtype``. What no rule names is not kept until the reverse pass::

    Rules(x1=lambda g, x2: g * x2, x2=lambda g, x1: g * x1)      # of multiply
    Rules(x=lambda g, x_shape, axis: ...)                        # of sum

A gradient that has the broadcast shape is summed to the input's, and cast to its dtype. Gradients
are those of real functions: of a complex input, ``dL/d(real) + i dL/d(imag)``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, final

from gpuops.errors import RegistrationError, location_of
from gpuops.registry import Operator

__all__ = ["Getter", "Rules", "compile_rules"]

Getter = Callable[[list[Any], dict[str, Any], Any], Any]
"""Picks something of a call: ``getter(values, kwargs, out)``."""

_METADATA = ("shape", "dtype", "ndim", "shapes")


@final
class Rules:
    """The gradient rules of an operator.

    Args:
        rules: by the name of an array parameter: a function; None where the gradient is zero
            everywhere. Inputs without an entry have no gradient, which a reverse pass says.
    """

    __slots__ = ("rules",)

    def __init__(self, **rules: Callable[..., Any] | None) -> None:
        self.rules = rules


def compile_rules(
    operator: Operator, rules: Rules
) -> dict[Any, tuple[Callable[..., Any], tuple[Getter, ...]] | None]:
    """For each input (position, or name of a keyword-only one) its rule and what the rule is given.

    Raises:
        RegistrationError: a rule is for no input, or names something that a call does not have.
    """
    places: dict[str, int | str] = {
        parameter.name: parameter.name if parameter.kwarg_only else index
        for index, parameter in enumerate(operator.schema.parameters)
    }
    compiled: dict[Any, tuple[Callable[..., Any], tuple[Getter, ...]] | None] = {}
    for name, rule in rules.rules.items():
        if name not in places:
            raise RegistrationError(f"{operator.qualname} has no input {name!r} for a gradient")
        if rule is None:
            compiled[places[name]] = None
            continue
        code = rule.__code__
        wanted = code.co_varnames[1 : code.co_argcount]
        compiled[places[name]] = (
            rule,
            tuple(_getter(operator, places, part, rule) for part in wanted),
        )
    return compiled


def _getter(
    operator: Operator, places: dict[str, int | str], wanted: str, rule: Callable[..., Any]
) -> Getter:
    if wanted in places:
        return _input(places[wanted])
    if wanted == "out":
        return lambda values, kwargs, out: out
    name, _, attribute = wanted.rpartition("_")
    if attribute in _METADATA and (name in places or name == "out"):
        pick = _input(places[name]) if name in places else (lambda values, kwargs, out: out)
        if attribute == "shapes":
            return lambda values, kwargs, out: [item.shape for item in pick(values, kwargs, out)]
        return lambda values, kwargs, out: getattr(pick(values, kwargs, out), attribute, None)
    raise RegistrationError(
        f"{operator.qualname}: the gradient rule at {location_of(rule)} names {wanted!r}, which is "
        "no input, 'out', or metadata of one"
    )


def _input(place: int | str) -> Getter:
    if isinstance(place, str):
        return lambda values, kwargs, out: kwargs[place]
    return lambda values, kwargs, out: values[place]
