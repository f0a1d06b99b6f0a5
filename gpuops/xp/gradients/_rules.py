"""What the rules are written with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from gpuops import xp
from gpuops.formulas import AUTOGRAD
from gpuops.transforms.autograd.api import vjp
from gpuops.transforms.autograd.rules import Rules
from gpuops.xp._axes import axis_of
from gpuops.xp._row import ROWS

__all__ = ["composed", "conjugate", "dividing", "gradients", "masked", "restore_axes"]

Rule = Callable[..., Any] | None


def gradients(name: str, **rules: Rule) -> None:
    """Register the rules of an operator's inputs; see `Rules`."""
    ROWS[name].rule(AUTOGRAD)(Rules(**rules))  # type: ignore[arg-type]  # not a function


def conjugate(x: Any) -> Any:
    """The conjugate of what may be an array or a number, complex or not."""
    dtype = getattr(x, "dtype", None)
    if dtype is None:
        return x.conjugate() if isinstance(x, complex) else x
    return xp.conj(x) if dtype.kind == "c" else x


def masked(condition: Any, g: Any) -> Any:
    """`g` where a condition holds, and zero elsewhere."""
    return xp.where(condition, g, 0)


def dividing(x: Any) -> Any:
    """Something to divide by: 1 in place of zeros, whose quotient is not used."""
    return xp.where(xp.equal(x, 0), 1, x)


def restore_axes(g: Any, x_shape: Sequence[Any], axis: Any, keepdims: bool) -> Any:
    """`g` with the axes that a reduction took away, of size 1."""
    if keepdims:
        return g
    ndim = len(x_shape)
    places = range(ndim) if axis is None else sorted(axis_of(place, ndim) for place in axis)
    return xp.expand_dims(g, tuple(places)) if places else g


def composed(function: Callable[..., Any], name: str | None = None) -> Callable[..., Any]:
    """A rule for an input of an operator that is a composition of others.

    Args:
        function: computes what the operator does, of the same arguments, with operators that have
            gradients.
        name: the input; by default the first.

    Returns:
        A rule with the parameters of `function` behind the gradient: the function is run again,
        and differentiated, in the reverse pass.
    """
    names = function.__code__.co_varnames[: function.__code__.co_argcount]
    scope: dict[str, Any] = {"function": function, "vjp": vjp}
    chosen = names[0] if name is None else name
    source = (
        f"def rule(g, {', '.join(names)}):\n"
        f"    return vjp(lambda {chosen}: function({', '.join(names)}), {chosen})[1](g)[0]\n"
    )
    exec(compile(source, f"<gradient of {function.__qualname__}>", "exec"), scope)
    rule: Callable[..., Any] = scope["rule"]
    return rule
